//! Policies as they travel (<https://cloud.google.com/iam/docs/reference/rest/v1/Policy>).

use curfew_core::policy::{Binding, Condition, Policy, Rest};
use serde_json::Error;
use serde_json::value::RawValue;

use crate::json::Fields;

/// The format version that holds conditions, and the latest there is.
/// A lower one on a write could drop every condition (the field `version` on the same page).
pub(crate) const POLICY_VERSION: i32 = 3;

/// What a reader below version 3 sees in a role's name where a binding has a condition
/// (<https://cloud.google.com/iam/docs/troubleshooting-withcond>).
const HIDDEN_CONDITION: &str = "_withcond_";

/// Why a text is no policy that can be judged, or written back.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PolicyError {
    #[error("policy: {0}")]
    Json(#[from] Error),
    #[error("policy: version {0} is unknown")]
    Version(i32),
    #[error("policy: its conditions are hidden from readers of version {0}")]
    ConditionsHidden(i32),
}

/// Reads a policy. Absent bindings are none; an absent etag is the empty text.
pub(crate) fn decode(mut fields: Fields) -> Result<Policy, PolicyError> {
    let version = fields.take("version")?;
    if !(0..=POLICY_VERSION).contains(&version) {
        return Err(PolicyError::Version(version));
    }
    let etag = fields.take("etag")?;
    let bindings = fields.take::<Vec<Fields>>("bindings")?;
    let bindings = bindings.into_iter().map(decode_binding).collect::<Result<Vec<_>, _>>()?;
    if version < POLICY_VERSION
        && bindings.iter().any(|binding| binding.role.contains(HIDDEN_CONDITION))
    {
        return Err(PolicyError::ConditionsHidden(version));
    }
    Ok(Policy { version, etag, bindings, rest: Rest(fields.canonical()?) })
}

/// Reads one binding.
pub(crate) fn decode_binding(mut fields: Fields) -> Result<Binding, Error> {
    Ok(Binding {
        role: fields.take("role")?,
        members: fields.take("members")?,
        condition: fields.take::<Option<Fields>>("condition")?.map(decode_condition).transpose()?,
        rest: Rest(fields.canonical()?),
    })
}

fn decode_condition(mut fields: Fields) -> Result<Condition, Error> {
    Ok(Condition {
        title: fields.take("title")?,
        description: fields.take("description")?,
        expression: fields.take("expression")?,
        rest: Rest(fields.canonical()?),
    })
}

/// Writes a policy, as version 3 and with everything that was read and not understood.
pub(crate) fn encode(policy: &Policy) -> Result<Box<RawValue>, Error> {
    let mut fields = Fields::parse(&policy.rest.0)?;
    fields.put("version", &POLICY_VERSION)?;
    fields.put("etag", &policy.etag)?;
    fields.put(
        "bindings",
        &policy.bindings.iter().map(encode_binding).collect::<Result<Vec<_>, _>>()?,
    )?;
    serde_json::value::to_raw_value(&fields)
}

fn encode_binding(binding: &Binding) -> Result<Fields, Error> {
    let mut fields = Fields::parse(&binding.rest.0)?;
    fields.put_text("role", &binding.role)?;
    if !binding.members.is_empty() {
        fields.put("members", &binding.members)?;
    }
    if let Some(condition) = &binding.condition {
        fields.put("condition", &encode_condition(condition)?)?;
    }
    Ok(fields)
}

fn encode_condition(condition: &Condition) -> Result<Fields, Error> {
    let mut fields = Fields::parse(&condition.rest.0)?;
    fields.put_text("title", &condition.title)?;
    fields.put_text("description", &condition.description)?;
    fields.put_text("expression", &condition.expression)?;
    Ok(fields)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(text: &str) -> Result<Policy, PolicyError> {
        decode(Fields::parse(text)?)
    }

    #[test]
    fn what_is_not_understood_survives_at_every_level() {
        let text = concat!(
            r#"{"auditConfigs":[{"auditLogConfigs":[{"exemptedMembers":["user:a@example.com"],"logType":"DATA_READ"}],"service":"allServices"}],"#,
            r#""bindings":[{"condition":{"expression":"true","location":{"line":12345678901234567890123},"title":"t"},"members":["user:a@example.com","allUsers"],"newField":[1.0,{"a":1}],"role":"roles/viewer"},"#,
            r#"{"members":["user:b@example.com"],"role":"roles/owner"}],"#,
            r#""etag":"BwWWja0YfJA=","future":1e999,"version":3}"#,
        );
        let policy = read(text).unwrap();
        assert_eq!(policy.bindings.len(), 2);
        assert_eq!(policy.bindings[0].rest.0, r#"{"newField":[1.0,{"a":1}]}"#);
        assert_eq!(
            policy.bindings[0].condition.as_ref().unwrap().rest.0,
            r#"{"location":{"line":12345678901234567890123}}"#
        );
        assert!(
            policy.rest.0.contains("allServices") && policy.rest.0.contains(r#""future":1e999"#)
        );
        assert_eq!(encode(&policy).unwrap().get(), text);
    }

    #[test]
    fn a_policy_without_bindings_has_none() {
        let policy = read(r#"{"etag":"ACAB"}"#).unwrap();
        assert_eq!(
            policy,
            Policy { version: 0, etag: "ACAB".into(), bindings: vec![], rest: Rest::default() }
        );
        assert_eq!(encode(&policy).unwrap().get(), r#"{"bindings":[],"etag":"ACAB","version":3}"#);
    }

    #[test]
    fn other_versions_and_hidden_conditions_are_refused() {
        assert!(matches!(read(r#"{"version":4}"#), Err(PolicyError::Version(4))));
        assert!(matches!(read(r#"{"version":-1}"#), Err(PolicyError::Version(-1))));
        let hidden =
            r#"{"version":1,"bindings":[{"role":"roles/x_withcond_0a","members":["allUsers"]}]}"#;
        assert!(matches!(read(hidden), Err(PolicyError::ConditionsHidden(1))));
    }

    #[test]
    fn wrong_types_are_refused() {
        for text in [
            r#"{"bindings":{}}"#,
            r#"{"bindings":[7]}"#,
            r#"{"bindings":null}"#,
            r#"{"etag":1}"#,
            r#"{"version":"3"}"#,
            r#"{"bindings":[{"members":"user:a@example.com"}]}"#,
            r#"{"bindings":[{"members":[null]}]}"#,
            r#"{"bindings":[{"role":["x"]}]}"#,
            r#"{"bindings":[{"condition":"true"}]}"#,
            r#"{"bindings":[{"condition":{"expression":1}}]}"#,
            r#"{"bindings":[],"bindings":[]}"#,
        ] {
            assert!(read(text).is_err(), "{text}");
        }
    }

    fn json_value() -> impl Strategy<Value = String> {
        let scalar = prop_oneof![
            Just("null".to_owned()),
            "-?[1-9][0-9]{0,40}(\\.[0-9]{1,3})?([eE][+-]?[0-9]{1,4})?",
            any::<String>().prop_map(|text| serde_json::to_string(&text).unwrap()),
        ];
        scalar.prop_recursive(4, 32, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4)
                    .prop_map(|items| format!("[{}]", items.join(", "))),
                prop::collection::btree_map("[a-z]{1,3}", inner, 0..4).prop_map(|fields| {
                    let fields: Vec<_> = fields
                        .iter()
                        .rev()
                        .map(|(name, value)| format!("\"{name}\" : {value}"))
                        .collect();
                    format!("{{{}}}", fields.join(","))
                }),
            ]
        })
    }

    proptest! {
        #[test]
        fn reading_what_was_written_changes_nothing(
            title in any::<String>(), member in any::<String>(), unknown in json_value(), deeper in json_value(),
        ) {
            let quoted = |text: &str| serde_json::to_string(text).unwrap();
            let text = format!(
                r#"{{"version":3,"etag":"e","x":{unknown},"bindings":[{{"role":"r","members":[{}],"y":{deeper},"condition":{{"title":{},"z":{unknown}}}}}]}}"#,
                quoted(&member), quoted(&title),
            );
            let policy = read(&text).unwrap();
            let written = encode(&policy).unwrap();
            let again = read(written.get()).unwrap();
            prop_assert_eq!(encode(&again).unwrap().to_string(), written.to_string());
            prop_assert_eq!(again, policy);
        }
    }
}
