//! Reading many documents by name: lists with their pages, and batches.

use gcloud_sdk::google::firestore::v1::batch_get_documents_request::ConsistencySelector;
use gcloud_sdk::google::firestore::v1::batch_get_documents_response::Result as Got;
use gcloud_sdk::google::firestore::v1::get_document_request;
use gcloud_sdk::google::firestore::v1::{
    BatchGetDocumentsRequest, BatchGetDocumentsResponse, GetDocumentRequest, ListDocumentsRequest,
    ListDocumentsResponse,
};
use serde_json::{Value as Json, json};
use tonic::{Code, Status};

use super::backend::{Backend, id, refused};
use super::messages::mask;
use super::values::shown;

pub(super) async fn a_list_is_in_the_order_of_names(on: &Backend) {
    on.seed("things", json!({"b": {}, "a": {"n": 1}, "B": {}, "a1": {}, "1": {}})).await;
    let listed = list(on, things(on)).await.unwrap();
    assert_eq!(names(&listed), "1 B a a1 b");
    assert_eq!(shown(&listed.documents[2].fields), json!({"n": 1}));
    assert_eq!(listed.next_page_token, "");
}

pub(super) async fn a_list_of_nothing_is_empty(on: &Backend) {
    let listed = list(on, things(on)).await.unwrap();
    assert_eq!(listed, ListDocumentsResponse::default());
}

pub(super) async fn a_list_neither_descends_nor_strays(on: &Backend) {
    on.seed("things", json!({"a": {}, "b": {}})).await;
    on.put("things/a/parts/p", json!({})).await;
    on.put("others/o", json!({})).await;
    assert_eq!(names(&list(on, things(on)).await.unwrap()), "a b");
}

pub(super) async fn pages_join_without_a_gap_or_a_repetition(on: &Backend) {
    on.seed("things", json!({"a": {}, "b": {}, "c": {}, "d": {}, "e": {}})).await;
    let mut seen = Vec::new();
    let mut page_token = String::new();
    for _ in 0..4 {
        let request = ListDocumentsRequest { page_size: 2, page_token, ..things(on) };
        let page = list(on, request).await.unwrap();
        assert!(page.documents.len() <= 2);
        seen.push(names(&page));
        page_token = page.next_page_token;
        if page_token.is_empty() {
            break;
        }
    }
    assert_eq!(seen.join(" ").trim(), "a b c d e");
    assert_eq!(page_token, "");
}

pub(super) async fn a_page_token_that_is_none_is_refused(on: &Backend) {
    on.seed("things", json!({"a": {}, "b": {}})).await;
    let request = ListDocumentsRequest { page_token: "nonsense".into(), ..things(on) };
    assert_eq!(refused(list(on, request).await), Code::InvalidArgument);
}

pub(super) async fn a_list_with_a_mask_has_only_its_fields(on: &Backend) {
    on.seed("things", json!({"a": {"n": 1, "x": 2}, "b": {"x": 3}})).await;
    let listed = list(on, ListDocumentsRequest { mask: Some(mask(&["n"])), ..things(on) }).await;
    let listed = listed.unwrap();
    assert_eq!(names(&listed), "a b");
    assert_eq!(shown(&listed.documents[0].fields), json!({"n": 1}));
    assert_eq!(shown(&listed.documents[1].fields), json!({}));
}

pub(super) async fn a_list_can_be_in_the_order_of_a_field(on: &Backend) {
    on.seed("things", json!({"a": {"n": 1}, "b": {"n": 3}, "c": {"n": 2}, "d": {}})).await;
    let listed = list(on, ListDocumentsRequest { order_by: "n desc".into(), ..things(on) }).await;
    assert_eq!(names(&listed.unwrap()), "b c a");
}

pub(super) async fn a_list_shows_missing_parents_on_request(on: &Backend) {
    on.put("things/b", json!({"n": 1})).await;
    on.put("things/a/parts/p", json!({})).await;
    assert_eq!(names(&list(on, things(on)).await.unwrap()), "b");
    let request = ListDocumentsRequest { show_missing: true, ..things(on) };
    let listed = list(on, request).await.unwrap();
    assert_eq!(names(&listed), "a b");
    let (missing, present) = (&listed.documents[0], &listed.documents[1]);
    assert!(missing.create_time.is_none() && missing.update_time.is_none());
    assert!(present.create_time.is_some() && present.update_time.is_some());
}

pub(super) async fn a_batch_tells_what_is_there_and_what_is_not(on: &Backend) {
    on.seed("things", json!({"a": {"n": 1}, "c": {"n": 3}})).await;
    let got = batch(on, &["things/a", "things/b", "things/c"], None).await.unwrap();
    assert_eq!(
        told(on, &got),
        json!({"things/a": {"n": 1}, "things/b": null, "things/c": {"n": 3}})
    );
}

pub(super) async fn a_batch_is_read_at_one_time(on: &Backend) {
    on.seed("things", json!({"a": {}, "b": {}})).await;
    let got = batch(on, &["things/a", "things/b", "things/c"], None).await.unwrap();
    let times: Vec<_> = got.iter().map(|reply| reply.read_time.unwrap()).collect();
    assert_eq!(times, [times[0]; 3]);
    let Some(Got::Found(document)) = &got[0].result else { panic!("{got:?}") };
    let (read, updated) = (times[0], document.update_time.unwrap());
    assert!((read.seconds, read.nanos) >= (updated.seconds, updated.nanos));
}

pub(super) async fn a_name_twice_in_a_batch_is_answered_once(on: &Backend) {
    on.put("things/a", json!({"n": 1})).await;
    let got = batch(on, &["things/a", "things/a", "things/b", "things/b"], None).await.unwrap();
    assert_eq!(got.len(), 2, "{got:?}");
    assert_eq!(told(on, &got), json!({"things/a": {"n": 1}, "things/b": null}));
}

pub(super) async fn a_batch_with_a_mask_has_only_its_fields(on: &Backend) {
    on.put("things/a", json!({"n": 1, "m": {"x": 1, "y": 2}})).await;
    let request = BatchGetDocumentsRequest {
        mask: Some(mask(&["m.x"])),
        ..batch_request(on, &["things/a", "things/b"])
    };
    let got = answers(on, request).await.unwrap();
    assert_eq!(told(on, &got), json!({"things/a": {"m": {"x": 1}}, "things/b": null}));
}

pub(super) async fn a_batch_of_another_database_is_refused(on: &Backend) {
    let mut request = batch_request(on, &["things/a"]);
    request.documents.push("projects/another/databases/(default)/documents/things/a".into());
    assert_eq!(refused(answers(on, request).await), Code::InvalidArgument);
}

pub(super) async fn a_batch_can_read_what_stood_before(on: &Backend) {
    on.put("things/a", json!({"n": 1})).await;
    let before = batch(on, &["things/a"], None).await.unwrap()[0].read_time.unwrap();
    on.put("things/a", json!({"n": 2})).await;
    let then = Some(ConsistencySelector::ReadTime(before));
    let got = batch(on, &["things/a"], then).await.unwrap();
    assert_eq!(told(on, &got), json!({"things/a": {"n": 1}}));
}

pub(super) async fn a_read_in_the_past_finds_what_was_deleted_since(on: &Backend) {
    let written = on.put("things/a", json!({"n": 1})).await;
    on.write(on.delete("things/a")).await;
    let request = GetDocumentRequest {
        name: on.name("things/a"),
        consistency_selector: Some(get_document_request::ConsistencySelector::ReadTime(written)),
        ..Default::default()
    };
    let got = on.client.clone().get_document(request).await.unwrap().into_inner();
    assert_eq!(shown(&got.fields), json!({"n": 1}));
}

fn things(on: &Backend) -> ListDocumentsRequest {
    ListDocumentsRequest {
        parent: on.home.clone(),
        collection_id: "things".into(),
        ..Default::default()
    }
}

async fn list(
    on: &Backend,
    request: ListDocumentsRequest,
) -> Result<ListDocumentsResponse, Status> {
    Ok(on.client.clone().list_documents(request).await?.into_inner())
}

fn names(listed: &ListDocumentsResponse) -> String {
    listed.documents.iter().map(id).collect::<Vec<_>>().join(" ")
}

async fn batch(
    on: &Backend,
    paths: &[&str],
    consistency_selector: Option<ConsistencySelector>,
) -> Result<Vec<BatchGetDocumentsResponse>, Status> {
    let request = BatchGetDocumentsRequest { consistency_selector, ..batch_request(on, paths) };
    answers(on, request).await
}

fn batch_request(on: &Backend, paths: &[&str]) -> BatchGetDocumentsRequest {
    BatchGetDocumentsRequest {
        database: on.database.clone(),
        documents: paths.iter().map(|path| on.name(path)).collect(),
        ..Default::default()
    }
}

/// The answers that are about a document; they may come in any order.
async fn answers(
    on: &Backend,
    request: BatchGetDocumentsRequest,
) -> Result<Vec<BatchGetDocumentsResponse>, Status> {
    let mut stream = on.client.clone().batch_get_documents(request).await?.into_inner();
    let mut answers = Vec::new();
    while let Some(answer) = stream.message().await? {
        answers.extend(Some(answer).filter(|answer| answer.result.is_some()));
    }
    Ok(answers)
}

/// The fields of what was found, null for what was not, by path.
fn told(on: &Backend, got: &[BatchGetDocumentsResponse]) -> Json {
    let path = |name: &str| name.strip_prefix(&on.home).unwrap()[1..].to_owned();
    let each = got.iter().map(|reply| match reply.result.as_ref().unwrap() {
        Got::Found(document) => (path(&document.name), shown(&document.fields)),
        Got::Missing(name) => (path(name), Json::Null),
    });
    each.collect()
}
