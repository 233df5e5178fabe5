//! How much one person, and everybody together, may do.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use curfew_core::principal::Subject;
use curfew_ports::{Clock, StoredRequest};
use governor::middleware::NoOpMiddleware;
use governor::state::keyed::HashMapStateStore;
use governor::{Quota, RateLimiter};
use tokio::sync::{OwnedMutexGuard, Semaphore};

use crate::errors::{Reason, Refusal};

/// Requests in flight: beyond it a reply would be late anyway, and each may hold a body of 64 KiB.
const IN_FLIGHT_MAX: usize = 512;

/// New requests of one person within [`NEW_WINDOW`].
pub(crate) const NEW_MAX: usize = 10;

/// The window of [`NEW_MAX`].
pub(crate) const NEW_WINDOW: TimeDelta = TimeDelta::minutes(10);

/// Open requests of one person for one entitlement.
pub(crate) const OPEN_MAX: usize = 10;

/// How many of a person's newest requests are looked at to count the open ones. At ten in ten minutes it takes more
/// than an hour and a half to hide older ones behind it, and the controller counts all.
pub(crate) const COUNTED_MAX: u32 = 100;

/// Changes that one person may send within a minute, refused ones included: each may cost calls to Google.
const ATTEMPTS_PER_MINUTE: NonZeroU32 = NonZeroU32::MIN.saturating_add(59);

/// People whose attempts are remembered before those who have been quiet are forgotten.
const PEOPLE_REMEMBERED_MAX: usize = 10_000;

pub(crate) struct Limits {
    pub(crate) slots: Arc<Semaphore>,
    attempts: RateLimiter<Subject, HashMapStateStore<Subject>, Elapsed, NoOpMiddleware<Duration>>,
    turns: Mutex<BTreeMap<Subject, Weak<tokio::sync::Mutex<()>>>>,
}

/// The process's clock as the rate limiter reads it.
#[derive(Clone)]
struct Elapsed(Arc<dyn Clock>);

impl governor::clock::Clock for Elapsed {
    type Instant = Duration;

    fn now(&self) -> Duration {
        self.0.elapsed()
    }
}

impl Limits {
    pub(crate) fn new(clock: &Arc<dyn Clock>) -> Self {
        let quota = Quota::per_minute(ATTEMPTS_PER_MINUTE);
        Self {
            slots: Arc::new(Semaphore::new(IN_FLIGHT_MAX)),
            attempts: RateLimiter::new(quota, HashMapStateStore::default(), Elapsed(clock.clone())),
            turns: Mutex::default(),
        }
    }

    /// Counts one change that a person sends.
    pub(crate) fn attempt(&self, subject: &Subject) -> Result<(), Refusal> {
        if self.attempts.len() > PEOPLE_REMEMBERED_MAX {
            self.attempts.retain_recent();
        }
        self.attempts.check_key(subject).map_err(|early| {
            let wait = early.wait_time_from(governor::clock::Clock::now(self.attempts.clock()));
            Refusal::new(Reason::TooManyAttempts, "You send changes too fast: wait a little.")
                .after(wait)
        })
    }

    /// Waits until no other change of this person is under way in this process, so that none slips past a count.
    pub(crate) async fn turn(&self, subject: &Subject) -> OwnedMutexGuard<()> {
        let turn = {
            let mut turns = self.turns.lock().unwrap_or_else(PoisonError::into_inner);
            turns.retain(|_, turn| turn.strong_count() > 0);
            let held = turns.get(subject).and_then(Weak::upgrade);
            let turn = held.unwrap_or_default();
            turns.insert(subject.clone(), Arc::downgrade(&turn));
            turn
        };
        turn.lock_owned().await
    }
}

/// Refuses another new request where the newest `filed`, newest first, are too many within the window.
pub(crate) fn check_new(filed: &[StoredRequest], now: DateTime<Utc>) -> Result<(), Refusal> {
    let Some(tenth) = filed.get(NEW_MAX.saturating_sub(1)) else { return Ok(()) };
    let age = now.signed_duration_since(tenth.created_at);
    let wait = NEW_WINDOW.checked_sub(&age).and_then(|wait| wait.to_std().ok()).unwrap_or_default();
    if wait.is_zero() {
        return Ok(());
    }
    let message = format!(
        "You filed {NEW_MAX} requests within {} minutes: wait until the first of them is older.",
        NEW_WINDOW.num_minutes()
    );
    Err(Refusal::new(Reason::TooManyNew, message).after(wait))
}
