//! Simulation of the controller: the real one, over fake ports, in one thread under virtual time.
//!
//! Everything outside of the controller is here: a store, a cloud, keys, a clock. Each call of a port has a moment
//! before and a moment after its effect; at any of them the process may be crashed, and any call may go wrong in the
//! ways that networks and other people have ([`Fault`]). An [`Oracle`] that shares no code with the controller sees
//! every effect and names what must never happen. Only a development dependency.
//!
//! Two ways in: [`run`] plays a [`Workload`] under a [`Plan`] of faults and judges what comes of it; a test that wants
//! to say each step itself makes a [`World`] inside of a current-thread runtime whose clock is paused
//! (`#[tokio::test(start_paused = true)]`).

#[cfg(feature = "planted-bugs")]
mod bugs;
mod clock;
mod cloud;
mod connection;
mod fault;
mod nodes;
mod oracle;
mod plan;
mod ports;
mod process;
mod run;
mod scene;
mod shrink;
mod store;
mod trace;
mod trust;
mod workload;
mod world;

#[cfg(feature = "planted-bugs")]
pub use bugs::{Bug, Catch};
pub use clock::{Random, SimClock};
pub use cloud::{Cloud, PolicyWrite};
pub use connection::{Connection, Data, Shared};
pub use fault::{Call, Fault, Faults};
pub use nodes::{folder_above, folder_beside, folder_of_keys, keys, org, project, system};
pub use oracle::{Commit, Invariant, Oracle, Violation};
pub use plan::{Effect, Mishap, ParseError, Plan, Step, pairs, singles};
pub use process::Process;
pub use run::{Detail, Run, run};
pub use scene::{Filing, disguised, operator, person};
pub use shrink::shrink;
pub use store::{Backup, Store, Watching};
pub use trace::{Trace, Who};
pub use trust::{FORMER_KEY, SESSION_KEY, Trust, WRITER_KEY};
pub use workload::{Trials, Workload};
pub use world::{Decision, Options, Signed, World};
