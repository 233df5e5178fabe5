//! The line that intake's log has about a request and its reply.

use std::time::Duration;

use axum::extract::{MatchedPath, Request};
use axum::http::{HeaderMap, Method};
use axum::response::Response;
use curfew_core::id::RequestId;
use tracing::Span;
use tracing::field::Empty;

use crate::errors::Refusal;
use crate::trace::Trace;

/// The route of what leads nowhere.
const UNMATCHED: &str = "unmatched";

/// The route that platforms ask whether the process serves, every few seconds.
const HEALTH: &str = "/health";

/// What was asked.
pub(crate) struct Asked {
    pub(crate) method: Method,
    path: String,
    matched: Option<MatchedPath>,
}

impl Asked {
    pub(crate) fn of(request: &Request) -> Self {
        Self {
            method: request.method().clone(),
            // Without the query: people put into it what they look for.
            path: request.uri().path().to_owned(),
            matched: request.extensions().get::<MatchedPath>().cloned(),
        }
    }

    /// The pattern that matched: one of few, whatever was asked for.
    pub(crate) fn route(&self) -> &str {
        self.matched.as_ref().map_or(UNMATCHED, MatchedPath::as_str)
    }

    /// What every line that is written about it carries.
    pub(crate) fn span(headers: &HeaderMap) -> Span {
        let trace = Trace::of(headers);
        let trace = trace.as_ref();
        tracing::info_span!(
            "request",
            trace = trace.map(|trace| trace.id.as_str()),
            span_id = trace.map(|trace| trace.span.as_str()),
            trace_sampled = trace.map(|trace| trace.is_sampled),
            user = Empty,
        )
    }

    /// One line about the reply: with the reason, if it is a refusal.
    pub(crate) fn log(&self, response: &Response, took: Duration) {
        if self.route() == HEALTH && response.status().is_success() {
            return;
        }
        let reason = response.extensions().get::<Refusal>().map(|refusal| refusal.reason.as_str());
        let id = self.request_id();
        tracing::info!(
            operation.id = id.as_ref().map(RequestId::as_str),
            event = event(self.route(), &self.method),
            http.method = self.method.as_str(),
            http.url = self.path,
            http.status = response.status().as_u16(),
            http.latency = took.as_secs_f64(),
            reason,
            "answered"
        );
    }

    /// The id that the path names.
    fn request_id(&self) -> Option<RequestId> {
        self.path.split(['/', ':']).find_map(|part| RequestId::parse(part).ok())
    }
}

/// The name that JIT Access gives what a route does, for those who already filter on it.
fn event(route: &str, method: &Method) -> Option<&'static str> {
    let is_read = *method == Method::GET || *method == Method::HEAD;
    match route {
        "/v1/resources" => Some("api.listProjects"),
        "/v1/entitlements" => Some("api.listEligibleRoles"),
        "/v1/entitlements/{name}" => Some("api.listPeers"),
        "/v1/requests/{id}" | "/requests/{id}" if is_read => Some("api.getActivationRequest"),
        "/v1/requests" | "/ui/requests" if !is_read => Some("api.requestRole"),
        "/v1/requests/{id}" | "/ui/requests/{id}/approve" => Some("api.activateRole"),
        HEALTH => Some("api.checkHealth"),
        _ => None,
    }
}
