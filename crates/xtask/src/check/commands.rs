//! The checks that other programs do.

use anyhow::Result;

use super::Report;
use crate::process::{self, Captured};
use crate::workspace::Workspace;

/// Enough of a failing program's words to see its first errors, without flooding a log.
const LINES_SHOWN_MAX: usize = 120;

pub(super) fn formatting(workspace: &Workspace) -> Result<Report> {
    passes(workspace, &["fmt", "--all", "--", "--check", "--files-with-diff", "--color", "never"])
}

pub(super) fn clippy(workspace: &Workspace) -> Result<Report> {
    passes(
        workspace,
        &["clippy", "--quiet", "--workspace", "--all-targets", "--locked", "--", "-D", "warnings"],
    )
}

/// The simulator with bugs to plant, which no other build compiles.
pub(super) fn clippy_with_bugs(workspace: &Workspace) -> Result<Report> {
    let planted = ["-p", "curfew-sim", "--features", "planted-bugs", "--all-targets"];
    let rest = ["--quiet", "--locked", "--", "-D", "warnings"];
    passes(workspace, &[&["clippy"], &planted[..], &rest].concat())
}

/// Compiles one package by itself: a build of the whole workspace lends it the features that its neighbours ask for.
pub(super) fn builds_alone(workspace: &Workspace, package: &str) -> Result<Report> {
    passes(workspace, &["check", "--quiet", "--color", "never", "--locked", "--package", package])
}

/// The fuzz targets, which are a workspace of their own: by the compiler of everything else, as their fuzzer needs no
/// other until it is linked. Their dependencies are shared with the other builds.
pub(super) fn fuzz_targets_build(workspace: &Workspace) -> Result<Report> {
    let target = workspace.root.join("target");
    let target = target.to_string_lossy();
    let where_to = ["--manifest-path", "fuzz/Cargo.toml", "--target-dir", &target];
    passes(
        workspace,
        &[&["check", "--quiet", "--color", "never", "--bins"], &where_to[..]].concat(),
    )
}

fn passes(workspace: &Workspace, arguments: &[&str]) -> Result<Report> {
    let captured = process::capture(&mut process::cargo(&workspace.root, arguments))?;
    Ok(judged(&captured, &arguments.join(" ")))
}

/// A program that fails is a finding, in its own words.
pub(super) fn judged(captured: &Captured, arguments: &str) -> Report {
    if captured.success { Report::default() } else { said(captured, arguments).into() }
}

/// The beginning of what a failing program said, never nothing.
fn said(captured: &Captured, arguments: &str) -> Vec<String> {
    let all = captured
        .stderr
        .lines()
        .chain(captured.stdout.lines())
        .filter(|line| !line.trim().is_empty());
    let mut lines = vec![format!("`cargo {arguments}` failed:")];
    lines.extend(all.clone().take(LINES_SHOWN_MAX).map(str::to_owned));
    let left_out = all.count().saturating_sub(LINES_SHOWN_MAX);
    if left_out > 0 {
        lines.push(format!("… and {left_out} more lines"));
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failing_program_is_a_finding_even_if_it_says_nothing() {
        let captured = Captured { success: false, stdout: String::new(), stderr: String::new() };
        assert_eq!(said(&captured, "fmt"), ["`cargo fmt` failed:"]);
    }

    #[test]
    fn a_long_answer_is_cut_and_says_so() {
        let captured = Captured {
            success: false,
            stdout: "x\n".repeat(LINES_SHOWN_MAX),
            stderr: "first\n".to_owned(),
        };
        let lines = said(&captured, "fmt");
        assert_eq!(lines.get(1).unwrap(), "first");
        assert_eq!(lines.last().unwrap(), "… and 1 more lines");
    }

    #[test]
    fn a_command_that_fails_here_fails_the_check() {
        let workspace = Workspace::locate().unwrap();
        assert!(passes(&workspace, &["--version"]).unwrap().findings.is_empty());
        assert!(!passes(&workspace, &["no-such-subcommand"]).unwrap().findings.is_empty());
    }
}
