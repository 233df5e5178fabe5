//! Recognises the bindings that Google's JIT Access 1.x wrote for activations, for a migration.

use chrono::{DateTime, Utc};

use super::clauses::{Cuttable, conjuncts, join};
use super::granted::read_time;
use super::lexer::render;
use super::parse::Expression;

/// The condition title of every activation that JIT Access wrote.
pub const JIT_ACCESS_TITLE: &str = "JIT access activation";

/// An activation that JIT Access wrote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JitAccessActivation {
    /// When it starts.
    pub starts_at: DateTime<Utc>,
    /// When it ends.
    pub ends_at: DateTime<Utc>,
    /// The other clauses, one as it is, several as `(c1) && (c2)`; empty if there are none. To be shown,
    /// not carried.
    pub resource_condition: String,
}

/// Reads the title and expression of a binding's condition as an activation of JIT Access.
///
/// One top-level clause is `request.time >= timestamp("A") && request.time < timestamp("B")` with exactly
/// this spacing, in one or more pairs of parentheses. `None` for any other binding.
pub fn jit_access_activation(title: &str, expression: &str) -> Option<JitAccessActivation> {
    if title != JIT_ACCESS_TITLE {
        return None;
    }
    let cuttable = Cuttable::parse(expression).ok()?;
    let mut times = None;
    let mut others = Vec::new();
    for clause in cuttable.outermost() {
        match read_times(&render(clause.core())) {
            Some(found) if times.is_none() => times = Some(found),
            Some(_) | None => others.push(clause.unwrapped()),
        }
    }
    let (starts_at, ends_at) = times?;
    Some(JitAccessActivation { starts_at, ends_at, resource_condition: join(&others) })
}

/// Whether the one end that the text names has passed. JIT Access leaves what is over in the policy, so this is asked
/// of most of what it wrote, and spares the reading of it.
pub(crate) fn is_plainly_over(expression: &str, now: DateTime<Utc>) -> bool {
    let mut ends = expression.split("request.time < timestamp(\"").skip(1);
    let (Some(rest), None) = (ends.next(), ends.next()) else { return false };
    let end = rest.split_once("\")").and_then(|(end, _)| read_time(end));
    end.is_some_and(|end| end <= now)
}

/// Whether two resource conditions are the same, clause by clause, however they are spaced, quoted and bracketed.
///
/// JIT Access printed what it carried anew, so its text is not the text of the eligible binding.
pub fn is_same_condition(one: &str, other: &str) -> bool {
    if one == other {
        return true;
    }
    let (Ok(one), Ok(other)) = (Expression::parse(one), Expression::parse(other)) else {
        return false;
    };
    conjuncts(one.tree()) == conjuncts(other.tree())
}

fn read_times(clause: &str) -> Option<(DateTime<Utc>, DateTime<Utc>)> {
    let rest = clause.strip_prefix("request.time >= timestamp(\"")?;
    let (starts_at, rest) = rest.split_once("\") && request.time < timestamp(\"")?;
    Some((read_time(starts_at)?, read_time(rest.strip_suffix("\")")?)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conditions_that_were_printed_anew_are_the_same() {
        for (one, other) in [
            ("", ""),
            ("a>b&&b <  c", "(a > b) && (b < c)"),
            ("resource.type == 'x'", "resource.type == \"x\""),
            ("(a) && (b) && (c)", "a && (b && c)"),
            ("resource.name.startsWith('p')", "( resource . name.startsWith(\"p\") )"),
        ] {
            assert!(is_same_condition(one, other), "{one} and {other}");
        }
        for (one, other) in [
            ("", "a"),
            ("a && b", "b && a"),
            ("a && b", "a || b"),
            ("resource.type == 'x'", "resource.type == 'y'"),
            ("a &&", "a"),
            ("(", ")"),
        ] {
            assert!(!is_same_condition(one, other), "{one} and {other}");
        }
    }

    #[test]
    fn what_is_plainly_over_is_over_when_it_is_read() {
        let times = |end: &str| {
            format!(
                "(request.time >= timestamp(\"2026-01-01T10:00:00Z\") && request.time < timestamp(\"{end}\"))"
            )
        };
        let now: DateTime<Utc> = "2026-01-01T11:00:00Z".parse().unwrap();
        for (end, is_over) in [
            ("2026-01-01T10:59:59Z", true),
            ("2026-01-01T11:00:00Z", true),
            ("2026-01-01T11:00:01Z", false),
            ("soon", false),
        ] {
            assert_eq!(is_plainly_over(&times(end), now), is_over, "{end}");
            let read = jit_access_activation(JIT_ACCESS_TITLE, &times(end));
            assert!(!is_over || read.is_none_or(|it| it.ends_at <= now), "{end}");
        }
        // Two ends: which of them counts takes a reading.
        let twice =
            format!("{} && {}", times("2026-01-01T10:30:00Z"), times("2026-01-01T12:00:00Z"));
        assert!(!is_plainly_over(&twice, now) && !is_plainly_over("", now));
    }
}
