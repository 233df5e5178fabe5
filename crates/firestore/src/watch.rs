//! The live set as a stream of events: one Listen stream after another, for ever.

use std::collections::VecDeque;
use std::time::Duration;

use backon::{BackoffBuilder as _, ExponentialBackoff};
use curfew_ports::WatchEvent;
use futures_util::stream::{self, BoxStream, StreamExt as _};
use gcloud_sdk::google::firestore::v1::target::{
    QueryTarget, ResumeType, TargetType, query_target::QueryType,
};
use gcloud_sdk::google::firestore::v1::{ListenResponse, Target};
use tokio::time::Instant;
use tonic::{Code, Status, Streaming};

use crate::answer::is_unknown_outcome;
use crate::connect::backoff;
use crate::query;
use crate::reducer::{Reaction, Reducer, TARGET, Then};
use crate::rpc::Rpc;

/// The first and the longest wait before a stream is opened again. Firestore closes healthy streams every minute or
/// two, so the first wait is part of the usual latency.
const REOPEN_DELAY: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(5));

/// A stream that lived this long was healthy; its end is followed by the first wait again.
const HEALTHY_AFTER: Duration = Duration::from_secs(10);

/// A stream that says nothing for this long is opened again, in case that the peer is dead. The embedded server sends
/// a fresh token every 30 s; where a server stays silent, resuming costs one message. If the connection itself is
/// dead, HTTP/2 keep-alive gives it up after another 120 s at most (60 s interval and 60 s timeout, fixed by the
/// client library); the controller's full query every 60 s has its own time limit and does not wait for that.
const SILENCE_MAX: Duration = Duration::from_mins(1);

/// Changes of the live set, for as long as the stream is read. Dropping it ends the Listen stream.
pub(crate) fn live(rpc: Rpc) -> BoxStream<'static, WatchEvent> {
    let watch = Watch {
        documents: rpc.names().documents().to_owned(),
        rpc,
        reducer: Reducer::default(),
        stream: None,
        waits: waits(),
        due: None,
        opened: Instant::now(),
        interrupted: false,
        pending: VecDeque::new(),
    };
    stream::unfold(watch, |mut watch| async move { Some((watch.next().await, watch)) }).boxed()
}

struct Watch {
    rpc: Rpc,
    /// The parent of the collection.
    documents: String,
    reducer: Reducer,
    stream: Option<Streaming<ListenResponse>>,
    waits: ExponentialBackoff,
    /// When the stream may be opened again.
    due: Option<Instant>,
    opened: Instant,
    /// Whether the consumer knows that something may be missing.
    interrupted: bool,
    pending: VecDeque<WatchEvent>,
}

impl Watch {
    async fn next(&mut self) -> WatchEvent {
        loop {
            if let Some(event) = self.pending.pop_front() {
                return event;
            }
            match &mut self.stream {
                None => self.open().await,
                Some(stream) => {
                    let read = tokio::time::timeout(SILENCE_MAX, stream.message()).await;
                    self.took(read.unwrap_or_else(|_| Err(silent())));
                }
            }
        }
    }

    async fn open(&mut self) {
        if let Some(due) = self.due.take() {
            tokio::time::sleep_until(due).await;
        }
        let token = self.reducer.open();
        match self.rpc.listen(live_target(&self.documents, token)).await {
            Ok(stream) => {
                self.opened = Instant::now();
                self.stream = Some(stream);
            }
            Err(status) => self.failed(&status),
        }
    }

    fn took(&mut self, read: Result<Option<ListenResponse>, Status>) {
        match read {
            Ok(Some(response)) => self.react(response),
            Ok(None) => self.closed("closed by the server"),
            Err(status) => self.failed(&status),
        }
    }

    fn react(&mut self, response: ListenResponse) {
        let Reaction { events, then } = self.reducer.apply(response);
        if events.contains(&WatchEvent::Current) {
            self.interrupted = false;
        }
        self.pending.extend(events);
        if let Then::StartOver(why) = then {
            self.closed(why);
        }
    }

    fn failed(&mut self, status: &Status) {
        // Anything that is not a matter of the connection may be the token's fault.
        if !is_unknown_outcome(status) {
            self.reducer.forget_token();
        }
        self.closed(&format!("{:?}: {}", status.code(), status.message()));
    }

    fn closed(&mut self, why: &str) {
        if self.stream.take().is_some() && self.opened.elapsed() >= HEALTHY_AFTER {
            self.waits = waits();
        }
        self.due = self.waits.next().map(|wait| Instant::now() + wait);
        if !self.interrupted {
            tracing::info!(why, "the watch of the live set is interrupted and goes on by itself");
            self.interrupted = true;
            self.pending.push_back(WatchEvent::Interrupted);
        }
    }
}

fn waits() -> ExponentialBackoff {
    backoff(REOPEN_DELAY.0, REOPEN_DELAY.1).build()
}

fn silent() -> Status {
    Status::new(Code::Unavailable, "silent for too long")
}

fn live_target(parent: &str, token: Option<Vec<u8>>) -> Target {
    let live = QueryTarget {
        parent: parent.to_owned(),
        query_type: Some(QueryType::StructuredQuery(query::live())),
    };
    Target {
        target_id: TARGET,
        target_type: Some(TargetType::Query(live)),
        resume_type: token.map(ResumeType::ResumeToken),
        ..Default::default()
    }
}
