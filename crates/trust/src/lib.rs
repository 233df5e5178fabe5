//! What may be believed, and who says so: envelopes, signatures, macs, tags and IAP assertions.
//!
//! Intake signs people's acts ([`KeyFileSigner`], or [`RemoteSigner`] with a key in Cloud KMS) after [`IapVerifier`] has said who they are. The
//! controller believes of a stored request only what [`StoreVerifier`] verified, and seals what it establishes with
//! [`Sealer`]. Everything here is total on untrusted input: what does not verify is a named rejection.

mod envelope;
mod facts;
mod file;
pub mod iap;
pub mod keys;
mod remote;
#[cfg(test)]
mod scene;
mod signer;
#[cfg(test)]
mod vectors;
mod verifier;

pub use facts::{FACTS_KEY_BYTES, FactsKey, Sealer};
pub use file::{KEY_BYTES, KeyFileError, fresh_key_bits, read_key_bits};
pub use iap::{Assertion, IapConfig, IapConfigError, IapError, IapVerifier};
pub use keys::{KeyConfig, KeySet, KeySetError, PublicKey, PublicKeyError, Verb};
pub use remote::{RemoteSigner, RemoteSignerError};
pub use signer::{KeyFileSigner, derived_key_input, generate_key_file};
pub use verifier::{EnvelopeVerifier, StoreVerifier, entries_without_nonce};
