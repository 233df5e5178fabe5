//! Recognises the bindings that Google's JIT Access 1.x wrote for activations, for a migration.

use chrono::{DateTime, Utc};

use super::clauses::{Cuttable, join};
use super::granted::read_time;
use super::lexer::render;

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

fn read_times(clause: &str) -> Option<(DateTime<Utc>, DateTime<Utc>)> {
    let rest = clause.strip_prefix("request.time >= timestamp(\"")?;
    let (starts_at, rest) = rest.split_once("\") && request.time < timestamp(\"")?;
    Some((read_time(starts_at)?, read_time(rest.strip_suffix("\")")?)?))
}
