//! The decision: pure types and functions that say what should exist.
//!
//! Nothing here does I/O, reads a clock, draws a random number or iterates anything unordered: time,
//! randomness and identity come in as arguments, effects go out as values. The shell (`controller`)
//! gathers a [`World`], calls [`reconcile`], and does what the [`Plan`] says.
#![warn(clippy::arithmetic_side_effects, clippy::indexing_slicing)]

pub mod apply;
pub mod chain;
pub mod condition;
pub mod danger;
pub mod eligible;
pub mod entry;
pub mod fact;
mod fixture;
pub mod id;
pub mod index;
pub mod judge;
pub mod observe;
pub mod phase;
pub mod plan;
pub mod planted;
pub mod policy;
pub mod principal;
pub mod reconcile;
pub mod request;
pub mod resource;
pub mod role;
pub mod spec;
pub mod status;
pub mod world;

pub use plan::Plan;
pub use reconcile::reconcile;
pub use request::Request;
pub use world::{Observed, World};
