//! The JSON API. Every handler parses, asks one of the modules above it, and writes the answer.

pub(crate) mod approvers;
pub(crate) mod lists;
pub(crate) mod requests;
pub(crate) mod validation;

use axum::http::Uri;

use crate::errors::{Reason, Refusal, clipped};

/// What is said about paths that lead nowhere.
pub(crate) async fn unknown_route(uri: Uri) -> Refusal {
    let message = format!(
        "There is nothing at {}: the API is under /v1/, the pages start at /.",
        clipped(uri.path())
    );
    Refusal::new(Reason::RouteUnknown, message)
}

/// What is said about methods that a path does not know.
pub(crate) async fn unknown_method() -> Refusal {
    Refusal::new(Reason::MethodNotAllowed, "This path has other methods: see the header `Allow`.")
}
