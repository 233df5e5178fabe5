//! How long functions and files may be.

use std::collections::BTreeMap;

use anyhow::Result;
use proc_macro2::Span;
use syn::visit::{self, Visit};

use super::Report;
use crate::source::Source;
use crate::workspace::Workspace;

/// What fits on a screen and in a head. From `fn` to the closing brace.
const FUNCTION_LINES_MAX: usize = 70;

/// Beyond this a file holds more than one idea.
const FILE_LINES_MAX: usize = 600;

struct Function {
    name: String,
    line: usize,
    length: usize,
}

pub(super) fn check(workspace: &Workspace) -> Result<Report> {
    let sources: Vec<Source> =
        workspace.sources()?.into_iter().filter(|source| !source.is_generated()).collect();
    anyhow::ensure!(!sources.is_empty(), "no Rust file was found");
    let findings = sources.iter().flat_map(too_long).collect();
    Ok(Report { findings, notes: vec![medians(&sources)], ..Report::default() })
}

fn too_long(source: &Source) -> Vec<String> {
    let lines = source.text.lines().count();
    let file = (lines > FILE_LINES_MAX)
        .then(|| format!("{}: {lines} lines, the limit is {FILE_LINES_MAX}", source.path));
    let functions =
        functions(source).into_iter().filter(|function| function.length > FUNCTION_LINES_MAX);
    let functions = functions.map(|Function { name, line, length }| {
        format!(
            "{}:{line}: `{name}` has {length} lines, the limit is {FUNCTION_LINES_MAX}",
            source.path
        )
    });
    file.into_iter().chain(functions).collect()
}

/// The median length of a function outside tests, by package.
fn medians(sources: &[Source]) -> String {
    let mut lengths: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for source in sources {
        let product =
            functions(source).into_iter().filter(|function| !source.is_test(function.line));
        lengths
            .entry(source.package())
            .or_default()
            .extend(product.map(|function| function.length));
    }
    let medians = lengths
        .into_iter()
        .filter_map(|(package, lengths)| Some(format!("{package} {}", median(lengths)?)));
    format!("median function length: {}", medians.collect::<Vec<_>>().join(" · "))
}

/// The upper median.
fn median(mut lengths: Vec<usize>) -> Option<usize> {
    lengths.sort_unstable();
    lengths.get(lengths.len() / 2).copied()
}

fn functions(source: &Source) -> Vec<Function> {
    let mut finder = FunctionFinder::default();
    finder.visit_file(&source.syntax);
    finder.functions
}

#[derive(Default)]
struct FunctionFinder {
    functions: Vec<Function>,
}

impl FunctionFinder {
    fn note(&mut self, signature: &syn::Signature, block: &syn::Block) {
        let line = line(signature.fn_token.span);
        let last = block.brace_token.span.close().end().line;
        self.functions.push(Function {
            name: signature.ident.to_string(),
            line,
            length: last.saturating_sub(line) + 1,
        });
    }
}

fn line(span: Span) -> usize {
    span.start().line
}

impl<'ast> Visit<'ast> for FunctionFinder {
    fn visit_item_fn(&mut self, item: &'ast syn::ItemFn) {
        self.note(&item.sig, &item.block);
        visit::visit_item_fn(self, item);
    }

    fn visit_impl_item_fn(&mut self, item: &'ast syn::ImplItemFn) {
        self.note(&item.sig, &item.block);
        visit::visit_impl_item_fn(self, item);
    }

    fn visit_trait_item_fn(&mut self, item: &'ast syn::TraitItemFn) {
        if let Some(block) = &item.default {
            self.note(&item.sig, block);
        }
        visit::visit_trait_item_fn(self, item);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workspace::TextFile;

    #[test]
    fn a_function_at_the_limit_passes_and_one_line_more_is_found() {
        assert_eq!(too_long(&source(&function(FUNCTION_LINES_MAX))), Vec::<String>::new());
        let expected = ["crates/x/src/a.rs:2: `long` has 71 lines, the limit is 70"];
        assert_eq!(too_long(&source(&function(FUNCTION_LINES_MAX + 1))), expected);
    }

    #[test]
    fn methods_and_trait_defaults_count_too() {
        let long = function(FUNCTION_LINES_MAX + 1);
        assert_eq!(
            too_long(&source(&format!("impl X {{\n{long}}}\ntrait Y {{\n{long}}}\n"))).len(),
            2
        );
    }

    #[test]
    fn a_file_over_the_limit_is_found() {
        assert_eq!(too_long(&source(&"\n".repeat(FILE_LINES_MAX))), Vec::<String>::new());
        let expected = ["crates/x/src/a.rs: 601 lines, the limit is 600"];
        assert_eq!(too_long(&source(&"\n".repeat(FILE_LINES_MAX + 1))), expected);
    }

    #[test]
    fn the_median_leaves_tests_out() {
        let text = "fn a() {}\nfn b() {\n}\nfn c() {\n\n}\n#[cfg(test)]\nmod tests {\n    fn d() {\n\n\n\n\n    }\n}\n";
        assert_eq!(medians(&[source(text)]), "median function length: x 2");
        assert_eq!(median(Vec::new()), None);
    }

    fn function(lines: usize) -> String {
        format!("/// Documentation does not count.\nfn long() {{\n{}}}\n", "\n".repeat(lines - 2))
    }

    fn source(text: &str) -> Source {
        Source::parse(TextFile { path: "crates/x/src/a.rs".to_owned(), text: text.to_owned() })
            .unwrap()
    }
}
