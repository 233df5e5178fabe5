//! The seams: traits that the shell implements and the controller and intake use.
//!
//! Every look-up that fails is an error value with a [`RetryClass`]; none is an empty answer. What a port takes
//! from outside (store, cloud) is untrusted until the crate `trust` or the core has judged it.

mod cloud;
mod error;
mod local;
mod store;

pub use cloud::{Catalog, Directory, NodeInfo, PolicyClient};
pub use error::{PortError, RetryClass};
pub use local::{
    Clock, Entropy, EnvelopeSigner, FactSealer, MessageSigner, SIGNATURE_BYTES, Verifier,
};
pub use store::{
    Committed, FactsCommit, Heartbeat, Intent, LedgerEntry, ListQuery, Page, RequestStore,
    ResourceRecord, StoredEnvelope, StoredFact, StoredRequest, Version, WatchEvent,
};
