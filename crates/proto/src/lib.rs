//! The wire contract: generated messages, proto3 JSON, native store values, RFC 8785 payloads.
//!
//! `proto/curfew/v1/*.proto` is the one schema. One walker over its descriptors serves JSON ([`json`]) and store
//! values ([`native`]); what is signed and macced is the canonical JSON of its payload messages ([`payload`]).
//! [`convert`] leads to and from the types of `curfew-core`.

use std::sync::LazyLock;

use prost_reflect::DescriptorPool;

pub mod convert;
pub mod duration;
pub mod json;
pub mod native;
pub mod payload;
mod walk;

pub use duration::parse_duration;

/// The messages of the package `curfew.v1`; the `.proto` files document them.
pub mod v1 {
    #![allow(clippy::all, clippy::pedantic, missing_docs, reason = "generated")]
    include!(concat!(env!("OUT_DIR"), "/curfew.v1.rs"));
}

/// The encoded `google.protobuf.FileDescriptorSet` of the contract: imports, comments and HTTP annotations included.
pub const DESCRIPTOR_SET: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));

/// The decoded descriptors of the contract.
pub static DESCRIPTOR_POOL: LazyLock<DescriptorPool> = LazyLock::new(|| {
    DescriptorPool::decode(DESCRIPTOR_SET).expect("the build encoded these bytes itself")
});
