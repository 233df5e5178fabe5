//! The suites that are Python programs: independent verifiers and Google's own client library.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use super::Environment;
use super::summary::Summary;
use super::tools::Tools;
use crate::process;
use crate::workspace::Workspace;

/// Holds `requirements.txt` and the programs, `check_*.py`.
const FOLDER: &str = "tests/python";

/// Made anew by nobody: pip brings what is there up to the requirements.
const ENVIRONMENT: &str = "target/venv";

/// Needs Terraform, and npm for the provider's schema; where they are missing, the summary has it already.
const TERRAFORM_PROGRAM: &str = "check_terraform.py";

/// Need Prometheus; where it is missing, the summary has it already.
const PROMETHEUS_PROGRAMS: [&str; 2] = ["check_dashboards.py", "check_prometheus.py"];

/// Runs every `check_*.py` in an environment of its own and returns its interpreter. A missing Python is in the summary
/// already.
pub(super) fn run(
    workspace: &Workspace,
    tools: &Tools,
    environment: &Environment,
    summary: &mut Summary,
) -> Result<Option<PathBuf>> {
    let folder = workspace.root.join(FOLDER);
    if !tools.python || !folder.join("requirements.txt").is_file() {
        return Ok(None);
    }
    let interpreter = workspace.root.join(ENVIRONMENT).join("bin/python");
    if !summary.step("python environment", || prepare(workspace, &interpreter))? {
        return Ok(None);
    }
    for program in programs(&folder)? {
        let name =
            program.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        if !has_its_tools(&name, tools) {
            continue;
        }
        let mut python = Command::new(&interpreter);
        python
            .current_dir(&workspace.root)
            .arg(&program)
            .envs(environment.iter().map(|(name, value)| (name, value)));
        summary.step(&name, || process::succeeds(&mut python))?;
    }
    Ok(Some(interpreter))
}

/// Whether a program finds what it asks for beside Python.
fn has_its_tools(program: &str, tools: &Tools) -> bool {
    match program {
        TERRAFORM_PROGRAM => tools.terraform && tools.node,
        _ if PROMETHEUS_PROGRAMS.contains(&program) => tools.prometheus,
        _ => true,
    }
}

fn prepare(workspace: &Workspace, interpreter: &Path) -> Result<bool> {
    let mut create = Command::new("python3");
    create.current_dir(&workspace.root).args(["-m", "venv", ENVIRONMENT]);
    if !interpreter.is_file() && !process::succeeds(&mut create)? {
        return Ok(false);
    }
    let mut install = Command::new(interpreter);
    install.current_dir(&workspace.root).args([
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
    ]);
    process::succeeds(install.arg("--requirement").arg(Path::new(FOLDER).join("requirements.txt")))
}

/// The programs, in the order of their names.
fn programs(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut programs = Vec::new();
    for entry in folder.read_dir().with_context(|| format!("cannot list {}", folder.display()))? {
        let path = entry?.path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if name.starts_with("check_") && path.extension().is_some_and(|extension| extension == "py")
        {
            programs.push(path);
        }
    }
    programs.sort();
    anyhow::ensure!(
        !programs.is_empty(),
        "{} has requirements but no check_*.py",
        folder.display()
    );
    Ok(programs)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_checks_are_run_and_in_order() {
        let folder = std::env::temp_dir().join(format!("curfew-xtask-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        assert!(programs(&folder).is_err(), "requirements without a check are a mistake");
        for name in ["check_b.py", "helper.py", "check_a.py", "check_a.txt"] {
            std::fs::write(folder.join(name), "").unwrap();
        }
        let found = programs(&folder).unwrap();
        std::fs::remove_dir_all(&folder).unwrap();
        assert_eq!(found, [folder.join("check_a.py"), folder.join("check_b.py")]);
    }
}
