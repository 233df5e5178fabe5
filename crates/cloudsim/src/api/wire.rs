//! Fields of Google's JSON that are more than they look: bytes, 64-bit integers, durations and the
//! checksums of KMS and Secret Manager.

use base64::Engine;
use base64::alphabet::{STANDARD, URL_SAFE};
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use serde::de::{DeserializeOwned, Error};
use serde::{Deserialize, Deserializer};
use serde_json::{Value, json};

use crate::error::ApiError;

/// Proto3 JSON accepts both alphabets, with and without padding,
/// <https://protobuf.dev/programming-guides/json/>.
const LENIENT: GeneralPurposeConfig =
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);

/// A field of type `bytes`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Bytes(pub(crate) Vec<u8>);

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        decode(&text).map(Self).ok_or_else(|| D::Error::custom("Base64 decoding failed"))
    }
}

/// A field of type `int64`: a string in what Google sends, a string or a number in what it accepts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Int64(i64);

impl<'de> Deserialize<'de> for Int64 {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Sent {
            Number(i64),
            Text(String),
        }
        match Sent::deserialize(deserializer)? {
            Sent::Number(number) => Ok(Self(number)),
            Sent::Text(text) => text.parse().map(Self).map_err(D::Error::custom),
        }
    }
}

/// A field of type `google.protobuf.Duration` in whole seconds, such as `86400s`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Seconds(pub(crate) i64);

impl<'de> Deserialize<'de> for Seconds {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let seconds = text.strip_suffix('s').and_then(|number| number.parse().ok());
        seconds.map(Self).ok_or_else(|| D::Error::custom("a duration is whole seconds, as \"60s\""))
    }
}

/// Reads a request's body; an empty one is the empty message.
///
/// # Errors
/// 400 that names the field.
pub(crate) fn body<T: DeserializeOwned>(body: &[u8]) -> Result<T, ApiError> {
    let body = if body.is_empty() { b"{}" } else { body };
    let mut json = serde_json::Deserializer::from_slice(body);
    let message: T = serde_path_to_error::deserialize(&mut json).map_err(|error| {
        let place = match error.path().to_string() {
            path if path == "." => String::new(),
            path => format!(" at '{path}'"),
        };
        ApiError::invalid(format!("Invalid JSON payload received{place}: {}", error.inner()))
    })?;
    json.end()
        .map_err(|error| ApiError::invalid(format!("Invalid JSON payload received: {error}")))?;
    Ok(message)
}

/// The checksum as Google answers it.
pub(crate) fn checksum(data: &[u8]) -> Value {
    json!(crc32c::crc32c(data).to_string())
}

/// Whether the caller sent a checksum of the field.
///
/// # Errors
/// 400 for a checksum that is not the data's.
pub(crate) fn verified(field: &str, data: &[u8], sent: Option<Int64>) -> Result<bool, ApiError> {
    match sent {
        None => Ok(false),
        Some(Int64(sent)) if sent == i64::from(crc32c::crc32c(data)) => Ok(true),
        Some(_) => Err(ApiError::invalid(format!(
            "The checksum in field {field}_crc32c did not match the data in field {field}."
        ))),
    }
}

fn decode(text: &str) -> Option<Vec<u8>> {
    let alphabet = if text.contains(['-', '_']) { &URL_SAFE } else { &STANDARD };
    GeneralPurpose::new(alphabet, LENIENT).decode(text).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_read_in_both_alphabets_with_and_without_padding() {
        for text in [r#""++8=""#, r#""++8""#, r#""--8=""#, r#""--8""#] {
            assert_eq!(serde_json::from_str::<Bytes>(text).unwrap().0, [0xfb, 0xef], "{text}");
        }
        assert!(serde_json::from_str::<Bytes>(r#""+-8""#).is_err());
        assert!(serde_json::from_str::<Bytes>(r#""a""#).is_err());
    }

    #[test]
    fn integers_are_read_from_strings_and_numbers() {
        assert_eq!(serde_json::from_str::<Int64>("7").unwrap(), Int64(7));
        assert_eq!(serde_json::from_str::<Int64>(r#""-7""#).unwrap(), Int64(-7));
        for wrong in [r#""7.5""#, "7.5", r#""""#, "true"] {
            assert!(serde_json::from_str::<Int64>(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn the_checksum_is_castagnolis() {
        // The check value of CRC-32C, RFC 3720 appendix B.4.
        assert_eq!(checksum(&[0; 32]), json!(0x8a91_36aa_u32.to_string()));
        assert!(verified("data", &[0; 32], Some(Int64(0x8a91_36aa))).unwrap());
        assert!(!verified("data", &[0; 32], None).unwrap());
        assert_eq!(verified("data", b"", Some(Int64(1))).unwrap_err().code(), 400);
    }

    #[test]
    fn a_body_that_cannot_be_read_names_the_field() {
        #[derive(Debug, Deserialize)]
        struct Message {
            #[expect(dead_code, reason = "only the error matters")]
            wait: Seconds,
        }
        let error = body::<Message>(br#"{"wait": "1h"}"#).unwrap_err().to_string();
        assert!(error.contains("at 'wait'"), "{error}");
        assert!(body::<Message>(br#"{"wait": "1s"} {}"#).is_err());
    }
}
