//! Tokens of forms: a page of this site, shown to this person a short while ago, holds the form that was sent.

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, TimeDelta, Utc};
use curfew_core::id::{Digest, Nonce, RequestId};

use crate::App;
use crate::auth::Caller;
use crate::errors::{Reason, Refusal};

/// How long a form may stay open.
const LIFETIME: TimeDelta = TimeDelta::minutes(15);

/// What a form does, and to which request.
#[derive(Debug, Clone, Copy)]
pub(crate) enum FormRoute<'a> {
    File,
    /// With the digest that was shown.
    Approve(&'a RequestId, &'a Digest),
    /// With the digest that was shown.
    Deny(&'a RequestId, &'a Digest),
    Withdraw(&'a RequestId),
    Revoke(&'a RequestId),
}

impl FormRoute<'_> {
    fn text(self) -> String {
        match self {
            Self::File => "file".into(),
            Self::Approve(id, digest) => format!("approve {id} {digest}"),
            Self::Deny(id, digest) => format!("deny {id} {digest}"),
            Self::Withdraw(id) => format!("withdraw {id}"),
            Self::Revoke(id) => format!("revoke {id}"),
        }
    }
}

/// A new token: expiry (seconds), nonce and mac, joined by dots.
pub(crate) fn issue(app: &App, caller: &Caller, route: FormRoute<'_>) -> String {
    let expires_at = app.now().checked_add_signed(LIFETIME).map_or(0, |at| at.timestamp());
    let nonce = Nonce::from_bits(app.intake.entropy.bits());
    let mac = hmac::sign(&key(app), covered(caller, route, expires_at, nonce.as_str()).as_bytes());
    format!("{expires_at}.{nonce}.{}", URL_SAFE_NO_PAD.encode(mac))
}

/// Checks a token and gives its nonce, which makes sending the same form twice one act.
pub(crate) fn check(
    app: &App,
    caller: &Caller,
    route: FormRoute<'_>,
    token: &str,
) -> Result<Nonce, Refusal> {
    read(app, caller, route, token, app.now()).ok_or_else(|| {
        Refusal::new(Reason::FormExpired, "This form was open for too long, or was made for somebody else: reload the page and send it again.")
    })
}

fn read(
    app: &App,
    caller: &Caller,
    route: FormRoute<'_>,
    token: &str,
    now: DateTime<Utc>,
) -> Option<Nonce> {
    let (expires_at, rest) = token.split_once('.')?;
    let (nonce, mac) = rest.split_once('.')?;
    let expires_at: i64 = expires_at.parse().ok()?;
    let nonce = Nonce::parse(nonce).ok()?;
    let mac = URL_SAFE_NO_PAD.decode(mac).ok()?;
    hmac::verify(&key(app), covered(caller, route, expires_at, nonce.as_str()).as_bytes(), &mac)
        .ok()?;
    (now.timestamp() < expires_at).then_some(nonce)
}

fn key(app: &App) -> hmac::Key {
    hmac::Key::new(hmac::HMAC_SHA256, &app.settings().form_key.0)
}

fn covered(caller: &Caller, route: FormRoute<'_>, expires_at: i64, nonce: &str) -> String {
    format!("curfew/v1/form\n{}\n{}\n{expires_at}\n{nonce}", caller.subject(), route.text())
}
