//! The store: what comes out of it, and how its clock compares.

use std::time::Duration;

use chrono::TimeDelta;
use curfew_core::request::Rejection;
use prometheus::{Gauge, Histogram, IntCounterVec};

use super::maker::{Maker, SECONDS};
use crate::feed::EVENTS;
use crate::ledger::{BOUNDS, FORGED_FACTS, ROLLED_BACK};

#[derive(Clone)]
pub(super) struct Store {
    forgeries: IntCounterVec,
    ledger_omitted: IntCounterVec,
    watch_events: IntCounterVec,
    resync_duration: Histogram,
    clock_skew: Gauge,
}

impl Store {
    pub(super) fn new(make: &Maker<'_>) -> prometheus::Result<Self> {
        let skew =
            "This clock minus the store's, as last compared, beyond the call's own duration.";
        let reasons = Rejection::ALL.map(Rejection::as_str);
        Ok(Self {
            forgeries: make.counters(
                "curfew_forgery_rejections_total",
                "Parts of stored documents that did not verify, each counted once by a process.",
                "reason",
                reasons.into_iter().chain([FORGED_FACTS, ROLLED_BACK]),
            )?,
            ledger_omitted: make.counters(
                "curfew_ledger_omitted_total",
                "Refused acts and forgeries that the ledger does not name, because too many came.",
                "bound",
                BOUNDS,
            )?,
            watch_events: make.counters(
                "curfew_watch_events_total",
                "Events of the watch on the store.",
                "kind",
                EVENTS,
            )?,
            resync_duration: make.histogram(
                "curfew_resync_duration_seconds",
                "How long a read of the whole live set took; failed ones do not count.",
                &SECONDS,
            )?,
            clock_skew: make.kept(Gauge::new("curfew_clock_skew_seconds", skew)?)?,
        })
    }

    pub(super) fn forgery(&self, reason: &'static str) {
        self.forgeries.with_label_values(&[reason]).inc();
    }

    pub(super) fn ledger_omitted(&self, bound: &'static str) {
        self.ledger_omitted.with_label_values(&[bound]).inc();
    }

    pub(super) fn watch_event(&self, kind: &'static str) {
        self.watch_events.with_label_values(&[kind]).inc();
    }

    pub(super) fn resynced(&self, took: Duration) {
        self.resync_duration.observe(took.as_secs_f64());
    }

    pub(super) fn clock_skew(&self, skew: TimeDelta) {
        self.clock_skew.set(skew.as_seconds_f64());
    }
}
