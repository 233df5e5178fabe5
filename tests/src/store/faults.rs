//! Lost answers, cut connections, servers that come and go.

use std::time::Duration;

use curfew_firestore::{Auth, BearerToken, FirestoreStore};
use curfew_ports::{Committed, PortError, RequestStore, RetryClass};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::backend::Backend;
use super::cases::read;
use super::proxy::Proxy;
use super::samples::{Sample, entry, observed};
use super::watching::Watched;
use crate::eventually::eventually;

/// How long a write may take to be seen by another client.
const SEEN_WITHIN: Duration = Duration::from_secs(10);

pub(super) async fn a_lost_answer_to_filing_is_still_success(backend: Backend) {
    let sample = Sample::new();
    let lossy = Lossy::new(&backend).await;
    let filing = lossy.create(&sample);
    eventually("the request is filed", SEEN_WITHIN, || exists(&lossy.direct, &sample)).await;
    let filed = lossy.lose_answer(filing).await.unwrap();
    let found = read(&lossy.direct, &sample).await;
    assert_eq!((found.version, found.created_at), (filed.version, filed.at));
}

pub(super) async fn a_lost_answer_to_filing_what_another_filed_is_not(backend: Backend) {
    let sample = Sample::new();
    let other = Sample { person: "bob", ..sample.clone() };
    let lossy = Lossy::new(&backend).await;
    lossy.direct.create(&sample.id, &other.spec()).await.unwrap();
    let filing = lossy.create(&sample);
    let error = lossy.lose_answer(filing).await.unwrap_err();
    assert_eq!(error.class, RetryClass::AlreadyExists, "{}", error.chain());
    assert_eq!(read(&lossy.direct, &sample).await.spec, Some(other.spec()));
}

pub(super) async fn a_lost_answer_to_a_commit_is_still_success(backend: Backend) {
    let sample = Sample::new();
    let lossy = Lossy::new(&backend).await;
    lossy.direct.create(&sample.id, &sample.spec()).await.unwrap();
    let (nonce, act) = entry(1);
    let acted = lossy.direct.add_entry(&sample.id, &nonce, &act).await.unwrap();
    let mut commit = sample.commit(acted.version);
    commit.status.observed_entries = vec![observed(&nonce)];
    let committing = lossy.start(move |store| async move { store.commit(&commit).await });
    eventually("the facts stand", SEEN_WITHIN, || has_facts(&lossy.direct, &sample)).await;
    let committed = lossy.lose_answer(committing).await.unwrap();
    assert_eq!(read(&lossy.direct, &sample).await.version, committed.version);
}

/// The version would say that the act was judged.
pub(super) async fn a_lost_answer_to_a_commit_behind_an_unseen_act_is_a_conflict(backend: Backend) {
    let sample = Sample::new();
    let lossy = Lossy::new(&backend).await;
    let filed = lossy.direct.create(&sample.id, &sample.spec()).await.unwrap();
    let commit = sample.commit(filed.version);
    let committing = lossy.start(move |store| async move { store.commit(&commit).await });
    eventually("the facts stand", SEEN_WITHIN, || has_facts(&lossy.direct, &sample)).await;
    let (nonce, act) = entry(1);
    lossy.direct.add_entry(&sample.id, &nonce, &act).await.unwrap();
    let error = lossy.lose_answer(committing).await.unwrap_err();
    assert_eq!(error.class, RetryClass::Conflict, "{}", error.chain());
}

pub(super) async fn a_server_that_does_not_answer_is_unavailable_in_time(backend: Backend) {
    let proxy = Proxy::to(backend.address).await;
    let mut options = backend.options(proxy.address);
    options.call_time_max = Duration::from_millis(200);
    options.retry_time_max = Duration::from_millis(500);
    let store = FirestoreStore::connect(options).await.unwrap();
    proxy.hold_answers();
    let sample = Sample::new();
    let started = Instant::now();
    let ids = std::slice::from_ref(&sample.id);
    let errors = [
        store.create(&sample.id, &sample.spec()).await.map(drop).unwrap_err(),
        store.get(ids).await.map(drop).unwrap_err(),
        store.live().await.map(drop).unwrap_err(),
    ];
    for error in errors {
        assert_eq!(error.class, RetryClass::Unavailable, "{}", error.chain());
    }
    // Three times 0.7 s and the last wait; the rest is for a busy machine.
    assert!(started.elapsed() < Duration::from_secs(15), "{:?}", started.elapsed());
}

pub(super) async fn the_watch_goes_on_after_its_connection_is_cut(backend: Backend) {
    let proxy = Proxy::to(backend.address).await;
    let watching = FirestoreStore::connect(backend.options(proxy.address)).await.unwrap();
    let (store, raw) = (backend.store().await, backend.raw().await);
    let [stays, goes, comes] = [Sample::new(), Sample::new(), Sample::new()];
    store.create(&stays.id, &stays.spec()).await.unwrap();
    store.create(&goes.id, &goes.spec()).await.unwrap();
    let mut watch = Watched::new(&watching);
    watch.changed(&goes.id, |_| true).await;
    watch.current().await;

    proxy.hold_answers();
    raw.delete(&goes.path()).await;
    let filed = store.create(&comes.id, &comes.spec()).await.unwrap();
    proxy.cut();
    watch.interrupted().await;
    // Either order is right.
    let told = watch.changed_and_gone(&comes.id, &goes.id).await;
    assert_eq!(told.version, filed.version);
    watch.current().await;
}

pub(super) async fn another_token_is_denied(backend: Backend) {
    let mut options = backend.options(backend.address);
    options.auth = Auth::Bearer(BearerToken("guess".into()));
    let store = FirestoreStore::connect(options).await.unwrap();
    let sample = Sample::new();
    let error = store.create(&sample.id, &sample.spec()).await.unwrap_err();
    assert_eq!(error.class, RetryClass::Denied, "{}", error.chain());
    let error = store.live().await.unwrap_err();
    assert_eq!(error.class, RetryClass::Denied, "{}", error.chain());
}

pub(super) async fn store_and_watch_go_on_after_the_server_restarts(mut backend: Backend) {
    let mut options = backend.options(backend.address);
    options.retry_time_max = Duration::from_millis(200);
    let store = FirestoreStore::connect(options).await.unwrap();
    let sample = Sample::new();
    store.create(&sample.id, &sample.spec()).await.unwrap();
    let mut watch = Watched::new(&store);
    watch.changed(&sample.id, |_| true).await;
    watch.current().await;

    backend.stop().await;
    let (nonce, act) = entry(1);
    let error = store.add_entry(&sample.id, &nonce, &act).await.unwrap_err();
    assert_eq!(error.class, RetryClass::Unavailable, "{}", error.chain());
    watch.interrupted().await;
    backend.start_again().await;
    let acting = || async { store.add_entry(&sample.id, &nonce, &act).await.ok() };
    let acted = eventually("the act is added", SEEN_WITHIN, acting).await;
    let told = watch.changed(&sample.id, |request| !request.entries.is_empty()).await;
    assert_eq!(told.version, acted.version);
}

/// A store whose answers get lost, and one beside it whose do not.
struct Lossy {
    proxy: Proxy,
    store: FirestoreStore,
    direct: FirestoreStore,
}

impl Lossy {
    async fn new(backend: &Backend) -> Self {
        let proxy = Proxy::to(backend.address).await;
        let lossy = FirestoreStore::connect(backend.options(proxy.address)).await.unwrap();
        Self { proxy, store: lossy, direct: backend.store().await }
    }

    /// Begins a call whose answer does not come.
    fn start<F>(
        &self,
        call: impl FnOnce(FirestoreStore) -> F + Send + 'static,
    ) -> JoinHandle<Result<Committed, PortError>>
    where
        F: Future<Output = Result<Committed, PortError>> + Send + 'static,
    {
        self.proxy.hold_answers();
        let store = self.store.clone();
        tokio::spawn(async move { call(store).await })
    }

    fn create(&self, sample: &Sample) -> JoinHandle<Result<Committed, PortError>> {
        let (id, spec) = (sample.id.clone(), sample.spec());
        self.start(move |store| async move { store.create(&id, &spec).await })
    }

    /// Cuts the connection under the call, which then goes on by itself.
    async fn lose_answer(
        &self,
        call: JoinHandle<Result<Committed, PortError>>,
    ) -> Result<Committed, PortError> {
        assert!(!call.is_finished(), "the answer was to be held back");
        self.proxy.cut();
        tokio::time::timeout(SEEN_WITHIN, call).await.unwrap().unwrap()
    }
}

async fn exists(store: &FirestoreStore, sample: &Sample) -> Option<()> {
    let found = store.get(std::slice::from_ref(&sample.id)).await.unwrap();
    found.contains_key(&sample.id).then_some(())
}

async fn has_facts(store: &FirestoreStore, sample: &Sample) -> Option<()> {
    (!read(store, sample).await.facts.is_empty()).then_some(())
}
