//! The servers that the suite runs on, and the calls that its cases make.

use std::net::SocketAddr;

use curfew_firelite::{Config, Indexes, Server};
use gcloud_sdk::GoogleEnvironment;
use gcloud_sdk::google::firestore::v1::firestore_client::FirestoreClient;
use gcloud_sdk::google::firestore::v1::run_query_request::{ConsistencySelector, QueryType};
use gcloud_sdk::google::firestore::v1::write::Operation;
use gcloud_sdk::google::firestore::v1::{
    BeginTransactionRequest, CommitRequest, CommitResponse, Document, GetDocumentRequest,
    RunQueryRequest, RunQueryResponse, TransactionOptions, Write, WriteResult,
};
use gcloud_sdk::prost_types::Timestamp;
use serde_json::{Value as Json, json};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;
use tonic::metadata::MetadataValue;
use tonic::service::Interceptor;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request, Response, Status};

use super::messages::{Query, mask};
use super::values::{fields, shown};

/// The address of Google's emulator, as `host:port`.
const EMULATOR: &str = "CURFEW_TEST_FIRESTORE_EMULATOR";

/// A project of real Firestore whose database `(default)` has the indexes of [`INDEXES`]. The suite leaves what it
/// writes under `conformance/`.
const PROJECT: &str = "CURFEW_TEST_FIRESTORE_PROJECT";

/// For that project, as `gcloud auth print-access-token` prints one.
const ACCESS_TOKEN: &str = "CURFEW_TEST_FIRESTORE_ACCESS_TOKEN";

const PRODUCTION: &str = "https://firestore.googleapis.com";

/// What both local servers are told; Google's emulator knows no other.
const OWNER: &str = "owner";

/// The composite indexes that the suite's queries need beside the automatic ones, for firelite and for production.
const INDEXES: &str = include_str!("firestore.indexes.json");

pub(super) type Client = FirestoreClient<InterceptedService<Channel, Headers>>;

/// A server, and a document of its own under which a case keeps all that it writes.
pub(super) struct Backend {
    pub(super) client: Client,
    /// `projects/{project}/databases/{database}`
    pub(super) database: String,
    /// The full name of the case's document.
    pub(super) home: String,
    /// Held to the end of the case.
    _embedded: Option<Embedded>,
}

struct Embedded {
    _folder: TempDir,
    shutdown: CancellationToken,
}

impl Drop for Embedded {
    fn drop(&mut self) {
        self.shutdown.cancel();
    }
}

/// What every call carries.
#[derive(Clone)]
pub(super) struct Headers {
    authorization: String,
    database: String,
}

impl Interceptor for Headers {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        let text = |text: &str| MetadataValue::try_from(text).unwrap();
        let metadata = request.metadata_mut();
        metadata.insert("authorization", text(&self.authorization));
        metadata.insert("google-cloud-resource-prefix", text(&self.database));
        Ok(request)
    }
}

impl Backend {
    /// The embedded server on a fresh file.
    pub(super) async fn firelite() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let config = Config {
            path: folder.path().join("store.db"),
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            token: OWNER.into(),
            indexes: Indexes::parse(INDEXES).unwrap(),
        };
        let server = Server::bind(config).await.unwrap();
        let channel = connect(&server.local_addr().to_string()).await;
        let shutdown = CancellationToken::new();
        tokio::spawn(server.serve(shutdown.clone()));
        let embedded = Embedded { _folder: folder, shutdown };
        Self { _embedded: Some(embedded), ..Self::on(channel, "conformance", OWNER) }
    }

    /// Google's emulator, where there is one; in CI there must be.
    pub(super) async fn emulator() -> Option<Self> {
        let Ok(address) = std::env::var(EMULATOR) else {
            let ci = std::env::var("CI").as_deref() == Ok("true");
            assert!(!ci, "{EMULATOR} is not set, and CI needs it");
            return not_run("Google's emulator", EMULATOR);
        };
        Some(Self::on(connect(&address).await, "conformance", OWNER))
    }

    /// Real Firestore, in the project that is named.
    pub(super) async fn production() -> Self {
        let project = std::env::var(PROJECT).expect(PROJECT);
        let token = std::env::var(ACCESS_TOKEN).expect(ACCESS_TOKEN);
        let channel = GoogleEnvironment::init_google_services_channel(PRODUCTION).await.unwrap();
        Self::on(channel, &project, &token)
    }

    fn on(channel: Channel, project: &str, token: &str) -> Self {
        let database = format!("projects/{project}/databases/(default)");
        let headers =
            Headers { authorization: format!("Bearer {token}"), database: database.clone() };
        let case = rand::random::<u64>();
        Self {
            client: FirestoreClient::with_interceptor(channel, headers)
                .max_decoding_message_size(usize::MAX),
            home: format!("{database}/documents/conformance/{case:016x}"),
            database,
            _embedded: None,
        }
    }

    /// The full name of what has this path in the case's document.
    pub(super) fn name(&self, path: &str) -> String {
        format!("{}/{path}", self.home)
    }

    /// A value that refers to a document of the case.
    pub(super) fn reference(&self, path: &str) -> Json {
        json!({"$reference": self.name(path)})
    }

    /// A write of the whole document.
    pub(super) fn set(&self, path: &str, json: &Json) -> Write {
        let document =
            Document { name: self.name(path), fields: fields(json), ..Default::default() };
        Write { operation: Some(Operation::Update(document)), ..Default::default() }
    }

    /// A write of the fields that the mask names.
    pub(super) fn update(&self, path: &str, paths: &[&str], json: &Json) -> Write {
        Write { update_mask: Some(mask(paths)), ..self.set(path, json) }
    }

    pub(super) fn delete(&self, path: &str) -> Write {
        Write { operation: Some(Operation::Delete(self.name(path))), ..Default::default() }
    }

    pub(super) async fn commit(&self, writes: Vec<Write>) -> Result<CommitResponse, Status> {
        self.commit_in(Vec::new(), writes).await
    }

    pub(super) async fn commit_in(
        &self,
        transaction: Vec<u8>,
        writes: Vec<Write>,
    ) -> Result<CommitResponse, Status> {
        let database = self.database.clone();
        let request = CommitRequest { database, writes, transaction, ..Default::default() };
        self.client.clone().commit(request).await.map(Response::into_inner)
    }

    /// Makes one write, which must succeed.
    pub(super) async fn write(&self, write: Write) -> WriteResult {
        self.commit(vec![write]).await.unwrap().write_results.remove(0)
    }

    /// Replaces one document and tells when.
    pub(super) async fn put(&self, path: &str, json: Json) -> Timestamp {
        self.write(self.set(path, &json)).await.update_time.unwrap()
    }

    /// Fills a collection with documents by their ids, in one commit.
    pub(super) async fn seed(&self, collection: &str, documents: Json) {
        let documents = documents.as_object().expect("documents by id").iter();
        let writes = documents.map(|(id, json)| self.set(&format!("{collection}/{id}"), json));
        self.commit(writes.collect()).await.unwrap();
    }

    pub(super) async fn get(&self, path: &str) -> Result<Document, Status> {
        let request = GetDocumentRequest { name: self.name(path), ..Default::default() };
        self.client.clone().get_document(request).await.map(Response::into_inner)
    }

    /// The fields of a document; null where there is none.
    pub(super) async fn read(&self, path: &str) -> Json {
        match self.get(path).await {
            Ok(document) => shown(&document.fields),
            Err(status) if status.code() == Code::NotFound => Json::Null,
            Err(status) => panic!("{status}"),
        }
    }

    /// Runs a query below the case's document.
    pub(super) async fn run(&self, query: Query) -> Result<Vec<RunQueryResponse>, Status> {
        self.run_with(&self.home, query, None).await
    }

    pub(super) async fn run_with(
        &self,
        parent: &str,
        query: Query,
        consistency_selector: Option<ConsistencySelector>,
    ) -> Result<Vec<RunQueryResponse>, Status> {
        let request = RunQueryRequest {
            parent: parent.into(),
            query_type: Some(QueryType::StructuredQuery(query.0)),
            consistency_selector,
            ..Default::default()
        };
        let mut stream = self.client.clone().run_query(request).await?.into_inner();
        let mut replies = Vec::new();
        while let Some(reply) = stream.message().await? {
            replies.push(reply);
        }
        Ok(replies)
    }

    /// The ids of the documents that a query returns, in their order.
    pub(super) async fn ids(&self, query: Query) -> String {
        ids(&self.run(query).await.unwrap())
    }

    pub(super) async fn begin(&self, options: TransactionOptions) -> Result<Vec<u8>, Status> {
        let request = BeginTransactionRequest {
            database: self.database.clone(),
            options: Some(options),
            ..Default::default()
        };
        let begun = self.client.clone().begin_transaction(request).await?;
        Ok(begun.into_inner().transaction)
    }
}

/// The last segments of the names of the documents, in their order.
pub(super) fn ids(replies: &[RunQueryResponse]) -> String {
    let documents = replies.iter().filter_map(|reply| reply.document.as_ref());
    documents.map(id).collect::<Vec<_>>().join(" ")
}

pub(super) fn id(document: &Document) -> &str {
    document.name.rsplit('/').next().unwrap()
}

/// The code of a call that must fail.
#[track_caller]
pub(super) fn refused<T>(outcome: Result<T, Status>) -> Code {
    outcome.err().expect("a refusal").code()
}

async fn connect(address: &str) -> Channel {
    Endpoint::from_shared(format!("http://{address}")).unwrap().connect().await.unwrap()
}

#[expect(
    clippy::print_stderr,
    reason = "a case that did not run must not look like one that passed"
)]
fn not_run(server: &str, variable: &str) -> Option<Backend> {
    eprintln!("NOT RUN on {server}: {variable} is not set");
    None
}
