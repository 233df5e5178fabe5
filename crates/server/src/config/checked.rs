//! The configuration once every value has been parsed into a type that cannot be wrong.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use curfew_controller::Operators;
use curfew_core::entry::Level;
use curfew_core::id::Installation;
use curfew_core::judge::{PeerRules, Rules};
use curfew_core::principal::Email;
use curfew_core::resource::Resource;
use curfew_core::role::Role;
use curfew_intake::BaseUrl;
use curfew_trust::{IapConfig, KeyConfig, KeySet, PublicKey, Verb};

use super::file::{ConfigFile, EligibleSection, EndpointsSection, KeySection, StoreSection};
use super::{ConfigError, FILE_BYTES_MAX, STORE_TOKEN};

/// Google's maximum for roles in one JIT Access request, and ours.
const ROLES_MAX: u32 = 10;

/// The longest access that may be configured: beyond a day, access is no longer just in time.
const DURATION_LIMIT: TimeDelta = TimeDelta::hours(24);

/// The longest time for an approval: what nobody has decided within a week is asked anew.
const APPROVAL_TIMEOUT_LIMIT: TimeDelta = TimeDelta::days(7);

/// The most approvers that a requester may choose: every one is named in the signed request.
const APPROVERS_LIMIT: usize = 50;

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
    /// What forms offer first.
    pub default_duration: TimeDelta,
    /// The hint beside the justification.
    pub justification_hint: String,
    /// Where Google's APIs and tokens are.
    pub identity: Identity,
    /// Whether intake and controller may share a process although the scope is more than a project.
    pub accept_single_process: bool,
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
    folder: &Path,
    environment: &BTreeMap<String, String>,
) -> Result<Config, ConfigError> {
    let scope = parse("scope", &file.scope, Resource::parse)?;
    let protected = file
        .protected
        .iter()
        .enumerate()
        .map(|(n, name)| parse(format!("protected[{n}]"), name, Resource::parse));
    let eligible = check_eligible(&file.eligible)?;
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
        },
        base_url: BaseUrl::parse(&file.base_url)
            .map_err(|error| ConfigError::at("baseUrl", error.to_string()))?,
        listen: Listen {
            app: address("listen.app", file.listen.app.as_deref(), default_app(environment)?)?,
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
        default_duration: eligible.default,
        justification_hint: file
            .eligible
            .justification_hint
            .clone()
            .unwrap_or_else(|| "Bug or case number".into()),
        identity: Identity {
            cloud: file.endpoints.cloud.clone(),
            metadata: file.endpoints.metadata.clone(),
        },
        accept_single_process: file.accept_single_process,
        file,
    })
}

fn parse<T, E: std::fmt::Display>(
    setting: impl Into<String>,
    text: &str,
    read: impl Fn(&str) -> Result<T, E>,
) -> Result<T, ConfigError> {
    read(text).map_err(|error| ConfigError::at(setting, format!("{text:?} {error}")))
}

struct Eligible {
    max: TimeDelta,
    default: TimeDelta,
    roles_max: usize,
    peers: PeerRules,
}

fn check_eligible(section: &EligibleSection) -> Result<Eligible, ConfigError> {
    let duration = |name: &str, text: &Option<String>, default| match text {
        Some(text) => parse(format!("eligible.{name}"), text, curfew_proto::parse_duration),
        None => Ok(default),
    };
    let max = duration("maxDuration", &section.max_duration, TimeDelta::hours(2))?;
    let default =
        duration("defaultDuration", &section.default_duration, TimeDelta::minutes(30).min(max))?;
    if !(curfew_core::spec::DURATION_MIN..=DURATION_LIMIT).contains(&max) {
        return Err(ConfigError::at("eligible.maxDuration", "must be at least 1m and at most 24h"));
    }
    if !(curfew_core::spec::DURATION_MIN..=max).contains(&default) {
        return Err(ConfigError::at(
            "eligible.defaultDuration",
            "must be at least 1m and at most eligible.maxDuration",
        ));
    }
    let roles_max = section.max_roles.unwrap_or(ROLES_MAX);
    if !(1..=ROLES_MAX).contains(&roles_max) {
        return Err(ConfigError::at("eligible.maxRoles", format!("must be 1 to {ROLES_MAX}")));
    }
    Ok(Eligible {
        max,
        default,
        roles_max: usize::try_from(roles_max).unwrap_or(1),
        peers: check_peers(section)?,
    })
}

fn level(text: &str) -> Result<Level, &'static str> {
    match text {
        "SESSION" => Ok(Level::Session),
        "WRITER" => Ok(Level::Writer),
        _ => Err("must be SESSION or WRITER"),
    }
}

fn check_peers(section: &EligibleSection) -> Result<PeerRules, ConfigError> {
    let usual = PeerRules::default();
    let decide_within = match &section.approval_timeout {
        Some(text) => parse("eligible.approvalTimeout", text, curfew_proto::parse_duration)?,
        None => usual.decide_within,
    };
    if !(TimeDelta::minutes(1)..=APPROVAL_TIMEOUT_LIMIT).contains(&decide_within) {
        let message = "must be at least 1m and at most 168h";
        return Err(ConfigError::at("eligible.approvalTimeout", message));
    }
    let count = |number: Option<u32>, usual| number.map_or(Ok(usual), usize::try_from);
    let (chosen_min, chosen_max) = (
        count(section.min_approvers, usual.chosen_min),
        count(section.max_approvers, usual.chosen_max),
    );
    let (Ok(chosen_min), Ok(chosen_max)) = (chosen_min, chosen_max) else {
        return Err(ConfigError::at("eligible.maxApprovers", "is too large"));
    };
    if chosen_min == 0 || chosen_min > chosen_max || chosen_max > APPROVERS_LIMIT {
        let message =
            format!("must be 1 to eligible.maxApprovers, which must be at most {APPROVERS_LIMIT}");
        return Err(ConfigError::at("eligible.minApprovers", message));
    }
    let evidence = match &section.evidence {
        Some(levels) => levels
            .iter()
            .enumerate()
            .map(|(n, text)| parse(format!("eligible.evidence[{n}]"), text, level))
            .collect::<Result<_, _>>()?,
        None => usual.evidence,
    };
    let always_for = section
        .approval_floor
        .iter()
        .enumerate()
        .map(|(n, text)| parse(format!("eligible.approvalFloor[{n}]"), text, Role::parse))
        .collect::<Result<_, _>>()?;
    Ok(PeerRules { decide_within, chosen_min, chosen_max, evidence, always_for })
}

fn default_app(environment: &BTreeMap<String, String>) -> Result<SocketAddr, ConfigError> {
    match environment.get("PORT") {
        Some(port) => {
            let port = parse("PORT", port, |text: &str| text.parse::<u16>())?;
            Ok(SocketAddr::from((IpAddr::from(Ipv4Addr::UNSPECIFIED), port)))
        }
        None => Ok(SocketAddr::from((Ipv4Addr::LOCALHOST, 8080))),
    }
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
    let level = parse(at("level"), &section.level, level)?;
    let verb = |text: &String| {
        Verb::parse(text).ok_or_else(|| {
            ConfigError::at(
                at("verbs"),
                format!("{text:?} must be REQUEST, DECIDE, DIRECT or CONTROL"),
            )
        })
    };
    let path = folder.join(&section.public_key);
    Ok(KeyConfig {
        id: section.id.clone(),
        public_key: read_public_key(&path).map_err(|why| {
            ConfigError::at(at("publicKey"), format!("{}: {why}", path.display()))
        })?,
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

fn read_public_key(path: &Path) -> Result<PublicKey, String> {
    let size = std::fs::metadata(path).map_err(|error| error.to_string())?.len();
    if size > FILE_BYTES_MAX {
        return Err("the file is far too large for a key".into());
    }
    let pem = std::fs::read_to_string(path).map_err(|error| error.to_string())?;
    PublicKey::from_spki_pem(&pem).map_err(|error| error.to_string())
}

/// A date (its first instant) or an instant of RFC 3339, in UTC.
fn instant(setting: &str, text: &str) -> Result<DateTime<Utc>, ConfigError> {
    let date = || text.parse::<NaiveDate>().ok()?.and_hms_opt(0, 0, 0).map(|at| at.and_utc());
    let instant = || DateTime::parse_from_rfc3339(text).ok().map(|at| at.to_utc());
    date().or_else(instant).ok_or_else(|| {
        ConfigError::at(setting, "must be a date such as 2026-01-31, or an instant of RFC 3339")
    })
}
