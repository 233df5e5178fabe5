//! Where a binding counts, and for whom.

use super::*;

const SIBLING: &str = "projects/demo-data";
const ROBOT: &str = "serviceAccount:robot@demo-web.iam.gserviceaccount.com";

/// A request on the node, whose ancestry is this, judged on one binding.
fn on(ancestry: &[&str], offer: Offer<'_>) -> Case {
    let mut case = case().offering(&[offer]);
    case.evidence.ancestry = ancestry.iter().map(|node| Resource::parse(node).unwrap()).collect();
    case.spec.resource = case.evidence.ancestry[0].clone();
    case.evidence.above_protected = Observed::Known(BTreeSet::new());
    case
}

/// The hierarchy of the tests: an organisation, two folders in each other, two projects in the lower.
const LINES: [&[&str]; 5] = [
    &[PROJECT, FOLDER, SCOPE, ORGANIZATION],
    &[SIBLING, FOLDER, SCOPE, ORGANIZATION],
    &[FOLDER, SCOPE, ORGANIZATION],
    &[SCOPE, ORGANIZATION],
    &[ORGANIZATION],
];

#[test]
fn a_binding_counts_on_its_node_and_below_and_never_sideways_or_upward() {
    for line in LINES {
        for carrier in [PROJECT, SIBLING, FOLDER, SCOPE, ORGANIZATION] {
            for scope in [FOLDER, SCOPE, ORGANIZATION] {
                let mut case = on(line, (carrier, VIEWER, JIT, &[ALICE]));
                case.rules.scope = Resource::parse(scope).unwrap();
                let position = |node: &str| line.iter().position(|it| *it == node);
                let (carrier_at, scope_at) = (position(carrier), position(scope));
                let counts = carrier_at.zip(scope_at).is_some_and(|(at, scope)| at <= scope);
                assert_eq!(case.is_eligible(), counts, "{carrier} for {}, {scope}", line[0]);
            }
        }
    }
}

#[test]
fn only_bindings_of_trusted_nodes_count() {
    let line = [PROJECT, FOLDER, SCOPE, ORGANIZATION];
    for carrier in [PROJECT, FOLDER, SCOPE] {
        let mut case = on(&line, (carrier, VIEWER, JIT, &[ALICE]));
        case.rules.from = vec![Resource::parse(FOLDER).unwrap()];
        assert_eq!(case.is_eligible(), carrier == FOLDER, "{carrier}");
        assert_eq!(case.objection().is_none(), carrier == FOLDER, "{carrier}");
    }
}

#[test]
fn a_peer_by_a_node_that_is_not_trusted_is_no_peer() {
    let bob = "user:bob@example.com";
    let mut case =
        on(&[PROJECT, FOLDER, SCOPE, ORGANIZATION], (PROJECT, VIEWER, PEER, &[ALICE, bob]));
    let bob = Email::parse("bob@example.com").unwrap();
    let judged =
        |case: &Case| judge_peer(&case.spec, &bob, Level::Session, &case.evidence, &case.rules);
    assert_eq!(judged(&case), Observed::Known(Standing::Peer));
    case.rules.from = vec![Resource::parse(SCOPE).unwrap()];
    assert_eq!(judged(&case), Observed::Known(Standing::None));
}

#[test]
fn a_service_account_that_is_named_asks_for_itself() {
    let asks = |members: &[&str], requester: &str| {
        let mut case = case().offering(&[(PROJECT, VIEWER, JIT, members)]);
        case.spec.requester.email = Email::parse(requester).unwrap();
        case.spec.principal = case.spec.requester.principal();
        case.evidence.member_of =
            [(Email::parse("devs@example.com").unwrap(), Observed::Known(true))].into();
        case
    };
    let address = "robot@demo-web.iam.gserviceaccount.com";
    assert!(asks(&[ROBOT], address).is_eligible());
    for members in [
        &[DEVS][..],
        &["domain:demo-web.iam.gserviceaccount.com"],
        &["allAuthenticatedUsers"],
        &["deleted:serviceAccount:robot@demo-web.iam.gserviceaccount.com?uid=1"],
        &["user:robot@demo-web.iam.gserviceaccount.com"],
        &["serviceAccount:robot@demo-data.iam.gserviceaccount.com"],
        &[ALICE],
    ] {
        assert_eq!(asks(members, address).objection(), Some(Objection::NotEligible), "{members:?}");
    }
    let mut for_somebody = asks(&[ROBOT, ALICE], "alice@example.com");
    for_somebody.spec.principal = Principal::parse(ROBOT).unwrap();
    assert_eq!(for_somebody.objection(), Some(Objection::ReceiverNotAllowed));
}

#[test]
fn nobody_chooses_themselves_under_another_address() {
    for (own, chosen) in [
        ("alice@example.com", "Alice@Example.COM"),
        ("alice@example.com", "alice+approver@example.com"),
        ("al.ice@gmail.com", "alice@googlemail.com"),
    ] {
        let mut case = case().offering(&[(PROJECT, VIEWER, PEER, &["domain:example.com"])]);
        case.spec.requester.email = Email::parse(own).unwrap();
        case.spec.principal = case.spec.requester.principal();
        case.spec.chosen_approvers = vec![Email::parse(chosen).unwrap()];
        assert_eq!(case.objection(), Some(Objection::ApproversNotAllowed), "{own} {chosen}");
    }
}

#[test]
fn each_check_says_its_own_and_the_first_that_fails_decides() {
    for (reason, change) in objections() {
        let mut case = case();
        change(&mut case);
        let checks = checks(&case.spec, Some(&case.evidence), &case.rules);
        let first = checks.iter().find_map(|checked| match &checked.verdict {
            CheckVerdict::Failed(why) => Some(why.reason),
            CheckVerdict::Passed | CheckVerdict::Unanswered(_) | CheckVerdict::NotReached => None,
        });
        assert_eq!(first, Some(reason));
        let without = super::checks(&case.spec, None, &case.rules);
        assert_eq!(without.len(), checks.len());
        for (with, without) in checks.iter().zip(&without) {
            assert_eq!(with.name, without.name);
            let same = with.verdict == without.verdict;
            assert!(same || without.verdict == CheckVerdict::NotReached, "{}", with.name);
        }
    }
    let all_well = case();
    for checked in checks(&all_well.spec, Some(&all_well.evidence), &all_well.rules) {
        assert_eq!(checked.verdict, CheckVerdict::Passed, "{}", checked.name);
    }
}
