//! The whole: people act, controllers run and may be crashed, time passes, and the oracle watches.

mod acts;
mod look;

pub use acts::{Decision, Signed};

use std::sync::Arc;
use std::time::Duration;

use chrono::TimeDelta;
use curfew_controller::{Controller, Health, Metrics, Ports, Settings};
use prometheus::Registry;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::connection::{Connection, Data, Shared};
use crate::fault::Faults;
use crate::oracle::{Invariant, Violation};
use crate::plan::Plan;
use crate::process::Process;
use crate::scene;

/// What kind of world.
#[derive(Debug, Clone)]
pub struct Options {
    /// Where all chance comes from.
    pub seed: u64,
    /// How many projects there are.
    pub n_projects: usize,
    /// Who is eligible.
    pub people: Vec<&'static str>,
    /// How often the controller reads policies without a live request, and the record of policy writes.
    pub read_settled_every: Duration,
    /// How many controllers run, all of them acting on everything.
    pub n_controllers: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            seed: 1,
            n_projects: 3,
            people: vec!["alice", "bob", "carol", "dave"],
            read_settled_every: Duration::from_hours(1),
            n_controllers: 1,
        }
    }
}

/// A simulated world.
pub struct World {
    shared: Arc<Shared>,
    settings: Settings,
    n_controllers: usize,
    running: Vec<Running>,
    n_started: u32,
    n_crashes: usize,
    /// The plan of this run, whose violations are collected; without one a violation ends the test.
    plan: Option<Plan>,
}

struct Running {
    process: Arc<Process>,
    controller: Arc<Controller>,
    task: JoinHandle<()>,
}

thread_local! {
    /// Nobody reads them, and registering them anew takes longer than a short run.
    #[expect(clippy::unwrap_used, reason = "a fresh registry has no metrics that could collide")]
    static METRICS: Metrics = Metrics::register(&Registry::new()).unwrap();
}

impl World {
    /// A world without a controller.
    pub fn new(options: &Options) -> Self {
        let cloud = scene::cloud(options.n_projects, &options.people);
        let settings =
            Settings { read_settled_every: options.read_settled_every, ..scene::settings() };
        Self {
            shared: Arc::new(Shared::new(cloud, options.seed)),
            settings,
            n_controllers: options.n_controllers,
            running: Vec::new(),
            n_started: 0,
            n_crashes: 0,
            plan: None,
        }
    }

    /// A world with controllers that have read everything.
    pub async fn started(options: &Options) -> Self {
        let mut world = Self::new(options);
        world.start_controllers();
        world.advance(Duration::from_secs(1)).await;
        world
    }

    /// From now on violations are kept for whoever asks, and lines of the trace if somebody wants to read them.
    pub(crate) fn collect(&mut self, plan: &Plan, with_trace: bool) {
        self.plan = Some(plan.clone());
        if with_trace {
            self.with(|data| data.trace.keep_lines());
        }
    }

    /// Starts as many controllers as there are to be.
    pub fn start_controllers(&mut self) {
        while self.running.len() < self.n_controllers {
            self.start_controller(None);
        }
    }

    /// Starts a controller, which crashes by itself at that moment.
    pub fn start_controller(&mut self, crash_at: Option<u64>) {
        let died = self.shared.somebody_died.clone();
        let process = Arc::new(Process::new(self.n_started, crash_at, died));
        self.n_started = self.n_started.saturating_add(1);
        let connection =
            Arc::new(Connection { shared: self.shared.clone(), process: process.clone() });
        let ports = Ports {
            store: connection.clone(),
            policies: connection.clone(),
            catalog: connection.clone(),
            directory: connection,
            verifier: self.shared.trust.clone(),
            sealer: self.shared.trust.clone(),
            clock: self.shared.clock.clone(),
            entropy: self.shared.random.clone(),
        };

        let controller = Arc::new(Controller::new(
            ports,
            self.settings.clone(),
            METRICS.with(Clone::clone),
            process.stop().clone(),
        ));
        self.note_outside("start", &format!("controller {}", self.n_started.saturating_sub(1)));
        self.with(|data| data.oracle.running(data.now));
        let task = tokio::spawn({
            let controller = controller.clone();
            async move { controller.run().await }
        });
        self.running.push(Running { process, controller, task });
    }

    /// Stops every controller where it is, and starts others over the same store and cloud.
    pub fn crash(&mut self) {
        let n = self.running.len().max(1);
        self.kill();
        for _ in 0..n {
            self.n_crashes = self.n_crashes.saturating_add(1);
            self.start_controller(None);
        }
    }

    /// Stops every controller where it is.
    pub fn kill(&mut self) {
        self.with(|data| data.oracle.nothing_runs(data.now));
        for running in self.running.drain(..) {
            running.process.die();
        }
    }

    /// Tells every controller to stop, and waits until it has.
    pub async fn stop(&mut self) {
        self.with(|data| data.oracle.nothing_runs(data.now));
        for running in self.running.drain(..) {
            self.shared.with(|data| {
                let who = running.process.who();
                data.trace.note(data.now, who, "stop", "", &"");
            });
            running.process.stop().cancel();
            let died = async {
                while !running.process.is_dead() {
                    self.shared.somebody_died.notified().await;
                }
            };
            tokio::select! {
                biased;
                ended = running.task => {
                    if ended.is_err() {
                        self.shared.with(|data| data.oracle.wrong(Invariant::L1, "a controller panicked"));
                    }
                }
                // One that crashes while it stops is gone as well.
                () = died => {}
            }
        }
    }

    /// How often a controller crashed.
    pub fn n_crashes(&self) -> usize {
        self.n_crashes
    }

    /// Through how many moments the first running controller has lived.
    pub fn steps(&self) -> u64 {
        self.running.first().map_or(0, |running| running.process.steps())
    }

    /// How the first running controller feels.
    pub fn health(&self) -> Option<Health> {
        self.running.first().map(|running| running.controller.health())
    }

    /// Lets time pass. A controller that crashes by itself is followed by another one.
    pub async fn advance(&mut self, time: Duration) {
        let until = Instant::now() + time;
        loop {
            self.replace_the_dead();
            tokio::select! {
                biased;
                () = self.shared.somebody_died.notified() => {}
                () = tokio::time::sleep_until(until) => break,
            }
        }
        self.assert_nothing_wrong();
    }

    fn replace_the_dead(&mut self) {
        let n_before = self.running.len();
        self.running.retain(|running| !running.process.is_dead());
        for _ in self.running.len()..n_before {
            self.n_crashes = self.n_crashes.saturating_add(1);
            self.start_controller(None);
        }
    }

    /// Lets time pass in small steps until `holds`; says whether it came to that within `most`.
    pub async fn comes_true(&mut self, most: Duration, holds: impl Fn(&Self) -> bool) -> bool {
        let until = Instant::now() + most;
        while !holds(self) {
            if Instant::now() >= until {
                return false;
            }
            self.advance(Duration::from_millis(5)).await;
        }
        true
    }

    /// Fails if the oracle has seen anything that must not happen.
    pub fn assert_nothing_wrong(&self) {
        for running in self.running.iter().filter(|running| running.task.is_finished()) {
            let who = running.process.who();
            self.with(|data| data.oracle.wrong(Invariant::L1, format!("{who} ended by itself")));
        }
        if self.plan.is_none() {
            let wrong = self.violations();
            assert!(wrong.is_empty(), "{}: {wrong:#?}", self.now());
        }
    }

    /// All that went wrong so far.
    pub fn violations(&self) -> Vec<Violation> {
        self.with(|data| data.oracle.violations().to_vec())
    }

    /// Whether the plan has no faults.
    pub(crate) fn is_calm(&self) -> bool {
        self.plan.as_ref().is_some_and(|plan| plan.steps.is_empty())
    }

    /// How much people do at most.
    pub(crate) fn acts_max(&self) -> usize {
        self.plan.as_ref().map_or(usize::MAX, |plan| plan.acts)
    }

    /// Whether something went wrong: then the rest of the run tells nothing more.
    pub(crate) fn is_broken(&self) -> bool {
        self.with(|data| !data.oracle.violations().is_empty())
    }

    /// Puts down what a workload has found to be wrong.
    pub(crate) fn wrong(&self, invariant: Invariant, what: impl Into<String>) {
        self.with(|data| data.oracle.wrong(invariant, what));
    }

    /// The faults to come.
    pub fn faults(&self) -> std::sync::MutexGuard<'_, Faults> {
        self.shared.faults()
    }

    /// Chance.
    pub fn random(&self) -> &crate::clock::Random {
        &self.shared.random
    }

    /// Puts the controllers' clock so far ahead of the world's.
    pub fn put_clock(&self, ahead: TimeDelta) {
        self.shared.clock.set_offset(ahead);
        self.with(|data| data.oracle.clock_put(data.now, ahead.is_zero()));
    }

    /// Looks at everything.
    pub fn with<T>(&self, look: impl FnOnce(&mut Data) -> T) -> T {
        self.shared.with(look)
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.kill();
    }
}
