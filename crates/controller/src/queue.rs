//! The work queue: one slot per request, never the same request twice at once.
//!
//! Semantics of client-go's workqueue and controller-runtime's priority queue: adding what is queued keeps the more
//! urgent priority; adding what is being worked on queues it once, when it is done; a delayed slot is replaced by
//! the next one. Failures of one request back off on their own and delay no other.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use curfew_core::id::RequestId;
use curfew_ports::Entropy;
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::metrics::{Metrics, QueueState};

/// The first delay after a failure; each further one doubles it.
const BACKOFF_FIRST: Duration = Duration::from_millis(100);

/// The longest delay: a request that keeps failing is still looked at twice a minute.
pub(crate) const BACKOFF_MAX: Duration = Duration::from_secs(30);

/// How urgent a slot is; the smaller first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Priority {
    /// Somebody wants to end access.
    Ending,
    /// Something changed, or a deadline has come.
    Fresh,
    /// The periodic look at everything.
    Resync,
    /// The document does not verify; anybody who can write the store can make more of these.
    Doubtful,
}

/// See the module's documentation.
pub(crate) struct Queue {
    slots: Mutex<Slots>,
    changed: Notify,
    entropy: Arc<dyn Entropy>,
    metrics: Metrics,
}

#[derive(Default)]
struct Slots {
    next_turn: u64,
    ready: BTreeMap<(Priority, u64), (RequestId, Instant)>,
    queued: HashMap<RequestId, (Priority, u64)>,
    working: HashMap<RequestId, Working>,
    delayed: BTreeMap<(Instant, RequestId), Priority>,
    wakes: HashMap<RequestId, Instant>,
    failures: HashMap<RequestId, u32>,
    is_closed: bool,
}

/// What a worker has in hand.
struct Working {
    since: Instant,
    /// If it was added again meanwhile.
    again: Option<Priority>,
}

impl Queue {
    pub(crate) fn new(entropy: Arc<dyn Entropy>, metrics: Metrics) -> Self {
        Self { slots: Mutex::default(), changed: Notify::new(), entropy, metrics }
    }

    /// Queues a request now.
    pub(crate) fn add(&self, id: &RequestId, priority: Priority) {
        if self.lock().add(id, priority) {
            self.metrics.queue_added();
        }
        self.changed.notify_one();
    }

    /// Queues a request at an instant, in place of any earlier appointment.
    pub(crate) fn add_at(&self, id: &RequestId, at: Instant, priority: Priority) {
        self.lock().schedule(id, at, priority);
        self.changed.notify_one();
    }

    /// Queues a request after its next back-off: exponential with jitter, at most [`BACKOFF_MAX`].
    pub(crate) fn back_off(&self, id: &RequestId, priority: Priority) {
        let delay = {
            let mut slots = self.lock();
            let failures = slots.failures.entry(id.clone()).or_default();
            *failures = failures.saturating_add(1);
            jittered(exponential(BACKOFF_FIRST, BACKOFF_MAX, *failures), self.entropy.bits())
        };
        self.metrics.queue_retried();
        self.add_at(id, Instant::now().checked_add(delay).unwrap_or_else(Instant::now), priority);
    }

    /// Forgets the failures of a request.
    pub(crate) fn forget_failures(&self, id: &RequestId) {
        self.lock().failures.remove(id);
    }

    /// The next request to work on; `None` once the queue is closed. Call [`Queue::done`] afterwards.
    pub(crate) async fn next(&self) -> Option<RequestId> {
        loop {
            // Enabled before the slots are looked at, so that no change in between goes unnoticed.
            let changed = self.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            let next_appointment = {
                let mut slots = self.lock();
                if slots.is_closed {
                    return None;
                }
                slots.ripen(Instant::now(), &self.metrics);
                if let Some((id, since)) = slots.take() {
                    self.metrics.queue_taken(since.elapsed());
                    // What is left is for another worker.
                    if !slots.ready.is_empty() {
                        self.changed.notify_one();
                    }
                    return Some(id);
                }
                slots.delayed.keys().next().map(|(at, _)| *at)
            };
            match next_appointment {
                Some(at) => tokio::select! {
                    biased;
                    () = changed => {}
                    () = tokio::time::sleep_until(at) => {}
                },
                None => changed.await,
            }
        }
    }

    /// Frees the request's slot; queues it again if it was added meanwhile.
    pub(crate) fn done(&self, id: &RequestId) {
        let again = {
            let mut slots = self.lock();
            let again = slots.working.remove(id).and_then(|working| working.again);
            if let Some(priority) = again {
                slots.add(id, priority);
            }
            again
        };
        if again.is_some() {
            self.changed.notify_one();
        }
    }

    /// Wakes every worker and gives out nothing more.
    pub(crate) fn close(&self) {
        self.lock().is_closed = true;
        self.changed.notify_waiters();
    }

    /// How full it is, and how long its workers have been at what they do.
    pub(crate) fn state(&self) -> QueueState {
        let slots = self.lock();
        let mut state = QueueState { waiting: slots.ready.len(), ..QueueState::default() };
        for working in slots.working.values() {
            let age = working.since.elapsed();
            state.working = state.working.saturating_add(1);
            state.unfinished = state.unfinished.saturating_add(age);
            state.longest = state.longest.max(age);
        }
        state
    }

    fn lock(&self) -> MutexGuard<'_, Slots> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Slots {
    /// Says whether it was not queued yet: then it counts as added.
    fn add(&mut self, id: &RequestId, priority: Priority) -> bool {
        if let Some(Working { again, .. }) = self.working.get_mut(id) {
            let is_first = again.is_none();
            *again = Some(again.map_or(priority, |earlier| earlier.min(priority)));
            return is_first;
        }
        let queued = self.queued.get(id).copied();
        if let Some((earlier, turn)) = queued {
            if priority >= earlier {
                return false;
            }
            self.ready.remove(&(earlier, turn));
        }
        self.next_turn = self.next_turn.saturating_add(1);
        self.queued.insert(id.clone(), (priority, self.next_turn));
        self.ready.insert((priority, self.next_turn), (id.clone(), Instant::now()));
        queued.is_none()
    }

    fn schedule(&mut self, id: &RequestId, at: Instant, priority: Priority) {
        if let Some(earlier) = self.wakes.insert(id.clone(), at) {
            self.delayed.remove(&(earlier, id.clone()));
        }
        self.delayed.insert((at, id.clone()), priority);
    }

    fn ripen(&mut self, now: Instant, metrics: &Metrics) {
        while let Some(entry) = self.delayed.first_entry() {
            if entry.key().0 > now {
                break;
            }
            let ((_, id), priority) = entry.remove_entry();
            self.wakes.remove(&id);
            if self.add(&id, priority) {
                metrics.queue_added();
            }
        }
    }

    fn take(&mut self) -> Option<(RequestId, Instant)> {
        let (_, (id, since)) = self.ready.pop_first()?;
        self.queued.remove(&id);
        self.working.insert(id.clone(), Working { since: Instant::now(), again: None });
        Some((id, since))
    }
}

/// `first`, doubled for each failure after the first, at most `max`.
pub(crate) fn exponential(first: Duration, max: Duration, failures: u32) -> Duration {
    let doublings = failures.saturating_sub(1).min(20);
    first.saturating_mul(2_u32.saturating_pow(doublings)).min(max)
}

/// Between half of the delay and the whole of it.
pub(crate) fn jittered(delay: Duration, bits: [u8; 16]) -> Duration {
    let half = delay.checked_div(2).unwrap_or_default();
    let [share, ..] = bits;
    let more =
        half.saturating_mul(u32::from(share)).checked_div(u32::from(u8::MAX)).unwrap_or_default();
    half.saturating_add(more)
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Zero;

    impl Entropy for Zero {
        fn bits(&self) -> [u8; 16] {
            [0; 16]
        }
    }

    fn queue() -> Queue {
        Queue::new(Arc::new(Zero), Metrics::unregistered())
    }

    fn id(n: u8) -> RequestId {
        RequestId::from_bits([n; 16])
    }

    async fn is_empty(queue: &Queue) -> bool {
        tokio::time::timeout(Duration::from_millis(1), queue.next()).await.is_err()
    }

    #[tokio::test(start_paused = true)]
    async fn the_more_urgent_goes_first_and_equals_go_in_order() {
        let queue = queue();
        for (n, priority) in [
            (1, Priority::Resync),
            (2, Priority::Fresh),
            (3, Priority::Fresh),
            (4, Priority::Ending),
        ] {
            queue.add(&id(n), priority);
        }
        for n in [4, 2, 3, 1] {
            assert_eq!(queue.next().await, Some(id(n)));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn adding_what_is_queued_keeps_one_slot_and_the_more_urgent_priority() {
        let queue = queue();
        queue.add(&id(1), Priority::Resync);
        queue.add(&id(2), Priority::Fresh);
        queue.add(&id(1), Priority::Ending);
        queue.add(&id(1), Priority::Doubtful);
        assert_eq!(queue.next().await, Some(id(1)));
        assert_eq!(queue.next().await, Some(id(2)));
        assert!(is_empty(&queue).await);
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_being_worked_on_is_never_given_out_twice() {
        let queue = queue();
        queue.add(&id(1), Priority::Fresh);
        assert_eq!(queue.next().await, Some(id(1)));
        queue.add(&id(1), Priority::Fresh);
        queue.add(&id(1), Priority::Fresh);
        assert!(is_empty(&queue).await);
        queue.done(&id(1));
        assert_eq!(queue.next().await, Some(id(1)));
        queue.done(&id(1));
        assert!(is_empty(&queue).await);
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_under_way_shows_how_long_it_has_been() {
        let queue = queue();
        for n in 1..4 {
            queue.add(&id(n), Priority::Fresh);
        }
        assert_eq!(queue.next().await, Some(id(1)));
        tokio::time::advance(Duration::from_secs(5)).await;
        assert_eq!(queue.next().await, Some(id(2)));
        tokio::time::advance(Duration::from_secs(1)).await;
        let (unfinished, longest) = (Duration::from_secs(7), Duration::from_secs(6));
        let state = QueueState { waiting: 1, working: 2, unfinished, longest };
        assert_eq!(queue.state(), state);
        queue.done(&id(1));
        let (unfinished, longest) = (Duration::from_secs(1), Duration::from_secs(1));
        assert_eq!(queue.state(), QueueState { waiting: 1, working: 1, unfinished, longest });
    }

    #[tokio::test(start_paused = true)]
    async fn an_appointment_is_replaced_by_the_next_one() {
        let queue = queue();
        let start = Instant::now();
        queue.add_at(&id(1), start + Duration::from_secs(5), Priority::Fresh);
        queue.add_at(&id(1), start + Duration::from_mins(1), Priority::Fresh);
        assert_eq!(queue.next().await, Some(id(1)));
        assert_eq!(start.elapsed(), Duration::from_mins(1));
    }

    #[tokio::test(start_paused = true)]
    async fn failures_back_off_up_to_the_cap_and_are_forgotten() {
        let queue = queue();
        let mut delays = Vec::new();
        for _ in 0..12 {
            let start = Instant::now();
            queue.back_off(&id(1), Priority::Fresh);
            assert_eq!(queue.next().await, Some(id(1)));
            queue.done(&id(1));
            delays.push(start.elapsed());
        }
        assert!(delays.is_sorted());
        assert_eq!(delays.last(), Some(&(BACKOFF_MAX / 2)));
        queue.forget_failures(&id(1));
        let start = Instant::now();
        queue.back_off(&id(1), Priority::Fresh);
        assert_eq!(queue.next().await, Some(id(1)));
        assert!(start.elapsed() <= BACKOFF_FIRST);
    }

    #[tokio::test(start_paused = true)]
    async fn closing_frees_every_waiting_worker() {
        let queue = Arc::new(queue());
        let workers: Vec<_> = (0..8)
            .map(|_| {
                let queue = queue.clone();
                tokio::spawn(async move { queue.next().await })
            })
            .collect();
        tokio::task::yield_now().await;
        queue.close();
        for worker in workers {
            assert_eq!(worker.await.unwrap(), None);
        }
    }
}
