//! End-to-end, emulator and real-process tests; all of them in one binary, each listed by its own name.

#[cfg(test)]
mod e2e;
#[cfg(test)]
mod eventually;
#[cfg(test)]
mod store;
