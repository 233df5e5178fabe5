//! Assertions whose signature was verified already: a browser sends the same one with every request.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use chrono::{DateTime, Utc};
use curfew_core::id::Digest;

use super::claims::Claims;

/// The most assertions that are remembered: one per signed-in browser of ten minutes, about 1 KiB each.
const VERDICTS_MAX: usize = 4_096;

/// Claims of verified assertions by the assertion's SHA-256. What depends on the time is not remembered.
#[derive(Default)]
pub(super) struct Verdicts {
    by_digest: Mutex<BTreeMap<Digest, Claims>>,
}

impl Verdicts {
    pub(super) fn get(&self, digest: &Digest) -> Option<Claims> {
        self.lock().get(digest).cloned()
    }

    /// Remembers a verdict. If there is no room, what is over goes first, and then everything: all of it can be
    /// verified again.
    pub(super) fn put(&self, digest: Digest, claims: Claims, now: DateTime<Utc>) {
        let mut by_digest = self.lock();
        if by_digest.contains_key(&digest) {
            return;
        }
        if by_digest.len() >= VERDICTS_MAX {
            by_digest.retain(|_, claims| !claims.is_over(now));
        }
        if by_digest.len() >= VERDICTS_MAX {
            by_digest.clear();
        }
        by_digest.insert(digest, claims);
    }

    /// A panic elsewhere cannot have left the map half-changed.
    fn lock(&self) -> MutexGuard<'_, BTreeMap<Digest, Claims>> {
        self.by_digest.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
