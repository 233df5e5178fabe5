//! Quotas: Google's by default, changed and switched off by the seed and by hand.

use chrono::TimeDelta;
use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{Answer, CONTROLLER, Sim, answer, crowd};

const WRITES: &str = "cloudresourcemanager.googleapis.com/write_requests";
const READS: &str = "cloudresourcemanager.googleapis.com/read_requests";

#[tokio::test]
async fn a_used_up_quota_is_429_in_googles_shape_until_it_fills_again() {
    let sim = Sim::start().await;
    sim.set_quotas(json!({"perMinute": {WRITES: 2}})).await;
    let token = sim.token(CONTROLLER);
    let write = || async {
        let path = "v3/projects/demo-web:setIamPolicy";
        sim.call(Method::POST, path, Some(json!({"policy": {"etag": "AAAA"}})), Some(&token)).await
    };
    assert_eq!((write().await.status, write().await.status), (409, 409), "refused ones count too");
    let refused = write().await;
    assert_eq!(refused.error(), (429, "RESOURCE_EXHAUSTED"));
    assert_eq!(
        refused.message(),
        "Quota exceeded for quota metric 'Write requests' and limit 'Write requests per minute' of service \
         'cloudresourcemanager.googleapis.com' for consumer 'projects/100000000104'."
    );
    let detail = &refused.body["error"]["details"][0];
    assert_eq!(
        (&detail["reason"], &detail["domain"]),
        (&json!("RATE_LIMIT_EXCEEDED"), &json!("googleapis.com"))
    );
    assert_eq!(detail["metadata"]["quota_metric"], WRITES);
    assert_eq!(detail["metadata"]["quota_limit_value"], "2");
    assert_eq!(detail["metadata"]["consumer"], "projects/100000000104");
    let log = sim.log().await;
    assert_eq!(log.len(), 2, "a call above a quota does not reach the policy");
    sim.advance(TimeDelta::seconds(29));
    assert_eq!(write().await.status, 429);
    sim.advance(TimeDelta::seconds(1));
    assert_eq!((write().await.status, write().await.status), (409, 429));
}

#[tokio::test]
async fn service_accounts_share_their_projects_quota_and_people_have_their_own() {
    let sim = Sim::start().await;
    sim.set_quotas(json!({"perMinute": {READS: 1}})).await;
    let get = |token: String| sim.read_as(token);
    let (controller, intake) =
        (sim.token(CONTROLLER), sim.token("intake@demo-curfew.iam.gserviceaccount.com"));
    assert_eq!(get(controller).await.status, 200);
    assert_eq!(get(intake).await.status, 429, "the same project");
    assert_eq!(get("x".to_owned()).await.status, 200);
}

#[tokio::test]
async fn the_default_limits_are_googles() {
    let sim = Sim::start().await;
    let quotas = sim.get("sim/v1/quotas").await.body;
    assert_eq!((&quotas["enabled"], &quotas["retryAfter"]), (&json!(true), &json!(false)));
    for (metric, limit) in [
        (READS, 600),
        (WRITES, 600),
        ("cloudresourcemanager.googleapis.com/list_requests", 600),
        ("cloudresourcemanager.googleapis.com/search_requests", 240),
        ("cloudasset.googleapis.com/search_all_iam_policies_requests", 400),
        ("cloudasset.googleapis.com/analyze_iam_policy_requests", 100),
        ("iam.googleapis.com/read_requests", 6_000),
        ("admin.googleapis.com/requests", 2_400),
        ("cloudkms.googleapis.com/write_requests", 60),
        ("secretmanager.googleapis.com/access_requests", 90_000),
    ] {
        assert_eq!(quotas["perMinute"][metric], limit, "{metric}");
    }
    assert_eq!(
        quotas["perDay"],
        json!({"cloudasset.googleapis.com/analyze_iam_policy_requests": 1000})
    );
    let statuses = sim.reads(601).await;
    assert_eq!(statuses.iter().filter(|status| **status == 200).count(), 600);
    assert_eq!(statuses.last(), Some(&429));
}

#[tokio::test]
async fn switched_off_nothing_is_counted_and_what_is_answered_can_be_sent_back() {
    let sim = Sim::start().await;
    sim.set_quotas(json!({"enabled": false, "perMinute": {READS: 1}})).await;
    assert_eq!(sim.reads(3).await, [200, 200, 200]);
    let answered = sim.get("sim/v1/quotas").await.body;
    assert_eq!(sim.set_quotas(answered.clone()).await.body, answered);
    let mut on = answered;
    on["enabled"] = json!(true);
    sim.set_quotas(on).await;
    assert_eq!(sim.reads(2).await, [200, 429]);
    sim.set_quotas(json!({"perMinute": {READS: 1}})).await;
    assert_eq!(sim.reads(2).await, [200, 429], "setting quotas fills the buckets");
}

#[tokio::test]
async fn retry_after_is_sent_if_asked_for() {
    let sim = Sim::start().await;
    let header = || async {
        let sent = sim.send(Method::GET, "v3/projects/demo-web", None, Some("x")).await.unwrap();
        let header = sent.headers().get("retry-after").map(|it| it.to_str().unwrap().to_owned());
        (answer(sent).await.status, header)
    };
    sim.set_quotas(json!({"perMinute": {READS: 1}})).await;
    assert_eq!((header().await, header().await), ((200, None), (429, None)));
    sim.set_quotas(json!({"perMinute": {READS: 1}, "retryAfter": true})).await;
    assert_eq!((header().await, header().await), ((200, None), (429, Some("60".to_owned()))));
}

#[tokio::test]
async fn a_seed_sets_quotas_and_a_restart_keeps_them() {
    let directory = tempfile::tempdir().unwrap();
    let settings = format!("settings: {{quotas: {{perMinute: {{'{WRITES}': 1}}}}}}");
    let seed = crowd(0, 0, &settings);
    let sim = Sim::start_with(Some(seed), Some(directory.path().to_owned())).await;
    assert_eq!(sim.set_policy("projects/p", json!({})).await.status, 200);
    assert_eq!(sim.set_policy("projects/p", json!({})).await.error(), (429, "RESOURCE_EXHAUSTED"));
    sim.set_quotas(json!({"enabled": false})).await;
    sim.stop().await;
    let sim = Sim::start_with(None, Some(directory.path().to_owned())).await;
    assert_eq!(sim.get("sim/v1/quotas").await.body["enabled"], false);
}

#[tokio::test]
async fn quotas_that_make_no_sense_are_refused_by_name() {
    let sim = Sim::start().await;
    for (wrong, place) in [
        (json!({"perMinute": {"compute.googleapis.com/x": 1}}), "compute.googleapis.com/x"),
        (json!({"perMinute": {WRITES: -1}}), "write_requests"),
        (json!({"enabled": "no"}), "enabled"),
        (json!({"perHour": {}}), "perHour"),
    ] {
        let refused = sim.call(Method::PUT, "sim/v1/quotas", Some(wrong.clone()), None).await;
        assert_eq!(refused.error(), (400, "INVALID_ARGUMENT"), "{wrong}");
        assert!(refused.message().contains(place), "{wrong}: {}", refused.message());
    }
    assert_eq!(sim.get("sim/v1/quotas").await.body["perMinute"][WRITES], 600);
}

impl Sim {
    async fn set_quotas(&self, quotas: Value) -> Answer {
        let set = self.call(Method::PUT, "sim/v1/quotas", Some(quotas), None).await;
        assert_eq!(set.status, 200, "{}", set.body);
        set
    }

    async fn read_as(&self, token: String) -> Answer {
        self.call(Method::GET, "v3/projects/demo-web", None, Some(&token)).await
    }

    async fn reads(&self, count: usize) -> Vec<u16> {
        let mut statuses = Vec::new();
        for _ in 0..count {
            statuses.push(self.get("v3/projects/demo-web").await.status);
        }
        statuses
    }
}
