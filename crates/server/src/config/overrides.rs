//! Reading the file and laying the environment's overrides over it.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::{ConfigError, ConfigFile, REFERENCE};

const PREFIX: &str = "CURFEW_";

/// The file with the overrides, every name in it known.
pub(super) fn read(
    text: &str,
    environment: &BTreeMap<String, String>,
) -> Result<ConfigFile, ConfigError> {
    let known = yaml(REFERENCE)?;
    let mut value = yaml(text)?;
    for (name, text) in environment {
        if let Some(path) = name.strip_prefix(PREFIX).and_then(|path| setting_path(path, &known)) {
            let new = yaml_value(text).map_err(|message| ConfigError::at(name, message))?;
            put(&mut value, &path, new);
        }
    }
    refuse_unknown(&value, &known, "")?;
    serde_path_to_error::deserialize(value).map_err(|error| {
        let setting = match error.path().to_string() {
            path if path == "." => "configuration".to_owned(),
            path => path,
        };
        ConfigError::at(setting, error.into_inner().to_string())
    })
}

fn yaml(text: &str) -> Result<Value, ConfigError> {
    match yaml_value(text).map_err(|message| ConfigError::at("configuration", message))? {
        value @ Value::Object(_) => Ok(value),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
            Err(ConfigError::at(
                "configuration",
                "must be a map of settings: see the reference configuration",
            ))
        }
    }
}

fn yaml_value(text: &str) -> Result<Value, String> {
    serde_saphyr::from_str(text).map_err(|error| error.to_string())
}

/// `STORE__KIND` as `["store", "kind"]`; `None` for a name that is no setting (other programs use prefixes too).
fn setting_path(name: &str, known: &Value) -> Option<Vec<String>> {
    let mut at = known;
    let mut path = Vec::new();
    for segment in name.split("__") {
        let (key, below) =
            at.as_object()?.iter().find(|(key, _)| key.eq_ignore_ascii_case(segment))?;
        path.push(key.clone());
        at = below;
    }
    Some(path)
}

fn put(value: &mut Value, path: &[String], new: Value) {
    let Some((first, rest)) = path.split_first() else {
        *value = new;
        return;
    };
    if !value.is_object() {
        *value = Value::Object(Map::new());
    }
    if let Some(map) = value.as_object_mut() {
        put(map.entry(first.clone()).or_insert(Value::Null), rest, new);
    }
}

/// Refuses names that the reference does not have, suggesting the nearest that it has.
fn refuse_unknown(value: &Value, known: &Value, path: &str) -> Result<(), ConfigError> {
    match (value, known) {
        (Value::Object(map), Value::Object(known)) => map.iter().try_for_each(|(key, below)| {
            let here = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
            let known_below =
                known.get(key).ok_or_else(|| ConfigError::at(&here, unknown(key, known)))?;
            refuse_unknown(below, known_below, &here)
        }),
        (Value::Array(items), Value::Array(known)) => match known.first() {
            Some(known) => items
                .iter()
                .enumerate()
                .try_for_each(|(n, item)| refuse_unknown(item, known, &format!("{path}[{n}]"))),
            None => Ok(()),
        },
        _ => Ok(()),
    }
}

fn unknown(key: &str, known: &Map<String, Value>) -> String {
    let nearest = known
        .keys()
        .max_by(|a, b| strsim::jaro_winkler(key, a).total_cmp(&strsim::jaro_winkler(key, b)));
    match nearest {
        Some(nearest) if strsim::jaro_winkler(key, nearest) > 0.7 => {
            format!("unknown setting; did you mean `{nearest}`?")
        }
        _ => format!(
            "unknown setting; known here: {}",
            known.keys().cloned().collect::<Vec<_>>().join(", ")
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reference_names_every_setting_of_the_file() {
        let file = read(REFERENCE, &BTreeMap::new()).unwrap();
        let written = serde_json::to_value(&file).unwrap();
        let known = yaml(REFERENCE).unwrap();
        refuse_unknown(&written, &known, "").unwrap();
        refuse_unknown(&known, &written, "").unwrap();
    }

    #[test]
    fn the_environment_overrides_any_level_and_leaves_other_names_alone() {
        let environment = BTreeMap::from(
            [
                ("CURFEW_STORE__KIND", "embedded"),
                ("CURFEW_IAP__HOSTEDDOMAINS", "[a.example, b.example]"),
                ("CURFEW_SERVER", "x"),
                ("PATH", "/bin"),
            ]
            .map(|(name, value)| (name.to_owned(), value.to_owned())),
        );
        let file = read(REFERENCE, &environment).unwrap();
        assert_eq!(file.store.kind, "embedded");
        assert_eq!(file.iap.hosted_domains, ["a.example", "b.example"]);
    }

    #[test]
    fn an_unknown_setting_is_refused_with_a_suggestion() {
        for (wrong, right) in [
            ("instalation: x", "installation"),
            ("store: {kin: embedded}", "kind"),
            ("keys: [{idd: x}]", "id"),
        ] {
            let error = read(wrong, &BTreeMap::new()).unwrap_err().to_string();
            assert!(error.contains(&format!("did you mean `{right}`")), "{error}");
        }
    }

    #[test]
    fn a_missing_or_mistyped_setting_is_named() {
        let error = read("installation: x", &BTreeMap::new()).unwrap_err().to_string();
        assert!(error.contains("scope"), "{error}");
        let text = REFERENCE.replace("maxRoles: 10", "maxRoles: many");
        let error = read(&text, &BTreeMap::new()).unwrap_err().to_string();
        assert!(error.starts_with("eligible.maxRoles:"), "{error}");
    }
}
