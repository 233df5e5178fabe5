//! Structured logs: one JSON object a line as Cloud Logging reads it, or plain text on a terminal.
//!
//! Field names are those of Cloud Logging's structured logging
//! (<https://cloud.google.com/logging/docs/structured-logging>).

use std::fmt;
use std::io::IsTerminal as _;

use curfew_ports::Clock as _;
use serde_json::{Map, Value, json};
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

use crate::clock::SystemClock;

/// What is logged unless `CURFEW_LOG` says otherwise. Client libraries log bodies at debug level, so they stay at
/// info at most.
const USUAL_FILTER: &str =
    "info,hyper=warn,h2=warn,reqwest=warn,firestore=warn,gcloud_sdk=warn,tonic=warn";

/// Starts logging to standard error; a second call changes nothing.
pub fn init() {
    start(USUAL_FILTER);
}

/// The same, with nothing below a warning unless `CURFEW_LOG` asks for it.
pub fn init_quiet() {
    start("warn");
}

fn start(usual: &str) {
    let filter = EnvFilter::try_from_env("CURFEW_LOG").unwrap_or_else(|_| EnvFilter::new(usual));
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let started = if std::io::stderr().is_terminal() {
        builder.try_init()
    } else {
        builder.event_format(CloudLogging).try_init()
    };
    if started.is_err() {
        tracing::debug!("logging was started before");
    }
}

/// One line of JSON per event.
struct CloudLogging;

impl<S, N> FormatEvent<S, N> for CloudLogging
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        _: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut fields = Fields::default();
        event.record(&mut fields);
        let metadata = event.metadata();
        let entry = entry(severity(*metadata.level()), metadata.target(), fields);
        writeln!(writer, "{entry}")
    }
}

fn entry(severity: &str, target: &str, mut fields: Fields) -> Value {
    let mut entry = Map::new();
    entry.insert("severity".into(), severity.into());
    entry.insert(
        "time".into(),
        SystemClock.now().to_rfc3339_opts(chrono::SecondsFormat::Micros, true).into(),
    );
    entry.insert("message".into(), fields.0.remove("message").unwrap_or_default());
    entry.insert("target".into(), target.into());
    if let Some(id) = fields.0.remove("operation.id") {
        entry.insert(
            "logging.googleapis.com/operation".into(),
            json!({"id": id, "producer": "curfew"}),
        );
    }
    if let Some(event) = fields.0.remove("event") {
        entry.insert("logging.googleapis.com/labels".into(), json!({"event": event}));
    }
    entry.extend(fields.0);
    Value::Object(entry)
}

fn severity(level: Level) -> &'static str {
    match level {
        Level::ERROR => "ERROR",
        Level::WARN => "WARNING",
        Level::INFO => "INFO",
        Level::DEBUG | Level::TRACE => "DEBUG",
    }
}

#[derive(Default)]
struct Fields(Map<String, Value>);

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.0.insert(field.name().into(), format!("{value:?}").into());
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.0.insert(field.name().into(), value.into());
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.0.insert(field.name().into(), value.into());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.0.insert(field.name().into(), value.into());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.0.insert(field.name().into(), value.into());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_has_the_fields_that_cloud_logging_reads() {
        let fields = Map::from_iter([
            ("message".to_owned(), json!("recorded")),
            ("operation.id".to_owned(), json!("0123")),
            ("event".to_owned(), json!("api.activateRole")),
            ("fact".to_owned(), json!("GRANT\n\u{1b}[31m")),
        ]);
        let line = entry("INFO", "curfew", Fields(fields)).to_string();
        assert!(!line.contains('\n') && !line.contains('\u{1b}'), "{line}");
        let read: Value = serde_json::from_str(&line).unwrap();
        assert_eq!(read["severity"], "INFO");
        assert_eq!(read["logging.googleapis.com/operation"]["id"], "0123");
        assert_eq!(read["logging.googleapis.com/labels"]["event"], "api.activateRole");
    }
}
