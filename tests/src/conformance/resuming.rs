//! `Listen` again: what a new stream tells to a client that was away.

use gcloud_sdk::google::firestore::v1::Target;
use gcloud_sdk::google::firestore::v1::target::ResumeType;
use serde_json::json;
use tonic::Code;

use super::backend::Backend;
use super::listener::{Listener, from_time, from_token, named, target};
use super::messages::{query, test};

pub(super) async fn a_token_brings_only_what_was_missed(on: &Backend) {
    let first = with_a_and_b(on).await;
    miss(on).await;
    let resumed = from_token(&first, ones(on));
    let mut second = Listener::start(on, resumed).await.knowing(1, first.view(1));
    assert_eq!(second.current().await, "ADD[1] CHANGE a[1] CHANGE c[1] DELETE b[1] CURRENT[1]");
}

pub(super) async fn a_read_time_brings_only_what_was_missed(on: &Backend) {
    let first = with_a_and_b(on).await;
    miss(on).await;
    let resumed = from_time(&first, ones(on));
    let mut second = Listener::start(on, resumed).await.knowing(1, first.view(1));
    assert_eq!(second.current().await, "ADD[1] CHANGE a[1] CHANGE c[1] DELETE b[1] CURRENT[1]");
}

pub(super) async fn nothing_missed_is_nothing_told(on: &Backend) {
    let first = with_a_and_b(on).await;
    let resumed = from_token(&first, ones(on));
    let mut second = Listener::start(on, resumed).await.knowing(1, first.view(1));
    assert_eq!(second.current().await, "ADD[1] CURRENT[1]");
}

pub(super) async fn what_came_and_went_meanwhile_leaves_no_trace(on: &Backend) {
    let first = with_a_and_b(on).await;
    on.put("things/c", json!({"n": 1})).await;
    on.write(on.delete("things/c")).await;
    let mut second =
        Listener::start(on, from_token(&first, ones(on))).await.knowing(1, first.view(1));
    second.current().await;
    second.shows(1, json!({"a": {"n": 1}, "b": {"n": 1}})).await;
}

pub(super) async fn a_resumed_view_is_the_same_as_a_new_one(on: &Backend) {
    let first = with_a_and_b(on).await;
    miss(on).await;
    on.put("things/d", json!({"n": 1})).await;
    on.put("things/d", json!({"n": 2})).await;
    for resumed in [from_token(&first, ones(on)), from_time(&first, ones(on))] {
        let mut second = Listener::start(on, resumed).await.knowing(1, first.view(1));
        second.current().await;
        second.shows(1, json!({"a": {"n": 1, "x": 2}, "c": {"n": 1}})).await;
    }
}

pub(super) async fn what_no_longer_matches_leaves_a_resumed_view(on: &Backend) {
    let first = with_a_and_b(on).await;
    on.put("things/a", json!({"n": 2})).await;
    let mut second =
        Listener::start(on, from_token(&first, ones(on))).await.knowing(1, first.view(1));
    second.current().await;
    second.shows(1, json!({"b": {"n": 1}})).await;
}

pub(super) async fn a_document_created_again_meanwhile_is_the_new_one(on: &Backend) {
    let first = with_a_and_b(on).await;
    on.write(on.delete("things/a")).await;
    on.put("things/a", json!({"n": 1, "again": true})).await;
    let mut second =
        Listener::start(on, from_token(&first, ones(on))).await.knowing(1, first.view(1));
    second.current().await;
    second.shows(1, json!({"a": {"n": 1, "again": true}, "b": {"n": 1}})).await;
}

pub(super) async fn named_documents_resume_too(on: &Backend) {
    on.seed("things", json!({"a": {"n": 1}, "b": {"n": 1}})).await;
    let names = || named(on, 1, &["things/a", "things/b", "things/c"]);
    let mut first = Listener::start(on, names()).await;
    first.current().await;
    miss(on).await;
    let resumed = from_token(&first, names());
    let mut second = Listener::start(on, resumed).await.knowing(1, first.view(1));
    second.current().await;
    second.shows(1, json!({"a": {"n": 1, "x": 2}, "c": {"n": 1}})).await;
}

pub(super) async fn a_resumed_target_goes_on(on: &Backend) {
    let first = with_a_and_b(on).await;
    let mut second =
        Listener::start(on, from_token(&first, ones(on))).await.knowing(1, first.view(1));
    second.current().await;
    miss(on).await;
    second.shows(1, json!({"a": {"n": 1, "x": 2}, "c": {"n": 1}})).await;
    let mut third =
        Listener::start(on, from_token(&second, ones(on))).await.knowing(1, second.view(1));
    third.current().await;
    third.shows(1, json!({"a": {"n": 1, "x": 2}, "c": {"n": 1}})).await;
}

pub(super) async fn a_count_that_differs_is_put_right(on: &Backend) {
    let first = with_a_and_b(on).await;
    on.write(on.delete("things/b")).await;
    let resumed = Target { expected_count: Some(2), ..from_token(&first, ones(on)) };
    let mut second = Listener::start(on, resumed).await.knowing(1, first.view(1));
    let heard = second.current().await;
    let told = second.view(1).len() == 1 || heard.contains("MISMATCH[1]=1");
    assert!(told, "neither the deletion nor the count was told: {heard}");
}

pub(super) async fn a_token_that_is_none_never_passes_for_one(on: &Backend) {
    on.seed("things", json!({"a": {"n": 1}})).await;
    let resume_type = Some(ResumeType::ResumeToken(b"nonsense".to_vec()));
    let stale = [("gone".to_owned(), json!({"n": 1}))].into();
    let mut listener =
        Listener::start(on, Target { resume_type, ..ones(on) }).await.knowing(1, stale);
    match listener.refusal().await {
        Some(code) => assert_eq!(code, Code::InvalidArgument),
        // What the client believed is void: it is told all of it anew.
        None => listener.shows(1, json!({"a": {"n": 1}})).await,
    }
}

async fn with_a_and_b(on: &Backend) -> Listener {
    on.seed("things", json!({"a": {"n": 1}, "b": {"n": 1}})).await;
    let mut listener = Listener::start(on, ones(on)).await;
    listener.current().await;
    listener
}

/// Happens while nobody listens: one new, one changed, one deleted, and one that is none of the client's business.
async fn miss(on: &Backend) {
    on.put("things/c", json!({"n": 1})).await;
    on.put("things/a", json!({"n": 1, "x": 2})).await;
    on.write(on.delete("things/b")).await;
    on.put("others/o", json!({"n": 1})).await;
}

/// The `things` with n = 1, as target 1.
fn ones(on: &Backend) -> Target {
    target(on, 1, query("things").of(test("n", "==", &json!(1))))
}
