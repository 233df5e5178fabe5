//! Nothing goes wrong on demand: the feature `faults` is off.
#![expect(
    clippy::unused_self,
    clippy::unnecessary_wraps,
    clippy::needless_pass_by_ref_mut,
    reason = "the same shape as with the feature"
)]

use std::future::{Pending, Ready, pending, ready};

use crate::{Method, refusal::Refusal};

/// What goes wrong with an open Listen stream.
#[derive(Clone, Copy, Debug)]
#[expect(dead_code, reason = "nothing does")]
pub(crate) enum StreamFault {
    Drop,
    Reset,
}

/// No faults.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Faults(());

/// No faults of one stream.
pub(crate) struct StreamFaults;

/// No fault has struck.
pub(crate) struct Struck;

impl Faults {
    pub(crate) fn before(self, _: Method) -> Ready<Result<Struck, Refusal>> {
        ready(Ok(Struck))
    }

    pub(crate) fn stream(self) -> StreamFaults {
        StreamFaults
    }
}

impl StreamFaults {
    pub(crate) fn next(&mut self) -> Pending<StreamFault> {
        pending()
    }
}

impl Struck {
    pub(crate) fn after<T>(self, answer: T) -> Result<T, Refusal> {
        Ok(answer)
    }
}
