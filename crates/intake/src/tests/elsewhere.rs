//! What JIT Access gave before: shown everywhere where somebody would ask for it again, and in nobody's way.

use axum::http::StatusCode;
use curfew_core::phase::Phase;
use curfew_core::resource::Resource;
use curfew_core::status::Status;
use serde_json::{Value, json};

use super::world::{World, ZONE_A, ZONE_B, at, body, status};
use crate::ListSource;

const WEB: &str = "projects/demo-web";
const VIEWER: &str = "roles/compute.viewer";
const ALICE: &str = "user:alice@example.com";
const UNTIL: &str = "2027-01-15T08:15:00Z";

/// `activatedElsewhere` of each entitlement on a resource, by resource condition.
async fn listed(world: &World, who: &str, resource: &str) -> Vec<(String, Value)> {
    let list = world.get(who, &format!("/v1/entitlements?resource={resource}")).await.json();
    let all = list["entitlements"].as_array().unwrap().iter();
    all.map(|it| {
        let elsewhere = it.get("activatedElsewhere").cloned().unwrap_or_default();
        (it["resourceCondition"].as_str().unwrap().to_owned(), elsewhere)
    })
    .collect()
}

#[tokio::test]
async fn a_list_says_until_when_for_the_one_who_has_it_and_nobody_else() {
    let world = World::new().await;
    world.activate_elsewhere(WEB, VIEWER, ALICE, "");
    let given = json!({"until": UNTIL, "resource": WEB});
    assert_eq!(listed(&world, "alice", WEB).await, [(String::new(), given)]);
    assert!(listed(&world, "bob", WEB).await.iter().all(|(_, elsewhere)| elsewhere.is_null()));
    // It is over by the clock, before anything is read again.
    world.holds_still();
    world.clock.pass(900);
    assert_eq!(listed(&world, "alice", WEB).await, [(String::new(), Value::Null)]);
}

#[tokio::test]
async fn an_activation_belongs_to_its_own_resource_condition_however_jit_access_printed_it() {
    let world = World::new().await;
    let printed_anew = ZONE_A.replace('(', "( ");
    world.activate_elsewhere("projects/demo-prod", "roles/compute.osLogin", ALICE, &printed_anew);
    let found = listed(&world, "alice", "projects/demo-prod").await;
    let of = |condition: &str| found.iter().find(|it| it.0 == condition).unwrap().1.clone();
    assert_eq!(of(ZONE_A)["until"], UNTIL);
    assert_eq!((of(ZONE_B), of("")), (Value::Null, Value::Null));
}

#[tokio::test]
async fn what_was_given_above_reaches_down_and_is_found_where_only_the_folder_is_trusted() {
    let world = World::with(|settings| {
        settings.rules.from = vec![Resource::parse("folders/2").unwrap()];
    })
    .await;
    let (role, carol) = ("roles/logging.admin", "user:carol@example.com");
    world.activate_elsewhere(WEB, role, carol, "");
    assert_eq!(listed(&world, "carol", WEB).await[0].1["resource"], WEB);
    assert_eq!(listed(&world, "carol", "folders/2").await[0].1, Value::Null);
    let mut asked = body();
    asked["roles"] = json!([{"role": role}]);
    let reply = world.post("carol", "/v1/requests:validate", &asked).await.json();
    assert_eq!(reply["warnings"][0]["reason"], "ACTIVATED_ELSEWHERE", "{reply}");
    world.activate_elsewhere("folders/2", role, carol, "");
    assert_eq!(listed(&world, "carol", "folders/2").await[0].1["resource"], "folders/2");
    assert_eq!(listed(&world, "carol", "projects/demo-prod").await[0].1["resource"], "folders/2");
}

#[tokio::test]
async fn policy_analyzers_answer_tells_of_it_too() {
    let world = World::with(|settings| settings.lists_from = ListSource::PolicyAnalyzer).await;
    world.set_policy(WEB, &[(VIEWER, &[ALICE], super::world::JIT)]);
    world.activate_elsewhere(WEB, VIEWER, ALICE, "");
    assert_eq!(listed(&world, "alice", WEB).await[0].1["until"], UNTIL);
}

#[tokio::test]
async fn a_dry_run_warns_and_filing_goes_on() {
    let world = World::new().await;
    let dry = async || world.post("alice", "/v1/requests:validate", &body()).await.json();
    assert_eq!(dry().await["warnings"], json!([]));
    world.activate_elsewhere(WEB, VIEWER, ALICE, "");
    let reply = dry().await;
    assert_eq!(reply["verdict"], "ACCEPTED");
    assert_eq!(
        reply["warnings"],
        json!([{
            "reason": "ACTIVATED_ELSEWHERE",
            "message": format!("JIT Access gave you {VIEWER} on {WEB} until {UNTIL}: you have it already. That access ends by itself, and nothing here changes it."),
        }])
    );
    assert_eq!(world.post("alice", "/v1/requests", &body()).await.status, StatusCode::CREATED);
}

#[tokio::test]
async fn pages_say_it_in_words_to_whoever_has_it_and_to_whoever_decides() {
    let world = World::new().await;
    let admin = "roles/compute.instanceAdmin.v1";
    let words = "this access already, until 2027-01-15 08:15:00 (in 15 min): JIT Access";
    let home = async || world.page("alice", "/?query=instanceAdmin").await.text();
    assert!(!home().await.contains("Active already"));
    let page = home().await;
    world.activate_elsewhere("projects/demo-prod", admin, ALICE, "");
    assert!(
        home().await.contains("Active already")
            && home().await.contains(&format!("You have {words}"))
    );
    let link = page.split("href=\"/ask?").nth(1).unwrap().split_once('"').unwrap().0;
    let ask = world.page("alice", &format!("/ask?{}", link.replace("&#38;", "&"))).await.text();
    assert!(ask.contains("Active already.</strong> You have") && ask.contains(words), "{ask}");

    let mut asked = body();
    asked["resource"] = "projects/demo-prod".into();
    asked["roles"] = json!([{"role": admin}]);
    let id = world.post("alice", "/v1/requests", &asked).await.id();
    let awaiting = Status {
        steps_required: Some(1),
        decide_by: Some(at(3_600)),
        ..status(Phase::AwaitingApproval)
    };
    world.set_status(&id, awaiting);
    for (who, said) in [("alice", "You have"), ("bob", "alice@example.com has")] {
        let page = world.page(who, &format!("/requests/{id}")).await.text();
        assert!(page.contains(&format!("{said} {words}")), "{who}: {page}");
    }
    // What was granted here is not told of twice.
    world.set_status(&id, status(Phase::Active));
    assert!(!world.page("alice", &format!("/requests/{id}")).await.text().contains(words));
}

#[tokio::test]
async fn the_page_of_a_check_says_it() {
    let world = World::new().await;
    world.activate_elsewhere(WEB, VIEWER, ALICE, "");
    let home = world.page("alice", "/?query=compute.viewer").await.text();
    let token = home.split("name=\"token\" value=\"").nth(1).unwrap().split_once('"').unwrap().0;
    let fields = [
        ("token", token),
        ("resource", WEB),
        ("role", VIEWER),
        ("resourceCondition", ""),
        ("duration", "1800s"),
        ("justification", "BUG-1"),
    ];
    let page = world.form("alice", "/ui/requests/check", &fields).await.text();
    assert!(page.contains("This can be requested as it is"), "{page}");
    assert!(page.contains("Active already.</strong> You have this access already"), "{page}");
}
