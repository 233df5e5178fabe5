//! What the simulated Secret Manager holds: secrets and their versions.

use std::collections::BTreeMap;
use std::fmt;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

/// A secret; the name is `projects/ID/secrets/S`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Secret {
    pub(crate) name: String,
    pub(crate) created: DateTime<Utc>,
    pub(crate) labels: BTreeMap<String, String>,
    pub(crate) annotations: BTreeMap<String, String>,
    /// The replication policy as it was sent: it changes nothing here.
    pub(crate) replication: serde_json::Value,
    pub(crate) revision: u64,
}

/// `SecretVersion.state`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(crate) enum SecretState {
    Enabled,
    Disabled,
    Destroyed,
}

/// A version of a secret; the name is `projects/ID/secrets/S/versions/NUMBER`.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct SecretVersion {
    pub(crate) secret: String,
    pub(crate) number: u32,
    pub(crate) created: DateTime<Utc>,
    pub(crate) destroyed: Option<DateTime<Utc>>,
    pub(crate) state: SecretState,
    /// Whether the caller who added it sent a checksum.
    pub(crate) checksum_sent: bool,
    /// Base64; gone once destroyed.
    pub(crate) payload: Option<String>,
    pub(crate) revision: u64,
}

impl fmt::Debug for SecretVersion {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("SecretVersion")
            .field("name", &self.name())
            .field("state", &self.state)
            .finish_non_exhaustive()
    }
}

/// One stored thing of Secret Manager.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) enum SecretRecord {
    Secret(Secret),
    Version(SecretVersion),
}

/// All secrets of the simulated cloud.
#[derive(Debug, Default)]
pub(crate) struct Secrets {
    pub(crate) secrets: BTreeMap<String, Secret>,
    versions: BTreeMap<(String, u32), SecretVersion>,
}

impl SecretVersion {
    pub(crate) fn name(&self) -> String {
        format!("{}/versions/{}", self.secret, self.number)
    }
}

impl SecretRecord {
    /// The resource's name, which a newer record of the same resource shares.
    pub(crate) fn name(&self) -> String {
        match self {
            Self::Secret(secret) => secret.name.clone(),
            Self::Version(version) => version.name(),
        }
    }
}

impl Secrets {
    pub(crate) fn put(&mut self, record: SecretRecord) {
        match record {
            SecretRecord::Secret(secret) => drop(self.secrets.insert(secret.name.clone(), secret)),
            SecretRecord::Version(version) => {
                self.versions.insert((version.secret.clone(), version.number), version);
            }
        }
    }

    /// Removes the secret or the version of that name.
    pub(crate) fn remove(&mut self, name: &str) {
        self.secrets.remove(name);
        self.versions.retain(|_, version| version.name() != name);
    }

    pub(crate) fn version(&self, secret: &str, number: u32) -> Option<&SecretVersion> {
        self.versions.get(&(secret.to_owned(), number))
    }

    /// The secret's versions, oldest first.
    pub(crate) fn versions_of(
        &self,
        secret: &str,
    ) -> impl DoubleEndedIterator<Item = &SecretVersion> {
        self.versions
            .range((secret.to_owned(), 0)..=(secret.to_owned(), u32::MAX))
            .map(|(_, version)| version)
    }
}
