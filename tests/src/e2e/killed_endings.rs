//! SIGKILL while access ends: by a withdrawal, by a revocation, at its time. Whatever moment it strikes, the access is
//! gone, the reason stands, and nothing was done twice.
//!
//! The cloud is not killed: a policy's write that was under way lands or not, without anybody waiting for its answer.

use std::time::{Duration, SystemTime};

use chrono::{DateTime, Utc};
use curfew_ports::StoredRequest;
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use reqwest::Method;
use serde_json::{Value, json};
use tokio::time::sleep;

use super::demo::{SOON, Shape, viewer};
use super::in_both_shapes;
use super::installation::{Installation, Program};
use crate::eventually::eventually;

const RESOURCE: &str = "projects/demo-web";

const N_KILLS: usize = 8;

/// The same moments in every run; how fast the machine is makes them different ones.
const SEED: u64 = 0x0c0f_fee0;

/// What a write of the policy that ends the access meets, from one kill to the next. Each holds it longer than anybody
/// lives: the kill strikes after it was sent and before its answer, or, where it is applied late, before it lands.
const HELD: [Option<&str>; 4] = [None, Some("LATENCY"), Some("REPLY_LOST"), Some("APPLIED_LATE")];
const HELD_MS: u64 = 3_000;

/// From the moment that the write is held to the kill.
const HELD_KILL_MS_MAX: u64 = 500;

/// From the order to end the access to the kill, where nothing is held.
const KILL_MS_MAX: u64 = 150;

/// Of all natural ends, which may come while the dead start, so many are to strike a held write at least.
const STRUCK_MIN: usize = 3;

/// Between two natural ends: time for the dead to start again.
const STAGGER: Duration = Duration::from_millis(2_500);

in_both_shapes! {
    a_withdrawal_survives_death_at_any_moment,
    a_revocation_survives_death_at_any_moment,
    a_natural_end_survives_death_at_any_moment,
}

async fn a_withdrawal_survives_death_at_any_moment(shape: Shape) {
    survives(shape, "alice", "withdraw", "WITHDRAWN").await;
}

async fn a_revocation_survives_death_at_any_moment(shape: Shape) {
    survives(shape, "dave", "revoke", "REVOKED").await;
}

async fn survives(shape: Shape, actor: &str, verb: &str, reason: &str) {
    let mut trial = Trial::start(shape).await;
    for n in 0..N_KILLS {
        let round = trial.round(n);
        let id = trial.activate().await;
        let path = format!("/v1/requests/{id}:{verb}");
        let body = json!({"reason": "over"});
        let ask = async || {
            let answer = trial.curfew.call(actor, Method::POST, &path, Some(&body)).await;
            answer.is_some_and(|(status, _)| status == 200)
        };
        trial.hold(&round).await;
        let (is_acknowledged, struck) = tokio::join!(ask(), trial.kill(&round, &id));
        assert_eq!(struck, round.held.is_some(), "{round:?}");
        trial.start_again(&round).await;
        let over = async || {
            let (phase, why) = trial.curfew.stands("alice", &id).await;
            if phase != "ENDED" && !is_acknowledged {
                // Nobody knows whether it was heard: whoever asked asks again.
                trial.curfew.call(actor, Method::POST, &path, Some(&body)).await?;
            }
            (phase == "ENDED").then_some(why)
        };
        let over = eventually(&format!("{id} is over, {round:?}"), SOON, over).await;
        assert_eq!(over, reason, "{round:?}");
        trial.is_gone(&id).await;
    }
    trial.judge(reason).await;
}

async fn a_natural_end_survives_death_at_any_moment(shape: Shape) {
    let mut trial = Trial::start(shape).await;
    let mut ends = Vec::new();
    for _ in 0..N_KILLS {
        let id = trial.activate().await;
        ends.push((trial.end_of(&id).await, id));
        sleep(STAGGER).await;
    }
    let mut struck = 0;
    for (n, (end, id)) in ends.into_iter().enumerate() {
        let round = trial.round(n);
        trial.hold(&round).await;
        sleep(until(end)).await;
        struck += usize::from(trial.kill(&round, &id).await);
        trial.start_again(&round).await;
        assert_eq!(trial.curfew.until("alice", &id, "ENDED", SOON).await, "DURATION_ELAPSED");
        trial.is_gone(&id).await;
    }
    assert!(struck >= STRUCK_MIN, "{struck} of the kills came while a write was held");
    trial.judge("DURATION_ELAPSED").await;
}

/// One kill.
#[derive(Debug)]
struct Round {
    /// What the write of the policy meets that ends the access.
    held: Option<&'static str>,
    /// How long after that, or after the order to end it, the kill comes.
    moment: Duration,
    /// Who dies: all, or some of several.
    victims: &'static [Program],
}

/// One installation that is killed again and again.
struct Trial {
    curfew: Installation,
    shape: Shape,
    moments: StdRng,
    foreign: Value,
    ids: Vec<String>,
}

impl Trial {
    async fn start(shape: Shape) -> Self {
        let curfew = Installation::start(shape).await;
        let foreign = curfew.foreign(RESOURCE).await;
        Self { curfew, shape, moments: StdRng::seed_from_u64(SEED), foreign, ids: Vec::new() }
    }

    fn round(&mut self, n: usize) -> Round {
        let held = HELD[n % HELD.len()];
        let max = held.map_or(KILL_MS_MAX, |_| HELD_KILL_MS_MAX);
        let victims: &[Program] = match (self.shape, n % 3) {
            (Shape::Single, _) => &[Program::All],
            (Shape::Split, 0) => &[Program::Controller],
            (Shape::Split, 1) => &[Program::Store],
            (Shape::Split, _) => &[Program::Store, Program::Intake, Program::Controller],
        };
        let moment = Duration::from_millis(self.moments.random_range(0..max));
        Round { held, moment, victims }
    }

    /// One more request, until its binding is there.
    async fn activate(&mut self) -> String {
        let id = self.curfew.file("alice", &viewer()).await;
        self.curfew.until("alice", &id, "ACTIVE", SOON).await;
        assert_eq!(self.curfew.bindings(RESOURCE, &id).await.len(), 1);
        self.ids.push(id.clone());
        id
    }

    async fn end_of(&self, id: &str) -> DateTime<Utc> {
        let request = self.curfew.get("alice", &format!("/v1/requests/{id}")).await;
        request["status"]["grant"]["expiresAt"].as_str().unwrap().parse().unwrap()
    }

    /// Has the next write of the policy held, if one is to be.
    async fn hold(&self, round: &Round) {
        let fault = |kind| json!({"method": "setIamPolicy", "kind": kind, "delayMs": HELD_MS});
        self.curfew.faults(&round.held.map(fault).into_iter().collect()).await;
    }

    /// Kills when it is time; whether a write of the policy was held then.
    async fn kill(&self, round: &Round, id: &str) -> bool {
        let mut struck = false;
        if round.held.is_some() {
            struck = eventually("the write is held", SOON, async || self.is_held(id).await).await;
        }
        sleep(round.moment).await;
        self.curfew.kill(round.victims);
        struck
    }

    /// `None` as long as the write that is to be held has not come, and false if it has gone before.
    async fn is_held(&self, id: &str) -> Option<bool> {
        let armed = self.curfew.cloud(Method::GET, "/sim/v1/faults", None).await;
        if armed == json!([]) {
            return Some(true);
        }
        (self.curfew.stands("alice", id).await.0 == "ENDED").then_some(false)
    }

    async fn start_again(&mut self, round: &Round) {
        self.curfew.bury_and_start_again(round.victims).await;
        self.curfew.faults(&json!([])).await;
    }

    /// Nothing of the request is in the policy, and everything else is as it was.
    async fn is_gone(&self, id: &str) {
        assert_eq!(self.curfew.bindings(RESOURCE, id).await, Vec::<Value>::new());
        assert_eq!(self.curfew.foreign(RESOURCE).await, self.foreign);
    }

    /// What was recorded of all of them, and what is left of them when the last late write has had its chance to land.
    async fn judge(mut self, reason: &str) {
        sleep(Duration::from_millis(HELD_MS)).await;
        for id in &self.ids {
            self.is_gone(id).await;
        }
        self.curfew.stop().await;
        for record in self.curfew.records(&self.ids).await {
            assert!(!record.live, "{}", record.id);
            let kinds: Vec<&str> = record.facts.iter().map(|fact| fact.kind.as_str()).collect();
            for kind in ["APPROVAL", "GRANT", "BOUND", "OUTCOME", "ENDED"] {
                let times = kinds.iter().filter(|known| **known == kind).count();
                assert_eq!(times, 1, "{kind} of {}: {kinds:?}", record.id);
            }
            assert_eq!(kinds.last(), Some(&"ENDED"), "{}", record.id);
            assert_eq!(outcome(&record), reason, "{}", record.id);
        }
    }
}

fn outcome(record: &StoredRequest) -> String {
    let outcome = record.facts.iter().find(|fact| fact.kind == "OUTCOME").unwrap();
    let payload: Value = serde_json::from_str(&outcome.payload).unwrap();
    payload["reason"].as_str().unwrap().to_owned()
}

/// The time that is left; the processes go by the same clock.
#[expect(clippy::disallowed_methods, reason = "the edge where time enters this test")]
fn until(end: DateTime<Utc>) -> Duration {
    let now: DateTime<Utc> = SystemTime::now().into();
    (end - now).to_std().unwrap_or_default()
}
