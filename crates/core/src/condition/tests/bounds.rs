//! Nothing exhausts the stack, whatever a condition's size and shape.

use cel::{Context, Value};

use super::super::{
    CONDITION_BYTES_MAX, Carried, DEPTH_MAX, Expression, NESTING_MAX, TOKENS_MAX, Unreadable,
    Verdict, eligibility,
};
use super::verdict;

/// A quarter of what a test thread or a worker of the runtime has.
const SMALL_STACK_BYTES: usize = 512 * 1024;

const MARKER: &str = "has({}.jitAccessConstraint)";

#[test]
fn every_shape_within_the_bounds_fits_a_small_stack() {
    for (name, condition) in deepest_shapes() {
        let verdict = on_small_stack(move || eligibility(&condition));
        assert!(matches!(verdict, Verdict::Eligible { .. }), "{name}: {verdict:?}");
    }
}

#[test]
fn evaluating_the_deepest_expressions_fits_a_small_stack() {
    let sum = vec!["1"; DEPTH_MAX].join("+");
    let choice = format!("({})", "false?0:".repeat(NESTING_MAX - 1) + &DEPTH_MAX.to_string());
    for text in [sum, choice] {
        let value = on_small_stack(move || {
            let expression = Expression::parse(&text).expect("within the bounds");
            Value::resolve(expression.tree(), &Context::default())
        });
        assert_eq!(value, Ok(Value::Int(64)));
    }
}

#[test]
fn no_shape_beyond_the_bounds_reaches_a_recursive_parser() {
    for (name, condition) in hostile_shapes() {
        let verdict = on_small_stack(move || eligibility(&condition));
        assert!(matches!(verdict, Verdict::NotEligible(_)), "{name}: {verdict:?}");
    }
}

#[test]
fn a_thousand_parentheses_are_refused_for_their_nesting() {
    let condition = format!("{MARKER} && {}a{}", "(".repeat(1_000), ")".repeat(1_000));
    assert!(verdict(&condition).unwrap_err().contains("nested more than"));
}

#[test]
fn conditions_over_the_length_limit_are_not_read() {
    let fits = format!("{MARKER} && a // {}", "x".repeat(CONDITION_BYTES_MAX));
    let fits = &fits[..CONDITION_BYTES_MAX];
    assert!(verdict(fits).is_ok());
    assert_eq!(
        Expression::parse(&format!("{fits}x")),
        Err(Unreadable::TooLong { bytes: CONDITION_BYTES_MAX + 1 })
    );
}

#[test]
fn token_nesting_and_depth_limits_are_exact() {
    let list = |elements: usize| format!("[{}]", vec!["1"; elements].join(","));
    assert!(Expression::parse(&list(TOKENS_MAX / 2 - 1)).is_ok());
    assert_eq!(Expression::parse(&list(TOKENS_MAX / 2)), Err(Unreadable::TooManyTokens));

    let nested = |depth: usize| format!("{}a{}", "(".repeat(depth), ")".repeat(depth));
    assert!(Expression::parse(&nested(NESTING_MAX)).is_ok());
    assert_eq!(Expression::parse(&nested(NESTING_MAX + 1)), Err(Unreadable::TooNested));

    let chained = |depth: usize| vec!["1"; depth].join("+");
    assert!(Expression::parse(&chained(DEPTH_MAX)).is_ok());
    assert_eq!(Expression::parse(&chained(DEPTH_MAX + 1)), Err(Unreadable::TooDeep));
}

#[test]
fn whatever_is_carried_fits_a_granted_binding() {
    let long = format!("s == '{}'", "x".repeat(CONDITION_BYTES_MAX - 50));
    assert!(Expression::parse(&long).is_ok());
    assert!(Carried::from_written(&long).unwrap_err().to_string().contains("bytes long"));
}

/// Conditions at the limits, each in a shape that makes some parser recurse.
fn deepest_shapes() -> Vec<(&'static str, String)> {
    let wrapped = |open: &str, inner: &str, close: &str, times: usize| {
        format!("{MARKER} && ({}{inner}{})", open.repeat(times), close.repeat(times))
    };
    // The granted expression adds a pair of parentheses to the one that is already here.
    let most = NESTING_MAX - 1;
    vec![
        ("parentheses", wrapped("(", "a", ")", most)),
        ("calls", wrapped("f(", "a", ")", most)),
        ("lists", wrapped("[", "a", "]", most)),
        ("indices", wrapped("a[", "b", "]", most)),
        ("maps", wrapped("{1:", "a", "}", most)),
        ("conditionals", wrapped("a?b:", "c", "", most)),
        ("conditionals in the middle", wrapped("a?(", "b", "):c", most / 2)),
        ("methods", wrapped("", "a", ".f()", DEPTH_MAX - 3)),
        ("fields", wrapped("", "a", ".b", DEPTH_MAX - 3)),
        ("sums", wrapped("", "1", "+1", DEPTH_MAX - 3)),
        ("comparisons", wrapped("", "1", "==1", DEPTH_MAX - 3)),
        ("chains in parentheses", wrapped("(1+1*a.b==", "a", ")", most)),
        ("negated calls", wrapped("-f(-", "a", ")", most / 2)),
    ]
}

/// Conditions far beyond the limits, of at most [`CONDITION_BYTES_MAX`] bytes and beyond.
fn hostile_shapes() -> Vec<(String, String)> {
    let units = [
        ("(", "a", ")"),
        ("[", "a", "]"),
        ("{1:", "a", "}"),
        ("f(", "a", ")"),
        ("a[", "b", "]"),
        ("a?b:", "c", ""),
        ("a?", "b", ":c"),
        ("!-", "a", ""),
        ("!(", "a", ")"),
        ("", "a", ".b"),
        ("", "a", ".b()"),
        ("", "a", "[0]"),
        ("", "1", "+1"),
        ("", "1", "==1"),
        ("", "a", "&&a"),
        ("", "a", "||a"),
        ("", "[1]", ".map(x, x)"),
        ("[1].exists(x, ", "true", ")"),
        ("M{a:", "1", "}"),
        ("(", "", ""),
        ("((a?", "", ""),
        ("", "a", ")"),
        ("'", "", ""),
        ("\"\"\"", "", ""),
        ("@#$", "", ""),
    ];
    let times = [65, 240, 490, 2_000, 100_000];
    units
        .into_iter()
        .flat_map(|unit| times.into_iter().map(move |times| (unit, times)))
        .map(|((open, inner, close), times)| {
            let shape = format!("{}{inner}{}", open.repeat(times), close.repeat(times));
            (format!("{times} times {open}{inner}{close}"), format!("{MARKER} && {shape}"))
        })
        .collect()
}

fn on_small_stack<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    let thread = std::thread::Builder::new().stack_size(SMALL_STACK_BYTES).spawn(work);
    thread.expect("a thread starts").join().expect("no panic")
}
