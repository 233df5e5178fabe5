//! One call by one caller: permission checks, and the record of what they needed.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};

use crate::access::{Identity, attributes_of};
use crate::api::needs::{GROUPS_READER, Need, USERS_READER};
use crate::api::route::NodeRef;
use crate::condition::Attributes;
use crate::error::ApiError;
use crate::world::{Node, NodeKind, Use, World};

/// Service that Resource Manager's errors name.
const RESOURCE_MANAGER: &str = "cloudresourcemanager.googleapis.com";

/// A call in progress, on one state of the world.
pub(crate) struct Session<'world> {
    pub(crate) world: &'world World,
    pub(crate) caller: &'world str,
    pub(crate) now: DateTime<Utc>,
    /// What the token was issued for; `None`: whatever its account may do.
    pub(crate) scopes: Option<&'world BTreeSet<String>>,
    identity: Identity<'world>,
    uses: RefCell<BTreeMap<Use, u64>>,
}

/// A resource below a project, as conditions see it and errors name it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Below<'a> {
    /// Such as `pubsub.googleapis.com`.
    pub(crate) service: &'a str,
    /// Such as `pubsub.googleapis.com/Topic`.
    pub(crate) kind: &'a str,
    /// `projects/…` as conditions see it.
    pub(crate) name: &'a str,
}

/// The account of a bearer token that is still good.
pub(crate) fn authenticate<'world>(
    world: &'world World,
    token: Option<&str>,
    now: DateTime<Utc>,
) -> Result<&'world str, ApiError> {
    let token = token.and_then(|token| world.tokens.get(token));
    token
        .filter(|token| token.expires.is_none_or(|expires| now < expires))
        .map(|token| token.account.as_str())
        .ok_or_else(ApiError::unauthenticated)
}

impl<'world> Session<'world> {
    /// # Errors
    /// The token names nobody, or somebody who is gone.
    pub(crate) fn open(
        world: &'world World,
        token: Option<&str>,
        now: DateTime<Utc>,
    ) -> Result<Self, ApiError> {
        let caller = authenticate(world, token, now)?;
        let identity = world.identity(caller).ok_or_else(ApiError::unauthenticated)?;
        let scopes = token.and_then(|token| world.tokens.get(token)?.scopes.as_ref());
        Ok(Self { world, caller, now, scopes, identity, uses: RefCell::default() })
    }

    /// The node, if it exists and the caller has the permission on it.
    pub(crate) fn require(
        &self,
        node: &NodeRef,
        permission: &str,
    ) -> Result<&'world Node, ApiError> {
        self.require_modifying(node, permission, Vec::new())
    }

    /// The node, if it exists and the caller has all that the method needs on it.
    pub(crate) fn require_all(&self, node: &NodeRef, need: Need) -> Result<&'world Node, ApiError> {
        let mut required = Err(ApiError::internal());
        for permission in need {
            required = Ok(self.require(node, permission)?);
        }
        required
    }

    /// As [`Session::require`], for a call that gives or takes these roles.
    pub(crate) fn require_modifying(
        &self,
        node: &NodeRef,
        permission: &str,
        modified_roles: Vec<String>,
    ) -> Result<&'world Node, ApiError> {
        let found = self.world.node(node.kind, &node.id);
        let access =
            found.map(|found| Attributes { modified_roles, ..attributes_of(found, self.now) });
        let granted = access.zip(found).is_some_and(|(access, found)| {
            self.world.allows(&self.identity, permission, found, &access)
        });
        self.record(permission, found.map_or_else(|| node.name(), Node::name), granted);
        found.filter(|_| granted).ok_or_else(|| {
            let full_name = format!("//{RESOURCE_MANAGER}/{}", node.name());
            ApiError::denied(permission, RESOURCE_MANAGER, &full_name)
        })
    }

    /// The project, if it exists and the caller has the permission on the resource below it that
    /// these attributes describe; both are named as the resource's own API does.
    pub(crate) fn require_below(
        &self,
        project: &NodeRef,
        permission: &str,
        resource: &Below<'_>,
    ) -> Result<&'world Node, ApiError> {
        let found = self.world.node(project.kind, &project.id);
        let granted = found.is_some_and(|found| {
            let access = Attributes {
                time: self.now,
                resource_name: resource.name.to_owned(),
                resource_type: resource.kind.to_owned(),
                resource_service: resource.service.to_owned(),
                modified_roles: Vec::new(),
            };
            self.world.allows(&self.identity, permission, found, &access)
        });
        self.record(permission, resource.name.to_owned(), granted);
        found
            .filter(|_| granted)
            .ok_or_else(|| ApiError::denied(permission, resource.service, resource.name))
    }

    /// Whether the caller has the permission, without using it.
    pub(crate) fn holds(&self, node: &Node, permission: &str) -> bool {
        let access = attributes_of(node, self.now);
        self.world.allows(&self.identity, permission, node, &access)
    }

    /// The nodes of the kind that the caller may see; only what is seen is recorded as used.
    pub(crate) fn visible(&self, kind: NodeKind) -> Vec<&'world Node> {
        let permission = kind.permission("get");
        let nodes = self.world.nodes.values().filter(|node| node.kind == kind);
        let visible: Vec<&Node> = nodes.filter(|node| self.holds(node, &permission)).collect();
        for node in &visible {
            self.record(&permission, node.name(), true);
        }
        visible
    }

    /// Refuses callers who hold no administrator role that reads groups.
    pub(crate) fn require_groups_reader(&self) -> Result<(), ApiError> {
        if self.reads_groups() {
            return Ok(());
        }
        Err(ApiError::not_authorized("Not Authorized to access this resource/api"))
    }

    /// Whether the caller holds an administrator role that reads groups; recorded as used.
    pub(crate) fn reads_groups(&self) -> bool {
        let person = self.world.people.get(self.caller).map(|person| person.groups_reader);
        let account = self.world.service_accounts.get(self.caller);
        self.is_administrator(
            GROUPS_READER,
            person.or(account.map(|account| account.groups_reader)),
        )
    }

    /// Refuses callers who hold no administrator role that reads users.
    pub(crate) fn require_users_reader(&self) -> Result<(), ApiError> {
        let person = self.world.people.get(self.caller).map(|person| person.users_reader);
        let account = self.world.service_accounts.get(self.caller);
        let held = person.or(account.map(|account| account.users_reader));
        if self.is_administrator(USERS_READER, held) {
            return Ok(());
        }
        Err(ApiError::not_authorized("Not Authorized to access this resource/api"))
    }

    fn is_administrator(&self, privilege: &str, held: Option<bool>) -> bool {
        let granted = held.unwrap_or_default();
        self.record(privilege, format!("customers/{}", self.world.customer()), granted);
        granted
    }

    /// The consumer project of the caller's calls: its own for a service account, else the caller.
    pub(crate) fn consumer(&self) -> &'world str {
        self.world
            .service_accounts
            .get(self.caller)
            .map_or(self.caller, |account| account.project.as_str())
    }

    /// The consumer as Google's errors name it: `projects/NUMBER` for a service account.
    pub(crate) fn consumer_name(&self) -> String {
        let project = self.world.node(NodeKind::Project, self.consumer());
        project.map_or_else(|| self.caller.to_owned(), Node::name_by_number)
    }

    /// What the call used, and how often.
    pub(crate) fn into_uses(self) -> BTreeMap<Use, u64> {
        self.uses.into_inner()
    }

    fn record(&self, permission: &str, resource: String, granted: bool) {
        let used = Use {
            principal: self.identity.member().to_owned(),
            permission: permission.to_owned(),
            resource,
            granted,
        };
        *self.uses.borrow_mut().entry(used).or_default() += 1;
    }
}
