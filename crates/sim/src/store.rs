//! The store of requests, in memory.

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};
use curfew_core::id::{Nonce, ReplicaId, RequestId, WriteId};
use curfew_core::resource::Resource;
use curfew_ports::{
    Committed, FactsCommit, Heartbeat, Intent, LedgerEntry, PortError, ResourceRecord, RetryClass,
    StoredEnvelope, StoredRequest, Version, WatchEvent,
};
use futures_util::stream::BoxStream;
use tokio::sync::mpsc;

use crate::connection::Freshness;

/// How long a stale read may lag behind.
const STALE_MAX: TimeDelta = TimeDelta::seconds(3);

/// How well the watch works.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Watching {
    /// Every event once.
    #[default]
    Reliable,
    /// Every event twice.
    Doubling,
    /// Every second event is lost.
    Dropping,
    /// No event.
    Dead,
}

struct Document {
    now: StoredRequest,
    before: Option<StoredRequest>,
    changed_at: DateTime<Utc>,
}

/// Documents with versions, the record of policy writes, the ledger and heartbeats.
#[derive(Default)]
pub struct Store {
    documents: BTreeMap<RequestId, Document>,
    resources: BTreeMap<Resource, ResourceRecord>,
    ledger: BTreeMap<String, LedgerEntry>,
    replicas: BTreeMap<ReplicaId, Heartbeat>,
    last_version: i64,
    watchers: Vec<mpsc::UnboundedSender<WatchEvent>>,
    n_events: u64,
    /// How well the watch works.
    pub watching: Watching,
}

impl Store {
    /// Creates a request, as intake does.
    pub fn create(
        &mut self,
        at: DateTime<Utc>,
        id: &RequestId,
        spec: &StoredEnvelope,
    ) -> Result<Committed, PortError> {
        if self.documents.contains_key(id) {
            return Err(PortError::new(RetryClass::AlreadyExists, format!("create request {id}")));
        }
        let committed = self.commit_time(at);
        let stored = StoredRequest {
            id: id.clone(),
            live: true,
            spec: Some(spec.clone()),
            entries: BTreeMap::new(),
            facts: Vec::new(),
            status: None,
            created_at: committed.at,
            version: committed.version,
        };
        self.documents.insert(id.clone(), Document { now: stored, before: None, changed_at: at });
        self.announce(id, false);
        Ok(committed)
    }

    /// Adds an act, as intake does.
    pub fn add_entry(
        &mut self,
        at: DateTime<Utc>,
        id: &RequestId,
        nonce: &Nonce,
        entry: &StoredEnvelope,
    ) -> Result<Committed, PortError> {
        self.edit(at, id, |stored| {
            stored.entries.insert(nonce.to_string(), entry.clone());
        })
        .ok_or_else(|| not_found(id))
    }

    /// Changes a document by hand, whatever that breaks. `None` if there is none.
    pub fn edit(
        &mut self,
        at: DateTime<Utc>,
        id: &RequestId,
        change: impl FnOnce(&mut StoredRequest),
    ) -> Option<Committed> {
        let committed = self.commit_time(at);
        let document = self.documents.get_mut(id)?;
        let was_live = document.now.live;
        document.before = Some(document.now.clone());
        document.changed_at = at;
        change(&mut document.now);
        document.now.version = committed.version;
        self.announce(id, was_live);
        Some(committed)
    }

    /// Deletes a document by hand.
    pub fn delete(&mut self, id: &RequestId) {
        if self.documents.remove(id).is_some() {
            self.send(&WatchEvent::Gone(id.clone()));
        }
    }

    /// The document as it is.
    pub fn document(&self, id: &RequestId) -> Option<&StoredRequest> {
        self.documents.get(id).map(|document| &document.now)
    }

    /// Every document.
    pub fn documents(&self) -> impl Iterator<Item = &StoredRequest> {
        self.documents.values().map(|document| &document.now)
    }

    /// Policy writes whose end is not recorded.
    pub fn open_intents(&self) -> impl Iterator<Item = (&Resource, &WriteId, &Intent)> {
        self.resources.values().flat_map(|record| {
            record.intents.iter().map(move |(write, intent)| (&record.resource, write, intent))
        })
    }

    /// The entries of the ledger.
    pub fn ledger(&self) -> impl Iterator<Item = &LedgerEntry> {
        self.ledger.values()
    }

    pub(crate) fn get(
        &self,
        at: DateTime<Utc>,
        ids: &[RequestId],
        freshness: Freshness,
    ) -> BTreeMap<RequestId, StoredRequest> {
        let found = ids.iter().filter_map(|id| self.documents.get(id));
        found.map(|document| (document.now.id.clone(), document.seen(at, freshness))).collect()
    }

    pub(crate) fn live(&self, at: DateTime<Utc>, freshness: Freshness) -> Vec<StoredRequest> {
        self.documents
            .values()
            .map(|document| document.seen(at, freshness))
            .filter(|stored| stored.live)
            .collect()
    }

    pub(crate) fn commit(
        &mut self,
        at: DateTime<Utc>,
        commit: FactsCommit,
    ) -> Result<Committed, PortError> {
        let act = format!("commit facts of {}", commit.id);
        let is_current =
            self.document(&commit.id).is_some_and(|stored| stored.version == commit.base);
        if !is_current {
            return Err(PortError::new(RetryClass::Conflict, act));
        }
        let id = commit.id.clone();
        let changed = self.edit(at, &id, |stored| {
            stored.facts = commit.facts;
            stored.status = Some(commit.status);
            stored.live = commit.live;
        });
        changed.ok_or_else(|| PortError::new(RetryClass::Conflict, act))
    }

    pub(crate) fn open_intent(&mut self, resource: Resource, write: WriteId, intent: Intent) {
        let empty = ResourceRecord { resource: resource.clone(), intents: BTreeMap::new() };
        self.resources.entry(resource).or_insert(empty).intents.insert(write, intent);
    }

    pub(crate) fn close_intents(&mut self, resource: &Resource, writes: &[WriteId]) {
        if let Some(record) = self.resources.get_mut(resource) {
            record.intents.retain(|write, _| !writes.contains(write));
        }
    }

    pub(crate) fn resources(&self) -> Vec<ResourceRecord> {
        self.resources.values().cloned().collect()
    }

    pub(crate) fn append_ledger(&mut self, entry: LedgerEntry) {
        self.ledger.insert(entry.id.clone(), entry);
    }

    /// The signs of life of processes, those that were killed among them.
    pub fn replicas(&self) -> impl Iterator<Item = &Heartbeat> {
        self.replicas.values()
    }

    pub(crate) fn beat(&mut self, at: DateTime<Utc>, heartbeat: Heartbeat) -> Committed {
        self.replicas.insert(heartbeat.replica.clone(), heartbeat);
        self.commit_time(at)
    }

    pub(crate) fn retire(&mut self, replica: &ReplicaId) {
        self.replicas.remove(replica);
    }

    pub(crate) fn watch(&mut self) -> BoxStream<'static, WatchEvent> {
        let (sender, receiver) = mpsc::unbounded_channel();
        self.watchers.push(sender);
        Box::pin(futures_util::stream::unfold(receiver, async |mut receiver| {
            let event = receiver.recv().await?;
            Some((event, receiver))
        }))
    }

    /// Strictly increasing microseconds.
    fn commit_time(&mut self, at: DateTime<Utc>) -> Committed {
        self.last_version = at.timestamp_micros().max(self.last_version.saturating_add(1));
        let at = DateTime::from_timestamp_micros(self.last_version).unwrap_or(at);
        Committed { version: Version(self.last_version), at }
    }

    fn announce(&mut self, id: &RequestId, was_live: bool) {
        let Some(stored) = self.document(id) else { return };
        if stored.live {
            let event = WatchEvent::Changed(Box::new(stored.clone()));
            self.send(&event);
        } else if was_live {
            self.send(&WatchEvent::Gone(id.clone()));
        }
    }

    fn send(&mut self, event: &WatchEvent) {
        self.n_events = self.n_events.saturating_add(1);
        let times = match self.watching {
            Watching::Reliable => 1,
            Watching::Doubling => 2,
            Watching::Dropping => self.n_events % 2,
            Watching::Dead => 0,
        };
        for _ in 0..times {
            self.watchers.retain(|watcher| watcher.send(event.clone()).is_ok());
        }
    }
}

impl Document {
    fn seen(&self, at: DateTime<Utc>, freshness: Freshness) -> StoredRequest {
        let may_lag = at.signed_duration_since(self.changed_at) <= STALE_MAX;
        match (freshness, &self.before) {
            (Freshness::Stale, Some(before)) if may_lag => before.clone(),
            (Freshness::Stale | Freshness::Now, _) => self.now.clone(),
        }
    }
}

pub(crate) fn not_found(id: &RequestId) -> PortError {
    PortError::new(RetryClass::NotFound, format!("add an act to request {id}"))
}
