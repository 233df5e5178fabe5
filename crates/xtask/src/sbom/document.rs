//! The bill of materials as `CycloneDX` 1.6 (<https://cyclonedx.org/docs/1.6/json/>). The same sources give the same bytes:
//! it bears no time and no number of its own.

use anyhow::{Context, Result};
use regex::Regex;
use serde_json::{Map, Value, json};

use super::packages::{Key, Package, Packages};

/// C code that a package brings along: a bill of Rust packages alone would not tell that it is there.
struct Bundled {
    package: &'static str,
    name: &'static str,
    /// Its licence where it is not the package's.
    licence: Option<&'static str>,
    /// The file of the package that tells the version, and how.
    file: &'static str,
    version: &'static str,
    /// A package URL without its version.
    purl: &'static str,
}

const BUNDLED: &[Bundled] = &[
    Bundled {
        package: "libsqlite3-sys",
        name: "sqlite",
        licence: Some("blessing"),
        file: "sqlite3/sqlite3.h",
        version: r#"#define SQLITE_VERSION\s+"([^"]+)""#,
        purl: "pkg:generic/sqlite",
    },
    Bundled {
        package: "aws-lc-sys",
        name: "aws-lc",
        licence: None,
        file: "aws-lc/include/openssl/base.h",
        version: r#"#define AWSLC_VERSION_NUMBER_STRING "([^"]+)""#,
        purl: "pkg:github/aws/aws-lc",
    },
];

/// The document of a program.
pub(super) fn document(packages: &Packages, program: &str) -> Result<Value> {
    let root = packages.all.get(&packages.root).context("the program's own package is missing")?;
    let components = packages.all.iter().filter(|(key, _)| **key != packages.root);
    let components = components.map(|(key, package)| component(key, package));
    let dependencies = packages.all.iter().map(|(key, package)| {
        json!({"ref": reference(key), "dependsOn": package.needs.iter().map(reference).collect::<Vec<_>>()})
    });
    Ok(json!({
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {"component": {
            "type": "application",
            "bom-ref": reference(&packages.root),
            "name": program,
            "version": packages.root.1,
            "licenses": [{"expression": root.licence}],
        }},
        "components": components.collect::<Result<Vec<_>>>()?,
        "dependencies": dependencies.collect::<Vec<_>>(),
    }))
}

fn component(key: &Key, package: &Package) -> Result<Value> {
    let (name, version) = key;
    let mut component = Map::from_iter([
        ("type".to_owned(), json!("library")),
        ("bom-ref".to_owned(), json!(reference(key))),
        ("name".to_owned(), json!(name)),
        ("version".to_owned(), json!(version)),
        ("scope".to_owned(), json!(if package.is_linked { "required" } else { "excluded" })),
        ("licenses".to_owned(), json!([{"expression": package.licence}])),
    ]);
    let mut add = |field: &str, value: Value| component.insert(field.to_owned(), value);
    if let Some(description) = &package.description {
        add("description", json!(description));
    }
    // Only what came from the registry is to be found by this name there.
    if let Some(checksum) = &package.checksum {
        add("hashes", json!([{"alg": "SHA-256", "content": checksum}]));
        add("purl", json!(format!("pkg:cargo/{name}@{}", version.replace('+', "%2B"))));
    }
    if let Some(repository) = &package.repository {
        add("externalReferences", json!([{"type": "vcs", "url": repository}]));
    }
    let bundled = BUNDLED.iter().filter(|bundled| bundled.package == name);
    let bundled = bundled.map(|bundled| bundled.component(package));
    let bundled = bundled.collect::<Result<Vec<_>>>()?;
    if !bundled.is_empty() {
        add("components", json!(bundled));
    }
    Ok(component.into())
}

impl Bundled {
    fn component(&self, package: &Package) -> Result<Value> {
        let path = package.folder.join(self.file);
        let text = std::fs::read_to_string(&path)
            .with_context(|| format!("cannot read {}", path.display()))?;
        let version = Regex::new(self.version)?.captures(&text);
        let version = version.with_context(|| format!("no version in {}", path.display()))?;
        Ok(json!({
            "type": "library",
            "name": self.name,
            "version": version[1],
            "scope": "required",
            "licenses": [{"expression": self.licence.unwrap_or(&package.licence)}],
            "purl": format!("{}@{}", self.purl, &version[1]),
        }))
    }
}

fn reference((name, version): &Key) -> String {
    format!("{name}@{version}")
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use super::*;

    #[test]
    fn a_document_names_each_package_once_and_what_it_needs() {
        let (root, other) =
            (("a".to_owned(), "1.0.0".to_owned()), ("b".to_owned(), "2.0.0+z".to_owned()));
        let package = |licence: &str| Package { licence: licence.to_owned(), ..Package::default() };
        let mut needing = package("Apache-2.0");
        needing.needs = BTreeSet::from([other.clone()]);
        let needed = Package { checksum: Some("ab".to_owned()), is_linked: true, ..package("MIT") };
        let all = BTreeMap::from([(root.clone(), needing), (other, needed)]);
        let document = document(&Packages { root, all }, "prog").unwrap();
        assert_eq!(document["metadata"]["component"]["name"], "prog");
        let component = json!({
            "type": "library", "bom-ref": "b@2.0.0+z", "name": "b", "version": "2.0.0+z", "scope": "required",
            "licenses": [{"expression": "MIT"}], "hashes": [{"alg": "SHA-256", "content": "ab"}],
            "purl": "pkg:cargo/b@2.0.0%2Bz",
        });
        assert_eq!(document["components"], json!([component]));
        assert_eq!(
            document["dependencies"],
            json!([{"ref": "a@1.0.0", "dependsOn": ["b@2.0.0+z"]}, {"ref": "b@2.0.0+z", "dependsOn": []}])
        );
    }

    #[test]
    fn bundled_code_without_a_version_is_an_error() {
        let package = Package { folder: "/nowhere".into(), ..Package::default() };
        let missing = BUNDLED[0].component(&package).unwrap_err();
        assert!(missing.to_string().starts_with("cannot read "), "{missing}");
    }
}
