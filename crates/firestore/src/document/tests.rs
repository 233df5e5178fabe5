use curfew_core::phase::Phase;
use curfew_core::status::{EntryStatus, Status};
use curfew_ports::Version;
use gcloud_sdk::google::firestore::v1::value::ValueType;
use gcloud_sdk::google::firestore::v1::{ArrayValue, Value};
use gcloud_sdk::prost_types::Timestamp;

use super::*;

#[test]
fn a_commit_is_conditional_on_the_version_and_masks_the_controllers_fields() {
    let write = commit("n".into(), &facts(["m"], []));
    let judged = write.current_document.unwrap().condition_type;
    let base = Timestamp { seconds: 1, nanos: 5_000 };
    assert_eq!(judged, Some(ConditionType::UpdateTime(base)));
    assert_eq!(write.update_mask.unwrap().field_paths, ["facts", "live", "purgeAt", "status"]);
    let Some(Operation::Update(document)) = write.operation else { panic!("not an update") };
    let mut fields: Vec<&String> = document.fields.keys().collect();
    fields.sort();
    assert_eq!(fields, ["facts", "live", "status"], "an absent purgeAt is removed by the mask");
}

#[test]
fn an_entry_touches_only_itself() {
    let nonce = Nonce::from_bits([1; 16]);
    let write = add_entry("n".into(), &nonce, &StoredEnvelope::default());
    assert_eq!(write.update_mask.unwrap().field_paths, [format!("entries.`{nonce}`")]);
    let condition = write.current_document.unwrap().condition_type;
    assert_eq!(condition, Some(ConditionType::Exists(true)));
}

#[test]
fn a_document_without_times_or_a_request_id_is_none() {
    assert!(stored_request(document(id().as_str(), Fields::new())).is_some());
    assert!(stored_request(document("hostile", Fields::new())).is_none());
    let timeless = Document { update_time: None, ..document(id().as_str(), Fields::new()) };
    assert!(stored_request(timeless).is_none());
}

#[test]
fn a_million_items_cost_nothing() {
    let bits = ArrayValue { values: vec![Value::default(); 1_000_000] };
    let facts = Value { value_type: Some(ValueType::ArrayValue(bits)) };
    let fields = Fields::from([("facts".to_owned(), facts)]);
    assert!(stored_request(document(id().as_str(), fields)).unwrap().facts.is_empty());
}

#[test]
fn a_document_is_from_a_commit_only_with_its_facts_its_liveness_and_no_unseen_act() {
    let commit = facts(["a", "b"], ["seen"]);
    let found = |macs: &[&str], live, entries: &[&str]| StoredRequest {
        id: id(),
        live,
        spec: None,
        entries: entries.iter().map(|key| ((*key).into(), StoredEnvelope::default())).collect(),
        facts: macs.iter().map(|mac| fact(mac)).collect(),
        status: None,
        created_at: chrono::DateTime::UNIX_EPOCH,
        version: Version(9),
    };
    assert!(is_from(&found(&["a", "b"], true, &["seen"]), &commit));
    assert!(is_from(&found(&["a", "b"], true, &[]), &commit));
    assert!(!is_from(&found(&["a", "b"], true, &["seen", "unseen"]), &commit));
    assert!(!is_from(&found(&["a"], true, &[]), &commit));
    assert!(!is_from(&found(&["a", "b", "c"], true, &[]), &commit));
    assert!(!is_from(&found(&["a", "x"], true, &[]), &commit));
    assert!(!is_from(&found(&["a", "b"], false, &[]), &commit));
}

#[test]
fn skipped_documents_are_counted() {
    let documents = [document(id().as_str(), Fields::new()), document("hostile", Fields::new())];
    let requests: Requests = documents.into_iter().collect();
    assert_eq!((requests.skipped, requests.finish().len()), (1, 1));
}

fn id() -> RequestId {
    RequestId::from_bits([7; 16])
}

fn document(id: &str, fields: Fields) -> Document {
    let time = Some(Timestamp { seconds: 1, nanos: 5_000 });
    let name = format!("projects/p/databases/d/documents/requests/{id}");
    Document { name, fields, create_time: time, update_time: time }
}

fn facts<const F: usize, const E: usize>(macs: [&str; F], seen: [&str; E]) -> FactsCommit {
    let observed = seen.map(|nonce| EntryStatus { nonce: nonce.into(), why_not: None });
    FactsCommit {
        id: id(),
        base: Version(1_000_005),
        facts: macs.map(fact).to_vec(),
        status: Status {
            phase: Phase::Pending,
            outcome: None,
            conditions: Vec::new(),
            grant: None,
            decide_by: None,
            steps_required: None,
            approved_by: Vec::new(),
            observed_entries: observed.to_vec(),
        },
        live: true,
        purge_at: None,
    }
}

fn fact(mac: &str) -> StoredFact {
    StoredFact { mac: mac.into(), ..Default::default() }
}
