//! Cloud KMS v1, as far as signing, wrapping and `gcloud kms` need it,
//! <https://cloud.google.com/kms/docs/reference/rest>.

mod crypto;
mod keys;
mod views;

use serde::Deserialize;

use crate::api::kms::crypto::{DecryptBody, EncryptBody, MacBody, SignBody};
use crate::api::kms::keys::{KeyBody, VersionBody};
use crate::api::paging::PageRequest;
use crate::api::route::{Path, Wire, no_such_path};
use crate::api::service::{Outcome, ResourceRef};
use crate::api::session::Session;
use crate::api::wire;
use crate::error::ApiError;

const LOCATION: &str = "cloudkms.googleapis.com/Location";
const KEY_RING: &str = "cloudkms.googleapis.com/KeyRing";
const CRYPTO_KEY: &str = "cloudkms.googleapis.com/CryptoKey";
const KEY_VERSION: &str = "cloudkms.googleapis.com/CryptoKeyVersion";

/// One call of the KMS: what is done, and on which resource (the parent for `create` and `list`).
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Call {
    pub(crate) on: ResourceRef,
    act: Act,
}

#[derive(Debug, Clone, PartialEq)]
enum Act {
    CreateRing { id: String },
    GetRing,
    ListRings { page: PageRequest },
    CreateKey { id: String, key: KeyBody, skip_version: bool },
    GetKey,
    ListKeys { page: PageRequest },
    PatchKey { mask: String, key: KeyBody },
    SetPrimary { version: String },
    CreateVersion,
    GetVersion,
    ListVersions { page: PageRequest },
    PatchVersion { mask: String, version: VersionBody },
    DestroyVersion,
    RestoreVersion,
    PublicKey { format: Option<String> },
    Sign(SignBody),
    Mac(MacBody),
    Encrypt(EncryptBody),
    Decrypt(DecryptBody),
}

/// Body of `updatePrimaryVersion`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct PrimaryBody {
    crypto_key_version_id: String,
}

/// A message without fields that matter here.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NoFields {}

impl Call {
    /// `None` for a path that the KMS does not have.
    ///
    /// # Errors
    /// 400 for parameters or a body that do not fit.
    pub(crate) fn read(wire: &Wire<'_>, path: &Path<'_>) -> Result<Option<Self>, ApiError> {
        let below = path.segments.get(4..).unwrap_or_default();
        let act = match path.verb {
            Some(verb) if wire.method == "POST" => read_verb(wire, below, verb)?,
            Some(_) => None,
            None => read_standard(wire, below)?,
        };
        let Some(act) = act else {
            return Ok(None);
        };
        let (segments, kind) = match below {
            [] | ["keyRings"] => (path.segments.get(..4), LOCATION),
            ["keyRings", _] | ["keyRings", _, "cryptoKeys"] => (path.segments.get(..6), KEY_RING),
            ["keyRings", _, "cryptoKeys", _]
            | ["keyRings", _, "cryptoKeys", _, "cryptoKeyVersions"] => {
                (path.segments.get(..8), CRYPTO_KEY)
            }
            _ => (path.segments.get(..10), KEY_VERSION),
        };
        let on = segments.and_then(|segments| ResourceRef::read(segments, kind));
        Ok(Some(Self { on: on.ok_or_else(|| no_such_path(wire))?, act }))
    }

    /// The method's name, as faults name it.
    pub(crate) fn method(&self) -> &'static str {
        match &self.act {
            Act::CreateRing { .. } | Act::CreateKey { .. } | Act::CreateVersion => "create",
            Act::GetRing | Act::GetKey | Act::GetVersion => "get",
            Act::ListRings { .. } | Act::ListKeys { .. } | Act::ListVersions { .. } => "list",
            Act::PatchKey { .. } | Act::PatchVersion { .. } => "patch",
            Act::SetPrimary { .. } => "updatePrimaryVersion",
            Act::DestroyVersion => "destroy",
            Act::RestoreVersion => "restore",
            Act::PublicKey { .. } => "getPublicKey",
            Act::Sign(_) => "asymmetricSign",
            Act::Mac(_) => "macSign",
            Act::Encrypt(_) => "encrypt",
            Act::Decrypt(_) => "decrypt",
        }
    }

    /// Whether the call can change a key. Looking at a key or encrypting with it can: a rotation
    /// that is due happens when somebody looks.
    pub(crate) fn writes(&self) -> bool {
        match &self.act {
            Act::GetRing
            | Act::ListRings { .. }
            | Act::GetVersion
            | Act::ListVersions { .. }
            | Act::PublicKey { .. }
            | Act::Sign(_)
            | Act::Mac(_)
            | Act::Decrypt(_) => false,
            Act::CreateRing { .. }
            | Act::CreateKey { .. }
            | Act::GetKey
            | Act::ListKeys { .. }
            | Act::PatchKey { .. }
            | Act::SetPrimary { .. }
            | Act::CreateVersion
            | Act::PatchVersion { .. }
            | Act::DestroyVersion
            | Act::RestoreVersion
            | Act::Encrypt(_) => true,
        }
    }

    pub(crate) fn answer(&self, session: &Session<'_>) -> Outcome {
        let permission = format!("cloudkms.{}", self.permission());
        let name = self.on.require(session, &permission)?;
        match &self.act {
            Act::CreateRing { id } => keys::create_ring(session, &name, id),
            Act::GetRing => keys::get_ring(session, &name),
            Act::ListRings { page } => keys::list_rings(session, &name, page),
            Act::CreateKey { id, key, skip_version } => {
                keys::create_key(session, &name, id, key, *skip_version)
            }
            Act::GetKey => keys::get_key(session, &name),
            Act::ListKeys { page } => keys::list_keys(session, &name, page),
            Act::PatchKey { mask, key } => keys::patch_key(session, &name, mask, key),
            Act::SetPrimary { version } => keys::set_primary(session, &name, version),
            Act::CreateVersion => keys::create_version(session, &name),
            Act::GetVersion => keys::get_version(session, &name),
            Act::ListVersions { page } => keys::list_versions(session, &name, page),
            Act::PatchVersion { mask, version } => {
                keys::patch_version(session, &name, mask, *version)
            }
            Act::DestroyVersion => keys::destroy_version(session, &name),
            Act::RestoreVersion => keys::restore_version(session, &name),
            Act::PublicKey { format } => crypto::public_key(session, &name, format.as_deref()),
            Act::Sign(body) => crypto::sign(session, &name, body),
            Act::Mac(body) => crypto::mac(session, &name, body),
            Act::Encrypt(body) => crypto::encrypt(session, &name, body),
            Act::Decrypt(body) => crypto::decrypt(session, &name, body),
        }
    }

    /// The permission that Google's reference names for the method, without the service.
    fn permission(&self) -> &'static str {
        match &self.act {
            Act::CreateRing { .. } => "keyRings.create",
            Act::GetRing => "keyRings.get",
            Act::ListRings { .. } => "keyRings.list",
            Act::CreateKey { .. } => "cryptoKeys.create",
            Act::GetKey => "cryptoKeys.get",
            Act::ListKeys { .. } => "cryptoKeys.list",
            Act::PatchKey { .. } | Act::SetPrimary { .. } => "cryptoKeys.update",
            Act::CreateVersion => "cryptoKeyVersions.create",
            Act::GetVersion => "cryptoKeyVersions.get",
            Act::ListVersions { .. } => "cryptoKeyVersions.list",
            Act::PatchVersion { .. } => "cryptoKeyVersions.update",
            Act::DestroyVersion => "cryptoKeyVersions.destroy",
            Act::RestoreVersion => "cryptoKeyVersions.restore",
            Act::PublicKey { .. } => "cryptoKeyVersions.viewPublicKey",
            Act::Sign(_) | Act::Mac(_) => "cryptoKeyVersions.useToSign",
            Act::Encrypt(_) => "cryptoKeyVersions.useToEncrypt",
            Act::Decrypt(_) => "cryptoKeyVersions.useToDecrypt",
        }
    }
}

/// `below` is the path behind the location.
fn read_standard(wire: &Wire<'_>, below: &[&str]) -> Result<Option<Act>, ApiError> {
    let page = || PageRequest::read(&wire.query, "pageSize");
    let parameter = |name: &str| wire.query.get(name).unwrap_or_default().to_owned();
    Ok(Some(match (wire.method.as_str(), below) {
        ("POST", ["keyRings"]) => Act::CreateRing { id: parameter("keyRingId") },
        ("GET", ["keyRings"]) => Act::ListRings { page: page()? },
        ("GET", ["keyRings", _]) => Act::GetRing,
        ("POST", ["keyRings", _, "cryptoKeys"]) => Act::CreateKey {
            id: parameter("cryptoKeyId"),
            key: wire::body(wire.body)?,
            skip_version: parameter("skipInitialVersionCreation") == "true",
        },
        ("GET", ["keyRings", _, "cryptoKeys"]) => Act::ListKeys { page: page()? },
        ("GET", ["keyRings", _, "cryptoKeys", _]) => Act::GetKey,
        ("PATCH", ["keyRings", _, "cryptoKeys", _]) => {
            Act::PatchKey { mask: parameter("updateMask"), key: wire::body(wire.body)? }
        }
        ("POST", ["keyRings", _, "cryptoKeys", _, "cryptoKeyVersions"]) => Act::CreateVersion,
        ("GET", ["keyRings", _, "cryptoKeys", _, "cryptoKeyVersions"]) => {
            Act::ListVersions { page: page()? }
        }
        ("GET", ["keyRings", _, "cryptoKeys", _, "cryptoKeyVersions", _]) => Act::GetVersion,
        ("PATCH", ["keyRings", _, "cryptoKeys", _, "cryptoKeyVersions", _]) => {
            Act::PatchVersion { mask: parameter("updateMask"), version: wire::body(wire.body)? }
        }
        ("GET", ["keyRings", _, "cryptoKeys", _, "cryptoKeyVersions", _, "publicKey"]) => {
            Act::PublicKey { format: wire.query.get("publicKeyFormat").map(str::to_owned) }
        }
        _ => return Ok(None),
    }))
}

/// Custom methods. `encrypt` also takes a version, <https://cloud.google.com/kms/docs/reference/rest/v1/projects.locations.keyRings.cryptoKeys/encrypt>.
fn read_verb(wire: &Wire<'_>, below: &[&str], verb: &str) -> Result<Option<Act>, ApiError> {
    let is_version = matches!(below, ["keyRings", _, "cryptoKeys", _, "cryptoKeyVersions", _]);
    let is_key = matches!(below, ["keyRings", _, "cryptoKeys", _]);
    Ok(Some(match verb {
        "encrypt" if is_key || is_version => Act::Encrypt(wire::body(wire.body)?),
        "decrypt" if is_key => Act::Decrypt(wire::body(wire.body)?),
        "updatePrimaryVersion" if is_key => {
            let body: PrimaryBody = wire::body(wire.body)?;
            Act::SetPrimary { version: body.crypto_key_version_id }
        }
        "asymmetricSign" if is_version => Act::Sign(wire::body(wire.body)?),
        "macSign" if is_version => Act::Mac(wire::body(wire.body)?),
        "destroy" | "restore" if is_version => {
            let NoFields {} = wire::body(wire.body)?;
            if verb == "destroy" { Act::DestroyVersion } else { Act::RestoreVersion }
        }
        _ => return Ok(None),
    }))
}
