//! Firestore's calls, each with its time limit, and repeated while that can help.

use std::time::Duration;

use backon::Retryable as _;
use firestore::FirestoreDb;
use futures_util::{StreamExt as _, stream};
use gcloud_sdk::google::firestore::v1::batch_get_documents_response::Result as Looked;
use gcloud_sdk::google::firestore::v1::firestore_client::FirestoreClient;
use gcloud_sdk::google::firestore::v1::listen_request::TargetChange;
use gcloud_sdk::google::firestore::v1::run_query_request::QueryType;
use gcloud_sdk::google::firestore::v1::{
    BatchGetDocumentsRequest, CommitRequest, CommitResponse, Document, ListenRequest,
    ListenResponse, RunQueryRequest, RunQueryResponse, StructuredQuery, Target, Write,
};
use gcloud_sdk::{GoogleAuthMiddleware, RequestTimeouts};
use tokio::time::Instant;
use tonic::{Request, Status, Streaming};

use crate::answer::{is_transient, is_unknown_outcome};
use crate::connect::{StoreOptions, backoff};
use crate::names::Names;

/// Bytes of one message. A stored document of 1 MiB can be several times larger on the wire (a
/// boolean is 1 byte in Firestore's own count and 4 in protobuf's), and one that could not be
/// received would break every list that it is in.
const MESSAGE_BYTES_MAX: usize = 32 * 1024 * 1024;

/// The first and the longest wait before a call is repeated.
const REPEAT_DELAY: (Duration, Duration) = (Duration::from_millis(25), Duration::from_secs(1));

/// Documents in one look-up.
const LOOK_UP_MAX: usize = 100;

/// The calls to one database.
#[derive(Clone)]
pub(crate) struct Rpc {
    db: FirestoreDb,
    call_time_max: Duration,
    retry_time_max: Duration,
}

/// What a write came to, after all its repetitions.
pub(crate) struct Written {
    /// The last answer.
    pub(crate) answer: Result<CommitResponse, Status>,
    /// Whether an attempt before the last may have taken effect unseen.
    pub(crate) doubtful: bool,
}

impl Rpc {
    pub(crate) fn new(db: FirestoreDb, options: &StoreOptions) -> Self {
        Self { db, call_time_max: options.call_time_max, retry_time_max: options.retry_time_max }
    }

    pub(crate) fn names(&self) -> Names {
        Names::new(self.db.get_documents_path().clone())
    }

    /// One write in one commit; the same bytes again while `repeat` says so and time is left.
    pub(crate) async fn write(&self, write: &Write, repeat: fn(&Status) -> bool) -> Written {
        let deadline = Instant::now() + self.retry_time_max;
        let mut doubtful = false;
        let answer = (|| self.commit(write.clone()))
            .retry(backoff(REPEAT_DELAY.0, REPEAT_DELAY.1))
            .when(|status| repeat(status) && Instant::now() < deadline)
            .notify(|status, _| doubtful |= is_unknown_outcome(status))
            .await;
        Written { answer, doubtful }
    }

    async fn commit(&self, write: Write) -> Result<CommitResponse, Status> {
        self.commit_all(vec![write]).await
    }

    /// One attempt to commit these writes; none at all still tells the time.
    pub(crate) async fn commit_all(&self, writes: Vec<Write>) -> Result<CommitResponse, Status> {
        let request = CommitRequest {
            database: self.db.get_database_path().clone(),
            writes,
            ..Default::default()
        };
        let limit = RequestTimeouts::new().with_total(self.call_time_max);
        Ok(self.client().commit(limited(request, limit)).await?.into_inner())
    }

    /// The documents of these names that exist, in any order.
    pub(crate) async fn look_up(&self, names: &[String]) -> Result<Vec<Document>, Status> {
        let mut found = Vec::new();
        for chunk in names.chunks(LOOK_UP_MAX) {
            found.extend(self.repeated(|| self.look_up_once(chunk)).await?);
        }
        Ok(found)
    }

    async fn look_up_once(&self, names: &[String]) -> Result<Vec<Document>, Status> {
        let request = BatchGetDocumentsRequest {
            database: self.db.get_database_path().clone(),
            documents: names.to_vec(),
            ..Default::default()
        };
        let answer = self.client().batch_get_documents(self.streamed(request)).await?;
        let mut answers = answer.into_inner();
        let mut found = Vec::new();
        while let Some(answer) = answers.message().await? {
            if let Some(Looked::Found(document)) = answer.result {
                found.push(document);
            }
        }
        Ok(found)
    }

    /// Runs a query and folds its documents, all of them, one by one; from the start again with a
    /// fresh `Fold` if the stream breaks.
    pub(crate) async fn query<F: Fold>(
        &self,
        query: &StructuredQuery,
        fold: impl Fn() -> F,
    ) -> Result<F, Status> {
        self.repeated(|| self.query_once(query, fold())).await
    }

    async fn query_once<F: Fold>(&self, query: &StructuredQuery, mut fold: F) -> Result<F, Status> {
        let mut answers = self.run_query(query.clone()).await?;
        while let Some(answer) = answers.message().await? {
            if let Some(document) = answer.document
                && !fold.take(document)
            {
                break;
            }
        }
        Ok(fold)
    }

    pub(crate) async fn run_query(
        &self,
        query: StructuredQuery,
    ) -> Result<Streaming<RunQueryResponse>, Status> {
        let request = RunQueryRequest {
            parent: self.db.get_documents_path().clone(),
            query_type: Some(QueryType::StructuredQuery(query)),
            ..Default::default()
        };
        Ok(self.client().run_query(self.streamed(request)).await?.into_inner())
    }

    /// Opens a stream of changes of one target. It has no time limit of its own.
    pub(crate) async fn listen(&self, target: Target) -> Result<Streaming<ListenResponse>, Status> {
        let request = ListenRequest {
            database: self.db.get_database_path().clone(),
            target_change: Some(TargetChange::AddTarget(target)),
            ..Default::default()
        };
        // The server takes the end of our side for the end of the stream.
        let requests = stream::once(async { request }).chain(stream::pending());
        let opening = async { self.client().listen(requests).await };
        let late = |_| Status::deadline_exceeded("no answer to Listen");
        let opened = tokio::time::timeout(self.call_time_max, opening).await.map_err(late)?;
        Ok(opened?.into_inner())
    }

    async fn repeated<T, Fut>(&self, call: impl Fn() -> Fut) -> Result<T, Status>
    where
        Fut: Future<Output = Result<T, Status>>,
    {
        let deadline = Instant::now() + self.retry_time_max;
        call.retry(backoff(REPEAT_DELAY.0, REPEAT_DELAY.1))
            .when(|status| is_transient(status) && Instant::now() < deadline)
            .await
    }

    fn client(&self) -> FirestoreClient<GoogleAuthMiddleware> {
        self.db.client().get().max_decoding_message_size(MESSAGE_BYTES_MAX)
    }

    /// A long answer may take long in all, but not between two of its parts.
    fn streamed<M>(&self, message: M) -> Request<M> {
        limited(message, RequestTimeouts::new().with_idle(self.call_time_max))
    }
}

/// Takes documents one by one.
pub(crate) trait Fold {
    /// Takes one; `false` when it wants no more.
    fn take(&mut self, document: Document) -> bool;
}

fn limited<M>(message: M, limit: RequestTimeouts) -> Request<M> {
    let mut request = Request::new(message);
    request.extensions_mut().insert(limit);
    request
}
