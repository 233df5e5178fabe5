use gcloud_sdk::google::firestore::v1::BeginTransactionRequest;
use prometheus::{Registry, TextEncoder};

use super::{listening::Listener, support::*};

#[tokio::test]
async fn what_happens_is_counted() {
    let mut fixture = Fixture::start().await;
    let mut client = fixture.client().await;
    commit(&mut client, vec![set("c/a", &[]), set("c/b", &[])]).await.unwrap();
    commit(&mut client, vec![delete("c/a")]).await.unwrap();
    refusal(commit(&mut client, vec![set("c", &[])]).await);
    assert_eq!(get(&mut client, "c/a").await, None);
    let begin =
        BeginTransactionRequest { database: DATABASE.into(), ..BeginTransactionRequest::default() };
    client.begin_transaction(begin).await.unwrap();
    let mut listener = Listener::start(&fixture).await;
    listener.watch(1, live()).await;
    listener.watch(2, collection("c")).await;
    fixture.faults().reset_listeners();
    listener.until_end().await;

    let shown = shown(fixture.metrics());
    for line in [
        r#"firelite_calls_total{code="OK",method="Commit"} 2"#,
        r#"firelite_calls_total{code="INVALID_ARGUMENT",method="Commit"} 1"#,
        r#"firelite_calls_total{code="NOT_FOUND",method="GetDocument"} 1"#,
        r#"firelite_call_duration_seconds_count{method="Commit"} 3"#,
        "firelite_commit_group_size_sum 2",
        "firelite_commit_duration_seconds_count 2",
        "firelite_listeners 1",
        "firelite_listen_targets 2",
        "firelite_listen_resets_total 2",
        "firelite_transactions 1",
        "firelite_documents 1",
    ] {
        assert!(shown.lines().any(|found| found == line), "{line} is not in\n{shown}");
    }
    fixture.stop().await;
    fixture.start_again().await;
    let mut client = fixture.client().await;
    // The writer counts what is stored before its first commit.
    commit(&mut client, vec![set("c/c", &[])]).await.unwrap();
    assert!(self::shown(fixture.metrics()).contains("firelite_documents 2"));
}

fn shown(registry: &Registry) -> String {
    TextEncoder::new().encode_to_string(&registry.gather()).unwrap()
}
