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

/// What becomes of one event of the watch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Delivery {
    /// It is lost.
    Dropped,
    /// It comes twice.
    Doubled,
    /// It comes after the one that follows it.
    Reordered,
}

#[derive(Clone)]
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
    n_commits: u64,
    held_back: Vec<WatchEvent>,
    pub(crate) next_delivery: Option<Delivery>,
    /// How well the watch works.
    pub watching: Watching,
}

/// What the documents were at some moment.
#[derive(Clone)]
pub struct Backup(BTreeMap<RequestId, Document>);

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
        let stored = self.document(id).ok_or_else(|| not_found(id))?;
        if stored.entries.get(nonce.as_str()) == Some(entry) {
            // The same bytes again change nothing.
            return Ok(Committed { version: stored.version, at });
        }
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

    /// Keeps what there is.
    pub fn backup(&self) -> Backup {
        Backup(self.documents.clone())
    }

    /// Makes the documents what they were, as an import does: each with a new version. Gives all that has changed.
    pub fn restore(&mut self, at: DateTime<Utc>, backup: &Backup) -> Vec<RequestId> {
        let gone = |id: &&RequestId| !backup.0.contains_key(*id);
        let gone = self.documents.keys().filter(gone).cloned().collect::<Vec<_>>();
        for id in &gone {
            self.delete(id);
        }
        let mut changed = gone;
        for (id, document) in &backup.0 {
            let is_same = |stored: &StoredRequest| {
                StoredRequest { version: stored.version, ..document.now.clone() } == *stored
            };
            if self.document(id).is_some_and(is_same) {
                continue;
            }
            self.documents.entry(id.clone()).or_insert_with(|| document.clone());
            self.edit(at, id, |stored| *stored = document.now.clone());
            changed.push(id.clone());
        }
        changed
    }

    /// How many commits of facts there were.
    pub fn n_commits(&self) -> u64 {
        self.n_commits
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

    /// Somebody notes that a policy was written that never was.
    pub fn claim_written(&mut self, resource: &Resource) {
        let record = ResourceRecord { resource: resource.clone(), intents: BTreeMap::new() };
        self.resources.insert(resource.clone(), record);
    }

    /// Somebody erases which policies were ever written.
    pub fn forget_resources(&mut self) {
        self.resources.clear();
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
        let found = ids.iter().filter_map(|id| self.documents.get(id)?.seen(at, freshness));
        found.map(|stored| (stored.id.clone(), stored)).collect()
    }

    pub(crate) fn live(&self, at: DateTime<Utc>, freshness: Freshness) -> Vec<StoredRequest> {
        self.documents
            .values()
            .filter_map(|document| document.seen(at, freshness))
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
        self.n_commits = self.n_commits.saturating_add(1);
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
        let times = match (self.watching, self.next_delivery.take()) {
            (Watching::Dead, _) | (_, Some(Delivery::Dropped)) => 0,
            (_, Some(Delivery::Reordered)) => {
                self.held_back.push(event.clone());
                return;
            }
            (Watching::Dropping, _) => self.n_events % 2,
            (Watching::Doubling, _) | (_, Some(Delivery::Doubled)) => 2,
            (Watching::Reliable, None) => 1,
        };
        for _ in 0..times {
            self.deliver(event);
        }
        for late in std::mem::take(&mut self.held_back) {
            self.deliver(&late);
        }
    }

    fn deliver(&mut self, event: &WatchEvent) {
        self.watchers.retain(|watcher| watcher.send(event.clone()).is_ok());
    }
}

impl Document {
    /// What a read sees; a stale one does not see a fresh document at all.
    fn seen(&self, at: DateTime<Utc>, freshness: Freshness) -> Option<StoredRequest> {
        let may_lag = at.signed_duration_since(self.changed_at) <= STALE_MAX;
        match freshness {
            Freshness::Stale if may_lag => self.before.clone(),
            Freshness::Stale | Freshness::Now => Some(self.now.clone()),
        }
    }
}

pub(crate) fn not_found(id: &RequestId) -> PortError {
    PortError::new(RetryClass::NotFound, format!("add an act to request {id}"))
}
