//! The side effects: the places where a plan can strike.

use crate::fault::Call;

/// A change of the world outside, or a look at it that a decision rests on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Effect {
    /// Intake writes a request.
    File,
    /// Intake writes somebody's act.
    Act,
    /// Facts are committed before the policy write that they ask for.
    Commit,
    /// A policy write is announced.
    Intent,
    /// A turn reads the policy.
    Read,
    /// A turn reads its requests again.
    Reread,
    /// A policy is written with something added.
    Add,
    /// A policy is written with something removed and nothing added.
    Remove,
    /// Facts are committed after the policy write that they report.
    Bound,
    /// `ENDED` is committed.
    Ending,
    /// A process shows that it is alive.
    Beat,
    /// The announcement of a policy write is taken back.
    CloseIntent,
    /// The whole live set is read.
    Resync,
    /// The cloud is asked who is eligible.
    LookUp,
}

impl Effect {
    /// All of them.
    pub const ALL: [Self; 14] = [
        Self::File,
        Self::Act,
        Self::Commit,
        Self::Intent,
        Self::Read,
        Self::Reread,
        Self::Add,
        Self::Remove,
        Self::Bound,
        Self::Ending,
        Self::Beat,
        Self::CloseIntent,
        Self::Resync,
        Self::LookUp,
    ];

    /// The name in plans and traces.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::File => "file",
            Self::Act => "act",
            Self::Commit => "commit",
            Self::Intent => "intent",
            Self::Read => "read",
            Self::Reread => "reread",
            Self::Add => "add",
            Self::Remove => "remove",
            Self::Bound => "bound",
            Self::Ending => "ending",
            Self::Beat => "beat",
            Self::CloseIntent => "close-intent",
            Self::Resync => "resync",
            Self::LookUp => "look-up",
        }
    }

    /// Whether something outside is changed by it, and not only looked at.
    pub(crate) fn is_write(self) -> bool {
        !matches!(self, Self::Read | Self::Reread | Self::Resync | Self::LookUp)
    }

    /// Whether it changes a request's document, which the watch tells of.
    pub(crate) fn is_event(self) -> bool {
        matches!(self, Self::File | Self::Act | Self::Commit | Self::Bound | Self::Ending)
    }

    /// What a call is, if that does not depend on what it carries.
    pub(crate) fn of(call: Call) -> Option<Self> {
        match call {
            Call::Create => Some(Self::File),
            Call::AddEntry => Some(Self::Act),
            Call::OpenIntent => Some(Self::Intent),
            Call::ReadPolicy => Some(Self::Read),
            Call::Get => Some(Self::Reread),
            Call::Beat => Some(Self::Beat),
            Call::CloseIntents => Some(Self::CloseIntent),
            Call::Live => Some(Self::Resync),
            Call::JudgePolicy | Call::Membership | Call::Ancestry | Call::Permissions => {
                Some(Self::LookUp)
            }
            Call::Commit | Call::WritePolicy | Call::Resources | Call::Ledger | Call::Retire => {
                None
            }
        }
    }

    /// The place in a table by side effect.
    pub(crate) fn index(self) -> usize {
        Self::ALL.iter().position(|effect| *effect == self).unwrap_or_default()
    }
}
