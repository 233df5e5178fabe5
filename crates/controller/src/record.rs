//! Recording facts: one commit per request, conditional on the version that was judged.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use chrono::{DateTime, SubsecRound as _, Utc};
use curfew_core::chain::Chain;
use curfew_core::fact::{Counted, DraftFact, Fact, TagSubject};
use curfew_core::id::RequestId;
use curfew_core::phase::Phase;
use curfew_core::planted;
use curfew_core::request::Recorded;
use curfew_core::status::Status;
use curfew_ports::{Committed, FactsCommit, PortError, RetryClass, StoredRequest};

use crate::context::Context;
use crate::queue::exponential;
use crate::view::{Known, start_of};

/// Decimals of a second in the time of a fact.
const MICROS: u16 = 6;

/// The longest pause before the status of the same request is put right again: who forges it again and again makes
/// this process write once an hour.
const MENDED_PAUSE_MAX: Duration = Duration::from_hours(1);

/// How many requests are remembered whose status was put right; beyond that all are forgotten.
const MENDED_MAX: usize = 16_384;

/// What became of a commit.
pub(crate) enum Recording {
    /// It stands; this is how the request is known now.
    Done(Known),
    /// The document has changed since; this is how it is known now, if it still is.
    LostRace(Option<Known>),
    /// No answer, or a refusal.
    Failed(PortError),
}

/// Whether the document is to be written because it says something else than its facts, although there is nothing new
/// to record. A status that somebody else rewrites again and again is put right ever more rarely.
pub(crate) fn needs_mending(context: &Context, known: &Known) -> bool {
    let is_over = Chain::of(&known.request.facts).ended.is_some();
    let is_behind = known.request.rolled_back && known.stored.facts != *known.sealed;
    let may_show = || context.mended.is_due(&known.stored.id, context);
    is_behind || known.stored.live == is_over || (!known.is_shown && may_show())
}

/// When the status of which request was last put right, and how often it was.
#[derive(Default)]
pub(crate) struct Mended(Mutex<BTreeMap<RequestId, (Duration, u32)>>);

impl Mended {
    /// Whether the status of a request may be put right now; if so, it is taken for done.
    fn is_due(&self, id: &RequestId, context: &Context) -> bool {
        let now = context.ports.clock.elapsed();
        let mut mended = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let times = match mended.get(id) {
            Some((at, times)) => {
                let pause = exponential(context.settings.resync_every, MENDED_PAUSE_MAX, *times);
                if now.saturating_sub(*at) < pause {
                    return false;
                }
                times.saturating_add(1)
            }
            None => 1,
        };
        if mended.len() >= MENDED_MAX {
            mended.clear();
        }
        mended.insert(id.clone(), (now, times));
        true
    }
}

/// Records `drafts` after the verified facts of `known`. What did not verify is cut off by the same commit.
///
/// If the process dies before the store answers, the commit has happened or not; the next look tells.
pub(crate) async fn record(context: &Context, known: &Known, drafts: &[DraftFact]) -> Recording {
    // As exactly as facts keep it, so that what is shown now is what they are read to say later.
    let at = context.now().trunc_subsecs(MICROS);
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
    let new = context.ports.sealer.seal(
        &base,
        planted!("chain-begins-anew", 0, base.facts.len()),
        at,
        drafts,
    );
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
    Status::of(&chain, start_of(&known.request))
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
    let n_before = known.request.facts.len().saturating_sub(drafts.len());
    for (nth, draft) in drafts.iter().enumerate() {
        tracing::info!(
            request.id = %id,
            operation.id = %id,
            operation.first = n_before == 0 && nth == 0,
            operation.last = matches!(draft, Fact::Ended { .. }),
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
