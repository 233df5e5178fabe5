//! The facts that may be recorded now, in one commit.

use chrono::{DateTime, SubsecRound, Utc};

use super::decisions::{self, Quorum};
use super::{ACTIVATION_WINDOW, Case, DRIFT_SETTLES, later, outcome, unanswered};
use crate::chain::Chain;
use crate::condition::{self, Activation};
use crate::entry::{
    Act, ActKind, DECISIONS_MAX, DIRECTIVES_MAX, ENDING_DIRECTIVES_RESERVE, Entry, REFUSED_MAX,
};
use crate::fact::{
    Counted, DraftFact, DriftKind, Eligible, Fact, Grant, GrantedBinding, UntaggedBinding,
};
use crate::judge::{Basis, Eligibility};
use crate::plan::Reason;
use crate::planted;
use crate::request::Rejection;
use crate::spec::Spec;
use crate::world::{Observed, Standing};

/// The chain with the planned facts added, and those facts.
pub(super) fn next<'a>(
    case: &Case<'_>,
    chain: Chain<'a>,
    reasons: &mut Vec<Reason>,
) -> (Chain<'a>, Vec<DraftFact>) {
    let mut draft =
        Draft { chain, stands: case.request.facts.len(), now: case.now, facts: Vec::new() };
    if draft.chain.ended.is_some() {
        return (draft.chain, draft.facts);
    }
    if case.is_understood(&draft.chain) {
        look_at_entries(case, &mut draft);
        decisions::note_unanswered(case, &draft.chain, reasons);
        note_binding(case, &mut draft);
        outcome::end_early(case, &mut draft);
        note_drift(case, &mut draft, reasons);
        let is_over = planted!("granted-after-the-outcome", false, draft.chain.outcome.is_some());
        let is_granted = planted!("granted-again", false, draft.chain.grant.is_some());
        if !is_over && !is_granted {
            advance(case, &mut draft, reasons);
        }
    } else {
        reasons.push(Reason::Unsupported);
    }
    outcome::close(case, &mut draft);
    (draft.chain, draft.facts)
}

/// Facts in the making, and what they make of the chain.
pub(super) struct Draft<'a> {
    pub(super) chain: Chain<'a>,
    stands: usize,
    now: DateTime<Utc>,
    facts: Vec<DraftFact>,
}

impl Draft<'_> {
    pub(super) fn record(&mut self, fact: DraftFact) {
        let position = self.stands.saturating_add(self.facts.len()).saturating_add(1);
        self.chain.plan(position, self.now, &fact);
        self.facts.push(fact);
    }
}

fn look_at_entries(case: &Case<'_>, draft: &mut Draft<'_>) {
    let mut places = Places::used_by(&draft.chain);
    for (nonce, entry) in &case.request.entries {
        // A newer version may understand it: leave it to that one.
        if planted!("seen-again", false, draft.chain.seen.contains_key(nonce))
            || *entry == Err(Rejection::UnsupportedVersion)
        {
            continue;
        }
        let counted = match entry {
            Ok(entry) => count(case, &draft.chain, entry),
            Err(rejection) => Some(Counted::No { why: rejection.as_str().into() }),
        };
        if let Some(counted) = counted
            && places.take(&counted)
        {
            draft.record(Fact::Seen { nonce: nonce.clone(), counted });
        }
    }
}

/// How many entries were looked at, by the limit that they count against. What does not count, forged or not
/// permitted, has places of its own: it crowds out nothing that does, and is bounded too.
struct Places {
    directives: usize,
    decisions: usize,
    refused: usize,
}

impl Places {
    fn used_by(chain: &Chain<'_>) -> Self {
        let mut places = Self { directives: 0, decisions: 0, refused: 0 };
        for counted in chain.seen.values() {
            let used = match counted {
                Counted::Yes { act: ActKind::Decision, .. } => &mut places.decisions,
                Counted::Yes { .. } => &mut places.directives,
                Counted::No { .. } => &mut places.refused,
            };
            *used = used.saturating_add(1);
        }
        places
    }

    /// Takes a place for an entry, if one is left for such.
    fn take(&mut self, counted: &Counted) -> bool {
        let (used, max) = match counted {
            Counted::No { .. } => (&mut self.refused, REFUSED_MAX),
            Counted::Yes { act: ActKind::Decision, .. } => (&mut self.decisions, DECISIONS_MAX),
            Counted::Yes { act, .. } if act.ends_access() => {
                (&mut self.directives, DIRECTIVES_MAX.saturating_add(ENDING_DIRECTIVES_RESERVE))
            }
            Counted::Yes { .. } => (&mut self.directives, DIRECTIVES_MAX),
        };
        let is_free = *used < max;
        *used = used.saturating_add(usize::from(is_free));
        is_free
    }
}

/// Whether an entry counts; `None` if that cannot be said yet.
fn count(case: &Case<'_>, chain: &Chain<'_>, entry: &Entry) -> Option<Counted> {
    let act = entry.act.kind();
    let yes = || Some(Counted::Yes { act, by: entry.actor.email.to_string() });
    let no = |why: &str| Some(Counted::No { why: why.into() });
    match &entry.act {
        Act::Decide { verdict, .. } => decisions::count(case, chain, entry, *verdict),
        Act::Withdraw { .. }
            if planted!("anybody-withdraws", true, is_from_the_requester(case, entry)) =>
        {
            yes()
        }
        Act::Withdraw { .. } => no("NOT_THE_REQUESTER"),
        Act::Revoke { .. } if is_from_an_approver(chain, entry) => yes(),
        // Ending access needs fewer inputs than giving it: an unanswered look-up does not delay it.
        Act::Revoke { .. } => match case.world.standing.get(&entry.nonce) {
            Some(Observed::Known(
                Standing::None | Standing::Peer | Standing::PeerByWeakEvidence,
            )) => planted!("anybody-revokes", yes(), no("NOT_AN_OPERATOR")),
            Some(Observed::Known(Standing::Operator) | Observed::Unknown(_)) | None => yes(),
        },
        Act::Extend { .. } | Act::CloseReview { .. } => no("NOT_OFFERED"),
    }
}

/// Whoever's approval counted may take it back.
fn is_from_an_approver(chain: &Chain<'_>, entry: &Entry) -> bool {
    let is_approver = chain.approved_by().any(|email| email == entry.actor.email.as_str());
    planted!("no-taking-back", false, is_approver)
}

fn is_from_the_requester(case: &Case<'_>, entry: &Entry) -> bool {
    case.request.spec.as_ref().is_ok_and(|spec| spec.requester.is(&entry.actor))
}

fn note_binding(case: &Case<'_>, draft: &mut Draft<'_>) {
    let (Some(grant), None) = (&draft.chain.grant, draft.chain.bound_at) else { return };
    let Observed::Known(seen) = &case.world.bindings else { return };
    let all_stand = grant.bindings.iter().all(|binding| seen.ours.contains(&binding.live));
    let all_stand = planted!("bound-unseen", true, all_stand);
    if all_stand && !grant.bindings.is_empty() && draft.chain.outcome.is_none() {
        let expires_at = grant.expires_at;
        draft.record(Fact::Bound { expires_at });
    }
}

fn note_drift(case: &Case<'_>, draft: &mut Draft<'_>, reasons: &mut Vec<Reason>) {
    let (Some(grant), Some(bound_at), None) =
        (&draft.chain.grant, draft.chain.bound_at, &draft.chain.outcome)
    else {
        return;
    };
    let Observed::Known(seen) = &case.world.bindings else { return };
    if case.now < later(bound_at, DRIFT_SETTLES) || case.now >= grant.expires_at {
        return;
    }
    // An altered binding is missing in its own form; what is missing beyond that is gone.
    let n_altered = seen.altered.len();
    let n_missing =
        grant.bindings.iter().filter(|binding| !seen.ours.contains(&binding.live)).count();
    let mut kinds = Vec::new();
    if n_missing > n_altered {
        reasons.push(Reason::Missing);
        kinds.push(DriftKind::Missing);
    }
    if n_altered > 0 {
        reasons.push(Reason::Altered { n: n_altered });
        kinds.push(DriftKind::Altered);
    }
    for kind in kinds {
        if !draft.chain.drift.contains(&kind) {
            draft.record(Fact::Drift { kind });
        }
    }
}

/// Brings a request forward as far as the world allows: eligible, approved, granted.
fn advance(case: &Case<'_>, draft: &mut Draft<'_>, reasons: &mut Vec<Reason>) {
    let Ok(spec) = &case.request.spec else { return };
    let basis = match &case.world.eligibility {
        Observed::Known(Eligibility::Yes(basis)) => basis,
        Observed::Known(Eligibility::No(why)) => {
            return reasons.push(Reason::Ineligible(why.message.clone()));
        }
        Observed::Unknown(why) => return unanswered(reasons, "eligibility", why),
    };
    if draft.chain.eligible.is_none() {
        draft.record(Fact::Eligible(Eligible {
            decide_by: case.decide_by(&draft.chain),
            steps_required: match basis.activation {
                Activation::SelfApproval => 0,
                Activation::PeerApproval => 1,
            },
            rests_on: basis.rests_on.clone(),
        }));
    }
    let needs_peer = needs_peer(basis, &draft.chain);
    let is_denial_open = needs_peer && decisions::is_denial_open(case, &draft.chain);
    if planted!("denial-not-waited-for", false, is_denial_open) {
        return reasons.push(Reason::Waiting { what: "denial" });
    }
    if draft.chain.approval.is_none() {
        let nonces = if needs_peer { decisions::approvals(case, &draft.chain) } else { Vec::new() };
        if needs_peer && nonces.is_empty() {
            return reasons.push(Reason::Waiting { what: "approval" });
        }
        draft.record(Fact::Approval { target: spec.digest.clone(), nonces });
    }
    let nonces = draft.chain.approval.as_ref().map_or(&[][..], |approval| &approval.nonces);
    if needs_peer && decisions::standing_of(case, nonces) != Quorum::Stands {
        return reasons.push(Reason::Waiting { what: "approvers" });
    }
    let is_early = spec.start_at.is_some_and(|start| case.now < start);
    let is_early = planted!(
        "late-is-never",
        is_early || case.now > later(case.request.created_at, chrono::TimeDelta::minutes(4)),
        is_early
    );
    if planted!("start-ignored", false, is_early) {
        return reasons.push(Reason::Waiting { what: "startAt" });
    }
    // A grant without its bindings could be ended only by writing what does not fit either: it waits for a place.
    match &case.world.room {
        Observed::Known(None) => {}
        Observed::Known(Some(refusal)) => return reasons.push(Reason::Full(*refusal)),
        Observed::Unknown(why) => return unanswered(reasons, "room in the policy", why),
    }
    match grant(spec, basis, case.now) {
        Ok(grant) => draft.record(Fact::Grant(grant)),
        Err(error) => outcome::fail_activation(draft, error.to_string()),
    }
}

/// Whether a peer must approve: because the eligibility says so now, or because it did when the request was judged.
fn needs_peer(basis: &Basis, chain: &Chain<'_>) -> bool {
    let needs_peer = basis.activation == Activation::PeerApproval
        || chain.eligible.as_ref().is_some_and(|eligible| eligible.steps_required > 0);
    planted!("nobody-has-to-approve", false, needs_peer)
}

/// What a request earns that is granted now: from now on, or from its asked-for start, for as long as it asks.
///
/// # Errors
/// Times or conditions that no IAM condition can express.
pub fn grant(
    spec: &Spec,
    basis: &Basis,
    now: DateTime<Utc>,
) -> Result<Grant<UntaggedBinding>, condition::BuildError> {
    let starts_at = spec.start_at.unwrap_or(now).max(now).trunc_subsecs(0);
    let expires_at = later(starts_at, spec.duration);
    let expires_at =
        planted!("a-second-longer", later(expires_at, chrono::TimeDelta::seconds(1)), expires_at);
    let bindings = spec.roles.iter().zip(&basis.carried).map(|(requested, carried)| {
        let form = |ends_at| {
            condition::granted_expression(starts_at, ends_at, carried).map(|expression| {
                UntaggedBinding {
                    request: spec.id.clone(),
                    resource: spec.resource.clone(),
                    role: requested.role.clone(),
                    member: spec.principal.clone(),
                    digest: spec.digest.clone(),
                    ticket: spec.ticket.clone(),
                    expression,
                }
            })
        };
        form(expires_at).and_then(|live| Ok(GrantedBinding { live, dead: form(starts_at)? }))
    });
    Ok(Grant {
        resource: spec.resource.clone(),
        bindings: bindings.collect::<Result<_, condition::BuildError>>()?,
        starts_at,
        expires_at,
        activate_by: later(now, ACTIVATION_WINDOW),
        rests_on: basis.rests_on.clone(),
    })
}
