//! Replies of one stream on their way to its client.

use tokio::{
    runtime::Handle,
    sync::mpsc::{Sender, error::TrySendError},
    time::{Instant, timeout_at},
};
use tonic::Status;

use crate::{limits::QUERY_TIME_MAX, refusal::Refusal};

/// The sending end of a stream. A client that does not read within the time of one step ends it,
/// so that no reader's snapshot waits for ever.
pub(crate) struct Outbox<T> {
    sender: Sender<Result<T, Status>>,
    deadline: Instant,
}

impl<T> Clone for Outbox<T> {
    fn clone(&self) -> Self {
        Self { sender: self.sender.clone(), deadline: self.deadline }
    }
}

impl<T> Outbox<T> {
    /// The time of the first step starts now.
    pub(crate) fn new(sender: Sender<Result<T, Status>>) -> Self {
        let mut outbox = Self { sender, deadline: Instant::now() };
        outbox.restart_deadline();
        outbox
    }

    /// Starts the time of the next step.
    pub(crate) fn restart_deadline(&mut self) {
        let now = Instant::now();
        self.deadline = now.checked_add(QUERY_TIME_MAX).unwrap_or(now);
    }

    /// Sends from an async task.
    pub(crate) async fn send(&self, message: T) -> Result<(), Refusal> {
        match timeout_at(self.deadline, self.sender.send(Ok(message))).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_closed)) => Err(Refusal::Cancelled),
            Err(_elapsed) => Err(Refusal::DeadlineExceeded),
        }
    }

    /// Sends from a thread that may block.
    pub(crate) fn send_blocking(&self, message: T) -> Result<(), Refusal> {
        match self.sender.try_send(Ok(message)) {
            Ok(()) => Ok(()),
            Err(TrySendError::Closed(_)) => Err(Refusal::Cancelled),
            Err(TrySendError::Full(Ok(message))) => Handle::current().block_on(self.send(message)),
            Err(TrySendError::Full(Err(_never_sent_here))) => Err(Refusal::Cancelled),
        }
    }

    /// Ends the stream with a status, if its client still listens.
    pub(crate) async fn fail(&self, status: Status) {
        // A client that does not read its results will not read why they end either.
        drop(timeout_at(self.deadline, self.sender.send(Err(status))).await);
    }

    /// Waits until the client is gone.
    pub(crate) async fn closed(&self) {
        self.sender.closed().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_client_that_does_not_read_ends_its_stream() {
        let (sender, mut receiver) = tokio::sync::mpsc::channel(1);
        let mut outbox = Outbox::new(sender);
        outbox.send(1).await.unwrap();
        let started = Instant::now();
        assert!(matches!(outbox.send(2).await, Err(Refusal::DeadlineExceeded)));
        assert_eq!(started.elapsed(), QUERY_TIME_MAX);

        assert!(matches!(receiver.recv().await, Some(Ok(1))));
        outbox.restart_deadline();
        outbox.send(3).await.unwrap();
        drop(receiver);
        assert!(matches!(outbox.send(4).await, Err(Refusal::Cancelled)));
    }
}
