//! Identifiers, digests and tags: validated once, here, and never again.

use std::fmt;

use sha2::{Digest as _, Sha256};

/// Crockford's base32 alphabet in lower case: no `i`, `l`, `o`, `u`
/// (<https://www.crockford.com/base32.html>).
const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";

/// Length of an identifier: 128 bits in groups of five.
pub const ID_LENGTH: usize = 26;

/// The longest installation name: with the id it must leave an IAM condition title (100 bytes) room.
pub const INSTALLATION_LENGTH_MAX: usize = 31;

/// Why a text is no identifier of the wanted kind.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct IdError(&'static str);

/// Writes 128 bits in the id alphabet, most significant group first.
pub fn encode_id(bits: [u8; 16]) -> String {
    let mut value = u128::from_be_bytes(bits);
    let mut text = [b'0'; ID_LENGTH];
    for slot in text.iter_mut().rev() {
        let group = usize::try_from(value & 31).unwrap_or_default();
        *slot = ALPHABET.get(group).copied().unwrap_or(b'0');
        value >>= 5;
    }
    text.iter().copied().map(char::from).collect()
}

/// SHA-256 over the parts, in order, as they stand.
pub fn sha256(parts: &[&[u8]]) -> [u8; 32] {
    let mut hasher = Sha256::new();
    for part in parts {
        hasher.update(part);
    }
    hasher.finalize().into()
}

/// The first 128 bits of a SHA-256, in the id alphabet.
pub fn hashed_id(parts: &[&[u8]]) -> String {
    let mut bits = [0; 16];
    for (slot, byte) in bits.iter_mut().zip(sha256(parts)) {
        *slot = byte;
    }
    encode_id(bits)
}

fn is_id(text: &str) -> bool {
    text.len() == ID_LENGTH && text.bytes().all(|byte| ALPHABET.contains(&byte))
}

macro_rules! id_type {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(String);

        impl $name {
            /// Accepts exactly `^[0-9a-hjkmnp-tv-z]{26}$`.
            pub fn parse(text: &str) -> Result<Self, IdError> {
                if is_id(text) {
                    Ok(Self(text.to_owned()))
                } else {
                    Err(IdError("must be 26 characters of 0-9 and a-z without i, l, o, u"))
                }
            }

            /// From 128 bits, as a random source gives them.
            pub fn from_bits(bits: [u8; 16]) -> Self {
                Self(encode_id(bits))
            }

            /// The text form.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

id_type! {
    /// Names one access request; the id of its document.
    RequestId
}
id_type! {
    /// Names one envelope; an entry's key in its document, so that a nonce counts once.
    Nonce
}
id_type! {
    /// Names one attempt to write a policy; sent along as the request reason.
    WriteId
}
id_type! {
    /// Names one run of one controller process.
    ReplicaId
}

impl RequestId {
    /// The id that a caller's idempotency key stands for: the same caller and key name the same request.
    pub fn idempotent(subject: &str, key: &str) -> Self {
        Self(hashed_id(&[b"curfew/v1/id\n", subject.as_bytes(), b"\n", key.as_bytes()]))
    }
}

/// A SHA-256 as 64 lower-case hexadecimal digits.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest(String);

impl Digest {
    /// The digest of these bytes.
    pub fn of(bytes: &[u8]) -> Self {
        Self::from_bytes(sha256(&[bytes]))
    }

    /// From the 32 bytes of a SHA-256.
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(hex(&bytes))
    }

    /// Accepts exactly 64 lower-case hexadecimal digits.
    pub fn parse(text: &str) -> Result<Self, IdError> {
        let digits = text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
        if text.len() == 64 && digits {
            Ok(Self(text.to_owned()))
        } else {
            Err(IdError("must be 64 lower-case hexadecimal digits"))
        }
    }

    /// The text form.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The first 16 digits, as a binding's description carries them.
    pub fn prefix(&self) -> &str {
        self.0.get(..16).unwrap_or(&self.0)
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Bytes as lower-case hexadecimal digits.
pub fn hex(bytes: &[u8]) -> String {
    let digit = |nibble: u8| char::from_digit(u32::from(nibble), 16).unwrap_or('0');
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

/// A 128-bit HMAC over what a binding says; it shows that the controller wrote the binding.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Tag(String);

impl Tag {
    /// From the first 128 bits of the HMAC.
    pub fn from_bits(bits: [u8; 16]) -> Self {
        Self(encode_id(bits))
    }

    /// The text form, 26 characters.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The name of one installation: it marks every binding that this installation owns.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Installation(String);

impl Installation {
    /// Accepts `[a-z][a-z0-9-]{0,30}`.
    pub fn parse(text: &str) -> Result<Self, IdError> {
        let mut bytes = text.bytes();
        let starts = bytes.next().is_some_and(|first| first.is_ascii_lowercase());
        let goes_on = bytes.all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
        if starts && goes_on && text.len() <= INSTALLATION_LENGTH_MAX {
            Ok(Self(text.to_owned()))
        } else {
            Err(IdError("must match [a-z][a-z0-9-]{0,30}"))
        }
    }

    /// The text form.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The condition title of the bindings of one request: `curfew <installation> <request id>`.
    pub fn title(&self, id: &RequestId) -> String {
        format!("curfew {} {id}", self.0)
    }

    /// The request that a condition title names, if it is a title of this installation.
    pub fn request_of(&self, title: &str) -> Option<RequestId> {
        let rest = title.strip_prefix("curfew ")?.strip_prefix(&self.0)?.strip_prefix(' ')?;
        RequestId::parse(rest).ok()
    }
}

impl fmt::Display for Installation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_written_most_significant_group_first() {
        assert_eq!(encode_id([0; 16]), "00000000000000000000000000");
        assert_eq!(encode_id([0xff; 16]), "7zzzzzzzzzzzzzzzzzzzzzzzzz");
        assert_eq!(encode_id(1_u128.to_be_bytes()), "00000000000000000000000001");
        assert_eq!(encode_id(32_u128.to_be_bytes()), "00000000000000000000000010");
    }

    #[test]
    fn an_id_of_another_shape_is_refused() {
        for text in [
            "",
            "0",
            "0123456789abcdefghjkmnpqri",
            "0123456789ABCDEFGHJKMNPQRS",
            "0123456789abcdefghjkmnpqrs\n",
        ] {
            assert!(RequestId::parse(text).is_err(), "{text:?}");
        }
        assert!(RequestId::parse("0123456789abcdefghjkmnpqrs").is_ok());
    }

    #[test]
    fn the_same_caller_and_key_name_the_same_request() {
        let id = RequestId::idempotent("accounts.google.com:1", "k");
        assert_eq!(id, RequestId::idempotent("accounts.google.com:1", "k"));
        assert_ne!(id, RequestId::idempotent("accounts.google.com:2", "k"));
        assert!(RequestId::parse(id.as_str()).is_ok());
    }

    #[test]
    fn a_title_names_its_request_and_no_other_installations() {
        let demo = Installation::parse("demo").unwrap();
        let id = RequestId::from_bits([7; 16]);
        assert_eq!(demo.request_of(&demo.title(&id)), Some(id.clone()));
        let other = Installation::parse("demo-2").unwrap();
        assert_eq!(demo.request_of(&other.title(&id)), None);
        assert_eq!(demo.request_of(&format!("{} ", demo.title(&id))), None);
    }

    #[test]
    fn installations_follow_their_grammar() {
        for bad in ["", "Demo", "1demo", "de_mo", "demo ", &"a".repeat(32)] {
            assert!(Installation::parse(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn digests_are_lower_case_hexadecimal() {
        let digest = Digest::of(b"");
        assert_eq!(
            digest.as_str(),
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
        );
        assert_eq!(digest.prefix(), "e3b0c44298fc1c14");
        assert!(Digest::parse(&digest.as_str().to_uppercase()).is_err());
    }
}
