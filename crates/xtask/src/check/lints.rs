//! A crate's `clippy.toml` replaces the root's instead of adding to it, so `core`'s must repeat it.

use anyhow::{Context, Result};
use toml::{Table, Value};

use super::Report;
use crate::workspace::Workspace;

/// What `core` bans beyond the root's list: their order differs from run to run, and a decision must not.
const UNORDERED: &[&str] = &["std::collections::HashMap", "std::collections::HashSet"];

pub(super) fn check(workspace: &Workspace) -> Result<Report> {
    Ok(missing(&workspace.read("clippy.toml")?, &workspace.read("crates/core/clippy.toml")?)?
        .into())
}

fn missing(root: &str, core: &str) -> Result<Vec<String>> {
    let root: Table = root.parse().context("clippy.toml is no TOML")?;
    let core: Table = core.parse().context("crates/core/clippy.toml is no TOML")?;
    let repeated = root
        .iter()
        .filter(|(key, value)| !core.get(*key).is_some_and(|ours| includes(ours, value)));
    let repeated = repeated
        .map(|(key, _)| format!("crates/core/clippy.toml does not repeat `{key}` of the root's"));
    let banned: Vec<&str> = core.get("disallowed-types").into_iter().flat_map(paths).collect();
    let unbanned = UNORDERED.iter().filter(|path| !banned.contains(path));
    let unbanned = unbanned.map(|path| format!("crates/core/clippy.toml does not ban {path}"));
    Ok(repeated.chain(unbanned).collect())
}

/// Equal, or for lists: no entry missing.
fn includes(ours: &Value, theirs: &Value) -> bool {
    match (ours.as_array(), theirs.as_array()) {
        (Some(ours), Some(theirs)) => theirs.iter().all(|entry| ours.contains(entry)),
        _ => ours == theirs,
    }
}

fn paths(list: &Value) -> Vec<&str> {
    let entries = list.as_array().into_iter().flatten();
    entries.filter_map(|entry| entry.as_str().or_else(|| entry.get("path")?.as_str())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const CORE: &str = r#"
        too-many-lines-threshold = 70
        disallowed-methods = [{ path = "a" }, { path = "b" }]
        disallowed-types = [{ path = "std::collections::HashMap" }, "std::collections::HashSet"]
    "#;

    #[test]
    fn a_longer_list_includes_the_roots() {
        let root = "too-many-lines-threshold = 70\ndisallowed-methods = [{ path = \"a\" }]";
        assert_eq!(missing(root, CORE).unwrap(), Vec::<String>::new());
    }

    #[test]
    fn a_method_missing_from_cores_list_is_found() {
        let root = "disallowed-methods = [{ path = \"c\" }]";
        assert_eq!(
            missing(root, CORE).unwrap(),
            ["crates/core/clippy.toml does not repeat `disallowed-methods` of the root's"]
        );
    }

    #[test]
    fn an_unordered_collection_that_is_not_banned_is_found() {
        let core = r#"disallowed-types = ["std::collections::HashMap"]"#;
        assert_eq!(
            missing("", core).unwrap(),
            ["crates/core/clippy.toml does not ban std::collections::HashSet"]
        );
    }
}
