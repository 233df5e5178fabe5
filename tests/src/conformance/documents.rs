//! Getting, listing, creating, updating and deleting documents one by one.

use gcloud_sdk::google::firestore::v1::precondition::ConditionType;
use gcloud_sdk::google::firestore::v1::{
    CreateDocumentRequest, DeleteDocumentRequest, Document, GetDocumentRequest,
    UpdateDocumentRequest,
};
use serde_json::{Value as Json, json};
use tonic::{Code, Status};

use super::backend::{Backend, id, refused};
use super::messages::{mask, precondition};
use super::values::{fields, micros, shown};

pub(super) async fn a_created_document_is_read_back_as_it_was_written(on: &Backend) {
    let written = json!({"n": 1, "m": {"x": [1, "two", null]}});
    let created = create(on, "a", &written).await.unwrap();
    assert_eq!(created.name, on.name("things/a"));
    assert_eq!(shown(&created.fields), written);
    assert_eq!(on.get("things/a").await.unwrap(), created);
}

pub(super) async fn a_new_document_was_updated_when_it_was_created(on: &Backend) {
    let created = create(on, "a", &json!({})).await.unwrap();
    assert!(created.create_time.is_some());
    assert_eq!(created.create_time, created.update_time);
}

pub(super) async fn an_update_keeps_the_time_of_creation(on: &Backend) {
    let created = create(on, "a", &json!({"n": 1})).await.unwrap();
    let updated = on.put("things/a", json!({"n": 2})).await;
    let read = on.get("things/a").await.unwrap();
    assert_eq!(read.create_time, created.create_time);
    assert_eq!(read.update_time, Some(updated));
    assert_ne!(read.update_time, created.update_time);
}

pub(super) async fn creating_what_exists_is_already_exists(on: &Backend) {
    create(on, "a", &json!({"n": 1})).await.unwrap();
    assert_eq!(refused(create(on, "a", &json!({"n": 2})).await), Code::AlreadyExists);
    assert_eq!(on.read("things/a").await, json!({"n": 1}));
}

pub(super) async fn creating_without_an_id_draws_one(on: &Backend) {
    let first = create(on, "", &json!({"n": 1})).await.unwrap();
    let second = create(on, "", &json!({"n": 1})).await.unwrap();
    assert_ne!(first.name, second.name);
    for document in [&first, &second] {
        assert_eq!(id(document).len(), 20, "Google's own ids have 20 characters");
        assert!(id(document).bytes().all(|byte| byte.is_ascii_alphanumeric()));
        assert_eq!(on.read(&format!("things/{}", id(document))).await, json!({"n": 1}));
    }
}

pub(super) async fn creating_with_a_mask_returns_only_its_fields(on: &Backend) {
    let request = CreateDocumentRequest {
        mask: Some(mask(&["n"])),
        ..creation(on, "a", &json!({"n": 1, "x": 2}))
    };
    let created = on.client.clone().create_document(request).await.unwrap().into_inner();
    assert_eq!(shown(&created.fields), json!({"n": 1}));
    assert_eq!(on.read("things/a").await, json!({"n": 1, "x": 2}));
}

pub(super) async fn getting_what_is_not_there_is_not_found(on: &Backend) {
    on.put("things/a", json!({})).await;
    assert_eq!(refused(on.get("things/b").await), Code::NotFound);
    assert_eq!(refused(on.get("things/a/parts/b").await), Code::NotFound);
}

pub(super) async fn getting_with_a_mask_returns_only_its_fields(on: &Backend) {
    on.put("things/a", json!({"n": 1, "m": {"x": 1, "y": 2}, "o": 3})).await;
    let got = |paths: &'static [&str]| async move {
        let request = GetDocumentRequest {
            name: on.name("things/a"),
            mask: Some(mask(paths)),
            ..Default::default()
        };
        shown(&on.client.clone().get_document(request).await.unwrap().into_inner().fields)
    };
    assert_eq!(got(&["n", "m.y", "absent"]).await, json!({"n": 1, "m": {"y": 2}}));
}

pub(super) async fn an_update_creates_what_is_not_there(on: &Backend) {
    let updated = update(on, &["n"], &json!({"n": 1, "x": 2}), None).await.unwrap();
    assert_eq!(shown(&updated.fields), json!({"n": 1}));
    assert_eq!(on.get("things/a").await.unwrap(), updated);
}

pub(super) async fn an_update_without_a_mask_replaces_the_document(on: &Backend) {
    on.put("things/a", json!({"n": 1, "x": 2})).await;
    let request = UpdateDocumentRequest {
        document: Some(document(on, "things/a", &json!({"n": 3}))),
        ..Default::default()
    };
    on.client.clone().update_document(request).await.unwrap();
    assert_eq!(on.read("things/a").await, json!({"n": 3}));
}

pub(super) async fn an_update_honours_its_precondition(on: &Backend) {
    let exists = Some(ConditionType::Exists(true));
    let outcome = update(on, &["n"], &json!({"n": 1}), exists).await;
    assert_eq!(refused(outcome), Code::NotFound);
    let old = on.put("things/a", json!({"n": 1})).await;
    on.put("things/a", json!({"n": 2})).await;
    let stale = Some(ConditionType::UpdateTime(old));
    let outcome = update(on, &["n"], &json!({"n": 3}), stale).await;
    assert_eq!(refused(outcome), Code::FailedPrecondition);
    assert_eq!(update(on, &["n"], &json!({"n": 3}), exists).await.unwrap().fields.len(), 1);
    assert_eq!(on.read("things/a").await, json!({"n": 3}));
}

pub(super) async fn an_update_returns_only_the_fields_asked_for(on: &Backend) {
    on.put("things/a", json!({"n": 1, "x": 2})).await;
    let request = UpdateDocumentRequest {
        document: Some(document(on, "things/a", &json!({"n": 3}))),
        update_mask: Some(mask(&["n"])),
        mask: Some(mask(&["x"])),
        ..Default::default()
    };
    let updated = on.client.clone().update_document(request).await.unwrap().into_inner();
    assert_eq!(shown(&updated.fields), json!({"x": 2}));
    assert_eq!(on.read("things/a").await, json!({"n": 3, "x": 2}));
}

pub(super) async fn deleting_what_is_not_there_succeeds(on: &Backend) {
    delete(on, "things/a", None).await.unwrap();
    on.put("things/a", json!({})).await;
    delete(on, "things/a", None).await.unwrap();
    assert_eq!(on.read("things/a").await, Json::Null);
}

pub(super) async fn deleting_honours_its_precondition(on: &Backend) {
    let exists = Some(ConditionType::Exists(true));
    assert_eq!(refused(delete(on, "things/a", exists).await), Code::NotFound);
    let old = on.put("things/a", json!({"n": 1})).await;
    let new = on.put("things/a", json!({"n": 2})).await;
    let stale = Some(ConditionType::UpdateTime(old));
    assert_eq!(refused(delete(on, "things/a", stale).await), Code::FailedPrecondition);
    assert_eq!(on.read("things/a").await, json!({"n": 2}));
    delete(on, "things/a", Some(ConditionType::UpdateTime(new))).await.unwrap();
    assert_eq!(on.read("things/a").await, Json::Null);
}

pub(super) async fn deleting_leaves_the_documents_below(on: &Backend) {
    on.put("things/a", json!({})).await;
    on.put("things/a/parts/p", json!({"n": 1})).await;
    delete(on, "things/a", None).await.unwrap();
    assert_eq!(on.read("things/a/parts/p").await, json!({"n": 1}));
}

pub(super) async fn a_document_created_again_is_a_new_one(on: &Backend) {
    let first = create(on, "a", &json!({"n": 1})).await.unwrap();
    delete(on, "things/a", None).await.unwrap();
    let second = create(on, "a", &json!({"n": 1})).await.unwrap();
    assert!(micros(second.create_time.unwrap()) > micros(first.create_time.unwrap()));
}

async fn create(on: &Backend, id: &str, json: &Json) -> Result<Document, Status> {
    let created = on.client.clone().create_document(creation(on, id, json)).await?;
    Ok(created.into_inner())
}

fn creation(on: &Backend, id: &str, json: &Json) -> CreateDocumentRequest {
    CreateDocumentRequest {
        parent: on.home.clone(),
        collection_id: "things".into(),
        document_id: id.into(),
        document: Some(Document { fields: fields(json), ..Default::default() }),
        ..Default::default()
    }
}

async fn update(
    on: &Backend,
    paths: &[&str],
    json: &Json,
    condition: Option<ConditionType>,
) -> Result<Document, Status> {
    let request = UpdateDocumentRequest {
        document: Some(document(on, "things/a", json)),
        update_mask: Some(mask(paths)),
        current_document: condition.map(precondition),
        ..Default::default()
    };
    Ok(on.client.clone().update_document(request).await?.into_inner())
}

async fn delete(on: &Backend, path: &str, condition: Option<ConditionType>) -> Result<(), Status> {
    let request = DeleteDocumentRequest {
        name: on.name(path),
        current_document: condition.map(precondition),
        ..Default::default()
    };
    on.client.clone().delete_document(request).await.map(|_| ())
}

fn document(on: &Backend, path: &str, json: &Json) -> Document {
    Document { name: on.name(path), fields: fields(json), ..Default::default() }
}
