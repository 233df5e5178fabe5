//! Calls that read documents by name or by collection. Each looks at one state.

use std::{collections::HashSet, ops::ControlFlow, sync::Arc};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use gcloud_sdk::google::firestore::v1::{
    BatchGetDocumentsRequest, BatchGetDocumentsResponse, Document, GetDocumentRequest,
    ListDocumentsRequest, ListDocumentsResponse, batch_get_documents_request,
    batch_get_documents_response, get_document_request, list_documents_request,
};
use prost::Message;
use sha2::{Digest, Sha256};

use super::{
    Context, Outbox,
    view::{View, When},
};
use crate::{
    limits::PAGE_SIZE_MAX,
    mutate::{parse_mask, project},
    name::{CollectionPath, Database, DocumentName, Parent},
    query::{Query, Scope},
    refusal::Refusal,
    store::Snapshot,
    transactions::Footprint,
};

/// `GetDocument`.
pub(super) async fn get(
    context: Context,
    request: GetDocumentRequest,
) -> Result<Document, Refusal> {
    use get_document_request::ConsistencySelector as Selector;
    let when = match request.consistency_selector {
        None => When::Newest,
        Some(Selector::Transaction(id)) => When::In(id),
        Some(Selector::ReadTime(time)) => When::At(time.into()),
    };
    let name = DocumentName::parse(&request.name)?;
    let mask = request.mask.as_ref().map(parse_mask).transpose()?;
    let database = name.database().ok_or(Refusal::Argument("The name is of no database."))?;
    let view = View::open(context, &database, when, Footprint::Documents(vec![name.clone()]))?;
    let found = view.read(move |snapshot| Ok(snapshot.get(&name)?)).await?;
    let document = found.ok_or(Refusal::NotFound(request.name))?;
    Ok(project(document, mask.as_deref()))
}

/// `ListDocuments`: a page of a collection, by name or in another order.
pub(super) async fn list(
    context: Context,
    request: ListDocumentsRequest,
) -> Result<ListDocumentsResponse, Refusal> {
    use list_documents_request::ConsistencySelector as Selector;
    let (bytes, tokens) = (request.encoded_len(), PageTokens::new(&request));
    if request.show_missing && !request.order_by.is_empty() {
        return Err(Refusal::Argument("cannot specify an order when show_missing is true"));
    }
    if request.show_missing && request.consistency_selector.is_some() {
        return Err(Refusal::Unimplemented("Listing of documents that were missing"));
    }
    if request.show_missing && request.collection_id.is_empty() {
        return Err(Refusal::Unimplemented("Listing of missing documents in all collections"));
    }
    let when = match request.consistency_selector {
        None => When::Newest,
        Some(Selector::Transaction(id)) => When::In(id),
        Some(Selector::ReadTime(time)) => When::At(time.into()),
    };
    let scope = match request.collection_id.as_str() {
        "" => Scope::Children(Parent::parse(&request.parent)?),
        id => Scope::Collection(CollectionPath::parse(&request.parent, id)?),
    };
    let database = scope.database().ok_or(Refusal::Argument("A list is of one database."))?;
    let page = Page {
        size: match usize::try_from(request.page_size) {
            Err(_negative) => return Err(Refusal::Argument("Page size must be nonnegative.")),
            Ok(0) => PAGE_SIZE_MAX,
            Ok(size) => size.min(PAGE_SIZE_MAX),
        },
        start: tokens.decode(&request.page_token)?,
        missing_of: scope.collection().filter(|_| request.show_missing).cloned(),
    };
    let mask = request.mask.as_ref().map(parse_mask).transpose()?;
    // One more than the page, to know where the next one starts.
    let limit = page.size.saturating_add(1);
    let query = Query::list(scope, &request.order_by, page.start.clone(), limit)?;
    let query = Arc::new(query);
    let view = View::open(context, &database, when, Footprint::Query(query.clone(), bytes))?;
    let (documents, next) = view.read(move |snapshot| page.collect(snapshot, &query)).await?;
    let next_page_token = next.map(|key| tokens.encode(&key)).unwrap_or_default();
    let documents =
        documents.into_iter().map(|document| project(document, mask.as_deref())).collect();
    Ok(ListDocumentsResponse { documents, next_page_token })
}

/// One page of a list.
struct Page {
    size: usize,
    /// The sort key of its first document.
    start: Vec<u8>,
    /// The collection, if also those documents are listed that are not there but have others
    /// below them.
    missing_of: Option<CollectionPath>,
}

impl Page {
    /// The page's documents and the sort key of the first of the next page.
    fn collect(
        &self,
        snapshot: &Snapshot<'_>,
        query: &Query,
    ) -> Result<(Vec<Document>, Option<Vec<u8>>), Refusal> {
        let mut listed = Vec::new();
        snapshot.run(query, |document| {
            listed.extend(query.sort_key(&document).map(|key| (key, document)));
            ControlFlow::Continue(())
        })?;
        if let Some(collection) = &self.missing_of {
            for (key, name) in snapshot.missing(collection)?.split_off(&self.start) {
                let name = name.as_str().into();
                listed.push((key, Document { name, ..Document::default() }));
            }
            listed.sort_by(|(a, _), (b, _)| a.cmp(b));
        }
        let next = listed.get(self.size).map(|(key, _)| key.clone());
        listed.truncate(self.size);
        Ok((listed.into_iter().map(|(_, document)| document).collect(), next))
    }
}

/// The page tokens of one list: a sort key, sealed so that a token of another list or a damaged
/// one is noticed.
struct PageTokens(Sha256);

/// Enough that a damaged token is never taken for a good one. It is no signature: a token opens
/// nothing that its bearer could not read.
const SEAL_BYTES: usize = 8;

impl PageTokens {
    fn new(list: &ListDocumentsRequest) -> Self {
        let parts = [list.parent.as_str(), &list.collection_id, list.order_by.trim()];
        let start = Sha256::new().chain_update(b"firelite page token\n");
        Self(parts.iter().fold(start, |seal, part| seal.chain_update(part).chain_update(b"\n")))
    }

    fn encode(&self, key: &[u8]) -> String {
        URL_SAFE_NO_PAD.encode([&self.seal(key), key].concat())
    }

    /// The sort key of a token; the lowest of none.
    fn decode(&self, token: &str) -> Result<Vec<u8>, Refusal> {
        const INVALID: Refusal = Refusal::Argument("invalid page token");
        if token.is_empty() {
            return Ok(Vec::new());
        }
        let bytes = URL_SAFE_NO_PAD.decode(token).map_err(|_not_base64| INVALID)?;
        let (seal, key) = bytes.split_at_checked(SEAL_BYTES).ok_or(INVALID)?;
        if seal == self.seal(key) { Ok(key.into()) } else { Err(INVALID) }
    }

    fn seal(&self, key: &[u8]) -> Vec<u8> {
        let digest = self.0.clone().chain_update(key).finalize();
        digest.iter().take(SEAL_BYTES).copied().collect()
    }
}

/// `BatchGetDocuments`: one reply for each name, all from one state.
pub(super) async fn batch_get(
    context: Context,
    request: BatchGetDocumentsRequest,
    outbox: Outbox<BatchGetDocumentsResponse>,
) -> Result<(), Refusal> {
    use batch_get_documents_request::ConsistencySelector as Selector;
    use batch_get_documents_response::Result as Found;
    let when = match request.consistency_selector {
        None => When::Newest,
        Some(Selector::Transaction(id)) => When::In(id),
        Some(Selector::NewTransaction(options)) => When::Begin(options),
        Some(Selector::ReadTime(time)) => When::At(time.into()),
    };
    let database = Database::parse(&request.database)?;
    let (mut names, mut seen) = (Vec::new(), HashSet::new());
    for name in &request.documents {
        let name = DocumentName::parse(name)?;
        database.check_owns(&name)?;
        if seen.insert(name.clone()) {
            names.push(name);
        }
    }
    let mask = request.mask.as_ref().map(parse_mask).transpose()?;
    let view = View::open(context, &database, when, Footprint::Documents(names.clone()))?;
    if let Some(transaction) = view.begun.clone() {
        let begun = BatchGetDocumentsResponse { transaction, ..Default::default() };
        outbox.send(begun).await?;
    }
    let send_all = move |snapshot: &Snapshot<'_>| {
        for name in &names {
            let result = match snapshot.get(name)? {
                Some(document) => Found::Found(project(document, mask.as_deref())),
                None => Found::Missing(name.as_str().into()),
            };
            outbox.send_blocking(BatchGetDocumentsResponse {
                read_time: Some(snapshot.read_time().into()),
                result: Some(result),
                ..BatchGetDocumentsResponse::default()
            })?;
        }
        Ok(())
    };
    view.read(send_all).await
}
