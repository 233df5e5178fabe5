//! Calls that write. Each is one commit.

use gcloud_sdk::google::firestore::v1::{
    CommitRequest, CommitResponse, CreateDocumentRequest, DeleteDocumentRequest, Document,
    DocumentMask, Precondition, UpdateDocumentRequest, Write, WriteResult,
    precondition::ConditionType, write::Operation,
};
use rand::RngExt;

use crate::{
    mutate::{Mutation, WriteError, parse_mask, project},
    name::{CollectionPath, Database},
    refusal::Refusal,
    store::{Committed, Store, Written},
};

/// Length and alphabet of the ids that Firestore's clients make.
const AUTO_ID_LEN: usize = 20;

/// Commit: all writes or none.
pub(super) async fn commit(
    store: &Store,
    request: CommitRequest,
) -> Result<CommitResponse, Refusal> {
    if !request.transaction.is_empty() {
        return Err(Refusal::Unimplemented("A commit of a transaction"));
    }
    let database = Database::parse(&request.database)?;
    let mut mutations = Vec::with_capacity(request.writes.len());
    for write in request.writes {
        let mutation = Mutation::parse(write)?;
        database.check_owns(&mutation.name)?;
        mutations.push(mutation);
    }
    let Committed { time, written } = store.commit(mutations).await?;
    Ok(CommitResponse {
        write_results: written.into_iter().map(write_result).collect(),
        commit_time: Some(time.into()),
    })
}

/// `CreateDocument`: a write that needs the document to be absent.
pub(super) async fn create(
    store: &Store,
    request: CreateDocumentRequest,
) -> Result<Document, Refusal> {
    let collection = CollectionPath::parse(&request.parent, &request.collection_id)?;
    let name = match request.document_id.as_str() {
        "" => collection.document(&auto_id())?,
        id => collection.document(id)?,
    };
    let document = request.document.unwrap_or_default();
    if !document.name.is_empty() {
        return Err(Refusal::Argument("The document to create must not have a name."));
    }
    let write = Write {
        operation: Some(Operation::Update(Document { name: name.as_str().into(), ..document })),
        current_document: Some(Precondition { condition_type: Some(ConditionType::Exists(false)) }),
        ..Write::default()
    };
    write_one(store, write, request.mask).await
}

/// `UpdateDocument`: an upsert unless the precondition says otherwise.
pub(super) async fn update(
    store: &Store,
    request: UpdateDocumentRequest,
) -> Result<Document, Refusal> {
    let write = Write {
        operation: request.document.map(Operation::Update),
        update_mask: request.update_mask,
        current_document: request.current_document,
        ..Write::default()
    };
    write_one(store, write, request.mask).await
}

/// `DeleteDocument`.
pub(super) async fn delete(store: &Store, request: DeleteDocumentRequest) -> Result<(), Refusal> {
    let write = Write {
        operation: Some(Operation::Delete(request.name)),
        current_document: request.current_document,
        ..Write::default()
    };
    store.commit(vec![Mutation::parse(write)?]).await?;
    Ok(())
}

async fn write_one(
    store: &Store,
    write: Write,
    mask: Option<DocumentMask>,
) -> Result<Document, Refusal> {
    let mask = mask.as_ref().map(parse_mask).transpose()?;
    let committed = store.commit(vec![Mutation::parse(write)?]).await?;
    let written = committed.written.into_iter().next().and_then(|written| written.document);
    let document = written.ok_or(Refusal::Write(WriteError::Empty))?;
    Ok(project(document, mask.as_deref()))
}

fn write_result(Written { document, transform_results }: Written) -> WriteResult {
    let update_time = document.and_then(|document| document.update_time);
    WriteResult { update_time, transform_results }
}

fn auto_id() -> String {
    rand::rng().sample_iter(rand::distr::Alphanumeric).take(AUTO_ID_LEN).map(char::from).collect()
}
