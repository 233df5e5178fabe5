//! Reading the file and laying the environment's overrides over it.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::platform::Platform;
use super::{ConfigError, ConfigFile, REFERENCE, jit_access};

const PREFIX: &str = "CURFEW_";

/// What stands between the levels of a setting in a variable's name. The names of other variables of ours have none.
const LEVEL: &str = "__";

/// The file with the overrides and with what other variables say; every name known. Also notes about those variables.
pub(super) fn read(
    text: &str,
    environment: &BTreeMap<String, String>,
    platform: &Platform,
) -> Result<(ConfigFile, Vec<String>, Origins), ConfigError> {
    let known = yaml(REFERENCE)?;
    let mut value = yaml(text)?;
    let mut origins = Origins::default();
    for (name, text) in environment {
        if let Some(path) = setting_of(name, &known)? {
            let new = yaml_value(text).map_err(|message| ConfigError::at(name, message))?;
            put(&mut value, &path, new);
            origins.note(&path, name);
        }
    }
    refuse_unknown(&value, &known, "").map_err(|error| origins.blame(error))?;
    let notes = jit_access::fill(&mut value, environment, platform, &mut origins)?;
    let file = serde_path_to_error::deserialize(value).map_err(|error| {
        let setting = match error.path().to_string() {
            path if path == "." => "configuration".to_owned(),
            path => path,
        };
        origins.blame(ConfigError::at(setting, error.into_inner().to_string()))
    })?;
    Ok((file, notes, origins))
}

/// Which variables settings come from; the others come from the file.
#[derive(Debug, Default)]
pub(super) struct Origins(BTreeMap<String, String>);

impl Origins {
    pub(super) fn note(&mut self, setting: &str, variable: &str) {
        self.0.insert(setting.to_owned(), variable.to_owned());
    }

    pub(super) fn exactly(&self, setting: &str) -> Option<&str> {
        self.0.get(setting).map(String::as_str)
    }

    /// Names the variable in an error about a setting that comes from one.
    pub(super) fn blame(&self, error: ConfigError) -> ConfigError {
        let ConfigError::Setting { setting, message } = error else { return error };
        let is_above = |above: &str| {
            let below = setting.strip_prefix(above);
            below.is_some_and(|below| below.is_empty() || below.starts_with(['.', '[']))
        };
        match self.0.iter().find(|(above, _)| is_above(above)) {
            Some((_, variable)) => ConfigError::at(format!("{variable} ({setting})"), message),
            None => ConfigError::Setting { setting, message },
        }
    }
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

/// The setting that a variable is for, such as `store.kind` of `CURFEW_STORE__KIND`; `None` for a variable that is for
/// something else. Two underscores after the prefix can be for nothing else.
fn setting_of(name: &str, known: &Value) -> Result<Option<String>, ConfigError> {
    let Some(path) = name.strip_prefix(PREFIX) else { return Ok(None) };
    let found = setting_path(path, known);
    if found.is_none() && path.contains(LEVEL) {
        let mut all = Vec::new();
        variables(known, PREFIX, &mut all);
        let nearest = all
            .iter()
            .max_by(|a, b| strsim::jaro_winkler(name, a).total_cmp(&strsim::jaro_winkler(name, b)));
        let nearest = nearest.map(String::as_str).unwrap_or_default();
        return Err(ConfigError::at(name, format!("is no setting; did you mean {nearest}?")));
    }
    Ok(found)
}

fn setting_path(name: &str, known: &Value) -> Option<String> {
    let mut at = known;
    let mut path = Vec::new();
    for segment in name.split(LEVEL) {
        let (key, below) =
            at.as_object()?.iter().find(|(key, _)| key.eq_ignore_ascii_case(segment))?;
        path.push(key.as_str());
        at = below;
    }
    Some(path.join("."))
}

/// The variables of all settings; a list is given whole.
fn variables(known: &Value, prefix: &str, all: &mut Vec<String>) {
    for (key, below) in known.as_object().into_iter().flatten() {
        let name = format!("{prefix}{}", key.to_ascii_uppercase());
        variables(below, &format!("{name}{LEVEL}"), all);
        all.push(name);
    }
}

/// What stands at a path such as `store.kind`; null is nothing.
pub(super) fn get<'a>(value: &'a Value, path: &str) -> Option<&'a Value> {
    path.split('.').try_fold(value, |at, key| at.get(key)).filter(|found| !found.is_null())
}

/// Puts a value at a path such as `store.kind`.
pub(super) fn put(value: &mut Value, path: &str, new: Value) {
    let (first, rest) =
        path.split_once('.').map_or((path, None), |(first, rest)| (first, Some(rest)));
    if !value.is_object() {
        *value = Value::Object(Map::new());
    }
    let Some(map) = value.as_object_mut() else { return };
    let below = map.entry(first.to_owned()).or_insert(Value::Null);
    match rest {
        Some(rest) => put(below, rest, new),
        None => *below = new,
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

    fn read(text: &str, environment: &BTreeMap<String, String>) -> Result<ConfigFile, ConfigError> {
        super::read(text, environment, &Platform::unknown()).map(|(file, _, _)| file)
    }

    fn env(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

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
        let environment = env(&[
            ("CURFEW_STORE__KIND", "embedded"),
            ("CURFEW_IAP__HOSTEDDOMAINS", "[a.example, b.example]"),
            ("CURFEW_SERVER", "x"),
            ("CURFEW_CONFIG", "x"),
            ("CURFEW_STORE_TOKEN", "x"),
            ("OTHER__KEY", "x"),
            ("PATH", "/bin"),
        ]);
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
    fn an_unknown_variable_is_refused_with_a_suggestion() {
        for (wrong, right) in [
            ("CURFEW_STORE__KIN", "CURFEW_STORE__KIND"),
            ("CURFEW_STORES__KIND", "CURFEW_STORE__KIND"),
            ("CURFEW_ELIGIBLE__MAX_DURATION", "CURFEW_ELIGIBLE__MAXDURATION"),
            ("CURFEW_IAP__AUDIENCES", "CURFEW_IAP__AUDIENCE"),
            ("CURFEW_KEYS__0__ID", "CURFEW_KEYS"),
            ("CURFEW_STORE__", "CURFEW_STORE"),
        ] {
            let error = read(REFERENCE, &env(&[(wrong, "x")])).unwrap_err().to_string();
            let expected = format!("{wrong}: is no setting; did you mean {right}");
            assert!(error.starts_with(&expected), "{error}");
        }
    }

    #[test]
    fn an_error_names_the_variable_that_the_value_came_from() {
        for (name, value, setting) in [
            ("CURFEW_ELIGIBLE__MAXROLES", "many", "eligible.maxRoles"),
            ("CURFEW_ELIGIBLE", "{maxRoles: many}", "eligible.maxRoles"),
            ("CURFEW_ELIGIBLE", "{maxRole: 1}", "eligible.maxRole"),
            ("CURFEW_KEYS", "[{id: 7}]", "keys[0].id"),
        ] {
            let error = read(REFERENCE, &env(&[(name, value)])).unwrap_err().to_string();
            assert!(error.starts_with(&format!("{name} ({setting}")), "{error}");
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
