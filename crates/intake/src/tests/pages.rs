//! Pages and forms.

use axum::http::StatusCode;
use curfew_core::phase::Phase;
use curfew_core::status::{ConditionStatus, GrantStatus, OutcomeStatus};
use serde_json::json;

use super::world::{MPA, World, at, body, status};

/// The tokens of a page's forms, in order.
fn tokens(page: &str) -> Vec<String> {
    let marks = page.split("name=\"token\" value=\"").skip(1);
    marks.map(|rest| rest.split_once('"').unwrap().0.to_owned()).collect()
}

fn ask<'a>(token: &'a str, justification: &'a str) -> [(&'a str, &'a str); 7] {
    [
        ("token", token),
        ("resource", "projects/demo-web"),
        ("role", "roles/compute.viewer"),
        ("resourceCondition", ""),
        ("duration", "900s"),
        ("justification", justification),
        ("ticket", ""),
    ]
}

#[tokio::test]
async fn access_is_asked_for_and_withdrawn_without_scripts() {
    let world = World::new().await;
    let home = world.page("alice", "/?query=demo-web").await;
    assert_eq!(home.status, StatusCode::OK);
    assert!(home.headers["content-type"].to_str().unwrap().starts_with("text/html"));
    let page = home.text();
    assert!(!page.contains("<script") && !page.contains("style=") && !page.contains(" onclick"));
    let token = &tokens(&page)[0];
    let filed = world.form("alice", "/ui/requests", &ask(token, "two\r\nlines")).await;
    assert_eq!(filed.status, StatusCode::SEE_OTHER, "{}", filed.text());
    let location = filed.headers["location"].to_str().unwrap().to_owned();
    let twice = world.form("alice", "/ui/requests", &ask(token, "two\r\nlines")).await;
    assert_eq!(twice.headers["location"], location, "sending a form twice files one request");
    assert_eq!(world.store.n_requests(), 1);
    let shown = world.page("alice", &location).await.text();
    assert!(
        shown.contains("two\nlines")
            && shown.contains("http-equiv=\"refresh\"")
            && shown.contains("Pending")
    );
    let ending = world.page("alice", &format!("{location}?end=1")).await.text();
    assert!(!ending.contains("http-equiv=\"refresh\""), "a page does not reload under a form");
    let path = format!("/ui{location}/withdraw");
    let done = world.form("alice", &path, &[("token", &tokens(&ending)[0]), ("reason", "")]).await;
    assert_eq!(
        (done.status, done.headers["location"].to_str().unwrap()),
        (StatusCode::SEE_OTHER, location.as_str())
    );
    assert!(world.page("alice", &location).await.text().contains("withdrew the request"));
}

#[tokio::test]
async fn an_operator_revokes_from_the_page_and_others_see_no_button() {
    let world = World::new().await;
    let id = world.filed().await;
    let path = format!("/requests/{id}?end=1");
    assert!(world.page("olga", &path).await.text().contains("/revoke"));
    assert!(!world.page("erin", &path).await.text().contains("/revoke"));
    assert!(!world.page("alice", &path).await.text().contains("/revoke"));
    let token = tokens(&world.page("olga", &path).await.text())[0].clone();
    let done = world
        .form(
            "olga",
            &format!("/ui/requests/{id}/revoke"),
            &[("token", &token), ("reason", "incident 9")],
        )
        .await;
    assert_eq!(done.status, StatusCode::SEE_OTHER);
    assert!(world.page("alice", &format!("/requests/{id}")).await.text().contains("incident 9"));
}

#[tokio::test]
async fn a_form_counts_only_for_whom_where_and_when_it_was_made() {
    let world = World::new().await;
    let id = world.filed().await;
    let other = world.filed().await;
    let token_of = async |person: &str, path: String| {
        tokens(&world.page(person, &path).await.text())[0].clone()
    };
    let good = token_of("alice", format!("/requests/{id}?end=1")).await;
    let bobs = token_of("bob", "/".into()).await;
    let filing = token_of("alice", "/".into()).await;
    let elsewhere = token_of("alice", format!("/requests/{other}?end=1")).await;
    let (expiry, rest) = good.split_once('.').unwrap();
    let later = format!("{}.{rest}", expiry.parse::<i64>().unwrap() + 1);
    for token in [
        "",
        "x",
        "1.2.3",
        &bobs,
        &filing,
        &elsewhere,
        &later,
        &format!("{good}x"),
        &good[..good.len() - 1],
    ] {
        let reply = world
            .form(
                "alice",
                &format!("/ui/requests/{id}/withdraw"),
                &[("token", token), ("reason", "")],
            )
            .await;
        assert_eq!(reply.status, StatusCode::FORBIDDEN, "{token}");
        assert!(reply.text().contains("FORM_EXPIRED"));
    }
    let reply = world.form("alice", "/ui/requests", &ask(&good, "x")).await;
    assert_eq!(reply.status, StatusCode::FORBIDDEN);
    assert_eq!(world.store.n_writes(), 2);
    world.clock.pass(15 * 60);
    let late = world
        .form("alice", &format!("/ui/requests/{id}/withdraw"), &[("token", &good), ("reason", "")])
        .await;
    assert_eq!(late.status, StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn a_form_from_another_site_or_of_another_type_is_refused() {
    let world = World::new().await;
    let id = world.filed().await;
    let token =
        tokens(&world.page("alice", &format!("/requests/{id}?end=1")).await.text())[0].clone();
    let path = format!("/ui/requests/{id}/withdraw");
    let assertion = world.token("alice");
    let iap = (curfew_trust::iap::ASSERTION_HEADER, assertion.as_str());
    let form = ("content-type", "application/x-www-form-urlencoded");
    for headers in [
        &[iap, form][..],
        &[iap, form, ("origin", "https://evil.example")],
        &[iap, form, ("sec-fetch-site", "cross-site")],
        &[iap, form, ("origin", "null")],
    ] {
        let reply = world.send("POST", &path, headers, format!("token={token}&reason=")).await;
        assert_eq!(
            (reply.status, reply.reason().as_str()),
            (StatusCode::FORBIDDEN, "CROSS_SITE"),
            "{headers:?}"
        );
    }
    let plain = [iap, ("content-type", "text/plain"), ("sec-fetch-site", "same-origin")];
    let reply = world.send("POST", &path, &plain, format!("token={token}&reason=")).await;
    assert_eq!(reply.status, StatusCode::UNSUPPORTED_MEDIA_TYPE);
    let extra = [iap, form, ("sec-fetch-site", "same-origin")];
    let reply =
        world.send("POST", &path, &extra, format!("token={token}&reason=&status=ENDED")).await;
    assert_eq!(
        (reply.status, reply.reason().as_str()),
        (StatusCode::BAD_REQUEST, "BODY_MALFORMED")
    );
    assert_eq!(world.store.n_writes(), 1);
}

#[tokio::test]
async fn hostile_text_is_shown_and_does_nothing() {
    let world = World::new().await;
    let hostile = "</dd><script>alert(1)</script><img src=x onerror=alert(1)>\"'`{{7*7}}${7*7}=cmd() {\"severity\":\"x\"} [a](javascript:b)";
    let mut body = body();
    body["justification"] = json!(hostile);
    body["ticket"] = json!("\"><script>alert(2)</script>");
    let id = world.post("alice", "/v1/requests", &body).await.id();
    world
        .post(
            "alice",
            &format!("/v1/requests/{id}:withdraw"),
            &json!({"reason": "<b onmouseover=alert(3)>"}),
        )
        .await;
    let mut forged = status(Phase::Ended);
    forged.outcome = Some(OutcomeStatus {
        reason: "<i>".into(),
        at: at(0),
        by: Some("<u>".into()),
        message: "<script>alert(4)</script>".into(),
    });
    forged.conditions = vec![ConditionStatus {
        kind: "<s>".into(),
        reason: "<q>".into(),
        message: "<script>alert(5)</script>".into(),
    }];
    world.set_status(&id, forged);
    for path in [
        format!("/requests/{id}"),
        "/requests".into(),
        "/".into(),
        "/?query=%22%3E%3Cscript%3Ealert(6)%3C/script%3E".into(),
    ] {
        let page = world.page("alice", &path).await.text();
        for tag in ["<script", "<img src=x", "<b on", "<i>", "<u>", "<s>", "<q>"] {
            assert!(!page.contains(tag), "{path}: {tag}");
        }
    }
    let page = world.page("alice", &format!("/requests/{id}")).await.text();
    assert!(page.contains("{{7*7}}") && page.contains("&#60;script&#62;alert(1)"), "{page}");
    let refused = world.page("alice", "/%3Cscript%3E").await;
    assert_eq!(refused.status, StatusCode::NOT_FOUND);
    assert!(!refused.text().contains("<script"));
}

#[tokio::test]
async fn a_refused_form_comes_back_with_what_was_typed() {
    let world = World::new().await;
    let token = tokens(&world.page("alice", "/?query=demo-web").await.text())[0].clone();
    let long = "é".repeat(1_001);
    let reply = world.form("alice", "/ui/requests", &ask(&token, &long)).await;
    assert_eq!(reply.status, StatusCode::BAD_REQUEST);
    let page = reply.text();
    assert!(
        page.contains("role=\"alert\"")
            && page.contains(&long)
            && page.contains("value=\"900s\" selected")
    );
    assert_eq!(world.store.n_writes(), 0);
    let again = tokens(&page)[0].clone();
    assert_eq!(
        world.form("alice", "/ui/requests", &ask(&again, "short")).await.status,
        StatusCode::SEE_OTHER
    );
}

#[tokio::test]
async fn pages_say_how_long_access_lasts() {
    let world = World::new().await;
    let id = world.filed().await;
    let mut active = status(Phase::Active);
    active.grant = Some(GrantStatus { starts_at: at(0), expires_at: at(1_800), bindings: vec![] });
    world.set_status(&id, active);
    world.clock.pass(600);
    let page = world.page("alice", &format!("/requests/{id}")).await.text();
    assert!(page.contains("20 min left") && page.contains("value=\"33\""), "{page}");
    assert!(world.page("alice", "/requests").await.text().contains(">Active<"));
}

#[tokio::test]
async fn refusals_are_pages_where_a_person_looks() {
    let world = World::new().await;
    let id = world.filed().await;
    let hidden = world.page("mallory", &format!("/requests/{id}")).await;
    assert_eq!(hidden.status, StatusCode::NOT_FOUND);
    assert!(
        hidden.text().contains("<h1>There is nothing here</h1>")
            && hidden.text().contains("NOT_FOUND")
    );
    world.directory.fails.set(true);
    let down = world.page("alice", "/").await;
    assert_eq!(down.status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(
        down.headers.contains_key("retry-after") && down.text().contains("Try again in a moment")
    );
    let wrong = world.page("alice", "/ui/requests").await;
    assert_eq!(wrong.status, StatusCode::METHOD_NOT_ALLOWED);
    assert!(wrong.headers.contains_key("allow"));
    let api = world.page("alice", "/v1/nothing").await;
    assert_eq!(api.reason(), "ROUTE_UNKNOWN", "the API speaks JSON to everybody");
}

#[tokio::test]
async fn assets_are_named_by_their_content_and_kept() {
    let world = World::new().await;
    let page = world.page("alice", "/").await.text();
    let paths: Vec<&str> = page
        .split("href=\"")
        .skip(1)
        .map(|rest| rest.split_once('"').unwrap().0)
        .filter(|path| path.starts_with("/assets/"))
        .collect();
    assert_eq!(paths.len(), 2);
    for path in paths {
        let asset = world.get("alice", path).await;
        assert_eq!(asset.status, StatusCode::OK, "{path}");
        assert!(asset.headers["cache-control"].to_str().unwrap().contains("immutable"));
    }
    for path in ["/assets/curfew.css", "/assets/..%2fcurfew.css", "/assets/"] {
        assert_eq!(world.get("alice", path).await.status, StatusCode::NOT_FOUND, "{path}");
    }
}

#[tokio::test]
async fn who_may_ask_for_nothing_is_told_whom_to_ask() {
    let world = World::new().await;
    assert!(world.page("mallory", "/").await.text().contains("There is nothing you may ask for"));
}

#[tokio::test]
async fn those_who_could_approve_are_chosen_from_a_list() {
    let world = World::new().await;
    world.set_policy(
        "projects/demo-prod",
        &[("roles/a.x", &["group:devs@example.com", "user:zoe@example.com", "domain:y.org"], MPA)],
    );
    let home = world.page("alice", "/?query=roles/a.x").await.text();
    let link = home.split("<a href=\"/ask?").nth(1).unwrap().split_once('"').unwrap().0;
    let link = format!("/ask?{}", link.replace("&#38;", "&"));
    let page = world.page("alice", &link).await.text();
    for there in
        ["value=\"bob@example.com\"", "value=\"zoe@example.com\"", "Everybody else at y.org"]
    {
        assert!(page.contains(there), "{there}: {page}");
    }
    assert!(!page.contains("value=\"alice@example.com\""), "nobody approves for themselves");
    let found = world.page("alice", &format!("{link}&query=zoe")).await.text();
    assert!(found.contains("zoe@example.com") && !found.contains("bob@example.com"));
    let token = &tokens(&page)[0];
    let mut fields = ask(token, "BUG-1").to_vec();
    fields[1].1 = "projects/demo-prod";
    fields[2].1 = "roles/a.x";
    fields.push(("approver", "bob@example.com"));
    fields.push(("approvers", "zoe@example.com"));
    world.set_role("roles/a.x", &[]);
    let filed = world.form("alice", "/ui/requests", &fields).await;
    assert_eq!(filed.status, StatusCode::SEE_OTHER, "{}", filed.text());
    let location = filed.headers["location"].to_str().unwrap();
    let request = world.get("alice", &format!("/v1{location}")).await.json();
    assert_eq!(request["spec"]["chosenApprovers"], json!(["bob@example.com", "zoe@example.com"]));
    let foreign = world.page("carol", &link).await;
    assert_eq!(
        (foreign.status, foreign.text().contains("ENTITLEMENT_UNKNOWN")),
        (StatusCode::NOT_FOUND, true)
    );
    world.directory.members_fail.set(true);
    assert_eq!(world.page("alice", &link).await.status, StatusCode::SERVICE_UNAVAILABLE);
}

#[tokio::test]
async fn a_form_can_be_checked_before_it_is_sent_and_keeps_what_was_typed() {
    let world = World::new().await;
    let home = world.page("alice", "/?query=demo-web").await.text();
    let token = &tokens(&home)[0];
    let good = world.form("alice", "/ui/requests/check", &ask(token, "BUG-77")).await;
    assert_eq!(good.status, StatusCode::OK);
    let page = good.text();
    assert!(page.contains("This can be requested as it is") && page.contains("BUG-77"));
    let token = tokens(&page)[0].clone();
    let mut fields = ask(&token, " ").to_vec();
    fields[4].1 = "999999s";
    let bad = world.form("alice", "/ui/requests/check", &fields).await.text();
    assert!(
        bad.contains("This would be refused.") && bad.contains("the justification is accepted")
    );
    assert_eq!(world.store.n_requests(), 0);
    let filed = world.form("alice", "/ui/requests", &ask(&tokens(&page)[0], "BUG-77")).await;
    assert_eq!(filed.status, StatusCode::SEE_OTHER);
    let foreign = world.form("bob", "/ui/requests/check", &ask(&tokens(&page)[0], "BUG-77")).await;
    assert_eq!(foreign.status, StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn what_was_approved_may_still_be_denied_from_its_page() {
    let world = World::new().await;
    let mut asked = body();
    asked["resource"] = "projects/demo-prod".into();
    asked["roles"] = json!([{"role": "roles/compute.instanceAdmin.v1"}]);
    let id = world.post("alice", "/v1/requests", &asked).await.id();
    let path = format!("/requests/{id}");
    let approved = |phase| {
        let mut approved = status(phase);
        approved.steps_required = Some(1);
        approved.approved_by = vec!["zoe@example.com".into()];
        approved
    };
    for phase in [Phase::Scheduled, Phase::Activating, Phase::Active] {
        world.set_status(&id, approved(phase));
        let page = world.page("bob", &path).await.text();
        assert!(page.contains(">Deny</a>") && page.contains("http-equiv=\"refresh\""), "{phase:?}");
        assert!(!page.contains("<form class=\"decide\""));
        let page = world.page("bob", &format!("{path}?end=1")).await.text();
        assert!(page.contains(">Deny</button>") && !page.contains(">Approve</button>"));
        assert!(!page.contains("http-equiv=\"refresh\""));
        for other in ["alice", "olga"] {
            let page = world.page(other, &format!("{path}?end=1")).await.text();
            assert!(!page.contains(">Deny"), "{other}");
        }
    }
    let page = world.page("bob", &format!("{path}?end=1")).await.text();
    let digest = page.split("name=\"digest\" value=\"").nth(1).unwrap().split_once('"').unwrap().0;
    let token = tokens(&page)[0].clone();
    let fields = [("token", token.as_str()), ("digest", digest), ("comment", "no")];
    let done = world.form("bob", &format!("/ui{path}/deny"), &fields).await;
    assert_eq!(done.status, StatusCode::SEE_OTHER, "{}", done.text());
    assert!(world.page("bob", &path).await.text().contains("denied: no"));
    world.set_status(&id, approved(Phase::Ended));
    assert!(!world.page("bob", &format!("{path}?end=1")).await.text().contains(">Deny"));
}
