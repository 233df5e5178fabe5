//! Stored documents and request bodies, as anybody may have written them.

use std::collections::BTreeMap;

use chrono::DateTime;
use curfew_proto::json::{from_json, to_json};
use curfew_proto::native::{Native, from_native, salvage_native, to_native};
use curfew_proto::{payload, v1};

use crate::choices::{Choices, damage};

const BODIES: &[&str] = &[
    r#"{"resource":"projects/demo-web","roles":[{"role":"roles/compute.viewer"}],"duration":"1h30m","justification":"BUG-1"}"#,
    r#"{"resource":"folders/1","roles":[{"role":"roles/a","resourceCondition":"a == \"b\""},{"role":"roles/b"}],"resourceNames":["projects/p/x"],"startAt":"2026-03-02T10:00:00Z","ticket":"T-1","chosenApprovers":["bob@example.com"],"breakGlass":false,"principal":"user:a@example.com","justification":""}"#,
    r#"{"digest":"00","comment":"looks good","target":"11"}"#,
    r#"{"reason":"done"}"#,
];

const FRAGMENTS: &[&str] = &[
    "{",
    "}",
    "[",
    "]",
    ":",
    ",",
    "\"",
    "\\",
    "\\u0000",
    "\\ud800",
    "null",
    "true",
    "1",
    "-1",
    "1e999",
    "[[[[[[[[[[[[[[[[[[",
    "\"resource\":\"x\",",
    "{\"roles\":",
    "\u{feff}",
    "\0",
    " ",
    "é",
    "resource_names",
    "\"\":1,",
];

/// A request's body, damaged, or the bytes themselves.
pub fn check_json(data: &[u8]) {
    let mut choices = Choices::new(data);
    let text = match choices.below(4) {
        0 => choices.rest().to_vec(),
        _ => damage(choices.of(BODIES), FRAGMENTS, 3, &mut choices).into_bytes(),
    };
    check_body::<v1::CreateRequestBody>(&text);
    check_body::<v1::DecisionBody>(&text);
    check_body::<v1::ReasonBody>(&text);
    let text = String::from_utf8_lossy(&text);
    drop((
        payload::read_spec(&text),
        payload::read_entry(&text),
        payload::read_fact("GRANT", &text),
    ));
}

fn check_body<M: prost_reflect::ReflectMessage + Default + PartialEq + std::fmt::Debug>(
    text: &[u8],
) {
    match from_json::<M>(text) {
        Ok(message) => {
            // It is JSON by another reader too, and nothing in it stands twice, where the second one would win.
            let plain: serde_json::Value = serde_json::from_slice(text).expect("JSON");
            assert!(plain.is_object(), "{plain}");
            let written = to_json(&message);
            let again = from_json::<M>(written.to_string().as_bytes());
            assert_eq!(again.as_ref(), Ok(&message), "{}", String::from_utf8_lossy(text));
            let fields =
                |value: &serde_json::Value| value.as_object().map_or(0, serde_json::Map::len);
            assert!(fields(&plain) <= M::default().descriptor().fields().len(), "{plain}");
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}

/// A stored document of any shape: what can be read of it is read, and reading that again loses nothing.
pub fn check_document(data: &[u8]) {
    let mut choices = Choices::new(data);
    let value = value(&mut choices, 6);
    check_salvage::<v1::StoredRequest>(&value);
    check_salvage::<v1::ResourceRecord>(&value);
    check_salvage::<v1::LedgerEntry>(&value);
}

fn check_salvage<M: prost_reflect::ReflectMessage + Default + PartialEq + std::fmt::Debug>(
    value: &Native,
) {
    let (message, errors) = salvage_native::<M>(value);
    match from_native::<M>(value) {
        Ok(strict) => {
            assert!(errors.is_empty(), "salvage complains of what reads well: {errors:?}");
            assert_eq!(message, strict, "{value:?}");
        }
        Err(error) => assert!(!errors.is_empty(), "{error} is salvaged without a word: {value:?}"),
    }
    let (again, errors) = salvage_native::<M>(&to_native(&message));
    assert!(errors.is_empty() && again == message, "what was salvaged does not read: {errors:?}");
}

const NAMES: &[&str] = &[
    "spec",
    "entries",
    "facts",
    "status",
    "payload",
    "signature",
    "keyId",
    "envelope",
    "requester",
    "email",
    "subject",
    "resource",
    "roles",
    "role",
    "live",
    "type",
    "at",
    "chain",
    "mac",
    "seq",
    "phase",
    "conditions",
    "view",
    "x",
    "",
];

const TEXTS: &[&str] =
    &["", "a", "GRANT", "ACTIVE", "projects/demo-web", "\u{202e}", "\0", "not a time"];

/// The shape of a document with every kind of value in every place.
fn value(choices: &mut Choices<'_>, depth: usize) -> Native {
    let kind = if depth == 0 { choices.below(7) } else { choices.below(14) };
    match kind {
        0 => Native::Null,
        1 => Native::Text(choices.of(TEXTS).to_owned()),
        2 => Native::Int(choices.number().cast_signed()),
        3 => Native::Bool(choices.once_in(2)),
        4 => Native::Double(f64::from_bits(choices.number())),
        5 => Native::Bytes(vec![choices.byte()]),
        6 => Native::Time(
            DateTime::from_timestamp_micros(i64::from(choices.byte())).expect("a time"),
        ),
        7 | 8 => Native::List((0..choices.below(4)).map(|_| value(choices, depth - 1)).collect()),
        _ => {
            let entry = |choices: &mut Choices<'_>| {
                (choices.of(NAMES).to_owned(), value(choices, depth - 1))
            };
            Native::Map((0..choices.below(7)).map(|_| entry(choices)).collect::<BTreeMap<_, _>>())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runs::{corpus, seeded};

    #[test]
    fn bodies_are_refused_or_read_in_one_way() {
        for data in seeded(0x15_0a, 10_000, 80) {
            check_json(&data);
        }
        for data in corpus("json") {
            check_json(&data);
        }
    }

    #[test]
    fn a_document_of_any_shape_is_read_as_far_as_it_goes() {
        for data in seeded(0xd0c5, 6_000, 300) {
            check_document(&data);
        }
        for data in corpus("document") {
            check_document(&data);
        }
    }

    #[test]
    fn the_samples_are_bodies() {
        for body in &BODIES[..2] {
            from_json::<v1::CreateRequestBody>(body.as_bytes()).unwrap();
        }
        from_json::<v1::DecisionBody>(BODIES[2].as_bytes()).unwrap();
        from_json::<v1::ReasonBody>(BODIES[3].as_bytes()).unwrap();
    }
}
