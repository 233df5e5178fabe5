//! Where work comes from: the watch as a hint, the resync as the guarantee, and the reading of resources.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use curfew_core::chain::Chain;
use curfew_core::id::RequestId;
use curfew_core::planted;
use curfew_core::resource::Resource;
use curfew_ports::{PortError, StoredRequest, WatchEvent};
use futures_util::StreamExt as _;

use crate::context::Context;
use crate::pass::priority;
use crate::queue::Priority;
use crate::turn::{Batch, resource_of};

/// The kinds of events of the watch, as metrics name them.
pub(crate) const EVENTS: [&str; 4] = ["changed", "gone", "current", "interrupted"];

/// How soon a failed resync is tried again.
const RESYNC_RETRY: Duration = Duration::from_secs(1);

/// How often it is checked which resources are due for a read.
const DUE_EVERY: Duration = Duration::from_secs(10);

/// Reads the whole live set, again and again. Requests that left it unnoticed are looked up one by one.
pub(crate) async fn resync_forever(context: Arc<Context>) {
    loop {
        let started = context.ports.clock.elapsed();
        let pause = match resync(&context).await {
            Ok(()) => {
                context.synced(started);
                context.metrics.resynced(context.ports.clock.elapsed().saturating_sub(started));
                planted!("no-resync", Duration::from_hours(24), context.settings.resync_every)
            }
            Err(error) => {
                tracing::warn!(error = error.chain(), "the live requests could not be read");
                RESYNC_RETRY
            }
        };
        if is_stopped(&context, pause).await {
            return;
        }
    }
}

async fn resync(context: &Context) -> Result<(), PortError> {
    let known_before: BTreeSet<RequestId> =
        context.view.all().iter().map(|known| known.stored.id.clone()).collect();
    let live = context.ports.store.live().await?;
    let in_store: BTreeSet<RequestId> = live.iter().map(|stored| stored.id.clone()).collect();
    for stored in live {
        learn(context, stored, Some(Priority::Resync));
    }
    let gone: Vec<RequestId> = known_before.difference(&in_store).cloned().collect();
    look_up(context, &gone).await?;
    context.view.forget(context.now());
    Ok(())
}

/// Takes in a document; queues it at least as urgently as it deserves, and if it is not new only if `even_if_known`.
fn learn(context: &Context, stored: StoredRequest, even_if_known: Option<Priority>) {
    let (known, is_new) = context.view.learn(stored);
    let id = &known.stored.id;
    if is_new {
        context.queue.add(id, priority(&known, context.now()));
    } else if let Some(priority) = even_if_known {
        context.queue.add(id, priority);
    }
}

/// Looks up requests that are no longer in the live set. That they are not says nothing: `live` is a hint.
async fn look_up(context: &Context, ids: &[RequestId]) -> Result<(), PortError> {
    if ids.is_empty() {
        return Ok(());
    }
    let mut found = context.ports.store.get(ids).await?;
    for id in ids {
        if let Some(stored) = found.remove(id) {
            learn(context, stored, Some(Priority::Resync));
        } else {
            tracing::error!(request.id = %id, "the document of a request was deleted");
            context.view.drop(id);
        }
    }
    Ok(())
}

/// Follows changes of the live set. Whatever it misses, the resync finds.
pub(crate) async fn watch_forever(context: Arc<Context>) {
    let mut events = context.ports.store.watch_live();
    loop {
        let event = tokio::select! {
            biased;
            event = events.next() => event,
            () = context.stop.cancelled() => return,
        };
        note(&context, event.as_ref());
        match event {
            Some(WatchEvent::Changed(stored)) => learn(&context, *stored, None),
            Some(WatchEvent::Gone(id)) => {
                if let Err(error) = look_up(&context, &[id]).await {
                    tracing::warn!(
                        error = error.chain(),
                        "a request that left the live set could not be looked up"
                    );
                }
            }
            Some(WatchEvent::Current | WatchEvent::Interrupted) => {}
            // It promises not to end; if it does all the same, begin anew, not in a hurry.
            None if is_stopped(&context, RESYNC_RETRY).await => return,
            None => events = context.ports.store.watch_live(),
        }
    }
}

/// Counts an event. That the stream is interrupted is no sign of life.
fn note(context: &Context, event: Option<&WatchEvent>) {
    let [changed, gone, current, interrupted] = EVENTS;
    let kind = match event {
        Some(WatchEvent::Changed(_)) => changed,
        Some(WatchEvent::Gone(_)) => gone,
        Some(WatchEvent::Current) => current,
        Some(WatchEvent::Interrupted) => interrupted,
        None => return,
    };
    context.metrics.watch_event(kind);
    if kind != interrupted {
        context.heard();
    }
}

/// Reads the policies of all resources that were ever written, and of those with a live request more often.
pub(crate) async fn read_resources_forever(context: Arc<Context>) {
    let mut registered_at = None;
    loop {
        let now = context.ports.clock.elapsed();
        // Again and again: an intent can be recorded long after the call that was to record it was given up.
        let is_due = |at: Duration| now.saturating_sub(at) >= context.settings.read_settled_every;
        if registered_at.is_none_or(is_due) && register_resources(&context).await {
            registered_at = Some(now);
        }
        let pause = if registered_at.is_some() { DUE_EVERY } else { RESYNC_RETRY };
        if is_stopped(&context, pause).await {
            return;
        }
        planted!("policies-never-read", (), submit_due(&context));
    }
}

/// Takes in every resource that was ever written; says whether they could be read.
async fn register_resources(context: &Context) -> bool {
    match context.ports.store.resources().await {
        Ok(records) => {
            for record in records {
                context.actors.register(record);
            }
            context.actors.all_registered();
            true
        }
        Err(error) => {
            tracing::warn!(
                error = error.chain(),
                "the resources that were written could not be read"
            );
            false
        }
    }
}

fn submit_due(context: &Arc<Context>) {
    let live = granted_by_resource(context);
    let every = (context.settings.read_live_every, context.settings.read_settled_every);
    for resource in context.actors.due(context.ports.clock.elapsed(), &live, every) {
        // A binding that somebody removed names nobody any more: its request has to be named here.
        let ids = live.get(&resource).cloned().unwrap_or_default();
        context.actors.submit(context, &resource, Batch { ids, whole: true });
    }
}

/// Every resource with a live request, and those of its requests that have a grant.
fn granted_by_resource(context: &Context) -> BTreeMap<Resource, BTreeSet<RequestId>> {
    let mut live: BTreeMap<Resource, BTreeSet<RequestId>> = BTreeMap::new();
    for known in context.view.all() {
        let Some(resource) = resource_of(&known.request) else { continue };
        let granted = live.entry(resource).or_default();
        if Chain::of(&known.request.facts).grant.is_some() {
            granted.insert(known.stored.id.clone());
        }
    }
    live
}

/// Waits; says whether it was told to stop meanwhile.
pub(crate) async fn is_stopped(context: &Context, after: Duration) -> bool {
    tokio::select! {
        biased;
        () = tokio::time::sleep(after) => false,
        () = context.stop.cancelled() => true,
    }
}
