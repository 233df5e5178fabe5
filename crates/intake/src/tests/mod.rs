//! The whole router over fakes of the ports, behind a real IAP verifier with a key server of its own.

mod access;
mod approvals;
mod auth;
mod bad_input;
mod bad_rows;
mod elsewhere;
mod fakes;
mod filing;
mod front;
mod limits;
mod lists;
mod pages;
mod validation;
mod world;
