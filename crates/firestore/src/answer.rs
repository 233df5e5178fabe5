//! What the server's answers mean.

use std::time::Duration;

use chrono::{DateTime, Utc};
use curfew_ports::{Committed, PortError, RetryClass, Version};
use gcloud_sdk::google::firestore::v1::CommitResponse;
use gcloud_sdk::google::rpc;
use gcloud_sdk::prost::Message;
use gcloud_sdk::prost_types::Timestamp;
use tonic::{Code, Status};

/// The class of an answer to a call that is not conditional on a version.
pub(crate) fn class_of(status: &Status) -> RetryClass {
    match status.code() {
        Code::AlreadyExists => RetryClass::AlreadyExists,
        Code::NotFound => RetryClass::NotFound,
        Code::PermissionDenied | Code::Unauthenticated => RetryClass::Denied,
        // For a query this is a missing index, which no repetition creates.
        Code::FailedPrecondition
        | Code::InvalidArgument
        | Code::OutOfRange
        | Code::Unimplemented => RetryClass::Invalid,
        Code::ResourceExhausted => RetryClass::RateLimited(retry_delay(status)),
        // A broken connection arrives as UNKNOWN or INTERNAL.
        Code::Aborted
        | Code::Unavailable
        | Code::DeadlineExceeded
        | Code::Cancelled
        | Code::Unknown
        | Code::Internal
        | Code::DataLoss
        | Code::Ok => RetryClass::Unavailable,
    }
}

/// The class of an answer to a write that is conditional on a version.
pub(crate) fn class_of_conditional(status: &Status) -> RetryClass {
    let is_stale =
        matches!(status.code(), Code::FailedPrecondition | Code::Aborted | Code::NotFound);
    if is_stale { RetryClass::Conflict } else { class_of(status) }
}

/// Whether the call may have taken effect although it failed.
pub(crate) fn is_unknown_outcome(status: &Status) -> bool {
    class_of(status) == RetryClass::Unavailable && status.code() != Code::Aborted
}

/// Whether the same call may succeed if it is made again at once. Plain writes can be ABORTED
/// too, by the locks of somebody's transaction.
pub(crate) fn is_transient(status: &Status) -> bool {
    class_of(status) == RetryClass::Unavailable
}

/// The error of a failed call.
pub(crate) fn error(class: RetryClass, act: &str, status: &Status) -> PortError {
    let text = format!("{act}: {:?}: {}", status.code(), status.message());
    PortError { class, act: text, source: source_of(status) }
}

/// The cause below a status, if the failure is our side of the connection's.
fn source_of(status: &Status) -> Option<Box<dyn std::error::Error + Send + Sync>> {
    let mut cause = std::error::Error::source(status)?;
    let mut text = cause.to_string();
    while let Some(next) = cause.source() {
        text.push_str(": ");
        text.push_str(&next.to_string());
        cause = next;
    }
    Some(text.into())
}

/// How long the answer asks to wait: `google.rpc.RetryInfo` in the details
/// (<https://google.aip.dev/194>).
fn retry_delay(status: &Status) -> Option<Duration> {
    let details = rpc::Status::decode(status.details()).ok()?.details;
    let info = details.iter().find(|any| any.type_url.ends_with("/google.rpc.RetryInfo"))?;
    let delay = rpc::RetryInfo::decode(info.value.as_slice()).ok()?.retry_delay?;
    Duration::try_from(delay).ok()
}

/// The answer to a commit of one write.
pub(crate) fn committed(response: &CommitResponse) -> Option<Committed> {
    let at = time(response.commit_time.as_ref()?)?;
    let written = response.write_results.first().and_then(|result| result.update_time.as_ref());
    // Without an update time of its own the write changed nothing; it is as old as the commit at most.
    let version = written.or(response.commit_time.as_ref()).and_then(version)?;
    Some(Committed { version, at })
}

/// A timestamp as a version.
pub(crate) fn version(timestamp: &Timestamp) -> Option<Version> {
    time(timestamp).map(|time| Version(time.timestamp_micros()))
}

/// A version as the timestamp that it was read from.
pub(crate) fn version_timestamp(version: Version) -> Timestamp {
    Timestamp {
        seconds: version.0.div_euclid(1_000_000),
        nanos: i32::try_from(version.0.rem_euclid(1_000_000) * 1_000).unwrap_or_default(),
    }
}

/// A timestamp as a time, cut to microseconds as Firestore stores it.
pub(crate) fn time(timestamp: &Timestamp) -> Option<DateTime<Utc>> {
    let nanos = u32::try_from(timestamp.nanos).ok()?;
    DateTime::from_timestamp(timestamp.seconds, nanos - nanos % 1_000)
}

/// A time as a timestamp.
pub(crate) fn timestamp(time: DateTime<Utc>) -> Timestamp {
    version_timestamp(Version(time.timestamp_micros()))
}

#[cfg(test)]
mod tests {
    use gcloud_sdk::prost_types::{Any, Duration as WireDuration};

    use super::*;

    #[test]
    fn a_lost_race_is_a_conflict_only_where_a_version_was_given() {
        for code in [Code::FailedPrecondition, Code::Aborted, Code::NotFound] {
            let status = Status::new(code, "");
            assert_eq!(class_of_conditional(&status), RetryClass::Conflict);
            assert_ne!(class_of(&status), RetryClass::Conflict);
        }
    }

    #[test]
    fn every_code_has_its_class() {
        let classes = [
            (Code::AlreadyExists, RetryClass::AlreadyExists),
            (Code::NotFound, RetryClass::NotFound),
            (Code::PermissionDenied, RetryClass::Denied),
            (Code::Unauthenticated, RetryClass::Denied),
            (Code::InvalidArgument, RetryClass::Invalid),
            (Code::FailedPrecondition, RetryClass::Invalid),
            (Code::ResourceExhausted, RetryClass::RateLimited(None)),
            (Code::Unavailable, RetryClass::Unavailable),
            (Code::DeadlineExceeded, RetryClass::Unavailable),
            (Code::Cancelled, RetryClass::Unavailable),
            (Code::Unknown, RetryClass::Unavailable),
        ];
        for (code, class) in classes {
            assert_eq!(class_of(&Status::new(code, "")), class, "{code:?}");
        }
    }

    #[test]
    fn an_aborted_write_is_known_not_to_have_happened() {
        assert!(!is_unknown_outcome(&Status::aborted("")));
        assert!(is_transient(&Status::aborted("")));
        assert!(is_unknown_outcome(&Status::deadline_exceeded("")));
        assert!(!is_transient(&Status::resource_exhausted("")));
    }

    #[test]
    fn the_wait_that_a_quota_answer_names_is_passed_on() {
        let info = rpc::RetryInfo { retry_delay: Some(WireDuration { seconds: 3, nanos: 0 }) };
        let any = Any {
            type_url: "type.googleapis.com/google.rpc.RetryInfo".into(),
            value: info.encode_to_vec(),
        };
        let details = rpc::Status { code: 8, message: String::new(), details: vec![any] };
        let status =
            Status::with_details(Code::ResourceExhausted, "", details.encode_to_vec().into());
        assert_eq!(class_of(&status), RetryClass::RateLimited(Some(Duration::from_secs(3))));
        let garbage = Status::with_details(Code::ResourceExhausted, "", vec![0xff].into());
        assert_eq!(class_of(&garbage), RetryClass::RateLimited(None));
    }

    #[test]
    fn versions_survive_the_way_there_and_back() {
        for micros in [0, 1, -1, 1_795_332_569_591_892] {
            assert_eq!(version(&version_timestamp(Version(micros))), Some(Version(micros)));
        }
        assert_eq!(version(&Timestamp { seconds: i64::MAX, nanos: 0 }), None);
        assert_eq!(version(&Timestamp { seconds: 0, nanos: -1 }), None);
    }
}
