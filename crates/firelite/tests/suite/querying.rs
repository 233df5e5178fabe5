//! Queries of collections with automatic indexes, and of collection groups.

use gcloud_sdk::google::firestore::v1::{
    Cursor, StructuredQuery, Value, Write,
    structured_query::{CollectionSelector, Filter, composite_filter, field_filter::Operator},
    value::ValueType,
};
use tonic::Code;

use super::support::*;

#[tokio::test]
async fn automatic_indexes_serve_simple_queries() {
    let fixture = seeded().await;
    let mut client = fixture.client().await;
    let numbers = |values: &[i64]| array(values.iter().copied().map(int).collect());
    let cases: [(Filter, &[&str]); 14] = [
        (field("n", Operator::Equal, int(2)), &["b", "d"]),
        (field("n", Operator::NotEqual, int(2)), &["a", "c"]),
        (field("n", Operator::LessThan, int(2)), &["a"]),
        (field("n", Operator::GreaterThanOrEqual, int(2)), &["b", "d", "c"]),
        (field("n", Operator::In, numbers(&[3, 1, 9])), &["a", "c"]),
        (field("n", Operator::NotIn, numbers(&[3, 1])), &["b", "d"]),
        (field("n", Operator::NotIn, array(vec![null()])), &[]),
        (field("tags", Operator::ArrayContains, text("x")), &["a", "c"]),
        (field("tags", Operator::ArrayContainsAny, array(vec![text("y"), text("z")])), &["a", "b"]),
        (field("m.inner", Operator::Equal, text("deep")), &["d"]),
        (
            and(vec![
                field("n", Operator::Equal, int(2)),
                field("tags", Operator::ArrayContains, text("z")),
            ]),
            &["b"],
        ),
        (
            or(vec![
                field("n", Operator::Equal, int(3)),
                field("m.inner", Operator::Equal, text("deep")),
            ]),
            &["c", "d"],
        ),
        (
            and(vec![
                field("n", Operator::GreaterThan, int(1)),
                field("n", Operator::LessThan, int(3)),
            ]),
            &["b", "d"],
        ),
        (field("__name__", Operator::GreaterThan, key("things/b")), &["c", "d", "e"]),
    ];
    for (filter, expected) in cases {
        assert_eq!(ids(&mut client, things(filter.clone())).await, expected, "{filter:?}");
    }
    let ordered = |order_by| StructuredQuery { order_by, ..collection("things") };
    assert_eq!(ids(&mut client, ordered(vec![ascending("n")])).await, ["a", "b", "d", "c"]);
    assert_eq!(ids(&mut client, ordered(vec![descending("n")])).await, ["c", "d", "b", "a"]);
    let by_name = ordered(vec![descending("__name__")]);
    assert_eq!(ids(&mut client, by_name).await, ["e", "d", "c", "b", "a"]);
}

#[tokio::test]
async fn what_needs_a_composite_index_is_refused() {
    let fixture = seeded().await;
    let mut client = fixture.client().await;
    let two = StructuredQuery {
        order_by: vec![ascending("n")],
        ..things(field("tags", Operator::ArrayContains, text("x")))
    };
    let mixed = StructuredQuery {
        order_by: vec![ascending("n"), descending("__name__")],
        ..collection("things")
    };
    let ranges = things(and(vec![
        field("n", Operator::LessThan, int(9)),
        field("k", Operator::LessThan, int(9)),
    ]));
    let in_group =
        StructuredQuery { r#where: Some(field("n", Operator::Equal, int(1))), ..group("things") };
    for query in [two, mixed, ranges, in_group] {
        let (code, message) = refusal(run_query(&mut client, query).await);
        assert_eq!(code, Code::FailedPrecondition);
        assert!(message.starts_with("The query requires an index."), "{message}");
    }
}

#[tokio::test]
async fn values_of_all_types_come_in_their_order() {
    let fixture = Fixture::start().await;
    let mut client = fixture.client().await;
    let values = [
        null(),
        boolean(false),
        boolean(true),
        float(f64::NAN),
        float(-1.5),
        int(0),
        float(0.5),
        instant(1),
        text(""),
        text("a"),
        Value { value_type: Some(ValueType::BytesValue(vec![0])) },
        key("c/d"),
        array(vec![]),
        array(vec![int(1)]),
        map(&[]),
        map(&[("a", int(1))]),
    ];
    let write =
        |(n, value): (usize, &Value)| set(&format!("things/{}", 99 - n), &[("v", value.clone())]);
    let writes: Vec<Write> = values.iter().enumerate().map(write).collect();
    commit(&mut client, writes).await.unwrap();
    let expected: Vec<String> = (0..values.len()).map(|n| (99 - n).to_string()).collect();
    let by_value = |order| StructuredQuery { order_by: vec![order], ..collection("things") };
    assert_eq!(ids(&mut client, by_value(ascending("v"))).await, expected);
    let backwards: Vec<String> = expected.into_iter().rev().collect();
    assert_eq!(ids(&mut client, by_value(descending("v"))).await, backwards);
}

#[tokio::test]
async fn cursors_offset_and_limit_cut_the_same_order() {
    let fixture = seeded().await;
    let mut client = fixture.client().await;
    let cursor = |values: Vec<Value>, before| Some(Cursor { values, before });
    let by_n = || StructuredQuery { order_by: vec![ascending("n")], ..collection("things") };
    let cases: [(StructuredQuery, &[&str]); 7] = [
        (StructuredQuery { start_at: cursor(vec![int(2)], true), ..by_n() }, &["b", "d", "c"]),
        (StructuredQuery { start_at: cursor(vec![int(2)], false), ..by_n() }, &["c"]),
        (StructuredQuery { end_at: cursor(vec![int(2)], true), ..by_n() }, &["a"]),
        (StructuredQuery { end_at: cursor(vec![int(2)], false), ..by_n() }, &["a", "b", "d"]),
        (
            StructuredQuery {
                order_by: vec![ascending("n"), ascending("__name__")],
                start_at: cursor(vec![int(2), key("things/b")], false),
                ..by_n()
            },
            &["d", "c"],
        ),
        (StructuredQuery { offset: 1, limit: Some(2), ..by_n() }, &["b", "d"]),
        (StructuredQuery { limit: Some(0), ..by_n() }, &[]),
    ];
    for (query, expected) in cases {
        assert_eq!(ids(&mut client, query.clone()).await, expected, "{query:?}");
    }
    let long = StructuredQuery { start_at: cursor(vec![int(1), key("things/a")], true), ..by_n() };
    assert_eq!(refusal(run_query(&mut client, long).await).0, Code::InvalidArgument);
    let negative = StructuredQuery { limit: Some(-1), ..by_n() };
    assert_eq!(refusal(run_query(&mut client, negative).await).0, Code::InvalidArgument);
}

#[tokio::test]
async fn a_collection_group_comes_in_the_order_of_full_names() {
    let fixture = Fixture::start().await;
    let mut client = fixture.client().await;
    let paths = ["c/b", "c/a", "c/a/c/z", "x/1/c/a", "x/1/c/a/d/no", "c/a/d/no", "cc/a"];
    let writes = paths.map(|path| set(path, &[("n", int(1))]));
    commit(&mut client, writes.to_vec()).await.unwrap();
    let found = async |client: &mut Client, query| {
        let replies = run_query(client, query).await.unwrap();
        let documents = replies.into_iter().filter_map(|reply| reply.document);
        let below = |name: &str| name.strip_prefix(&format!("{ROOT}/")).unwrap().to_owned();
        documents.map(|document| below(&document.name)).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(found(&mut client, group("c")).await, "c/a c/a/c/z c/b x/1/c/a");
    let after = StructuredQuery {
        order_by: vec![ascending("__name__")],
        start_at: Some(Cursor { values: vec![key("c/a/c/z")], before: false }),
        limit: Some(1),
        ..group("c")
    };
    assert_eq!(found(&mut client, after).await, "c/b");
    let named = StructuredQuery {
        r#where: Some(field("__name__", Operator::GreaterThan, key("c/b"))),
        ..group("c")
    };
    assert_eq!(found(&mut client, named).await, "x/1/c/a");
    let everything = StructuredQuery {
        from: vec![CollectionSelector { all_descendants: true, ..CollectionSelector::default() }],
        ..StructuredQuery::default()
    };
    assert_eq!(found(&mut client, everything).await.split(' ').count(), paths.len());
    assert_eq!(found(&mut client, StructuredQuery::default()).await, "c/a c/b cc/a");
}

async fn seeded() -> Fixture {
    let fixture = Fixture::start().await;
    let tags = |tags: &[&str]| array(tags.iter().map(|tag| text(tag)).collect());
    let writes = vec![
        set("things/a", &[("n", int(1)), ("tags", tags(&["x", "y"]))]),
        set("things/b", &[("n", int(2)), ("tags", tags(&["z"]))]),
        set("things/c", &[("n", int(3)), ("tags", tags(&["x"]))]),
        set("things/d", &[("n", int(2)), ("m", map(&[("inner", text("deep"))]))]),
        set("things/e", &[("other", int(1))]),
        set("others/a", &[("n", int(2))]),
    ];
    commit(&mut fixture.client().await, writes).await.unwrap();
    fixture
}

fn and(filters: Vec<Filter>) -> Filter {
    composite(composite_filter::Operator::And, filters)
}

fn or(filters: Vec<Filter>) -> Filter {
    composite(composite_filter::Operator::Or, filters)
}

fn key(path: &str) -> Value {
    Value { value_type: Some(ValueType::ReferenceValue(name(path))) }
}

fn null() -> Value {
    Value { value_type: Some(ValueType::NullValue(0)) }
}

fn float(double: f64) -> Value {
    Value { value_type: Some(ValueType::DoubleValue(double)) }
}
