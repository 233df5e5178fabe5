use proptest::prelude::*;

use super::*;
use crate::v1;
use crate::walk::salvage_dynamic;
use crate::walk::tests::{any_message, any_of};

#[test]
fn a_stored_request_has_native_types() {
    let at = DateTime::from_timestamp(1_769_850_000, 123_456_789).unwrap();
    let request = v1::StoredRequest {
        live: true,
        spec: Some(v1::Envelope {
            payload: "{}".into(),
            key_id: "k".into(),
            signature: "s".into(),
        }),
        spec_view: Some(v1::SpecView {
            duration: Some(crate::convert::duration_to_wire(chrono::TimeDelta::hours(1))),
            requested_at: Some(crate::convert::time_to_wire(at)),
            ..v1::SpecView::default()
        }),
        facts: vec![v1::Fact { n: 0, kind: "SEEN".into(), ..v1::Fact::default() }],
        status: Some(v1::Status { phase: v1::Phase::Active.into(), ..v1::Status::default() }),
        ..v1::StoredRequest::default()
    };
    let native = to_native(&request);
    assert_eq!(get(&native, &["live"]), Some(&Native::Bool(true)));
    assert_eq!(get(&native, &["spec", "keyId"]), Some(&text("k")));
    assert_eq!(get(&native, &["specView", "duration"]), Some(&Native::Int(3_600)));
    let micros = DateTime::from_timestamp(1_769_850_000, 123_456_000).unwrap();
    assert_eq!(get(&native, &["specView", "requestedAt"]), Some(&Native::Time(micros)));
    assert_eq!(get(&native, &["specView", "breakGlass"]), Some(&Native::Bool(false)));
    assert_eq!(get(&native, &["specView", "startAt"]), None);
    assert_eq!(get(&native, &["status", "phase"]), Some(&text("ACTIVE")));
    assert_eq!(get(&native, &["status", "conditions"]), Some(&Native::List(vec![])));
    assert_eq!(get(&native, &["entries"]), Some(&Native::Map(BTreeMap::new())));
    assert_eq!(get(&native, &["purgeAt"]), None);
    let Some(Native::List(facts)) = get(&native, &["facts"]) else { unreachable!() };
    assert_eq!(get(&facts[0], &["n"]), Some(&Native::Int(0)));
}

#[test]
fn what_a_newer_version_added_is_skipped() {
    let newer = map([("payload", text("p")), ("keyId", text("k")), ("hash", Native::Double(0.5))]);
    let envelope: v1::Envelope = from_native(&newer).unwrap();
    assert_eq!(
        envelope,
        v1::Envelope { payload: "p".into(), key_id: "k".into(), signature: String::new() }
    );
}

#[test]
fn a_known_field_of_another_type_is_an_error_that_names_it() {
    let now = Native::Time(DateTime::UNIX_EPOCH);
    for (document, field) in [
        (map([("live", text("true"))]), "live"),
        (map([("live", Native::Null)]), "live"),
        (map([("spec", map([("payload", Native::Bytes(vec![1]))]))]), "spec.payload"),
        (map([("entries", map([("a", map([("keyId", Native::Int(1))]))]))]), "entries.a.keyId"),
        (map([("entries", Native::List(vec![]))]), "entries"),
        (
            map([("facts", Native::List(vec![map([]), map([("n", Native::Double(1.0))])]))]),
            "facts[1].n",
        ),
        (map([("specView", map([("duration", text("3600s"))]))]), "specView.duration"),
        (
            map([("specView", map([("requestedAt", text("2026-01-31T09:00:00Z"))]))]),
            "specView.requestedAt",
        ),
        (map([("status", map([("phase", now)]))]), "status.phase"),
        (map([("status", map([("stepsRequired", Native::Int(-1))]))]), "status.stepsRequired"),
        (map([("purgeAt", Native::Time(DateTime::<Utc>::MAX_UTC))]), "purgeAt"),
        (Native::Null, ""),
    ] {
        assert_eq!(from_native::<v1::StoredRequest>(&document).unwrap_err().field, field);
    }
}

#[test]
fn null_is_unset_where_unset_can_be() {
    let document =
        map([("spec", Native::Null), ("purgeAt", Native::Null), ("live", Native::Bool(true))]);
    let read: v1::StoredRequest = from_native(&document).unwrap();
    assert_eq!(read, v1::StoredRequest { live: true, ..v1::StoredRequest::default() });
}

#[test]
fn salvage_keeps_what_can_be_read_and_every_place() {
    let document = map([
        ("live", text("yes")),
        ("spec", map([("payload", text("p")), ("keyId", Native::Int(1))])),
        ("entries", map([("a", Native::Int(1)), ("b", map([("payload", text("q"))]))])),
        ("facts", Native::List(vec![text("junk"), map([("n", Native::Int(1))])])),
        ("status", text("ACTIVE")),
    ]);
    let (read, errors) = salvage_native::<v1::StoredRequest>(&document);
    let envelope =
        |payload: &str| v1::Envelope { payload: payload.into(), ..v1::Envelope::default() };
    assert_eq!(
        read,
        v1::StoredRequest {
            spec: Some(envelope("p")),
            entries: BTreeMap::from([("a".into(), envelope("")), ("b".into(), envelope("q"))]),
            facts: vec![v1::Fact::default(), v1::Fact { n: 1, ..v1::Fact::default() }],
            ..v1::StoredRequest::default()
        }
    );
    let fields: Vec<_> = errors.iter().map(|error| error.field.as_str()).collect();
    assert_eq!(fields, ["entries.a", "facts[0]", "live", "spec.keyId", "status"]);
}

proptest! {
    #[test]
    fn every_message_survives_the_store(message in any_message(1_000)) {
        let native: Native = crate::walk::write(&message);
        let (read, errors) = salvage_dynamic(&message.descriptor(), &native);
        prop_assert_eq!(errors, vec![]);
        prop_assert!(read == message, "{native:?}");
    }

    #[test]
    fn a_generated_message_survives_the_store(request in any_of::<v1::StoredRequest>(1_000)) {
        prop_assert_eq!(from_native::<v1::StoredRequest>(&to_native(&request)).unwrap(), request);
    }

    #[test]
    fn salvage_of_anything_is_what_a_second_reading_gives(document in any_native()) {
        let (read, _) = salvage_native::<v1::StoredRequest>(&document);
        prop_assert_eq!(from_native::<v1::StoredRequest>(&to_native(&read)).unwrap(), read);
    }
}

fn any_native() -> impl Strategy<Value = Native> {
    let name = prop_oneof![
        "live|spec|entries|facts|status|payload|phase|n|purgeAt|grant|startsAt",
        "[a-z]{1,3}"
    ];
    let leaf = prop_oneof![
        Just(Native::Null),
        any::<bool>().prop_map(Native::Bool),
        any::<i64>().prop_map(Native::Int),
        any::<f64>().prop_map(Native::Double),
        any::<String>().prop_map(Native::Text),
        Just(text("ACTIVE")),
        (-99_999_999_999_i64..999_999_999_999, 0..1_999_999_999_u32).prop_map(
            |(seconds, nanos)| Native::Time(
                DateTime::from_timestamp(seconds, nanos).unwrap_or_default()
            )
        ),
    ];
    leaf.prop_recursive(5, 40, 6, move |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Native::List),
            proptest::collection::btree_map(name.clone(), inner, 0..6).prop_map(Native::Map),
        ]
    })
}

fn text(text: &str) -> Native {
    Native::Text(text.into())
}

fn map<const N: usize>(fields: [(&str, Native); N]) -> Native {
    Native::Map(fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
}

fn get<'a>(native: &'a Native, path: &[&str]) -> Option<&'a Native> {
    path.iter().try_fold(
        native,
        |native, step| if let Native::Map(map) = native { map.get(*step) } else { None },
    )
}
