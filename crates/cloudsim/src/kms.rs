//! What the simulated Cloud KMS holds: key rings, keys and their versions.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::material::Material;

/// `CryptoKey.purpose`, as far as it is simulated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(crate) enum Purpose {
    EncryptDecrypt,
    AsymmetricSign,
    Mac,
}

/// `CryptoKeyVersionAlgorithm`, as far as it is simulated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(crate) enum Algorithm {
    GoogleSymmetricEncryption,
    EcSignP256Sha256,
    EcSignEd25519,
    HmacSha256,
}

/// `ProtectionLevel`; both are simulated by the same arithmetic and differ in their limits.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(crate) enum ProtectionLevel {
    #[default]
    Software,
    Hsm,
}

/// `CryptoKeyVersion.state`. A key's material exists at once: nothing is ever pending.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(crate) enum VersionState {
    Enabled,
    Disabled,
    DestroyScheduled,
    Destroyed,
}

/// A key ring; the name is `projects/ID/locations/L/keyRings/R`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct KeyRing {
    pub(crate) name: String,
    pub(crate) created: DateTime<Utc>,
}

/// When a key gets its next version by itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Rotation {
    /// Seconds; `None`: once.
    pub(crate) period: Option<i64>,
    pub(crate) next: DateTime<Utc>,
}

/// A key; the name is `…/keyRings/R/cryptoKeys/K`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct CryptoKey {
    pub(crate) name: String,
    pub(crate) created: DateTime<Utc>,
    pub(crate) purpose: Purpose,
    pub(crate) algorithm: Algorithm,
    pub(crate) protection: ProtectionLevel,
    /// Number of the version that encrypts.
    pub(crate) primary: Option<u32>,
    pub(crate) rotation: Option<Rotation>,
    /// Seconds from the order to destroy a version to its end.
    pub(crate) destroy_after: i64,
    pub(crate) labels: BTreeMap<String, String>,
}

/// A version of a key; the name is `…/cryptoKeys/K/cryptoKeyVersions/NUMBER`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct KeyVersion {
    pub(crate) key: String,
    pub(crate) number: u32,
    pub(crate) algorithm: Algorithm,
    pub(crate) protection: ProtectionLevel,
    pub(crate) created: DateTime<Utc>,
    /// As last ordered; see [`KeyVersion::state_at`].
    pub(crate) state: VersionState,
    pub(crate) destroyed_at: Option<DateTime<Utc>>,
    pub(crate) material: Material,
}

/// One stored thing of the KMS.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) enum KmsRecord {
    KeyRing(KeyRing),
    CryptoKey(CryptoKey),
    KeyVersion(KeyVersion),
}

/// All keys of the simulated cloud.
#[derive(Debug, Default)]
pub(crate) struct Kms {
    pub(crate) key_rings: BTreeMap<String, KeyRing>,
    pub(crate) keys: BTreeMap<String, CryptoKey>,
    versions: BTreeMap<(String, u32), KeyVersion>,
}

impl KmsRecord {
    /// The resource's name, which a newer record of the same resource shares.
    pub(crate) fn name(&self) -> String {
        match self {
            Self::KeyRing(ring) => ring.name.clone(),
            Self::CryptoKey(key) => key.name.clone(),
            Self::KeyVersion(version) => version.name(),
        }
    }
}

impl Kms {
    pub(crate) fn put(&mut self, record: KmsRecord) {
        match record {
            KmsRecord::KeyRing(ring) => drop(self.key_rings.insert(ring.name.clone(), ring)),
            KmsRecord::CryptoKey(key) => drop(self.keys.insert(key.name.clone(), key)),
            KmsRecord::KeyVersion(version) => {
                self.versions.insert((version.key.clone(), version.number), version);
            }
        }
    }

    pub(crate) fn version(&self, key: &str, number: u32) -> Option<&KeyVersion> {
        self.versions.get(&(key.to_owned(), number))
    }

    /// The key's versions, oldest first.
    pub(crate) fn versions_of(&self, key: &str) -> impl Iterator<Item = &KeyVersion> {
        self.versions.range((key.to_owned(), 0)..=(key.to_owned(), u32::MAX)).map(|(_, it)| it)
    }

    /// The number of the key's next version.
    pub(crate) fn next_number(&self, key: &str) -> u32 {
        self.versions_of(key).last().map_or(1, |newest| newest.number.saturating_add(1))
    }
}

impl KeyVersion {
    pub(crate) fn name(&self) -> String {
        format!("{}/cryptoKeyVersions/{}", self.key, self.number)
    }

    /// A version whose time to be destroyed has come is destroyed, whether or not anybody looked.
    pub(crate) fn state_at(&self, now: DateTime<Utc>) -> VersionState {
        match (self.state, self.destroyed_at) {
            (VersionState::DestroyScheduled, Some(at)) if at <= now => VersionState::Destroyed,
            (state, _) => state,
        }
    }
}

impl Purpose {
    pub(crate) fn allows(self, algorithm: Algorithm) -> bool {
        match algorithm {
            Algorithm::GoogleSymmetricEncryption => self == Self::EncryptDecrypt,
            Algorithm::EcSignP256Sha256 | Algorithm::EcSignEd25519 => self == Self::AsymmetricSign,
            Algorithm::HmacSha256 => self == Self::Mac,
        }
    }
}
