//! Secret Manager v1: global secrets, their versions and payloads,
//! <https://cloud.google.com/secret-manager/docs/reference/rest>.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::api::paging::{PageLimits, PageRequest};
use crate::api::route::{Path, Wire, no_such_path};
use crate::api::service::{Outcome, ResourceRef};
use crate::api::session::Session;
use crate::api::wire::{self, Bytes, Int64, checksum, verified};
use crate::clock::rfc3339;
use crate::error::ApiError;
use crate::secrets::{Secret, SecretRecord, SecretState, SecretVersion};
use crate::world::{Change, Record, Removed};

const SECRET: &str = "secretmanager.googleapis.com/Secret";
const SECRET_VERSION: &str = "secretmanager.googleapis.com/SecretVersion";

/// Page sizes of Secret Manager's lists: 25,000 is the documented maximum.
const LIST: PageLimits = PageLimits { default: 25_000, max: 25_000 };

/// Largest payload: 64 KiB.
const PAYLOAD_BYTES_MAX: usize = 64 * 1024;

/// Characters of a secret's id: letters, digits, hyphen and underscore.
const ID_LENGTH_MAX: usize = 255;

/// The alias of the newest version, whatever its state.
const LATEST: &str = "latest";

/// One call of Secret Manager: what is done, and on which resource (the parent for `create`,
/// `addVersion` and `list`).
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Call {
    pub(crate) on: ResourceRef,
    act: Act,
}

#[derive(Debug, Clone, PartialEq)]
enum Act {
    Create { id: String, secret: SecretBody },
    Get,
    List { page: PageRequest },
    Delete,
    AddVersion { payload: PayloadBody },
    GetVersion,
    ListVersions { page: PageRequest },
    Access,
    SetState { to: SecretState, etag: Option<String> },
}

/// A `Secret` as callers send it.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct SecretBody {
    #[serde(default)]
    replication: Value,
    #[serde(default)]
    labels: BTreeMap<String, String>,
    #[serde(default)]
    annotations: BTreeMap<String, String>,
}

/// `AddSecretVersionRequest`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AddVersionBody {
    payload: PayloadBody,
}

/// `SecretPayload`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct PayloadBody {
    #[serde(default)]
    data: Bytes,
    data_crc32c: Option<Int64>,
}

/// Body of `enable`, `disable` and `destroy`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct EtagBody {
    etag: Option<String>,
}

impl Call {
    /// `None` for a path that Secret Manager does not have.
    ///
    /// # Errors
    /// 400 for parameters or a body that do not fit.
    pub(crate) fn read(wire: &Wire<'_>, path: &Path<'_>) -> Result<Option<Self>, ApiError> {
        let page = || PageRequest::read(&wire.query, "pageSize");
        let below = path.segments.get(3..).unwrap_or_default();
        let act = match (wire.method.as_str(), below, path.verb) {
            ("POST", [], None) => Act::Create {
                id: wire.query.get("secretId").unwrap_or_default().to_owned(),
                secret: wire::body(wire.body)?,
            },
            ("GET", [], None) => Act::List { page: page()? },
            ("GET", [_], None) => Act::Get,
            ("DELETE", [_], None) => Act::Delete,
            ("POST", [_], Some("addVersion")) => {
                let AddVersionBody { payload } = wire::body(wire.body)?;
                Act::AddVersion { payload }
            }
            ("GET", [_, "versions"], None) => Act::ListVersions { page: page()? },
            ("GET", [_, "versions", _], None) => Act::GetVersion,
            ("GET", [_, "versions", _], Some("access")) => Act::Access,
            ("POST", [_, "versions", _], Some(verb)) => {
                let Some(to) = state_of_verb(verb) else {
                    return Ok(None);
                };
                let EtagBody { etag } = wire::body(wire.body)?;
                Act::SetState { to, etag }
            }
            _ => return Ok(None),
        };
        let (length, kind) = match below {
            [] => (2, SECRET),
            [_] | [_, "versions"] => (4, SECRET),
            _ => (6, SECRET_VERSION),
        };
        let on = path.segments.get(..length).and_then(|name| ResourceRef::read(name, kind));
        Ok(Some(Self { on: on.ok_or_else(|| no_such_path(wire))?, act }))
    }

    /// The method's name, as faults name it.
    pub(crate) fn method(&self) -> &'static str {
        match &self.act {
            Act::Create { .. } => "create",
            Act::Get | Act::GetVersion => "get",
            Act::List { .. } | Act::ListVersions { .. } => "list",
            Act::Delete => "delete",
            Act::AddVersion { .. } => "addVersion",
            Act::Access => "access",
            Act::SetState { to: SecretState::Enabled, .. } => "enable",
            Act::SetState { to: SecretState::Disabled, .. } => "disable",
            Act::SetState { to: SecretState::Destroyed, .. } => "destroy",
        }
    }

    pub(crate) fn writes(&self) -> bool {
        match &self.act {
            Act::Create { .. } | Act::Delete | Act::AddVersion { .. } | Act::SetState { .. } => {
                true
            }
            Act::Get
            | Act::List { .. }
            | Act::GetVersion
            | Act::ListVersions { .. }
            | Act::Access => false,
        }
    }

    pub(crate) fn answer(&self, session: &Session<'_>) -> Outcome {
        let name = self.on.require(session, self.permission())?;
        match &self.act {
            Act::Create { id, secret } => create(session, &name, id, secret),
            Act::Get => Ok((view(session, secret(session, &name)?), Vec::new())),
            Act::List { page } => list(session, &name, page),
            Act::Delete => delete(session, &name),
            Act::AddVersion { payload } => add_version(session, &name, payload),
            Act::GetVersion => Ok((version_view(session, version(session, &name)?), Vec::new())),
            Act::ListVersions { page } => list_versions(session, &name, page),
            Act::Access => access(session, &name),
            Act::SetState { to, etag } => set_state(session, &name, *to, etag.as_deref()),
        }
    }

    fn permission(&self) -> &'static str {
        match &self.act {
            Act::Create { .. } => "secretmanager.secrets.create",
            Act::Get => "secretmanager.secrets.get",
            Act::List { .. } => "secretmanager.secrets.list",
            Act::Delete => "secretmanager.secrets.delete",
            Act::AddVersion { .. } => "secretmanager.versions.add",
            Act::GetVersion => "secretmanager.versions.get",
            Act::ListVersions { .. } => "secretmanager.versions.list",
            Act::Access => "secretmanager.versions.access",
            Act::SetState { to: SecretState::Enabled, .. } => "secretmanager.versions.enable",
            Act::SetState { to: SecretState::Disabled, .. } => "secretmanager.versions.disable",
            Act::SetState { to: SecretState::Destroyed, .. } => "secretmanager.versions.destroy",
        }
    }
}

fn state_of_verb(verb: &str) -> Option<SecretState> {
    match verb {
        "enable" => Some(SecretState::Enabled),
        "disable" => Some(SecretState::Disabled),
        "destroy" => Some(SecretState::Destroyed),
        _ => None,
    }
}

fn create(session: &Session<'_>, project: &str, id: &str, body: &SecretBody) -> Outcome {
    let is_id = (1..=ID_LENGTH_MAX).contains(&id.len())
        && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_');
    if !is_id {
        return Err(ApiError::invalid(format!("The secretId '{id}' is not valid.")));
    }
    if !(body.replication["automatic"].is_object() || body.replication["userManaged"].is_object()) {
        return Err(ApiError::invalid("replication must be automatic or userManaged."));
    }
    let name = format!("{project}/secrets/{id}");
    if session.world.secrets.secrets.contains_key(&name) {
        let name = by_number(session, &name);
        return Err(ApiError::exists(format!("Secret [{name}] already exists.")));
    }
    let secret = Secret {
        name,
        created: session.now,
        labels: body.labels.clone(),
        annotations: body.annotations.clone(),
        replication: body.replication.clone(),
        revision: 1,
    };
    Ok((view(session, &secret), vec![put(SecretRecord::Secret(secret))]))
}

/// Newest first, as Google lists them.
fn list(session: &Session<'_>, project: &str, page: &PageRequest) -> Outcome {
    let prefix = format!("{project}/secrets/");
    let all = session.world.secrets.secrets.values();
    let mut secrets: Vec<&Secret> = all.filter(|it| it.name.starts_with(&prefix)).collect();
    secrets.sort_by_key(|secret| std::cmp::Reverse(secret.created));
    let views = secrets.into_iter().map(|secret| view(session, secret)).collect();
    cut(session, page, "secrets", views)
}

fn delete(session: &Session<'_>, name: &str) -> Outcome {
    let secret = secret(session, name)?;
    let versions = session.world.secrets.versions_of(&secret.name).map(SecretVersion::name);
    let names = versions.chain([secret.name.clone()]);
    Ok((json!({}), names.map(|name| Change::Remove(Removed::Secret(name))).collect()))
}

fn add_version(session: &Session<'_>, name: &str, payload: &PayloadBody) -> Outcome {
    let secret = secret(session, name)?;
    let Bytes(data) = &payload.data;
    if data.is_empty() || data.len() > PAYLOAD_BYTES_MAX {
        return Err(ApiError::invalid(
            "Secret Payload cannot be empty, and must be no larger than 65536 bytes.",
        ));
    }
    let checksum_sent = verified("data", data, payload.data_crc32c)?;
    let newest = session.world.secrets.versions_of(&secret.name).next_back();
    let version = SecretVersion {
        secret: secret.name.clone(),
        number: newest.map_or(1, |newest| newest.number.saturating_add(1)),
        created: session.now,
        destroyed: None,
        state: SecretState::Enabled,
        checksum_sent,
        payload: Some(STANDARD.encode(data)),
        revision: 1,
    };
    Ok((version_view(session, &version), vec![put(SecretRecord::Version(version))]))
}

fn list_versions(session: &Session<'_>, name: &str, page: &PageRequest) -> Outcome {
    let versions = session.world.secrets.versions_of(&secret(session, name)?.name);
    let views = versions.rev().map(|version| version_view(session, version)).collect();
    cut(session, page, "versions", views)
}

fn access(session: &Session<'_>, name: &str) -> Outcome {
    let version = version(session, name)?;
    let shown = by_number(session, &version.name());
    let (SecretState::Enabled, Some(payload)) = (version.state, &version.payload) else {
        let state = json!(version.state);
        return Err(ApiError::failed_precondition(format!(
            "Secret Version [{shown}] is in {} state.",
            state.as_str().unwrap_or_default()
        )));
    };
    let data = STANDARD.decode(payload).map_err(|_| ApiError::internal())?;
    let payload = json!({"data": payload, "dataCrc32c": checksum(&data)});
    Ok((json!({"name": shown, "payload": payload}), Vec::new()))
}

fn set_state(session: &Session<'_>, name: &str, to: SecretState, etag: Option<&str>) -> Outcome {
    let mut version = version(session, name)?.clone();
    if etag.is_some_and(|etag| etag != etag_of(version.revision)) {
        return Err(ApiError::failed_precondition("The etag is not that of the stored version."));
    }
    if version.state == SecretState::Destroyed {
        let name = by_number(session, &version.name());
        return Err(ApiError::failed_precondition(format!(
            "Secret Version [{name}] is in DESTROYED state."
        )));
    }
    version.state = to;
    version.revision += 1;
    if to == SecretState::Destroyed {
        version.payload = None;
        version.destroyed = Some(session.now);
    }
    Ok((version_view(session, &version), vec![put(SecretRecord::Version(version))]))
}

fn secret<'world>(session: &Session<'world>, name: &str) -> Result<&'world Secret, ApiError> {
    session.world.secrets.secrets.get(name).ok_or_else(|| {
        ApiError::not_found(format!("Secret [{}] not found.", by_number(session, name)))
    })
}

fn version<'world>(
    session: &Session<'world>,
    name: &str,
) -> Result<&'world SecretVersion, ApiError> {
    let secrets = &session.world.secrets;
    let found = name.rsplit_once("/versions/").and_then(|(secret, number)| {
        if number == LATEST {
            secrets.versions_of(secret).next_back()
        } else {
            secrets.version(secret, number.parse().ok()?)
        }
    });
    found.ok_or_else(|| {
        let name = by_number(session, name);
        ApiError::not_found(format!("Secret Version [{name}] not found."))
    })
}

fn view(session: &Session<'_>, secret: &Secret) -> Value {
    let mut view = json!({
        "name": by_number(session, &secret.name),
        "createTime": rfc3339(secret.created),
        "replication": secret.replication,
        "etag": etag_of(secret.revision),
    });
    if !secret.labels.is_empty() {
        view["labels"] = json!(secret.labels);
    }
    if !secret.annotations.is_empty() {
        view["annotations"] = json!(secret.annotations);
    }
    view
}

fn version_view(session: &Session<'_>, version: &SecretVersion) -> Value {
    let mut view = json!({
        "name": by_number(session, &version.name()),
        "createTime": rfc3339(version.created),
        "state": version.state,
        "etag": etag_of(version.revision),
    });
    if let Some(destroyed) = version.destroyed {
        view["destroyTime"] = rfc3339(destroyed).into();
    }
    if version.checksum_sent {
        view["clientSpecifiedPayloadChecksum"] = true.into();
    }
    view
}

/// Secret Manager answers names with the project's number, whichever the caller used.
fn by_number(session: &Session<'_>, name: &str) -> String {
    let shown = name.split_once("/secrets/").and_then(|(project, below)| {
        let node = session.world.nodes.get(project)?;
        Some(format!("{}/secrets/{below}", node.name_by_number()))
    });
    shown.unwrap_or_else(|| name.to_owned())
}

/// Google's etags carry their quotation marks.
fn etag_of(revision: u64) -> String {
    format!("\"{revision:x}\"")
}

fn cut(session: &Session<'_>, page: &PageRequest, field: &str, all: Vec<Value>) -> Outcome {
    let total = all.len();
    let mut answer = page.cut(all, LIST, session.world.settings.max_page_size)?.answer(field);
    answer["totalSize"] = total.into();
    Ok((answer, Vec::new()))
}

fn put(record: SecretRecord) -> Change {
    Change::Put(Record::Secret(record))
}
