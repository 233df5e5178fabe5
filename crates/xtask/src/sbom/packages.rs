//! The packages that a program is made of, by cargo's own word.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::process;
use crate::workspace::Workspace;

/// A package's name and version. Cargo lets two of the same name differ in the version only.
pub(super) type Key = (String, String);

/// All packages, and the one that the program is of.
pub(super) struct Packages {
    pub(super) root: Key,
    pub(super) all: BTreeMap<Key, Package>,
}

/// One package.
#[derive(Default)]
pub(super) struct Package {
    /// What it depends on, as far as that is in the program.
    pub(super) needs: BTreeSet<Key>,
    /// Whether its code is in the program: what only macros are made of runs in the compiler.
    pub(super) is_linked: bool,
    pub(super) description: Option<String>,
    /// As SPDX has it.
    pub(super) licence: String,
    pub(super) repository: Option<String>,
    pub(super) authors: Vec<String>,
    /// Where its sources are on this machine.
    pub(super) folder: PathBuf,
    /// SHA-256 of what the registry gave; none for the workspace's own.
    pub(super) checksum: Option<String>,
}

/// What a build of `package` alone is made of.
pub(super) fn of(workspace: &Workspace, package: &str, target: Option<&str>) -> Result<Packages> {
    let mut packages = parsed(&tree(workspace, package, target, "normal")?)?;
    for key in parsed(&tree(workspace, package, target, "normal,no-proc-macro")?)?.all.keys() {
        packages.all.get_mut(key).context("a package of the smaller tree alone")?.is_linked = true;
    }
    let metadata = process::stdout_of(&mut process::cargo(
        &workspace.root,
        &["metadata", "--locked", "--format-version", "1"],
    ))?;
    describe(&mut packages, &serde_json::from_str(&metadata)?)?;
    add_checksums(&mut packages, &workspace.read("Cargo.lock")?)?;
    Ok(packages)
}

/// One line a package: its depth, a tab, name and version.
fn tree(workspace: &Workspace, package: &str, target: Option<&str>, edges: &str) -> Result<String> {
    let mut cargo = process::cargo(
        &workspace.root,
        &["tree", "--locked", "--prefix", "depth", "--format", "\t{p}", "--package", package],
    );
    cargo.args(["--edges", edges]);
    cargo.args(target.iter().flat_map(|target| ["--target", target]));
    process::stdout_of(&mut cargo)
}

fn parsed(listing: &str) -> Result<Packages> {
    let mut all: BTreeMap<Key, Package> = BTreeMap::new();
    let mut above: Vec<Key> = Vec::new();
    for line in listing.lines().filter(|line| !line.is_empty()) {
        let (depth, name) = line.split_once('\t').context("a line of cargo tree without a tab")?;
        let depth: usize = depth.parse().with_context(|| format!("no depth in {line:?}"))?;
        let mut words = name.split(' ');
        let (Some(name), Some(version)) =
            (words.next(), words.next().and_then(|word| word.strip_prefix('v')))
        else {
            bail!("no name and version in {line:?}");
        };
        let key = (name.to_owned(), version.to_owned());
        all.entry(key.clone()).or_default();
        above.truncate(depth);
        if let Some(parent) = above.last() {
            all.entry(parent.clone()).or_default().needs.insert(key.clone());
        }
        above.push(key);
    }
    let root = above.into_iter().next().context("cargo tree lists nothing")?;
    Ok(Packages { root, all })
}

fn describe(packages: &mut Packages, metadata: &Value) -> Result<()> {
    let text = |of: &Value, name: &str| of[name].as_str().map(str::to_owned);
    let mut described = BTreeSet::new();
    for found in metadata["packages"].as_array().context("no packages in cargo's metadata")? {
        let key = (
            text(found, "name").context("a package without a name")?,
            text(found, "version").context("a package without a version")?,
        );
        let Some(package) = packages.all.get_mut(&key) else { continue };
        package.description = text(found, "description").map(|text| text.trim().to_owned());
        package.licence =
            spdx(&text(found, "license").with_context(|| format!("{} names no licence", key.0))?);
        package.repository = text(found, "repository");
        let authors = found["authors"].as_array().into_iter().flatten();
        package.authors = authors.filter_map(|author| author.as_str().map(str::to_owned)).collect();
        let mut folder = PathBuf::from(text(found, "manifest_path").unwrap_or_default());
        anyhow::ensure!(folder.pop(), "{} has its manifest in no folder", key.0);
        package.folder = folder;
        described.insert(key);
    }
    match packages.all.keys().find(|key| !described.contains(*key)) {
        Some((name, version)) => bail!("cargo's metadata does not describe {name} {version}"),
        None => Ok(()),
    }
}

/// Before SPDX expressions, crates wrote a slash for "or".
fn spdx(licence: &str) -> String {
    licence.split('/').map(str::trim).collect::<Vec<_>>().join(" OR ")
}

fn add_checksums(packages: &mut Packages, lock: &str) -> Result<()> {
    let lock: toml::Table = lock.parse().context("Cargo.lock")?;
    for found in lock["package"].as_array().context("no packages in Cargo.lock")? {
        let text = |name: &str| found.get(name).and_then(toml::Value::as_str).map(str::to_owned);
        let (Some(name), Some(version)) = (text("name"), text("version")) else { continue };
        if let Some(package) = packages.all.get_mut(&(name, version)) {
            package.checksum = text("checksum");
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tree_becomes_packages_with_what_they_need() {
        let listing = "0\ta v1.0.0 (/somewhere/a)\n1\tb v2.0.0\n2\tc v3.0.0+x (proc-macro)\n1\tc v3.0.0+x (*)\n\n";
        let packages = parsed(listing).unwrap();
        assert_eq!(packages.root, key("a", "1.0.0"));
        let needs = |name, version| &packages.all[&key(name, version)].needs;
        assert_eq!(needs("a", "1.0.0"), &BTreeSet::from([key("b", "2.0.0"), key("c", "3.0.0+x")]));
        assert_eq!(needs("b", "2.0.0"), &BTreeSet::from([key("c", "3.0.0+x")]));
        assert!(needs("c", "3.0.0+x").is_empty());
    }

    #[test]
    fn a_listing_that_is_none_is_an_error() {
        for listing in ["", "a v1.0.0", "x\ta v1.0.0", "0\ta", "0\ta 1.0.0"] {
            assert!(parsed(listing).is_err(), "{listing:?}");
        }
    }

    #[test]
    fn a_package_that_nothing_describes_is_an_error() {
        let metadata = serde_json::json!({"packages": []});
        let error = describe(&mut parsed("0\ta v1.0.0").unwrap(), &metadata).unwrap_err();
        assert_eq!(error.to_string(), "cargo's metadata does not describe a 1.0.0");
    }

    #[test]
    fn an_old_slash_is_an_or() {
        assert_eq!(spdx("Apache-2.0 / MIT"), "Apache-2.0 OR MIT");
        assert_eq!(spdx("MIT AND (A OR B)"), "MIT AND (A OR B)");
    }

    fn key(name: &str, version: &str) -> Key {
        (name.to_owned(), version.to_owned())
    }
}
