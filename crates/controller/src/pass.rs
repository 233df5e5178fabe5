//! One pass on one request: gather → decide → record, or hand the request to its resource's actor.

use std::collections::BTreeSet;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use curfew_core::chain::Chain;
use curfew_core::id::RequestId;
use curfew_core::plan::Reason;
use curfew_core::planted;
use curfew_core::reconcile;
use curfew_core::resource::Resource;
use curfew_core::{Plan, World};
use tokio::time::Instant;

use crate::context::Context;
use crate::gather::{Seen, gather};
use crate::ledger;
use crate::metrics::PassEnd;
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
        let end = pass(&context, &id).await;
        context.metrics.passed(end, context.ports.clock.elapsed().saturating_sub(started));
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

async fn pass(context: &Arc<Context>, id: &RequestId) -> PassEnd {
    let Some(mut known) = context.view.get(id) else { return PassEnd::Success };
    if !context.health().clock_agrees {
        return back_off(context, &known);
    }
    for _ in 0..ROUNDS_MAX {
        ledger::put_down(context, &known).await;
        let world = gather(context, &known, Seen::nothing()).await;
        // The answers may have taken long.
        if !context.health().clock_agrees {
            return back_off(context, &known);
        }
        let plan = reconcile(&known.request, &world, context.now());
        if plan.facts.is_empty() && !needs_mending(context, &known) {
            planted!("workers-wait", wait_if_blocked(&plan).await, ());
            return settle(context, &known, &world, &plan);
        }
        match record(context, &known, &plan.facts).await {
            Recording::Done(next) | Recording::LostRace(Some(next)) => known = next,
            Recording::LostRace(None) => {
                context.view.drop(id);
                return PassEnd::Success;
            }
            Recording::Failed(error) => {
                tracing::warn!(error = error.chain(), request.id = %id, "facts could not be recorded");
                return back_off(context, &known);
            }
        }
    }
    context.queue.add(id, priority(&known, context.now()));
    PassEnd::Requeue
}

fn back_off(context: &Context, known: &Known) -> PassEnd {
    context.queue.back_off(&known.stored.id, priority(known, context.now()));
    PassEnd::Error
}

/// With the bug planted, a worker waits by itself for what does not answer.
#[cfg(feature = "planted-bugs")]
async fn wait_if_blocked(plan: &Plan) {
    if plan.is_blocked() {
        tokio::time::sleep(std::time::Duration::from_secs(10)).await;
    }
}

/// Nothing is to be recorded: hand over what concerns the policy, and make the next appointment.
fn settle(context: &Arc<Context>, known: &Known, world: &World, plan: &Plan) -> PassEnd {
    let id = &known.stored.id;
    explain(context, known, &plan.reasons);
    let places = places(known, world);
    if plan.bindings.is_some() && !places.is_empty() {
        for resource in &places {
            context.actors.submit(context, resource, Batch::one(id.clone()));
        }
    } else if Chain::of(&known.request.facts).ended.is_some() {
        context.queue.forget_failures(id);
        context.view.drop(id);
        return PassEnd::Success;
    }
    if plan.is_blocked() {
        return back_off(context, known);
    }
    // Whether a turn that was asked for gets anywhere is for the turn to say.
    if planted!("turns-without-pause", true, plan.bindings.is_none()) {
        context.queue.forget_failures(id);
    }
    let Some(at) = plan.wake_at else { return PassEnd::Success };
    context.queue.add_at(id, instant_of(context, at), Priority::Fresh);
    PassEnd::RequeueAfter
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
