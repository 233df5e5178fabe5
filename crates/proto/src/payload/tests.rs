use chrono::{DateTime, Utc};
use curfew_core::condition::ResourceName;
use curfew_core::entry::{Act, ActKind, Verdict};
use curfew_core::fact::{
    Counted, DriftKind, Eligible, Ending, Fact, Grant, GrantedBinding, Outcome, OutcomeReason,
    OwnedBinding,
};
use curfew_core::id::{Digest, Installation, Nonce, RequestId};
use curfew_core::principal::{Email, Person, Principal, Subject};
use curfew_core::resource::Resource;
use curfew_core::role::Role;
use curfew_core::spec::{Authentication, RequestedRole, Spec, Ticket};
use proptest::prelude::*;
use proptest::sample::Index;

use super::*;

const PAYLOADS: &str = include_str!("../../../../proto/vectors/payloads.json");
const FACTS: &str = include_str!("../../../../proto/vectors/facts.json");
const REJECTED: &str = include_str!("../../../../proto/vectors/rejected.json");
const RFC8785: &str = include_str!("../../../../proto/vectors/rfc8785.json");

#[test]
fn the_vectors_of_payloads_are_read_and_written_alike() {
    let mut types = std::collections::BTreeSet::new();
    for vector in vectors(PAYLOADS) {
        let payload = get(&vector, "payload");
        let digest = Digest::of(payload.as_bytes());
        assert_eq!(digest.as_str(), get(&vector, "digest"));
        if get(&vector, "type") == SPEC_TYPE {
            let read = read_spec(payload).unwrap();
            assert_eq!(read.spec.digest, digest);
            assert_eq!(spec_text(&read), payload);
        } else {
            let read = read_entry(payload).unwrap();
            assert_eq!(read.digest, digest);
            assert_eq!(read.act.kind().as_str(), get(&vector, "type"));
            assert_eq!(entry_text(&read), payload);
        }
        types.insert(get(&vector, "type").to_owned());
    }
    assert_eq!(types.len(), ActKind::ALL.len() + 1);
}

#[test]
fn the_vectors_of_facts_are_read_and_written_alike() {
    let mut kinds = std::collections::BTreeSet::new();
    for vector in vectors(FACTS) {
        let payload = get(&vector, "payload");
        let read = read_fact(get(&vector, "kind"), payload).unwrap();
        assert_eq!(read.kind(), get(&vector, "kind"));
        assert_eq!(fact(&read), payload);
        assert_eq!(Digest::of(payload.as_bytes()).as_str(), get(&vector, "digest"));
        kinds.insert(get(&vector, "kind").to_owned());
    }
    assert_eq!(kinds.len(), 8);
}

#[test]
fn the_vectors_of_refusals_are_refused_for_their_reason() {
    for vector in vectors(REJECTED) {
        let payload = get(&vector, "payload");
        let error = if get(&vector, "type") == SPEC_TYPE {
            read_spec(payload).unwrap_err()
        } else {
            read_entry(payload).unwrap_err()
        };
        let why = match error {
            PayloadError::Malformed(_) => "MALFORMED",
            PayloadError::UnsupportedVersion => "UNSUPPORTED_VERSION",
            PayloadError::OtherType => "OTHER_TYPE",
        };
        assert_eq!(why, get(&vector, "why"), "{} {error}", get(&vector, "name"));
    }
}

#[test]
fn the_vectors_of_rfc_8785_are_written_alike() {
    for vector in vectors(RFC8785) {
        let value: Value = serde_json::from_str(get(&vector, "json")).unwrap();
        assert_eq!(canonical(&value), get(&vector, "canonical"));
        assert_eq!(Digest::of(canonical(&value).as_bytes()).as_str(), get(&vector, "digest"));
    }
}

#[test]
fn a_ticket_that_is_no_ticket_is_kept_for_readers_only() {
    let filed = first_spec();
    for (ticket, counts) in [("BUG-1", true), ("see chat", false), ("", false), ("ü", false)] {
        let text = spec(&filed.spec, &filed.installation, &filed.body_digest, Some(ticket));
        let read = read_spec(&text).unwrap();
        assert_eq!(read.ticket.as_deref(), Some(ticket));
        assert_eq!(read.spec.ticket.is_some(), counts, "{ticket:?}");
    }
    let ticket = "é".repeat(TICKET_LENGTH_MAX);
    let text = spec(&filed.spec, &filed.installation, &filed.body_digest, Some(&ticket));
    assert!(read_spec(&text).is_ok());
}

#[test]
fn a_payload_beyond_the_limit_is_not_looked_at() {
    let mut filed = first_spec();
    filed.spec.justification = "x".repeat(PAYLOAD_BYTES_MAX);
    let error = read_spec(&spec_text(&filed)).unwrap_err();
    assert_eq!(error, PayloadError::Malformed("longer than 262144 bytes".into()));
    filed.spec.justification = "x".repeat(PAYLOAD_BYTES_MAX / 2);
    assert!(read_spec(&spec_text(&filed)).is_ok());
}

#[test]
fn an_error_names_the_field() {
    let text = spec_text(&first_spec());
    for (from, to, error) in [
        (
            r#""breakGlass":false"#,
            r#""breakGlass":0"#,
            "malformed payload: breakGlass: must be true or false",
        ),
        (
            r#""role":"roles/"#,
            r#""role":"rules/"#,
            "malformed payload: roles: must be roles/<name>",
        ),
        (
            r#""requestedAt":"2026"#,
            r#""requestedAt":"26"#,
            "malformed payload: requestedAt: must be a time",
        ),
        (
            r#""accessLevels":["#,
            r#""accessLevel":["#,
            "malformed payload: authentication.accessLevel: is not a known field",
        ),
    ] {
        assert!(text.contains(from));
        let message = read_spec(&text.replacen(from, to, 1)).unwrap_err().to_string();
        assert!(message.starts_with(error), "{message}");
    }
}

#[test]
fn a_fact_of_an_unknown_kind_is_unknown_whatever_its_text() {
    let read = read_fact("EXTENSION", "not even JSON").unwrap();
    assert_eq!(read, Fact::Unknown { kind: "EXTENSION".into() });
    assert_eq!(fact(&read), "{}");
}

#[test]
fn a_fact_that_says_two_things_is_malformed() {
    let nonce = Nonce::from_bits([1; 16]);
    for payload in [
        format!(r#"{{"act":"DECISION","by":"b","nonce":"{nonce}","whyNot":"x"}}"#),
        format!(r#"{{"act":"DECISION","nonce":"{nonce}"}}"#),
        format!(r#"{{"act":"JUMP","by":"b","nonce":"{nonce}"}}"#),
        format!(r#"{{"nonce":"{nonce}"}}"#),
        r#"{"nonce":"x","whyNot":"x"}"#.into(),
        "[]".into(),
        "{}".into(),
    ] {
        assert!(
            matches!(read_fact("SEEN", &payload), Err(PayloadError::Malformed(_))),
            "{payload}"
        );
    }
    for (kind, payload) in [
        ("ENDED", r#"{"how":"MAGIC"}"#),
        ("DRIFT", r#"{"kind":"GONE"}"#),
        ("OUTCOME", r#"{"message":"","reason":"BORED"}"#),
        ("BOUND", r#"{"expiresAt":"2026-01-31"}"#),
        ("BOUND", r#"{"how":"SEEN_GONE"}"#),
        (
            "ELIGIBLE",
            r#"{"decideBy":"2026-01-31T11:00:00.000000Z","restsOn":[],"stepsRequired":-1}"#,
        ),
    ] {
        assert!(matches!(read_fact(kind, payload), Err(PayloadError::Malformed(_))), "{payload}");
    }
}

#[test]
fn times_have_one_spelling() {
    let at = read_timestamp("2026-01-31T09:00:00.000001Z").unwrap();
    assert_eq!(at.timestamp_micros(), 1_769_850_000_000_001);
    assert_eq!(
        timestamp(DateTime::from_timestamp(0, 1_999).unwrap()),
        "1970-01-01T00:00:00.000001Z"
    );
    for text in [
        "",
        "2026-01-31T09:00:00Z",
        "2026-01-31T09:00:00.000Z",
        "2026-01-31T09:00:00.000000000Z",
        "2026-01-31T09:00:00.000000+00:00",
        "2026-01-31t09:00:00.000000z",
        "2026-01-31 09:00:00.000000Z",
        "2026-02-29T09:00:00.000000Z",
        "2026-01-31T24:00:00.000000Z",
        "2016-12-31T23:59:60.000000Z",
        "+12026-01-31T09:00:00.000000Z",
        "-0001-01-31T09:00:00.000000Z",
    ] {
        assert_eq!(read_timestamp(text), None, "{text:?}");
    }
}

proptest! {
    #[test]
    fn times_round_trip(at in any_time()) {
        prop_assert_eq!(read_timestamp(&timestamp(at)), Some(at));
    }

    #[test]
    fn specs_round_trip(filed in any_spec()) {
        let text = spec_text(&filed);
        let mut filed = filed;
        filed.spec.digest = Digest::of(text.as_bytes());
        prop_assert_eq!(canonical(&serde_json::from_str(&text).unwrap()), text.as_str());
        prop_assert_eq!(read_spec(&text), Ok(filed));
        prop_assert_eq!(read_entry(&text), Err(PayloadError::OtherType));
    }

    #[test]
    fn entries_round_trip(act in any_entry()) {
        let text = entry_text(&act);
        let digest = Digest::of(text.as_bytes());
        prop_assert_eq!(canonical(&serde_json::from_str(&text).unwrap()), text.as_str());
        prop_assert_eq!(read_entry(&text), Ok(EntryPayload { digest, ..act }));
        prop_assert_eq!(read_spec(&text), Err(PayloadError::OtherType));
    }

    #[test]
    fn facts_round_trip(stated in any_fact()) {
        let text = fact(&stated);
        prop_assert_eq!(canonical(&serde_json::from_str(&text).unwrap()), text.as_str());
        prop_assert_eq!(read_fact(stated.kind(), &text), Ok(stated));
    }

    #[test]
    fn a_changed_spec_is_refused_or_says_exactly_what_it_says(filed in any_spec(), changes in any_changes()) {
        let text = changed(&spec_text(&filed), &changes);
        if let Ok(read) = read_spec(&text) {
            prop_assert_eq!(spec_text(&read), text);
        }
    }

    #[test]
    fn a_changed_entry_is_refused_or_says_exactly_what_it_says(act in any_entry(), changes in any_changes()) {
        let text = changed(&entry_text(&act), &changes);
        if let Ok(read) = read_entry(&text) {
            prop_assert_eq!(entry_text(&read), text);
        }
    }

    #[test]
    fn a_changed_fact_is_refused_or_says_exactly_what_it_says(
        stated in any_fact(), other in any_fact(), changes in any_changes(),
    ) {
        let text = changed(&fact(&stated), &changes);
        for kind in [stated.kind(), other.kind()] {
            if let Ok(read) = read_fact(kind, &text) {
                prop_assert_eq!(fact(&read), text.as_str());
            }
        }
    }

    #[test]
    fn short_texts_of_any_kind_are_refused(text in "\\PC{0,60}|[\\[\\]{}\",:a-z0-9]{0,60}") {
        prop_assert!(read_spec(&text).is_err());
        prop_assert!(read_entry(&text).is_err());
        prop_assert!(read_fact("GRANT", &text).is_err());
    }
}

/// One change of a text: where, and what.
#[derive(Debug, Clone)]
enum Change {
    Replace(Index, String),
    Insert(Index, String),
    Delete(Index),
    Double(Index, Index),
}

fn any_changes() -> impl Strategy<Value = Vec<Change>> {
    let piece = prop_oneof![
        proptest::sample::select(vec![
            "\"",
            "\\",
            "{",
            "}",
            "[",
            "]",
            ",",
            ":",
            "null",
            "true",
            "0",
            "1",
            "-",
            ".0",
            "e1",
            " ",
            "\n",
            "\u{0}",
            "A",
            "Z",
            "\"x\":1,",
            "\\u0041",
            "\u{feff}",
            "DENY",
            "APPROVE",
            "REVOKE",
            "\"schema\":2,",
            "\"reason\":\"\",",
        ])
        .prop_map(str::to_owned),
        any::<char>().prop_map(String::from),
    ];
    let change = prop_oneof![
        (any::<Index>(), piece.clone()).prop_map(|(at, piece)| Change::Replace(at, piece)),
        (any::<Index>(), piece).prop_map(|(at, piece)| Change::Insert(at, piece)),
        any::<Index>().prop_map(Change::Delete),
        any::<(Index, Index)>().prop_map(|(from, to)| Change::Double(from, to)),
    ];
    proptest::collection::vec(change, 1..3)
}

fn changed(text: &str, changes: &[Change]) -> String {
    let mut chars: Vec<char> = text.chars().collect();
    for change in changes {
        let at = |index: &Index| index.index(chars.len().max(1)).min(chars.len());
        match change {
            Change::Replace(index, piece) => {
                let at = at(index);
                chars.splice(at..(at + 1).min(chars.len()), piece.chars());
            }
            Change::Insert(index, piece) => {
                let at = at(index);
                chars.splice(at..at, piece.chars());
            }
            Change::Delete(index) => {
                let at = at(index);
                chars.splice(at..(at + 1).min(chars.len()), []);
            }
            Change::Double(from, to) => {
                let (from, to) = (at(from).min(at(to)), at(from).max(at(to)));
                let piece = chars[from..to].to_vec();
                chars.splice(from..from, piece);
            }
        }
    }
    chars.into_iter().collect()
}

fn vectors(file: &str) -> Vec<Value> {
    let file: Value = serde_json::from_str(file).unwrap();
    file.get("vectors").unwrap().as_array().unwrap().clone()
}

fn get<'a>(vector: &'a Value, field: &str) -> &'a str {
    vector.get(field).unwrap().as_str().unwrap()
}

fn first_spec() -> SpecPayload {
    read_spec(get(&vectors(PAYLOADS)[0], "payload")).unwrap()
}

fn spec_text(filed: &SpecPayload) -> String {
    spec(&filed.spec, &filed.installation, &filed.body_digest, filed.ticket.as_deref())
}

fn entry_text(act: &EntryPayload) -> String {
    entry(
        &act.installation,
        &act.request,
        &act.nonce,
        &act.actor,
        act.at,
        &act.act,
        &act.authentication,
    )
}

/// Any time that a payload can say.
pub(crate) fn any_time() -> impl Strategy<Value = DateTime<Utc>> {
    (-62_135_596_800_i64..=253_402_300_799, 0..1_000_000_u32)
        .prop_map(|(seconds, micros)| DateTime::from_timestamp(seconds, micros * 1_000).unwrap())
}

/// Any filed request, its digest left open.
pub(crate) fn any_spec() -> impl Strategy<Value = SpecPayload> {
    let what = (
        any_principal(),
        any_resource(),
        proptest::collection::vec(any_role(), 0..3),
        proptest::collection::vec("[a-z]{1,6}(/[a-z0-9][a-z0-9.-]{0,5}){0,3}", 0..3),
        1..=i32::MAX,
        proptest::option::of(any_time()),
    );
    let why =
        (any::<String>(), proptest::option::of("[A-Z]{1,5}-[0-9]{1,4}|\\PC{0,100}"), any::<bool>());
    let who = (any_person(), proptest::collection::vec(any_email(), 0..3), any_authentication());
    let ids = (any_installation(), any::<[u8; 16]>(), any::<[u8; 16]>(), any_digest(), any_time());
    (what, why, who, ids).prop_map(|(what, why, who, ids)| {
        let (principal, resource, roles, names, duration, start_at) = what;
        let (justification, ticket, break_glass) = why;
        let (requester, chosen_approvers, authentication) = who;
        let (installation, id, nonce, body_digest, requested_at) = ids;
        let spec = Spec {
            id: RequestId::from_bits(id),
            digest: body_digest.clone(),
            requester,
            principal,
            resource,
            roles,
            resource_names: names.iter().map(|name| ResourceName::parse(name).unwrap()).collect(),
            duration: TimeDelta::seconds(duration.into()),
            start_at,
            justification,
            ticket: ticket.as_deref().and_then(Ticket::parse),
            chosen_approvers,
            break_glass,
            requested_at,
            nonce: Nonce::from_bits(nonce),
            authentication,
        };
        SpecPayload { installation, spec, body_digest, ticket }
    })
}

/// Any act, its digest left open.
pub(crate) fn any_entry() -> impl Strategy<Value = EntryPayload> {
    let ids = (any_installation(), any::<[u8; 16]>(), any::<[u8; 16]>(), any_digest());
    (ids, any_person(), any_time(), any_act(), any_authentication()).prop_map(
        |((installation, request, nonce, digest), actor, at, act, authentication)| EntryPayload {
            installation,
            request: RequestId::from_bits(request),
            nonce: Nonce::from_bits(nonce),
            actor,
            at,
            act,
            digest,
            authentication,
        },
    )
}

fn any_act() -> impl Strategy<Value = Act> {
    let verdict = prop_oneof![Just(Verdict::Approve), Just(Verdict::Deny)];
    prop_oneof![
        (verdict, any::<String>(), any_digest())
            .prop_map(|(verdict, comment, target)| Act::Decide { verdict, comment, target }),
        any::<String>().prop_map(|reason| Act::Withdraw { reason }),
        any::<String>().prop_map(|reason| Act::Revoke { reason }),
        (1..=i32::MAX, any::<String>()).prop_map(|(seconds, justification)| Act::Extend {
            duration: TimeDelta::seconds(seconds.into()),
            justification,
        }),
        any::<String>().prop_map(|findings| Act::CloseReview { findings }),
    ]
}

fn any_fact() -> impl Strategy<Value = Fact> {
    let nonce = || any::<[u8; 16]>().prop_map(Nonce::from_bits);
    let counted = prop_oneof![
        (proptest::sample::select(ActKind::ALL.to_vec()), any::<String>())
            .prop_map(|(act, by)| Counted::Yes { act, by }),
        any::<String>().prop_map(|why| Counted::No { why }),
    ];
    let reason = proptest::sample::select(OutcomeReason::ALL.to_vec());
    prop_oneof![
        (nonce(), counted).prop_map(|(nonce, counted)| Fact::Seen { nonce, counted }),
        (any_time(), any::<u32>(), any::<Vec<String>>()).prop_map(
            |(decide_by, steps_required, rests_on)| {
                Fact::Eligible(Eligible { decide_by, steps_required, rests_on })
            }
        ),
        (any_digest(), proptest::collection::vec(nonce(), 0..3))
            .prop_map(|(target, nonces)| Fact::Approval { target, nonces }),
        any_grant(),
        any_time().prop_map(|expires_at| Fact::Bound { expires_at }),
        proptest::sample::select(DriftKind::ALL.to_vec()).prop_map(|kind| Fact::Drift { kind }),
        (reason, any::<Option<String>>(), any::<String>())
            .prop_map(|(reason, by, message)| Fact::Outcome(Outcome { reason, by, message })),
        proptest::sample::select(Ending::ALL.to_vec()).prop_map(|how| Fact::Ended { how }),
    ]
}

fn any_grant() -> impl Strategy<Value = Fact> {
    let binding = || {
        (any_role(), any_principal(), any::<(String, String, String)>()).prop_map(
            |(role, member, (title, description, expression))| OwnedBinding {
                role: role.role,
                member,
                title,
                description,
                expression,
            },
        )
    };
    let granted = (binding(), binding()).prop_map(|(live, dead)| GrantedBinding { live, dead });
    let times = (any_time(), any_time(), any_time());
    (any_resource(), proptest::collection::vec(granted, 0..3), times, any::<Vec<String>>())
        .prop_map(|(resource, bindings, (starts_at, expires_at, activate_by), rests_on)| {
            Fact::Grant(Grant { resource, bindings, starts_at, expires_at, activate_by, rests_on })
        })
}

fn any_email() -> impl Strategy<Value = Email> {
    "[a-z][a-z0-9._%+'-]{0,8}@[a-z]{1,6}\\.(com|org)".prop_map(|text| Email::parse(&text).unwrap())
}

fn any_person() -> impl Strategy<Value = Person> {
    ("[!-~]{1,30}", any_email())
        .prop_map(|(subject, email)| Person { subject: Subject::parse(&subject).unwrap(), email })
}

fn any_principal() -> impl Strategy<Value = Principal> {
    prop_oneof![
        any_email().prop_map(Principal::User),
        "serviceAccount:[a-z]{1,6}@[a-z]{1,6}\\.iam\\.gserviceaccount\\.com"
            .prop_map(|text| Principal::parse(&text).unwrap()),
    ]
}

fn any_resource() -> impl Strategy<Value = Resource> {
    prop_oneof![
        "[a-z][a-z0-9-]{4,27}[a-z0-9]".prop_map(Resource::Project),
        (1..=u64::MAX).prop_map(Resource::Folder),
        (1..=u64::MAX).prop_map(Resource::Organization),
    ]
}

fn any_role() -> impl Strategy<Value = RequestedRole> {
    ("roles/[a-zA-Z0-9._]{1,12}x", any::<String>(), any::<String>(), any_digest()).prop_map(
        |(role, resource_condition, entitlement, permissions_hash)| RequestedRole {
            role: Role::parse(&role).unwrap(),
            resource_condition,
            entitlement,
            permissions_hash,
        },
    )
}

fn any_authentication() -> impl Strategy<Value = Authentication> {
    (
        proptest::option::of(any_digest()),
        any::<(Option<String>, Vec<String>, Option<String>)>(),
        proptest::option::of(any_time()),
    )
        .prop_map(
            |(assertion_digest, (hosted_domain, access_levels, device_id), issued_at)| {
                Authentication {
                    assertion_digest,
                    hosted_domain,
                    access_levels,
                    device_id,
                    issued_at,
                }
            },
        )
}

fn any_installation() -> impl Strategy<Value = Installation> {
    "[a-z][a-z0-9-]{0,12}".prop_map(|text| Installation::parse(&text).unwrap())
}

fn any_digest() -> impl Strategy<Value = Digest> {
    any::<[u8; 32]>().prop_map(Digest::from_bytes)
}
