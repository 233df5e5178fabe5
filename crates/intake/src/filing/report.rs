//! How the checks of a request went: filing stops at the first that refuses, a dry run notes them all.

use crate::errors::{Code, Refusal};

/// One check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Check {
    /// What holds if it passes.
    pub(crate) name: &'static str,
    pub(crate) outcome: Outcome,
}

/// How a check went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Outcome {
    Passed,
    /// Filing is refused with this.
    Failed(Refusal),
    /// A look-up failed; filing is put off with this.
    Unanswered(Refusal),
    /// It rests on a check that did not pass.
    NotReached,
}

/// The checks that were made so far, in their order.
pub(crate) struct Report {
    goes_on: bool,
    pub(crate) checks: Vec<Check>,
}

impl Report {
    /// For filing: the first refusal is the answer.
    pub(crate) fn until_the_first_refusal() -> Self {
        Self { goes_on: false, checks: Vec::new() }
    }

    /// For a dry run: every check is made that can be.
    pub(crate) fn of_everything() -> Self {
        Self { goes_on: true, checks: Vec::new() }
    }

    /// Notes how a check went, and gives what it found: nothing where it did not pass and others go on.
    pub(crate) fn note<T>(
        &mut self,
        name: &'static str,
        result: Result<T, Refusal>,
    ) -> Result<Option<T>, Refusal> {
        match result {
            Ok(found) => {
                self.checks.push(Check { name, outcome: Outcome::Passed });
                Ok(Some(found))
            }
            Err(refusal) if self.goes_on => {
                let is_open = matches!(refusal.reason.code(), Code::Unavailable | Code::Internal);
                let outcome =
                    if is_open { Outcome::Unanswered(refusal) } else { Outcome::Failed(refusal) };
                self.checks.push(Check { name, outcome });
                Ok(None)
            }
            Err(refusal) => Err(refusal),
        }
    }

    /// Notes checks that could not be made, but for those that were.
    pub(crate) fn skip(&mut self, names: impl IntoIterator<Item = &'static str>) {
        for name in names {
            if !self.has(name) {
                self.checks.push(Check { name, outcome: Outcome::NotReached });
            }
        }
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.checks.iter().any(|check| check.name == name)
    }

    /// Whether every check passed so far.
    pub(crate) fn is_clear(&self) -> bool {
        self.checks.iter().all(|check| check.outcome == Outcome::Passed)
    }
}
