//! The clients against a scripted server, and against the simulated cloud.

mod against_cloudsim;
mod assets;
mod calls;
mod catalog;
mod directory;
mod fake;
mod hostile;
mod kms;
mod kms_against_cloudsim;
mod members;
mod policies;
mod probe;
mod projects;
