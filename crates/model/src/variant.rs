//! The protocol as it is, and with one rule left out at a time.

/// Which protocol the controllers follow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Variant {
    /// The real one.
    Real,
    /// After `OUTCOME`, a read that shows none of the request's bindings ends it, also before its natural end.
    ReadEndsBeforeExpiry,
    /// A turn that was started after `OUTCOME`, sees none of the request's bindings and therefore sends nothing ends it
    /// as if a write had been answered.
    NothingSeenNeedsNoWrite,
    /// After `OUTCOME`, a turn that sees none of the request's bindings sends nothing, and waits.
    NoFence,
    /// Policy writes carry no etag.
    NoEtag,
    /// An answered write ends a request also if `OUTCOME` was not known before the read of its turn.
    UnknowingWriteCounts,
    /// The mailbox holds edits instead of ids: a turn does what was decided on a view of the document, and does not read
    /// the document again.
    MailboxHoldsEdits,
    /// Facts are committed without the precondition on the version that was judged.
    UnconditionalCommit,
}
