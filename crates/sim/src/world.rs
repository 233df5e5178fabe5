//! The whole: people act, a controller runs and may be crashed, time passes, and the oracle watches.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use curfew_controller::{Controller, Health, Metrics, Ports, Settings};
use curfew_core::entry::{Act, Entry, Level};
use curfew_core::fact::{Ending, Fact, Grant, Outcome, OutcomeReason};
use curfew_core::id::{Digest, Nonce, RequestId};
use curfew_core::phase::Phase;
use curfew_core::policy::Binding;
use curfew_core::principal::Person;
use curfew_core::request::Recorded;
use curfew_ports::{Clock, Entropy as _, StoredRequest, Verifier as _};
use prometheus::Registry;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::connection::{Connection, Data, Shared};
use crate::fault::Faults;
use crate::oracle::is_in_force;
use crate::process::Process;
use crate::scene::{self, Filing};

/// What kind of world.
#[derive(Debug, Clone)]
pub struct Options {
    /// Where all chance comes from.
    pub seed: u64,
    /// How many projects there are.
    pub n_projects: usize,
    /// Who is eligible.
    pub people: Vec<&'static str>,
    /// How often the controller reads policies without a live request, and the record of policy writes.
    pub read_settled_every: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            seed: 1,
            n_projects: 3,
            people: vec!["alice", "bob", "carol"],
            read_settled_every: Duration::from_hours(1),
        }
    }
}

/// A simulated world. At most one controller runs in it.
pub struct World {
    shared: Arc<Shared>,
    settings: Settings,
    running: Option<Running>,
    n_crashes: usize,
}

struct Running {
    process: Arc<Process>,
    controller: Arc<Controller>,
    task: JoinHandle<()>,
}

impl World {
    /// A world without a controller.
    pub fn new(options: &Options) -> Self {
        let cloud = scene::cloud(options.n_projects, &options.people);
        let settings =
            Settings { read_settled_every: options.read_settled_every, ..scene::settings() };
        Self {
            shared: Arc::new(Shared::new(cloud, options.seed)),
            settings,
            running: None,
            n_crashes: 0,
        }
    }

    /// A world with a controller that has read everything.
    pub async fn started(options: &Options) -> Self {
        let mut world = Self::new(options);
        world.start_controller(None);
        world.advance(Duration::from_secs(1)).await;
        world
    }

    /// Starts a controller, which crashes by itself at that moment.
    #[expect(clippy::unwrap_used, reason = "a fresh registry has no metrics that could collide")]
    pub fn start_controller(&mut self, crash_at: Option<u64>) {
        let process = Arc::new(Process::new(crash_at));
        let connection =
            Arc::new(Connection { shared: self.shared.clone(), process: process.clone() });
        let ports = Ports {
            store: connection.clone(),
            policies: connection.clone(),
            catalog: connection.clone(),
            directory: connection,
            verifier: self.shared.trust.clone(),
            sealer: self.shared.trust.clone(),
            clock: self.shared.clock.clone(),
            entropy: self.shared.random.clone(),
        };
        let metrics = Metrics::register(&Registry::new()).unwrap();
        let controller = Arc::new(Controller::new(
            ports,
            self.settings.clone(),
            metrics,
            process.stop().clone(),
        ));
        let task = tokio::spawn({
            let controller = controller.clone();
            async move { controller.run().await }
        });
        self.running = Some(Running { process, controller, task });
    }

    /// Stops the controller where it is, and starts another one over the same store and cloud.
    pub fn crash(&mut self) {
        if let Some(running) = self.running.take() {
            running.process.die();
        }
        self.n_crashes = self.n_crashes.saturating_add(1);
        self.start_controller(None);
    }

    /// Stops the controller where it is.
    pub fn kill(&mut self) {
        if let Some(running) = self.running.take() {
            running.process.die();
        }
    }

    /// Tells the controller to stop, and waits until it has.
    #[expect(clippy::unwrap_used, reason = "a controller that panics fails the simulation")]
    pub async fn stop(&mut self) {
        if let Some(running) = self.running.take() {
            running.process.stop().cancel();
            running.task.await.unwrap();
        }
    }

    /// The reason that readers see for its end.
    pub fn shown_outcome(&self, id: &RequestId) -> Option<String> {
        let outcome = |stored: &StoredRequest| {
            stored.status.as_ref()?.outcome.as_ref().map(|outcome| outcome.reason.clone())
        };
        self.with(|data| data.store.document(id).and_then(outcome))
    }

    /// How often a controller crashed.
    pub fn n_crashes(&self) -> usize {
        self.n_crashes
    }

    /// Through how many moments the running controller has lived.
    pub fn steps(&self) -> u64 {
        self.running.as_ref().map_or(0, |running| running.process.steps())
    }

    /// How the running controller feels.
    pub fn health(&self) -> Option<Health> {
        self.running.as_ref().map(|running| running.controller.health())
    }

    /// Lets time pass. A controller that crashes by itself is followed by another one.
    pub async fn advance(&mut self, time: Duration) {
        let until = Instant::now() + time;
        loop {
            let Some(process) = self.running.as_ref().map(|running| running.process.clone()) else {
                tokio::time::sleep_until(until).await;
                break;
            };
            tokio::select! {
                biased;
                () = process.died() => self.crash(),
                () = tokio::time::sleep_until(until) => break,
            }
        }
        self.assert_nothing_wrong();
    }

    /// Lets time pass in small steps until `holds`; says whether it came to that within `most`.
    pub async fn comes_true(&mut self, most: Duration, holds: impl Fn(&Self) -> bool) -> bool {
        let until = Instant::now() + most;
        while !holds(self) {
            if Instant::now() >= until {
                return false;
            }
            self.advance(Duration::from_millis(5)).await;
        }
        true
    }

    /// Fails if the oracle has seen anything that must not happen.
    pub fn assert_nothing_wrong(&self) {
        let wrong = self.with(|data| data.oracle.violations().to_vec());
        assert!(wrong.is_empty(), "{}: {wrong:#?}", self.now());
        assert!(
            self.running.as_ref().is_none_or(|running| !running.task.is_finished()),
            "the controller ended by itself"
        );
    }

    /// Files a request.
    #[expect(clippy::unwrap_used, reason = "ids of a simulation do not repeat")]
    pub fn file(&self, filing: &Filing) -> RequestId {
        let id = RequestId::from_bits(self.shared.random.bits());
        let nonce = Nonce::from_bits(self.shared.random.bits());
        let at = self.now();
        let spec =
            self.shared.trust.sign_spec(|digest| scene::spec(&id, filing, digest, nonce, at));
        self.with(|data| data.store.create(data.now, &id, &spec)).unwrap();
        id
    }

    /// Somebody ends a request for its holder.
    pub fn revoke(&self, id: &RequestId, by: &Person) {
        self.act(id, by, Act::Revoke { reason: "no longer needed".into() });
    }

    /// Somebody gives a request up.
    pub fn withdraw(&self, id: &RequestId, by: &Person) {
        self.act(id, by, Act::Withdraw { reason: "done".into() });
    }

    fn act(&self, id: &RequestId, actor: &Person, act: Act) {
        let nonce = Nonce::from_bits(self.shared.random.bits());
        let (actor, at) = (actor.clone(), self.now());
        let entry = |digest: Digest| Entry {
            nonce: nonce.clone(),
            digest,
            actor,
            at,
            level: Level::Session,
            act,
        };
        let envelope = self.shared.trust.sign_entry(id, entry);
        // A request that is gone cannot be acted on, as intake would say.
        drop(self.with(|data| data.store.add_entry(data.now, id, &nonce, &envelope)));
    }

    /// Somebody leaves the group that makes eligible.
    pub fn lose_eligibility(&self, who: &str) {
        let email = scene::person(who).email;
        self.with(|data| {
            data.cloud.leave_groups(&email);
            data.oracle.lost_eligibility(&email, data.now);
        });
    }

    /// An administrator grants something else to somebody else.
    pub fn foreign_write(&self, project: usize, member: &str) {
        let resource = scene::project(project);
        self.with(|data| {
            data.cloud
                .change(data.now, &resource, |policy| policy.bindings.push(scene::foreign(member)));
        });
    }

    /// An administrator removes every binding of a request.
    pub fn remove_bindings(&self, id: &RequestId) {
        let title = scene::installation().title(id);
        self.with(|data| {
            let homes =
                data.cloud.policies().map(|(resource, _)| resource.clone()).collect::<Vec<_>>();
            for home in homes {
                data.cloud.change(data.now, &home, |policy| {
                    policy.bindings.retain(|binding| binding.title() != title);
                });
            }
        });
    }

    /// Changes a document by hand.
    pub fn edit(&self, id: &RequestId, change: impl FnOnce(&mut StoredRequest)) {
        self.with(|data| data.store.edit(data.now, id, change));
    }

    /// The faults to come.
    pub fn faults(&self) -> std::sync::MutexGuard<'_, Faults> {
        self.shared.faults()
    }

    /// Chance.
    pub fn random(&self) -> &crate::clock::Random {
        &self.shared.random
    }

    /// The time, and the controller's clock.
    pub fn clock(&self) -> &crate::clock::SimClock {
        &self.shared.clock
    }

    /// The world's time.
    pub fn now(&self) -> DateTime<Utc> {
        self.shared.clock.true_now()
    }

    /// The controller's time.
    pub fn controllers_now(&self) -> DateTime<Utc> {
        self.shared.clock.now()
    }

    /// Looks at everything.
    pub fn with<T>(&self, look: impl FnOnce(&mut Data) -> T) -> T {
        self.shared.with(look)
    }

    /// The facts of a document that verify; none if it is gone.
    pub fn facts(&self, id: &RequestId) -> Vec<Recorded> {
        let stored = self.with(|data| data.store.document(id).cloned());
        stored.map_or_else(Vec::new, |stored| {
            self.shared.trust.verify(&stored).facts.iter().cloned().collect()
        })
    }

    /// The names of the facts, in order.
    pub fn kinds(&self, id: &RequestId) -> Vec<String> {
        self.facts(id).iter().map(|recorded| recorded.fact.kind().to_owned()).collect()
    }

    /// The phase that readers see.
    pub fn phase(&self, id: &RequestId) -> Option<Phase> {
        self.with(|data| {
            data.store
                .document(id)
                .and_then(|stored| stored.status.as_ref().map(|status| status.phase))
        })
    }

    /// Whether it has ended.
    pub fn has_ended(&self, id: &RequestId) -> bool {
        self.phase(id) == Some(Phase::Ended)
    }

    /// Whether the binding is there and known to be.
    pub fn is_active(&self, id: &RequestId) -> bool {
        self.phase(id) == Some(Phase::Active)
    }

    /// Why it is over.
    pub fn outcome(&self, id: &RequestId) -> Option<OutcomeReason> {
        self.facts(id).into_iter().find_map(|recorded| {
            let Fact::Outcome(Outcome { reason, .. }) = recorded.fact else { return None };
            Some(reason)
        })
    }

    /// How it is known that nothing is left.
    pub fn ending(&self, id: &RequestId) -> Option<Ending> {
        self.facts(id).into_iter().find_map(|recorded| {
            let Fact::Ended { how } = recorded.fact else { return None };
            Some(how)
        })
    }

    /// The grant.
    pub fn grant(&self, id: &RequestId) -> Option<Grant> {
        self.facts(id).into_iter().find_map(|recorded| {
            let Fact::Grant(grant) = recorded.fact else { return None };
            Some(grant)
        })
    }

    /// Every binding under the request's title, wherever it stands.
    pub fn bindings(&self, id: &RequestId) -> Vec<Binding> {
        let title = scene::installation().title(id);
        self.with(|data| {
            let all = data.cloud.policies().flat_map(|(_, policy)| policy.bindings.iter());
            all.filter(|binding| binding.title() == title).cloned().collect()
        })
    }

    /// Whether the request gives access right now.
    pub fn gives_access(&self, id: &RequestId) -> bool {
        let now = self.now();
        self.bindings(id).iter().any(|binding| is_in_force(binding, now))
    }

    /// How many policy writes of the controller took effect.
    pub fn n_writes(&self) -> usize {
        self.with(|data| data.cloud.n_writes())
    }

    /// What is not as it should be once nothing goes wrong any more: the facts that a document asks for and the
    /// policies differ, or a policy write that is over is not recorded as such.
    pub fn unsettled(&self) -> Vec<String> {
        let (documents, stale) = self.with(|data| {
            let cloud = &data.cloud;
            let is_over = |resource, etag: &str| {
                cloud.policy(resource).is_ok_and(|policy| policy.etag != etag)
            };
            let open = data
                .store
                .open_intents()
                .filter(|(resource, _, intent)| is_over(resource, &intent.etag));
            let stale = open
                .map(|(resource, write, _)| {
                    format!("S9: the intent {write} on {resource} stays open")
                })
                .collect::<Vec<_>>();
            (data.store.documents().cloned().collect::<Vec<_>>(), stale)
        });
        documents.iter().filter_map(|stored| self.difference(stored)).chain(stale).collect()
    }

    fn difference(&self, stored: &StoredRequest) -> Option<String> {
        let id = &stored.id;
        let standing = self.bindings(id);
        let phase = self.phase(id);
        let wanted = match phase {
            Some(Phase::Active) => self.grant(id).map_or(0, |grant| grant.bindings.len()),
            Some(Phase::Ended) => 0,
            Some(
                Phase::Pending
                | Phase::AwaitingApproval
                | Phase::Scheduled
                | Phase::Activating
                | Phase::Ending,
            )
            | None => {
                return Some(format!("{id} is left {phase:?}: {:?}", self.kinds(id)));
            }
        };
        (standing.len() != wanted).then(|| {
            format!("{id} is {phase:?} with {} bindings: {:?}", standing.len(), self.kinds(id))
        })
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.kill();
    }
}
