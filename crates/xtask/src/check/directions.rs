//! Which crate may depend on which: the table of the architecture.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result};
use serde_json::Value;

use super::Report;
use crate::process;
use crate::workspace::Workspace;

/// Each package and the packages of ours that it may depend on. Test helpers may come as dev-dependencies, which this does not limit.
const DIRECTIONS: &[(&str, &[&str])] = &[
    ("core", &[]),
    ("proto", &["core"]),
    ("ports", &["core"]),
    ("trust", &["ports", "proto", "core"]),
    ("controller", &["ports", "core"]),
    ("intake", &["ports", "proto", "trust", "core"]),
    ("firestore", &["ports", "proto", "core"]),
    ("firelite", &[]),
    ("gcp", &["ports", "core"]),
    ("notify", &["ports", "core"]),
    (
        "server",
        &[
            "core",
            "proto",
            "ports",
            "trust",
            "controller",
            "intake",
            "firestore",
            "firelite",
            "gcp",
            "notify",
        ],
    ),
    ("cloudsim", &[]),
    ("demo", &["server", "cloudsim"]),
    ("sim", &["controller", "ports", "core"]),
    ("model", &[]),
    ("hostile", &["trust", "proto", "ports", "core"]),
    ("tests", &["server", "firelite", "cloudsim", "demo", "sim"]),
    ("xtask", &[]),
];

/// The crates that may import `cel`: it is before its 1.0 and breaks often.
const CEL_USERS: &[&str] = &["core", "cloudsim", "sim", "tests"];

/// Who surely depends on whom.
const SURE_DEPENDENCY: (&str, &str) = ("curfew-server", "curfew-core");

/// Package to its dependencies, by their full names: a crate of others may be called what a directory of ours is.
type Graph = BTreeMap<String, Vec<Dependency>>;

struct Dependency {
    name: String,
    /// Used by tests, examples and benches only.
    dev: bool,
}

pub(super) fn check(workspace: &Workspace) -> Result<Report> {
    let metadata =
        process::cargo(&workspace.root, &["metadata", "--no-deps", "--format-version", "1"]);
    let graph = parse(&process::stdout_of(&mut { metadata })?)?;
    let files = workspace.text_files()?;
    let folders = files.iter().filter_map(|file| package_folder(&file.path)).collect();
    let findings = unseen(&graph, &folders).into_iter();
    Ok(findings
        .chain(wrong_directions(&graph))
        .chain(wrong_cel_users(&graph))
        .collect::<Vec<_>>()
        .into())
}

/// The folder of a package of the workspace, by its manifest: `core` of `crates/core/Cargo.toml`, `tests` of its own.
fn package_folder(path: &str) -> Option<&str> {
    let folder = path.strip_suffix("/Cargo.toml")?;
    let folder = folder.strip_prefix("crates/").unwrap_or(folder);
    (folder == "tests" || path.starts_with("crates/") && !folder.contains('/')).then_some(folder)
}

/// What must be seen before anything can be said to be right: every package that has a manifest, and one dependency
/// that is surely there.
fn unseen(graph: &Graph, folders: &BTreeSet<&str>) -> Vec<String> {
    let seen: BTreeSet<&str> = graph.keys().map(|package| short(package)).collect();
    let mut findings: Vec<String> = folders
        .difference(&seen)
        .map(|folder| format!("the package of {folder} is not seen: was everything looked at?"))
        .collect();
    if folders.is_empty() {
        findings.push("no manifest is seen: was anything looked at?".to_owned());
    }
    let (from, to) = SURE_DEPENDENCY;
    let is_seen = graph.get(from).is_some_and(|all| all.iter().any(|one| one.name == to));
    if !is_seen {
        findings.push(format!("{from} -> {to} is not seen: were dependencies read?"));
    }
    findings
}

fn parse(metadata: &str) -> Result<Graph> {
    let metadata: Value = serde_json::from_str(metadata).context("cargo metadata is no JSON")?;
    let packages = metadata["packages"].as_array().context("cargo metadata names no packages")?;
    packages.iter().map(|package| Ok((name(package)?, dependencies(package)?))).collect()
}

fn dependencies(package: &Value) -> Result<Vec<Dependency>> {
    let dependencies =
        package["dependencies"].as_array().context("a package without a list of dependencies")?;
    dependencies
        .iter()
        .map(|one| Ok(Dependency { name: name(one)?, dev: one["kind"] == "dev" }))
        .collect()
}

fn name(package: &Value) -> Result<String> {
    package["name"].as_str().map(str::to_owned).context("a package without a name")
}

/// The directory of a package of ours.
fn short(package: &str) -> &str {
    package.strip_prefix("curfew-").unwrap_or(package)
}

fn wrong_directions(graph: &Graph) -> Vec<String> {
    let allowed: BTreeMap<&str, BTreeSet<&str>> =
        DIRECTIONS.iter().map(|(package, to)| (*package, to.iter().copied().collect())).collect();
    let mut findings = Vec::new();
    for (package, dependencies) in graph {
        let Some(allowed) = allowed.get(short(package)) else {
            findings.push(format!("{package} has no row in the table of directions"));
            continue;
        };
        let ours = dependencies
            .iter()
            .filter(|dependency| graph.contains_key(&dependency.name) && !dependency.dev);
        let wrong = ours.filter(|dependency| !allowed.contains(short(&dependency.name)));
        findings.extend(wrong.map(|dependency| {
            format!("{package} -> {} is not an allowed direction", dependency.name)
        }));
    }
    findings
}

fn wrong_cel_users(graph: &Graph) -> Vec<String> {
    let users = graph
        .iter()
        .filter(|(_, dependencies)| dependencies.iter().any(|dependency| dependency.name == "cel"));
    let wrong = users.filter(|(package, _)| !CEL_USERS.contains(&short(package)));
    wrong.map(|(package, _)| format!("{package} depends on cel")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_direction_is_found() {
        let graph = graph(&[("core", &["ports"]), ("ports", &["core"])]);
        assert_eq!(
            wrong_directions(&graph),
            ["curfew-core -> curfew-ports is not an allowed direction"]
        );
    }

    #[test]
    fn intake_may_not_reach_the_controller_or_the_policy_client() {
        let graph = graph(&[
            ("intake", &["controller", "gcp", "trust"]),
            ("controller", &[]),
            ("gcp", &[]),
            ("trust", &[]),
        ]);
        let expected = [
            "curfew-intake -> curfew-controller is not an allowed direction",
            "curfew-intake -> curfew-gcp is not an allowed direction",
        ];
        assert_eq!(wrong_directions(&graph), expected);
    }

    #[test]
    fn packages_that_are_not_seen_are_found() {
        let here = graph(&[("server", &["core"]), ("core", &[]), ("tests", &[])]);
        let folders = BTreeSet::from(["server", "core", "tests"]);
        assert_eq!(unseen(&here, &folders), Vec::<String>::new());
        let more = BTreeSet::from(["server", "core", "tests", "extra"]);
        assert_eq!(
            unseen(&here, &more),
            ["the package of extra is not seen: was everything looked at?"]
        );
        assert_eq!(unseen(&here, &BTreeSet::new()).len(), 1, "no manifest");
        assert_eq!(unseen(&Graph::new(), &folders).len(), 4, "no package");
        let blind = graph(&[("server", &[]), ("core", &[]), ("tests", &[])]);
        assert_eq!(unseen(&blind, &folders).len(), 1, "no dependency");
        assert!(!unseen(&parse(r#"{"packages": []}"#).unwrap(), &folders).is_empty());
    }

    #[test]
    fn a_package_is_where_its_manifest_is() {
        for (path, folder) in [
            ("crates/core/Cargo.toml", Some("core")),
            ("tests/Cargo.toml", Some("tests")),
            ("crates/core/fuzz/Cargo.toml", None),
            ("fuzz/Cargo.toml", None),
            ("Cargo.toml", None),
            ("crates/core/src/lib.rs", None),
        ] {
            assert_eq!(package_folder(path), folder, "{path}");
        }
    }

    #[test]
    fn an_unknown_package_is_found() {
        assert_eq!(
            wrong_directions(&graph(&[("extra", &[])])),
            ["curfew-extra has no row in the table of directions"]
        );
    }

    #[test]
    fn the_simulator_may_come_as_a_dev_dependency_only() {
        let mut graph = graph(&[("controller", &["sim"]), ("sim", &["controller"])]);
        assert_eq!(
            wrong_directions(&graph),
            ["curfew-controller -> curfew-sim is not an allowed direction"]
        );
        graph.values_mut().flatten().for_each(|dependency| dependency.dev = true);
        assert_eq!(wrong_directions(&graph), Vec::<String>::new());
    }

    #[test]
    fn cel_is_for_its_few_users_even_in_tests() {
        let mut graph = graph(&[("core", &["cel"]), ("intake", &["cel"])]);
        graph.values_mut().flatten().for_each(|dependency| dependency.dev = true);
        assert_eq!(wrong_cel_users(&graph), ["curfew-intake depends on cel"]);
    }

    #[test]
    fn cargos_answer_is_understood() {
        let metadata = r#"{"packages": [
            {"name": "curfew-core", "dependencies": [{"name": "curfew-ports", "kind": null}, {"name": "chrono", "kind": "dev"}]},
            {"name": "curfew-ports", "dependencies": []}]}"#;
        let graph = parse(metadata).unwrap();
        assert_eq!(
            wrong_directions(&graph),
            ["curfew-core -> curfew-ports is not an allowed direction"]
        );
        assert!(parse("{}").is_err(), "an answer without packages is no empty graph");
    }

    #[test]
    fn a_crate_of_others_with_a_directorys_name_is_none_of_ours() {
        let graph = parse(
            r#"{"packages": [{"name": "curfew-firestore", "dependencies": [{"name": "firestore", "kind": null}]}]}"#,
        );
        assert_eq!(wrong_directions(&graph.unwrap()), Vec::<String>::new());
    }

    fn graph(edges: &[(&str, &[&str])]) -> Graph {
        let to = |names: &[&str]| {
            names.iter().map(|name| Dependency { name: full(name), dev: false }).collect::<Vec<_>>()
        };
        edges.iter().map(|(from, names)| (full(from), to(names))).collect()
    }

    fn full(name: &str) -> String {
        if name == "cel" { name.to_owned() } else { format!("curfew-{name}") }
    }
}
