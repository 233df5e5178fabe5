//! Field transforms: values that the server works out.

use gcloud_sdk::google::firestore::v1::document_transform::FieldTransform;
use gcloud_sdk::google::firestore::v1::write::Operation;
use gcloud_sdk::google::firestore::v1::{DocumentTransform, Write};
use serde_json::{Value as Json, json};
use tonic::Code;

use super::backend::{Backend, refused};
use super::messages::transform;
use super::values;

pub(super) async fn server_time_is_the_time_of_the_request(on: &Backend) {
    let result = on.write(transforming(on, vec![transform("at", "time", &json!(null))])).await;
    let told = values::json(&result.transform_results[0]);
    assert_eq!(on.read("things/a").await, json!({"at": told}));
    let (told, updated) = (told["$time"].as_i64().unwrap(), result.update_time.unwrap());
    let apart = told.abs_diff(values::micros(updated));
    assert!(apart < 60_000_000, "{told} is far from the commit at {updated:?}");
}

pub(super) async fn server_time_is_one_in_a_whole_commit(on: &Backend) {
    let now = || transform("at", "time", &json!(null));
    let times = vec![now(), transform("m.at", "time", &json!(null))];
    let other = Write { update_transforms: vec![now()], ..on.set("things/b", &json!({})) };
    on.commit(vec![transforming(on, times), other]).await.unwrap();
    let (a, b) = (on.read("things/a").await, on.read("things/b").await);
    assert_eq!(a["at"], a["m"]["at"]);
    assert_eq!(a["at"], b["at"]);
}

pub(super) async fn increment_adds_integers(on: &Backend) {
    becomes(on, json!(5), ("increment", json!(-7)), json!(-2)).await;
}

pub(super) async fn increment_adds_doubles(on: &Backend) {
    becomes(on, json!(1.5), ("increment", json!(0.25)), json!(1.75)).await;
}

pub(super) async fn increment_of_mixed_numbers_is_a_double(on: &Backend) {
    becomes(on, json!(1), ("increment", json!(0.5)), json!(1.5)).await;
    becomes(on, json!(0.5), ("increment", json!(1)), json!(1.5)).await;
    becomes(on, json!(2), ("increment", json!(2.0)), json!(4.0)).await;
}

pub(super) async fn increment_stops_at_the_largest_integers(on: &Backend) {
    becomes(on, json!(i64::MAX - 1), ("increment", json!(5)), json!(i64::MAX)).await;
    becomes(on, json!(i64::MIN + 1), ("increment", json!(-5)), json!(i64::MIN)).await;
}

pub(super) async fn increment_of_doubles_overflows_to_infinity(on: &Backend) {
    let infinity = json!({"$double": "inf"});
    becomes(on, json!(1.7e308), ("increment", json!(1.7e308)), infinity).await;
}

pub(super) async fn increment_of_no_number_sets_the_operand(on: &Backend) {
    for before in [json!("text"), json!(null), json!([1]), json!({"x": 1}), json!({"$time": 5})] {
        becomes(on, before, ("increment", json!(3)), json!(3)).await;
    }
}

pub(super) async fn increment_of_an_absent_field_sets_the_operand(on: &Backend) {
    on.write(transforming(on, vec![transform("m.n", "increment", &json!(1.5))])).await;
    assert_eq!(on.read("things/a").await, json!({"m": {"n": 1.5}}));
}

pub(super) async fn maximum_keeps_the_larger(on: &Backend) {
    becomes(on, json!(5), ("maximum", json!(3)), json!(5)).await;
    becomes(on, json!(5), ("maximum", json!(8)), json!(8)).await;
    becomes(on, json!(-1.5), ("maximum", json!(-2.5)), json!(-1.5)).await;
}

pub(super) async fn maximum_takes_the_type_of_the_larger(on: &Backend) {
    becomes(on, json!(1), ("maximum", json!(1.5)), json!(1.5)).await;
    becomes(on, json!(1.5), ("maximum", json!(2)), json!(2)).await;
}

pub(super) async fn maximum_of_equal_numbers_changes_nothing(on: &Backend) {
    becomes(on, json!(3), ("maximum", json!(3.0)), json!(3)).await;
    becomes(on, json!(3.0), ("maximum", json!(3)), json!(3.0)).await;
    becomes(on, json!(0), ("maximum", json!(0.0)), json!(0)).await;
}

pub(super) async fn maximum_of_no_number_sets_the_operand(on: &Backend) {
    becomes(on, json!("text"), ("maximum", json!(-3)), json!(-3)).await;
    on.write(transforming(on, vec![transform("absent", "maximum", &json!(1))])).await;
    assert_eq!(on.read("things/a").await["absent"], json!(1));
}

pub(super) async fn maximum_and_minimum_with_nan_are_nan(on: &Backend) {
    let nan = json!({"$double": "NaN"});
    becomes(on, json!(5), ("maximum", nan.clone()), nan.clone()).await;
    becomes(on, nan.clone(), ("maximum", json!(5)), nan.clone()).await;
    becomes(on, json!(5), ("minimum", nan.clone()), nan.clone()).await;
    becomes(on, nan.clone(), ("minimum", json!(5)), nan).await;
}

pub(super) async fn minimum_keeps_the_smaller(on: &Backend) {
    becomes(on, json!(5), ("minimum", json!(3)), json!(3)).await;
    becomes(on, json!(5), ("minimum", json!(8)), json!(5)).await;
    becomes(on, json!(1), ("minimum", json!(0.5)), json!(0.5)).await;
}

pub(super) async fn minimum_of_equal_numbers_changes_nothing(on: &Backend) {
    becomes(on, json!(3), ("minimum", json!(3.0)), json!(3)).await;
    becomes(on, json!(3.0), ("minimum", json!(3)), json!(3.0)).await;
}

pub(super) async fn minimum_of_no_number_sets_the_operand(on: &Backend) {
    becomes(on, json!([1]), ("minimum", json!(9)), json!(9)).await;
    on.write(transforming(on, vec![transform("absent", "minimum", &json!(1.5))])).await;
    assert_eq!(on.read("things/a").await["absent"], json!(1.5));
}

pub(super) async fn append_adds_what_is_missing_in_order(on: &Backend) {
    let before = json!([2, "b"]);
    becomes(on, before, ("append", json!(["c", 2, "a", "b"])), json!([2, "b", "c", "a"])).await;
}

pub(super) async fn append_takes_equal_numbers_for_the_same(on: &Backend) {
    let nan = json!({"$double": "NaN"});
    let before = json!([1, 2.0, nan, null]);
    becomes(on, before.clone(), ("append", json!([1.0, 2, nan, null])), before).await;
}

pub(super) async fn append_adds_a_repeated_element_once(on: &Backend) {
    becomes(on, json!([]), ("append", json!([1, 1.0, 1, "x", "x"])), json!([1, "x"])).await;
}

pub(super) async fn append_keeps_what_was_there_twice(on: &Backend) {
    becomes(on, json!([1, 1]), ("append", json!([2])), json!([1, 1, 2])).await;
}

pub(super) async fn append_to_no_array_starts_anew(on: &Backend) {
    becomes(on, json!("text"), ("append", json!([1])), json!([1])).await;
    on.write(transforming(on, vec![transform("absent", "append", &json!([1, 2]))])).await;
    assert_eq!(on.read("things/a").await["absent"], json!([1, 2]));
}

pub(super) async fn remove_takes_every_equal_element(on: &Backend) {
    let before = json!([1, "a", 1.0, {"x": 1}, "b", null]);
    becomes(on, before, ("remove", json!([1, {"x": 1}, null, "absent"])), json!(["a", "b"])).await;
}

pub(super) async fn remove_from_no_array_leaves_an_empty_one(on: &Backend) {
    becomes(on, json!("text"), ("remove", json!([1])), json!([])).await;
    on.write(transforming(on, vec![transform("absent", "remove", &json!([1]))])).await;
    assert_eq!(on.read("things/a").await["absent"], json!([]));
}

pub(super) async fn transforms_come_after_the_update_and_in_order(on: &Backend) {
    let transforms = vec![
        transform("n", "increment", &json!(1)),
        transform("n", "maximum", &json!(100)),
        transform("n", "increment", &json!(5)),
    ];
    let write = Write { update_transforms: transforms, ..on.set("things/a", &json!({"n": 10})) };
    let result = on.write(write).await;
    assert_eq!(on.read("things/a").await, json!({"n": 105}));
    let told: Vec<Json> = result.transform_results.iter().map(values::json).collect();
    assert_eq!(told, [json!(11), json!(100), json!(105)]);
}

pub(super) async fn results_are_in_the_order_of_the_transforms(on: &Backend) {
    let transforms = vec![
        transform("list", "append", &json!([1])),
        transform("n", "increment", &json!(2)),
        transform("list", "remove", &json!([1])),
        transform("o", "minimum", &json!(0.5)),
    ];
    let result = on.write(transforming(on, transforms)).await;
    let told: Vec<Json> = result.transform_results.iter().map(values::json).collect();
    assert_eq!(told, [json!(null), json!(2), json!(null), json!(0.5)]);
    assert_eq!(on.read("things/a").await, json!({"list": [], "n": 2, "o": 0.5}));
}

pub(super) async fn a_transform_needs_no_place_in_the_mask(on: &Backend) {
    on.put("things/a", json!({"n": 1, "x": 2, "y": 3})).await;
    let update = on.update("things/a", &["x"], &json!({"x": 5}));
    let transforms = vec![transform("n", "increment", &json!(1))];
    on.write(Write { update_transforms: transforms, ..update }).await;
    assert_eq!(on.read("things/a").await, json!({"n": 2, "x": 5, "y": 3}));
}

pub(super) async fn a_bare_transform_leaves_the_rest(on: &Backend) {
    on.put("things/a", json!({"n": 1, "x": 2})).await;
    let transform = DocumentTransform {
        document: on.name("things/a"),
        field_transforms: vec![transform("n", "increment", &json!(1))],
    };
    let operation = Some(Operation::Transform(transform));
    on.write(Write { operation, ..Default::default() }).await;
    assert_eq!(on.read("things/a").await, json!({"n": 2, "x": 2}));
}

pub(super) async fn a_transform_without_effect_keeps_the_version(on: &Backend) {
    let before = on.put("things/a", json!({"n": 5, "list": [1]})).await;
    let transforms = vec![
        transform("list", "append", &json!([1])),
        transform("n", "maximum", &json!(3)),
        transform("n", "increment", &json!(0)),
    ];
    assert_eq!(on.write(transforming(on, transforms)).await.update_time, Some(before));
}

pub(super) async fn a_number_is_the_only_operand_of_arithmetic(on: &Backend) {
    on.put("things/a", json!({"n": 1})).await;
    for kind in ["increment", "maximum", "minimum"] {
        for operand in [json!("1"), json!(null), json!([1])] {
            let write = transforming(on, vec![transform("n", kind, &operand)]);
            assert_eq!(refused(on.commit(vec![write]).await), Code::InvalidArgument, "{kind}");
        }
    }
}

pub(super) async fn a_field_and_one_within_it_are_not_transformed_together(on: &Backend) {
    let both = ["m", "m.n"].map(|path| transform(path, "increment", &json!(1)));
    let write = Write { update_transforms: both.into(), ..on.set("things/a", &json!({})) };
    assert_eq!(refused(on.commit(vec![write]).await), Code::InvalidArgument);
}

pub(super) async fn a_transform_without_a_kind_is_refused(on: &Backend) {
    let nothing = FieldTransform { field_path: "n".into(), transform_type: None };
    let outcome = on.commit(vec![transforming(on, vec![nothing])]).await;
    assert_eq!(refused(outcome), Code::InvalidArgument);
}

/// An update of nothing but these transforms.
fn transforming(on: &Backend, update_transforms: Vec<FieldTransform>) -> Write {
    Write { update_transforms, ..on.update("things/a", &[], &json!({})) }
}

/// Transforms a field with this value; the reply tells what stands then, or null for lists.
async fn becomes(on: &Backend, before: Json, (kind, operand): (&str, Json), after: Json) {
    on.put("things/a", json!({"value": before})).await;
    let result = on.write(transforming(on, vec![transform("value", kind, &operand)])).await;
    assert_eq!(on.read("things/a").await, json!({"value": after}), "{before} {kind} {operand}");
    let told = if matches!(kind, "append" | "remove") { Json::Null } else { after };
    assert_eq!(values::json(&result.transform_results[0]), told, "{before} {kind} {operand}");
}
