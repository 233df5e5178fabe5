//! The planted bugs: each must be found, by the invariant that is named for it.

use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::{Result, ensure};
use curfew_sim::{Bug, Catch};

/// Plants the bug of that name in this thread.
pub(crate) fn plant(name: Option<&str>) -> Result<()> {
    let bug = name.and_then(Bug::named);
    ensure!(bug.is_some() || name.is_none(), "there is no such bug to plant");
    curfew_core::planted::plant(bug.map(|bug| bug.name));
    Ok(())
}

/// Hunts every bug on every core; true if none survives, and nothing is found where none is planted.
pub(crate) fn all() -> bool {
    let next = AtomicUsize::new(0);
    let caught = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..crate::campaign::n_threads() {
            scope.spawn(|| {
                while let Some(bug) = Bug::ALL.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let catch = bug.hunt().filter(|_| bug.is_quiet_unless_planted());
                    caught.lock().unwrap_or_else(PoisonError::into_inner).push((bug.name, catch));
                }
            });
        }
    });
    let mut caught = caught.into_inner().unwrap_or_else(PoisonError::into_inner);
    caught.sort_by_key(|(name, _)| *name);
    for (name, catch) in &caught {
        if let Some(bug) = Bug::named(name) {
            print(bug, catch.as_ref());
        }
    }
    let n_survivors = caught.iter().filter(|(_, catch)| catch.is_none()).count();
    println!("planted bugs: {} of {} found", caught.len() - n_survivors, Bug::ALL.len());
    n_survivors == 0 && caught.len() == Bug::ALL.len()
}

fn print(bug: &Bug, catch: Option<&Catch>) {
    let Bug { name, about, caught_by, workload } = bug;
    match catch {
        Some(catch) => {
            let Catch { n_runs, plan, .. } = catch;
            let alone = if catch.breaks_only(*caught_by) { "alone" } else { "" };
            println!(
                "{name:<28} {caught_by:<3} {alone:<5} after {n_runs:>4} runs, {workload} '{plan}'"
            );
        }
        None => println!("{name:<28} {caught_by:<3} SURVIVES on {workload}: {about}"),
    }
}
