//! Conditions in random layout, compared with what they were made of.

use cel::{Context, Program, Value};
use chrono::DateTime;
use proptest::prelude::*;

use super::super::{
    Carried, Expression, Granted, Verdict, eligibility, granted_expression, read_granted,
};
use super::check_carries_all_but_markers;

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn clauses_survive_any_layout(condition in condition()) {
        let Verdict::Eligible { resource_condition, .. } = eligibility(&condition.with(&condition.marker)) else {
            panic!("not eligible: {:?}", condition.with(&condition.marker));
        };
        check_carries_all_but_markers(&condition.with(&condition.marker), &resource_condition);
        prop_assert_eq!(trees(resource_condition.clauses()), trees(&condition.clauses));
    }

    #[test]
    fn a_carried_condition_holds_where_the_eligible_one_would(
        condition in condition(),
        name in name(),
        kind in "[xy]",
    ) {
        let Verdict::Eligible { resource_condition, .. } = eligibility(&condition.with(&condition.marker)) else {
            panic!("not eligible: {:?}", condition.with(&condition.marker));
        };
        let carried = if resource_condition.is_empty() { "true".to_owned() } else { resource_condition.to_string() };
        prop_assert_eq!(evaluate(&carried, &name, &kind), evaluate(&condition.with("true"), &name, &kind));
    }

    #[test]
    fn granted_expressions_are_read_back(condition in condition(), start in 0_i64..4_000_000_000, length in 0_i64..90_000) {
        let granted = Granted {
            starts_at: DateTime::from_timestamp(start, 0).unwrap(),
            ends_at: DateTime::from_timestamp(start + length, 0).unwrap(),
            resource_condition: Carried::from_written(&condition.clauses.join(" && ")).unwrap(),
        };
        let expression = granted_expression(granted.starts_at, granted.ends_at, &granted.resource_condition).unwrap();
        prop_assert_eq!(read_granted(&expression), Some(granted));
    }

    #[test]
    fn any_text_has_a_verdict(text in any::<String>(), noise in "[ -~\\n\\t]{0,40}") {
        for condition in [format!("has({{}}.jitAccessConstraint) && {text}"), format!("{noise} && has({{}}.jitAccessConstraint)")] {
            if let Verdict::Eligible { resource_condition, .. } = eligibility(&condition) {
                check_carries_all_but_markers(&condition, &resource_condition);
            }
        }
    }
}

/// A condition in pieces: clauses, the marker's place among them, and the layout between.
#[derive(Debug, Clone)]
struct Condition {
    clauses: Vec<String>,
    marker: String,
    place: usize,
    gaps: Vec<String>,
    parentheses: usize,
}

impl Condition {
    /// The text with something in the marker's place.
    fn with(&self, marker: &str) -> String {
        let mut parts = self.clauses.clone();
        parts.insert(self.place.min(parts.len()), marker.to_owned());
        let mut gaps = self.gaps.iter().cycle();
        let mut gap = || gaps.next().map_or("", String::as_str);
        let joined = parts
            .iter()
            .map(|part| format!("{}{part}{}", gap(), gap()))
            .collect::<Vec<_>>()
            .join("&&");
        format!("{}{joined}{}", "(".repeat(self.parentheses), ")".repeat(self.parentheses))
    }
}

fn condition() -> impl Strategy<Value = Condition> {
    let marker = prop_oneof![
        Just("has({}.jitAccessConstraint)".to_owned()),
        Just("( HAS ( { } .\tJITACCESSCONSTRAINT\r\n) )".to_owned()),
        Just("has(// && a\n{}.multiPartyApprovalConstraint)".to_owned()),
    ];
    let clauses = proptest::collection::vec(clause(), 0..4);
    (clauses, marker, 0_usize..4, proptest::collection::vec(gap(), 1..6), 0_usize..3).prop_map(
        |(clauses, marker, place, gaps, parentheses)| Condition {
            clauses,
            marker,
            place,
            gaps,
            parentheses,
        },
    )
}

/// A clause that is no conjunction, with at most two logical operators.
fn clause() -> impl Strategy<Value = String> {
    let pair = || (atom(), atom());
    prop_oneof![
        atom(),
        atom().prop_map(|atom| format!("!({atom})")),
        pair().prop_map(|(left, right)| format!("({left} || {right})")),
        pair().prop_map(|(left, right)| format!("!({left} && // not (\n {right})")),
        pair().prop_map(|(left, right)| format!("({left} && {right} || {left})")),
        (atom(), atom(), atom()).prop_map(|(test, yes, no)| format!("({test} ? {yes} : {no})")),
        pair().prop_map(|(left, right)| format!("[{left},\t{right}][1]")),
        pair().prop_map(|(left, right)| format!("{{'&&': {left}}}['&&'] == ({right})")),
    ]
}

fn atom() -> impl Strategy<Value = String> {
    prop_oneof![
        name().prop_map(|name| format!("resource.name.startsWith(\"{name}\")")),
        name().prop_map(|name| format!("resource.name == '{name}'")),
        Just("(resource.type == r\"x\")".to_owned()),
        Just("'a && b // \\' (' != \"\"\"x\" || (\"\"\"".to_owned()),
        Just("size(resource.name) > 3".to_owned()),
        Just("true".to_owned()),
    ]
}

fn name() -> impl Strategy<Value = String> {
    proptest::sample::select(vec!["p", "p/a", "p/a/b", "p/b", "q"]).prop_map(str::to_owned)
}

fn gap() -> impl Strategy<Value = String> {
    proptest::sample::select(vec![
        "",
        " ",
        "\n",
        "\r\n",
        "\t",
        " // x && ( '\n",
        "\n// \" y\r\n  // z\n",
    ])
    .prop_map(str::to_owned)
}

fn trees(clauses: &[String]) -> Vec<cel::IdedExpr> {
    clauses.iter().map(|clause| Expression::parse(clause).unwrap().tree().clone()).collect()
}

fn evaluate(condition: &str, name: &str, kind: &str) -> Value {
    let mut context = Context::default();
    context.add_variable("name", name).unwrap();
    context.add_variable("kind", kind).unwrap();
    let resource =
        Program::compile("{'name': name, 'type': kind}").unwrap().execute(&context).unwrap();
    context.add_variable_from_value("resource", resource);
    Program::compile(condition).unwrap().execute(&context).unwrap()
}
