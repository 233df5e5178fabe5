//! Google's quotas and limits (<https://cloud.google.com/firestore/quotas>), each from both sides.

use gcloud_sdk::google::firestore::v1::Write;
use serde_json::{Value as Json, json};
use tonic::Code;

use super::backend::{Backend, refused};
use super::messages::{every, query, test, transform};

pub(super) async fn a_document_is_at_most_a_mebibyte(on: &Backend) {
    let halves = |bytes: usize| json!({"a": "x".repeat(500_000), "b": "x".repeat(bytes)});
    taken(on, "things/a", &halves(540_000)).await;
    left(on, "things/b", &halves(560_000)).await;
}

pub(super) async fn a_value_is_at_most_1_048_487_bytes(on: &Backend) {
    taken(on, "things/a", &json!({"a": "x".repeat(1_048_000)})).await;
    left(on, "things/b", &json!({"a": "x".repeat(1_048_488)})).await;
}

pub(super) async fn maps_and_arrays_nest_to_a_depth_of_20(on: &Backend) {
    let maps = |depth| (0..depth).fold(json!(1), |inner, _| json!({"m": inner}));
    taken(on, "things/a", &json!({"field": maps(20)})).await;
    left(on, "things/b", &json!({"field": maps(21)})).await;
    taken(on, "things/a", &json!({"field": [maps(19)]})).await;
    left(on, "things/b", &json!({"field": [maps(20)]})).await;
}

pub(super) async fn a_field_name_is_at_most_1_500_bytes(on: &Backend) {
    taken(on, "things/a", &json!({"x".repeat(1_500): 1})).await;
    left(on, "things/b", &json!({"x".repeat(1_501): 1})).await;
}

pub(super) async fn a_field_name_is_not_empty(on: &Backend) {
    left(on, "things/a", &json!({"": 1})).await;
    left(on, "things/b", &json!({"m": {"": 1}})).await;
}

pub(super) async fn field_names_between_double_underscores_are_reserved(on: &Backend) {
    taken(on, "things/a", &json!({"__x": 1, "x__": 2, "_x_": 3})).await;
    left(on, "things/b", &json!({"__x__": 1})).await;
    left(on, "things/c", &json!({"m": {"__x__": 1}})).await;
}

pub(super) async fn an_id_is_at_most_1_500_bytes(on: &Backend) {
    taken(on, &format!("things/{}", "x".repeat(1_500)), &json!({})).await;
    left(on, &format!("things/{}", "x".repeat(1_501)), &json!({})).await;
}

pub(super) async fn ids_may_hold_any_character_but_a_slash(on: &Backend) {
    for id in ["ä", "a b", "a.b", "...", "__x", "x__", "🦀", "a\\b", "%2F", "~!@#$^&*()"] {
        taken(on, &format!("things/{id}"), &json!({"n": 1})).await;
        taken(on, &format!("{id}/a"), &json!({"n": 1})).await;
    }
}

pub(super) async fn reserved_ids_are_refused(on: &Backend) {
    for id in [".", "..", "__x__", "__ä__"] {
        left(on, &format!("things/{id}"), &json!({})).await;
        left(on, &format!("{id}/a"), &json!({})).await;
    }
}

pub(super) async fn a_name_is_a_collection_and_an_id_again_and_again(on: &Backend) {
    for path in ["things", "things/a/parts", "things/", "things//a", "/things/a"] {
        left(on, path, &json!({})).await;
    }
}

pub(super) async fn collections_nest_to_a_depth_of_100(on: &Backend) {
    // The case's own document is at depth 1.
    let deep = |levels: usize| vec!["c/d"; levels].join("/");
    taken(on, &deep(99), &json!({})).await;
    left(on, &deep(100), &json!({})).await;
}

pub(super) async fn a_write_transforms_at_most_500_fields(on: &Backend) {
    let write = |count: usize| Write {
        update_transforms: (0..count)
            .map(|n| transform(&format!("f{n}"), "increment", &json!(1)))
            .collect(),
        ..on.set("things/a", &json!({}))
    };
    on.commit(vec![write(500)]).await.unwrap();
    assert_eq!(refused(on.commit(vec![write(501)]).await), Code::InvalidArgument);
}

pub(super) async fn a_request_is_at_most_10_mebibytes(on: &Backend) {
    let million = "x".repeat(1_000_000);
    let writes = |count: usize| {
        (0..count).map(|n| on.set(&format!("things/{n}"), &json!({"a": million}))).collect()
    };
    on.commit(writes(9)).await.unwrap();
    assert_eq!(refused(on.commit(writes(11)).await), Code::InvalidArgument);
    assert_eq!(on.read("things/10").await, Json::Null);
}

pub(super) async fn a_query_has_at_most_100_filters_and_orders(on: &Backend) {
    // The collection is below a document, which counts as one.
    let filtered = |filters: usize| {
        let equal = (0..filters).map(|n| test("n", "==", &json!(n)));
        query("things").of(every(equal.collect()))
    };
    on.run(filtered(99)).await.unwrap();
    assert_eq!(refused(on.run(filtered(100)).await), Code::InvalidArgument);
    on.run(filtered(98).up("n")).await.unwrap();
    assert_eq!(refused(on.run(filtered(99).up("n")).await), Code::InvalidArgument);
}

pub(super) async fn a_query_has_ranges_of_at_most_10_fields(on: &Backend) {
    let ranges = |fields: usize| {
        let above = (0..2 * fields).map(|n| test(&format!("f{}", n % fields), ">", &json!(n)));
        query("things").of(every(above.collect()))
    };
    on.run(ranges(1)).await.unwrap();
    // Where the indexes are those of production, none serves it.
    let ten = on.run(ranges(10)).await.map(drop).map_err(|status| status.code());
    assert!(matches!(ten, Ok(()) | Err(Code::FailedPrecondition)), "{ten:?}");
    assert_eq!(refused(on.run(ranges(11)).await), Code::InvalidArgument);
}

async fn taken(on: &Backend, path: &str, document: &Json) {
    on.commit(vec![on.set(path, document)]).await.unwrap();
    assert_eq!(on.read(path).await, *document);
}

/// Refuses the document without storing it.
async fn left(on: &Backend, path: &str, document: &Json) {
    let outcome = on.commit(vec![on.set(path, document)]).await;
    assert_eq!(refused(outcome), Code::InvalidArgument, "{path:.80}");
}
