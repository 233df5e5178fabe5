//! Calls that read. Each looks at one snapshot.

use std::ops::ControlFlow;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use gcloud_sdk::google::firestore::v1::{
    BatchGetDocumentsRequest, BatchGetDocumentsResponse, Document, GetDocumentRequest,
    ListDocumentsRequest, ListDocumentsResponse, RunQueryRequest, RunQueryResponse,
    batch_get_documents_request, batch_get_documents_response, get_document_request,
    list_documents_request, run_query_request, run_query_request::QueryType,
    run_query_response::ContinuationSelector,
};

use super::Outbox;
use crate::{
    field_path::{FieldPath, NAME_FIELD},
    limits::PAGE_SIZE_MAX,
    mutate::{parse_mask, project},
    name::{CollectionPath, Database, DocumentName},
    query::Query,
    refusal::Refusal,
    store::{Snapshot, Store},
    value::document_id,
};

const IN_TRANSACTION: Refusal = Refusal::Unimplemented("A read in a transaction");
const IN_THE_PAST: Refusal = Refusal::Unimplemented("A read at a given time");

/// `GetDocument`.
pub(super) async fn get(store: &Store, request: GetDocumentRequest) -> Result<Document, Refusal> {
    use get_document_request::ConsistencySelector as Selector;
    match request.consistency_selector {
        None => {}
        Some(Selector::Transaction(_)) => return Err(IN_TRANSACTION),
        Some(Selector::ReadTime(_)) => return Err(IN_THE_PAST),
    }
    let name = DocumentName::parse(&request.name)?;
    let mask = request.mask.as_ref().map(parse_mask).transpose()?;
    let found = store.read(move |snapshot| Ok(snapshot.get(&name)?)).await?;
    let document = found.ok_or(Refusal::NotFound(request.name))?;
    Ok(project(document, mask.as_deref()))
}

/// `ListDocuments`: a page of a collection by document id.
pub(super) async fn list(
    store: &Store,
    request: ListDocumentsRequest,
) -> Result<ListDocumentsResponse, Refusal> {
    use list_documents_request::ConsistencySelector as Selector;
    match request.consistency_selector {
        None => {}
        Some(Selector::Transaction(_)) => return Err(IN_TRANSACTION),
        Some(Selector::ReadTime(_)) => return Err(IN_THE_PAST),
    }
    if request.show_missing {
        return Err(Refusal::Unimplemented("Listing of missing documents"));
    }
    if request.collection_id.is_empty() {
        return Err(Refusal::Unimplemented("Listing of all collections"));
    }
    if !["", NAME_FIELD].contains(&request.order_by.as_str()) {
        return Err(Refusal::Unimplemented("Listing in another order than by name"));
    }
    let start = URL_SAFE_NO_PAD
        .decode(&request.page_token)
        .map_err(|_not_base64| Refusal::Argument("invalid page token"))?;
    let collection = CollectionPath::parse(&request.parent, &request.collection_id)?;
    let size = match usize::try_from(request.page_size) {
        Err(_negative) => return Err(Refusal::Argument("Page size must be nonnegative.")),
        Ok(0) => PAGE_SIZE_MAX,
        Ok(size) => size.min(PAGE_SIZE_MAX),
    };
    let mask = request.mask.as_ref().map(parse_mask).transpose()?;
    // One more than the page, to know where the next one starts.
    let query = Query::whole(collection, start, size.saturating_add(1));
    let documents = store.read(move |snapshot| collect(snapshot, &query)).await?;
    Ok(page(documents, size, mask.as_deref()))
}

fn page(
    mut documents: Vec<Document>,
    size: usize,
    mask: Option<&[FieldPath]>,
) -> ListDocumentsResponse {
    let next = (documents.len() > size).then(|| documents.pop()).flatten();
    let next_page_token = next.map_or_else(String::new, |next| {
        let mut key = Vec::new();
        document_id(&mut key, next.name.rsplit('/').next().unwrap_or_default());
        URL_SAFE_NO_PAD.encode(key)
    });
    let documents = documents.into_iter().map(|document| project(document, mask)).collect();
    ListDocumentsResponse { documents, next_page_token }
}

fn collect(snapshot: &Snapshot<'_>, query: &Query) -> Result<Vec<Document>, Refusal> {
    let mut documents = Vec::new();
    snapshot.run(query, |document| {
        documents.push(document);
        ControlFlow::Continue(())
    })?;
    Ok(documents)
}

/// A checked `BatchGetDocuments`.
pub(super) struct Batch {
    names: Vec<DocumentName>,
    mask: Option<Vec<FieldPath>>,
}

impl Batch {
    /// Checks the request.
    pub(super) fn parse(request: &BatchGetDocumentsRequest) -> Result<Self, Refusal> {
        use batch_get_documents_request::ConsistencySelector as Selector;
        match request.consistency_selector {
            None => {}
            Some(Selector::Transaction(_) | Selector::NewTransaction(_)) => {
                return Err(IN_TRANSACTION);
            }
            Some(Selector::ReadTime(_)) => return Err(IN_THE_PAST),
        }
        let database = Database::parse(&request.database)?;
        let mut names = Vec::with_capacity(request.documents.len());
        for name in &request.documents {
            let name = DocumentName::parse(name)?;
            database.check_owns(&name)?;
            names.push(name);
        }
        Ok(Self { names, mask: request.mask.as_ref().map(parse_mask).transpose()? })
    }

    /// Sends one reply for each name, all from one snapshot.
    pub(super) async fn answer(
        self,
        store: Store,
        outbox: Outbox<BatchGetDocumentsResponse>,
    ) -> Result<(), Refusal> {
        use batch_get_documents_response::Result as Found;
        let answer = move |snapshot: &Snapshot<'_>| {
            for name in &self.names {
                let result = match snapshot.get(name)? {
                    Some(document) => Found::Found(project(document, self.mask.as_deref())),
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
        store.read(answer).await
    }
}

/// Checks a `RunQuery`.
pub(super) fn parse_query(request: RunQueryRequest) -> Result<Query, Refusal> {
    use run_query_request::ConsistencySelector as Selector;
    match request.consistency_selector {
        None => {}
        Some(Selector::Transaction(_) | Selector::NewTransaction(_)) => return Err(IN_TRANSACTION),
        Some(Selector::ReadTime(_)) => return Err(IN_THE_PAST),
    }
    if request.explain_options.is_some() {
        return Err(Refusal::Unimplemented("Query explain"));
    }
    match request.query_type {
        Some(QueryType::StructuredQuery(query)) => Ok(Query::parse(&request.parent, query)?),
        None => Err(Refusal::Argument("A query is missing.")),
    }
}

/// Streams the results of a query, then a reply that says so.
pub(super) async fn run_query(
    query: Query,
    store: Store,
    outbox: Outbox<RunQueryResponse>,
) -> Result<(), Refusal> {
    let answer = move |snapshot: &Snapshot<'_>| {
        let read_time = Some(snapshot.read_time().into());
        let mut sent = Ok(());
        let visited = snapshot.run(&query, |document| {
            sent = outbox.send_blocking(RunQueryResponse {
                document: Some(project(document, query.projection.as_deref())),
                read_time,
                ..RunQueryResponse::default()
            });
            if sent.is_ok() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        })?;
        tracing::debug!(visited, "query served");
        sent?;
        outbox.send_blocking(RunQueryResponse {
            read_time,
            skipped_results: i32::try_from(query.offset).unwrap_or(i32::MAX),
            continuation_selector: Some(ContinuationSelector::Done(true)),
            ..RunQueryResponse::default()
        })
    };
    store.read(answer).await
}
