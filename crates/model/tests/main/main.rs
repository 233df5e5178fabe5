//! The searches, each through every state within its bounds, and what ties the model to the code.
#![cfg(test)]

mod alice;
mod conformance;
mod names;
mod refuted;
mod support;
mod verified;
mod witnesses;
