use gcloud_sdk::google::firestore::v1::{
    DocumentMask, ListDocumentsRequest, list_documents_request::ConsistencySelector,
};
use tonic::Code;

use super::support::*;

#[tokio::test]
async fn a_list_has_the_order_that_is_asked_for() {
    let fixture = Fixture::start().await;
    let mut client = fixture.client().await;
    let writes = [("a", 2), ("b", 1), ("c", 2), ("d", 0)]
        .map(|(id, n)| set(&format!("things/{id}"), &[("n", int(n))]));
    commit(&mut client, writes.to_vec()).await.unwrap();
    commit(&mut client, vec![set("things/none", &[])]).await.unwrap();
    for (order_by, expected) in [
        ("", "a b c d none"),
        ("__name__", "a b c d none"),
        ("__name__ desc", "none d c b a"),
        ("n", "d b a c"),
        (" n asc , __name__ asc", "d b a c"),
        ("n desc", "c a b d"),
    ] {
        for page_size in [1, 2, 5] {
            let request =
                ListDocumentsRequest { order_by: order_by.into(), page_size, ..list("things") };
            assert_eq!(pages(&mut client, request).await, expected, "{order_by} by {page_size}");
        }
    }
    let long = (0..101).map(|n| format!("f{n}")).collect::<Vec<_>>().join(",");
    for bad in ["n down", "n,,x", "n, n", "0", "n desc desc", "__x__", &long] {
        let request = ListDocumentsRequest { order_by: bad.into(), ..list("things") };
        let refused = refusal(client.list_documents(request).await);
        assert_eq!(refused.0, Code::InvalidArgument, "{bad}");
    }
    let unlisted = ListDocumentsRequest { order_by: "n".into(), ..list("requests") };
    assert_eq!(refusal(client.list_documents(unlisted).await).0, Code::FailedPrecondition);
}

#[tokio::test]
async fn missing_documents_are_listed_by_name_alone() {
    let fixture = Fixture::start().await;
    let mut client = fixture.client().await;
    let paths = ["m/b", "m/a/sub/x", "m/c/sub/deep/sub/x", "m/b/sub/x", "m/d/sub/x", "mm/e/sub/x"];
    commit(&mut client, paths.map(|path| set(path, &[("n", int(1))])).to_vec()).await.unwrap();
    commit(&mut client, vec![delete("m/d/sub/x")]).await.unwrap();
    for page_size in 1..4 {
        let request = ListDocumentsRequest { show_missing: true, page_size, ..list("m") };
        assert_eq!(pages(&mut client, request).await, "a? b c?", "by {page_size}");
    }
    assert_eq!(pages(&mut client, list("m")).await, "b");
    commit(&mut client, vec![set("n/a", &[])]).await.unwrap();
    let all = ListDocumentsRequest { page_size: 1, ..list("") };
    assert_eq!(pages(&mut client, all).await, "b a");
    let ordered = ListDocumentsRequest { show_missing: true, order_by: "n".into(), ..list("m") };
    assert_eq!(refusal(client.list_documents(ordered).await).0, Code::InvalidArgument);
}

#[tokio::test]
async fn a_list_can_be_of_the_past_and_of_some_fields() {
    let fixture = Fixture::start().await;
    let mut client = fixture.client().await;
    let writes = vec![set("things/a", &[("n", int(1)), ("x", int(1))]), set("things/b", &[])];
    let then = commit(&mut client, writes).await.unwrap().commit_time.unwrap();
    commit(&mut client, vec![delete("things/a"), set("things/c", &[])]).await.unwrap();
    assert_eq!(pages(&mut client, list("things")).await, "b c");
    let request = ListDocumentsRequest {
        consistency_selector: Some(ConsistencySelector::ReadTime(then)),
        mask: Some(DocumentMask { field_paths: vec!["n".into()] }),
        ..list("things")
    };
    assert_eq!(pages(&mut client, request.clone()).await, "a b");
    let listed = client.list_documents(request).await.unwrap().into_inner().documents;
    assert_eq!(listed[0].fields, document("c/d", &[("n", int(1))]).fields);
}

#[tokio::test]
async fn a_negative_page_is_refused() {
    let fixture = Fixture::start().await;
    let mut client = fixture.client().await;
    let request = ListDocumentsRequest { page_size: -1, ..list("things") };
    let message = "Page size must be nonnegative.".to_owned();
    let refused = refusal(client.list_documents(request).await);
    assert_eq!(refused, (Code::InvalidArgument, message));
}

#[tokio::test]
async fn a_token_is_good_for_its_own_list_alone() {
    let fixture = Fixture::start().await;
    let mut client = fixture.client().await;
    let writes = [0, 1, 2].map(|n| set(&format!("things/{n}"), &[("n", int(n))]));
    commit(&mut client, writes.to_vec()).await.unwrap();
    let first = ListDocumentsRequest { page_size: 1, ..list("things") };
    let token = client.list_documents(first).await.unwrap().into_inner().next_page_token;
    let next =
        |page_token: &str| ListDocumentsRequest { page_token: page_token.into(), ..list("things") };
    assert_eq!(pages(&mut client, next(&token)).await, "1 2");
    let damaged = format!("{}A", &token[..token.len() - 1]);
    for bad in [
        next("nonsense"),
        next("!"),
        next("AA"),
        next(&damaged),
        ListDocumentsRequest { order_by: "n".into(), ..next(&token) },
        ListDocumentsRequest { collection_id: "others".into(), ..next(&token) },
    ] {
        let refused = refusal(client.list_documents(bad).await);
        assert_eq!(refused, (Code::InvalidArgument, "invalid page token".into()));
    }
}

fn list(collection_id: &str) -> ListDocumentsRequest {
    ListDocumentsRequest {
        parent: ROOT.into(),
        collection_id: collection_id.into(),
        ..ListDocumentsRequest::default()
    }
}

/// The ids of all pages; those of missing documents with a question mark.
async fn pages(client: &mut Client, mut request: ListDocumentsRequest) -> String {
    let mut ids = Vec::new();
    loop {
        let page = client.list_documents(request.clone()).await.unwrap().into_inner();
        if request.page_size > 0 {
            assert!(page.documents.len() <= usize::try_from(request.page_size).unwrap());
        }
        for document in page.documents {
            let id = document.name.rsplit('/').next().unwrap().to_owned();
            ids.push(if document.create_time.is_some() { id } else { format!("{id}?") });
        }
        request.page_token = page.next_page_token;
        if request.page_token.is_empty() {
            return ids.join(" ");
        }
    }
}
