//! What the lock file may hold: it names every dependency on every platform, so nothing hides behind a target or a feature.

use anyhow::{Context, Result};
use toml::{Table, Value};

use super::Report;
use crate::workspace::Workspace;

/// Crates that nothing may bring in.
const FORBIDDEN: &[&str] = &["openssl-sys", "native-tls", "cel-interpreter", "serde_yml"];

/// Crates that may come only through one other.
const WRAPPED: &[(&str, &str)] = &[("backoff", "firestore")];

pub(super) fn check(workspace: &Workspace) -> Result<Report> {
    Ok(wrong_edges(&edges(&workspace.read("Cargo.lock")?)?).into())
}

struct Edge {
    from: String,
    to: String,
}

fn edges(lock: &str) -> Result<Vec<Edge>> {
    let lock: Table = lock.parse().context("Cargo.lock is no TOML")?;
    let packages =
        lock.get("package").and_then(Value::as_array).context("Cargo.lock names no package")?;
    let mut edges = Vec::new();
    for package in packages {
        let from = package
            .get("name")
            .and_then(Value::as_str)
            .context("Cargo.lock holds a package without a name")?;
        let dependencies =
            package.get("dependencies").and_then(Value::as_array).into_iter().flatten();
        for dependency in dependencies.filter_map(Value::as_str) {
            // `name`, or `name version` where there are several of the name.
            let to = dependency.split(' ').next().unwrap_or(dependency);
            edges.push(Edge { from: from.to_owned(), to: to.to_owned() });
        }
    }
    anyhow::ensure!(!edges.is_empty(), "Cargo.lock holds no dependency");
    Ok(edges)
}

fn wrong_edges(edges: &[Edge]) -> Vec<String> {
    let wrong = edges.iter().filter(|edge| {
        FORBIDDEN.contains(&edge.to.as_str())
            || WRAPPED.iter().any(|(wrapped, by)| edge.to == *wrapped && edge.from != *by)
    });
    wrong.map(|edge| format!("{} depends on {}", edge.from, edge.to)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forbidden_and_unwrapped_crates_are_found() {
        let lock = r#"
            [[package]]
            name = "firestore"
            dependencies = ["backoff", "serde"]
            [[package]]
            name = "curfew-gcp"
            dependencies = ["backoff", "native-tls 0.2.0", "serde"]
        "#;
        let expected = ["curfew-gcp depends on backoff", "curfew-gcp depends on native-tls"];
        assert_eq!(wrong_edges(&edges(lock).unwrap()), expected);
    }

    #[test]
    fn a_lock_without_packages_is_an_error() {
        assert!(edges("version = 4").is_err());
        assert!(edges("[[package]]\nname = \"alone\"").is_err());
    }
}
