//! Who there is and what they may: people who are eligible, an operator, and what the controller itself may.

use curfew_controller::{Operators, Settings};
use curfew_core::danger::Dangerous;
use curfew_core::eligible::entitlement_name;
use curfew_core::id::{Digest, Installation, Nonce, RequestId};
use curfew_core::judge::{PeerRules, Rules};
use curfew_core::policy::{Binding, Condition, Rest};
use curfew_core::principal::{Email, Person, Principal, Subject};
use curfew_core::resource::Resource;
use curfew_core::role::{Role, permissions_hash};
use curfew_core::spec::{Authentication, RequestedRole, Spec};

use std::collections::BTreeSet;

use chrono::{DateTime, TimeDelta, Utc};

use crate::cloud::Cloud;
use crate::nodes::{nodes_of_the_system, org, project, protected};

/// What makes a binding eligible, without approval.
const ELIGIBLE: &str = "has({}.jitAccessConstraint)";

/// The roles that members of the group may ask for everywhere.
const ROLES: [&str; 2] = ["roles/compute.viewer", REACHING_ROLE];

/// The one among them that reaches what the access system rests on: whoever holds it above can change the system.
pub(crate) const REACHING_ROLE: &str = "roles/storage.admin";

/// The account that the controller works as.
pub(crate) const CONTROLLER: &str =
    "serviceAccount:curfew-controller@curfew-system.iam.gserviceaccount.com";

/// What makes a binding eligible with a peer's approval.
const ELIGIBLE_WITH_A_PEER: &str = "has({}.multiPartyApprovalConstraint)";

/// The role that members of the group may ask each other for.
const PEER_ROLE: &str = "roles/cloudsql.admin";

/// The longest access.
pub(crate) const DURATION_MAX: TimeDelta = TimeDelta::hours(8);

/// How long peers have to decide: longer than an approval stays fresh, shorter than a run that waits for it likes.
pub(crate) const DECIDE_WITHIN: TimeDelta = TimeDelta::minutes(30);

/// How long a request that nobody has to approve may wait.
pub(crate) const SELF_ACTIVATION: TimeDelta = TimeDelta::minutes(15);

/// What somebody asks for.
#[derive(Debug, Clone)]
pub struct Filing {
    /// The local part of the requester's address.
    pub who: String,
    /// On what.
    pub resource: Resource,
    /// How many roles, one or two.
    pub n_roles: usize,
    /// For how long.
    pub duration: TimeDelta,
    /// From when on; `None` for at once.
    pub start_at: Option<DateTime<Utc>>,
    /// The id that intake gives it; `None` for a random one.
    pub id: Option<RequestId>,
    /// Whether it is for the role that a peer must approve.
    pub of_peers: bool,
    /// The local parts of the addresses of those whom the requester turns to; none for all who may.
    pub chosen: Vec<&'static str>,
}

impl Filing {
    /// One role for an hour, at once, on the `n`-th project.
    pub fn by(who: &str, n: usize) -> Self {
        Self {
            who: who.into(),
            resource: project(n),
            n_roles: 1,
            duration: TimeDelta::hours(1),
            start_at: None,
            id: None,
            of_peers: false,
            chosen: Vec::new(),
        }
    }

    /// The role that a peer must approve, for an hour, at once, on the `n`-th project.
    pub fn of_peers(who: &str, n: usize) -> Self {
        Self { of_peers: true, ..Self::by(who, n) }
    }

    /// On this node.
    #[must_use]
    pub fn on(self, resource: Resource) -> Self {
        Self { resource, ..self }
    }

    /// For so long.
    #[must_use]
    pub fn lasting(self, duration: TimeDelta) -> Self {
        Self { duration, ..self }
    }
}

/// A person of example.com.
#[expect(
    clippy::unwrap_used,
    reason = "a simulation is test code: a name that is no name fails it"
)]
pub fn person(name: &str) -> Person {
    Person {
        subject: Subject::parse(&format!("accounts.google.com:{name}")).unwrap(),
        email: Email::parse(&format!("{name}@example.com")).unwrap(),
    }
}

/// The one operator.
pub fn operator() -> Person {
    person("olga")
}

/// The installation's name.
pub(crate) const INSTALLATION: &str = "sim";

#[expect(clippy::unwrap_used, reason = "the name is a constant")]
pub(crate) fn installation() -> Installation {
    Installation::parse(INSTALLATION).unwrap()
}

pub(crate) fn settings() -> Settings {
    let rules = Rules {
        scope: org(),
        protected: protected().into(),
        duration_max: DURATION_MAX,
        roles_max: 4,
        peers: PeerRules { decide_within: DECIDE_WITHIN, ..PeerRules::default() },
        dangerous: Dangerous::Warn,
        from: Vec::new(),
    };
    let operators =
        Operators { people: BTreeSet::from([operator().email]), groups: BTreeSet::new() };
    // As many workers as may come in each other's way, and no more that would only wait.
    Settings { n_workers: 4, ..Settings::new(installation(), rules, operators) }
}

/// A cloud of so many projects, in which these people are in the eligible group.
pub(crate) fn cloud(n_projects: usize, people: &[&str]) -> Cloud {
    let mut cloud = Cloud::default();
    cloud.seed_group(&group(), people.iter().map(|name| person(name).email));
    let eligible = |role: &str, expression: &str| Binding {
        role: role.into(),
        members: vec![format!("group:{}", group())],
        condition: Some(Condition {
            title: "eligible".into(),
            expression: expression.into(),
            ..Condition::default()
        }),
        rest: Rest::default(),
    };
    let mut offered = ROLES.map(|role| eligible(role, ELIGIBLE)).to_vec();
    offered.push(eligible(PEER_ROLE, ELIGIBLE_WITH_A_PEER));
    offered.push(own_access("grants and takes back"));
    cloud.seed(&org(), offered);
    for node in (0..n_projects).map(project).chain(nodes_of_the_system()) {
        let others = vec![foreign("user:zoe@example.com"), own_access("grants and takes back")];
        cloud.seed(&node, others);
    }
    cloud
}

/// What the controller itself needs to read and write policies: its own role, for the roles alone that it may grant.
pub(crate) fn own_access(title: &str) -> Binding {
    let roles = "api.getAttribute('iam.googleapis.com/modifiedGrantsByRole', [])";
    Binding {
        role: "organizations/1/roles/curfewController".into(),
        members: vec![CONTROLLER.into()],
        condition: Some(Condition {
            title: title.into(),
            expression: format!("{roles}.hasOnly(['{}', '{PEER_ROLE}'])", ROLES.join("', '")),
            ..Condition::default()
        }),
        rest: Rest::default(),
    }
}

/// A binding that is nobody's business here.
pub(crate) fn foreign(member: &str) -> Binding {
    let rest = Rest("{\"x\":1}".into());
    Binding { role: "roles/editor".into(), members: vec![member.into()], condition: None, rest }
}

/// The group whose members are eligible.
pub(crate) fn group() -> Email {
    person("eligible").email
}

/// A person who is somebody else by name: with the immutable id of the one and the address of the other.
pub fn disguised(subject: &str, address: &str) -> Person {
    Person { email: person(address).email, ..person(subject) }
}

/// Whether a peer must approve the request.
pub(crate) fn needs_approval(spec: &Spec) -> bool {
    spec.roles.iter().any(|requested| requested.role.as_str() == PEER_ROLE)
}

/// The role that a peer must approve.
#[expect(clippy::unwrap_used, reason = "the role is a constant")]
pub(crate) fn peer_role() -> Role {
    Role::parse(PEER_ROLE).unwrap()
}

pub(crate) fn spec(
    id: &RequestId,
    filing: &Filing,
    digest: Digest,
    nonce: Nonce,
    at: DateTime<Utc>,
) -> Spec {
    let requester = person(&filing.who);
    let roles = if filing.of_peers {
        vec![requested(PEER_ROLE, ELIGIBLE_WITH_A_PEER)]
    } else {
        ROLES.iter().take(filing.n_roles).map(|role| requested(role, ELIGIBLE)).collect()
    };
    Spec {
        id: id.clone(),
        digest,
        principal: Principal::User(requester.email.clone()),
        requester,
        resource: filing.resource.clone(),
        roles,
        resource_names: Vec::new(),
        duration: filing.duration,
        start_at: filing.start_at,
        justification: "to look".into(),
        ticket: None,
        chosen_approvers: filing.chosen.iter().map(|name| person(name).email).collect(),
        break_glass: false,
        requested_at: at,
        nonce,
        authentication: Authentication::default(),
    }
}

#[expect(clippy::unwrap_used, reason = "the roles are constants")]
fn requested(role: &str, condition: &str) -> RequestedRole {
    let entitlement = entitlement_name(&org(), role, condition);
    let role = Role::parse(role).unwrap();
    let permissions_hash = permissions_hash(&Cloud::first_permissions(&role));
    RequestedRole { role, resource_condition: String::new(), entitlement, permissions_hash }
}
