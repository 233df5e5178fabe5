//! Keys without cryptography, as strict as the real ones: what was not made through this does not verify.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use chrono::{DateTime, SecondsFormat, Utc};
use curfew_core::entry::Entry;
use curfew_core::fact::{DraftFact, Fact, TagSubject};
use curfew_core::id::{Digest, Nonce, RequestId, Tag, encode_id, sha256};
use curfew_core::request::{
    REQUESTED_AT_SKEW_MAX, Recorded, Rejection, Request, Verified, VerifiedFacts,
};
use curfew_core::resource::Resource;
use curfew_core::spec::Spec;
use curfew_ports::{FactSealer, LedgerEntry, StoredEnvelope, StoredFact, StoredRequest, Verifier};

use crate::scene::installation;

/// The key of intake's sessions.
pub const SESSION_KEY: &str = "intake";

/// The key that intake had before; requests are never signed with it here.
pub const FORMER_KEY: &str = "intake-before";

/// The key of a system that speaks for people.
pub const WRITER_KEY: &str = "chat";

/// Everything that was ever signed or sealed.
#[derive(Default)]
pub struct Trust(Mutex<Made>);

#[derive(Default)]
struct Made {
    n: u64,
    specs: BTreeMap<String, (StoredEnvelope, Spec)>,
    digests: BTreeMap<RequestId, Digest>,
    entries: BTreeMap<String, (StoredEnvelope, RequestId, Entry)>,
    facts: BTreeMap<String, Sealed>,
    tags: BTreeSet<String>,
    ledger: BTreeSet<String>,
    distrusted: BTreeSet<String>,
}

/// A fact as it was sealed.
struct Sealed {
    request: RequestId,
    stored: StoredFact,
    meant: Recorded,
    /// What the next fact of the chain names.
    digest: String,
}

impl Trust {
    /// Signs a spec. `spec` gets the digest of the payload, which a spec carries.
    pub fn sign_spec(&self, spec: impl FnOnce(Digest) -> Spec) -> (StoredEnvelope, Spec) {
        let mut made = self.lock();
        let envelope = made.envelope("spec", SESSION_KEY);
        let spec = spec(Digest::of(envelope.payload.as_bytes()));
        made.specs.insert(envelope.payload.clone(), (envelope.clone(), spec.clone()));
        made.digests.insert(spec.id.clone(), spec.digest.clone());
        (envelope, spec)
    }

    /// Signs an act about a request with this key.
    pub fn sign_entry(
        &self,
        request: &RequestId,
        key: &str,
        entry: impl FnOnce(Digest) -> Entry,
    ) -> (StoredEnvelope, Entry) {
        let mut made = self.lock();
        let envelope = made.envelope("entry", key);
        let entry = entry(Digest::of(envelope.payload.as_bytes()));
        let kept = (envelope.clone(), request.clone(), entry.clone());
        made.entries.insert(envelope.payload.clone(), kept);
        (envelope, entry)
    }

    /// The fact that this mac stands for, whatever document it is found in.
    pub fn sealed(&self, mac: &str) -> Option<Recorded> {
        self.lock().facts.get(mac).map(|sealed| sealed.meant.clone())
    }

    /// Whether just this was sealed for that request.
    pub fn has_sealed(&self, request: &RequestId, fact: &StoredFact) -> bool {
        self.lock()
            .facts
            .get(&fact.mac)
            .is_some_and(|sealed| sealed.request == *request && sealed.stored == *fact)
    }

    /// The digest of the request that was last signed under this id.
    pub fn digest_of(&self, id: &RequestId) -> Option<Digest> {
        self.lock().digests.get(id).cloned()
    }

    /// The spec of an envelope, as it was signed.
    pub fn spec_of(&self, envelope: &StoredEnvelope) -> Option<Spec> {
        let made = self.lock();
        made.specs
            .get(&envelope.payload)
            .filter(|(signed, _)| signed == envelope)
            .map(|(_, spec)| spec.clone())
    }

    /// The act of an envelope, if it was signed just so for this request and this place.
    pub fn entry_of(
        &self,
        request: &RequestId,
        nonce: &Nonce,
        envelope: &StoredEnvelope,
    ) -> Option<Entry> {
        let made = self.lock();
        let (signed, of, entry) = made.entries.get(&envelope.payload)?;
        let is_just_so = signed == envelope && of == request && entry.nonce == *nonce;
        is_just_so.then(|| entry.clone())
    }

    /// What was signed with this key counts no more. A controller learns it when it starts.
    pub fn distrust(&self, key: &str) {
        self.lock().distrusted.insert(key.to_owned());
    }

    /// Whether the tag was ever made.
    pub fn has_made_tag(&self, tag: &str) -> bool {
        self.lock().tags.contains(tag)
    }

    /// Whether the entry of the ledger was made here.
    pub fn has_sealed_ledger(&self, entry: &LedgerEntry) -> bool {
        self.lock().ledger.contains(&entry.mac)
    }

    fn lock(&self) -> MutexGuard<'_, Made> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Made {
    fn envelope(&mut self, kind: &str, key: &str) -> StoredEnvelope {
        self.n = self.n.saturating_add(1);
        let payload = format!("{{\"nonce\":{},\"type\":\"{kind}\"}}", self.n);
        let signature = Digest::of(format!("signature over {payload}").as_bytes()).to_string();
        StoredEnvelope { payload, key_id: key.into(), signature }
    }

    fn spec(&self, stored: &StoredRequest) -> Result<Verified<Spec>, Rejection> {
        let envelope = stored.spec.as_ref().ok_or(Rejection::Malformed)?;
        let (signed, spec) = self.specs.get(&envelope.payload).ok_or(Rejection::BadSignature)?;
        if signed != envelope {
            return Err(Rejection::BadSignature);
        }
        if spec.id != stored.id {
            return Err(Rejection::OtherRequest);
        }
        if stored.created_at.signed_duration_since(spec.requested_at).abs() > REQUESTED_AT_SKEW_MAX
        {
            return Err(Rejection::RequestedAtImplausible);
        }
        Ok(Verified::vouch(spec.clone()))
    }

    fn entry(
        &self,
        stored: &StoredRequest,
        nonce: &Nonce,
        envelope: &StoredEnvelope,
    ) -> Result<Verified<Entry>, Rejection> {
        let (signed, request, entry) =
            self.entries.get(&envelope.payload).ok_or(Rejection::BadSignature)?;
        if signed != envelope {
            Err(Rejection::BadSignature)
        } else if self.distrusted.contains(&signed.key_id) {
            Err(Rejection::KeyOutOfWindow)
        } else if *request != stored.id {
            Err(Rejection::OtherRequest)
        } else if entry.nonce != *nonce {
            Err(Rejection::OtherNonce)
        } else {
            Ok(Verified::vouch(entry.clone()))
        }
    }

    fn facts(&self, stored: &StoredRequest) -> VerifiedFacts {
        let mut prev = first_prev(stored);
        let mut recorded = Vec::new();
        for (n, fact) in (0_i64..).zip(&stored.facts) {
            match self.facts.get(&fact.mac) {
                Some(sealed)
                    if sealed.request == stored.id
                        && sealed.stored == *fact
                        && fact.n == n
                        && fact.prev == prev =>
                {
                    recorded.push(sealed.meant.clone());
                    prev.clone_from(&sealed.digest);
                }
                Some(_) | None => break,
            }
        }
        let rejected = stored.facts.len().saturating_sub(recorded.len());
        VerifiedFacts::vouch(recorded, rejected)
    }
}

impl Verifier for Trust {
    fn verify(&self, stored: &StoredRequest) -> Request {
        let made = self.lock();
        let nonces = stored
            .entries
            .iter()
            .filter_map(|(key, envelope)| Some((Nonce::parse(key).ok()?, envelope)));
        let entries = nonces
            .map(|(nonce, envelope)| (nonce.clone(), made.entry(stored, &nonce, envelope)))
            .collect();
        Request {
            id: stored.id.clone(),
            created_at: stored.created_at,
            spec: made.spec(stored),
            entries,
            facts: made.facts(stored),
            rolled_back: false,
        }
    }

    fn places(&self, stored: &StoredRequest) -> BTreeSet<Resource> {
        let made = self.lock();
        let filed = stored.spec.as_ref().and_then(|envelope| made.specs.get(&envelope.payload));
        let sealed = stored.facts.iter().filter_map(|fact| made.facts.get(&fact.mac));
        let granted = sealed.filter_map(|sealed| {
            let Fact::Grant(grant) = &sealed.meant.fact else { return None };
            Some(grant.resource.clone())
        });
        filed.map(|(_, spec)| spec.resource.clone()).into_iter().chain(granted).collect()
    }
}

impl FactSealer for Trust {
    fn seal(
        &self,
        base: &StoredRequest,
        verified: usize,
        at: DateTime<Utc>,
        drafts: &[DraftFact],
    ) -> Vec<StoredFact> {
        let kept = base.facts.get(..verified).unwrap_or(&base.facts);
        let mut prev =
            kept.last().map_or_else(|| first_prev(base), |last| input_digest(&base.id, last));
        let mut sealed = Vec::new();
        for (n, draft) in (kept.len()..).zip(drafts) {
            let fact = draft.tagged(&installation(), &|subject| self.tag(subject));
            let mut stored = StoredFact {
                n: i64::try_from(n).unwrap_or(i64::MAX),
                kind: fact.kind().to_owned(),
                at: timestamp(at),
                payload: self.serial(),
                prev,
                mac: String::new(),
            };
            prev = input_digest(&base.id, &stored);
            stored.mac = Digest::of(format!("mac over {prev}").as_bytes()).to_string();
            sealed.push(stored.clone());
            self.remember(Sealed {
                request: base.id.clone(),
                meant: Recorded { at: as_stored(at), fact },
                digest: prev.clone(),
                stored,
            });
        }
        sealed
    }

    fn tag(&self, subject: &TagSubject<'_>) -> Tag {
        let hash = sha256(&[format!("tag over {subject:?}").as_bytes()]);
        let mut bits = [0; 16];
        bits.iter_mut().zip(hash).for_each(|(slot, byte)| *slot = byte);
        let tag = Tag::from_bits(bits);
        self.lock().tags.insert(tag.as_str().to_owned());
        tag
    }

    fn seal_ledger(
        &self,
        id: [u8; 16],
        kind: &str,
        at: DateTime<Utc>,
        payload: String,
    ) -> LedgerEntry {
        let (id, at) = (encode_id(id), timestamp(at));
        let mac = Digest::of(format!("ledger {id} {kind} {at} {payload}").as_bytes()).to_string();
        self.lock().ledger.insert(mac.clone());
        LedgerEntry { id, kind: kind.to_owned(), at, payload, mac }
    }
}

impl Trust {
    /// A payload like no other.
    fn serial(&self) -> String {
        let mut made = self.lock();
        made.n = made.n.saturating_add(1);
        format!("{{\"n\":{}}}", made.n)
    }

    fn remember(&self, sealed: Sealed) {
        self.lock().facts.insert(sealed.stored.mac.clone(), sealed);
    }
}

/// A stored time has microseconds.
fn as_stored(at: DateTime<Utc>) -> DateTime<Utc> {
    DateTime::from_timestamp_micros(at.timestamp_micros()).unwrap_or(at)
}

fn timestamp(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Micros, true)
}

fn first_prev(stored: &StoredRequest) -> String {
    Digest::of(stored.spec.as_ref().map_or("", |spec| &spec.payload).as_bytes()).to_string()
}

fn input_digest(request: &RequestId, fact: &StoredFact) -> String {
    let StoredFact { n, kind, at, payload, prev, mac: _ } = fact;
    Digest::of(format!("{request} {n} {kind} {at} {payload} {prev}").as_bytes()).to_string()
}
