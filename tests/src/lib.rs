//! End-to-end, emulator and real-process tests; all of them in one binary, each listed by its own name.

#[cfg(test)]
mod browser;
#[cfg(test)]
mod conformance;
#[cfg(test)]
mod e2e;
#[cfg(test)]
mod eventually;
#[cfg(test)]
mod gcloud;
#[cfg(test)]
mod store;
