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
    let client = Client::builder().no_proxy().redirect(Policy::none()).build().unwrap();
    let page = client.get(demo.front("127.0.0.1", "/?query=demo-web"));
    let page = page.header("X-Demo-User", "alice@example.com").header("Accept", "text/html");
    let page = page.send().await.unwrap().text().await.unwrap();
    let (_, token) = page.split_once("name=\"token\" value=\"").unwrap();
    let (token, _) = token.split_once('"').unwrap();
    demo.restart().await;
    for (token, status) in [(token, StatusCode::SEE_OTHER), ("1.x.y", StatusCode::FORBIDDEN)] {
        let form = client.post(demo.front("127.0.0.1", "/ui/requests"));
        let form = form.header("X-Demo-User", "alice@example.com");
        let form = form.header("Sec-Fetch-Site", "same-origin").form(&[
            ("token", token),
            ("resource", "projects/demo-web"),
            ("role", "roles/compute.viewer"),
            ("resourceCondition", ""),
            ("duration", "60s"),
            ("justification", "BUG-1"),
        ]);
        assert_eq!(form.send().await.unwrap().status(), status);
    }
}
