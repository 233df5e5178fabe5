//! The live set and its changes.

use std::time::Duration;

use curfew_core::id::RequestId;
use curfew_firestore::FirestoreStore;
use curfew_ports::{RequestStore, StoredRequest, WatchEvent};
use futures_util::StreamExt as _;
use futures_util::stream::BoxStream;

use super::backend::Backend;
use super::raw::boolean;
use super::samples::{Sample, entry};

/// Far above what any server needs; only a broken watch takes as long.
const PATIENCE: Duration = Duration::from_secs(30);

pub(super) async fn what_happens_to_the_live_set_is_told(backend: Backend) {
    let (store, raw) = (backend.store().await, backend.raw().await);
    let there_before = Sample::new();
    store.create(&there_before.id, &there_before.spec()).await.unwrap();
    let mut watch = Watched::new(&store);
    watch.changed(&there_before.id, |_| true).await;
    watch.current().await;

    let [ends, is_deleted] = [Sample::new(), Sample::new()];
    let filed = store.create(&ends.id, &ends.spec()).await.unwrap();
    let told = watch.changed(&ends.id, |_| true).await;
    assert_eq!((told.version, told.spec), (filed.version, Some(ends.spec())));
    let (nonce, act) = entry(1);
    let acted = store.add_entry(&ends.id, &nonce, &act).await.unwrap();
    let told = watch.changed(&ends.id, |request| !request.entries.is_empty()).await;
    assert_eq!(told.version, acted.version);
    store.create(&is_deleted.id, &is_deleted.spec()).await.unwrap();
    watch.changed(&is_deleted.id, |_| true).await;

    store.commit(&ends.ending(acted.version)).await.unwrap();
    watch.gone(&ends.id).await;
    raw.delete(&is_deleted.path()).await;
    watch.gone(&is_deleted.id).await;
    watch.current().await;
    assert!(!watch.interrupted, "nothing has happened to the stream");
}

pub(super) async fn the_live_set_is_what_is_live(backend: Backend) {
    let store = backend.store().await;
    let [stays, ends] = [Sample::new(), Sample::new()];
    store.create(&stays.id, &stays.spec()).await.unwrap();
    let filed = store.create(&ends.id, &ends.spec()).await.unwrap();
    assert_eq!(store.live().await.unwrap().len(), 2);
    store.commit(&ends.ending(filed.version)).await.unwrap();
    let live = store.live().await.unwrap();
    assert_eq!(live, [super::cases::read(&store, &stays).await]);
}

pub(super) async fn documents_that_are_no_requests_do_not_disturb_the_watch(backend: Backend) {
    let (store, raw) = (backend.store().await, backend.raw().await);
    raw.set("requests/hostile", [("live", boolean(true))]).await;
    let mut watch = Watched::new(&store);
    watch.current().await;
    raw.set("requests/hostile-too", [("live", boolean(true))]).await;
    raw.delete("requests/hostile").await;
    let sample = Sample::new();
    store.create(&sample.id, &sample.spec()).await.unwrap();
    watch.changed(&sample.id, |_| true).await;
    assert!(!watch.interrupted);
}

/// A watch that is waited on, always with a deadline.
pub(super) struct Watched {
    events: BoxStream<'static, WatchEvent>,
    pub(super) interrupted: bool,
}

impl Watched {
    pub(super) fn new(store: &FirestoreStore) -> Self {
        Self { events: store.watch_live(), interrupted: false }
    }

    /// Waits until this request is told to be so.
    pub(super) async fn changed(
        &mut self,
        id: &RequestId,
        is_so: impl Fn(&StoredRequest) -> bool,
    ) -> StoredRequest {
        self.until(&format!("{id} changed"), |event| match event {
            WatchEvent::Changed(request) if request.id == *id && is_so(&request) => Some(*request),
            WatchEvent::Changed(_)
            | WatchEvent::Gone(_)
            | WatchEvent::Current
            | WatchEvent::Interrupted => None,
        })
        .await
    }

    pub(super) async fn gone(&mut self, id: &RequestId) {
        let gone = WatchEvent::Gone(id.clone());
        self.until(&format!("{id} gone"), |event| (event == gone).then_some(())).await;
    }

    /// Waits until one request is told to be there and another to be gone, in either order.
    pub(super) async fn changed_and_gone(
        &mut self,
        comes: &RequestId,
        goes: &RequestId,
    ) -> StoredRequest {
        let (mut there, mut gone) = (None, false);
        self.until(&format!("{comes} there and {goes} gone"), |event| {
            match event {
                WatchEvent::Changed(request) if request.id == *comes => there = Some(*request),
                WatchEvent::Gone(id) if id == *goes => gone = true,
                WatchEvent::Changed(_)
                | WatchEvent::Gone(_)
                | WatchEvent::Current
                | WatchEvent::Interrupted => {}
            }
            there.take_if(|_| gone)
        })
        .await
    }

    pub(super) async fn current(&mut self) {
        self.until("current", |event| (event == WatchEvent::Current).then_some(())).await;
    }

    pub(super) async fn interrupted(&mut self) {
        self.until("interrupted", |event| (event == WatchEvent::Interrupted).then_some(())).await;
    }

    async fn until<T>(&mut self, what: &str, mut wanted: impl FnMut(WatchEvent) -> Option<T>) -> T {
        let mut told = Vec::new();
        let waiting = async {
            loop {
                let event = self.events.next().await.unwrap();
                self.interrupted |= event == WatchEvent::Interrupted;
                told.push(format!("{event:?}"));
                if let Some(found) = wanted(event) {
                    return found;
                }
            }
        };
        match tokio::time::timeout(PATIENCE, waiting).await {
            Ok(found) => found,
            Err(elapsed) => panic!("{elapsed}, not told: {what}; told: {told:#?}"),
        }
    }
}
