//! Faults on demand, for tests of clients. Only with the feature `faults`, which no program that
//! is shipped turns on.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::sync::broadcast::{self, error::RecvError};

use crate::{Method, refusal::Refusal};

/// Faults of open Listen streams that a slow stream may still have to take.
const STREAM_FAULTS_KEPT: usize = 16;

/// What goes wrong with one call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Nothing is done; `ABORTED`.
    Aborted,
    /// Nothing is done; `UNAVAILABLE`.
    Unavailable,
    /// The call waits this long before it is served.
    Delay(Duration),
    /// The call is served and what it wrote is on disk, but the answer is `UNAVAILABLE`.
    ReplyLost,
}

/// What goes wrong with an open Listen stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum StreamFault {
    /// It ends with `UNAVAILABLE`.
    Drop,
    /// Every target is told to forget what it knows, and then everything anew.
    Reset,
}

/// The faults of one server; clones share them.
///
/// Faults of one method strike its next calls, one each, in the order of injection.
#[derive(Clone, Debug)]
pub struct Faults {
    plans: Arc<Mutex<Plans>>,
    streams: broadcast::Sender<StreamFault>,
}

#[derive(Debug, Default)]
struct Plans {
    pending: BTreeMap<Method, VecDeque<Fault>>,
    struck: BTreeMap<Method, usize>,
}

impl Default for Faults {
    fn default() -> Self {
        Self { plans: Arc::default(), streams: broadcast::channel(STREAM_FAULTS_KEPT).0 }
    }
}

impl Faults {
    /// The next `times` calls of the method that no earlier fault waits for go wrong.
    pub fn inject(&self, method: Method, fault: Fault, times: usize) {
        let mut plans = self.lock();
        plans.pending.entry(method).or_default().extend(std::iter::repeat_n(fault, times));
    }

    /// How many calls of the method went wrong so far.
    pub fn struck(&self, method: Method) -> usize {
        self.lock().struck.get(&method).copied().unwrap_or_default()
    }

    /// How many faults of the method still wait for a call.
    pub fn pending(&self, method: Method) -> usize {
        self.lock().pending.get(&method).map_or(0, VecDeque::len)
    }

    /// Forgets every fault that has not struck yet.
    pub fn clear(&self) {
        self.lock().pending.clear();
    }

    /// Ends every open Listen stream with `UNAVAILABLE`; how many there were.
    pub fn drop_listeners(&self) -> usize {
        self.streams.send(StreamFault::Drop).unwrap_or_default()
    }

    /// Resets every target of every open Listen stream; how many streams there were.
    pub fn reset_listeners(&self) -> usize {
        self.streams.send(StreamFault::Reset).unwrap_or_default()
    }

    /// Lets the next fault of the method strike before the call is served.
    pub(crate) async fn before(&self, method: Method) -> Result<Struck, Refusal> {
        match self.next(method) {
            None => Ok(Struck { loses_reply: false }),
            Some(Fault::Aborted) => Err(Refusal::Contention),
            Some(Fault::Unavailable) => Err(Refusal::Unavailable),
            Some(Fault::ReplyLost) => Ok(Struck { loses_reply: true }),
            Some(Fault::Delay(delay)) => {
                tokio::time::sleep(delay).await;
                Ok(Struck { loses_reply: false })
            }
        }
    }

    /// The faults of one stream from now on.
    pub(crate) fn stream(&self) -> StreamFaults {
        StreamFaults(self.streams.subscribe())
    }

    fn next(&self, method: Method) -> Option<Fault> {
        let mut plans = self.lock();
        let fault = plans.pending.get_mut(&method)?.pop_front()?;
        let struck = plans.struck.entry(method).or_default();
        *struck = struck.saturating_add(1);
        Some(fault)
    }

    fn lock(&self) -> MutexGuard<'_, Plans> {
        self.plans.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The faults that one Listen stream has to take.
pub(crate) struct StreamFaults(broadcast::Receiver<StreamFault>);

impl StreamFaults {
    /// Waits for the next.
    pub(crate) async fn next(&mut self) -> StreamFault {
        loop {
            match self.0.recv().await {
                Ok(fault) => return fault,
                Err(RecvError::Lagged(_)) => {}
                Err(RecvError::Closed) => std::future::pending().await,
            }
        }
    }
}

/// What a fault leaves to do once a call was served.
pub(crate) struct Struck {
    loses_reply: bool,
}

impl Struck {
    /// Takes the answer away if the fault says so.
    pub(crate) fn after<T>(self, answer: T) -> Result<T, Refusal> {
        if self.loses_reply { Err(Refusal::Unavailable) } else { Ok(answer) }
    }
}
