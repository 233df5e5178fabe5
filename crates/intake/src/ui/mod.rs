//! Pages: rendered here, escaped by their templates, without scripts.

pub(crate) mod ask;
pub(crate) mod assets;
pub(crate) mod forms;
pub(crate) mod home;
pub(crate) mod pages;
mod show;

use askama::Template;
use axum::http::{HeaderMap, header};
use axum::response::{Html, IntoResponse as _, Response};

use crate::auth::Caller;
use crate::errors::{Code, Reason, Refusal};

/// What stands around every page.
struct Frame {
    title: String,
    email: Option<String>,
    /// Which of the navigation's pages this is.
    here: &'static str,
    /// Reload after so many seconds.
    refresh_s: Option<u32>,
    style: &'static str,
    icon: &'static str,
}

impl Frame {
    fn new(title: impl Into<String>, here: &'static str, caller: Option<&Caller>) -> Self {
        Self {
            title: title.into(),
            email: caller.map(|caller| caller.person.email.to_string()),
            here,
            refresh_s: None,
            style: assets::style_path(),
            icon: assets::icon_path(),
        }
    }
}

#[derive(Template)]
#[template(path = "refusal.html")]
struct RefusalPage {
    frame: Frame,
    status: u16,
    title: &'static str,
    message: String,
    reason: &'static str,
}

/// A page of a refusal that was made elsewhere, with its status and headers.
pub(crate) fn refusal_page(refusal: Refusal, headers: &HeaderMap) -> Response {
    let page = RefusalPage {
        frame: Frame::new("Not done", "", None),
        status: refusal.reason.http().as_u16(),
        title: title(refusal.reason.code()),
        message: refusal.message.clone(),
        reason: refusal.reason.as_str(),
    };
    let mut response = refusal.mark(render(&page));
    if let Some(allow) = headers.get(header::ALLOW) {
        response.headers_mut().insert(header::ALLOW, allow.clone());
    }
    response
}

fn title(code: Code) -> &'static str {
    match code {
        Code::InvalidArgument => "This cannot be accepted",
        Code::Unauthenticated => "Nobody is signed in",
        Code::PermissionDenied => "You may not do this",
        Code::NotFound => "There is nothing here",
        Code::AlreadyExists | Code::Aborted | Code::FailedPrecondition => "This cannot be done now",
        Code::ResourceExhausted => "Slow down a little",
        Code::Unavailable => "Try again in a moment",
        Code::Internal => "Something went wrong",
    }
}

fn render(page: &impl Template) -> Response {
    match page.render() {
        Ok(text) => Html(text).into_response(),
        Err(error) => {
            tracing::error!(%error, "a page could not be rendered");
            Refusal::new(
                Reason::Internal,
                "The page could not be made: try again, or tell an operator.",
            )
            .into_response()
        }
    }
}

/// Everything but unreserved characters (RFC 3986 §2.3) as `%XX`.
fn percent_encoded(text: &str) -> String {
    let encode = |byte: u8| match byte {
        byte if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) => {
            char::from(byte).to_string()
        }
        byte => format!("%{byte:02X}"),
    };
    text.bytes().map(encode).collect()
}
