//! Why nobody is signed in.

/// Why the configuration cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum IapConfigError {
    /// Without an audience, an assertion for any other application would do.
    #[error(
        "iap.audience {audience:?} must be the audience that IAP shows for this service, such as /projects/123/locations/europe-west1/services/curfew"
    )]
    Audience {
        /// What is configured.
        audience: String,
    },
    /// Not a domain.
    #[error("iap.hostedDomains: {domain:?} is not a domain")]
    HostedDomain {
        /// What is configured.
        domain: String,
    },
    /// Somebody else's keys.
    #[error(
        "IAP's key URL {url:?} may only be overridden by a loopback address such as http://127.0.0.1:8420/keys"
    )]
    KeyUrl {
        /// What is configured.
        url: String,
    },
    /// No HTTP client.
    #[error("building the HTTP client for IAP's keys")]
    Client(#[source] reqwest::Error),
}

/// Why nobody is signed in.
#[derive(Debug, thiserror::Error)]
pub enum IapError {
    /// No header, or an empty one.
    #[error("there is no IAP assertion: open this service through Identity-Aware Proxy")]
    Missing,
    /// More than one header.
    #[error("there is more than one IAP assertion")]
    Repeated,
    /// Longer than any real one.
    #[error("the IAP assertion is too long")]
    TooLong,
    /// Not the form of an assertion.
    #[error("the IAP assertion is malformed: expected {0}")]
    Malformed(&'static str),
    /// Another algorithm than ES256.
    #[error("the IAP assertion is not signed with ES256")]
    Algorithm,
    /// The header names no key.
    #[error("the IAP assertion names no key")]
    KeyIdMissing,
    /// The header wants another key, or another reading.
    #[error("the IAP assertion has a header that is not allowed")]
    HeaderNotAllowed,
    /// IAP publishes no such key.
    #[error("the IAP assertion is signed by a key that IAP does not publish")]
    UnknownKey,
    /// The keys could not be fetched; nothing is known about the caller.
    #[error("IAP's keys cannot be fetched at the moment: try again in a minute")]
    KeysUnavailable,
    /// The signature does not match.
    #[error("the IAP assertion's signature does not match")]
    BadSignature,
    /// Somebody else's assertion.
    #[error("the assertion was not issued by IAP")]
    WrongIssuer,
    /// For another application.
    #[error("the IAP assertion is for another application")]
    WrongAudience,
    /// Over.
    #[error("the IAP assertion has expired: reload the page")]
    Expired,
    /// Issued in the future, or not yet valid.
    #[error("the IAP assertion is not valid yet: is this machine's clock right?")]
    NotYetValid,
    /// Valid for longer than IAP's are.
    #[error("the IAP assertion is valid for too long")]
    LifetimeTooLong,
    /// No Google account: an external or workforce identity.
    #[error("only Google accounts can sign in here")]
    NotAPerson,
    /// Not of a domain that is admitted.
    #[error(
        "accounts of this domain are not admitted: sign in with an account of your organisation"
    )]
    HostedDomain,
}

impl IapError {
    /// The name in metrics and the log.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Missing => "MISSING",
            Self::Repeated => "REPEATED",
            Self::TooLong => "TOO_LONG",
            Self::Malformed(_) => "MALFORMED",
            Self::Algorithm => "ALGORITHM",
            Self::KeyIdMissing => "KEY_ID_MISSING",
            Self::HeaderNotAllowed => "HEADER_NOT_ALLOWED",
            Self::UnknownKey => "UNKNOWN_KEY",
            Self::KeysUnavailable => "KEYS_UNAVAILABLE",
            Self::BadSignature => "BAD_SIGNATURE",
            Self::WrongIssuer => "WRONG_ISSUER",
            Self::WrongAudience => "WRONG_AUDIENCE",
            Self::Expired => "EXPIRED",
            Self::NotYetValid => "NOT_YET_VALID",
            Self::LifetimeTooLong => "LIFETIME_TOO_LONG",
            Self::NotAPerson => "NOT_A_PERSON",
            Self::HostedDomain => "HOSTED_DOMAIN",
        }
    }
}
