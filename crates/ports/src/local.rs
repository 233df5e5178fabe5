//! Keys, time and randomness.

use std::collections::BTreeSet;
use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use curfew_core::fact::{DraftFact, TagSubject};
use curfew_core::id::Tag;
use curfew_core::request::Request;
use curfew_core::resource::Resource;

use crate::{LedgerEntry, PortError, StoredEnvelope, StoredFact, StoredRequest};

/// The time.
pub trait Clock: Send + Sync {
    /// Wall time.
    fn now(&self) -> DateTime<Utc>;

    /// Time since some fixed instant of this process, suspension of the machine included.
    fn elapsed(&self) -> Duration;
}

/// Unpredictable bits.
pub trait Entropy: Send + Sync {
    /// 128 fresh bits.
    fn bits(&self) -> [u8; 16];
}

/// Decides what of a stored request may be believed. Keys are loaded at start; nothing here waits.
pub trait Verifier: Send + Sync {
    /// Checks every envelope and the chain of facts. Total: what does not verify becomes a rejection.
    fn verify(&self, stored: &StoredRequest) -> Request;

    /// Where a request that does not verify may have been granted, by what its parts say all the same.
    ///
    /// Anybody can have written them: good for looking there, never for giving access. Empty where nothing is readable.
    fn places(&self, stored: &StoredRequest) -> BTreeSet<Resource> {
        let _ = stored;
        BTreeSet::new()
    }
}

/// Macs the controller's facts and tags its bindings. Only the controller's process holds the key.
pub trait FactSealer: Send + Sync {
    /// Seals drafts as the facts that follow the first `verified` facts of `base`, titling and tagging their bindings.
    fn seal(
        &self,
        base: &StoredRequest,
        verified: usize,
        at: DateTime<Utc>,
        drafts: &[DraftFact],
    ) -> Vec<StoredFact>;

    /// The tag of a binding.
    fn tag(&self, subject: &TagSubject<'_>) -> Tag;

    /// Macs an entry of the ledger. `payload` is RFC 8785 text.
    fn seal_ledger(
        &self,
        id: [u8; 16],
        kind: &str,
        at: DateTime<Utc>,
        payload: String,
    ) -> LedgerEntry;
}

/// Signs envelopes of people's acts. Intake alone holds one.
#[async_trait]
pub trait EnvelopeSigner: Send + Sync {
    /// Signs `curfew/v1/<kind>\n` followed by the payload.
    async fn sign(&self, kind: &str, payload: String) -> Result<StoredEnvelope, PortError>;
}

/// Length of the signatures that envelopes carry: r‖s of ECDSA on P-256, R‖S of Ed25519.
pub const SIGNATURE_BYTES: usize = 64;

/// Signs messages with a private key that its keeper, such as Cloud KMS, never gives away.
#[async_trait]
pub trait MessageSigner: Send + Sync {
    /// The signature over exactly this message: ECDSA on P-256 with SHA-256 as r‖s, each 32 bytes.
    async fn sign_message(&self, message: &[u8]) -> Result<[u8; SIGNATURE_BYTES], PortError>;
}
