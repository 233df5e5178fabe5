//! What every call has in common: its size, its faults, and that it is counted.

use std::{sync::Arc, time::Duration};

use prost::Message;
use tokio::{sync::mpsc, time::Instant};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Request, Response, Status};

use super::{Context, Outbox, Replies, Service};
use crate::{
    Method,
    limits::{REQUEST_BYTES_MAX, STREAM_BUFFER},
    metrics::Metrics,
    refusal::Refusal,
};

impl Service {
    /// Serves a call with one reply.
    pub(super) async fn answer<Q, A, F>(
        &self,
        method: Method,
        request: Request<Q>,
        answer: impl FnOnce(Context, Q) -> F,
    ) -> Result<Response<A>, Status>
    where
        Q: Message,
        F: Future<Output = Result<A, Refusal>>,
    {
        let call = Call::begin(&self.context.metrics, method);
        let context = self.context.clone();
        let served = async {
            let struck = context.faults.before(method).await?;
            let answer = answer(context, within_limit(request)?).await?;
            struck.after(answer)
        };
        let outcome = served.await.map_err(Status::from);
        call.end(&outcome);
        outcome.map(Response::new)
    }

    /// Serves a call with a stream of replies, from a task of its own.
    pub(super) fn stream<Q, A, F>(
        &self,
        method: Method,
        request: Request<Q>,
        produce: impl FnOnce(Context, Q, Outbox<A>) -> F + Send + 'static,
    ) -> Response<Replies<A>>
    where
        Q: Message + 'static,
        A: Send + 'static,
        F: Future<Output = Result<(), Refusal>> + Send + 'static,
    {
        self.spawn(method, move |context, outbox| async move {
            Ok(produce(context, within_limit(request)?, outbox).await?)
        })
    }

    /// Lets `produce` fill a stream of replies in a task of its own.
    pub(super) fn spawn<A, F>(
        &self,
        method: Method,
        produce: impl FnOnce(Context, Outbox<A>) -> F + Send + 'static,
    ) -> Response<Replies<A>>
    where
        A: Send + 'static,
        F: Future<Output = Result<(), Status>> + Send + 'static,
    {
        let (sender, receiver) = mpsc::channel(STREAM_BUFFER);
        let mut outbox = Outbox::new(sender);
        let call = Call::begin(&self.context.metrics, method);
        let context = self.context.clone();
        tokio::spawn(async move {
            let served = async {
                let struck = context.faults.before(method).await?;
                produce(context, outbox.clone()).await?;
                Ok(struck.after(())?)
            };
            let outcome: Result<(), Status> = served.await;
            call.end(&outcome);
            if let Err(status) = outcome {
                outbox.restart_deadline();
                outbox.fail(status).await;
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

/// A call that is being served; counted when it ends, also by its client's going.
struct Call {
    metrics: Arc<Metrics>,
    method: Method,
    begun: Instant,
    code: Code,
}

impl Call {
    fn begin(metrics: &Arc<Metrics>, method: Method) -> Self {
        let metrics = metrics.clone();
        Self { metrics, method, begun: Instant::now(), code: Code::Cancelled }
    }

    fn end<T>(mut self, outcome: &Result<T, Status>) {
        self.code = outcome.as_ref().err().map_or(Code::Ok, Status::code);
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        // A stream that listens lasts as long as its client likes.
        let took: Option<Duration> = (self.method != Method::Listen).then(|| self.begun.elapsed());
        self.metrics.count_call(self.method, self.code, took);
    }
}
