//! The metadata server, with Google's own client and by hand.

use chrono::TimeDelta;
use curfew_cloudsim::ServeError;
use google_cloud_auth::credentials::mds;
use reqwest::{Method, StatusCode};
use tokio_util::sync::CancellationToken;

use crate::harness::{CONTROLLER, INTAKE, Sim, listen};

const ACCOUNTS: &str = "computeMetadata/v1/instance/service-accounts";

#[tokio::test]
async fn googles_client_gets_a_token_of_the_listeners_account() {
    let sim = Sim::start().await;
    for account in [CONTROLLER, INTAKE] {
        let endpoint = metadata_of(&sim, account).await;
        let credentials = mds::Builder::default()
            .with_endpoint(endpoint)
            .build_access_token_credentials()
            .unwrap();
        let token = credentials.access_token().await.unwrap().token;
        assert_eq!(
            sim.call(Method::GET, "v3/projects/demo-web", None, Some(&token)).await.status,
            200
        );
    }
    assert_ne!(sim.token(CONTROLLER), sim.token(INTAKE));
}

#[tokio::test]
async fn a_token_is_good_for_the_scopes_that_it_was_asked_for_alone() {
    const AUTH: &str = "https://www.googleapis.com/auth";
    const MEMBERS: &str = "admin/directory/v1/groups/devs%40example.com/members";
    let sim = Sim::start().await;
    let endpoint = metadata_of(&sim, INTAKE).await;
    let statuses = async |scopes: &[&str]| {
        let scopes: Vec<String> = scopes.iter().map(|scope| format!("{AUTH}/{scope}")).collect();
        let builder = mds::Builder::default().with_endpoint(endpoint.clone()).with_scopes(scopes);
        let credentials = builder.build_access_token_credentials().unwrap();
        let token = credentials.access_token().await.unwrap().token;
        let ask = async |path| sim.call(Method::GET, path, None, Some(&token)).await;
        let members = ask(MEMBERS).await;
        if members.status == 403 {
            let reason = &members.body["error"]["details"][0]["reason"];
            assert_eq!(reason, "ACCESS_TOKEN_SCOPE_INSUFFICIENT");
        }
        (members.status, ask("v3/projects/demo-web").await.status)
    };
    assert_eq!(statuses(&["cloud-platform"]).await, (403, 200));
    assert_eq!(statuses(&["admin.directory.group.readonly"]).await, (200, 403));
    assert_eq!(statuses(&["cloud-platform", "admin.directory.group.readonly"]).await, (200, 200));
}

#[tokio::test]
async fn tokens_are_renewed_before_they_end() {
    let sim = Sim::start().await;
    let first = sim.token(CONTROLLER);
    sim.advance(TimeDelta::minutes(54));
    assert_eq!(sim.token(CONTROLLER), first);
    sim.advance(TimeDelta::minutes(2));
    let second = sim.token(CONTROLLER);
    assert_ne!(second, first);
    assert_eq!(
        sim.call(Method::GET, "v3/projects/demo-web", None, Some(&first)).await.status,
        200,
        "still good"
    );
}

#[tokio::test]
async fn the_documented_paths_answer() {
    let sim = Sim::start().await;
    let endpoint = metadata_of(&sim, CONTROLLER).await;
    let read = |path: &str| {
        let request =
            sim.client.get(format!("{endpoint}/{path}")).header("Metadata-Flavor", "Google");
        async move {
            let response = request.send().await.unwrap();
            assert_eq!(response.headers()["metadata-flavor"], "Google");
            response.text().await.unwrap()
        }
    };
    assert_eq!(read(&format!("{ACCOUNTS}/default/email")).await, CONTROLLER);
    assert_eq!(read(&format!("{ACCOUNTS}/{CONTROLLER}/email")).await, CONTROLLER);
    assert_eq!(read(&format!("{ACCOUNTS}/default/aliases")).await, "default\n");
    assert!(read(&format!("{ACCOUNTS}/default/scopes")).await.contains("auth/cloud-platform"));
    let whole = read(&format!("{ACCOUNTS}/default/?recursive=true")).await;
    assert!(whole.contains(CONTROLLER) && whole.contains("aliases"), "{whole}");
    assert_eq!(read("computeMetadata/v1/project/project-id").await, "demo-curfew");
    assert_eq!(read("computeMetadata/v1/project/numeric-project-id").await, "100000000104");
    assert_eq!(read("computeMetadata/v1/universe/universe-domain").await, "googleapis.com");
    let token: serde_json::Value =
        serde_json::from_str(&read(&format!("{ACCOUNTS}/default/token?scopes=a,b")).await).unwrap();
    assert_eq!((&token["expires_in"], &token["token_type"]), (&3600.into(), &"Bearer".into()));
    assert_eq!(
        read(&format!("{ACCOUNTS}/default/identity?audience=https://x")).await.split('.').count(),
        3
    );
}

#[tokio::test]
async fn requests_without_the_flavour_or_through_a_proxy_are_refused() {
    let sim = Sim::start().await;
    let endpoint = metadata_of(&sim, CONTROLLER).await;
    let token = format!("{endpoint}/{ACCOUNTS}/default/token");
    assert_eq!(sim.client.get(&token).send().await.unwrap().status(), StatusCode::FORBIDDEN);
    let proxied = sim
        .client
        .get(&token)
        .header("Metadata-Flavor", "Google")
        .header("X-Forwarded-For", "10.0.0.1");
    assert_eq!(proxied.send().await.unwrap().status(), StatusCode::FORBIDDEN);
    assert_eq!(sim.client.get(&endpoint).send().await.unwrap().status(), StatusCode::OK);
    let other = format!("{endpoint}/{ACCOUNTS}/{INTAKE}/token");
    let other = sim.client.get(other).header("Metadata-Flavor", "Google").send().await.unwrap();
    assert_eq!(other.status(), StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn an_unknown_account_has_no_metadata_server_and_no_token() {
    let sim = Sim::start().await;
    let (listener, _) = listen().await;
    let served =
        sim.cloud.clone().serve_metadata("a@b".into(), listener, CancellationToken::new()).await;
    assert!(matches!(served, Err(ServeError::UnknownServiceAccount(account)) if account == "a@b"));
    assert!(sim.cloud.token_for("a@b").is_err());
}

async fn metadata_of(sim: &Sim, account: &str) -> String {
    let (listener, base) = listen().await;
    tokio::spawn(sim.cloud.clone().serve_metadata(
        account.to_owned(),
        listener,
        CancellationToken::new(),
    ));
    base
}
