//! A client on a connection of its own, and the documents it writes.

use gcloud_sdk::google::firestore::v1::{
    CommitRequest, Document, MapValue, Value, Write, firestore_client::FirestoreClient,
    value::ValueType, write::Operation,
};
use prost_types::Timestamp;
use tonic::{
    Request, Status,
    metadata::MetadataValue,
    service::interceptor::InterceptedService,
    transport::{Channel, Endpoint},
};

use crate::Failure;

pub(crate) const DATABASE: &str = "projects/p/databases/(default)";
/// Brings a document to the size of a typical request.
const PADDING: usize = 1_000;
/// One document in so many is live.
pub(crate) const LIVE_EVERY: u32 = 100;
/// So many people take turns at making requests.
pub(crate) const REQUESTERS: u32 = 1_000;
/// So many projects take turns at being asked for.
pub(crate) const RESOURCES: u32 = 5_000;
/// Of every request: the page of one phase is the newest of all.
pub(crate) const PHASE: &str = "Ended";

type Authorize = fn(Request<()>) -> Result<Request<()>, Status>;
pub(crate) type Client = FirestoreClient<InterceptedService<Channel, Authorize>>;

/// Opens a connection.
pub(crate) async fn connect(address: &str) -> Result<Client, Failure> {
    let endpoint = Endpoint::from_shared(format!("http://{address}"))?.tcp_nodelay(true);
    let authorize: Authorize = |mut request| {
        let header = MetadataValue::from_static("Bearer owner");
        request.metadata_mut().insert("authorization", header);
        // Google's emulator listens only to streams that name their database here.
        let database = MetadataValue::from_static(DATABASE);
        request.metadata_mut().insert("google-cloud-resource-prefix", database);
        Ok(request)
    };
    Ok(FirestoreClient::with_interceptor(endpoint.connect().await?, authorize))
}

/// A commit of these documents, whatever was there before.
pub(crate) fn commit(documents: Vec<Document>) -> CommitRequest {
    let write =
        |document| Write { operation: Some(Operation::Update(document)), ..Write::default() };
    let writes = documents.into_iter().map(write).collect();
    CommitRequest { database: DATABASE.into(), writes, ..CommitRequest::default() }
}

/// The `n`th request, with every field that the product's index file names.
pub(crate) fn request(collection: &str, id: &str, n: u32) -> Document {
    let requester = map([("subject", text(&requester(n)))]);
    let requested_at = ValueType::TimestampValue(Timestamp { seconds: n.into(), nanos: 0 });
    let fields = [
        ("live", ValueType::BooleanValue(n.is_multiple_of(LIVE_EVERY))),
        (
            "specView",
            map([
                ("requester", requester),
                ("requestedAt", requested_at),
                ("resource", text(&resource(n))),
            ]),
        ),
        ("status", map([("phase", text(PHASE))])),
        ("padding", text(&"x".repeat(PADDING))),
    ];
    Document {
        name: format!("{DATABASE}/documents/{collection}/{id}"),
        fields: fields.map(|(name, value)| (name.to_owned(), wrap(value))).into(),
        ..Document::default()
    }
}

/// Who made the `n`th request.
pub(crate) fn requester(n: u32) -> String {
    format!("user:person-{}@example.com", n % REQUESTERS)
}

/// What the `n`th request is for.
pub(crate) fn resource(n: u32) -> String {
    format!("projects/p{}", n % RESOURCES)
}

pub(crate) fn wrap(value_type: ValueType) -> Value {
    Value { value_type: Some(value_type) }
}

fn text(text: &str) -> ValueType {
    ValueType::StringValue(text.into())
}

fn map<const N: usize>(fields: [(&str, ValueType); N]) -> ValueType {
    let fields = fields.map(|(name, value)| (name.to_owned(), wrap(value))).into();
    ValueType::MapValue(MapValue { fields })
}
