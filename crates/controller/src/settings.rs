//! What an operator may set, and the limits that nobody may.

use std::collections::BTreeSet;
use std::time::Duration;

use chrono::TimeDelta;
use curfew_core::id::Installation;
use curfew_core::judge::Rules;
use curfew_core::principal::Email;

/// How the controller of one installation works.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The installation whose bindings are ours.
    pub installation: Installation,
    /// What may be granted at all.
    pub rules: Rules,
    /// Who may end access for others.
    pub operators: Operators,
    /// How many requests are worked on at a time. Each holds at most a few calls open.
    pub n_workers: usize,
    /// The longest time between two reads of the whole live set; at most 60 s.
    pub resync_every: Duration,
    /// How often the policies of resources with a live request are read.
    pub read_live_every: Duration,
    /// How often the policies of all other resources ever written are read.
    pub read_settled_every: Duration,
    /// How long an ended request's document is kept.
    pub keep_for: TimeDelta,
}

impl Settings {
    /// The usual intervals for an installation.
    pub fn new(installation: Installation, rules: Rules, operators: Operators) -> Self {
        Self {
            installation,
            rules,
            operators,
            n_workers: 16,
            resync_every: Duration::from_mins(1),
            read_live_every: Duration::from_mins(5),
            read_settled_every: Duration::from_hours(1),
            keep_for: TimeDelta::days(400),
        }
    }
}

/// Operators, as the configuration names them.
#[derive(Debug, Clone, Default)]
pub struct Operators {
    /// By address.
    pub people: BTreeSet<Email>,
    /// By group, judged live.
    pub groups: BTreeSet<Email>,
}
