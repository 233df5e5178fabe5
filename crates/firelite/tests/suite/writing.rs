use gcloud_sdk::google::firestore::v1::{
    BatchGetDocumentsRequest, CreateDocumentRequest, DeleteDocumentRequest, Document, DocumentMask,
    Precondition, UpdateDocumentRequest, Write,
    batch_get_documents_response::Result as Found,
    document_transform::{
        FieldTransform,
        field_transform::{ServerValue, TransformType},
    },
    precondition::ConditionType,
    value::ValueType,
};
use tonic::Code;

use super::support::*;

#[tokio::test]
async fn existence_preconditions_are_judged_with_googles_codes() {
    let fixture = Fixture::start().await;
    let mut client = fixture.client().await;
    commit(&mut client, vec![set("c/here", &[])]).await.unwrap();

    let create = |path| provided(ConditionType::Exists(false), set(path, &[]));
    let replace = |path| provided(ConditionType::Exists(true), set(path, &[]));
    let remove = |path| provided(ConditionType::Exists(true), delete(path));
    let here = format!("Document already exists: {ROOT}/c/here");
    let gone = format!("No document to update: {ROOT}/c/gone");
    assert_eq!(
        refusal(commit(&mut client, vec![create("c/here")]).await),
        (Code::AlreadyExists, here)
    );
    for write in [replace("c/gone"), remove("c/gone")] {
        assert_eq!(refusal(commit(&mut client, vec![write]).await), (Code::NotFound, gone.clone()));
    }
    for write in [replace("c/here"), create("c/new"), remove("c/here")] {
        commit(&mut client, vec![write]).await.unwrap();
    }
}

#[tokio::test]
async fn a_stale_update_time_is_refused_with_both_versions() {
    let fixture = Fixture::start().await;
    let mut client = fixture.client().await;
    let first = commit(&mut client, vec![set("c/d", &[("a", int(1))])]).await.unwrap();
    let first = micros(first.write_results[0].update_time);
    let at = |time, write| provided(ConditionType::UpdateTime(timestamp(time)), write);
    let second = vec![at(first, set("c/d", &[("a", int(2))]))];
    let second = micros(commit(&mut client, second).await.unwrap().write_results[0].update_time);

    for write in [set("c/d", &[("a", int(3))]), delete("c/d")] {
        let message = format!(
            "the stored version ({second}) does not match the required base version ({first})"
        );
        let refused = commit(&mut client, vec![at(first, write)]).await;
        assert_eq!(refusal(refused), (Code::FailedPrecondition, message));
    }
    let missing = refusal(commit(&mut client, vec![at(first, set("c/no", &[]))]).await);
    assert_eq!(missing.0, Code::FailedPrecondition);
    commit(&mut client, vec![at(second, delete("c/d"))]).await.unwrap();
    assert_eq!(get(&mut client, "c/d").await, None);
}

#[tokio::test]
async fn masks_reach_quoted_map_keys() {
    let fixture = Fixture::start().await;
    let mut client = fixture.client().await;
    let (a, b) = ("0123456789abcdefghjkmnpqrs", "zzzzzzzzzzzzzzzzzzzzzzzzzz");
    let entries = |key: &str, n| [("entries", map(&[(key, int(n))]))];
    commit(&mut client, vec![set("c/d", &[("keep", int(1))])]).await.unwrap();
    for (key, n) in [(a, 1), (b, 2)] {
        let path = format!("entries.`{key}`");
        commit(&mut client, vec![update("c/d", &[&path], &entries(key, n))]).await.unwrap();
    }
    let stored = get(&mut client, "c/d").await.unwrap();
    assert_eq!(stored.fields["entries"], map(&[(a, int(1)), (b, int(2))]));
    assert_eq!(stored.fields["keep"], int(1));

    let unquoted = update("c/d", &[&format!("entries.{a}")], &entries(a, 3));
    assert_eq!(refusal(commit(&mut client, vec![unquoted]).await).0, Code::InvalidArgument);

    let odd = "we`ird\\.key";
    let path = "entries.`we\\`ird\\\\.key`";
    commit(&mut client, vec![update("c/d", &[path], &entries(odd, 4))]).await.unwrap();
    let removed = update("c/d", &[&format!("entries.`{a}`")], &[]);
    commit(&mut client, vec![removed]).await.unwrap();
    let stored = get(&mut client, "c/d").await.unwrap();
    assert_eq!(stored.fields["entries"], map(&[(b, int(2)), (odd, int(4))]));
}

#[tokio::test]
async fn transforms_report_what_they_made() {
    let fixture = Fixture::start().await;
    let mut client = fixture.client().await;
    let transform = |path: &str, transform_type| FieldTransform {
        field_path: path.into(),
        transform_type: Some(transform_type),
    };
    let elements = |values: Vec<_>| match array(values).value_type {
        Some(ValueType::ArrayValue(array)) => array,
        other => panic!("{other:?}"),
    };
    commit(&mut client, vec![set("c/d", &[("n", int(5)), ("list", array(vec![int(1)]))])])
        .await
        .unwrap();
    let write = Write {
        update_transforms: vec![
            transform("at", TransformType::SetToServerValue(ServerValue::RequestTime.into())),
            transform("n", TransformType::Increment(int(2))),
            transform("high", TransformType::Maximum(int(9))),
            transform("n", TransformType::Minimum(int(3))),
            transform("list", TransformType::AppendMissingElements(elements(vec![int(1), int(2)]))),
            transform("list", TransformType::RemoveAllFromArray(elements(vec![int(1)]))),
        ],
        ..update("c/d", &["x"], &[("x", int(1))])
    };
    let reply = commit(&mut client, vec![write]).await.unwrap();
    let results = &reply.write_results[0].transform_results;
    let millis = micros(reply.commit_time) / 1_000 * 1_000;
    assert_eq!(results[..4], [instant(millis), int(7), int(9), int(3)]);
    let stored = get(&mut client, "c/d").await.unwrap().fields;
    assert_eq!(stored["at"], instant(millis));
    assert_eq!((&stored["n"], &stored["high"], &stored["x"]), (&int(3), &int(9), &int(1)));
    assert_eq!(stored["list"], array(vec![int(2)]));
}

#[tokio::test]
async fn a_write_without_effect_keeps_the_update_time() {
    let fixture = Fixture::start().await;
    let mut client = fixture.client().await;
    let write = || vec![set("c/d", &[("a", int(1))])];
    let first = commit(&mut client, write()).await.unwrap();
    let second = commit(&mut client, write()).await.unwrap();
    assert_eq!(first.write_results[0].update_time, second.write_results[0].update_time);
    assert!(micros(second.commit_time) > micros(first.commit_time));
    let stored = get(&mut client, "c/d").await.unwrap();
    assert_eq!(stored.update_time, first.commit_time);
    let third = commit(&mut client, vec![set("c/d", &[("a", int(2))])]).await.unwrap();
    let stored = get(&mut client, "c/d").await.unwrap();
    assert_eq!((stored.create_time, stored.update_time), (first.commit_time, third.commit_time));
}

#[tokio::test]
async fn a_commit_is_applied_as_a_whole_or_not_at_all() {
    let fixture = Fixture::start().await;
    let mut client = fixture.client().await;
    let refused = vec![
        set("c/a", &[("a", int(1))]),
        delete("c/b"),
        provided(ConditionType::Exists(true), set("c/missing", &[])),
    ];
    commit(&mut client, vec![set("c/b", &[])]).await.unwrap();
    assert_eq!(refusal(commit(&mut client, refused).await).0, Code::NotFound);
    assert_eq!(get(&mut client, "c/a").await, None);
    assert!(get(&mut client, "c/b").await.is_some());

    let several =
        vec![set("c/a", &[("a", int(1))]), update("c/a", &["b"], &[("b", int(2))]), delete("c/b")];
    let reply = commit(&mut client, several).await.unwrap();
    assert_eq!(reply.write_results[0].update_time, reply.commit_time);
    assert_eq!(reply.write_results[2].update_time, None);
    let stored = get(&mut client, "c/a").await.unwrap();
    assert_eq!(stored.fields, document("c/a", &[("a", int(1)), ("b", int(2))]).fields);
    assert_eq!(get(&mut client, "c/b").await, None);
}

#[tokio::test]
async fn commit_times_increase_strictly_also_over_a_restart() {
    let mut fixture = Fixture::start().await;
    let mut times = Vec::new();
    for round in 0..3 {
        let mut client = fixture.client().await;
        for n in 0..20 {
            let reply = commit(&mut client, vec![set("c/d", &[("n", int(round * 20 + n))])]).await;
            times.push(micros(reply.unwrap().commit_time));
        }
        fixture.stop().await;
        fixture.start_again().await;
    }
    assert!(times.is_sorted_by(|a, b| a < b), "{times:?}");
    let mut client = fixture.client().await;
    let stored = get(&mut client, "c/d").await.unwrap();
    assert_eq!(stored.fields["n"], int(59));
    assert_eq!(Some(&micros(stored.update_time)), times.last());
}

#[tokio::test]
async fn one_document_calls_answer_with_the_document() {
    let fixture = Fixture::start().await;
    let mut client = fixture.client().await;
    let create = |id: &str| CreateDocumentRequest {
        parent: ROOT.into(),
        collection_id: "c".into(),
        document_id: id.into(),
        document: Some(Document {
            fields: document("c/d", &[("a", int(1)), ("b", int(2))]).fields,
            ..Document::default()
        }),
        mask: Some(DocumentMask { field_paths: vec!["a".into()] }),
        ..CreateDocumentRequest::default()
    };
    let created = client.create_document(create("d")).await.unwrap().into_inner();
    assert_eq!(created.name, name("c/d"));
    assert_eq!(created.fields, document("c/d", &[("a", int(1))]).fields);
    assert_eq!(client.create_document(create("d")).await.unwrap_err().code(), Code::AlreadyExists);
    let named = client.create_document(create("")).await.unwrap().into_inner();
    assert_eq!(named.name.len(), name("c/").len() + 20);

    let update = UpdateDocumentRequest {
        document: Some(document("c/d", &[("b", int(3))])),
        update_mask: Some(DocumentMask { field_paths: vec!["b".into()] }),
        ..UpdateDocumentRequest::default()
    };
    let updated = client.update_document(update).await.unwrap().into_inner();
    assert_eq!(updated.fields, document("c/d", &[("a", int(1)), ("b", int(3))]).fields);
    assert_eq!(updated.create_time, created.create_time);

    let delete = |exists: Option<bool>| DeleteDocumentRequest {
        name: name("c/d"),
        current_document: exists
            .map(|exists| Precondition { condition_type: Some(ConditionType::Exists(exists)) }),
        ..DeleteDocumentRequest::default()
    };
    client.delete_document(delete(Some(true))).await.unwrap();
    client.delete_document(delete(None)).await.unwrap();
    let again = client.delete_document(delete(Some(true))).await.unwrap_err();
    assert_eq!(again.code(), Code::NotFound);
}

#[tokio::test]
async fn a_batch_says_what_is_found_and_what_is_missing() {
    let fixture = Fixture::start().await;
    let mut client = fixture.client().await;
    commit(&mut client, vec![set("c/a", &[("a", int(1)), ("b", int(2))])]).await.unwrap();
    let request = BatchGetDocumentsRequest {
        database: DATABASE.into(),
        documents: vec![name("c/a"), name("c/no")],
        mask: Some(DocumentMask { field_paths: vec!["b".into()] }),
        ..BatchGetDocumentsRequest::default()
    };
    let mut stream = client.batch_get_documents(request).await.unwrap().into_inner();
    let mut found = Vec::new();
    while let Some(reply) = stream.message().await.unwrap() {
        assert!(reply.read_time.is_some());
        found.push(match reply.result.unwrap() {
            Found::Found(document) => (document.name, document.fields.len()),
            Found::Missing(name) => (name, 0),
        });
    }
    assert_eq!(found, [(name("c/a"), 1), (name("c/no"), 0)]);
}

#[tokio::test]
async fn projects_and_databases_are_kept_apart() {
    let fixture = Fixture::start().await;
    let mut client = fixture.client().await;
    commit(&mut client, vec![set("c/d", &[])]).await.unwrap();
    let other = "projects/other/databases/(default)/documents/c/d";
    let request = gcloud_sdk::google::firestore::v1::GetDocumentRequest {
        name: other.into(),
        ..Default::default()
    };
    assert_eq!(client.get_document(request).await.unwrap_err().code(), Code::NotFound);
    let foreign = Write {
        operation: Some(gcloud_sdk::google::firestore::v1::write::Operation::Delete(other.into())),
        ..Write::default()
    };
    assert_eq!(refusal(commit(&mut client, vec![foreign]).await).0, Code::InvalidArgument);
}
