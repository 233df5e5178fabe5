//! One run: a workload under a plan, then quiet, then judgement.

use std::cell::RefCell;
use std::panic::AssertUnwindSafe;
use std::sync::Once;
use std::time::Duration;

use crate::oracle::{Invariant, Violation};
use crate::plan::{Effect, LATE_MAX, Plan};
use crate::store::Watching;
use crate::workload::Workload;
use crate::world::World;

/// Within one resync and a minute after the last fault everything is as it should be (L1).
const SETTLES_WITHIN: Duration = Duration::from_mins(2);

/// How often it is looked whether the rest is settled as well: intents that are still open, and what somebody has
/// interfered with. For that each policy has to be read again.
const ROUND: Duration = Duration::from_mins(1);

/// How often beyond the minutes after which all policies are read again: that of a live request is read every five.
const ROUNDS_MORE: u64 = 6;

/// How long after that nothing but heartbeats is written: longer than a resync takes to come.
const QUIET: Duration = Duration::from_secs(65);

/// How long everything stays as it is when it is watched for long.
const LONG_QUIET: Duration = Duration::from_hours(24);

/// How often a minute policies are read while nothing is to be done: three tenths of what Google allows by default
/// (600 reads a minute, <https://cloud.google.com/iam/quotas>).
const READS_A_MINUTE_MAX: u64 = 180;

/// How closely to look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Detail {
    /// Keep the lines of the trace.
    pub trace: bool,
    /// Wait until every grant has ended, and then for a day.
    pub long: bool,
}

/// What came of a run.
#[derive(Debug)]
pub struct Run {
    /// What was wrong; empty for a good run.
    pub violations: Vec<Violation>,
    /// The same for two runs in which the same happened.
    pub hash: u64,
    /// How often each side effect came about before the quiet.
    pub seen: [u32; Effect::ALL.len()],
    /// The trace, if it was asked for.
    pub lines: Vec<String>,
    /// How many controllers crashed.
    pub n_crashes: usize,
}

impl Run {
    /// Whether this invariant was broken.
    pub fn breaks(&self, invariant: Invariant) -> bool {
        self.violations.iter().any(|violation| violation.invariant == invariant)
    }
}

/// Runs a workload under a plan, in this thread and in no real time.
pub fn run(workload: &Workload, plan: &Plan, detail: Detail) -> Run {
    note_panics();
    PANIC.take();
    let mut outcome = std::panic::catch_unwind(AssertUnwindSafe(|| {
        runtime().block_on(play(workload, plan, detail))
    }))
    .unwrap_or_else(|_| Run {
        violations: Vec::new(),
        hash: 0,
        seen: [0; Effect::ALL.len()],
        lines: Vec::new(),
        n_crashes: 0,
    });
    if let Some(message) = PANIC.take() {
        outcome.violations.push(Violation::of(Invariant::L1, format!("a panic: {message}")));
    }
    outcome
}

async fn play(workload: &Workload, plan: &Plan, detail: Detail) -> Run {
    let mut world = World::new(&workload.options(plan.seed));
    world.collect(plan, detail.trace);
    if workload.is_blind {
        world.with(|data| data.store.watching = Watching::Dead);
    }
    world.faults().follow(plan.clone());
    world.start_controllers();
    (workload.script)(&mut world).await;
    let seen = *world.faults().seen();
    if !world.is_broken() {
        judge(&mut world, workload, plan, detail).await;
    }
    let n_crashes = world.n_crashes();
    world.with(|data| Run {
        violations: data.oracle.violations().to_vec(),
        hash: data.trace.hash(),
        seen,
        lines: data.trace.lines().to_vec(),
        n_crashes,
    })
}

/// Nothing goes wrong any more.
async fn judge(world: &mut World, workload: &Workload, plan: &Plan, detail: Detail) {
    world.faults().clear();
    if !workload.is_blind {
        world.with(|data| data.store.watching = Watching::Reliable);
    }
    world.put_clock(chrono::TimeDelta::zero());
    world.advance(LATE_MAX).await;
    world.advance(SETTLES_WITHIN).await;
    report(world, World::unsettled_undisturbed);
    if is_prompt(plan) && !workload.is_blind && !workload.is_open {
        report(world, World::late_removals);
    }
    the_rest(world, workload).await;
    if detail.long {
        let end = world.last_end();
        world.advance(end).await;
        world.advance(SETTLES_WITHIN).await;
        report(world, World::unsettled_requests);
        quiet(world, LONG_QUIET).await;
    } else if is_watched_on(plan) && world.next_change() > Some(QUIET) {
        quiet(world, QUIET).await;
    }
    report(world, World::unsettled_requests);
}

/// Whether nothing in the plan holds up for longer than the seconds within which a revocation takes access away.
fn is_prompt(plan: &Plan) -> bool {
    match plan.steps.as_slice() {
        [] => true,
        [only] => only.mishap.is_mild(),
        _ => false,
    }
}

/// A settled world is as settled after two faults as after one: of those runs every fourth is watched on.
fn is_watched_on(plan: &Plan) -> bool {
    plan.steps.len() < 2 || plan.seed.is_multiple_of(4)
}

/// S9 and L1: in the end no policy write that is over stays open, and nothing that was tampered with is left.
async fn the_rest(world: &mut World, workload: &Workload) {
    for _ in 0..workload.read_settled_every.as_secs() / ROUND.as_secs() + ROUNDS_MORE {
        if world.unsettled().is_empty() || world.is_broken() {
            return;
        }
        world.advance(ROUND).await;
    }
    report(world, World::unsettled);
}

/// S5: a settled world is left alone. S11: it is not read too often either.
async fn quiet(world: &mut World, time: Duration) {
    let written =
        |world: &World| world.with(|data| (data.store.n_commits(), data.cloud.n_writes()));
    let n_reads = |world: &World| world.with(|data| data.oracle.n_reads());
    let (before, reads_before) = (written(world), n_reads(world));
    world.advance(time).await;
    let (after, reads) = (written(world), n_reads(world).saturating_sub(reads_before));
    if reads > READS_A_MINUTE_MAX * time.as_secs().div_ceil(60) {
        world.wrong(Invariant::S11, format!("{reads} reads of policies in {time:?}"));
    }
    if before != after {
        let what = format!(
            "{} commits and {} policy writes although nothing was to be done",
            after.0.saturating_sub(before.0),
            after.1.saturating_sub(before.1)
        );
        world.wrong(Invariant::S5, what);
    }
}

fn report(world: &World, look: impl Fn(&World) -> Vec<Violation>) {
    for violation in look(world) {
        world.wrong(violation.invariant, violation.what);
    }
}

#[expect(clippy::unwrap_used, reason = "without a runtime there is no simulation")]
fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap()
}

thread_local! {
    static PANIC: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// A panic in a task of the controller ends that task and nothing else: it is noted here, so that it is a violation.
fn note_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            PANIC.with(|panic| panic.borrow_mut().get_or_insert_with(|| info.to_string()).len());
            before(info);
        }));
    });
}
