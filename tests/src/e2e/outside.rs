//! Curfew as people and the cloud's administrator see it: through the simulated IAP, and in the policies.

use std::time::Duration;

use reqwest::{Client, Method, RequestBuilder};
use serde_json::{Value, json};

use crate::eventually::eventually;

/// The ways in from outside of one installation.
pub(crate) struct Outside {
    /// The name that its bindings bear.
    installation: &'static str,
    /// The port of the simulated IAP.
    front: u16,
    /// The port of the simulated cloud.
    cloud: u16,
    http: Client,
}

impl Outside {
    pub(crate) fn new(installation: &'static str, front: u16, cloud: u16) -> Self {
        let http = Client::builder().no_proxy().build().unwrap();
        Self { installation, front, cloud, http }
    }

    /// Whether the process whose operations port this is says so at `path`. `None` if it is not there, or says no.
    pub(crate) async fn says_ok(&self, ops: u16, path: &str) -> Option<()> {
        let url = format!("http://127.0.0.1:{ops}{path}");
        let answer = self.http.get(url).send().await.ok()?;
        answer.status().is_success().then_some(())
    }

    /// Whether intake answers through the simulated IAP.
    pub(crate) async fn is_served(&self) -> Option<()> {
        let front = self.http.get(self.front("127.0.0.1", "/_demo/")).send().await.ok()?;
        (!front.status().is_server_error()).then_some(())
    }

    /// What the process whose operations port this is measures.
    pub(crate) async fn metrics_at(&self, ops: u16) -> String {
        let url = format!("http://127.0.0.1:{ops}/metrics");
        self.http.get(url).send().await.unwrap().text().await.unwrap()
    }

    /// A page for somebody who comes by this name of the machine.
    pub(crate) fn front(&self, host: &str, path: &str) -> String {
        format!("http://{host}:{}{path}", self.front)
    }

    /// A call of intake's API through the simulated IAP; status and JSON. `None` if no answer came.
    pub(crate) async fn call(
        &self,
        person: &str,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Option<(u16, Value)> {
        let request = self.request(person, method, path);
        Self::answer(if let Some(body) = body { request.json(body) } else { request }).await
    }

    /// The same with an idempotency key.
    pub(crate) async fn call_with_key(
        &self,
        person: &str,
        method: Method,
        path: &str,
        body: &Value,
        key: &str,
    ) -> Option<(u16, Value)> {
        Self::answer(self.request(person, method, path).header("Idempotency-Key", key).json(body))
            .await
    }

    fn request(&self, person: &str, method: Method, path: &str) -> RequestBuilder {
        let request = self.http.request(method, self.front("127.0.0.1", path));
        let address =
            if person.contains('@') { person.to_owned() } else { format!("{person}@example.com") };
        request.header("X-Demo-User", address)
    }

    async fn answer(request: RequestBuilder) -> Option<(u16, Value)> {
        let answer = request.send().await.ok()?;
        let status = answer.status().as_u16();
        Some((status, answer.json().await.unwrap_or_default()))
    }

    pub(crate) async fn get(&self, person: &str, path: &str) -> Value {
        let (status, body) = self.call(person, Method::GET, path, None).await.unwrap();
        assert_eq!(status, 200, "{path}: {body}");
        body
    }

    /// Files a request and gives its id.
    pub(crate) async fn file(&self, person: &str, body: &Value) -> String {
        let (status, reply) =
            self.call(person, Method::POST, "/v1/requests", Some(body)).await.unwrap();
        assert_eq!(status, 201, "{reply}");
        reply["name"].as_str().unwrap().trim_start_matches("requests/").to_owned()
    }

    /// `withdraw` or `revoke`.
    pub(crate) async fn end(&self, person: &str, id: &str, verb: &str) {
        let path = format!("/v1/requests/{id}:{verb}");
        let (status, reply) =
            self.call(person, Method::POST, &path, Some(&json!({"reason": "over"}))).await.unwrap();
        assert_eq!(status, 200, "{reply}");
    }

    /// Phase and outcome reason, as the requester sees them.
    pub(crate) async fn stands(&self, person: &str, id: &str) -> (String, String) {
        let request = self.get(person, &format!("/v1/requests/{id}")).await;
        let text = |pointer: &str| {
            request.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned()
        };
        (text("/status/phase"), text("/status/outcome/reason"))
    }

    pub(crate) async fn until(
        &self,
        person: &str,
        id: &str,
        phase: &str,
        within: Duration,
    ) -> String {
        let look = || async {
            let (now, reason) = self.stands(person, id).await;
            (now == phase).then_some(reason)
        };
        eventually(&format!("{id} is {phase}"), within, look).await
    }

    /// The policy as an administrator reads it.
    pub(crate) async fn policy(&self, resource: &str) -> Value {
        let body = json!({"options": {"requestedPolicyVersion": 3}});
        self.cloud(Method::POST, &format!("/v3/{resource}:getIamPolicy"), Some(&body)).await
    }

    /// The bindings of a request.
    pub(crate) async fn bindings(&self, resource: &str, id: &str) -> Vec<Value> {
        let title = format!("curfew {} {id}", self.installation);
        let policy = self.policy(resource).await;
        let all = policy["bindings"].as_array().unwrap();
        all.iter().filter(|binding| binding["condition"]["title"] == *title).cloned().collect()
    }

    /// The policy without anything that Curfew wrote, and without its etag.
    pub(crate) async fn foreign(&self, resource: &str) -> Value {
        let mut policy = self.policy(resource).await;
        policy["etag"] = Value::Null;
        policy["version"] = Value::Null;
        let bindings = policy["bindings"].as_array_mut().unwrap();
        bindings.retain(|binding| {
            !binding["condition"]["title"].as_str().unwrap_or_default().starts_with("curfew ")
        });
        policy
    }

    /// Where the simulated cloud is.
    pub(crate) fn cloud_url(&self) -> String {
        format!("http://127.0.0.1:{}", self.cloud)
    }

    /// A call of the simulated cloud as its administrator.
    pub(crate) async fn cloud(&self, method: Method, path: &str, body: Option<&Value>) -> Value {
        let url = format!("{}{path}", self.cloud_url());
        let mut request = self.http.request(method, url).bearer_auth("x");
        if let Some(body) = body {
            request = request.json(body);
        }
        let answer = request.send().await.unwrap();
        let status = answer.status();
        let text = answer.text().await.unwrap();
        assert!(status.is_success(), "{path}: {status} {text}");
        serde_json::from_str(&text).unwrap_or_default()
    }

    pub(crate) async fn faults(&self, faults: &Value) {
        self.cloud(Method::PUT, "/sim/v1/faults", Some(faults)).await;
    }

    pub(crate) async fn can(
        &self,
        principal: &str,
        role: &str,
        resource: &str,
        name: Option<&str>,
    ) -> bool {
        let mut body = json!({"principal": principal, "role": role, "resource": resource});
        if let Some(name) = name {
            body["resourceName"] = name.into();
        }
        self.cloud(Method::POST, "/sim/v1/can", Some(&body)).await["allowed"] == true
    }
}
