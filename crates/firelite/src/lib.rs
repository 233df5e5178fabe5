//! A Firestore-compatible gRPC server (`google.firestore.v1`) over one SQLite file.
//!
//! Any Firestore client library can talk to it; every project and database in a path is
//! accepted and kept apart. It is a single-node store, reachable over loopback only.
//!
//! # Guarantees
//!
//! - A write is acknowledged only after SQLite's `COMMIT` with `synchronous=FULL` returned, so a
//!   killed process loses nothing that was acknowledged, and listeners see only what is on disk.
//! - A commit applies all its writes or none, at one commit time. Commit times strictly increase,
//!   also over restarts and over steps of the clock.
//! - A query either is served by an index of the index file (or by the order of document names)
//!   or is refused with `FAILED_PRECONDITION`; no query scans a collection it does not return.
//!
//! # Deviations from Firestore
//!
//! - Only the indexes in [`Indexes`] serve queries: Google's automatic single-field indexes and
//!   its merging of several indexes are not imitated, so a query served here is served there.
//! - Values in an index are never cut at 1,500 bytes; an index entry above
//!   [`limits::INDEX_ENTRY_BYTES_MAX`] is refused instead.
#![warn(clippy::arithmetic_side_effects, clippy::indexing_slicing)]
#![cfg_attr(
    test,
    allow(clippy::arithmetic_side_effects, clippy::indexing_slicing, reason = "a test may panic")
)]

mod field_path;
mod indexes;
pub mod limits;
mod listen;
mod mutate;
mod name;
mod query;
mod refusal;
mod server;
mod service;
mod store;
mod time;
mod transform;
mod value;

pub use indexes::{IndexError, Indexes};
pub use server::{Config, ServeError, Server, StartError};
pub use store::OpenError;
