//! Checks, test entry points and the bill of materials: `cargo xtask check`, `cargo xtask test`, `cargo xtask sbom`.

#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "telling a person on the terminal is this tool's job"
)]

mod check;
mod process;
mod sbom;
mod sim;
mod source;
mod test;
mod timing;
mod workspace;

use std::process::ExitCode;

use anyhow::Result;
use clap::Parser;

use crate::check::Depth;
use crate::sbom::Sbom;
use crate::test::Scope;
use crate::workspace::Workspace;

/// The repository's own checks and its test command.
#[derive(Parser)]
enum Arguments {
    /// Check what the compiler does not: crate directions, lengths, words, who may call what.
    Check {
        /// Leave out the checks that compile.
        #[arg(long)]
        fast: bool,
    },
    /// Run every check and every test, and say what could not run.
    Test {
        /// Only the fast checks and the unit tests of the crates.
        #[arg(long)]
        quick: bool,
    },
    /// Run the controller in simulated worlds; `-- --help` says how.
    Sim {
        /// What the simulator is to do; everything that CI runs if nothing is said.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
    /// Write the bill of materials of a shipped program and the licences that go with it.
    Sbom(Sbom),
}

fn main() -> Result<ExitCode> {
    let workspace = Workspace::locate()?;
    let held = match Arguments::parse() {
        Arguments::Check { fast } => {
            let outcome = check::run(&workspace, if fast { Depth::Fast } else { Depth::Full })?;
            outcome.held && (outcome.not_run.is_empty() || !process::is_ci())
        }
        Arguments::Test { quick } => {
            test::run(&workspace, if quick { Scope::Quick } else { Scope::Everything })?
        }
        Arguments::Sim { arguments } => {
            let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
            sim::run(&workspace, &arguments)?
        }
        Arguments::Sbom(sbom) => {
            sbom.write(&workspace)?;
            true
        }
    };
    Ok(if held { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
