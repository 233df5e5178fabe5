//! Commits as a whole: atomicity, order and times.

use gcloud_sdk::google::firestore::v1::{CommitRequest, Write};
use serde_json::{Value as Json, json};
use tonic::Code;

use super::backend::{Backend, refused};
use super::messages::{if_exists, mask, transform};
use super::values::micros;

pub(super) async fn a_commit_makes_all_its_writes_or_none(on: &Backend) {
    on.put("things/a", json!({"n": 1})).await;
    let writes = vec![
        on.set("things/a", &json!({"n": 2})),
        on.set("things/b", &json!({})),
        if_exists(true, on.delete("things/absent")),
        on.set("things/c", &json!({})),
    ];
    assert_eq!(refused(on.commit(writes).await), Code::NotFound);
    assert_eq!(on.read("things/a").await, json!({"n": 1}));
    assert_eq!(on.read("things/b").await, Json::Null);
    assert_eq!(on.read("things/c").await, Json::Null);
}

pub(super) async fn a_bad_write_spoils_the_whole_commit(on: &Backend) {
    let writes = vec![on.set("things/a", &json!({})), Write::default()];
    assert_eq!(refused(on.commit(writes).await), Code::InvalidArgument);
    assert_eq!(on.read("things/a").await, Json::Null);
}

pub(super) async fn writes_apply_in_their_order(on: &Backend) {
    let writes = vec![
        on.set("things/a", &json!({"n": 1, "x": 1})),
        on.update("things/a", &["n"], &json!({"n": 2})),
        Write {
            update_transforms: vec![transform("n", "increment", &json!(10))],
            ..on.update("things/a", &[], &json!({}))
        },
        on.set("things/b", &json!({"n": 1})),
        on.delete("things/b"),
    ];
    let committed = on.commit(writes).await.unwrap();
    assert_eq!(committed.write_results.len(), 5);
    assert_eq!(on.read("things/a").await, json!({"n": 12, "x": 1}));
    assert_eq!(on.read("things/b").await, Json::Null);
}

pub(super) async fn a_document_deleted_and_written_in_one_commit_stands(on: &Backend) {
    on.put("things/a", json!({"n": 1, "x": 1})).await;
    let writes = vec![on.delete("things/a"), on.update("things/a", &["n"], &json!({"n": 2}))];
    on.commit(writes).await.unwrap();
    assert_eq!(on.read("things/a").await, json!({"n": 2}));
}

pub(super) async fn every_document_of_a_commit_has_its_time(on: &Backend) {
    let writes = vec![on.set("things/a", &json!({})), on.set("others/b", &json!({}))];
    let committed = on.commit(writes).await.unwrap();
    assert!(committed.commit_time.is_some());
    for (path, result) in ["things/a", "others/b"].iter().zip(&committed.write_results) {
        assert_eq!(result.update_time, committed.commit_time);
        assert_eq!(on.get(path).await.unwrap().update_time, committed.commit_time);
    }
}

pub(super) async fn commit_times_increase(on: &Backend) {
    let mut last = 0;
    for n in 0..10 {
        let time = micros(on.put("things/a", json!({"n": n})).await);
        assert!(time > last, "{time} after {last}");
        last = time;
    }
}

pub(super) async fn a_write_without_effect_keeps_the_version(on: &Backend) {
    let first = on.put("things/a", json!({"n": 1, "m": {"x": [1]}})).await;
    let again = on.write(on.set("things/a", &json!({"m": {"x": [1]}, "n": 1}))).await;
    assert_eq!(again.update_time, Some(first));
    let masked = on.write(on.update("things/a", &["n", "absent"], &json!({"n": 1}))).await;
    assert_eq!(masked.update_time, Some(first));
    assert_eq!(on.get("things/a").await.unwrap().update_time, Some(first));
}

pub(super) async fn a_change_and_its_undoing_in_two_commits_are_two_versions(on: &Backend) {
    let first = on.put("things/a", json!({"n": 1})).await;
    let second = on.put("things/a", json!({"n": 2})).await;
    let third = on.put("things/a", json!({"n": 1})).await;
    assert!(micros(first) < micros(second) && micros(second) < micros(third));
}

pub(super) async fn a_delete_has_no_update_time(on: &Backend) {
    on.put("things/a", json!({})).await;
    assert_eq!(on.write(on.delete("things/a")).await.update_time, None);
}

pub(super) async fn a_commit_of_nothing_succeeds(on: &Backend) {
    assert!(on.commit(Vec::new()).await.unwrap().write_results.is_empty());
}

pub(super) async fn a_delete_takes_neither_mask_nor_transforms(on: &Backend) {
    on.put("things/a", json!({"n": 1})).await;
    let masked = Write { update_mask: Some(mask(&["n"])), ..on.delete("things/a") };
    assert_eq!(refused(on.commit(vec![masked]).await), Code::InvalidArgument);
    let transforms = vec![transform("n", "increment", &json!(1))];
    let transforming = Write { update_transforms: transforms, ..on.delete("things/a") };
    assert_eq!(refused(on.commit(vec![transforming]).await), Code::InvalidArgument);
    assert_eq!(on.read("things/a").await, json!({"n": 1}));
}

pub(super) async fn a_commit_to_no_database_is_refused(on: &Backend) {
    for database in ["", "projects/p", "projects/p/databases", "nonsense"] {
        let request = CommitRequest { database: database.into(), ..Default::default() };
        let outcome = on.client.clone().commit(request).await;
        assert_eq!(refused(outcome), Code::InvalidArgument, "{database:?}");
    }
}

pub(super) async fn a_commit_replaces_hundreds_of_documents_at_once(on: &Backend) {
    let writes = (0..500).map(|n| on.set(&format!("things/{n}"), &json!({"n": n}))).collect();
    let committed = on.commit(writes).await.unwrap();
    assert_eq!(committed.write_results.len(), 500);
    assert_eq!(on.read("things/499").await, json!({"n": 499}));
}
