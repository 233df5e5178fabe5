//! What approvers said, and what that comes to.

use super::{ACTIVATION_WINDOW, APPROVAL_AGE_MAX, Case, later, unanswered};
use crate::chain::Chain;
use crate::entry::{Act, ActKind, Entry, Verdict};
use crate::fact::Counted;
use crate::id::Nonce;
use crate::plan::Reason;
use crate::planted;
use crate::request::{Rejection, Verified};
use crate::spec::Spec;
use crate::world::{Observed, Standing};

/// Whether a decision counts; `None` if that cannot be said yet.
///
/// One that is looked at is used up, so what may still come to count is left alone: before the request is judged
/// nobody knows whether, and by whom, it is to be approved.
pub(super) fn count(
    case: &Case<'_>,
    chain: &Chain<'_>,
    entry: &Entry,
    verdict: Verdict,
) -> Option<Counted> {
    let yes = || Some(Counted::Yes { act: ActKind::Decision, by: entry.actor.email.to_string() });
    let no = |why: &str| Some(Counted::No { why: why.into() });
    let (Ok(spec), Some(eligible)) = (&case.request.spec, &chain.eligible) else { return None };
    if eligible.steps_required == 0 {
        return no("NO_APPROVAL_NEEDED");
    }
    if let Some(why) = objection(spec, entry) {
        return no(why);
    }
    let age = case.now.signed_duration_since(entry.at).abs();
    if verdict == Verdict::Approve && planted!("old-approval-counts", false, age > APPROVAL_AGE_MAX)
    {
        return no("TOO_OLD");
    }
    match case.world.standing.get(&entry.nonce) {
        Some(Observed::Known(Standing::Peer)) => yes(),
        Some(Observed::Known(Standing::PeerByWeakEvidence)) => no("EVIDENCE_TOO_WEAK"),
        Some(Observed::Known(Standing::None | Standing::Operator)) => no("NOT_A_PEER"),
        // Ending access needs fewer inputs than giving it: an unanswered look-up does not delay it.
        Some(Observed::Unknown(_)) | None if verdict == Verdict::Deny && chain.grant.is_some() => {
            yes()
        }
        Some(Observed::Unknown(_)) | None => None,
    }
}

/// Why a decision about this request can never count, whatever its actor is: checks in order.
fn objection(spec: &Spec, entry: &Entry) -> Option<&'static str> {
    let Act::Decide { target, .. } = &entry.act else { return Some("NOT_A_DECISION") };
    if planted!("digest-not-compared", false, *target != spec.digest) {
        Some("WRONG_TARGET")
    } else if planted!("self-approval-counts", false, is_self(spec, entry)) {
        Some("SELF_APPROVAL")
    } else if !spec.chosen_approvers.is_empty()
        && planted!("chosen-ignored", false, !spec.chosen_approvers.contains(&entry.actor.email))
    {
        Some("NOT_CHOSEN")
    } else {
        None
    }
}

/// Whether somebody said no of whom it is not known yet whether the word counts. Until it is, nothing is granted: a
/// denial beats an approval that comes with it.
pub(super) fn is_denial_open(case: &Case<'_>, chain: &Chain<'_>) -> bool {
    let Ok(spec) = &case.request.spec else { return false };
    let unseen = case.request.entries.values().filter_map(|entry| entry.as_ref().ok());
    unseen.filter(|entry| !chain.seen.contains_key(&entry.nonce)).any(|entry| {
        says(&entry.act) == Some(Verdict::Deny)
            && objection(spec, entry).is_none()
            && !matches!(case.world.standing.get(&entry.nonce), Some(Observed::Known(_)))
    })
}

/// Notes the decisions that matter and whose actors could not be looked up, so that they are looked up again soon.
pub(super) fn note_unanswered(case: &Case<'_>, chain: &Chain<'_>, reasons: &mut Vec<Reason>) {
    let decisions = case.request.entries.values().filter_map(|entry| entry.as_ref().ok());
    for entry in decisions.filter(|entry| says(&entry.act).is_some()) {
        if let Some(Observed::Unknown(why)) = case.world.standing.get(&entry.nonce)
            && !matches!(chain.seen.get(&entry.nonce), Some(Counted::No { .. }))
        {
            unanswered(reasons, "approver", why);
        }
    }
}

fn says(act: &Act) -> Option<Verdict> {
    match act {
        Act::Decide { verdict, .. } => Some(*verdict),
        Act::Withdraw { .. }
        | Act::Revoke { .. }
        | Act::Extend { .. }
        | Act::CloseReview { .. } => None,
    }
}

/// Neither who asks nor who receives decides, under whatever name.
fn is_self(spec: &Spec, entry: &Entry) -> bool {
    spec.requester.is(&entry.actor) || spec.principal.email().is_same_mailbox(&entry.actor.email)
}

/// Who denied the request, if somebody did whose word counts.
pub(super) fn denied_by<'a>(case: &'a Case<'_>, chain: &Chain<'_>) -> Option<&'a str> {
    let denials = counted(case, chain, Verdict::Deny);
    denials
        .filter(|_| planted!("denial-ignored", false, true))
        .map(|entry| entry.actor.email.as_str())
        .next()
}

/// The approvals that count now: looked at and taken, not long ago, and their actors may still approve.
///
/// An old one cannot count again after the facts were rolled back.
pub(super) fn approvals(case: &Case<'_>, chain: &Chain<'_>) -> Vec<Nonce> {
    let stands = |entry: &&Verified<Entry>| {
        let is_recent = case.now < later(later(entry.at, APPROVAL_AGE_MAX), ACTIVATION_WINDOW);
        planted!("out-of-date-approval-counts", true, is_recent)
            && matches!(
                case.world.standing.get(&entry.nonce),
                Some(Observed::Known(Standing::Peer))
            )
    };
    counted(case, chain, Verdict::Approve).filter(stands).map(|entry| entry.nonce.clone()).collect()
}

fn counted<'a>(
    case: &'a Case<'_>,
    chain: &Chain<'_>,
    wanted: Verdict,
) -> impl Iterator<Item = &'a Verified<Entry>> {
    let is_counted = |nonce: &Nonce| {
        matches!(chain.seen.get(nonce), Some(Counted::Yes { act: ActKind::Decision, .. }))
    };
    let spec = case.request.spec.as_ref().ok();
    let entries = case.request.entries.iter().filter(move |(nonce, _)| is_counted(nonce));
    entries.filter_map(|(_, entry)| entry.as_ref().ok()).filter(move |entry| {
        says(&entry.act) == Some(wanted)
            && spec.is_some_and(|spec| objection(spec, entry).is_none())
    })
}

/// Whether all that the recorded approval rests on was signed with keys that are distrusted by now.
pub(super) fn rests_on_distrusted_keys(case: &Case<'_>, chain: &Chain<'_>) -> bool {
    let nonces = chain.approval.as_ref().map_or(&[][..], |approval| &approval.nonces);
    let mut entries = nonces.iter().filter_map(|nonce| case.request.entries.get(nonce)).peekable();
    let all =
        entries.peek().is_some() && entries.all(|entry| *entry == Err(Rejection::KeyOutOfWindow));
    planted!("distrusted-key-counts", false, all)
}

/// What has become of a recorded approval.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Quorum {
    /// Somebody who gave it may still give it.
    Stands,
    /// Nobody who gave it may give it any more.
    Lost,
    /// There is no answer.
    Unanswered,
}

/// Judges those who approved once more, at the moment of the grant.
pub(super) fn standing_of(case: &Case<'_>, nonces: &[Nonce]) -> Quorum {
    let mut quorum = Quorum::Lost;
    for nonce in nonces {
        match case.world.standing.get(nonce) {
            Some(Observed::Known(Standing::Peer)) => return Quorum::Stands,
            Some(Observed::Known(
                Standing::None | Standing::Operator | Standing::PeerByWeakEvidence,
            )) => {}
            Some(Observed::Unknown(_)) | None => quorum = Quorum::Unanswered,
        }
    }
    planted!("approver-not-judged-again", Quorum::Stands, quorum)
}
