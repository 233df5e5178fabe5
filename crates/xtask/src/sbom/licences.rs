//! The licences that go with a program: what most of them ask for is that their text goes with every copy.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use anyhow::{Context, Result};

use super::packages::{Key, Package, Packages};

/// How files that hold a licence, or what a licence asks to be kept, are named.
const NAMES: &[&str] = &["licen", "copying", "notice", "copyright", "unlicense"];

/// Nobody's licence is longer than this; what is, is something else.
const BYTES_MAX: u64 = 256 * 1024;

const RULE: &str =
    "--------------------------------------------------------------------------------";

/// All packages whose code is in the program, then each text once, under the packages that it is of.
pub(super) fn text(packages: &Packages, program: &str) -> Result<String> {
    let foreign =
        packages.all.iter().filter(|(_, package)| package.is_linked && package.checksum.is_some());
    let foreign: Vec<(&Key, &Package)> = foreign.collect();
    let mut texts: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut out = format!("{program} contains the following packages.\n\n");
    for ((name, version), package) in foreign {
        let found = files(&package.folder)?;
        let missing = if found.is_empty() { missing(package) } else { String::new() };
        writeln!(out, "{name} {version}: {}{missing}", package.licence)?;
        for text in found {
            texts.entry(text).or_default().push(format!("{name} {version}"));
        }
    }
    for (text, names) in texts {
        write!(out, "\n{RULE}\n{}\n{RULE}\n\n{text}\n", names.join(", "))?;
    }
    Ok(out)
}

/// What is said where a package ships no text.
fn missing(package: &Package) -> String {
    let mut words = " (the package has no licence file".to_owned();
    for word in package.repository.iter().chain(&package.authors) {
        words.push_str("; ");
        words.push_str(word);
    }
    words + ")"
}

/// The texts of a package's licence files, trimmed, in the order of their names.
fn files(folder: &Path) -> Result<Vec<String>> {
    let unreadable = || format!("cannot read {}", folder.display());
    let mut paths = Vec::new();
    for entry in folder.read_dir().with_context(unreadable)? {
        let entry = entry.with_context(unreadable)?;
        let name = entry.file_name().to_string_lossy().to_lowercase();
        let metadata = entry.metadata().with_context(unreadable)?;
        let is_source = Path::new(&name).extension().is_some_and(|extension| extension == "rs");
        if metadata.is_file()
            && metadata.len() <= BYTES_MAX
            && !is_source
            && NAMES.iter().any(|start| name.starts_with(start))
        {
            paths.push(entry.path());
        }
    }
    paths.sort();
    let read = |path: &std::path::PathBuf| {
        let bytes =
            std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
        Ok(String::from_utf8_lossy(&bytes).replace("\r\n", "\n").trim().to_owned())
    };
    let texts: Result<Vec<String>> = paths.iter().map(read).collect();
    Ok(texts?.into_iter().filter(|text| !text.is_empty()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn licence_files_are_found_by_their_names() {
        let folder = std::env::temp_dir().join(format!("curfew-licences-{}", std::process::id()));
        std::fs::create_dir_all(folder.join("licenses")).unwrap();
        for (name, text) in [
            ("LICENSE-MIT", "mit\r\n"),
            ("COPYING", " copying "),
            ("license.rs", "code"),
            ("README", "no"),
            ("NOTICE", "  "),
        ] {
            std::fs::write(folder.join(name), text).unwrap();
        }
        let found = files(&folder).unwrap();
        std::fs::remove_dir_all(&folder).unwrap();
        assert_eq!(found, ["copying", "mit"]);
        assert!(files(&folder).is_err());
    }

    #[test]
    fn a_package_without_a_text_says_where_it_is_from() {
        let package = Package {
            repository: Some("https://x".into()),
            authors: vec!["A".into()],
            ..Package::default()
        };
        assert_eq!(missing(&package), " (the package has no licence file; https://x; A)");
    }
}
