//! What no file may say: paths and hosts of one machine, and work left open.

use std::path::Path;

use anyhow::Result;
use regex::Regex;

use super::Report;
use crate::workspace::{TextFile, Workspace};

/// A pattern and where it counts. The patterns are written with `[x]` so that this file does not match itself.
struct Word {
    what: &'static str,
    pattern: &'static str,
    files: Files,
}

enum Files {
    All,
    /// Lock files name the registries that they were made from.
    AllButLocks,
    Code,
    Rust,
}

const CODE_EXTENSIONS: &[&str] = &["rs", "py", "tf", "sh", "html", "js", "css"];

const WORDS: &[Word] = &[
    Word {
        what: "a path of one machine",
        pattern: r"/w[o]rk/|/f[a]rm/|/tm[p]/w/|\.\./share[d]/",
        files: Files::All,
    },
    Word {
        what: "a word about how the work is done",
        pattern: r"(?i)\bsubage[n]t|\bartifact[o]ry\b",
        files: Files::All,
    },
    Word {
        what: "a registry's host",
        pattern: r"(?i)\b(?:index|static)\.crate[s]\.io|\bpyp[i]\.org|\bpythonhoste[d]\.org|registry\.npmj[s]\.|\bde[b]\.debian\.org|proxy\.golan[g]\.org",
        files: Files::AllButLocks,
    },
    Word { what: "work left open", pattern: r"\b(?:TOD[O]|FIXM[E])\b", files: Files::Code },
    Word {
        what: "work left open",
        pattern: r"\b(?:tod[o]|unimplemente[d])!|\bdb[g]!\s*\(",
        files: Files::Rust,
    },
    Word { what: "a test that does not run", pattern: r"#\[ignor[e]", files: Files::Rust },
];

pub(super) fn check(workspace: &Workspace) -> Result<Report> {
    let files = workspace.text_files()?;
    let mut findings = Vec::new();
    for word in WORDS {
        let pattern = Regex::new(word.pattern)?;
        let files = files.iter().filter(|file| word.files.holds(&file.path));
        findings.extend(files.flat_map(|file| occurrences(word.what, &pattern, file)));
    }
    Ok(findings.into())
}

impl Files {
    fn holds(&self, path: &str) -> bool {
        let extension = Path::new(path)
            .extension()
            .and_then(|extension| extension.to_str())
            .unwrap_or_default();
        match self {
            Self::All => true,
            Self::AllButLocks => extension != "lock" && !path.ends_with("package-lock.json"),
            Self::Code => CODE_EXTENSIONS.contains(&extension),
            Self::Rust => extension == "rs",
        }
    }
}

fn occurrences(what: &str, pattern: &Regex, file: &TextFile) -> Vec<String> {
    let lines = file.text.lines().enumerate();
    let found = lines.filter_map(|(index, line)| Some((index + 1, pattern.find(line)?)));
    found
        .map(|(line, found)| format!("{}:{line}: {what}: `{}`", file.path, found.as_str()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_pattern_finds_its_words() {
        let said = [
            ("/w|ork/x", "a.md"),
            ("/f|arm/x", "a.md"),
            ("see ..|/shared/x", "a.md"),
            ("a Sub|agent", "a.md"),
            ("art|ifactory", "a.md"),
            ("https://index.cra|tes.io/", "Dockerfile"),
            ("https://py|pi.org/simple", "a.txt"),
            ("// TO|DO: later", "a.rs"),
            ("# FIX|ME", "a.py"),
            ("to|do!()", "a.rs"),
            ("unimple|mented!()", "a.rs"),
            ("db|g!(x)", "a.rs"),
            ("#[ign|ore = \"slow\"]", "a.rs"),
        ];
        for (text, path) in said {
            let text = text.replace('|', "");
            assert_eq!(findings(&text, path).len(), 1, "{text}");
        }
    }

    #[test]
    fn innocent_words_pass() {
        for text in [
            "framework/x",
            "a workload",
            "shared/x",
            "debug!(x)",
            "method!",
            "the ignored one",
            "crates.io",
        ] {
            assert_eq!(findings(text, "a.rs"), Vec::<String>::new(), "{text}");
        }
        let host = "https://registry.npm|js.org/x".replace('|', "");
        assert_eq!(findings(&host, "tests/package-lock.json"), Vec::<String>::new());
        assert_eq!(findings(&host, "tests/package.json").len(), 1);
    }

    #[test]
    fn a_finding_names_the_line_and_the_word() {
        let text = "fine\nto|do!()".replace('|', "");
        assert_eq!(findings(&text, "a.rs"), ["a.rs:2: work left open: `to|do!`".replace('|', "")]);
    }

    fn findings(text: &str, path: &str) -> Vec<String> {
        let file = TextFile { path: path.to_owned(), text: text.to_owned() };
        let words = WORDS.iter().filter(|word| word.files.holds(path));
        words
            .flat_map(|word| occurrences(word.what, &Regex::new(word.pattern).unwrap(), &file))
            .collect()
    }
}
