//! Bugs are planted for the simulator's own tests: nothing else may ask for them.

use anyhow::{Context, Result};
use serde_json::Value;

use super::Report;
use crate::process;
use crate::workspace::Workspace;

/// The feature that makes bugs plantable.
const FEATURE: &str = "planted-bugs";

/// Who has it, and passes it on.
const HOLDERS: &[&str] = &["curfew-core", "curfew-controller", "curfew-sim"];

pub(super) fn check(workspace: &Workspace) -> Result<Report> {
    let metadata =
        process::cargo(&workspace.root, &["metadata", "--no-deps", "--format-version", "1"]);
    Ok(findings(&process::stdout_of(&mut { metadata })?)?.into())
}

fn findings(metadata: &str) -> Result<Vec<String>> {
    let metadata: Value = serde_json::from_str(metadata).context("cargo metadata is no JSON")?;
    let packages = metadata["packages"].as_array().context("cargo metadata names no packages")?;
    let mut findings = Vec::new();
    let mut holders = 0_usize;
    for package in packages {
        let name = package["name"].as_str().context("a package without a name")?;
        let may_hold = HOLDERS.contains(&name);
        for (feature, enables) in package["features"].as_object().into_iter().flatten() {
            let is_named = feature == FEATURE;
            holders += usize::from(is_named && may_hold);
            if is_named && !may_hold || !is_named && mentions(enables) {
                findings.push(format!("{name}: its feature {feature} makes bugs plantable"));
            }
        }
        for dependency in package["dependencies"].as_array().into_iter().flatten() {
            if mentions(&dependency["features"]) {
                findings.push(format!("{name} depends on {} with {FEATURE}", dependency["name"]));
            }
        }
    }
    if holders != HOLDERS.len() {
        findings.push(format!("{holders} packages have {FEATURE}: was everything looked at?"));
    }
    Ok(findings)
}

fn mentions(features: &Value) -> bool {
    let mut names = features.as_array().into_iter().flatten().filter_map(Value::as_str);
    names.any(|name| name.ends_with(FEATURE))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packages(more: &str) -> String {
        let holder = |name: &str, enables: &str| {
            format!(
                r#"{{"name":"{name}","features":{{"{FEATURE}":[{enables}]}},"dependencies":[]}}"#
            )
        };
        let controller = holder("curfew-controller", r#""curfew-core/planted-bugs""#);
        let holders = [holder("curfew-core", ""), controller, holder("curfew-sim", "")].join(",");
        format!(r#"{{"packages":[{holders}{more}]}}"#)
    }

    #[test]
    fn the_holders_alone_are_fine() {
        assert_eq!(findings(&packages("")).unwrap(), Vec::<String>::new());
    }

    #[test]
    fn a_dependency_a_default_and_another_holder_are_found() {
        let depends = r#",{"name":"a","features":{},"dependencies":[{"name":"curfew-core","features":["planted-bugs"]}]}"#;
        let default = r#",{"name":"b","features":{"default":["curfew-core/planted-bugs"]},"dependencies":[]}"#;
        let holds = r#",{"name":"c","features":{"planted-bugs":[]},"dependencies":[]}"#;
        for more in [depends, default, holds] {
            assert_eq!(findings(&packages(more)).unwrap().len(), 1, "{more}");
        }
    }

    #[test]
    fn packages_that_were_not_read_do_not_pass() {
        assert_eq!(findings(r#"{"packages":[]}"#).unwrap().len(), 1);
        assert!(findings("{}").is_err());
    }
}
