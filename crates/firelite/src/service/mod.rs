//! The gRPC calls: from the wire to the store and back.

mod outbox;
mod read;
mod write;

use gcloud_sdk::google::firestore::v1 as pb;
use prost::Message;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status, Streaming};

pub(crate) use outbox::Outbox;

use crate::{
    limits::{REQUEST_BYTES_MAX, STREAM_BUFFER},
    listen,
    refusal::Refusal,
    store::Store,
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

/// The calls of `google.firestore.v1.Firestore` over one store.
pub(crate) struct Service {
    store: Store,
    shutdown: CancellationToken,
}

/// Replies that come one by one.
type Replies<T> = ReceiverStream<Result<T, Status>>;

impl Service {
    /// Serves the store until `shutdown`.
    pub(crate) fn new(store: Store, shutdown: CancellationToken) -> Self {
        Self { store, shutdown }
    }

    /// Lets `produce` fill a stream of replies in a task of its own.
    fn stream<T, F>(&self, produce: impl FnOnce(Store, Outbox<T>) -> F) -> Response<Replies<T>>
    where
        T: Send + 'static,
        F: Future<Output = Result<(), Refusal>> + Send + 'static,
    {
        let (sender, receiver) = mpsc::channel(STREAM_BUFFER);
        let outbox = Outbox::new(sender);
        let producing = produce(self.store.clone(), outbox.clone());
        tokio::spawn(async move {
            if let Err(refusal) = producing.await {
                outbox.fail(refusal.into()).await;
            }
        });
        Response::new(ReceiverStream::new(receiver))
    }
}

/// The message of a call, if it is not too large.
fn within_limit<T: Message>(request: Request<T>) -> Result<T, Refusal> {
    let message = request.into_inner();
    if message.encoded_len() > REQUEST_BYTES_MAX {
        return Err(Refusal::RequestTooLarge);
    }
    Ok(message)
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
        Ok(Response::new(read::get(&self.store, within_limit(request)?).await?))
    }

    async fn list_documents(
        &self,
        request: Request<pb::ListDocumentsRequest>,
    ) -> Result<Response<pb::ListDocumentsResponse>, Status> {
        Ok(Response::new(read::list(&self.store, within_limit(request)?).await?))
    }

    type BatchGetDocumentsStream = Replies<pb::BatchGetDocumentsResponse>;

    async fn batch_get_documents(
        &self,
        request: Request<pb::BatchGetDocumentsRequest>,
    ) -> Result<Response<Self::BatchGetDocumentsStream>, Status> {
        let batch = read::Batch::parse(&within_limit(request)?)?;
        Ok(self.stream(|store, outbox| batch.answer(store, outbox)))
    }

    type RunQueryStream = Replies<pb::RunQueryResponse>;

    async fn run_query(
        &self,
        request: Request<pb::RunQueryRequest>,
    ) -> Result<Response<Self::RunQueryStream>, Status> {
        let query = read::parse_query(within_limit(request)?)?;
        Ok(self.stream(|store, outbox| read::run_query(query, store, outbox)))
    }

    async fn commit(
        &self,
        request: Request<pb::CommitRequest>,
    ) -> Result<Response<pb::CommitResponse>, Status> {
        Ok(Response::new(write::commit(&self.store, within_limit(request)?).await?))
    }

    async fn create_document(
        &self,
        request: Request<pb::CreateDocumentRequest>,
    ) -> Result<Response<pb::Document>, Status> {
        Ok(Response::new(write::create(&self.store, within_limit(request)?).await?))
    }

    async fn update_document(
        &self,
        request: Request<pb::UpdateDocumentRequest>,
    ) -> Result<Response<pb::Document>, Status> {
        Ok(Response::new(write::update(&self.store, within_limit(request)?).await?))
    }

    async fn delete_document(
        &self,
        request: Request<pb::DeleteDocumentRequest>,
    ) -> Result<Response<Empty>, Status> {
        write::delete(&self.store, within_limit(request)?).await?;
        Ok(Response::new(()))
    }

    type ListenStream = Replies<pb::ListenResponse>;

    async fn listen(
        &self,
        request: Request<Streaming<pb::ListenRequest>>,
    ) -> Result<Response<Self::ListenStream>, Status> {
        let (inbound, shutdown) = (request.into_inner(), self.shutdown.clone());
        Ok(self.stream(|store, outbox| async move {
            listen::serve(store, inbound, outbox, shutdown).await;
            Ok(())
        }))
    }

    async fn begin_transaction(
        &self,
        _request: Request<pb::BeginTransactionRequest>,
    ) -> Result<Response<pb::BeginTransactionResponse>, Status> {
        unserved("BeginTransaction")
    }

    async fn rollback(
        &self,
        _request: Request<pb::RollbackRequest>,
    ) -> Result<Response<Empty>, Status> {
        unserved("Rollback")
    }

    type ExecutePipelineStream = Replies<pb::ExecutePipelineResponse>;

    async fn execute_pipeline(
        &self,
        _request: Request<pb::ExecutePipelineRequest>,
    ) -> Result<Response<Self::ExecutePipelineStream>, Status> {
        unserved("ExecutePipeline")
    }

    type RunAggregationQueryStream = Replies<pb::RunAggregationQueryResponse>;

    async fn run_aggregation_query(
        &self,
        _request: Request<pb::RunAggregationQueryRequest>,
    ) -> Result<Response<Self::RunAggregationQueryStream>, Status> {
        unserved("RunAggregationQuery")
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

    async fn batch_write(
        &self,
        _request: Request<pb::BatchWriteRequest>,
    ) -> Result<Response<pb::BatchWriteResponse>, Status> {
        unserved("BatchWrite")
    }
}
