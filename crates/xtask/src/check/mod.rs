//! `cargo xtask check`: the rules of the architecture that the compiler does not know.

mod commands;
mod deny;
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
    /// What could not be looked at, with how to change that. In CI nothing may be.
    not_run: Vec<String>,
    /// What cannot be looked at from here, whoever wants to.
    out_of_reach: Vec<String>,
}

/// What all checks together saw.
#[derive(Default)]
pub(crate) struct Outcome {
    /// Whether every rule that was looked at holds.
    pub(crate) held: bool,
    /// See [`Report`].
    pub(crate) not_run: Vec<String>,
    /// See [`Report`].
    pub(crate) out_of_reach: Vec<String>,
}

impl From<Vec<String>> for Report {
    fn from(findings: Vec<String>) -> Self {
        Self { findings, ..Self::default() }
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
    Check { name: "licences, bans, sources", depth: Depth::Fast, run: deny::rules },
    Check { name: "a broken ban is found", depth: Depth::Full, run: deny::control },
    Check { name: "advisories", depth: Depth::Full, run: deny::advisories },
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
    Check { name: "fuzz targets build", depth: Depth::Full, run: commands::fuzz_targets_build },
    Check { name: "clippy", depth: Depth::Full, run: commands::clippy },
    Check { name: "clippy, bugs planted", depth: Depth::Full, run: commands::clippy_with_bugs },
];

/// Runs every check of the depth, one line each with the details under it.
pub(crate) fn run(workspace: &Workspace, depth: Depth) -> Result<Outcome> {
    let mut outcome = Outcome::default();
    let mut failed = 0_usize;
    for check in CHECKS.iter().filter(|check| depth == Depth::Full || check.depth == Depth::Fast) {
        print!("check {:<32} ", check.name);
        std::io::stdout().flush()?;
        let stopwatch = Stopwatch::start();
        let report = (check.run)(workspace)
            .unwrap_or_else(|error| vec![format!("could not look: {error:#}")].into());
        println!("{:<7} {}", report.verdict(), seconds(stopwatch.elapsed()));
        failed += usize::from(!report.findings.is_empty());
        report.lines().for_each(|line| println!("    {line}"));
        outcome.not_run.extend(report.not_run);
        outcome.out_of_reach.extend(report.out_of_reach);
    }
    if failed > 0 {
        println!("{failed} of the checks FAILED");
    }
    outcome.held = failed == 0;
    Ok(outcome)
}

impl Report {
    fn verdict(&self) -> &'static str {
        if !self.findings.is_empty() {
            "FAILED"
        } else if self.not_run.is_empty() && self.out_of_reach.is_empty() {
            "ok"
        } else {
            "NOT RUN"
        }
    }

    fn lines(&self) -> impl Iterator<Item = &String> {
        self.findings.iter().chain(&self.notes).chain(&self.not_run).chain(&self.out_of_reach)
    }
}
