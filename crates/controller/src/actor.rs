//! One actor per resource whose policy has to be looked at. Its mailbox holds request ids, not edits: while a turn is
//! in flight arriving ids wait, and the next turn takes them all (group commit, with no delay when idle).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use curfew_core::id::{RequestId, WriteId};
use curfew_core::planted;
use curfew_core::resource::Resource;
use curfew_ports::ResourceRecord;
use tokio_util::task::TaskTracker;

use crate::context::Context;
use crate::queue::{BACKOFF_MAX, exponential, jittered};
use crate::sight::{Room, Sight};
use crate::turn::{self, Batch, TurnEnd};

/// The first delay after a lost race for the policy: long enough for the other writer to finish.
const CONFLICT_BACKOFF_FIRST: Duration = Duration::from_millis(25);

/// The longest delay after lost races: a policy that somebody rewrites all the time is still ours to write.
const CONFLICT_BACKOFF_MAX: Duration = Duration::from_secs(2);

/// The first delay after a failed read or write.
const FAILURE_BACKOFF_FIRST: Duration = Duration::from_millis(250);

/// How long a turn waits for a clock that is believed. Every heartbeat compares it, so waiting longer would only hold up
/// removals.
const CLOCK_RETRY: Duration = Duration::from_secs(1);

/// How often a resource is read while a write without an answer may still land, and how long after that.
pub(crate) const UNANSWERED_READ_EVERY: Duration = Duration::from_mins(1);
const UNANSWERED_WATCH: Duration = Duration::from_mins(5);

/// The mailboxes of all resources that this process knows of.
pub(crate) struct Actors {
    mailboxes: Mutex<BTreeMap<Resource, Mailbox>>,
    tasks: TaskTracker,
    are_registered: AtomicBool,
}

#[derive(Default)]
struct Mailbox {
    batch: Batch,
    is_running: bool,
    conflicts: u32,
    failures: u32,
    /// Writes whose end is not known or not recorded, with the etag that each is conditional on.
    unanswered: BTreeMap<WriteId, String>,
    watch_until: Option<Duration>,
    /// Whether this installation has ever written the policy.
    is_written: bool,
    /// When this process last looked at every request that the policy's titles name.
    swept_at: Option<Duration>,
    /// The requests of which it held bindings then.
    holding: BTreeSet<RequestId>,
    /// What its policy was last seen to hold.
    sight: Option<Sight>,
    /// Fences that were refused, with the policy's etag then: not tried again on the very same policy.
    refused_fences: BTreeMap<RequestId, String>,
}

impl Actors {
    pub(crate) fn new() -> Self {
        Self {
            mailboxes: Mutex::default(),
            tasks: TaskTracker::new(),
            are_registered: AtomicBool::new(false),
        }
    }

    /// Puts ids into the resource's mailbox and wakes its actor.
    pub(crate) fn submit(&self, context: &Arc<Context>, resource: &Resource, batch: Batch) {
        let is_running = {
            let mut all = self.lock();
            let mailbox = all.entry(resource.clone()).or_default();
            mailbox.batch.join(batch);
            std::mem::replace(&mut mailbox.is_running, true)
        };
        if !is_running {
            self.tasks.spawn(run(context.clone(), resource.clone()));
        }
    }

    /// Takes in what the store says of resources that were written before.
    pub(crate) fn register(&self, record: ResourceRecord) {
        let mut all = self.lock();
        let mailbox = all.entry(record.resource).or_default();
        mailbox.is_written = true;
        mailbox
            .unanswered
            .extend(record.intents.into_iter().map(|(write, intent)| (write, intent.etag)));
    }

    /// Every resource that the store knows of has been registered.
    pub(crate) fn all_registered(&self) {
        self.are_registered.store(true, Ordering::Relaxed);
    }

    /// Notes that a policy is written.
    pub(crate) fn written(&self, resource: &Resource) {
        self.lock().entry(resource.clone()).or_default().is_written = true;
    }

    /// Notes of which requests a policy holds bindings; if everything that its titles name was looked at (`swept_at`), of
    /// no others.
    pub(crate) fn looked<'a>(
        &self,
        resource: &Resource,
        swept_at: Option<Duration>,
        looked_at: impl Iterator<Item = (&'a RequestId, bool)>,
    ) {
        let mut all = self.lock();
        let mailbox = all.entry(resource.clone()).or_default();
        if swept_at.is_some() {
            mailbox.swept_at = swept_at;
            mailbox.holding.clear();
        }
        for (id, holds) in looked_at {
            if holds {
                mailbox.holding.insert(id.clone());
            } else {
                mailbox.holding.remove(id);
            }
        }
    }

    /// Notes what a policy holds; if everything that its titles name was looked at, what was seen before is forgotten.
    pub(crate) fn saw(&self, resource: &Resource, is_whole: bool, sight: Sight) {
        let mut all = self.lock();
        let mailbox = all.entry(resource.clone()).or_default();
        let before = mailbox.sight.take().filter(|_| !is_whole);
        mailbox.sight = Some(sight.after(before));
    }

    /// Over all policies, as last seen: the bindings with our title that no verified fact asks for, and the least room.
    pub(crate) fn sights(&self) -> (usize, Option<Room>) {
        let all = self.lock();
        let sights = || all.values().filter_map(|mailbox| mailbox.sight.as_ref());
        let unauthorised = sights().map(Sight::unauthorised).fold(0, usize::saturating_add);
        (unauthorised, sights().map(Sight::room).reduce(Room::least))
    }

    /// Where bindings of a request were last seen; and which policy of ours was not looked at yet, if there is one.
    pub(crate) fn holding(&self, id: &RequestId) -> (BTreeSet<Resource>, Option<String>) {
        let all = self.lock();
        let holding = all.iter().filter(|(_, mailbox)| mailbox.holding.contains(id));
        let found = holding.map(|(resource, _)| resource.clone()).collect();
        if !self.are_registered.load(Ordering::Relaxed) {
            return (found, Some("the resources that were written are not known yet".into()));
        }
        let mut unread =
            all.iter().filter(|(_, mailbox)| mailbox.is_written && mailbox.swept_at.is_none());
        let unread = unread.next().map(|(resource, _)| format!("{resource} was not looked at yet"));
        (found, unread)
    }

    /// Resources that are due for a look at everything that their titles name.
    pub(crate) fn due<V>(
        &self,
        now: Duration,
        live: &BTreeMap<Resource, V>,
        every: (Duration, Duration),
    ) -> Vec<Resource> {
        let (live_every, settled_every) = every;
        let interval = |resource: &Resource, mailbox: &Mailbox| {
            if !mailbox.unanswered.is_empty()
                || mailbox.watch_until.is_some_and(|until| now < until)
            {
                UNANSWERED_READ_EVERY
            } else if live.contains_key(resource) {
                live_every
            } else {
                settled_every
            }
        };
        let mut all = self.lock();
        for resource in live.keys() {
            all.entry(resource.clone()).or_default();
        }
        let is_due = |resource: &Resource, mailbox: &Mailbox| {
            mailbox.swept_at.is_none_or(|at| now.saturating_sub(at) >= interval(resource, mailbox))
        };
        all.iter()
            .filter(|(resource, mailbox)| is_due(resource, mailbox))
            .map(|(resource, _)| resource.clone())
            .collect()
    }

    /// Notes a read of the policy at `now`; gives the writes that it shows to be over, with their etags.
    pub(crate) fn was_read(
        &self,
        resource: &Resource,
        etag: &str,
        now: Duration,
    ) -> BTreeMap<WriteId, String> {
        let mut all = self.lock();
        let mailbox = all.entry(resource.clone()).or_default();
        mailbox.failures = 0;
        // A write that is conditional on another etag can no longer land.
        let over: BTreeMap<WriteId, String> = mailbox
            .unanswered
            .extract_if(.., |_, on| planted!("intents-closed-by-any-read", true, on != etag))
            .collect();
        if !over.is_empty() {
            mailbox.watch_until = Some(now.saturating_add(UNANSWERED_WATCH));
        }
        over
    }

    /// Notes a write whose end is not known or not recorded.
    pub(crate) fn left_open(&self, resource: &Resource, write: WriteId, etag: String) {
        self.lock().entry(resource.clone()).or_default().unanswered.insert(write, etag);
    }

    pub(crate) fn refused_fence(&self, resource: &Resource, id: RequestId, etag: String) {
        self.lock().entry(resource.clone()).or_default().refused_fences.insert(id, etag);
    }

    /// Whether a fence of this request was refused on exactly this policy.
    pub(crate) fn is_refused_fence(&self, resource: &Resource, id: &RequestId, etag: &str) -> bool {
        let all = self.lock();
        all.get(resource)
            .and_then(|mailbox| mailbox.refused_fences.get(id))
            .is_some_and(|on| on == etag)
    }

    /// Waits until every turn is over.
    pub(crate) async fn wait(&self) {
        self.tasks.close();
        self.tasks.wait().await;
    }

    /// The next batch; `None`, and no longer running, if there is none.
    fn take(&self, resource: &Resource, stopping: bool) -> Option<Batch> {
        let mut all = self.lock();
        let mailbox = all.get_mut(resource)?;
        if stopping || mailbox.batch.is_empty() {
            mailbox.is_running = false;
            return None;
        }
        Some(std::mem::take(&mut mailbox.batch))
    }

    /// Notes how a turn ended; gives the delay before the next one.
    fn ended(&self, resource: &Resource, end: TurnEnd, bits: [u8; 16]) -> Duration {
        let mut all = self.lock();
        let mailbox = all.entry(resource.clone()).or_default();
        match end {
            TurnEnd::Done => {
                mailbox.conflicts = 0;
                mailbox.failures = 0;
                Duration::ZERO
            }
            TurnEnd::NotTaken(batch) => {
                mailbox.batch.join(batch);
                jittered(CLOCK_RETRY, bits)
            }
            TurnEnd::Conflict(batch) => {
                mailbox.batch.join(batch);
                mailbox.conflicts = mailbox.conflicts.saturating_add(1);
                jittered(
                    exponential(CONFLICT_BACKOFF_FIRST, CONFLICT_BACKOFF_MAX, mailbox.conflicts),
                    bits,
                )
            }
            TurnEnd::Failed { batch, wait_at_least, .. } => {
                mailbox.batch.join(batch);
                mailbox.failures = mailbox.failures.saturating_add(1);
                let delay = exponential(FAILURE_BACKOFF_FIRST, BACKOFF_MAX, mailbox.failures);
                jittered(delay, bits).max(wait_at_least.min(BACKOFF_MAX))
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Resource, Mailbox>> {
        self.mailboxes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn run(context: Arc<Context>, resource: Resource) {
    while let Some(batch) = context.actors.take(&resource, context.stop.is_cancelled()) {
        let end = turn::take(&context, &resource, batch).await;
        let is_over_quota = end.is_over_quota();
        let delay = context.actors.ended(&resource, end, context.ports.entropy.bits());
        if is_over_quota {
            context.metrics.quota_wait(delay);
        }
        if !delay.is_zero() {
            tokio::select! {
                biased;
                () = tokio::time::sleep(delay) => {}
                () = context.stop.cancelled() => {}
            }
        }
    }
}
