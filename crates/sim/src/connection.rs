//! How a process reaches the world: every call may be slow, fail, be lost, or take effect late.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use chrono::{DateTime, Utc};
use curfew_ports::{PortError, RetryClass};

use crate::clock::{Random, SimClock};
use crate::cloud::Cloud;
use crate::fault::{Call, Fault, Faults};
use crate::oracle::Oracle;
use crate::process::Process;
use crate::store::Store;
use crate::trust::Trust;

/// How long a call takes to its effect, and its answer back.
const LATENCY: Duration = Duration::from_millis(2);

/// All that is outside of the controller.
pub struct Shared {
    /// The time.
    pub clock: Arc<SimClock>,
    /// The keys.
    pub trust: Arc<Trust>,
    /// Chance.
    pub random: Arc<Random>,
    data: Mutex<Data>,
    faults: Mutex<Faults>,
}

/// What calls change.
pub struct Data {
    /// When the change that is being made happens.
    pub now: DateTime<Utc>,
    /// The requests.
    pub store: Store,
    /// The policies.
    pub cloud: Cloud,
    /// Who watches that nothing happens that must not.
    pub oracle: Oracle,
}

/// Which state a read sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Freshness {
    Now,
    Stale,
}

impl Shared {
    pub(crate) fn new(cloud: Cloud, seed: u64) -> Self {
        let clock = Arc::new(SimClock::start());
        let trust = Arc::new(Trust::default());
        let oracle = Oracle::new(trust.clone());
        let data = Data { now: clock.true_now(), store: Store::default(), cloud, oracle };
        Self {
            clock,
            trust,
            random: Arc::new(Random::seeded(seed)),
            data: Mutex::new(data),
            faults: Mutex::default(),
        }
    }

    /// Looks at the world, or changes it from outside of the controller.
    pub fn with<T>(&self, act: impl FnOnce(&mut Data) -> T) -> T {
        let mut data = self.data.lock().unwrap_or_else(PoisonError::into_inner);
        data.now = self.clock.true_now();
        act(&mut data)
    }

    /// The faults to come.
    pub fn faults(&self) -> MutexGuard<'_, Faults> {
        self.faults.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One process's way to the world; every port of the controller is one.
#[derive(Clone)]
pub struct Connection {
    pub(crate) shared: Arc<Shared>,
    pub(crate) process: Arc<Process>,
}

impl Connection {
    /// Makes a call. `effect` happens at one instant, and also if the process dies while the call is under way.
    pub(crate) async fn call<T, E>(
        &self,
        call: Call,
        about: String,
        effect: E,
    ) -> Result<T, PortError>
    where
        T: Send + 'static,
        E: FnOnce(&mut Data, Freshness) -> Result<T, PortError> + Send + 'static,
    {
        self.process.step().await;
        let fault = self.shared.faults().pick(call, &about, &self.shared.random);
        let failed = |class| Err(PortError::new(class, format!("{call:?} {about}")));
        tokio::time::sleep(LATENCY).await;
        let answer = match fault {
            None => self.shared.with(|data| effect(data, Freshness::Now)),
            Some(Fault::Stale) => self.shared.with(|data| effect(data, Freshness::Stale)),
            Some(Fault::Slow(delay)) => {
                tokio::time::sleep(delay).await;
                self.shared.with(|data| effect(data, Freshness::Now))
            }
            Some(Fault::Refuse(class)) => failed(class),
            Some(Fault::LoseReply) => self
                .shared
                .with(|data| effect(data, Freshness::Now))
                .and_then(|_| failed(RetryClass::Unavailable)),
            Some(Fault::Late(delay)) => {
                let shared = self.shared.clone();
                tokio::spawn(async move {
                    tokio::time::sleep(delay).await;
                    // Nobody waits for this answer any more.
                    drop(shared.with(|data| effect(data, Freshness::Now)));
                });
                failed(RetryClass::Unavailable)
            }
        };
        tokio::time::sleep(LATENCY).await;
        self.process.step().await;
        answer
    }
}
