//! The one writer: many commits in one SQLite transaction, each of which can be refused alone.

use std::{
    collections::{BTreeSet, VecDeque},
    fs::File,
    sync::Arc,
};

use gcloud_sdk::google::firestore::v1::Document;
use rusqlite::{Connection, OptionalExtension, params};
use tokio::sync::{mpsc, watch};

use super::{
    Commit, Committed, Job, Reply, Snapshot, StoreError, Written,
    body::Body,
    checkpoints::Checkpoints,
    entries::{Entry, check_entries, entries},
};
use crate::{
    indexes::Served,
    limits::{CHECKPOINT_CHANGES, GROUP_COMMIT_MAX, LOG_BYTES_MAX, LOG_ROWS_MAX},
    metrics::Metrics,
    mutate::{Mutation, Outcome},
    name::{CollectionPath, DocumentName},
    refusal::Refusal,
    time::Micros,
    transactions::Reads,
    value::document_id,
};

/// The writer's connection and what it remembers of the file.
pub(super) struct Writer {
    /// First, so that it is done with the file before the lock is free.
    checkpoints: Checkpoints,
    connection: Connection,
    /// Held for its effect.
    _lock: File,
    facts: Facts,
    published: watch::Sender<i64>,
    last_commit: Micros,
    log: Log,
    documents: i64,
    /// The revision at which the last checkpoint was asked for.
    checkpointed: i64,
}

/// What the writer is told once.
pub(super) struct Facts {
    pub(super) served: Arc<Served>,
    pub(super) clock: fn() -> Micros,
    pub(super) metrics: Arc<Metrics>,
}

/// Revision and size of every row of the change log, oldest first.
#[derive(Default)]
struct Log {
    rows: VecDeque<(i64, usize)>,
    bytes: usize,
}

/// A caller's reply channel and what it will be told once the group is on disk.
type Pending = (Reply, Result<Committed, Refusal>);

impl Writer {
    /// Reads back where the file's last commit left off.
    pub(super) fn new(
        connection: Connection,
        lock: File,
        facts: Facts,
        (published, checkpoints): (watch::Sender<i64>, Checkpoints),
    ) -> Result<Self, StoreError> {
        let last_commit =
            connection.query_row("SELECT last_commit FROM state", [], |row| row.get(0))?;
        let log = Log::load(&connection)?;
        let checkpointed = log.revision();
        published.send_replace(checkpointed);
        // What a former life left goes to the file: the log begins anew.
        checkpoints.request();
        Ok(Self {
            checkpoints,
            connection,
            _lock: lock,
            facts,
            published,
            last_commit: Micros(last_commit),
            log,
            documents: 0,
            checkpointed,
        })
    }

    /// Works until it is told to stop or nobody is left to tell it.
    pub(super) fn run(mut self, mut queue: mpsc::Receiver<Job>) {
        self.count_documents();
        let mut next = queue.blocking_recv();
        while let Some(Job::Commit(commit)) = next {
            let mut group = vec![commit];
            next = loop {
                match queue.try_recv() {
                    Ok(Job::Commit(commit)) if group.len() < GROUP_COMMIT_MAX => {
                        group.push(commit);
                    }
                    Ok(job) => break Some(job),
                    Err(_empty) => break None,
                }
            };
            self.commit_group(group);
            next = next.or_else(|| queue.blocking_recv());
        }
        self.end_log();
    }

    /// Brings everything into the one file, so that a copy of it is a whole copy.
    fn end_log(&self) {
        let ended = "PRAGMA wal_checkpoint(TRUNCATE)";
        if let Err(error) = self.connection.query_row(ended, [], |_| Ok(())) {
            StoreError::from(error).log(self.connection.path());
        }
    }

    /// Counts what is stored, in the writer's own time: opening a large file does not wait for it.
    fn count_documents(&mut self) {
        let count = "SELECT count(*) FROM document";
        match self.connection.query_row(count, [], |row| row.get(0)) {
            Ok(documents) => self.documents = documents,
            Err(error) => tracing::error!(%error, "cannot count the documents"),
        }
        self.facts.metrics.set_documents(self.documents);
    }

    /// Writes a group and replies to its callers, to none of them before the outcome is certain:
    /// a refusal may rest on an earlier write of the same group.
    fn commit_group(&mut self, group: Vec<Commit>) {
        let mut pending = Vec::new();
        let before = (self.log.mark(), self.documents);
        let timer = self.facts.metrics.commit_timer(group.len());
        match self.write_group(group, &mut pending) {
            Ok(()) => {
                timer.observe_duration();
                self.facts.metrics.set_documents(self.documents);
                self.published.send_replace(self.log.revision());
                for (reply, outcome) in pending {
                    // A caller that is gone does not want its answer.
                    drop(reply.send(outcome));
                }
                self.request_checkpoint();
            }
            Err(error) => {
                error.log(self.connection.path());
                timer.stop_and_discard();
                self.log.undo(before.0);
                self.documents = before.1;
                if !self.connection.is_autocommit()
                    && let Err(rollback) = self.connection.execute_batch("ROLLBACK")
                {
                    tracing::error!(error = %rollback, "cannot roll a failed group back");
                }
                for (reply, _) in pending {
                    drop(reply.send(Err(error.clone().into())));
                }
            }
        }
    }

    fn request_checkpoint(&mut self) {
        let revision = self.log.revision();
        if revision.saturating_sub(self.checkpointed) >= CHECKPOINT_CHANGES {
            self.checkpointed = revision;
            self.checkpoints.request();
        }
    }

    fn write_group(
        &mut self,
        group: Vec<Commit>,
        pending: &mut Vec<Pending>,
    ) -> Result<(), StoreError> {
        let begun = self.connection.execute_batch("BEGIN IMMEDIATE").map_err(StoreError::from);
        let mut result = begun;
        for Commit { mutations, reads, reply } in group {
            let outcome = match &result {
                Ok(()) => self.write_job(&mutations, reads.as_ref()),
                Err(error) => Err(error.clone()),
            };
            match outcome {
                Ok(outcome) => pending.push((reply, outcome)),
                Err(error) => {
                    pending.push((reply, Err(error.clone().into())));
                    result = Err(error);
                }
            }
        }
        result?;
        self.finish_group()
    }

    fn finish_group(&mut self) -> Result<(), StoreError> {
        self.connection
            .prepare_cached("UPDATE state SET last_commit = ?")?
            .execute([self.last_commit.0])?;
        if let Some(revision) = self.log.surplus() {
            self.connection
                .prepare_cached("DELETE FROM change WHERE revision <= ?")?
                .execute([revision])?;
        }
        self.connection.prepare_cached("COMMIT")?.execute([])?;
        self.log.trim();
        Ok(())
    }

    /// One commit, refused alone unless the file itself fails. It needs a savepoint to go back to
    /// only if it has several writes: a single one is refused before it stores anything.
    fn write_job(
        &mut self,
        mutations: &[Mutation],
        reads: Option<&Reads>,
    ) -> Result<Result<Committed, Refusal>, StoreError> {
        let several = mutations.len() > 1;
        if several {
            self.connection.prepare_cached("SAVEPOINT job")?.execute([])?;
        }
        let before = (self.log.mark(), self.documents);
        self.last_commit = (self.facts.clock)().max(self.last_commit.next());
        let unchanged = reads.map_or(Ok(()), |reads| self.check_unchanged(reads));
        let outcome = unchanged.and_then(|()| self.write_all(mutations));
        if let Err(Refusal::Store(error)) = &outcome {
            let StoreError::Body(_) = error else { return Err(error.clone()) };
            error.log(self.connection.path());
        }
        if outcome.is_err() {
            self.log.undo(before.0);
            self.documents = before.1;
            if several {
                self.connection.prepare_cached("ROLLBACK TO job")?.execute([])?;
            }
        }
        if several {
            self.connection.prepare_cached("RELEASE job")?.execute([])?;
        }
        Ok(outcome)
    }

    /// Refuses a transaction of which anything that it read has changed, also by commits of the
    /// same group; or of which the log no longer tells that it has not.
    fn check_unchanged(&self, reads: &Reads) -> Result<(), Refusal> {
        let snapshot = Snapshot::new(&self.connection, &self.facts.served)?;
        if snapshot.position() == reads.position {
            return Ok(());
        }
        if !snapshot.is_resumable(reads.position)? {
            return Err(Refusal::Contention);
        }
        let changes = snapshot.changes_since(reads.position, &reads.scopes())?;
        if changes.iter().any(|change| reads.concern(change)) {
            return Err(Refusal::Contention);
        }
        Ok(())
    }

    fn write_all(&mut self, mutations: &[Mutation]) -> Result<Committed, Refusal> {
        let time = self.last_commit;
        let written = mutations.iter().map(|mutation| self.write_one(mutation, time));
        Ok(Committed { time, written: written.collect::<Result<_, _>>()? })
    }

    fn write_one(&mut self, mutation: &Mutation, time: Micros) -> Result<Written, Refusal> {
        let slot = Slot::find(&self.connection, &mutation.name)?;
        let before = slot.stored.as_ref().map(|stored| stored.body.decode()).transpose()?;
        let outcome = mutation.apply(before.as_ref(), time)?;
        if outcome.changed {
            let entries = |document: Option<&Document>| {
                document.map(|document| entries(&self.facts.served.indexes, &slot.group, document))
            };
            let old = entries(before.as_ref()).unwrap_or_default();
            let new = entries(outcome.document.as_ref()).unwrap_or_default();
            check_entries(&mutation.name, &new)?;
            self.store(&slot, outcome.document.as_ref(), (&old, &new), time)?;
        }
        let Outcome { document, transform_results, .. } = outcome;
        Ok(Written { document, transform_results })
    }

    fn store(
        &mut self,
        slot: &Slot,
        after: Option<&Document>,
        (old, new): (&BTreeSet<Entry>, &BTreeSet<Entry>),
        time: Micros,
    ) -> Result<(), StoreError> {
        let collection = slot.collection_number(&self.connection)?;
        let number = slot.put(&self.connection, collection, after)?;
        let added = i64::from(after.is_some()).saturating_sub(i64::from(slot.stored.is_some()));
        self.documents = self.documents.saturating_add(added);
        let mut delete = self.connection.prepare_cached(
            "DELETE FROM index_entry WHERE definition = ? AND collection = ? AND key = ?",
        )?;
        for (definition, key) in old.difference(new) {
            delete.execute(params![definition, collection, key])?;
        }
        let mut insert =
            self.connection.prepare_cached("INSERT INTO index_entry VALUES (?, ?, ?, ?)")?;
        for (definition, key) in new.difference(old) {
            insert.execute(params![definition, collection, key, number])?;
        }
        let before = slot.stored.as_ref().map(|stored| &stored.body);
        let revision = self.log.append(before.map_or(0, |body| body.bytes.len()));
        let (bytes, checksum) =
            (before.map(|body| body.bytes.as_slice()), before.and_then(|body| body.checksum));
        self.connection
            .prepare_cached("INSERT INTO change VALUES (?, ?, ?, ?, ?, ?)")?
            .execute(params![revision, time.0, collection, slot.id, bytes, checksum])?;
        Ok(())
    }
}

/// The place of one document in the file.
struct Slot {
    path: CollectionPath,
    group: String,
    collection: Option<i64>,
    id: Vec<u8>,
    stored: Option<Stored>,
}

struct Stored {
    number: i64,
    body: Body,
}

impl Slot {
    fn find(connection: &Connection, name: &DocumentName) -> Result<Self, StoreError> {
        let path = name.collection();
        let mut id = Vec::new();
        document_id(&mut id, name.id());
        let collection: Option<i64> = connection
            .prepare_cached("SELECT number FROM collection WHERE path = ?")?
            .query_row([path.as_str()], |row| row.get(0))
            .optional()?;
        let stored = match collection {
            None => None,
            Some(collection) => connection
                .prepare_cached(
                    "SELECT number, body, checksum FROM document WHERE collection = ? AND id = ?",
                )?
                .query_row(params![collection, id], |row| {
                    Ok(Stored { number: row.get(0)?, body: Body::read(row, 1)? })
                })
                .optional()?,
        };
        Ok(Self { group: path.group().into(), path, collection, id, stored })
    }

    fn collection_number(&self, connection: &Connection) -> Result<i64, StoreError> {
        if let Some(number) = self.collection {
            return Ok(number);
        }
        connection
            .prepare_cached("INSERT INTO collection (path) VALUES (?)")?
            .execute([self.path.as_str()])?;
        Ok(connection.last_insert_rowid())
    }

    /// Stores, replaces or deletes the document; returns its number.
    fn put(
        &self,
        connection: &Connection,
        collection: i64,
        after: Option<&Document>,
    ) -> Result<i64, StoreError> {
        match (&self.stored, after) {
            (Some(stored), Some(after)) => {
                let Body { bytes, checksum } = Body::of(after);
                connection
                    .prepare_cached("UPDATE document SET body = ?, checksum = ? WHERE number = ?")?
                    .execute(params![bytes, checksum, stored.number])?;
                Ok(stored.number)
            }
            (Some(stored), None) => {
                connection
                    .prepare_cached("DELETE FROM document WHERE number = ?")?
                    .execute([stored.number])?;
                Ok(stored.number)
            }
            (None, Some(after)) => {
                let Body { bytes, checksum } = Body::of(after);
                connection
                    .prepare_cached(
                        "INSERT INTO document (collection, id, body, checksum) VALUES (?, ?, ?, ?)",
                    )?
                    .execute(params![collection, self.id, bytes, checksum])?;
                Ok(connection.last_insert_rowid())
            }
            // Nothing was there and nothing is: no entry needs its number.
            (None, None) => Ok(0),
        }
    }
}

impl Log {
    fn load(connection: &Connection) -> Result<Self, StoreError> {
        let mut log = Self::default();
        let mut statement = connection.prepare(
            "SELECT revision, coalesce(length(before), 0) FROM change ORDER BY revision",
        )?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let bytes = usize::try_from(row.get::<_, i64>(1)?).unwrap_or_default();
            log.rows.push_back((row.get(0)?, bytes));
            log.bytes = log.bytes.saturating_add(bytes);
        }
        Ok(log)
    }

    /// The newest revision; zero before the first change. The newest row is never trimmed.
    fn revision(&self) -> i64 {
        self.rows.back().map_or(0, |(revision, _)| *revision)
    }

    fn append(&mut self, bytes: usize) -> i64 {
        let revision = self.revision().saturating_add(1);
        self.rows.push_back((revision, bytes));
        self.bytes = self.bytes.saturating_add(bytes);
        revision
    }

    /// A point to come back to with [`Log::undo`]; trimming only happens after a commit.
    fn mark(&self) -> usize {
        self.rows.len()
    }

    fn undo(&mut self, mark: usize) {
        while self.rows.len() > mark {
            let bytes = self.rows.pop_back().map_or(0, |(_, bytes)| bytes);
            self.bytes = self.bytes.saturating_sub(bytes);
        }
    }

    /// The newest row that the limits leave no room for.
    fn surplus(&self) -> Option<i64> {
        let (mut rows_left, mut bytes_left) = (self.rows.len(), self.bytes);
        let mut surplus = None;
        for (revision, bytes) in &self.rows {
            let fits = rows_left <= LOG_ROWS_MAX && bytes_left <= LOG_BYTES_MAX;
            if rows_left <= 1 || fits {
                break;
            }
            surplus = Some(*revision);
            rows_left = rows_left.saturating_sub(1);
            bytes_left = bytes_left.saturating_sub(*bytes);
        }
        surplus
    }

    fn trim(&mut self) {
        let Some(surplus) = self.surplus() else { return };
        while let Some((revision, bytes)) = self.rows.front().copied() {
            if revision > surplus {
                break;
            }
            self.rows.pop_front();
            self.bytes = self.bytes.saturating_sub(bytes);
        }
    }
}
