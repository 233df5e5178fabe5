//! What `core` must not reach: it decides, so it has no runtime, no client, no randomness and no stored form of its own.

use std::collections::BTreeSet;

use anyhow::Result;

use super::Report;
use crate::process;
use crate::workspace::Workspace;

/// Out of `core`'s reach altogether.
const UNREACHABLE: &[&str] = &["tokio", "reqwest", "rand"];

/// Nothing that `core` itself names. (`cel` reaches them, and through its features so does `chrono`.)
const UNNAMEABLE: &[&str] = &["serde", "serde_core", "serde_json"];

/// Proof that the tree was looked at: `core` does reach these.
const REACHED: &[&str] = &["chrono", "cel"];

pub(super) fn check(workspace: &Workspace) -> Result<Report> {
    let core = tree(workspace, &["-p", "curfew-core"])?;
    let named = tree(workspace, &["-p", "curfew-core", "--depth", "1"])?;
    let everything = tree(workspace, &["--workspace"])?;
    Ok(wrong_reach(&core, &named, &everything).into())
}

/// The names of the packages that a selection reaches by normal dependencies.
fn tree(workspace: &Workspace, selection: &[&str]) -> Result<BTreeSet<String>> {
    let mut cargo =
        process::cargo(&workspace.root, &["tree", "--edges", "normal", "--prefix", "none"]);
    let listing = process::stdout_of(cargo.args(selection))?;
    Ok(listing.lines().filter_map(|line| line.split(' ').next()).map(str::to_owned).collect())
}

fn wrong_reach(
    core: &BTreeSet<String>,
    named: &BTreeSet<String>,
    everything: &BTreeSet<String>,
) -> Vec<String> {
    let mut findings = Vec::new();
    for name in REACHED.iter().filter(|name| !core.contains(**name) || !named.contains(**name)) {
        findings.push(format!("core does not even reach {name}: the tree was not read"));
    }
    // A name that is nowhere in the workspace would pass by being misspelt.
    for name in UNREACHABLE.iter().chain(UNNAMEABLE).filter(|name| !everything.contains(**name)) {
        findings.push(format!("no crate reaches {name}: is the name right?"));
    }
    for name in UNREACHABLE.iter().filter(|name| core.contains(**name)) {
        findings.push(format!("core reaches {name}"));
    }
    for name in UNNAMEABLE.iter().filter(|name| named.contains(**name)) {
        findings.push(format!("core depends on {name} itself"));
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_runtime_and_a_stored_form_in_core_are_found() {
        let core = names(&["chrono", "cel", "tokio", "serde", "serde_core"]);
        let named = names(&["chrono", "cel", "tokio", "serde"]);
        let expected = ["core reaches tokio", "core depends on serde itself"];
        assert_eq!(wrong_reach(&core, &named, &everything()), expected);
    }

    #[test]
    fn what_only_cel_brings_is_accepted() {
        let core = names(&["chrono", "cel", "serde", "serde_core"]);
        assert_eq!(
            wrong_reach(&core, &names(&["chrono", "cel"]), &everything()),
            Vec::<String>::new()
        );
    }

    #[test]
    fn an_unread_tree_and_a_misspelt_name_do_not_pass() {
        let findings = wrong_reach(&names(&[]), &names(&[]), &names(&[]));
        assert_eq!(findings.len(), REACHED.len() + UNREACHABLE.len() + UNNAMEABLE.len());
    }

    fn everything() -> BTreeSet<String> {
        names(&["chrono", "cel", "tokio", "reqwest", "rand", "serde", "serde_core", "serde_json"])
    }

    fn names(names: &[&str]) -> BTreeSet<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }
}
