//! Who may call what: the invariants that rest on one crate being the only one to do a thing.

use anyhow::Result;
use syn::punctuated::Punctuated;
use syn::visit::{self, Visit};
use syn::{Expr, Token};

use super::Report;
use crate::source::Source;
use crate::workspace::Workspace;

/// A thing that only some places may say.
struct Rule {
    what: &'static str,
    finds: Finds,
    place: Place,
    /// Whether test code may say it anywhere.
    free_in_tests: bool,
}

enum Finds {
    /// This piece of Rust.
    Code(&'static str),
    /// An identifier or a literal that contains this, whatever its case and underscores.
    Name(&'static str),
    /// The same, but not where it is the last part of a dotted name: a permission is named so, and is no call.
    Call(&'static str),
    /// A value of this struct being made; a pattern that takes one apart is none.
    Construction(&'static str),
}

enum Place {
    OnlyIn(&'static [&'static str]),
    NeverIn(&'static [&'static str]),
}

const RULES: &[Rule] = &[
    Rule {
        what: "a verified value is made only where signatures are checked",
        finds: Finds::Code("::vouch"),
        place: Place::OnlyIn(&["trust", "sim"]),
        free_in_tests: true,
    },
    Rule {
        what: "the intake cannot change a policy",
        finds: Finds::Name("PolicyClient"),
        place: Place::NeverIn(&["intake"]),
        free_in_tests: false,
    },
    Rule {
        what: "only the Google client builds a call that changes a policy",
        finds: Finds::Call(concat!("setIam", "Policy")),
        place: Place::OnlyIn(&["gcp", "cloudsim"]),
        free_in_tests: true,
    },
    Rule {
        what: "only core decides on bindings",
        finds: Finds::Construction("SetBindings"),
        place: Place::OnlyIn(&["core", "hostile"]),
        free_in_tests: true,
    },
    Rule {
        what: "core reads no clock",
        finds: Finds::Code("::now"),
        place: Place::NeverIn(&["core"]),
        free_in_tests: false,
    },
    Rule {
        what: "core reads no clock",
        finds: Finds::Name("SystemTime"),
        place: Place::NeverIn(&["core"]),
        free_in_tests: false,
    },
];

pub(super) fn check(workspace: &Workspace) -> Result<Report> {
    let sources = workspace.sources()?;
    anyhow::ensure!(!sources.is_empty(), "no Rust file was found");
    let mut findings = Vec::new();
    for source in &sources {
        for rule in RULES {
            findings.extend(breaches(rule, source)?);
        }
    }
    Ok(findings.into())
}

fn breaches(rule: &Rule, source: &Source) -> Result<Vec<String>> {
    if rule.place.allows(source.package()) {
        return Ok(Vec::new());
    }
    let lines = rule
        .finds
        .lines(source)?
        .into_iter()
        .filter(|line| !(rule.free_in_tests && source.is_test(*line)));
    Ok(lines
        .map(|line| format!("{}:{line}: {}: {}", source.path, rule.finds.subject(), rule.what))
        .collect())
}

impl Place {
    fn allows(&self, package: &str) -> bool {
        match self {
            Self::OnlyIn(packages) => packages.contains(&package),
            Self::NeverIn(packages) => !packages.contains(&package),
        }
    }
}

impl Finds {
    fn subject(&self) -> &'static str {
        match self {
            Self::Code(subject)
            | Self::Name(subject)
            | Self::Call(subject)
            | Self::Construction(subject) => subject,
        }
    }

    fn lines(&self, source: &Source) -> Result<Vec<usize>> {
        match self {
            Self::Code(rust) => source.lines_with(rust),
            Self::Name(name) => Ok(lines_naming(source, name, "")),
            Self::Call(name) => Ok(lines_naming(source, name, ".")),
            Self::Construction(name) => {
                let mut finder = ConstructionFinder { name, lines: Vec::new() };
                finder.visit_file(&source.syntax);
                Ok(finder.lines)
            }
        }
    }
}

/// The lines of tokens that hold a name; not where it follows `before`, if that is anything.
fn lines_naming(source: &Source, name: &str, before: &str) -> Vec<usize> {
    let wanted = folded(name);
    let innocent = format!("{before}{wanted}");
    let holds = |text: &str| {
        let text = folded(text);
        let rest = if before.is_empty() { text } else { text.replace(&innocent, "") };
        rest.contains(&wanted)
    };
    source.tokens().iter().filter(|token| holds(&token.text)).map(|token| token.line).collect()
}

fn folded(name: &str) -> String {
    name.replace('_', "").to_lowercase()
}

struct ConstructionFinder {
    name: &'static str,
    lines: Vec<usize>,
}

impl<'ast> Visit<'ast> for ConstructionFinder {
    fn visit_expr_struct(&mut self, made: &'ast syn::ExprStruct) {
        // Inside a macro such as `matches!` a pattern with `..` looks like this.
        let is_pattern = made.dot2_token.is_some() && made.rest.is_none();
        if let Some(last) =
            made.path.segments.last().filter(|last| last.ident == self.name && !is_pattern)
        {
            self.lines.push(last.ident.span().start().line);
        }
        visit::visit_expr_struct(self, made);
    }

    fn visit_macro(&mut self, called: &'ast syn::Macro) {
        // Most macros (`vec!`, `assert_eq!`, `format!`) take expressions; what takes something else cannot be looked into.
        if let Ok(arguments) =
            called.parse_body_with(Punctuated::<Expr, Token![,]>::parse_terminated)
        {
            let mut inner = ConstructionFinder { name: self.name, lines: Vec::new() };
            arguments.iter().for_each(|argument| inner.visit_expr(argument));
            self.lines.append(&mut inner.lines);
        }
        visit::visit_macro(self, called);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workspace::TextFile;

    #[test]
    fn vouching_outside_trust_is_found_also_as_a_function_value_or_an_alias() {
        for code in [
            "Verified::vouch(x)",
            "VerifiedFacts::vouch(x)",
            "y.map(Verified::vouch)",
            "Alias::vouch(x)",
        ] {
            let text = format!("fn f() {{ {code} }}\n");
            assert_eq!(found("crates/controller/src/a.rs", &text), 1, "{code}");
            assert_eq!(found("crates/trust/src/a.rs", &text), 0, "{code}");
            assert_eq!(found("crates/controller/src/a/tests.rs", &text), 0, "{code}");
            assert_eq!(
                found(
                    "crates/controller/src/a.rs",
                    &format!("#[cfg(test)]\nmod tests {{\n{text}}}\n")
                ),
                0
            );
        }
        assert_eq!(
            found("crates/core/src/a.rs", "impl V { pub fn vouch(x: X) -> V { V { x } } }"),
            0,
            "its definition"
        );
    }

    #[test]
    fn intake_may_not_even_name_the_policy_client_in_its_tests() {
        let text = "use curfew_ports::PolicyClient;";
        assert_eq!(found("crates/intake/src/a.rs", text), 1);
        assert_eq!(found("crates/intake/src/tests.rs", text), 1);
        assert_eq!(found("crates/controller/src/a.rs", text), 0);
    }

    #[test]
    fn a_policy_call_outside_the_client_is_found_in_strings_and_names_but_not_in_comments() {
        let name = concat!("setIam", "Policy");
        for code in
            [format!("\"https://x/v3/projects/p:{name}\""), "client.set_iam_policy()".to_owned()]
        {
            let text = format!("fn f() {{ {code} }}");
            assert_eq!(found("crates/controller/src/a.rs", &text), 1, "{code}");
            assert_eq!(found("crates/gcp/src/a.rs", &text), 0, "{code}");
        }
        assert_eq!(
            found("crates/controller/src/a.rs", &format!("/// See `{name}`.\nfn f() {{}}")),
            0
        );
    }

    #[test]
    fn the_name_of_a_permission_is_no_call() {
        let name = concat!("setIam", "Policy");
        let text = format!("const ENDS_IN: &str = \".{name}\";");
        assert_eq!(found("crates/core/src/a.rs", &text), 0);
        let text = format!("const BOTH: &str = \"x.{name} by /v3/x:{name}\";");
        assert_eq!(found("crates/core/src/a.rs", &text), 1);
    }

    #[test]
    fn an_example_is_no_part_of_the_package_beside_it() {
        let text = "fn f() { Instant::now(); }";
        assert_eq!(found("crates/core/examples/a.rs", text), 0);
        assert_eq!(found("crates/core/src/a.rs", text), 1);
    }

    #[test]
    fn making_bindings_outside_core_is_found_and_matching_them_is_not() {
        for made in [
            "SetBindings { request, bindings }",
            "core::SetBindings { ..x }",
            "vec![SetBindings { request: a, bindings: b }]",
        ] {
            let text = format!("fn f() -> X {{ {made} }}");
            assert_eq!(found("crates/controller/src/a.rs", &text), 1, "{made}");
            assert_eq!(found("crates/core/src/a.rs", &text), 0, "{made}");
        }
        let matched = "fn f(x: X) { match x { SetBindings { request, bindings } => {} } matches!(x, SetBindings { request: _, .. }) }";
        assert_eq!(found("crates/controller/src/a.rs", matched), 0);
    }

    #[test]
    fn a_clock_in_core_is_found_in_code_and_tests() {
        for code in ["chrono::Utc::now()", "SystemTime::UNIX_EPOCH", "x.unwrap_or_else(Utc::now)"] {
            let text = format!("fn f() {{ {code} }}");
            assert_eq!(found("crates/core/src/a.rs", &text), 1, "{code}");
            assert_eq!(found("crates/core/src/tests.rs", &text), 1, "{code}");
            assert_eq!(found("crates/server/src/a.rs", &text), 0, "{code}");
        }
    }

    fn found(path: &str, text: &str) -> usize {
        let source =
            Source::parse(TextFile { path: path.to_owned(), text: text.to_owned() }).unwrap();
        RULES.iter().map(|rule| breaches(rule, &source).unwrap().len()).sum()
    }
}
