//! `BatchWrite`: many writes, each on its own.

use gcloud_sdk::google::firestore::v1::{BatchWriteRequest, BatchWriteResponse, Write};
use serde_json::{Value as Json, json};
use tonic::{Code, Status};

use super::backend::{Backend, refused};
use super::messages::{if_exists, transform};

pub(super) async fn each_write_of_a_batch_has_its_own_status(on: &Backend) {
    on.put("things/a", json!({"n": 1})).await;
    let writes = vec![
        if_exists(false, on.set("things/a", &json!({"n": 2}))),
        on.set("things/b", &json!({"n": 2})),
        if_exists(true, on.delete("things/c")),
        on.update("things/d", &["n"], &json!({"n": 4})),
    ];
    let done = batch(on, writes).await.unwrap();
    assert_eq!(codes(&done), [Code::AlreadyExists, Code::Ok, Code::NotFound, Code::Ok]);
    assert_eq!(on.read("things/a").await, json!({"n": 1}));
    assert_eq!(on.read("things/b").await, json!({"n": 2}));
    assert_eq!(on.read("things/d").await, json!({"n": 4}));
}

pub(super) async fn a_batch_tells_when_each_write_was_made(on: &Backend) {
    let writes = vec![on.set("things/a", &json!({})), on.set("things/b", &json!({}))];
    let done = batch(on, writes).await.unwrap();
    assert_eq!(done.write_results.len(), 2);
    for (path, result) in ["things/a", "things/b"].iter().zip(&done.write_results) {
        assert!(result.update_time.is_some());
        assert_eq!(on.get(path).await.unwrap().update_time, result.update_time);
    }
}

pub(super) async fn a_batch_may_write_a_document_only_once(on: &Backend) {
    let writes = vec![on.set("things/a", &json!({"n": 1})), on.set("things/a", &json!({"n": 2}))];
    assert_eq!(refused(batch(on, writes).await), Code::InvalidArgument);
    assert_eq!(on.read("things/a").await, Json::Null);
}

pub(super) async fn a_batch_of_nothing_succeeds(on: &Backend) {
    assert_eq!(batch(on, Vec::new()).await.unwrap(), BatchWriteResponse::default());
}

pub(super) async fn a_batch_transforms_and_deletes(on: &Backend) {
    on.seed("things", json!({"a": {"n": 1}, "b": {}})).await;
    let increment = Write {
        update_transforms: vec![transform("n", "increment", &json!(4))],
        ..on.update("things/a", &[], &json!({}))
    };
    let done = batch(on, vec![increment, on.delete("things/b")]).await.unwrap();
    assert_eq!(codes(&done), [Code::Ok, Code::Ok]);
    assert_eq!(on.read("things/a").await, json!({"n": 5}));
    assert_eq!(on.read("things/b").await, Json::Null);
}

async fn batch(on: &Backend, writes: Vec<Write>) -> Result<BatchWriteResponse, Status> {
    let database = on.database.clone();
    let request = BatchWriteRequest { database, writes, ..Default::default() };
    Ok(on.client.clone().batch_write(request).await?.into_inner())
}

fn codes(done: &BatchWriteResponse) -> Vec<Code> {
    done.status.iter().map(|status| Code::from(status.code)).collect()
}
