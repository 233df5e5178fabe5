//! Where a query starts and ends.

use serde_json::json;
use tonic::Code;

use super::backend::{Backend, refused};
use super::messages::{Query, query, test};

pub(super) async fn a_start_is_inclusive_or_not(on: &Backend) {
    numbers(on).await;
    assert_eq!(on.ids(by_number().start_at(&[json!(2)])).await, "b c d");
    assert_eq!(on.ids(by_number().start_after(&[json!(2)])).await, "c d");
    assert_eq!(on.ids(by_number().start_at(&[json!(2.5)])).await, "c d");
}

pub(super) async fn an_end_is_inclusive_or_not(on: &Backend) {
    numbers(on).await;
    assert_eq!(on.ids(by_number().end_at(&[json!(3)])).await, "a b c");
    assert_eq!(on.ids(by_number().end_before(&[json!(3)])).await, "a b");
}

pub(super) async fn a_window_has_both(on: &Backend) {
    numbers(on).await;
    let window = by_number().start_at(&[json!(2)]).end_at(&[json!(3)]);
    assert_eq!(on.ids(window).await, "b c");
    let empty = by_number().start_after(&[json!(3)]).end_before(&[json!(2)]);
    assert_eq!(on.ids(empty).await, "");
}

pub(super) async fn cursors_follow_a_falling_order(on: &Backend) {
    numbers(on).await;
    let falling = || query("things").down("n");
    assert_eq!(on.ids(falling().start_at(&[json!(3)])).await, "c b a");
    assert_eq!(on.ids(falling().start_after(&[json!(3)]).end_at(&[json!(1)])).await, "b a");
}

pub(super) async fn a_cursor_may_stand_on_field_and_name(on: &Backend) {
    on.seed("things", json!({"a": {"n": 1}, "b": {"n": 1}, "c": {"n": 1}, "d": {"n": 2}})).await;
    let by_both = || query("things").up("n").up("__name__");
    let at_b = [json!(1), on.reference("things/b")];
    assert_eq!(on.ids(by_both().start_at(&at_b)).await, "b c d");
    assert_eq!(on.ids(by_both().start_after(&at_b)).await, "c d");
    assert_eq!(on.ids(by_both().end_before(&at_b)).await, "a");
}

pub(super) async fn a_cursor_on_field_and_name_goes_both_ways(on: &Backend) {
    on.seed("things", json!({"a": {"n": 1}, "b": {"n": 1}, "c": {"n": 1}, "d": {"n": 2}})).await;
    let falling = query("things").down("n").down("__name__");
    let after_b = falling.start_after(&[json!(1), on.reference("things/b")]);
    assert_eq!(on.ids(after_b).await, "a");
}

pub(super) async fn a_cursor_may_stand_on_the_name_alone(on: &Backend) {
    numbers(on).await;
    let after = query("things").up("__name__").start_after(&[on.reference("things/b")]);
    assert_eq!(on.ids(after.limit(1)).await, "c");
}

pub(super) async fn a_cursor_may_be_shorter_than_the_order(on: &Backend) {
    on.seed("things", json!({
        "a": {"x": 1, "y": 1}, "b": {"x": 1, "y": 2}, "c": {"x": 2, "y": 1}, "d": {"x": 2, "y": 3},
    }))
    .await;
    let by_both = || query("things").up("x").up("y");
    assert_eq!(on.ids(by_both().start_after(&[json!(1)])).await, "c d");
    assert_eq!(on.ids(by_both().start_at(&[json!(1), json!(2)])).await, "b c d");
    assert_eq!(on.ids(by_both().end_at(&[json!(1)])).await, "a b");
}

pub(super) async fn a_cursor_may_be_of_another_type(on: &Backend) {
    numbers(on).await;
    on.seed("things", json!({"s": {"n": "text"}, "t": {"n": true}})).await;
    assert_eq!(on.ids(by_number().start_at(&[json!("")])).await, "s");
    assert_eq!(on.ids(by_number().end_at(&[json!(true)])).await, "t");
}

pub(super) async fn cursors_and_filters_both_count(on: &Backend) {
    numbers(on).await;
    let above_one = by_number().of(test("n", ">", &json!(1)));
    assert_eq!(on.ids(above_one.start_at(&[json!(0)]).end_before(&[json!(4)])).await, "b c");
}

pub(super) async fn pages_by_cursor_join_without_a_gap_or_a_repetition(on: &Backend) {
    on.seed(
        "things",
        json!({
            "a": {"n": 2}, "b": {"n": 1}, "c": {"n": 2}, "d": {"n": 1}, "e": {"n": 3},
        }),
    )
    .await;
    let mut seen = Vec::new();
    let mut page = query("things").up("n").up("__name__").limit(2);
    for _ in 0..3 {
        let replies = on.run(page.clone()).await.unwrap();
        let documents: Vec<_> = replies.into_iter().filter_map(|reply| reply.document).collect();
        let last = documents.last().unwrap();
        let at = [super::values::json(&last.fields["n"]), json!({"$reference": last.name})];
        page = page.start_after(&at);
        seen.extend(documents.iter().map(|document| super::backend::id(document).to_owned()));
    }
    assert_eq!(seen.join(" "), "b d a c e");
}

pub(super) async fn a_cursor_longer_than_the_order_is_refused(on: &Backend) {
    let name = on.reference("things/a");
    let long = by_number().start_at(&[json!(1), name]);
    assert_eq!(refused(on.run(long).await), Code::InvalidArgument);
}

pub(super) async fn a_cursor_on_the_name_must_be_a_reference(on: &Backend) {
    let text = query("things").up("__name__").start_at(&[json!("a")]);
    assert_eq!(refused(on.run(text).await), Code::InvalidArgument);
}

async fn numbers(on: &Backend) {
    on.seed("things", json!({"a": {"n": 1}, "b": {"n": 2}, "c": {"n": 3}, "d": {"n": 4}})).await;
}

fn by_number() -> Query {
    query("things").up("n")
}
