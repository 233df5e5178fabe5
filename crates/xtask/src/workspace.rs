//! The work tree: where it is and which files belong to it.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::process;
use crate::source::Source;

/// The repository that this tool was built in.
pub(crate) struct Workspace {
    pub(crate) root: PathBuf,
}

/// A text file of the repository.
pub(crate) struct TextFile {
    /// Relative to the root, with `/`.
    pub(crate) path: String,
    pub(crate) text: String,
}

impl Workspace {
    pub(crate) fn locate() -> Result<Self> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        Ok(Self {
            root: root.canonicalize().with_context(|| format!("cannot find {}", root.display()))?,
        })
    }

    /// Every file that git tracks or would track, sorted; those that are not text are left out.
    pub(crate) fn text_files(&self) -> Result<Vec<TextFile>> {
        let mut git = Command::new("git");
        git.current_dir(&self.root).args([
            "ls-files",
            "-z",
            "--cached",
            "--others",
            "--exclude-standard",
            "--deduplicate",
        ]);
        let listing = process::stdout_of(&mut git)?;
        let mut paths: Vec<&str> = listing.split('\0').filter(|path| !path.is_empty()).collect();
        paths.sort_unstable();
        anyhow::ensure!(!paths.is_empty(), "git lists no file in {}", self.root.display());
        let mut files = Vec::new();
        for path in paths {
            let full = self.root.join(path);
            // A tracked file may be deleted in the work tree, a submodule is a directory.
            if !full.is_file() {
                continue;
            }
            let bytes = std::fs::read(&full).with_context(|| format!("cannot read {path}"))?;
            if let Ok(text) = String::from_utf8(bytes) {
                files.push(TextFile { path: path.to_owned(), text });
            }
        }
        Ok(files)
    }

    /// Every Rust file of the workspace's packages, parsed.
    pub(crate) fn sources(&self) -> Result<Vec<Source>> {
        self.text_files()?
            .into_iter()
            .filter(|file| {
                Path::new(&file.path).extension().is_some_and(|extension| extension == "rs")
            })
            .filter(|file| file.path.starts_with("crates/") || file.path.starts_with("tests/"))
            .map(Source::parse)
            .collect()
    }

    /// One file, which must be there.
    pub(crate) fn read(&self, path: &str) -> Result<String> {
        std::fs::read_to_string(self.root.join(path)).with_context(|| format!("cannot read {path}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_very_file_is_listed_and_parsed() {
        let sources = Workspace::locate().unwrap().sources().unwrap();
        let here =
            sources.iter().find(|source| source.path == "crates/xtask/src/workspace.rs").unwrap();
        assert_eq!(here.package(), "xtask");
        assert!(sources.iter().all(|source| !source.path.starts_with("target/")));
    }
}
