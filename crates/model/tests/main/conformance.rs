//! The model decides as the core does: on every document that the model can come to, and everything that can be seen.

use std::collections::BTreeSet;

use curfew_core::apply::{GOOGLE_LIMITS, apply_edits};
use curfew_core::plan::{Plan, Purpose, SetBindings};
use curfew_core::policy::{Binding, Policy};
use curfew_core::reconcile;
use curfew_model::decide::{self, Edit, Held, Sight, Term, decide};
use curfew_model::document::{Document, Fact};
use curfew_model::state;
use curfew_model::variant::Variant;

use crate::alice;

const HELD: [Held; 3] = [Held::Nothing, Held::Live, Held::Dead];

#[test]
fn every_decision_is_the_cores() {
    let mut compared = 0;
    let mut known = BTreeSet::new();
    let mut ahead = vec![Document::default()];
    while let Some(document) = ahead.pop() {
        if !known.insert(document) {
            continue;
        }
        ahead.push(Document { is_withdrawn: true, ..document });
        for sight in sights(document) {
            let decided = decide(document, sight, Variant::Real);
            compare(document, sight, decided);
            compared += 1;
            let facts = document.facts.iter().chain(decided.facts.iter()).collect();
            ahead.push(Document { facts, ..document });
        }
    }
    assert_eq!((known.len(), compared), (29, 2566), "documents and decisions");
}

#[test]
fn every_turns_edits_are_applied_as_the_core_applies_them() {
    let choices = |held| {
        let fence = (held == Held::Nothing).then_some(Edit::Fence);
        [Edit::Difference(Held::Nothing), Edit::Difference(Held::Live)].into_iter().chain(fence)
    };
    for (first, second) in HELD.into_iter().flat_map(|a| HELD.map(|b| (a, b))) {
        let read = state::Policy { ours: [first, second], foreign: 0 };
        for a in choices(first).map(Some).chain([None]) {
            for b in choices(second).map(Some).chain([None]) {
                let asked = [a.map(|a| set(0, first, a)), b.map(|b| set(1, second, b))];
                let edits: Vec<SetBindings> = asked.into_iter().flatten().collect();
                let applied = apply_edits(&policy(read), &edits, &GOOGLE_LIMITS).policy;
                let expected = policy(decide::apply_edits(read, [a, b]));
                assert_eq!(sorted(&applied), sorted(&expected), "{read:?} {a:?} {b:?}");
            }
        }
    }
}

/// Everything that can be seen besides a document.
fn sights(document: Document) -> Vec<Sight> {
    let terms = [Term::Running, Term::AtEnd, Term::Over];
    let terms =
        terms.into_iter().filter(|term| *term == Term::Running || document.has(Fact::Grant));
    let mut sights = Vec::new();
    for term in terms {
        for gives_up in [false, true] {
            sights.push(Sight { term, seen: None, answered: None, gives_up });
            for held in HELD {
                let counts = (0..=document.facts.len()).map(Some);
                sights.extend([None].into_iter().chain(counts).map(|answered| Sight {
                    term,
                    seen: Some(held),
                    answered,
                    gives_up,
                }));
            }
        }
    }
    sights
}

fn compare(document: Document, sight: Sight, decided: decide::Plan) {
    let world = alice::world(document, sight);
    let plan = reconcile(&alice::request(document), &world, alice::now(sight.term));
    let planned: Vec<String> = plan.facts.iter().map(name).collect();
    let modelled = decided.facts.iter().flat_map(alice::real_facts);
    let modelled: Vec<String> = modelled.map(|fact| name(&fact)).collect();
    assert_eq!(planned, modelled, "{document:?} {sight:?}");
    // Without a look at the policy the core only asks for a turn, and a turn may be taken without that.
    if sight.seen.is_some() {
        assert_eq!(edit(&plan), decided.edit, "{document:?} {sight:?}");
    }
}

/// The kind of a fact, and how an end is known.
fn name<B>(fact: &curfew_core::fact::Fact<B>) -> String {
    if let curfew_core::fact::Fact::Ended { how } = fact {
        return format!("{} {}", fact.kind(), how.as_str());
    }
    fact.kind().to_owned()
}

/// What a plan of the core asks of the policy, in the model's terms.
fn edit(plan: &Plan) -> Option<Edit> {
    plan.bindings.as_ref().map(|asked| {
        let is = |held: &Held| asked.bindings == Vec::from_iter(alice::binding(0, *held));
        match (asked.purpose, HELD.into_iter().find(is)) {
            (Purpose::Difference, Some(held)) => Edit::Difference(held),
            (Purpose::Fence, Some(Held::Dead)) => Edit::Fence,
            other => panic!("the model has no such edit: {other:?}"),
        }
    })
}

/// The core's request for an edit of what stands.
fn set(n: u8, standing: Held, edit: Edit) -> SetBindings {
    let (wanted, purpose) = match edit {
        Edit::Difference(held) => (held, Purpose::Difference),
        Edit::Fence => (Held::Dead, Purpose::Fence),
    };
    SetBindings {
        request: alice::id(n),
        decided_at: alice::filed_at(),
        bindings: alice::binding(n, wanted).into_iter().collect(),
        replaces: alice::binding(n, standing).iter().map(Binding::from).collect(),
        purpose,
    }
}

fn policy(modelled: state::Policy) -> Policy {
    let held = (0..).zip(modelled.ours);
    let bindings =
        held.filter_map(|(n, held)| alice::binding(n, held)).map(|ours| Binding::from(&ours));
    Policy { bindings: bindings.collect(), ..Policy::default() }
}

/// The order of bindings means nothing, and neither does the version of a policy that is not written.
fn sorted(policy: &Policy) -> Vec<String> {
    let mut bindings: Vec<String> =
        policy.bindings.iter().map(|binding| format!("{binding:?}")).collect();
    bindings.sort_unstable();
    bindings
}
