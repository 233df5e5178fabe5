//! A person asks for access and gives it back.

use super::chromium::{Browser, Screen};
use crate::e2e::demo::Demo;

/// The code points that stand for keys (<https://www.w3.org/TR/webdriver2/#keyboard-actions>).
const TAB: &str = "\u{e004}";
const ENTER: &str = "\u{e007}";
const SPACE: &str = "\u{e00d}";

const OFFER: &str = "details.offer";

#[tokio::test]
async fn alice_signs_in_asks_sees_her_access_and_gives_it_back() {
    let Some(browser) = Browser::open(Screen::Desk).await else { return };
    let demo = Demo::start().await;
    browser.goto(&demo.front("localhost", "/")).await;
    browser.reads("alice@example.com").await;
    browser.click("form:has(input[value='alice@example.com']) button").await;
    browser.reads("roles/compute.viewer").await;

    browser.click(&format!("{OFFER} summary")).await;
    browser.click(&format!("{OFFER}[open] textarea")).await;
    browser.press("BUG-1 <b>&amp;</b>").await;
    browser.click(&format!("{OFFER}[open] button[type=submit]")).await;
    // The page looks again by itself until the access is there.
    let page = browser.reads("left").await;
    assert!(page.contains("BUG-1 <b>&amp;</b>"), "what she wrote is shown as she wrote it: {page}");

    browser.click("a.danger-outline").await;
    browser.click("form.end input[name=reason]").await;
    browser.press("done").await;
    browser.click("form.end button").await;
    let page = browser.reads("Nothing is left of this access").await;
    assert!(page.contains("WITHDRAWN") && page.contains("done"), "{page}");
}

#[tokio::test]
async fn everything_can_be_done_with_the_keyboard_alone() {
    let Some(browser) = Browser::open(Screen::Desk).await else { return };
    let demo = Demo::start().await;
    browser.goto(&demo.front("alice.localhost", "/")).await;
    browser.press(TAB).await;
    assert_eq!(focused(&browser).await, "Skip to the content");
    tab_to(&browser, "document.activeElement.matches('details.offer summary')").await;
    browser.press(ENTER).await;
    tab_to(&browser, "document.activeElement.matches('details[open] textarea')").await;
    browser.press("BUG-2").await;
    tab_to(&browser, "document.activeElement.matches('details[open] button[type=submit]')").await;
    browser.press(SPACE).await;
    browser.reads("left").await;
    tab_to(&browser, "document.activeElement.matches('a.danger-outline')").await;
    browser.press(ENTER).await;
    browser.reads("Keep it").await;
    tab_to(&browser, "document.activeElement.matches('form.end input[name=reason]')").await;
    browser.press("done").await;
    browser.press(ENTER).await;
    browser.reads("Nothing is left of this access").await;
}

#[tokio::test]
async fn a_refused_form_says_why_and_keeps_what_was_written() {
    let Some(browser) = Browser::open(Screen::Desk).await else { return };
    let demo = Demo::start().await;
    browser.goto(&demo.front("alice.localhost", "/")).await;
    browser.click(&format!("{OFFER} summary")).await;
    // As a browser without the maximum length, or a patched page, would send it.
    browser
        .ask("document.querySelector('details[open] textarea').removeAttribute('maxlength'); document.querySelector('details[open] textarea').value = 'x'.repeat(5000)")
        .await;
    browser.click(&format!("{OFFER}[open] button[type=submit]")).await;
    browser.reads("This was not filed.").await;
    let kept = browser.ask("return document.querySelector('textarea').value.length").await;
    assert_eq!(kept, 5_000);
}

/// Presses Tab until the script says that the focus is where it should be.
async fn tab_to(browser: &Browser, is_there: &str) {
    for _ in 0..60 {
        if browser.ask(&format!("return {is_there}")).await == true {
            return;
        }
        browser.press(TAB).await;
    }
    panic!("Tab never comes to {is_there}");
}

async fn focused(browser: &Browser) -> String {
    let text = browser.ask("return document.activeElement.textContent.trim()").await;
    text.as_str().unwrap_or_default().to_owned()
}
