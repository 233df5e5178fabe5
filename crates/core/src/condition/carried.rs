//! The part of a condition that goes from the eligible binding into the granted one.

use std::fmt;

use super::clauses::{Clause, Cuttable, join};
use super::eligibility::Activation;
use super::granted;
use super::parse::Unreadable;

/// A resource condition: `&&` clauses that a granted binding can carry. May be empty.
///
/// Its `Display` form is the `resourceCondition` of the API: one clause as it is, several as
/// `(c1) && (c2)`, the empty text if there are none.
///
/// A value of this type was read twice with one result, stays within IAM's limit of logical operators once
/// the time clause is added, and names no marker.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Carried {
    clauses: Vec<String>,
}

/// Why a condition cannot be carried into a granted binding.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotCarried {
    /// It cannot be read.
    #[error(transparent)]
    Unreadable(#[from] Unreadable),
    /// A marker in it: the granted binding would itself be eligible, or never true.
    #[error("a resource condition must not name an eligibility marker")]
    Marker,
    /// `has(…)` beside the markers.
    #[error(
        "the condition uses has(…), which IAM gives no meaning except as an eligibility marker"
    )]
    PresenceTest,
    /// More logical operators than IAM allows once the time limit is added.
    #[error(
        "with the time limit the granted condition would hold {operators} logical operators, and IAM allows {max}",
        max = granted::LOGICAL_OPERATORS_MAX
    )]
    TooManyOperators {
        /// How many there would be.
        operators: usize,
    },
    /// A stored text that is not in the form in which resource conditions are written.
    #[error("the resource condition is not in its stored form")]
    NotCanonical,
}

impl Carried {
    /// The condition that does not narrow anything.
    pub const NONE: Self = Self { clauses: Vec::new() };

    /// Reads a condition that an administrator wrote, with comments and in any layout.
    ///
    /// # Errors
    /// What cannot be read, or is not in the subset that is carried.
    pub fn from_written(condition: &str) -> Result<Self, NotCarried> {
        if super::eligibility::is_blank(condition)? {
            return Ok(Self::NONE);
        }
        let cuttable = Cuttable::parse(condition)?;
        Self::from_clauses(&cuttable.clauses()?)
    }

    /// Reads the `Display` form back. Accepts nothing that [`Carried`] does not itself write.
    ///
    /// # Errors
    /// As for [`Carried::from_written`], and [`NotCarried::NotCanonical`] for a text in another form.
    pub fn parse(text: &str) -> Result<Self, NotCarried> {
        if text.is_empty() {
            return Ok(Self::NONE);
        }
        let cuttable = Cuttable::parse(text)?;
        let carried = match cuttable.clauses()?.as_slice() {
            [only] => Self::checked(&[*only], vec![only.as_written()])?,
            several => Self::from_clauses(several)?,
        };
        if carried.to_string() == text { Ok(carried) } else { Err(NotCarried::NotCanonical) }
    }

    /// The clauses in order.
    pub fn clauses(&self) -> &[String] {
        &self.clauses
    }

    /// Whether nothing is narrowed.
    pub fn is_empty(&self) -> bool {
        self.clauses.is_empty()
    }

    /// Both conditions at once.
    ///
    /// # Errors
    /// If together they exceed what a granted binding can carry.
    pub fn and(&self, other: &Self) -> Result<Self, NotCarried> {
        let clauses = [self.clauses(), other.clauses()].concat();
        granted::check_carriable(&clauses)?;
        Ok(Self { clauses })
    }

    pub(super) fn from_clauses(clauses: &[Clause<'_, '_>]) -> Result<Self, NotCarried> {
        Self::checked(clauses, clauses.iter().map(|clause| clause.unwrapped()).collect())
    }

    fn checked(clauses: &[Clause<'_, '_>], texts: Vec<String>) -> Result<Self, NotCarried> {
        let named =
            |wanted: fn(&str) -> bool| clauses.iter().flat_map(|clause| clause.names()).any(wanted);
        if named(|name| Activation::from_marker_name(name).is_some()) {
            return Err(NotCarried::Marker);
        }
        if named(|name| name.eq_ignore_ascii_case("has")) {
            return Err(NotCarried::PresenceTest);
        }
        granted::check_carriable(&texts)?;
        Ok(Self { clauses: texts })
    }
}

impl fmt::Display for Carried {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&join(&self.clauses))
    }
}
