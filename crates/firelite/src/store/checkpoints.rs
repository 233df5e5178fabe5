//! Checkpoints beside the writer: what the write-ahead log holds is copied to the file by a thread
//! of its own, so that no commit waits for it.

use std::{
    path::Path,
    sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel},
    thread::JoinHandle,
};

use rusqlite::Connection;

use super::{OpenError, StoreError, open};

/// The thread; dropping this ends it.
pub(super) struct Checkpoints {
    /// `None` only while dropping.
    requests: Option<SyncSender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Checkpoints {
    /// Starts the thread with a connection of its own.
    pub(super) fn start(path: &Path) -> Result<Self, OpenError> {
        let connection =
            open::connect(path).map_err(|source| OpenError::of_sqlite(path, source))?;
        // One request waits at most: a checkpoint copies all that is there when it starts.
        let (requests, queue) = sync_channel(1);
        let thread = std::thread::Builder::new()
            .name("firelite-checkpoint".into())
            .spawn(move || run(&connection, &queue))
            .map_err(OpenError::Thread)?;
        Ok(Self { requests: Some(requests), thread: Some(thread) })
    }

    /// Asks for a checkpoint and does not wait for it.
    pub(super) fn request(&self) {
        let asked = self.requests.as_ref().map(|requests| requests.try_send(()));
        // If the queue is full, the checkpoint that waits there will do.
        if let Some(Err(TrySendError::Disconnected(()))) = asked {
            tracing::error!("the checkpoint thread is gone: the writer makes checkpoints itself");
        }
    }
}

impl Drop for Checkpoints {
    /// Waits for the thread: it has the file open.
    fn drop(&mut self) {
        self.requests = None;
        if self.thread.take().is_some_and(|thread| thread.join().is_err()) {
            tracing::error!("the checkpoint thread panicked");
        }
    }
}

fn run(connection: &Connection, queue: &Receiver<()>) {
    while queue.recv().is_ok() {
        // PASSIVE waits for nobody: what readers or the writer still need stays in the log.
        let checkpoint = connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(()));
        if let Err(error) = checkpoint {
            StoreError::from(error).log(connection.path());
        }
    }
}
