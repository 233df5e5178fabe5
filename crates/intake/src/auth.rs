//! Who is calling: an IAP assertion, or nobody.

use axum::extract::{FromRequestParts, Request, State};
use axum::http::request::Parts;
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use curfew_core::principal::{Person, Principal};
use curfew_core::spec::Authentication;
use curfew_trust::IapError;

use crate::Shared;
use crate::errors::{Reason, Refusal};

/// Somebody whose assertion verified.
#[derive(Debug, Clone)]
pub(crate) struct Caller {
    pub(crate) person: Person,
    pub(crate) authentication: Authentication,
}

impl Caller {
    pub(crate) fn principal(&self) -> Principal {
        self.person.principal()
    }

    pub(crate) fn subject(&self) -> &str {
        self.person.subject.as_str()
    }
}

/// Lets nobody past without a valid assertion.
pub(crate) async fn authenticate(
    State(app): State<Shared>,
    mut request: Request,
    next: Next,
) -> Response {
    match app.intake.iap.verify(request.headers(), app.intake.clock.now()).await {
        Ok(assertion) => {
            let caller =
                Caller { person: assertion.person, authentication: assertion.authentication };
            tracing::Span::current().record("user", caller.person.email.as_str());
            request.extensions_mut().insert(caller);
            next.run(request).await
        }
        Err(error) => refused(&error).into_response(),
    }
}

fn refused(error: &IapError) -> Refusal {
    tracing::info!(event = "iap.authenticate", reason = error.as_str(), "an assertion was refused");
    let reason = match error {
        IapError::KeysUnavailable => Reason::SignInUnavailable,
        IapError::NotAPerson | IapError::HostedDomain => Reason::AccountNotAdmitted,
        IapError::Missing
        | IapError::Repeated
        | IapError::TooLong
        | IapError::Malformed(_)
        | IapError::Algorithm
        | IapError::KeyIdMissing
        | IapError::HeaderNotAllowed
        | IapError::UnknownKey
        | IapError::BadSignature
        | IapError::WrongIssuer
        | IapError::WrongAudience
        | IapError::Expired
        | IapError::NotYetValid
        | IapError::LifetimeTooLong => Reason::NotSignedIn,
    };
    let refusal = Refusal::new(reason, format!("Nobody is signed in: {error}."));
    if reason == Reason::SignInUnavailable {
        refusal.after(std::time::Duration::from_mins(1))
    } else {
        refusal
    }
}

impl<S: Sync> FromRequestParts<S> for Caller {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Refusal> {
        let unknown = || {
            Refusal::new(
                Reason::NotSignedIn,
                "Nobody is signed in: open this service through Identity-Aware Proxy.",
            )
        };
        parts.extensions.get::<Self>().cloned().ok_or_else(unknown)
    }
}
