//! `Listen`: what a stream tells of its targets while it is open.

use gcloud_sdk::google::firestore::v1::Target;
use serde_json::json;
use tonic::Code;

use super::backend::Backend;
use super::listener::{Listener, named, target};
use super::messages::{Query, group, query, test};

pub(super) async fn a_new_target_is_told_all_and_then_that_it_is_current(on: &Backend) {
    on.seed("things", json!({"a": {"n": 1}, "b": {"n": 1}, "c": {"n": 2}})).await;
    let mut listener = Listener::start(on, ones(on, 1)).await;
    assert_eq!(listener.current().await, "ADD[1] CHANGE a[1] CHANGE b[1] CURRENT[1]");
    assert_eq!(json!(listener.view(1)), json!({"a": {"n": 1}, "b": {"n": 1}}));
    assert!(!listener.last.resume_token.is_empty() && listener.last.read_time.is_some());
}

pub(super) async fn an_empty_target_is_current_too(on: &Backend) {
    let mut listener = Listener::start(on, ones(on, 1)).await;
    assert_eq!(listener.current().await, "ADD[1] CURRENT[1]");
}

pub(super) async fn a_view_follows_every_change(on: &Backend) {
    on.seed("things", json!({"a": {"n": 1}, "b": {"n": 1}})).await;
    let mut listener = Listener::start(on, ones(on, 1)).await;
    listener.shows(1, json!({"a": {"n": 1}, "b": {"n": 1}})).await;
    on.put("things/c", json!({"n": 1})).await;
    listener.shows(1, json!({"a": {"n": 1}, "b": {"n": 1}, "c": {"n": 1}})).await;
    on.put("things/a", json!({"n": 1, "x": 2})).await;
    listener.shows(1, json!({"a": {"n": 1, "x": 2}, "b": {"n": 1}, "c": {"n": 1}})).await;
    on.put("things/b", json!({"n": 2})).await;
    listener.shows(1, json!({"a": {"n": 1, "x": 2}, "c": {"n": 1}})).await;
    on.write(on.delete("things/a")).await;
    listener.shows(1, json!({"c": {"n": 1}})).await;
}

pub(super) async fn a_new_document_is_told_alone(on: &Backend) {
    let mut listener = with_a_and_b(on).await;
    on.put("things/c", json!({"n": 1})).await;
    assert_eq!(listener.heard().await, "CHANGE c[1]");
}

pub(super) async fn a_changed_document_is_told_alone(on: &Backend) {
    let mut listener = with_a_and_b(on).await;
    on.put("things/a", json!({"n": 1, "x": 2})).await;
    assert_eq!(listener.heard().await, "CHANGE a[1]");
}

pub(super) async fn a_document_that_no_longer_matches_is_removed(on: &Backend) {
    let mut listener = with_a_and_b(on).await;
    on.put("things/a", json!({"n": 2})).await;
    assert_eq!(listener.heard().await, "REMOVE a[1]");
}

pub(super) async fn a_deleted_document_is_told_to_be_deleted(on: &Backend) {
    let mut listener = with_a_and_b(on).await;
    on.write(on.delete("things/a")).await;
    assert_eq!(listener.heard().await, "DELETE a[1]");
}

pub(super) async fn what_is_not_in_a_target_is_not_told(on: &Backend) {
    let mut listener = with_a_and_b(on).await;
    on.put("things/c", json!({"n": 2})).await;
    on.put("others/o", json!({"n": 1})).await;
    on.put("things/a/things/d", json!({"n": 1})).await;
    on.write(on.delete("things/c")).await;
    on.put("things/b", json!({"n": 1, "x": 2})).await;
    assert_eq!(listener.heard().await, "CHANGE b[1]");
}

pub(super) async fn a_write_without_effect_is_not_told(on: &Backend) {
    let mut listener = with_a_and_b(on).await;
    on.put("things/a", json!({"n": 1})).await;
    on.put("things/b", json!({"n": 1, "x": 2})).await;
    assert_eq!(listener.heard().await, "CHANGE b[1]");
}

pub(super) async fn a_commit_is_told_in_one_snapshot(on: &Backend) {
    let mut listener = with_a_and_b(on).await;
    let writes = vec![
        on.set("things/c", &json!({"n": 1})),
        on.delete("things/a"),
        on.set("things/b", &json!({"n": 2})),
        on.set("things/d", &json!({"n": 1})),
    ];
    on.commit(writes).await.unwrap();
    assert_eq!(listener.heard().await, "CHANGE c[1] CHANGE d[1] DELETE a[1] REMOVE b[1]");
}

pub(super) async fn several_targets_share_a_stream(on: &Backend) {
    on.put("things/a", json!({"n": 1})).await;
    let mut listener = Listener::start(on, ones(on, 1)).await;
    listener.current().await;
    listener.add(target(on, 2, query("things"))).await;
    assert_eq!(listener.current().await, "ADD[2] CHANGE a[2] CURRENT[2]");
    on.put("things/b", json!({"n": 2})).await;
    listener.shows(2, json!({"a": {"n": 1}, "b": {"n": 2}})).await;
    on.put("things/a", json!({"n": 3})).await;
    listener.shows(1, json!({})).await;
    listener.shows(2, json!({"a": {"n": 3}, "b": {"n": 2}})).await;
}

pub(super) async fn a_removed_target_is_told_no_more(on: &Backend) {
    on.put("things/a", json!({"n": 1})).await;
    let mut listener = Listener::start(on, ones(on, 1)).await;
    listener.current().await;
    listener.add(target(on, 2, query("others"))).await;
    listener.current().await;
    listener.remove(1).await;
    listener.until("GONE[1]").await;
    assert_eq!(listener.cause, None);
    on.put("things/b", json!({"n": 1})).await;
    on.put("others/o", json!({})).await;
    listener.shows(2, json!({"o": {}})).await;
    assert_eq!(json!(listener.view(1)), json!({"a": {"n": 1}}));
}

pub(super) async fn an_id_is_free_again_after_its_target_is_gone(on: &Backend) {
    on.put("others/o", json!({})).await;
    let mut listener = Listener::start(on, ones(on, 1)).await;
    listener.current().await;
    listener.remove(1).await;
    listener.until("GONE[1]").await;
    listener.add(target(on, 1, query("others"))).await;
    assert_eq!(listener.current().await, "ADD[1] CHANGE o[1] CURRENT[1]");
}

pub(super) async fn an_id_in_use_is_refused(on: &Backend) {
    let mut listener = Listener::start(on, ones(on, 1)).await;
    listener.current().await;
    listener.add(ones(on, 1)).await;
    assert_ne!(listener.end().await, Code::Ok);
}

pub(super) async fn a_target_without_an_id_is_given_one(on: &Backend) {
    on.put("things/a", json!({"n": 1})).await;
    let mut listener = Listener::start(on, ones(on, 0)).await;
    let heard = listener.current().await;
    let id = heard.strip_prefix("ADD[").and_then(|rest| rest.split_once(']')).unwrap().0;
    assert!(id.parse::<i32>().unwrap() != 0);
    assert_eq!(heard, format!("ADD[{id}] CHANGE a[{id}] CURRENT[{id}]"));
}

pub(super) async fn a_target_wanted_once_goes_when_it_is_current(on: &Backend) {
    on.put("things/a", json!({"n": 1})).await;
    let once = Target { once: true, ..ones(on, 1) };
    let mut listener = Listener::start(on, once).await;
    listener.until("CURRENT[1]").await;
    on.put("things/b", json!({"n": 1})).await;
    assert_eq!(listener.word().await, "GONE[1]");
    assert_eq!(listener.cause, None);
    assert_eq!(json!(listener.view(1)), json!({"a": {"n": 1}}));
}

pub(super) async fn named_documents_are_told_as_they_come_and_go(on: &Backend) {
    on.put("things/a", json!({"n": 1})).await;
    let mut listener = Listener::start(on, named(on, 1, &["things/a", "others/z"])).await;
    listener.current().await;
    assert_eq!(json!(listener.view(1)), json!({"a": {"n": 1}}));
    on.put("others/z", json!({"n": 2})).await;
    listener.shows(1, json!({"a": {"n": 1}, "z": {"n": 2}})).await;
    on.put("things/a", json!({"n": 3})).await;
    listener.shows(1, json!({"a": {"n": 3}, "z": {"n": 2}})).await;
    on.write(on.delete("things/a")).await;
    listener.shows(1, json!({"z": {"n": 2}})).await;
    on.put("things/a", json!({"n": 4})).await;
    listener.shows(1, json!({"a": {"n": 4}, "z": {"n": 2}})).await;
}

pub(super) async fn a_named_document_is_told_alone(on: &Backend) {
    on.seed("things", json!({"a": {"n": 1}, "b": {"n": 1}})).await;
    let mut listener = Listener::start(on, named(on, 1, &["things/a", "things/b"])).await;
    assert_eq!(listener.current().await, "ADD[1] CHANGE a[1] CHANGE b[1] CURRENT[1]");
    on.put("things/c", json!({"n": 1})).await;
    on.put("things/b", json!({"n": 2})).await;
    assert_eq!(listener.heard().await, "CHANGE b[1]");
}

pub(super) async fn a_limited_target_shows_the_first_few(on: &Backend) {
    on.seed("things", json!({"a": {"n": 1}, "b": {"n": 2}, "c": {"n": 3}})).await;
    let mut listener = Listener::start(on, target(on, 1, newest_two())).await;
    listener.shows(1, json!({"b": {"n": 2}, "c": {"n": 3}})).await;
    on.put("things/d", json!({"n": 4})).await;
    listener.shows(1, json!({"c": {"n": 3}, "d": {"n": 4}})).await;
    on.write(on.delete("things/c")).await;
    listener.shows(1, json!({"b": {"n": 2}, "d": {"n": 4}})).await;
    on.put("things/a", json!({"n": 9})).await;
    listener.shows(1, json!({"a": {"n": 9}, "d": {"n": 4}})).await;
}

pub(super) async fn a_limited_target_tells_who_came_and_who_left(on: &Backend) {
    on.seed("things", json!({"a": {"n": 1}, "b": {"n": 2}, "c": {"n": 3}})).await;
    let mut listener = Listener::start(on, target(on, 1, newest_two())).await;
    listener.current().await;
    on.put("things/d", json!({"n": 4})).await;
    assert_eq!(listener.heard().await, "CHANGE d[1] REMOVE b[1]");
}

pub(super) async fn a_group_is_listened_to(on: &Backend) {
    on.put("things/a", json!({"n": 1})).await;
    let mut listener = Listener::start(on, target(on, 1, group("things"))).await;
    listener.shows(1, json!({"a": {"n": 1}})).await;
    on.put("others/o/things/b", json!({"n": 2})).await;
    listener.shows(1, json!({"a": {"n": 1}, "b": {"n": 2}})).await;
}

pub(super) async fn a_bad_query_ends_its_target_with_the_cause(on: &Backend) {
    let mut listener = Listener::start(on, ones(on, 1)).await;
    listener.current().await;
    listener.add(target(on, 2, query("things").limit(-1))).await;
    listener.until("GONE[2]").await;
    assert_eq!(listener.cause, Some(Code::InvalidArgument));
    on.put("things/a", json!({"n": 1})).await;
    listener.shows(1, json!({"a": {"n": 1}})).await;
}

async fn with_a_and_b(on: &Backend) -> Listener {
    on.seed("things", json!({"a": {"n": 1}, "b": {"n": 1}})).await;
    let mut listener = Listener::start(on, ones(on, 1)).await;
    listener.current().await;
    listener
}

/// The `things` with n = 1.
fn ones(on: &Backend, id: i32) -> Target {
    target(on, id, query("things").of(test("n", "==", &json!(1))))
}

fn newest_two() -> Query {
    query("things").down("n").limit(2)
}
