//! What a peer must approve: through the API, and by any Firestore client that holds a writer's key.

use chrono::{DateTime, Utc};
use curfew_core::entry::{Act, Verdict};
use curfew_core::id::{Digest, Installation, Nonce, RequestId, sha256};
use curfew_core::principal::{Email, Person, Subject};
use curfew_core::request::Rejection;
use curfew_core::spec::Authentication;
use curfew_ports::EnvelopeSigner as _;
use curfew_proto::payload;
use curfew_trust::KeyFileSigner;
use gcloud_sdk::google::firestore::v1::Value as Stored;
use gcloud_sdk::google::firestore::v1::value::ValueType;
use reqwest::Method;
use serde_json::{Value, json};

use super::demo::{Demo, SOON, Shape};
use super::in_both_shapes;
use crate::eventually::eventually;
use crate::store::raw::{Raw, map, text};

in_both_shapes! {
    a_peer_approves_and_may_take_it_back,
    a_denial_ends_the_request,
    a_writers_key_approves_from_any_firestore_client,
    decisions_that_nobody_may_make_have_no_effect,
    a_flood_of_forgeries_does_not_flood_the_ledger,
}

const ADMIN: &str = "roles/compute.instanceAdmin.v1";
const PROD: &str = "projects/demo-prod";

/// More forged entries of one request than the ledger names, and how many that is.
const FLOOD: u8 = 70;
const NAMED_MAX: usize = 64;

const ZONE: &str =
    "resource.name.startsWith(\"projects/demo-prod/zones/asia-southeast1-a/instances/\")";

/// Alice's request, and the digest that an approver repeats.
async fn waiting(demo: &Demo) -> (String, String) {
    let body = json!({
        "resource": PROD,
        "roles": [{"role": ADMIN}],
        "duration": "1h",
        "justification": "BUG-1",
    });
    let id = demo.file("alice", &body).await;
    demo.until("alice", &id, "AWAITING_APPROVAL", SOON).await;
    let digest = demo.get("alice", &format!("/v1/requests/{id}")).await["digest"].clone();
    (id, digest.as_str().unwrap().to_owned())
}

async fn decide(demo: &Demo, who: &str, id: &str, verb: &str, digest: &str) -> (u16, String) {
    let path = format!("/v1/requests/{id}:{verb}");
    let body = json!({"digest": digest});
    let (status, reply) = demo.call(who, Method::POST, &path, Some(&body)).await.unwrap();
    let reason = reply["error"]["details"][0]["reason"].as_str().unwrap_or_default();
    (status, reason.to_owned())
}

async fn a_peer_approves_and_may_take_it_back(shape: Shape) {
    let demo = Demo::start_as(shape).await;
    let before = demo.foreign(PROD).await;
    let (id, digest) = waiting(&demo).await;
    assert_eq!(demo.bindings(PROD, &id).await, Vec::<Value>::new());
    let inbox = demo.get("bob", "/v1/requests?view=inbox").await;
    assert_eq!(inbox["requests"][0]["name"], format!("requests/{id}"));
    for (who, refused) in [
        ("alice", (403, "SELF_APPROVAL")),
        ("olga", (403, "NOT_A_PEER")),
        ("dave", (404, "NOT_FOUND")),
    ] {
        let (status, reason) = decide(&demo, who, &id, "approve", &digest).await;
        assert_eq!((status, reason.as_str()), refused, "{who}");
    }
    let wrong = decide(&demo, "bob", &id, "approve", &"0".repeat(64)).await;
    assert_eq!(wrong, (409, "DIGEST_MISMATCH".into()));
    assert_eq!(decide(&demo, "bob", &id, "approve", &digest).await.0, 200);

    demo.until("alice", &id, "ACTIVE", SOON).await;
    let [binding] = &demo.bindings(PROD, &id).await[..] else { panic!("not one binding") };
    let expression = binding["condition"]["expression"].as_str().unwrap();
    assert!(expression.ends_with(&format!(" && ({ZONE})")), "{expression}");
    let can = async |name: &str| demo.can("user:alice@example.com", ADMIN, PROD, Some(name)).await;
    assert!(can("projects/demo-prod/zones/asia-southeast1-a/instances/db").await);
    assert!(!can("projects/demo-prod/zones/us-central1-a/instances/db").await);
    let shown = demo.get("alice", &format!("/v1/requests/{id}")).await;
    assert_eq!(shown["status"]["approvals"]["by"], json!(["bob@example.com"]));

    demo.end("bob", &id, "revoke").await;
    assert_eq!(demo.until("alice", &id, "ENDED", SOON).await, "REVOKED");
    assert_eq!(demo.foreign(PROD).await, before);
}

async fn a_denial_ends_the_request(shape: Shape) {
    let demo = Demo::start_as(shape).await;
    let (id, digest) = waiting(&demo).await;
    assert_eq!(decide(&demo, "bob", &id, "deny", &digest).await.0, 200);
    assert_eq!(demo.until("alice", &id, "ENDED", SOON).await, "DENIED");
    let (status, reason) = decide(&demo, "bob", &id, "approve", &digest).await;
    assert_eq!((status, reason.as_str()), (409, "ALREADY_OVER"));
    assert_eq!(demo.bindings(PROD, &id).await, Vec::<Value>::new());
}

async fn a_writers_key_approves_from_any_firestore_client(shape: Shape) {
    let demo = Demo::start_as(shape).await;
    let (id, digest) = waiting(&demo).await;
    let decision = Decision::new(&id, &digest);
    decision.write(&demo, &demo.store().await).await;
    demo.until("alice", &id, "ACTIVE", SOON).await;
    assert_eq!(demo.bindings(PROD, &id).await.len(), 1);
}

async fn decisions_that_nobody_may_make_have_no_effect(shape: Shape) {
    let demo = Demo::start_as(shape).await;
    let store = demo.store().await;
    let (id, digest) = waiting(&demo).await;
    let (other, other_digest) = waiting(&demo).await;
    let good = || Decision::new(&id, &digest);
    let refused = [
        ("SELF_APPROVAL", Decision { email: "alice@example.com", ..good() }),
        ("NOT_A_PEER", Decision { email: "carol@example.com", ..good() }),
        ("NOT_A_PEER", Decision { email: "olga@example.com", ..good() }),
        ("NOT_A_PEER", Decision { email: "bot@demo-web.iam.gserviceaccount.com", ..good() }),
        ("WRONG_TARGET", Decision { target: other_digest.clone(), ..good() }),
        ("TOO_OLD", Decision { age_s: 601, ..good() }),
        ("TOO_OLD", Decision { age_s: -601, ..good() }),
        ("OTHER_REQUEST", Decision { request: other.clone(), ..good() }),
        ("OTHER_INSTALLATION", Decision { installation: "prod", ..good() }),
        ("OTHER_NONCE", Decision { key: Nonce::from_bits([9; 16]), ..good() }),
        // The signature names the type of the act.
        ("BAD_SIGNATURE", Decision { envelope_type: "WITHDRAW", ..good() }),
        ("BAD_SIGNATURE", Decision { spoil: "signature", ..good() }),
        ("BAD_SIGNATURE", Decision { spoil: "payload", ..good() }),
        ("BAD_SIGNATURE", Decision { key_id: "intake-1", ..good() }),
        ("UNKNOWN_KEY", Decision { key_id: "nobody", ..good() }),
        ("MALFORMED", Decision { spoil: "everything", ..good() }),
    ];
    assert!(refused.len() >= 15);
    for (why, decision) in &refused {
        decision.write_under(&demo, &store, &id).await;
        let key = decision.key.to_string();
        let seen = || async {
            let request = demo.get("alice", &format!("/v1/requests/{id}")).await;
            let entries = request["entries"].as_array()?;
            let entry = entries.iter().find(|entry| entry["nonce"] == *key)?;
            entry["why"].as_str().filter(|why| *why != "NOT_SEEN_YET").map(str::to_owned)
        };
        let got = eventually(&format!("{why} was looked at"), SOON, seen).await;
        assert_eq!(got, *why);
        // One by one: no effect of this one alone, and a document of the ledger for it alone.
        assert_eq!(demo.stands("alice", &id).await.0, "AWAITING_APPROVAL", "{why}");
        let said = in_the_ledger(&store, &id, &key, why).await;
        let is_forged = Rejection::ALL.iter().any(|rejection| rejection.as_str() == *why);
        assert_eq!(said.kind, if is_forged { "FORGED_DOCUMENT" } else { "REFUSED_ACT" }, "{why}");
        let claimed = match decision.spoil {
            "everything" => json!({"keyId": decision.key_id}),
            _ => json!({"actor": decision.email, "keyId": decision.key_id}),
        };
        let place = format!("entries.{key}");
        assert_eq!(
            said.payload,
            json!({"claimed": claimed, "place": place, "reason": why, "requestId": id})
        );
    }
    assert_eq!(demo.stands("alice", &id).await.0, "AWAITING_APPROVAL");
    assert_eq!(demo.stands("alice", &other).await.0, "AWAITING_APPROVAL");
    assert_eq!(demo.bindings(PROD, &id).await, Vec::<Value>::new());
    // And a true one still counts after all of them.
    good().write(&demo, &store).await;
    demo.until("alice", &id, "ACTIVE", SOON).await;
}

async fn a_flood_of_forgeries_does_not_flood_the_ledger(shape: Shape) {
    let demo = Demo::start_as(shape).await;
    let store = demo.store().await;
    let (id, digest) = waiting(&demo).await;
    let path = format!("requests/{id}");
    let mut document = store.get(&path).await.unwrap();
    let keys: Vec<String> = (1..=FLOOD).map(|n| Nonce::from_bits([n; 16]).to_string()).collect();
    let forged =
        || map([("payload", text("{}")), ("keyId", text("nobody")), ("signature", text("x"))]);
    let mut entries = map([]);
    if let Some(ValueType::MapValue(all)) = &mut entries.value_type {
        all.fields.extend(keys.iter().map(|key| (key.clone(), forged())));
    }
    document.fields.insert("entries".into(), entries);
    store.put(document).await;
    let ledger = ledger_path(&id, "entries", "TOO_MANY");
    let said =
        eventually("the ledger says that there is more", SOON, async || store.get(&ledger).await);
    assert!(string(&said.await.fields["payload"]).contains("TOO_MANY"));
    let named = async || {
        let mut n_named = 0;
        for key in &keys {
            let ledger = ledger_path(&id, &format!("entries.{key}"), "UNKNOWN_KEY");
            n_named += usize::from(store.get(&ledger).await.is_some());
        }
        n_named
    };
    let all = async || (named().await >= NAMED_MAX).then_some(());
    eventually("the ledger names as many as it may", SOON, all).await;
    let counted = format!(
        "curfew_ledger_omitted_total{{bound=\"request\"}} {}",
        usize::from(FLOOD) - NAMED_MAX
    );
    assert!(demo.metrics().await.contains(&counted), "{counted}");
    // And a true word still counts.
    Decision::new(&id, &digest).write(&demo, &store).await;
    demo.until("alice", &id, "ACTIVE", SOON).await;
    assert_eq!(named().await, NAMED_MAX);
}

/// Where the ledger keeps a note.
fn ledger_path(id: &str, place: &str, why: &str) -> String {
    let parts = [b"curfew/v1/ledger-id", id.as_bytes(), place.as_bytes(), why.as_bytes()];
    let hash = sha256(&[parts.join(&b'\n').as_slice()]);
    format!("ledger/{}", RequestId::from_bits(*hash.first_chunk().unwrap()))
}

fn string(value: &Stored) -> String {
    match &value.value_type {
        Some(ValueType::StringValue(text)) => text.clone(),
        other => panic!("{other:?}"),
    }
}

/// What the ledger says.
struct Said {
    kind: String,
    payload: Value,
}

/// The one document of the ledger about this entry and this reason.
async fn in_the_ledger(store: &Raw, id: &str, key: &str, why: &str) -> Said {
    let path = ledger_path(id, &format!("entries.{key}"), why);
    let document =
        eventually(&format!("{why} is in the ledger"), SOON, async || store.get(&path).await).await;
    let text = |name: &str| string(&document.fields[name]);
    assert_eq!(text("mac").len(), 64);
    Said { kind: text("kind"), payload: serde_json::from_str(&text("payload")).unwrap() }
}

/// A decision as a program with the writer's key makes it, and what may be wrong with it.
pub(super) struct Decision {
    pub(super) request: String,
    pub(super) target: String,
    pub(super) email: &'static str,
    /// `chat:` and the address, if it is empty.
    pub(super) subject: &'static str,
    pub(super) installation: &'static str,
    pub(super) key_id: &'static str,
    pub(super) envelope_type: &'static str,
    /// The entry's key in the document.
    pub(super) key: Nonce,
    /// The nonce inside.
    pub(super) nonce: Nonce,
    pub(super) age_s: i64,
    pub(super) spoil: &'static str,
}

impl Decision {
    /// Bob approves what alice has filed.
    pub(super) fn new(request: &str, target: &str) -> Self {
        let nonce = Nonce::from_bits(rand::random());
        Self {
            request: request.into(),
            target: target.into(),
            email: "bob@example.com",
            subject: "",
            installation: "demo",
            key_id: "writer-1",
            envelope_type: "DECISION",
            key: nonce.clone(),
            nonce,
            age_s: 0,
            spoil: "",
        }
    }

    pub(super) async fn write(&self, demo: &Demo, store: &Raw) {
        self.write_under(demo, store, &self.request).await;
    }

    fn subject(&self) -> Subject {
        if self.subject.is_empty() {
            Subject::parse(&format!("chat:{}", self.email)).unwrap()
        } else {
            Subject::parse(self.subject).unwrap()
        }
    }

    /// Adds it to a request's document, which need not be the one that it speaks of.
    async fn write_under(&self, demo: &Demo, store: &Raw, id: &str) {
        let actor = Person { subject: self.subject(), email: Email::parse(self.email).unwrap() };
        let target = Digest::parse(&self.target).unwrap();
        let act = Act::Decide { verdict: Verdict::Approve, comment: "by chat".into(), target };
        let at = now() - chrono::TimeDelta::seconds(self.age_s);
        let payload = payload::entry(
            &Installation::parse(self.installation).unwrap(),
            &RequestId::parse(&self.request).unwrap(),
            &self.nonce,
            &actor,
            at,
            &act,
            &Authentication::default(),
        );
        let signer = KeyFileSigner::open(&demo.data("writer.key"), self.key_id).unwrap();
        let mut envelope = signer.sign(self.envelope_type, payload).await.unwrap();
        match self.spoil {
            "signature" => {
                let other = if envelope.signature.starts_with('A') { "B" } else { "A" };
                envelope.signature.replace_range(..1, other);
            }
            "payload" => envelope.payload = envelope.payload.replace("by chat", "by  chat"),
            "everything" => envelope.payload = "{}".into(),
            _ => {}
        }
        let fields = map([
            ("payload", text(&envelope.payload)),
            ("keyId", text(&envelope.key_id)),
            ("signature", text(&envelope.signature)),
        ]);
        store.add_to_map(&format!("requests/{id}"), "entries", self.key.as_str(), fields).await;
    }
}

#[expect(clippy::disallowed_methods, reason = "the processes under test have the machine's clock")]
fn now() -> DateTime<Utc> {
    Utc::now()
}
