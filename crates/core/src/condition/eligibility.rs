//! Which conditions make a role binding eligible: the format of Google's JIT Access 1.x, read strictly.

use super::carried::{Carried, NotCarried};
use super::clauses::{Clause, Cuttable};
use super::lexer;
use super::parse::Unreadable;

/// Who lets an eligible role become active.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Activation {
    /// The person alone, with a justification: `has({}.jitAccessConstraint)`.
    SelfApproval,
    /// Somebody else who holds the same eligible role: `has({}.multiPartyApprovalConstraint)`.
    PeerApproval,
}

impl Activation {
    /// The activation that a marker's name stands for, in any case.
    pub(super) fn from_marker_name(name: &str) -> Option<Self> {
        [
            ("jitAccessConstraint", Self::SelfApproval),
            ("multiPartyApprovalConstraint", Self::PeerApproval),
        ]
        .into_iter()
        .find_map(|(marker, activation)| name.eq_ignore_ascii_case(marker).then_some(activation))
    }
}

/// What a binding's condition says about eligibility.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// The role may be asked for.
    Eligible {
        /// How it becomes active.
        activation: Activation,
        /// What the granted binding carries beside its time limit.
        resource_condition: Carried,
    },
    /// The binding offers nothing.
    NotEligible(NotEligible),
}

/// Why a binding is not eligible, in words for its administrator.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotEligible {
    /// Nothing but white space and comments.
    #[error("the condition is empty")]
    Empty,
    /// An ordinary conditional binding.
    #[error("the condition names no eligibility marker")]
    NoMarker,
    /// A marker that is not by itself one of the clauses that all must hold.
    #[error(
        "an eligibility marker counts only as a whole `&&` clause, has({{}}.jitAccessConstraint) or \
         has({{}}.multiPartyApprovalConstraint), and this condition names one elsewhere or in another form"
    )]
    MarkerNotAtTopLevel,
    /// The condition cannot be read.
    #[error(transparent)]
    Unreadable(Unreadable),
    /// The clauses beside the marker cannot be carried into a granted binding.
    #[error(transparent)]
    NotCarried(NotCarried),
}

/// Judges the condition of a role binding.
///
/// Total: any text has a verdict, within bounded time, memory and stack. A marker counts as a top-level
/// `&&` clause only, in any case and layout, in outer parentheses too; with both markers the person
/// activates alone, as in JIT Access.
pub fn eligibility(condition: &str) -> Verdict {
    match judge(condition) {
        Ok((activation, resource_condition)) => {
            Verdict::Eligible { activation, resource_condition }
        }
        Err(reason) => Verdict::NotEligible(reason),
    }
}

fn judge(condition: &str) -> Result<(Activation, Carried), NotEligible> {
    // Ordinary conditions are many and none of our business, readable or not. CEL cannot spell an
    // identifier in two ways, so what does not contain a marker's name does not name one.
    if !mentions_marker(condition) {
        let blank = condition.chars().all(char::is_whitespace);
        return Err(if blank { NotEligible::Empty } else { NotEligible::NoMarker });
    }
    if is_blank(condition).map_err(NotEligible::Unreadable)? {
        return Err(NotEligible::Empty);
    }
    let cuttable = Cuttable::parse(condition).map_err(NotEligible::Unreadable)?;
    let clauses = cuttable.clauses().map_err(NotEligible::Unreadable)?;
    let (markers, others): (Vec<_>, Vec<_>) =
        clauses.into_iter().partition(|clause| marker(*clause).is_some());
    if others
        .iter()
        .flat_map(|clause| clause.names())
        .any(|name| Activation::from_marker_name(name).is_some())
    {
        return Err(NotEligible::MarkerNotAtTopLevel);
    }
    // Of several markers the more permissive counts: the least of the order in which they are declared.
    let activation = markers.into_iter().filter_map(marker).min().ok_or(NotEligible::NoMarker)?;
    let resource_condition = Carried::from_clauses(&others).map_err(NotEligible::NotCarried)?;
    Ok((activation, resource_condition))
}

/// Whether a condition holds nothing but white space and comments.
pub(super) fn is_blank(condition: &str) -> Result<bool, Unreadable> {
    Ok(lexer::tokens(condition)?.is_empty())
}

fn mentions_marker(condition: &str) -> bool {
    let condition = condition.to_ascii_lowercase();
    ["jitaccessconstraint", "multipartyapprovalconstraint"]
        .iter()
        .any(|name| condition.contains(name))
}

/// The marker that a clause is, judged on its spelling. The tree would not do: `!!has(…)` has the tree of
/// a marker, and `HAS(…)` has that of a function call.
fn marker(clause: Clause<'_, '_>) -> Option<Activation> {
    let [has, open, map_open, map_close, dot, name, close] = clause.core() else { return None };
    let spelled = [open, map_open, map_close, dot, close].map(|token| token.text)
        == ["(", "{", "}", ".", ")"];
    if spelled && has.text.eq_ignore_ascii_case("has") {
        Activation::from_marker_name(name.text)
    } else {
        None
    }
}
