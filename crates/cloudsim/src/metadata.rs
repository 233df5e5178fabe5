//! The metadata server of a virtual machine that runs as one service account, see
//! <https://cloud.google.com/compute/docs/metadata/predefined-metadata-keys>.

use std::collections::BTreeSet;

use axum::extract::{Path, Query, Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::json;

use crate::cloud::Cloud;
use crate::world::{NodeKind, ServiceAccount};

/// The header that tells a metadata server and its clients from everything else.
const FLAVOR: HeaderName = HeaderName::from_static("metadata-flavor");

/// The scope that machines have where IAM alone limits them.
const SCOPE: &str = "https://www.googleapis.com/auth/cloud-platform";

/// Life of an identity token.
const IDENTITY_SECONDS: i64 = 3_600;

#[derive(Clone)]
struct Machine {
    cloud: Cloud,
    account: ServiceAccount,
}

impl Machine {
    fn answers_for(&self, account: &str) -> bool {
        account == "default" || account == self.account.email
    }
}

/// The routes of the account's machine.
pub(crate) fn routes(cloud: Cloud, account: ServiceAccount) -> Router {
    Router::new()
        .route("/", get(|| async { "computeMetadata/\n" }))
        .route("/computeMetadata/v1/instance/service-accounts/", get(accounts))
        .route("/computeMetadata/v1/instance/service-accounts/{account}/", get(account_whole))
        .route("/computeMetadata/v1/instance/service-accounts/{account}/{item}", get(account_item))
        .route("/computeMetadata/v1/project/{item}", get(project_item))
        .route("/computeMetadata/v1/universe/universe-domain", get(|| async { "googleapis.com" }))
        .layer(middleware::from_fn(guard))
        .with_state(Machine { cloud, account })
}

/// Refuses requests that a browser or a proxy could have been talked into.
async fn guard(request: Request, next: Next) -> Response {
    let headers = request.headers();
    let is_plain_visit = request.uri().path() == "/";
    let mut response =
        if headers.contains_key("x-forwarded-for") || !(is_plain_visit || has_flavor(headers)) {
            (StatusCode::FORBIDDEN, "Missing Metadata-Flavor:Google header.\n").into_response()
        } else {
            next.run(request).await
        };
    response.headers_mut().insert(FLAVOR, HeaderValue::from_static("Google"));
    response
}

fn has_flavor(headers: &HeaderMap) -> bool {
    headers.get(FLAVOR).is_some_and(|flavor| flavor == "Google")
}

async fn accounts(State(machine): State<Machine>) -> String {
    format!("default/\n{}/\n", machine.account.email)
}

/// The account's directory: its entries, or all of their values with `recursive=true`.
async fn account_whole(
    State(machine): State<Machine>,
    Path(account): Path<String>,
    Query(query): Query<DirectoryQuery>,
) -> Response {
    if !machine.answers_for(&account) {
        return StatusCode::NOT_FOUND.into_response();
    }
    if query.recursive.is_some_and(|recursive| recursive.eq_ignore_ascii_case("true")) {
        let email = &machine.account.email;
        return Json(json!({"aliases": ["default"], "email": email, "scopes": [SCOPE]}))
            .into_response();
    }
    "aliases\nemail\nidentity\nscopes\ntoken\n".into_response()
}

#[derive(Deserialize)]
struct DirectoryQuery {
    #[serde(default)]
    recursive: Option<String>,
}

/// Parameters of `token` and `identity`.
#[derive(Deserialize)]
struct ItemQuery {
    #[serde(default)]
    audience: Option<String>,
    /// Comma-separated; as on Cloud Run, a token may be had for any scope
    /// (<https://cloud.google.com/run/docs/securing/service-identity#access_tokens>).
    #[serde(default)]
    scopes: Option<String>,
}

impl ItemQuery {
    fn scopes(&self) -> BTreeSet<String> {
        let asked = self.scopes.as_deref().unwrap_or(SCOPE);
        asked.split(',').map(|scope| scope.trim().to_owned()).collect()
    }
}

async fn account_item(
    State(machine): State<Machine>,
    Path((account, item)): Path<(String, String)>,
    Query(query): Query<ItemQuery>,
) -> Response {
    if !machine.answers_for(&account) {
        return StatusCode::NOT_FOUND.into_response();
    }
    match item.as_str() {
        "email" => machine.account.email.into_response(),
        "aliases" => "default\n".into_response(),
        "scopes" => format!("{SCOPE}\n").into_response(),
        "token" => token(machine, query.scopes()).await,
        "identity" => identity(&machine, query.audience.as_deref()),
        _ => StatusCode::NOT_FOUND.into_response(),
    }
}

async fn token(machine: Machine, scopes: BTreeSet<String>) -> Response {
    let now = machine.cloud.now();
    let issued = tokio::task::spawn_blocking(move || {
        machine.cloud.token_with_expiry(&machine.account.email, Some(&scopes))
    })
    .await;
    match issued {
        Ok(Ok((token, expires))) => {
            let seconds = (expires - now).num_seconds().max(0);
            Json(json!({"access_token": token, "expires_in": seconds, "token_type": "Bearer"}))
                .into_response()
        }
        Ok(Err(error)) => unavailable(&error),
        Err(error) => unavailable(&error),
    }
}

fn identity(machine: &Machine, audience: Option<&str>) -> Response {
    let Some(audience) = audience.filter(|audience| !audience.is_empty()) else {
        return (StatusCode::BAD_REQUEST, "non-empty audience parameter required\n")
            .into_response();
    };
    let issued = machine.cloud.now().timestamp();
    let claims = json!({
        "iss": "https://accounts.google.com",
        "aud": audience,
        "azp": machine.account.id,
        "sub": machine.account.id,
        "email": machine.account.email,
        "email_verified": true,
        "iat": issued,
        "exp": issued + IDENTITY_SECONDS,
    });
    match machine.cloud.identity_key().sign(&claims) {
        Ok(token) => token.into_response(),
        Err(error) => unavailable(&error),
    }
}

async fn project_item(State(machine): State<Machine>, Path(item): Path<String>) -> Response {
    let project = &machine.account.project;
    match item.as_str() {
        "project-id" => project.clone().into_response(),
        "numeric-project-id" => {
            let world = machine.cloud.world();
            let number = world.node(NodeKind::Project, project).map(|node| node.number.to_string());
            number
                .map_or_else(|| StatusCode::NOT_FOUND.into_response(), IntoResponse::into_response)
        }
        _ => StatusCode::NOT_FOUND.into_response(),
    }
}

fn unavailable(error: &dyn std::error::Error) -> Response {
    tracing::error!(error = %error, "the metadata server could not answer");
    StatusCode::SERVICE_UNAVAILABLE.into_response()
}
