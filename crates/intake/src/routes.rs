//! Which path leads where, and what surrounds all of them.

use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware::{from_fn, from_fn_with_state};
use axum::routing::{get, post};
use tower_http::catch_panic::CatchPanicLayer;

use crate::api::{approvers, lists, requests, unknown_method, unknown_route, validation};
use crate::body::BODY_BYTES_MAX;
use crate::{App, Intake, Shared, auth, guard, ui};

/// The application port: the API, the pages, and `GET /health`.
///
/// What lists show is read in a task of its own, from now on until the router is gone. Called within a runtime.
pub fn router(intake: Intake) -> Router {
    let app: Shared = Arc::new(App::new(intake));
    app.lists.keep_fresh();
    routes(app)
}

/// All routes over what is there.
pub(crate) fn routes(app: Shared) -> Router {
    // The last layer is the outermost: whatever happens inside is measured and carries the headers.
    Router::new()
        .merge(signed_in(&app))
        .route("/health", get(health).fallback(unknown_method))
        .layer(CatchPanicLayer::custom(guard::panicked))
        .layer(from_fn(guard::show_refusals))
        .layer(from_fn(guard::add_headers))
        .layer(from_fn_with_state(app.clone(), guard::measure))
        .with_state(app)
}

/// Everything that only signed-in people reach, paths that lead nowhere included.
fn signed_in(app: &Shared) -> Router<Shared> {
    Router::new()
        .merge(api())
        .merge(pages())
        .fallback(unknown_route)
        .method_not_allowed_fallback(unknown_method)
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .layer(from_fn_with_state(app.clone(), guard::check_changes))
        .layer(from_fn_with_state(app.clone(), auth::authenticate))
        .layer(from_fn_with_state(app.clone(), guard::shed))
}

fn api() -> Router<Shared> {
    Router::new()
        .route("/v1/me", get(lists::me))
        .route("/v1/entitlements", get(lists::entitlements))
        .route("/v1/entitlements/{name}", get(approvers::approvers))
        .route("/v1/resources", get(lists::resources))
        .route("/v1/requests", get(requests::list).post(requests::create))
        .route("/v1/requests:validate", post(validation::validate))
        .route("/v1/requests/{id}", get(requests::get).post(requests::act))
        .route("/v1/requests/{id}/events", get(requests::events))
}

fn pages() -> Router<Shared> {
    Router::new()
        .route("/", get(ui::home::home))
        .route("/ask", get(ui::ask::ask))
        .route("/requests", get(ui::pages::mine))
        .route("/requests/{id}", get(ui::pages::request))
        .route("/approvals", get(ui::pages::approvals))
        .route("/ui/requests", post(ui::ask::file))
        .route("/ui/requests/check", post(ui::ask::check))
        .route("/ui/requests/{id}/approve", post(ui::forms::approve))
        .route("/ui/requests/{id}/deny", post(ui::forms::deny))
        .route("/ui/requests/{id}/withdraw", post(ui::forms::withdraw))
        .route("/ui/requests/{id}/revoke", post(ui::forms::revoke))
        .route("/assets/{name}", get(ui::assets::asset_route))
}

/// Says that the process serves, and nothing else.
async fn health() -> &'static str {
    "ok\n"
}
