//! A Firestore-compatible gRPC server (`google.firestore.v1`) over one SQLite file.
//!
//! Any Firestore client library can talk to it; every project and database in a path is
//! accepted and kept apart. It is a single-node store, reachable over loopback only.
//!
//! # Guarantees
//!
//! - A write is acknowledged only after SQLite's `COMMIT` with `synchronous=FULL` returned, so a
//!   killed process loses nothing that was acknowledged, and listeners see only what is on disk.
//! - Damage to a stored document is noticed when it is read (`DATA_LOSS`), by a checksum. A file of
//!   at most [`limits::INSPECTED_BYTES_MAX`] is looked at as a whole before it is served: it is
//!   refused, or everything in it is as it was written. A write-ahead log that broke before its last
//!   commits is refused. A stopped server leaves one file, and a copy of it is a whole copy.
//! - A commit applies all its writes or none, at one commit time. Commit times strictly increase,
//!   also over restarts and over steps of the clock.
//! - A query either rests on an index that Firestore would have, or is refused with
//!   `FAILED_PRECONDITION`; see [`Indexes`] for which of them scan. No query of one collection
//!   whose automatic indexes are switched off looks at a document that it does not return.
//! - Transactions are optimistic and serializable: all reads of one see one state, and its commit
//!   gets `ABORTED` when anything that it read has changed since.
//! - Reads at a time in the past are served as far as the change log reaches back.
//!
//! # Deviations from Firestore
//!
//! - Of its merging of several indexes only that of automatic ones is imitated. A descending order
//!   by name alone needs no index in a collection with automatic ones.
//! - Values in an index are never cut at 1,500 bytes; an index entry above
//!   [`limits::INDEX_ENTRY_BYTES_MAX`] is refused instead.
//! - Transactions never lock: whoever commits first wins, and writes outside of transactions never
//!   wait for them.
#![warn(clippy::arithmetic_side_effects, clippy::indexing_slicing)]
#![cfg_attr(
    test,
    allow(clippy::arithmetic_side_effects, clippy::indexing_slicing, reason = "a test may panic")
)]

#[cfg(feature = "faults")]
mod faults;
#[cfg(not(feature = "faults"))]
#[path = "no_faults.rs"]
mod faults;
mod field_path;
mod indexes;
pub mod limits;
mod listen;
mod method;
mod metrics;
mod mutate;
mod name;
mod query;
mod refusal;
mod server;
mod service;
mod store;
mod time;
mod transactions;
mod transform;
mod value;

#[cfg(feature = "faults")]
pub use faults::{Fault, Faults};
pub use indexes::{IndexError, Indexes};
pub use method::Method;
pub use server::{Config, ServeError, Server, StartError};
pub use store::OpenError;
