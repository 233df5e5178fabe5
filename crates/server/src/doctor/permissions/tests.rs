//! Permissions against the lists, and what mends a difference.

use curfew_core::policy::{Binding, Condition};
use curfew_gcp::ProbeError;

use super::super::report::Outcome;
use super::*;

const ACCOUNT: &str = "controller@access-1.iam.gserviceaccount.com";
const WRITER: &str = "organizations/9/roles/curfew_prod_controller_writer";
const READER: &str = "organizations/9/roles/curfew_prod_controller_reader";

#[test]
fn every_listed_permission_is_missed_by_its_name_and_given_to_its_role() {
    let scope = Resource::parse("organizations/9").unwrap();
    let asked = Listed::Controller.on(&scope);
    let roles = Ok(vec![role(READER, &["iam.roles.get"]), role(WRITER, &["a.b.setIamPolicy"])]);
    assert_eq!(found(&scope, &asked, &asked, &roles).outcome, Outcome::Passed);
    for missing in &asked {
        let held: Vec<&str> = asked.iter().copied().filter(|it| it != missing).collect();
        let finding = found(&scope, &asked, &held, &roles);
        assert_eq!(finding.outcome, Outcome::Failed);
        assert_eq!(finding.message, format!("missing on organizations/9: {missing}"));
        let id = if missing.ends_with(WRITES) { WRITER } else { READER };
        let id = id.rsplit('/').next().unwrap();
        let mend =
            format!("gcloud iam roles update {id} --organization=9 --add-permissions={missing}");
        assert_eq!(finding.mend, [mend]);
    }
}

#[test]
fn a_scope_is_asked_only_for_what_can_be_held_on_it() {
    let on = |scope: &str| Listed::Controller.on(&Resource::parse(scope).unwrap());
    let kinds = |scope: &str| {
        let all = on(scope).into_iter().filter_map(|it| it.strip_prefix("resourcemanager."));
        all.filter_map(|it| it.split('.').next()).collect::<BTreeSet<_>>()
    };
    assert_eq!(kinds("projects/web-prod"), ["projects"].into());
    assert_eq!(kinds("folders/7"), ["folders", "projects"].into());
    assert_eq!(kinds("organizations/9"), ["folders", "organizations", "projects"].into());
    let analyst = Listed::Intake { with_policy_analyzer: true };
    let plain = Listed::Intake { with_policy_analyzer: false };
    let scope = Resource::parse("organizations/9").unwrap();
    let more: Vec<&str> =
        analyst.on(&scope).into_iter().filter(|it| !plain.on(&scope).contains(it)).collect();
    assert_eq!(more, [POLICY_ANALYZER]);
    assert!(plain.on(&scope).iter().all(|it| !gives_access_on(&scope).contains(it)));
    assert!(on("organizations/9").iter().any(|it| gives_access_on(&scope).contains(it)));
}

#[test]
fn without_a_known_role_one_is_looked_up_or_made() {
    let scope = Resource::parse("projects/web-prod").unwrap();
    let asked = ["a.b.get", "a.b.list"];
    let unknown = Err("refused".to_owned());
    let finding = found(&scope, &asked, &["a.b.get"], &unknown);
    assert_eq!(
        finding.mend,
        [
            format!(
                "gcloud projects get-iam-policy web-prod --flatten=bindings --filter=bindings.members:serviceAccount:{ACCOUNT} '--format=value(bindings.role)'"
            ),
            "gcloud iam roles update ROLE --project=web-prod --add-permissions=a.b.list   # ROLE: as just printed".into(),
        ]
    );
    let none = Ok(vec![role("roles/browser", &[])]);
    let finding = found(&scope, &asked, &["a.b.get"], &none);
    assert_eq!(
        finding.mend,
        [
            "gcloud iam roles create curfewController --project=web-prod --permissions=a.b.get,a.b.list".to_owned(),
            format!(
                "gcloud projects add-iam-policy-binding web-prod --member=serviceAccount:{ACCOUNT} --role=projects/web-prod/roles/curfewController --condition=None"
            ),
        ]
    );
}

#[test]
fn what_cannot_be_tested_is_neither_missing_nor_held() {
    let scope = Resource::parse("folders/7").unwrap();
    let tested = Held { held: ["a.b.get".into()].into(), untestable: ["a.b.odd".into()].into() };
    let known = Known { scope: &scope, account: Some(ACCOUNT), roles: &Ok(vec![]) };
    let finding = judge(Listed::Controller, &["a.b.get", "a.b.odd"], &Ok(tested.clone()), known);
    assert_eq!(finding.outcome, Outcome::Warning);
    assert!(finding.message.starts_with("1 permissions"), "{finding:?}");
    assert!(finding.message.ends_with("does not test on folders/7: a.b.odd"), "{finding:?}");
    let only_reads = judge_only_reads(&Ok(tested), &["a.b.odd"], known);
    assert_eq!(only_reads.outcome, Outcome::Skipped);
    let nothing = Held { held: BTreeSet::new(), untestable: ["a.b.get".into()].into() };
    let finding = judge(Listed::Controller, &["a.b.get"], &Ok(nothing), known);
    assert_eq!(finding.outcome, Outcome::Failed, "a refusal of every question is no answer");
}

#[test]
fn a_scope_that_nothing_is_known_of_fails() {
    let scope = Resource::parse("folders/7").unwrap();
    let known = Known { scope: &scope, account: Some(ACCOUNT), roles: &Ok(vec![]) };
    let refused = Err(ProbeError::Denied("403".into()));
    let finding = judge(Listed::Controller, &["a.b.get"], &refused, known);
    assert_eq!(finding.outcome, Outcome::Failed);
    assert_eq!(finding.mend, ["gcloud resource-manager folders describe 7"]);
    assert_eq!(judge_only_reads(&refused, &[], known).outcome, Outcome::Skipped);
}

#[test]
fn an_intake_that_can_give_access_fails_whatever_gives_it() {
    let scope = Resource::parse("organizations/9").unwrap();
    let asked = gives_access_on(&scope);
    let judged = |held: &[&str], roles: &Result<Vec<BoundRole>, String>| {
        let known = Known { scope: &scope, account: Some(ACCOUNT), roles };
        judge_only_reads(&Ok(of(held)), &asked, known)
    };
    let none = Ok(vec![]);
    assert_eq!(judged(&["resourcemanager.projects.get"], &none).outcome, Outcome::Passed);
    for permission in &asked {
        let custom = Ok(vec![role(READER, &[permission]), role("roles/browser", &[])]);
        let finding = judged(&[permission], &custom);
        assert_eq!(finding.outcome, Outcome::Failed);
        assert!(finding.message.ends_with(permission), "{finding:?}");
        let id = READER.rsplit('/').next().unwrap();
        let mend = format!(
            "gcloud iam roles update {id} --organization=9 --remove-permissions={permission}"
        );
        assert_eq!(finding.mend, [mend]);
    }
    let predefined = Ok(vec![role("roles/owner", &[asked[0]])]);
    let finding = judged(&[asked[0]], &predefined);
    let unbind = format!(
        "gcloud organizations remove-iam-policy-binding 9 --member=serviceAccount:{ACCOUNT} --role=roles/owner --all"
    );
    assert_eq!(finding.mend, [unbind]);
    assert!(judged(&[asked[0]], &none).mend[0].contains("search-all-iam-policies"));
}

#[test]
fn only_bindings_that_name_the_account_are_its_own() {
    let binding = |role: &str, members: &[&str], expression: Option<&str>| Binding {
        role: role.into(),
        members: members.iter().map(|it| (*it).to_owned()).collect(),
        condition: expression.map(|it| Condition { expression: it.into(), ..Condition::default() }),
        ..Binding::default()
    };
    let mine = format!("serviceAccount:{ACCOUNT}");
    let bindings = vec![
        binding("roles/a", &["user:a@example.com", &mine], None),
        binding("roles/b", &["user:a@example.com"], None),
        binding("roles/c", &[&mine], Some("true")),
    ];
    let bound = bound_to(&Policy { bindings, ..Policy::default() }, ACCOUNT);
    let seen: Vec<_> = bound.iter().map(|it| (it.role.as_str(), it.condition.as_deref())).collect();
    assert_eq!(seen, [("roles/a", None), ("roles/c", Some("true"))]);
}

fn found(
    scope: &Resource,
    asked: &[&'static str],
    held: &[&str],
    roles: &Result<Vec<BoundRole>, String>,
) -> Finding {
    let known = Known { scope, account: Some(ACCOUNT), roles };
    judge(Listed::Controller, asked, &Ok(of(held)), known)
}

fn of(held: &[&str]) -> Held {
    Held { held: held.iter().map(|it| (*it).to_owned()).collect(), ..Held::default() }
}

fn role(name: &str, permissions: &[&str]) -> BoundRole {
    let permissions = permissions.iter().map(|it| (*it).to_owned()).collect();
    BoundRole { role: name.into(), condition: None, permissions: Some(permissions) }
}
