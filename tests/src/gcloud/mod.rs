//! Google's own command line against the simulated cloud: it reads and writes what Curfew reads and writes, and knows
//! nothing of Curfew.

mod catalog;
mod cli;
mod foreign_writer;
mod keys;
mod policies;
mod roles;
