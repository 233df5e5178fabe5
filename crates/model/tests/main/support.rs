//! Running a search to its end.

use std::time::Instant;

use curfew_model::model::{Protocol, Search, Start};
use curfew_model::state::{Controller, State};
use curfew_model::variant::Variant;
use stateright::{Checker, Expectation, HasDiscoveries, Model};

/// How many threads an exhaustive search uses.
const THREADS: usize = 2;

/// The real protocol, searched for breaches of safety.
pub(crate) fn real(n_controllers: usize, n_requests: usize, faults: u8) -> Protocol {
    Protocol {
        n_controllers,
        n_requests,
        start: Start::Filed,
        faults,
        variant: Variant::Real,
        search: Search::Safety,
    }
}

/// Explores everything and finds every property kept; gives how many states there are, up to which process is which.
#[track_caller]
#[expect(clippy::disallowed_methods, reason = "the time is for the report")]
pub(crate) fn verify(protocol: Protocol) -> usize {
    let started = Instant::now();
    let checker = protocol.checker().threads(THREADS).symmetry_fn(sorted).spawn_dfs().join();
    let (n_states, depth) = (checker.unique_state_count(), checker.max_depth());
    let (n_steps, took) = (checker.state_count(), started.elapsed());
    report(&format!("{protocol:?}: {n_states} states, {n_steps} steps, depth {depth}, {took:?}"));
    assert!(checker.is_done(), "the search was cut short");
    if let Some(name) = checker.discoveries().into_keys().next() {
        panic!("broken: {name}:\n{}", way_to(&checker, name).join("\n"));
    }
    n_states
}

/// The shortest way to a state that breaks the property.
#[track_caller]
pub(crate) fn shortest_way(protocol: Protocol, property: &'static str) -> Vec<String> {
    let mut shortest = way_within(protocol, property, usize::MAX);
    // A search goes on a little after it has found a way, and then gives the last one.
    while let Some(way) = shortest.as_ref().filter(|way| !way.is_empty()) {
        let Some(shorter) = way_within(protocol, property, way.len() - 1) else { break };
        shortest = Some(shorter);
    }
    shortest.unwrap_or_else(|| panic!("never broken: {property}"))
}

/// A way of at most so many steps, if there is one.
fn way_within(
    protocol: Protocol,
    property: &'static str,
    n_steps_max: usize,
) -> Option<Vec<String>> {
    // States are counted, not steps, and the bound is exclusive.
    let depth = n_steps_max.saturating_add(2);
    let found = HasDiscoveries::AllOf([property].into());
    let checker = protocol.checker().target_max_depth(depth).finish_when(found).spawn_bfs().join();
    checker.discoveries().contains_key(property).then(|| way_to(&checker, property))
}

/// The names of the properties that an example was found of.
pub(crate) fn examples(protocol: Protocol) -> Vec<&'static str> {
    let checker = protocol.checker().spawn_bfs().join();
    let mut found: Vec<&'static str> = checker.discoveries().into_keys().collect();
    found.sort_unstable();
    found
}

/// The steps up to the first state that counts: the search may go on a little after it has found one.
#[track_caller]
fn way_to(checker: &impl Checker<Protocol>, name: &'static str) -> Vec<String> {
    let property = checker.model().property(name);
    let is_sought = property.expectation == Expectation::Sometimes;
    let found = checker.discovery(name).unwrap_or_else(|| panic!("not found: {name}"));
    found
        .into_vec()
        .into_iter()
        .take_while(|(state, _)| (property.condition)(checker.model(), state) != is_sought)
        .filter_map(|(_, step)| step.map(|step| step.to_string()))
        .collect()
}

/// All processes are alike: which of them is which makes no difference.
fn sorted(state: &State) -> State {
    let mut controllers: Vec<Controller> = state.controllers.clone();
    controllers.sort_unstable();
    State { controllers, ..state.clone() }
}

#[expect(clippy::print_stderr, reason = "the numbers of a search are for whoever runs it")]
fn report(line: &str) {
    eprintln!("{line}");
}
