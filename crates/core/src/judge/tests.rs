//! Every objection, the order of the checks, and what must stay unknown.

#![allow(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    reason = "a test may panic: it then fails"
)]

use super::*;
use crate::condition::{Activation, Carried, ResourceName};
use crate::danger::Dangerous;
use crate::eligible::offers;
use crate::entry::Level;
use crate::fixture::{ADMIN, VIEWER, at, failed, not_asked, requested, spec};
use crate::id::Digest;
use crate::policy::{Binding, Condition, Policy};
use crate::principal::Principal;
use crate::world::Standing;

const JIT: &str = "has({}.jitAccessConstraint)";
const PEER: &str = "has({}.multiPartyApprovalConstraint)";
const PROJECT: &str = "projects/demo-web";
const FOLDER: &str = "folders/20";
const SCOPE: &str = "folders/10";
const ORGANIZATION: &str = "organizations/1";
const ALICE: &str = "user:alice@example.com";
const DEVS: &str = "group:devs@example.com";

mod places;
mod roles;

/// What is judged: a request, the cloud as it is, and the rules. All is well, unless a change is made.
struct Case {
    spec: Spec,
    evidence: Evidence,
    rules: Rules,
}

#[test]
fn an_eligible_person_is_told_what_it_rests_on() {
    let Observed::Known(Eligibility::Yes(basis)) = case().judge() else { panic!("not eligible") };
    assert_eq!((basis.activation, basis.carried), (Activation::SelfApproval, vec![Carried::NONE]));
    let offered = case().evidence.offered.remove(0);
    assert_eq!(basis.rests_on, [format!("{} {VIEWER} on {PROJECT}", offered.name)]);
}

#[test]
fn every_objection_has_its_request() {
    let mut seen = BTreeSet::new();
    for (reason, change) in objections() {
        let mut case = case();
        change(&mut case);
        assert_eq!(case.objection(), Some(reason), "{reason:?}");
        seen.insert(reason);
    }
    assert_eq!(
        seen,
        Objection::ALL
            .into_iter()
            .filter(|reason| *reason != Objection::ResourceNamesNotAllowed)
            .collect()
    );
}

#[test]
fn of_two_objections_the_one_whose_check_comes_first_is_named() {
    let all = objections();
    for (n, (first, change)) in all.iter().enumerate() {
        for (later, other) in all.iter().skip(n) {
            let mut case = case();
            other(&mut case);
            change(&mut case);
            assert_eq!(case.objection(), Some(*first), "{first:?} before {later:?}");
        }
    }
}

#[test]
fn more_names_than_fit_are_refused_by_form_and_too_many_operators_by_the_condition() {
    let names = |n: usize| {
        (0..n).map(|n| ResourceName::parse(&format!("projects/p/{n}")).unwrap()).collect()
    };
    let mut too_many = case();
    too_many.spec.resource_names = names(4);
    assert_eq!(too_many.objection(), Some(Objection::ResourceNamesNotAllowed));
    assert!(judge_form(&too_many.spec, &too_many.rules).is_err());
    let wide = (0..6).map(|n| format!("resource.name != \"{n}\"")).collect::<Vec<_>>().join(" && ");
    let mut case = case().offering(&[(PROJECT, VIEWER, &format!("{JIT} && {wide}"), &[ALICE])]);
    assert!(case.is_eligible());
    case.spec.resource_names = names(3);
    assert_eq!(case.objection(), Some(Objection::ResourceNamesNotAllowed));
}

#[test]
fn a_form_that_is_refused_needs_no_look_up() {
    for (reason, change) in objections() {
        let mut case = case();
        change(&mut case);
        let by_form = judge_form(&case.spec, &case.rules).err().map(|why| why.reason);
        let needs_the_cloud = matches!(
            reason,
            Objection::OutOfScope
                | Objection::ProtectedResource
                | Objection::UnknownRole
                | Objection::RoleChanged
                | Objection::RoleNotGrantableHere
                | Objection::DangerousRole
                | Objection::NotEligible
                | Objection::ActivationsMixed
        );
        assert_eq!(by_form, (!needs_the_cloud).then_some(reason));
    }
}

#[test]
fn durations_and_starts_are_allowed_to_their_very_bounds() {
    let minute = TimeDelta::minutes(1);
    for (duration, expect) in [
        (minute, true),
        (minute - TimeDelta::seconds(1), false),
        (TimeDelta::hours(2), true),
        (TimeDelta::hours(2) + TimeDelta::seconds(1), false),
    ] {
        let mut case = case();
        case.spec.duration = duration;
        assert_eq!(case.is_eligible(), expect, "{duration}");
    }
    let ms = TimeDelta::milliseconds(1);
    for (ahead, expect) in [
        (TimeDelta::zero(), true),
        (-ms, false),
        (START_AHEAD_MAX, true),
        (START_AHEAD_MAX + ms, false),
    ] {
        let mut case = case();
        case.spec.start_at = Some(at("10:00:00") + ahead);
        assert_eq!(case.is_eligible(), expect, "{ahead}");
    }
}

#[test]
fn an_unanswered_look_up_never_becomes_a_no_or_a_yes() {
    let group = Email::parse("devs@example.com").unwrap();
    for answer in [Some(failed()), Some(not_asked()), None] {
        let mut case = case().offering(&[(PROJECT, VIEWER, JIT, &[DEVS])]);
        case.evidence.member_of =
            answer.into_iter().map(|answer| (group.clone(), answer)).collect();
        assert!(matches!(case.judge(), Observed::Unknown(_)));
    }
    let mut unasked = case();
    unasked.evidence.permissions.clear();
    assert_eq!(unasked.judge(), not_asked());
}

#[test]
fn a_known_membership_decides() {
    let group = Email::parse("devs@example.com").unwrap();
    for answer in [true, false] {
        let mut case = case().offering(&[(PROJECT, VIEWER, JIT, &[DEVS])]);
        case.evidence.member_of = BTreeMap::from([(group.clone(), Observed::Known(answer))]);
        assert_eq!(case.is_eligible(), answer);
    }
}

#[test]
fn a_known_membership_beats_an_unanswered_look_up_of_a_binding_of_the_same_name() {
    let both: [Offer<'_>; 2] = [(PROJECT, VIEWER, JIT, &[DEVS]), (PROJECT, VIEWER, JIT, &[ALICE])];
    for order in [[both[0], both[1]], [both[1], both[0]]] {
        let case = case().offering(&order);
        let [first, second] = case.evidence.offered.as_slice() else { panic!() };
        assert_eq!(first.name, second.name);
        assert!(case.is_eligible());
    }
    let strangers: [Offer<'_>; 2] =
        [(PROJECT, VIEWER, JIT, &[DEVS]), (PROJECT, VIEWER, JIT, &["user:bob@example.com"])];
    for order in [[strangers[0], strangers[1]], [strangers[1], strangers[0]]] {
        assert!(matches!(case().offering(&order).judge(), Observed::Unknown(_)));
    }
}

#[test]
fn every_role_must_be_offered() {
    let offers: [Offer<'_>; 2] = [(PROJECT, VIEWER, JIT, &[ALICE]), (FOLDER, ADMIN, JIT, &[ALICE])];
    let both = case().offering(&offers);
    let Observed::Known(Eligibility::Yes(basis)) = both.judge() else { panic!("not eligible") };
    assert_eq!((basis.carried.len(), basis.rests_on.len()), (2, 2));
    let mut one = case().offering(&offers);
    one.evidence.offered.pop();
    assert_eq!(one.objection(), Some(Objection::NotEligible));
}

#[test]
fn a_binding_counts_on_its_node_and_below_within_the_scope() {
    let counts = |node| case().offering(&[(node, VIEWER, JIT, &[ALICE])]).is_eligible();
    for node in [PROJECT, FOLDER, SCOPE] {
        assert!(counts(node), "{node}");
    }
    for elsewhere in ["projects/demo-api", "folders/21", "organizations/2"] {
        assert!(!counts(elsewhere), "{elsewhere}");
    }
    assert!(!counts(ORGANIZATION), "above the scope");
}

#[test]
fn the_ancestry_must_be_the_resources_own() {
    let mut case = case();
    case.evidence.ancestry.remove(0);
    assert_eq!(case.objection(), Some(Objection::OutOfScope));
    case.evidence.ancestry.clear();
    assert_eq!(case.objection(), Some(Objection::OutOfScope));
}

#[test]
fn protection_covers_what_lies_below() {
    for node in [PROJECT, FOLDER, SCOPE, ORGANIZATION] {
        let mut case = case();
        case.rules.protected.insert(Resource::parse(node).unwrap());
        assert_eq!(case.objection(), Some(Objection::ProtectedResource), "{node}");
    }
    let mut other = case();
    other.rules.protected.insert(Resource::parse("projects/demo-api").unwrap());
    assert!(other.is_eligible());
}

#[test]
fn the_resource_condition_must_be_the_offered_one_to_the_letter() {
    let condition = "resource.name.startsWith(\"projects/p/\")";
    let offered =
        || case().offering(&[(PROJECT, VIEWER, &format!("{JIT} && {condition}"), &[ALICE])]);
    let Observed::Known(Eligibility::Yes(basis)) = offered().judge() else {
        panic!("not eligible")
    };
    assert_eq!(basis.carried.first().map(ToString::to_string).as_deref(), Some(condition));
    for other in [
        "",
        "true",
        &format!("({condition})"),
        &format!("{condition} "),
        "resource.name.startsWith(\"projects/\")",
    ] {
        let mut case = offered();
        for role in &mut case.spec.roles {
            other.clone_into(&mut role.resource_condition);
        }
        assert_eq!(case.objection(), Some(Objection::NotEligible), "{other:?}");
    }
}

#[test]
fn names_narrow_what_is_offered() {
    let mut case = case().offering(&[(
        PROJECT,
        VIEWER,
        &format!("{JIT} && resource.type == \"x\""),
        &[ALICE],
    )]);
    case.spec.resource_names = vec![ResourceName::parse("projects/p/i").unwrap()];
    let Observed::Known(Eligibility::Yes(basis)) = case.judge() else { panic!("not eligible") };
    let clauses = basis.carried.first().unwrap().clauses();
    assert_eq!(
        clauses,
        [
            "resource.type == \"x\"",
            "resource.name == \"projects/p/i\" || resource.name.startsWith(\"projects/p/i/\")"
        ]
    );
}

#[test]
fn the_entitlement_and_the_role_must_both_be_the_offered_ones() {
    let mut renamed = case();
    renamed.spec.roles.iter_mut().for_each(|role| role.entitlement = "iam-other".into());
    assert_eq!(renamed.objection(), Some(Objection::NotEligible));
    let mut other_role = case();
    let name = other_role.evidence.offered[0].name.clone();
    other_role.spec.roles = vec![requested(ADMIN, &name, "")];
    assert_eq!(other_role.objection(), Some(Objection::NotEligible));
}

#[test]
fn members_of_a_domain_are_eligible_and_of_another_are_not() {
    for (domain, expect) in [
        ("domain:example.com", true),
        ("domain:other.com", false),
        ("allUsers", false),
        ("allAuthenticatedUsers", false),
        ("deleted:user:alice@example.com?uid=1", false),
    ] {
        assert_eq!(
            case().offering(&[(PROJECT, VIEWER, JIT, &[domain])]).is_eligible(),
            expect,
            "{domain}"
        );
    }
}

#[test]
fn nobody_asks_for_a_service_account() {
    let account = "serviceAccount:d@p.iam.gserviceaccount.com";
    let mut case = case().offering(&[(PROJECT, VIEWER, JIT, &[account])]);
    case.spec.principal = Principal::parse(account).unwrap();
    assert_eq!(case.objection(), Some(Objection::ReceiverNotAllowed));
}

#[test]
fn only_groups_that_can_decide_are_asked_about() {
    let question = |case: &Case| groups_in_question(&case.spec, &case.evidence.offered);
    let groups = case().offering(&[(PROJECT, VIEWER, JIT, &[DEVS, "group:ops@example.com"])]);
    assert_eq!(question(&groups).len(), 2);
    assert!(question(&case().offering(&[(PROJECT, VIEWER, JIT, &[DEVS, ALICE])])).is_empty());
    let mut other = groups;
    other.spec.roles.iter_mut().for_each(|role| role.entitlement = "iam-other".into());
    assert!(question(&other).is_empty());
}

#[test]
fn roles_for_peers_are_asked_for_together_and_judged_as_such() {
    let peer: [Offer<'_>; 2] = [(PROJECT, VIEWER, PEER, &[ALICE]), (FOLDER, ADMIN, PEER, &[ALICE])];
    let Observed::Known(Eligibility::Yes(basis)) = case().offering(&peer).judge() else {
        panic!("not eligible")
    };
    assert_eq!(basis.activation, Activation::PeerApproval);
    assert_eq!(basis.decide_within, TimeDelta::hours(1));
}

#[test]
fn a_floor_asks_for_a_peer_where_the_binding_does_not() {
    let mut case = case();
    case.rules.peers.always_for.insert(Role::parse(VIEWER).unwrap());
    let Observed::Known(Eligibility::Yes(basis)) = case.judge() else { panic!("not eligible") };
    assert_eq!(basis.activation, Activation::PeerApproval);
}

#[test]
fn chosen_approvers_are_bounded_distinct_and_others() {
    let choosing = |people: &[&str]| {
        let mut case = case().offering(&[(PROJECT, VIEWER, PEER, &[ALICE])]);
        case.rules.peers.chosen_min = 2;
        case.rules.peers.chosen_max = 3;
        let emails =
            people.iter().map(|name| Email::parse(&format!("{name}@example.com")).unwrap());
        case.spec.chosen_approvers = emails.collect();
        case.objection()
    };
    let refused = Some(Objection::ApproversNotAllowed);
    for people in [&["bob"][..], &["b", "c", "d", "e"], &["bob", "bob"], &["bob", "alice"]] {
        assert_eq!(choosing(people), refused, "{people:?}");
    }
    for people in [&[][..], &["bob", "carol"], &["b", "c", "d"]] {
        assert_eq!(choosing(people), None, "{people:?}");
    }
}

#[test]
fn nobody_is_chosen_to_approve_what_needs_no_approval() {
    let mut case = case();
    case.spec.chosen_approvers = vec![Email::parse("bob@example.com").unwrap()];
    assert_eq!(case.objection(), Some(Objection::ApproversNotAllowed));
}

#[test]
fn a_peer_holds_the_very_same_eligibility() {
    let peer = |case: &Case, who: &str| {
        let email = Email::parse(who).unwrap();
        judge_peer(&case.spec, &email, Level::Session, &case.evidence, &case.rules)
    };
    let bob = "user:bob@example.com";
    let same = case().offering(&[(FOLDER, VIEWER, PEER, &[ALICE, bob])]);
    assert_eq!(peer(&same, "bob@example.com"), Observed::Known(Standing::Peer));
    assert_eq!(peer(&same, "carol@example.com"), Observed::Known(Standing::None));
    // Another role, another condition, another node: each is another eligibility.
    let narrow = format!("{PEER} && resource.name == \"x\"");
    for (node, role, condition) in
        [(FOLDER, ADMIN, PEER), (FOLDER, VIEWER, narrow.as_str()), (PROJECT, VIEWER, PEER)]
    {
        let mut case = case().offering(&[(FOLDER, VIEWER, PEER, &[ALICE])]);
        case.evidence.offered.extend(offered(&(node, role, condition, &[bob])));
        let found = peer(&case, "bob@example.com");
        assert_eq!(found, Observed::Known(Standing::None), "{node} {role} {condition}");
    }
}

#[test]
fn a_peer_of_one_of_two_roles_is_no_peer() {
    let bob = "user:bob@example.com";
    let case =
        case().offering(&[(PROJECT, VIEWER, PEER, &[ALICE, bob]), (FOLDER, ADMIN, PEER, &[ALICE])]);
    let bob = Email::parse("bob@example.com").unwrap();
    let found = judge_peer(&case.spec, &bob, Level::Session, &case.evidence, &case.rules);
    assert_eq!(found, Observed::Known(Standing::None));
}

#[test]
fn a_peer_by_a_group_that_did_not_answer_is_unknown() {
    let case = case().offering(&[(PROJECT, VIEWER, PEER, &[ALICE, DEVS])]);
    let bob = Email::parse("bob@example.com").unwrap();
    let found = judge_peer(&case.spec, &bob, Level::Session, &case.evidence, &case.rules);
    assert!(matches!(found, Observed::Unknown(_)));
    assert_eq!(peer_groups_in_question(&case.spec, &bob, &case.evidence.offered).len(), 1);
}

#[test]
fn a_service_account_is_no_peer_not_even_by_a_group() {
    let account = Email::parse("bot@p.iam.gserviceaccount.com").unwrap();
    let mut case = case().offering(&[(PROJECT, VIEWER, PEER, &[ALICE, DEVS])]);
    case.evidence.member_of =
        [(Email::parse("devs@example.com").unwrap(), Observed::Known(true))].into();
    let found = judge_peer(&case.spec, &account, Level::Session, &case.evidence, &case.rules);
    assert_eq!(found, Observed::Known(Standing::None));
}

#[test]
fn a_peer_above_the_scope_is_no_peer() {
    let bob = "user:bob@example.com";
    let case = case().offering(&[(ORGANIZATION, VIEWER, PEER, &[ALICE, bob])]);
    let bob = Email::parse("bob@example.com").unwrap();
    let found = judge_peer(&case.spec, &bob, Level::Session, &case.evidence, &case.rules);
    assert_eq!(found, Observed::Known(Standing::None));
}

#[test]
fn a_decision_by_a_writer_counts_only_where_writers_are_admitted() {
    let bob = "user:bob@example.com";
    let mut case = case().offering(&[(PROJECT, VIEWER, PEER, &[ALICE, bob])]);
    let bob = Email::parse("bob@example.com").unwrap();
    let judged =
        |case: &Case| judge_peer(&case.spec, &bob, Level::Writer, &case.evidence, &case.rules);
    assert_eq!(judged(&case), Observed::Known(Standing::PeerByWeakEvidence));
    case.rules.peers.evidence.insert(Level::Writer);
    assert_eq!(judged(&case), Observed::Known(Standing::Peer));
}

/// A node, a role, a condition, and the members.
type Offer<'a> = (&'a str, &'a str, &'a str, &'a [&'a str]);

/// What makes a request objectionable.
type Change = fn(&mut Case);

/// One request for each objection, in the order in which the checks are made.
fn objections() -> Vec<(Objection, Change)> {
    vec![
        (Objection::ReceiverNotAllowed, |case| {
            case.spec.principal = Principal::parse("user:bob@example.com").unwrap();
        }),
        (Objection::BreakGlassNotOffered, |case| case.spec.break_glass = true),
        (Objection::DurationOutOfBounds, |case| case.spec.duration = TimeDelta::days(1)),
        (Objection::StartOutOfBounds, |case| case.spec.start_at = Some(at("09:00:00"))),
        (Objection::RolesOutOfBounds, |case| {
            let twice = case.spec.roles.clone();
            case.spec.roles.extend(twice);
        }),
        (Objection::ApproversNotAllowed, |case| {
            case.spec.chosen_approvers = vec![case.spec.requester.email.clone()];
        }),
        (Objection::OutOfScope, |case| case.rules.scope = Resource::parse("folders/99").unwrap()),
        (Objection::ProtectedResource, |case| {
            case.rules.protected.insert(Resource::parse(PROJECT).unwrap());
        }),
        (Objection::UnknownRole, |case| {
            case.evidence.permissions.values_mut().for_each(|hash| *hash = None);
        }),
        (Objection::RoleChanged, |case| {
            for requested in &mut case.spec.roles {
                requested.permissions_hash = Digest::of(b"before");
            }
        }),
        (Objection::RoleNotGrantableHere, |case| {
            let custom = Role::parse("projects/demo-data/roles/reader").unwrap();
            let requested = &mut case.spec.roles[0];
            let powers = Powers { hash: requested.permissions_hash.clone(), ..harmless(VIEWER) };
            case.evidence.permissions.insert(custom.clone(), Some(powers));
            requested.role = custom;
        }),
        (Objection::DangerousRole, |case| {
            case.rules.dangerous = Dangerous::Refuse;
            case.evidence.permissions.values_mut().flatten().for_each(|it| it.is_dangerous = true);
        }),
        (Objection::NotEligible, |case| case.evidence.offered.clear()),
        (Objection::ActivationsMixed, |case| {
            let other = (FOLDER, ADMIN, PEER, &[ALICE][..]);
            case.evidence.offered.extend(offered(&other));
            let name = case.evidence.offered.last().unwrap().name.clone();
            case.spec.roles.truncate(1);
            case.spec.roles.push(requested(ADMIN, &name, ""));
        }),
    ]
}

fn harmless(role: &str) -> Powers {
    Powers { hash: Digest::of(role.as_bytes()), is_dangerous: false, touches_system: false }
}

fn case() -> Case {
    let evidence = Evidence {
        ancestry: [PROJECT, FOLDER, SCOPE, ORGANIZATION]
            .map(|node| Resource::parse(node).unwrap())
            .to_vec(),
        offered: Vec::new(),
        member_of: BTreeMap::new(),
        permissions: [VIEWER, ADMIN]
            .map(|role| (Role::parse(role).unwrap(), Some(harmless(role))))
            .into(),
        above_protected: not_asked(),
    };
    let rules = Rules {
        scope: Resource::parse(SCOPE).unwrap(),
        protected: BTreeSet::new(),
        duration_max: TimeDelta::hours(2),
        roles_max: 3,
        peers: PeerRules::default(),
        dangerous: Dangerous::Warn,
        from: Vec::new(),
    };
    Case { spec: spec(), evidence, rules }.offering(&[(PROJECT, VIEWER, JIT, &[ALICE])])
}

impl Case {
    /// These are offered, and each of their roles is asked for as it is offered.
    fn offering(mut self, wanted: &[Offer<'_>]) -> Self {
        self.evidence.offered = wanted.iter().flat_map(offered).collect();
        let roles: BTreeMap<_, _> = self
            .evidence
            .offered
            .iter()
            .map(|o| (o.role.clone(), requested(o.role.as_str(), &o.name, &o.carried.to_string())))
            .collect();
        self.spec.roles = roles.into_values().collect();
        self
    }

    fn judge(&self) -> Observed<Eligibility> {
        judge(&self.spec, &self.evidence, &self.rules)
    }

    fn is_eligible(&self) -> bool {
        matches!(self.judge(), Observed::Known(Eligibility::Yes(_)))
    }

    fn objection(&self) -> Option<Objection> {
        match self.judge() {
            Observed::Known(Eligibility::No(why)) => Some(why.reason),
            Observed::Known(Eligibility::Yes(_)) | Observed::Unknown(_) => None,
        }
    }
}

fn offered(&(node, role, expression, members): &Offer<'_>) -> Vec<EligibleBinding> {
    let binding = Binding {
        role: role.into(),
        members: members.iter().map(ToString::to_string).collect(),
        condition: Some(Condition { expression: expression.into(), ..Condition::default() }),
        ..Binding::default()
    };
    offers(
        &Resource::parse(node).unwrap(),
        &Policy { bindings: vec![binding], ..Policy::default() },
    )
    .eligible
}
