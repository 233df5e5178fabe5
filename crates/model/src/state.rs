//! What there is at one moment: documents, the policy and writes on their way to it, controllers.

use std::collections::BTreeSet;

use crate::decide::{Held, Term};
use crate::document::{Document, Facts};

/// How many requests there are at most.
pub const REQUESTS_MAX: usize = 2;

/// Everything.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct State {
    /// The stored requests, all on one resource.
    pub requests: Vec<Stored>,
    /// That resource's policy.
    pub policy: Policy,
    /// What a stale read may still show. Kept only while one may come.
    pub former: BTreeSet<Policy>,
    /// Writes that nobody waits for any more and that may still land.
    pub late: BTreeSet<Policy>,
    /// The processes.
    pub controllers: Vec<Controller>,
    /// How many faults may still happen. See [`Step::is_fault`](crate::step::Step::is_fault).
    pub faults_left: u8,
    /// How often others have written the policy.
    pub foreign_writes: u8,
    /// Whether a commit has ever taken a fact away.
    pub has_lost_facts: bool,
    /// What has happened on the way here. Remembered only where the search is for witnesses.
    pub witnessed: BTreeSet<Event>,
}

/// One request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Stored {
    /// Its document.
    pub document: Document,
    /// Its time.
    pub term: Term,
}

/// The content of a policy.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Policy {
    /// What it holds of each request.
    pub ours: [Held; REQUESTS_MAX],
    /// What others have written: the number of their last write.
    pub foreign: u8,
}

impl Policy {
    /// What it holds of one request.
    pub fn held(&self, request: usize) -> Held {
        self.ours.get(request).copied().unwrap_or_default()
    }

    pub(crate) fn set(&mut self, request: usize, held: Held) {
        if let Some(slot) = self.ours.get_mut(request) {
            *slot = held;
        }
    }
}

/// An etag that somebody holds. None is ever used twice, so all that matters is whether the policy still bears it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Etag {
    /// It does.
    Current,
    /// It does not, and never will again.
    Old,
}

/// One process. Everything in it is lost in a crash.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Controller {
    /// The newest version of each document that it has learned.
    pub view: [Option<Document>; REQUESTS_MAX],
    /// What its actor is doing.
    pub turn: Turn,
}

/// The requests of a turn, each with the number of facts that were known before the policy was read.
pub type KnownBefore = [Option<usize>; REQUESTS_MAX];

/// Facts of a plan, by request, each with the version that was judged.
pub type Drafts = [Option<Draft>; REQUESTS_MAX];

/// One plan's facts, to be committed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Draft {
    /// The version that was judged.
    pub base: Document,
    /// What is added to it.
    pub facts: Facts,
}

/// Where an actor is in its turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Turn {
    /// Between turns.
    Idle,
    /// The policy was read.
    Read {
        /// The batch.
        known_before: KnownBefore,
        /// What was read.
        policy: Policy,
        /// With this etag.
        etag: Etag,
    },
    /// The documents were read again and decided on.
    Looked {
        /// The batch.
        known_before: KnownBefore,
        /// Facts still to be recorded.
        drafts: Drafts,
        /// What is to be written, if it differs from what was read.
        wanted: Option<Policy>,
        /// The etag of what was read.
        etag: Etag,
    },
    /// The write is on its way.
    Sent {
        /// The batch.
        known_before: KnownBefore,
        /// What is to be written.
        wanted: Policy,
        /// The etag that the write is conditional on.
        etag: Etag,
    },
    /// The write has happened, and its answer is on its way.
    Answered {
        /// The batch.
        known_before: KnownBefore,
        /// The answer.
        stored: Policy,
    },
    /// The documents were read and decided on once more.
    Closing {
        /// Facts still to be recorded.
        drafts: Drafts,
    },
}

impl Turn {
    /// The etag that the turn goes by.
    pub(crate) fn etag_mut(&mut self) -> Option<&mut Etag> {
        match self {
            Self::Read { etag, .. } | Self::Looked { etag, .. } | Self::Sent { etag, .. } => {
                Some(etag)
            }
            Self::Idle | Self::Answered { .. } | Self::Closing { .. } => None,
        }
    }

    /// Facts still to be recorded.
    pub fn drafts(&self) -> Option<&Drafts> {
        match self {
            Self::Looked { drafts, .. } | Self::Closing { drafts } => Some(drafts),
            Self::Idle | Self::Read { .. } | Self::Sent { .. } | Self::Answered { .. } => None,
        }
    }

    pub(crate) fn drafts_mut(&mut self) -> Option<&mut Drafts> {
        match self {
            Self::Looked { drafts, .. } | Self::Closing { drafts } => Some(drafts),
            Self::Idle | Self::Read { .. } | Self::Sent { .. } | Self::Answered { .. } => None,
        }
    }

    /// The turn is over as soon as nothing is left to be recorded or written.
    pub(crate) fn or_idle(self) -> Self {
        let is_recorded = self.drafts().is_some_and(|drafts| drafts.iter().all(Option::is_none));
        let writes = matches!(self, Self::Looked { wanted: Some(_), .. });
        if is_recorded && !writes { Self::Idle } else { self }
    }
}

/// Events that states do not tell by themselves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Event {
    /// A write landed that nobody waited for any more.
    LateLanding,
    /// A process died after its write had happened and before it had recorded what that means.
    CrashBeforeRecord,
    /// A write was refused for its etag.
    Conflict,
    /// A commit was refused because the document had changed.
    LostRace,
}
