//! What a loaded demo measures is what `docs/metrics.md` lists: both ways, with every value of every label.

#![expect(clippy::float_cmp, reason = "what is counted is counted exactly")]

use std::collections::{BTreeMap, BTreeSet};

use reqwest::Method;
use serde_json::{Value, json};

use super::demo::{Demo, SOON, Shape, viewer};
use super::in_both_shapes;
use crate::eventually::eventually;
use crate::store::raw::{boolean, text};

in_both_shapes! {
    what_is_measured_is_what_is_documented_and_names_nobody,
}

const DOCUMENTED: &str = include_str!("../../../docs/metrics.md");
const WEB: &str = "projects/demo-web";
const PROD: &str = "projects/demo-prod";

/// More than a process can show with every label at its documented values that a load like this one reaches.
const SERIES_MAX: usize = 2_000;

async fn what_is_measured_is_what_is_documented_and_names_nobody(shape: Shape) {
    let demo = Demo::start_as(shape).await;
    let secrets = load(&demo).await;
    let documented = documented();
    let mut names = BTreeSet::new();
    for (process, text) in processes(shape).iter().zip(demo.metrics_of_each().await) {
        let scrape = Scrape::read(&text);
        for (name, kind) in &scrape.kinds {
            let row =
                documented.get(name.as_str()).unwrap_or_else(|| panic!("{name}: not documented"));
            assert_eq!(kind, &row.kind, "{name}");
            assert!(process.contains(&row.shown_by.as_str()), "{name} is shown by {process:?}");
        }
        for sample in &scrape.samples {
            check(sample, &documented[sample.metric.as_str()]);
        }
        for secret in &secrets {
            assert!(!text.contains(secret.as_str()), "{secret} is in the metrics");
        }
        assert!(scrape.samples.len() < SERIES_MAX, "{} series", scrape.samples.len());
        names.extend(scrape.kinds.into_keys());
    }
    let expected = documented.iter().filter(|(_, row)| {
        processes(shape).iter().any(|process| process.contains(&row.shown_by.as_str()))
    });
    let missing: Vec<&&str> =
        expected.map(|(name, _)| name).filter(|name| !names.contains(**name)).collect();
    assert!(missing.is_empty(), "documented, and not shown: {missing:?}");
    has_moved(&Scrape::read(&demo.metrics().await));
}

/// Whose metrics the processes show.
fn processes(shape: Shape) -> Vec<Vec<&'static str>> {
    match shape {
        Shape::Single => vec![vec!["intake", "controller", "both", "store"]],
        Shape::Split => vec![vec!["controller", "both"], vec!["intake", "both"]],
    }
}

/// Lets happen what there is to be counted. Gives texts of people and requests that no label may hold.
async fn load(demo: &Demo) -> Vec<String> {
    let revoked = demo.file("alice", &asked()).await;
    let withdrawn = demo.file("alice", &asked()).await;
    for id in [&revoked, &withdrawn] {
        demo.until("alice", id, "ACTIVE", SOON).await;
    }
    plant(demo, &revoked).await;
    demo.end("olga", &revoked, "revoke").await;
    demo.end("alice", &withdrawn, "withdraw").await;
    for id in [&revoked, &withdrawn] {
        demo.until("alice", id, "ENDED", SOON).await;
    }
    demo.faults(&json!([
        {"method": "setIamPolicy", "kind": "ERROR", "status": 409, "count": 1},
        {"method": "setIamPolicy", "kind": "ERROR", "status": 429, "count": 1},
    ]))
    .await;
    let contended = demo.file("alice", &asked()).await;
    demo.until("alice", &contended, "ACTIVE", SOON).await;
    let approved = decided(demo, "approve", "ACTIVE").await;
    let denied = decided(demo, "deny", "ENDED").await;
    refused(demo).await;
    let forged = forged(demo).await;
    let ids = [revoked, withdrawn, contended, approved, denied, forged];
    let people = ["alice", "bob", "dave", "olga", "example.com", "@", "BUG-1", "demo-web"];
    ids.into_iter().chain(people.map(str::to_owned)).collect()
}

/// For longer than all of this takes.
fn asked() -> Value {
    let mut body = viewer();
    body["duration"] = "30m".into();
    body
}

/// A binding with the title of a request that somebody else wrote into the policy.
async fn plant(demo: &Demo, id: &str) {
    let mut policy = demo.policy(WEB).await;
    let planted = json!({
        "role": "roles/compute.viewer",
        "members": ["user:dave@example.com"],
        "condition": {"title": format!("curfew demo {id}"), "expression": "true"},
    });
    policy["version"] = 3.into();
    policy["bindings"].as_array_mut().unwrap().push(planted);
    let body = json!({"policy": policy});
    demo.cloud(Method::POST, &format!("/v3/{WEB}:setIamPolicy"), Some(&body)).await;
}

/// A request that bob decides about.
async fn decided(demo: &Demo, verb: &str, phase: &str) -> String {
    let mut body = asked();
    body["resource"] = PROD.into();
    body["roles"] = json!([{"role": "roles/compute.instanceAdmin.v1"}]);
    let id = demo.file("alice", &body).await;
    demo.until("alice", &id, "AWAITING_APPROVAL", SOON).await;
    let digest = demo.get("alice", &format!("/v1/requests/{id}")).await["digest"].clone();
    let path = format!("/v1/requests/{id}:{verb}");
    let body = json!({"digest": digest});
    let (status, reply) = demo.call("bob", Method::POST, &path, Some(&body)).await.unwrap();
    assert_eq!(status, 200, "{reply}");
    demo.until("alice", &id, phase, SOON).await;
    id
}

/// What intake refuses, at paths that it has and that it has not.
async fn refused(demo: &Demo) {
    let bad = json!({"duration": 7});
    for (person, method, path, body, expected) in [
        ("dave", Method::POST, "/v1/requests", Some(asked()), 403),
        ("alice", Method::POST, "/v1/requests", Some(bad), 400),
        ("alice", Method::GET, "/v1/requests/zzzzzzzzzzzzzzzzzzzzzzzzzz", None, 404),
        ("alice", Method::GET, "/alice@example.com", None, 404),
        ("alice", Method::DELETE, "/v1/me", None, 405),
        ("alice", Method::from_bytes(b"ALICE").unwrap(), "/v1/me", None, 405),
    ] {
        let (status, reply) = demo.call(person, method, path, body.as_ref()).await.unwrap();
        assert_eq!(status, expected, "{path}: {reply}");
    }
}

/// A request that somebody wrote straight into the store.
async fn forged(demo: &Demo) -> String {
    let (store, id) = (demo.store().await, "11111111111111111111111111");
    store
        .set(&format!("requests/{id}"), [("live", boolean(true)), ("spec", text("trust me"))])
        .await;
    let counted = async || {
        let scrape = Scrape::read(&demo.metrics().await);
        (scrape.value("curfew_forgery_rejections_total", &[("reason", "MALFORMED")]) == 1.0)
            .then_some(())
    };
    eventually("the forgery is counted", SOON, counted).await;
    let ended = async || {
        let scrape = Scrape::read(&demo.metrics().await);
        (scrape.value("curfew_requests_total", &[("outcome", "INVALID")]) == 1.0).then_some(())
    };
    eventually("the forged request is over", SOON, ended).await;
    id.to_owned()
}

fn has_moved(scrape: &Scrape) {
    let is = |metric: &str, labels: &[(&str, &str)], expected: f64| {
        assert_eq!(scrape.value(metric, labels), expected, "{metric} {labels:?}");
    };
    let at_least = |metric: &str, labels: &[(&str, &str)], least: f64| {
        let value = scrape.value(metric, labels);
        assert!(value >= least, "{metric} {labels:?} is {value}");
    };
    is("curfew_requests_total", &[("outcome", "REVOKED")], 1.0);
    is("curfew_requests_total", &[("outcome", "WITHDRAWN")], 1.0);
    is("curfew_requests_total", &[("outcome", "DENIED")], 1.0);
    is("curfew_requests", &[("phase", "ACTIVE")], 2.0);
    is("curfew_grants_active", &[], 2.0);
    is("curfew_request_to_active_seconds_count", &[], 3.0);
    is("curfew_approved_to_active_seconds_count", &[], 4.0);
    at_least("curfew_approved_to_active_seconds_bucket", &[("le", "30")], 4.0);
    is("curfew_approval_wait_seconds_count", &[], 1.0);
    is("curfew_removal_lag_seconds_count", &[("cause", "revoked")], 2.0);
    is("curfew_removal_lag_seconds_bucket", &[("cause", "revoked"), ("le", "15")], 2.0);
    is("curfew_removal_lag_seconds_bucket", &[("cause", "natural"), ("le", "60")], 0.0);
    is("curfew_oldest_overdue_binding_seconds", &[], 0.0);
    is("curfew_unauthorised_bindings", &[], 1.0);
    is("curfew_foreign_diff_refusals_total", &[], 0.0);
    is("curfew_policy_conflicts_total", &[], 1.0);
    is("curfew_policy_writes_total", &[("op", "add"), ("result", "conflict")], 1.0);
    is("curfew_policy_writes_total", &[("op", "add"), ("result", "rate_limited")], 1.0);
    at_least("curfew_policy_writes_total", &[("op", "add"), ("result", "ok")], 2.0);
    at_least("curfew_policy_writes_total", &[("op", "remove"), ("result", "ok")], 1.0);
    is("curfew_quota_wait_seconds_count", &[], 1.0);
    let setting = ("method", "resourcemanager.setIamPolicy");
    is("rest_client_requests_total", &[setting, ("code", "409")], 1.0);
    at_least("rest_client_request_duration_seconds_count", &[setting], 4.0);
    for (route, method, code) in [
        ("/v1/requests", "POST", "201"),
        ("/v1/requests", "POST", "403"),
        ("/v1/requests", "POST", "400"),
        ("/v1/requests/{id}", "POST", "200"),
        ("/v1/requests/{id}", "GET", "404"),
        ("unmatched", "GET", "404"),
        ("/v1/me", "DELETE", "405"),
        ("/v1/me", "OTHER", "405"),
    ] {
        let labels = [("route", route), ("method", method), ("code", code)];
        at_least("http_request_duration_seconds_count", &labels, 1.0);
    }
    at_least("controller_runtime_reconcile_total", &[("result", "success")], 1.0);
    at_least("workqueue_adds_total", &[], 6.0);
    at_least("curfew_watch_events_total", &[("kind", "changed")], 6.0);
    for age in ["curfew_watch_last_event_age_seconds", "curfew_last_resync_age_seconds"] {
        let value = scrape.value(age, &[]);
        assert!((0.0..120.0).contains(&value), "{age} is {value}");
    }
    assert!(scrape.value("curfew_clock_skew_seconds", &[]).abs() < 2.0);
    let free = scrape.value("curfew_policy_headroom_ratio", &[("limit", "principals")]);
    assert!(0.5 < free && free < 1.0, "{free}");
}

/// A row of the documentation.
struct Row {
    kind: String,
    /// By label: its values, or `None` where the list is open.
    labels: BTreeMap<&'static str, Option<BTreeSet<&'static str>>>,
    shown_by: String,
}

/// The documented metrics, by name.
fn documented() -> BTreeMap<&'static str, Row> {
    let rows = DOCUMENTED.lines().filter_map(|line| line.strip_prefix("| `"));
    let rows = rows.filter_map(|row| {
        let [name, kind, labels, shown_by, _] = row.split(" | ").collect::<Vec<_>>()[..] else {
            return None;
        };
        let labels = labels.split("; ").filter(|label| *label != "-").map(label).collect();
        let row = Row { kind: kind.to_owned(), labels, shown_by: shown_by.to_owned() };
        Some((name.strip_suffix('`').unwrap(), row))
    });
    let rows: Vec<_> = rows.collect();
    let by_name: BTreeMap<_, _> = rows.into_iter().collect();
    assert!(by_name.len() > 60, "the tables are not read: {}", by_name.len());
    by_name
}

fn label(text: &'static str) -> (&'static str, Option<BTreeSet<&'static str>>) {
    let (name, values) = text.strip_prefix('`').unwrap().split_once("`=").unwrap();
    (name, (!values.ends_with('…')).then(|| values.split(", ").collect()))
}

fn check(sample: &Sample, row: &Row) {
    let shown: BTreeSet<&str> =
        sample.labels.keys().map(String::as_str).filter(|name| *name != "le").collect();
    assert_eq!(shown, row.labels.keys().copied().collect(), "{}", sample.metric);
    for (name, value) in &sample.labels {
        if let Some(Some(values)) = row.labels.get(name.as_str()) {
            assert!(values.contains(value.as_str()), "{}: {name} is {value}", sample.metric);
        }
    }
}

/// What a process shows, in Prometheus' text format
/// (<https://prometheus.io/docs/instrumenting/exposition_formats/#text-based-format>).
struct Scrape {
    kinds: BTreeMap<String, String>,
    samples: Vec<Sample>,
}

struct Sample {
    /// As its type is declared; of a histogram without the suffix of the series.
    metric: String,
    series: String,
    labels: BTreeMap<String, String>,
    value: f64,
}

impl Scrape {
    fn read(text: &str) -> Self {
        let types = text.lines().filter_map(|line| line.strip_prefix("# TYPE "));
        let kinds: BTreeMap<String, String> = types
            .map(|line| line.split_once(' ').unwrap())
            .map(|(name, kind)| (name.to_owned(), kind.to_owned()))
            .collect();
        let lines = text.lines().filter(|line| !line.starts_with('#') && !line.is_empty());
        let samples = lines.map(|line| Sample::read(line, &kinds)).collect();
        Self { kinds, samples }
    }

    /// The value of the one series that has these labels and no others.
    fn value(&self, series: &str, labels: &[(&str, &str)]) -> f64 {
        let labels: BTreeMap<String, String> =
            labels.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
        let mut found = self.samples.iter().filter(|it| it.series == series && it.labels == labels);
        let value = found.next().map(|sample| sample.value);
        assert!(found.next().is_none(), "{series} {labels:?} is there twice");
        value.unwrap_or_else(|| panic!("{series} {labels:?} is not there"))
    }
}

impl Sample {
    fn read(line: &str, kinds: &BTreeMap<String, String>) -> Self {
        let (series, value) = line.rsplit_once(' ').unwrap();
        let (series, labels) = series.split_once('{').unwrap_or((series, ""));
        let labels = labels.strip_suffix('}').unwrap_or_default();
        let labels = labels.split_terminator("\",").map(|pair| {
            let (name, value) = pair.split_once("=\"").unwrap();
            (name.to_owned(), value.trim_end_matches('"').to_owned())
        });
        let is_of_histogram =
            |name: &&str| kinds.get(*name).is_some_and(|kind| kind == "histogram");
        let metric = ["_bucket", "_sum", "_count"]
            .iter()
            .find_map(|suffix| series.strip_suffix(suffix).filter(is_of_histogram))
            .unwrap_or(series);
        assert!(kinds.contains_key(metric), "{line}: no type is declared");
        Self {
            metric: metric.to_owned(),
            series: series.to_owned(),
            labels: labels.collect(),
            value: value.parse().unwrap(),
        }
    }
}

#[test]
fn the_documentation_says_what_it_says_of_labels() {
    let documented = documented();
    let writes = &documented["curfew_policy_writes_total"];
    assert_eq!(writes.labels["op"], Some(BTreeSet::from(["add", "fence", "mixed", "remove"])));
    assert_eq!(documented["curfew_build_info"].labels["version"], None);
    assert!(documented["curfew_grants_active"].labels.is_empty());
    let read = Scrape::read("# TYPE a histogram\na_bucket{r=\"/{id}\",le=\"1\"} 2\na_sum 0.5\n");
    assert_eq!(read.value("a_bucket", &[("r", "/{id}"), ("le", "1")]), 2.0);
    assert_eq!((read.samples[1].metric.as_str(), read.value("a_sum", &[])), ("a", 0.5));
}
