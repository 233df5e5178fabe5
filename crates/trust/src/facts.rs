//! The controller's own word: HMACs over facts, ledger entries and bindings, with a key that no other process holds.

use std::fmt;
use std::path::Path;

use aws_lc_rs::{constant_time, hmac};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, Utc};
use curfew_core::fact::{DraftFact, TagSubject};
use curfew_core::id::{Digest, Installation, RequestId, Tag, encode_id, hex};
use curfew_core::request::{Recorded, VerifiedFacts};
use curfew_ports::{FactSealer, LedgerEntry, StoredFact, StoredRequest};
use curfew_proto::payload;
use serde_json::{Value, json};
use zeroize::Zeroizing;

use crate::file::{KEY_BYTES, KeyFileError, fresh_key_bits, read_key_bits, write_secret};

/// Length of the key: the output length of the hash, as RFC 2104 §3 advises.
pub const FACTS_KEY_BYTES: usize = KEY_BYTES;

/// The key of the controller's macs. Whoever can verify with it can forge with it.
#[derive(Clone)]
pub struct FactsKey(hmac::Key);

impl FactsKey {
    /// From the key's bytes, as a key management service unwraps them.
    pub fn new(bytes: &[u8; FACTS_KEY_BYTES]) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, bytes))
    }

    /// Reads a file that only its owner may use.
    pub fn open(path: &Path) -> Result<Self, KeyFileError> {
        Ok(Self::new(&*read_key_bits(path)?))
    }

    /// Makes a new key in a new file (mode 0600, on disk when this returns). An existing file is left as it is.
    pub fn generate(path: &Path) -> Result<Self, KeyFileError> {
        let bytes =
            fresh_key_bits().ok_or_else(|| KeyFileError::Generate { path: path.to_owned() })?;
        let text = Zeroizing::new(URL_SAFE_NO_PAD.encode(bytes.as_slice()));
        write_secret(path, &Zeroizing::new(format!("{}\n", text.as_str())))?;
        Ok(Self::new(&bytes))
    }

    /// What a wrapped facts key is bound to: with the context of another installation it does not open.
    pub fn wrapping_context(installation: &Installation) -> Vec<u8> {
        ["curfew/v1/facts-key\n", installation.as_str()].concat().into_bytes()
    }

    fn mac(&self, input: &str) -> hmac::Tag {
        hmac::sign(&self.0, input.as_bytes())
    }

    fn hex_mac(&self, input: &str) -> String {
        hex(self.mac(input).as_ref())
    }

    /// Compares in constant time: how much of a forged mac is right must not show.
    fn is_mac(&self, input: &str, mac: &str) -> bool {
        constant_time::verify_slices_are_equal(self.hex_mac(input).as_bytes(), mac.as_bytes())
            .is_ok()
    }
}

impl fmt::Debug for FactsKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FactsKey(…)")
    }
}

/// Seals the controller's facts, and knows its own again.
#[derive(Debug, Clone)]
pub struct Sealer {
    installation: Installation,
    key: FactsKey,
}

impl Sealer {
    /// Seals for one installation.
    pub fn new(installation: Installation, key: FactsKey) -> Self {
        Self { installation, key }
    }

    /// The longest prefix of the stored facts that is ours: each in its place, chained to the one before and the
    /// first to the stored spec, with a valid mac and a readable payload. What follows the first that is not does
    /// not exist.
    pub fn verify_facts(&self, stored: &StoredRequest) -> VerifiedFacts {
        let mut prev = spec_digest(stored);
        let mut recorded = Vec::new();
        for (n, fact) in (0..).zip(&stored.facts) {
            let Some((fact, digest)) = self.verify_fact(&stored.id, n, &prev, fact) else { break };
            recorded.push(fact);
            prev = digest;
        }
        let rejected = stored.facts.len().saturating_sub(recorded.len());
        VerifiedFacts::vouch(recorded, rejected)
    }

    /// Whether an entry of the ledger is ours.
    pub fn verify_ledger(&self, entry: &LedgerEntry) -> bool {
        let input = self.ledger_input(&entry.id, &entry.kind, &entry.at, &entry.payload);
        self.key.is_mac(&input, &entry.mac)
    }

    /// The fact, and the digest that the next one must carry as `prev`.
    fn verify_fact(
        &self,
        request: &RequestId,
        n: i64,
        prev: &Digest,
        fact: &StoredFact,
    ) -> Option<(Recorded, Digest)> {
        if fact.n != n || fact.prev != prev.as_str() {
            return None;
        }
        let input = self.fact_input(request, fact);
        if !self.key.is_mac(&input, &fact.mac) {
            return None;
        }
        let at = payload::read_timestamp(&fact.at)?;
        let read = payload::read_fact(&fact.kind, &fact.payload).ok()?;
        Some((Recorded { at, fact: read }, Digest::of(input.as_bytes())))
    }

    fn fact_input(&self, request: &RequestId, fact: &StoredFact) -> String {
        let fields = json!({
            "installation": self.installation.as_str(),
            "requestId": request.as_str(),
            "n": fact.n,
            "kind": fact.kind,
            "at": fact.at,
            "payload": fact.payload,
            "prev": fact.prev,
        });
        mac_input("fact", &fields)
    }

    fn ledger_input(&self, id: &str, kind: &str, at: &str, payload: &str) -> String {
        let installation = self.installation.as_str();
        let fields = json!({"installation": installation, "id": id, "kind": kind, "at": at, "payload": payload});
        mac_input("ledger", &fields)
    }
}

impl FactSealer for Sealer {
    fn seal(
        &self,
        base: &StoredRequest,
        verified: usize,
        at: DateTime<Utc>,
        drafts: &[DraftFact],
    ) -> Vec<StoredFact> {
        let kept = base.facts.get(..verified).unwrap_or(&base.facts);
        let mut prev = match kept.last() {
            Some(last) => Digest::of(self.fact_input(&base.id, last).as_bytes()),
            None => spec_digest(base),
        };
        let first = i64::try_from(kept.len()).unwrap_or(i64::MAX);
        let mut sealed = Vec::with_capacity(drafts.len());
        for (n, draft) in (first..).zip(drafts) {
            let fact = draft.tagged(&self.installation, &|subject| self.tag(subject));
            let mut stored = StoredFact {
                n,
                kind: fact.kind().to_owned(),
                at: payload::timestamp(at),
                payload: payload::fact(&fact),
                prev: prev.to_string(),
                mac: String::new(),
            };
            let input = self.fact_input(&base.id, &stored);
            stored.mac = self.key.hex_mac(&input);
            prev = Digest::of(input.as_bytes());
            sealed.push(stored);
        }
        sealed
    }

    fn tag(&self, subject: &TagSubject<'_>) -> Tag {
        let fields = json!({
            "installation": subject.installation.as_str(),
            "requestId": subject.request.as_str(),
            "resource": subject.resource.to_string(),
            "role": subject.role,
            "member": subject.member,
            "expression": subject.expression,
        });
        let mac = self.key.mac(&mac_input("tag", &fields));
        let mut bits = [0; 16];
        for (slot, byte) in bits.iter_mut().zip(mac.as_ref()) {
            *slot = *byte;
        }
        Tag::from_bits(bits)
    }

    fn seal_ledger(
        &self,
        id: [u8; 16],
        kind: &str,
        at: DateTime<Utc>,
        payload: String,
    ) -> LedgerEntry {
        let (id, at) = (encode_id(id), payload::timestamp(at));
        let mac = self.key.hex_mac(&self.ledger_input(&id, kind, &at, &payload));
        LedgerEntry { id, kind: kind.to_owned(), at, payload, mac }
    }
}

/// What the first fact is chained to: the spec's payload as it is stored, whether it verifies or not.
fn spec_digest(stored: &StoredRequest) -> Digest {
    Digest::of(stored.spec.as_ref().map_or("", |spec| &spec.payload).as_bytes())
}

fn mac_input(what: &str, fields: &Value) -> String {
    format!("curfew/v1/{what}\n{}", payload::canonical(fields))
}

#[cfg(test)]
mod tests;
