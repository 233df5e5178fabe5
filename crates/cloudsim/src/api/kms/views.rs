//! Keys and versions as Google answers them.

use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use crate::clock::rfc3339;
use crate::kms::{CryptoKey, KeyRing, KeyVersion, Kms, VersionState};

pub(super) fn ring(ring: &KeyRing) -> Value {
    json!({"name": ring.name, "createTime": rfc3339(ring.created)})
}

/// A key with a copy of its primary version.
pub(super) fn key(key: &CryptoKey, primary: Option<&KeyVersion>, now: DateTime<Utc>) -> Value {
    let mut view = json!({
        "name": key.name,
        "createTime": rfc3339(key.created),
        "purpose": key.purpose,
        "versionTemplate": {"algorithm": key.algorithm, "protectionLevel": key.protection},
        "destroyScheduledDuration": format!("{}s", key.destroy_after),
    });
    if let Some(primary) = primary {
        view["primary"] = version(primary, now);
    }
    if let Some(rotation) = &key.rotation {
        view["nextRotationTime"] = rfc3339(rotation.next).into();
        if let Some(period) = rotation.period {
            view["rotationPeriod"] = format!("{period}s").into();
        }
    }
    if !key.labels.is_empty() {
        view["labels"] = json!(key.labels);
    }
    view
}

/// As [`key`], with the primary looked up.
pub(super) fn stored_key(kms: &Kms, it: &CryptoKey, now: DateTime<Utc>) -> Value {
    key(it, it.primary.and_then(|number| kms.version(&it.name, number)), now)
}

pub(super) fn version(version: &KeyVersion, now: DateTime<Utc>) -> Value {
    let state = version.state_at(now);
    let mut view = json!({
        "name": version.name(),
        "state": state,
        "protectionLevel": version.protection,
        "algorithm": version.algorithm,
        "createTime": rfc3339(version.created),
        "generateTime": rfc3339(version.created),
    });
    let destroyed_at = version.destroyed_at.map(rfc3339);
    match (state, destroyed_at) {
        (VersionState::DestroyScheduled, Some(at)) => view["destroyTime"] = at.into(),
        (VersionState::Destroyed, Some(at)) => view["destroyEventTime"] = at.into(),
        (
            VersionState::Enabled
            | VersionState::Disabled
            | VersionState::DestroyScheduled
            | VersionState::Destroyed,
            _,
        ) => {}
    }
    view
}
