//! The request store. Everything that comes out of it is untrusted.

use std::collections::BTreeMap;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use curfew_core::id::{Nonce, ReplicaId, RequestId, WriteId};
use curfew_core::resource::Resource;
use curfew_core::status::Status;
use futures_util::stream::BoxStream;

use crate::PortError;

/// A signed act as it is stored.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct StoredEnvelope {
    /// RFC 8785 JSON text.
    pub payload: String,
    /// Which configured key signed.
    pub key_id: String,
    /// base64url without padding.
    pub signature: String,
}

/// A fact as it is stored.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct StoredFact {
    /// Its place in the chain, from 0.
    pub n: i64,
    /// A name of [`curfew_core::fact::Fact::kind`].
    pub kind: String,
    /// `YYYY-MM-DDTHH:MM:SS.ssssssZ`
    pub at: String,
    /// RFC 8785 JSON text.
    pub payload: String,
    /// 64 hexadecimal digits: the mac input of the fact before, or the digest of the spec's payload.
    pub prev: String,
    /// 64 hexadecimal digits.
    pub mac: String,
}

/// The store's own version of a document: its update time, in microseconds since the epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version(pub i64);

/// A stored request, decoded and not yet verified. What could not be decoded is left out or empty, and will
/// not verify.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredRequest {
    /// The document's id.
    pub id: RequestId,
    /// The hint that the request belongs to the working set.
    pub live: bool,
    /// The filed request.
    pub spec: Option<StoredEnvelope>,
    /// Acts by nonce, as the map keys stand.
    pub entries: BTreeMap<String, StoredEnvelope>,
    /// The controller's facts.
    pub facts: Vec<StoredFact>,
    /// The projection for readers.
    pub status: Option<Status>,
    /// When the store created the document.
    pub created_at: DateTime<Utc>,
    /// The version that was read.
    pub version: Version,
}

/// What the controller records about one request, in one commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FactsCommit {
    /// The request.
    pub id: RequestId,
    /// The version that was judged; the commit is refused if the document has changed since.
    pub base: Version,
    /// All facts, old and new.
    pub facts: Vec<StoredFact>,
    /// Their projection.
    pub status: Status,
    /// Whether the request still belongs to the working set.
    pub live: bool,
    /// When the document may be purged; set at the end.
    pub purge_at: Option<DateTime<Utc>>,
}

/// The store's answer to a commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Committed {
    /// The document's version now.
    pub version: Version,
    /// The store's commit time.
    pub at: DateTime<Utc>,
}

/// One change of the live set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WatchEvent {
    /// This is how the request stands now.
    Changed(Box<StoredRequest>),
    /// The request left the live set, or is deleted.
    Gone(RequestId),
    /// Everything up to now was delivered.
    Current,
    /// The stream was interrupted and goes on by itself; what happened meanwhile is delivered later.
    Interrupted,
}

/// A policy write that was begun.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Intent {
    /// The requests whose bindings it changes.
    pub requests: Vec<RequestId>,
    /// The etag that it is conditional on.
    pub etag: String,
    /// When it was recorded.
    pub at: DateTime<Utc>,
}

/// What is kept of a resource whose policy was ever written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResourceRecord {
    /// The resource.
    pub resource: Resource,
    /// Writes whose end is not recorded.
    pub intents: BTreeMap<WriteId, Intent>,
}

/// A macced fact that belongs to no single request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LedgerEntry {
    /// The document's id.
    pub id: String,
    /// What happened, such as `FORGED_FACTS`.
    pub kind: String,
    /// `YYYY-MM-DDTHH:MM:SS.ssssssZ`
    pub at: String,
    /// RFC 8785 JSON text.
    pub payload: String,
    /// 64 hexadecimal digits.
    pub mac: String,
}

/// A sign of life of one run of a controller process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Heartbeat {
    /// The run.
    pub replica: ReplicaId,
    /// When it began, by its own clock.
    pub started_at: DateTime<Utc>,
    /// Its own time at this beat; never twice the same.
    pub at: DateTime<Utc>,
}

/// Which stored requests to list, newest first.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ListQuery {
    /// Only requests of this subject.
    pub requester: Option<String>,
    /// Only requests on this resource.
    pub resource: Option<String>,
    /// Only requests in this phase.
    pub phase: Option<String>,
    /// At most this many.
    pub page_size: u32,
    /// From a page before; opaque.
    pub page_token: Option<String>,
}

/// One page of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// The requests.
    pub requests: Vec<StoredRequest>,
    /// For the next page; `None` on the last.
    pub next_page_token: Option<String>,
}

/// The one store of requests.
///
/// A write that ends in [`crate::RetryClass::Unavailable`] may have happened; repeating the same bytes is safe for
/// every method, and where a precondition then fails, a look shows what happened.
#[async_trait]
pub trait RequestStore: Send + Sync {
    /// Creates a request; [`crate::RetryClass::AlreadyExists`] if there is one under this id.
    async fn create(&self, id: &RequestId, spec: &StoredEnvelope) -> Result<Committed, PortError>;

    /// Adds an act to an existing request; [`crate::RetryClass::NotFound`] if there is none.
    async fn add_entry(
        &self,
        id: &RequestId,
        nonce: &Nonce,
        entry: &StoredEnvelope,
    ) -> Result<Committed, PortError>;

    /// Reads requests at once; an absent id does not exist.
    async fn get(&self, ids: &[RequestId])
    -> Result<BTreeMap<RequestId, StoredRequest>, PortError>;

    /// One page of a list.
    async fn list(&self, query: &ListQuery) -> Result<Page, PortError>;

    /// The whole live set.
    async fn live(&self) -> Result<Vec<StoredRequest>, PortError>;

    /// Changes of the live set from now on, as a hint: nothing may rest on it alone. Never ends by itself.
    fn watch_live(&self) -> BoxStream<'static, WatchEvent>;

    /// Records facts; [`crate::RetryClass::Conflict`] if the document has changed or is gone.
    async fn commit(&self, commit: &FactsCommit) -> Result<Committed, PortError>;

    /// Records that a policy write begins.
    async fn open_intent(
        &self,
        resource: &Resource,
        write: &WriteId,
        intent: &Intent,
    ) -> Result<(), PortError>;

    /// Records that these policy writes are over.
    async fn close_intents(&self, resource: &Resource, writes: &[WriteId])
    -> Result<(), PortError>;

    /// Every resource whose policy was ever written.
    async fn resources(&self) -> Result<Vec<ResourceRecord>, PortError>;

    /// Adds an entry to the ledger.
    async fn append_ledger(&self, entry: &LedgerEntry) -> Result<(), PortError>;

    /// Shows that a run is alive; the answer carries the store's time.
    async fn beat(&self, heartbeat: &Heartbeat) -> Result<Committed, PortError>;

    /// Takes back a run's sign of life; one that is gone already is no error.
    async fn retire(&self, replica: &ReplicaId) -> Result<(), PortError>;
}
