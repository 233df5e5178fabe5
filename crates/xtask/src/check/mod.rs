//! `cargo xtask check`: the rules of the architecture that the compiler does not know.

mod commands;
mod directions;
mod discipline;
mod length;
mod lints;
mod lock;
mod planted;
mod reach;
mod words;

use std::io::Write;

use anyhow::Result;

use crate::timing::{Stopwatch, seconds};
use crate::workspace::Workspace;

/// How much to check.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Depth {
    /// Only what reads files and manifests.
    Fast,
    /// Also what compiles.
    Full,
}

/// One rule. Its `run` returns what breaks it; an error means that it could not look, which is a failure too.
struct Check {
    name: &'static str,
    depth: Depth,
    run: fn(&Workspace) -> Result<Report>,
}

/// What a check saw.
#[derive(Default)]
struct Report {
    /// What breaks the rule: empty means that it holds.
    findings: Vec<String>,
    /// What a person should know all the same.
    notes: Vec<String>,
}

impl From<Vec<String>> for Report {
    fn from(findings: Vec<String>) -> Self {
        Self { findings, notes: Vec::new() }
    }
}

/// Cheap ones first: a person who broke a rule learns it before anything compiles.
const CHECKS: &[Check] = &[
    Check { name: "crate directions", depth: Depth::Fast, run: directions::check },
    Check { name: "forbidden and wrapped crates", depth: Depth::Fast, run: lock::check },
    Check { name: "core reaches no runtime", depth: Depth::Fast, run: reach::check },
    Check { name: "who may call what", depth: Depth::Fast, run: discipline::check },
    Check { name: "nobody plants bugs", depth: Depth::Fast, run: planted::check },
    Check { name: "core's lints repeat the root's", depth: Depth::Fast, run: lints::check },
    Check { name: "lengths", depth: Depth::Fast, run: length::check },
    Check { name: "forbidden words", depth: Depth::Fast, run: words::check },
    Check { name: "formatting", depth: Depth::Fast, run: commands::formatting },
    Check { name: "licences, bans, sources", depth: Depth::Fast, run: commands::deny },
    Check {
        name: "core builds alone",
        depth: Depth::Full,
        run: |workspace| commands::builds_alone(workspace, "curfew-core"),
    },
    Check {
        name: "ports builds alone",
        depth: Depth::Full,
        run: |workspace| commands::builds_alone(workspace, "curfew-ports"),
    },
    Check {
        name: "intake builds alone",
        depth: Depth::Full,
        run: |workspace| commands::builds_alone(workspace, "curfew-intake"),
    },
    Check { name: "clippy", depth: Depth::Full, run: commands::clippy },
    Check { name: "clippy, bugs planted", depth: Depth::Full, run: commands::clippy_with_bugs },
];

/// Runs every check of the depth, one line each with the details under it; true if all hold.
pub(crate) fn run(workspace: &Workspace, depth: Depth) -> Result<bool> {
    let mut failed = 0_usize;
    for check in CHECKS.iter().filter(|check| depth == Depth::Full || check.depth == Depth::Fast) {
        print!("check {:<32} ", check.name);
        std::io::stdout().flush()?;
        let stopwatch = Stopwatch::start();
        let report = (check.run)(workspace)
            .unwrap_or_else(|error| vec![format!("could not look: {error:#}")].into());
        let verdict = if report.findings.is_empty() { "ok" } else { "FAILED" };
        println!("{verdict:<6} {}", seconds(stopwatch.elapsed()));
        failed += usize::from(!report.findings.is_empty());
        for line in report.findings.iter().chain(&report.notes) {
            println!("    {line}");
        }
    }
    if failed > 0 {
        println!("{failed} of the checks FAILED");
    }
    Ok(failed == 0)
}
