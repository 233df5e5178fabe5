//! Transactions. Real Firestore locks what a transaction reads (pessimistic) or finds a conflict at its commit
//! (optimistic); a case asserts what both promise: serializable isolation, and `ABORTED` for whoever loses.

use gcloud_sdk::google::firestore::v1::batch_get_documents_request::ConsistencySelector as BatchAt;
use gcloud_sdk::google::firestore::v1::batch_get_documents_response::Result as Got;
use gcloud_sdk::google::firestore::v1::get_document_request::ConsistencySelector as GetAt;
use gcloud_sdk::google::firestore::v1::run_query_request::ConsistencySelector as QueryAt;
use gcloud_sdk::google::firestore::v1::transaction_options::{
    Mode, ReadOnly, ReadWrite, read_only,
};
use gcloud_sdk::google::firestore::v1::{
    BatchGetDocumentsRequest, CommitResponse, GetDocumentRequest, RollbackRequest,
    TransactionOptions,
};
use serde_json::{Value as Json, json};
use tonic::{Code, Status};

use super::backend::{Backend, ids, refused};
use super::messages::{if_exists, query, test};
use super::values::{micros, shown};

/// How often a loser tries again; with [`WRITERS`] of them each round has at least one winner.
const ATTEMPTS: usize = 20;

/// Who increment the same field at the same time.
const WRITERS: usize = 4;

pub(super) async fn a_transaction_commits_what_it_read_and_wrote(on: &Backend) {
    on.put("things/a", json!({"n": 1})).await;
    let transaction = on.begin(read_write()).await.unwrap();
    assert_eq!(read_in(on, &transaction, "things/a").await.unwrap(), json!({"n": 1}));
    let writes = vec![on.set("things/a", &json!({"n": 2})), on.set("things/b", &json!({"n": 2}))];
    let committed = on.commit_in(transaction, writes).await.unwrap();
    assert_eq!(committed.write_results.len(), 2);
    assert_eq!(on.read("things/a").await, json!({"n": 2}));
    assert_eq!(on.read("things/b").await, json!({"n": 2}));
}

pub(super) async fn of_two_writers_of_what_both_read_one_at_most_commits(on: &Backend) {
    on.put("things/a", json!({"n": 0})).await;
    let (first, second) =
        (on.begin(read_write()).await.unwrap(), on.begin(read_write()).await.unwrap());
    read_in(on, &first, "things/a").await.unwrap();
    read_in(on, &second, "things/a").await.unwrap();
    let (first, second) = tokio::join!(
        on.commit_in(first, vec![on.set("things/a", &json!({"n": 1}))]),
        on.commit_in(second, vec![on.set("things/a", &json!({"n": 2}))]),
    );
    let expected = winner([&first, &second]).map_or(0, |winner| winner + 1);
    assert_eq!(on.read("things/a").await, json!({"n": expected}));
}

pub(super) async fn a_write_from_outside_does_not_come_between(on: &Backend) {
    on.put("things/a", json!({"n": 0})).await;
    let transaction = on.begin(read_write()).await.unwrap();
    read_in(on, &transaction, "things/a").await.unwrap();
    let (outside, inside) = tokio::join!(
        on.commit(vec![on.set("things/a", &json!({"n": 10}))]),
        on.commit_in(transaction, vec![on.set("things/b", &json!({"saw": 0}))]),
    );
    let outside = outside.unwrap();
    match inside {
        // It saw the world before the other write, so that is where it stands in the order of commits.
        Ok(inside) => assert!(committed_at(&inside) < committed_at(&outside)),
        Err(status) => {
            assert_eq!(status.code(), Code::Aborted);
            assert_eq!(on.read("things/b").await, Json::Null);
        }
    }
    assert_eq!(on.read("things/a").await, json!({"n": 10}));
}

pub(super) async fn what_a_transaction_found_absent_stays_absent_to_it(on: &Backend) {
    let (first, second) =
        (on.begin(read_write()).await.unwrap(), on.begin(read_write()).await.unwrap());
    assert_eq!(read_in(on, &first, "things/a").await.unwrap(), Json::Null);
    assert_eq!(read_in(on, &second, "things/a").await.unwrap(), Json::Null);
    let (first, second) = tokio::join!(
        on.commit_in(first, vec![on.set("things/a", &json!({"by": 1}))]),
        on.commit_in(second, vec![on.set("things/a", &json!({"by": 2}))]),
    );
    let written = winner([&first, &second]).map_or(Json::Null, |winner| json!({"by": winner + 1}));
    assert_eq!(on.read("things/a").await, written);
}

pub(super) async fn of_two_who_add_to_what_both_queried_one_at_most_commits(on: &Backend) {
    on.put("things/a", json!({"n": 1})).await;
    let (first, second) =
        (on.begin(read_write()).await.unwrap(), on.begin(read_write()).await.unwrap());
    let saw = (query_in(on, &first).await, query_in(on, &second).await);
    let add = async |transaction, saw: Result<String, Status>, path: &str| {
        assert_eq!(saw?, "a");
        on.commit_in(transaction, vec![on.set(path, &json!({"n": 1}))]).await
    };
    let (first, second) =
        tokio::join!(add(first, saw.0, "things/b"), add(second, saw.1, "things/c"));
    let found = winner([&first, &second]).map_or("a", |winner| ["a b", "a c"][winner]);
    assert_eq!(on.ids(query("things")).await, found);
}

pub(super) async fn concurrent_increments_are_not_lost(on: &Backend) {
    on.put("things/a", json!({"n": 0})).await;
    let increments = (0..WRITERS).map(|_| increment(on));
    futures_util::future::join_all(increments).await;
    assert_eq!(on.read("things/a").await, json!({"n": WRITERS}));
}

pub(super) async fn writes_of_what_nobody_read_do_not_conflict(on: &Backend) {
    let (first, second) =
        (on.begin(read_write()).await.unwrap(), on.begin(read_write()).await.unwrap());
    on.commit_in(second, vec![on.set("things/a", &json!({"by": 2}))]).await.unwrap();
    on.commit_in(first, vec![on.set("things/a", &json!({"by": 1}))]).await.unwrap();
    assert_eq!(on.read("things/a").await, json!({"by": 1}));
}

pub(super) async fn reading_other_documents_is_no_conflict(on: &Backend) {
    on.seed("things", json!({"a": {"n": 1}, "b": {"n": 1}})).await;
    let (first, second) =
        (on.begin(read_write()).await.unwrap(), on.begin(read_write()).await.unwrap());
    read_in(on, &first, "things/a").await.unwrap();
    read_in(on, &second, "things/b").await.unwrap();
    on.commit_in(first, vec![on.set("things/a", &json!({"n": 2}))]).await.unwrap();
    on.commit_in(second, vec![on.set("things/b", &json!({"n": 2}))]).await.unwrap();
}

pub(super) async fn a_transaction_reads_from_one_snapshot(on: &Backend) {
    on.seed("things", json!({"a": {"n": 1}, "b": {"n": 1}})).await;
    let transaction = on.begin(read_only(None)).await.unwrap();
    assert_eq!(read_in(on, &transaction, "things/a").await.unwrap(), json!({"n": 1}));
    let writes = vec![on.set("things/a", &json!({"n": 2})), on.set("things/b", &json!({"n": 2}))];
    on.commit(writes).await.unwrap();
    assert_eq!(read_in(on, &transaction, "things/a").await.unwrap(), json!({"n": 1}));
    assert_eq!(read_in(on, &transaction, "things/b").await.unwrap(), json!({"n": 1}));
    assert_eq!(query_in(on, &transaction).await.unwrap(), "a b");
}

pub(super) async fn a_read_only_transaction_locks_nothing(on: &Backend) {
    on.put("things/a", json!({"n": 1})).await;
    let transaction = on.begin(read_only(None)).await.unwrap();
    read_in(on, &transaction, "things/a").await.unwrap();
    on.put("things/a", json!({"n": 2})).await;
    on.commit_in(transaction, Vec::new()).await.unwrap();
    assert_eq!(on.read("things/a").await, json!({"n": 2}));
}

pub(super) async fn a_read_only_transaction_cannot_write(on: &Backend) {
    let transaction = on.begin(read_only(None)).await.unwrap();
    let outcome = on.commit_in(transaction, vec![on.set("things/a", &json!({}))]).await;
    assert_eq!(refused(outcome), Code::InvalidArgument);
    assert_eq!(on.read("things/a").await, Json::Null);
}

pub(super) async fn a_read_only_transaction_can_look_back(on: &Backend) {
    let then = on.put("things/a", json!({"n": 1})).await;
    on.put("things/a", json!({"n": 2})).await;
    let at = read_only::ConsistencySelector::ReadTime(then);
    let transaction = on.begin(read_only(Some(at))).await.unwrap();
    assert_eq!(read_in(on, &transaction, "things/a").await.unwrap(), json!({"n": 1}));
}

pub(super) async fn a_rolled_back_transaction_is_over(on: &Backend) {
    on.put("things/a", json!({"n": 1})).await;
    let transaction = on.begin(read_write()).await.unwrap();
    read_in(on, &transaction, "things/a").await.unwrap();
    rollback(on, &transaction).await.unwrap();
    // Its locks are gone with it.
    on.put("things/a", json!({"n": 2})).await;
    let outcome = on.commit_in(transaction, vec![on.set("things/a", &json!({"n": 3}))]).await;
    assert_eq!(refused(outcome), Code::InvalidArgument);
    assert_eq!(on.read("things/a").await, json!({"n": 2}));
}

pub(super) async fn a_transaction_commits_once(on: &Backend) {
    let transaction = on.begin(read_write()).await.unwrap();
    on.commit_in(transaction.clone(), vec![on.set("things/a", &json!({"n": 1}))]).await.unwrap();
    let again = on.commit_in(transaction, vec![on.set("things/a", &json!({"n": 2}))]).await;
    assert_eq!(refused(again), Code::InvalidArgument);
    assert_eq!(on.read("things/a").await, json!({"n": 1}));
}

pub(super) async fn an_id_that_nobody_gave_is_refused(on: &Backend) {
    let outcome = on.commit_in(b"nonsense".to_vec(), vec![on.set("things/a", &json!({}))]).await;
    assert_eq!(refused(outcome), Code::InvalidArgument);
    assert_eq!(refused(read_in(on, b"nonsense", "things/a").await), Code::InvalidArgument);
    assert_eq!(refused(rollback(on, b"nonsense").await), Code::InvalidArgument);
    assert_eq!(on.read("things/a").await, Json::Null);
}

pub(super) async fn a_failed_precondition_ends_a_transaction_without_effect(on: &Backend) {
    let transaction = on.begin(read_write()).await.unwrap();
    let writes = vec![on.set("things/a", &json!({})), if_exists(true, on.delete("things/absent"))];
    assert_eq!(refused(on.commit_in(transaction, writes).await), Code::NotFound);
    assert_eq!(on.read("things/a").await, Json::Null);
}

pub(super) async fn a_lost_transaction_can_be_tried_again_by_its_id(on: &Backend) {
    on.put("things/a", json!({"n": 1})).await;
    let first = on.begin(read_write()).await.unwrap();
    rollback(on, &first).await.unwrap();
    let retry = ReadWrite { retry_transaction: first, ..Default::default() };
    let second = on.begin(TransactionOptions { mode: Some(Mode::ReadWrite(retry)) }).await.unwrap();
    read_in(on, &second, "things/a").await.unwrap();
    on.commit_in(second, vec![on.set("things/a", &json!({"n": 2}))]).await.unwrap();
    assert_eq!(on.read("things/a").await, json!({"n": 2}));
}

pub(super) async fn a_query_can_begin_its_transaction(on: &Backend) {
    on.put("things/a", json!({"n": 1})).await;
    let begin = Some(QueryAt::NewTransaction(read_write()));
    let replies = on.run_with(&on.home, query("things"), begin).await.unwrap();
    assert_eq!(ids(&replies), "a");
    let transaction = replies[0].transaction.clone();
    assert!(!transaction.is_empty(), "the first reply names the transaction");
    on.commit_in(transaction, vec![on.set("things/a", &json!({"n": 2}))]).await.unwrap();
    assert_eq!(on.read("things/a").await, json!({"n": 2}));
}

pub(super) async fn a_batch_can_begin_its_transaction(on: &Backend) {
    on.put("things/a", json!({"n": 1})).await;
    let request = BatchGetDocumentsRequest {
        database: on.database.clone(),
        documents: vec![on.name("things/a")],
        consistency_selector: Some(BatchAt::NewTransaction(read_write())),
        ..Default::default()
    };
    let mut stream = on.client.clone().batch_get_documents(request).await.unwrap().into_inner();
    let first = stream.message().await.unwrap().unwrap();
    assert!(!first.transaction.is_empty(), "the first reply names the transaction");
    let mut found = first.result;
    while let Some(reply) = stream.message().await.unwrap() {
        found = reply.result.or(found);
    }
    assert!(matches!(found, Some(Got::Found(_))), "{found:?}");
    let written = vec![on.set("things/a", &json!({"n": 2}))];
    on.commit_in(first.transaction, written).await.unwrap();
    assert_eq!(on.read("things/a").await, json!({"n": 2}));
}

pub(super) async fn a_transaction_of_nothing_commits(on: &Backend) {
    let transaction = on.begin(read_write()).await.unwrap();
    assert!(on.commit_in(transaction, Vec::new()).await.unwrap().write_results.is_empty());
}

fn committed_at(response: &CommitResponse) -> i64 {
    micros(response.commit_time.unwrap())
}

/// Which of two rivals committed. Not both, and who did not was aborted; two that wait for each other may both lose.
#[track_caller]
fn winner(rivals: [&Result<CommitResponse, Status>; 2]) -> Option<usize> {
    for status in rivals.iter().filter_map(|rival| rival.as_ref().err()) {
        assert_eq!(status.code(), Code::Aborted, "{status}");
    }
    assert!(rivals.iter().any(|rival| rival.is_err()), "both committed");
    rivals.iter().position(|rival| rival.is_ok())
}

/// Adds one in a transaction, again until it is not aborted.
async fn increment(on: &Backend) {
    let mut retry_transaction = Vec::new();
    for _ in 0..ATTEMPTS {
        let mode = ReadWrite { retry_transaction, ..Default::default() };
        let options = TransactionOptions { mode: Some(Mode::ReadWrite(mode)) };
        let transaction = on.begin(options).await.unwrap();
        match increment_in(on, transaction.clone()).await {
            Ok(()) => return,
            Err(status) => assert_eq!(status.code(), Code::Aborted, "{status}"),
        }
        retry_transaction = transaction;
    }
    panic!("aborted {ATTEMPTS} times");
}

async fn increment_in(on: &Backend, transaction: Vec<u8>) -> Result<(), Status> {
    let n = read_in(on, &transaction, "things/a").await?["n"].as_i64().unwrap();
    on.commit_in(transaction, vec![on.set("things/a", &json!({"n": n + 1}))]).await.map(|_| ())
}

/// The fields of a document as the transaction sees it; null where there is none.
async fn read_in(on: &Backend, transaction: &[u8], path: &str) -> Result<Json, Status> {
    let request = GetDocumentRequest {
        name: on.name(path),
        consistency_selector: Some(GetAt::Transaction(transaction.into())),
        ..Default::default()
    };
    match on.client.clone().get_document(request).await {
        Ok(document) => Ok(shown(&document.into_inner().fields)),
        Err(status) if status.code() == Code::NotFound => Ok(Json::Null),
        Err(status) => Err(status),
    }
}

/// The ids of the `things` with n = 1, as the transaction sees them.
async fn query_in(on: &Backend, transaction: &[u8]) -> Result<String, Status> {
    let ones = query("things").of(test("n", "==", &json!(1)));
    let at = Some(QueryAt::Transaction(transaction.into()));
    Ok(ids(&on.run_with(&on.home, ones, at).await?))
}

async fn rollback(on: &Backend, transaction: &[u8]) -> Result<(), Status> {
    let request = RollbackRequest {
        database: on.database.clone(),
        transaction: transaction.into(),
        ..Default::default()
    };
    on.client.clone().rollback(request).await.map(|_| ())
}

fn read_write() -> TransactionOptions {
    TransactionOptions { mode: Some(Mode::ReadWrite(ReadWrite::default())) }
}

fn read_only(at: Option<read_only::ConsistencySelector>) -> TransactionOptions {
    TransactionOptions { mode: Some(Mode::ReadOnly(ReadOnly { consistency_selector: at })) }
}
