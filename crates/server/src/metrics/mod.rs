//! What is measured of the process as a whole: which build it is, what it takes of the machine, and its calls of
//! Google's APIs.

mod process;

use std::sync::Arc;

use curfew_gcp::OnCall;
use prometheus::{HistogramOpts, HistogramVec, IntCounterVec, IntGaugeVec, Opts, Registry};

use crate::run::Mode;
use process::Process;

/// Upper bounds, seconds: a loopback server answers in milliseconds, Google in tenths of a second, and a policy write
/// is given up after thirty (<https://github.com/kubernetes/client-go/blob/master/tools/metrics/metrics.go> has the
/// names).
const SECONDS: [f64; 12] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0];

/// Registers what every process of ours shows.
pub(crate) fn register(registry: &Registry, mode: Mode) -> prometheus::Result<()> {
    let options =
        Opts::new("curfew_build_info", "Which build this is, and which parts run in it; always 1.");
    let build = IntGaugeVec::new(options, &["version", "mode"])?;
    build.with_label_values(&[env!("CARGO_PKG_VERSION"), mode.name()]).set(1);
    registry.register(Box::new(build))?;
    registry.register(Box::new(Process::new()?))
}

/// Registers what is measured of calls of Google's APIs, under the names of client-go; `method` is the API's method.
pub(crate) fn google_calls(registry: &Registry) -> prometheus::Result<OnCall> {
    let calls = IntCounterVec::new(
        Opts::new(
            "rest_client_requests_total",
            "Calls of Google's APIs, each attempt, by the code of the answer; none: no whole answer.",
        ),
        &["method", "code"],
    )?;
    let options = HistogramOpts::new(
        "rest_client_request_duration_seconds",
        "How long each attempt of a call of Google's APIs took.",
    );
    let durations = HistogramVec::new(options.buckets(SECONDS.to_vec()), &["method"])?;
    registry.register(Box::new(calls.clone()))?;
    registry.register(Box::new(durations.clone()))?;
    Ok(Arc::new(move |method, code, took| {
        calls.with_label_values(&[method, code]).inc();
        durations.with_label_values(&[method]).observe(took.as_secs_f64());
    }))
}
