//! Which documents a query selects.

use gcloud_sdk::google::firestore::v1::structured_query::Filter;
use gcloud_sdk::google::firestore::v1::structured_query::unary_filter::Operator;
use serde_json::json;
use tonic::Code;

use super::backend::{Backend, refused};
use super::messages::{all, any, is, query, test};

pub(super) async fn equal_finds_one_value(on: &Backend) {
    numbers(on).await;
    selects(on, test("n", "==", &json!(2)), "two").await;
    selects(on, test("n", "==", &json!(7)), "").await;
}

pub(super) async fn equal_makes_no_difference_between_integers_and_doubles(on: &Backend) {
    on.seed("things", json!({"a": {"n": 1}, "b": {"n": 1.0}, "c": {"n": 1.5}})).await;
    selects(on, test("n", "==", &json!(1.0)), "a b").await;
    selects(on, test("n", "==", &json!(1)), "a b").await;
}

pub(super) async fn equal_compares_whole_maps_and_arrays(on: &Backend) {
    on.seed("things", json!({
        "a": {"v": {"x": 1, "y": 2}}, "b": {"v": {"x": 1}}, "c": {"v": [1, 2]}, "d": {"v": [2, 1]},
    }))
    .await;
    selects(on, test("v", "==", &json!({"y": 2, "x": 1})), "a").await;
    selects(on, test("v", "==", &json!([1, 2])), "c").await;
}

pub(super) async fn equal_finds_every_kind_of_value(on: &Backend) {
    let values = [
        json!(true),
        json!("ä"),
        json!({"$time": 1_500_000}),
        json!({"$bytes": "b"}),
        json!({"$point": [1.0, 2.0]}),
        on.reference("others/o"),
    ];
    for (n, value) in values.iter().enumerate() {
        on.put(&format!("things/{n}"), json!({"v": value})).await;
    }
    for (n, value) in values.iter().enumerate() {
        selects(on, test("v", "==", value), &n.to_string()).await;
    }
}

pub(super) async fn a_range_has_only_values_of_its_type(on: &Backend) {
    numbers(on).await;
    on.seed("things", json!({"text": {"n": "5"}, "truth": {"n": true}, "list": {"n": [5]}})).await;
    selects(on, test("n", ">", &json!(1)), "two three").await;
    selects(on, test("n", ">=", &json!(2)), "two three").await;
    selects(on, test("n", "<", &json!(2)), "one").await;
    selects(on, test("n", "<=", &json!(2)), "one two").await;
    selects(on, test("n", ">", &json!("4")), "text").await;
}

pub(super) async fn a_range_has_two_ends(on: &Backend) {
    numbers(on).await;
    let both = all([test("n", ">", &json!(1)), test("n", "<", &json!(3))]);
    selects(on, both, "two").await;
}

pub(super) async fn a_range_leaves_out_nan(on: &Backend) {
    let nan = json!({"$double": "NaN"});
    on.seed("things", json!({"a": {"n": nan}, "b": {"n": {"$double": "-inf"}}, "c": {"n": 0}}))
        .await;
    selects(on, test("n", "<=", &json!(0)), "b c").await;
    selects(on, test("n", ">=", &json!({"$double": "-inf"})), "b c").await;
}

pub(super) async fn unequal_is_any_other_value_but_not_none(on: &Backend) {
    numbers(on).await;
    on.seed("things", json!({"text": {"n": "x"}, "null": {"n": null}, "none": {"x": 1}})).await;
    selects(on, test("n", "!=", &json!(2)), "one three text").await;
}

pub(super) async fn in_finds_each_of_its_values(on: &Backend) {
    numbers(on).await;
    selects(on, test("n", "in", &json!([3, 1, 9])), "one three").await;
    selects(on, test("n", "in", &json!([2.0, 2])), "two").await;
}

pub(super) async fn not_in_is_any_other_value_but_not_none(on: &Backend) {
    numbers(on).await;
    on.seed("things", json!({"text": {"n": "x"}, "null": {"n": null}, "none": {"x": 1}})).await;
    selects(on, test("n", "not-in", &json!([1, 3])), "two text").await;
}

pub(super) async fn not_in_with_null_finds_nothing(on: &Backend) {
    numbers(on).await;
    selects(on, test("n", "not-in", &json!([1, null])), "").await;
}

pub(super) async fn array_contains_looks_at_elements(on: &Backend) {
    arrays(on).await;
    selects(on, test("l", "array-contains", &json!(2)), "ab b").await;
    selects(on, test("l", "array-contains", &json!(2.0)), "ab b").await;
    selects(on, test("l", "array-contains", &json!("x")), "").await;
}

pub(super) async fn array_contains_any_finds_each_document_once(on: &Backend) {
    arrays(on).await;
    selects(on, test("l", "array-contains-any", &json!([1, 2])), "a ab b").await;
    selects(on, test("l", "array-contains-any", &json!([3, {"x": 1}])), "m").await;
}

pub(super) async fn null_is_found_and_distinct_from_absence(on: &Backend) {
    on.seed("things", json!({"a": {"v": null}, "b": {"v": 1}, "c": {"x": 1}})).await;
    selects(on, is("v", Operator::IsNull), "a").await;
    selects(on, is("v", Operator::IsNotNull), "b").await;
}

pub(super) async fn nan_is_found_and_distinct_from_numbers(on: &Backend) {
    let nan = json!({"$double": "NaN"});
    on.seed("things", json!({"a": {"v": nan}, "b": {"v": 1}, "c": {"v": "x"}, "d": {"x": 1}}))
        .await;
    selects(on, is("v", Operator::IsNan), "a").await;
    selects(on, is("v", Operator::IsNotNan), "b c").await;
}

pub(super) async fn a_nested_field_is_found_by_its_path(on: &Backend) {
    on.seed(
        "things",
        json!({"a": {"m": {"x": {"y": 1}}}, "b": {"m": {"x": 1}}, "c": {"m.x.y": 1}}),
    )
    .await;
    selects(on, test("m.x.y", "==", &json!(1)), "a").await;
    selects(on, test("`m.x.y`", "==", &json!(1)), "c").await;
}

pub(super) async fn and_needs_every_part(on: &Backend) {
    colours(on).await;
    let both = all([test("c", "==", &json!("red")), test("s", "==", &json!(2))]);
    selects(on, both, "r2").await;
}

pub(super) async fn and_joins_equality_and_range(on: &Backend) {
    colours(on).await;
    let both = all([test("c", "==", &json!("red")), test("s", ">", &json!(1))]);
    selects(on, both, "r2 r3").await;
}

pub(super) async fn or_needs_one_part_and_finds_each_once(on: &Backend) {
    colours(on).await;
    let either = any([test("c", "==", &json!("blue")), test("s", "==", &json!(1))]);
    selects(on, either, "b1 b2 r1").await;
}

pub(super) async fn or_inside_of_and(on: &Backend) {
    colours(on).await;
    let sizes = any([test("s", "==", &json!(1)), test("s", "==", &json!(3))]);
    selects(on, all([test("c", "==", &json!("red")), sizes]), "r1 r3").await;
}

pub(super) async fn and_inside_of_or(on: &Backend) {
    colours(on).await;
    let pair = |c: &str, s| all([test("c", "==", &json!(c)), test("s", "==", &json!(s))]);
    selects(on, any([pair("red", 3), pair("blue", 2)]), "b2 r3").await;
}

pub(super) async fn the_name_is_compared_as_a_reference(on: &Backend) {
    on.seed("things", json!({"a": {}, "b": {}, "c": {}, "d": {}})).await;
    selects(on, test("__name__", "==", &on.reference("things/b")), "b").await;
    selects(on, test("__name__", ">", &on.reference("things/b")), "c d").await;
    let pair = json!([on.reference("things/d"), on.reference("things/a")]);
    selects(on, test("__name__", "in", &pair), "a d").await;
}

pub(super) async fn the_name_is_not_compared_with_text(on: &Backend) {
    let filter = test("__name__", "==", &json!("things/b"));
    assert_eq!(refused(on.run(query("things").of(filter)).await), Code::InvalidArgument);
}

pub(super) async fn the_name_has_no_elements(on: &Backend) {
    let name = on.reference("things/a");
    for test in [
        test("__name__", "array-contains", &name),
        test("__name__", "array-contains-any", &json!([name])),
    ] {
        assert_eq!(refused(on.run(query("things").of(test)).await), Code::InvalidArgument);
    }
}

pub(super) async fn one_name_beside_a_range_of_another_field_is_refused(on: &Backend) {
    let one = test("__name__", "==", &on.reference("things/a"));
    let beside = query("things").of(all([one, test("n", ">", &json!(1))]));
    assert_eq!(refused(on.run(beside).await), Code::InvalidArgument);
}

pub(super) async fn lists_of_values_are_bounded(on: &Backend) {
    let values = |count: usize| (0..count).map(|n| json!(n)).collect();
    for (operator, most) in [("in", 30), ("array-contains-any", 30), ("not-in", 10)] {
        let filter = |count| query("things").of(test("n", operator, &values(count)));
        assert!(on.run(filter(most)).await.is_ok(), "{most} values of {operator}");
        let outcome = on.run(filter(most + 1)).await;
        assert_eq!(refused(outcome), Code::InvalidArgument, "{operator}");
    }
}

pub(super) async fn an_empty_list_of_values_is_refused(on: &Backend) {
    for operator in ["in", "not-in", "array-contains-any"] {
        for operand in [json!([]), json!(1)] {
            let filter = query("things").of(test("n", operator, &operand));
            assert_eq!(refused(on.run(filter).await), Code::InvalidArgument, "{operator}");
        }
    }
}

pub(super) async fn the_normal_form_of_a_filter_is_bounded(on: &Backend) {
    let six = json!([1, 2, 3, 4, 5, 6]);
    let five = json!([1, 2, 3, 4, 5]);
    let thirty = all([test("c", "in", &six), test("s", "in", &five)]);
    assert!(on.run(query("things").of(thirty)).await.is_ok());
    let thirty_six = all([test("c", "in", &six), test("s", "in", &six)]);
    assert_eq!(refused(on.run(query("things").of(thirty_six)).await), Code::InvalidArgument);
}

pub(super) async fn negations_do_not_combine(on: &Backend) {
    for filter in [
        all([test("n", "!=", &json!(1)), test("n", "not-in", &json!([2]))]),
        all([test("n", "not-in", &json!([1])), test("n", "not-in", &json!([2]))]),
        any([test("n", "not-in", &json!([1])), test("c", "==", &json!(2))]),
        all([test("n", "not-in", &json!([1])), test("c", "in", &json!([2, 3]))]),
    ] {
        let outcome = on.run(query("things").of(filter)).await;
        assert_eq!(refused(outcome), Code::InvalidArgument);
    }
}

pub(super) async fn one_array_is_searched_for_at_a_time(on: &Backend) {
    let twice = [test("l", "array-contains", &json!(1)), test("l", "array-contains", &json!(2))];
    assert_eq!(refused(on.run(query("things").of(all(twice))).await), Code::InvalidArgument);
}

pub(super) async fn a_filter_of_nothing_is_refused(on: &Backend) {
    let empty = Filter { filter_type: None };
    assert_eq!(refused(on.run(query("things").of(empty)).await), Code::InvalidArgument);
    for path in ["", "a..b", "`a"] {
        let outcome = on.run(query("things").of(test(path, "==", &json!(1)))).await;
        assert_eq!(refused(outcome), Code::InvalidArgument, "{path:?}");
    }
}

async fn numbers(on: &Backend) {
    on.seed("things", json!({"one": {"n": 1}, "two": {"n": 2}, "three": {"n": 3}})).await;
}

async fn arrays(on: &Backend) {
    on.seed(
        "things",
        json!({
            "a": {"l": [1]}, "ab": {"l": [1, 2]}, "b": {"l": ["a", 2]},
            "deep": {"l": {"x": 2}}, "m": {"l": [{"x": 1}]}, "no": {"l": 2},
        }),
    )
    .await;
}

async fn colours(on: &Backend) {
    on.seed(
        "things",
        json!({
            "b1": {"c": "blue", "s": 1}, "b2": {"c": "blue", "s": 2}, "r1": {"c": "red", "s": 1},
            "r2": {"c": "red", "s": 2}, "r3": {"c": "red", "s": 3},
        }),
    )
    .await;
}

/// Runs the filter without an order; which documents come is asserted, not in which order.
async fn selects(on: &Backend, filter: Filter, expected: &str) {
    let shown = format!("{filter:?}");
    let found = on.ids(query("things").of(filter)).await;
    let sorted = |ids: &str| {
        let mut ids: Vec<_> = ids.split_whitespace().map(str::to_owned).collect();
        ids.sort();
        ids
    };
    assert_eq!(sorted(&found), sorted(expected), "{shown}");
}
