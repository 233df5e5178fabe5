//! What surrounds every route: measuring, headers, load, panics, and the origin of changes.

use std::any::Any;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use tracing::Instrument as _;

use crate::asked::Asked;
use crate::auth::Caller;
use crate::errors::{Reason, Refusal};
use crate::{Shared, ui};

/// What a reply may do in a browser: show itself with our style and icon, and post forms to us.
const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; \
                                       base-uri 'none'; frame-ancestors 'none'";

/// The headers of every reply. `same-origin` keeps paths from other sites and still lets forms carry `Origin`.
const HEADERS: [(HeaderName, &str); 7] = [
    (header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY),
    (header::STRICT_TRANSPORT_SECURITY, "max-age=31536000; includeSubDomains"),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::REFERRER_POLICY, "same-origin"),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    (HeaderName::from_static("permissions-policy"), "camera=(), geolocation=(), microphone=()"),
];

/// A reply that takes longer is given up: every look-up has its own, shorter limit.
const REPLY_TIMEOUT: Duration = Duration::from_secs(30);

/// Counts how long the reply took, by matched route, and writes a line about it. What is logged meanwhile belongs to the
/// request's trace and to who sent it.
pub(crate) async fn measure(State(app): State<Shared>, request: Request, next: Next) -> Response {
    let began = app.intake.clock.elapsed();
    let asked = Asked::of(&request);
    let span = Asked::span(request.headers());
    let response = next.run(request).instrument(span.clone()).await;
    let took = app.intake.clock.elapsed().saturating_sub(began);
    app.intake.metrics.observe(asked.route(), &asked.method, response.status(), took);
    span.in_scope(|| asked.log(&response, took));
    response
}

/// Puts the security headers on, and keeps replies out of caches unless they say otherwise.
pub(crate) async fn add_headers(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    for (name, value) in HEADERS {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    response
}

/// Makes a page of a refusal where a person is looking.
pub(crate) async fn show_refusals(request: Request, next: Next) -> Response {
    let wants_page = wants_page(&request);
    let response = next.run(request).await;
    match response.extensions().get::<Refusal>() {
        Some(refusal) if wants_page => ui::refusal_page(refusal.clone(), response.headers()),
        Some(_) | None => response,
    }
}

fn wants_page(request: &Request) -> bool {
    let accepts = request.headers().get(header::ACCEPT).and_then(|accept| accept.to_str().ok());
    !request.uri().path().starts_with("/v1/")
        && accepts.is_some_and(|accept| accept.contains("text/html"))
}

/// What a caller learns of a panic: nothing. The panic hook has the rest.
pub(crate) fn panicked(_: Box<dyn Any + Send>) -> Response {
    Refusal::new(
        Reason::Internal,
        "Something went wrong here, and it is logged: try again, or tell an operator.",
    )
    .into_response()
}

/// Sheds what cannot be served, and gives up what takes too long.
pub(crate) async fn shed(State(app): State<Shared>, request: Request, next: Next) -> Response {
    let Ok(_slot) = Arc::clone(&app.limits.slots).try_acquire_owned() else {
        let refusal =
            Refusal::new(Reason::Overloaded, "Too many requests at once: try again in a second.");
        return refusal.after(Duration::from_secs(1)).into_response();
    };
    if let Ok(response) = tokio::time::timeout(REPLY_TIMEOUT, next.run(request)).await {
        response
    } else {
        let message = "The answer takes too long at the moment: try again in a few seconds.";
        Refusal::new(Reason::LookUpFailed, message).after(Duration::from_secs(5)).into_response()
    }
}

/// Refuses changes that another site sent, or that come too fast.
pub(crate) async fn check_changes(
    State(app): State<Shared>,
    request: Request,
    next: Next,
) -> Response {
    if matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS) {
        return next.run(request).await;
    }
    let is_form = request.uri().path().starts_with("/ui/");
    let same_site = check_origin(request.headers(), app.settings().base_url.as_str(), is_form);
    let caller = request.extensions().get::<Caller>();
    let in_time = caller.map_or(Ok(()), |caller| app.limits.attempt(&caller.person.subject));
    match same_site.and(in_time) {
        Ok(()) => next.run(request).await,
        Err(refusal) => refusal.into_response(),
    }
}

/// `Sec-Fetch-Site` and `Origin` must speak of this site where they are sent; a form must come with one of them.
///
/// This site is `base_url`, or the host that the request itself names: a page of another site cannot choose that.
fn check_origin(headers: &HeaderMap, base_url: &str, is_form: bool) -> Result<(), Refusal> {
    let site = headers.get("sec-fetch-site");
    let origin = headers.get(header::ORIGIN);
    let host = headers.get(header::HOST);
    let is_ours = |origin: &HeaderValue| {
        let authority = origin
            .to_str()
            .ok()
            .and_then(|origin| origin.split_once("://"))
            .map(|(_, authority)| authority);
        let names_host =
            authority.is_some_and(|authority| host.is_some_and(|host| host == authority));
        origin == base_url || names_host
    };
    let same_site = site.is_none_or(|site| site == "same-origin");
    let same_origin = origin.is_none_or(is_ours);
    let vouched = !is_form || site.is_some() || origin.is_some();
    if same_site && same_origin && vouched {
        return Ok(());
    }
    Err(Refusal::new(
        Reason::CrossSite,
        "Another site sent this request: open this service in a window of its own and try again.",
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_come_from_this_site_only() {
        let check = |pairs: &[(&'static str, &'static str)], is_form| {
            let pairs = pairs.iter().map(|(name, value)| {
                (HeaderName::from_static(name), HeaderValue::from_static(value))
            });
            check_origin(&pairs.collect(), "https://access.example.com", is_form).is_ok()
        };
        assert!(check(&[], false), "a program sends neither");
        assert!(!check(&[], true), "a browser sends one");
        assert!(check(&[("sec-fetch-site", "same-origin")], true));
        assert!(check(&[("origin", "https://access.example.com")], true));
        assert!(check(
            &[("origin", "http://bob.localhost:8420"), ("host", "bob.localhost:8420")],
            true
        ));
        for origin in [
            "https://evil.example",
            "null",
            "https://access.example.com.evil.example",
            "https://access.example.com:444",
            "http://access.example.com",
            "",
        ] {
            assert!(
                !check(&[("origin", origin), ("host", "access.example.com:1")], false),
                "{origin:?}"
            );
        }
        for site in ["cross-site", "same-site", "none", ""] {
            assert!(!check(&[("sec-fetch-site", site)], false), "{site:?}");
        }
        assert!(!check(
            &[("sec-fetch-site", "same-origin"), ("origin", "https://evil.example")],
            false
        ));
    }
}
