//! `curfew-sim`: campaigns of simulated runs, and replays. `cargo xtask sim` builds and starts it.

#![allow(clippy::print_stdout, reason = "telling a person on the terminal is this program's job")]

mod campaign;
#[cfg(feature = "planted-bugs")]
mod hunt;

/// A run allocates much and keeps little.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

use std::process::ExitCode;

use anyhow::{Context, Result, ensure};
use clap::Parser;
use curfew_sim::{Detail, Plan, Trials, Workload, run};

use campaign::{pairs, seeds, singles};

/// How many random seeds are run when nobody asks for more.
const SEEDS: u64 = 20_000;

/// Runs the controller in simulated worlds that go wrong as planned, and says what broke.
///
/// Without options: every single fault on every workload, every pair on some, each workload for a day, and 20,000
/// random seeds.
#[derive(Parser)]
struct Arguments {
    /// Only this workload.
    #[arg(long)]
    workload: Option<String>,
    /// Only random plans: so many seeds.
    #[arg(long)]
    seeds: Option<u64>,
    /// The first of these seeds.
    #[arg(long, default_value_t = 0)]
    first: u64,
    /// Only this plan, as a failure has printed it, with its trace.
    #[arg(long, requires = "workload")]
    replay: Option<String>,
    /// With a replay: wait until all is over, and then for a day.
    #[arg(long)]
    long: bool,
    /// List the workloads.
    #[arg(long)]
    list: bool,
    /// Only the planted bugs, each of which must be found.
    #[cfg(feature = "planted-bugs")]
    #[arg(long)]
    bugs: bool,
    /// With a replay: plant this bug.
    #[cfg(feature = "planted-bugs")]
    #[arg(long, requires = "replay")]
    bug: Option<String>,
}

fn main() -> Result<ExitCode> {
    let arguments = Arguments::parse();
    if arguments.list {
        for workload in Workload::ALL {
            println!("{:<18} {}", workload.name, workload.about);
        }
        return Ok(ExitCode::SUCCESS);
    }
    #[cfg(feature = "planted-bugs")]
    if arguments.bugs {
        return Ok(exit_code(hunt::all()));
    }
    let workloads = chosen(arguments.workload.as_deref())?;
    if let Some(plan) = &arguments.replay {
        let plan: Plan = plan.parse().context("cannot read the plan")?;
        let detail = Detail { trace: true, long: arguments.long };
        #[cfg(feature = "planted-bugs")]
        hunt::plant(arguments.bug.as_deref())?;
        return Ok(exit_code(workloads.iter().all(|workload| replay(workload, &plan, detail))));
    }
    let campaigns = match arguments.seeds {
        Some(n) => vec![seeds(with_seeds(workloads), arguments.first, n)],
        None => vec![
            campaign::days(&workloads),
            singles(&workloads),
            pairs(&workloads),
            seeds(with_seeds(workloads), arguments.first, SEEDS),
        ],
    };
    let mut holds = true;
    for campaign in campaigns {
        holds &= campaign.run();
    }
    Ok(exit_code(holds))
}

/// Those that random plans are tried on; one that was asked for by name is.
fn with_seeds(workloads: Vec<&'static Workload>) -> Vec<&'static Workload> {
    if let [one] = workloads.as_slice() {
        return vec![one];
    }
    workloads.into_iter().filter(|workload| workload.trials >= Trials::Seeds).collect()
}

fn exit_code(holds: bool) -> ExitCode {
    if holds { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn chosen(name: Option<&str>) -> Result<Vec<&'static Workload>> {
    let Some(name) = name else { return Ok(Workload::ALL.iter().collect()) };
    let found = Workload::named(name);
    ensure!(found.is_some(), "there is no workload {name:?}; `--list` shows all");
    Ok(found.into_iter().collect())
}

/// Prints everything that happens; true if nothing is wrong.
fn replay(workload: &Workload, plan: &Plan, detail: Detail) -> bool {
    let run = run(workload, plan, detail);
    for line in &run.lines {
        println!("{line}");
    }
    println!("trace hash {:016x}", run.hash);
    for violation in &run.violations {
        println!("VIOLATION {violation}");
    }
    run.violations.is_empty()
}
