//! The decision about one request: what `curfew_core::reconcile` answers, in the model's terms.

use crate::document::{Document, Ending, Fact, Facts};
use crate::state::{Policy, REQUESTS_MAX};
use crate::variant::Variant;

/// Where the time stands for one request, once it is granted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Term {
    /// Before `expiresAt`: the live binding gives access.
    Running,
    /// From `expiresAt` on: it no longer does.
    AtEnd,
    /// From `expiresAt` + 5 s on: a read that shows nothing is believed.
    Over,
}

/// What a policy holds of one request.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Held {
    /// Nothing.
    #[default]
    Nothing,
    /// The binding that gives access until its end.
    Live,
    /// The binding whose end is its start.
    Dead,
}

/// What one decision looks at besides the document.
#[derive(Debug, Clone, Copy)]
pub struct Sight {
    /// The time.
    pub term: Term,
    /// What the policy holds of the request; `None` if nobody asked.
    pub seen: Option<Held>,
    /// If what was seen is the answer to a policy write: how many facts were known before that turn read the policy.
    pub answered: Option<usize>,
    /// Whether the activation deadline has passed by this controller's clock, or the binding was refused as such.
    pub gives_up: bool,
}

/// What to record, or else what the policy should hold.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Plan {
    /// To be recorded in one commit.
    pub facts: Facts,
    /// What is to be written.
    pub edit: Option<Edit>,
}

/// A change of the policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Edit {
    /// The policy should hold just this of the request.
    Difference(Held),
    /// The dead form, if the turn writes nothing else.
    Fence,
}

/// Decides.
pub fn decide(document: Document, sight: Sight, variant: Variant) -> Plan {
    let facts = new_facts(document, sight, variant);
    let edit = if facts.is_empty() { edit(document, sight, variant) } else { None };
    Plan { facts, edit }
}

/// As `reconcile::facts::next`.
fn new_facts(document: Document, sight: Sight, variant: Variant) -> Facts {
    if document.ended().is_some() {
        return Facts::default();
    }
    let mut draft = document;
    if draft.is_withdrawn && !draft.has(Fact::Seen) {
        draft.record(Fact::Seen);
    }
    let is_unbound = draft.has(Fact::Grant) && !draft.has(Fact::Bound) && !draft.has(Fact::Outcome);
    if is_unbound && sight.seen == Some(Held::Live) {
        draft.record(Fact::Bound);
    }
    let cannot_be_activated = is_unbound && !draft.has(Fact::Bound) && sight.gives_up;
    if !draft.has(Fact::Outcome) && (draft.has(Fact::Seen) || cannot_be_activated) {
        draft.record(Fact::Outcome);
    }
    if !draft.has(Fact::Outcome) && !draft.has(Fact::Grant) {
        draft.record(Fact::Grant);
    }
    if let Some(how) = ending(draft, sight, variant) {
        if !draft.has(Fact::Outcome) {
            draft.record(Fact::Outcome);
        }
        draft.record(Fact::Ended(how));
    }
    draft.facts.after(document.facts.len())
}

/// As `reconcile::outcome::ending`.
fn ending(draft: Document, sight: Sight, variant: Variant) -> Option<Ending> {
    let is_clear = sight.seen == Some(Held::Nothing);
    let outcome_at = draft.outcome_at();
    if !draft.has(Fact::Grant) {
        // What is seen of it all the same has to go first.
        let is_bare = sight.seen.is_none_or(|held| held == Held::Nothing);
        return outcome_at.filter(|_| is_bare).map(|at| {
            let is_removed = sight.answered.is_some_and(|known| known >= at);
            if is_removed { Ending::Answered } else { Ending::NeverGranted }
        });
    }
    let believes_reads = variant == Variant::ReadEndsBeforeExpiry && outcome_at.is_some();
    if sight.term == Term::Over || believes_reads {
        return is_clear.then_some(Ending::SeenGone);
    }
    let knew = variant == Variant::UnknowingWriteCounts
        || sight.answered.is_some_and(|known| outcome_at.is_some_and(|at| known >= at));
    (outcome_at.is_some() && sight.answered.is_some() && knew && is_clear)
        .then_some(Ending::Answered)
}

/// As `reconcile::desired::difference`, for a policy that was read.
fn edit(document: Document, sight: Sight, variant: Variant) -> Option<Edit> {
    let seen = sight.seen?;
    let nothing = (seen != Held::Nothing).then_some(Edit::Difference(Held::Nothing));
    if !document.has(Fact::Grant) || document.ended().is_some() || sight.term == Term::Over {
        return nothing;
    }
    if document.has(Fact::Outcome) {
        let fences = !matches!(variant, Variant::NothingSeenNeedsNoWrite | Variant::NoFence);
        return nothing.or(fences.then_some(Edit::Fence));
    }
    if document.has(Fact::Bound) || sight.term != Term::Running {
        return nothing.filter(|_| seen == Held::Dead);
    }
    Some(Edit::Difference(Held::Live))
}

/// The policy that a turn writes, as `apply::apply_edits` makes it: fences are written only if nothing else is.
pub fn apply_edits(read: Policy, edits: [Option<Edit>; REQUESTS_MAX]) -> Policy {
    let (mut next, mut fenced) = (read, read);
    for (request, edit) in edits.into_iter().enumerate() {
        match edit {
            Some(Edit::Difference(held)) => next.set(request, held),
            Some(Edit::Fence) => fenced.set(request, Held::Dead),
            None => {}
        }
    }
    if next == read { fenced } else { next }
}
