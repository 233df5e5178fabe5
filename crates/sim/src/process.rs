//! One run of the controller, which can be crashed at any call.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::trace::Who;

/// One process. A dead one gets no further than its next call, as if it had stopped right there.
#[derive(Debug)]
pub struct Process {
    number: u32,
    is_dead: AtomicBool,
    steps: AtomicU64,
    crash_at: Option<u64>,
    somebody_died: Arc<Notify>,
    stop: CancellationToken,
}

impl Process {
    pub(crate) fn new(number: u32, crash_at: Option<u64>, somebody_died: Arc<Notify>) -> Self {
        Self {
            number,
            is_dead: AtomicBool::new(false),
            steps: AtomicU64::new(0),
            crash_at,
            somebody_died,
            stop: CancellationToken::new(),
        }
    }

    /// How many moments before or after a call's effect it has lived through.
    pub fn steps(&self) -> u64 {
        self.steps.load(Ordering::Relaxed)
    }

    /// What tells it to stop in good order.
    pub fn stop(&self) -> &CancellationToken {
        &self.stop
    }

    pub(crate) fn who(&self) -> Who {
        Who::Controller(self.number)
    }

    pub(crate) fn is_dead(&self) -> bool {
        self.is_dead.load(Ordering::Relaxed)
    }

    pub(crate) fn die(&self) {
        self.is_dead.store(true, Ordering::Relaxed);
        self.somebody_died.notify_one();
        // Frees the timers of what is dead anyway.
        self.stop.cancel();
    }

    /// A moment at which the process may be crashed.
    pub(crate) async fn step(&self) {
        let step = self.steps.fetch_add(1, Ordering::Relaxed);
        if self.crash_at == Some(step) {
            self.die();
        }
        if self.is_dead() {
            std::future::pending::<()>().await;
        }
    }
}
