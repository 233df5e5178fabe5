//! Virtual time and seeded randomness.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use curfew_ports::{Clock, Entropy};
use tokio::time::Instant;

/// Wall time at the start of every simulation: 2026-03-02T10:00:00Z.
const START: i64 = 1_772_445_600;

/// The time of the simulated world, and a controller's clock that may differ from it.
#[derive(Debug)]
pub struct SimClock {
    started: Instant,
    offset_ms: AtomicI64,
}

impl SimClock {
    /// Starts now, with a clock that is right.
    pub fn start() -> Self {
        Self { started: Instant::now(), offset_ms: AtomicI64::new(0) }
    }

    /// The world's time, by which store and cloud work.
    pub fn true_now(&self) -> DateTime<Utc> {
        let ahead = TimeDelta::from_std(self.started.elapsed()).unwrap_or_default();
        DateTime::from_timestamp(START, 0).unwrap_or_default() + ahead
    }

    /// Sets how far the controller's clock is ahead of the world's.
    pub fn set_offset(&self, ahead: TimeDelta) {
        self.offset_ms.store(ahead.num_milliseconds(), Ordering::Relaxed);
    }
}

impl Clock for SimClock {
    fn now(&self) -> DateTime<Utc> {
        self.true_now() + TimeDelta::milliseconds(self.offset_ms.load(Ordering::Relaxed))
    }

    fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }
}

/// Splitmix64: the same seed gives the same numbers.
#[derive(Debug)]
pub struct Random(AtomicU64);

impl Random {
    /// From a seed.
    pub fn seeded(seed: u64) -> Self {
        Self(AtomicU64::new(seed))
    }

    /// The next number.
    pub fn next(&self) -> u64 {
        const STEP: u64 = 0x9e37_79b9_7f4a_7c15;
        let mut mixed = self.0.fetch_add(STEP, Ordering::Relaxed).wrapping_add(STEP);
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `n`; zero for `n` = 0.
    pub fn below(&self, n: u64) -> u64 {
        self.next().checked_rem(n).unwrap_or(0)
    }

    /// An index below `n`; zero for `n` = 0.
    pub fn index_below(&self, n: usize) -> usize {
        usize::try_from(self.below(n as u64)).unwrap_or_default()
    }

    /// A span below `ms` milliseconds.
    pub fn millis_below(&self, ms: u64) -> Duration {
        Duration::from_millis(self.below(ms))
    }
}

impl Entropy for Random {
    fn bits(&self) -> [u8; 16] {
        let bits = (u128::from(self.next()) << 64) | u128::from(self.next());
        bits.to_be_bytes()
    }
}
