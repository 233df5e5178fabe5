//! A tiny world: one policy that counts its etags, one document, and everything that can go wrong between them.
//!
//! It drives the decision as the controller does, in passes and turns, and checks after every step what must never
//! happen. What it checks it works out from the recorded facts and the policy itself, not from the code under test.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, TimeDelta, Utc};

use super::text;
use crate::apply::{GOOGLE_LIMITS, apply_edits};
use crate::condition::read_granted;
use crate::entry::ActKind;
use crate::fact::{Fact, Grant, OwnedBinding};
use crate::fixture::{Filed, at, failed, installation, nonce, not_asked, tag, yes, yes_by_peers};
use crate::judge::Eligibility;
use crate::observe::{Marks, ObservedBindings, observe};
use crate::plan::{Plan, SetBindings};
use crate::policy::{Binding, Condition, Policy};
use crate::reconcile::reconcile;
use crate::request::Rejection;
use crate::resource::Resource;
use crate::world::{Answered, Observed, Standing, Unanswered, World};

/// What becomes of the calls of one turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    /// All is well.
    Well,
    /// The policy cannot be read.
    ReadFails,
    /// The policy is not written.
    WriteFails,
    /// The policy is written, and nobody gets to know: the reply is lost, or the process dies.
    ReplyLost,
    /// The write is held up; it happens later, if the etag still is the one it was based on. Nobody gets to know.
    Late,
    /// The same, and whoever made it is still there to read the answer.
    LateAndAnswered,
    /// The bindings are refused as such.
    Refused,
    /// The first commit of facts does not happen.
    CommitLost,
}

/// A policy write that is under way.
#[derive(Debug, Clone)]
struct Pending {
    etag: String,
    wanted: Policy,
    facts_known_before_read: Option<usize>,
}

/// See the module's documentation.
pub(super) struct Simulation {
    pub(super) now: DateTime<Utc>,
    pub(super) filed: Filed,
    pub(super) eligibility: Observed<Eligibility>,
    pub(super) operators_known: bool,
    /// Whether peers must approve.
    pub(super) by_peers: bool,
    /// Whether those who are peers at first still are.
    pub(super) peers_remain: bool,
    pub(super) policy: Policy,
    /// What was decided and done, for people.
    pub(super) story: Vec<String>,
    pending: Vec<Pending>,
    n_writes: u64,
    n_entries: u128,
    actors: BTreeMap<u128, (String, ActKind)>,
}

/// Who holds the same eligibility as the requester, at first.
const PEERS: [&str; 2] = ["bob", "carol"];

impl Simulation {
    pub(super) fn new(filed: Filed) -> Self {
        let foreign = Binding {
            role: "roles/owner".into(),
            members: vec!["user:root@example.com".into()],
            ..Binding::default()
        };
        let policy =
            Policy { version: 1, etag: "0".into(), bindings: vec![foreign], ..Policy::default() };
        Self {
            now: at("10:00:00"),
            eligibility: Observed::Known(yes(filed
                .request()
                .spec
                .map_or(1, |spec| spec.roles.len()))),
            filed,
            operators_known: true,
            by_peers: false,
            peers_remain: true,
            policy,
            story: Vec::new(),
            pending: Vec::new(),
            n_writes: 0,
            n_entries: 0,
            actors: BTreeMap::new(),
        }
    }

    /// The same, and a peer must approve.
    pub(super) fn by_peers(filed: Filed) -> Self {
        let mut world = Self::new(filed);
        world.by_peers = true;
        world.eligibility = Observed::Known(world.verdict());
        world
    }

    /// That the requester is eligible.
    pub(super) fn verdict(&self) -> Eligibility {
        let n_roles = self.filed.request().spec.map_or(1, |spec| spec.roles.len());
        if self.by_peers { yes_by_peers(n_roles) } else { yes(n_roles) }
    }

    /// Time goes by.
    pub(super) fn wait(&mut self, time: TimeDelta) {
        self.now += time;
        self.check();
    }

    /// Somebody adds an entry.
    pub(super) fn act(&mut self, actor: &str, kind: ActKind) {
        self.n_entries += 1;
        let n = self.n_entries;
        self.actors.insert(n, (actor.to_owned(), kind));
        let filed = self.filed.clone();
        self.filed = match kind {
            ActKind::Withdraw => filed.withdrawn_by(n, actor),
            ActKind::Revoke => filed.revoked_by(n, actor),
            ActKind::Decision | ActKind::Extend | ActKind::CloseReview => {
                filed.approved_by(n, actor)
            }
        };
        self.tell(&format!("{actor} adds {}", kind.as_str()));
    }

    /// Somebody says no.
    pub(super) fn deny(&mut self, actor: &str) {
        self.n_entries += 1;
        self.actors.insert(self.n_entries, (actor.to_owned(), ActKind::Decision));
        self.filed = self.filed.clone().denied_by(self.n_entries, actor);
        self.tell(&format!("{actor} denies"));
    }

    /// Somebody writes into the database what does not verify.
    pub(super) fn forge(&mut self) {
        self.n_entries += 1;
        self.filed = self.filed.clone().forged(self.n_entries, Rejection::BadSignature);
    }

    /// Somebody else changes the policy.
    pub(super) fn edit(&mut self, change: impl FnOnce(&mut Vec<Binding>)) {
        change(&mut self.policy.bindings);
        self.move_etag();
    }

    /// Outside of a turn: decides and records until there is nothing to record.
    pub(super) fn pass(&mut self, commit_lost: bool) {
        for _ in 0..8 {
            let plan = self.decide(not_asked(), None, None);
            if plan.facts.is_empty() || commit_lost {
                return;
            }
            self.record(&plan);
        }
        panic!("a pass does not come to rest");
    }

    /// One turn on the policy.
    pub(super) fn turn(&mut self, fate: Fate) {
        self.turn_between(fate, |_| {});
    }

    /// One turn on the policy; `meanwhile` happens after the policy is read and before the document is.
    pub(super) fn turn_between(&mut self, fate: Fate, meanwhile: impl FnOnce(&mut Self)) {
        let known = self.filed.n_facts();
        if fate == Fate::ReadFails {
            let plan = self.decide(failed(), None, None);
            return self.record(&plan);
        }
        let read = self.policy.clone();
        meanwhile(self);
        let refused = (fate == Fate::Refused).then(|| "400".to_owned());
        let plan = self.decide(Observed::Known(self.observe(&read)), None, None);
        if !plan.facts.is_empty() {
            if fate != Fate::CommitLost {
                self.record(&plan);
            }
            return;
        }
        let Some(set) = plan.bindings else { return };
        let applied = apply_edits(&read, std::slice::from_ref(&set), &GOOGLE_LIMITS);
        if applied.policy == read {
            return;
        }
        self.check_write(&read, &applied.policy, &set);
        if refused.is_some() && !set.bindings.is_empty() {
            let plan = self.decide(Observed::Known(self.observe(&read)), None, refused);
            return self.record(&plan);
        }
        self.write(
            fate,
            Pending {
                etag: read.etag,
                wanted: applied.policy,
                facts_known_before_read: Some(known),
            },
        );
    }

    fn write(&mut self, fate: Fate, mut write: Pending) {
        match fate {
            Fate::Well | Fate::CommitLost | Fate::Refused | Fate::ReadFails => self.land(write),
            Fate::WriteFails => {}
            Fate::LateAndAnswered => self.pending.push(write),
            Fate::Late | Fate::ReplyLost => {
                write.facts_known_before_read = None;
                if fate == Fate::Late { self.pending.push(write) } else { self.land(write) }
            }
        }
    }

    /// A write that was held up arrives.
    pub(super) fn land_late(&mut self, which: usize) {
        if which < self.pending.len() {
            let write = self.pending.remove(which);
            self.land(write);
        }
    }

    /// Writes that were held up never arrive.
    pub(super) fn drop_pending(&mut self) {
        self.pending.clear();
    }

    /// The policy accepts the write if its etag still is the one that was read.
    fn land(&mut self, write: Pending) {
        if write.etag != self.policy.etag {
            return;
        }
        self.policy = write.wanted;
        self.move_etag();
        self.check();
        let Some(facts_known_before_read) = write.facts_known_before_read else { return };
        let seen = self.observe(&self.policy);
        let (left, left_altered) = (seen.ours.clone(), seen.altered.len());
        let answered = Answered { facts_known_before_read, left, left_altered };
        let plan = self.decide(Observed::Known(seen), Some(answered), None);
        self.record(&plan);
    }

    /// One decision with everything known, and what it asks for. Whether anything was to be done.
    pub(super) fn round(&mut self) -> bool {
        let before = (self.filed.n_facts(), self.policy.clone());
        self.turn(Fate::Well);
        before != (self.filed.n_facts(), self.policy.clone())
    }

    /// What the decision is with everything known.
    pub(super) fn look(&mut self) -> Plan {
        let seen = self.observe(&self.policy);
        self.decide(Observed::Known(seen), None, None)
    }

    /// The request's bindings in the policy.
    pub(super) fn observed(&self) -> ObservedBindings {
        self.observe(&self.policy)
    }

    /// The grant, if there is one.
    pub(super) fn grant(&self) -> Option<Grant> {
        self.facts().into_iter().find_map(|fact| match fact {
            Fact::Grant(grant) => Some(grant),
            _ => None,
        })
    }

    /// Whether such a fact stands.
    pub(super) fn has(&self, kind: &str) -> bool {
        self.facts().iter().any(|fact| fact.kind() == kind)
    }

    fn facts(&self) -> Vec<Fact> {
        self.filed.request().facts.iter().map(|recorded| recorded.fact.clone()).collect()
    }

    fn move_etag(&mut self) {
        self.n_writes += 1;
        self.policy.etag = self.n_writes.to_string();
    }

    fn observe(&self, policy: &Policy) -> ObservedBindings {
        let grant = self.grant();
        let recorded: Vec<&OwnedBinding> = grant
            .iter()
            .flat_map(|grant| &grant.bindings)
            .flat_map(|binding| [&binding.live, &binding.dead])
            .collect();
        let request = self.filed.request().id;
        let resource = grant.as_ref().map_or_else(
            || Resource::parse("projects/demo-web").unwrap(),
            |grant| grant.resource.clone(),
        );
        observe(
            policy,
            &Marks {
                installation: &installation(),
                request: &request,
                resource: &resource,
                recorded: &recorded,
                tag: &tag,
            },
        )
    }

    fn decide(
        &mut self,
        bindings: Observed<ObservedBindings>,
        answered: Option<Answered>,
        refused: Option<String>,
    ) -> Plan {
        let standing: BTreeMap<_, _> =
            (1..=self.n_entries).map(|n| (nonce(n), self.standing(n))).collect();
        let eligibility = self.eligibility.clone();
        let world = World {
            eligibility,
            standing,
            bindings,
            room: Observed::Known(None),
            strays: Observed::Known(BTreeSet::new()),
            answered,
            refused,
        };
        let plan = reconcile(&self.filed.request(), &world, self.now);
        self.check_plan(&plan, &world);
        self.tell_plan(&plan);
        plan
    }

    fn standing(&self, n: u128) -> Observed<Standing> {
        if !self.operators_known {
            return Observed::Unknown(Unanswered::Failed("503".into()));
        }
        Observed::Known(match self.actors.get(&n) {
            Some((actor, ActKind::Decision)) if self.is_peer(actor) => Standing::Peer,
            Some((actor, ActKind::Revoke)) if actor == "olga" => Standing::Operator,
            _ => Standing::None,
        })
    }

    fn is_peer(&self, actor: &str) -> bool {
        self.peers_remain && PEERS.contains(&actor)
    }

    fn record(&mut self, plan: &Plan) {
        let mut filed = self.filed.clone().at(self.now);
        for draft in &plan.facts {
            filed = filed.fact(draft.tagged(&installation(), &tag));
        }
        self.filed = filed;
        self.check();
    }

    fn tell(&mut self, what: &str) {
        self.story.push(format!("{} {what}", text::time(self.now)));
    }

    fn tell_plan(&mut self, plan: &Plan) {
        let wake = plan.wake_at.map_or_else(|| "no more".into(), text::time);
        self.tell(&format!("{}: {}; again at {wake}", plan.phase.as_str(), text::decision(plan)));
        for draft in &plan.facts {
            if let Fact::Grant(grant) = draft {
                let times = format!(
                    "from {} to {}",
                    text::time(grant.starts_at),
                    text::time(grant.expires_at)
                );
                self.story.push(format!(
                    "             GRANT {times}, to be bound by {}",
                    text::time(grant.activate_by)
                ));
            }
        }
    }

    /// A decision never asks for what no fact and no known answer allows.
    fn check_plan(&self, plan: &Plan, world: &World) {
        assert!(plan.wake_at.is_none_or(|at| at > self.now), "an appointment in the past");
        assert!(plan.facts.is_empty() || plan.bindings.is_none(), "records and asks at once");
        let recorded: Vec<OwnedBinding> = self
            .grant()
            .into_iter()
            .flat_map(|grant| grant.bindings)
            .flat_map(|binding| [binding.live, binding.dead])
            .collect();
        let wanted = plan.bindings.iter().flat_map(|set| &set.bindings);
        assert!(
            wanted.into_iter().all(|binding| recorded.contains(binding)),
            "asks for a binding that no grant records"
        );
        for draft in &plan.facts {
            match draft {
                Fact::Grant(_) => self.check_grant(plan, world),
                Fact::Ended { .. } => self.check_ended(plan, world),
                _ => {}
            }
        }
    }

    fn check_grant(&self, plan: &Plan, world: &World) {
        assert!(
            matches!(world.eligibility, Observed::Known(Eligibility::Yes(_))),
            "granted without a known yes"
        );
        assert!(!self.has("GRANT") && !self.has("OUTCOME"), "granted twice, or after the end");
        let approved_at = self
            .filed
            .request()
            .facts
            .iter()
            .find(|recorded| recorded.fact.kind() == "APPROVAL")
            .map(|recorded| recorded.at);
        self.check_approval(plan);
        let start_at = self.filed.request().spec.unwrap().start_at;
        if let Some(approved_at) = approved_at {
            let from = start_at.map_or(approved_at, |start| start.max(approved_at));
            assert!(self.now < from + TimeDelta::minutes(15), "granted too late");
        } else {
            let deadline = if self.by_peers { at("11:00:00") } else { at("10:15:00") };
            assert!(self.now < deadline, "approved too late");
            assert!(
                plan.facts.iter().any(|fact| fact.kind() == "APPROVAL"),
                "granted without approval"
            );
        }
        assert!(start_at.is_none_or(|start| start <= self.now), "granted before its start");
    }

    /// What a peer must approve rests on somebody's approval who still is a peer, and whom nobody contradicts.
    fn check_approval(&self, plan: &Plan) {
        if !self.by_peers {
            return;
        }
        let recorded = self.facts();
        let nonces = recorded.iter().find_map(approval_of);
        let nonces = nonces.or_else(|| plan.facts.iter().find_map(approval_of)).unwrap();
        let by: Vec<_> = self.actors.iter().filter(|(n, _)| nonces.contains(&nonce(**n))).collect();
        assert!(
            by.iter().any(|(_, (actor, kind))| *kind == ActKind::Decision && self.is_peer(actor)),
            "granted on the word of {by:?}"
        );
    }

    fn check_ended(&self, plan: &Plan, world: &World) {
        let over = self.facts().iter().position(|fact| fact.kind() == "OUTCOME");
        assert!(
            over.is_some() || plan.facts.iter().any(|fact| fact.kind() == "OUTCOME"),
            "ended without an outcome"
        );
        let Some(grant) = self.grant() else { return };
        if self.now < grant.expires_at + TimeDelta::seconds(5) {
            let answered = world.answered.as_ref().expect("ended early by a read");
            let over = over.expect("ended early in the commit of the outcome");
            assert!(
                answered.facts_known_before_read > over,
                "ended by a write from before the outcome"
            );
            assert!(
                answered.left.is_empty() && answered.left_altered == 0,
                "ended with something left"
            );
        }
    }

    /// A write changes nothing that is not ours.
    fn check_write(&self, read: &Policy, wanted: &Policy, set: &SetBindings) {
        let title = installation().title(&self.filed.request().id);
        let foreign = |policy: &Policy| policy.foreign(|binding| binding.title() == title);
        assert_eq!(foreign(read), foreign(wanted), "a foreign binding was changed by {set:?}");
        let planted = |policy: &Policy| self.observe(policy).planted;
        assert_eq!(planted(read), planted(wanted), "a planted binding was changed");
        assert_eq!((wanted.version, &wanted.etag), (3, &read.etag));
        let ours = self.observe(wanted).ours;
        ours.difference(&self.observe(read).ours).for_each(|binding| self.check_addition(binding));
    }

    /// What gives access is added within its deadlines only, and the dead form once access is over.
    fn check_addition(&self, binding: &OwnedBinding) {
        let grant = self.grant().expect("added without a grant");
        let says = read_granted(&binding.expression).expect("we read what we write");
        if says.starts_at == says.ends_at {
            assert!(self.has("OUTCOME"), "a dead form while access is wanted");
        } else {
            assert!(!self.has("OUTCOME"), "access is added after its end");
            assert!(!self.has("BOUND"), "what somebody removed is put back");
            assert!(
                self.now < grant.activate_by && self.now < grant.expires_at,
                "access is added too late"
            );
        }
    }

    /// What must hold at every moment.
    fn check(&self) {
        self.check_facts();
        self.check_policy();
    }

    fn check_facts(&self) {
        let mut n = BTreeMap::<String, usize>::new();
        for fact in self.facts() {
            let what = match &fact {
                Fact::Seen { nonce, .. } => format!("SEEN {nonce}"),
                Fact::Drift { kind } => format!("DRIFT {}", kind.as_str()),
                fact => fact.kind().to_owned(),
            };
            *n.entry(what).or_default() += 1;
        }
        assert!(n.values().all(|n| *n == 1), "written more than once: {n:?}");
    }

    fn check_policy(&self) {
        let ours = self.observed().ours;
        let roles: BTreeSet<_> = ours.iter().map(|binding| &binding.role).collect();
        assert_eq!(roles.len(), ours.len(), "two bindings of one role");
        for binding in &ours {
            let grant = self.grant().expect("a binding without a grant");
            let says = read_granted(&binding.expression).expect("we read what we write");
            assert!(
                says.ends_at == grant.expires_at || says.ends_at == says.starts_at,
                "ends at another time than granted"
            );
            let is_in_force = says.starts_at <= self.now && self.now < says.ends_at;
            assert!(!(self.has("ENDED") && is_in_force), "access after its end");
        }
    }
}

fn approval_of<B>(fact: &Fact<B>) -> Option<&Vec<crate::id::Nonce>> {
    match fact {
        Fact::Approval { nonces, .. } => Some(nonces),
        _ => None,
    }
}

/// Gives one of the request's bindings another member: nobody but us may write such a thing, and somebody does.
pub(super) fn alter(bindings: &mut [Binding], title: &str) {
    for binding in bindings.iter_mut().filter(|binding| binding.title() == title) {
        binding.members.push("user:mallory@example.com".into());
    }
}

/// A binding under the request's title that nobody of ours has written.
pub(super) fn plant(title: &str) -> Binding {
    let condition =
        Condition { title: title.into(), expression: "true".into(), ..Condition::default() };
    Binding {
        role: "roles/compute.viewer".into(),
        members: vec!["user:mallory@example.com".into()],
        condition: Some(condition),
        ..Binding::default()
    }
}
