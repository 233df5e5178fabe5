//! The record of what callers of Google's APIs sent and were answered, for judges outside this
//! process: one JSON object a line, see [`Line`].

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::Path;
use std::sync::Arc;

use axum::body;
use axum::extract::Request;
use axum::http::header::USER_AGENT;
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use crate::error::ApiError;
use crate::serve::ReplyLost;

/// Names the file that lines are appended to; without it nothing is recorded. Several processes may
/// share one file.
const FILE_VARIABLE: &str = "CURFEW_CLOUD_TRAFFIC";

/// Longest body that a recorded call may have; above what a call may have anyway.
const BODY_BYTES_MAX: usize = 16 * 1024 * 1024;

/// An open record, or none.
#[derive(Debug, Clone, Default)]
pub(crate) struct Traffic(Option<Arc<File>>);

/// One call.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Line {
    /// Who called, by the header `User-Agent`.
    agent: String,
    method: String,
    /// Path and query as they were sent.
    target: String,
    body: String,
    /// None if the answer was lost by an injected fault.
    status: Option<u16>,
    answer: String,
}

impl Traffic {
    /// Opens the file that the environment names.
    ///
    /// # Errors
    /// The file cannot be written.
    pub(crate) fn from_environment() -> io::Result<Self> {
        std::env::var_os(FILE_VARIABLE)
            .map_or_else(|| Ok(Self::default()), |path| Self::open(Path::new(&path)))
    }

    fn open(path: &Path) -> io::Result<Self> {
        let file = OpenOptions::new().create(true).append(true).open(path)?;
        Ok(Self(Some(Arc::new(file))))
    }

    /// Answers the request by `answer`, and records both.
    pub(crate) async fn recorded<F>(
        self,
        request: Request,
        answer: impl FnOnce(Request) -> F,
    ) -> Response
    where
        F: Future<Output = Response>,
    {
        let Some(file) = self.0 else { return answer(request).await };
        let (head, sent) = request.into_parts();
        let Ok(sent) = body::to_bytes(sent, BODY_BYTES_MAX).await else {
            return ApiError::too_large(BODY_BYTES_MAX).into_response();
        };
        let agent = head.headers.get(USER_AGENT).and_then(|agent| agent.to_str().ok());
        let mut line = Line {
            agent: agent.unwrap_or_default().to_owned(),
            method: head.method.to_string(),
            target: head.uri.to_string(),
            body: String::from_utf8_lossy(&sent).into_owned(),
            status: None,
            answer: String::new(),
        };
        let (head, given) = answer(Request::from_parts(head, sent.into())).await.into_parts();
        let Ok(given) = body::to_bytes(given, usize::MAX).await else {
            return ApiError::internal().into_response();
        };
        if head.extensions.get::<ReplyLost>().is_none() {
            line.status = Some(head.status.as_u16());
            line.answer = String::from_utf8_lossy(&given).into_owned();
        }
        if let Err(error) = append(&file, &line) {
            tracing::error!(%error, "a call of the simulated cloud is not on record");
        }
        Response::from_parts(head, given.into())
    }
}

/// One write, so that lines of several processes do not mix.
fn append(mut file: &File, line: &Line) -> io::Result<()> {
    let mut text = serde_json::to_vec(line)?;
    text.push(b'\n');
    file.write_all(&text)
}

#[cfg(test)]
mod tests {
    use axum::http::StatusCode;
    use serde_json::{Value, json};

    use super::*;

    #[tokio::test]
    async fn a_line_holds_what_was_sent_and_what_was_answered() {
        let recorded = record(async |request| {
            let body = body::to_bytes(request.into_body(), 100).await.unwrap();
            (StatusCode::CONFLICT, body).into_response()
        });
        let line = json!({
            "agent": "curfew/1", "method": "POST", "target": "/v1/a%2Fb?x=1", "body": "{\"a\":1}",
            "status": 409, "answer": "{\"a\":1}",
        });
        assert_eq!(recorded.await, [line]);
    }

    #[tokio::test]
    async fn a_lost_answer_is_no_answer() {
        let recorded = record(async |_| ReplyLost::response()).await;
        assert_eq!((&recorded[0]["status"], &recorded[0]["answer"]), (&Value::Null, &json!("")));
    }

    async fn record<F>(answer: impl FnOnce(Request) -> F) -> Vec<Value>
    where
        F: Future<Output = Response>,
    {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("traffic");
        let request = Request::post("/v1/a%2Fb?x=1").header(USER_AGENT, "curfew/1");
        let request = request.body("{\"a\":1}".into()).unwrap();
        Traffic::open(&path).unwrap().recorded(request, answer).await;
        let text = std::fs::read_to_string(path).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}
