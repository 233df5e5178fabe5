//! The file: one writer thread, several readers, one change log.

mod body;
mod checkpoints;
mod entries;
mod inspection;
mod open;
mod results;
mod snapshot;
mod wal;
mod writer;

use std::{
    ffi::c_int,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    thread::JoinHandle,
};

use gcloud_sdk::google::firestore::v1::{Document, Value};
use rusqlite::{Connection, ErrorCode, OpenFlags, ffi};
use tokio::sync::{Semaphore, mpsc, oneshot, watch};

pub(crate) use body::BodyError;
pub(crate) use entries::EntryError;
pub use open::OpenError;
pub(crate) use snapshot::{Change, Position, Snapshot};

use crate::{
    indexes::{Indexes, Served},
    limits::{READERS_MAX, WRITE_QUEUE_MAX},
    metrics::Metrics,
    mutate::Mutation,
    refusal::Refusal,
    time::Micros,
    transactions::Reads,
};

/// Why the file could not be read or written.
#[derive(Clone, Debug, thiserror::Error)]
pub(crate) enum StoreError {
    /// The disk takes no more data.
    #[error("the disk that holds the database is full, over a quota, or failing")]
    Full(#[source] Arc<rusqlite::Error>),
    /// SQLite found its own structures broken.
    #[error("the database file is damaged")]
    Damaged(#[source] Arc<rusqlite::Error>),
    /// Anything else that SQLite reports.
    #[error("the database file cannot be read or written")]
    Sqlite(#[source] Arc<rusqlite::Error>),
    /// A stored document is not what was written.
    #[error("a stored document is damaged")]
    Body(#[source] BodyError),
    /// The writer is gone.
    #[error("the store has stopped")]
    Stopped,
}

/// What SQLite reports when the system refuses data for another reason than a full disk (quota,
/// limit on the size of files).
const NO_ROOM: [c_int; 2] = [ffi::SQLITE_IOERR_WRITE, ffi::SQLITE_IOERR_SHMSIZE];

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        let (code, extended) =
            error.sqlite_error().map_or((None, 0), |e| (Some(e.code), e.extended_code));
        let error = Arc::new(error);
        if code == Some(ErrorCode::DiskFull) || NO_ROOM.contains(&extended) {
            Self::Full(error)
        } else if matches!(code, Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase)) {
            Self::Damaged(error)
        } else {
            Self::Sqlite(error)
        }
    }
}

impl StoreError {
    /// Tells the operator which file failed, why, and what to do; callers only hear that it did.
    fn log(&self, path: Option<&str>) {
        let advice = match self {
            Self::Full(_) => "make room on its disk; until then only reads are served",
            Self::Damaged(_) | Self::Body(_) => "stop the server and restore the file from a copy",
            Self::Sqlite(_) | Self::Stopped => "see the error",
        };
        let error: &dyn std::error::Error = self;
        tracing::error!(error, path, advice, "the database failed");
    }
}

/// A handle on the open file; clones share it.
#[derive(Clone)]
pub(crate) struct Store {
    jobs: mpsc::Sender<Job>,
    readers: Arc<Readers>,
    revision: watch::Receiver<i64>,
    /// Names this database in tokens: random, made with the file.
    epoch: Epoch,
    clock: fn() -> Micros,
}

/// Random bytes that tell one database file from another.
pub(crate) type Epoch = [u8; 8];

/// The writer's thread; it also ends when this and every [`Store`] are dropped.
pub(crate) struct WriterThread {
    thread: JoinHandle<()>,
    jobs: mpsc::Sender<Job>,
}

/// Work for the writer.
enum Job {
    /// Write all of them or none.
    Commit(Commit),
    /// End after what was queued before.
    Stop,
}

/// One commit on its way to the writer.
struct Commit {
    mutations: Vec<Mutation>,
    /// What a transaction read; if any of it changed since, nothing is written.
    reads: Option<Reads>,
    reply: Reply,
}

type Reply = oneshot::Sender<Result<Committed, Refusal>>;

/// An acknowledged commit: it is on disk.
#[derive(Debug)]
pub(crate) struct Committed {
    pub(crate) time: Micros,
    pub(crate) written: Vec<Written>,
}

/// What one write of a commit left.
#[derive(Debug)]
pub(crate) struct Written {
    /// The document afterwards; `None` after a deletion.
    pub(crate) document: Option<Document>,
    pub(crate) transform_results: Vec<Value>,
}

impl Store {
    /// Opens or creates the file, brings its indexes in line with `indexes`, and starts the
    /// writer. `clock` gives the wall time; it may step in either direction.
    pub(crate) fn open(
        path: &Path,
        indexes: &Indexes,
        clock: fn() -> Micros,
        metrics: &Arc<Metrics>,
    ) -> Result<(Self, WriterThread), OpenError> {
        Self::start(path, open::open(path, indexes)?, clock, metrics)
    }

    fn start(
        path: &Path,
        opened: open::Opened,
        clock: fn() -> Micros,
        metrics: &Arc<Metrics>,
    ) -> Result<(Self, WriterThread), OpenError> {
        let (jobs, queue) = mpsc::channel(WRITE_QUEUE_MAX);
        let (published, revision) = watch::channel(0);
        let open::Opened { connection, lock, served, epoch } = opened;
        let served = Arc::new(served);
        let facts = writer::Facts { served: served.clone(), clock, metrics: metrics.clone() };
        let checkpoints = checkpoints::Checkpoints::start(path)?;
        let writer = writer::Writer::new(connection, lock, facts, (published, checkpoints))
            .map_err(|error| OpenError::of_store(path, &error))?;
        let thread = std::thread::Builder::new()
            .name("firelite-writer".into())
            .spawn(move || writer.run(queue))
            .map_err(OpenError::Thread)?;
        let readers = Arc::new(Readers {
            path: path.into(),
            served,
            idle: Mutex::new(Vec::new()),
            permits: Arc::new(Semaphore::new(READERS_MAX)),
        });
        let writer = WriterThread { thread, jobs: jobs.clone() };
        Ok((Self { jobs, readers, revision, epoch, clock }, writer))
    }

    /// Applies the writes as one; returns once they are on disk.
    ///
    /// # Guarantees
    ///
    /// All of them or none, in the order given, all at the same commit time, which is later than
    /// that of every commit acknowledged before. If the process dies before this returns, the
    /// outcome is unknown to the caller but still all or none.
    pub(crate) async fn commit(&self, mutations: Vec<Mutation>) -> Result<Committed, Refusal> {
        self.commit_if_unchanged(mutations, None).await
    }

    /// The same, but only if nothing changed of what was read; else [`Refusal::Contention`].
    pub(crate) async fn commit_if_unchanged(
        &self,
        mutations: Vec<Mutation>,
        reads: Option<Reads>,
    ) -> Result<Committed, Refusal> {
        let outcome = self.enqueue(mutations, reads).await?;
        outcome.await.map_err(|_dropped| StoreError::Stopped)?
    }

    /// Applies each write alone, in the order given.
    pub(crate) async fn commit_each(
        &self,
        mutations: Vec<Mutation>,
    ) -> Vec<Result<Committed, Refusal>> {
        let mut outcomes = Vec::with_capacity(mutations.len());
        for mutation in mutations {
            outcomes.push(self.enqueue(vec![mutation], None).await);
        }
        let mut committed = Vec::with_capacity(outcomes.len());
        for outcome in outcomes {
            committed.push(match outcome {
                Ok(outcome) => outcome.await.unwrap_or(Err(StoreError::Stopped.into())),
                Err(refusal) => Err(refusal),
            });
        }
        committed
    }

    async fn enqueue(
        &self,
        mutations: Vec<Mutation>,
        reads: Option<Reads>,
    ) -> Result<oneshot::Receiver<Result<Committed, Refusal>>, Refusal> {
        let (reply, outcome) = oneshot::channel();
        let job = Job::Commit(Commit { mutations, reads, reply });
        self.jobs.send(job).await.map_err(|_closed| StoreError::Stopped)?;
        Ok(outcome)
    }

    /// Runs `read` on one consistent snapshot of what is on disk, off the async threads.
    pub(crate) async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Snapshot<'_>) -> Result<T, Refusal> + Send + 'static,
    ) -> Result<T, Refusal> {
        let readers = self.readers.clone();
        let permit =
            readers.permits.clone().acquire_owned().await.map_err(|_closed| StoreError::Stopped)?;
        let work = move || {
            let _permit = permit;
            readers.read(read)
        };
        tokio::task::spawn_blocking(work).await.map_err(|_panicked| StoreError::Stopped)?
    }

    /// Tells of the revision of the newest change on disk.
    pub(crate) fn revision(&self) -> watch::Receiver<i64> {
        self.revision.clone()
    }

    /// The wall time.
    pub(crate) fn now(&self) -> Micros {
        (self.clock)()
    }

    /// Bytes of the database file, without its log.
    pub(crate) async fn bytes(&self) -> Result<i64, Refusal> {
        self.read(|snapshot| Ok(snapshot.bytes()?)).await
    }

    /// What names this database in tokens.
    pub(crate) fn epoch(&self) -> Epoch {
        self.epoch
    }
}

impl WriterThread {
    /// Waits until what is queued is on disk and the file is free for others. Whoever still holds
    /// a [`Store`] can write no more.
    pub(crate) async fn stop(self) -> Result<(), StoreError> {
        // A writer that no longer takes jobs has ended already.
        drop(self.jobs.send(Job::Stop).await);
        let joined = tokio::task::spawn_blocking(move || self.thread.join()).await;
        match joined {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) | Err(_) => Err(StoreError::Stopped),
        }
    }
}

/// Connections that only read, kept for reuse.
struct Readers {
    path: PathBuf,
    served: Arc<Served>,
    idle: Mutex<Vec<Connection>>,
    permits: Arc<Semaphore>,
}

impl Readers {
    fn read<T>(
        &self,
        read: impl FnOnce(&Snapshot<'_>) -> Result<T, Refusal>,
    ) -> Result<T, Refusal> {
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let mut connection = match idle {
            Some(connection) => connection,
            None => self.connect()?,
        };
        let result = self.read_with(&mut connection, read);
        match &result {
            Err(Refusal::Store(error)) => error.log(connection.path()),
            _answered => {
                self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(connection);
            }
        }
        result
    }

    fn read_with<T>(
        &self,
        connection: &mut Connection,
        read: impl FnOnce(&Snapshot<'_>) -> Result<T, Refusal>,
    ) -> Result<T, Refusal> {
        let transaction = connection.transaction().map_err(StoreError::from)?;
        let result =
            Snapshot::new(&transaction, &self.served).map_err(Refusal::from).and_then(|s| read(&s));
        transaction.finish().map_err(StoreError::from)?;
        result
    }

    fn connect(&self) -> Result<Connection, StoreError> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(&self.path, flags)?;
        connection.busy_timeout(open::BUSY_TIMEOUT)?;
        Ok(connection)
    }
}

#[cfg(test)]
mod damage_tests;
#[cfg(test)]
mod former_tests;
#[cfg(test)]
mod log_damage_tests;
#[cfg(test)]
pub(crate) mod tests;
