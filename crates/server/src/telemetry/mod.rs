//! Structured logs: one JSON object a line as Cloud Logging reads it, or plain text on a terminal.
//!
//! Field names are those of Cloud Logging's structured logging
//! (<https://cloud.google.com/logging/docs/structured-logging>); `entry` has the rules by which events become lines.

mod entry;
mod secrets;

#[cfg(test)]
mod tests;

use std::fmt;
use std::io::IsTerminal as _;
use std::sync::OnceLock;

use curfew_ports::Clock as _;
use serde_json::{Map, Value};
use tracing::{Event, Subscriber};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::field::RecordFields;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields, FormattedFields};
use tracing_subscriber::registry::{LookupSpan, Scope};

use crate::clock::SystemClock;
use entry::{Fields, entry, severity};

/// What is logged unless `CURFEW_LOG` says otherwise. Client libraries log bodies at debug level, so they stay at
/// info at most.
const USUAL_FILTER: &str =
    "info,hyper=warn,h2=warn,reqwest=warn,firestore=warn,gcloud_sdk=warn,tonic=warn";

/// The project that traces belong to.
static PROJECT: OnceLock<String> = OnceLock::new();

/// Starts logging to standard error; a second call changes nothing.
pub fn init() {
    start(USUAL_FILTER);
}

/// The same, with nothing below a warning unless `CURFEW_LOG` asks for it.
pub fn init_quiet() {
    start("warn");
}

/// Names the project that the process runs in; the first call counts. Cloud Logging takes a trace by its project.
pub(crate) fn set_project(project: &str) {
    PROJECT.get_or_init(|| project.to_owned());
}

fn start(usual: &str) {
    let filter = EnvFilter::try_from_env("CURFEW_LOG").unwrap_or_else(|_| EnvFilter::new(usual));
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let started = if std::io::stderr().is_terminal() {
        builder.try_init()
    } else {
        builder.event_format(CloudLogging).fmt_fields(CloudFields).try_init()
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
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut fields = Fields::default();
        for span in context.event_scope().into_iter().flat_map(Scope::from_root) {
            if let Some(kept) = span.extensions().get::<FormattedFields<N>>() {
                fields.extend(read(kept.as_str()));
            }
        }
        event.record(&mut fields);
        let metadata = event.metadata();
        let severity = severity(*metadata.level());
        let project = PROJECT.get().map(String::as_str);
        let entry = entry(severity, metadata.target(), SystemClock.now(), project, fields);
        writeln!(writer, "{entry}")
    }
}

/// Keeps the fields of a span as a JSON object, for the lines that are written within it.
struct CloudFields;

impl<'writer> FormatFields<'writer> for CloudFields {
    fn format_fields<R: RecordFields>(&self, mut writer: Writer<'writer>, new: R) -> fmt::Result {
        let mut fields = Fields::default();
        new.record(&mut fields);
        write!(writer, "{}", Value::Object(fields.into_map()))
    }

    fn add_fields(
        &self,
        kept: &'writer mut FormattedFields<Self>,
        new: &tracing::span::Record<'_>,
    ) -> fmt::Result {
        let mut fields = Fields::default();
        fields.extend(read(kept.as_str()));
        new.record(&mut fields);
        kept.fields = Value::Object(fields.into_map()).to_string();
        Ok(())
    }
}

/// The fields of a span as [`CloudFields`] keeps them.
fn read(kept: &str) -> Map<String, Value> {
    serde_json::from_str(kept).unwrap_or_default()
}
