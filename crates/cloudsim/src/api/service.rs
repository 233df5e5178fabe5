//! The services whose resources live inside projects: KMS, Pub/Sub and Secret Manager.

use serde_json::Value;

use crate::api::route::{NodeRef, Path, Version, Wire, decode};
use crate::api::session::{Below, Session};
use crate::api::{kms, pubsub, secrets};
use crate::error::ApiError;
use crate::quota::Api;
use crate::world::{Change, Node, NodeKind, World};

/// What a call answers, and what it changes.
pub(crate) type Outcome = Result<(Value, Vec<Change>), ApiError>;

/// A resource of a service as a caller names it: its project, and the rest of its name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ResourceRef {
    project: NodeRef,
    /// Such as `secrets/S/versions/1`; empty for the project itself.
    below: String,
    /// `resource.type` in conditions, such as `secretmanager.googleapis.com/Secret`.
    kind: &'static str,
}

/// One call of one of these services.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Call {
    Kms(kms::Call),
    PubSub(pubsub::Call),
    Secrets(secrets::Call),
}

impl ResourceRef {
    /// From the segments of a path that begins with `projects/ID`; `None` if they do not.
    pub(crate) fn read(segments: &[&str], kind: &'static str) -> Option<Self> {
        let (["projects", id], below) = segments.split_first_chunk()? else {
            return None;
        };
        let project = NodeRef::read("projects", id)?;
        let below: Vec<String> = below.iter().map(|it| decode(it)).collect::<Option<_>>()?;
        let is_name = below.iter().all(|segment| !segment.is_empty() && !segment.contains('/'));
        is_name.then(|| Self { project, below: below.join("/"), kind })
    }

    /// From a name such as `projects/ID/topics/T`.
    pub(crate) fn of_name(name: &str, kind: &'static str) -> Option<Self> {
        Self::read(&name.split('/').collect::<Vec<_>>(), kind)
    }

    /// The name as the caller wrote it, with the project's id or number.
    pub(crate) fn name(&self) -> String {
        self.name_in(&self.project.name())
    }

    /// The name with the project's id, if the caller has the permission on the resource. Whether
    /// there is such a resource is not looked at.
    ///
    /// Conditions see that name too, where Google shows them Secret Manager's names with the
    /// project's number: the conditions that people write for the demo name projects by id.
    pub(crate) fn require(
        &self,
        session: &Session<'_>,
        permission: &str,
    ) -> Result<String, ApiError> {
        let project = session.world.node(self.project.kind, &self.project.id);
        let name = self.name_in(&project.map_or_else(|| self.project.name(), Node::name));
        let service = self.kind.split_once('/').map_or(self.kind, |(service, _)| service);
        let below = Below { service, kind: self.kind, name: &name };
        session.require_below(&self.project, permission, &below)?;
        Ok(name)
    }

    fn name_in(&self, project: &str) -> String {
        if self.below.is_empty() { project.to_owned() } else { format!("{project}/{}", self.below) }
    }
}

impl Call {
    /// `None` for a path that none of these services has.
    ///
    /// # Errors
    /// 400 for parameters or a body that do not fit.
    pub(crate) fn read(wire: &Wire<'_>, path: &Path<'_>) -> Result<Option<Self>, ApiError> {
        if path.version != Version::V1 {
            return Ok(None);
        }
        match path.segments.as_slice() {
            ["projects", _, "locations", _, ..] => Ok(kms::Call::read(wire, path)?.map(Self::Kms)),
            ["projects", _, "topics" | "subscriptions", ..] => {
                Ok(pubsub::Call::read(wire, path)?.map(Self::PubSub))
            }
            ["projects", _, "secrets", ..] => {
                Ok(secrets::Call::read(wire, path)?.map(Self::Secrets))
            }
            _ => Ok(None),
        }
    }

    pub(crate) fn api(&self) -> Api {
        match self {
            Self::Kms(_) => Api::Kms,
            Self::PubSub(_) => Api::PubSub,
            Self::Secrets(_) => Api::SecretManager,
        }
    }

    /// The method's name, as faults name it.
    pub(crate) fn method(&self) -> &'static str {
        match self {
            Self::Kms(call) => call.method(),
            Self::PubSub(call) => call.method(),
            Self::Secrets(call) => call.method(),
        }
    }

    /// The name of what the call is about.
    pub(crate) fn resource(&self) -> String {
        match self {
            Self::Kms(call) => call.on.name(),
            Self::PubSub(call) => call.on.name(),
            Self::Secrets(call) => call.on.name(),
        }
    }

    /// Whether the call can change anything but the record of used permissions.
    pub(crate) fn writes(&self) -> bool {
        match self {
            Self::Kms(call) => call.writes(),
            Self::PubSub(call) => call.writes(),
            Self::Secrets(call) => call.writes(),
        }
    }

    pub(crate) fn answer(&self, session: &Session<'_>) -> (Result<Value, ApiError>, Vec<Change>) {
        let outcome = match self {
            Self::Kms(call) => call.answer(session),
            Self::PubSub(call) => call.answer(session),
            Self::Secrets(call) => call.answer(session),
        };
        match outcome {
            Ok((answer, changes)) => (Ok(answer), changes),
            Err(error) => (Err(error), Vec::new()),
        }
    }
}

/// The name with the project's id where the caller gave its number, so that both mean the same.
pub(crate) fn canonical_name(world: &World, name: &str) -> Option<String> {
    let (collection, rest) = name.split_once('/')?;
    let (id, below) = rest.split_once('/')?;
    let node = world.node(NodeKind::of_collection(collection)?, id)?;
    Some(format!("{}/{below}", node.name()))
}
