use curfew_firelite::{Config, OpenError, Server, StartError, limits::SHUTDOWN_GRACE};
use gcloud_sdk::google::firestore::v1::{RunQueryRequest, run_query_request::QueryType};
use tonic::Code;

use super::support::*;

#[tokio::test]
async fn a_call_without_the_token_is_refused() {
    let fixture = Fixture::start().await;
    for token in ["", "other", "owne", "owner2"] {
        let mut client = connect(fixture.address(), token).await;
        let refused = commit(&mut client, vec![set("c/d", &[])]).await;
        assert_eq!(refusal(refused).0, Code::Unauthenticated, "{token}");
    }
    assert_eq!(get(&mut fixture.client().await, "c/d").await, None);
}

#[tokio::test]
async fn only_loopback_addresses_and_real_tokens_are_accepted() {
    let directory = tempfile::TempDir::new().unwrap();
    let path = directory.path().join("firelite.db");
    let open = Config { listen: "0.0.0.0:0".parse().unwrap(), ..config(&path) };
    assert!(matches!(Server::bind(open).await, Err(StartError::NotLoopback(_))));
    let unguarded = Config { token: String::new(), ..config(&path) };
    assert!(matches!(Server::bind(unguarded).await, Err(StartError::NoToken)));
    assert!(!path.exists());
}

#[tokio::test]
async fn a_second_server_on_the_same_file_is_refused() {
    let fixture = Fixture::start().await;
    let second = Server::bind(config(&fixture.path())).await;
    assert!(matches!(second, Err(StartError::Open(OpenError::InUse(_)))));
}

#[tokio::test]
async fn a_client_that_does_not_read_cannot_hold_up_a_stop() {
    let mut fixture = Fixture::start().await;
    let mut client = fixture.client().await;
    for n in 0..5 {
        let large =
            |half: i64| set(&format!("outbox/{n}{half}"), &[("a", text(&"x".repeat(900_000)))]);
        commit(&mut client, (0..8).map(large).collect()).await.unwrap();
    }
    let request = RunQueryRequest {
        parent: ROOT.into(),
        query_type: Some(QueryType::StructuredQuery(collection("outbox"))),
        ..RunQueryRequest::default()
    };
    let mut stream = client.run_query(request).await.unwrap().into_inner();
    assert!(stream.message().await.unwrap().is_some());
    let stopped = tokio::time::timeout(4 * SHUTDOWN_GRACE, fixture.stop()).await;
    assert!(stopped.is_ok());
    fixture.start_again().await;
    assert_eq!(ids(&mut fixture.client().await, collection("outbox")).await.len(), 40);
}

#[tokio::test]
async fn a_stopped_server_frees_its_file_and_keeps_its_documents() {
    let mut fixture = Fixture::start().await;
    let mut client = fixture.client().await;
    commit(&mut client, vec![set("c/d", &[("a", int(1))])]).await.unwrap();
    fixture.stop().await;
    assert!(commit(&mut client, vec![set("c/d", &[])]).await.is_err());
    fixture.start_again().await;
    let stored = get(&mut fixture.client().await, "c/d").await.unwrap();
    assert_eq!(stored.fields["a"], int(1));
}
