//! What of a stored request may be believed.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use curfew_core::entry::{ActKind, Entry, Level};
use curfew_core::fact::Fact;
use curfew_core::id::{Installation, Nonce, RequestId};
use curfew_core::request::{REQUESTED_AT_SKEW_MAX, Rejection, Request, Verified, VerifiedFacts};
use curfew_core::resource::Resource;
use curfew_core::spec::Spec;
use curfew_ports::{StoredEnvelope, StoredRequest, Verifier};
use curfew_proto::payload::{self, PayloadError, SPEC_TYPE};

use crate::envelope::open;
use crate::facts::Sealer;
use crate::keys::{KeySet, Verb};

/// Verifies people's acts. It holds no secret: intake has one too, to show nothing that does not verify.
///
/// As a [`Verifier`] it believes no fact, since it cannot check one.
#[derive(Debug, Clone)]
pub struct EnvelopeVerifier {
    installation: Installation,
    keys: KeySet,
}

impl EnvelopeVerifier {
    /// Believes these keys, about this installation.
    pub fn new(installation: Installation, keys: KeySet) -> Self {
        Self { installation, keys }
    }

    /// The spec of a stored request. The key must have been valid when the store created the document.
    pub fn spec(&self, stored: &StoredRequest) -> Result<Verified<Spec>, Rejection> {
        let envelope = stored.spec.as_ref().ok_or(Rejection::Malformed)?;
        let opened = open(&self.keys, envelope, stored.created_at)?;
        let read = payload::read_spec(&envelope.payload).map_err(|error| rejection(&error))?;
        require(opened.kind == SPEC_TYPE, Rejection::OtherType)?;
        self.is_about(stored, &read.installation, &read.spec.id)?;
        require(opened.key.verbs.contains(&Verb::Request), Rejection::VerbNotAllowed)?;
        let skew = stored.created_at.signed_duration_since(read.spec.requested_at).abs();
        require(skew <= REQUESTED_AT_SKEW_MAX, Rejection::RequestedAtImplausible)?;
        Ok(Verified::vouch(read.spec))
    }

    /// One entry of a stored request, which stands there under `nonce` and was seen at `seen_at`.
    pub fn entry(
        &self,
        stored: &StoredRequest,
        nonce: &Nonce,
        envelope: &StoredEnvelope,
        seen_at: DateTime<Utc>,
    ) -> Result<Verified<Entry>, Rejection> {
        let opened = open(&self.keys, envelope, seen_at)?;
        let read = payload::read_entry(&envelope.payload).map_err(|error| rejection(&error))?;
        let kind = read.act.kind();
        require(kind.as_str() == opened.kind, Rejection::OtherType)?;
        self.is_about(stored, &read.installation, &read.request)?;
        require(read.nonce == *nonce, Rejection::OtherNonce)?;
        require(opened.key.verbs.contains(&verb_of(kind)), Rejection::VerbNotAllowed)?;
        let level = opened.key.level;
        let filed_with = stored.spec.as_ref().and_then(|spec| self.keys.get(&spec.key_id));
        let filed_it = filed_with.is_some_and(|key| key.owner == opened.key.owner);
        let decides_its_own = level == Level::Writer && kind == ActKind::Decision && filed_it;
        require(!decides_its_own, Rejection::VerbNotAllowed)?;
        let (digest, actor, at, act) = (read.digest, read.actor, read.at, read.act);
        Ok(Verified::vouch(Entry { nonce: read.nonce, digest, actor, at, level, act }))
    }

    /// Every entry whose key can be a nonce. A key that cannot names nothing that could ever count.
    ///
    /// An entry is judged at the time of its `SEEN` fact. Until there is one, it is judged at the document's version:
    /// the store sets it, no later change can have been seen in this snapshot, and the same snapshot always gets the
    /// same verdict. The time that the signer claims plays no part.
    fn entries(
        &self,
        stored: &StoredRequest,
        facts: &VerifiedFacts,
    ) -> BTreeMap<Nonce, Result<Verified<Entry>, Rejection>> {
        let seen = seen_at(facts);
        let written_at = DateTime::from_timestamp_micros(stored.version.0);
        let nonces = stored
            .entries
            .iter()
            .filter_map(|(key, envelope)| Some((Nonce::parse(key).ok()?, envelope)));
        nonces
            .map(|(nonce, envelope)| {
                let at = seen.get(&nonce).copied().or(written_at);
                let verdict = at
                    .ok_or(Rejection::KeyOutOfWindow)
                    .and_then(|at| self.entry(stored, &nonce, envelope, at));
                (nonce, verdict)
            })
            .collect()
    }

    fn request(&self, stored: &StoredRequest, facts: VerifiedFacts) -> Request {
        Request {
            id: stored.id.clone(),
            created_at: stored.created_at,
            spec: self.spec(stored),
            entries: self.entries(stored, &facts),
            facts,
            rolled_back: false,
        }
    }

    fn is_about(
        &self,
        stored: &StoredRequest,
        installation: &Installation,
        id: &RequestId,
    ) -> Result<(), Rejection> {
        require(*installation == self.installation, Rejection::OtherInstallation)?;
        require(*id == stored.id, Rejection::OtherRequest)
    }
}

impl Verifier for EnvelopeVerifier {
    fn verify(&self, stored: &StoredRequest) -> Request {
        self.request(stored, VerifiedFacts::vouch(Vec::new(), stored.facts.len()))
    }
}

/// Verifies people's acts and the controller's facts. Only the controller's process can have one: it holds the key
/// of the macs.
///
/// Whether a chain was rolled back cannot be seen in the chain: the controller, which remembers, sets `rolled_back`.
#[derive(Debug, Clone)]
pub struct StoreVerifier {
    envelopes: EnvelopeVerifier,
    sealer: Sealer,
}

impl StoreVerifier {
    /// Puts both together; they are of one installation.
    pub fn new(envelopes: EnvelopeVerifier, sealer: Sealer) -> Self {
        Self { envelopes, sealer }
    }
}

impl Verifier for StoreVerifier {
    fn verify(&self, stored: &StoredRequest) -> Request {
        self.envelopes.request(stored, self.sealer.verify_facts(stored))
    }

    fn places(&self, stored: &StoredRequest) -> BTreeSet<Resource> {
        let spec = stored.spec.as_ref().and_then(|it| payload::read_spec(&it.payload).ok());
        let facts =
            stored.facts.iter().filter_map(|it| payload::read_fact(&it.kind, &it.payload).ok());
        let granted = facts.filter_map(|fact| match fact {
            Fact::Grant(grant) => Some(grant.resource),
            Fact::Seen { .. }
            | Fact::Eligible(_)
            | Fact::Approval { .. }
            | Fact::Bound { .. }
            | Fact::Drift { .. }
            | Fact::Outcome(_)
            | Fact::Ended { .. }
            | Fact::Unknown { .. } => None,
        });
        spec.map(|read| read.spec.resource).into_iter().chain(granted).collect()
    }
}

/// How many entries stand under a key that cannot be a nonce: nobody of ours wrote them.
pub fn entries_without_nonce(stored: &StoredRequest) -> usize {
    stored.entries.keys().filter(|key| Nonce::parse(key).is_err()).count()
}

/// When each entry was first looked at.
fn seen_at(facts: &VerifiedFacts) -> BTreeMap<Nonce, DateTime<Utc>> {
    let mut seen = BTreeMap::new();
    for recorded in facts.iter() {
        if let Fact::Seen { nonce, .. } = &recorded.fact {
            seen.entry(nonce.clone()).or_insert(recorded.at);
        }
    }
    seen
}

fn verb_of(kind: ActKind) -> Verb {
    match kind {
        ActKind::Decision => Verb::Decide,
        ActKind::Withdraw | ActKind::Revoke | ActKind::Extend | ActKind::CloseReview => {
            Verb::Direct
        }
    }
}

fn rejection(error: &PayloadError) -> Rejection {
    match error {
        PayloadError::Malformed(_) => Rejection::Malformed,
        PayloadError::UnsupportedVersion => Rejection::UnsupportedVersion,
        PayloadError::OtherType => Rejection::OtherType,
    }
}

fn require(holds: bool, otherwise: Rejection) -> Result<(), Rejection> {
    if holds { Ok(()) } else { Err(otherwise) }
}

#[cfg(test)]
mod tests;
