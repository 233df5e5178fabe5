//! One turn on one policy: read → re-read the requests and decide again → intent → write → record.
//!
//! The edits are what [`curfew_core::reconcile`] asks for on the policy and the documents of this very turn; what put
//! the ids into the mailbox does not matter. The etag keeps a late or stale write from overwriting anybody; that a
//! late write cannot undo an early end is the core's rule for `ENDED`, which this file only feeds with
//! `facts_known_before_read`.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use curfew_core::apply::{Applied, GOOGLE_LIMITS, apply_edits};
use curfew_core::chain::Chain;
use curfew_core::id::{RequestId, WriteId};
use curfew_core::observe::{Marks, ObservedBindings, observe};
use curfew_core::plan::{Plan, Purpose, SetBindings};
use curfew_core::planted;
use curfew_core::policy::{Binding, Policy};
use curfew_core::reconcile;
use curfew_core::request::Request;
use curfew_core::resource::Resource;
use curfew_core::world::{Answered, Observed, Unanswered};
#[cfg(feature = "planted-bugs")]
use curfew_ports::StoredRequest;
use curfew_ports::{Intent, PortError, RetryClass};
use futures_util::future::join_all;

use crate::context::Context;
use crate::gather::{Seen, gather};
use crate::metrics::PolicyOp;
use crate::queue::Priority;
use crate::record::{Recording, needs_mending, record};
use crate::sight::{Sight, unauthorised};
use crate::view::Known;

/// A write is abandoned if more than this has passed since the documents were read again: what they said may be over.
const DOCUMENTS_AGE_MAX: Duration = Duration::from_secs(5);

/// What a turn is to look at.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Batch {
    /// These requests.
    pub(crate) ids: BTreeSet<RequestId>,
    /// And every request that a title in the policy names.
    pub(crate) whole: bool,
}

impl Batch {
    /// One request.
    pub(crate) fn one(id: RequestId) -> Self {
        Self { ids: BTreeSet::from([id]), whole: false }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.ids.is_empty() && !self.whole
    }

    pub(crate) fn join(&mut self, other: Self) {
        self.ids.extend(other.ids);
        self.whole |= other.whole;
    }
}

/// How a turn ended, and what has to be looked at again.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum TurnEnd {
    /// Nothing is left to do for it.
    Done,
    /// This clock is not believed, so nothing was asked or written: again, soon, and no failure of the resource.
    NotTaken(Batch),
    /// Somebody else wrote the policy, or the documents got too old: again, soon.
    Conflict(Batch),
    /// A call failed: again, after a back-off.
    Failed { batch: Batch, wait_at_least: Duration, is_over_quota: bool },
}

impl TurnEnd {
    /// A failed call.
    fn failed(batch: Batch, error: &PortError) -> Self {
        let is_over_quota = matches!(error.class, RetryClass::RateLimited(_));
        Self::Failed { batch, wait_at_least: error.wait_at_least(), is_over_quota }
    }

    /// Whether it failed because a quota is used up.
    pub(crate) fn is_over_quota(&self) -> bool {
        matches!(self, Self::Failed { is_over_quota: true, .. })
    }
}

/// One request in a turn.
struct Look {
    known: Known,
    plan: Plan,
    /// Whether the policy holds a binding of it.
    holds: bool,
    /// How many bindings under its title none of its facts asks for.
    unauthorised: usize,
}

/// Where a policy comes from.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Source {
    /// It was read.
    Read,
    /// It is what a write of this turn was answered with.
    Answer,
}

/// Takes one turn with everything in `batch`.
pub(crate) async fn take(context: &Arc<Context>, resource: &Resource, batch: Batch) -> TurnEnd {
    if !context.health().clock_agrees {
        return TurnEnd::NotTaken(batch);
    }
    // How many facts stood before the policy is read: only those can have been obeyed by the coming write.
    let mut known_before: BTreeMap<RequestId, usize> =
        batch.ids.iter().map(|id| (id.clone(), n_facts(context, id))).collect();
    if batch.whole {
        // Its titles may name these.
        known_before.extend(context.view.in_doubt());
    }
    let policy = match context.ports.policies.get(resource).await {
        Ok(policy) => policy,
        Err(error) => return unreadable(context, resource, batch, &error).await,
    };
    let over = context.actors.was_read(resource, &policy.etag, context.ports.clock.elapsed());
    let turn = Turn { context, resource, known_before };
    turn.close_intents(over).await;
    turn.on(policy, batch).await
}

/// Where the request's bindings belong: as its grant records, or as its spec asks.
pub(crate) fn resource_of(request: &Request) -> Option<Resource> {
    let granted = Chain::of(&request.facts).grant.map(|grant| grant.resource);
    granted.or_else(|| request.spec.as_ref().ok().map(|spec| spec.resource.clone()))
}

fn n_facts(context: &Context, id: &RequestId) -> usize {
    context.view.get(id).map_or(0, |known| known.request.facts.len())
}

/// Removals and additions apart, or, where there is only one of the kinds, its two halves.
fn halves(edits: &[SetBindings]) -> [BTreeSet<RequestId>; 2] {
    let (removals, additions): (Vec<_>, Vec<_>) =
        edits.iter().partition(|edit| edit.bindings.is_empty());
    let ids = |edits: &[&SetBindings]| edits.iter().map(|edit| edit.request.clone()).collect();
    if removals.is_empty() || additions.is_empty() {
        let all: Vec<_> = edits.iter().collect();
        let (first, second) = all.split_at(all.len() / 2);
        return [ids(first), ids(second)];
    }
    [ids(&removals), ids(&additions)]
}

struct Turn<'a> {
    context: &'a Arc<Context>,
    resource: &'a Resource,
    known_before: BTreeMap<RequestId, usize>,
}

impl Turn<'_> {
    async fn on(&self, policy: Policy, mut batch: Batch) -> TurnEnd {
        if batch.whole {
            batch.ids.extend(self.titled(&policy));
        }
        let read_at = self.context.ports.clock.elapsed();
        let looks = match self.look(&batch.ids, &policy, Source::Read).await {
            Ok(looks) => looks,
            Err(error) => return self.give_up(batch, "read the requests of a turn", &error),
        };
        self.note(batch.whole, &looks);
        self.see(&batch, batch.whole, &policy, &looks);
        self.record_facts(&looks).await;
        let edits = self.edits(&looks, &policy);
        let applied = apply_edits(&policy, &edits, &GOOGLE_LIMITS);
        self.hold_back(&applied);
        if applied.policy.bindings == policy.bindings {
            return TurnEnd::Done;
        }
        self.write(&batch, &policy, &applied.policy, &edits, read_at).await
    }

    /// Requests that the titles in the policy name.
    fn titled(&self, policy: &Policy) -> BTreeSet<RequestId> {
        let installation = &self.context.settings.installation;
        policy
            .bindings
            .iter()
            .filter_map(|binding| installation.request_of(binding.title()))
            .collect()
    }

    /// Reads the documents anew and decides on each, with the policy as it is.
    async fn look(
        &self,
        ids: &BTreeSet<RequestId>,
        policy: &Policy,
        source: Source,
    ) -> Result<Vec<Look>, PortError> {
        let ids: Vec<RequestId> = ids.iter().cloned().collect();
        let documents = planted!(
            "no-re-read",
            {
                self.context.ports.store.get(&ids).await?;
                self.remembered(&ids)
            },
            self.context.ports.store.get(&ids).await?
        );
        let known = documents.into_values().map(|stored| self.context.view.learn(stored).0);
        let looks = known.filter(|known| self.is_home_of(known)).map(|known| async move {
            let seen = self.seen(&known, policy, source);
            let holds = !seen.bindings.known().is_none_or(ObservedBindings::is_clear);
            let unauthorised =
                seen.bindings.known().map_or(0, |seen| unauthorised(&known.request, seen));
            let world = gather(self.context, &known, seen).await;
            let plan = reconcile(&known.request, &world, self.context.now());
            Look { known, plan, holds, unauthorised }
        });
        Ok(join_all(looks).await)
    }

    /// Whether the request's bindings belong into this policy. Its title elsewhere is somebody else's doing.
    fn is_home_of(&self, known: &Known) -> bool {
        let is_home = resource_of(&known.request).is_none_or(|home| home == *self.resource);
        if !is_home {
            tracing::error!(operation.id = %known.stored.id, request.id = %known.stored.id, resource = %self.resource, "a binding bears the title of a request on another resource");
        }
        is_home
    }

    #[cfg(feature = "planted-bugs")]
    fn remembered(&self, ids: &[RequestId]) -> BTreeMap<RequestId, StoredRequest> {
        let known = ids.iter().filter_map(|id| self.context.view.get(id));
        known.map(|known| (known.stored.id.clone(), (*known.stored).clone())).collect()
    }

    fn seen(&self, known: &Known, policy: &Policy, source: Source) -> Seen<'_> {
        let bindings = self.observe(known, policy);
        if !bindings.planted.is_empty() {
            tracing::error!(operation.id = %known.stored.id, request.id = %known.stored.id, resource = %self.resource, n = bindings.planted.len(), "bindings that bear this request's title were not written by this controller");
        }
        let answered = (source == Source::Answer).then(|| Answered {
            facts_known_before_read: self.knew(&known.stored.id),
            left: bindings.ours.clone(),
            left_altered: bindings.altered.len(),
        });
        Seen {
            here: Some(self.resource),
            bindings: Observed::Known(bindings),
            answered,
            refused: None,
        }
    }

    /// How many facts of a request stood in the view that the turn started from.
    fn knew(&self, id: &RequestId) -> usize {
        let known = self.known_before.get(id).copied().unwrap_or(0);
        planted!("all-was-known-before", usize::MAX, known)
    }

    fn observe(&self, known: &Known, policy: &Policy) -> ObservedBindings {
        let chain = Chain::of(&known.request.facts);
        let recorded: Vec<_> = chain.recorded_bindings().collect();
        observe(
            policy,
            &Marks {
                installation: &self.context.settings.installation,
                request: &known.stored.id,
                resource: self.resource,
                recorded: &recorded,
                tag: &|subject| self.context.ports.sealer.tag(subject),
            },
        )
    }

    /// What was seen tells where requests have bindings whose documents no longer say so.
    fn note(&self, is_whole: bool, looks: &[Look]) {
        let holding = looks.iter().map(|look| (&look.known.stored.id, look.holds));
        let swept_at = is_whole.then(|| self.context.ports.clock.elapsed());
        self.context.actors.looked(self.resource, swept_at, holding);
    }

    /// Notes for operators what the policy holds.
    fn see(&self, batch: &Batch, is_whole: bool, policy: &Policy, looks: &[Look]) {
        let installation = &self.context.settings.installation;
        let looked = looks.iter().map(|look| (&look.known.stored.id, look.unauthorised));
        let sight = Sight::of(policy, installation, &batch.ids, looked);
        self.context.actors.saw(self.resource, is_whole, sight);
    }

    /// Plans with facts leave the turn: the facts are recorded, and the next pass acts on them.
    async fn record_facts(&self, looks: &[Look]) {
        let due = looks
            .iter()
            .filter(|look| !look.plan.facts.is_empty() || needs_mending(self.context, &look.known));
        join_all(due.map(|look| async move {
            let id = &look.known.stored.id;
            match record(self.context, &look.known, &look.plan.facts).await {
                Recording::Done(_) | Recording::LostRace(_) => self.context.queue.add(id, Priority::Fresh),
                Recording::Failed(error) => {
                    tracing::warn!(error = error.chain(), request.id = %id, "facts could not be recorded");
                    self.context.queue.back_off(id, Priority::Fresh);
                }
            }
        }))
        .await;
    }

    fn edits(&self, looks: &[Look], policy: &Policy) -> Vec<SetBindings> {
        let wanted = looks.iter().filter_map(|look| look.plan.bindings.clone());
        let is_tried = |edit: &SetBindings| {
            edit.purpose == Purpose::Fence
                && self.context.actors.is_refused_fence(self.resource, &edit.request, &policy.etag)
        };
        wanted.filter(|edit| !is_tried(edit)).collect()
    }

    /// What does not fit into the policy now is tried again later, until its activation deadline.
    fn hold_back(&self, applied: &Applied) {
        for (id, refusal) in &applied.refused {
            tracing::warn!(request.id = %id, resource = %self.resource, reason = refusal.as_str(), "the policy is full");
            self.context.metrics.policy_full(*refusal);
            self.context.queue.back_off(id, Priority::Fresh);
        }
    }

    async fn write(
        &self,
        batch: &Batch,
        read: &Policy,
        wanted: &Policy,
        edits: &[SetBindings],
        read_at: Duration,
    ) -> TurnEnd {
        if let Err(end) = self.check_foreign(batch, read, wanted, edits) {
            return end;
        }
        #[cfg(feature = "planted-bugs")]
        let wanted = &Policy {
            etag: planted!("no-etag", String::new(), wanted.etag.clone()),
            ..wanted.clone()
        };
        let write = WriteId::from_bits(self.context.ports.entropy.bits());
        let intent = Intent {
            requests: edits.iter().map(|edit| edit.request.clone()).collect(),
            etag: read.etag.clone(),
            at: self.context.now(),
        };
        if let Err(error) = planted!(
            "no-intent",
            Ok(()),
            self.context.ports.store.open_intent(self.resource, &write, &intent).await
        ) {
            // It may be recorded all the same, or may still be: a read that shows another etag closes it.
            self.context.actors.left_open(self.resource, write, intent.etag);
            return self.give_up(batch.clone(), "record the intent of a policy write", &error);
        }
        self.context.actors.written(self.resource);
        let age = self.context.ports.clock.elapsed().saturating_sub(read_at);
        let clock_agrees = self.context.health().clock_agrees;
        if age > planted!("documents-may-be-old", Duration::MAX, DOCUMENTS_AGE_MAX)
            || !clock_agrees
            || self.context.stop.is_cancelled()
        {
            self.close_intent(write, read).await;
            return TurnEnd::Conflict(batch.clone());
        }
        match self.context.ports.policies.set(self.resource, wanted, &write).await {
            Ok(stored) => {
                self.announce("ok", &write, edits);
                let ((), end) = tokio::join!(
                    self.close_intent(write, read),
                    self.after_write(batch, edits, &stored)
                );
                end
            }
            Err(error) => self.not_written(batch, read, edits, write, error).await,
        }
    }

    /// What is not ours must be the same before and after; a difference would be a defect of this program.
    fn check_foreign(
        &self,
        batch: &Batch,
        read: &Policy,
        wanted: &Policy,
        edits: &[SetBindings],
    ) -> Result<(), TurnEnd> {
        let ours: BTreeSet<Binding> = edits
            .iter()
            .flat_map(|edit| {
                edit.replaces.iter().cloned().chain(edit.bindings.iter().map(Binding::from))
            })
            .collect();
        let foreign = |policy: &Policy| policy.foreign(|binding| ours.contains(binding));
        if foreign(read) == foreign(wanted) && read.etag == wanted.etag {
            return Ok(());
        }
        self.context.metrics.foreign_diff_refused();
        tracing::error!(resource = %self.resource, "refused to write a policy that differs in bindings that are not ours");
        Err(TurnEnd::Failed {
            batch: batch.clone(),
            wait_at_least: Duration::ZERO,
            is_over_quota: false,
        })
    }

    /// The write was answered: look at the documents once more and record what that means.
    async fn after_write(&self, batch: &Batch, edits: &[SetBindings], stored: &Policy) -> TurnEnd {
        for edit in edits.iter().filter(|edit| !edit.replaces.is_empty()) {
            self.context.view.removed(&edit.request, self.knew(&edit.request));
        }
        match self.look(&batch.ids, stored, Source::Answer).await {
            Ok(looks) => {
                self.note(false, &looks);
                self.see(batch, false, stored, &looks);
                self.record_facts(&looks).await;
                for look in looks.iter().filter(|look| look.plan.facts.is_empty()) {
                    let id = &look.known.stored.id;
                    // What is still there may be of a request that ended meanwhile: no pass would look at the policy.
                    if planted!("leftovers-ignored", false, look.plan.bindings.is_some()) {
                        self.context.actors.submit(
                            self.context,
                            self.resource,
                            Batch::one(id.clone()),
                        );
                    }
                    self.context.queue.add(id, Priority::Fresh);
                }
                TurnEnd::Done
            }
            // What the answer proves is lost; the requests are looked at again and prove it anew.
            Err(error) => {
                self.give_up(batch.clone(), "read the requests after a policy write", &error)
            }
        }
    }

    async fn not_written(
        &self,
        batch: &Batch,
        read: &Policy,
        edits: &[SetBindings],
        write: WriteId,
        error: PortError,
    ) -> TurnEnd {
        self.announce(error.class.as_str(), &write, edits);
        if error.class
            == planted!("no-answer-is-a-refusal", RetryClass::Denied, RetryClass::Unavailable)
        {
            // It may have happened, or may still happen: the intent stays open until a read shows another etag.
            self.context.actors.left_open(self.resource, write, read.etag.clone());
            return self.give_up(batch.clone(), "write a policy", &error);
        }
        self.close_intent(write, read).await;
        match error.class {
            RetryClass::Conflict => {
                self.context.metrics.policy_conflict();
                TurnEnd::Conflict(batch.clone())
            }
            RetryClass::Invalid => self.isolate(batch, read, edits, &error).await,
            RetryClass::RateLimited(_)
            | RetryClass::Denied
            | RetryClass::NotFound
            | RetryClass::AlreadyExists
            | RetryClass::Unavailable => self.give_up(batch.clone(), "write a policy", &error),
        }
    }

    /// The write as a whole was refused as wrong. Removals go alone, then additions by halves, until the culprit is
    /// alone; its activation has failed.
    async fn isolate(
        &self,
        batch: &Batch,
        read: &Policy,
        edits: &[SetBindings],
        error: &PortError,
    ) -> TurnEnd {
        tracing::warn!(error = error.chain(), resource = %self.resource, n = edits.len(), "a policy write was refused as wrong");
        let blamed = planted!("the-first-is-the-culprit", edits.get(..1).unwrap_or(edits), edits);
        if let [culprit] = blamed {
            return self.refuse(batch, read, culprit, error).await;
        }
        for ids in halves(edits) {
            match Box::pin(take(self.context, self.resource, Batch { ids, whole: false })).await {
                TurnEnd::Done => {}
                TurnEnd::NotTaken(_) => return TurnEnd::NotTaken(batch.clone()),
                // The rest waits for the next turn: the policy or the cloud is not as it was.
                TurnEnd::Conflict(_) => return TurnEnd::Conflict(batch.clone()),
                TurnEnd::Failed { wait_at_least, is_over_quota, .. } => {
                    return TurnEnd::Failed { batch: batch.clone(), wait_at_least, is_over_quota };
                }
            }
        }
        TurnEnd::Done
    }

    async fn refuse(
        &self,
        batch: &Batch,
        read: &Policy,
        culprit: &SetBindings,
        error: &PortError,
    ) -> TurnEnd {
        let id = &culprit.request;
        if culprit.purpose == Purpose::Fence {
            self.context.actors.refused_fence(self.resource, id.clone(), read.etag.clone());
            return TurnEnd::Done;
        }
        let Some(known) = self.context.view.get(id).filter(|_| !culprit.bindings.is_empty()) else {
            return self.give_up(batch.clone(), "remove bindings", error);
        };
        let seen =
            Seen { refused: Some(error.act.clone()), ..self.seen(&known, read, Source::Read) };
        let world = gather(self.context, &known, seen).await;
        let plan = reconcile(&known.request, &world, self.context.now());
        self.record_facts(&[Look { known, plan, holds: false, unauthorised: 0 }]).await;
        TurnEnd::Done
    }

    /// One line and the counters for a policy write that was sent, however it went.
    fn announce(&self, result: &'static str, write: &WriteId, edits: &[SetBindings]) {
        let op = PolicyOp::of(edits);
        let requests: Vec<&str> = edits.iter().map(|edit| edit.request.as_str()).collect();
        let requests = requests.join(" ");
        tracing::info!(
            event = "curfew.writePolicy",
            resource = %self.resource,
            write.id = %write,
            op = op.as_str(),
            result,
            requests,
            "policy write"
        );
        self.context.metrics.policy_written(op, result, edits.len());
    }

    async fn close_intent(&self, write: WriteId, read: &Policy) {
        self.close_intents(BTreeMap::from([(write, read.etag.clone())])).await;
    }

    /// Records that these writes are over. Where that fails they stay noted, and a later read closes them.
    async fn close_intents(&self, over: BTreeMap<WriteId, String>) {
        let writes: Vec<WriteId> = over.keys().cloned().collect();
        if planted!("intents-never-closed", true, writes.is_empty()) {
            return;
        }
        if let Err(error) = self.context.ports.store.close_intents(self.resource, &writes).await {
            tracing::warn!(error = error.chain(), resource = %self.resource, "the end of a policy write could not be recorded");
            for (write, etag) in over {
                self.context.actors.left_open(self.resource, write, etag);
            }
        }
    }

    fn give_up(&self, batch: Batch, what: &'static str, error: &PortError) -> TurnEnd {
        tracing::warn!(error = error.chain(), resource = %self.resource, what, "a turn failed");
        TurnEnd::failed(batch, error)
    }
}

/// The policy cannot be read. Nothing is concluded from that, except that a day after its end access is given up.
async fn unreadable(
    context: &Arc<Context>,
    resource: &Resource,
    batch: Batch,
    error: &PortError,
) -> TurnEnd {
    tracing::warn!(error = error.chain(), %resource, "a policy could not be read");
    let turn = Turn { context, resource, known_before: BTreeMap::new() };
    let mut left = Batch { ids: BTreeSet::new(), whole: batch.whole };
    for id in batch.ids {
        // One that ended, and is no longer known for that, may have left something behind.
        let Some(known) = context.view.get(&id) else {
            planted!("ended-ids-lost", false, left.ids.insert(id));
            continue;
        };
        let bindings = planted!(
            "unreadable-is-empty",
            Observed::Known(ObservedBindings::default()),
            Observed::Unknown(Unanswered::Failed(error.chain()))
        );
        let world = gather(context, &known, Seen { bindings, ..Seen::nothing() }).await;
        let plan = reconcile(&known.request, &world, context.now());
        if plan.facts.is_empty() {
            left.ids.insert(id);
        } else {
            turn.record_facts(&[Look { known, plan, holds: false, unauthorised: 0 }]).await;
        }
    }
    TurnEnd::failed(left, error)
}
