//! What is measured of requests, from recorded facts, and what is shown of states.

#![expect(clippy::float_cmp, reason = "these sums are exact")]

use std::collections::BTreeMap;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use curfew_core::entry::{Act, ActKind, Entry, Level};
use curfew_core::fact::{Counted, Ending, Grant, Outcome, OutcomeReason, OwnedBinding};
use curfew_core::id::{Digest, Nonce, RequestId};
use curfew_core::principal::{Email, Person, Subject};
use curfew_core::request::{Recorded, Rejection, Request, Verified, VerifiedFacts};
use curfew_core::resource::Resource;
use curfew_ports::{StoredRequest, Version};
use prometheus::TextEncoder;

use super::*;
use crate::sight::Room;

#[test]
fn removal_is_measured_from_the_end_of_the_grant() {
    let request = request(vec![
        granted("10:00:00"),
        over("11:00:05", OutcomeReason::DurationElapsed),
        ended("11:00:20"),
    ]);
    assert_eq!(lags(&request), [("natural", 20.0)]);
}

#[test]
fn removal_is_measured_from_the_act_that_ended_access() {
    let facts = |seen| {
        vec![granted("10:00:00"), seen, over("10:30:02", OutcomeReason::Revoked), ended("10:30:04")]
    };
    let revoked = request(facts(seen("10:30:02", 1, true)));
    assert_eq!(lags(&with_revocation(revoked.clone(), 1, "10:30:00")), [("revoked", 4.0)]);
    let early = with_revocation(revoked.clone(), 1, "09:00:00");
    assert_eq!(lags(&early), [("revoked", 1_804.0)], "no act is older than its request");
    let late = with_revocation(revoked, 1, "10:45:00");
    assert_eq!(lags(&late), [("revoked", 2.0)], "nor younger than what rests on it");
    let refused = request(facts(seen("10:30:02", 1, false)));
    assert_eq!(
        lags(&with_revocation(refused, 1, "10:30:00")),
        [("revoked", 2.0)],
        "it did not count"
    );
}

#[test]
fn other_ends_are_told_apart_and_what_was_never_granted_has_none() {
    let tampered =
        vec![granted("10:00:00"), over("10:10:00", OutcomeReason::Tampered), ended("10:10:01")];
    assert_eq!(lags(&request(tampered)), [("other", 1.0)]);
    let denied = vec![over("10:10:00", OutcomeReason::Denied), ended("10:10:01")];
    assert_eq!(lags(&request(denied)), []);
}

#[test]
fn approval_and_activation_are_measured_from_the_last_approval() {
    let facts = vec![
        seen("10:20:00", 1, true),
        recorded("10:20:01", Fact::Approval { target: digest(), nonces: vec![nonce(1)] }),
        granted("10:20:01"),
        recorded("10:20:03", Fact::Bound { expires_at: at("11:00:00") }),
    ];
    let request = with_revocation(request(facts), 1, "10:19:58");
    let shown = shown(&request, &|requests, request| {
        requests.approved(request);
        requests.bound(request);
    });
    assert_eq!(value(&shown, "curfew_approval_wait_seconds_sum"), Some(1_198.0));
    assert_eq!(value(&shown, "curfew_approved_to_active_seconds_sum"), Some(5.0));
    assert_eq!(value(&shown, "curfew_request_to_active_seconds_count"), Some(0.0));
}

#[test]
fn access_is_overdue_until_it_is_proven_gone() {
    let overdue = |facts: Vec<Recorded>, now: &str| {
        let shown = Shown { now: at(now), known: vec![known(request(facts))] };
        shown.value("curfew_oldest_overdue_binding_seconds").unwrap()
    };
    let active = || vec![granted("10:00:00")];
    assert_eq!(overdue(active(), "10:59:59"), 0.0);
    assert_eq!(overdue(active(), "11:05:00"), 300.0, "whether or not its end could be recorded");
    let revoked = [active(), vec![over("10:30:00", OutcomeReason::Revoked)]].concat();
    assert_eq!(overdue(revoked.clone(), "10:30:40"), 40.0);
    assert_eq!(overdue([revoked, vec![ended("10:30:50")]].concat(), "12:00:00"), 0.0);
    assert_eq!(overdue(vec![over("10:30:00", OutcomeReason::Denied)], "12:00:00"), 0.0);
}

#[test]
fn what_is_not_known_is_not_shown_as_nothing() {
    let registry = Registry::new();
    let metrics = Metrics::register(&registry).unwrap();
    let text = || TextEncoder::new().encode_to_string(&registry.gather()).unwrap();
    assert!(!text().contains("curfew_watch_last_event_age_seconds"), "there is no controller yet");
    let state = State {
        queue: QueueState {
            waiting: 3,
            working: 2,
            unfinished: Duration::from_secs(70),
            longest: Duration::from_mins(1),
        },
        requests: None,
        unauthorised: 4,
        room: None,
        watch_age: Duration::from_millis(1_500),
        resync_age: Duration::from_secs(61),
    };
    let watched: Arc<dyn Watched> = Arc::new(Still(state));
    metrics.watch(Arc::downgrade(&watched));
    for (name, expected) in [
        ("workqueue_depth", 3.0),
        ("controller_runtime_active_workers", 2.0),
        ("workqueue_unfinished_work_seconds", 70.0),
        ("workqueue_longest_running_processor_seconds", 60.0),
        ("curfew_unauthorised_bindings", 4.0),
        ("curfew_watch_last_event_age_seconds", 1.5),
        ("curfew_last_resync_age_seconds", 61.0),
    ] {
        assert_eq!(value(&text(), name), Some(expected), "{name}");
    }
    for unknown in ["curfew_requests{", "curfew_oldest_overdue", "curfew_policy_headroom_ratio"] {
        assert!(!text().contains(unknown), "{unknown}");
    }
    drop(watched);
    assert!(!text().contains("workqueue_depth"), "of a controller that is gone nothing is shown");
}

struct Still(State);

impl Watched for Still {
    fn state(&self) -> State {
        self.0.clone()
    }
}

/// A controller that knows these requests.
struct Shown {
    now: DateTime<Utc>,
    known: Vec<Known>,
}

impl Shown {
    fn value(&self, name: &str) -> Option<f64> {
        let registry = Registry::new();
        let metrics = Metrics::register(&registry).unwrap();
        let state = State {
            queue: QueueState::default(),
            requests: Some(LiveRequests::of(&self.known, self.now)),
            unauthorised: 0,
            room: Some(Room { principals: 0.5, role_and_member: 0.25 }),
            watch_age: Duration::ZERO,
            resync_age: Duration::ZERO,
        };
        let watched: Arc<dyn Watched> = Arc::new(Still(state));
        metrics.watch(Arc::downgrade(&watched));
        let text = TextEncoder::new().encode_to_string(&registry.gather()).unwrap();
        let headroom = "curfew_policy_headroom_ratio{limit=\"role_and_member\"}";
        assert_eq!(value(&text, headroom), Some(0.25), "{text}");
        value(&text, name)
    }
}

/// The causes with a removal lag, and how much.
fn lags(request: &Request) -> Vec<(&'static str, f64)> {
    let shown = shown(request, &Requests::ended);
    let causes = ["natural", "revoked", "other"].into_iter();
    let series = |name: &str, cause: &str| {
        value(&shown, &format!("curfew_removal_lag_seconds_{name}{{cause=\"{cause}\"}}")).unwrap()
    };
    causes
        .filter(|cause| series("count", cause) > 0.0)
        .map(|cause| (cause, series("sum", cause)))
        .collect()
}

fn shown(request: &Request, measure: &dyn Fn(&Requests, &Request)) -> String {
    let registry = Registry::new();
    measure(&Requests::new(&Maker(&registry)).unwrap(), request);
    TextEncoder::new().encode_to_string(&registry.gather()).unwrap()
}

fn value(text: &str, series: &str) -> Option<f64> {
    text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' ')?.parse().ok())
}

fn at(time: &str) -> DateTime<Utc> {
    DateTime::parse_from_rfc3339(&format!("2026-03-02T{time}Z")).unwrap().to_utc()
}

fn id() -> RequestId {
    RequestId::from_bits([7; 16])
}

fn nonce(n: u8) -> Nonce {
    Nonce::from_bits([n; 16])
}

fn digest() -> Digest {
    Digest::of(b"spec")
}

/// Filed at 10:00:00.
fn request(facts: Vec<Recorded>) -> Request {
    Request {
        id: id(),
        created_at: at("10:00:00"),
        spec: Err(Rejection::Malformed),
        entries: BTreeMap::new(),
        facts: VerifiedFacts::vouch(facts, 0),
        rolled_back: false,
    }
}

fn with_revocation(mut request: Request, n: u8, time: &str) -> Request {
    let entry = Entry {
        nonce: nonce(n),
        digest: digest(),
        actor: Person {
            subject: Subject::parse("accounts.google.com:7").unwrap(),
            email: Email::parse("olga@example.com").unwrap(),
        },
        at: at(time),
        level: Level::Session,
        act: Act::Revoke { reason: String::new() },
    };
    request.entries.insert(nonce(n), Ok(Verified::vouch(entry)));
    request
}

fn recorded(time: &str, fact: Fact<OwnedBinding>) -> Recorded {
    Recorded { at: at(time), fact }
}

/// Until 11:00:00.
fn granted(time: &str) -> Recorded {
    let grant = Grant {
        resource: Resource::parse("projects/demo-web").unwrap(),
        bindings: Vec::new(),
        starts_at: at(time),
        expires_at: at("11:00:00"),
        activate_by: at(time),
        rests_on: Vec::new(),
    };
    recorded(time, Fact::Grant(grant))
}

fn seen(time: &str, n: u8, counts: bool) -> Recorded {
    let counted = if counts {
        Counted::Yes { act: ActKind::Revoke, by: "olga@example.com".into() }
    } else {
        Counted::No { why: "NOT_AN_OPERATOR".into() }
    };
    recorded(time, Fact::Seen { nonce: nonce(n), counted })
}

fn over(time: &str, reason: OutcomeReason) -> Recorded {
    recorded(time, Fact::Outcome(Outcome { reason, by: None, message: String::new() }))
}

fn ended(time: &str) -> Recorded {
    recorded(time, Fact::Ended { how: Ending::Answered })
}

fn known(request: Request) -> Known {
    let stored = StoredRequest {
        id: request.id.clone(),
        live: true,
        spec: None,
        entries: BTreeMap::new(),
        facts: Vec::new(),
        status: None,
        created_at: request.created_at,
        version: Version(1),
    };
    Known {
        stored: Arc::new(stored),
        request: Arc::new(request),
        sealed: Arc::default(),
        doubt: None,
        is_shown: true,
    }
}
