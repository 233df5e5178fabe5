//! The one text form of a time in payloads and facts.

use chrono::{DateTime, Utc};

use super::{PayloadError, malformed};

/// `YYYY-MM-DDTHH:MM:SS.ssssssZ`, cut to microseconds.
pub fn timestamp(at: DateTime<Utc>) -> String {
    at.format("%Y-%m-%dT%H:%M:%S%.6fZ").to_string()
}

/// Reads exactly what [`timestamp`] writes of the years 0 to 9999; a leap second is none.
pub fn read_timestamp(text: &str) -> Option<DateTime<Utc>> {
    let at = DateTime::parse_from_rfc3339(text).ok()?.to_utc();
    let plain = at.timestamp_subsec_nanos() < 1_000_000_000;
    (plain && timestamp(at) == text).then_some(at)
}

pub(super) fn read(field: &str, text: &str) -> Result<DateTime<Utc>, PayloadError> {
    read_timestamp(text)
        .ok_or_else(|| malformed(field, "must be a time YYYY-MM-DDTHH:MM:SS.ssssssZ"))
}

pub(super) fn read_optional(
    field: &str,
    text: Option<&String>,
) -> Result<Option<DateTime<Utc>>, PayloadError> {
    text.map(|text| read(field, text)).transpose()
}
