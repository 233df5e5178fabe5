//! Serving HTTP/1.1 on a listener until told to stop.

use std::io;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::Request;
use axum::response::{IntoResponse, Response};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

/// Bytes that a request's head may have, assertion included.
const HEAD_BYTES_MAX: usize = 64 * 1024;

/// Header fields that a request may have.
const HEADERS_MAX: usize = 128;

/// How long open connections may finish what they do once the server stops; streams of events
/// would otherwise hold it for ever.
const DRAIN: Duration = Duration::from_secs(1);

/// Pause after a failed accept, which is nearly always a lack of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Failed accepts in a row after which the listener counts as broken.
const ACCEPT_FAILURES_MAX: u32 = 100;

/// Why a server stopped before it was told to, or did not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServeError {
    /// The listener accepts no connections any more.
    #[error("accepting connections")]
    Accept(#[source] io::Error),
    /// The file that all calls are to be recorded in cannot be written.
    #[error("opening the record of all calls")]
    Traffic(#[source] io::Error),
    /// The service account of a metadata server does not exist.
    #[error("there is no service account {0}")]
    UnknownServiceAccount(String),
    /// The address of intake is not `http://HOST:PORT`.
    #[error("the address of intake must be http://HOST:PORT, not {0}")]
    IntakeAddress(String),
}

/// Marks a response that is never to reach the caller: the connection closes instead.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ReplyLost;

impl ReplyLost {
    pub(crate) fn response() -> Response {
        let mut response = ().into_response();
        response.extensions_mut().insert(Self);
        response
    }
}

/// What makes hyper close a connection without an answer.
#[derive(Debug, thiserror::Error)]
#[error("the reply is lost by an injected fault")]
struct Lost;

/// Serves the routes until `shutdown`.
///
/// # Errors
/// The listener broke.
pub(crate) async fn serve(
    listener: TcpListener,
    routes: Router,
    shutdown: CancellationToken,
) -> Result<(), ServeError> {
    let connections = GracefulShutdown::new();
    let mut failures = 0;
    loop {
        let accepted = tokio::select! {
            () = shutdown.cancelled() => break,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, _)) => {
                failures = 0;
                // A reply in two segments would otherwise wait for the reader's delayed acknowledgement, 40 ms.
                if let Err(error) = stream.set_nodelay(true) {
                    tracing::debug!(%error, "a connection of the simulated cloud is gone already");
                }
                spawn_connection(stream, routes.clone(), &connections);
            }
            Err(error) => {
                failures += 1;
                if failures >= ACCEPT_FAILURES_MAX {
                    return Err(ServeError::Accept(error));
                }
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    drop(listener);
    if tokio::time::timeout(DRAIN, connections.shutdown()).await.is_err() {
        tracing::debug!("connections of the simulated cloud were still open at its end");
    }
    Ok(())
}

fn spawn_connection(stream: TcpStream, routes: Router, connections: &GracefulShutdown) {
    let service = service_fn(move |request: Request<Incoming>| {
        answer(routes.clone(), request.map(Body::new))
    });
    let connection = http1::Builder::new()
        .max_buf_size(HEAD_BYTES_MAX)
        .max_headers(HEADERS_MAX)
        .serve_connection(TokioIo::new(stream), service);
    let connection = connections.watch(connection);
    tokio::spawn(async move {
        if let Err(error) = connection.await {
            tracing::debug!(%error, "a connection of the simulated cloud ended early");
        }
    });
}

async fn answer(routes: Router, request: Request<Body>) -> Result<Response, Lost> {
    let response = match routes.oneshot(request).await {
        Ok(response) => response,
        Err(never) => match never {},
    };
    if response.extensions().get::<ReplyLost>().is_some() { Err(Lost) } else { Ok(response) }
}
