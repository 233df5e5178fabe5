//! One request as it may be shown: envelopes verified, the controller's projection as the store has it.

use chrono::{DateTime, Utc};
use curfew_core::entry::{Act, ActKind, Entry, Verdict};
use curfew_core::id::RequestId;
use curfew_core::phase::Phase;
use curfew_core::principal::Person;
use curfew_core::reconcile::APPROVAL_AGE_MAX;
use curfew_core::request::{Rejection, Request, Verified};
use curfew_core::status::{EntryStatus, GrantStatus, Status};
use curfew_ports::StoredRequest;
use curfew_proto::payload::{self, SpecPayload};
use curfew_proto::{convert, v1};

use crate::App;
use crate::auth::Caller;
use crate::errors::{Reason, Refusal};
use crate::{decisions, peers, standing};

/// A stored request, with what of it verified.
pub(crate) struct Seen {
    stored: StoredRequest,
    verified: Request,
    spec: Option<SpecPayload>,
}

/// Reads a request that the caller may see: its requester, its receiver, those who may decide about it, auditors,
/// operators. Anything else does not exist for them.
pub(crate) async fn look(app: &App, caller: &Caller, id: &str) -> Result<Seen, Refusal> {
    let id = RequestId::parse(id).map_err(|_| Refusal::not_found())?;
    let seen = read(app, &id).await?;
    let is_theirs = seen.is_requester(&caller.person) || seen.is_receiver(caller);
    if is_theirs
        || standing::may_audit(app, &caller.person).await?
        || is_decider(app, caller, &seen).await?
    {
        Ok(seen)
    } else {
        Err(Refusal::not_found())
    }
}

/// Whether the caller has decided, or is one of those who may, whatever was decided since.
async fn is_decider(app: &App, caller: &Caller, seen: &Seen) -> Result<bool, Refusal> {
    let Some(filed) = seen.spec().filter(|_| seen.needs_approval()) else { return Ok(false) };
    // Who had a say keeps seeing what came of it, and may take it back, without any look-up.
    let has_decided = seen
        .entries()
        .any(|entry| entry.act.kind() == ActKind::Decision && entry.actor.is(&caller.person));
    if has_decided || seen.was_approved_by(&caller.person) {
        return Ok(true);
    }
    if !decisions::is_chosen(caller, &filed.spec) {
        return Ok(false);
    }
    match peers::is_peer(app, &filed.spec, &caller.person.email).await {
        // Where the resource is gone, nobody holds anything on it.
        Err(refusal) if refusal.reason == Reason::ResourceUnknown => Ok(false),
        answer => answer,
    }
}

/// Reads a request, whoever may see it.
pub(crate) async fn read(app: &App, id: &RequestId) -> Result<Seen, Refusal> {
    let found = app.intake.store.get(std::slice::from_ref(id)).await;
    let stored = found.map_err(|error| Refusal::store(&error))?.remove(id);
    stored.map(|stored| Seen::new(app, stored)).ok_or_else(Refusal::not_found)
}

/// The phase of the projection; a natural end shows by the clock, before anybody records it.
fn phase(stored: &StoredRequest, now: DateTime<Utc>) -> Phase {
    let Some(status) = &stored.status else { return Phase::Pending };
    let has_elapsed = status.grant.as_ref().is_some_and(|grant| grant.expires_at <= now);
    match status.phase {
        Phase::Activating | Phase::Active if has_elapsed => Phase::Ending,
        phase @ (Phase::Pending
        | Phase::AwaitingApproval
        | Phase::Scheduled
        | Phase::Activating
        | Phase::Active
        | Phase::Ending
        | Phase::Ended) => phase,
    }
}

/// Whether the access is over, or is being removed. Costs no verification.
pub(crate) fn is_over(stored: &StoredRequest, now: DateTime<Utc>) -> bool {
    let has_outcome = stored.status.as_ref().is_some_and(|status| status.outcome.is_some());
    has_outcome || matches!(phase(stored, now), Phase::Ending | Phase::Ended)
}

impl Seen {
    pub(crate) fn new(app: &App, stored: StoredRequest) -> Self {
        let verified = app.intake.verifier.verify(&stored);
        // The text is read again for the parts that the core has no use for; it is the text that verified.
        let text = stored.spec.as_ref().filter(|_| verified.spec.is_ok());
        let spec = text.and_then(|envelope| payload::read_spec(&envelope.payload).ok());
        Self { stored, verified, spec }
    }

    pub(crate) fn id(&self) -> &RequestId {
        &self.stored.id
    }

    pub(crate) fn stored(&self) -> &StoredRequest {
        &self.stored
    }

    /// What was asked, if it verified.
    pub(crate) fn spec(&self) -> Option<&SpecPayload> {
        self.spec.as_ref()
    }

    pub(crate) fn is_requester(&self, person: &Person) -> bool {
        self.spec().is_some_and(|filed| filed.spec.requester.is(person))
    }

    fn is_receiver(&self, caller: &Caller) -> bool {
        self.spec().is_some_and(|filed| filed.spec.principal == caller.principal())
    }

    pub(crate) fn names_entitlement(&self, name: &str) -> bool {
        self.spec()
            .is_some_and(|filed| filed.spec.roles.iter().any(|role| role.entitlement == name))
    }

    /// The entries that verified.
    pub(crate) fn entries(&self) -> impl Iterator<Item = &Verified<Entry>> {
        self.verified.entries.values().filter_map(|entry| entry.as_ref().ok())
    }

    /// Whether this person did this already, as far as signatures tell.
    pub(crate) fn has_act(&self, kind: ActKind, person: &Person) -> bool {
        self.entries().any(|entry| {
            entry.act.kind() == kind && entry.actor.is(person) && self.why_not(entry).is_none()
        })
    }

    /// Whether this person decided so already, as far as signatures tell, and not so long ago that it may not count.
    pub(crate) fn has_decided(&self, person: &Person, wanted: Verdict, now: DateTime<Utc>) -> bool {
        self.entries().any(|entry| {
            matches!(&entry.act, Act::Decide { verdict, .. } if *verdict == wanted)
                && entry.actor.is(person)
                && now.signed_duration_since(entry.at) <= APPROVAL_AGE_MAX
                && self.why_not(entry).is_none()
        })
    }

    /// Whether the controller counted this person's approval.
    pub(crate) fn was_approved_by(&self, person: &Person) -> bool {
        let email = person.email.as_str();
        self.status().is_some_and(|status| status.approved_by.iter().any(|by| by == email))
    }

    /// Whether the request was judged to need an approval.
    pub(crate) fn needs_approval(&self) -> bool {
        self.status().and_then(|status| status.steps_required).is_some_and(|steps| steps > 0)
    }

    pub(crate) fn status(&self) -> Option<&Status> {
        self.stored.status.as_ref()
    }

    pub(crate) fn grant(&self) -> Option<&GrantStatus> {
        self.status().and_then(|status| status.grant.as_ref())
    }

    pub(crate) fn phase(&self, now: DateTime<Utc>) -> Phase {
        phase(&self.stored, now)
    }

    pub(crate) fn is_over(&self, now: DateTime<Utc>) -> bool {
        is_over(&self.stored, now)
    }

    /// What is wrong with the filed request, if anything.
    pub(crate) fn rejection(&self) -> Option<Rejection> {
        self.verified.spec.as_ref().err().copied()
    }

    pub(crate) fn to_wire(&self, now: DateTime<Utc>) -> v1::AccessRequest {
        v1::AccessRequest {
            name: format!("requests/{}", self.stored.id),
            spec: self.spec().map(convert::spec_view),
            digest: self.spec().map(|filed| filed.spec.digest.to_string()),
            entries: self.entries_to_wire(),
            status: Some(self.status_to_wire(now)),
        }
    }

    /// Oldest first; what does not verify says so and nothing else.
    fn entries_to_wire(&self) -> Vec<v1::Entry> {
        let verdicts = self.verified.entries.iter();
        let mut entries: Vec<_> = verdicts
            .map(|(nonce, verdict)| match verdict {
                Ok(entry) => (Some(entry.at), self.entry_to_wire(entry)),
                Err(why) => (
                    None,
                    v1::Entry {
                        nonce: nonce.to_string(),
                        why: Some(why.to_string()),
                        ..v1::Entry::default()
                    },
                ),
            })
            .collect();
        entries.sort_by_key(|(at, _)| at.map_or((1, DateTime::<Utc>::MIN_UTC), |at| (0, at)));
        entries.into_iter().map(|(_, entry)| entry).collect()
    }

    fn entry_to_wire(&self, entry: &Entry) -> v1::Entry {
        let nonce = entry.nonce.to_string();
        let read = self
            .stored
            .entries
            .get(&nonce)
            .and_then(|envelope| payload::read_entry(&envelope.payload).ok());
        let (counted, why) = match self.observed(entry).map(|observed| observed.why_not.as_deref())
        {
            Some(None) => (true, None),
            Some(Some(why)) => (false, Some(why.to_owned())),
            None => (false, Some("NOT_SEEN_YET".to_owned())),
        };
        match read {
            Some(read) => convert::entry_view(&read, counted, why),
            None => v1::Entry { nonce, counted, why, ..v1::Entry::default() },
        }
    }

    /// What the controller said of the entry, if it has looked at it.
    fn observed(&self, entry: &Entry) -> Option<&EntryStatus> {
        let observed = &self.status()?.observed_entries;
        observed.iter().find(|observed| observed.nonce == entry.nonce.as_str())
    }

    fn why_not(&self, entry: &Entry) -> Option<&str> {
        self.observed(entry)?.why_not.as_deref()
    }

    /// One approval fulfils the one step that there is.
    fn approvals(&self, status: &Status, required: u32) -> v1::Approvals {
        let by = status.approved_by.clone();
        let given = required.min(u32::from(!by.is_empty()));
        let chosen = self.spec().map(|filed| filed.spec.chosen_approvers.as_slice());
        let waiting_for = chosen.unwrap_or_default().iter().map(ToString::to_string);
        let waiting_for = waiting_for.filter(|_| given < required).collect();
        v1::Approvals { required, given, by, waiting_for }
    }

    fn status_to_wire(&self, now: DateTime<Utc>) -> v1::AccessRequestStatus {
        let mut wire = v1::AccessRequestStatus::default();
        wire.set_phase(convert::phase_to_wire(self.phase(now)));
        if let Some(status) = self.status() {
            wire.outcome = status.outcome.as_ref().map(convert::outcome_to_wire);
            wire.conditions = status.conditions.iter().map(convert::condition_to_wire).collect();
            wire.grant = status.grant.as_ref().map(convert::grant_to_wire);
            wire.decide_by = status.decide_by.map(convert::time_to_wire);
            wire.approvals = status.steps_required.map(|required| self.approvals(status, required));
        }
        if let Some(rejection) = self.rejection() {
            wire.conditions.push(v1::Condition {
                r#type: "Unverified".into(),
                reason: rejection.to_string(),
                message: "the filed request cannot be verified, so what it says is not shown"
                    .into(),
            });
        }
        wire
    }
}
