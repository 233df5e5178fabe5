//! What can go wrong with a side effect.

use std::time::Duration;

use curfew_ports::RetryClass;

use super::Effect;
use crate::fault::{Call, Fault};
use crate::store::Delivery;

/// How late a late effect lands: before, while and after others have acted.
const LATE: [Duration; 4] = [
    Duration::from_millis(15),
    Duration::from_millis(400),
    Duration::from_secs(3),
    Duration::from_secs(20),
];

/// The latest of them: afterwards nothing of a plan is under way any more.
pub(crate) const LATE_MAX: Duration = LATE[3];

/// How slow a slow call is: within, about and beyond the age at which a turn gives up.
const SLOW: [Duration; 3] =
    [Duration::from_millis(100), Duration::from_secs(4), Duration::from_secs(8)];

/// One way to go wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Mishap {
    /// The process dies before the effect.
    CrashBefore,
    /// The process dies after the effect, and with it the reply.
    CrashAfter,
    /// An error, and no effect.
    Error,
    /// The effect, and an error.
    ErrorAfter,
    /// An error, and the effect later, after others have acted.
    Late,
    /// A read that does not see the last change; after a change, the next read does not see it.
    Stale,
    /// The next event of the watch is lost.
    Drop,
    /// The next event of the watch comes twice.
    Double,
    /// The next event of the watch comes after the one that follows it.
    Reorder,
    /// The effect and the reply take long.
    Slow,
    /// The call is refused for good.
    Deny,
    /// The call is refused until later.
    Throttle,
}

/// What a mishap comes down to.
pub(crate) enum Blow {
    /// The call itself goes wrong.
    Call(Fault),
    /// What the call changes is not seen by the next read of it.
    Unseen,
    /// The watch goes wrong.
    Watch(Delivery),
}

impl Mishap {
    /// The seven faults of the grid, the watch's in its three ways.
    pub const GRID: [Self; 9] = [
        Self::CrashBefore,
        Self::CrashAfter,
        Self::Error,
        Self::ErrorAfter,
        Self::Late,
        Self::Stale,
        Self::Drop,
        Self::Double,
        Self::Reorder,
    ];

    /// Those, and what random plans do beyond them.
    pub const ALL: [Self; 12] = [
        Self::CrashBefore,
        Self::CrashAfter,
        Self::Error,
        Self::ErrorAfter,
        Self::Late,
        Self::Stale,
        Self::Drop,
        Self::Double,
        Self::Reorder,
        Self::Slow,
        Self::Deny,
        Self::Throttle,
    ];

    /// The name in plans and traces.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::CrashBefore => "crash-before",
            Self::CrashAfter => "crash-after",
            Self::Error => "error",
            Self::ErrorAfter => "error-after",
            Self::Late => "late",
            Self::Stale => "stale",
            Self::Drop => "drop",
            Self::Double => "double",
            Self::Reorder => "reorder",
            Self::Slow => "slow",
            Self::Deny => "deny",
            Self::Throttle => "throttle",
        }
    }

    /// Whether it does something at this side effect that no other mishap there, or the same one elsewhere, does.
    ///
    /// - A read has no effect: whether its answer is lost, late or refused, and whether the process dies before or
    ///   after it, is all the same.
    /// - What becomes of an event of the watch is decided where the document changes: the next event after any other
    ///   side effect is the one of the next such change.
    /// - The cloud answers who is eligible from what it is now; how old a judgement may be is for the oracle.
    pub fn is_new_at(self, effect: Effect) -> bool {
        match self {
            Self::CrashAfter | Self::ErrorAfter | Self::Late => effect.is_write(),
            Self::Stale => effect != Effect::LookUp,
            Self::Drop | Self::Double | Self::Reorder => effect.is_event(),
            Self::CrashBefore | Self::Error | Self::Slow | Self::Deny | Self::Throttle => true,
        }
    }

    /// Whether it holds nothing up for long: what it makes necessary comes within seconds.
    pub(crate) fn is_mild(self) -> bool {
        match self {
            Self::CrashBefore
            | Self::CrashAfter
            | Self::Error
            | Self::ErrorAfter
            | Self::Double => true,
            Self::Late
            | Self::Stale
            | Self::Drop
            | Self::Reorder
            | Self::Slow
            | Self::Deny
            | Self::Throttle => false,
        }
    }

    pub(crate) fn blow(self, call: Call, seed: u64) -> Blow {
        let one_of = |delays: &[Duration]| {
            let n = u64::try_from(delays.len()).unwrap_or(1);
            let at = usize::try_from(seed.checked_rem(n).unwrap_or(0)).unwrap_or_default();
            delays.get(at).copied().unwrap_or_default()
        };
        match self {
            Self::CrashBefore => Blow::Call(Fault::CrashBefore),
            Self::CrashAfter => Blow::Call(Fault::CrashAfter),
            Self::Error => Blow::Call(Fault::Refuse(RetryClass::Unavailable)),
            Self::ErrorAfter => Blow::Call(Fault::LoseReply),
            Self::Late => Blow::Call(Fault::Late(one_of(&LATE))),
            Self::Stale if call.is_write() => Blow::Unseen,
            Self::Stale => Blow::Call(Fault::Stale),
            Self::Drop => Blow::Watch(Delivery::Dropped),
            Self::Double => Blow::Watch(Delivery::Doubled),
            Self::Reorder => Blow::Watch(Delivery::Reordered),
            Self::Slow => Blow::Call(Fault::Slow(one_of(&SLOW))),
            Self::Deny => Blow::Call(Fault::Refuse(RetryClass::Denied)),
            Self::Throttle => {
                Blow::Call(Fault::Refuse(RetryClass::RateLimited(Some(Duration::from_secs(2)))))
            }
        }
    }
}
