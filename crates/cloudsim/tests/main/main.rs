//! The simulated cloud over HTTP, as its clients meet it.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail the test by panicking")]

mod access;
mod faults;
mod front;
mod harness;
mod hierarchy;
mod metadata;
mod people;
mod persistence;
mod policies;
