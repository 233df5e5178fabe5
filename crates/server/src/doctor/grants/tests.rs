//! Conditions on the controller's role, and who else can act as it.

use curfew_core::policy::Binding;

use super::super::report::Outcome;
use super::*;

const ACCOUNT: &str = "controller@access-1.iam.gserviceaccount.com";
const ROLE: &str = "organizations/9/roles/curfewController";
const TOKEN_CREATOR: &str = "roles/iam.serviceAccountTokenCreator";
const HARMLESS: &str = "roles/browser";

#[test]
fn a_controller_without_the_condition_is_warned_of_with_both_commands() {
    let scope = Resource::parse("organizations/9").unwrap();
    let judged = |roles: Vec<BoundRole>| judge_limit(&Ok(roles), &scope, ACCOUNT);
    let limited =
        "api.getAttribute('iam.googleapis.com/modifiedGrantsByRole', [])\n.hasOnly(['roles/a'])";
    let reads = bound("organizations/9/roles/reader", &["iam.roles.get"], None);
    let writes = |condition| bound(ROLE, &["resourcemanager.projects.setIamPolicy"], condition);
    assert_eq!(judged(vec![reads.clone(), writes(Some(limited))]).outcome, Outcome::Passed);
    assert_eq!(judged(vec![reads.clone()]).outcome, Outcome::Skipped);
    assert_eq!(judge_limit(&Err("x".into()), &scope, ACCOUNT).outcome, Outcome::Skipped);
    let never = "request.time < timestamp('2030-01-01T00:00:00Z')";
    let loose = "size(api.getAttribute('iam.googleapis.com/modifiedGrantsByRole', [])) < 9";
    let limit = "api.getAttribute('iam.googleapis.com/modifiedGrantsByRole', []).hasOnly(";
    let or_else = format!("{limit}['roles/a']) || true");
    let negated = format!("!{limit}['roles/a'])");
    let everything = format!("{limit}['roles/a', 'roles/owner'])");
    let empty = format!("{limit}[])");
    for condition in [
        None,
        Some(never),
        Some(loose),
        Some(&*or_else),
        Some(&*negated),
        Some(&*everything),
        Some(&*empty),
    ] {
        let finding = judged(vec![reads.clone(), writes(condition)]);
        assert_eq!(finding.outcome, Outcome::Warning, "{condition:?}");
        assert!(finding.message.starts_with(ROLE), "{finding:?}");
        let [add, remove, terraform] = finding.mend.try_into().unwrap();
        let start = format!(
            "gcloud organizations add-iam-policy-binding 9 --member=serviceAccount:{ACCOUNT} --role={ROLE} \"--condition=^:^title="
        );
        assert!(add.starts_with(&start), "{add}");
        assert!(add.contains("hasOnly(["), "{add}");
        assert!(remove.ends_with("--condition=None"), "{remove}");
        assert!(terraform.starts_with("grantable_roles = "), "{terraform}");
    }
    let unread = BoundRole { permissions: None, ..bound("organizations/9/roles/odd", &[], None) };
    assert_eq!(judged(vec![writes(Some(limited)), unread]).outcome, Outcome::Skipped);
    let both = judged(vec![writes(Some(limited)), writes(None)]);
    assert_eq!(both.outcome, Outcome::Warning, "the free binding counts beside the limited one");
}

#[test]
fn whoever_can_act_as_the_account_is_named_but_for_those_who_must() {
    let nobody = policy(&[(HARMLESS, "user:a@example.com")]);
    let judged = |own: &Probed<Policy>, project: &Result<Policy, String>| {
        judge_users(ACCOUNT, own, project, &given())
    };
    assert_eq!(judged(&Ok(nobody.clone()), &Ok(nobody.clone())).outcome, Outcome::Passed);
    for exempt in [
        format!("serviceAccount:{ACCOUNT}"),
        "serviceAccount:service-12@serverless-robot-prod.iam.gserviceaccount.com".into(),
        "serviceAccount:access-1.svc.id.goog[curfew/controller]".into(),
        "deleted:user:a@example.com?uid=1".into(),
    ] {
        let policy = policy(&[(TOKEN_CREATOR, &exempt)]);
        let finding = judged(&Ok(policy), &Ok(nobody.clone()));
        assert_eq!(finding.outcome, Outcome::Passed, "{exempt}");
    }
    for other in [
        "user:dave@example.com",
        "group:devs@example.com",
        "allUsers",
        "serviceAccount:service-x@access-1.iam.gserviceaccount.com",
        "serviceAccount:service-12@access-1.iam.gserviceaccount.com",
        "serviceAccount:service-12@somebodys.iam.gserviceaccount.com",
        "serviceAccount:somebodys.svc.id.goog[curfew/controller]",
    ] {
        let finding = judged(&Ok(policy(&[(TOKEN_CREATOR, other)])), &Ok(nobody.clone()));
        assert_eq!(finding.outcome, Outcome::Failed, "{other}");
        let member = format!("--member={other}");
        let member = if other.contains('[') { format!("'{member}'") } else { member };
        let mend = format!(
            "gcloud iam service-accounts remove-iam-policy-binding {ACCOUNT} {member} --role={TOKEN_CREATOR}"
        );
        assert_eq!(finding.mend, [mend]);
        let finding = judged(&Ok(nobody.clone()), &Ok(policy(&[(TOKEN_CREATOR, other)])));
        assert_eq!(finding.outcome, Outcome::Warning, "{other}");
        assert!(finding.message.contains(other), "{finding:?}");
    }
}

#[test]
fn a_role_that_could_not_be_read_is_not_taken_for_a_harmless_one() {
    let unread = policy(&[("organizations/9/roles/odd", "user:dave@example.com")]);
    let harmless = policy(&[(HARMLESS, "user:dave@example.com")]);
    for given in [given(), [("organizations/9/roles/odd".to_owned(), None)].into()] {
        let judged = |own: &Policy, project: &Policy| {
            judge_users(ACCOUNT, &Ok(own.clone()), &Ok(project.clone()), &given)
        };
        let finding = judged(&unread, &Policy::default());
        assert_eq!(finding.outcome, Outcome::Skipped);
        assert!(finding.message.contains("organizations/9/roles/odd"), "{finding:?}");
        assert_eq!(judged(&Policy::default(), &unread).outcome, Outcome::Skipped);
    }
    let finding = judge_users(ACCOUNT, &Ok(harmless.clone()), &Ok(harmless), &given());
    assert_eq!(finding.outcome, Outcome::Passed);
    let own = policy(&[("organizations/9/roles/odd", &format!("serviceAccount:{ACCOUNT}"))]);
    let finding = judge_users(ACCOUNT, &Ok(own.clone()), &Ok(own), &given());
    assert_eq!(finding.outcome, Outcome::Passed, "its own roles concern nobody else");
}

#[test]
fn what_may_not_be_looked_at_is_said_with_the_way_to_look() {
    let refused = Err(ProbeError::Denied("403".into()));
    let finding = judge_users(ACCOUNT, &refused, &Err("refused".into()), &given());
    assert_eq!(finding.outcome, Outcome::Skipped);
    let look = format!("gcloud iam service-accounts get-iam-policy {ACCOUNT}");
    assert_eq!(finding.mend, [look]);
    let finding = judge_keys(ACCOUNT, &Err(ProbeError::Denied("403".into())));
    assert_eq!(finding.outcome, Outcome::Skipped);
    assert!(finding.mend[0].ends_with("--managed-by=user"));
}

#[test]
fn a_key_that_somebody_made_is_named() {
    assert_eq!(judge_keys(ACCOUNT, &Ok(vec![])).outcome, Outcome::Passed);
    let finding = judge_keys(ACCOUNT, &Ok(vec!["k1".into(), "k2".into()]));
    assert_eq!(finding.outcome, Outcome::Failed);
    let delete =
        |key| format!("gcloud iam service-accounts keys delete {key} --iam-account={ACCOUNT}");
    assert_eq!(finding.mend, [delete("k1"), delete("k2")]);
}

fn bound(role: &str, permissions: &[&str], condition: Option<&str>) -> BoundRole {
    BoundRole {
        role: role.into(),
        condition: condition.map(str::to_owned),
        permissions: Some(permissions.iter().map(|it| (*it).to_owned()).collect()),
    }
}

fn policy(bindings: &[(&str, &str)]) -> Policy {
    let binding = |(role, member): &(&str, &str)| Binding {
        role: (*role).to_owned(),
        members: vec![(*member).to_owned()],
        ..Binding::default()
    };
    Policy { bindings: bindings.iter().map(binding).collect(), ..Policy::default() }
}

fn given() -> Given {
    let of = |permission: &str| Some([permission.to_owned()].into());
    [
        (TOKEN_CREATOR.to_owned(), of("iam.serviceAccounts.getAccessToken")),
        (HARMLESS.to_owned(), of("resourcemanager.projects.get")),
    ]
    .into()
}
