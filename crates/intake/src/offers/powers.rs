//! What the offered roles give, as far as lists warn of it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use curfew_core::judge::RoleKnown;
use curfew_core::role::{Powers as OfRole, Role};

/// How long a role's permissions are believed: Google changes its own a few times a year, and filing looks anew.
const KNOWN_AGE_MAX: Duration = Duration::from_hours(1);

/// How soon a failed look-up is tried again, or a role looked for that did not exist.
const UNKNOWN_AGE_MAX: Duration = Duration::from_mins(1);

/// What is known of each role that was looked up.
#[derive(Clone, Default)]
pub(super) struct Powers(BTreeMap<Role, Read>);

#[derive(Clone)]
struct Read {
    at: Duration,
    of: RoleKnown,
}

/// What IAM said of a role; `None`: it does not know it.
pub(super) fn known(answer: Option<&OfRole>) -> RoleKnown {
    answer.map_or(RoleKnown::Nonexistent, |powers| RoleKnown::Gives {
        is_dangerous: powers.is_dangerous,
        touches_system: powers.touches_system,
    })
}

impl Powers {
    pub(super) fn of(&self, role: &Role) -> RoleKnown {
        self.0.get(role).map_or(RoleKnown::Unread, |read| read.of)
    }

    /// Whether the role should be looked up again.
    pub(super) fn is_due(&self, role: &Role, now: Duration) -> bool {
        self.0.get(role).is_none_or(|read| {
            // A role that does not exist may be made at any time.
            let age_max = match read.of {
                RoleKnown::Gives { .. } => KNOWN_AGE_MAX,
                RoleKnown::Unread | RoleKnown::Nonexistent => UNKNOWN_AGE_MAX,
            };
            now.saturating_sub(read.at) >= age_max
        })
    }

    /// Takes note of an answer; of a failed look-up (`Unread`) only where nothing was known.
    pub(super) fn set(&mut self, role: Role, answer: RoleKnown, now: Duration) {
        let of = if answer == RoleKnown::Unread { self.of(&role) } else { answer };
        self.0.insert(role, Read { at: now, of });
    }

    /// Forgets the roles that are offered no more.
    pub(super) fn keep(&mut self, offered: &BTreeSet<Role>) {
        self.0.retain(|role, _| offered.contains(role));
    }
}
