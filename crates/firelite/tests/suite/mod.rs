mod aggregating;
mod batching;
mod faulting;
#[cfg(target_os = "linux")]
mod filling;
mod killing;
mod limits;
mod listening;
mod listing;
mod measuring;
mod process;
mod querying;
mod reading;
mod serving;
mod support;
mod transacting;
mod writing;
