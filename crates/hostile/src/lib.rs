//! What hostile input must not achieve.
//!
//! Each module holds the body of a fuzz target or two: an ordinary function of a fuzzer's bytes that panics if
//! something does not hold. The same functions run here over seeded inputs and over the corpus of `fuzz/`, as ordinary
//! tests, and there without bounds under `cargo fuzz`. Nothing of the product depends on this crate.

pub mod choices;
pub mod condition;
pub mod documents;
pub mod duration;
pub mod iap;
pub mod names;
pub mod policy;
#[cfg(test)]
mod runs;
