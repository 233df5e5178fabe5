//! Whether the protocol settles once faults stop. `stateright`'s own `eventually` overlooks what runs in a circle, so
//! from every state a few fixed continuations are followed to their end instead.

use stateright::Model as _;

use crate::decide::{Held, Term};
use crate::document::Fact;
use crate::model::Protocol;
use crate::state::{State, Stored, Turn};
use crate::step::{Act, Batch, Step};

/// How many rounds a continuation may take, with one step of each process in a round: several times what a turn with a
/// fence and a turn with its removal need, so that lost races have room and a circle is noticed.
const ROUNDS_MAX: usize = 80;

/// Whether from here, without further faults, everything comes to rest as the facts ask while time stands still, and
/// ended and clean once all time is over. With all processes in lockstep, and with only the first one alive; with
/// writes on their way that never land, and with each that lands first.
pub fn settles(protocol: &Protocol, state: &State) -> bool {
    let calm = State { faults_left: 0, ..state.clone() };
    let late = calm.late.iter().map(|wanted| Step::LandLate { wanted: *wanted });
    let others = 1..calm.controllers.len();
    let sent = others.map(|controller| Step::Controller { controller, act: Act::Land });
    let landed = |step| protocol.next_state(&calm, step);
    let all = late.filter_map(landed).chain([calm.clone()]);
    let alone = sent.filter_map(landed).chain(all.clone()).map(alone);
    all.chain(alone).all(|state| runs_to_rest(protocol, state))
}

/// Only the first process lives on, and what the others have sent never lands.
fn alone(mut state: State) -> State {
    state.controllers.truncate(1);
    state
}

fn runs_to_rest(protocol: &Protocol, state: State) -> bool {
    let Some(mut state) = rest(protocol, state, is_as_asked) else { return false };
    state.requests.iter_mut().for_each(|stored| stored.term = Term::Over);
    rest(protocol, state, |stored, held| stored.document.ended().is_some() && held == Held::Nothing)
        .is_some()
}

/// Whether the request is as its facts ask at this time, and nothing is left to be recorded.
fn is_as_asked(stored: Stored, held: Held) -> bool {
    let document = &stored.document;
    if document.ended().is_some() {
        return held == Held::Nothing;
    }
    let runs = document.has(Fact::Grant) && !document.is_withdrawn && !document.has(Fact::Outcome);
    match stored.term {
        Term::Running => runs && document.has(Fact::Bound) && held == Held::Live,
        Term::AtEnd => runs && (held == Held::Nothing || document.has(Fact::Bound)),
        Term::Over => false,
    }
}

/// Steps in rounds until every request is as `wanted`, and nothing that is begun or could be begun changes that.
fn rest(protocol: &Protocol, mut state: State, wanted: fn(Stored, Held) -> bool) -> Option<State> {
    for _ in 0..ROUNDS_MAX {
        let requests = state.requests.iter().enumerate();
        let mut held = requests.map(|(request, stored)| (stored, state.policy.held(request)));
        if held.all(|(stored, held)| wanted(*stored, held)) {
            let last = finished(protocol, finished(protocol, state.clone()));
            if last.requests == state.requests && last.policy == state.policy {
                return Some(last);
            }
        }
        for controller in 0..state.controllers.len() {
            state = step(protocol, state, controller);
        }
    }
    None
}

/// Every process ends its turn, one after the other; those that are between turns take one.
fn finished(protocol: &Protocol, mut state: State) -> State {
    for controller in 0..state.controllers.len() {
        for _ in 0..ROUNDS_MAX {
            state = step(protocol, state, controller);
            if state.controllers.get(controller).is_none_or(|process| process.turn == Turn::Idle) {
                break;
            }
        }
    }
    state
}

/// The one next step of a process: learn, pass, then the turn.
fn step(protocol: &Protocol, state: State, controller: usize) -> State {
    let whole = Act::Take { batch: Batch::whole(state.requests.len()), stale: None };
    let is_whole = |act: &Act| !matches!(act, Act::Take { .. }) || *act == whole;
    let act = protocol.acts(&state, controller).into_iter().find(is_whole);
    let next =
        act.and_then(|act| protocol.next_state(&state, Step::Controller { controller, act }));
    next.unwrap_or(state)
}
