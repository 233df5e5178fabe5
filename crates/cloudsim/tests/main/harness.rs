//! A simulated cloud on a loopback port, with a clock that only a test moves.

use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use curfew_cloudsim::{Clock, Cloud, Options, ServeError};
use reqwest::{Method, Response};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::{CancellationToken, DropGuard};

pub(crate) const CONTROLLER: &str = "controller@demo-curfew.iam.gserviceaccount.com";
pub(crate) const INTAKE: &str = "intake@demo-curfew.iam.gserviceaccount.com";
/// What intake may do, and Policy Analyzer.
pub(crate) const ANALYST: &str = "analyst@demo-curfew.iam.gserviceaccount.com";
pub(crate) const ORGANIZATION: &str = "organizations/100000000001";

/// How long a test waits for something that happens on its own.
const DEADLINE: Duration = Duration::from_secs(10);

pub(crate) struct Sim {
    pub(crate) cloud: Cloud,
    pub(crate) base: String,
    pub(crate) client: reqwest::Client,
    now: Arc<Mutex<DateTime<Utc>>>,
    stop: DropGuard,
    served: JoinHandle<Result<(), ServeError>>,
}

/// An answer: status and JSON body.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: Value,
}

impl Sim {
    /// With the default seed, in memory.
    pub(crate) async fn start() -> Self {
        Self::start_with(None, None).await
    }

    pub(crate) async fn seeded(seed: &str) -> Self {
        Self::start_with(Some(seed.to_owned()), None).await
    }

    pub(crate) async fn start_with(seed: Option<String>, data_dir: Option<PathBuf>) -> Self {
        let now = Arc::new(Mutex::new("2026-03-01T09:00:00Z".parse().unwrap()));
        let shared = Arc::clone(&now);
        let clock = Clock::new(move || *shared.lock().unwrap());
        let cloud = Cloud::open(Options { data_dir, seed, clock, ..Options::default() }).unwrap();
        let shutdown = CancellationToken::new();
        let (listener, base) = listen().await;
        let served = tokio::spawn(cloud.clone().serve(listener, shutdown.clone()));
        Self {
            cloud,
            base,
            client: reqwest::Client::new(),
            now,
            stop: shutdown.drop_guard(),
            served,
        }
    }

    /// Stops serving and lets go of the state.
    pub(crate) async fn stop(self) {
        drop(self.stop);
        self.served.await.unwrap().unwrap();
    }

    pub(crate) fn advance(&self, by: TimeDelta) {
        *self.now.lock().unwrap() += by;
    }

    pub(crate) fn token(&self, account: &str) -> String {
        self.cloud.token_for(account).unwrap()
    }

    /// A call as olga, the organisation's administrator.
    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.call(Method::GET, path, None, Some("x")).await
    }

    /// A call as olga, the organisation's administrator.
    pub(crate) async fn post(&self, path: &str, body: Value) -> Answer {
        self.call(Method::POST, path, Some(body), Some("x")).await
    }

    pub(crate) async fn call(
        &self,
        method: Method,
        path: &str,
        body: Option<Value>,
        token: Option<&str>,
    ) -> Answer {
        answer(self.send(method, path, body, token).await.unwrap()).await
    }

    pub(crate) async fn send(
        &self,
        method: Method,
        path: &str,
        body: Option<Value>,
        token: Option<&str>,
    ) -> reqwest::Result<Response> {
        let mut request = self.client.request(method, format!("{}/{path}", self.base));
        if let Some(token) = token {
            request = request.bearer_auth(token);
        }
        if let Some(body) = body {
            request = request.json(&body);
        }
        request.send().await
    }

    /// The policy as a version-3 reader sees it.
    pub(crate) async fn policy(&self, resource: &str) -> Value {
        let answer = self
            .post(
                &format!("v3/{resource}:getIamPolicy"),
                json!({"options": {"requestedPolicyVersion": 3}}),
            )
            .await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        answer.body
    }

    pub(crate) async fn set_policy(&self, resource: &str, policy: Value) -> Answer {
        self.post(&format!("v3/{resource}:setIamPolicy"), json!({"policy": policy})).await
    }

    /// Read-modify-write of the bindings.
    pub(crate) async fn add_binding(&self, resource: &str, binding: Value) -> Answer {
        let mut policy = self.policy(resource).await;
        policy["version"] = json!(3);
        policy["bindings"].as_array_mut().unwrap().push(binding);
        self.set_policy(resource, policy).await
    }

    pub(crate) async fn arm(&self, faults: Value) {
        let armed = self.call(Method::PUT, "sim/v1/faults", Some(faults), None).await;
        assert_eq!(armed.status, 200, "{}", armed.body);
    }

    pub(crate) async fn can(&self, request: Value) -> bool {
        self.post("sim/v1/can", request).await.body["allowed"].as_bool().unwrap()
    }

    pub(crate) async fn log(&self) -> Vec<Value> {
        self.get("sim/v1/log").await.body["entries"].as_array().unwrap().clone()
    }
}

impl Answer {
    /// The error's canonical status.
    pub(crate) fn error(&self) -> (u16, &str) {
        (self.status, self.body["error"]["status"].as_str().unwrap_or_default())
    }

    pub(crate) fn message(&self) -> &str {
        self.body["error"]["message"].as_str().unwrap_or_default()
    }
}

pub(crate) async fn listen() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    (listener, base)
}

pub(crate) async fn answer(response: Response) -> Answer {
    let status = response.status().as_u16();
    let text = response.text().await.unwrap();
    let body = serde_json::from_str(&text).unwrap_or(Value::String(text));
    Answer { status, body }
}

/// Asks again and again until the answer is yes.
pub(crate) async fn eventually<F: Future<Output = bool>>(what: &str, mut ask: impl FnMut() -> F) {
    let asking = async {
        while !ask().await {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    assert!(tokio::time::timeout(DEADLINE, asking).await.is_ok(), "not in time: {what}");
}

pub(crate) fn binding(role: &str, member: &str) -> Value {
    json!({"role": role, "members": [member]})
}

pub(crate) fn conditional(role: &str, member: &str, title: &str, expression: &str) -> Value {
    json!({"role": role, "members": [member], "condition": {"title": title, "expression": expression}})
}

/// An organisation with one project, `people` people `p0@x`, `groups` groups `g0@x` and the
/// administrator `root@x` behind the token `x`.
pub(crate) fn crowd(people: usize, groups: usize, settings: &str) -> String {
    let people: Vec<String> =
        (0..people).map(|n| format!("  - {{email: p{n}@x, id: '1{n:020}'}}")).collect();
    let groups: Vec<String> = (0..groups)
        .map(|n| format!("  - {{email: g{n}@x, id: g{n}, members: [root@x]}}"))
        .collect();
    let (people, groups) = (people.join("\n"), groups.join("\n"));
    format!(
        "organization: {{id: 1, displayName: x, customer: C1}}
projects:
  - {{id: p, number: 11, displayName: P, parent: organizations/1}}
  - {{id: q, number: 12, displayName: Q, parent: organizations/1}}
people:
  - {{email: root@x, id: '900000000000000000000', groupsReader: true}}
{people}
groups:
  - {{email: all@x, id: all, members: []}}
{groups}
policies:
  organizations/1:
    bindings:
      - {{role: roles/resourcemanager.organizationAdmin, members: ['user:root@x']}}
tokens: {{x: root@x}}
{settings}
"
    )
}
