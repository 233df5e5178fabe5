//! `getIamPolicy`, `setIamPolicy` and `testIamPermissions`.

use std::collections::BTreeSet;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use serde_json::{Value, json};

use crate::api::route::NodeRef;
use crate::api::session::Session;
use crate::clock::rfc3339;
use crate::error::ApiError;
use crate::policy::{CONDITIONS_VERSION, Policy, Revision};
use crate::rules;
use crate::world::{Change, Node, Record};

/// "Valid values are 0, 1, and 3", `GetPolicyOptions` and `Policy`.
const VERSIONS: [i64; 3] = [0, 1, CONDITIONS_VERSION];

/// Fields that a write without an update mask changes, as Google documents it.
const DEFAULT_MASK: &str = "bindings,etag";

/// A policy write as it arrived.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Write<'call> {
    pub(crate) node: &'call NodeRef,
    pub(crate) policy: &'call Policy,
    pub(crate) update_mask: Option<&'call str>,
    /// The caller's `x-goog-request-reason`, for the log.
    pub(crate) reason: Option<&'call str>,
    /// Leave the etag as it was (a fault).
    pub(crate) reuse_etag: bool,
}

/// Answers the policy, or what it was one write ago if `stale`.
pub(crate) fn get(
    session: &Session<'_>,
    node: &NodeRef,
    requested: i64,
    stale: bool,
) -> Result<Value, ApiError> {
    check_version(requested, "requested_policy_version")?;
    let node = session.require(node, &node.kind.permission("getIamPolicy"))?;
    let stored = session.world.policies.get(&node.name());
    let previous = stored.filter(|_| stale).and_then(|stored| stored.previous.clone());
    let revision = previous.unwrap_or_else(|| session.world.policy(node));
    Ok(json!(revision.view(requested)))
}

/// Judges the write and computes its changes: the policy, if it is accepted, and a line of the log.
pub(crate) fn set(
    session: &Session<'_>,
    write: &Write<'_>,
) -> (Result<Value, ApiError>, Vec<Change>) {
    let before = session
        .world
        .node(write.node.kind, &write.node.id)
        .map(|node| session.world.policy(node))
        .unwrap_or_default();
    let accepted = accept(session, write, &before);
    let mut line = json!({
        "time": rfc3339(session.now),
        "caller": session.caller,
        "resource": write.node.name(),
        "etagBefore": before.etag(),
        "etagAfter": before.etag(),
        "reason": write.reason,
        "status": 200,
    });
    match accepted {
        Err(error) => {
            line["status"] = error.code().into();
            line["message"] = error.to_string().into();
            (Err(error), vec![Change::Log(line)])
        }
        Ok((node, after)) => {
            line["resource"] = node.name().into();
            line["etagAfter"] = after.etag().into();
            let answer = json!(after.view(CONDITIONS_VERSION));
            let stored = session.world.stored_after(node, after, session.now);
            (Ok(answer), vec![Change::Put(Record::Policy(stored)), Change::Log(line)])
        }
    }
}

/// Which of the permissions the caller has.
pub(crate) fn test(
    session: &Session<'_>,
    node: &NodeRef,
    permissions: &[String],
) -> Result<Value, ApiError> {
    let Some(found) = session.world.node(node.kind, &node.id) else {
        return Err(ApiError::denied(
            &node.kind.permission("get"),
            "cloudresourcemanager.googleapis.com",
            &node.name(),
        ));
    };
    let held: Vec<&String> = permissions.iter().filter(|it| session.holds(found, it)).collect();
    Ok(if held.is_empty() { json!({}) } else { json!({"permissions": held}) })
}

fn accept<'world>(
    session: &Session<'world>,
    write: &Write<'_>,
    before: &Revision,
) -> Result<(&'world Node, Revision), ApiError> {
    let mut policy = masked(write, before)?;
    policy.normalise_bindings();
    let permission = write.node.kind.permission("setIamPolicy");
    let node = session.require_modifying(
        write.node,
        &permission,
        modified_roles(&before.policy, &policy),
    )?;
    check_version(write.policy.version.unwrap_or_default(), "policy.version")?;
    check_etag(write.policy.etag.as_deref(), &before.etag())?;
    check_version_against(write.policy, &policy, before)?;
    rules::check(session.world, node, &policy, &before.policy)?;
    let step = u64::from(!write.reuse_etag);
    let written_at = Some(session.now);
    Ok((node, Revision { counter: before.counter + step, policy, written_at }))
}

/// The stored policy with the masked fields taken from the sent one. Fields outside the mask, such
/// as `auditConfigs` by default, stay as they were.
fn masked(write: &Write<'_>, before: &Revision) -> Result<Policy, ApiError> {
    let mut policy = before.policy.clone();
    for field in write.update_mask.unwrap_or(DEFAULT_MASK).split(',').map(str::trim) {
        match field {
            "bindings" => policy.bindings.clone_from(&write.policy.bindings),
            "etag" | "version" => {}
            "" => return Err(ApiError::invalid("update_mask names an empty field.")),
            "audit_configs" | "auditConfigs" => {
                take_field(&mut policy, write.policy, "auditConfigs");
            }
            other => take_field(&mut policy, write.policy, other),
        }
    }
    Ok(policy)
}

fn take_field(policy: &mut Policy, sent: &Policy, field: &str) {
    match sent.other.get(field) {
        Some(value) => policy.other.insert(field.to_owned(), value.clone()),
        None => policy.other.remove(field),
    };
}

pub(crate) fn check_version(version: i64, field: &str) -> Result<(), ApiError> {
    if VERSIONS.contains(&version) {
        return Ok(());
    }
    Err(ApiError::invalid(format!(
        "Invalid value {version} for {field}: valid values are 0, 1, and 3."
    )))
}

/// A write without an etag overwrites whatever is there.
pub(crate) fn check_etag(sent: Option<&str>, current: &str) -> Result<(), ApiError> {
    let Some(sent) = sent.filter(|etag| !etag.is_empty()) else {
        return Ok(());
    };
    let bytes = STANDARD.decode(sent).or_else(|_| URL_SAFE.decode(sent)).map_err(|_| {
        ApiError::invalid(format!(
            "Invalid value at 'etag' (TYPE_BYTES), Base64 decoding failed for \"{sent}\""
        ))
    })?;
    if STANDARD.decode(current).is_ok_and(|current| current == bytes) {
        return Ok(());
    }
    Err(ApiError::concurrent_change(sent, current))
}

/// Conditions need version 3. A version-1 write over conditions is refused if it carries the etag,
/// and drops all of them if it does not, <https://cloud.google.com/iam/docs/policies#versions>.
fn check_version_against(
    sent: &Policy,
    merged: &Policy,
    before: &Revision,
) -> Result<(), ApiError> {
    if sent.version.unwrap_or_default() >= CONDITIONS_VERSION {
        return Ok(());
    }
    let version = sent.version.unwrap_or(1).max(1);
    if before.policy.has_conditions() && sent.etag.as_ref().is_some_and(|etag| !etag.is_empty()) {
        return Err(ApiError::invalid(format!(
            "Requested policy version ({version}) cannot be less than the existing policy version (3). \
             For more information, please refer to https://cloud.google.com/iam/docs/policies#versions."
        )));
    }
    if merged.has_conditions() {
        return Err(ApiError::invalid(format!(
            "Policy version ({version}) does not support conditions; set the version to 3. \
             For more information, please refer to https://cloud.google.com/iam/docs/policies#versions."
        )));
    }
    Ok(())
}

/// Roles of bindings that only one of the two policies has.
fn modified_roles(before: &Policy, after: &Policy) -> Vec<String> {
    let texts = |policy: &Policy| -> BTreeSet<(String, String)> {
        policy.bindings.iter().map(|it| (it.role.clone(), json!(it).to_string())).collect()
    };
    let roles: BTreeSet<String> =
        texts(before).symmetric_difference(&texts(after)).map(|(role, _)| role.clone()).collect();
    roles.into_iter().collect()
}
