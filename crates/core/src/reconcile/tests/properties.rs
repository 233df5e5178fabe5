//! Any history of acts, faults and foreign edits: nothing forbidden happens on the way (the simulator looks after
//! every step), and once the faults stop, the request comes to rest.

use chrono::TimeDelta;
use proptest::prelude::*;

use super::simulator::{Fate, Simulation, alter, plant};
use crate::entry::ActKind;
use crate::fixture::{ADMIN, Filed, VIEWER, at, failed, installation, ms, no, request};
use crate::phase::Phase;
use crate::request::Rejection;
use crate::world::Observed;

/// How many decisions a request needs to come to rest, the last of which finds nothing to do.
const ROUNDS_MAX: usize = 5;

/// How many appointments lead from any state to the end: each deadline is one.
const APPOINTMENTS_MAX: usize = 8;

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_request_comes_to_rest_once_faults_stop(world in begun(), steps in prop::collection::vec(step(), 0..40)) {
        let mut world = after(world.begin(), &steps);
        settle(&mut world);
        check_is_as_wanted(&mut world);
    }

    #[test]
    fn appointments_alone_lead_to_the_end(world in begun(), steps in prop::collection::vec(step(), 0..20), answers in any::<bool>()) {
        let mut world = after(world.begin(), &steps);
        if !answers {
            world.eligibility = failed();
        }
        settle(&mut world);
        for _ in 0..APPOINTMENTS_MAX {
            let Some(wake_at) = world.look().wake_at else { break };
            let ahead = wake_at - world.now;
            world.wait(ahead);
            settle(&mut world);
        }
        prop_assert!(world.has("ENDED"), "not ended by {}: {:?}", world.now, world.story);
        prop_assert!(world.observed().is_clear());
    }

    #[test]
    fn a_revocation_that_was_recorded_wins_whatever_lands_late(
        early in prop::collection::vec(step(), 0..12),
        fates in prop::collection::vec(fate(), 1..6),
        late in prop::collection::vec(0_usize..4, 0..6),
    ) {
        let mut world = after(Simulation::new(request()), &early);
        for fate in &fates {
            world.turn(*fate);
        }
        world.act("olga", ActKind::Revoke);
        world.pass(false);
        for (n, which) in late.iter().enumerate() {
            world.turn(fates.get(n).copied().unwrap_or(Fate::Well));
            world.land_late(*which);
        }
        for _ in 0..ROUNDS_MAX {
            world.round();
        }
        prop_assert!(world.has("ENDED"));
        for which in late {
            world.land_late(which);
        }
        prop_assert!(world.observed().ours.is_empty());
    }
}

/// One thing that happens.
#[derive(Debug, Clone)]
pub(super) enum Step {
    /// Time goes by.
    Wait(TimeDelta),
    /// Time goes by until so long around the grant's end, or its deadline for being bound.
    WaitForEnd(TimeDelta),
    WaitForBinding(TimeDelta),
    /// A pass outside of a turn; its commit may be lost.
    Pass {
        commit_lost: bool,
    },
    /// A turn.
    Turn(Fate),
    /// A turn that is held up after its read, while somebody acts and another replica decides, and may take a turn.
    Overtaken {
        fate: Fate,
        act: Option<ActKind>,
        by_a_turn: bool,
    },
    /// A write that was held up arrives.
    Land(usize),
    Act(&'static str, ActKind),
    Deny(&'static str),
    PeersRemain(bool),
    Forge,
    Eligible,
    Ineligible,
    EligibilityFails,
    Operators {
        known: bool,
    },
    Remove,
    RemoveOne,
    Alter,
    Plant,
    Foreign,
    RollBack,
    BreakSpec,
}

/// The world after these steps.
pub(super) fn after(mut world: Simulation, steps: &[Step]) -> Simulation {
    for step in steps {
        take(&mut world, step);
    }
    world
}

fn take(world: &mut Simulation, step: &Step) {
    match step {
        Step::Wait(time) => world.wait(*time),
        Step::WaitForEnd(around) => wait_until(world, |grant| grant.expires_at, *around),
        Step::WaitForBinding(around) => wait_until(world, |grant| grant.activate_by, *around),
        Step::Pass { commit_lost } => world.pass(*commit_lost),
        Step::Turn(fate) => world.turn(*fate),
        Step::Overtaken { fate, act, by_a_turn } => world.turn_between(*fate, |world| {
            if let Some(act) = act {
                world.act("olga", *act);
            }
            world.pass(false);
            if *by_a_turn {
                world.turn(Fate::Well);
            }
        }),
        Step::Land(which) => world.land_late(*which),
        Step::Act(actor, kind) => world.act(actor, *kind),
        Step::Deny(actor) => world.deny(actor),
        Step::PeersRemain(remain) => world.peers_remain = *remain,
        Step::Forge => world.forge(),
        Step::Eligible => world.eligibility = Observed::Known(world.verdict()),
        Step::Ineligible => world.eligibility = Observed::Known(no()),
        Step::EligibilityFails => world.eligibility = failed(),
        Step::Operators { known } => world.operators_known = *known,
        Step::Remove | Step::RemoveOne | Step::Alter | Step::Plant | Step::Foreign => {
            edit(world, step);
        }
        Step::RollBack => world.filed = world.filed.clone().rolled_back(),
        Step::BreakSpec => world.filed = world.filed.clone().unverifiable(Rejection::BadSignature),
    }
}

fn edit(world: &mut Simulation, step: &Step) {
    let title = installation().title(&world.filed.request().id);
    world.edit(|bindings| match step {
        Step::Remove => bindings.retain(|binding| binding.title() != title),
        Step::RemoveOne => {
            if let Some(at) = bindings.iter().position(|binding| binding.title() == title) {
                bindings.remove(at);
            }
        }
        Step::Alter => alter(bindings, &title),
        Step::Plant => bindings.push(plant(&title)),
        _ => bindings.push(plant("somebody else's")),
    });
}

fn wait_until(
    world: &mut Simulation,
    when: impl Fn(&crate::fact::Grant) -> chrono::DateTime<chrono::Utc>,
    around: TimeDelta,
) {
    if let Some(grant) = world.grant() {
        let ahead = when(&grant) + around - world.now;
        world.wait(ahead.max(TimeDelta::zero()));
    }
}

/// Faults stop: what was held up never comes, and every call is answered. Within a few rounds there is nothing to do.
fn settle(world: &mut Simulation) {
    world.drop_pending();
    let rounds = (0..ROUNDS_MAX).take_while(|_| world.round()).count();
    assert!(rounds < ROUNDS_MAX, "does not come to rest at {}: {:#?}", world.now, world.story);
    let plan = world.look();
    assert!(plan.facts.is_empty() && plan.bindings.is_none(), "at rest and not: {plan:?}");
}

/// At rest the policy holds what the facts ask for.
fn check_is_as_wanted(world: &mut Simulation) {
    let phase = world.look().phase;
    let seen = world.observed();
    let live = world.grant().map_or(0, |grant| grant.bindings.len());
    match phase {
        Phase::Pending | Phase::AwaitingApproval | Phase::Scheduled | Phase::Ended => {
            assert!(seen.is_clear());
        }
        Phase::Activating => {
            assert!(seen.is_clear(), "what is granted is bound once the policy can be written");
        }
        Phase::Active if world.has("DRIFT") => assert!(seen.ours.len() <= live),
        Phase::Active => {
            assert!(seen.ours.len() == live || is_unsettled(world), "{:#?}", world.story);
        }
        Phase::Ending => panic!("at rest before the end: {:#?}", world.story),
    }
}

/// Whether a removal from outside is not believed yet, or not any more.
fn is_unsettled(world: &Simulation) -> bool {
    let request = world.filed.request();
    let bound_at = request
        .facts
        .iter()
        .find(|recorded| recorded.fact.kind() == "BOUND")
        .map(|recorded| recorded.at);
    let expires_at = world.grant().map(|grant| grant.expires_at);
    bound_at.is_some_and(|at| world.now < at + TimeDelta::seconds(30))
        || expires_at.is_some_and(|at| world.now >= at)
}

fn filed() -> impl Strategy<Value = Filed> {
    prop_oneof![
        3 => Just(request()),
        2 => Just(request().for_roles(&[VIEWER, ADMIN])),
        2 => Just(request().lasting(TimeDelta::minutes(5))),
        1 => Just(request().starting(at("10:20:00"))),
        1 => Just(request().starting(at("10:00:30.500"))),
    ]
}

/// A request, and whether a peer must approve it.
#[derive(Debug, Clone)]
struct Begun {
    filed: Filed,
    by_peers: bool,
}

impl Begun {
    fn begin(self) -> Simulation {
        if self.by_peers { Simulation::by_peers(self.filed) } else { Simulation::new(self.filed) }
    }
}

fn begun() -> impl Strategy<Value = Begun> {
    (filed(), any::<bool>()).prop_map(|(filed, by_peers)| Begun { filed, by_peers })
}

fn step() -> impl Strategy<Value = Step> {
    let kinds = prop::sample::select(vec![ActKind::Withdraw, ActKind::Revoke, ActKind::Decision]);
    let actors = prop::sample::select(vec!["alice", "bob", "carol", "olga", "mallory"]);
    let deniers = prop::sample::select(vec!["alice", "bob", "mallory"]);
    let ends = prop::sample::select(vec![ActKind::Withdraw, ActKind::Revoke]);
    let edits = vec![Step::Remove, Step::RemoveOne, Step::Alter, Step::Plant, Step::Foreign];
    let answers = vec![
        Step::Eligible,
        Step::Ineligible,
        Step::EligibilityFails,
        Step::Operators { known: false },
        Step::Operators { known: true },
    ];
    prop_oneof![
        6 => any::<bool>().prop_map(|lost| Step::Pass { commit_lost: lost }),
        12 => fate().prop_map(Step::Turn),
        5 => (fate(), prop::option::of(ends), any::<bool>())
            .prop_map(|(fate, act, by_a_turn)| Step::Overtaken { fate, act, by_a_turn }),
        4 => (0_usize..3).prop_map(Step::Land),
        4 => time(),
        4 => (actors, kinds).prop_map(|(actor, kind)| Step::Act(actor, kind)),
        1 => deniers.prop_map(Step::Deny),
        1 => any::<bool>().prop_map(Step::PeersRemain),
        1 => Just(Step::Forge),
        3 => prop::sample::select(edits),
        2 => prop::sample::select(answers),
        1 => prop::sample::select(vec![Step::RollBack, Step::BreakSpec, Step::Forge, Step::Forge]),
    ]
}

fn time() -> impl Strategy<Value = Step> {
    let around =
        || prop::sample::select(vec![ms(-1), ms(0), ms(1), ms(4_999), ms(5_000), ms(5_001)]);
    prop_oneof![
        4 => (0_i64..40_000).prop_map(|n| Step::Wait(ms(n))),
        2 => (0_i64..90).prop_map(|n| Step::Wait(TimeDelta::minutes(n))),
        2 => around().prop_map(Step::WaitForEnd),
        2 => around().prop_map(Step::WaitForBinding),
    ]
}

fn fate() -> impl Strategy<Value = Fate> {
    prop::sample::select(vec![
        Fate::Well,
        Fate::Well,
        Fate::Well,
        Fate::ReadFails,
        Fate::WriteFails,
        Fate::ReplyLost,
        Fate::Late,
        Fate::LateAndAnswered,
        Fate::Refused,
        Fate::CommitLost,
    ])
}
