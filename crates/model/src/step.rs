//! What may happen next. The steps of a controller bear the names of its functions.

use std::fmt;

use crate::state::Policy;

/// One step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Somebody files an entry that ends the request.
    Withdraw {
        /// The request.
        request: usize,
    },
    /// A granted request's time moves on.
    Tick {
        /// The request.
        request: usize,
    },
    /// Somebody else writes the policy.
    ForeignWrite,
    /// A step of a process.
    Controller {
        /// The process.
        controller: usize,
        /// What it does.
        act: Act,
    },
    /// A policy write that nobody waits for any more happens after all.
    LandLate {
        /// What it writes.
        wanted: Policy,
    },
}

/// A step of a process, or of the cloud on its behalf.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Act {
    /// `View::learn`: the watch or the resync shows a newer version of a document.
    Learn {
        /// The request.
        request: usize,
    },
    /// `pass`: decide without a look at the policy, and record the facts that follow. Where none follow the real pass
    /// only puts the request into the mailbox; here a turn may be taken without that.
    Pass {
        /// The request.
        request: usize,
        /// What becomes of the commit.
        commit: Commit,
    },
    /// `take`: start a turn: count the facts that are known of each request of the batch, and read the policy.
    Take {
        /// The requests.
        batch: Batch,
        /// What the read shows, if it is stale.
        stale: Option<Policy>,
    },
    /// `look`: read the documents of the batch again, and decide with the policy that was read.
    Look {
        /// Whether grants that are not seen bound are given up.
        gives_up: bool,
    },
    /// `record_facts`, for one request of the turn.
    RecordFacts {
        /// The request.
        request: usize,
        /// What becomes of the commit.
        commit: Commit,
    },
    /// `write`: record the intent and send the write.
    Write,
    /// The cloud carries the write out, or refuses it for its etag.
    Land,
    /// `not_written` for want of an answer: the turn is over, and the write may land later or never.
    NotWritten,
    /// `after_write`: the write was answered; read the documents once more and decide with that.
    AfterWrite,
    /// The process dies and starts again.
    Crash,
}

impl Step {
    /// Whether this is one of the things that may go wrong only so often.
    pub fn is_fault(&self) -> bool {
        match self {
            Self::ForeignWrite => true,
            Self::Withdraw { .. } | Self::Tick { .. } | Self::LandLate { .. } => false,
            Self::Controller { act, .. } => match act {
                Act::Pass { commit, .. } | Act::RecordFacts { commit, .. } => {
                    *commit != Commit::Answered
                }
                Act::Take { stale, .. } => stale.is_some(),
                Act::Look { gives_up } => *gives_up,
                Act::NotWritten | Act::Crash => true,
                Act::Learn { .. } | Act::Write | Act::Land | Act::AfterWrite => false,
            },
        }
    }
}

/// What becomes of a commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Commit {
    /// It is answered: made, or refused because the document has changed.
    Answered,
    /// It is made, and the reply is lost.
    ReplyLost,
    /// It is not made, for no reason that lies in the document.
    Failed,
}

/// Some of the requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Batch(u8);

impl Batch {
    /// Every choice of at least one of `n` requests.
    pub fn all(n: usize) -> impl Iterator<Item = Self> {
        (1..1_u8 << n).map(Self)
    }

    /// All of `n` requests.
    pub fn whole(n: usize) -> Self {
        Self((1 << n) - 1)
    }

    /// Whether the request is among them.
    pub fn has(self, request: usize) -> bool {
        self.0 & (1 << request) != 0
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Withdraw { request } => write!(f, "withdraw r{request}"),
            Self::Tick { request } => write!(f, "tick r{request}"),
            Self::ForeignWrite => f.write_str("foreign write"),
            Self::Controller { controller, act } => write!(f, "c{controller} {act}"),
            Self::LandLate { wanted } => write!(f, "late write lands {:?}", wanted.ours),
        }
    }
}

impl fmt::Display for Act {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Learn { request } => write!(f, "learn r{request}"),
            Self::Pass { request, commit } => write!(f, "pass r{request}{commit}"),
            Self::Take { batch, stale: None } => write!(f, "take {batch}"),
            Self::Take { batch, stale: Some(_) } => write!(f, "take {batch} (stale read)"),
            Self::Look { gives_up: false } => f.write_str("look"),
            Self::Look { gives_up: true } => f.write_str("look (gives up)"),
            Self::RecordFacts { request, commit } => write!(f, "record_facts r{request}{commit}"),
            Self::Write => f.write_str("write"),
            Self::Land => f.write_str("write lands"),
            Self::NotWritten => f.write_str("not_written"),
            Self::AfterWrite => f.write_str("after_write"),
            Self::Crash => f.write_str("crash"),
        }
    }
}

impl fmt::Display for Commit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Answered => "",
            Self::ReplyLost => " (reply lost)",
            Self::Failed => " (failed)",
        })
    }
}

impl fmt::Display for Batch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let requests: Vec<String> = (0..8)
            .filter(|request| self.has(*request))
            .map(|request| format!("r{request}"))
            .collect();
        f.write_str(&requests.join("+"))
    }
}
