//! Whether the pages can be read: axe-core's rules (WCAG 2.2 A and AA), and nothing runs out of a phone's screen.

use super::chromium::{Browser, Screen, told};
use crate::e2e::demo::{Demo, SOON, viewer};

/// axe-core's own code, where the test's runner found it.
fn axe() -> Option<String> {
    Some(std::fs::read_to_string(told("CURFEW_TEST_AXE")?).unwrap())
}

const RUN_AXE: &str = "
    const done = arguments[arguments.length - 1];
    const rules = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'];
    // The pages have no script, so what is about to happen is shown by loading the page again.
    const except = { 'meta-refresh': { enabled: false } };
    axe.run(document, { runOnly: rules, rules: except }).then(
        found => done({
            passes: found.passes.length,
            violations: found.violations.flatMap(rule => rule.nodes.map(
                node => `${rule.id} at ${node.target}: ${node.failureSummary}`)),
        }),
        error => done({ passes: 0, violations: [String(error)] }));
";

#[tokio::test]
async fn every_page_can_be_read_by_everybody_in_light_and_dark_on_desk_and_phone() {
    let Some(axe) = axe() else { return };
    let demo = Demo::start().await;
    let active = demo.file("alice", &viewer()).await;
    demo.until("alice", &active, "ACTIVE", SOON).await;
    let ended = demo.file("alice", &viewer()).await;
    demo.end("alice", &ended, "withdraw").await;
    demo.until("alice", &ended, "ENDED", SOON).await;
    let mut body = viewer();
    body["resource"] = "projects/demo-prod".into();
    body["roles"] = serde_json::json!([{"role": "roles/compute.instanceAdmin.v1"}]);
    let waiting = demo.file("alice", &body).await;
    demo.until("alice", &waiting, "AWAITING_APPROVAL", SOON).await;
    let admin = demo.get("alice", "/v1/entitlements?query=instanceAdmin").await;
    let admin = admin["entitlements"][0]["name"].as_str().unwrap().to_owned();
    let choosing = format!("/ask?entitlement={admin}&resource=projects/demo-prod");
    let paths = [
        "/".to_owned(),
        choosing.clone(),
        format!("{choosing}&query=nobody"),
        "/?query=nothing-like-it".to_owned(),
        "/requests".to_owned(),
        format!("/requests/{active}?end=1"),
        format!("/requests/{ended}"),
        "/requests/nothing".to_owned(),
        "/_demo/".to_owned(),
    ];
    let mut urls: Vec<String> =
        paths.iter().map(|path| demo.front("alice.localhost", path)).collect();
    urls.push(demo.front("bob.localhost", "/approvals"));
    urls.push(demo.front("bob.localhost", &format!("/requests/{waiting}")));
    urls.push(demo.front("localhost", "/_demo/"));
    urls.push(format!("{}/", demo.cloud_url()));
    for screen in Screen::ALL {
        let Some(browser) = Browser::open(screen).await else { return };
        for url in &urls {
            browser.goto(url).await;
            judge(&browser, &axe, &format!("{url} on {screen:?}")).await;
        }
        // Checked and not filed: too long, and by somebody who may not approve.
        browser.goto(&demo.front("alice.localhost", &choosing)).await;
        browser.ask("document.querySelector('textarea').value = 'BUG-1'").await;
        browser.ask("document.querySelector('[name=approvers]').value = 'dave@example.com'").await;
        browser.click("button[formaction]").await;
        browser.reads("would be refused").await;
        judge(&browser, &axe, &format!("a checked form on {screen:?}")).await;
    }
}

async fn judge(browser: &Browser, axe: &str, what: &str) {
    // Opened, so that what is inside is judged too.
    browser.ask("document.querySelectorAll('details').forEach(one => one.open = true)").await;
    browser.ask(axe).await;
    let found = browser.page.execute_async(RUN_AXE, Vec::new()).await.unwrap();
    assert!(found["passes"].as_u64().unwrap_or_default() > 10, "{what}: axe judged nothing");
    assert_eq!(found["violations"], serde_json::json!([]), "{what}");
    let sideways = browser
        .ask("return document.documentElement.scrollWidth - document.documentElement.clientWidth")
        .await;
    assert!(sideways.as_i64().is_some_and(|pixels| pixels <= 0), "{what}: {sideways} px too wide");
}
