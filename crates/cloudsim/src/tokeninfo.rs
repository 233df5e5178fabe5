//! What an access token is good for: `https://oauth2.googleapis.com/tokeninfo`, see
//! <https://cloud.google.com/docs/authentication/token-types#access>.

use axum::extract::{Form, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::json;

use crate::api::session::authenticate;
use crate::cloud::Cloud;

/// The scope that is told of tokens which were issued for none in particular.
const SCOPE: &str = "https://www.googleapis.com/auth/cloud-platform";

/// Life that is told of tokens without an end of their own.
const SECONDS: i64 = 3_600;

#[derive(Deserialize)]
struct TokenForm {
    #[serde(default)]
    access_token: String,
}

/// The route.
pub(crate) fn routes() -> Router<Cloud> {
    Router::new().route("/tokeninfo", post(tokeninfo))
}

/// The address is told only to those whose token has a scope for addresses; these have none.
async fn tokeninfo(State(cloud): State<Cloud>, Form(form): Form<TokenForm>) -> Response {
    let (world, now) = (cloud.world(), cloud.now());
    let Ok(account) = authenticate(&world, Some(&form.access_token), now) else {
        let error = json!({"error": "invalid_token", "error_description": "Invalid Value"});
        return (StatusCode::BAD_REQUEST, Json(error)).into_response();
    };
    let token = world.tokens.get(&form.access_token);
    let scopes =
        token.and_then(|token| token.scopes.clone()).unwrap_or_else(|| [SCOPE.to_owned()].into());
    let expires = token.and_then(|token| token.expires);
    let seconds = expires.map_or(SECONDS, |expires| (expires - now).num_seconds());
    let id = world.service_accounts.get(account).map(|account| account.id.clone());
    let id = id.or_else(|| world.people.get(account).map(|person| person.id.clone()));
    let (id, exp) = (id.unwrap_or_default(), now.timestamp().saturating_add(seconds));
    Json(json!({
        "azp": id,
        "aud": id,
        "scope": scopes.into_iter().collect::<Vec<_>>().join(" "),
        "exp": exp.to_string(),
        "expires_in": seconds.to_string(),
        "access_type": "online",
    }))
    .into_response()
}
