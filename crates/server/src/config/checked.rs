//! The configuration once every value has been parsed into a type that cannot be wrong.

use std::collections::{BTreeMap, BTreeSet};
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
use curfew_trust::{IapConfig, KeyConfig, KeySet, PublicKey, Verb};

use super::file::{ConfigFile, EndpointsSection, GoogleSection, KeySection, StoreSection};
use super::{ConfigError, FILE_BYTES_MAX, STORE_TOKEN, eligible};

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
    pub signing: Option<KeyFile>,
    /// Whose envelopes count.
    pub keys: KeySet,
    /// The controller's key file.
    pub facts_key: Option<PathBuf>,
    /// The key file of intake's forms, if it is not derived from the signing key.
    pub form_key: Option<PathBuf>,
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

/// A key file and the id that envelopes give it.
#[derive(Debug, Clone)]
pub struct KeyFile {
    /// The file.
    pub path: PathBuf,
    /// The id.
    pub key_id: String,
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
    let signing = file
        .signing
        .as_ref()
        .map(|key| KeyFile { path: folder.join(&key.file), key_id: key.key_id.clone() });
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
        signing,
        keys: check_keys(&file.keys, folder)?,
        facts_key: file.facts_key.as_ref().map(|key| folder.join(&key.file)),
        form_key: file.form_key.as_ref().map(|key| folder.join(&key.file)),
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

fn check_keys(sections: &[KeySection], folder: &Path) -> Result<KeySet, ConfigError> {
    let keys = sections.iter().enumerate().map(|(n, section)| check_key(n, section, folder));
    KeySet::new(keys.collect::<Result<_, _>>()?)
        .map_err(|error| ConfigError::at("keys", error.to_string()))
}

fn check_key(n: usize, section: &KeySection, folder: &Path) -> Result<KeyConfig, ConfigError> {
    let at = |name: &str| format!("keys[{n}].{name}");
    let level = parse(at("level"), &section.level, eligible::level)?;
    let verb = |text: &String| {
        Verb::parse(text).ok_or_else(|| {
            ConfigError::at(
                at("verbs"),
                format!("{text:?} must be REQUEST, DECIDE, DIRECT or CONTROL"),
            )
        })
    };
    Ok(KeyConfig {
        id: section.id.clone(),
        owner: section.owner.clone().unwrap_or_else(|| section.id.clone()),
        public_key: public_key(&section.public_key, folder)
            .map_err(|why| ConfigError::at(at("publicKey"), why))?,
        level,
        verbs: section.verbs.iter().map(verb).collect::<Result<BTreeSet<_>, _>>()?,
        from: instant(&at("from"), &section.from)?,
        until: instant(&at("until"), &section.until)?,
        distrusted_from: section
            .distrusted_from
            .as_ref()
            .map(|text| instant(&at("distrustedFrom"), text))
            .transpose()?,
    })
}

/// The key itself, or the file that holds it.
fn public_key(text: &str, folder: &Path) -> Result<PublicKey, String> {
    if text.trim_start().starts_with("-----BEGIN") {
        return PublicKey::from_spki_pem(text).map_err(|error| error.to_string());
    }
    let path = folder.join(text);
    read_public_key(&path).map_err(|why| format!("{}: {why}", path.display()))
}

fn read_public_key(path: &Path) -> Result<PublicKey, String> {
    let size = std::fs::metadata(path).map_err(|error| error.to_string())?.len();
    if size > FILE_BYTES_MAX {
        return Err("the file is far too large for a key".into());
    }
    let pem = std::fs::read_to_string(path).map_err(|error| error.to_string())?;
    PublicKey::from_spki_pem(&pem).map_err(|error| error.to_string())
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
fn instant(setting: &str, text: &str) -> Result<DateTime<Utc>, ConfigError> {
    let date = || text.parse::<NaiveDate>().ok()?.and_hms_opt(0, 0, 0).map(|at| at.and_utc());
    let instant = || DateTime::parse_from_rfc3339(text).ok().map(|at| at.to_utc());
    date().or_else(instant).ok_or_else(|| {
        ConfigError::at(setting, "must be a date such as 2026-01-31, or an instant of RFC 3339")
    })
}
