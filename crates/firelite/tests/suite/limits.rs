use gcloud_sdk::google::firestore::v1::{
    BeginTransactionRequest, CommitRequest, GetDocumentRequest, RunAggregationQueryRequest, Value,
    get_document_request::ConsistencySelector, structured_query::field_filter::Operator,
};
use tonic::Code;

use super::support::*;

#[tokio::test]
async fn what_firestore_refuses_is_refused_with_its_texts() {
    let fixture = Fixture::start().await;
    let mut client = fixture.client().await;
    let large = text(&"x".repeat(400_000));
    let deep = (0..21).fold(int(1), |inner, _| map(&[("a", inner)]));
    let long_value = text(&"x".repeat(1_048_488));
    let cases: [(&str, Value, &str); 7] = [
        ("c/d", long_value, "The value of property \"a\" is longer than 1048487 bytes."),
        ("c/d", deep, "Property a contains an invalid nested entity."),
        ("c/d", array(vec![array(vec![])]), "Cannot convert an array value in an array value."),
        ("c/d", map(&[("__x__", int(1))]), "field name __x__ is reserved"),
        ("c/d", map(&[("", int(1))]), "The property.name is the empty string."),
        ("c/__d__", int(1), "Resource id \"__d__\" is invalid because it is reserved."),
        ("c", int(1), "Document name"),
    ];
    for (path, value, text) in cases {
        let (code, message) = refusal(commit(&mut client, vec![set(path, &[("a", value)])]).await);
        assert_eq!(code, Code::InvalidArgument, "{message}");
        assert!(message.starts_with(text), "{message}");
    }
    let fields = [("a", large.clone()), ("b", large.clone()), ("c", large)];
    let (code, message) = refusal(commit(&mut client, vec![set("c/d", &fields)]).await);
    assert_eq!(code, Code::InvalidArgument);
    assert!(message.contains("exceeds the maximum allowed size of 1048576 bytes"), "{message}");
    assert_eq!(get(&mut client, "c/d").await, None);
}

#[tokio::test]
async fn a_request_above_ten_mebibytes_is_refused() {
    let fixture = Fixture::start().await;
    let mut client = fixture.client().await;
    let write = |n: usize| set(&format!("c/d{n}"), &[("a", text(&"x".repeat(1_000_000)))]);
    let refused = refusal(commit(&mut client, (0..11).map(write).collect()).await);
    let message = "Request payload size exceeds the limit: 10485760 bytes.".to_owned();
    assert_eq!(refused, (Code::InvalidArgument, message));
    commit(&mut client, (0..10).map(write).collect()).await.unwrap();
}

#[tokio::test]
async fn more_than_thirty_alternatives_are_refused() {
    let fixture = Fixture::start().await;
    let mut client = fixture.client().await;
    let any_of = |n| {
        let values = array((0..n).map(int).collect());
        requests(field("live", Operator::In, values))
    };
    assert!(run_query(&mut client, any_of(30)).await.is_ok());
    let message = "'IN' supports up to 30 comparison values.".to_owned();
    assert_eq!(refusal(run_query(&mut client, any_of(31)).await), (Code::InvalidArgument, message));
}

#[tokio::test]
async fn what_is_not_served_says_so() {
    let fixture = Fixture::start().await;
    let mut client = fixture.client().await;
    let begun = client.begin_transaction(BeginTransactionRequest::default()).await;
    assert_eq!(
        refusal(begun),
        (Code::Unimplemented, "BeginTransaction is not served by firelite.".into())
    );
    let counted = client.run_aggregation_query(RunAggregationQueryRequest::default()).await;
    assert_eq!(refusal(counted.map(|_| ())).0, Code::Unimplemented);
    let transaction = CommitRequest {
        database: DATABASE.into(),
        transaction: vec![1],
        ..CommitRequest::default()
    };
    assert_eq!(refusal(client.commit(transaction).await).0, Code::Unimplemented);
    let read = GetDocumentRequest {
        name: name("c/d"),
        consistency_selector: Some(ConsistencySelector::Transaction(vec![1])),
        ..GetDocumentRequest::default()
    };
    assert_eq!(refusal(client.get_document(read).await).0, Code::Unimplemented);
}
