//! Update masks: which fields a write touches.

use serde_json::json;
use tonic::Code;

use super::backend::{Backend, refused};

pub(super) async fn a_mask_changes_only_what_it_names(on: &Backend) {
    on.put("things/a", json!({"n": 1, "x": 2})).await;
    on.write(on.update("things/a", &["n"], &json!({"n": 5, "x": 6}))).await;
    assert_eq!(on.read("things/a").await, json!({"n": 5, "x": 2}));
}

pub(super) async fn a_named_field_without_a_value_is_deleted(on: &Backend) {
    on.put("things/a", json!({"n": 1, "x": 2})).await;
    on.write(on.update("things/a", &["n", "absent"], &json!({}))).await;
    assert_eq!(on.read("things/a").await, json!({"x": 2}));
}

pub(super) async fn a_nested_path_changes_one_entry(on: &Backend) {
    on.put("things/a", json!({"m": {"x": 1, "y": {"z": 2, "w": 3}}})).await;
    on.write(on.update("things/a", &["m.y.z"], &json!({"m": {"x": 9, "y": {"z": 5, "w": 9}}})))
        .await;
    assert_eq!(on.read("things/a").await, json!({"m": {"x": 1, "y": {"z": 5, "w": 3}}}));
}

pub(super) async fn a_nested_path_without_a_value_deletes_one_entry(on: &Backend) {
    on.put("things/a", json!({"m": {"x": 1, "y": 2}})).await;
    on.write(on.update("things/a", &["m.x"], &json!({}))).await;
    assert_eq!(on.read("things/a").await, json!({"m": {"y": 2}}));
}

pub(super) async fn deleting_the_last_entry_leaves_an_empty_map(on: &Backend) {
    on.put("things/a", json!({"m": {"x": 1}})).await;
    on.write(on.update("things/a", &["m.x"], &json!({}))).await;
    assert_eq!(on.read("things/a").await, json!({"m": {}}));
}

pub(super) async fn a_path_to_a_map_replaces_all_of_it(on: &Backend) {
    on.put("things/a", json!({"m": {"x": 1, "y": 2}})).await;
    on.write(on.update("things/a", &["m"], &json!({"m": {"z": 3}}))).await;
    assert_eq!(on.read("things/a").await, json!({"m": {"z": 3}}));
}

pub(super) async fn a_nested_path_creates_what_is_above_it(on: &Backend) {
    on.put("things/a", json!({"n": 1})).await;
    on.write(on.update("things/a", &["m.x.y"], &json!({"m": {"x": {"y": 1}}}))).await;
    assert_eq!(on.read("things/a").await, json!({"n": 1, "m": {"x": {"y": 1}}}));
}

pub(super) async fn a_nested_path_replaces_what_is_no_map(on: &Backend) {
    on.put("things/a", json!({"m": 1, "l": [1]})).await;
    let entries = json!({"m": {"x": 1}, "l": {"x": 2}});
    on.write(on.update("things/a", &["m.x", "l.x"], &entries)).await;
    assert_eq!(on.read("things/a").await, entries);
}

pub(super) async fn a_quoted_segment_may_hold_anything(on: &Backend) {
    let odd = json!({"a.b": 1, "c`d": 2, "e\\f": 3, "g h": {"1": 4, "ä": 5}, "a": {"b": 6}});
    on.put("things/a", odd).await;
    let paths = ["`a.b`", "`c\\`d`", "`e\\\\f`", "`g h`.`1`", "`g h`.`ä`"];
    let new = json!({"a.b": 10, "c`d": 20, "e\\f": 30, "g h": {"1": 40}});
    on.write(on.update("things/a", &paths, &new)).await;
    let after = json!({"a.b": 10, "c`d": 20, "e\\f": 30, "g h": {"1": 40}, "a": {"b": 6}});
    assert_eq!(on.read("things/a").await, after);
}

pub(super) async fn quotes_around_a_simple_name_change_nothing(on: &Backend) {
    on.put("things/a", json!({"m": {"x": 1, "y": 2}})).await;
    on.write(on.update("things/a", &["`m`.`x`"], &json!({"m": {"x": 5}}))).await;
    assert_eq!(on.read("things/a").await, json!({"m": {"x": 5, "y": 2}}));
}

pub(super) async fn an_empty_mask_touches_nothing(on: &Backend) {
    let before = on.put("things/a", json!({"n": 1})).await;
    let result = on.write(on.update("things/a", &[], &json!({"n": 2}))).await;
    // An empty message and no message differ: this mask is there and names nothing.
    assert_eq!(result.update_time, Some(before));
    assert_eq!(on.read("things/a").await, json!({"n": 1}));
}

pub(super) async fn an_empty_mask_creates_an_empty_document(on: &Backend) {
    on.write(on.update("things/a", &[], &json!({"n": 2}))).await;
    assert_eq!(on.read("things/a").await, json!({}));
}

pub(super) async fn a_path_that_is_none_is_refused(on: &Backend) {
    on.put("things/a", json!({"n": 1})).await;
    for path in ["", ".", "a.", ".a", "a..b", "`a", "a`", "`a`b", "1a", "a-b", "a b", "``"] {
        let write = on.update("things/a", &[path], &json!({}));
        assert_eq!(refused(on.commit(vec![write]).await), Code::InvalidArgument, "{path:?}");
    }
}
