//! Verification keys as the configuration lists them: whose word counts, for what, and when.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ED25519, ParsedPublicKey, VerificationAlgorithm,
};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, Utc};
use curfew_core::entry::Level;
use curfew_ports::SIGNATURE_BYTES;
use rustls_pki_types::SubjectPublicKeyInfoDer;
use rustls_pki_types::pem::PemObject as _;

/// The longest key id; it stands in every envelope.
const KEY_ID_LENGTH_MAX: usize = 64;

/// What comes before the uncompressed point in the DER of a P-256 `SubjectPublicKeyInfo` (RFC 5480).
const P256_SPKI_PREFIX: [u8; 26] = [
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a,
    0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00,
];

/// What comes before the key in the DER of an Ed25519 `SubjectPublicKeyInfo` (RFC 8410).
const ED25519_SPKI_PREFIX: [u8; 12] =
    [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];

/// Base64 characters of one line of PEM (RFC 7468 §2).
const PEM_LINE_LENGTH: usize = 64;

/// Why a text is no public key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PublicKeyError {
    /// No `PUBLIC KEY` section.
    #[error("must be PEM text with a PUBLIC KEY section, as `openssl pkey -pubout` writes it")]
    Pem,
    /// Another kind of key, or another encoding of it.
    #[error("must be a P-256 key (uncompressed point) or an Ed25519 key")]
    Unsupported,
    /// The right kind, and no valid key.
    #[error("is not a point of its curve")]
    Invalid,
}

/// The algorithms that sign envelopes. A key has one; a document never names one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Algorithm {
    /// ECDSA on P-256 with SHA-256, signatures as r‖s.
    P256,
    /// Ed25519.
    Ed25519,
}

impl Algorithm {
    fn verification(self) -> &'static dyn VerificationAlgorithm {
        match self {
            Self::P256 => &ECDSA_P256_SHA256_FIXED,
            Self::Ed25519 => &ED25519,
        }
    }

    fn spki_prefix(self) -> &'static [u8] {
        match self {
            Self::P256 => &P256_SPKI_PREFIX,
            Self::Ed25519 => &ED25519_SPKI_PREFIX,
        }
    }

    fn raw_length(self) -> usize {
        match self {
            Self::P256 => 65,
            Self::Ed25519 => 32,
        }
    }
}

/// A public key, tied to its one algorithm.
#[derive(Clone)]
pub struct PublicKey {
    algorithm: Algorithm,
    raw: Vec<u8>,
    parsed: ParsedPublicKey,
}

impl PublicKey {
    /// Reads the first `PUBLIC KEY` section (`SubjectPublicKeyInfo`) of PEM text.
    pub fn from_spki_pem(pem: &str) -> Result<Self, PublicKeyError> {
        let der = SubjectPublicKeyInfoDer::from_pem_slice(pem.as_bytes())
            .map_err(|_| PublicKeyError::Pem)?;
        [Algorithm::P256, Algorithm::Ed25519]
            .into_iter()
            .find_map(|algorithm| Some((algorithm, der.strip_prefix(algorithm.spki_prefix())?)))
            .ok_or(PublicKeyError::Unsupported)
            .and_then(|(algorithm, raw)| Self::from_raw(algorithm, raw))
    }

    /// From an uncompressed P-256 point (65 bytes) or the 32 bytes of an Ed25519 key.
    pub(crate) fn from_raw(algorithm: Algorithm, raw: &[u8]) -> Result<Self, PublicKeyError> {
        if raw.len() != algorithm.raw_length() {
            return Err(PublicKeyError::Unsupported);
        }
        let parsed = ParsedPublicKey::new(algorithm.verification(), raw)
            .map_err(|_| PublicKeyError::Invalid)?;
        Ok(Self { algorithm, raw: raw.to_vec(), parsed })
    }

    /// The same key as PEM text.
    pub fn to_spki_pem(&self) -> String {
        pem("PUBLIC KEY", &[self.algorithm.spki_prefix(), &self.raw].concat())
    }

    /// The key's algorithm.
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// Whether `signature` (64 bytes) is this key's over exactly `message`.
    ///
    /// Of an ECDSA signature both (r, s) and (r, n - s) verify, as FIPS 186-5 has it: nothing here rests on a
    /// signature being unique, an act counts once by its nonce.
    pub fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        signature.len() == SIGNATURE_BYTES && self.parsed.verify_sig(message, signature).is_ok()
    }
}

impl PartialEq for PublicKey {
    fn eq(&self, other: &Self) -> bool {
        self.algorithm == other.algorithm && self.raw == other.raw
    }
}

impl Eq for PublicKey {}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({:?}, {})", self.algorithm, STANDARD.encode(&self.raw))
    }
}

/// DER as PEM text.
pub(crate) fn pem(label: &str, der: &[u8]) -> String {
    let mut body = String::new();
    for (position, character) in STANDARD.encode(der).chars().enumerate() {
        if position > 0 && position % PEM_LINE_LENGTH == 0 {
            body.push('\n');
        }
        body.push(character);
    }
    format!("-----BEGIN {label}-----\n{body}\n-----END {label}-----\n")
}

/// What a key may sign.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verb {
    /// Specs.
    Request,
    /// Decisions.
    Decide,
    /// Withdrawals, revocations, extensions, closed reviews.
    Direct,
    /// Controls of operators: locks and the like.
    Control,
}

impl Verb {
    /// Every verb.
    pub const ALL: [Self; 4] = [Self::Request, Self::Decide, Self::Direct, Self::Control];

    /// The name in the configuration.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Request => "REQUEST",
            Self::Decide => "DECIDE",
            Self::Direct => "DIRECT",
            Self::Control => "CONTROL",
        }
    }

    /// The verb that a name of the configuration stands for.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|verb| verb.as_str() == text)
    }
}

/// One configured key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyConfig {
    /// What envelopes call it.
    pub id: String,
    /// Whose key it is. One owner may hold several, and decides with none of them on a request that any of them filed.
    pub owner: String,
    /// The key.
    pub public_key: PublicKey,
    /// How strongly what it signs is witnessed.
    pub level: Level,
    /// What it may sign.
    pub verbs: BTreeSet<Verb>,
    /// First instant at which it counts.
    pub from: DateTime<Utc>,
    /// First instant at which it no longer counts.
    pub until: DateTime<Utc>,
    /// What was seen from this instant on does not count, whatever `until` says: the key may be in other hands.
    pub distrusted_from: Option<DateTime<Utc>>,
}

impl KeyConfig {
    /// Whether the key counts for something that was created or seen at `at`.
    pub fn counts_at(&self, at: DateTime<Utc>) -> bool {
        self.from <= at && at < self.until && self.distrusted_from.is_none_or(|from| at < from)
    }

    fn check(&self) -> Result<(), KeySetError> {
        let id = self.id.clone();
        let id_ok = (1..=KEY_ID_LENGTH_MAX).contains(&id.len())
            && id.bytes().all(|byte| byte.is_ascii_graphic());
        match () {
            () if !id_ok => Err(KeySetError::Id { id }),
            () if self.from >= self.until => Err(KeySetError::EmptyWindow { id }),
            () if self.verbs.is_empty() => Err(KeySetError::NoVerb { id }),
            () => Ok(()),
        }
    }
}

/// Why a list of keys cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeySetError {
    /// The id is not usable in an envelope.
    #[error("key {id:?}: the id must be 1 to 64 printable ASCII characters without spaces")]
    Id {
        /// The id.
        id: String,
    },
    /// Two keys have the same id.
    #[error("key {id:?} is configured twice")]
    SameId {
        /// The id.
        id: String,
    },
    /// Two ids stand for the same key: its holder could pass for two.
    #[error("keys {id:?} and {other:?} are one and the same key")]
    SameKey {
        /// One id.
        id: String,
        /// The other.
        other: String,
    },
    /// The window holds no instant.
    #[error("key {id:?}: `from` must be earlier than `until`")]
    EmptyWindow {
        /// The id.
        id: String,
    },
    /// The key could sign nothing.
    #[error("key {id:?}: `verbs` must name at least one of REQUEST, DECIDE, DIRECT, CONTROL")]
    NoVerb {
        /// The id.
        id: String,
    },
}

/// The configured keys by id.
#[derive(Debug, Clone, Default)]
pub struct KeySet {
    by_id: BTreeMap<String, KeyConfig>,
}

impl KeySet {
    /// Accepts keys with distinct ids, each a distinct key, each with a window and a verb.
    pub fn new(keys: Vec<KeyConfig>) -> Result<Self, KeySetError> {
        let mut by_id: BTreeMap<String, KeyConfig> = BTreeMap::new();
        for key in keys {
            key.check()?;
            if by_id.contains_key(&key.id) {
                return Err(KeySetError::SameId { id: key.id });
            }
            if let Some(other) = by_id.values().find(|other| other.public_key == key.public_key) {
                return Err(KeySetError::SameKey { id: key.id, other: other.id.clone() });
            }
            by_id.insert(key.id.clone(), key);
        }
        Ok(Self { by_id })
    }

    /// Every key, by its id.
    pub fn iter(&self) -> impl Iterator<Item = &KeyConfig> {
        self.by_id.values()
    }

    /// The key of this id.
    pub fn get(&self, id: &str) -> Option<&KeyConfig> {
        self.by_id.get(id)
    }
}

#[cfg(test)]
mod tests;
