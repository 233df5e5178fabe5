//! Drives the server over loopback with the raw generated client of `gcloud-sdk`.

#![allow(
    clippy::unwrap_used,
    clippy::unwrap_in_result,
    clippy::panic,
    reason = "the helpers of tests may panic as tests do"
)]

mod suite;
