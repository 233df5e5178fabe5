//! What was seen of the world for one decision.

use std::collections::{BTreeMap, BTreeSet};

use crate::apply::Refusal;
use crate::fact::OwnedBinding;
use crate::id::Nonce;
use crate::judge::Eligibility;
use crate::observe::ObservedBindings;
use crate::resource::Resource;

/// A look-up's result. A failed look-up is a value, never an empty answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Observed<T> {
    /// The world said this.
    Known(T),
    /// There is no answer; nothing may be concluded.
    Unknown(Unanswered),
}

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unanswered {
    /// Nobody asked: this pass does not need it, or whoever acts on it reads it anew anyway.
    NotAsked,
    /// The look-up failed, in these words.
    Failed(String),
}

impl<T> Observed<T> {
    /// The known value.
    pub fn known(&self) -> Option<&T> {
        match self {
            Self::Known(value) => Some(value),
            Self::Unknown(_) => None,
        }
    }
}

/// Everything that one decision looks at besides the request and the time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct World {
    /// The requester's eligibility, per role, judged on the live cloud.
    pub eligibility: Observed<Eligibility>,
    /// What the actors of entries are, as far as was asked; an absent nonce was not asked about.
    pub standing: BTreeMap<Nonce, Observed<Standing>>,
    /// What the policy holds now that is this request's.
    pub bindings: Observed<ObservedBindings>,
    /// Why the bindings of a grant would not fit into the policy now; `Known(None)` if they would.
    pub room: Observed<Option<Refusal>>,
    /// Where else bindings of ours bear the request's title although no fact records them.
    ///
    /// It is looked for where the stored document does not verify, and so may hide a grant; elsewhere it is known that
    /// there are none.
    pub strays: Observed<BTreeSet<Resource>>,
    /// In memory only: a policy write of this turn was answered.
    pub answered: Option<Answered>,
    /// In memory only: the policy's owner refused this request's bindings as such, in these words.
    pub refused: Option<String>,
}

/// What an actor is, beyond what the request itself says: for a directive an operator or nobody, for a decision a
/// peer or nobody.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// One of the configured operators.
    Operator,
    /// One who holds every eligibility that the request was filed under.
    Peer,
    /// A peer whose act is witnessed less strongly than this installation asks for.
    PeerByWeakEvidence,
    /// Nobody in particular.
    None,
}

/// A policy write that was answered with success.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answered {
    /// How many facts stood in the view that the turn started from, before the policy was read.
    pub facts_known_before_read: usize,
    /// The request's bindings that the written policy holds.
    pub left: BTreeSet<OwnedBinding>,
    /// How many further bindings of the request it holds: altered, or ours without a fact.
    pub left_altered: usize,
}
