//! The section `eligible`: what eligible bindings give, and how.

use chrono::TimeDelta;
use curfew_core::danger::Dangerous;
use curfew_core::entry::Level;
use curfew_core::judge::PeerRules;
use curfew_core::resource::Resource;
use curfew_core::role::Role;
use curfew_intake::{JustificationPattern, ListSource};

use super::ConfigError;
use super::checked::parse;
use super::file::EligibleSection;

/// JIT Access's usual maximum for roles in one request, and the most that may be configured here: all are granted by
/// one policy write.
const ROLES_MAX: u32 = 10;

/// The longest access that may be configured: beyond a day, access is no longer just in time.
const DURATION_LIMIT: TimeDelta = TimeDelta::hours(24);

/// The longest time for an approval: what nobody has decided within a week is asked anew.
const APPROVAL_TIMEOUT_LIMIT: TimeDelta = TimeDelta::days(7);

/// The most approvers that a requester may choose: every one is named in the signed request.
const APPROVERS_LIMIT: usize = 50;

/// A checked section.
pub(super) struct Eligible {
    pub(super) max: TimeDelta,
    pub(super) default: TimeDelta,
    pub(super) roles_max: usize,
    pub(super) peers: PeerRules,
    pub(super) dangerous: Dangerous,
    pub(super) from: Vec<Resource>,
    pub(super) lists_from: ListSource,
    pub(super) justification_pattern: Option<JustificationPattern>,
    pub(super) justification_hint: String,
}

pub(super) fn check(section: &EligibleSection) -> Result<Eligible, ConfigError> {
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
    if let Some(id) = section.customer_id.as_deref().filter(|id| !is_customer(id)) {
        let message = format!("{id:?} must be a customer's id, such as C0123abcd");
        return Err(ConfigError::at("eligible.customerId", message));
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
        dangerous: section.dangerous.as_deref().map_or(Ok(Dangerous::default()), dangerous)?,
        from: listed("from", &section.from, Resource::parse)?,
        lists_from: section.catalog.as_deref().map_or(Ok(ListSource::default()), catalog)?,
        justification_pattern: justification_pattern(section)?,
        justification_hint: section
            .justification_hint
            .clone()
            .unwrap_or_else(|| "Bug or case number".into()),
    })
}

pub(super) fn level(text: &str) -> Result<Level, &'static str> {
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
    let chosen_max = count(section.max_approvers, usual.chosen_max);
    if !(1..=APPROVERS_LIMIT).contains(&chosen_max) {
        let message = format!("must be 1 to {APPROVERS_LIMIT}");
        return Err(ConfigError::at("eligible.maxApprovers", message));
    }
    let chosen_min = count(section.min_approvers, usual.chosen_min);
    if !(1..=chosen_max).contains(&chosen_min) {
        let message = format!("must be 1 to {chosen_max}, which is eligible.maxApprovers");
        return Err(ConfigError::at("eligible.minApprovers", message));
    }
    let evidence = match &section.evidence {
        Some(levels) => listed("evidence", levels, level)?.into_iter().collect(),
        None => usual.evidence,
    };
    let always_for =
        listed("approvalFloor", &section.approval_floor, Role::parse)?.into_iter().collect();
    Ok(PeerRules { decide_within, chosen_min, chosen_max, evidence, always_for })
}

/// A number that does not fit is too large in any case.
fn count(number: Option<u32>, usual: usize) -> usize {
    number.map_or(usual, |number| usize::try_from(number).unwrap_or(usize::MAX))
}

/// Every item of a list of the section.
fn listed<T, E: std::fmt::Display>(
    name: &str,
    items: &[String],
    read: impl Fn(&str) -> Result<T, E>,
) -> Result<Vec<T>, ConfigError> {
    let numbered = items.iter().enumerate();
    numbered.map(|(n, text)| parse(format!("eligible.{name}[{n}]"), text, &read)).collect()
}

fn dangerous(text: &str) -> Result<Dangerous, ConfigError> {
    match text {
        "refuse" => Ok(Dangerous::Refuse),
        "approval" => Ok(Dangerous::Approval),
        "warn" => Ok(Dangerous::Warn),
        _ => Err(ConfigError::at(
            "eligible.dangerous",
            format!("{text:?} must be refuse, approval or warn"),
        )),
    }
}

fn catalog(text: &str) -> Result<ListSource, ConfigError> {
    match text {
        "AssetInventory" => Ok(ListSource::AssetInventory),
        "PolicyAnalyzer" => Ok(ListSource::PolicyAnalyzer),
        _ => Err(ConfigError::at(
            "eligible.catalog",
            format!("{text:?} must be AssetInventory or PolicyAnalyzer"),
        )),
    }
}

/// Google's customers (<https://developers.google.com/admin-sdk/directory/v1/guides/manage-customers>).
fn is_customer(id: &str) -> bool {
    id.starts_with('C') && id.len() > 1 && id.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

fn justification_pattern(
    section: &EligibleSection,
) -> Result<Option<JustificationPattern>, ConfigError> {
    let Some(text) = &section.justification_pattern else { return Ok(None) };
    parse("eligible.justificationPattern", text, JustificationPattern::parse).map(Some)
}
