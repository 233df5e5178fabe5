//! A bare client: writes what nobody should, and reads what really stands.

use std::net::SocketAddr;

use gcloud_sdk::google::firestore::v1::firestore_client::FirestoreClient;
use gcloud_sdk::google::firestore::v1::precondition::ConditionType;
use gcloud_sdk::google::firestore::v1::value::ValueType;
use gcloud_sdk::google::firestore::v1::write::Operation;
use gcloud_sdk::google::firestore::v1::{
    ArrayValue, CommitRequest, Document, DocumentMask, GetDocumentRequest, MapValue, Precondition,
    Value, Write,
};
use gcloud_sdk::prost_types::Timestamp;
use tonic::transport::Channel;
use tonic::{Code, Request, Status};

pub(crate) struct Raw {
    client: FirestoreClient<Channel>,
    database: String,
    authorization: String,
}

impl Raw {
    pub(crate) async fn connect(address: SocketAddr, project: &str, token: &str) -> Self {
        let channel = Channel::from_shared(format!("http://{address}")).unwrap().connect().await;
        Self {
            client: FirestoreClient::new(channel.unwrap()),
            database: format!("projects/{project}/databases/(default)"),
            authorization: format!("Bearer {token}"),
        }
    }

    /// Writes a whole document, whatever stood there.
    pub(crate) async fn set<const N: usize>(&self, path: &str, fields: [(&str, Value); N]) {
        let fields = fields.map(|(name, value)| (name.to_owned(), value)).into();
        let document = Document { name: self.name(path), fields, ..Default::default() };
        self.commit(Operation::Update(document)).await;
    }

    /// Writes a document back, whatever stands there now.
    pub(crate) async fn put(&self, document: Document) {
        self.commit(Operation::Update(document)).await;
    }

    /// Adds one key to a map of a document that exists, and touches nothing else.
    pub(crate) async fn add_to_map(&self, path: &str, field: &str, key: &str, value: Value) {
        let entries = map([(key, value)]);
        let fields = [(field.to_owned(), entries)].into();
        let document = Document { name: self.name(path), fields, ..Default::default() };
        let mask = DocumentMask { field_paths: vec![format!("{field}.`{key}`")] };
        let exists = Precondition { condition_type: Some(ConditionType::Exists(true)) };
        let write = Write {
            operation: Some(Operation::Update(document)),
            update_mask: Some(mask),
            current_document: Some(exists),
            ..Default::default()
        };
        self.commit_write(write).await;
    }

    pub(crate) async fn delete(&self, path: &str) {
        self.commit(Operation::Delete(self.name(path))).await;
    }

    pub(crate) async fn get(&self, path: &str) -> Option<Document> {
        let request = GetDocumentRequest { name: self.name(path), ..Default::default() };
        match self.client.clone().get_document(self.request(request)).await {
            Ok(document) => Some(document.into_inner()),
            Err(status) if status.code() == Code::NotFound => None,
            Err(status) => panic!("{status}"),
        }
    }

    async fn commit(&self, operation: Operation) {
        self.commit_write(Write { operation: Some(operation), ..Default::default() }).await;
    }

    async fn commit_write(&self, write: Write) {
        self.commit_all(vec![write]).await.unwrap();
    }

    /// Makes several writes, or none if that fails.
    pub(crate) async fn try_commit(&self, operations: Vec<Operation>) -> Result<(), Status> {
        let write = |operation| Write { operation: Some(operation), ..Default::default() };
        self.commit_all(operations.into_iter().map(write).collect()).await
    }

    async fn commit_all(&self, writes: Vec<Write>) -> Result<(), Status> {
        let database = self.database.clone();
        let request = CommitRequest { database, writes, ..Default::default() };
        self.client.clone().commit(self.request(request)).await.map(drop)
    }

    pub(crate) fn name(&self, path: &str) -> String {
        format!("{}/documents/{path}", self.database)
    }

    fn request<M>(&self, message: M) -> Request<M> {
        let mut request = Request::new(message);
        request.metadata_mut().insert("authorization", self.authorization.parse().unwrap());
        request
    }
}

pub(crate) fn text(text: &str) -> Value {
    Value { value_type: Some(ValueType::StringValue(text.into())) }
}

pub(crate) fn boolean(value: bool) -> Value {
    Value { value_type: Some(ValueType::BooleanValue(value)) }
}

pub(crate) fn integer(number: i64) -> Value {
    Value { value_type: Some(ValueType::IntegerValue(number)) }
}

pub(crate) fn time(seconds: i64) -> Value {
    let at = Timestamp { seconds, nanos: 0 };
    Value { value_type: Some(ValueType::TimestampValue(at)) }
}

pub(crate) fn list(values: Vec<Value>) -> Value {
    Value { value_type: Some(ValueType::ArrayValue(ArrayValue { values })) }
}

pub(crate) fn map<const N: usize>(fields: [(&str, Value); N]) -> Value {
    let fields = fields.map(|(name, value)| (name.to_owned(), value)).into();
    Value { value_type: Some(ValueType::MapValue(MapValue { fields })) }
}
