//! Lists: order, pages and filters.

use curfew_core::id::RequestId;
use curfew_core::phase::Phase;
use curfew_firestore::FirestoreStore;
use curfew_ports::{ListQuery, RequestStore, RetryClass};

use super::backend::Backend;
use super::raw::{map, text, time};
use super::samples::{Sample, at, status};

pub(super) async fn pages_hold_every_request_once_newest_first(backend: Backend) {
    let store = backend.store().await;
    // Two at one instant: the id decides between them, and a page may end there.
    let times = [3, 1, 2, 2, 5, 4, 0];
    let mut samples = Vec::new();
    for seconds in times {
        samples.push(file(&store, Sample { requested_at: at(seconds), ..Sample::new() }).await);
    }
    samples.sort_by(|a, b| (b.requested_at, &b.id).cmp(&(a.requested_at, &a.id)));
    let expected: Vec<RequestId> = samples.iter().map(|sample| sample.id.clone()).collect();
    for page_size in [1, 2, 3, 7, 8] {
        let query = ListQuery { page_size, ..Default::default() };
        let (pages, found) = all(&store, query).await;
        assert_eq!(found, expected, "pages of {page_size}");
        assert_eq!(pages, 7_usize.div_ceil(usize::try_from(page_size).unwrap()));
    }
}

pub(super) async fn filters_select_and_combine(backend: Backend) {
    let store = backend.store().await;
    let new = |person, resource, seconds| Sample {
        person,
        resource,
        requested_at: at(seconds),
        ..Sample::new()
    };
    let a = file(&store, new("alice", "projects/demo-web", 1)).await;
    let b = file(&store, new("alice", "projects/demo-data", 2)).await;
    let c = file(&store, new("bob", "projects/demo-web", 3)).await;
    let d = file(&store, new("bob", "projects/demo-web", 4)).await;
    for sample in [&b, &d] {
        let found = super::cases::read(&store, sample).await;
        let mut commit = sample.commit(found.version);
        commit.status = status(Phase::Active);
        store.commit(&commit).await.unwrap();
    }
    let alice = Some(a.subject());
    let web = Some("projects/demo-web".to_owned());
    let active = Some("ACTIVE".to_owned());
    let cases: [(_, _, _, &[&Sample]); 8] = [
        (None, None, None, &[&d, &c, &b, &a]),
        (alice.clone(), None, None, &[&b, &a]),
        (None, web.clone(), None, &[&d, &c, &a]),
        (None, None, active.clone(), &[&d, &b]),
        (alice.clone(), web.clone(), None, &[&a]),
        (alice.clone(), None, active.clone(), &[&b]),
        (None, web.clone(), active.clone(), &[&d]),
        (alice, web, active, &[]),
    ];
    for (requester, resource, phase, expected) in cases {
        let query = ListQuery { requester, resource, phase, page_size: 1, page_token: None };
        let expected: Vec<RequestId> = expected.iter().map(|sample| sample.id.clone()).collect();
        assert_eq!(all(&store, query.clone()).await.1, expected, "{query:?}");
        let query = ListQuery { page_size: 50, ..query };
        assert_eq!(all(&store, query.clone()).await.1, expected, "{query:?}");
    }
}

pub(super) async fn a_document_that_is_no_request_does_not_end_a_list(backend: Backend) {
    let (store, raw) = (backend.store().await, backend.raw().await);
    let old = file(&store, Sample { requested_at: at(-10), ..Sample::new() }).await;
    let new = file(&store, Sample { requested_at: at(10), ..Sample::new() }).await;
    raw.set("requests/hostile", [("specView", map([("requestedAt", time(1_790_000_000))]))]).await;
    for bad in [text("9999"), map([])] {
        let path = format!("requests/{}", RequestId::from_bits(rand::random()));
        raw.set(&path, [("specView", map([("requestedAt", bad)]))]).await;
    }
    let query = ListQuery { page_size: 1, ..Default::default() };
    assert_eq!(all(&store, query.clone()).await.1, [new.id, old.id]);
    let forged = ListQuery { page_token: Some("Li4vLi4".into()), ..query };
    assert_eq!(store.list(&forged).await.unwrap_err().class, RetryClass::Invalid);
}

async fn file(store: &FirestoreStore, sample: Sample) -> Sample {
    store.create(&sample.id, &sample.spec()).await.unwrap();
    sample
}

/// Every page of a list: how many, and what they hold.
async fn all(store: &FirestoreStore, mut query: ListQuery) -> (usize, Vec<RequestId>) {
    let (mut pages, mut found) = (0, Vec::new());
    loop {
        let page = store.list(&query).await.unwrap();
        assert!(page.requests.len() <= usize::try_from(query.page_size).unwrap());
        pages += 1;
        found.extend(page.requests.into_iter().map(|request| request.id));
        assert!(pages < 50, "the list does not end");
        let Some(token) = page.next_page_token else { return (pages, found) };
        query.page_token = Some(token);
    }
}
