//! The one HTTP layer: tokens, deadlines, bounded answers, repeated reads.

use std::sync::Arc;
use std::time::Duration;

use backon::{ExponentialBuilder, Retryable};
use curfew_ports::{PortError, RetryClass};
use reqwest::header::{CONTENT_TYPE, HeaderName};
use reqwest::{Client, Method, Response, StatusCode, redirect, retry};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::time::{Instant, timeout};

use crate::endpoints::Endpoints;
use crate::failure::{CallError, Refusal};
use crate::tokens::Tokens;
use crate::{Config, ConfigError};

/// What happens after every attempt: the call's name, such as `resourcemanager.getIamPolicy`, the answer's code (or
/// `other`; `none` without a whole answer), and the time it took. Both texts come from short fixed lists.
pub type OnCall = Arc<dyn Fn(&'static str, &'static str, Duration) + Send + Sync>;

/// How long to wait for Google before a call is given up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeouts {
    /// For a connection. Google accepts one within milliseconds; a longer wait is a lost packet or a firewall.
    pub connect: Duration,
    /// For the answer to one attempt of a read. Google's reads take well under a second; a stuck connection must not
    /// use up the deadline of all attempts, which is twice as long.
    pub read: Duration,
    /// For the answer to a policy write, which is tried once. Longer than any takes in practice, for giving up leaves
    /// its effect open.
    pub write: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(5),
            read: Duration::from_secs(10),
            write: Duration::from_secs(30),
        }
    }
}

/// The answer to anything but a policy: a page of 500 projects or 20 resources with all their policies stays far below.
const ANSWER_BYTES_MAX: usize = 16 << 20;

/// An error's JSON is a few kilobytes; more is not read.
const ERROR_BYTES_MAX: usize = 64 << 10;

/// What Google's audit log shows as `requestMetadata.requestAttributes.reason`; gcloud's property
/// `core/request_reason` sends the same header.
const REQUEST_REASON: HeaderName = HeaderName::from_static("x-goog-request-reason");

/// How long to wait, and how often to try.
pub(crate) struct Patience {
    /// One attempt of a read.
    pub(crate) read_attempt: Duration,
    /// All attempts of a read and the pauses between them: the queue above retries later, and fairer.
    pub(crate) read_total: Duration,
    /// The one attempt of a write.
    pub(crate) write: Duration,
    /// The first pause before a read is repeated; it doubles, with jitter.
    pub(crate) pause: Duration,
    /// How often a read is repeated at most.
    pub(crate) repeats: usize,
}

impl Patience {
    pub(crate) fn of(timeouts: &Timeouts) -> Self {
        Self {
            read_attempt: timeouts.read,
            read_total: timeouts.read.saturating_mul(2),
            write: timeouts.write,
            pause: Duration::from_millis(200),
            repeats: 3,
        }
    }
}

/// One call, ready to be sent.
#[derive(Clone)]
pub(crate) struct Call {
    name: &'static str,
    act: String,
    method: Method,
    url: String,
    query: Vec<(&'static str, String)>,
    body: Option<Vec<u8>>,
    reason: Option<String>,
    bytes_max: usize,
}

impl Call {
    /// A GET. `name` goes into metrics, `act` into errors.
    pub(crate) fn get(name: &'static str, act: impl Into<String>, url: String) -> Self {
        let (query, bytes_max) = (Vec::new(), ANSWER_BYTES_MAX);
        Self {
            name,
            act: act.into(),
            method: Method::GET,
            url,
            query,
            body: None,
            reason: None,
            bytes_max,
        }
    }

    /// A POST of JSON.
    pub(crate) fn post(
        name: &'static str,
        act: &str,
        url: String,
        body: &impl Serialize,
    ) -> Result<Self, PortError> {
        let body = serde_json::to_vec(body)
            .map_err(|error| PortError::because(RetryClass::Invalid, act, error))?;
        Ok(Self { method: Method::POST, body: Some(body), ..Self::get(name, act, url) })
    }

    /// A POST of nothing.
    pub(crate) fn post_empty(name: &'static str, act: impl Into<String>, url: String) -> Self {
        Self { method: Method::POST, ..Self::get(name, act, url) }
    }

    pub(crate) fn query(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.query.push((name, value.into()));
        self
    }

    pub(crate) fn reason(mut self, reason: String) -> Self {
        self.reason = Some(reason);
        self
    }

    pub(crate) fn bytes_max(mut self, bytes_max: usize) -> Self {
        self.bytes_max = bytes_max;
        self
    }

    /// What errors say was tried.
    pub(crate) fn act(&self) -> &str {
        &self.act
    }

    /// The error for an answer to this call that is not as documented.
    pub(crate) fn undecodable(&self, why: &str) -> PortError {
        CallError::undecodable(why).at(&self.act)
    }
}

/// Sends calls.
pub(crate) struct Caller {
    pub(crate) client: Client,
    pub(crate) tokens: Tokens,
    patience: Patience,
    on_call: Option<OnCall>,
    pub(crate) projects_query: Option<String>,
    /// Checked; paths are appended to them.
    pub(crate) endpoints: Endpoints,
}

impl Caller {
    pub(crate) fn new(config: Config, patience: Patience) -> Result<Self, ConfigError> {
        let endpoints = config.endpoints.checked()?;
        let mut builder = Client::builder()
            .user_agent(concat!("curfew/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(config.timeouts.connect)
            .redirect(redirect::Policy::none())
            .retry(retry::never());
        if endpoints != Endpoints::default() {
            builder = builder.no_proxy();
        }
        let client = builder.build().map_err(ConfigError::Client)?;
        Ok(Self {
            client,
            tokens: Tokens::new(&config.tokens)?,
            patience,
            on_call: config.on_call,
            projects_query: config.projects_query,
            endpoints,
        })
    }

    /// Sends a call that changes nothing, again if need be, until it is answered or the deadline is near.
    pub(crate) async fn read<T: DeserializeOwned>(&self, call: &Call) -> Result<T, PortError> {
        self.ask(call).await.map_err(|error| error.at(&call.act))
    }

    /// The same, for those who want to know more of a failure than its class.
    pub(crate) async fn ask<T: DeserializeOwned>(&self, call: &Call) -> Result<T, CallError> {
        let deadline = Instant::now() + self.patience.read_total;
        let attempt =
            || self.attempt(call, self.patience.read_attempt.min(deadline - Instant::now()));
        let pauses = ExponentialBuilder::new()
            .with_min_delay(self.patience.pause)
            .with_max_times(self.patience.repeats)
            .with_jitter();
        attempt
            .retry(pauses)
            .when(|error: &CallError| {
                matches!(error.class(), RetryClass::Unavailable | RetryClass::RateLimited(_))
            })
            .adjust(|error, pause| pause.and_then(|pause| pause_before(deadline, error, pause)))
            .await
    }

    /// Sends a call once.
    pub(crate) async fn write<T: DeserializeOwned>(&self, call: &Call) -> Result<T, PortError> {
        self.attempt(call, self.patience.write).await.map_err(|error| error.at(&call.act))
    }

    /// All pages of a list. Too many, or one that fails, is an error: never a part of the list.
    pub(crate) async fn read_pages<P: DeserializeOwned, T>(
        &self,
        call: &Call,
        pages_max: usize,
        split: impl Fn(P) -> (Vec<T>, String),
    ) -> Result<Vec<T>, PortError> {
        let mut all = Vec::new();
        let mut next = call.clone();
        for _ in 0..pages_max {
            let (items, token) = split(self.read(&next).await?);
            all.extend(items);
            if token.is_empty() {
                return Ok(all);
            }
            next = call.clone().query("pageToken", token);
        }
        Err(call.undecodable(&format!("more than {pages_max} pages")))
    }

    async fn attempt<T: DeserializeOwned>(
        &self,
        call: &Call,
        limit: Duration,
    ) -> Result<T, CallError> {
        let started = Instant::now();
        let answer =
            timeout(limit, self.exchange(call)).await.unwrap_or(Err(CallError::TimedOut(limit)));
        if let Some(on_call) = &self.on_call {
            on_call(
                call.name,
                answer.as_ref().map_or("none", |answer| code_label(answer.code)),
                started.elapsed(),
            );
        }
        answer?.decode()
    }

    async fn exchange(&self, call: &Call) -> Result<Answer, CallError> {
        let mut request = self.client.request(call.method.clone(), &call.url).query(&call.query);
        request = request.headers(self.tokens.headers().await?);
        if let Some(reason) = &call.reason {
            request = request.header(REQUEST_REASON, reason);
        }
        if let Some(body) = &call.body {
            request = request.header(CONTENT_TYPE, "application/json").body(body.clone());
        }
        let mut response = request.send().await.map_err(lost)?;
        let code = response.status();
        if code.is_success() {
            return Ok(Answer { code, content: Ok(body_of(&mut response, call.bytes_max).await?) });
        }
        let body = body_of(&mut response, ERROR_BYTES_MAX).await.unwrap_or_default();
        Ok(Answer { code, content: Err(Refusal::read(code, response.headers(), &body)) })
    }
}

/// One whole answer.
struct Answer {
    code: StatusCode,
    content: Result<Vec<u8>, Refusal>,
}

impl Answer {
    /// Every answer of Google's is an object; without the check, derived decoders would take arrays as well.
    fn decode<T: DeserializeOwned>(self) -> Result<T, CallError> {
        let body = self.content.map_err(CallError::Refused)?;
        if !body.trim_ascii_start().starts_with(b"{") {
            return Err(CallError::undecodable("not an object"));
        }
        serde_json::from_slice(&body).map_err(|error| CallError::undecodable(&error.to_string()))
    }
}

/// The pause, or as long as the answer asked for; `None` if the deadline comes first.
fn pause_before(deadline: Instant, error: &CallError, pause: Duration) -> Option<Duration> {
    let pause = if let RetryClass::RateLimited(Some(asked)) = error.class() {
        pause.max(asked)
    } else {
        pause
    };
    (pause < deadline - Instant::now()).then_some(pause)
}

async fn body_of(response: &mut Response, bytes_max: usize) -> Result<Vec<u8>, CallError> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(lost)? {
        if chunk.len() > bytes_max - body.len() {
            return Err(CallError::TooLong(bytes_max));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

/// The URL stays out: its query can name people.
fn lost(error: reqwest::Error) -> CallError {
    CallError::Transport(error.without_url())
}

fn code_label(code: StatusCode) -> &'static str {
    match code.as_u16() {
        200 => "200",
        400 => "400",
        401 => "401",
        403 => "403",
        404 => "404",
        409 => "409",
        412 => "412",
        429 => "429",
        500 => "500",
        502 => "502",
        503 => "503",
        504 => "504",
        _ => "other",
    }
}
