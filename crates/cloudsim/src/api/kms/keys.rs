//! Key rings, keys and versions: create, look at, rotate, disable and destroy.

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::api::kms::views;
use crate::api::paging::{PageLimits, PageRequest};
use crate::api::service::Outcome;
use crate::api::session::Session;
use crate::api::wire::Seconds;
use crate::error::ApiError;
use crate::kms::{
    Algorithm, CryptoKey, KeyRing, KeyVersion, KmsRecord, ProtectionLevel, Purpose, Rotation,
    VersionState,
};
use crate::material::Material;
use crate::world::{Change, Record};

/// Page sizes of the KMS's lists, from its reference.
const LIST: PageLimits = PageLimits { default: 100, max: 1000 };

/// Characters of an id, `[a-zA-Z0-9_-]{1,63}` in the reference.
const ID_LENGTH_MAX: usize = 63;

/// `CryptoKey.destroyScheduledDuration` of a key that names none: 30 days.
const DESTROY_AFTER_DEFAULT: i64 = 30 * 86_400;

/// `CryptoKey.rotationPeriod`: "at least 24 hours and at most 876,000 hours".
const ROTATION_PERIOD: std::ops::RangeInclusive<i64> = 86_400..=876_000 * 3_600;

/// A `CryptoKey` as callers send it.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct KeyBody {
    purpose: Option<Purpose>,
    version_template: Option<TemplateBody>,
    rotation_period: Option<Seconds>,
    next_rotation_time: Option<DateTime<Utc>>,
    destroy_scheduled_duration: Option<Seconds>,
    #[serde(default)]
    labels: BTreeMap<String, String>,
    /// Accepted and ignored, as by Google: the name stands in the path.
    #[serde(default, rename = "name")]
    _name: Option<String>,
}

/// A `CryptoKeyVersionTemplate`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct TemplateBody {
    algorithm: Option<Algorithm>,
    #[serde(default)]
    protection_level: ProtectionLevel,
}

/// A `CryptoKeyVersion` as callers send it: only its state can be changed.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct VersionBody {
    state: VersionState,
}

pub(super) fn create_ring(session: &Session<'_>, location: &str, id: &str) -> Outcome {
    check_id("keyRingId", id)?;
    let name = format!("{location}/keyRings/{id}");
    if session.world.kms.key_rings.contains_key(&name) {
        return Err(ApiError::exists(format!("KeyRing {name} already exists.")));
    }
    let ring = KeyRing { name, created: session.now };
    Ok((views::ring(&ring), vec![put(KmsRecord::KeyRing(ring))]))
}

pub(super) fn get_ring(session: &Session<'_>, name: &str) -> Outcome {
    Ok((views::ring(ring(session, name)?), Vec::new()))
}

pub(super) fn list_rings(session: &Session<'_>, location: &str, page: &PageRequest) -> Outcome {
    let prefix = format!("{location}/keyRings/");
    let rings = session.world.kms.key_rings.values().filter(|it| it.name.starts_with(&prefix));
    list(session, page, "keyRings", rings.map(views::ring).collect())
}

pub(super) fn create_key(
    session: &Session<'_>,
    ring_name: &str,
    id: &str,
    body: &KeyBody,
    skip_version: bool,
) -> Outcome {
    check_id("cryptoKeyId", id)?;
    let name = format!("{}/cryptoKeys/{id}", ring(session, ring_name)?.name);
    if session.world.kms.keys.contains_key(&name) {
        return Err(ApiError::exists(format!("CryptoKey {name} already exists.")));
    }
    let mut key = new_key(session, name, body)?;
    if skip_version {
        return Ok((views::key(&key, None, session.now), vec![put(KmsRecord::CryptoKey(key))]));
    }
    let first = new_version(session, &key, 1)?;
    key.primary = (key.purpose == Purpose::EncryptDecrypt).then_some(first.number);
    let answer = views::key(&key, key.primary.map(|_| &first), session.now);
    Ok((answer, vec![put(KmsRecord::CryptoKey(key)), put(KmsRecord::KeyVersion(first))]))
}

pub(super) fn get_key(session: &Session<'_>, name: &str) -> Outcome {
    let (key, changes) = rotated(session, key(session, name)?)?;
    Ok((view_after(session, &key, &changes), changes))
}

pub(super) fn list_keys(session: &Session<'_>, ring_name: &str, page: &PageRequest) -> Outcome {
    let prefix = format!("{}/cryptoKeys/", ring(session, ring_name)?.name);
    let mut all = Vec::new();
    let mut shown = Vec::new();
    for key in session.world.kms.keys.values().filter(|key| key.name.starts_with(&prefix)) {
        let (key, changes) = rotated(session, key)?;
        shown.push(view_after(session, &key, &changes));
        all.extend(changes);
    }
    let (answer, _) = list(session, page, "cryptoKeys", shown)?;
    Ok((answer, all))
}

pub(super) fn patch_key(session: &Session<'_>, name: &str, mask: &str, body: &KeyBody) -> Outcome {
    let (mut key, mut changes) = rotated(session, key(session, name)?)?;
    let (mut period, mut next) = match &key.rotation {
        Some(rotation) => (rotation.period, Some(rotation.next)),
        None => (None, None),
    };
    for field in mask.split(',').map(str::trim) {
        match field {
            "labels" => key.labels.clone_from(&body.labels),
            "rotationPeriod" | "rotation_period" => {
                period = body.rotation_period.map(|Seconds(seconds)| seconds);
            }
            "nextRotationTime" | "next_rotation_time" => next = body.next_rotation_time,
            "versionTemplate.algorithm" | "version_template.algorithm" => {
                let template = body.version_template.as_ref();
                key.algorithm = algorithm(key.purpose, template)?;
            }
            other => {
                return Err(ApiError::invalid(format!("The update mask '{other}' is not valid.")));
            }
        }
    }
    key.rotation = rotation(key.purpose, period, next)?;
    changes.push(put(KmsRecord::CryptoKey(key.clone())));
    Ok((view_after(session, &key, &changes), changes))
}

pub(super) fn set_primary(session: &Session<'_>, name: &str, number: &str) -> Outcome {
    let (mut key, mut changes) = rotated(session, key(session, name)?)?;
    if key.purpose != Purpose::EncryptDecrypt {
        return Err(ApiError::failed_precondition(format!(
            "{name} has no primary version: its purpose is not ENCRYPT_DECRYPT."
        )));
    }
    let version = version(session, &format!("{name}/cryptoKeyVersions/{number}"))?;
    require_enabled(version, session.now)?;
    key.primary = Some(version.number);
    changes.push(put(KmsRecord::CryptoKey(key.clone())));
    Ok((views::key(&key, Some(version), session.now), changes))
}

pub(super) fn create_version(session: &Session<'_>, key_name: &str) -> Outcome {
    let key = key(session, key_name)?;
    let version = new_version(session, key, session.world.kms.next_number(&key.name))?;
    Ok((views::version(&version, session.now), vec![put(KmsRecord::KeyVersion(version))]))
}

pub(super) fn get_version(session: &Session<'_>, name: &str) -> Outcome {
    Ok((views::version(version(session, name)?, session.now), Vec::new()))
}

pub(super) fn list_versions(session: &Session<'_>, key_name: &str, page: &PageRequest) -> Outcome {
    let versions = session.world.kms.versions_of(&key(session, key_name)?.name);
    let shown = versions.map(|version| views::version(version, session.now)).collect();
    list(session, page, "cryptoKeyVersions", shown)
}

pub(super) fn patch_version(
    session: &Session<'_>,
    name: &str,
    mask: &str,
    body: VersionBody,
) -> Outcome {
    if mask != "state" {
        return Err(ApiError::invalid(format!("The update mask '{mask}' is not valid.")));
    }
    if !matches!(body.state, VersionState::Enabled | VersionState::Disabled) {
        return Err(ApiError::invalid("state can only be set to ENABLED or DISABLED."));
    }
    change_state(session, name, &[VersionState::Enabled, VersionState::Disabled], |version| {
        version.state = body.state;
    })
}

pub(super) fn destroy_version(session: &Session<'_>, name: &str) -> Outcome {
    let after = version(session, name)
        .and_then(|version| key(session, &version.key))
        .map(|key| TimeDelta::seconds(key.destroy_after))?;
    change_state(session, name, &[VersionState::Enabled, VersionState::Disabled], |version| {
        version.state = VersionState::DestroyScheduled;
        version.destroyed_at = Some(session.now + after);
    })
}

pub(super) fn restore_version(session: &Session<'_>, name: &str) -> Outcome {
    change_state(session, name, &[VersionState::DestroyScheduled], |version| {
        version.state = VersionState::Disabled;
        version.destroyed_at = None;
    })
}

/// The version of that name.
pub(super) fn version<'world>(
    session: &Session<'world>,
    name: &str,
) -> Result<&'world KeyVersion, ApiError> {
    let found = name
        .rsplit_once("/cryptoKeyVersions/")
        .and_then(|(key, number)| session.world.kms.version(key, number.parse().ok()?));
    found.ok_or_else(|| ApiError::not_found(format!("CryptoKeyVersion {name} not found.")))
}

/// The key of that name.
pub(super) fn key<'world>(
    session: &Session<'world>,
    name: &str,
) -> Result<&'world CryptoKey, ApiError> {
    let found = session.world.kms.keys.get(name);
    found.ok_or_else(|| ApiError::not_found(format!("CryptoKey {name} not found.")))
}

/// Refuses a version that is not to be used.
pub(super) fn require_enabled(version: &KeyVersion, now: DateTime<Utc>) -> Result<(), ApiError> {
    let state = version.state_at(now);
    if state == VersionState::Enabled {
        return Ok(());
    }
    let name = version.name();
    let state = json!(state);
    let state = state.as_str().unwrap_or_default();
    let message = format!("{name} is not enabled, current state is: {state}.");
    Err(ApiError::failed_precondition(message).with_violation(&format!("KEY_{state}"), &name))
}

/// The version that a change brings.
pub(super) fn new_version_of(change: &Change) -> Option<&KeyVersion> {
    if let Change::Put(Record::Kms(KmsRecord::KeyVersion(version))) = change {
        Some(version)
    } else {
        None
    }
}

/// The key after a rotation that was due, and what the rotation changed. Google rotates at the
/// time; here it is enough that nobody sees the key between the time and the rotation.
pub(super) fn rotated(
    session: &Session<'_>,
    key: &CryptoKey,
) -> Result<(CryptoKey, Vec<Change>), ApiError> {
    let mut key = key.clone();
    let Some(rotation) = key.rotation.as_mut().filter(|rotation| rotation.next <= session.now)
    else {
        return Ok((key, Vec::new()));
    };
    match rotation.period {
        None => key.rotation = None,
        Some(period) => {
            let missed = (session.now - rotation.next).num_seconds() / period + 1;
            rotation.next += TimeDelta::seconds(period * missed);
        }
    }
    let version = new_version(session, &key, session.world.kms.next_number(&key.name))?;
    key.primary = Some(version.number);
    let changes = vec![put(KmsRecord::CryptoKey(key.clone())), put(KmsRecord::KeyVersion(version))];
    Ok((key, changes))
}

fn ring<'world>(session: &Session<'world>, name: &str) -> Result<&'world KeyRing, ApiError> {
    let found = session.world.kms.key_rings.get(name);
    found.ok_or_else(|| ApiError::not_found(format!("KeyRing {name} not found.")))
}

fn new_key(session: &Session<'_>, name: String, body: &KeyBody) -> Result<CryptoKey, ApiError> {
    let purpose = body.purpose.ok_or_else(|| ApiError::invalid("purpose is required."))?;
    let template = body.version_template.as_ref();
    let period = body.rotation_period.map(|Seconds(seconds)| seconds);
    let destroy_after =
        body.destroy_scheduled_duration.map_or(DESTROY_AFTER_DEFAULT, |Seconds(seconds)| seconds);
    if destroy_after < 0 {
        return Err(ApiError::invalid("destroyScheduledDuration must not be negative."));
    }
    Ok(CryptoKey {
        name,
        created: session.now,
        purpose,
        algorithm: algorithm(purpose, template)?,
        protection: template.map(|template| template.protection_level).unwrap_or_default(),
        primary: None,
        rotation: rotation(purpose, period, body.next_rotation_time)?,
        destroy_after,
        labels: body.labels.clone(),
    })
}

/// "`GOOGLE_SYMMETRIC_ENCRYPTION` is implied if both this field is omitted and
/// `CryptoKey.purpose` is `ENCRYPT_DECRYPT`."
fn algorithm(purpose: Purpose, template: Option<&TemplateBody>) -> Result<Algorithm, ApiError> {
    let implied =
        (purpose == Purpose::EncryptDecrypt).then_some(Algorithm::GoogleSymmetricEncryption);
    let algorithm = template.and_then(|template| template.algorithm).or(implied);
    algorithm.filter(|algorithm| purpose.allows(*algorithm)).ok_or_else(|| {
        ApiError::invalid("versionTemplate.algorithm must be one that fits the key's purpose.")
    })
}

fn rotation(
    purpose: Purpose,
    period: Option<i64>,
    next: Option<DateTime<Utc>>,
) -> Result<Option<Rotation>, ApiError> {
    if period.is_some_and(|period| !ROTATION_PERIOD.contains(&period)) {
        return Err(ApiError::invalid(
            "rotationPeriod must be at least 24 hours and at most 876,000 hours.",
        ));
    }
    match (period, next) {
        (None, None) => Ok(None),
        (Some(_), None) => {
            Err(ApiError::invalid("If rotationPeriod is set, nextRotationTime must also be set."))
        }
        (_, Some(_)) if purpose != Purpose::EncryptDecrypt => Err(ApiError::invalid(
            "nextRotationTime must be omitted: only keys with purpose ENCRYPT_DECRYPT rotate.",
        )),
        (period, Some(next)) => Ok(Some(Rotation { period, next })),
    }
}

fn new_version(
    session: &Session<'_>,
    key: &CryptoKey,
    number: u32,
) -> Result<KeyVersion, ApiError> {
    Ok(KeyVersion {
        key: key.name.clone(),
        number,
        algorithm: key.algorithm,
        protection: key.protection,
        created: session.now,
        state: VersionState::Enabled,
        destroyed_at: None,
        material: Material::generate(key.algorithm).map_err(|_| ApiError::internal())?,
    })
}

fn change_state(
    session: &Session<'_>,
    name: &str,
    from: &[VersionState],
    change: impl FnOnce(&mut KeyVersion),
) -> Outcome {
    let mut version = version(session, name)?.clone();
    let state = version.state_at(session.now);
    if !from.contains(&state) {
        let state = json!(state);
        return Err(ApiError::failed_precondition(format!(
            "{name} cannot be changed in this way, current state is: {}.",
            state.as_str().unwrap_or_default()
        )));
    }
    change(&mut version);
    Ok((views::version(&version, session.now), vec![put(KmsRecord::KeyVersion(version))]))
}

/// The key as it is once the changes are made: its primary may be among them.
fn view_after(session: &Session<'_>, key: &CryptoKey, changes: &[Change]) -> Value {
    let new = changes.iter().find_map(new_version_of);
    match new.filter(|version| Some(version.number) == key.primary) {
        Some(primary) => views::key(key, Some(primary), session.now),
        None => views::stored_key(&session.world.kms, key, session.now),
    }
}

fn list(session: &Session<'_>, page: &PageRequest, field: &str, all: Vec<Value>) -> Outcome {
    let total = all.len();
    let page = page.cut(all, LIST, session.world.settings.max_page_size)?;
    let mut answer = page.answer(field);
    answer["totalSize"] = total.into();
    Ok((answer, Vec::new()))
}

fn check_id(parameter: &str, id: &str) -> Result<(), ApiError> {
    let is_id = (1..=ID_LENGTH_MAX).contains(&id.len())
        && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-');
    if is_id {
        return Ok(());
    }
    Err(ApiError::invalid(format!(
        "{parameter} must match the pattern [a-zA-Z0-9_-]{{1,63}}, not '{id}'."
    )))
}

fn put(record: KmsRecord) -> Change {
    Change::Put(Record::Kms(record))
}
