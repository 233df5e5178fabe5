//! One pass on one request: gather → decide → record, or hand the request to its resource's actor.

use std::collections::BTreeSet;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use curfew_core::chain::Chain;
use curfew_core::id::RequestId;
use curfew_core::plan::Reason;
use curfew_core::planted;
use curfew_core::reconcile;
use curfew_core::request::Rejection;
use curfew_core::resource::Resource;
use curfew_core::{Plan, World};
use tokio::time::Instant;

use crate::context::Context;
use crate::gather::{Seen, gather};
use crate::ledger;
use crate::queue::Priority;
use crate::record::{Recording, needs_mending, record};
use crate::turn::{Batch, resource_of};
use crate::view::Known;

/// How many commits one pass makes at most before it lets others have the worker.
const ROUNDS_MAX: usize = 8;

/// Works on the queue until it is closed.
pub(crate) async fn work(context: Arc<Context>) {
    while let Some(id) = context.queue.next().await {
        let started = context.ports.clock.elapsed();
        pass(&context, &id).await;
        context.metrics.reconciled(context.ports.clock.elapsed().saturating_sub(started));
        context.queue.done(&id);
    }
}

/// How urgent a request is, by what is known of it. What is over comes before what begins, also after an outage.
pub(crate) fn priority(known: &Known, now: DateTime<Utc>) -> Priority {
    let request = &known.request;
    if request.spec.is_err() || request.facts.rejected() > 0 {
        return Priority::Doubtful;
    }
    let chain = Chain::of(&request.facts);
    let is_over = chain.outcome.is_some()
        || chain.grant.as_ref().is_some_and(|grant| now >= grant.expires_at);
    let is_over = planted!("overdue-waits", false, is_over);
    let wants_end = request.entries.iter().any(|(nonce, entry)| {
        let ends = entry.as_ref().is_ok_and(|entry| entry.act.wants_end());
        ends && !chain.seen.contains_key(nonce)
    });
    if planted!("no-overtaking", false, is_over || wants_end) {
        Priority::Ending
    } else {
        Priority::Fresh
    }
}

async fn pass(context: &Arc<Context>, id: &RequestId) {
    let Some(mut known) = context.view.get(id) else { return };
    if !context.health().clock_agrees {
        return context.queue.back_off(id, priority(&known, context.now()));
    }
    ledger::note_forgeries(context, &known).await;
    for _ in 0..ROUNDS_MAX {
        let world = gather(context, &known, Seen::nothing()).await;
        // The answers may have taken long.
        if !context.health().clock_agrees {
            return context.queue.back_off(id, priority(&known, context.now()));
        }
        let plan = reconcile(&known.request, &world, context.now());
        if plan.facts.is_empty() && !needs_mending(context, &known) {
            planted!("workers-wait", wait_if_blocked(&plan).await, ());
            return settle(context, &known, &world, &plan);
        }
        match record(context, &known, &plan.facts).await {
            Recording::Done(next) | Recording::LostRace(Some(next)) => known = next,
            Recording::LostRace(None) => return context.view.drop(id),
            Recording::Failed(error) => {
                tracing::warn!(error = error.chain(), request.id = %id, "facts could not be recorded");
                return context.queue.back_off(id, priority(&known, context.now()));
            }
        }
    }
    context.queue.add(id, priority(&known, context.now()));
}

/// With the bug planted, a worker waits by itself for what does not answer.
#[cfg(feature = "planted-bugs")]
async fn wait_if_blocked(plan: &Plan) {
    if plan.is_blocked() {
        tokio::time::sleep(std::time::Duration::from_secs(10)).await;
    }
}

/// Nothing is to be recorded: hand over what concerns the policy, and make the next appointment.
fn settle(context: &Arc<Context>, known: &Known, world: &World, plan: &Plan) {
    let id = &known.stored.id;
    explain(context, known, &plan.reasons);
    let places = places(known, world);
    if plan.bindings.is_some() && !places.is_empty() {
        for resource in &places {
            context.actors.submit(context, resource, Batch::one(id.clone()));
        }
    } else if Chain::of(&known.request.facts).ended.is_some() {
        context.queue.forget_failures(id);
        return context.view.drop(id);
    }
    if plan.is_blocked() {
        return context.queue.back_off(id, priority(known, context.now()));
    }
    context.queue.forget_failures(id);
    if let Some(at) = plan.wake_at {
        context.queue.add_at(id, instant_of(context, at), Priority::Fresh);
    }
}

/// Whose policies are to be looked at: where bindings were found that no fact records, or else where they belong.
fn places(known: &Known, world: &World) -> BTreeSet<Resource> {
    match world.strays.known() {
        Some(strays) if !strays.is_empty() => strays.clone(),
        Some(_) | None => resource_of(&known.request).into_iter().collect(),
    }
}

/// The monotonic instant of a wall time; at once if it has passed.
fn instant_of(context: &Context, at: DateTime<Utc>) -> Instant {
    let ahead = at.signed_duration_since(context.now()).to_std().unwrap_or_default();
    Instant::now().checked_add(ahead).unwrap_or_else(Instant::now)
}

fn explain(context: &Context, known: &Known, reasons: &[Reason]) {
    for reason in reasons {
        if let Reason::Full(refusal) = reason {
            tracing::warn!(request.id = %known.stored.id, reason = refusal.as_str(), "the policy is full: the grant waits");
            context.metrics.policy_full(*refusal);
        }
    }
    if !reasons.is_empty() {
        tracing::debug!(request.id = %known.stored.id, ?reasons, "decided");
    }
}

/// The rejections of a request's signed parts.
pub(crate) fn rejections(known: &Known) -> impl Iterator<Item = Rejection> + '_ {
    let spec = known.request.spec.as_ref().err().copied();
    spec.into_iter()
        .chain(known.request.entries.values().filter_map(|entry| entry.as_ref().err().copied()))
}
