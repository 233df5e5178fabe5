//! The real clock and the real dice: the one place where either is read.

use std::time::Duration;

use chrono::{DateTime, Utc};
use curfew_ports::{Clock, Entropy};

/// The system's clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is the edge where time comes in")]
    fn now(&self) -> DateTime<Utc> {
        DateTime::<Utc>::from(std::time::SystemTime::now())
    }

    fn elapsed(&self) -> Duration {
        let at = rustix::time::clock_gettime(MONOTONIC);
        Duration::new(
            u64::try_from(at.tv_sec).unwrap_or_default(),
            u32::try_from(at.tv_nsec).unwrap_or_default(),
        )
    }
}

/// Goes on while the machine sleeps (`clock_gettime(2)`): a suspended process must find its reads too old.
#[cfg(target_os = "linux")]
const MONOTONIC: rustix::time::ClockId = rustix::time::ClockId::Boottime;

#[cfg(not(target_os = "linux"))]
const MONOTONIC: rustix::time::ClockId = rustix::time::ClockId::Monotonic;

/// The system's random source, through a cryptographic generator.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemEntropy;

impl Entropy for SystemEntropy {
    fn bits(&self) -> [u8; 16] {
        rand::random()
    }
}
