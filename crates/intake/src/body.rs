//! Bodies: of the declared type, bounded in size and time.

use std::time::Duration;

use axum::Form;
use axum::body::Bytes;
use axum::extract::{FromRequest, Request};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::IntoResponse as _;
use serde::de::DeserializeOwned;

use crate::errors::{Reason, Refusal};

/// The longest body: the largest request that is accepted is far below it.
pub(crate) const BODY_BYTES_MAX: usize = 64 * 1024;

/// How long a body may take to come.
const BODY_TIMEOUT: Duration = Duration::from_secs(10);

/// The longest idempotency key.
const KEY_LENGTH_MAX: usize = 128;

/// The bytes of a JSON body as they were sent.
pub(crate) struct JsonBody(pub(crate) Bytes);

impl<S: Send + Sync> FromRequest<S> for JsonBody {
    type Rejection = Refusal;

    async fn from_request(request: Request, state: &S) -> Result<Self, Refusal> {
        check_type(request.headers(), "application/json")?;
        in_time(Bytes::from_request(request, state))
            .await?
            .map(Self)
            .map_err(|rejection| refused(rejection.status()))
    }
}

/// The fields of a posted form.
pub(crate) struct FormBody<T>(pub(crate) T);

impl<S: Send + Sync, T: DeserializeOwned + Send> FromRequest<S> for FormBody<T> {
    type Rejection = Refusal;

    async fn from_request(request: Request, state: &S) -> Result<Self, Refusal> {
        check_type(request.headers(), "application/x-www-form-urlencoded")?;
        let form = in_time(Form::<T>::from_request(request, state)).await?;
        form.map(|Form(fields)| Self(fields))
            .map_err(|rejection| refused(rejection.into_response().status()))
    }
}

async fn in_time<T>(body: impl Future<Output = T>) -> Result<T, Refusal> {
    let late = |_| Refusal::new(Reason::BodyTimeout, "The body came too slowly: send it again.");
    tokio::time::timeout(BODY_TIMEOUT, body).await.map_err(late)
}

fn refused(status: StatusCode) -> Refusal {
    if status == StatusCode::PAYLOAD_TOO_LARGE {
        Refusal::new(Reason::BodyTooLarge, "The body is longer than 64 KiB: shorten it.")
    } else {
        Refusal::new(
            Reason::BodyMalformed,
            "The body cannot be read: send it again, whole and in the documented form.",
        )
    }
}

fn check_type(headers: &HeaderMap, wanted: &'static str) -> Result<(), Refusal> {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    let declared = text(header::CONTENT_TYPE).unwrap_or_default();
    let (essence, parameters) = declared.split_once(';').unwrap_or((declared, ""));
    let parameters = parameters.trim();
    let is_plain = parameters.is_empty() || parameters.eq_ignore_ascii_case("charset=utf-8");
    let encoded = headers.contains_key(header::CONTENT_ENCODING);
    if essence.trim().eq_ignore_ascii_case(wanted) && is_plain && !encoded {
        return Ok(());
    }
    let message =
        format!("Send the body as `Content-Type: {wanted}`, in UTF-8 and not compressed.");
    Err(Refusal {
        field: Some("Content-Type".into()),
        ..Refusal::new(Reason::ContentType, message)
    })
}

/// The header `Idempotency-Key`, if it is there: 1 to [`KEY_LENGTH_MAX`] visible ASCII characters.
pub(crate) fn idempotency_key(headers: &HeaderMap) -> Result<Option<&str>, Refusal> {
    let mut values = headers.get_all("idempotency-key").iter();
    let Some(value) = values.next() else { return Ok(None) };
    let key = value.to_str().ok().filter(|key| is_key(key));
    if let (Some(key), None) = (key, values.next()) {
        Ok(Some(key))
    } else {
        let message = "must be there once, with 1 to 128 visible ASCII characters, such as a UUID.";
        Err(Refusal::field(Reason::IdempotencyKeyInvalid, "Idempotency-Key", message))
    }
}

fn is_key(text: &str) -> bool {
    (1..=KEY_LENGTH_MAX).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic())
}
