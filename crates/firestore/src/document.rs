//! Requests as documents: what is written, and what is believed of what is read, which is nothing yet.

use std::collections::BTreeSet;

use curfew_core::id::{Nonce, RequestId};
use curfew_ports::{FactsCommit, PortError, RetryClass, StoredEnvelope, StoredFact, StoredRequest};
use curfew_proto::convert::{spec_view, status_from_wire, status_to_wire, time_to_wire};
use curfew_proto::native::{Native, salvage_native, to_native};
use curfew_proto::payload::read_spec;
use curfew_proto::v1;
use gcloud_sdk::google::firestore::v1::precondition::ConditionType;
use gcloud_sdk::google::firestore::v1::write::Operation;
use gcloud_sdk::google::firestore::v1::{Document, DocumentMask, Precondition, Write};

use crate::answer;
use crate::names::request_id;
use crate::rpc::Fold;
use crate::value::{Fields, from_fields, map_of, to_fields, to_firestore};

/// What the controller's commits replace; a field of these that is not given is removed.
const CONTROLLERS_FIELDS: [&str; 4] = ["facts", "live", "purgeAt", "status"];

/// The write that files a request; refused where the document exists.
pub(crate) fn create(
    name: String,
    id: &RequestId,
    spec: &StoredEnvelope,
) -> Result<Write, PortError> {
    let refuse = |why: String| {
        PortError::new(RetryClass::Invalid, format!("file request {id}: the spec's payload {why}"))
    };
    let payload = read_spec(&spec.payload).map_err(|error| refuse(error.to_string()))?;
    if payload.spec.id != *id {
        return Err(refuse(format!("is of request {}", payload.spec.id)));
    }
    let request = v1::StoredRequest {
        live: true,
        spec: Some(envelope_to_wire(spec)),
        spec_view: Some(spec_view(&payload)),
        ..Default::default()
    };
    let fields = to_fields(to_native(&request));
    Ok(update(name, fields, None, Some(ConditionType::Exists(false))))
}

/// The write that adds an act, and touches nothing else; refused where there is no document.
pub(crate) fn add_entry(name: String, nonce: &Nonce, entry: &StoredEnvelope) -> Write {
    let envelope = to_firestore(to_native(&envelope_to_wire(entry)));
    let entries = map_of(nonce.as_str(), envelope);
    let fields = Fields::from([("entries".to_owned(), entries)]);
    let mask = vec![format!("entries.{}", quoted(nonce.as_str()))];
    update(name, fields, Some(mask), Some(ConditionType::Exists(true)))
}

/// The write that records facts; refused where the document is not the version that was judged.
pub(crate) fn commit(name: String, commit: &FactsCommit) -> Write {
    let request = v1::StoredRequest {
        live: commit.live,
        facts: commit.facts.iter().map(fact_to_wire).collect(),
        status: Some(status_to_wire(&commit.status)),
        purge_at: commit.purge_at.map(time_to_wire),
        ..Default::default()
    };
    let mut fields = to_fields(to_native(&request));
    fields.retain(|field, _| CONTROLLERS_FIELDS.contains(&field.as_str()));
    let mask = CONTROLLERS_FIELDS.map(str::to_owned).to_vec();
    let judged = ConditionType::UpdateTime(answer::version_timestamp(commit.base));
    update(name, fields, Some(mask), Some(judged))
}

/// A write of these fields; of the whole document without a mask.
pub(crate) fn update(
    name: String,
    fields: Fields,
    mask: Option<Vec<String>>,
    condition: Option<ConditionType>,
) -> Write {
    let document = Document { name, fields, ..Default::default() };
    Write {
        update_mask: mask.map(|field_paths| DocumentMask { field_paths }),
        current_document: condition.map(|one| Precondition { condition_type: Some(one) }),
        operation: Some(Operation::Update(document)),
        ..Default::default()
    }
}

/// A write that deletes a document, whether or not there is one.
pub(crate) fn delete(name: String) -> Write {
    Write { operation: Some(Operation::Delete(name)), ..Default::default() }
}

/// A map key in a field path. Our keys begin with a digit or letter and hold nothing to escape; a digit first is what
/// needs the quotes (<https://cloud.google.com/firestore/docs/reference/rpc/google.firestore.v1#document>).
pub(crate) fn quoted(key: &str) -> String {
    format!("`{key}`")
}

/// The request in a document; `None` for a document that is none, by its name or without times of its own.
pub(crate) fn stored_request(document: Document) -> Option<StoredRequest> {
    let id = request_id(&document.name)?;
    let created_at = answer::time(document.create_time.as_ref()?)?;
    let version = answer::version(document.update_time.as_ref()?)?;
    // What is malformed stays unset or empty here, and will not verify.
    let (request, _) = salvage_native::<v1::StoredRequest>(&known_fields(document.fields));
    let entries = request.entries.into_iter().map(|(key, entry)| (key, envelope_from_wire(entry)));
    Some(StoredRequest {
        id,
        live: request.live,
        spec: request.spec.map(envelope_from_wire),
        entries: entries.collect(),
        facts: request.facts.into_iter().map(fact_from_wire).collect(),
        status: request.status.as_ref().and_then(status_from_wire),
        created_at,
        version,
    })
}

/// The fields that a request is made of; `specView` is for lists and never read back.
fn known_fields(mut fields: Fields) -> Native {
    const READ: [&str; 5] = ["live", "spec", "entries", "facts", "status"];
    fields.retain(|field, _| READ.contains(&field.as_str()));
    from_fields(fields)
}

/// Collects requests and counts what is none.
#[derive(Debug, Default)]
pub(crate) struct Requests {
    found: Vec<StoredRequest>,
    skipped: usize,
}

impl Requests {
    /// The requests; what was skipped is reported once.
    pub(crate) fn finish(self) -> Vec<StoredRequest> {
        if self.skipped > 0 {
            tracing::warn!(
                skipped = self.skipped,
                "skipped documents among the requests whose id is no request id"
            );
        }
        self.found
    }

    pub(crate) fn len(&self) -> usize {
        self.found.len()
    }
}

impl Fold for Requests {
    fn take(&mut self, document: Document) -> bool {
        match stored_request(document) {
            Some(request) => self.found.push(request),
            None => self.skipped += 1,
        }
        true
    }
}

impl FromIterator<Document> for Requests {
    fn from_iter<I: IntoIterator<Item = Document>>(documents: I) -> Self {
        let mut requests = Self::default();
        for document in documents {
            requests.take(document);
        }
        requests
    }
}

/// Whether a found document is what this commit made of it, and nobody has added an act since: the controller may
/// then go on from its version as from the commit's own answer. An act that the commit had not looked at would
/// otherwise be hidden behind a version that claims to include it.
pub(crate) fn is_from(found: &StoredRequest, commit: &FactsCommit) -> bool {
    let seen: BTreeSet<&str> =
        commit.status.observed_entries.iter().map(|entry| entry.nonce.as_str()).collect();
    found.facts.iter().map(|fact| &fact.mac).eq(commit.facts.iter().map(|fact| &fact.mac))
        && found.live == commit.live
        && found.entries.keys().all(|nonce| seen.contains(nonce.as_str()))
}

fn envelope_to_wire(envelope: &StoredEnvelope) -> v1::Envelope {
    v1::Envelope {
        payload: envelope.payload.clone(),
        key_id: envelope.key_id.clone(),
        signature: envelope.signature.clone(),
    }
}

fn envelope_from_wire(envelope: v1::Envelope) -> StoredEnvelope {
    StoredEnvelope {
        payload: envelope.payload,
        key_id: envelope.key_id,
        signature: envelope.signature,
    }
}

fn fact_to_wire(fact: &StoredFact) -> v1::Fact {
    v1::Fact {
        n: fact.n,
        kind: fact.kind.clone(),
        at: fact.at.clone(),
        payload: fact.payload.clone(),
        prev: fact.prev.clone(),
        mac: fact.mac.clone(),
    }
}

fn fact_from_wire(fact: v1::Fact) -> StoredFact {
    StoredFact {
        n: fact.n,
        kind: fact.kind,
        at: fact.at,
        payload: fact.payload,
        prev: fact.prev,
        mac: fact.mac,
    }
}

#[cfg(test)]
mod tests;
