//! The configuration once every value has been parsed into a type that cannot be wrong.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::time::Duration;

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use curfew_controller::Operators;
use curfew_core::id::Installation;
use curfew_core::judge::Rules;
use curfew_core::principal::Email;
use curfew_core::resource::Resource;
use curfew_gcp::Timeouts;
use curfew_intake::{BaseUrl, JustificationPattern, ListSource};
use curfew_trust::{IapConfig, KeySet};

use super::file::{ConfigFile, EndpointsSection, GoogleSection, StoreSection};
use super::keys::{self, FactsKeySource, FormKeySource, Signing};
use super::{ConfigError, STORE_TOKEN, eligible};

/// How long Google may be waited for: shorter gives up calls that would be answered, longer holds up everything behind
/// one that is lost.
const GOOGLE_TIMEOUTS: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_mins(5);

/// What clients of Google's emulator show by themselves, and what it asks for.
const EMULATOR_TOKEN: &str = "owner";

/// A checked configuration.
#[derive(Debug, Clone)]
pub struct Config {
    /// The installation.
    pub installation: Installation,
    /// What may be granted.
    pub rules: Rules,
    /// Where links point to.
    pub base_url: BaseUrl,
    /// Where to listen.
    pub listen: Listen,
    /// Where requests are kept.
    pub store: Store,
    /// Which assertions are accepted.
    pub iap: IapConfig,
    /// Who may end access for others.
    pub operators: Operators,
    /// Who may see every request.
    pub auditors: Operators,
    /// Intake's key, where it signs.
    pub signing: Option<Signing>,
    /// Whose envelopes count.
    pub keys: KeySet,
    /// The controller's key.
    pub facts_key: Option<FactsKeySource>,
    /// What intake's forms are sealed with.
    pub form_key: FormKeySource,
    /// What forms offer first.
    pub default_duration: TimeDelta,
    /// What a whole justification must match.
    pub justification_pattern: Option<JustificationPattern>,
    /// The hint beside the justification.
    pub justification_hint: String,
    /// What lists are made from.
    pub lists_from: ListSource,
    /// Limits the projects that are listed.
    pub projects_query: Option<String>,
    /// How long Google is waited for.
    pub timeouts: Timeouts,
    /// Where Google's APIs and tokens are.
    pub identity: Identity,
    /// Whether intake and controller may share a process although the scope is more than a project.
    pub accept_single_process: bool,
    /// What became of variables of other names, one line each.
    pub notes: Vec<String>,
    /// The file as it was read, overrides applied.
    pub file: ConfigFile,
}

/// Addresses to listen on.
#[derive(Debug, Clone, Copy)]
pub struct Listen {
    /// For IAP.
    pub app: SocketAddr,
    /// For operators.
    pub ops: SocketAddr,
}

/// The store.
#[derive(Debug, Clone)]
pub struct Store {
    /// Which one.
    pub kind: StoreKind,
    /// The project.
    pub project: String,
    /// The database.
    pub database: String,
}

/// Which store.
#[derive(Debug, Clone)]
pub enum StoreKind {
    /// In this process, over this file.
    Embedded(PathBuf),
    /// A Firestore-compatible server on a loopback address, with its bearer token.
    Loopback(String, String),
    /// Google's.
    Google,
}

/// Google's APIs and where access tokens come from.
#[derive(Debug, Clone, Default)]
pub struct Identity {
    /// One base URL for all APIs; `None` for Google's.
    pub cloud: Option<String>,
    /// A metadata server; `None` for Application Default Credentials.
    pub metadata: Option<String>,
}

pub(super) fn check(
    file: ConfigFile,
    notes: Vec<String>,
    folder: &Path,
    environment: &BTreeMap<String, String>,
) -> Result<Config, ConfigError> {
    let scope = parse("scope", &file.scope, Resource::parse)?;
    let protected = file
        .protected
        .iter()
        .enumerate()
        .map(|(n, name)| parse(format!("protected[{n}]"), name, Resource::parse));
    let eligible = eligible::check(&file.eligible)?;
    let signing = keys::signing(file.signing.as_ref(), folder)?;
    Ok(Config {
        installation: parse("installation", &file.installation, Installation::parse)?,
        rules: Rules {
            scope,
            protected: protected.collect::<Result<_, _>>()?,
            duration_max: eligible.max,
            roles_max: eligible.roles_max,
            peers: eligible.peers,
            dangerous: eligible.dangerous,
            from: eligible.from,
        },
        base_url: BaseUrl::parse(&file.base_url)
            .map_err(|error| ConfigError::at("baseUrl", error.to_string()))?,
        listen: Listen {
            app: address(
                "listen.app",
                file.listen.app.as_deref(),
                SocketAddr::from((Ipv4Addr::LOCALHOST, 8080)),
            )?,
            ops: address(
                "listen.ops",
                file.listen.ops.as_deref(),
                SocketAddr::from((Ipv4Addr::LOCALHOST, 9464)),
            )?,
        },
        store: check_store(&file.store, &file.endpoints, folder, environment)?,
        iap: check_iap(&file)?,
        operators: people("operators", &file.operators)?,
        auditors: people("auditors", &file.auditors)?,
        form_key: keys::form_key(file.form_key.as_ref(), signing.as_ref(), folder)?,
        signing,
        keys: keys::believed(&file.keys, folder)?,
        facts_key: keys::facts_key(file.facts_key.as_ref(), folder)?,
        default_duration: eligible.default,
        justification_pattern: eligible.justification_pattern,
        justification_hint: eligible.justification_hint,
        lists_from: eligible.lists_from,
        projects_query: file.eligible.projects_query.clone(),
        timeouts: timeouts(&file.google)?,
        identity: Identity {
            cloud: file.endpoints.cloud.clone(),
            metadata: file.endpoints.metadata.clone(),
        },
        accept_single_process: file.accept_single_process,
        notes,
        file,
    })
}

pub(super) fn parse<T, E: std::fmt::Display>(
    setting: impl Into<String>,
    text: &str,
    read: impl Fn(&str) -> Result<T, E>,
) -> Result<T, ConfigError> {
    read(text).map_err(|error| ConfigError::at(setting, format!("{text:?} {error}")))
}

fn address(
    setting: &str,
    text: Option<&str>,
    default: SocketAddr,
) -> Result<SocketAddr, ConfigError> {
    text.map_or(Ok(default), |text| parse(setting, text, |text: &str| text.parse::<SocketAddr>()))
}

fn check_store(
    section: &StoreSection,
    endpoints: &EndpointsSection,
    folder: &Path,
    environment: &BTreeMap<String, String>,
) -> Result<Store, ConfigError> {
    let kind = match section.kind.as_str() {
        "embedded" if environment.contains_key("K_SERVICE") => {
            return Err(ConfigError::at("store.kind", "Cloud Run keeps no files: use `firestore`"));
        }
        "embedded" => {
            StoreKind::Embedded(folder.join(section.path.as_deref().unwrap_or("curfew.db")))
        }
        "firestore" => remote_store(endpoints, environment),
        _ => return Err(ConfigError::at("store.kind", "must be `embedded` or `firestore`")),
    };
    let is_google = matches!(kind, StoreKind::Google);
    let project = match (&section.project, is_google) {
        (Some(project), _) => project.clone(),
        (None, false) => "curfew".to_owned(),
        (None, true) => {
            return Err(ConfigError::at(
                "store.project",
                "name the project whose Firestore database is used",
            ));
        }
    };
    Ok(Store {
        kind,
        project,
        database: section.database.clone().unwrap_or_else(|| "(default)".into()),
    })
}

fn remote_store(endpoints: &EndpointsSection, environment: &BTreeMap<String, String>) -> StoreKind {
    let from_environment =
        environment.get("FIRESTORE_EMULATOR_HOST").map(|host| format!("http://{host}"));
    let token = endpoints.store_token.as_ref().or_else(|| environment.get(STORE_TOKEN));
    let token = token.cloned().unwrap_or_else(|| EMULATOR_TOKEN.into());
    endpoints
        .store
        .clone()
        .or(from_environment)
        .map_or(StoreKind::Google, |at| StoreKind::Loopback(at, token))
}

fn check_iap(file: &ConfigFile) -> Result<IapConfig, ConfigError> {
    if file.iap.audience.trim().is_empty() {
        return Err(ConfigError::at(
            "iap.audience",
            "name the audience exactly as IAP signs it; without one nobody can sign in safely",
        ));
    }
    let key_url = file
        .endpoints
        .iap_keys
        .clone()
        .unwrap_or_else(|| curfew_trust::iap::GOOGLE_KEY_URL.to_owned());
    Ok(IapConfig {
        audience: file.iap.audience.clone(),
        hosted_domains: file.iap.hosted_domains.clone(),
        key_url,
    })
}

fn people(setting: &str, members: &[String]) -> Result<Operators, ConfigError> {
    let mut people = Operators::default();
    for (n, member) in members.iter().enumerate() {
        let here = format!("{setting}[{n}]");
        let set = match member.split_once(':') {
            Some(("user", _)) => &mut people.people,
            Some(("group", _)) => &mut people.groups,
            _ => return Err(ConfigError::at(here, "must be user:<address> or group:<address>")),
        };
        let (_, address) = member.split_once(':').unwrap_or_default();
        set.insert(parse(here, address, Email::parse)?);
    }
    Ok(people)
}

fn timeouts(section: &GoogleSection) -> Result<Timeouts, ConfigError> {
    let usual = Timeouts::default();
    let read = |name: &str, text: &Option<String>, usual| {
        let Some(text) = text else { return Ok(usual) };
        let setting = format!("google.{name}");
        let time = parse(&setting, text, curfew_proto::parse_duration)?.to_std();
        time.ok().filter(|time| GOOGLE_TIMEOUTS.contains(time)).ok_or_else(|| {
            ConfigError::at(setting, format!("{text:?} must be at least 1s and at most 5m"))
        })
    };
    let connect = read("connectTimeout", &section.connect_timeout, usual.connect)?;
    let answer = read("readTimeout", &section.read_timeout, usual.read)?;
    let write = read("writeTimeout", &section.write_timeout, usual.write.max(answer))?;
    Ok(Timeouts { connect, read: answer, write })
}

/// A date (its first instant) or an instant of RFC 3339, in UTC.
pub(super) fn instant(setting: &str, text: &str) -> Result<DateTime<Utc>, ConfigError> {
    let date = || text.parse::<NaiveDate>().ok()?.and_hms_opt(0, 0, 0).map(|at| at.and_utc());
    let instant = || DateTime::parse_from_rfc3339(text).ok().map(|at| at.to_utc());
    date().or_else(instant).ok_or_else(|| {
        ConfigError::at(setting, "must be a date such as 2026-01-31, or an instant of RFC 3339")
    })
}
