//! The gRPC calls: from the wire to the store and back.

mod call;
mod outbox;
mod query;
mod read;
mod transact;
mod view;
mod write;

use std::sync::Arc;

use gcloud_sdk::google::firestore::v1 as pb;
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status, Streaming};

pub(crate) use outbox::Outbox;

use crate::{
    Method, faults::Faults, listen, metrics::Metrics, refusal::Refusal, store::Store,
    transactions::Transactions,
};

/// `google.protobuf.Empty`, as prost maps it.
pub(crate) type Empty = ();

/// The server trait that the build script writes from the table of calls.
#[expect(
    clippy::pedantic,
    clippy::allow_attributes_without_reason,
    unreachable_pub,
    reason = "generated code"
)]
pub(crate) mod wire {
    include!(concat!(env!("OUT_DIR"), "/google.firestore.v1.Firestore.rs"));
}

/// What calls work with.
#[derive(Clone)]
pub(crate) struct Context {
    pub(crate) store: Store,
    pub(crate) transactions: Arc<Transactions>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) faults: Faults,
}

impl Context {
    /// No transaction is open.
    pub(crate) fn new(store: Store, metrics: Arc<Metrics>) -> Self {
        let transactions = Arc::new(Transactions::new(metrics.clone()));
        Self { store, transactions, metrics, faults: Faults::default() }
    }
}

/// The calls of `google.firestore.v1.Firestore` over one store.
pub(crate) struct Service {
    context: Context,
    shutdown: CancellationToken,
}

/// Replies that come one by one.
type Replies<T> = ReceiverStream<Result<T, Status>>;

impl Service {
    /// Serves the store until `shutdown`.
    pub(crate) fn new(context: Context, shutdown: CancellationToken) -> Self {
        Self { context, shutdown }
    }
}

fn unserved<T>(what: &'static str) -> Result<T, Status> {
    Err(Refusal::Unimplemented(what).into())
}

#[tonic::async_trait]
impl wire::firestore_server::Firestore for Service {
    async fn get_document(
        &self,
        request: Request<pb::GetDocumentRequest>,
    ) -> Result<Response<pb::Document>, Status> {
        self.answer(Method::GetDocument, request, read::get).await
    }

    async fn list_documents(
        &self,
        request: Request<pb::ListDocumentsRequest>,
    ) -> Result<Response<pb::ListDocumentsResponse>, Status> {
        self.answer(Method::ListDocuments, request, read::list).await
    }

    async fn create_document(
        &self,
        request: Request<pb::CreateDocumentRequest>,
    ) -> Result<Response<pb::Document>, Status> {
        self.answer(Method::CreateDocument, request, write::create).await
    }

    async fn update_document(
        &self,
        request: Request<pb::UpdateDocumentRequest>,
    ) -> Result<Response<pb::Document>, Status> {
        self.answer(Method::UpdateDocument, request, write::update).await
    }

    async fn delete_document(
        &self,
        request: Request<pb::DeleteDocumentRequest>,
    ) -> Result<Response<Empty>, Status> {
        self.answer(Method::DeleteDocument, request, write::delete).await
    }

    type BatchGetDocumentsStream = Replies<pb::BatchGetDocumentsResponse>;

    async fn batch_get_documents(
        &self,
        request: Request<pb::BatchGetDocumentsRequest>,
    ) -> Result<Response<Self::BatchGetDocumentsStream>, Status> {
        Ok(self.stream(Method::BatchGetDocuments, request, read::batch_get))
    }

    async fn begin_transaction(
        &self,
        request: Request<pb::BeginTransactionRequest>,
    ) -> Result<Response<pb::BeginTransactionResponse>, Status> {
        self.answer(Method::BeginTransaction, request, transact::begin).await
    }

    async fn commit(
        &self,
        request: Request<pb::CommitRequest>,
    ) -> Result<Response<pb::CommitResponse>, Status> {
        self.answer(Method::Commit, request, write::commit).await
    }

    async fn rollback(
        &self,
        request: Request<pb::RollbackRequest>,
    ) -> Result<Response<Empty>, Status> {
        self.answer(Method::Rollback, request, transact::roll_back).await
    }

    type RunQueryStream = Replies<pb::RunQueryResponse>;

    async fn run_query(
        &self,
        request: Request<pb::RunQueryRequest>,
    ) -> Result<Response<Self::RunQueryStream>, Status> {
        Ok(self.stream(Method::RunQuery, request, query::run))
    }

    type RunAggregationQueryStream = Replies<pb::RunAggregationQueryResponse>;

    async fn run_aggregation_query(
        &self,
        request: Request<pb::RunAggregationQueryRequest>,
    ) -> Result<Response<Self::RunAggregationQueryStream>, Status> {
        Ok(self.stream(Method::RunAggregationQuery, request, query::aggregate))
    }

    async fn batch_write(
        &self,
        request: Request<pb::BatchWriteRequest>,
    ) -> Result<Response<pb::BatchWriteResponse>, Status> {
        self.answer(Method::BatchWrite, request, write::batch).await
    }

    type ListenStream = Replies<pb::ListenResponse>;

    async fn listen(
        &self,
        request: Request<Streaming<pb::ListenRequest>>,
    ) -> Result<Response<Self::ListenStream>, Status> {
        let (inbound, shutdown) = (request.into_inner(), self.shutdown.clone());
        Ok(self.spawn(Method::Listen, |context, outbox| {
            listen::serve(context, inbound, outbox, shutdown)
        }))
    }

    type ExecutePipelineStream = Replies<pb::ExecutePipelineResponse>;

    async fn execute_pipeline(
        &self,
        _request: Request<pb::ExecutePipelineRequest>,
    ) -> Result<Response<Self::ExecutePipelineStream>, Status> {
        unserved("ExecutePipeline")
    }

    async fn partition_query(
        &self,
        _request: Request<pb::PartitionQueryRequest>,
    ) -> Result<Response<pb::PartitionQueryResponse>, Status> {
        unserved("PartitionQuery")
    }

    type WriteStream = Replies<pb::WriteResponse>;

    async fn write(
        &self,
        _request: Request<Streaming<pb::WriteRequest>>,
    ) -> Result<Response<Self::WriteStream>, Status> {
        unserved("Write")
    }

    async fn list_collection_ids(
        &self,
        _request: Request<pb::ListCollectionIdsRequest>,
    ) -> Result<Response<pb::ListCollectionIdsResponse>, Status> {
        unserved("ListCollectionIds")
    }
}
