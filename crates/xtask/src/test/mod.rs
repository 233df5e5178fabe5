//! `cargo xtask test`: every check and every test, with what they need, and an honest account of what did not run.

mod background;
mod clients;
mod emulator;
mod python;
mod summary;
mod tools;

use std::io::ErrorKind;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result};

use self::emulator::Emulator;
use self::summary::Summary;
use self::tools::Tools;
use crate::check::{self, Depth, Outcome};
use crate::process;
use crate::sim;
use crate::workspace::Workspace;

/// How much to run.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scope {
    /// The fast checks and the crates' unit tests; nothing from outside.
    Quick,
    /// All there is.
    Everything,
}

/// The package of the end-to-end tests, which need more than cargo.
const END_TO_END: &str = "curfew-tests";

/// Runs and reports; true if nothing failed and, in CI, nothing was left out.
pub(crate) fn run(workspace: &Workspace, scope: Scope) -> Result<bool> {
    let ci = process::is_ci();
    let mut summary = Summary::default();
    match scope {
        Scope::Quick => quick(workspace, &mut summary)?,
        Scope::Everything => everything(workspace, ci, &mut summary)?,
    }
    summary.print(ci);
    Ok(summary.is_good(ci))
}

fn quick(workspace: &Workspace, summary: &mut Summary) -> Result<()> {
    checks(workspace, Depth::Fast, summary)?;
    let runner = Runner::find(workspace, vec![], &["--workspace", "--exclude", END_TO_END]);
    if summary.step("build", || process::succeeds(&mut runner.build()))? {
        summary.step("tests", || process::succeeds(&mut runner.tests()))?;
    }
    println!(
        "quick: left out the checks that compile, the end-to-end tests, the doc tests and all that needs other programs"
    );
    Ok(())
}

fn everything(workspace: &Workspace, ci: bool, summary: &mut Summary) -> Result<()> {
    let tools = summary.time("tools", || Tools::find(ci));
    summary.not_run.extend(tools.missing.iter().cloned());
    checks(workspace, Depth::Full, summary)?;
    // Held to the end of this function: dropping it ends the emulator, whatever fails in between.
    let emulator = summary.try_time("emulator", || Emulator::start(workspace, &tools));
    let mut environment = tools.environment();
    environment.push(("CURFEW_TEST_BINARIES", binaries()?.display().to_string()));
    environment.push(cloud_traffic(workspace)?);
    let node = clients::packages(workspace, &tools, summary)?;
    environment
        .extend(node.iter().map(|node| (AXE_VARIABLE, node.join(AXE).display().to_string())));
    environment.extend(emulator.iter().map(Emulator::variable));
    let runner = Runner::find(workspace, environment, &["--workspace"]);
    let built = summary.step("build", || {
        Ok(process::succeeds(&mut runner.binaries())? && process::succeeds(&mut runner.build())?)
    })?;
    if built {
        summary.step("doc tests", || runner.doc_tests())?;
        summary.step("tests", || process::succeeds(&mut runner.tests()))?;
        summary.step("simulation", || sim::run(workspace, &[]))?;
        summary.step("planted bugs", || sim::hunt(workspace))?;
        let python = python::run(workspace, &tools, &runner.environment, summary)?;
        clients::run(workspace, &binaries()?, python.as_deref(), node.as_deref(), summary)?;
    }
    Ok(())
}

fn checks(workspace: &Workspace, depth: Depth, summary: &mut Summary) -> Result<()> {
    let mut outcome = Outcome::default();
    summary.step("checks", || {
        outcome = check::run(workspace, depth)?;
        Ok(outcome.held)
    })?;
    summary.not_run.extend(outcome.not_run);
    summary.out_of_reach.extend(outcome.out_of_reach);
    Ok(())
}

/// Where the browser tests find the judge of accessibility, and where npm puts it.
const AXE_VARIABLE: &str = "CURFEW_TEST_AXE";
const AXE: &str = "node_modules/axe-core/axe.min.js";

/// Variables for the test processes.
type Environment = Vec<(&'static str, String)>;

/// Where the tests find the built programs: beside this one.
fn binaries() -> Result<PathBuf> {
    let this = std::env::current_exe().context("cannot tell where this program is")?;
    Ok(this.parent().context("this program is in no folder")?.to_owned())
}

/// Where every simulated cloud of the run writes what it was asked and what it answered, for `check_google_schema.py`.
fn cloud_traffic(workspace: &Workspace) -> Result<(&'static str, String)> {
    let file = workspace.root.join("target/cloud-traffic.jsonl");
    match std::fs::remove_file(&file) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            Err(error).with_context(|| format!("cannot remove {}", file.display()))
        }
        _ => Ok(("CURFEW_CLOUD_TRAFFIC", file.display().to_string())),
    }
}

/// The test runner: nextest where it is installed, cargo's own elsewhere.
struct Runner<'a> {
    workspace: &'a Workspace,
    nextest: bool,
    environment: Environment,
    selection: &'a [&'a str],
}

impl<'a> Runner<'a> {
    fn find(workspace: &'a Workspace, environment: Environment, selection: &'a [&'a str]) -> Self {
        Self {
            workspace,
            nextest: process::answers("cargo", &["nextest", "--version"]),
            environment,
            selection,
        }
    }

    fn build(&self) -> Command {
        let program: &[&str] = if self.nextest {
            &["nextest", "run", "--no-run", "--cargo-quiet"]
        } else {
            &["test", "--quiet", "--no-run"]
        };
        self.command(program)
    }

    fn tests(&self) -> Command {
        // Only what is slow or fails gets a line, and every failure is shown once more at the end.
        let nextest = &[
            "nextest",
            "run",
            "--cargo-quiet",
            "--no-fail-fast",
            "--status-level",
            "slow",
            "--final-status-level",
            "fail",
        ];
        let plain = &["test", "--quiet", "--no-fail-fast", "--all-targets"];
        self.command(if self.nextest { nextest } else { plain })
    }

    /// The programs that end-to-end tests start; a test build alone makes only those of its own package.
    fn binaries(&self) -> Command {
        self.command(&["build", "--quiet", "--bins"])
    }

    /// Rustdoc prints an empty result for every crate without any, so it is heard only when it fails.
    fn doc_tests(&self) -> Result<bool> {
        let captured = process::capture(&mut self.command(&["test", "--quiet", "--doc"]))?;
        if !captured.success {
            println!("{}{}", captured.stdout, captured.stderr);
        }
        Ok(captured.success)
    }

    fn command(&self, program: &[&str]) -> Command {
        let mut command = process::cargo(&self.workspace.root, program);
        command.arg("--locked").args(self.selection);
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        command
    }
}
