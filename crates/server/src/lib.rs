//! The `curfew` binary: configuration, wiring, telemetry, shutdown, command line.
//!
//! Everything that is chosen at start is chosen here: which store, which cloud, which keys, whose clock. The parts
//! themselves know only ports.

pub mod cli;
mod clock;
pub mod config;
mod disabled;
mod doctor;
mod explain;
mod firestore_local;
mod health;
pub mod keys;
mod metrics;
mod ops;
mod run;
mod secrets;
mod store;
pub mod telemetry;

pub use clock::{SystemClock, SystemEntropy};
pub use run::{Mode, Running, start, start_with};
pub use store::{EmbeddedStore, INDEXES};
