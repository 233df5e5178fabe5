use gcloud_sdk::google::firestore::v1::{
    ExecutePipelineRequest, ListCollectionIdsRequest, PartitionQueryRequest, Value, Write,
    WriteRequest,
    document_transform::{FieldTransform, field_transform::TransformType},
    structured_query::field_filter::Operator,
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
async fn more_than_five_hundred_transforms_of_one_document_are_refused() {
    let fixture = Fixture::start().await;
    let mut client = fixture.client().await;
    let write = |path: &str, n: i64| Write {
        update_transforms: (0..n)
            .map(|n| FieldTransform {
                field_path: format!("f{n}"),
                transform_type: Some(TransformType::Increment(int(1))),
            })
            .collect(),
        ..set(path, &[])
    };
    let split = vec![write("c/d", 250), write("c/e", 250), write("c/d", 251)];
    assert_eq!(refusal(commit(&mut client, split).await).0, Code::InvalidArgument);
    commit(&mut client, vec![write("c/d", 250), write("c/e", 500), write("c/d", 250)])
        .await
        .unwrap();
}

#[tokio::test]
async fn names_of_fields_and_documents_are_bounded() {
    let fixture = Fixture::start().await;
    let mut client = fixture.client().await;
    let long = "x".repeat(1_500);
    commit(&mut client, vec![set(&format!("c/{long}"), &[(&long, int(1))])]).await.unwrap();
    let too_long = "x".repeat(1_501);
    for write in [set(&format!("c/{too_long}"), &[]), set("c/d", &[(&too_long, int(1))])] {
        assert_eq!(refusal(commit(&mut client, vec![write]).await).0, Code::InvalidArgument);
    }
    let deep = (0..101).map(|n| format!("c{n}/d")).collect::<Vec<_>>();
    commit(&mut client, vec![set(&deep[..100].join("/"), &[])]).await.unwrap();
    let refused = commit(&mut client, vec![set(&deep.join("/"), &[])]).await;
    assert_eq!(refusal(refused).0, Code::InvalidArgument);
}

#[tokio::test]
async fn an_index_entry_is_bounded() {
    let fixture = Fixture::start().await;
    let mut client = fixture.client().await;
    let live = |bytes: usize| set("requests/d", &[("live", text(&"x".repeat(bytes)))]);
    commit(&mut client, vec![live(7_000)]).await.unwrap();
    let (code, message) = refusal(commit(&mut client, vec![live(8_000)]).await);
    assert_eq!(code, Code::InvalidArgument);
    assert!(message.starts_with("Index entry"), "{message}");
}

#[tokio::test]
async fn what_is_not_served_says_so() {
    let fixture = Fixture::start().await;
    let mut client = fixture.client().await;
    let unimplemented =
        |what: &str| (Code::Unimplemented, format!("{what} is not served by firelite."));
    let partitioned = client.partition_query(PartitionQueryRequest::default()).await;
    assert_eq!(refusal(partitioned), unimplemented("PartitionQuery"));
    let listed = client.list_collection_ids(ListCollectionIdsRequest::default()).await;
    assert_eq!(refusal(listed), unimplemented("ListCollectionIds"));
    let written = client.write(tokio_stream::empty::<WriteRequest>()).await;
    assert_eq!(refusal(written.map(|_| ())), unimplemented("Write"));
    let executed = client.execute_pipeline(ExecutePipelineRequest::default()).await;
    assert_eq!(refusal(executed.map(|_| ())), unimplemented("ExecutePipeline"));
}
