use curfew_ports::{Catalog as _, RetryClass};

use super::fake::{Fake, Reply, Seen, error, ok, quick, resource};
use crate::{Config, Google, GoogleCatalog};

const QUERY: &str = "parent:folders/20 labels.env:prod";

#[tokio::test]
async fn a_query_limits_the_projects_that_are_listed_and_nothing_else() {
    let found = r#"{"projects":[{"projectId":"demo-web"},{"projectId":"elsewhere"}]}"#;
    let fake = Fake::answering(move |seen| answer(seen, ok(found))).await;
    let all = ["folders/20", "projects/demo-web", "projects/demo-data"];
    assert_eq!(listed(&fake, None).await, all);
    assert_eq!(fake.seen().len(), 1, "nobody searches without a query");
    assert_eq!(listed(&fake, Some(QUERY)).await, all[..2]);
    let searches: Vec<Seen> = fake.seen().into_iter().filter(is_search).collect();
    assert_eq!(searches.len(), 1);
    assert_eq!(searches[0].all("query"), [QUERY]);
}

#[tokio::test]
async fn a_search_that_fails_is_no_empty_list() {
    let fake = Fake::answering(|seen| answer(seen, error(403, "PERMISSION_DENIED", "m"))).await;
    let failed = limited(&fake, Some(QUERY)).nodes().await.unwrap_err();
    assert_eq!(failed.class, RetryClass::Denied);
}

async fn listed(fake: &Fake, query: Option<&str>) -> Vec<String> {
    let nodes = limited(fake, query).nodes().await.unwrap();
    nodes.into_iter().map(|node| node.resource.to_string()).collect()
}

fn limited(fake: &Fake, query: Option<&str>) -> GoogleCatalog {
    let config = Config { projects_query: query.map(str::to_owned), ..fake.config() };
    Google::with_patience(config, quick()).unwrap().catalog(resource("organizations/1"))
}

fn is_search(seen: &Seen) -> bool {
    seen.path == "/v3/projects:search"
}

fn answer(seen: &Seen, searched: Reply) -> Reply {
    let name = |node: &str| format!("//cloudresourcemanager.googleapis.com/{node}");
    let nodes = ["folders/20", "projects/demo-web", "projects/demo-data"]
        .map(|node| serde_json::json!({"name": name(node), "state": "ACTIVE"}));
    if is_search(seen) { searched } else { ok(serde_json::json!({"results": nodes}).to_string()) }
}
