//! One error for all ports, with the class that decides what to do about it.

use std::time::Duration;

/// What a failed call means for the caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RetryClass {
    /// Somebody else was faster (a stale etag, a stale update time): look again, then decide again.
    Conflict,
    /// It exists already.
    AlreadyExists,
    /// It does not exist.
    NotFound,
    /// The caller may not do this: back off, an administrator has to act.
    Denied,
    /// The call itself is wrong and will never succeed as it is.
    Invalid,
    /// Too many calls: wait at least this long, if the answer said how long.
    RateLimited(Option<Duration>),
    /// No answer, or one that leaves open whether the call took effect: look before acting again.
    Unavailable,
}

impl RetryClass {
    /// Every class; of [`RetryClass::RateLimited`] the one that says nothing of how long.
    pub const ALL: [Self; 7] = [
        Self::Conflict,
        Self::AlreadyExists,
        Self::NotFound,
        Self::Denied,
        Self::Invalid,
        Self::RateLimited(None),
        Self::Unavailable,
    ];

    /// The name in metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Conflict => "conflict",
            Self::AlreadyExists => "already_exists",
            Self::NotFound => "not_found",
            Self::Denied => "denied",
            Self::Invalid => "invalid",
            Self::RateLimited(_) => "rate_limited",
            Self::Unavailable => "unavailable",
        }
    }
}

/// A call through a port failed.
#[derive(Debug, thiserror::Error)]
#[error("{act}")]
pub struct PortError {
    /// What to do about it.
    pub class: RetryClass,
    /// What was tried and on what, such as `read the policy of projects/demo-web`, and the answer's own words.
    pub act: String,
    /// The cause.
    #[source]
    pub source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl PortError {
    /// An error without a further cause.
    pub fn new(class: RetryClass, act: impl Into<String>) -> Self {
        Self { class, act: act.into(), source: None }
    }

    /// An error with its cause.
    pub fn because(
        class: RetryClass,
        act: impl Into<String>,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Self {
        Self { class, act: act.into(), source: Some(source.into()) }
    }

    /// How long the answer asks to wait; zero where it does not say.
    pub fn wait_at_least(&self) -> Duration {
        match self.class {
            RetryClass::RateLimited(wait) => wait.unwrap_or_default(),
            RetryClass::Conflict
            | RetryClass::AlreadyExists
            | RetryClass::NotFound
            | RetryClass::Denied
            | RetryClass::Invalid
            | RetryClass::Unavailable => Duration::ZERO,
        }
    }

    /// The act and every cause, on one line.
    pub fn chain(&self) -> String {
        let mut text = self.act.clone();
        let mut cause = std::error::Error::source(self);
        while let Some(error) = cause {
            text.push_str(": ");
            text.push_str(&error.to_string());
            cause = error.source();
        }
        text
    }
}
