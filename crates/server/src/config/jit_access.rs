//! The variables that configure JIT Access (<https://github.com/GoogleCloudPlatform/jit-groups>, 1.8): an installation
//! that moves to Curfew keeps them. Each becomes the setting that has taken its place, unless that is configured.

use std::collections::BTreeMap;

use serde_json::Value;

use super::overrides::{get, put};
use super::platform::Platform;
use super::{ConfigError, Origins};

/// The longest access where nothing says otherwise, as `eligible.maxDuration`.
const DURATION_MAX_DEFAULT: &str = "2h";

/// One variable.
struct Variable {
    name: &'static str,
    meaning: Meaning,
}

enum Meaning {
    /// It is this setting, once its text has been read.
    Setting(&'static str, fn(&str) -> Result<Value, String>),
    /// It has no effect here, for this reason.
    Unused(&'static str),
    /// It is dealt with by a function of its own.
    Special,
}

const fn setting(
    name: &'static str,
    path: &'static str,
    read: fn(&str) -> Result<Value, String>,
) -> Variable {
    Variable { name, meaning: Meaning::Setting(path, read) }
}

const fn unused(name: &'static str, why: &'static str) -> Variable {
    Variable { name, meaning: Meaning::Unused(why) }
}

const NO_NOTICES: &str = "Curfew sends no notices yet";

/// Of two for the same setting, the first that is set counts, as in JIT Access.
const VARIABLES: &[Variable] = &[
    setting("RESOURCE_SCOPE", "scope", text),
    setting("RESOURCE_CATALOG", "eligible.catalog", catalog),
    setting("RESOURCE_CUSTOMER_ID", "eligible.customerId", text),
    setting("AVAILABLE_PROJECTS_QUERY", "eligible.projectsQuery", text),
    setting("ELEVATION_DURATION", "eligible.maxDuration", minutes),
    setting("ACTIVATION_TIMEOUT", "eligible.maxDuration", minutes),
    setting("ACTIVATION_REQUEST_TIMEOUT", "eligible.approvalTimeout", minutes),
    setting("JUSTIFICATION_PATTERN", "eligible.justificationPattern", text),
    setting("JUSTIFICATION_HINT", "eligible.justificationHint", text),
    setting("ACTIVATION_REQUEST_MAX_ROLES", "eligible.maxRoles", whole),
    setting("ACTIVATION_REQUEST_MIN_REVIEWERS", "eligible.minApprovers", whole),
    setting("ACTIVATION_REQUEST_MAX_REVIEWERS", "eligible.maxApprovers", whole),
    Variable { name: "IAP_BACKEND_SERVICE_ID", meaning: Meaning::Special },
    Variable { name: "IAP_VERIFY_AUDIENCE", meaning: Meaning::Special },
    setting("BACKEND_CONNECT_TIMEOUT", "google.connectTimeout", seconds),
    setting("BACKEND_READ_TIMEOUT", "google.readTimeout", seconds),
    unused(
        "BACKEND_WRITE_TIMEOUT",
        "sending a call is a part of google.readTimeout and google.writeTimeout",
    ),
    setting("PORT", "listen.app", port),
    unused("NOTIFICATION_TIMEZONE", NO_NOTICES),
    unused("NOTIFICATION_TOPIC", NO_NOTICES),
    unused("SMTP_HOST", NO_NOTICES),
    unused("SMTP_PORT", NO_NOTICES),
    unused("SMTP_ENABLE_STARTTLS", NO_NOTICES),
    unused("SMTP_SENDER_NAME", NO_NOTICES),
    unused("SMTP_SENDER_ADDRESS", NO_NOTICES),
    unused("SMTP_USERNAME", NO_NOTICES),
    unused("SMTP_PASSWORD", NO_NOTICES),
    unused("SMTP_SECRET", NO_NOTICES),
    unused("SMTP_OPTIONS", NO_NOTICES),
    unused("SMTP_ADDRESS_MAPPING", NO_NOTICES),
];

/// Puts what the variables say where the configuration says nothing, and notes what became of each.
///
/// # Errors
/// Names the variable whose text cannot be read.
pub(super) fn fill(
    value: &mut Value,
    environment: &BTreeMap<String, String>,
    platform: &Platform,
    origins: &mut Origins,
) -> Result<Vec<String>, ConfigError> {
    let mut filling = Filling { value, environment, origins, notes: Vec::new() };
    filling.refuse_unverified()?;
    for variable in VARIABLES {
        filling.variable(variable)?;
    }
    filling.limit_approval();
    filling.default_scope();
    filling.audience(platform)?;
    Ok(filling.notes)
}

struct Filling<'a> {
    value: &'a mut Value,
    environment: &'a BTreeMap<String, String>,
    origins: &'a mut Origins,
    notes: Vec<String>,
}

impl Filling<'_> {
    /// A blank variable counts as none.
    fn text(&self, name: &str) -> Option<String> {
        let text = self.environment.get(name)?.trim();
        (!text.is_empty()).then(|| text.to_owned())
    }

    fn variable(&mut self, variable: &Variable) -> Result<(), ConfigError> {
        let Some(text) = self.text(variable.name) else { return Ok(()) };
        match variable.meaning {
            Meaning::Setting(path, read) => {
                let new = read(&text)
                    .map_err(|why| ConfigError::at(variable.name, format!("{text:?} {why}")))?;
                self.set(variable.name, path, new);
            }
            Meaning::Unused(why) => {
                self.notes.push(format!("{} is not used yet: {why}", variable.name));
            }
            Meaning::Special => {}
        }
        Ok(())
    }

    /// Sets what is not configured; else notes whether the variable agrees with what is.
    fn set(&mut self, name: &str, path: &str, new: Value) {
        let note = match (get(self.value, path), self.origins.exactly(path)) {
            (Some(_), Some(other)) if !other.starts_with("CURFEW_") => {
                format!("{name} is not used: {other} comes first")
            }
            (Some(old), _) if same(old, &new) => {
                format!("{name} can go: {path} says the same")
            }
            (Some(old), _) => {
                format!(
                    "{name} is not used: {path} says {}, the variable {}",
                    plain(old),
                    plain(&new)
                )
            }
            (None, _) => format!("{name} is read: its new name is {path}: {}", plain(&new)),
        };
        if get(self.value, path).is_none() {
            put(self.value, path, new);
            self.origins.note(path, name);
        }
        self.notes.push(note);
    }

    fn refuse_unverified(&mut self) -> Result<(), ConfigError> {
        let name = "IAP_VERIFY_AUDIENCE";
        match self.text(name) {
            None => Ok(()),
            Some(text) if text.eq_ignore_ascii_case("true") => {
                self.notes.push(format!("{name} can go: the audience is always verified"));
                Ok(())
            }
            // JIT Access takes everything but `true` for `false`.
            Some(text) => Err(ConfigError::at(
                name,
                format!(
                    "{text:?} would let assertions for other applications in: remove the variable, and name the audience in iap.audience"
                ),
            )),
        }
    }

    /// JIT Access lets an approval take no longer than the longest access.
    fn limit_approval(&mut self) {
        let (name, path) = ("ACTIVATION_REQUEST_TIMEOUT", "eligible.approvalTimeout");
        if self.origins.exactly(path) != Some(name) {
            return;
        }
        let max = get(self.value, "eligible.maxDuration").and_then(Value::as_str);
        let max = max.unwrap_or(DURATION_MAX_DEFAULT).to_owned();
        let given = get(self.value, path).and_then(Value::as_str).unwrap_or_default().to_owned();
        let read = |text: &str| curfew_proto::parse_duration(text).ok();
        if let (Some(longest), Some(asked)) = (read(&max), read(&given))
            && asked > longest
        {
            self.notes.push(format!("{path} is {max}: no longer than eligible.maxDuration"));
            put(self.value, path, max.into());
        }
    }

    fn default_scope(&mut self) {
        let name = "GOOGLE_CLOUD_PROJECT";
        if get(self.value, "scope").is_none()
            && let Some(project) = self.text(name)
        {
            self.set(name, "scope", format!("projects/{project}").into());
        }
    }

    /// The audience that IAP signs for this service, where it is not configured and the platform tells it
    /// (<https://cloud.google.com/iap/docs/signed-headers-howto>).
    fn audience(&mut self, platform: &Platform) -> Result<(), ConfigError> {
        let path = "iap.audience";
        let (backend, service) = (self.text("IAP_BACKEND_SERVICE_ID"), self.text("K_SERVICE"));
        if let Some(id) = backend.as_ref().filter(|id| !id.bytes().all(|b| b.is_ascii_digit())) {
            let message = format!("{id:?} must be the number of the backend service");
            return Err(ConfigError::at("IAP_BACKEND_SERVICE_ID", message));
        }
        if let Some(configured) = get(self.value, path) {
            if backend.is_some() {
                let note = format!(
                    "IAP_BACKEND_SERVICE_ID is not used: {path} says {}",
                    plain(configured)
                );
                self.notes.push(note);
            }
            return Ok(());
        }
        let (name, made) = if self.text("GAE_SERVICE").is_some() {
            ("GAE_SERVICE", platform.app_engine_audience())
        } else if let Some(id) = backend {
            ("IAP_BACKEND_SERVICE_ID", platform.backend_service_audience(&id))
        } else if let Some(service) = service {
            ("K_SERVICE", platform.cloud_run_audience(&service))
        } else {
            return Ok(());
        };
        let made = made.map_err(|why| {
            let message =
                format!("is set, and the audience cannot be made of it: {why}; name it in {path}");
            ConfigError::at(name, message)
        })?;
        self.set(name, path, made.into());
        Ok(())
    }
}

/// Equal as values, or as durations.
fn same(a: &Value, b: &Value) -> bool {
    let duration = |value: &Value| curfew_proto::parse_duration(value.as_str()?).ok();
    a == b || duration(a).is_some_and(|a| Some(a) == duration(b))
}

/// A value in a sentence.
fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

#[expect(clippy::unnecessary_wraps, reason = "one of the readers in the table")]
fn text(text: &str) -> Result<Value, String> {
    Ok(text.into())
}

fn catalog(text: &str) -> Result<Value, String> {
    let known = ["AssetInventory", "PolicyAnalyzer"];
    let found = known.into_iter().find(|name| name.eq_ignore_ascii_case(text));
    found.map(Value::from).ok_or_else(|| "must be AssetInventory or PolicyAnalyzer".to_owned())
}

fn number(text: &str) -> Result<u32, String> {
    text.parse().map_err(|_| "must be a whole number".to_owned())
}

fn whole(text: &str) -> Result<Value, String> {
    number(text).map(Value::from)
}

fn minutes(text: &str) -> Result<Value, String> {
    number(text).map(|number| format!("{number}m").into())
}

fn seconds(text: &str) -> Result<Value, String> {
    number(text).map(|number| format!("{number}s").into())
}

fn port(text: &str) -> Result<Value, String> {
    let port: u16 = text.parse().map_err(|_| "must be a port".to_owned())?;
    Ok(format!("0.0.0.0:{port}").into())
}

#[cfg(test)]
mod tests;
