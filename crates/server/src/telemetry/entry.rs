//! The line that an event becomes.
//!
//! | field of the event or of a span around it | of the line |
//! |---|---|
//! | `event`, `user` | `logging.googleapis.com/labels` |
//! | `operation.id`, `operation.first`, `operation.last` | `logging.googleapis.com/operation`; the id is the request's |
//! | `trace`, `span_id`, `trace_sampled` | `logging.googleapis.com/trace`, `…/spanId`, `…/trace_sampled` |
//! | `http.*` | `httpRequest` (<https://cloud.google.com/logging/docs/reference/v2/rest/v2/LogEntry#httprequest>) |
//! | every other | itself |

use std::fmt;

use chrono::{DateTime, SecondsFormat, Utc};
use serde_json::{Map, Value, json};
use tracing::Level;
use tracing::field::{Field, Visit};

use super::secrets::{HIDDEN, holds_token, is_secret_name};

/// The longest text of one field, bytes. Cloud Logging takes 256 KiB an entry; the longest of ours names a thousand
/// requests (27 bytes each).
const TEXT_BYTES_MAX: usize = 32 << 10;

/// Labels, by the field that they come from.
const LABELS: [&str; 2] = ["event", "user"];

/// The parts of `httpRequest`, by the field that they come from.
const HTTP: [(&str, &str); 6] = [
    ("http.method", "requestMethod"),
    ("http.url", "requestUrl"),
    ("http.status", "status"),
    ("http.user_agent", "userAgent"),
    ("http.protocol", "protocol"),
    ("http.latency", "latency"),
];

/// The entry for an event.
pub(super) fn entry(
    severity: &str,
    target: &str,
    at: DateTime<Utc>,
    project: Option<&str>,
    fields: Fields,
) -> Value {
    let mut fields = fields.into_map();
    let mut entry = Map::new();
    entry.insert("severity".into(), severity.into());
    entry.insert("time".into(), at.to_rfc3339_opts(SecondsFormat::Micros, true).into());
    entry.insert("message".into(), fields.remove("message").unwrap_or_else(|| "".into()));
    entry.insert("target".into(), target.into());
    let special = [
        ("logging.googleapis.com/labels", labels(&mut fields)),
        ("logging.googleapis.com/operation", operation(&mut fields)),
        ("logging.googleapis.com/trace", trace(project, &mut fields)),
        ("logging.googleapis.com/spanId", fields.remove("span_id")),
        ("logging.googleapis.com/trace_sampled", fields.remove("trace_sampled")),
        ("httpRequest", http(&mut fields)),
    ];
    entry.extend(special.into_iter().filter_map(|(name, value)| Some((name.into(), value?))));
    // What is special stays as it is, whatever a field is called.
    for (name, value) in fields {
        entry.entry(name).or_insert(value);
    }
    Value::Object(entry)
}

/// How Cloud Logging calls a level.
pub(super) fn severity(level: Level) -> &'static str {
    match level {
        Level::ERROR => "ERROR",
        Level::WARN => "WARNING",
        Level::INFO => "INFO",
        Level::DEBUG | Level::TRACE => "DEBUG",
    }
}

fn labels(fields: &mut Map<String, Value>) -> Option<Value> {
    let labels = LABELS.into_iter().filter_map(|name| Some((name.into(), fields.remove(name)?)));
    some(labels.collect())
}

fn operation(fields: &mut Map<String, Value>) -> Option<Value> {
    let id = fields.remove("operation.id")?;
    let mut operation = Map::from_iter([("id".into(), id), ("producer".into(), json!("curfew"))]);
    for (name, part) in [("operation.first", "first"), ("operation.last", "last")] {
        if fields.remove(name) == Some(Value::Bool(true)) {
            operation.insert(part.into(), true.into());
        }
    }
    Some(Value::Object(operation))
}

/// Cloud Logging names a trace by its project; without one the id has to do.
fn trace(project: Option<&str>, fields: &mut Map<String, Value>) -> Option<Value> {
    let trace = fields.remove("trace")?;
    let (Some(project), Some(id)) = (project, trace.as_str()) else { return Some(trace) };
    Some(format!("projects/{project}/traces/{id}").into())
}

fn http(fields: &mut Map<String, Value>) -> Option<Value> {
    let parts = HTTP.into_iter().filter_map(|(name, part)| {
        let value = fields.remove(name)?;
        // Seconds, as JSON writes a `google.protobuf.Duration`.
        let value = if part == "latency" { format!("{value}s").into() } else { value };
        Some((part.into(), value))
    });
    some(parts.collect())
}

fn some(object: Map<String, Value>) -> Option<Value> {
    (!object.is_empty()).then_some(Value::Object(object))
}

/// The fields of an event and of the spans around it: the innermost of a name counts.
#[derive(Default)]
pub(super) struct Fields(Map<String, Value>);

impl Fields {
    pub(super) fn extend(&mut self, more: Map<String, Value>) {
        self.0.extend(more);
    }

    pub(super) fn into_map(self) -> Map<String, Value> {
        self.0
    }

    fn insert(&mut self, field: &Field, value: impl Into<Value>) {
        let name = field.name();
        let value = if is_secret_name(name) { HIDDEN.into() } else { value.into() };
        self.0.insert(name.into(), value);
    }

    fn insert_text(&mut self, field: &Field, text: &str) {
        if holds_token(text) {
            return self.insert(field, HIDDEN);
        }
        self.insert(
            field,
            text.get(..text.floor_char_boundary(TEXT_BYTES_MAX)).unwrap_or_default(),
        );
    }
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.insert_text(field, &format!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.insert_text(field, value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.insert(field, value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.insert(field, value);
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.insert(field, value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.insert(field, value);
    }
}
