//! The programs from outside that some suites need: looked for, installed in CI where Debian has them, and named where they are missing.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use super::Environment;
use crate::process;

/// What was found.
pub(super) struct Tools {
    /// Both halves of Google's emulator, or nothing.
    pub(super) emulator_jar: Option<PathBuf>,
    pub(super) python: bool,
    /// Suites that cannot run, each with how to change that.
    pub(super) missing: Vec<String>,
}

/// A program, how to ask whether it works, and the Debian packages that bring it.
struct Program {
    name: &'static str,
    question: &'static [&'static str],
    packages: &'static [&'static str],
}

const JAVA: Program =
    Program { name: "java", question: &["-version"], packages: &["default-jre-headless"] };

/// Debian splits what `python3 -m venv` needs from the interpreter.
const PYTHON: Program = Program {
    name: "python3",
    question: &["-c", "import ensurepip, venv"],
    packages: &["python3", "python3-venv"],
};

/// The suites that run against Google's own emulator.
const EMULATOR_SUITE: &str = "everything on Google's Firestore emulator";

/// The suites that drive the system with Python programs.
const PYTHON_SUITE: &str = "Python clients and verifiers";

/// Where the Google Cloud CLI keeps the emulator, under its root.
const EMULATOR_IN_SDK: &str = "platform/cloud-firestore-emulator/cloud-firestore-emulator.jar";

impl Tools {
    pub(super) fn find(ci: bool) -> Self {
        let mut missing = Vec::new();
        let mut note =
            |suite: &str, error: anyhow::Error| missing.push(format!("{suite}: {error:#}"));
        let java = JAVA.find(ci).map_err(|error| note(EMULATOR_SUITE, error)).is_ok();
        let jar = emulator_jar().map_err(|error| note(EMULATOR_SUITE, error)).ok();
        let python = PYTHON.find(ci).map_err(|error| note(PYTHON_SUITE, error)).is_ok();
        Self { emulator_jar: jar.filter(|_| java), python, missing }
    }

    /// For tests that start an emulator of their own, to kill it.
    pub(super) fn environment(&self) -> Environment {
        let jar = self.emulator_jar.as_ref();
        jar.map(|jar| ("CURFEW_FIRESTORE_EMULATOR_JAR", jar.display().to_string()))
            .into_iter()
            .collect()
    }
}

impl Program {
    fn find(&self, install: bool) -> Result<()> {
        if self.works() {
            return Ok(());
        }
        if install && is_root() {
            apt_install(self.packages)?;
        }
        let packages = self.packages.join(" ");
        anyhow::ensure!(
            self.works(),
            "{} is missing or incomplete; install with `apt-get install {packages}`",
            self.name
        );
        Ok(())
    }

    fn works(&self) -> bool {
        process::answers(self.name, self.question)
    }
}

/// `FIRESTORE_EMULATOR_JAR`, else the one of the Google Cloud CLI.
fn emulator_jar() -> Result<PathBuf> {
    if let Some(jar) = std::env::var_os("FIRESTORE_EMULATOR_JAR") {
        return existing(Path::new(&jar)).context("FIRESTORE_EMULATOR_JAR");
    }
    let mut gcloud = Command::new("gcloud");
    let root = process::stdout_of(gcloud.args(["info", "--format=value(installation.sdk_root)"]));
    let root = root.context("the Google Cloud CLI is missing; install it, then `gcloud components install cloud-firestore-emulator`")?;
    existing(&Path::new(root.trim()).join(EMULATOR_IN_SDK))
        .context("install with `gcloud components install cloud-firestore-emulator`")
}

fn existing(file: &Path) -> Result<PathBuf> {
    anyhow::ensure!(file.is_file(), "there is no {}", file.display());
    Ok(file.to_owned())
}

fn is_root() -> bool {
    process::stdout_of(Command::new("id").arg("-u")).is_ok_and(|id| id.trim() == "0")
}

fn apt_install(packages: &[&str]) -> Result<()> {
    println!("installing {}", packages.join(" "));
    process::stdout_of(&mut apt(&["update"]))?;
    process::stdout_of(apt(&["install", "--yes", "--no-install-recommends"]).args(packages))?;
    Ok(())
}

fn apt(arguments: &[&str]) -> Command {
    let mut command = Command::new("apt-get");
    command.arg("--quiet").args(arguments).env("DEBIAN_FRONTEND", "noninteractive");
    command
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_program_says_how_to_install_it_and_outside_ci_nothing_is_installed() {
        let program = Program {
            name: "no-such-program-anywhere",
            question: &[],
            packages: &["no-such-package"],
        };
        let error = program.find(false).unwrap_err().to_string();
        assert!(error.contains("no-such-program-anywhere is missing"), "{error}");
        assert!(error.contains("apt-get install no-such-package"), "{error}");
    }

    #[test]
    fn a_program_that_answers_needs_nothing() {
        let cargo = Program { name: "cargo", question: &["--version"], packages: &[] };
        assert!(cargo.find(false).is_ok());
    }

    #[test]
    fn a_jar_that_is_not_there_is_an_error_with_its_path() {
        assert!(
            existing(Path::new("no/such.jar")).unwrap_err().to_string().contains("no/such.jar")
        );
    }

    #[test]
    fn tests_learn_of_the_jar_only_where_it_can_run() {
        let tools = Tools { emulator_jar: None, python: false, missing: Vec::new() };
        assert!(tools.environment().is_empty());
    }
}
