//! Every precondition before every kind of write, on a document that is there and on one that is not.

use gcloud_sdk::google::firestore::v1::write::Operation;
use gcloud_sdk::google::firestore::v1::{DocumentTransform, Write};
use gcloud_sdk::prost_types::Timestamp;
use serde_json::{Value as Json, json};
use tonic::Code;

use super::backend::{Backend, refused};
use super::messages::{if_exists, if_updated_at, transform};
use super::values::timestamp;

/// What stands before the write.
fn present() -> Json {
    json!({"n": 1})
}

pub(super) async fn a_set_of_what_must_exist(on: &Backend) {
    let write = |path| if_exists(true, set(on, path));
    allowed(on, write("things/present"), json!({"n": 5})).await;
    denied(on, write("things/absent"), Code::NotFound, Json::Null).await;
}

pub(super) async fn a_set_of_what_must_not_exist(on: &Backend) {
    let write = |path| if_exists(false, set(on, path));
    denied(on, write("things/present"), Code::AlreadyExists, present()).await;
    allowed(on, write("things/absent"), json!({"n": 5})).await;
}

pub(super) async fn a_set_of_a_known_version(on: &Backend) {
    let version = on.put("things/present", present()).await;
    allowed(on, if_updated_at(version, set(on, "things/present")), json!({"n": 5})).await;
}

pub(super) async fn a_set_of_an_outdated_version(on: &Backend) {
    let old = outdated(on).await;
    let write = if_updated_at(old, set(on, "things/present"));
    denied(on, write, Code::FailedPrecondition, present()).await;
}

pub(super) async fn a_set_of_a_version_of_what_is_not_there(on: &Backend) {
    let write = if_updated_at(timestamp(1), set(on, "things/absent"));
    denied(on, write, Code::FailedPrecondition, Json::Null).await;
}

pub(super) async fn a_delete_of_what_must_exist(on: &Backend) {
    allowed(on, if_exists(true, on.delete("things/present")), Json::Null).await;
    denied(on, if_exists(true, on.delete("things/absent")), Code::NotFound, Json::Null).await;
}

pub(super) async fn a_delete_of_what_must_not_exist(on: &Backend) {
    let write = if_exists(false, on.delete("things/present"));
    denied(on, write, Code::AlreadyExists, present()).await;
    allowed(on, if_exists(false, on.delete("things/absent")), Json::Null).await;
}

pub(super) async fn a_delete_of_a_known_version(on: &Backend) {
    let version = on.put("things/present", present()).await;
    allowed(on, if_updated_at(version, on.delete("things/present")), Json::Null).await;
}

pub(super) async fn a_delete_of_an_outdated_version(on: &Backend) {
    let old = outdated(on).await;
    let write = if_updated_at(old, on.delete("things/present"));
    denied(on, write, Code::FailedPrecondition, present()).await;
}

pub(super) async fn a_delete_of_a_version_of_what_is_not_there(on: &Backend) {
    let write = if_updated_at(timestamp(1), on.delete("things/absent"));
    denied(on, write, Code::FailedPrecondition, Json::Null).await;
}

pub(super) async fn a_transform_of_what_must_exist(on: &Backend) {
    let write = |path| if_exists(true, increment(on, path));
    allowed(on, write("things/present"), json!({"n": 6})).await;
    denied(on, write("things/absent"), Code::NotFound, Json::Null).await;
}

pub(super) async fn a_transform_of_what_must_not_exist(on: &Backend) {
    let write = |path| if_exists(false, increment(on, path));
    denied(on, write("things/present"), Code::AlreadyExists, present()).await;
    allowed(on, write("things/absent"), json!({"n": 5})).await;
}

pub(super) async fn a_transform_of_a_known_version(on: &Backend) {
    let version = on.put("things/present", present()).await;
    let write = if_updated_at(version, increment(on, "things/present"));
    allowed(on, write, json!({"n": 6})).await;
}

pub(super) async fn a_transform_of_an_outdated_version(on: &Backend) {
    let old = outdated(on).await;
    let write = if_updated_at(old, increment(on, "things/present"));
    denied(on, write, Code::FailedPrecondition, present()).await;
}

pub(super) async fn a_masked_update_of_what_must_exist(on: &Backend) {
    let write = |path| if_exists(true, on.update(path, &["x"], &json!({"x": 2})));
    allowed(on, write("things/present"), json!({"n": 1, "x": 2})).await;
    denied(on, write("things/absent"), Code::NotFound, Json::Null).await;
}

pub(super) async fn a_masked_update_of_what_must_not_exist(on: &Backend) {
    let write = |path| if_exists(false, on.update(path, &["x"], &json!({"x": 2})));
    denied(on, write("things/present"), Code::AlreadyExists, present()).await;
    allowed(on, write("things/absent"), json!({"x": 2})).await;
}

pub(super) async fn a_condition_sees_the_writes_before_it(on: &Backend) {
    let writes = vec![
        if_exists(false, on.set("things/a", &json!({"n": 1}))),
        if_exists(true, on.set("things/a", &json!({"n": 2}))),
        if_exists(true, on.delete("things/a")),
        if_exists(false, on.set("things/a", &json!({"n": 3}))),
    ];
    on.commit(writes).await.unwrap();
    assert_eq!(on.read("things/a").await, json!({"n": 3}));
}

pub(super) async fn a_write_without_effect_still_needs_its_condition(on: &Backend) {
    let old = outdated(on).await;
    let write = if_updated_at(old, on.set("things/present", &present()));
    denied(on, write, Code::FailedPrecondition, present()).await;
    let write = if_exists(false, on.set("things/present", &present()));
    denied(on, write, Code::AlreadyExists, present()).await;
}

/// Writes `things/present` twice and tells when first.
async fn outdated(on: &Backend) -> Timestamp {
    let old = on.put("things/present", json!({"n": 0})).await;
    on.put("things/present", present()).await;
    old
}

fn set(on: &Backend, path: &str) -> Write {
    on.set(path, &json!({"n": 5}))
}

/// A write that is nothing but a transform.
fn increment(on: &Backend, path: &str) -> Write {
    let transform = DocumentTransform {
        document: on.name(path),
        field_transforms: vec![transform("n", "increment", &json!(5))],
    };
    Write { operation: Some(Operation::Transform(transform)), ..Default::default() }
}

async fn allowed(on: &Backend, write: Write, after: Json) {
    stand(on).await;
    let path = path(on, &write);
    on.commit(vec![write]).await.unwrap();
    assert_eq!(on.read(&path).await, after);
}

async fn denied(on: &Backend, write: Write, code: Code, after: Json) {
    stand(on).await;
    let path = path(on, &write);
    assert_eq!(refused(on.commit(vec![write]).await), code);
    assert_eq!(on.read(&path).await, after);
}

/// Sees to it that `things/present` is there, without another version of it if it is.
async fn stand(on: &Backend) {
    on.put("things/present", present()).await;
}

fn path(on: &Backend, write: &Write) -> String {
    let name = match write.operation.as_ref().unwrap() {
        Operation::Update(document) => &document.name,
        Operation::Delete(name) => name,
        Operation::Transform(transform) => &transform.document,
    };
    name.strip_prefix(&on.home).unwrap()[1..].to_owned()
}
