//! The simulated cloud over HTTP, as its clients meet it.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail the test by panicking")]

mod access;
mod assets;
mod faults;
mod front;
mod groups;
mod harness;
mod hierarchy;
mod kms;
mod metadata;
mod needs;
mod people;
mod persistence;
mod policies;
mod probes;
mod propagation;
mod pubsub;
mod quotas;
mod roles;
mod secrets;
