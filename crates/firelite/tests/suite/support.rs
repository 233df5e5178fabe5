//! A server on a temporary file, a client for it, and short constructors of messages.

use std::{
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    time::Duration,
};

use curfew_firelite::{Config, Faults, Indexes, OpenError, Server, StartError};
use gcloud_sdk::google::firestore::v1::{
    ArrayValue, CommitRequest, CommitResponse, Document, DocumentMask, GetDocumentRequest,
    MapValue, Precondition, RunQueryRequest, RunQueryResponse, StructuredQuery, Value, Write,
    firestore_client::FirestoreClient,
    precondition::ConditionType,
    run_query_request::QueryType,
    structured_query::{
        CollectionSelector, CompositeFilter, Direction, FieldFilter, FieldReference, Filter, Order,
        composite_filter, field_filter, filter::FilterType,
    },
    value::ValueType,
    write::Operation,
};
use prometheus::Registry;
use prost_types::Timestamp;
use tempfile::TempDir;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tonic::{
    Code, Request, Status,
    metadata::MetadataValue,
    service::{Interceptor, interceptor::InterceptedService},
    transport::{Channel, Endpoint},
};

pub(crate) const DATABASE: &str = "projects/p/databases/(default)";
pub(crate) const ROOT: &str = "projects/p/databases/(default)/documents";
pub(crate) const TOKEN: &str = "owner";
pub(crate) const LOOPBACK: SocketAddr =
    SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

/// How long anything may take before a test fails.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) type Client = FirestoreClient<InterceptedService<Channel, Bearer>>;

/// A running server; its file lives as long as this does.
pub(crate) struct Fixture {
    directory: TempDir,
    running: Option<Running>,
}

struct Running {
    address: SocketAddr,
    faults: Faults,
    metrics: Registry,
    shutdown: CancellationToken,
    serving: JoinHandle<Result<(), curfew_firelite::ServeError>>,
}

impl Fixture {
    pub(crate) async fn start() -> Self {
        let mut fixture = Self { directory: TempDir::new().unwrap(), running: None };
        fixture.start_again().await;
        fixture
    }

    /// Starts the server on the same file.
    pub(crate) async fn start_again(&mut self) {
        let server = bind(&self.path()).await;
        let (address, shutdown) = (server.local_addr(), CancellationToken::new());
        let (faults, metrics) = (server.faults(), Registry::new());
        server.register_metrics(&metrics).unwrap();
        let serving = tokio::spawn(server.serve(shutdown.clone()));
        self.running = Some(Running { address, faults, metrics, shutdown, serving });
    }

    /// Stops the server and waits until its file is closed.
    pub(crate) async fn stop(&mut self) {
        let Running { shutdown, serving, .. } = self.running.take().unwrap();
        shutdown.cancel();
        serving.await.unwrap().unwrap();
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.directory.path().join("firelite.db")
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.running.as_ref().unwrap().address
    }

    pub(crate) fn faults(&self) -> &Faults {
        &self.running.as_ref().unwrap().faults
    }

    pub(crate) fn metrics(&self) -> &Registry {
        &self.running.as_ref().unwrap().metrics
    }

    pub(crate) async fn client(&self) -> Client {
        connect(self.address(), TOKEN).await
    }
}

pub(crate) fn config(path: &Path) -> Config {
    let shipped = include_str!("../../../../deploy/firestore.indexes.json");
    Config {
        path: path.into(),
        listen: LOOPBACK,
        token: TOKEN.into(),
        indexes: Indexes::parse(shipped).unwrap(),
    }
}

/// Opens the file once it is free: a process that another test is just spawning shares the lock
/// of a stopped server until it becomes another program.
async fn bind(path: &Path) -> Server {
    let until_free = async {
        loop {
            match Server::bind(config(path)).await {
                Err(StartError::Open(OpenError::InUse(_))) => tokio::task::yield_now().await,
                outcome => return outcome.unwrap(),
            }
        }
    };
    tokio::time::timeout(PATIENCE, until_free).await.expect("a free file")
}

pub(crate) async fn connect(address: SocketAddr, token: &str) -> Client {
    let endpoint = Endpoint::from_shared(format!("http://{address}")).unwrap();
    let channel = endpoint.connect().await.unwrap();
    FirestoreClient::with_interceptor(channel, Bearer(token.into()))
        .max_decoding_message_size(usize::MAX)
}

/// Adds the token to every call; none if it is empty.
#[derive(Clone)]
pub(crate) struct Bearer(String);

impl Interceptor for Bearer {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        if !self.0.is_empty() {
            let header = MetadataValue::try_from(format!("Bearer {}", self.0)).unwrap();
            request.metadata_mut().insert("authorization", header);
        }
        Ok(request)
    }
}

pub(crate) async fn commit(
    client: &mut Client,
    writes: Vec<Write>,
) -> Result<CommitResponse, Status> {
    let request = CommitRequest { database: DATABASE.into(), writes, ..CommitRequest::default() };
    client.commit(request).await.map(tonic::Response::into_inner)
}

pub(crate) async fn get(client: &mut Client, path: &str) -> Option<Document> {
    let request = GetDocumentRequest { name: name(path), ..GetDocumentRequest::default() };
    match client.get_document(request).await {
        Ok(document) => Some(document.into_inner()),
        Err(status) if status.code() == Code::NotFound => None,
        Err(status) => panic!("{status}"),
    }
}

pub(crate) async fn run_query(
    client: &mut Client,
    query: StructuredQuery,
) -> Result<Vec<RunQueryResponse>, Status> {
    let request = RunQueryRequest {
        parent: ROOT.into(),
        query_type: Some(QueryType::StructuredQuery(query)),
        ..RunQueryRequest::default()
    };
    let mut stream = client.run_query(request).await?.into_inner();
    let mut replies = Vec::new();
    while let Some(reply) = stream.message().await? {
        replies.push(reply);
    }
    Ok(replies)
}

/// The ids of the documents that a query returns.
pub(crate) async fn ids(client: &mut Client, query: StructuredQuery) -> Vec<String> {
    let replies = run_query(client, query).await.unwrap();
    let documents = replies.into_iter().filter_map(|reply| reply.document);
    documents.map(|document| document.name.rsplit('/').next().unwrap().into()).collect()
}

/// The code and the text of a refusal.
pub(crate) fn refusal<T: std::fmt::Debug>(outcome: Result<T, Status>) -> (Code, String) {
    let status = outcome.unwrap_err();
    (status.code(), status.message().to_owned())
}

pub(crate) fn name(path: &str) -> String {
    format!("{ROOT}/{path}")
}

pub(crate) fn document(path: &str, fields: &[(&str, Value)]) -> Document {
    let fields = fields.iter().map(|(name, value)| ((*name).into(), value.clone())).collect();
    Document { name: name(path), fields, ..Document::default() }
}

pub(crate) fn set(path: &str, fields: &[(&str, Value)]) -> Write {
    Write { operation: Some(Operation::Update(document(path, fields))), ..Write::default() }
}

pub(crate) fn update(path: &str, mask: &[&str], fields: &[(&str, Value)]) -> Write {
    let field_paths = mask.iter().map(|path| (*path).into()).collect();
    Write { update_mask: Some(DocumentMask { field_paths }), ..set(path, fields) }
}

pub(crate) fn delete(path: &str) -> Write {
    Write { operation: Some(Operation::Delete(name(path))), ..Write::default() }
}

pub(crate) fn provided(condition: ConditionType, write: Write) -> Write {
    let condition_type = Some(condition);
    Write { current_document: Some(Precondition { condition_type }), ..write }
}

pub(crate) fn micros(timestamp: Option<Timestamp>) -> i64 {
    let timestamp = timestamp.unwrap();
    assert_eq!(timestamp.nanos % 1_000, 0);
    timestamp.seconds * 1_000_000 + i64::from(timestamp.nanos / 1_000)
}

pub(crate) fn timestamp(micros: i64) -> Timestamp {
    let nanos = i32::try_from(micros % 1_000_000).unwrap() * 1_000;
    Timestamp { seconds: micros / 1_000_000, nanos }
}

pub(crate) fn int(integer: i64) -> Value {
    Value { value_type: Some(ValueType::IntegerValue(integer)) }
}

pub(crate) fn text(text: &str) -> Value {
    Value { value_type: Some(ValueType::StringValue(text.into())) }
}

pub(crate) fn boolean(boolean: bool) -> Value {
    Value { value_type: Some(ValueType::BooleanValue(boolean)) }
}

pub(crate) fn instant(micros: i64) -> Value {
    Value { value_type: Some(ValueType::TimestampValue(timestamp(micros))) }
}

pub(crate) fn array(values: Vec<Value>) -> Value {
    Value { value_type: Some(ValueType::ArrayValue(ArrayValue { values })) }
}

pub(crate) fn map(entries: &[(&str, Value)]) -> Value {
    let fields = entries.iter().map(|(key, value)| ((*key).into(), value.clone())).collect();
    Value { value_type: Some(ValueType::MapValue(MapValue { fields })) }
}

pub(crate) fn collection(id: &str) -> StructuredQuery {
    let from = vec![CollectionSelector { collection_id: id.into(), all_descendants: false }];
    StructuredQuery { from, ..StructuredQuery::default() }
}

/// A query over the collections with this id at every depth.
pub(crate) fn group(id: &str) -> StructuredQuery {
    let from = vec![CollectionSelector { collection_id: id.into(), all_descendants: true }];
    StructuredQuery { from, ..StructuredQuery::default() }
}

/// A query over a collection with automatic indexes.
pub(crate) fn things(filter: Filter) -> StructuredQuery {
    StructuredQuery { r#where: Some(filter), ..collection("things") }
}

pub(crate) fn requests(filter: Filter) -> StructuredQuery {
    StructuredQuery { r#where: Some(filter), ..collection("requests") }
}

pub(crate) fn live() -> StructuredQuery {
    requests(field("live", field_filter::Operator::Equal, boolean(true)))
}

pub(crate) fn field(path: &str, op: field_filter::Operator, value: Value) -> Filter {
    let field = Some(FieldReference { field_path: path.into() });
    let filter = FieldFilter { field, op: op.into(), value: Some(value) };
    Filter { filter_type: Some(FilterType::FieldFilter(filter)) }
}

pub(crate) fn composite(op: composite_filter::Operator, filters: Vec<Filter>) -> Filter {
    let filter = CompositeFilter { op: op.into(), filters };
    Filter { filter_type: Some(FilterType::CompositeFilter(filter)) }
}

pub(crate) fn ascending(path: &str) -> Order {
    Order { direction: Direction::Ascending.into(), ..descending(path) }
}

pub(crate) fn descending(path: &str) -> Order {
    Order {
        field: Some(FieldReference { field_path: path.into() }),
        direction: Direction::Descending.into(),
    }
}
