//! In which order documents come, and from where to where.

use serde_json::{Value as Json, json};
use tonic::Code;

use super::backend::{Backend, refused};
use super::messages::{all, query, test};

pub(super) async fn kinds_of_values_have_an_order(on: &Backend) {
    let nan = json!({"$double": "NaN"});
    let ordered = [
        json!(null),
        json!(false),
        nan,
        json!({"$double": "-inf"}),
        json!(-1.5),
        json!(7),
        json!({"$time": 5}),
        json!(""),
        json!("z"),
        json!({"$bytes": "a"}),
        on.reference("x/y"),
        json!({"$point": [1.0, 1.0]}),
        json!([1]),
        json!({"a": 1}),
    ];
    ascends(on, &ordered).await;
}

pub(super) async fn integers_and_doubles_have_one_order(on: &Backend) {
    let most = json!(i64::MAX);
    let ordered = [json!(-3), json!(-2.5), json!(0.5), json!(1), json!(1.5), json!(2), most];
    ascends(on, &ordered).await;
}

pub(super) async fn large_integers_are_compared_exactly(on: &Backend) {
    let (below, above) = (9_007_199_254_740_992_i64, 9_007_199_254_740_993_i64);
    ascends(on, &[json!(below), json!(above), json!(9_007_199_254_740_994.0)]).await;
}

pub(super) async fn strings_are_in_the_order_of_their_bytes(on: &Backend) {
    ascends(on, &["", "A", "Z", "a", "a\u{0}", "aa", "ä", "\u{ffff}", "🦀"].map(Json::from)).await;
}

pub(super) async fn times_bytes_and_points_have_an_order(on: &Backend) {
    ascends(on, &[json!({"$time": -5}), json!({"$time": 0}), json!({"$time": 5})]).await;
    ascends(on, &["", "a", "aa", "b"].map(|text| json!({"$bytes": text}))).await;
    let points = [[-1.0, 5.0], [1.0, -5.0], [1.0, 5.0], [2.0, 0.0]];
    ascends(on, &points.map(|point| json!({"$point": point}))).await;
}

pub(super) async fn references_are_in_the_order_of_their_segments(on: &Backend) {
    let paths = ["a/b", "a/b/c/d", "a/b1", "a1/b", "b/a"];
    ascends(on, &paths.map(|path| on.reference(path))).await;
}

pub(super) async fn arrays_are_compared_element_by_element(on: &Backend) {
    let ordered = [json!([]), json!([1]), json!([1, 2]), json!([1, "a"]), json!([2]), json!(["a"])];
    ascends(on, &ordered).await;
}

pub(super) async fn maps_are_compared_by_keys_then_values(on: &Backend) {
    let ordered =
        [json!({}), json!({"a": 1}), json!({"a": 1, "b": 1}), json!({"a": 2}), json!({"b": 0})];
    ascends(on, &ordered).await;
}

pub(super) async fn without_an_order_names_decide(on: &Backend) {
    on.seed("things", json!({"b": {"n": 1}, "a": {"n": 3}, "c": {"n": 2}})).await;
    assert_eq!(on.ids(query("things")).await, "a b c");
}

pub(super) async fn names_can_be_asked_for_as_an_order(on: &Backend) {
    on.seed("things", json!({"b": {}, "a": {}, "c": {}})).await;
    assert_eq!(on.ids(query("things").up("__name__")).await, "a b c");
}

pub(super) async fn equal_values_are_in_the_order_of_names(on: &Backend) {
    on.seed("things", json!({"c": {"n": 1}, "a": {"n": 1}, "b": {"n": 0}, "d": {"n": 1.0}})).await;
    assert_eq!(on.ids(query("things").up("n")).await, "b a c d");
}

pub(super) async fn names_follow_the_direction_of_the_last_field(on: &Backend) {
    on.seed("things", json!({"c": {"n": 1}, "a": {"n": 1}, "b": {"n": 0}})).await;
    assert_eq!(on.ids(query("things").down("n")).await, "c a b");
}

pub(super) async fn a_document_without_the_field_is_left_out(on: &Backend) {
    on.seed("things", json!({"a": {"n": 1}, "b": {}, "c": {"n": null}, "d": {"m": {"n": 1}}}))
        .await;
    assert_eq!(on.ids(query("things").up("n")).await, "c a");
}

pub(super) async fn a_second_field_decides_between_equals(on: &Backend) {
    pairs(on).await;
    assert_eq!(on.ids(query("things").up("x").down("y")).await, "b a d c");
    assert_eq!(on.ids(query("things").up("x").up("y")).await, "a b c d");
}

pub(super) async fn a_range_alone_orders_by_its_field(on: &Backend) {
    on.seed("things", json!({"a": {"n": 3}, "b": {"n": 1}, "c": {"n": 2}})).await;
    assert_eq!(on.ids(query("things").of(test("n", ">", &json!(0)))).await, "b c a");
}

pub(super) async fn a_filtered_query_can_be_ordered_by_another_field(on: &Backend) {
    pairs(on).await;
    let ones = query("things").of(test("x", "==", &json!(1)));
    assert_eq!(on.ids(ones.down("y")).await, "b a");
}

pub(super) async fn an_array_search_can_be_ordered(on: &Backend) {
    on.seed(
        "things",
        json!({
            "a": {"l": [1, 2], "n": 3}, "b": {"l": [2], "n": 1}, "c": {"l": [3], "n": 2},
        }),
    )
    .await;
    let twos = query("things").of(test("l", "array-contains", &json!(2)));
    assert_eq!(on.ids(twos.up("n")).await, "b a");
}

pub(super) async fn a_union_can_be_ordered_and_limited(on: &Backend) {
    pairs(on).await;
    let both = query("things").of(test("x", "in", &json!([1, 2])));
    assert_eq!(on.ids(both.down("y").limit(3)).await, "d b c");
}

pub(super) async fn a_nested_field_can_order(on: &Backend) {
    on.seed("things", json!({"a": {"m": {"n": 2}}, "b": {"m": {"n": 1}}, "c": {"m": 0}})).await;
    assert_eq!(on.ids(query("things").up("m.n")).await, "b a");
}

pub(super) async fn nothing_orders_behind_the_name(on: &Backend) {
    let behind = query("things").up("__name__").up("n");
    assert_eq!(refused(on.run(behind).await), Code::InvalidArgument);
}

pub(super) async fn the_same_field_orders_only_once(on: &Backend) {
    let twice = query("things").up("n").down("n");
    assert_eq!(refused(on.run(twice).await), Code::InvalidArgument);
}

pub(super) async fn an_equality_and_a_range_keep_their_order(on: &Backend) {
    pairs(on).await;
    let some = all([test("x", "==", &json!(2)), test("y", ">=", &json!(1))]);
    assert_eq!(on.ids(query("things").of(some).down("y")).await, "d c");
}

/// Stores the values under names in another order and reads them in both directions.
async fn ascends(on: &Backend, values: &[Json]) {
    let collection = format!("things{}", rand::random::<u32>());
    let id = |n: usize| format!("{:02}", (n * 7 + 3) % 29);
    for (n, value) in values.iter().enumerate() {
        on.put(&format!("{collection}/{}", id(n)), json!({"v": value})).await;
    }
    let mut expected: Vec<_> = (0..values.len()).map(id).collect();
    assert_eq!(on.ids(query(&collection).up("v")).await, expected.join(" "));
    expected.reverse();
    assert_eq!(on.ids(query(&collection).down("v")).await, expected.join(" "));
}

async fn pairs(on: &Backend) {
    on.seed("things", json!({
        "a": {"x": 1, "y": 1}, "b": {"x": 1, "y": 2}, "c": {"x": 2, "y": 1}, "d": {"x": 2, "y": 3},
    }))
    .await;
}
