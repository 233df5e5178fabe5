//! How long replies take, by route, and how fresh lists are.

mod lists;

use std::time::Duration;

use axum::http::{Method, StatusCode};
use prometheus::{HistogramOpts, HistogramVec, Registry};

use lists::ListMetrics;

/// Upper bounds, seconds: a page of the cached index takes milliseconds, a filing some calls to Google.
const BUCKETS: [f64; 12] =
    [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0];

/// `http_request_duration_seconds{route,method,code}`, and what is measured of lists.
#[derive(Debug, Clone)]
pub struct Metrics {
    durations: HistogramVec,
    pub(crate) lists: ListMetrics,
}

impl Metrics {
    /// Registers all of them.
    pub fn register(registry: &Registry) -> Result<Self, prometheus::Error> {
        let options = HistogramOpts::new(
            "http_request_duration_seconds",
            "How long replies took, by matched route.",
        );
        let durations =
            HistogramVec::new(options.buckets(BUCKETS.to_vec()), &["route", "method", "code"])?;
        registry.register(Box::new(durations.clone()))?;
        Ok(Self { durations, lists: ListMetrics::register(registry)? })
    }

    /// `route` is the matched pattern, never a path: labels must stay few.
    pub(crate) fn observe(&self, route: &str, method: &Method, code: StatusCode, took: Duration) {
        let labels = [route, method_label(method), code.as_str()];
        self.durations.with_label_values(&labels).observe(took.as_secs_f64());
    }
}

/// Callers can make up methods.
fn method_label(method: &Method) -> &'static str {
    match method.as_str() {
        "GET" => "GET",
        "HEAD" => "HEAD",
        "POST" => "POST",
        "PUT" => "PUT",
        "PATCH" => "PATCH",
        "DELETE" => "DELETE",
        "OPTIONS" => "OPTIONS",
        _ => "OTHER",
    }
}
