//! One parsed Rust file: its syntax tree, its tokens, and which of its lines are test code.

use std::ops::RangeInclusive;
use std::path::Path;
use std::str::FromStr;

use anyhow::{Result, anyhow};
use proc_macro2::{Delimiter, Span, TokenStream, TokenTree};
use syn::spanned::Spanned;
use syn::visit::{self, Visit};

use crate::workspace::TextFile;

/// A Rust file.
pub(crate) struct Source {
    /// Relative to the root, with `/`.
    pub(crate) path: String,
    pub(crate) text: String,
    pub(crate) syntax: syn::File,
    tokens: Vec<Token>,
    tests: Vec<RangeInclusive<usize>>,
}

/// One token; comments are none, and neither are doc comments here.
pub(crate) struct Token {
    pub(crate) text: String,
    /// Counted from 1.
    pub(crate) line: usize,
}

impl Source {
    pub(crate) fn parse(file: TextFile) -> Result<Self> {
        let TextFile { path, text } = file;
        let syntax = syn::parse_file(&text)
            .map_err(|error| anyhow!("{path}:{}: {error}", error.span().start().line))?;
        let tokens = tokenise(&text).map_err(|error| anyhow!("{path}: {error}"))?;
        let mut finder = TestFinder::default();
        finder.visit_file(&syntax);
        Ok(Self { path, text, syntax, tokens, tests: finder.tests })
    }

    /// The directory name of the package: `core` of `crates/core/src/lib.rs`, `tests` of `tests/src/lib.rs`. Examples are
    /// programs of their own, no part of the package beside them: `examples`.
    pub(crate) fn package(&self) -> &str {
        if self.path.contains("/examples/") {
            return "examples";
        }
        let inside = self.path.strip_prefix("crates/").unwrap_or(&self.path);
        inside.split('/').next().unwrap_or(inside)
    }

    /// Whether a line belongs to code that only tests compile.
    pub(crate) fn is_test(&self, line: usize) -> bool {
        is_test_file(&self.path) || self.tests.iter().any(|range| range.contains(&line))
    }

    /// Whether a program wrote this file.
    pub(crate) fn is_generated(&self) -> bool {
        self.text.lines().next().is_some_and(|line| line.contains("@generated"))
    }

    pub(crate) fn tokens(&self) -> &[Token] {
        &self.tokens
    }

    /// The lines at which a piece of Rust occurs, however it is spaced and also inside macros; never in comments or strings.
    pub(crate) fn lines_with(&self, rust: &str) -> Result<Vec<usize>> {
        let wanted = tokenise(rust).map_err(|error| anyhow!("`{rust}`: {error}"))?;
        anyhow::ensure!(!wanted.is_empty(), "`{rust}` holds no token to look for");
        let found = self.tokens.windows(wanted.len());
        let found = found.filter(|window| {
            window.iter().zip(&wanted).all(|(token, wanted)| token.text == wanted.text)
        });
        Ok(found.filter_map(|window| window.first()).map(|token| token.line).collect())
    }
}

fn is_test_file(path: &str) -> bool {
    path.starts_with("tests/") || path.contains("/tests/") || Path::new(path).ends_with("tests.rs")
}

fn tokenise(rust: &str) -> Result<Vec<Token>> {
    let stream =
        TokenStream::from_str(rust).map_err(|error| anyhow!("cannot be read as Rust: {error}"))?;
    let mut tokens = Vec::new();
    flatten(stream, &mut tokens);
    Ok(tokens)
}

fn flatten(stream: TokenStream, into: &mut Vec<Token>) {
    for tree in stream {
        match tree {
            TokenTree::Group(group) if is_doc_comment(&group) => {}
            TokenTree::Group(group) => {
                let (open, close) = match group.delimiter() {
                    Delimiter::Parenthesis => ("(", ")"),
                    Delimiter::Brace => ("{", "}"),
                    Delimiter::Bracket => ("[", "]"),
                    Delimiter::None => ("", ""),
                };
                into.push(token(open, group.span_open()));
                flatten(group.stream(), into);
                into.push(token(close, group.span_close()));
            }
            TokenTree::Ident(ident) => into.push(token(&ident.to_string(), ident.span())),
            TokenTree::Punct(punct) => into.push(token(&punct.as_char().to_string(), punct.span())),
            TokenTree::Literal(literal) => into.push(token(&literal.to_string(), literal.span())),
        }
    }
}

/// The tokenizer turns `/// text` into `#[doc = "text"]`.
fn is_doc_comment(group: &proc_macro2::Group) -> bool {
    let mut inside = group.stream().into_iter();
    group.delimiter() == Delimiter::Bracket
        && matches!(inside.next(), Some(TokenTree::Ident(ident)) if ident == "doc")
        && matches!(inside.next(), Some(TokenTree::Punct(punct)) if punct.as_char() == '=')
}

fn token(text: &str, span: Span) -> Token {
    Token { text: text.to_owned(), line: span.start().line }
}

/// Collects the line ranges of what is compiled for tests only.
#[derive(Default)]
struct TestFinder {
    tests: Vec<RangeInclusive<usize>>,
}

impl TestFinder {
    fn note(&mut self, attributes: &[syn::Attribute], span: Span) {
        if attributes.iter().any(is_test_attribute) {
            self.tests.push(span.start().line..=span.end().line);
        }
    }
}

impl<'ast> Visit<'ast> for TestFinder {
    fn visit_file(&mut self, file: &'ast syn::File) {
        if file.attrs.iter().any(is_test_attribute) {
            self.tests.push(1..=usize::MAX);
        }
        visit::visit_file(self, file);
    }

    fn visit_item_mod(&mut self, item: &'ast syn::ItemMod) {
        self.note(&item.attrs, item.span());
        visit::visit_item_mod(self, item);
    }

    fn visit_item_fn(&mut self, item: &'ast syn::ItemFn) {
        self.note(&item.attrs, item.span());
        visit::visit_item_fn(self, item);
    }

    fn visit_item_impl(&mut self, item: &'ast syn::ItemImpl) {
        self.note(&item.attrs, item.span());
        visit::visit_item_impl(self, item);
    }

    fn visit_impl_item_fn(&mut self, item: &'ast syn::ImplItemFn) {
        self.note(&item.attrs, item.span());
        visit::visit_impl_item_fn(self, item);
    }

    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        self.note(&item.attrs, item.span());
    }
}

/// `#[test]`, `#[tokio::test]`, `#[cfg(test)]`, `#[cfg(all(test, …))]`; not `#[cfg(any(test, …))]`, which a feature may bring into the product.
fn is_test_attribute(attribute: &syn::Attribute) -> bool {
    if attribute.path().segments.last().is_some_and(|segment| segment.ident == "test") {
        return true;
    }
    let syn::Meta::List(list) = &attribute.meta else { return false };
    let condition = list.tokens.to_string().replace(' ', "");
    list.path.is_ident("cfg") && (condition == "test" || condition.starts_with("all(test,"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn code_is_found_however_it_is_spaced_and_inside_macros() {
        let source = source("crates/x/src/a.rs", "fn f() {\n    g!(A ::\n vouch (1));\n}\n");
        assert!(source.lines_with("A::vouch(").is_err(), "an open bracket alone is no Rust");
        assert_eq!(source.lines_with("A::vouch").unwrap(), vec![2]);
        assert_eq!(source.lines_with("B::vouch").unwrap(), Vec::<usize>::new());
    }

    #[test]
    fn comments_doc_comments_and_strings_are_no_code() {
        let text = "/// A::vouch\n// A::vouch\nfn f() -> &'static str {\n    \"A::vouch\"\n}\n";
        assert_eq!(
            source("crates/x/src/a.rs", text).lines_with("A::vouch").unwrap(),
            Vec::<usize>::new()
        );
    }

    #[test]
    fn test_code_is_told_apart_by_attribute_and_by_file() {
        let text = "fn a() {}\n#[cfg(test)]\nmod tests {\n    fn b() {}\n}\n#[cfg(any(test, feature = \"x\"))]\nfn c() {}\n#[cfg(not(test))]\nfn d() {}\n";
        let source = source("crates/x/src/a.rs", text);
        let tests: Vec<bool> = [1, 4, 7, 9].into_iter().map(|line| source.is_test(line)).collect();
        assert_eq!(tests, [false, true, false, false]);
        for path in [
            "tests/src/a.rs",
            "crates/x/tests/main.rs",
            "crates/x/src/a/tests.rs",
            "crates/x/src/tests/a.rs",
        ] {
            assert!(is_test_file(path), "{path}");
        }
        assert!(!is_test_file("crates/x/src/contests.rs"));
    }

    #[test]
    fn a_file_that_is_not_rust_is_an_error_with_its_line() {
        let file = TextFile { path: "a.rs".to_owned(), text: "fn f() {}\nfn fn".to_owned() };
        assert!(Source::parse(file).err().unwrap().to_string().starts_with("a.rs:2:"));
    }

    fn source(path: &str, text: &str) -> Source {
        Source::parse(TextFile { path: path.to_owned(), text: text.to_owned() }).unwrap()
    }
}
