use gcloud_sdk::google::firestore::v1::{
    BatchGetDocumentsRequest, BeginTransactionRequest, CommitRequest, CommitResponse,
    GetDocumentRequest, RollbackRequest, RunQueryRequest, StructuredQuery, TransactionOptions,
    Write,
    batch_get_documents_request::ConsistencySelector as BatchSelector,
    batch_get_documents_response::Result as Found,
    get_document_request::ConsistencySelector as GetSelector,
    precondition::ConditionType,
    run_query_request::{ConsistencySelector as QuerySelector, QueryType},
    structured_query::field_filter::Operator,
    transaction_options::{Mode, ReadOnly, ReadWrite, read_only},
    value::ValueType,
};
use prost_types::Timestamp;
use tokio::task::JoinSet;
use tonic::{Code, Status};

use super::support::*;

const CONTENTION: &str = "Aborted due to cross-transaction contention.";
const OVER: &str = "The referenced transaction has expired or is no longer valid.";

#[tokio::test]
async fn of_two_who_read_the_same_one_is_aborted() {
    let fixture = seeded().await;
    let mut client = fixture.client().await;
    for (path, write) in [
        ("things/a", set("things/a", &[("n", int(5))])),
        // Also what was not there.
        ("things/new", set("things/new", &[])),
        // Also when the other only deletes.
        ("things/b", delete("things/b")),
    ] {
        let (first, second) = (begin(&mut client).await, begin(&mut client).await);
        read(&mut client, &first, path).await.unwrap();
        read(&mut client, &second, path).await.unwrap();
        commit_in(&mut client, &second, vec![write]).await.unwrap();
        let lost = commit_in(&mut client, &first, vec![set("things/x", &[])]).await;
        let (code, message) = refusal(lost);
        assert_eq!(code, Code::Aborted);
        assert!(message.starts_with(CONTENTION), "{message}");
        assert_eq!(get(&mut client, "things/x").await, None);
    }
}

#[tokio::test]
async fn a_write_from_outside_aborts_only_those_who_read_it() {
    let fixture = seeded().await;
    let mut client = fixture.client().await;
    let (reader, other, blind) =
        (begin(&mut client).await, begin(&mut client).await, begin(&mut client).await);
    read(&mut client, &reader, "things/a").await.unwrap();
    read(&mut client, &other, "things/b").await.unwrap();
    commit(&mut client, vec![set("things/a", &[("n", int(9))])]).await.unwrap();
    let outcome = commit_in(&mut client, &reader, vec![set("things/r", &[])]).await;
    assert_eq!(refusal(outcome).0, Code::Aborted);
    commit_in(&mut client, &other, vec![set("things/o", &[])]).await.unwrap();
    commit_in(&mut client, &blind, vec![set("things/a", &[("n", int(3))])]).await.unwrap();
    // One that writes nothing has nothing to lose.
    let reader = begin(&mut client).await;
    read(&mut client, &reader, "things/a").await.unwrap();
    commit(&mut client, vec![delete("things/a")]).await.unwrap();
    commit_in(&mut client, &reader, Vec::new()).await.unwrap();
}

#[tokio::test]
async fn a_write_without_effect_is_no_conflict() {
    let fixture = seeded().await;
    let mut client = fixture.client().await;
    let reader = begin(&mut client).await;
    read(&mut client, &reader, "things/a").await.unwrap();
    commit(&mut client, vec![set("things/a", &[("n", int(1))])]).await.unwrap();
    commit_in(&mut client, &reader, vec![set("things/r", &[])]).await.unwrap();
}

#[tokio::test]
async fn a_query_guards_what_it_did_not_find() {
    let fixture = seeded().await;
    let mut client = fixture.client().await;
    let small = || things(field("n", Operator::LessThan, int(10)));
    for (write, conflicts) in [
        (set("things/c", &[("n", int(3))]), true),
        (set("things/large", &[("n", int(30))]), false),
        (set("others/c", &[("n", int(3))]), false),
        (set("things/a", &[("n", int(30))]), true),
        (delete("things/b"), true),
    ] {
        let transaction = begin(&mut client).await;
        query_in(&mut client, &transaction, small()).await.unwrap();
        commit(&mut client, vec![write.clone()]).await.unwrap();
        let outcome = commit_in(&mut client, &transaction, vec![set("x/x", &[])]).await;
        let code = outcome.map_or_else(|status| status.code(), |_| Code::Ok);
        assert_eq!(code, if conflicts { Code::Aborted } else { Code::Ok }, "{write:?}");
    }
}

#[tokio::test]
async fn all_reads_of_a_transaction_see_one_state() {
    let fixture = seeded().await;
    let mut client = fixture.client().await;
    for options in [read_write(), read_only(None)] {
        let transaction = begin_with(&mut client, options).await.unwrap();
        assert_eq!(read(&mut client, &transaction, "things/a").await.unwrap(), Some(1));
        let writes = vec![
            set("things/a", &[("n", int(7))]),
            delete("things/b"),
            set("things/0", &[("n", int(0))]),
        ];
        commit(&mut client, writes).await.unwrap();
        assert_eq!(read(&mut client, &transaction, "things/a").await.unwrap(), Some(1));
        assert_eq!(read(&mut client, &transaction, "things/b").await.unwrap(), Some(2));
        assert_eq!(read(&mut client, &transaction, "things/0").await.unwrap(), None);
        let (_, ids) = query_in(&mut client, &transaction, collection("things")).await.unwrap();
        assert_eq!(ids, ["a", "b"]);
        let by_n = StructuredQuery { order_by: vec![descending("n")], ..collection("things") };
        let (_, ids) = query_in(&mut client, &transaction, by_n).await.unwrap();
        assert_eq!(ids, ["b", "a"]);
        let first = StructuredQuery { limit: Some(1), offset: 1, ..collection("things") };
        assert_eq!(query_in(&mut client, &transaction, first).await.unwrap().1, ["b"]);
        let paths = ["things/a", "things/0", "things/b", "things/a"];
        let found = batch_get(&mut client, BatchSelector::Transaction(transaction), &paths).await;
        assert_eq!(found.1, ["a", "0?", "b"]);

        let back = vec![
            set("things/a", &[("n", int(1))]),
            set("things/b", &[("n", int(2))]),
            delete("things/0"),
        ];
        commit(&mut client, back).await.unwrap();
    }
}

#[tokio::test]
async fn a_first_read_can_begin_the_transaction() {
    let fixture = seeded().await;
    let mut client = fixture.client().await;
    let begin = || BatchSelector::NewTransaction(read_write());
    let (transaction, found) = batch_get(&mut client, begin(), &["things/a", "things/z"]).await;
    assert_eq!(found, ["a", "z?"]);
    commit(&mut client, vec![set("things/z", &[])]).await.unwrap();
    let outcome = commit_in(&mut client, &transaction, vec![delete("things/a")]).await;
    assert_eq!(refusal(outcome).0, Code::Aborted);

    let request = RunQueryRequest {
        consistency_selector: Some(QuerySelector::NewTransaction(read_write())),
        ..query(collection("things"))
    };
    let (transaction, ids) = run(&mut client, request).await.unwrap();
    assert_eq!(ids, ["a", "b", "z"]);
    commit_in(&mut client, &transaction, vec![delete("things/z")]).await.unwrap();
    let (transaction, found) = batch_get(&mut client, begin(), &[]).await;
    assert!(found.is_empty() && !transaction.is_empty());
}

#[tokio::test]
async fn a_transaction_ends_once() {
    let fixture = seeded().await;
    let mut client = fixture.client().await;
    let write = || vec![set("things/x", &[])];
    let committed = begin(&mut client).await;
    commit_in(&mut client, &committed, write()).await.unwrap();
    let rolled_back = begin(&mut client).await;
    roll_back(&mut client, &rolled_back).await.unwrap();
    let failed = begin(&mut client).await;
    let create = provided(ConditionType::Exists(false), set("things/a", &[]));
    let refused = commit_in(&mut client, &failed, vec![create]).await;
    assert_eq!(refusal(refused).0, Code::AlreadyExists);
    for transaction in [committed, rolled_back, failed] {
        let over = (Code::InvalidArgument, OVER.to_owned());
        assert_eq!(refusal(commit_in(&mut client, &transaction, write()).await), over);
        assert_eq!(refusal(read(&mut client, &transaction, "things/a").await), over);
        // Clients roll back whatever failed.
        roll_back(&mut client, &transaction).await.unwrap();
    }
    let invalid = (Code::InvalidArgument, "Invalid transaction.".to_owned());
    for foreign in [&b"nonsense"[..], &[0; 16]] {
        assert_eq!(refusal(commit_in(&mut client, foreign, write()).await), invalid);
        assert_eq!(refusal(read(&mut client, foreign, "things/a").await), invalid);
        assert_eq!(refusal(roll_back(&mut client, foreign).await), invalid);
    }
    // A commit that is none leaves it open.
    let open = begin(&mut client).await;
    let refused = commit_in(&mut client, &open, vec![set("things", &[])]).await;
    assert_eq!(refusal(refused).0, Code::InvalidArgument);
    commit_in(&mut client, &open, write()).await.unwrap();
}

#[tokio::test]
async fn a_read_only_transaction_writes_nothing() {
    let fixture = seeded().await;
    let mut client = fixture.client().await;
    let transaction = begin_with(&mut client, read_only(None)).await.unwrap();
    let refused = commit_in(&mut client, &transaction, vec![set("things/x", &[])]).await;
    let message = "Cannot modify entities in a read-only transaction.".to_owned();
    assert_eq!(refusal(refused), (Code::InvalidArgument, message));
    commit_in(&mut client, &transaction, Vec::new()).await.unwrap();
}

#[tokio::test]
async fn the_past_can_be_read() {
    let fixture = Fixture::start().await;
    let mut client = fixture.client().await;
    let mut times = Vec::new();
    for n in 0..4 {
        let write = vec![set("things/a", &[("n", int(n))]), set(&format!("things/x{n}"), &[])];
        times.push(commit(&mut client, write).await.unwrap().commit_time.unwrap());
    }
    times.push(commit(&mut client, vec![delete("things/a")]).await.unwrap().commit_time.unwrap());
    let before = timestamp(micros(Some(times[0])) - 1);
    assert_eq!(read_at(&mut client, before, "things/a").await.unwrap(), None);
    for (n, time) in (0..).zip(&times) {
        let expected = (n < 4).then_some(n);
        assert_eq!(read_at(&mut client, *time, "things/a").await.unwrap(), expected);
        let request = RunQueryRequest {
            consistency_selector: Some(QuerySelector::ReadTime(*time)),
            ..query(collection("things"))
        };
        let (_, ids) = run(&mut client, request).await.unwrap();
        assert_eq!(ids.len(), usize::try_from(if n < 4 { n + 2 } else { 4 }).unwrap());
        let options = read_only(Some(*time));
        let transaction = begin_with(&mut client, options).await.unwrap();
        assert_eq!(read(&mut client, &transaction, "things/a").await.unwrap(), expected);
    }
    let future = timestamp(micros(Some(times[4])) + 3_600_000_000);
    let refused = refusal(read_at(&mut client, future, "things/a").await);
    let message = "The requested 'read_time' cannot be in the future.".to_owned();
    assert_eq!(refused, (Code::InvalidArgument, message));
}

#[tokio::test]
async fn concurrent_increments_are_never_lost() {
    const WRITERS: i64 = 8;
    const TIMES: i64 = 5;
    let fixture = seeded().await;
    let mut tasks = JoinSet::new();
    for _ in 0..WRITERS {
        let mut client = fixture.client().await;
        tasks.spawn(async move {
            let mut done = 0;
            while done < TIMES {
                let transaction = begin(&mut client).await;
                let n = read(&mut client, &transaction, "things/a").await.unwrap().unwrap();
                let write = set("things/a", &[("n", int(n + 1))]);
                match commit_in(&mut client, &transaction, vec![write]).await {
                    Ok(_) => done += 1,
                    Err(status) => assert_eq!(status.code(), Code::Aborted),
                }
            }
        });
    }
    tasks.join_all().await;
    let stored = get(&mut fixture.client().await, "things/a").await.unwrap();
    assert_eq!(stored.fields["n"], int(1 + WRITERS * TIMES));
}

#[tokio::test]
async fn a_transaction_is_of_one_database() {
    let fixture = seeded().await;
    let mut client = fixture.client().await;
    let transaction = begin(&mut client).await;
    let other = RollbackRequest {
        database: "projects/other/databases/(default)".into(),
        transaction: transaction.clone(),
        ..RollbackRequest::default()
    };
    assert_eq!(refusal(client.rollback(other).await).0, Code::InvalidArgument);
    commit_in(&mut client, &transaction, vec![set("things/x", &[])]).await.unwrap();
}

async fn seeded() -> Fixture {
    let fixture = Fixture::start().await;
    let writes = vec![set("things/a", &[("n", int(1))]), set("things/b", &[("n", int(2))])];
    commit(&mut fixture.client().await, writes).await.unwrap();
    fixture
}

async fn begin(client: &mut Client) -> Vec<u8> {
    begin_with(client, read_write()).await.unwrap()
}

async fn begin_with(client: &mut Client, options: TransactionOptions) -> Result<Vec<u8>, Status> {
    let request = BeginTransactionRequest {
        database: DATABASE.into(),
        options: Some(options),
        ..BeginTransactionRequest::default()
    };
    Ok(client.begin_transaction(request).await?.into_inner().transaction)
}

fn read_write() -> TransactionOptions {
    TransactionOptions { mode: Some(Mode::ReadWrite(ReadWrite::default())) }
}

fn read_only(time: Option<Timestamp>) -> TransactionOptions {
    let consistency_selector = time.map(read_only::ConsistencySelector::ReadTime);
    TransactionOptions { mode: Some(Mode::ReadOnly(ReadOnly { consistency_selector })) }
}

async fn commit_in(
    client: &mut Client,
    transaction: &[u8],
    writes: Vec<Write>,
) -> Result<CommitResponse, Status> {
    let request = CommitRequest {
        database: DATABASE.into(),
        writes,
        transaction: transaction.into(),
        ..CommitRequest::default()
    };
    client.commit(request).await.map(tonic::Response::into_inner)
}

async fn roll_back(client: &mut Client, transaction: &[u8]) -> Result<(), Status> {
    let request = RollbackRequest {
        database: DATABASE.into(),
        transaction: transaction.into(),
        ..RollbackRequest::default()
    };
    client.rollback(request).await.map(tonic::Response::into_inner)
}

/// The number in a document, if that is there.
async fn read(client: &mut Client, transaction: &[u8], path: &str) -> Result<Option<i64>, Status> {
    read_with(client, GetSelector::Transaction(transaction.into()), path).await
}

async fn read_at(client: &mut Client, time: Timestamp, path: &str) -> Result<Option<i64>, Status> {
    read_with(client, GetSelector::ReadTime(time), path).await
}

async fn read_with(
    client: &mut Client,
    selector: GetSelector,
    path: &str,
) -> Result<Option<i64>, Status> {
    let request = GetDocumentRequest {
        name: name(path),
        consistency_selector: Some(selector),
        ..GetDocumentRequest::default()
    };
    match client.get_document(request).await {
        Ok(document) => match document.into_inner().fields["n"].value_type {
            Some(ValueType::IntegerValue(n)) => Ok(Some(n)),
            ref other => panic!("{other:?}"),
        },
        Err(status) if status.code() == Code::NotFound => Ok(None),
        Err(status) => Err(status),
    }
}

/// The begun transaction, and the ids found; missing ones with a question mark.
async fn batch_get(
    client: &mut Client,
    selector: BatchSelector,
    paths: &[&str],
) -> (Vec<u8>, Vec<String>) {
    let request = BatchGetDocumentsRequest {
        database: DATABASE.into(),
        documents: paths.iter().map(|path| name(path)).collect(),
        consistency_selector: Some(selector),
        ..BatchGetDocumentsRequest::default()
    };
    let mut stream = client.batch_get_documents(request).await.unwrap().into_inner();
    let (mut transaction, mut ids) = (Vec::new(), Vec::new());
    let id = |name: &str| name.rsplit('/').next().unwrap().to_owned();
    while let Some(reply) = stream.message().await.unwrap() {
        transaction.extend(reply.transaction);
        match reply.result {
            Some(Found::Found(document)) => ids.push(id(&document.name)),
            Some(Found::Missing(name)) => ids.push(format!("{}?", id(&name))),
            None => assert!(ids.is_empty()),
        }
    }
    (transaction, ids)
}

async fn query_in(
    client: &mut Client,
    transaction: &[u8],
    structured: StructuredQuery,
) -> Result<(Vec<u8>, Vec<String>), Status> {
    let consistency_selector = Some(QuerySelector::Transaction(transaction.into()));
    run(client, RunQueryRequest { consistency_selector, ..query(structured) }).await
}

fn query(query: StructuredQuery) -> RunQueryRequest {
    RunQueryRequest {
        parent: ROOT.into(),
        query_type: Some(QueryType::StructuredQuery(query)),
        ..RunQueryRequest::default()
    }
}

/// The begun transaction, and the ids found.
async fn run(
    client: &mut Client,
    request: RunQueryRequest,
) -> Result<(Vec<u8>, Vec<String>), Status> {
    let mut stream = client.run_query(request).await?.into_inner();
    let (mut transaction, mut ids) = (Vec::new(), Vec::new());
    while let Some(reply) = stream.message().await? {
        transaction.extend(reply.transaction);
        ids.extend(reply.document.map(|document| document.name.rsplit('/').next().unwrap().into()));
    }
    Ok((transaction, ids))
}
