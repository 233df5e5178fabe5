//! The demo as real processes: what people see, what the cloud holds, and what survives a kill.

mod demo;
mod ends;
mod flow;
mod forgery;
mod kill;
