//! Simulation of the controller: the real one, over fake ports, in one thread under virtual time.
//!
//! Everything outside of the controller is here: a store, a cloud, keys, a clock. Each call of a port has a moment
//! before and a moment after its effect; at any of them the process may be crashed, and any call may go wrong in the
//! ways that networks and other people have ([`Fault`]). An [`Oracle`] that shares no code with the controller sees
//! every effect and names what must never happen. Only a development dependency.
//!
//! Use inside of a current-thread runtime whose clock is paused (`#[tokio::test(start_paused = true)]`).

mod clock;
mod cloud;
mod connection;
mod fault;
mod oracle;
mod ports;
mod process;
mod scene;
mod store;
mod trust;
mod world;

pub use clock::{Random, SimClock};
pub use cloud::{Cloud, PolicyWrite};
pub use connection::{Connection, Data, Shared};
pub use fault::{Call, Fault, Faults};
pub use oracle::Oracle;
pub use process::Process;
pub use scene::{Filing, operator, org, person, project};
pub use store::{Store, Watching};
pub use trust::Trust;
pub use world::{Options, World};
