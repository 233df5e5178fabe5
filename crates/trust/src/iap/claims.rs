//! What an assertion says.

use chrono::{DateTime, Utc};
use curfew_core::id::Digest;
use curfew_core::principal::{Email, Person, Subject};
use curfew_core::spec::Authentication;
use serde::Deserialize;

use super::{Assertion, IapError};

/// How far IAP's clock and ours may differ, seconds.
const SKEW_S: i64 = 30;

/// The longest lifetime of an assertion, seconds; IAP's own live ten minutes.
const LIFETIME_MAX_S: i64 = 600;

/// What stands before the id of a Google account. Workforce and external identities have another provider here.
const GOOGLE_ACCOUNTS: &str = "accounts.google.com:";

/// The claims that are read. A claim that stands twice, or has another type, makes the whole unreadable; a claim that
/// is not read may say anything.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(super) struct Claims {
    /// Seconds since the epoch.
    exp: i64,
    /// Seconds since the epoch.
    iat: i64,
    /// Seconds since the epoch. IAP sends none.
    nbf: Option<i64>,
    /// One text, never a list.
    pub(super) iss: String,
    /// One text, never a list.
    pub(super) aud: String,
    sub: String,
    email: String,
    hd: Option<String>,
    google: Option<Google>,
}

/// What context-aware access knows (<https://cloud.google.com/iap/docs/signed-headers-howto>).
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
struct Google {
    #[serde(default)]
    access_levels: Vec<String>,
    device_id: Option<String>,
}

impl Claims {
    /// Whether the assertion is valid at `now`.
    pub(super) fn check_times(&self, now: DateTime<Utc>) -> Result<(), IapError> {
        let now = now.timestamp();
        let latest = now.saturating_add(SKEW_S);
        if self.iat > latest || self.nbf.is_some_and(|nbf| nbf > latest) {
            return Err(IapError::NotYetValid);
        }
        if now >= self.exp.saturating_add(SKEW_S) {
            return Err(IapError::Expired);
        }
        if self.exp.saturating_sub(self.iat) > LIFETIME_MAX_S.saturating_add(SKEW_S) {
            return Err(IapError::LifetimeTooLong);
        }
        Ok(())
    }

    /// Whether nothing can make the assertion valid again after `now`.
    pub(super) fn is_over(&self, now: DateTime<Utc>) -> bool {
        now.timestamp() >= self.exp.saturating_add(SKEW_S)
    }

    /// Who is signed in. `domains` are in lower case; none means any. A service account has no hosted domain: the
    /// domain of its address stands in, such as `demo-web.iam.gserviceaccount.com`.
    pub(super) fn assertion(
        &self,
        digest: &Digest,
        domains: &[String],
    ) -> Result<Assertion, IapError> {
        let person = self.person()?;
        let domain = if person.email.is_service_account() {
            Some(person.email.domain().to_owned())
        } else {
            self.hd.as_ref().map(|hd| hd.to_ascii_lowercase())
        };
        if !domains.is_empty() && !domain.is_some_and(|domain| domains.contains(&domain)) {
            return Err(IapError::HostedDomain);
        }
        let malformed = IapError::Malformed("times that a calendar knows");
        let expires_at = DateTime::from_timestamp(self.exp, 0).ok_or(malformed)?;
        let (access_levels, device_id) = self
            .google
            .clone()
            .map_or_else(Default::default, |google| (google.access_levels, google.device_id));
        let authentication = Authentication {
            assertion_digest: Some(digest.clone()),
            hosted_domain: self.hd.clone(),
            access_levels,
            device_id,
            issued_at: DateTime::from_timestamp(self.iat, 0),
        };
        Ok(Assertion { person, authentication, expires_at })
    }

    /// A Google account of a person or a service account: workforce and external identities never count.
    fn person(&self) -> Result<Person, IapError> {
        let id = self.sub.strip_prefix(GOOGLE_ACCOUNTS).ok_or(IapError::NotAPerson)?;
        if id.is_empty() || !id.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(IapError::NotAPerson);
        }
        let subject = Subject::parse(&self.sub).map_err(|_| IapError::NotAPerson)?;
        let address = self.email.strip_prefix(GOOGLE_ACCOUNTS).unwrap_or(&self.email);
        let email =
            Email::parse(address).map_err(|_| IapError::Malformed("a plain e-mail address"))?;
        Ok(Person { subject, email })
    }
}
