//! A server on loopback that answers by script and remembers what it was sent.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use curfew_core::principal::Email;
use curfew_core::resource::Resource;
use tokio::net::TcpListener;

use crate::caller::Patience;
use crate::{Config, Endpoints, Google, OnCall, TokenSource};

/// One call as it arrived.
#[derive(Debug, Clone)]
pub(super) struct Seen {
    pub(super) method: Method,
    pub(super) path: String,
    pub(super) query: Vec<(String, String)>,
    pub(super) headers: HeaderMap,
    pub(super) body: String,
}

impl Seen {
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    pub(super) fn all(&self, name: &str) -> Vec<&str> {
        self.query.iter().filter(|(key, _)| key == name).map(|(_, value)| value.as_str()).collect()
    }
}

/// One scripted answer.
#[derive(Debug, Clone)]
pub(super) enum Reply {
    Is(u16, Vec<(&'static str, &'static str)>, Vec<u8>),
    Never,
}

/// 200 with this body.
pub(super) fn ok(body: impl Into<Vec<u8>>) -> Reply {
    Reply::Is(200, vec![], body.into())
}

/// An error as Google writes it.
pub(super) fn error(code: u16, status: &str, message: &str) -> Reply {
    let body = serde_json::json!({"error": {"code": code, "status": status, "message": message}});
    Reply::Is(code, vec![], body.to_string().into())
}

pub(super) struct Fake {
    pub(super) url: String,
    seen: Arc<Mutex<Vec<Seen>>>,
}

impl Fake {
    /// Answers every call by the function.
    pub(super) async fn answering(reply: impl Fn(&Seen) -> Reply + Send + Sync + 'static) -> Self {
        let (reply, seen) = (Arc::new(reply), Arc::new(Mutex::new(Vec::new())));
        let log = Arc::clone(&seen);
        let routes = Router::new().fallback(
            async move |method: Method, uri: Uri, headers: HeaderMap, body: Bytes| {
                let call = Seen {
                    method,
                    path: uri.path().to_owned(),
                    query: pairs(&uri),
                    headers,
                    body: String::from_utf8(body.to_vec()).unwrap(),
                };
                log.lock().unwrap().push(call.clone());
                respond(reply(&call)).await
            },
        );
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, routes).await });
        Self { url, seen }
    }

    /// Answers the calls in turn; one too many gets a 418.
    pub(super) async fn scripted(replies: impl IntoIterator<Item = Reply>) -> Self {
        let replies = Mutex::new(replies.into_iter().collect::<VecDeque<_>>());
        Self::answering(move |_| {
            replies.lock().unwrap().pop_front().unwrap_or_else(|| error(418, "", "end of script"))
        })
        .await
    }

    pub(super) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    pub(super) fn config(&self) -> Config {
        let tokens = TokenSource::Fixed("secret".into());
        Config { endpoints: Endpoints::all_at(&self.url), tokens, ..Config::default() }
    }

    pub(super) fn google(&self) -> Google {
        Google::with_patience(self.config(), quick()).unwrap()
    }

    pub(super) fn google_observed(&self, on_call: OnCall) -> Google {
        Google::with_patience(Config { on_call: Some(on_call), ..self.config() }, quick()).unwrap()
    }
}

/// Long enough for loopback on a busy machine, with pauses too short to notice.
pub(super) fn quick() -> Patience {
    Patience {
        read_attempt: Duration::from_secs(10),
        read_total: Duration::from_secs(20),
        write: Duration::from_secs(10),
        pause: Duration::from_millis(1),
        repeats: 3,
    }
}

pub(super) fn resource(name: &str) -> Resource {
    Resource::parse(name).unwrap()
}

pub(super) fn email(address: &str) -> Email {
    Email::parse(address).unwrap()
}

fn pairs(uri: &Uri) -> Vec<(String, String)> {
    let url = reqwest::Url::parse(&format!("http://x{uri}")).unwrap();
    url.query_pairs().map(|(name, value)| (name.into_owned(), value.into_owned())).collect()
}

async fn respond(reply: Reply) -> Response {
    match reply {
        Reply::Never => std::future::pending().await,
        Reply::Is(code, headers, body) => {
            let mut response = (StatusCode::from_u16(code).unwrap(), body).into_response();
            for (name, value) in headers {
                response.headers_mut().insert(name, value.parse().unwrap());
            }
            response
        }
    }
}
