//! Recording facts: one commit per request, conditional on the version that was judged.

use chrono::{DateTime, Utc};
use curfew_core::chain::Chain;
use curfew_core::fact::{Counted, DraftFact, Fact, TagSubject};
use curfew_core::phase::Phase;
use curfew_core::planted;
use curfew_core::request::Recorded;
use curfew_core::status::Status;
use curfew_ports::{Committed, FactsCommit, PortError, RetryClass, StoredRequest};

use crate::context::Context;
use crate::view::Known;

/// What became of a commit.
pub(crate) enum Recording {
    /// It stands; this is how the request is known now.
    Done(Known),
    /// The document has changed since; this is how it is known now, if it still is.
    LostRace(Option<Known>),
    /// No answer, or a refusal.
    Failed(PortError),
}

/// Whether the document says something else than its facts although there is nothing new to record.
pub(crate) fn needs_mending(known: &Known) -> bool {
    let is_over = Chain::of(&known.request.facts).ended.is_some();
    let is_behind = known.request.rolled_back && known.stored.facts != *known.sealed;
    is_behind || known.stored.live == is_over
}

/// Records `drafts` after the verified facts of `known`. What did not verify is cut off by the same commit.
///
/// If the process dies before the store answers, the commit has happened or not; the next look tells.
pub(crate) async fn record(context: &Context, known: &Known, drafts: &[DraftFact]) -> Recording {
    let at = context.now();
    let commit = match prepare(context, known, drafts, at) {
        Ok(commit) => commit,
        Err(error) => return Recording::Failed(error),
    };
    let started = context.ports.clock.elapsed();
    match context.ports.store.commit(&commit).await {
        Ok(committed) => {
            context
                .compare_clock(committed.at, context.ports.clock.elapsed().saturating_sub(started));
            let known = context.view.learn(after(known, commit, committed)).0;
            announce(context, &known, drafts);
            Recording::Done(known)
        }
        #[cfg(feature = "planted-bugs")]
        Err(_) if planted::is("no-answer-is-success") => {
            let committed = Committed { version: known.stored.version, at };
            Recording::Done(context.view.assume(after(known, commit, committed)))
        }
        Err(error) if error.class == RetryClass::Conflict => look_again(context, known).await,
        Err(error) => Recording::Failed(error),
    }
}

fn prepare(
    context: &Context,
    known: &Known,
    drafts: &[DraftFact],
    at: DateTime<Utc>,
) -> Result<FactsCommit, PortError> {
    let base = StoredRequest { facts: known.sealed.to_vec(), ..(*known.stored).clone() };
    let new = context.ports.sealer.seal(&base, base.facts.len(), at, drafts);
    if new.len() != drafts.len() {
        let act = format!("seal the facts of request {}", known.stored.id);
        return Err(PortError::new(RetryClass::Invalid, act));
    }
    let status = status_with(context, known, drafts, at);
    let is_over = status.phase == Phase::Ended;
    Ok(FactsCommit {
        id: known.stored.id.clone(),
        base: known.stored.version,
        facts: [base.facts, new].concat(),
        live: planted!("live-for-ever", true, !is_over),
        purge_at: is_over.then(|| at.checked_add_signed(context.settings.keep_for)).flatten(),
        status,
    })
}

/// The projection of the facts as they will stand.
fn status_with(
    context: &Context,
    known: &Known,
    drafts: &[DraftFact],
    at: DateTime<Utc>,
) -> Status {
    let tag = |subject: &TagSubject<'_>| context.ports.sealer.tag(subject);
    let tagged = drafts.iter().map(|draft| draft.tagged(&context.settings.installation, &tag));
    let new = tagged.map(|fact| Recorded { at, fact }).collect::<Vec<_>>();
    let mut chain = Chain::of(&known.request.facts);
    for (position, recorded) in (known.request.facts.len().saturating_add(1)..).zip(&new) {
        chain.record(position, recorded);
    }
    let start_at = known.request.spec.as_ref().ok().and_then(|spec| spec.start_at);
    Status::of(&chain, start_at)
}

fn after(known: &Known, commit: FactsCommit, committed: Committed) -> StoredRequest {
    StoredRequest {
        facts: commit.facts,
        status: Some(commit.status),
        live: commit.live,
        version: committed.version,
        ..(*known.stored).clone()
    }
}

async fn look_again(context: &Context, known: &Known) -> Recording {
    let id = &known.stored.id;
    match context.ports.store.get(std::slice::from_ref(id)).await {
        Ok(mut found) => {
            Recording::LostRace(found.remove(id).map(|stored| context.view.learn(stored).0))
        }
        Err(error) => Recording::Failed(error),
    }
}

/// One log line and the counters for each fact. `operation.id` groups them in Cloud Logging.
fn announce(context: &Context, known: &Known, drafts: &[DraftFact]) {
    let id = &known.stored.id;
    for draft in drafts {
        tracing::info!(
            request.id = %id,
            operation.id = %id,
            event = audit_event(draft),
            fact = draft.kind(),
            detail = detail(draft),
            "recorded"
        );
        context.metrics.recorded(draft, known);
    }
}

/// The names that JIT Access gives its audit events, for those who already filter on them.
fn audit_event(draft: &DraftFact) -> &'static str {
    match draft {
        Fact::Grant(_) | Fact::Bound { .. } => "api.activateRole",
        Fact::Seen { .. }
        | Fact::Eligible(_)
        | Fact::Approval { .. }
        | Fact::Drift { .. }
        | Fact::Outcome(_)
        | Fact::Ended { .. }
        | Fact::Unknown { .. } => "api.requestRole",
    }
}

fn detail(draft: &DraftFact) -> &str {
    match draft {
        Fact::Seen { counted: Counted::No { why }, .. } => why,
        Fact::Seen { counted: Counted::Yes { act, .. }, .. } => act.as_str(),
        Fact::Outcome(outcome) => outcome.reason.as_str(),
        Fact::Ended { how } => how.as_str(),
        Fact::Drift { kind } => kind.as_str(),
        Fact::Eligible(_)
        | Fact::Approval { .. }
        | Fact::Grant(_)
        | Fact::Bound { .. }
        | Fact::Unknown { .. } => "",
    }
}
