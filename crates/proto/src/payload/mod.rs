//! What is signed and macced: RFC 8785 texts of the messages in `payload.proto`.
//!
//! Reading is strict: a text that is accepted is, byte for byte, what writing its value gives. So two readers can
//! never take one text for two things, and whatever a value holds was in the signed bytes.

use chrono::TimeDelta;
use prost_reflect::ReflectMessage;
use serde_json::Value;

mod entry;
mod fact;
mod spec;
mod time;

pub use entry::{EntryPayload, entry, read_entry};
pub use fact::{fact, read_fact};
pub use spec::{SPEC_TYPE, SpecPayload, read_spec, spec};
pub use time::{read_timestamp, timestamp};

use crate::json;

/// The version of the payloads that this program writes, and the newest that it reads.
pub const SCHEMA: i32 = 1;

/// The longest payload that is looked at. A document holds 1 MiB, and a request needs room for its entries.
pub const PAYLOAD_BYTES_MAX: usize = 256 * 1024;

/// The longest ticket, in characters.
pub const TICKET_LENGTH_MAX: usize = 100;

/// Why a text is no payload of the wanted kind.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PayloadError {
    /// Not exactly what its type requires.
    #[error("malformed payload: {0}")]
    Malformed(String),
    /// Of a newer schema than [`SCHEMA`].
    #[error("the payload's schema is newer than {SCHEMA}")]
    UnsupportedVersion,
    /// Of another type than was asked for.
    #[error("the payload is of another type")]
    OtherType,
}

/// The RFC 8785 text of a JSON value.
pub fn canonical(value: &Value) -> String {
    // A `Value` holds finite numbers and string keys only, so nothing can fail; the empty text would verify nowhere.
    serde_json_canonicalizer::to_string(value).unwrap_or_default()
}

fn text<M: ReflectMessage>(message: &M) -> String {
    canonical(&json::to_json(message))
}

fn malformed(field: &str, message: impl std::fmt::Display) -> PayloadError {
    PayloadError::Malformed(format!("{field}: {message}"))
}

/// A field's value, or an error that names the field.
fn parsed<T, E: std::fmt::Display>(field: &str, value: Result<T, E>) -> Result<T, PayloadError> {
    value.map_err(|error| malformed(field, error))
}

fn required<T>(field: &str, value: Option<T>) -> Result<T, PayloadError> {
    value.ok_or_else(|| malformed(field, "is missing"))
}

/// Reads one field of a list, item by item.
fn each<T, E: std::fmt::Display>(
    field: &str,
    texts: &[String],
    parse: impl Fn(&str) -> Result<T, E>,
) -> Result<Vec<T>, PayloadError> {
    texts.iter().map(|text| parsed(field, parse(text))).collect()
}

/// Parses a text that may be any payload, without a look at what it says.
fn open(payload: &str) -> Result<Value, PayloadError> {
    if payload.len() > PAYLOAD_BYTES_MAX {
        return Err(PayloadError::Malformed(format!("longer than {PAYLOAD_BYTES_MAX} bytes")));
    }
    let value = json::parse(payload.as_bytes())
        .map_err(|error| PayloadError::Malformed(error.to_string()))?;
    if value.is_object() {
        Ok(value)
    } else {
        Err(PayloadError::Malformed("must be an object".into()))
    }
}

/// Opens the payload of an envelope and says its type. The version comes first: what else a newer one holds is not
/// ours to judge.
fn open_envelope(payload: &str) -> Result<(Value, String), PayloadError> {
    let value = open(payload)?;
    let schema = required("schema", value.get("schema"))?;
    if schema.as_u64().is_some_and(|schema| schema > SCHEMA.unsigned_abs().into()) {
        return Err(PayloadError::UnsupportedVersion);
    }
    if schema.as_i64() != Some(SCHEMA.into()) {
        return Err(malformed("schema", "must be a positive integer"));
    }
    let kind = required("type", value.get("type").and_then(Value::as_str))?.to_owned();
    Ok((value, kind))
}

fn message<M: ReflectMessage + Default>(value: &Value) -> Result<M, PayloadError> {
    json::from_value(value).map_err(|error| PayloadError::Malformed(error.to_string()))
}

/// Refuses a text that is not the one that its value is written as.
fn same_text(payload: &str, written: &str) -> Result<(), PayloadError> {
    if payload == written {
        Ok(())
    } else {
        Err(PayloadError::Malformed("differs from the canonical text of what it says".into()))
    }
}

/// Whole seconds as int32. What does not fit cannot come from a verified document or a checked body.
fn seconds(duration: TimeDelta) -> i32 {
    i32::try_from(duration.num_seconds()).unwrap_or(i32::MAX)
}

fn read_seconds(seconds: i32) -> Result<TimeDelta, PayloadError> {
    if seconds > 0 {
        Ok(TimeDelta::seconds(seconds.into()))
    } else {
        Err(malformed("durationSeconds", "must be at least 1"))
    }
}

#[cfg(test)]
pub(crate) mod tests;
