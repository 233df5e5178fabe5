//! Many runs, on every core, and what came of them.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use curfew_sim::{Detail, Invariant, Plan, Step, Trials, Workload, run, shrink};

/// At how many occurrences of each side effect a single fault strikes.
const OCCURRENCES: u32 = 5;

/// How many seeds each single fault is tried with: delays differ by them, and the moments at which people act.
const SEEDS_PER_SINGLE: u64 = 2;

/// How many failures are shortened and printed; the others are counted.
const FAILURES_SHOWN: usize = 3;

/// The end of a trace that is printed with a failure; a replay prints all of it.
const LINES_SHOWN: usize = 60;

/// One run to be made.
#[derive(Clone)]
struct Job {
    workload: &'static Workload,
    plan: Plan,
    detail: Detail,
}

/// Runs of one kind.
pub(crate) struct Campaign {
    name: String,
    n_jobs: usize,
    job: Box<dyn Fn(usize) -> Job + Sync>,
}

/// Each workload without a fault, until all is over and then for a day.
pub(crate) fn days(workloads: &[&'static Workload]) -> Campaign {
    let detail = Detail { long: true, ..Detail::default() };
    let jobs = workloads.iter().map(|workload| Job { workload, plan: Plan::calm(1), detail });
    Campaign::of("days", jobs.collect())
}

/// Every single fault on every workload.
pub(crate) fn singles(workloads: &[&'static Workload]) -> Campaign {
    let jobs = workloads.iter().flat_map(|workload| {
        (0..SEEDS_PER_SINGLE).flat_map(move |seed| {
            let steps = steps_of(workload, seed, OCCURRENCES).into_iter();
            steps.map(move |step| job(workload, Plan::of(seed, [step])))
        })
    });
    Campaign::of("single faults", jobs.collect())
}

/// Every pair of faults, each at the first occurrence of its side effect, on the workloads that are for that.
pub(crate) fn pairs(workloads: &[&'static Workload]) -> Campaign {
    let jobs =
        workloads.iter().filter(|workload| workload.trials >= Trials::Pairs).flat_map(|workload| {
            let steps = steps_of(workload, 0, 1);
            let plans = curfew_sim::pairs(0, &steps).collect::<Vec<_>>().into_iter();
            // Each with a seed of its own, so that moments and delays differ as well.
            (0..).zip(plans).map(|(seed, plan)| job(workload, Plan { seed, ..plan }))
        });
    Campaign::of("pairs of faults", jobs.collect())
}

/// Random plans.
pub(crate) fn seeds(workloads: Vec<&'static Workload>, first: u64, n: u64) -> Campaign {
    let job = move |at: usize| {
        let seed = first.saturating_add(at as u64);
        job(workloads[at % workloads.len()], Plan::random(seed))
    };
    Campaign {
        name: format!("random seeds from {first} on"),
        n_jobs: usize::try_from(n).unwrap_or(usize::MAX),
        job: Box::new(job),
    }
}

fn job(workload: &'static Workload, plan: Plan) -> Job {
    Job { workload, plan, detail: Detail::default() }
}

fn steps_of(workload: &Workload, seed: u64, occurrences: u32) -> Vec<Step> {
    let calm = run(workload, &Plan::calm(seed), Detail::default());
    curfew_sim::singles(&calm.seen, occurrences)
}

/// A run that broke something.
struct Failure {
    job: Job,
    invariant: Invariant,
}

impl Campaign {
    fn of(name: &str, jobs: Vec<Job>) -> Self {
        let n_jobs = jobs.len();
        Self { name: name.to_owned(), n_jobs, job: Box::new(move |at| jobs[at].clone()) }
    }

    /// Makes every run and says what came of them; true if nothing was wrong.
    pub(crate) fn run(&self) -> bool {
        let started = now();
        let failures = self.failures();
        let took = started.elapsed().as_secs_f64();
        #[expect(clippy::cast_precision_loss, reason = "a rate for people")]
        let rate = self.n_jobs as f64 / took.max(f64::EPSILON);
        println!(
            "{:<24} {:>7} runs {:>4} failures {took:>7.1} s {rate:>7.0} runs/s on {} threads",
            self.name,
            self.n_jobs,
            failures.len(),
            n_threads()
        );
        let mut kinds: BTreeMap<(Invariant, &str), usize> = BTreeMap::new();
        for failure in &failures {
            *kinds.entry((failure.invariant, failure.job.workload.name)).or_default() += 1;
        }
        for ((invariant, workload), n) in kinds {
            println!("    {invariant} {n} times on {workload}");
        }
        failures.iter().take(FAILURES_SHOWN).for_each(show);
        failures.is_empty()
    }

    fn failures(&self) -> Vec<Failure> {
        let next = AtomicUsize::new(0);
        let failures = Mutex::new(Vec::new());
        std::thread::scope(|scope| {
            for _ in 0..n_threads() {
                scope.spawn(|| {
                    while let Some(at) = Some(next.fetch_add(1, Ordering::Relaxed))
                        && at < self.n_jobs
                    {
                        let job = (self.job)(at);
                        let run = run(job.workload, &job.plan, job.detail);
                        if let Some(violation) = run.violations.first() {
                            let failure = Failure { job, invariant: violation.invariant };
                            failures
                                .lock()
                                .unwrap_or_else(PoisonError::into_inner)
                                .push((at, failure));
                        }
                    }
                });
            }
        });
        let mut failures = failures.into_inner().unwrap_or_else(PoisonError::into_inner);
        failures.sort_by_key(|(at, _)| *at);
        failures.into_iter().map(|(_, failure)| failure).collect()
    }
}

/// Prints the shortest plan that fails in the same way, the end of its trace, and the command that replays it.
fn show(failure: &Failure) {
    let Failure { job: Job { workload, plan, detail }, invariant } = failure;
    let shortest = shrink(workload, plan, *invariant, *detail);
    let run = run(workload, &shortest, Detail { trace: true, ..*detail });
    println!("\n{invariant} is broken on `{}` by `{plan}`, and by as little as:", workload.name);
    let left_out = run.lines.len().saturating_sub(LINES_SHOWN);
    if left_out > 0 {
        println!("    … {left_out} lines before");
    }
    for line in run.lines.iter().skip(left_out) {
        println!("    {line}");
    }
    for violation in &run.violations {
        println!("    VIOLATION {violation}");
    }
    let long = if detail.long { " --long" } else { "" };
    println!("replay: cargo xtask sim --workload {} --replay '{shortest}'{long}\n", workload.name);
}

pub(crate) fn n_threads() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}

#[expect(clippy::disallowed_methods, reason = "how long a campaign takes is real time")]
fn now() -> Instant {
    Instant::now()
}
