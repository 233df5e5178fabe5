//! The model's one request as the core sees it: Alice asks at 10:00:00 for one role for ten minutes.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use chrono::{DateTime, TimeDelta, Utc};
use curfew_core::condition::{Activation, Carried, granted_expression};
use curfew_core::entry::{Act, ActKind, Entry, Level};
use curfew_core::fact::{
    Counted, Eligible, Ending, Fact, Grant, GrantedBinding, Outcome, OutcomeReason, OwnedBinding,
    TagSubject, UntaggedBinding,
};
use curfew_core::id::{Digest, Installation, Nonce, RequestId, Tag};
use curfew_core::judge::{Basis, Eligibility};
use curfew_core::observe::ObservedBindings;
use curfew_core::principal::{Email, Person, Principal, Subject};
use curfew_core::request::{Recorded, Verified, VerifiedFacts};
use curfew_core::resource::Resource;
use curfew_core::role::Role;
use curfew_core::spec::{Authentication, RequestedRole, Spec};
use curfew_core::world::{Answered, Observed, Unanswered};
use curfew_core::{Request, World};
use curfew_model::decide::{Held, Sight, Term};
use curfew_model::document::{self, Document};

/// How long she asks for: less than the activation window, so that the end may come before that deadline.
const DURATION: TimeDelta = TimeDelta::minutes(10);

/// The conditions of her bindings. Building one takes a millisecond, and thousands are compared.
static LIVE: LazyLock<String> = LazyLock::new(|| until(filed_at() + DURATION));
static DEAD: LazyLock<String> = LazyLock::new(|| until(filed_at()));

pub(crate) fn filed_at() -> DateTime<Utc> {
    DateTime::parse_from_rfc3339("2026-03-02T10:00:00Z").unwrap().to_utc()
}

/// A time within the term. Before the end it is so soon that nothing that is missing counts as drift yet.
pub(crate) fn now(term: Term) -> DateTime<Utc> {
    let since_filed = match term {
        Term::Running => TimeDelta::seconds(10),
        Term::AtEnd => DURATION,
        Term::Over => DURATION + TimeDelta::seconds(5),
    };
    filed_at() + since_filed
}

pub(crate) fn request(document: Document) -> Request {
    let spec = spec(0);
    let facts = document.facts.iter().flat_map(real_facts);
    let recorded = facts.map(|fact| Recorded { at: filed_at(), fact }).collect();
    let withdrawal = Entry {
        nonce: nonce(),
        digest: Digest::of(b"entry"),
        actor: spec.requester.clone(),
        at: filed_at(),
        level: Level::Session,
        act: Act::Withdraw { reason: String::new() },
    };
    let entries = document.is_withdrawn.then(|| (nonce(), Ok(Verified::vouch(withdrawal))));
    Request {
        id: spec.id.clone(),
        created_at: filed_at(),
        spec: Ok(Verified::vouch(spec)),
        entries: entries.into_iter().collect(),
        facts: VerifiedFacts::vouch(recorded, 0),
        rolled_back: false,
    }
}

pub(crate) fn world(document: Document, sight: Sight) -> World {
    let ours = |held| binding(0, held).into_iter().collect();
    let seen = |held| ObservedBindings { ours: ours(held), ..ObservedBindings::default() };
    let answered = |(known, held)| Answered {
        facts_known_before_read: document.facts.iter().take(known).flat_map(real_facts).count(),
        left: ours(held),
        left_altered: 0,
    };
    let eligible = Basis {
        activation: Activation::SelfApproval,
        decide_within: curfew_core::reconcile::SELF_ACTIVATION_WINDOW,
        carried: vec![Carried::NONE],
        rests_on: vec!["a rule".into()],
    };
    World {
        eligibility: Observed::Known(Eligibility::Yes(eligible)),
        standing: BTreeMap::new(),
        bindings: sight
            .seen
            .map_or(Observed::Unknown(Unanswered::NotAsked), |held| Observed::Known(seen(held))),
        room: Observed::Known(None),
        strays: Observed::Known(BTreeSet::new()),
        answered: sight.answered.zip(sight.seen).map(answered),
        refused: sight.gives_up.then(|| "400".into()),
    }
}

/// The binding of Alice's `n`-th request in this form.
pub(crate) fn binding(n: u8, held: Held) -> Option<OwnedBinding> {
    let spec = spec(n);
    let expression = match held {
        Held::Nothing => return None,
        Held::Live => &*LIVE,
        Held::Dead => &*DEAD,
    };
    let untagged = UntaggedBinding {
        request: spec.id,
        resource: spec.resource,
        role: Role::parse("roles/compute.viewer").unwrap(),
        member: spec.principal,
        digest: spec.digest,
        ticket: None,
        expression: expression.clone(),
    };
    let tag = |_: &TagSubject<'_>| Tag::from_bits([0; 16]);
    Some(untagged.tagged(&Installation::parse("demo").unwrap(), &tag))
}

/// The identifier of Alice's `n`-th request.
pub(crate) fn id(n: u8) -> RequestId {
    RequestId::from_bits([n; 16])
}

/// What one fact of the model stands for.
pub(crate) fn real_facts(fact: document::Fact) -> Vec<Fact> {
    match fact {
        document::Fact::Seen => {
            let by = "alice@example.com".to_owned();
            let counted = Counted::Yes { act: ActKind::Withdraw, by };
            vec![Fact::Seen { nonce: nonce(), counted }]
        }
        document::Fact::Grant => vec![eligible(), approval(), grant()],
        document::Fact::Bound => vec![Fact::Bound { expires_at: filed_at() + DURATION }],
        document::Fact::Outcome => vec![Fact::Outcome(Outcome {
            reason: OutcomeReason::Withdrawn,
            by: None,
            message: String::new(),
        })],
        document::Fact::Ended(how) => vec![Fact::Ended {
            how: match how {
                document::Ending::NeverGranted => Ending::NeverGranted,
                document::Ending::Answered => Ending::Answered,
                document::Ending::SeenGone => Ending::SeenGone,
            },
        }],
    }
}

fn eligible() -> Fact {
    let decide_by = filed_at() + TimeDelta::minutes(15);
    Fact::Eligible(Eligible { decide_by, steps_required: 0, rests_on: Vec::new() })
}

fn approval() -> Fact {
    Fact::Approval { target: spec(0).digest, nonces: Vec::new() }
}

fn grant() -> Fact {
    let granted = GrantedBinding {
        live: binding(0, Held::Live).unwrap(),
        dead: binding(0, Held::Dead).unwrap(),
    };
    Fact::Grant(Grant {
        resource: spec(0).resource,
        bindings: vec![granted],
        starts_at: filed_at(),
        expires_at: filed_at() + DURATION,
        activate_by: filed_at() + TimeDelta::minutes(15),
        rests_on: Vec::new(),
    })
}

fn spec(n: u8) -> Spec {
    let requester = Person {
        subject: Subject::parse("accounts.google.com:alice").unwrap(),
        email: Email::parse("alice@example.com").unwrap(),
    };
    Spec {
        id: id(n),
        digest: Digest::of(b"spec"),
        principal: Principal::User(requester.email.clone()),
        requester,
        resource: Resource::parse("projects/demo-web").unwrap(),
        roles: vec![RequestedRole {
            role: Role::parse("roles/compute.viewer").unwrap(),
            resource_condition: String::new(),
            entitlement: "iam-viewer".into(),
            permissions_hash: Digest::of(b"permissions"),
        }],
        resource_names: Vec::new(),
        duration: DURATION,
        start_at: None,
        justification: "to look".into(),
        ticket: None,
        chosen_approvers: Vec::new(),
        break_glass: false,
        requested_at: filed_at(),
        nonce: Nonce::from_bits([0; 16]),
        authentication: Authentication::default(),
    }
}

fn until(ends_at: DateTime<Utc>) -> String {
    granted_expression(filed_at(), ends_at, &Carried::NONE).unwrap()
}

fn nonce() -> Nonce {
    Nonce::from_bits([1; 16])
}
