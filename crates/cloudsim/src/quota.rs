//! Rates that Google allows a consumer project.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use chrono::{DateTime, Utc};

use crate::error::ApiError;

/// Whether a call reads or writes, for Resource Manager's quotas.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Metric {
    Read,
    Write,
}

impl Metric {
    fn name(self) -> &'static str {
        match self {
            Self::Read => "cloudresourcemanager.googleapis.com/read_requests",
            Self::Write => "cloudresourcemanager.googleapis.com/write_requests",
        }
    }
}

/// Calls in the current minute of each consumer; minutes are those of the clock.
#[derive(Debug, Default)]
pub(crate) struct Quotas(Mutex<Window>);

#[derive(Debug, Default)]
struct Window {
    minute: i64,
    used: BTreeMap<(String, Metric), u32>,
}

impl Quotas {
    /// Counts one call, unless the consumer's minute is used up.
    pub(crate) fn spend(
        &self,
        consumer: &str,
        metric: Metric,
        limit: u32,
        now: DateTime<Utc>,
    ) -> Result<(), ApiError> {
        let mut window = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let minute = now.timestamp().div_euclid(60);
        if window.minute != minute {
            *window = Window { minute, used: BTreeMap::new() };
        }
        let used = window.used.entry((consumer.to_owned(), metric)).or_default();
        if *used >= limit {
            return Err(ApiError::quota(metric.name(), limit, consumer));
        }
        *used += 1;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_used_up_minute_refuses_and_the_next_one_does_not() {
        let quotas = Quotas::default();
        let at = |second: i64| DateTime::from_timestamp(second, 0).unwrap();
        assert!(quotas.spend("p", Metric::Write, 2, at(0)).is_ok());
        assert!(quotas.spend("p", Metric::Write, 2, at(1)).is_ok());
        assert_eq!(quotas.spend("p", Metric::Write, 2, at(59)).unwrap_err().code(), 429);
        assert!(quotas.spend("p", Metric::Read, 2, at(59)).is_ok());
        assert!(quotas.spend("q", Metric::Write, 2, at(59)).is_ok());
        assert!(quotas.spend("p", Metric::Write, 2, at(60)).is_ok());
    }
}
