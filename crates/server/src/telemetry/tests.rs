//! The lines that events become.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::{Value, json};
use tracing_subscriber::fmt::MakeWriter;

use super::*;

#[test]
fn a_line_has_what_cloud_logging_reads() {
    let line = written(|| {
        tracing::warn!(
            operation.id = "0123",
            operation.last = true,
            event = "api.activateRole",
            n = 3,
            share = 0.5,
            "recorded"
        );
    });
    assert_eq!(line["severity"], "WARNING");
    assert_eq!(line["message"], "recorded");
    assert!(line["time"].as_str().unwrap().ends_with('Z'), "{line}");
    assert_eq!(
        line["logging.googleapis.com/operation"],
        json!({"id": "0123", "producer": "curfew", "last": true})
    );
    assert_eq!(line["logging.googleapis.com/labels"], json!({"event": "api.activateRole"}));
    assert_eq!((&line["n"], &line["share"]), (&json!(3), &json!(0.5)));
    assert_eq!(line.get("event"), None, "{line}");
}

#[test]
fn a_request_is_written_as_http_request_within_its_trace() {
    let line = written(|| {
        let span = tracing::info_span!(
            "request",
            trace = "0af7651916cd43dd8448eb211c80319c",
            span_id = "b7ad6b7169203331",
            trace_sampled = true,
            user = tracing::field::Empty,
        );
        span.record("user", "bob@example.com");
        span.in_scope(|| {
            tracing::info!(
                http.method = "POST",
                http.url = "/v1/requests",
                http.status = 201_u16,
                http.latency = 0.25,
                "answered"
            );
        });
    });
    let id = "0af7651916cd43dd8448eb211c80319c";
    let trace = line["logging.googleapis.com/trace"].as_str().unwrap();
    assert!(trace == id || trace.ends_with(&format!("/traces/{id}")), "{trace}");
    assert_eq!(line["logging.googleapis.com/spanId"], "b7ad6b7169203331");
    assert_eq!(line["logging.googleapis.com/trace_sampled"], true);
    assert_eq!(line["logging.googleapis.com/labels"], json!({"user": "bob@example.com"}));
    assert_eq!(
        line["httpRequest"],
        json!({"requestMethod": "POST", "requestUrl": "/v1/requests", "status": 201, "latency": "0.25s"})
    );
}

#[test]
fn a_trace_is_named_by_its_project_where_that_is_known() {
    let entry = |project| {
        let mut fields = Fields::default();
        fields.extend(serde_json::from_value(json!({"trace": "ab"})).unwrap());
        entry("INFO", "t", SystemClock.now(), project, fields)["logging.googleapis.com/trace"]
            .clone()
    };
    assert_eq!(entry(Some("demo")), "projects/demo/traces/ab");
    assert_eq!(entry(None), "ab");
}

#[test]
fn nothing_breaks_out_of_its_line() {
    let lines = all_written(|| tracing::info!(text = "a\nb\u{1b}[31m\r\u{2028}\"}", "c\nd"));
    assert_eq!(lines.lines().count(), 1, "{lines}");
    assert!(!lines.contains('\u{1b}') && !lines.contains('\r'), "{lines}");
    let line: Value = serde_json::from_str(&lines).unwrap();
    assert_eq!(
        (&line["message"], &line["text"]),
        (&json!("c\nd"), &json!("a\nb\u{1b}[31m\r\u{2028}\"}"))
    );
}

#[test]
fn fields_cannot_take_the_place_of_what_cloud_logging_reads() {
    let line =
        written(|| tracing::info!(severity = "EMERGENCY", time = "never", target = "x", "m"));
    assert_eq!(line["severity"], "INFO");
    assert_ne!(line["time"], "never");
}

#[test]
fn secrets_are_hidden_by_the_name_of_their_field() {
    for name_of in [
        (|| tracing::info!(token = "s3cr3t", "m")) as fn(),
        || tracing::info!(iap.assertion = "s3cr3t", "m"),
        || tracing::info!(Authorization = ?"s3cr3t", "m"),
        || tracing::info!(client_secret = %"s3cr3t", "m"),
        || tracing::info!(password = "s3cr3t", "m"),
        || tracing::info_span!("request", cookie = "s3cr3t").in_scope(|| tracing::info!("m")),
    ] {
        let line = all_written(name_of);
        assert!(line.contains("\"message\":\"m\"") && line.contains(secrets::HIDDEN), "{line}");
        assert!(!line.contains("s3cr3t"), "{line}");
    }
}

#[test]
fn tokens_are_hidden_wherever_they_stand() {
    let assertion = "eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl-_";
    for line in [
        all_written(|| tracing::info!(error = format!("bad {assertion}!"), "m")),
        all_written(|| tracing::info!(error = ?Some(assertion), "m")),
        all_written(|| tracing::warn!("refused {assertion}")),
        all_written(|| tracing::warn!(header = "Bearer ya29.a0AfH6SMB", "m")),
    ] {
        assert!(line.contains(secrets::HIDDEN), "{line}");
        assert!(!line.contains("eyJ") && !line.contains("ya29"), "{line}");
    }
    let harmless =
        all_written(|| tracing::info!(place = "entries.eyJ", "eyJabc. And so on. Fine."));
    assert!(!harmless.contains(secrets::HIDDEN), "{harmless}");
}

#[test]
fn long_texts_are_cut() {
    let line = written(|| tracing::info!(text = "é".repeat(100_000), "m"));
    assert!(line["text"].as_str().unwrap().len() <= 32 << 10, "{}", line["text"]);
}

/// The one line that these events become, read.
fn written(log: impl FnOnce()) -> Value {
    serde_json::from_str(&all_written(log)).unwrap()
}

fn all_written(log: impl FnOnce()) -> String {
    let lines = Lines::default();
    let subscriber = tracing_subscriber::fmt()
        .with_writer(lines.clone())
        .event_format(CloudLogging)
        .fmt_fields(CloudFields)
        .finish();
    tracing::subscriber::with_default(subscriber, log);
    String::from_utf8(lines.0.lock().unwrap().clone()).unwrap()
}

#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl io::Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Lines {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}
