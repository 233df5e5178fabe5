//! Forms of the pages, from the process that made them to the one that receives them.

use reqwest::redirect::Policy;
use reqwest::{Client, StatusCode};

use super::demo::{Demo, Shape};
use super::in_both_shapes;

in_both_shapes! {
    a_form_outlives_the_process_that_made_it,
}

async fn a_form_outlives_the_process_that_made_it(shape: Shape) {
    let mut demo = Demo::start_as(shape).await;
    let token = token(&demo).await;
    demo.restart().await;
    assert_eq!(submit(&demo, &token).await, StatusCode::SEE_OTHER);
    assert_eq!(submit(&demo, "1.x.y").await, StatusCode::FORBIDDEN);
}

/// What seals the form in which alice asks for a role.
pub(super) async fn token(demo: &Demo) -> String {
    let page = client().get(demo.front("127.0.0.1", "/?query=demo-web"));
    let page = page.header("X-Demo-User", "alice@example.com").header("Accept", "text/html");
    let page = page.send().await.unwrap().text().await.unwrap();
    let (_, token) = page.split_once("name=\"token\" value=\"").unwrap();
    token.split_once('"').unwrap().0.to_owned()
}

/// What becomes of the form, filled in.
pub(super) async fn submit(demo: &Demo, token: &str) -> StatusCode {
    let form = client().post(demo.front("127.0.0.1", "/ui/requests"));
    let form = form.header("X-Demo-User", "alice@example.com");
    let form = form.header("Sec-Fetch-Site", "same-origin").form(&[
        ("token", token),
        ("resource", "projects/demo-web"),
        ("role", "roles/compute.viewer"),
        ("resourceCondition", ""),
        ("duration", "60s"),
        ("justification", "BUG-1"),
    ]);
    form.send().await.unwrap().status()
}

fn client() -> Client {
    Client::builder().no_proxy().redirect(Policy::none()).build().unwrap()
}
