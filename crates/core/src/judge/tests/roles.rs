//! Which roles are granted where: custom ones, dangerous ones, and those that would reach the system.

use super::*;
use crate::world::Unanswered;

const OF_PROJECT: &str = "projects/demo-web/roles/reader";
const OF_ORGANIZATION: &str = "organizations/1/roles/reader";

/// One role, offered on its node, asked for on the first node of the ancestry.
fn asking(role: &str, carrier: &str, ancestry: &[&str], powers: Powers) -> Case {
    let mut case = case().offering(&[(carrier, role, JIT, &[ALICE])]);
    case.evidence.permissions = [(Role::parse(role).unwrap(), Some(powers))].into();
    case.evidence.ancestry = ancestry.iter().map(|node| Resource::parse(node).unwrap()).collect();
    case.evidence.above_protected = Observed::Known(BTreeSet::new());
    case.rules.scope = case.evidence.ancestry.last().unwrap().clone();
    case.spec.resource = case.evidence.ancestry[0].clone();
    case
}

#[test]
fn a_custom_role_is_granted_where_iam_grants_it() {
    let judged = |role: &str, carrier: &str, ancestry: &[&str]| {
        asking(role, carrier, ancestry, harmless(role)).objection()
    };
    let web = [PROJECT, FOLDER, ORGANIZATION];
    assert_eq!(judged(OF_PROJECT, PROJECT, &web), None);
    for node in [&web[..], &web[1..], &web[2..]] {
        assert_eq!(judged(OF_ORGANIZATION, ORGANIZATION, node), None, "{node:?}");
    }
    // The ancestry ends at the scope, so the organisation is not known here; IAM knows it.
    assert_eq!(judged(OF_ORGANIZATION, FOLDER, &[PROJECT, FOLDER]), None);
    let elsewhere = Some(Objection::RoleNotGrantableHere);
    assert_eq!(judged("organizations/2/roles/reader", ORGANIZATION, &web), elsewhere);
    assert_eq!(judged("organizations/2/roles/reader", PROJECT, &web), elsewhere);
}

#[test]
fn a_projects_role_is_offered_on_that_project_alone() {
    assert_eq!(offered(&(PROJECT, OF_PROJECT, JIT, &[ALICE])).len(), 1);
    for node in [FOLDER, ORGANIZATION, "projects/demo-data"] {
        assert_eq!(offered(&(node, OF_PROJECT, JIT, &[ALICE])), vec![], "{node}");
    }
}

#[test]
fn dangerous_roles_are_refused_or_need_a_peer_or_stay_what_they_are() {
    let judged = |dangerous: Dangerous, marker: &str, is_dangerous: bool| {
        let mut case = case().offering(&[(PROJECT, VIEWER, marker, &[ALICE])]);
        case.rules.dangerous = dangerous;
        case.evidence
            .permissions
            .values_mut()
            .flatten()
            .for_each(|powers| powers.is_dangerous = is_dangerous);
        match case.judge() {
            Observed::Known(Eligibility::Yes(basis)) => Ok(basis.activation),
            Observed::Known(Eligibility::No(why)) => Err(why.reason),
            Observed::Unknown(why) => panic!("{why:?}"),
        }
    };
    let (alone, peer) = (Ok(Activation::SelfApproval), Ok(Activation::PeerApproval));
    let refused = Err(Objection::DangerousRole);
    for (rule, marker, is_dangerous, expected) in [
        (Dangerous::Warn, JIT, true, &alone),
        (Dangerous::Warn, PEER, true, &peer),
        (Dangerous::Approval, JIT, true, &peer),
        (Dangerous::Approval, PEER, true, &peer),
        (Dangerous::Approval, JIT, false, &alone),
        (Dangerous::Refuse, JIT, true, &refused),
        (Dangerous::Refuse, PEER, true, &refused),
        (Dangerous::Refuse, JIT, false, &alone),
    ] {
        assert_eq!(
            judged(rule, marker, is_dangerous),
            *expected,
            "{rule:?} {marker} {is_dangerous}"
        );
    }
}

#[test]
fn a_role_that_became_dangerous_is_judged_as_it_is_now() {
    let mut case = case();
    case.rules.dangerous = Dangerous::Refuse;
    assert!(case.is_eligible());
    let grown = BTreeSet::from(["resourcemanager.projects.setIamPolicy".to_owned()]);
    case.evidence.permissions.values_mut().for_each(|powers| *powers = Some(Powers::of(&grown)));
    assert_eq!(case.objection(), Some(Objection::RoleChanged));
    for requested in &mut case.spec.roles {
        requested.permissions_hash = Powers::of(&grown).hash;
    }
    assert_eq!(case.objection(), Some(Objection::DangerousRole));
}

#[test]
fn no_role_reaches_the_system_from_above() {
    let reaching = || Powers { touches_system: true, ..harmless(VIEWER) };
    let folder = [FOLDER, ORGANIZATION];
    let above = |nodes: &[&str]| {
        Observed::Known(nodes.iter().map(|node| Resource::parse(node).unwrap()).collect())
    };
    let judged = |ancestry: &[&str], powers: Powers, above: Observed<BTreeSet<Resource>>| {
        let mut case = asking(VIEWER, ORGANIZATION, ancestry, powers);
        case.evidence.above_protected = above;
        case.judge()
    };
    let objection = |judged: Observed<Eligibility>| match judged {
        Observed::Known(Eligibility::No(why)) => Some(why.reason),
        Observed::Known(Eligibility::Yes(_)) => None,
        Observed::Unknown(why) => panic!("{why:?}"),
    };
    let is_above = above(&[FOLDER, ORGANIZATION]);
    let protected = Some(Objection::ProtectedResource);
    assert_eq!(objection(judged(&folder, reaching(), is_above.clone())), protected);
    assert_eq!(objection(judged(&folder[1..], reaching(), is_above.clone())), protected);
    assert_eq!(objection(judged(&folder, harmless(VIEWER), is_above.clone())), None);
    assert_eq!(objection(judged(&folder, reaching(), above(&[ORGANIZATION]))), None);
    // A project has nothing below it that could be the system.
    let web = [PROJECT, FOLDER, ORGANIZATION];
    assert_eq!(objection(judged(&web, reaching(), not_asked())), None);
    // Where it lies is not known: such a role waits for the answer, others do not.
    let open = || Observed::Unknown(Unanswered::Failed("403".into()));
    assert_eq!(
        judged(&folder, reaching(), open()),
        Observed::Unknown(Unanswered::Failed("403".into()))
    );
    assert_eq!(objection(judged(&folder, harmless(VIEWER), open())), None);
}

#[test]
fn what_lies_above_is_everything_but_the_nodes_themselves() {
    let line = |nodes: &[&str]| nodes.iter().map(|node| Resource::parse(node).unwrap()).collect();
    let found =
        above(&[line(&[PROJECT, FOLDER, ORGANIZATION]), line(&["projects/demo-data", SCOPE])]);
    assert_eq!(found, line(&[FOLDER, ORGANIZATION, SCOPE]).into_iter().collect());
}
