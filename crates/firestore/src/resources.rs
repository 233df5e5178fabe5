//! Resources and the policy writes that were begun on them.

use curfew_core::id::{RequestId, WriteId};
use curfew_core::resource::Resource;
use curfew_ports::{Intent, ResourceRecord};
use curfew_proto::convert::{time_from_wire, time_to_wire};
use curfew_proto::native::{Native, salvage_native, to_native};
use curfew_proto::v1;
use gcloud_sdk::google::firestore::v1::{Document, Write};

use crate::document::{quoted, update};
use crate::names::id_of;
use crate::rpc::Fold;
use crate::value::{Fields, from_fields, map_of, to_firestore};

/// The write that adds an intent, and the resource with it.
pub(crate) fn open(name: String, resource: &Resource, write: &WriteId, intent: &Intent) -> Write {
    let wire = v1::Intent {
        request_ids: intent.requests.iter().map(ToString::to_string).collect(),
        etag: intent.etag.clone(),
        at: Some(time_to_wire(intent.at)),
    };
    let intents = map_of(write.as_str(), to_firestore(to_native(&wire)));
    let mut fields = named(resource);
    fields.insert("intents".into(), intents);
    update(name, fields, Some(mask([write])), None)
}

/// The write that removes intents, and no others.
pub(crate) fn close(name: String, resource: &Resource, writes: &[WriteId]) -> Write {
    update(name, named(resource), Some(mask(writes)), None)
}

/// Every write names the resource, so that whichever comes first leaves a whole record.
fn named(resource: &Resource) -> Fields {
    Fields::from([("name".into(), to_firestore(Native::Text(resource.to_string())))])
}

fn mask<'a>(writes: impl IntoIterator<Item = &'a WriteId>) -> Vec<String> {
    let intents = writes.into_iter().map(|write| format!("intents.{}", quoted(write.as_str())));
    std::iter::once("name".to_owned()).chain(intents).collect()
}

/// Collects records and counts what is none.
#[derive(Debug, Default)]
pub(crate) struct Resources {
    found: Vec<ResourceRecord>,
    skipped: usize,
}

impl Resources {
    /// The records; what was skipped is reported once.
    pub(crate) fn finish(self) -> Vec<ResourceRecord> {
        if self.skipped > 0 {
            tracing::warn!(
                skipped = self.skipped,
                "skipped documents or intents among the resources that are malformed"
            );
        }
        self.found
    }
}

impl Fold for Resources {
    fn take(&mut self, document: Document) -> bool {
        let id = id_of(&document.name).to_owned();
        let (wire, _) = salvage_native::<v1::ResourceRecord>(&from_fields(document.fields));
        match Resource::parse(&wire.name) {
            // Under another id it is not where writers of this resource would find it.
            Ok(resource) if resource.document_id() == id => {
                let all = wire.intents.len();
                let intents = wire.intents.into_iter().filter_map(intent_from_wire).collect();
                let record = ResourceRecord { resource, intents };
                self.skipped += all - record.intents.len();
                self.found.push(record);
            }
            Ok(_) | Err(_) => self.skipped += 1,
        }
        true
    }
}

fn intent_from_wire((write, wire): (String, v1::Intent)) -> Option<(WriteId, Intent)> {
    let ids = wire.request_ids.iter().filter_map(|id| RequestId::parse(id).ok());
    let intent =
        Intent { requests: ids.collect(), etag: wire.etag, at: time_from_wire(wire.at.as_ref()?)? };
    Some((WriteId::parse(&write).ok()?, intent))
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;
    use gcloud_sdk::google::firestore::v1::write::Operation;

    use super::*;
    use crate::value::map_of;

    #[test]
    fn closing_touches_only_the_intents_it_names() {
        let write = WriteId::from_bits([1; 16]);
        let closing = close("n".into(), &demo(), std::slice::from_ref(&write));
        let mask = closing.update_mask.unwrap().field_paths;
        assert_eq!(mask, ["name".to_owned(), format!("intents.`{write}`")]);
        assert!(closing.current_document.is_none());
    }

    #[test]
    fn a_record_is_read_as_it_was_written() {
        let intent = Intent {
            requests: vec![RequestId::from_bits([7; 16])],
            etag: "BwX=".into(),
            at: DateTime::from_timestamp_micros(1_795_332_569_591_892).unwrap(),
        };
        let write = WriteId::from_bits([1; 16]);
        let document = written(open(name(), &demo(), &write, &intent));
        let mut records = Resources::default();
        records.take(document);
        let intents = [(write, intent)].into();
        assert_eq!(records.finish(), [ResourceRecord { resource: demo(), intents }]);
    }

    #[test]
    fn a_record_under_another_resources_id_or_with_a_malformed_name_is_skipped() {
        let text = |text: &str| to_firestore(Native::Text(text.into()));
        for value in [text("projects/other-web"), text("../x"), map_of("a", text("b"))] {
            let document = Document {
                name: name(),
                fields: Fields::from([("name".into(), value)]),
                ..Default::default()
            };
            let mut records = Resources::default();
            records.take(document);
            assert_eq!((records.skipped, records.finish()), (1, Vec::new()));
        }
    }

    fn demo() -> Resource {
        Resource::parse("projects/demo-web").unwrap()
    }

    fn name() -> String {
        format!("projects/p/databases/d/documents/resources/{}", demo().document_id())
    }

    fn written(write: Write) -> Document {
        let Some(Operation::Update(document)) = write.operation else { panic!("not an update") };
        document
    }
}
