//! Errors in the shape in which Google's REST APIs report them.

use axum::Json;
use axum::http::StatusCode;
use axum::http::header::RETRY_AFTER;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use crate::quota::Exceeded;

/// `{"error": {"code", "message", "status", "details"}}`, see <https://google.aip.dev/193>.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct ApiError {
    code: u16,
    status: &'static str,
    message: String,
    details: Vec<Value>,
    retry_after_seconds: Option<u32>,
}

impl ApiError {
    fn new(code: u16, status: &'static str, message: impl Into<String>) -> Self {
        Self {
            code,
            status,
            message: message.into(),
            details: Vec::new(),
            retry_after_seconds: None,
        }
    }

    pub(crate) fn invalid(message: impl Into<String>) -> Self {
        Self::new(400, "INVALID_ARGUMENT", message)
    }

    pub(crate) fn unauthenticated() -> Self {
        Self::new(
            401,
            "UNAUTHENTICATED",
            "Request had invalid authentication credentials. Expected OAuth 2 access token, login cookie \
             or other valid authentication credential. See \
             https://developers.google.com/identity/sign-in/web/devconsole-project.",
        )
    }

    /// Also for resources that do not exist: Google does not say which of the two it is.
    pub(crate) fn denied(permission: &str, service: &str, resource: &str) -> Self {
        let message = format!(
            "Permission '{permission}' denied on resource '{resource}' (or it may not exist)."
        );
        Self {
            details: vec![json!({
                "@type": "type.googleapis.com/google.rpc.ErrorInfo",
                "reason": "IAM_PERMISSION_DENIED",
                "domain": service,
                "metadata": {"permission": permission, "resource": resource},
            })],
            ..Self::new(403, "PERMISSION_DENIED", message)
        }
    }

    /// The answer to a call of an API that the caller's project has not enabled; the consumer is `projects/NUMBER`.
    pub(crate) fn service_disabled(service: &str, consumer: &str) -> Self {
        let project = consumer.trim_start_matches("projects/");
        let message = format!(
            "{service} has not been used in project {project} before or it is disabled. Enable it by visiting \
             https://console.developers.google.com/apis/api/{service}/overview?project={project} then retry."
        );
        Self {
            details: vec![json!({
                "@type": "type.googleapis.com/google.rpc.ErrorInfo",
                "reason": "SERVICE_DISABLED",
                "domain": "googleapis.com",
                "metadata": {"service": service, "consumer": consumer},
            })],
            ..Self::new(403, "PERMISSION_DENIED", message)
        }
    }

    /// The answer to a call with a token that is not for it.
    pub(crate) fn scope_insufficient() -> Self {
        Self {
            details: vec![json!({
                "@type": "type.googleapis.com/google.rpc.ErrorInfo",
                "reason": "ACCESS_TOKEN_SCOPE_INSUFFICIENT",
                "domain": "googleapis.com",
            })],
            ..Self::new(403, "PERMISSION_DENIED", "Request had insufficient authentication scopes.")
        }
    }

    pub(crate) fn not_authorized(message: impl Into<String>) -> Self {
        Self::new(403, "PERMISSION_DENIED", message)
    }

    pub(crate) fn not_found(message: impl Into<String>) -> Self {
        Self::new(404, "NOT_FOUND", message)
    }

    pub(crate) fn exists(message: impl Into<String>) -> Self {
        Self::new(409, "ALREADY_EXISTS", message)
    }

    /// Google's REST surface answers a failed precondition as 400.
    pub(crate) fn failed_precondition(message: impl Into<String>) -> Self {
        Self::new(400, "FAILED_PRECONDITION", message)
    }

    /// The answer to an etag that is not the policy's current one.
    pub(crate) fn concurrent_change(sent: &str, current: &str) -> Self {
        Self::new(
            409,
            "ABORTED",
            format!(
                "There were concurrent policy changes. Please retry the whole read-modify-write with exponential \
                 backoff. The request's ETag '{sent}' did not match the current policy's ETag '{current}'."
            ),
        )
    }

    /// The answer to a call above a quota, in the shape of Google's API front end; with
    /// `Retry-After` if asked to.
    pub(crate) fn quota(exceeded: &Exceeded, consumer: &str, with_retry_after: bool) -> Self {
        let Exceeded { metric, period, limit, retry_after_seconds } = exceeded;
        let service = metric.service();
        let (title, period_title) = (metric.title(), period.title());
        Self {
            details: vec![json!({
                "@type": "type.googleapis.com/google.rpc.ErrorInfo",
                "reason": "RATE_LIMIT_EXCEEDED",
                "domain": "googleapis.com",
                "metadata": {
                    "service": service,
                    "consumer": consumer,
                    "quota_metric": metric.name(),
                    "quota_limit": format!("{title} per {period_title}"),
                    "quota_limit_value": limit.to_string(),
                    "quota_location": "global",
                    "quota_unit": period.unit(),
                },
            })],
            retry_after_seconds: with_retry_after.then_some(*retry_after_seconds),
            ..Self::new(
                429,
                "RESOURCE_EXHAUSTED",
                format!(
                    "Quota exceeded for quota metric '{title}' and limit '{title} per {period_title}' of service \
                     '{service}' for consumer '{consumer}'."
                ),
            )
        }
    }

    /// The same error with a `PreconditionFailure` that names what is violated and where.
    pub(crate) fn with_violation(mut self, kind: &str, subject: &str) -> Self {
        self.details.push(json!({
            "@type": "type.googleapis.com/google.rpc.PreconditionFailure",
            "violations": [{"type": kind, "subject": subject, "description": self.message}],
        }));
        self
    }

    pub(crate) fn too_large(limit_bytes: usize) -> Self {
        Self::new(
            413,
            "INVALID_ARGUMENT",
            format!("The request body is larger than {limit_bytes} bytes."),
        )
    }

    pub(crate) fn internal() -> Self {
        Self::new(500, "INTERNAL", "Internal error encountered.")
    }

    /// An injected failure with the given HTTP status.
    pub(crate) fn injected(code: u16) -> Self {
        Self::new(code, status_of(code), format!("Injected fault: HTTP {code}."))
    }

    pub(crate) fn code(&self) -> u16 {
        self.code
    }

    pub(crate) fn body(&self) -> Value {
        let mut error = json!({"code": self.code, "message": self.message, "status": self.status});
        if !self.details.is_empty() {
            error["details"] = Value::Array(self.details.clone());
        }
        json!({"error": error})
    }
}

impl std::fmt::Display for ApiError {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(&self.message)
    }
}

impl std::error::Error for ApiError {}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let code = StatusCode::from_u16(self.code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = (code, Json(self.body())).into_response();
        if let Some(seconds) = self.retry_after_seconds {
            response.headers_mut().insert(RETRY_AFTER, seconds.into());
        }
        response
    }
}

/// The canonical status of an HTTP code, by the table of `google.rpc.Code`.
fn status_of(code: u16) -> &'static str {
    match code {
        401 => "UNAUTHENTICATED",
        403 => "PERMISSION_DENIED",
        404 => "NOT_FOUND",
        409 => "ABORTED",
        412 => "FAILED_PRECONDITION",
        429 => "RESOURCE_EXHAUSTED",
        499 => "CANCELLED",
        501 => "UNIMPLEMENTED",
        503 => "UNAVAILABLE",
        504 => "DEADLINE_EXCEEDED",
        400..=499 => "INVALID_ARGUMENT",
        _ => "INTERNAL",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_conflict_reads_as_googles() {
        let error = ApiError::concurrent_change("BwA=", "BwE=");
        assert_eq!(error.body()["error"]["code"], 409);
        assert_eq!(error.body()["error"]["status"], "ABORTED");
        assert!(error.to_string().starts_with("There were concurrent policy changes."));
    }

    #[test]
    fn a_denial_names_permission_and_resource_in_its_details() {
        let error = ApiError::denied("a.b.get", "x.googleapis.com", "projects/p").body();
        assert_eq!(error["error"]["details"][0]["metadata"]["permission"], "a.b.get");
        assert_eq!(error["error"]["details"][0]["reason"], "IAM_PERMISSION_DENIED");
    }

    #[test]
    fn an_injected_status_has_its_canonical_name() {
        assert_eq!(ApiError::injected(503).body()["error"]["status"], "UNAVAILABLE");
        assert_eq!(ApiError::injected(418).body()["error"]["status"], "INVALID_ARGUMENT");
    }
}
