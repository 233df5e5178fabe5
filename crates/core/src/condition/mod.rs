//! IAM conditions: which of them make a binding eligible, and the ones that we write.
//!
//! A condition is judged on its syntax tree and carried as its own text. Text from a policy is
//! untrusted, and the granted binding must mean exactly what the eligible one means less its markers,
//! so nothing here rests on one reading:
//!
//! 1. `lexer` bounds size and nesting before any parser runs, refuses what the eye cannot see, and
//!    drops comments, so that no later step can be misled by one.
//! 2. [`Expression`] is read by two parsers that must agree.
//! 3. `clauses` cuts the text at its top-level `&&`, and each cut must read as the clause that it
//!    stands for.
//! 4. [`Carried`] exists only for clauses whose granted expression reads as the time clause followed by
//!    exactly these clauses.
//!
//! The subset that is carried has no comprehension, no message literal, no presence test, no marker, no
//! comment, and no control character but the line feed.

mod carried;
mod clauses;
mod eligibility;
mod granted;
mod jit_access;
mod lexer;
mod narrowing;
mod parse;
#[cfg(test)]
mod tests;

pub use carried::{Carried, NotCarried};
pub use eligibility::{Activation, NotEligible, Verdict, eligibility};
pub use granted::{BuildError, Granted, LOGICAL_OPERATORS_MAX, granted_expression, read_granted};
pub(crate) use jit_access::is_plainly_over;
pub use jit_access::{
    JIT_ACCESS_TITLE, JitAccessActivation, is_same_condition, jit_access_activation,
};
pub use narrowing::{
    NARROWING_NAMES_MAX, NarrowingError, RESOURCE_NAME_BYTES_MAX, ResourceName, narrowing,
};
pub use parse::{
    CONDITION_BYTES_MAX, DEPTH_MAX, Expression, NESTING_MAX, TOKENS_MAX, Unreadable,
    logical_operators,
};
