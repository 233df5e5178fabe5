//! Envelopes: a payload, the id of the key that signed it, and the signature over `curfew/v1/<type>\n` + payload.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, Utc};
use curfew_core::request::Rejection;
use curfew_ports::StoredEnvelope;
use curfew_proto::payload::PAYLOAD_BYTES_MAX;
use serde::Deserialize;

use crate::keys::{KeyConfig, KeySet};

/// The longest name of an envelope type.
const KIND_LENGTH_MAX: usize = 32;

/// An envelope whose signature and key were checked, and nothing else yet.
pub(crate) struct Opened<'a> {
    /// The key that signed.
    pub(crate) key: &'a KeyConfig,
    /// The type under which it signed.
    pub(crate) kind: String,
}

/// What a signature is made over.
pub(crate) fn signed_bytes(kind: &str, payload: &str) -> Vec<u8> {
    ["curfew/v1/", kind, "\n", payload].concat().into_bytes()
}

/// Checks size, key, signature and window, in this order; `at` is when the envelope was created or seen.
///
/// One thing is read of bytes that are not yet known to be signed: the type, since the signature is made over it.
/// Trying every known type would read nothing, but an entry of a type that only a newer version knows would then be
/// a forgery instead of [`Rejection::UnsupportedVersion`], and each forged entry would cost five verifications. What
/// is read only chooses the prefix: it has the grammar of a name, so the bytes under the signature are exactly one
/// type and one payload, and the full parse that follows the signature must find the same type again.
pub(crate) fn open<'a>(
    keys: &'a KeySet,
    envelope: &StoredEnvelope,
    at: DateTime<Utc>,
) -> Result<Opened<'a>, Rejection> {
    if envelope.payload.len() > PAYLOAD_BYTES_MAX {
        return Err(Rejection::Malformed);
    }
    let key = keys.get(&envelope.key_id).ok_or(Rejection::UnknownKey)?;
    let kind = named_kind(&envelope.payload).ok_or(Rejection::Malformed)?;
    let signature = decode_signature(&envelope.signature).ok_or(Rejection::BadSignature)?;
    if !key.public_key.verifies(&signed_bytes(&kind, &envelope.payload), &signature) {
        return Err(Rejection::BadSignature);
    }
    if !key.counts_at(at) {
        return Err(Rejection::KeyOutOfWindow);
    }
    Ok(Opened { key, kind })
}

/// base64url without padding, one text for each signature: padding and stray trailing bits are refused.
fn decode_signature(text: &str) -> Option<Vec<u8>> {
    let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
    (URL_SAFE_NO_PAD.encode(&bytes) == text).then_some(bytes)
}

/// The one top-level `type` of a JSON object, if it has the grammar of a name. Everything else is skipped, without
/// recursion and without being kept.
fn named_kind(payload: &str) -> Option<String> {
    #[derive(Deserialize)]
    struct Head<'a> {
        #[serde(rename = "type", borrow)]
        kind: Cow<'a, str>,
    }
    // A struct is also read from an array, which no payload is.
    let head: Head<'_> = payload.starts_with('{').then(|| serde_json::from_str(payload).ok())??;
    let is_name = |byte: u8| byte.is_ascii_alphabetic() || byte == b'_';
    let valid = (1..=KIND_LENGTH_MAX).contains(&head.kind.len()) && head.kind.bytes().all(is_name);
    valid.then(|| head.kind.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_type_is_read_from_the_top_level_only_and_once() {
        assert_eq!(
            named_kind(r#"{"a":{"type":"spec"},"type":"REVOKE"}"#).as_deref(),
            Some("REVOKE")
        );
        for payload in [
            "",
            "null",
            "\"spec\"",
            r#"["spec"]"#,
            "{}",
            r#"{"type":1}"#,
            r#"{"type":""}"#,
            r#"{"type":"spec\n"}"#,
            r#"{"type":"spec","type":"spec"}"#,
            r#"{"type":"spec"} {}"#,
            r#"{"type":"spec""#,
            r#"{"a":{"type":"spec"}}"#,
        ] {
            assert_eq!(named_kind(payload), None, "{payload}");
        }
    }

    #[test]
    fn deep_nesting_exhausts_no_stack() {
        let deep =
            format!(r#"{{"a":{}1{},"type":"spec"}}"#, "[".repeat(60_000), "]".repeat(60_000));
        // Either answer is fine; returning is the point.
        let _kind = named_kind(&deep);
    }

    #[test]
    fn a_signature_has_one_spelling() {
        let text = URL_SAFE_NO_PAD.encode([0xfb; 64]);
        assert!(decode_signature(&text).is_some());
        let stray_bits = format!("{}x", &text[..text.len() - 1]);
        for other in [format!("{text}=="), text.replace('-', "+"), format!(" {text}"), stray_bits] {
            assert_eq!(decode_signature(&other), None, "{other}");
        }
    }
}
