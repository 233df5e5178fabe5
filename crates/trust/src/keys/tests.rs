//! Which keys and key lists are accepted.

use chrono::TimeDelta;
use curfew_core::entry::Level;

use super::*;
use crate::scene::{INTAKE_KEY, Scene, WRITER_KEY, key, noon};

#[test]
fn both_kinds_of_key_survive_their_text() {
    for key in [INTAKE_KEY.public_key(), WRITER_KEY.public_key()] {
        let text = key.to_spki_pem();
        assert_eq!(PublicKey::from_spki_pem(&text).as_ref(), Ok(key), "{text}");
        assert!(text.lines().all(|line| line.len() <= 64), "{text}");
    }
}

#[test]
fn other_keys_are_refused() {
    let p384 = "-----BEGIN PUBLIC KEY-----
MHYwEAYHKoZIzj0CAQYFK4EEACIDYgAEp75GOLAW/bLZJp7DahvC9mBEgsjehc0w
y6DgXnw1JZSlhu18WW+bQqGUbINk3nezFRD/zuMkBQPCPDjwIG5RlzUk+UyLOGYa
IHUSBzcaH2BXp7A6/UJL3Cd9BqZ+GFyK
-----END PUBLIC KEY-----
";
    let point = |tag: u8, byte: u8, length: usize| {
        let raw = [&[tag][..], &vec![byte; length]].concat();
        pem("PUBLIC KEY", &[&P256_SPKI_PREFIX[..], &raw].concat())
    };
    let cases = [
        ("nothing", String::new(), PublicKeyError::Pem),
        ("no PEM", "MFkwEwYH".into(), PublicKeyError::Pem),
        ("a private key", pem("PRIVATE KEY", b"x"), PublicKeyError::Pem),
        ("P-384", p384.into(), PublicKeyError::Unsupported),
        ("a compressed point", point(2, 1, 32), PublicKeyError::Unsupported),
        ("a byte too many", point(4, 1, 65), PublicKeyError::Unsupported),
        ("a point off the curve", point(4, 1, 64), PublicKeyError::Invalid),
        (
            "a short Ed25519 key",
            pem("PUBLIC KEY", &[&ED25519_SPKI_PREFIX[..], &[1; 31]].concat()),
            PublicKeyError::Unsupported,
        ),
    ];
    for (name, text, expected) in cases {
        assert_eq!(PublicKey::from_spki_pem(&text), Err(expected), "{name}");
    }
}

#[test]
fn key_lists_that_could_be_taken_two_ways_are_refused() {
    let intake = || key(&INTAKE_KEY, "intake-1", Level::Session);
    let writer = || key(&WRITER_KEY, "chat-1", Level::Writer);
    let id = || "intake-1".to_owned();
    let cases: [(KeyConfig, KeyConfig, Option<KeySetError>); 9] = [
        (intake(), writer(), None),
        (KeyConfig { id: id(), ..writer() }, intake(), Some(KeySetError::SameId { id: id() })),
        (
            KeyConfig { id: "chat-1".into(), ..intake() },
            intake(),
            Some(KeySetError::SameKey { id: id(), other: "chat-1".into() }),
        ),
        (
            writer(),
            KeyConfig { id: String::new(), ..intake() },
            Some(KeySetError::Id { id: String::new() }),
        ),
        (
            writer(),
            KeyConfig { id: "a b".into(), ..intake() },
            Some(KeySetError::Id { id: "a b".into() }),
        ),
        (
            writer(),
            KeyConfig { id: "a".repeat(65), ..intake() },
            Some(KeySetError::Id { id: "a".repeat(65) }),
        ),
        (
            writer(),
            KeyConfig { until: intake().from, ..intake() },
            Some(KeySetError::EmptyWindow { id: id() }),
        ),
        (
            writer(),
            KeyConfig { until: noon() - TimeDelta::days(90), ..intake() },
            Some(KeySetError::EmptyWindow { id: id() }),
        ),
        (
            writer(),
            KeyConfig { verbs: BTreeSet::new(), ..intake() },
            Some(KeySetError::NoVerb { id: id() }),
        ),
    ];
    for (first, second, expected) in cases {
        let text = format!("{} and {}", first.id, second.id);
        assert_eq!(KeySet::new(vec![first, second]).err(), expected, "{text}");
    }
}

#[test]
fn a_window_holds_its_first_instant_and_not_its_last() {
    let mut scene = Scene::new();
    let key = scene.key("intake-1");
    let tick = TimeDelta::microseconds(1);
    let (from, until) = (key.from, key.until);
    for (at, counts) in [(from - tick, false), (from, true), (until - tick, true), (until, false)] {
        assert_eq!(key.counts_at(at), counts, "{at}");
    }
    key.distrusted_from = Some(noon());
    assert!(key.counts_at(noon() - tick) && !key.counts_at(noon()) && !key.counts_at(until - tick));
}

#[test]
fn verbs_have_their_names() {
    for verb in Verb::ALL {
        assert_eq!(Verb::parse(verb.as_str()), Some(verb));
    }
    assert_eq!(Verb::parse("request"), None);
}
