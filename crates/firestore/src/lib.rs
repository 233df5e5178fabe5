//! The one `RequestStore`: Firestore, or any server that speaks its protocol.
//!
//! Writes are raw `Commit` calls of one write each, so that every one carries exactly its own precondition and field
//! mask: people's acts never collide with each other or with the controller, and the controller's commits are refused
//! where the document is not the version that was judged.
//!
//! # Guarantees
//!
//! - Every call ends: within [`CALL_TIME_MAX`] once [`RETRY_TIME_MAX`] is over. (A long list has no limit in all, but
//!   none of its parts is waited for any longer.)
//! - A write that is repeated repeats the same bytes; its success is reported once and truly: where the first attempt's
//!   answer was lost, the document is read to see whose write it shows.
//! - Documents are decoded part by part: what is malformed is left out or empty, so that it does not verify, and
//!   spoils nothing beside it.
//!
//! # Caveats
//!
//! - [`curfew_ports::RequestStore::watch_live`] is a hint. A peer that dies silently is noticed after 60 s, and given
//!   up with its connection after 120 s more at the latest; the controller's full query every 60 s bounds what that costs.
//! - A list by several filters at once is served by the index of the first and may come in short pages.

mod answer;
mod connect;
mod document;
mod list;
mod names;
mod probe;
mod query;
mod reducer;
mod resources;
mod rpc;
mod store;
mod value;
mod watch;

pub use connect::{
    Auth, BearerToken, CALL_TIME_MAX, CONNECT_TIME_MAX, ConnectError, RETRY_TIME_MAX, StoreOptions,
};
pub use probe::ProbedQuery;
pub use store::FirestoreStore;
