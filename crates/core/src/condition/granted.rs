//! The expression of a granted binding: when it holds, and where.

use cel::common::ast::{CallExpr, Expr, IdedExpr, LiteralValue, SelectExpr, operators};
use chrono::{DateTime, Datelike as _, SecondsFormat, Timelike as _, Utc};

use super::carried::{Carried, NotCarried};
use super::clauses::{Cuttable, conjuncts};
use super::parse::{Expression, Unreadable, logical_operators};

/// The most logical operators of an IAM condition
/// (<https://cloud.google.com/iam/quotas>, "Logical operators in a condition expression").
pub const LOGICAL_OPERATORS_MAX: usize = 12;

/// The years that a CEL timestamp and four digits can express
/// (<https://github.com/google/cel-spec/blob/master/doc/langdef.md>, "Abstract Types").
const YEARS: std::ops::RangeInclusive<i32> = 1..=9999;

/// Why the expression of a granted binding cannot be written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BuildError {
    /// The end lies before the start. Equal times are fine: such a binding is never true.
    #[error("the access would end before it starts")]
    EndsBeforeStart,
    /// A time with a fraction of a second, or in a leap second.
    #[error("{0} is not a whole second")]
    NotWholeSeconds(DateTime<Utc>),
    /// A year that a condition cannot express.
    #[error("the year of {0} cannot be written in a condition")]
    YearOutOfRange(DateTime<Utc>),
    /// The expression cannot be written so that it means what it should.
    #[error(transparent)]
    NotCarried(#[from] NotCarried),
}

/// What the expression of a granted binding says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Granted {
    /// The first second in which it holds.
    pub starts_at: DateTime<Utc>,
    /// The first second in which it does not hold any more.
    pub ends_at: DateTime<Utc>,
    /// Where it holds.
    pub resource_condition: Carried,
}

/// Writes the expression of a granted binding: `(request.time >= timestamp("…Z") && request.time <
/// timestamp("…Z"))`, and ` && (c)` for each clause of the resource condition.
///
/// The text is parsed again and compared with the tree that is meant.
///
/// # Errors
/// Times that cannot be written in whole seconds, or that end before they start.
pub fn granted_expression(
    starts_at: DateTime<Utc>,
    ends_at: DateTime<Utc>,
    resource_condition: &Carried,
) -> Result<String, BuildError> {
    let times = Times::new(starts_at, ends_at)?;
    Ok(build(&times, resource_condition.clauses())?)
}

/// Recognises exactly what [`granted_expression`] writes.
pub fn read_granted(expression: &str) -> Option<Granted> {
    let rest = expression.strip_prefix("(request.time >= timestamp(\"")?;
    let (starts_at, rest) = rest.split_once("\") && request.time < timestamp(\"")?;
    let (ends_at, rest) = rest.split_once("\"))")?;
    let granted = Granted {
        starts_at: read_time(starts_at)?,
        ends_at: read_time(ends_at)?,
        resource_condition: read_clauses(rest)?,
    };
    let written =
        granted_expression(granted.starts_at, granted.ends_at, &granted.resource_condition).ok()?;
    (written == expression).then_some(granted)
}

/// Whether clauses can stand in a granted expression, whatever its times are. None always can.
pub(super) fn check_carriable(clauses: &[String]) -> Result<(), NotCarried> {
    if clauses.is_empty() {
        return Ok(());
    }
    let times = Times {
        starts_at: "1970-01-01T00:00:00Z".to_owned(),
        ends_at: "1970-01-01T00:00:00Z".to_owned(),
    };
    build(&times, clauses).map(drop)
}

pub(super) fn read_time(text: &str) -> Option<DateTime<Utc>> {
    DateTime::parse_from_rfc3339(text).ok().map(|time| time.to_utc())
}

/// The two times of a time clause as RFC 3339 texts of equal length.
struct Times {
    starts_at: String,
    ends_at: String,
}

impl Times {
    fn new(starts_at: DateTime<Utc>, ends_at: DateTime<Utc>) -> Result<Self, BuildError> {
        if ends_at < starts_at {
            return Err(BuildError::EndsBeforeStart);
        }
        Ok(Self { starts_at: write_time(starts_at)?, ends_at: write_time(ends_at)? })
    }

    fn text(&self) -> String {
        let Self { starts_at, ends_at } = self;
        format!(
            "(request.time >= timestamp(\"{starts_at}\") && request.time < timestamp(\"{ends_at}\"))"
        )
    }

    /// The two clauses that the text must read as.
    fn trees(&self) -> [IdedExpr; 2] {
        [
            call(operators::GREATER_EQUALS, vec![request_time(), timestamp(&self.starts_at)]),
            call(operators::LESS, vec![request_time(), timestamp(&self.ends_at)]),
        ]
    }
}

fn write_time(time: DateTime<Utc>) -> Result<String, BuildError> {
    if time.nanosecond() != 0 {
        return Err(BuildError::NotWholeSeconds(time));
    }
    if !YEARS.contains(&time.year()) {
        return Err(BuildError::YearOutOfRange(time));
    }
    Ok(time.to_rfc3339_opts(SecondsFormat::Secs, true))
}

/// The text, once it is shown to read as the time clause followed by exactly the given clauses.
fn build(times: &Times, clauses: &[String]) -> Result<String, NotCarried> {
    let text = clauses.iter().fold(times.text(), |text, clause| format!("{text} && ({clause})"));
    // Words of our own alone are read once: the tree that is meant is the second reading.
    let read = if clauses.is_empty() { Expression::parse_own } else { Expression::parse };
    let expression = read(&text)?;
    let mut meant = times.trees().to_vec();
    for clause in clauses {
        meant.push(Expression::parse(clause)?.tree().clone());
    }
    if conjuncts(expression.tree()) != meant.iter().collect::<Vec<_>>() {
        return Err(Unreadable::Ambiguous.into());
    }
    let operators = logical_operators(&expression);
    if operators > LOGICAL_OPERATORS_MAX {
        return Err(NotCarried::TooManyOperators { operators });
    }
    Ok(text)
}

/// The clauses that follow a time clause: each in parentheses, after ` && `.
fn read_clauses(rest: &str) -> Option<Carried> {
    if rest.is_empty() {
        return Some(Carried::NONE);
    }
    let cuttable = Cuttable::parse(rest.strip_prefix(" && ")?).ok()?;
    Carried::from_clauses(&cuttable.clauses().ok()?).ok()
}

fn call(function: &str, args: Vec<IdedExpr>) -> IdedExpr {
    node(Expr::Call(CallExpr { func_name: function.to_owned(), target: None, args }))
}

fn request_time() -> IdedExpr {
    let operand = Box::new(node(Expr::Ident("request".to_owned())));
    node(Expr::Select(SelectExpr { operand, field: "time".to_owned(), test: false }))
}

fn timestamp(time: &str) -> IdedExpr {
    call("timestamp", vec![node(Expr::Literal(LiteralValue::String(time.to_owned().into())))])
}

fn node(expr: Expr) -> IdedExpr {
    IdedExpr { id: 0, expr }
}
