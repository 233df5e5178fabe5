//! What approvers say about a request: yes or no, to exactly what they saw.

use curfew_core::entry::{Act, ActKind, DECISIONS_MAX, Verdict};
use curfew_core::id::Digest;
use curfew_core::phase::Phase;
use curfew_core::spec::Spec;
use curfew_proto::v1::DecisionBody;

use crate::auth::Caller;
use crate::errors::{Reason, Refusal};
use crate::view::{self, Seen};
use crate::{App, acts, peers, text};

/// Records a decision about the request. Deciding twice in the same way adds one decision.
///
/// The controller judges all of this again; what is refused here would not count there.
pub(crate) async fn decide(
    app: &App,
    caller: &Caller,
    id: &str,
    verdict: Verdict,
    body: &DecisionBody,
) -> Result<Seen, Refusal> {
    let comment = text::optional_prose("comment", body.comment.as_deref().unwrap_or_default())?;
    let digest = digest("digest", &body.digest)?;
    let target = body.target.as_deref().map(|target| self::digest("target", target)).transpose()?;
    let _turn = app.limits.turn(&caller.person.subject).await;
    let seen = view::look(app, caller, id).await?;
    let Some(filed) = seen.spec() else {
        return Err(Refusal::new(
            Reason::Unverified,
            "The stored request cannot be verified, and gives no access: tell an operator.",
        ));
    };
    let spec = &filed.spec;
    check_decider(app, caller, spec).await?;
    if digest != spec.digest || target.as_ref().is_some_and(|target| *target != spec.digest) {
        let message = "This is not the digest of the request as it stands: look at it again, and decide about what you see.";
        return Err(
            Refusal::new(Reason::DigestMismatch, message).with("digest", spec.digest.to_string())
        );
    }
    if seen.has_decided(&caller.person, verdict, app.now()) {
        return Ok(seen);
    }
    check_phase(app, &seen, verdict)?;
    let act = Act::Decide { verdict, comment, target: digest };
    acts::record(app, caller, &seen, &act).await
}

fn digest(field: &str, text: &str) -> Result<Digest, Refusal> {
    if text.is_empty() {
        let message = "is required: the digest of the request as you saw it.";
        return Err(Refusal::field(Reason::FieldRequired, field, message));
    }
    Digest::parse(text)
        .map_err(|error| Refusal::field(Reason::FieldInvalid, field, format!("{error}.")))
}

/// Whether the caller may decide about this request.
pub(crate) async fn may_decide(app: &App, caller: &Caller, spec: &Spec) -> Result<bool, Refusal> {
    let may = !is_self(caller, spec) && is_chosen(caller, spec);
    Ok(may && peers::is_peer(app, spec, &caller.person.email).await?)
}

/// Refuses who may not decide about this request.
async fn check_decider(app: &App, caller: &Caller, spec: &Spec) -> Result<(), Refusal> {
    if is_self(caller, spec) {
        let message = "Nobody decides about their own request: ask one of your peers.";
        return Err(Refusal::new(Reason::SelfApproval, message));
    }
    if !is_chosen(caller, spec) {
        let message = "The requester turned to other people: ask one of them to decide.";
        return Err(Refusal::new(Reason::NotChosen, message));
    }
    if !peers::is_peer(app, spec, &caller.person.email).await? {
        let message = "Only those who hold the same eligible role can decide: ask one of them.";
        return Err(Refusal::new(Reason::NotAPeer, message));
    }
    Ok(())
}

/// Whether the caller asks, or would receive the access.
pub(crate) fn is_self(caller: &Caller, spec: &Spec) -> bool {
    spec.requester.is(&caller.person)
        || spec.principal.email().is_same_mailbox(&caller.person.email)
}

/// Whether the requester left the choice open, or chose the caller.
pub(crate) fn is_chosen(caller: &Caller, spec: &Spec) -> bool {
    spec.chosen_approvers.is_empty() || spec.chosen_approvers.contains(&caller.person.email)
}

fn check_phase(app: &App, seen: &Seen, verdict: Verdict) -> Result<(), Refusal> {
    if seen.entries().filter(|entry| entry.act.kind() == ActKind::Decision).count() >= DECISIONS_MAX
    {
        return Err(Refusal::new(
            Reason::TooManyActs,
            "So many have decided about this request that no more fit: look at it again.",
        ));
    }
    if seen.is_over(app.now()) {
        let message = "This request is over already: there is nothing left to decide.";
        return Err(Refusal::new(Reason::AlreadyOver, message));
    }
    let waits = seen.phase(app.now()) == Phase::AwaitingApproval;
    // A denial still ends what was approved by somebody else.
    if waits || (verdict == Verdict::Deny && seen.needs_approval()) {
        return Ok(());
    }
    let message = match seen.phase(app.now()) {
        Phase::Pending => "This request was not judged yet: try again in a second or two.",
        Phase::AwaitingApproval
        | Phase::Scheduled
        | Phase::Activating
        | Phase::Active
        | Phase::Ending
        | Phase::Ended => "This request does not wait for an approval.",
    };
    Err(Refusal::new(Reason::NotAwaitingApproval, message))
}
