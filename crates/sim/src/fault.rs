//! What goes wrong with a call, and when.

use std::time::Duration;

use curfew_ports::RetryClass;

use crate::clock::Random;

/// The calls of the controller to the world outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Call {
    /// Reading requests by id.
    Get,
    /// Reading the live set.
    Live,
    /// Committing facts.
    Commit,
    /// Recording that a policy write begins.
    OpenIntent,
    /// Recording that policy writes are over.
    CloseIntents,
    /// Reading the resources ever written.
    Resources,
    /// Adding to the ledger.
    Ledger,
    /// Showing that a process is alive.
    Beat,
    /// Taking back a process's sign of life.
    Retire,
    /// Reading a policy to write it.
    ReadPolicy,
    /// Writing a policy.
    WritePolicy,
    /// Asking where a resource lies.
    Ancestry,
    /// Reading a policy to judge by it.
    JudgePolicy,
    /// Asking what a role permits.
    Permissions,
    /// Asking whether somebody is in a group.
    Membership,
}

impl Call {
    /// Whether the call changes anything outside.
    pub fn is_write(self) -> bool {
        match self {
            Self::Commit
            | Self::OpenIntent
            | Self::CloseIntents
            | Self::Ledger
            | Self::Beat
            | Self::Retire
            | Self::WritePolicy => true,
            Self::Get
            | Self::Live
            | Self::Resources
            | Self::ReadPolicy
            | Self::Ancestry
            | Self::JudgePolicy
            | Self::Permissions
            | Self::Membership => false,
        }
    }
}

/// How a call goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// An error, and no effect.
    Refuse(RetryClass),
    /// The effect, and an error.
    LoseReply,
    /// An error at once, and the effect this much later, whatever happened meanwhile.
    Late(Duration),
    /// An answer as it was before the last change, if that change is fresh.
    Stale,
    /// The effect and the answer, this much later.
    Slow(Duration),
}

struct Rule {
    call: Call,
    about: String,
    fault: Fault,
    times: usize,
}

/// The faults to come.
#[derive(Default)]
pub struct Faults {
    rules: Vec<Rule>,
    /// One call in so many goes wrong; 0 for none.
    one_in: u64,
}

impl Faults {
    /// The next call of this kind about anything that contains `about` goes wrong.
    pub fn once(&mut self, call: Call, about: &str, fault: Fault) {
        self.times(call, about, fault, 1);
    }

    /// The next `times` such calls go wrong.
    pub fn times(&mut self, call: Call, about: &str, fault: Fault, times: usize) {
        self.rules.push(Rule { call, about: about.into(), fault, times });
    }

    /// All such calls go wrong.
    pub fn always(&mut self, call: Call, about: &str, fault: Fault) {
        self.times(call, about, fault, usize::MAX);
    }

    /// One call in `n` goes wrong in a random way.
    pub fn one_in(&mut self, n: u64) {
        self.one_in = n;
    }

    /// Nothing goes wrong any more.
    pub fn clear(&mut self) {
        *self = Self::default();
    }

    pub(crate) fn pick(&mut self, call: Call, about: &str, random: &Random) -> Option<Fault> {
        let is_meant =
            |rule: &&mut Rule| rule.times > 0 && rule.call == call && about.contains(&rule.about);
        if let Some(rule) = self.rules.iter_mut().find(is_meant) {
            rule.times = rule.times.saturating_sub(1);
            return Some(rule.fault);
        }
        (self.one_in > 0 && random.below(self.one_in) == 0).then(|| any(call, random))
    }
}

fn any(call: Call, random: &Random) -> Fault {
    match (random.below(6), call.is_write()) {
        (0, _) => Fault::Refuse(RetryClass::Unavailable),
        (1, _) => Fault::Refuse(RetryClass::RateLimited(Some(random.millis_below(4_000)))),
        (2, _) => Fault::Slow(random.millis_below(8_000)),
        (3, true) => Fault::Refuse(RetryClass::Conflict),
        (3 | 4, false) => Fault::Stale,
        (4, true) => Fault::LoseReply,
        (_, true) => Fault::Late(random.millis_below(20_000)),
        (_, false) => Fault::Refuse(RetryClass::Denied),
    }
}
