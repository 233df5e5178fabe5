//! What must hold in every state, and what must be possible. The names are those of the design's safety list.

use stateright::Property;

use crate::decide::{Held, Term};
use crate::document::{Ending, Fact, Facts};
use crate::model::Protocol;
use crate::settle;
use crate::state::{Event, State, Stored, Turn};

/// S1
pub const NO_BINDING_WITHOUT_A_GRANT: &str = "S1: a binding stands only with a recorded grant";
/// S3
pub const FOREIGN_PART_IS_UNTOUCHED: &str = "S3: what others wrote stands as they wrote it";
/// S4
pub const ACTIVE_GRANT_KEEPS_ITS_BINDING: &str =
    "S4: an active grant keeps its binding until its end";
/// S6
pub const ENDED_NEVER_COMES_BACK: &str = "S6: an ended request never comes back";
/// Facts are append-only.
pub const FACTS_ONLY_GROW: &str = "facts only grow";
/// The chain is in order, and each fact stands once.
pub const FACTS_ARE_IN_ORDER: &str =
    "each fact stands once and in its place, and nothing after ENDED";
/// L1
pub const SETTLES: &str = "L1: once faults stop, one controller or all of them settle everything";

/// What must never be broken.
pub fn safety() -> Vec<Property<Protocol>> {
    vec![
        Property::always(NO_BINDING_WITHOUT_A_GRANT, |_, state| {
            each(state, |stored, held| held == Held::Nothing || stored.document.has(Fact::Grant))
        }),
        Property::always(FOREIGN_PART_IS_UNTOUCHED, |_, state: &State| {
            state.policy.foreign == state.foreign_writes
        }),
        Property::always(ACTIVE_GRANT_KEEPS_ITS_BINDING, |_, state| {
            each(state, |stored, held| {
                held == Held::Live || !stored.document.is_active() || stored.term != Term::Running
            })
        }),
        Property::always(ENDED_NEVER_COMES_BACK, |_, state| {
            each(state, |stored, held| {
                held != Held::Live
                    || stored.document.ended().is_none()
                    || stored.term != Term::Running
            })
        }),
        Property::always(FACTS_ONLY_GROW, |_, state: &State| !state.has_lost_facts),
        Property::always(FACTS_ARE_IN_ORDER, |_, state| {
            each(state, |stored, _| are_in_order(stored.document.facts))
        }),
    ]
}

/// What must hold of every state if faults stop there.
pub fn settling() -> Vec<Property<Protocol>> {
    vec![Property::always(SETTLES, settle::settles)]
}

/// What must be possible, lest the safety be that of a system in which nothing happens.
pub fn witnesses() -> Vec<Property<Protocol>> {
    vec![
        Property::sometimes("a grant reaches BOUND", |_, state| {
            any(state, |stored| stored.document.has(Fact::Bound))
        }),
        Property::sometimes("an active grant is ended early by an answered write", |_, state| {
            any(state, |stored| {
                stored.document.has(Fact::Bound) && ended(*stored, Ending::Answered)
            })
        }),
        Property::sometimes(
            "a grant that was never bound is ended early by an answered write",
            |_, state| {
                any(state, |stored| {
                    !stored.document.has(Fact::Bound) && ended(*stored, Ending::Answered)
                })
            },
        ),
        Property::sometimes("a grant ends naturally and is seen gone", |_, state| {
            any(state, |stored| {
                stored.document.has(Fact::Bound)
                    && !stored.document.is_withdrawn
                    && ended(*stored, Ending::SeenGone)
            })
        }),
        Property::sometimes("a request ends without a grant", |_, state| {
            any(state, |stored| ended(*stored, Ending::NeverGranted))
        }),
        Property::sometimes("a fence stands", |_, state: &State| {
            (0..state.requests.len()).any(|request| state.policy.held(request) == Held::Dead)
        }),
        Property::sometimes("a write lands late", |_, state: &State| {
            state.witnessed.contains(&Event::LateLanding)
        }),
        Property::sometimes("a late write lands while its access is over", |_, state: &State| {
            state.witnessed.contains(&Event::LateLanding)
                && (0..state.requests.len()).any(|request| {
                    let is_over = |stored: &Stored| stored.document.has(Fact::Outcome);
                    state.policy.held(request) == Held::Live
                        && state.requests.get(request).is_some_and(is_over)
                })
        }),
        Property::sometimes("a crash between a write and its record", |_, state: &State| {
            state.witnessed.contains(&Event::CrashBeforeRecord)
        }),
        Property::sometimes("a write is refused for its etag", |_, state: &State| {
            state.witnessed.contains(&Event::Conflict)
        }),
        Property::sometimes("a commit loses its race", |_, state: &State| {
            state.witnessed.contains(&Event::LostRace)
        }),
        Property::sometimes("two turns wait for their writes at once", |_, state: &State| {
            let sent = |turn: &Turn| matches!(turn, Turn::Sent { .. });
            state.controllers.iter().filter(|process| sent(&process.turn)).count() > 1
        }),
    ]
}

fn each(state: &State, holds: impl Fn(&Stored, Held) -> bool) -> bool {
    let requests = state.requests.iter().enumerate();
    requests
        .map(|(request, stored)| (stored, state.policy.held(request)))
        .all(|(stored, held)| holds(stored, held))
}

fn any(state: &State, holds: impl Fn(&Stored) -> bool) -> bool {
    state.requests.iter().any(holds)
}

fn ended(stored: Stored, how: Ending) -> bool {
    stored.document.ended() == Some(how)
}

fn are_in_order(facts: Facts) -> bool {
    let at = |fact: Fact| facts.iter().position(|other| other == fact);
    let is_once = facts.iter().enumerate().all(|(index, fact)| at(fact) == Some(index));
    let ended = facts.iter().position(|fact| matches!(fact, Fact::Ended(_)));
    let ends_last = ended.is_none_or(|index| index.saturating_add(1) == facts.len());
    let ends_over = ended.is_none() || at(Fact::Outcome).is_some();
    let granted_first =
        at(Fact::Bound).is_none_or(|bound| at(Fact::Grant).is_some_and(|grant| grant < bound));
    let granted_before_over = match (at(Fact::Grant), at(Fact::Outcome)) {
        (Some(grant), Some(outcome)) => grant < outcome,
        (None | Some(_), None) | (None, Some(_)) => true,
    };
    is_once && ends_last && ends_over && granted_first && granted_before_over
}
