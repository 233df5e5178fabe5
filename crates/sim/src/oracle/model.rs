//! The oracle's own model: what a request's life is, and what a binding says.

use std::collections::BTreeSet;

use chrono::{DateTime, SecondsFormat, Utc};
use curfew_core::fact::{Ending, Fact, Grant, OutcomeReason};
use curfew_core::id::{Nonce, RequestId};
use curfew_core::policy::{Binding, Condition, Policy, Rest};
use curfew_core::principal::Email;
use curfew_core::request::Recorded;
use curfew_core::spec::Spec;

use super::words::Word;
use crate::scene::{CONTROLLER, INSTALLATION};
use crate::trace::Who;

/// One request, from what people did and what was recorded.
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a thing of its own that happened or did not"
)]
pub(super) struct Life {
    pub(super) spec: Spec,
    /// Grants of requests that were filed under the same id before; their documents were deleted.
    pub(super) former: Vec<(Spec, Grant)>,
    pub(super) filed_at: DateTime<Utc>,
    /// Until when at least its policy had no place for it, if ever.
    pub(super) no_room_until: Option<DateTime<Utc>>,
    /// When somebody who may has ended it.
    pub(super) given_up_at: Option<DateTime<Utc>>,
    /// Somebody has interfered with its document or its bindings.
    pub(super) is_disturbed: bool,
    /// Who has recorded facts of it, and so remembers them.
    pub(super) recorded_by: BTreeSet<Who>,
    /// Who remembers what its document no longer says.
    pub(super) remembered_by: BTreeSet<Who>,
    /// What people have said about it.
    pub(super) words: Vec<Word>,
    /// Whether what somebody said counts is a matter of moments: how it ends is open.
    pub(super) is_unsure: bool,
    pub(super) eligible_at: Option<DateTime<Utc>>,
    pub(super) approved_at: Option<DateTime<Utc>>,
    /// What its approval rests on.
    pub(super) approvals: Vec<Nonce>,
    pub(super) grant: Option<Grant>,
    pub(super) bound_at: Option<DateTime<Utc>>,
    pub(super) over: Option<Over>,
    pub(super) ended: Option<Ending>,
    /// It was ended once; whatever is done to its document, it never comes back.
    pub(super) has_ever_ended: bool,
    pub(super) seen: BTreeSet<Nonce>,
    pub(super) was_in_policy: bool,
    /// When its last binding that gave access left the policy.
    pub(super) left_policy_at: Option<DateTime<Utc>>,
    /// Who has written its policy without any binding of it, after a read that came after the outcome.
    pub(super) cleared_by: BTreeSet<Who>,
}

/// That it is over.
pub(super) struct Over {
    pub(super) at: DateTime<Utc>,
    pub(super) reason: OutcomeReason,
}

impl Life {
    pub(super) fn new(spec: Spec, filed_at: DateTime<Utc>) -> Self {
        Self {
            spec,
            former: Vec::new(),
            filed_at,
            no_room_until: None,
            given_up_at: None,
            is_disturbed: false,
            recorded_by: BTreeSet::new(),
            remembered_by: BTreeSet::new(),
            words: Vec::new(),
            is_unsure: false,
            eligible_at: None,
            approved_at: None,
            approvals: Vec::new(),
            grant: None,
            bound_at: None,
            over: None,
            ended: None,
            has_ever_ended: false,
            seen: BTreeSet::new(),
            was_in_policy: false,
            left_policy_at: None,
            cleared_by: BTreeSet::new(),
        }
    }

    /// The grant, and those of former requests, each with the request that it renders.
    pub(super) fn grants(&self) -> impl Iterator<Item = (&Spec, &Grant)> {
        let now = self.grant.as_ref().map(|grant| (&self.spec, grant));
        self.former.iter().map(|(spec, grant)| (spec, grant)).chain(now)
    }

    pub(super) fn word(&self, nonce: &Nonce) -> Option<&Word> {
        self.words.iter().find(|word| word.nonce == *nonce)
    }

    /// What its recorded approval rests on.
    pub(super) fn approval_words(&self) -> impl Iterator<Item = &Word> {
        self.approvals.iter().filter_map(|nonce| self.word(nonce))
    }

    /// Whether the recorded approval is this person's.
    pub(super) fn is_approver(&self, person: &Email) -> bool {
        self.approval_words().any(|word| word.actor.email == *person)
    }

    /// Knows of the facts only these from now on.
    pub(super) fn rewind(&mut self, recorded: &[Recorded]) {
        self.is_disturbed = true;
        self.remembered_by.clone_from(&self.recorded_by);
        self.given_up_at = None;
        self.has_ever_ended = false;
        let is_there = |kind: &str| recorded.iter().any(|fact| fact.fact.kind() == kind);
        if !is_there("ENDED") {
            self.ended = None;
        }
        if !is_there("OUTCOME") {
            self.over = None;
        }
        if !is_there("GRANT")
            && let Some(grant) = self.grant.take()
        {
            self.former.push((self.spec.clone(), grant));
        }
        if !is_there("ELIGIBLE") {
            self.eligible_at = None;
        }
        if !is_there("APPROVAL") {
            self.approved_at = None;
            self.approvals.clear();
        }
        if !is_there("BOUND") {
            self.bound_at = None;
        }
        self.seen = recorded.iter().filter_map(seen).collect();
    }
}

fn seen(recorded: &Recorded) -> Option<Nonce> {
    let Fact::Seen { nonce, .. } = &recorded.fact else { return None };
    Some(nonce.clone())
}

/// What a binding's title and description say of whose it is.
pub(super) struct Mark<'a> {
    pub(super) request: RequestId,
    pub(super) digest_prefix: &'a str,
    pub(super) tag: &'a str,
}

impl<'a> Mark<'a> {
    /// `curfew <installation> <request id>` and `v1 <digest> <tag>`.
    pub(super) fn of(binding: &'a Binding) -> Option<Self> {
        let condition = binding.condition.as_ref()?;
        let id = condition.title.strip_prefix("curfew ")?.strip_prefix(INSTALLATION)?;
        let mut words = condition.description.split(' ');
        let (Some("v1"), Some(digest_prefix), Some(tag)) =
            (words.next(), words.next(), words.next())
        else {
            return None;
        };
        Some(Self { request: RequestId::parse(id.strip_prefix(' ')?).ok()?, digest_prefix, tag })
    }
}

/// When a binding gives access.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Force {
    /// From the one time to the other.
    Between(DateTime<Utc>, DateTime<Utc>),
    /// Nobody knows: it does not say what we write.
    Always,
}

impl Force {
    pub(crate) fn holds_at(self, at: DateTime<Utc>) -> bool {
        match self {
            Self::Between(starts_at, ends_at) => starts_at <= at && at < ends_at,
            Self::Always => true,
        }
    }

    /// Whether it ever gives access from then on.
    pub(crate) fn holds_after(self, at: DateTime<Utc>) -> bool {
        match self {
            Self::Between(starts_at, ends_at) => starts_at < ends_at && at < ends_at,
            Self::Always => true,
        }
    }
}

/// Reads the time clause as it is written, byte by byte.
pub(crate) fn force_of(binding: &Binding) -> Force {
    let expression = binding.condition.as_ref().map_or("", |condition| &condition.expression);
    let times = || {
        let rest = expression.strip_prefix("(request.time >= timestamp(\"")?;
        let (starts_at, rest) = rest.split_once("\") && request.time < timestamp(\"")?;
        let (ends_at, rest) = rest.split_once("\"))")?;
        let time = |text| DateTime::parse_from_rfc3339(text).ok().map(|time| time.to_utc());
        rest.is_empty().then_some(Force::Between(time(starts_at)?, time(ends_at)?))
    };
    times().unwrap_or(Force::Always)
}

/// The expression of a binding between two times.
pub(super) fn between(starts_at: DateTime<Utc>, ends_at: DateTime<Utc>) -> String {
    let text = |at: DateTime<Utc>| at.to_rfc3339_opts(SecondsFormat::Secs, true);
    let (starts_at, ends_at) = (text(starts_at), text(ends_at));
    format!(
        "(request.time >= timestamp(\"{starts_at}\") && request.time < timestamp(\"{ends_at}\"))"
    )
}

/// One member of one binding: IAM sorts and joins bindings.
type Membership = (String, Option<Condition>, Rest, String);

/// What of a policy no request has brought there.
#[derive(PartialEq, Eq)]
pub(super) struct GivenPart {
    /// What is somebody else's.
    pub(super) foreign: (Rest, BTreeSet<Membership>),
    /// What the controller itself may.
    pub(super) own_access: BTreeSet<Membership>,
}

impl GivenPart {
    pub(super) fn of(policy: &Policy, is_ours: impl Fn(&Binding) -> bool) -> Self {
        let given = policy.bindings.iter().filter(|binding| !is_ours(binding));
        let memberships = given.flat_map(|binding| {
            binding.members.iter().map(|member| {
                let Binding { role, condition, rest, .. } = binding;
                (role.clone(), condition.clone(), rest.clone(), member.clone())
            })
        });
        let (own_access, foreign) = memberships.partition(|(_, _, _, member)| member == CONTROLLER);
        Self { foreign: (policy.rest.clone(), foreign), own_access }
    }
}
