//! Resource names of documents, made and taken apart in one place.

use curfew_core::id::RequestId;
use curfew_ports::PortError;
use curfew_ports::RetryClass;

/// Requests, by their id.
pub(crate) const REQUESTS: &str = "requests";
/// Resources whose policy was ever written, by the hash of their name.
pub(crate) const RESOURCES: &str = "resources";
/// The controller's facts that belong to no single request.
pub(crate) const LEDGER: &str = "ledger";
/// Signs of life of controller processes.
pub(crate) const REPLICAS: &str = "replicas";

/// Bytes of a document's id (<https://cloud.google.com/firestore/quotas>).
const ID_BYTES_MAX: usize = 1_500;

/// The names of one database's documents.
#[derive(Debug, Clone)]
pub(crate) struct Names {
    /// `projects/<project>/databases/<database>/documents`
    documents: String,
}

impl Names {
    pub(crate) fn new(documents: String) -> Self {
        Self { documents }
    }

    /// The parent of every collection.
    pub(crate) fn documents(&self) -> &str {
        &self.documents
    }

    /// The name of a request's document.
    pub(crate) fn request(&self, id: &RequestId) -> String {
        format!("{}/{REQUESTS}/{id}", self.documents)
    }

    /// The name of a document whose id comes from outside; refused if it could name anything else.
    pub(crate) fn checked(&self, collection: &str, id: &str) -> Result<String, PortError> {
        if is_document_id(id) {
            Ok(format!("{}/{collection}/{id}", self.documents))
        } else {
            Err(PortError::new(RetryClass::Invalid, format!("{id:?} is no document id")))
        }
    }
}

/// The id at the end of a document's name.
pub(crate) fn id_of(name: &str) -> &str {
    name.rsplit_once('/').map_or(name, |(_, id)| id)
}

/// The request that a document's name names.
pub(crate) fn request_id(name: &str) -> Option<RequestId> {
    RequestId::parse(id_of(name)).ok()
}

/// The grammar of document ids (<https://cloud.google.com/firestore/quotas#collections_documents_and_fields>).
pub(crate) fn is_document_id(id: &str) -> bool {
    let reserved = id.starts_with("__") && id.ends_with("__");
    !reserved && !matches!(id, "" | "." | "..") && !id.contains('/') && id.len() <= ID_BYTES_MAX
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_that_could_name_another_document_is_refused() {
        let names = Names::new("projects/p/databases/d/documents".into());
        for id in ["", ".", "..", "a/b", "__a__", &"a".repeat(1_501)] {
            assert!(names.checked(LEDGER, id).is_err(), "{id:?}");
        }
        let name = names.checked(LEDGER, "a").unwrap();
        assert_eq!(name, "projects/p/databases/d/documents/ledger/a");
    }

    #[test]
    fn only_a_request_id_at_the_end_names_a_request() {
        let id = RequestId::from_bits([7; 16]);
        let names = Names::new("projects/p/databases/d/documents".into());
        assert_eq!(request_id(&names.request(&id)), Some(id));
        assert_eq!(request_id("projects/p/databases/d/documents/requests/hostile"), None);
        assert_eq!(request_id(""), None);
    }
}
