//! Every refusal in one table: its name, its code, and the reply that carries it.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::time::Duration;

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use curfew_core::judge::{Ineligible, Objection};
use curfew_ports::{PortError, RetryClass};
use curfew_proto::json::{self, JsonError};
use curfew_proto::v1;

/// The domain of every detail.
const DOMAIN: &str = "curfew";

/// What a caller is told to wait if the failed look-up does not say: long enough for a hiccup to pass.
const RETRY_AFTER: Duration = Duration::from_secs(5);

/// Names of `google.rpc.Code` (<https://github.com/googleapis/googleapis/blob/master/google/rpc/code.proto>).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "Google documents them")]
pub enum Code {
    InvalidArgument,
    Unauthenticated,
    PermissionDenied,
    NotFound,
    AlreadyExists,
    Aborted,
    FailedPrecondition,
    ResourceExhausted,
    Unavailable,
    Internal,
}

impl Code {
    /// The name in replies.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::InvalidArgument => "INVALID_ARGUMENT",
            Self::Unauthenticated => "UNAUTHENTICATED",
            Self::PermissionDenied => "PERMISSION_DENIED",
            Self::NotFound => "NOT_FOUND",
            Self::AlreadyExists => "ALREADY_EXISTS",
            Self::Aborted => "ABORTED",
            Self::FailedPrecondition => "FAILED_PRECONDITION",
            Self::ResourceExhausted => "RESOURCE_EXHAUSTED",
            Self::Unavailable => "UNAVAILABLE",
            Self::Internal => "INTERNAL",
        }
    }
}

macro_rules! reasons {
    ($($reason:ident $name:literal $http:literal $code:ident $meaning:literal;)*) => {
        /// Why something is refused. The names stay as they are: programs rest on them.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Reason {
            $(#[doc = $meaning] $reason,)*
        }

        impl Reason {
            /// Every reason.
            pub const ALL: &'static [Self] = &[$(Self::$reason,)*];

            /// The name in replies.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$reason => $name,)* }
            }

            /// The HTTP status.
            pub fn http(self) -> StatusCode {
                let status = match self { $(Self::$reason => $http,)* };
                StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
            }

            /// The code beside the status.
            pub fn code(self) -> Code {
                match self { $(Self::$reason => Code::$code,)* }
            }

            /// What it means, on one line.
            pub fn meaning(self) -> &'static str {
                match self { $(Self::$reason => $meaning,)* }
            }
        }
    };
}

reasons! {
    NotSignedIn "NOT_SIGNED_IN" 401 Unauthenticated "There is no valid IAP assertion.";
    AccountNotAdmitted "ACCOUNT_NOT_ADMITTED" 403 PermissionDenied "The signed-in account is no Google account, or of a domain that is not admitted.";
    SignInUnavailable "SIGN_IN_UNAVAILABLE" 503 Unavailable "IAP's keys cannot be fetched, so nobody can be recognised.";
    CrossSite "CROSS_SITE" 403 PermissionDenied "Another site sent the request.";
    FormExpired "FORM_EXPIRED" 403 PermissionDenied "The form's token is missing, too old, or was made for something else.";

    RouteUnknown "ROUTE_UNKNOWN" 404 NotFound "There is nothing at this path.";
    MethodNotAllowed "METHOD_NOT_ALLOWED" 405 InvalidArgument "The path knows other methods.";
    NotFound "NOT_FOUND" 404 NotFound "There is no such request, or the caller may not see it.";
    EntitlementUnknown "ENTITLEMENT_UNKNOWN" 404 NotFound "There is no such entitlement, or the caller does not hold it.";
    NotOffered "NOT_OFFERED" 409 FailedPrecondition "The act is known, and not offered yet.";

    ContentType "CONTENT_TYPE" 415 InvalidArgument "The body is not declared to be what the route reads.";
    BodyTooLarge "BODY_TOO_LARGE" 413 InvalidArgument "The body is longer than 64 KiB.";
    BodyTimeout "BODY_TIMEOUT" 408 InvalidArgument "The body came too slowly.";
    BodyMalformed "BODY_MALFORMED" 400 InvalidArgument "The body is not of the documented form.";
    FieldInvalid "FIELD_INVALID" 400 InvalidArgument "A field has a value that cannot be accepted.";
    FieldRequired "FIELD_REQUIRED" 400 InvalidArgument "A field is missing or empty.";
    ParameterInvalid "PARAMETER_INVALID" 400 InvalidArgument "A query parameter is unknown, repeated, or has a value that cannot be accepted.";
    PageTokenInvalid "PAGE_TOKEN_INVALID" 400 InvalidArgument "The page token was not issued for this list.";
    IdempotencyKeyInvalid "IDEMPOTENCY_KEY_INVALID" 400 InvalidArgument "The header Idempotency-Key is repeated or not of its grammar.";
    IdempotencyKeyReused "IDEMPOTENCY_KEY_REUSED" 409 AlreadyExists "The idempotency key stands for a request with another body.";

    ResourceUnknown "RESOURCE_UNKNOWN" 403 PermissionDenied "The resource does not exist, or cannot be seen from here.";
    ResourceConditionRequired "RESOURCE_CONDITION_REQUIRED" 400 InvalidArgument "The role is offered under several conditions and the body chooses none.";
    ResourceConditionNotOffered "RESOURCE_CONDITION_NOT_OFFERED" 403 PermissionDenied "The role is offered, and not under this condition.";
    ReceiverNotAllowed "RECEIVER_NOT_ALLOWED" 403 PermissionDenied "The receiver is somebody else than the requester.";
    OutOfScope "OUT_OF_SCOPE" 403 PermissionDenied "The resource lies outside of what is managed here.";
    ProtectedResource "PROTECTED_RESOURCE" 403 PermissionDenied "The resource holds the access system itself, or the role would reach it from above.";
    JustificationNotAccepted "JUSTIFICATION_NOT_ACCEPTED" 400 InvalidArgument "The justification does not match the configured pattern.";
    DurationOutOfBounds "DURATION_OUT_OF_BOUNDS" 400 InvalidArgument "Shorter than a minute, or longer than the maximum.";
    StartOutOfBounds "START_OUT_OF_BOUNDS" 400 InvalidArgument "In the past, or too far ahead.";
    RolesOutOfBounds "ROLES_OUT_OF_BOUNDS" 400 InvalidArgument "No role, too many, or one twice.";
    ResourceNamesNotAllowed "RESOURCE_NAMES_NOT_ALLOWED" 400 InvalidArgument "More names than fit, or a name that no condition can carry.";
    BreakGlassNotOffered "BREAK_GLASS_NOT_OFFERED" 400 InvalidArgument "No break-glass rule is configured.";
    UnknownRole "UNKNOWN_ROLE" 403 PermissionDenied "IAM does not know the role.";
    RoleChanged "ROLE_CHANGED" 409 Aborted "The role's permissions changed meanwhile.";
    RoleNotGrantableHere "ROLE_NOT_GRANTABLE_HERE" 400 InvalidArgument "The role is a custom one of another project or organisation.";
    DangerousRole "DANGEROUS_ROLE" 403 PermissionDenied "The role lets its holder make itself more powerful, and such roles are refused here.";
    NotEligible "NOT_ELIGIBLE" 403 PermissionDenied "No eligible binding offers the role to the caller.";
    ActivationsMixed "ACTIVATIONS_MIXED" 400 InvalidArgument "Some of the roles need a peer's approval and some do not.";
    ApproversNotAllowed "APPROVERS_NOT_ALLOWED" 400 InvalidArgument "Approvers are chosen where none is needed, too few or too many, one twice, the caller, or one who may not approve.";

    NotTheRequester "NOT_THE_REQUESTER" 403 PermissionDenied "Only the requester can withdraw a request.";
    NotAnOperator "NOT_AN_OPERATOR" 403 PermissionDenied "Only operators, and those whose approval counted, can do this.";
    SelfApproval "SELF_APPROVAL" 403 PermissionDenied "Nobody decides about a request of their own, or for themselves.";
    NotAPeer "NOT_A_PEER" 403 PermissionDenied "Only those who hold the same eligible role can decide.";
    NotChosen "NOT_CHOSEN" 403 PermissionDenied "The requester chose approvers, and the caller is none of them.";
    DigestMismatch "DIGEST_MISMATCH" 409 Aborted "The digest is not the one of the request as it stands.";
    NotAwaitingApproval "NOT_AWAITING_APPROVAL" 409 FailedPrecondition "The request does not wait for an approval: it was not judged yet, needs none, or has it.";
    NotAnAuditor "NOT_AN_AUDITOR" 403 PermissionDenied "Only auditors and operators see other people's requests.";
    AlreadyOver "ALREADY_OVER" 409 FailedPrecondition "The access is over already.";
    Unverified "UNVERIFIED" 409 FailedPrecondition "The stored request cannot be verified.";

    TooManyNew "TOO_MANY_NEW" 429 ResourceExhausted "The caller filed ten requests within ten minutes.";
    TooManyOpen "TOO_MANY_OPEN" 429 ResourceExhausted "The caller has ten open requests for this entitlement.";
    TooManyActs "TOO_MANY_ACTS" 429 ResourceExhausted "The request holds as many acts as it can.";
    TooManyAttempts "TOO_MANY_ATTEMPTS" 429 ResourceExhausted "The caller sends changes too fast.";
    Overloaded "OVERLOADED" 429 ResourceExhausted "More requests are in flight than can be served.";
    LookUpFailed "LOOK_UP_FAILED" 503 Unavailable "Something that the answer needs cannot be read at the moment.";
    ListNotReady "LIST_NOT_READY" 503 Unavailable "What may be asked for is being read for the first time since the start.";
    StoreUnavailable "STORE_UNAVAILABLE" 503 Unavailable "The store cannot be reached at the moment.";
    SigningUnavailable "SIGNING_UNAVAILABLE" 503 Unavailable "The act cannot be signed at the moment.";
    Internal "INTERNAL" 500 Internal "A fault of the service.";
}

impl From<Objection> for Reason {
    fn from(objection: Objection) -> Self {
        match objection {
            Objection::ReceiverNotAllowed => Self::ReceiverNotAllowed,
            Objection::OutOfScope => Self::OutOfScope,
            Objection::ProtectedResource => Self::ProtectedResource,
            Objection::DurationOutOfBounds => Self::DurationOutOfBounds,
            Objection::StartOutOfBounds => Self::StartOutOfBounds,
            Objection::RolesOutOfBounds => Self::RolesOutOfBounds,
            Objection::ResourceNamesNotAllowed => Self::ResourceNamesNotAllowed,
            Objection::BreakGlassNotOffered => Self::BreakGlassNotOffered,
            Objection::UnknownRole => Self::UnknownRole,
            Objection::RoleChanged => Self::RoleChanged,
            Objection::RoleNotGrantableHere => Self::RoleNotGrantableHere,
            Objection::DangerousRole => Self::DangerousRole,
            Objection::NotEligible => Self::NotEligible,
            Objection::ActivationsMixed => Self::ActivationsMixed,
            Objection::ApproversNotAllowed => Self::ApproversNotAllowed,
        }
    }
}

/// One refusal, ready to be sent as JSON or shown on a page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// Why.
    pub reason: Reason,
    /// What is wrong and what to do next; never an internal name.
    pub message: String,
    /// The field of the body, the parameter or the header that it is about.
    pub field: Option<String>,
    /// Further facts for programs.
    pub metadata: BTreeMap<String, String>,
    /// When to try again.
    pub retry_after: Option<Duration>,
}

impl Refusal {
    /// A refusal that is about no field.
    pub fn new(reason: Reason, message: impl Into<String>) -> Self {
        Self {
            reason,
            message: message.into(),
            field: None,
            metadata: BTreeMap::new(),
            retry_after: None,
        }
    }

    /// A refusal of one field.
    pub fn field(reason: Reason, field: impl Into<String>, message: impl AsRef<str>) -> Self {
        let field = field.into();
        let message = format!("`{field}` {}", message.as_ref());
        Self { field: Some(field), ..Self::new(reason, message) }
    }

    pub(crate) fn after(mut self, wait: Duration) -> Self {
        self.retry_after = Some(wait);
        self
    }

    pub(crate) fn with(mut self, key: &str, value: impl Into<String>) -> Self {
        self.metadata.insert(key.to_owned(), value.into());
        self
    }

    pub(crate) fn not_found() -> Self {
        Self::new(
            Reason::NotFound,
            "There is no such request, or you may not see it: `GET /v1/requests` lists yours.",
        )
    }

    pub(crate) fn no_entitlement() -> Self {
        let message = "There is no such entitlement of yours: `GET /v1/entitlements` lists them.";
        Self::new(Reason::EntitlementUnknown, message)
    }

    pub(crate) fn look_up(error: &PortError) -> Self {
        let message = "Something that the answer rests on cannot be read at the moment: try again in a few seconds.";
        Self::failed(Reason::LookUpFailed, message, error)
    }

    pub(crate) fn store(error: &PortError) -> Self {
        let message = "The store cannot be reached at the moment: try again in a few seconds. \
                       With the header `Idempotency-Key` a request is filed at most once.";
        Self::failed(Reason::StoreUnavailable, message, error)
    }

    pub(crate) fn signing(error: &PortError) -> Self {
        let message = "Nothing can be signed at the moment, and nothing was recorded: try again in a few seconds.";
        Self::failed(Reason::SigningUnavailable, message, error)
    }

    /// The cause goes to the log, never to the caller.
    fn failed(reason: Reason, message: &str, error: &PortError) -> Self {
        tracing::warn!(
            reason = reason.as_str(),
            class = error.class.as_str(),
            error = error.chain(),
            "a port failed"
        );
        let wait = match error.class {
            RetryClass::RateLimited(Some(wait)) => wait.max(Duration::from_secs(1)),
            RetryClass::RateLimited(None)
            | RetryClass::Conflict
            | RetryClass::AlreadyExists
            | RetryClass::NotFound
            | RetryClass::Denied
            | RetryClass::Invalid
            | RetryClass::Unavailable => RETRY_AFTER,
        };
        Self::new(reason, message).after(wait)
    }

    fn to_wire(&self) -> v1::ErrorReply {
        let detail = v1::ErrorDetail {
            reason: self.reason.as_str().into(),
            field: self.field.clone(),
            domain: DOMAIN.into(),
            metadata: self.metadata.clone().into_iter().collect(),
        };
        v1::ErrorReply {
            error: Some(v1::ErrorBody {
                code: self.reason.http().as_u16().into(),
                status: self.reason.code().as_str().into(),
                message: self.message.clone(),
                details: vec![detail],
            }),
        }
    }

    /// Puts status, headers and itself on a reply, so that a page can be made of it further out.
    pub(crate) fn mark(self, mut response: Response) -> Response {
        *response.status_mut() = self.reason.http();
        if let Some(wait) = self.retry_after {
            // Whole seconds, rounded up: earlier would be too early.
            let seconds = wait.as_secs().saturating_add(u64::from(wait.subsec_nanos() > 0));
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response.extensions_mut().insert(self);
        response
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let response = Json(json::to_json(&self.to_wire())).into_response();
        self.mark(response)
    }
}

impl From<Ineligible> for Refusal {
    fn from(why: Ineligible) -> Self {
        Self {
            field: Some(why.field.into()),
            ..Self::new(why.reason.into(), sentence(&why.message))
        }
    }
}

impl From<JsonError> for Refusal {
    fn from(error: JsonError) -> Self {
        if error.field.is_empty() {
            return Self::new(
                Reason::BodyMalformed,
                format!("The body cannot be read: {}. Send one JSON object.", error.message),
            );
        }
        let message = format!("{}.", error.message.trim_end_matches('.'));
        Self::field(Reason::FieldInvalid, error.field, message)
    }
}

/// The longest piece of a caller's own text that is repeated to them.
const ECHO_LENGTH_MAX: usize = 200;

/// A caller's text, short enough to be repeated.
pub(crate) fn clipped(text: &str) -> Cow<'_, str> {
    match text.char_indices().nth(ECHO_LENGTH_MAX) {
        Some((at, _)) => format!("{}…", text.get(..at).unwrap_or_default()).into(),
        None => text.into(),
    }
}

fn sentence(text: &str) -> String {
    let mut characters = text.chars();
    let first = characters.next().map(|first| first.to_ascii_uppercase());
    first.into_iter().chain(characters).chain(['.']).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_of_reasons_is_the_documented_one() {
        let rows = Reason::ALL.iter().map(|reason| {
            let (name, http, code, meaning) =
                (reason.as_str(), reason.http().as_u16(), reason.code().as_str(), reason.meaning());
            format!("| `{name}` | {http} | `{code}` | {meaning} |\n")
        });
        let table: String = rows.collect();
        let documented = include_str!("../ERRORS.md");
        let (_, documented) = documented.split_once("|---|---|---|---|\n").unwrap();
        assert_eq!(documented, table);
    }

    #[test]
    fn every_objection_keeps_its_name() {
        for objection in Objection::ALL {
            assert_eq!(Reason::from(objection).as_str(), objection.as_str());
        }
    }

    #[test]
    fn names_are_unique_and_only_outages_are_server_errors() {
        let names: std::collections::BTreeSet<_> =
            Reason::ALL.iter().map(|reason| reason.as_str()).collect();
        assert_eq!(names.len(), Reason::ALL.len());
        for reason in Reason::ALL.iter().filter(|reason| reason.http().is_server_error()) {
            assert!(matches!(reason.code(), Code::Unavailable | Code::Internal), "{reason:?}");
        }
    }

    #[test]
    fn waits_are_rounded_up_to_seconds() {
        let response = Refusal::new(Reason::TooManyNew, "x")
            .after(Duration::from_millis(1_200))
            .into_response();
        assert_eq!(response.headers()[header::RETRY_AFTER], "2");
    }
}
