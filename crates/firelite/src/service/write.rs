//! Calls that write. Each is one commit.

use std::collections::{HashMap, HashSet};

use gcloud_sdk::google::{
    firestore::v1::{
        BatchWriteRequest, BatchWriteResponse, CommitRequest, CommitResponse,
        CreateDocumentRequest, DeleteDocumentRequest, Document, DocumentMask, Precondition,
        UpdateDocumentRequest, Write, WriteResult, precondition::ConditionType, write::Operation,
    },
    rpc,
};
use rand::RngExt;

use super::Context;
use crate::{
    limits::TRANSFORMS_MAX,
    mutate::{Mutation, WriteError, parse_mask, project},
    name::{CollectionPath, Database, DocumentName},
    refusal::Refusal,
    store::{Committed, Store, Written},
    transform::TransformError,
};

/// Length and alphabet of the ids that Firestore's clients make.
const AUTO_ID_LEN: usize = 20;

/// `Commit`: all writes or none.
pub(super) async fn commit(
    context: Context,
    request: CommitRequest,
) -> Result<CommitResponse, Refusal> {
    let database = Database::parse(&request.database)?;
    let mutations = parse(&database, request.writes)?;
    let reads = match request.transaction.as_slice() {
        [] => None,
        id => context.transactions.close(id, &database, !mutations.is_empty())?,
    };
    // What writes nothing has seen one state and has nothing to put in order.
    let reads = reads.filter(|_| !mutations.is_empty());
    let Committed { time, written } = context.store.commit_if_unchanged(mutations, reads).await?;
    Ok(CommitResponse {
        write_results: written.into_iter().map(write_result).collect(),
        commit_time: Some(time.into()),
    })
}

/// `BatchWrite`: each write alone, with a status of its own.
pub(super) async fn batch(
    context: Context,
    request: BatchWriteRequest,
) -> Result<BatchWriteResponse, Refusal> {
    let database = Database::parse(&request.database)?;
    let mutations = parse(&database, request.writes)?;
    let mut names = HashSet::new();
    if !mutations.iter().all(|mutation| names.insert(&mutation.name)) {
        return Err(Refusal::Argument(
            "the same document cannot be written more than once in a single request",
        ));
    }
    let mut response = BatchWriteResponse::default();
    for outcome in context.store.commit_each(mutations).await {
        let (result, status) = match outcome {
            Ok(Committed { written, .. }) => {
                let written = written.into_iter().next();
                (written.map(write_result).unwrap_or_default(), rpc::Status::default())
            }
            Err(refusal) => (WriteResult::default(), refusal.to_rpc()),
        };
        response.write_results.push(result);
        response.status.push(status);
    }
    Ok(response)
}

fn parse(database: &Database, writes: Vec<Write>) -> Result<Vec<Mutation>, Refusal> {
    let mut mutations = Vec::with_capacity(writes.len());
    let mut transforms: HashMap<DocumentName, usize> = HashMap::new();
    for write in writes {
        let mutation = Mutation::parse(write)?;
        database.check_owns(&mutation.name)?;
        let of_document = transforms.entry(mutation.name.clone()).or_default();
        *of_document = of_document.saturating_add(mutation.n_transforms());
        if *of_document > TRANSFORMS_MAX {
            return Err(WriteError::from(TransformError::TooMany).into());
        }
        mutations.push(mutation);
    }
    Ok(mutations)
}

/// `CreateDocument`: a write that needs the document to be absent.
pub(super) async fn create(
    context: Context,
    request: CreateDocumentRequest,
) -> Result<Document, Refusal> {
    let collection = CollectionPath::parse(&request.parent, &request.collection_id)?;
    let name = match request.document_id.as_str() {
        "" => collection.document(&auto_id())?,
        id => collection.document(id)?,
    };
    let document = request.document.unwrap_or_default();
    if !document.name.is_empty() {
        return Err(Refusal::Argument("document.name must not be set"));
    }
    let write = Write {
        operation: Some(Operation::Update(Document { name: name.as_str().into(), ..document })),
        current_document: Some(Precondition { condition_type: Some(ConditionType::Exists(false)) }),
        ..Write::default()
    };
    write_one(&context.store, write, request.mask).await
}

/// `UpdateDocument`: an upsert unless the precondition says otherwise.
pub(super) async fn update(
    context: Context,
    request: UpdateDocumentRequest,
) -> Result<Document, Refusal> {
    let write = Write {
        operation: request.document.map(Operation::Update),
        update_mask: request.update_mask,
        current_document: request.current_document,
        ..Write::default()
    };
    write_one(&context.store, write, request.mask).await
}

/// `DeleteDocument`.
pub(super) async fn delete(
    context: Context,
    request: DeleteDocumentRequest,
) -> Result<(), Refusal> {
    let write = Write {
        operation: Some(Operation::Delete(request.name)),
        current_document: request.current_document,
        ..Write::default()
    };
    context.store.commit(vec![Mutation::parse(write)?]).await?;
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
