//! The operations port: metrics and health, for operators and platforms, never for people.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use curfew_controller::Controller;
use prometheus::{Encoder as _, Registry, TextEncoder};

/// What the operations port shows.
#[derive(Clone)]
pub(crate) struct Ops {
    pub(crate) registry: Registry,
    /// The controller of this process, if it has one.
    pub(crate) controller: Option<Arc<Controller>>,
}

pub(crate) fn router(ops: Ops) -> Router {
    Router::new()
        .route("/metrics", get(metrics))
        .route("/livez", get(async || "ok\n"))
        .route("/readyz", get(ready))
        .with_state(ops)
}

async fn metrics(State(ops): State<Ops>) -> Response {
    let encoder = TextEncoder::new();
    let mut text = Vec::new();
    match encoder.encode(&ops.registry.gather(), &mut text) {
        Ok(()) => {
            ([(header::CONTENT_TYPE, encoder.format_type().to_owned())], text).into_response()
        }
        Err(error) => {
            tracing::error!(%error, "the metrics could not be written");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

async fn ready(State(ops): State<Ops>) -> Response {
    let Some(health) = ops.controller.map(|controller| controller.health()) else {
        return "ok\n".into_response();
    };
    if health.is_ready() {
        return "ok\n".into_response();
    }
    let why = match (health.has_synced, health.clock_agrees) {
        (false, _) => "the live requests were not read yet\n",
        (_, false) => {
            "this clock was not compared with the store's yet, or differs from it by more than 2 s\n"
        }
        (true, true) => "ok\n",
    };
    (StatusCode::SERVICE_UNAVAILABLE, why).into_response()
}
