//! `curfew doctor` under the identity of each part: what is in order is passed, and each thing that is taken away is
//! named with what mends it.

mod patient;
mod wrong;

use std::collections::BTreeSet;

use reqwest::Method;
use serde_json::{Value, json};

use self::patient::{Answer, Patient};
use super::demo::{Demo, Part, Shape};
use super::permissions::{allow, listed};
use super::seed::{ORGANIZATION, Seed};

const PARTS: [Part; 2] = [Part::Intake, Part::Controller];

/// Checks of the cloud, with the services that they name.
const APIS: [(&str, &str); 4] = [
    ("apis.cloudresourcemanager", "cloudresourcemanager.googleapis.com"),
    ("apis.iam", "iam.googleapis.com"),
    ("apis.cloudasset", "cloudasset.googleapis.com"),
    ("apis.cloudidentity", "cloudidentity.googleapis.com"),
];

/// What both parts are asked, and how it ends in the demo.
const COMMON: [(&str, &str); 17] = [
    ("configuration", "PASSED"),
    ("identity", "PASSED"),
    ("identity.keyFile", "PASSED"),
    ("identity.scopes", "PASSED"),
    ("apis.cloudresourcemanager", "PASSED"),
    ("apis.iam", "PASSED"),
    ("apis.cloudidentity", "PASSED"),
    ("groups", "PASSED"),
    ("groups.named", "PASSED"),
    ("store", "PASSED"),
    ("store.read", "PASSED"),
    ("store.indexes", "PASSED"),
    ("store.write", "PASSED"),
    ("clock", "PASSED"),
    ("scope.protected", "PASSED"),
    // Curfew does not need what it takes to look, so these say how to look by hand.
    ("account.users", "SKIPPED"),
    ("account.keys", "SKIPPED"),
];

#[tokio::test]
async fn with_everything_in_place_nothing_fails_for_either_part() {
    let demo = Demo::start_as(Shape::Split).await;
    for part in PARTS {
        let own: &[(&str, &str)] = match part {
            Part::Intake => &[
                ("apis.cloudasset", "PASSED"),
                ("permissions.intake", "PASSED"),
                ("permissions.readOnly", "PASSED"),
                ("keys.signing", "PASSED"),
                ("keys.window", "PASSED"),
                ("keys.forms", "PASSED"),
                ("iap.audience", "PASSED"),
                ("iap.keys", "PASSED"),
                ("iap.assertion", "SKIPPED"),
            ],
            Part::Controller => &[
                ("permissions.controller", "PASSED"),
                ("keys.facts", "PASSED"),
                ("keys.believed", "PASSED"),
                // The demo grants whatever its people make eligible.
                ("grants.condition", "WARNING"),
            ],
        };
        let answer = Patient::of(&demo, part).with(&["--group", "devs@example.com"]).ask().await;
        let expected: BTreeSet<(&str, &str)> = COMMON.iter().chain(own).copied().collect();
        assert_eq!(answer.results(), expected, "{part:?}: {answer:?}");
        assert_eq!(answer.code, 0, "{answer:?}");
        assert_eq!(answer.json["part"], part.name());
        for check in answer.checks() {
            let took = check["took"].as_str().unwrap();
            assert!(took.ends_with('s') && check["message"].is_string(), "{check}");
        }
    }
}

#[tokio::test]
async fn each_permission_that_is_taken_away_is_named_alone_with_the_command_that_gives_it_back() {
    let demo = Demo::start_as(Shape::Split).await;
    for part in PARTS {
        let check = format!("permissions.{}", part.name());
        for missing in listed(part) {
            allow(&demo, part, Some(missing)).await;
            let answer = Patient::of(&demo, part).ask().await;
            assert_eq!(answer.code, 1, "{part:?} without {missing}: {answer:?}");
            assert_eq!(answer.having("FAILED"), [check.as_str()].into(), "without {missing}");
            let said = format!("missing on {ORGANIZATION}: {missing}");
            assert_eq!(answer.message(&check), said);
            let mend = answer.mend(&check);
            assert!(
                mend.ends_with(&format!("--add-permissions={missing}"))
                    || mend.contains(&format!("--add-permissions={missing}   # ROLE")),
                "{mend}"
            );
            // The policy that tells the role's name is itself among what can be missing.
            let is_known = missing != "resourcemanager.organizations.getIamPolicy";
            let role = if is_known { role_of(part) } else { "ROLE" };
            let update = format!("gcloud iam roles update {role} --organization=100000000001 ");
            assert!(mend.contains(&update), "{mend}");
        }
        allow(&demo, part, None).await;
        let answer = Patient::of(&demo, part).ask().await;
        assert_eq!(answer.code, 0, "{part:?} with all of them again: {answer:?}");
    }
}

#[tokio::test]
async fn an_intake_that_could_give_access_fails() {
    let demo = Demo::start_as(Shape::Split).await;
    let gives = "resourcemanager.projects.setIamPolicy";
    let permissions: Vec<&str> = listed(Part::Intake).into_iter().chain([gives]).collect();
    let path = "/v1/organizations/100000000001/roles/curfewIntake?updateMask=includedPermissions";
    let body = json!({"includedPermissions": permissions});
    demo.cloud(Method::PATCH, path, Some(&body)).await;
    let answer = Patient::of(&demo, Part::Intake).ask().await;
    assert_eq!((answer.code, answer.having("FAILED")), (1, ["permissions.readOnly"].into()));
    assert!(answer.message("permissions.readOnly").ends_with(gives), "{answer:?}");
    let mend = format!(
        "gcloud iam roles update curfewIntake --organization=100000000001 --remove-permissions={gives}"
    );
    assert_eq!(answer.mend("permissions.readOnly"), mend);
}

#[tokio::test]
async fn each_api_that_is_not_enabled_is_named_with_its_command() {
    let demo = Demo::start_as(Shape::Split).await;
    let disable = async |services: Value| {
        demo.cloud(Method::PUT, "/sim/v1/disabledApis", Some(&services)).await;
    };
    for part in PARTS {
        for (check, service) in APIS {
            if check == "apis.cloudasset" && part == Part::Controller {
                continue;
            }
            disable(json!([service])).await;
            let answer = Patient::of(&demo, part).ask().await;
            assert_eq!(answer.code, 1, "{part:?} without {service}: {answer:?}");
            let of_apis = answer.having("FAILED").into_iter().filter(|it| it.starts_with("apis."));
            assert_eq!(of_apis.collect::<Vec<_>>(), [check]);
            let enable = format!("gcloud services enable {service} --project=demo-curfew");
            assert_eq!(answer.mend(check), enable);
        }
    }
    // Without both ways nobody's groups are known; with the Directory alone they are.
    disable(json!(["cloudidentity.googleapis.com"])).await;
    let answer = Patient::of(&demo, Part::Controller).ask().await;
    assert_eq!(answer.result("groups"), "WARNING");
    disable(json!(["cloudidentity.googleapis.com", "admin.googleapis.com"])).await;
    let answer = Patient::of(&demo, Part::Controller).ask().await;
    let failed = ["apis.admin", "apis.cloudidentity", "groups"];
    assert_eq!(answer.having("FAILED"), failed.into());
    disable(json!([])).await;
    assert_eq!(Patient::of(&demo, Part::Controller).ask().await.code, 0);
}

/// The licence that searches of nested groups take is not there; somebody else may act as the controller, and made a
/// key for it; and the controller may see that.
#[tokio::test]
async fn a_missing_licence_and_others_who_act_as_the_controller_are_told() {
    let account = "controller@demo-curfew.iam.gserviceaccount.com";
    let seed = Seed::new().behaving("{cloudIdentityFree: true}");
    let role = "roles/iam.serviceAccountTokenCreator";
    let policy = format!("{{bindings: [{{role: {role}, members: [\"user:dave@example.com\"]}}]}}");
    let mine = "id: \"102000000000000000002\",";
    let careless =
        seed.text().replace(mine, &format!("{mine} userManagedKeys: [abc123], policy: {policy},"));
    let demo = Demo::start_seeded(Shape::Split, Some(&careless)).await;
    let answer = Patient::of(&demo, Part::Controller).ask().await;
    assert_eq!(answer.code, 0, "{answer:?}");
    assert_eq!(answer.result("groups"), "WARNING");
    assert!(answer.message("groups").contains("no licence"), "{answer:?}");
    assert_eq!(answer.result("account.users"), "SKIPPED");
    let look = format!("gcloud iam service-accounts get-iam-policy {account}");
    assert_eq!(answer.mend("account.users"), look);

    let mut policy = demo.policy("projects/demo-curfew").await;
    let binding = json!({"role": "roles/viewer", "members": [format!("serviceAccount:{account}")]});
    let mut bindings = policy["bindings"].as_array().cloned().unwrap_or_default();
    bindings.push(binding);
    policy["bindings"] = json!(bindings);
    policy["version"] = 3.into();
    let path = "/v3/projects/demo-curfew:setIamPolicy";
    demo.cloud(Method::POST, path, Some(&json!({"policy": policy}))).await;
    let answer = Patient::of(&demo, Part::Controller).ask().await;
    assert_eq!(
        (answer.code, answer.having("FAILED")),
        (1, ["account.keys", "account.users"].into())
    );
    assert!(answer.message("account.users").contains("user:dave@example.com"), "{answer:?}");
    let remove = format!(
        "gcloud iam service-accounts remove-iam-policy-binding {account} --member=user:dave@example.com --role={role}"
    );
    assert_eq!(answer.mend("account.users"), remove);
    let delete = format!("gcloud iam service-accounts keys delete abc123 --iam-account={account}");
    assert_eq!(answer.mend("account.keys"), delete);
}

#[tokio::test]
async fn people_read_lines_and_a_configuration_that_cannot_be_read_is_no_answer() {
    let demo = Demo::start_as(Shape::Single).await;
    let patient = Patient::in_file(&demo, "curfew.yaml");
    // The one configuration has the secrets of both parts, and may be that of either.
    let undecided = patient.ask().await;
    assert_eq!(undecided.code, 2, "{undecided:?}");
    assert!(undecided.message("configuration").starts_with("--part: "), "{undecided:?}");

    let whole = patient.with(&["--part", "all"]).ask().await;
    assert_eq!(whole.code, 0, "{whole:?}");
    for check in ["permissions.intake", "permissions.controller", "keys.facts", "iap.audience"] {
        assert_eq!(whole.result(check), "PASSED", "{check}");
    }
    assert!(whole.find("permissions.readOnly").is_none(), "both are one trust domain");

    let (code, text) = patient.with(&["--part", "all"]).read().await;
    assert_eq!(code, 0, "{text}");
    assert!(text.starts_with("curfew doctor: all of demo, scope organizations/100000000001\n"));
    assert!(text.contains("\nPASSED   identity "), "{text}");
    assert!(text.contains("\nWARNING  grants.condition "), "{text}");
    assert!(
        text.contains("           mend: gcloud organizations add-iam-policy-binding"),
        "{text}"
    );
    assert!(!text.contains('\u{1b}'), "colours are for terminals");

    let nothing = Patient::in_file(&demo, "nothing.yaml").ask().await;
    assert_eq!(nothing.code, 2);
    assert_eq!(nothing.having("FAILED"), ["configuration"].into());
}

fn role_of(part: Part) -> &'static str {
    match part {
        Part::Intake => "curfewIntake",
        Part::Controller => "curfewController",
    }
}

impl Answer {
    fn results(&self) -> BTreeSet<(&str, &str)> {
        let pair = |check| (patient::text(check, "name"), patient::text(check, "result"));
        self.checks().iter().map(pair).collect()
    }
}
