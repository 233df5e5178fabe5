//! The expressions that we write, and the ones that JIT Access wrote.

use chrono::{DateTime, TimeDelta, Utc};

use super::super::granted::check_carriable;
use super::super::{
    BuildError, Carried, Granted, JitAccessActivation, NotCarried, ResourceName,
    granted_expression, jit_access_activation, narrowing, read_granted,
};

const START: &str = "2026-03-01T10:00:00Z";
const END: &str = "2026-03-01T10:05:00Z";
const TIME_CLAUSE: &str = "(request.time >= timestamp(\"2026-03-01T10:00:00Z\") && request.time < timestamp(\"2026-03-01T10:05:00Z\"))";

#[test]
fn a_granted_expression_is_the_time_clause_and_each_resource_clause() {
    let written =
        |condition: &str| granted_expression(time(START), time(END), &carried(condition)).unwrap();
    assert_eq!(written(""), TIME_CLAUSE);
    assert_eq!(written("a || b"), format!("{TIME_CLAUSE} && (a || b)"));
    assert_eq!(written("(a || b) && (c)"), format!("{TIME_CLAUSE} && (a || b) && (c)"));
}

#[test]
fn a_granted_expression_is_read_back() {
    for condition in
        ["", "a", "(a) && (b || c)", "(a || b)", "resource.name.startsWith(\"x && (\")"]
    {
        let granted = Granted {
            starts_at: time(START),
            ends_at: time(END),
            resource_condition: carried(condition),
        };
        let expression =
            granted_expression(granted.starts_at, granted.ends_at, &granted.resource_condition)
                .unwrap();
        assert_eq!(read_granted(&expression), Some(granted), "{expression}");
    }
}

#[test]
fn only_our_own_expressions_are_read_as_granted() {
    let start = "(request.time >= timestamp(\"2026-03-01T10:00:00Z\")";
    let others = [
        String::new(),
        "true".to_owned(),
        TIME_CLAUSE.trim_matches(['(', ')']).to_owned(),
        format!("{TIME_CLAUSE} "),
        format!("({TIME_CLAUSE})"),
        format!("{TIME_CLAUSE} || true"),
        format!("{TIME_CLAUSE} && a"),
        format!("{TIME_CLAUSE} && (a) "),
        format!("{TIME_CLAUSE} && (a && b)"),
        format!("{TIME_CLAUSE} &&  (a)"),
        format!("{TIME_CLAUSE} && (a) || (b)"),
        format!("{TIME_CLAUSE} && (a // )"),
        format!("{TIME_CLAUSE} && (has({{}}.jitAccessConstraint))"),
        format!("{TIME_CLAUSE} && ([1].exists(x, x == 1))"),
        format!("{start} && request.time < timestamp(\"2026-03-01T09:59:59Z\"))"),
        format!("{start} && request.time < timestamp(\"2026-03-01T10:05:00.000Z\"))"),
        format!("{start} && request.time < timestamp(\"2026-03-01T10:05:00+00:00\"))"),
        format!("{start} && request.time <= timestamp(\"2026-03-01T10:05:00Z\"))"),
        format!("{start} && request.time < timestamp(\"soon\"))"),
    ];
    for expression in others {
        assert_eq!(read_granted(&expression), None, "{expression}");
    }
}

#[test]
fn a_binding_may_end_when_it_starts_but_not_before() {
    let none = Carried::NONE;
    assert!(granted_expression(time(START), time(START), &none).is_ok());
    assert_eq!(granted_expression(time(END), time(START), &none), Err(BuildError::EndsBeforeStart));
}

#[test]
fn times_are_whole_seconds_within_four_digit_years() {
    let none = Carried::NONE;
    let fraction = time("2026-03-01T10:00:00.5Z");
    assert_eq!(
        granted_expression(time(START), fraction, &none),
        Err(BuildError::NotWholeSeconds(fraction))
    );
    let leap = time("2016-12-31T23:59:60Z");
    assert_eq!(granted_expression(leap, time(END), &none), Err(BuildError::NotWholeSeconds(leap)));
    let far = time("9999-12-31T23:59:59Z") + TimeDelta::seconds(1);
    assert_eq!(granted_expression(time(START), far, &none), Err(BuildError::YearOutOfRange(far)));
    assert!(
        granted_expression(time("0001-01-01T00:00:00Z"), time("9999-12-31T23:59:59Z"), &none)
            .is_ok()
    );
}

#[test]
fn only_the_stored_form_of_a_resource_condition_is_read_back() {
    for text in ["", "a", "(a || b)", "a || b", "(a) && (b)", "(a || b) && ((c || d))", "a ||\nb"] {
        assert_eq!(carried(text).to_string(), text);
    }
    let others = [
        " a",
        "a ",
        "a && b",
        "(a && b)",
        "(a) && b",
        "(a)&&(b)",
        "(a) && (b && c)",
        "a\t|| b",
        "a // b",
    ];
    for text in others {
        assert_eq!(Carried::parse(text), Err(NotCarried::NotCanonical), "{text:?}");
    }
    for text in [" ", "// b", "a &&", "a || ("] {
        assert!(matches!(Carried::parse(text), Err(NotCarried::Unreadable(_))), "{text:?}");
    }
}

#[test]
fn a_written_resource_condition_takes_the_stored_form() {
    let written = |text: &str| Carried::from_written(text).map(|carried| carried.to_string());
    assert_eq!(written(" \n// nothing\n"), Ok(String::new()));
    assert_eq!(written("a // why\n && (b&&(c || d))"), Ok("(a) && (b) && (c || d)".to_owned()));
    assert_eq!(written("a && has({}.jitAccessConstraint)"), Err(NotCarried::Marker));
    assert_eq!(written("has(a.b)"), Err(NotCarried::PresenceTest));
}

#[test]
fn conditions_are_added_up_to_the_operator_limit() {
    let (five, six) =
        (carried("a || b || c || d || e || f"), carried("a || b || c || d || e || f || g"));
    assert_eq!(carried("a").and(&Carried::NONE), Ok(carried("a")));
    assert_eq!(carried("a").and(&carried("(b) && (c)")), Ok(carried("(a) && (b) && (c)")));
    assert!(five.and(&carried("a || b || c || d || e")).is_ok());
    assert_eq!(five.and(&six), Err(NotCarried::TooManyOperators { operators: 14 }));
}

/// The last line of defence: what comes here was cut and compared before.
#[test]
fn clauses_that_would_change_the_granted_expression_are_refused() {
    for clause in ["a) || (b", "a && b", "a // b", "a) && (b", "", "a ||"] {
        assert!(check_carriable(&[clause.to_owned()]).is_err(), "{clause:?}");
    }
    assert_eq!(check_carriable(&["a".to_owned(), "b || c".to_owned()]), Ok(()));
}

#[test]
fn narrowing_names_the_resource_and_what_lies_under_it() {
    let names = |texts: &[&str]| {
        texts.iter().map(|text| ResourceName::parse(text).unwrap()).collect::<Vec<_>>()
    };
    let narrowed = |texts: &[&str]| narrowing(&names(texts)).map(|carried| carried.to_string());
    assert_eq!(narrowed(&[]), Ok(String::new()));
    assert_eq!(
        narrowed(&["projects/p/zones/z"]),
        Ok("resource.name == \"projects/p/zones/z\" || resource.name.startsWith(\"projects/p/zones/z/\")".to_owned())
    );
    let three = narrowing(&names(&["a", "//b.googleapis.com/c", "d"])).unwrap();
    assert_eq!(three.clauses().len(), 1);
    assert!(
        three
            .to_string()
            .ends_with(" || resource.name == \"d\" || resource.name.startsWith(\"d/\")")
    );
    assert!(
        granted_expression(time(START), time(END), &carried("(x) && (y)").and(&three).unwrap())
            .is_ok()
    );
    assert!(narrowed(&["a", "b", "c", "d"]).unwrap_err().to_string().contains("not to 4"));
}

#[test]
fn resource_names_hold_nothing_that_could_leave_a_string() {
    let longest = "x".repeat(512);
    for name in [
        "a",
        "//compute.googleapis.com/projects/p",
        "projects/_/buckets/b",
        "a.b~c:d@e$f+g,h=i-j",
        &longest,
    ] {
        assert!(ResourceName::parse(name).is_ok(), "{name}");
    }
    let too_long = "x".repeat(513);
    let refused = [
        "",
        "/",
        "//",
        "/a",
        "a/",
        "a//b",
        "///a",
        "a/../b",
        ".",
        "a b",
        "a\"b",
        "a'b",
        "a\\b",
        "a\nb",
        "a\0",
        "a*",
        "ä",
        "a\u{202e}",
        "a`b",
        "a(b",
        &too_long,
    ];
    for name in refused {
        assert!(ResourceName::parse(name).is_err(), "{name:?}");
    }
}

#[test]
fn activations_of_jit_access_are_recognised() {
    let activation = |rest: &str| {
        Some(JitAccessActivation {
            starts_at: time(START),
            ends_at: time(END),
            resource_condition: rest.to_owned(),
        })
    };
    let read = |expression: &str| jit_access_activation("JIT access activation", expression);
    assert_eq!(read(TIME_CLAUSE), activation(""));
    assert_eq!(read(&format!(" (\n({TIME_CLAUSE})) ")), activation(""));
    assert_eq!(read(&format!("({TIME_CLAUSE}) && (a == 1 || b)")), activation("a == 1 || b"));
    assert_eq!(read(&format!("a && {TIME_CLAUSE} && (b && c)")), activation("(a) && (b && c)"));
    let later = "request.time >= timestamp(\"2027-01-01T00:00:00Z\") && request.time < timestamp(\"2027-01-02T00:00:00Z\")";
    assert_eq!(read(&format!("{TIME_CLAUSE} && ({later})")), activation(later));
}

#[test]
fn other_bindings_are_no_activations_of_jit_access() {
    let others = [
        ("JIT access activation ", TIME_CLAUSE.to_owned()),
        ("jit access activation", TIME_CLAUSE.to_owned()),
        ("JIT access activation", TIME_CLAUSE.trim_matches(['(', ')']).to_owned()),
        ("JIT access activation", TIME_CLAUSE.replace(">= t", ">=  t")),
        ("JIT access activation", TIME_CLAUSE.replace("Z\"))", "Z\") && a)")),
        ("JIT access activation", format!("{TIME_CLAUSE} || a")),
        ("JIT access activation", format!("!{TIME_CLAUSE}")),
        ("JIT access activation", "true".to_owned()),
        ("JIT access activation", String::new()),
    ];
    for (title, expression) in others {
        assert_eq!(jit_access_activation(title, &expression), None, "{title}: {expression}");
    }
}

fn time(text: &str) -> DateTime<Utc> {
    DateTime::parse_from_rfc3339(text).unwrap().to_utc()
}

fn carried(text: &str) -> Carried {
    Carried::parse(text).unwrap()
}
