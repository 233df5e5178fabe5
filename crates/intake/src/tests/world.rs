//! One installation in memory, and a client that is signed in as whoever it says.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use axum::http::{HeaderMap, Method, Request, StatusCode};
use chrono::{DateTime, TimeDelta, Utc};
use curfew_core::condition::JIT_ACCESS_TITLE;
use curfew_core::danger::Dangerous;
use curfew_core::entry::Level;
use curfew_core::id::Installation;
use curfew_core::judge::{PeerRules, Rules};
use curfew_core::phase::Phase;
use curfew_core::policy::{Binding, Condition, Policy};
use curfew_core::principal::Email;
use curfew_core::resource::Resource;
use curfew_core::role::Role;
use curfew_core::status::Status;
use curfew_ports::{Clock as _, Entropy as _};
use curfew_trust::iap::ASSERTION_HEADER;
use curfew_trust::{
    EnvelopeVerifier, IapConfig, IapVerifier, KeyConfig, KeyFileSigner, KeySet, PublicKey, Verb,
    generate_key_file,
};
use prometheus::Registry;
use serde_json::{Value, json};
use tower::ServiceExt as _;

use super::fakes::{
    Counter, FakeCatalog, FakeClock, FakeDirectory, FakeSigner, Fault, MemoryStore, SCOPE, START_S,
};
use super::front::{AUDIENCE, Front};
use crate::offers::Shelf;
use crate::routes::routes;
use crate::{App, BaseUrl, FormKey, Intake, ListSource, Metrics, Settings, Shared, Team};

pub(super) const JIT: &str = "has({}.jitAccessConstraint)";
pub(super) const MPA: &str = "has({}.multiPartyApprovalConstraint)";
pub(super) const ZONE_A: &str = "resource.name.startsWith(\"projects/demo-prod/zones/a/\")";
pub(super) const ZONE_B: &str = "resource.name.startsWith(\"projects/demo-prod/zones/b/\")";

/// `projects/demo-web` and `demo-prod` under a folder in scope, `demo-curfew` protected, `elsewhere` out of scope.
pub(super) struct World {
    pub(super) app: Router,
    pub(super) front: Front,
    pub(super) clock: Arc<FakeClock>,
    pub(super) store: Arc<MemoryStore>,
    pub(super) catalog: Arc<FakeCatalog>,
    pub(super) directory: Arc<FakeDirectory>,
    pub(super) signer: Arc<FakeSigner<KeyFileSigner>>,
    pub(super) registry: Registry,
    lists: Arc<Shelf>,
    /// Whether policies changed since the lists were read; what reads them all the time is not started here.
    is_stale: AtomicBool,
}

/// A reply, read to its end.
#[derive(Debug)]
pub(super) struct Reply {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

impl Reply {
    pub(super) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    pub(super) fn text(&self) -> String {
        String::from_utf8(self.body.to_vec()).unwrap()
    }

    pub(super) fn reason(&self) -> String {
        self.json()["error"]["details"][0]["reason"].as_str().unwrap_or_default().to_owned()
    }

    pub(super) fn field(&self) -> String {
        self.json()["error"]["details"][0]["field"].as_str().unwrap_or_default().to_owned()
    }

    pub(super) fn id(&self) -> String {
        let name = self.json()["name"].as_str().map(str::to_owned);
        name.unwrap_or_else(|| panic!("{}", self.text()))
            .strip_prefix("requests/")
            .unwrap()
            .to_owned()
    }
}

impl World {
    pub(super) async fn new() -> Self {
        Self::with(|_| ()).await
    }

    /// The same, configured otherwise.
    pub(super) async fn with(edit: impl FnOnce(&mut Settings)) -> Self {
        let mut settings = settings();
        edit(&mut settings);
        let front = Front::start().await;
        let clock = Arc::new(FakeClock::default());
        let store = Arc::new(MemoryStore::new(clock.clone()));
        let (catalog, directory) = (Arc::new(catalog(&clock)), Arc::new(directory()));
        *catalog.scope.lock().unwrap() = Some(settings.rules.scope.clone());
        let (signer, verifier) = keys();
        let signer = Arc::new(FakeSigner { inner: signer, fails: Fault::default() });
        let config = IapConfig {
            audience: AUDIENCE.into(),
            hosted_domains: vec![],
            key_url: front.url.clone(),
        };
        let registry = Registry::new();
        let app: Shared = Arc::new(App::new(Intake {
            store: store.clone(),
            catalog: catalog.clone(),
            directory: directory.clone(),
            signer: signer.clone(),
            verifier: Arc::new(verifier),
            iap: Arc::new(IapVerifier::new(config, clock.clone()).unwrap()),
            clock: clock.clone(),
            entropy: Arc::new(Counter::default()),
            metrics: Metrics::register(&registry).unwrap(),
            settings,
        }));
        let lists = app.lists.clone();
        let (app, is_stale) = (routes(app), AtomicBool::new(true));
        Self { app, front, clock, store, catalog, directory, signer, registry, lists, is_stale }
    }

    pub(super) fn token(&self, name: &str) -> String {
        self.front.token(&Front::claims(name, self.clock.now().timestamp()))
    }

    /// Sends a request as it stands.
    pub(super) async fn send(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<Body>,
    ) -> Reply {
        let mut request =
            Request::builder().method(Method::from_bytes(method.as_bytes()).unwrap()).uri(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        if self.is_stale.swap(false, Ordering::SeqCst) {
            self.refresh().await;
        }
        let response = self.app.clone().oneshot(request.body(body.into()).unwrap()).await.unwrap();
        let (status, headers) = (response.status(), response.headers().clone());
        Reply { status, headers, body: to_bytes(response.into_body(), usize::MAX).await.unwrap() }
    }

    pub(super) async fn get(&self, name: &str, path: &str) -> Reply {
        self.send("GET", path, &[(ASSERTION_HEADER, &self.token(name))], Body::empty()).await
    }

    pub(super) async fn post(&self, name: &str, path: &str, body: &Value) -> Reply {
        self.post_with(name, path, &[], body.to_string()).await
    }

    pub(super) async fn post_with(
        &self,
        name: &str,
        path: &str,
        more: &[(&str, &str)],
        body: impl Into<Body>,
    ) -> Reply {
        let token = self.token(name);
        let headers =
            [&[(ASSERTION_HEADER, token.as_str()), ("content-type", "application/json")], more]
                .concat();
        self.send("POST", path, &headers, body).await
    }

    pub(super) async fn page(&self, name: &str, path: &str) -> Reply {
        self.send(
            "GET",
            path,
            &[(ASSERTION_HEADER, &self.token(name)), ("accept", "text/html")],
            Body::empty(),
        )
        .await
    }

    pub(super) async fn form(&self, name: &str, path: &str, fields: &[(&str, &str)]) -> Reply {
        let encode = |text: &str| {
            text.bytes().fold(String::new(), |encoded, byte| format!("{encoded}%{byte:02X}"))
        };
        let pairs: Vec<String> = fields
            .iter()
            .map(|(name, value)| format!("{}={}", encode(name), encode(value)))
            .collect();
        let headers = [
            (ASSERTION_HEADER, &*self.token(name)),
            ("content-type", "application/x-www-form-urlencoded"),
            ("sec-fetch-site", "same-origin"),
            ("accept", "text/html"),
        ];
        self.send("POST", path, &headers, pairs.join("&")).await
    }

    /// Files alice's usual request.
    pub(super) async fn filed(&self) -> String {
        let reply = self.post("alice", "/v1/requests", &body()).await;
        assert_eq!(reply.status, StatusCode::CREATED, "{}", reply.text());
        reply.id()
    }

    /// Reads everything once, as it is done all the time; how long to rest after it.
    pub(super) async fn refresh(&self) -> Duration {
        self.is_stale.store(false, Ordering::SeqCst);
        self.lists.refresh(&mut 0).await
    }

    /// From now on lists are read only when a test says so.
    pub(super) fn holds_still(&self) {
        self.is_stale.store(false, Ordering::SeqCst);
    }

    /// Replaces a policy. Its roles exist from then on.
    pub(super) fn set_policy(&self, node: &str, bindings: &[(&str, &[&str], &str)]) {
        let policy = policy(bindings);
        for role in bindings.iter().filter_map(|(role, _, _)| Role::parse(role).ok()) {
            self.catalog.roles.lock().unwrap().entry(role).or_default();
        }
        self.catalog.policies.lock().unwrap().insert(Resource::parse(node).unwrap(), policy);
        self.is_stale.store(true, Ordering::SeqCst);
    }

    /// Adds what JIT Access would have written for an activation of its own that is in force for 15 minutes.
    pub(super) fn activate_elsewhere(&self, node: &str, role: &str, member: &str, condition: &str) {
        let times = format!(
            "(request.time >= timestamp(\"{}\") && request.time < timestamp(\"{}\"))",
            at(-60).format("%Y-%m-%dT%H:%M:%SZ"),
            at(900).format("%Y-%m-%dT%H:%M:%SZ")
        );
        let expression =
            if condition.is_empty() { times } else { format!("({times}) && ({condition})") };
        let title = JIT_ACCESS_TITLE.into();
        let binding = Binding {
            role: role.into(),
            members: vec![member.into()],
            condition: Some(Condition { title, expression, ..Condition::default() }),
            ..Binding::default()
        };
        let node = Resource::parse(node).unwrap();
        self.catalog.policies.lock().unwrap().entry(node).or_default().bindings.push(binding);
        self.is_stale.store(true, Ordering::SeqCst);
    }

    pub(super) fn set_role(&self, role: &str, permissions: &[&str]) {
        let permissions = permissions.iter().map(ToString::to_string).collect();
        self.catalog.roles.lock().unwrap().insert(Role::parse(role).unwrap(), permissions);
        self.is_stale.store(true, Ordering::SeqCst);
    }

    pub(super) fn lists(&self) -> &Shelf {
        &self.lists
    }

    /// The value of a metric as it is scraped; its name may bear one label.
    pub(super) fn metric(&self, name: &str) -> String {
        let text =
            prometheus::TextEncoder::new().encode_to_string(&self.registry.gather()).unwrap();
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        line.unwrap_or_else(|| panic!("no {name} in {text}")).to_owned()
    }

    pub(super) fn set_status(&self, id: &str, status: Status) {
        self.store.change(id, |stored| stored.status = Some(status));
    }
}

/// Alice's usual request.
pub(super) fn body() -> Value {
    json!({
        "resource": "projects/demo-web",
        "roles": [{"role": "roles/compute.viewer"}],
        "duration": "1800s",
        "justification": "BUG-1",
    })
}

pub(super) fn status(phase: Phase) -> Status {
    Status {
        phase,
        outcome: None,
        conditions: vec![],
        grant: None,
        decide_by: None,
        steps_required: Some(0),
        approved_by: Vec::new(),
        observed_entries: vec![],
    }
}

pub(super) fn at(seconds: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(START_S + seconds, 0).unwrap()
}

fn email(name: &str) -> Email {
    Email::parse(&format!("{name}@example.com")).unwrap()
}

/// Role, members and condition of a binding.
type Eligible<'a> = (&'a str, &'a [&'a str], &'a str);

fn policy(bindings: &[(&str, &[&str], &str)]) -> Policy {
    let binding = |(role, members, expression): &(&str, &[&str], &str)| Binding {
        role: (*role).into(),
        members: members.iter().map(ToString::to_string).collect(),
        condition: Some(Condition { expression: (*expression).into(), ..Condition::default() }),
        ..Binding::default()
    };
    Policy { version: 3, bindings: bindings.iter().map(binding).collect(), ..Policy::default() }
}

fn catalog(clock: &Arc<FakeClock>) -> FakeCatalog {
    let catalog = FakeCatalog { clock: clock.clone(), ..FakeCatalog::default() };
    for (node, parent) in [
        ("organizations/1", None),
        ("folders/2", Some("organizations/1")),
        ("projects/demo-web", Some("folders/2")),
        ("projects/demo-prod", Some("folders/2")),
        ("projects/demo-curfew", Some("organizations/1")),
        ("organizations/9", None),
        ("projects/elsewhere", Some("organizations/9")),
    ] {
        let parent = parent.map(|parent| Resource::parse(parent).unwrap());
        catalog.parents.lock().unwrap().insert(Resource::parse(node).unwrap(), parent);
    }
    let (a, b) = (format!("{JIT} && {ZONE_A}"), format!("{JIT} && {ZONE_B}"));
    let policies: [(&str, &[Eligible]); 5] = [
        ("projects/demo-web", &[("roles/compute.viewer", &["group:devs@example.com"], JIT)]),
        ("folders/2", &[("roles/logging.admin", &["group:sre@example.com"], JIT)]),
        (
            "projects/demo-prod",
            &[
                ("roles/compute.instanceAdmin.v1", &["group:devs@example.com"], MPA),
                ("roles/compute.osLogin", &["user:alice@example.com"], &a),
                ("roles/compute.osLogin", &["user:alice@example.com", "group:sre@example.com"], &b),
                ("roles/pubsub.gone", &["user:alice@example.com"], JIT),
            ],
        ),
        ("projects/demo-curfew", &[("roles/compute.viewer", &["group:devs@example.com"], JIT)]),
        ("projects/elsewhere", &[("roles/compute.viewer", &["user:alice@example.com"], JIT)]),
    ];
    for (node, bindings) in policies {
        catalog.policies.lock().unwrap().insert(Resource::parse(node).unwrap(), policy(bindings));
    }
    for role in [
        "roles/compute.viewer",
        "roles/logging.admin",
        "roles/compute.instanceAdmin.v1",
        "roles/compute.osLogin",
    ] {
        let permissions = [format!("{role}.use")].into();
        catalog.roles.lock().unwrap().insert(Role::parse(role).unwrap(), permissions);
    }
    catalog
}

fn directory() -> FakeDirectory {
    let groups: [(&str, &[&str]); 4] = [
        ("devs", &["alice", "bob"]),
        ("sre", &["bob", "carol"]),
        ("security", &["erin"]),
        ("platform", &["olga"]),
    ];
    let directory = FakeDirectory::default();
    for (group, members) in groups {
        let members = members.iter().map(|name| email(name)).collect();
        directory.groups.lock().unwrap().insert(email(group), members);
    }
    directory
}

fn keys() -> (KeyFileSigner, EnvelopeVerifier) {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("intake.key");
    let public_key = PublicKey::from_spki_pem(&generate_key_file(&file).unwrap()).unwrap();
    let config = KeyConfig {
        id: "intake-1".into(),
        owner: "intake".into(),
        public_key,
        level: Level::Session,
        verbs: Verb::ALL.into(),
        from: at(-1_000),
        until: at(1_000_000),
        distrusted_from: None,
    };
    let installation = Installation::parse("demo").unwrap();
    let verifier = EnvelopeVerifier::new(installation, KeySet::new(vec![config]).unwrap());
    (KeyFileSigner::open(&file, "intake-1").unwrap(), verifier)
}

fn settings() -> Settings {
    Settings {
        installation: Installation::parse("demo").unwrap(),
        rules: Rules {
            scope: Resource::parse(SCOPE).unwrap(),
            protected: [Resource::parse("projects/demo-curfew").unwrap()].into(),
            duration_max: TimeDelta::hours(2),
            peers: PeerRules::default(),
            roles_max: 3,
            dangerous: Dangerous::Warn,
            from: Vec::new(),
        },
        operators: Team::parse(["group:platform@example.com"]).unwrap(),
        auditors: Team::parse(["group:security@example.com"]).unwrap(),
        base_url: BaseUrl::parse("https://access.example.com").unwrap(),
        default_duration: TimeDelta::hours(1),
        justification_hint: "Bug or case number".into(),
        justification_pattern: None,
        lists_from: ListSource::default(),
        form_key: FormKey::new([Counter::default().bits(), [9; 16]].concat().try_into().unwrap()),
    }
}
