//! What a failed call means.

use std::error::Error;
use std::time::Duration;

use chrono::DateTime;
use curfew_ports::{PortError, RetryClass};
use google_cloud_auth::errors::CredentialsError;
use reqwest::StatusCode;
use reqwest::header::{DATE, HeaderMap, HeaderName, RETRY_AFTER};
use serde::Deserialize;
use serde_json::Value;

/// How much of a foreign text goes into an error: enough for Google's sentences, too little to flood a log.
const FOREIGN_TEXT_CHARS_MAX: usize = 300;

/// The longest wait that an answer may ask for: quotas refill each minute, so more is a mistake or malice.
const RETRY_AFTER_MAX: Duration = Duration::from_mins(10);

/// Why a call gave nothing.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CallError {
    #[error("no access token")]
    Token(#[source] CredentialsError),
    #[error("no access token")]
    NoToken,
    #[error("no answer")]
    Transport(#[source] reqwest::Error),
    #[error("no answer within {} ms", .0.as_millis())]
    TimedOut(Duration),
    #[error("the answer is longer than {0} bytes")]
    TooLong(usize),
    #[error("the answer is not as documented: {0}")]
    Undecodable(String),
    #[error("{0}")]
    Refused(Refusal),
}

impl CallError {
    pub(crate) fn undecodable(why: &str) -> Self {
        Self::Undecodable(foreign(why))
    }

    /// What to do about it.
    pub(crate) fn class(&self) -> RetryClass {
        match self {
            Self::Token(error) if !error.is_transient() => RetryClass::Denied,
            Self::Refused(refusal) => refusal.class(),
            Self::Token(_)
            | Self::NoToken
            | Self::Transport(_)
            | Self::TimedOut(_)
            | Self::TooLong(_)
            | Self::Undecodable(_) => RetryClass::Unavailable,
        }
    }

    /// The error of a port: the act and the answer's words in one text, the cause behind it.
    pub(crate) fn at(self, act: &str) -> PortError {
        let (class, act) = (self.class(), format!("{act}: {self}"));
        let source: Option<Box<dyn Error + Send + Sync>> = match self {
            Self::Token(error) => Some(error.into()),
            Self::Transport(error) => Some(error.into()),
            Self::NoToken
            | Self::TimedOut(_)
            | Self::TooLong(_)
            | Self::Undecodable(_)
            | Self::Refused(_) => None,
        };
        PortError { class, act, source }
    }
}

/// An answer that is not a success.
#[derive(Debug)]
pub(crate) struct Refusal {
    code: StatusCode,
    status: String,
    message: String,
    disabled_service: Option<String>,
    retry_after: Option<Duration>,
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "answered {}", self.code.as_u16())?;
        if !self.status.is_empty() {
            write!(f, " {}", self.status)?;
        }
        if !self.message.is_empty() {
            write!(f, ": {}", self.message)?;
        }
        Ok(())
    }
}

/// Google's error body (<https://cloud.google.com/apis/design/errors#http_mapping>).
#[derive(Deserialize, Default)]
struct ErrorBody {
    #[serde(default)]
    error: ErrorFields,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct ErrorFields {
    status: String,
    message: String,
    details: Value,
}

impl Refusal {
    /// Reads an answer whose status is not a success. A body of another shape, such as a proxy's page, adds nothing.
    pub(crate) fn read(code: StatusCode, headers: &HeaderMap, body: &[u8]) -> Self {
        let ErrorFields { status, message, details } =
            serde_json::from_slice::<ErrorBody>(body).unwrap_or_default().error;
        Self {
            code,
            status: foreign(&status),
            message: foreign(&message),
            disabled_service: disabled_service(&details),
            retry_after: retry_after(headers),
        }
    }

    /// The service, such as `cloudasset.googleapis.com`, if the answer is that it is not enabled.
    pub(crate) fn disabled_service(&self) -> Option<&str> {
        self.disabled_service.as_deref()
    }

    /// 409 and 412 as Google's guide to read-modify-write names them, and `FAILED_PRECONDITION`, which it also names.
    pub(crate) fn class(&self) -> RetryClass {
        match (self.code.as_u16(), self.status.as_str()) {
            (409, "ALREADY_EXISTS") => RetryClass::AlreadyExists,
            (409 | 412, _) | (400, "FAILED_PRECONDITION") => RetryClass::Conflict,
            (401 | 403, _) => RetryClass::Denied,
            (404, _) => RetryClass::NotFound,
            (429, _) => RetryClass::RateLimited(self.retry_after),
            (408, _) => RetryClass::Unavailable,
            (400..=499, _) => RetryClass::Invalid,
            _ => RetryClass::Unavailable,
        }
    }
}

/// `google.rpc.ErrorInfo` of an API that the calling project has not enabled
/// (<https://cloud.google.com/apis/design/errors#error_info>).
fn disabled_service(details: &Value) -> Option<String> {
    let info = details.as_array()?.iter().find(|detail| detail["reason"] == "SERVICE_DISABLED")?;
    Some(foreign(info["metadata"]["service"].as_str()?))
}

/// `Retry-After` in seconds, or as a date, which is read against the answer's own `Date`.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    let wait = match text.parse::<u64>() {
        Ok(seconds) => Duration::from_secs(seconds),
        Err(_) => {
            date(headers, RETRY_AFTER)?.signed_duration_since(date(headers, DATE)?).to_std().ok()?
        }
    };
    Some(wait.min(RETRY_AFTER_MAX))
}

fn date(headers: &HeaderMap, name: HeaderName) -> Option<DateTime<chrono::FixedOffset>> {
    DateTime::parse_from_rfc2822(headers.get(name)?.to_str().ok()?).ok()
}

/// A text from outside, shortened, and with everything escaped that could break or reorder a line.
pub(crate) fn foreign(text: &str) -> String {
    let mut shown = String::new();
    for (position, letter) in text.chars().enumerate() {
        if position == FOREIGN_TEXT_CHARS_MAX {
            shown.push('…');
            break;
        }
        if letter.is_control() || breaks_or_reorders(letter) {
            shown.extend(letter.escape_default());
        } else {
            shown.push(letter);
        }
    }
    shown
}

fn breaks_or_reorders(letter: char) -> bool {
    matches!(letter, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(HeaderName, &'static str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.clone(), value.parse().unwrap())).collect()
    }

    #[test]
    fn each_answer_has_its_class() {
        use RetryClass::{
            AlreadyExists, Conflict, Denied, Invalid, NotFound, RateLimited, Unavailable,
        };
        for (code, status, class) in [
            (400, "INVALID_ARGUMENT", Invalid),
            (400, "", Invalid),
            (400, "FAILED_PRECONDITION", Conflict),
            (401, "UNAUTHENTICATED", Denied),
            (403, "PERMISSION_DENIED", Denied),
            (404, "NOT_FOUND", NotFound),
            (405, "", Invalid),
            (408, "", Unavailable),
            (409, "ABORTED", Conflict),
            (409, "", Conflict),
            (409, "ALREADY_EXISTS", AlreadyExists),
            (412, "", Conflict),
            (413, "", Invalid),
            (429, "RESOURCE_EXHAUSTED", RateLimited(None)),
            (302, "", Unavailable),
            (500, "INTERNAL", Unavailable),
            (503, "UNAVAILABLE", Unavailable),
            (504, "DEADLINE_EXCEEDED", Unavailable),
        ] {
            let body =
                format!(r#"{{"error":{{"code":{code},"status":"{status}","message":"m"}}}}"#);
            let refusal = Refusal::read(
                StatusCode::from_u16(code).unwrap(),
                &HeaderMap::new(),
                body.as_bytes(),
            );
            assert_eq!(refusal.class(), class, "{code} {status}");
        }
    }

    #[test]
    fn retry_after_is_seconds_or_a_date_and_bounded() {
        let wait = |pairs: &[(HeaderName, &'static str)]| {
            retry_after(&headers(pairs)).map(|wait| wait.as_secs())
        };
        assert_eq!(wait(&[(RETRY_AFTER, "7")]), Some(7));
        assert_eq!(wait(&[(RETRY_AFTER, "99999999999")]), Some(600));
        let later = (RETRY_AFTER, "Sun, 06 Nov 1994 08:49:37 GMT");
        assert_eq!(wait(&[later.clone(), (DATE, "Sun, 06 Nov 1994 08:49:07 GMT")]), Some(30));
        assert_eq!(wait(&[later.clone(), (DATE, "Sun, 06 Nov 1994 09:49:07 GMT")]), None);
        assert_eq!(wait(&[later]), None);
        for odd in ["", "-1", "soon", "1.5", "99999999999999999999999999"] {
            assert_eq!(wait(&[(RETRY_AFTER, odd)]), None, "{odd:?}");
        }
    }

    #[test]
    fn a_foreign_text_is_one_short_line() {
        assert_eq!(foreign("a\r\nb\u{1b}[2J\u{202e}ü"), "a\\r\\nb\\u{1b}[2J\\u{202e}ü");
        assert_eq!(foreign(&"x".repeat(10_000)).chars().count(), FOREIGN_TEXT_CHARS_MAX + 1);
    }

    #[test]
    fn a_service_that_is_not_enabled_is_told_by_its_name() {
        let body = |reason: &str| {
            let info = serde_json::json!({"reason": reason, "metadata": {"service": "iam.googleapis.com"}});
            serde_json::json!({"error": {"status": "PERMISSION_DENIED", "details": [{"@type": "x"}, info]}})
        };
        let read = |reason: &str| {
            let body = body(reason).to_string();
            Refusal::read(StatusCode::FORBIDDEN, &HeaderMap::new(), body.as_bytes())
        };
        assert_eq!(read("SERVICE_DISABLED").disabled_service(), Some("iam.googleapis.com"));
        assert_eq!(read("IAM_PERMISSION_DENIED").disabled_service(), None);
    }

    #[test]
    fn an_error_page_that_is_not_json_adds_nothing() {
        for body in [
            "<html>\n502</html>",
            "",
            "[]",
            r#"{"error":"quota"}"#,
            r#"{"error":{"message":7}}"#,
            r#"{"error":{"details":{"reason":"SERVICE_DISABLED"}}}"#,
            r#"{"error":{"details":[7,{"reason":"SERVICE_DISABLED"}]}}"#,
            "\u{0}",
        ] {
            let refusal =
                Refusal::read(StatusCode::BAD_GATEWAY, &HeaderMap::new(), body.as_bytes());
            assert_eq!(refusal.to_string(), "answered 502", "{body:?}");
        }
    }
}
