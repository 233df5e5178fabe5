//! How a process reaches the world: every call may be slow, fail, be lost, or take effect late.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use chrono::{DateTime, Utc};
use curfew_ports::{PortError, RetryClass};
use tokio::sync::Notify;

use crate::clock::{Random, SimClock};
use crate::cloud::Cloud;
use crate::fault::{Call, Fault, Faults, Op};
use crate::oracle::Oracle;
use crate::plan::Blow;
use crate::process::Process;
use crate::store::Store;
use crate::trace::{Trace, Who};
use crate::trust::Trust;

/// How long a call takes to its effect, and its answer back.
const LATENCY: Duration = Duration::from_millis(2);

/// How soon intake repeats what got no answer, with the same bytes.
const INTAKE_RETRY: Duration = Duration::from_secs(1);

/// All that is outside of the controller.
pub struct Shared {
    /// The time.
    pub clock: Arc<SimClock>,
    /// The keys.
    pub trust: Arc<Trust>,
    /// Chance.
    pub random: Arc<Random>,
    pub(crate) somebody_died: Arc<Notify>,
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
    /// What happened.
    pub trace: Trace,
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
        let oracle = Oracle::new(trust.clone(), &cloud);
        let data = Data {
            now: clock.true_now(),
            store: Store::default(),
            cloud,
            oracle,
            trace: Trace::default(),
        };
        Self {
            clock,
            trust,
            random: Arc::new(Random::seeded(seed)),
            somebody_died: Arc::default(),
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

    /// What goes wrong with this call.
    fn strike(&self, who: Who, op: &Op) -> Option<Fault> {
        let mut faults = self.faults();
        let Some((mishap, seed)) = faults.strike(op) else {
            let fault = faults.pick(op)?;
            self.with(|data| data.oracle.held_up(data.now));
            return Some(fault);
        };
        self.with(|data| {
            data.oracle.held_up(data.now);
            data.trace.note(
                data.now,
                who,
                op.name(),
                &op.about,
                &format_args!("STRUCK: {}", mishap.as_str()),
            );
        });
        match mishap.blow(op.call, seed) {
            Blow::Call(fault) => return Some(fault),
            Blow::Unseen => {
                let read = op.call.read_back();
                let about = if read == Call::Live { "" } else { &op.about };
                faults.once(read, about, Fault::Stale);
            }
            Blow::Watch(delivery) => self.with(|data| data.store.next_delivery = Some(delivery)),
        }
        None
    }

    fn effect<T>(
        &self,
        who: Who,
        op: &Op,
        freshness: Freshness,
        effect: impl FnOnce(&mut Data, Freshness) -> Result<T, PortError>,
    ) -> Result<T, PortError> {
        self.with(|data| {
            let answer = effect(data, freshness);
            let end = match (&answer, freshness) {
                (Ok(_), Freshness::Now) => "",
                (Ok(_), Freshness::Stale) => "as it was before",
                (Err(error), _) => error.class.as_str(),
            };
            data.trace.note(data.now, who, op.name(), &op.about, &end);
            answer
        })
    }

    /// Writes for a person, as intake does: what gets no answer is repeated with the same bytes until it gets one.
    pub(crate) fn submit<E>(self: &Arc<Self>, op: &Op, effect: E)
    where
        E: Fn(&mut Data) -> Result<(), PortError> + Send + Sync + 'static,
    {
        let effect = Arc::new(effect);
        let fault = self.strike(Who::Intake, op);
        let once = |after: Option<Duration>| {
            let (shared, op, effect) = (self.clone(), op.clone(), effect.clone());
            let act = move || {
                // What the store says to it is for the person; nobody here waits for it.
                drop(shared.effect(Who::Intake, &op, Freshness::Now, |data, _| effect(data)));
            };
            match after {
                None => act(),
                Some(after) => drop(tokio::spawn(async move {
                    tokio::time::sleep(after).await;
                    act();
                })),
            }
        };
        match fault {
            None | Some(Fault::Stale) => once(None),
            Some(Fault::CrashBefore | Fault::Refuse(_)) => once(Some(INTAKE_RETRY)),
            Some(Fault::CrashAfter | Fault::LoseReply) => {
                once(None);
                once(Some(INTAKE_RETRY));
            }
            Some(Fault::Late(delay)) => {
                once(Some(delay));
                once(Some(INTAKE_RETRY));
            }
            Some(Fault::Slow(delay)) => once(Some(delay)),
        }
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
    pub(crate) async fn call<T, E>(&self, op: Op, effect: E) -> Result<T, PortError>
    where
        T: Send + 'static,
        E: FnOnce(&mut Data, Freshness) -> Result<T, PortError> + Send + 'static,
    {
        self.process.step().await;
        let who = self.process.who();
        let fault = self.shared.strike(who, &op);
        if fault == Some(Fault::CrashBefore) {
            // It gets no further, and what was to be sent never is.
            drop(effect);
            self.process.die();
            return std::future::pending().await;
        }
        let failed = |class| Err(PortError::new(class, format!("{} {}", op.name(), op.about)));
        tokio::time::sleep(LATENCY).await;
        let answer = match fault {
            None => self.shared.effect(who, &op, Freshness::Now, effect),
            Some(Fault::Stale) => self.shared.effect(who, &op, Freshness::Stale, effect),
            Some(Fault::Slow(delay)) => {
                if op.call.is_judging() {
                    self.shared.with(|data| data.oracle.slowed(delay));
                }
                tokio::time::sleep(delay).await;
                self.shared.effect(who, &op, Freshness::Now, effect)
            }
            Some(Fault::Refuse(class)) => {
                drop(effect);
                failed(class)
            }
            Some(Fault::LoseReply) => self
                .shared
                .effect(who, &op, Freshness::Now, effect)
                .and_then(|_| failed(RetryClass::Unavailable)),
            Some(Fault::CrashBefore | Fault::CrashAfter) => {
                let answer = self.shared.effect(who, &op, Freshness::Now, effect);
                self.process.die();
                answer
            }
            // Nobody sees when a read would have come about.
            Some(Fault::Late(_)) if !op.call.is_write() => failed(RetryClass::Unavailable),
            Some(Fault::Late(delay)) => {
                let (shared, op) = (self.shared.clone(), op.clone());
                tokio::spawn(async move {
                    tokio::time::sleep(delay).await;
                    // Nobody waits for this answer any more.
                    drop(shared.effect(who, &op, Freshness::Now, effect));
                });
                failed(RetryClass::Unavailable)
            }
        };
        tokio::time::sleep(LATENCY).await;
        self.process.step().await;
        answer
    }
}
