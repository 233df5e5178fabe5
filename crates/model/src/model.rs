//! The model: what may happen in a state, and what comes of it.

use std::collections::BTreeSet;

use stateright::{Model, Property};

use crate::decide::{Held, Plan, Sight, Term, apply_edits, decide};
use crate::document::{Document, Fact, Facts};
use crate::properties;
use crate::state::{
    Controller, Draft, Drafts, Etag, Event, KnownBefore, Policy, REQUESTS_MAX, State, Stored, Turn,
};
use crate::step::{Act, Batch, Commit, Step};
use crate::variant::Variant;

/// The protocol within bounds.
#[derive(Debug, Clone, Copy)]
pub struct Protocol {
    /// How many processes there are. All act on everything.
    pub n_controllers: usize,
    /// How many requests there are, at most [`REQUESTS_MAX`].
    pub n_requests: usize,
    /// Where it begins.
    pub start: Start,
    /// How many things may go wrong, of whatever kinds. See [`Step::is_fault`].
    pub faults: u8,
    /// Which protocol they follow.
    pub variant: Variant,
    /// What the search is for.
    pub search: Search,
}

/// Where the protocol begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// Every request has been filed.
    Filed,
    /// The first request was active and has been withdrawn; its removal is all that is left to do, and all know it.
    FirstIsOver,
}

/// What the search is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Search {
    /// A breach of safety.
    Safety,
    /// The same, and a state from which the protocol does not settle.
    Settling,
    /// An example of each thing that is to be possible.
    Witnesses,
}

/// What was decided on each request of a batch, with the version that was judged.
type Plans = [Option<(Document, Plan)>; REQUESTS_MAX];

impl Model for Protocol {
    type State = State;
    type Action = Step;

    fn init_states(&self) -> Vec<State> {
        let n_requests = self.n_requests.min(REQUESTS_MAX);
        let filed = Stored { document: Document::default(), term: Term::Running };
        let started = Controller { view: [None; REQUESTS_MAX], turn: Turn::Idle };
        let mut state = State {
            requests: vec![filed; n_requests],
            policy: Policy::default(),
            former: BTreeSet::new(),
            late: BTreeSet::new(),
            controllers: vec![started; self.n_controllers],
            faults_left: self.faults,
            foreign_writes: 0,
            has_lost_facts: false,
            witnessed: BTreeSet::new(),
        };
        if self.start == Start::FirstIsOver {
            let facts = [Fact::Grant, Fact::Bound, Fact::Seen, Fact::Outcome];
            let over = Document { facts: facts.into_iter().collect(), is_withdrawn: true };
            state.policy.set(0, Held::Live);
            state.requests.iter_mut().take(1).for_each(|stored| stored.document = over);
            let views = state.controllers.iter_mut().filter_map(|process| process.view.first_mut());
            views.for_each(|view| *view = Some(over));
        }
        vec![state]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Step>) {
        for (request, stored) in state.requests.iter().enumerate() {
            if !stored.document.is_withdrawn && stored.document.ended().is_none() {
                actions.push(Step::Withdraw { request });
            }
            if stored.document.has(Fact::Grant) && stored.term != Term::Over {
                actions.push(Step::Tick { request });
            }
        }
        if state.faults_left > 0 {
            actions.push(Step::ForeignWrite);
        }
        actions.extend(state.late.iter().map(|wanted| Step::LandLate { wanted: *wanted }));
        for controller in 0..state.controllers.len() {
            let acts = self.acts(state, controller).into_iter();
            actions.extend(acts.map(|act| Step::Controller { controller, act }));
        }
    }

    fn next_state(&self, last: &State, step: Step) -> Option<State> {
        let mut state = last.clone();
        if step.is_fault() {
            state.faults_left = last.faults_left.checked_sub(1)?;
        }
        match step {
            Step::Withdraw { request } => {
                state.requests.get_mut(request)?.document.is_withdrawn = true;
            }
            Step::Tick { request } => {
                let term = &mut state.requests.get_mut(request)?.term;
                *term = if *term == Term::Running { Term::AtEnd } else { Term::Over };
            }
            Step::ForeignWrite => {
                state.foreign_writes = last.foreign_writes.saturating_add(1);
                let foreign = state.foreign_writes;
                self.put(&mut state, Policy { foreign, ..last.policy });
            }
            Step::LandLate { wanted } => {
                state.late.remove(&wanted);
                state.witnessed.insert(Event::LateLanding);
                self.put(&mut state, wanted);
            }
            Step::Controller { controller, act } => self.act(&mut state, controller, act)?,
        }
        self.forget(&mut state);
        (state != *last).then_some(state)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        match self.search {
            Search::Safety => properties::safety(),
            Search::Settling => [properties::safety(), properties::settling()].concat(),
            Search::Witnesses => properties::witnesses(),
        }
    }

    fn format_action(&self, step: &Step) -> String {
        step.to_string()
    }
}

impl Protocol {
    /// What one process may do next.
    pub(crate) fn acts(&self, state: &State, controller: usize) -> Vec<Act> {
        let Some(process) = state.controllers.get(controller) else { return Vec::new() };
        let mut acts = Vec::new();
        for (request, stored) in state.requests.iter().enumerate() {
            let known = process.view.get(request).and_then(Option::as_ref);
            if known != Some(&stored.document) {
                acts.push(Act::Learn { request });
            }
            // A pass on an old view learns the document from its lost race and does nothing else.
            let is_judged = known == Some(&stored.document) || !self.is_commit_conditional();
            if is_judged && self.pass(state, controller, request).is_some() {
                acts.push(Act::Pass { request, commit: Commit::Answered });
                acts.push(Act::Pass { request, commit: Commit::ReplyLost });
            }
        }
        turn_acts(state, &process.turn, &mut acts);
        acts.push(Act::Crash);
        let is_possible = |act: &Act| {
            state.faults_left > 0 || !Step::Controller { controller, act: *act }.is_fault()
        };
        acts.retain(is_possible);
        acts
    }

    fn act(&self, state: &mut State, controller: usize, act: Act) -> Option<()> {
        match act {
            Act::Learn { request } => learn(state, controller, request),
            Act::Pass { request, commit } => {
                let draft = self.pass(state, controller, request)?;
                self.commit(state, controller, request, draft, commit)
            }
            Act::Take { batch, stale } => take(state, controller, batch, stale),
            Act::Look { gives_up } => self.look(state, controller, gives_up),
            Act::RecordFacts { request, commit } => {
                let turn = &mut state.controllers.get_mut(controller)?.turn;
                let draft = turn.drafts_mut()?.get_mut(request)?.take()?;
                self.commit(state, controller, request, draft, commit)?;
                let turn = &mut state.controllers.get_mut(controller)?.turn;
                *turn = std::mem::replace(turn, Turn::Idle).or_idle();
                Some(())
            }
            Act::Write => write(state, controller),
            Act::Land => self.land(state, controller),
            Act::NotWritten => self.leave_write(state, controller),
            Act::AfterWrite => self.after_write(state, controller),
            Act::Crash => {
                let turn = &state.controllers.get(controller)?.turn;
                if matches!(turn, Turn::Answered { .. } | Turn::Closing { .. }) {
                    state.witnessed.insert(Event::CrashBeforeRecord);
                }
                self.leave_write(state, controller)?;
                state.controllers.get_mut(controller)?.view.fill(None);
                Some(())
            }
        }
    }

    /// The facts that a pass would record, on the view that the process has.
    fn pass(&self, state: &State, controller: usize, request: usize) -> Option<Draft> {
        let known = state.controllers.get(controller)?.view.get(request)?.as_ref()?;
        let term = state.requests.get(request)?.term;
        let sight = Sight { term, seen: None, answered: None, gives_up: false };
        let facts = decide(*known, sight, self.variant).facts;
        (!facts.is_empty()).then_some(Draft { base: *known, facts })
    }

    fn look(&self, state: &mut State, controller: usize, gives_up: bool) -> Option<()> {
        let turn = std::mem::replace(&mut state.controllers.get_mut(controller)?.turn, Turn::Idle);
        let Turn::Read { known_before, policy, etag } = turn else { return None };
        let plans = self.plans(state, controller, &known_before, |request, known| {
            let seen = policy.held(request);
            let sends_nothing = seen == Held::Nothing;
            let counts = self.variant == Variant::NothingSeenNeedsNoWrite && sends_nothing;
            (seen, counts.then_some(known), gives_up)
        });
        let edits = plans.map(|plan| plan.and_then(|(_, plan)| plan.edit));
        let wanted = Some(apply_edits(policy, edits)).filter(|wanted| *wanted != policy);
        let drafts = drafts(plans);
        state.controllers.get_mut(controller)?.turn =
            Turn::Looked { known_before, drafts, wanted, etag }.or_idle();
        Some(())
    }

    fn after_write(&self, state: &mut State, controller: usize) -> Option<()> {
        let turn = std::mem::replace(&mut state.controllers.get_mut(controller)?.turn, Turn::Idle);
        let Turn::Answered { known_before, stored } = turn else { return None };
        let plans = self.plans(state, controller, &known_before, |request, known| {
            (stored.held(request), Some(known), false)
        });
        let drafts = drafts(plans);
        state.controllers.get_mut(controller)?.turn = Turn::Closing { drafts }.or_idle();
        Some(())
    }

    /// Reads the documents of the batch anew and decides on each.
    fn plans(
        &self,
        state: &mut State,
        controller: usize,
        known_before: &KnownBefore,
        sight: impl Fn(usize, usize) -> (Held, Option<usize>, bool),
    ) -> Plans {
        let mut plans = [None; REQUESTS_MAX];
        for (request, known) in known_before.iter().enumerate() {
            let (Some(known), Some(stored)) = (known, state.requests.get(request)) else {
                continue;
            };
            let term = stored.term;
            if self.variant != Variant::MailboxHoldsEdits {
                learn(state, controller, request);
            }
            let (seen, answered, gives_up) = sight(request, *known);
            let sight = Sight { term, seen: Some(seen), answered, gives_up };
            let view = state.controllers.get(controller).and_then(|c| *c.view.get(request)?);
            if let (Some(document), Some(slot)) = (view, plans.get_mut(request)) {
                let plan = decide(document, sight, self.variant);
                *slot = Some((document, plan));
            }
        }
        plans
    }

    /// Commits facts on condition that the document is as it was judged. A lost race teaches how it is now.
    fn commit(
        &self,
        state: &mut State,
        controller: usize,
        request: usize,
        draft: Draft,
        commit: Commit,
    ) -> Option<()> {
        if commit == Commit::Failed {
            return Some(());
        }
        let document = &mut state.requests.get_mut(request)?.document;
        let is_made = *document == draft.base || !self.is_commit_conditional();
        if is_made {
            let facts = draft.base.facts.iter().chain(draft.facts.iter()).collect::<Facts>();
            state.has_lost_facts |= !facts.starts_with(&document.facts);
            document.facts = facts;
        } else {
            state.witnessed.insert(Event::LostRace);
        }
        if commit == Commit::Answered { learn(state, controller, request) } else { Some(()) }
    }

    fn land(&self, state: &mut State, controller: usize) -> Option<()> {
        let turn = std::mem::replace(&mut state.controllers.get_mut(controller)?.turn, Turn::Idle);
        let Turn::Sent { known_before, wanted, etag } = turn else { return None };
        if etag == Etag::Current || self.variant == Variant::NoEtag {
            self.put(state, wanted);
            state.controllers.get_mut(controller)?.turn =
                Turn::Answered { known_before, stored: wanted };
        } else {
            state.witnessed.insert(Event::Conflict);
        }
        Some(())
    }

    /// The process no longer waits for its write, if it has sent one.
    fn leave_write(&self, state: &mut State, controller: usize) -> Option<()> {
        let turn = std::mem::replace(&mut state.controllers.get_mut(controller)?.turn, Turn::Idle);
        if let Turn::Sent { wanted, etag, .. } = turn
            && (etag == Etag::Current || self.variant == Variant::NoEtag)
        {
            state.late.insert(wanted);
        }
        Some(())
    }

    /// The policy is written: it bears another etag, and whatever is conditional on the one before can never land.
    fn put(&self, state: &mut State, policy: Policy) {
        state.former.insert(state.policy);
        state.policy = policy;
        if self.variant != Variant::NoEtag {
            state.late.clear();
        }
        let etags = state.controllers.iter_mut().filter_map(|process| process.turn.etag_mut());
        etags.for_each(|etag| *etag = Etag::Old);
    }

    /// Drops what can make no difference any more.
    fn forget(&self, state: &mut State) {
        if state.faults_left == 0 {
            state.former.clear();
        }
        if self.search != Search::Witnesses {
            state.witnessed.clear();
        }
    }

    fn is_commit_conditional(&self) -> bool {
        self.variant != Variant::UnconditionalCommit
    }
}

/// What an actor may do next, and what may become of it.
fn turn_acts(state: &State, turn: &Turn, acts: &mut Vec<Act>) {
    match turn {
        Turn::Idle => {
            for batch in Batch::all(state.requests.len()) {
                acts.push(Act::Take { batch, stale: None });
                let former = state.former.iter().map(|policy| Some(*policy));
                acts.extend(former.map(|stale| Act::Take { batch, stale }));
            }
        }
        Turn::Read { .. } => {
            acts.push(Act::Look { gives_up: false });
            acts.push(Act::Look { gives_up: true });
        }
        Turn::Looked { drafts, .. } | Turn::Closing { drafts } => {
            let n_before = acts.len();
            for (request, _) in drafts.iter().enumerate().filter(|(_, draft)| draft.is_some()) {
                let commits = [Commit::Answered, Commit::ReplyLost, Commit::Failed];
                acts.extend(commits.map(|commit| Act::RecordFacts { request, commit }));
            }
            if acts.len() == n_before {
                acts.push(Act::Write);
            }
        }
        Turn::Sent { .. } => acts.extend([Act::Land, Act::NotWritten]),
        Turn::Answered { .. } => acts.extend([Act::AfterWrite, Act::NotWritten]),
    }
}

fn learn(state: &mut State, controller: usize, request: usize) -> Option<()> {
    let document = state.requests.get(request)?.document;
    *state.controllers.get_mut(controller)?.view.get_mut(request)? = Some(document);
    Some(())
}

fn take(state: &mut State, controller: usize, batch: Batch, shown: Option<Policy>) -> Option<()> {
    let process = state.controllers.get_mut(controller)?;
    let mut known_before = process.view.map(|view| Some(view.map_or(0, |known| known.facts.len())));
    for (request, known) in known_before.iter_mut().enumerate() {
        *known = known.filter(|_| batch.has(request));
    }
    let policy = shown.unwrap_or(state.policy);
    let etag = if shown.is_some() { Etag::Old } else { Etag::Current };
    process.turn = Turn::Read { known_before, policy, etag };
    Some(())
}

fn write(state: &mut State, controller: usize) -> Option<()> {
    let process = state.controllers.get_mut(controller)?;
    let turn = std::mem::replace(&mut process.turn, Turn::Idle);
    let Turn::Looked { known_before, wanted: Some(wanted), etag, .. } = turn else { return None };
    process.turn = Turn::Sent { known_before, wanted, etag };
    Some(())
}

fn drafts(plans: Plans) -> Drafts {
    plans.map(|plan| {
        let (base, plan) = plan?;
        (!plan.facts.is_empty()).then_some(Draft { base, facts: plan.facts })
    })
}
