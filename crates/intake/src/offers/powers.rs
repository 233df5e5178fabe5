//! What the offered roles give, as far as lists warn of it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use curfew_core::role::{Powers as OfRole, Role};

/// How long a role's permissions are believed: Google changes its own a few times a year, and filing looks anew.
const KNOWN_AGE_MAX: Duration = Duration::from_hours(1);

/// How soon a failed look-up is tried again.
const UNKNOWN_AGE_MAX: Duration = Duration::from_mins(1);

/// What is known of each role that was looked up.
#[derive(Clone, Default)]
pub(super) struct Powers(BTreeMap<Role, Read>);

#[derive(Clone)]
struct Read {
    at: Duration,
    of: Option<Short>,
}

/// The little that lists need of a role.
#[derive(Clone, Copy)]
pub(super) struct Short {
    is_dangerous: bool,
    touches_system: bool,
}

impl From<&OfRole> for Short {
    fn from(powers: &OfRole) -> Self {
        Self { is_dangerous: powers.is_dangerous, touches_system: powers.touches_system }
    }
}

/// A role that IAM does not know gives nothing.
pub(super) const GIVES_NOTHING: Short = Short { is_dangerous: false, touches_system: false };

impl Powers {
    /// `None` where it is not known.
    pub(super) fn is_dangerous(&self, role: &Role) -> Option<bool> {
        Some(self.0.get(role)?.of?.is_dangerous)
    }

    /// Whether the role is known to reach the system.
    pub(super) fn touches_system(&self, role: &Role) -> bool {
        self.0.get(role).and_then(|read| read.of).is_some_and(|of| of.touches_system)
    }

    /// Whether the role should be looked up again.
    pub(super) fn is_due(&self, role: &Role, now: Duration) -> bool {
        self.0.get(role).is_none_or(|read| {
            let age_max = if read.of.is_some() { KNOWN_AGE_MAX } else { UNKNOWN_AGE_MAX };
            now.saturating_sub(read.at) >= age_max
        })
    }

    /// Takes note of an answer; of a failed look-up (`None`) only where nothing was known.
    pub(super) fn set(&mut self, role: Role, of: Option<Short>, now: Duration) {
        let known = self.0.get(&role).and_then(|read| read.of);
        self.0.insert(role, Read { at: now, of: of.or(known) });
    }

    /// Forgets the roles that are offered no more.
    pub(super) fn keep(&mut self, offered: &BTreeSet<Role>) {
        self.0.retain(|role, _| offered.contains(role));
    }
}
