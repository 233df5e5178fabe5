use gcloud_sdk::google::firestore::v1::{
    ListenResponse, Target, TargetChange,
    listen_response::ResponseType,
    structured_query::field_filter::Operator,
    target::{QueryTarget, TargetType, query_target::QueryType},
    target_change::TargetChangeType,
    write::Operation,
};
use tempfile::TempDir;
use tokio::sync::mpsc;

use super::*;
use crate::{
    query::tests::{document, field, filtered},
    store::tests::{metrics, mutation, open, set},
    time::Micros,
    value::strategies::{int, text},
};

const DATABASE: &str = "projects/p/databases/(default)";

type Replies = mpsc::Receiver<Result<ListenResponse, Status>>;

#[tokio::test]
async fn a_stream_that_fell_behind_the_log_is_reset() {
    let directory = TempDir::new().unwrap();
    let (store, _writer) = open(&directory, &["a ASC"], Micros::now);
    store.commit(vec![set("x", int(1))]).await.unwrap();
    let (session, mut replies) = watching_a_is_1(&store).await;
    assert_eq!(heard(&mut replies), "Add Change Current NoChange");

    // The log keeps 64 MiB of former bodies.
    for n in 0..80 {
        let large = [("pad", text(&format!("{n}{}", "x".repeat(900_000))))];
        let write = mutation(Operation::Update(document("y", &large)));
        store.commit(vec![write]).await.unwrap();
    }
    advance(&store, session).await;
    assert_eq!(heard(&mut replies), "Reset Change Current NoChange");
}

#[tokio::test]
async fn a_quiet_target_gets_fresh_tokens() {
    let directory = TempDir::new().unwrap();
    let (store, _writer) = open(&directory, &["a ASC"], Micros::now);
    let (mut session, mut replies) = watching_a_is_1(&store).await;
    assert_eq!(heard(&mut replies), "Add Current NoChange");
    session.refresh_token().await.unwrap();
    assert_eq!(heard(&mut replies), "NoChange");

    store.commit(vec![set("x", int(2))]).await.unwrap();
    let mut session = advance(&store, session).await;
    assert_eq!(heard(&mut replies), "");
    session.refresh_token().await.unwrap();
    assert_eq!(heard(&mut replies), "NoChange");
    session.remove(1).await.unwrap();
    assert_eq!(heard(&mut replies), "Remove");
    session.refresh_token().await.unwrap();
    assert_eq!(heard(&mut replies), "");
}

async fn watching_a_is_1(store: &Store) -> (Session, Replies) {
    let (sender, replies) = mpsc::channel(64);
    let mut session = Session::new(store.epoch(), metrics(), Outbox::new(sender));
    let query = filtered(field("a", Operator::Equal, int(1)));
    let target = QueryTarget {
        parent: format!("{DATABASE}/documents"),
        query_type: Some(QueryType::StructuredQuery(query)),
    };
    let target_type = Some(TargetType::Query(target));
    let target = Target { target_id: 1, target_type, ..Target::default() };
    let database = Database::parse(DATABASE).unwrap();
    let add = move |snapshot: &Snapshot<'_>| {
        session.add(snapshot, &database, &target)?;
        Ok(session)
    };
    (store.read(add).await.unwrap(), replies)
}

async fn advance(store: &Store, mut session: Session) -> Session {
    let step = move |snapshot: &Snapshot<'_>| {
        session.advance(snapshot)?;
        Ok(session)
    };
    store.read(step).await.unwrap()
}

/// What has been sent so far, in words.
fn heard(replies: &mut Replies) -> String {
    let mut words = Vec::new();
    while let Ok(reply) = replies.try_recv() {
        words.push(match reply.unwrap().response_type.unwrap() {
            ResponseType::TargetChange(TargetChange { target_change_type, .. }) => {
                format!("{:?}", TargetChangeType::try_from(target_change_type).unwrap())
            }
            ResponseType::DocumentChange(_) => "Change".into(),
            ResponseType::DocumentDelete(_) => "Delete".into(),
            ResponseType::DocumentRemove(_) => "Remove".into(),
            ResponseType::Filter(_) => "Filter".into(),
        });
    }
    words.join(" ")
}
