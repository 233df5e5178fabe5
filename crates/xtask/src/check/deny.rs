//! Licences, bans, sources and advisories of the dependencies, by cargo-deny.

use anyhow::{Context, Result};

use super::Report;
use super::commands::judged;
use crate::process::{self, Captured};
use crate::workspace::Workspace;

/// What CI installs. Any version that is there already will do.
const PACKAGE: &str = "cargo-deny@0.20.2";

/// Where the advisories are.
const DATABASE: &str = "https://github.com/RustSec/advisory-db";

/// A crate that everything here reaches: a rule against it must be found to be broken.
const REACHED: &str = "serde";

/// What `deny.toml` says of bans, licences and sources; needs no network.
pub(super) fn rules(workspace: &Workspace) -> Result<Report> {
    if !is_here(answers, process::is_ci(), install)? {
        let suite = format!(
            "licences, bans, sources and advisories of the dependencies: cargo-deny is missing; install with `cargo install --locked {PACKAGE}`"
        );
        return Ok(Report { not_run: vec![suite], ..Report::default() });
    }
    let arguments = ["check", "bans", "licenses", "sources"];
    Ok(judged(&run(workspace, &arguments)?, "deny check bans licenses sources"))
}

/// Whether a ban that is surely broken is reported: a cargo-deny that looks at nothing would pass every rule.
pub(super) fn control(workspace: &Workspace) -> Result<Report> {
    if !answers() {
        return Ok(Report::default());
    }
    let folder = workspace.root.join("target/tmp");
    let config = folder.join("deny-control.toml");
    std::fs::create_dir_all(&folder)
        .and_then(|()| {
            std::fs::write(&config, format!("bans.deny = [{{ crate = \"{REACHED}\" }}]\n"))
        })
        .with_context(|| format!("cannot write {}", config.display()))?;
    let config = config.to_str().context("a path that is no text")?;
    Ok(control_verdict(&run(workspace, &["--config", config, "check", "bans"])?))
}

/// Known vulnerabilities, from the database as it is today. Where it cannot be fetched nothing is known, which is said
/// and is nobody's fault.
pub(super) fn advisories(workspace: &Workspace) -> Result<Report> {
    if !answers() {
        return Ok(Report::default());
    }
    let fetched = run(workspace, &["fetch", "db"])?;
    if !fetched.success {
        return Ok(out_of_reach(&fetched));
    }
    let arguments = ["check", "--disable-fetch", "advisories"];
    Ok(judged(&run(workspace, &arguments)?, "deny check advisories"))
}

fn run(workspace: &Workspace, arguments: &[&str]) -> Result<Captured> {
    let all = [&["deny", "--color", "never", "--log-level", "error"], arguments].concat();
    process::capture(&mut process::cargo(&workspace.root, &all))
}

fn answers() -> bool {
    process::answers("cargo", &["deny", "--version"])
}

/// Without optimisation and debugging information it is built in a third of the time, and is fast enough.
fn install() -> Result<()> {
    let mut cargo = std::process::Command::new("cargo");
    cargo.args(["install", "--quiet", "--locked", "--debug", PACKAGE]);
    cargo.envs([("CARGO_PROFILE_DEV_DEBUG", "false"), ("CARGO_PROFILE_DEV_STRIP", "true")]);
    process::stdout_of(&mut cargo).map(|_| ())
}

/// Whether it is there. In CI it must be: it is installed if need be, and failing to is an error.
fn is_here(
    answers: impl Fn() -> bool,
    ci: bool,
    install: impl FnOnce() -> Result<()>,
) -> Result<bool> {
    if answers() || !ci {
        return Ok(answers());
    }
    install().context("CI needs cargo-deny")?;
    anyhow::ensure!(answers(), "CI needs cargo-deny: it is installed and does not answer");
    Ok(true)
}

fn control_verdict(control: &Captured) -> Report {
    if !control.success && control.stderr.contains(REACHED) {
        return Report::default();
    }
    vec![format!("a ban of {REACHED} is not reported: cargo-deny looks at nothing")].into()
}

fn out_of_reach(fetched: &Captured) -> Report {
    let why =
        fetched.stderr.lines().find(|line| line.contains("fatal")).unwrap_or("no reason given");
    let suite = format!(
        "advisories of the dependencies: {DATABASE} cannot be fetched from here ({}); run `cargo deny check advisories` where it can",
        why.trim()
    );
    Report { out_of_reach: vec![suite], ..Report::default() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outside_ci_nothing_is_installed_and_the_absence_is_told() {
        let never = || panic!("nothing is installed on a person's machine");
        assert!(!is_here(|| false, false, never).unwrap());
        assert!(is_here(|| true, false, never).unwrap());
        assert!(is_here(|| true, true, never).unwrap());
    }

    #[test]
    fn in_ci_it_is_installed_and_its_absence_is_an_error() {
        let installed = std::cell::Cell::new(false);
        let install = || {
            installed.set(true);
            Ok(())
        };
        assert!(is_here(|| installed.get(), true, install).unwrap());
        assert!(is_here(|| false, true, || Ok(())).is_err());
        assert!(is_here(|| false, true, || anyhow::bail!("no network")).is_err());
    }

    #[test]
    fn a_ban_that_is_not_reported_is_found() {
        let said = |success, stderr: &str| Captured {
            success,
            stdout: String::new(),
            stderr: stderr.to_owned(),
        };
        let report = |captured| control_verdict(&captured).findings;
        assert_eq!(
            report(said(false, "error[banned]: crate 'serde = 1.0.0'")),
            Vec::<String>::new()
        );
        assert_eq!(report(said(true, "")).len(), 1);
        assert_eq!(report(said(false, "no such file")).len(), 1);
    }

    #[test]
    fn a_database_out_of_reach_is_told_and_breaks_no_rule() {
        let stderr = "[ERROR] failed\nfatal: Could not resolve host\n".to_owned();
        let report = out_of_reach(&Captured { success: false, stdout: String::new(), stderr });
        assert_eq!(report.findings, Vec::<String>::new());
        assert!(report.out_of_reach.iter().all(|line| line.contains("Could not resolve host")));
        assert_eq!(report.out_of_reach.len(), 1);
    }
}
