//! A filed request and the keys around it, for tests.

use std::sync::LazyLock;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, TimeDelta, Utc};
use curfew_core::condition::ResourceName;
use curfew_core::entry::{Act, Level, Verdict};
use curfew_core::fact::{
    Counted, DraftFact, DriftKind, Eligible, Ending, Fact, Grant, GrantedBinding, Outcome,
    OutcomeReason, UntaggedBinding,
};
use curfew_core::id::{Digest, Installation, Nonce, RequestId};
use curfew_core::principal::{Email, Person, Principal, Subject};
use curfew_core::request::Request;
use curfew_core::resource::Resource;
use curfew_core::role::Role;
use curfew_core::spec::{Authentication, RequestedRole, Spec, Ticket};
use curfew_ports::{FactSealer as _, StoredEnvelope, StoredRequest, Verifier as _, Version};
use curfew_proto::payload::{self, SPEC_TYPE};

use crate::{
    EnvelopeVerifier, FactsKey, KeyConfig, KeyFileSigner, KeySet, Sealer, StoreVerifier, Verb,
};

/// Signs for people in a session. A published test key: it protects nothing.
pub(crate) const INTAKE: &str = "intake-1";
const INTAKE_PEM: &str = "-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgRAWgXWdBpsSE3nQ3
TGGxGcSeOw5NtGu9shO//YutArqhRANCAATJxGL6UqKK8Erwqv8Len/1IqlJI8nu
J4NjJYwlwmhWzkN+Kr1K60QgM2KedKAu5r7ihvcjJtfqQN5761HZA7tm
-----END PRIVATE KEY-----
";

/// Speaks for people in a chat. A published test key: it protects nothing.
pub(crate) const WRITER: &str = "chat-1";
const WRITER_PEM: &str = "-----BEGIN PRIVATE KEY-----
MC4CAQAwBQYDK2VwBCIEIDr0cBJ7X5p91itwRWJVWp9sLnfQd4QdPiIiEFDtu9I3
-----END PRIVATE KEY-----
";

pub(crate) static INTAKE_KEY: LazyLock<KeyFileSigner> =
    LazyLock::new(|| KeyFileSigner::from_pem(INTAKE_PEM, INTAKE.into()).unwrap());
pub(crate) static WRITER_KEY: LazyLock<KeyFileSigner> =
    LazyLock::new(|| KeyFileSigner::from_pem(WRITER_PEM, WRITER.into()).unwrap());

/// The controller's key of these tests.
pub(crate) const FACTS_KEY: [u8; 32] = [0x42; 32];

/// The intake key as it stands in its PEM text.
pub(crate) static INTAKE_PKCS8: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let base64: String = INTAKE_PEM.lines().filter(|line| !line.starts_with('-')).collect();
    STANDARD.decode(base64).unwrap()
});

/// A request as the store holds it, and whom the verifier believes.
pub(crate) struct Scene {
    pub(crate) keys: Vec<KeyConfig>,
    pub(crate) stored: StoredRequest,
}

impl Scene {
    /// Filed through intake, with nothing added yet.
    pub(crate) fn new() -> Self {
        let spec = sign(INTAKE, SPEC_TYPE, &spec_payload(&spec()));
        let stored = StoredRequest {
            id: request_id(),
            live: true,
            spec: Some(spec),
            entries: std::collections::BTreeMap::new(),
            facts: Vec::new(),
            status: None,
            created_at: noon(),
            version: Version(noon().timestamp_micros()),
        };
        Self {
            keys: vec![
                key(&INTAKE_KEY, INTAKE, Level::Session),
                key(&WRITER_KEY, WRITER, Level::Writer),
            ],
            stored,
        }
    }

    /// The same request, filed by the writer.
    pub(crate) fn filed_by_the_writer() -> Self {
        let mut scene = Self::new();
        scene.stored.spec = Some(sign(WRITER, SPEC_TYPE, &spec_payload(&spec())));
        scene
    }

    pub(crate) fn key(&mut self, id: &str) -> &mut KeyConfig {
        self.keys.iter_mut().find(|key| key.id == id).unwrap()
    }

    /// Adds an act, a second after the last write.
    pub(crate) fn act(&mut self, key_id: &str, nonce: u8, act: &Act) -> Nonce {
        let nonce = Nonce::from_bits([nonce; 16]);
        let envelope = sign(key_id, act.kind().as_str(), &entry_payload(&nonce, act));
        self.add(nonce.as_str(), envelope);
        nonce
    }

    pub(crate) fn add(&mut self, nonce: &str, envelope: StoredEnvelope) {
        self.stored.version.0 += 1_000_000;
        self.stored.entries.insert(nonce.into(), envelope);
    }

    /// Commits facts as the controller does: after what verifies.
    pub(crate) fn record(&mut self, at: DateTime<Utc>, drafts: &[DraftFact]) {
        let kept = sealer().verify_facts(&self.stored).len();
        let sealed = sealer().seal(&self.stored, kept, at, drafts);
        self.stored.facts.truncate(kept);
        self.stored.facts.extend(sealed);
        self.stored.version.0 = at.timestamp_micros();
    }

    /// Signs the spec's payload anew after a change of the text.
    pub(crate) fn respec(&mut self, change: impl Fn(&str) -> String) {
        let payload = change(&self.stored.spec.as_ref().unwrap().payload);
        self.stored.spec = Some(sign(INTAKE, SPEC_TYPE, &payload));
    }

    pub(crate) fn verify(&self) -> Request {
        let keys = KeySet::new(self.keys.clone()).unwrap();
        StoreVerifier::new(EnvelopeVerifier::new(installation(), keys), sealer())
            .verify(&self.stored)
    }
}

pub(crate) fn sign(key_id: &str, kind: &str, payload: &str) -> StoredEnvelope {
    let signer = if key_id == INTAKE { &INTAKE_KEY } else { &WRITER_KEY };
    signer.envelope(kind, payload.into()).unwrap()
}

pub(crate) fn key(signer: &KeyFileSigner, id: &str, level: Level) -> KeyConfig {
    KeyConfig {
        id: id.into(),
        owner: id.into(),
        public_key: signer.public_key().clone(),
        level,
        verbs: [Verb::Request, Verb::Decide, Verb::Direct].into(),
        from: noon() - TimeDelta::days(30),
        until: noon() + TimeDelta::days(30),
        distrusted_from: None,
    }
}

pub(crate) fn sealer() -> Sealer {
    Sealer::new(installation(), FactsKey::new(&FACTS_KEY))
}

pub(crate) fn installation() -> Installation {
    Installation::parse("demo").unwrap()
}

pub(crate) fn request_id() -> RequestId {
    RequestId::from_bits([0x11; 16])
}

pub(crate) fn noon() -> DateTime<Utc> {
    DateTime::from_timestamp(1_795_694_400, 123_456_000).unwrap()
}

pub(crate) fn person(name: &str, id: u32) -> Person {
    Person {
        subject: Subject::parse(&format!("accounts.google.com:{id}")).unwrap(),
        email: Email::parse(&format!("{name}@example.com")).unwrap(),
    }
}

pub(crate) fn spec() -> Spec {
    let requester = person("alice", 117);
    Spec {
        id: request_id(),
        digest: Digest::of(b""),
        principal: Principal::User(requester.email.clone()),
        requester,
        resource: Resource::parse("projects/demo-web").unwrap(),
        roles: vec![RequestedRole {
            role: Role::parse("roles/compute.viewer").unwrap(),
            resource_condition: "resource.name.startsWith(\"projects/demo-web/zones/a/\")".into(),
            entitlement: "iam-0123456789abcdefghjkmnpqrs".into(),
            permissions_hash: Digest::of(b"compute.instances.get\n"),
        }],
        resource_names: vec![ResourceName::parse("projects/demo-web/zones/a/instances/i").unwrap()],
        duration: TimeDelta::seconds(3_600),
        start_at: None,
        justification: "Disk füllt sich \u{1f4bd}: \"BUG-1\"\n\u{2028}\\ </script>".into(),
        ticket: Ticket::parse("BUG-1"),
        chosen_approvers: vec![Email::parse("bob@example.com").unwrap()],
        break_glass: false,
        requested_at: noon(),
        nonce: Nonce::from_bits([0xaa; 16]),
        authentication: authentication(),
    }
}

pub(crate) fn spec_payload(spec: &Spec) -> String {
    payload::spec(spec, &installation(), &Digest::of(b"{}"), Some("BUG-1"))
}

pub(crate) fn entry_payload(nonce: &Nonce, act: &Act) -> String {
    let at = noon() + TimeDelta::seconds(5);
    payload::entry(
        &installation(),
        &request_id(),
        nonce,
        &person("bob", 118),
        at,
        act,
        &authentication(),
    )
}

fn authentication() -> Authentication {
    Authentication {
        assertion_digest: Some(Digest::of(b"assertion")),
        hosted_domain: Some("example.com".into()),
        access_levels: vec!["accessPolicies/1/accessLevels/office".into()],
        device_id: None,
        issued_at: Some(noon() - TimeDelta::minutes(2)),
    }
}

/// One act of each kind.
pub(crate) fn acts() -> [Act; 5] {
    [
        Act::Decide {
            verdict: Verdict::Approve,
            comment: "ok".into(),
            target: Digest::of(b"target"),
        },
        Act::Withdraw { reason: "no longer needed".into() },
        Act::Revoke { reason: "incident over".into() },
        Act::Extend { duration: TimeDelta::seconds(1_800), justification: "not done yet".into() },
        Act::CloseReview { findings: "as expected".into() },
    ]
}

pub(crate) fn binding(expression: &str) -> UntaggedBinding {
    UntaggedBinding {
        request: request_id(),
        resource: Resource::parse("projects/demo-web").unwrap(),
        role: Role::parse("roles/compute.viewer").unwrap(),
        member: Principal::parse("user:alice@example.com").unwrap(),
        digest: Digest::of(spec_payload(&spec()).as_bytes()),
        ticket: Ticket::parse("BUG-1"),
        expression: expression.into(),
    }
}

/// One fact of each kind that is written.
pub(crate) fn facts() -> Vec<DraftFact> {
    let (start, end) = (noon() + TimeDelta::seconds(10), noon() + TimeDelta::seconds(3_610));
    vec![
        Fact::Seen {
            nonce: Nonce::from_bits([1; 16]),
            counted: Counted::No { why: "BAD_SIGNATURE".into() },
        },
        Fact::Eligible(Eligible {
            decide_by: end,
            steps_required: 0,
            rests_on: vec!["iam-x on projects/demo-web".into()],
        }),
        Fact::Approval { target: Digest::of(b"target"), nonces: vec![Nonce::from_bits([2; 16])] },
        Fact::Grant(Grant {
            resource: Resource::parse("projects/demo-web").unwrap(),
            bindings: vec![GrantedBinding { live: binding("(live)"), dead: binding("(dead)") }],
            starts_at: start,
            expires_at: end,
            activate_by: start + TimeDelta::minutes(15),
            rests_on: vec!["iam-x on projects/demo-web".into()],
        }),
        Fact::Bound { expires_at: end },
        Fact::Drift { kind: DriftKind::Missing },
        Fact::Outcome(Outcome {
            reason: OutcomeReason::DurationElapsed,
            by: None,
            message: "over".into(),
        }),
        Fact::Ended { how: Ending::Answered },
    ]
}
