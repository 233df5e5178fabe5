//! How long calls take.

use std::f64::consts::TAU;
use std::fmt;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{Rng, RngExt, SeedableRng};

use crate::quota::Api;

/// Seed of the drawn latencies: a run whose calls come in the same order takes the same times.
const SEED: u64 = 20_260_101;

/// The 99th percentile of a standard normal distribution.
const Z_99: f64 = 2.326;

/// No call takes longer than this many times its 99th percentile: the tail of a log-normal has no
/// end, and a caller's deadline does.
const TAIL_MAX: f64 = 3.0;

/// How long calls of Google's APIs take.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Latency {
    /// As long as the simulation needs.
    #[default]
    None,
    /// About as long as Google needs: each method has a median and a 99th percentile, and each call
    /// a latency drawn from the log-normal distribution that has both.
    Google,
}

/// Median and 99th percentile of one kind of call, in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Pace {
    p50: f64,
    p99: f64,
}

/// The source of latencies.
pub(crate) struct Latencies {
    latency: Latency,
    random: Mutex<StdRng>,
}

impl Latencies {
    pub(crate) fn new(latency: Latency) -> Self {
        Self { latency, random: Mutex::new(StdRng::seed_from_u64(SEED)) }
    }

    /// How long the next call of that method takes, beyond what the simulation needs.
    pub(crate) fn draw(&self, api: Api, method: &str) -> Duration {
        match self.latency {
            Latency::None => Duration::ZERO,
            Latency::Google => {
                let mut random = self.random.lock().unwrap_or_else(PoisonError::into_inner);
                pace(api, method).draw(&mut *random)
            }
        }
    }
}

impl fmt::Debug for Latencies {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("Latencies").field(&self.latency).finish()
    }
}

impl Pace {
    /// A log-normal draw, by the transform of Box and Muller.
    fn draw(self, random: &mut impl Rng) -> Duration {
        let (u, v): (f64, f64) = (random.random(), random.random());
        let normal = (-2.0 * (1.0 - u).ln()).sqrt() * (TAU * v).cos();
        let sigma = (self.p99 / self.p50).ln() / Z_99;
        let milliseconds = (self.p50 * (sigma * normal).exp()).min(self.p99 * TAIL_MAX);
        Duration::from_secs_f64(milliseconds / 1000.0)
    }
}

/// Resource Manager's reads take 60 to 150 ms and its policy writes 150 to 500 ms, the range that
/// models of JIT Access's write loop use; the others have no published figure and stand in the same
/// proportion as they do for users: searches are slower than reads, single cryptographic operations
/// and payloads faster.
fn pace(api: Api, method: &str) -> Pace {
    let (p50, p99) = match (api, method) {
        (Api::ResourceManager, "setIamPolicy") => (275.0, 500.0),
        (Api::ResourceManager | Api::CloudIdentity | Api::Directory, "search") => (150.0, 400.0),
        (Api::ResourceManager | Api::Iam, _) => (95.0, 150.0),
        (Api::AssetInventory, _) => (300.0, 1200.0),
        (Api::CloudIdentity | Api::Directory, _) => (120.0, 300.0),
        (Api::Kms, "asymmetricSign" | "macSign" | "encrypt" | "decrypt" | "getPublicKey") => {
            (30.0, 120.0)
        }
        (Api::PubSub, "publish") => (30.0, 150.0),
        (Api::Kms | Api::PubSub | Api::SecretManager, _) => (60.0, 200.0),
    };
    Pace { p50, p99 }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CALLS: usize = 10_000;

    #[test]
    fn draws_have_the_median_and_the_tail_that_were_asked_for() {
        let latencies = Latencies::new(Latency::Google);
        for (method, p50, p99) in [("getIamPolicy", 0.095, 0.150), ("setIamPolicy", 0.275, 0.500)] {
            let mut drawn: Vec<f64> = (0..CALLS)
                .map(|_| latencies.draw(Api::ResourceManager, method).as_secs_f64())
                .collect();
            drawn.sort_by(f64::total_cmp);
            assert!((drawn[CALLS / 2] / p50 - 1.0).abs() < 0.05, "{method} {}", drawn[CALLS / 2]);
            let tail = drawn[CALLS * 99 / 100];
            assert!((tail / p99 - 1.0).abs() < 0.1, "{method} {tail}");
            assert!(drawn[CALLS - 1] <= p99 * TAIL_MAX);
        }
    }

    #[test]
    fn the_same_calls_take_the_same_times() {
        let draw = |latencies: &Latencies| latencies.draw(Api::Kms, "encrypt");
        let (a, b) = (Latencies::new(Latency::Google), Latencies::new(Latency::Google));
        let (first, second) = (draw(&a), draw(&a));
        assert_eq!((first, second), (draw(&b), draw(&b)));
        assert_ne!(first, second);
    }

    #[test]
    fn without_latency_nothing_waits() {
        assert_eq!(Latencies::new(Latency::None).draw(Api::Kms, "encrypt"), Duration::ZERO);
    }
}
