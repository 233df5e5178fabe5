//! Running other programs.

use std::ffi::OsStr;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result};

/// What a program said and whether it succeeded.
pub(crate) struct Captured {
    pub(crate) success: bool,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// `cargo` in the workspace's root.
pub(crate) fn cargo(root: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new("cargo");
    command.current_dir(root).args(arguments);
    command
}

/// Runs a program quietly. An error means that it could not be started; a failing program is a value.
pub(crate) fn capture(command: &mut Command) -> Result<Captured> {
    let output = command
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("cannot start {}", name(command)))?;
    Ok(Captured {
        success: output.status.success(),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    })
}

/// Runs a program that must succeed and returns its standard output.
pub(crate) fn stdout_of(command: &mut Command) -> Result<String> {
    let captured = capture(command)?;
    anyhow::ensure!(captured.success, "{} failed: {}", name(command), captured.stderr.trim());
    Ok(captured.stdout)
}

/// Runs a program that talks to the terminal itself; true if it succeeded.
pub(crate) fn succeeds(command: &mut Command) -> Result<bool> {
    let status = command
        .stdin(Stdio::null())
        .status()
        .with_context(|| format!("cannot start {}", name(command)))?;
    Ok(status.success())
}

/// Whether a program is installed and answers. (On some systems an installer's stand-in bears the name, so looking for the file is not enough.)
pub(crate) fn answers(program: impl AsRef<OsStr>, arguments: &[&str]) -> bool {
    capture(Command::new(program).args(arguments)).is_ok_and(|captured| captured.success)
}

/// Whether this is a run of CI, which installs what is missing and lets nothing be left out.
pub(crate) fn is_ci() -> bool {
    std::env::var("CI").is_ok_and(|value| value == "true")
}

fn name(command: &Command) -> String {
    let arguments = command.get_args().map(|argument| argument.to_string_lossy());
    std::iter::once(command.get_program().to_string_lossy())
        .chain(arguments)
        .collect::<Vec<_>>()
        .join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_program_does_not_answer_and_is_no_success() {
        assert!(!answers("no-such-program-anywhere", &[]));
        assert!(capture(&mut Command::new("no-such-program-anywhere")).is_err());
    }

    #[test]
    fn a_failing_program_is_a_value_and_its_message_is_kept() {
        let captured = capture(Command::new("cargo").arg("no-such-subcommand")).unwrap();
        assert!(!captured.success);
        assert!(captured.stderr.contains("no-such-subcommand"));
        assert!(answers("cargo", &["--version"]));
    }
}
