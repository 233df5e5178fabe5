//! `cargo xtask sim`: the simulator, optimised, with whatever is asked of it.

use anyhow::Result;

use crate::process;
use crate::workspace::Workspace;

/// What only a simulator with bugs to plant understands.
const WITH_BUGS: &[&str] = &["--bugs", "--bug"];

/// Builds the simulator and runs it with these arguments; true if nothing was wrong.
pub(crate) fn run(workspace: &Workspace, arguments: &[&str]) -> Result<bool> {
    process::succeeds(process::cargo(&workspace.root, &command(arguments)).args(arguments))
}

/// Runs the tests that plant bugs, optimised: each must be found by the invariant that is named for it.
pub(crate) fn hunt(workspace: &Workspace) -> Result<bool> {
    let tests = ["test", "--quiet", "--locked", "--profile", "sim", "-p", "curfew-sim"];
    let mut command = process::cargo(&workspace.root, &tests);
    process::succeeds(command.args(["--features", "planted-bugs", "--test", "sim", "bugs::"]))
}

fn command(arguments: &[&str]) -> Vec<&'static str> {
    let mut command = vec!["run", "--quiet", "--locked", "--profile", "sim", "-p", "curfew-sim"];
    if arguments.iter().any(|argument| WITH_BUGS.contains(argument)) {
        command.extend(["--features", "planted-bugs"]);
    }
    command.push("--");
    command
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bugs_can_be_planted_only_where_they_are_asked_for() {
        let plants = |arguments: &[&str]| command(arguments).contains(&"planted-bugs");
        assert!(plants(&["--bugs"]) && plants(&["--workload", "single", "--bug", "no-etag"]));
        assert!(!plants(&[]) && !plants(&["--seeds", "7"]));
    }
}
