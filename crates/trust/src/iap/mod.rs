//! Who is signed in: assertions of Google's Identity-Aware Proxy (IAP), the only way in
//! (<https://cloud.google.com/iap/docs/signed-headers-howto>).
//!
//! The raw assertion is a bearer secret while it lives: it is never kept, logged or put in an error.

mod claims;
mod error;
mod key_source;
#[cfg(test)]
mod tests;
mod verdicts;

use std::fmt;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use curfew_core::id::Digest;
use curfew_core::principal::{Person, is_domain};
use curfew_core::spec::Authentication;
use curfew_ports::Clock;
use jsonwebtoken::{Algorithm, DecodingKey, Header, Validation};
use reqwest::Url;
use reqwest::header::HeaderMap;

use self::claims::Claims;
pub use self::error::{IapConfigError, IapError};
use self::key_source::{KeySource, is_loopback};
use self::verdicts::Verdicts;

/// The one header that is believed. The unsigned `x-goog-authenticated-user-*` headers are never read.
pub const ASSERTION_HEADER: &str = "x-goog-iap-jwt-assertion";

/// Where Google publishes the keys of IAP.
pub const GOOGLE_KEY_URL: &str = "https://www.gstatic.com/iap/verify/public_key-jwk";

/// Who signs the assertions.
const ISSUER: &str = "https://cloud.google.com/iap";

/// The longest assertion that is looked at. Real ones are about 1 KiB, more with many access levels; most servers
/// stop at 8 KiB of headers.
const ASSERTION_BYTES_MAX: usize = 8 * 1024;

/// Which assertions to accept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IapConfig {
    /// The audience, exactly, such as `/projects/1/locations/europe-west1/services/curfew`.
    pub audience: String,
    /// If there are any, the assertion's `hd` must be one of them.
    pub hosted_domains: Vec<String>,
    /// Where the keys are: [`GOOGLE_KEY_URL`], or a loopback address of a simulation.
    pub key_url: String,
}

/// Somebody who is signed in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Assertion {
    /// Who.
    pub person: Person,
    /// What rules need of the sign-in.
    pub authentication: Authentication,
    /// Until when; streams close then.
    pub expires_at: DateTime<Utc>,
}

/// Verifies assertions. One per process: it caches keys and verdicts.
pub struct IapVerifier {
    audience: String,
    hosted_domains: Vec<String>,
    validation: Validation,
    keys: Arc<KeySource>,
    verdicts: Verdicts,
}

impl IapVerifier {
    /// Checks the configuration; fetches nothing yet. The clock's `elapsed` paces the fetching of keys.
    pub fn new(config: IapConfig, clock: Arc<dyn Clock>) -> Result<Self, IapConfigError> {
        if !config.audience.starts_with('/') || config.audience.contains(char::is_whitespace) {
            return Err(IapConfigError::Audience { audience: config.audience });
        }
        if let Some(domain) = config.hosted_domains.iter().find(|domain| !is_domain(domain)) {
            return Err(IapConfigError::HostedDomain { domain: domain.clone() });
        }
        install_crypto();
        Ok(Self {
            validation: validation(&config.audience),
            audience: config.audience,
            hosted_domains: config
                .hosted_domains
                .iter()
                .map(|domain| domain.to_ascii_lowercase())
                .collect(),
            keys: Arc::new(KeySource::new(key_url(&config.key_url)?, clock)?),
            verdicts: Verdicts::default(),
        })
    }

    /// Who these headers say is signed in at `now`.
    ///
    /// # Errors
    /// [`IapError::KeysUnavailable`] says nothing about the caller: answer 503. Every other error is a refusal.
    pub async fn verify(
        &self,
        headers: &HeaderMap,
        now: DateTime<Utc>,
    ) -> Result<Assertion, IapError> {
        let token = only_assertion(headers)?;
        let digest = Digest::of(token.as_bytes());
        let claims = match self.verdicts.get(&digest) {
            Some(claims) => claims,
            None => self.verify_token(token).await?,
        };
        claims.check_times(now)?;
        let assertion = claims.assertion(&digest, &self.hosted_domains)?;
        self.verdicts.put(digest, claims, now);
        Ok(assertion)
    }

    /// Signature, algorithm, issuer and audience; everything that stays as it is.
    async fn verify_token(&self, token: &str) -> Result<Claims, IapError> {
        let key_id = key_id(token)?;
        let key = self.keys.find(&key_id).await?;
        let claims = decode(token, &key, &self.validation)?;
        // `jsonwebtoken` is content with a list that holds the right one; `Claims` reads one text only.
        match (claims.iss == ISSUER, claims.aud == self.audience) {
            (true, true) => Ok(claims),
            (false, _) => Err(IapError::WrongIssuer),
            (true, false) => Err(IapError::WrongAudience),
        }
    }
}

impl fmt::Debug for IapVerifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("IapVerifier");
        debug.field("audience", &self.audience).field("hosted_domains", &self.hosted_domains);
        debug.finish_non_exhaustive()
    }
}

/// What `jsonwebtoken` is to check. Times are not its business: it reads the machine's clock.
fn validation(audience: &str) -> Validation {
    let mut validation = Validation::new(Algorithm::ES256);
    validation.set_issuer(&[ISSUER]);
    validation.set_audience(&[audience]);
    validation.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
    validation.validate_exp = false;
    validation.validate_nbf = false;
    validation
}

/// Without this, `jsonwebtoken` panics at its first use if another dependency ever turns on its second back end.
fn install_crypto() {
    if jsonwebtoken::crypto::aws_lc::DEFAULT_PROVIDER.install_default().is_err() {
        tracing::debug!("jsonwebtoken has a crypto provider already");
    }
}

/// Google's own address, or a loopback address: whoever could choose it freely could sign everybody in.
fn key_url(text: &str) -> Result<Url, IapConfigError> {
    let refused = || IapConfigError::KeyUrl { url: text.to_owned() };
    let url = Url::parse(text).map_err(|_| refused())?;
    if text == GOOGLE_KEY_URL || (is_loopback(&url) && matches!(url.scheme(), "http" | "https")) {
        Ok(url)
    } else {
        Err(refused())
    }
}

fn only_assertion(headers: &HeaderMap) -> Result<&str, IapError> {
    let mut values = headers.get_all(ASSERTION_HEADER).iter();
    let value = values.next().ok_or(IapError::Missing)?;
    if values.next().is_some() {
        return Err(IapError::Repeated);
    }
    match value.to_str() {
        Ok("") => Err(IapError::Missing),
        Ok(token) if token.len() > ASSERTION_BYTES_MAX => Err(IapError::TooLong),
        Ok(token) => Ok(token),
        Err(_) => Err(IapError::Malformed("a header of printable ASCII")),
    }
}

/// The key that the header names, if the header says nothing that could lead to another key or another reading.
fn key_id(token: &str) -> Result<String, IapError> {
    // An algorithm that `jsonwebtoken` does not know, such as `none`, makes the header unreadable.
    let header = jsonwebtoken::decode_header(token)
        .map_err(|_| IapError::Malformed("a JWS header of a known form"))?;
    if header.alg != Algorithm::ES256 {
        return Err(IapError::Algorithm);
    }
    let Header { jku, jwk, x5u, x5c, crit, enc, zip, kid, .. } = header;
    let leads_elsewhere = jku.is_some() || jwk.is_some() || x5u.is_some() || x5c.is_some();
    if leads_elsewhere
        || crit.is_some()
        || enc.is_some()
        || zip.is_some()
        || header.extras.inner().contains_key("b64")
    {
        return Err(IapError::HeaderNotAllowed);
    }
    kid.filter(|kid| !kid.is_empty()).ok_or(IapError::KeyIdMissing)
}

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "a foreign enum that may grow: what is not named is refused"
)]
fn decode(token: &str, key: &DecodingKey, validation: &Validation) -> Result<Claims, IapError> {
    use jsonwebtoken::errors::ErrorKind;
    match jsonwebtoken::decode::<Claims>(token, key, validation) {
        Ok(decoded) => Ok(decoded.claims),
        // The cause is dropped on purpose: a parser's words may quote what they stumbled over.
        Err(error) => Err(match error.kind() {
            ErrorKind::InvalidSignature | ErrorKind::Base64(_) => IapError::BadSignature,
            ErrorKind::InvalidAlgorithm => IapError::Algorithm,
            ErrorKind::InvalidIssuer => IapError::WrongIssuer,
            ErrorKind::InvalidAudience => IapError::WrongAudience,
            _ => IapError::Malformed("claims of the expected form, each once"),
        }),
    }
}
