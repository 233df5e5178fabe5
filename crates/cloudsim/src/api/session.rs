//! One call by one caller: permission checks, and the record of what they needed.

use std::cell::RefCell;
use std::collections::BTreeSet;

use chrono::{DateTime, Utc};

use crate::access::{Identity, attributes_of};
use crate::api::route::NodeRef;
use crate::error::ApiError;
use crate::world::{Change, Node, NodeKind, Record, Use, World};

/// The name under which reads of groups are recorded: an administrator role of Workspace, not an
/// IAM permission.
pub(crate) const GROUPS_READER: &str = "admin.groups.read";

/// Service that Resource Manager's errors name.
const RESOURCE_MANAGER: &str = "cloudresourcemanager.googleapis.com";

/// A call in progress, on one state of the world.
pub(crate) struct Session<'world> {
    pub(crate) world: &'world World,
    pub(crate) caller: &'world str,
    pub(crate) now: DateTime<Utc>,
    identity: Identity<'world>,
    uses: RefCell<BTreeSet<Use>>,
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
        Ok(Self { world, caller, now, identity, uses: RefCell::default() })
    }

    /// The node, if it exists and the caller has the permission on it.
    pub(crate) fn require(
        &self,
        node: &NodeRef,
        permission: &str,
    ) -> Result<&'world Node, ApiError> {
        self.require_modifying(node, permission, Vec::new())
    }

    /// As [`Session::require`], for a call that gives or takes these roles.
    pub(crate) fn require_modifying(
        &self,
        node: &NodeRef,
        permission: &str,
        modified_roles: Vec<String>,
    ) -> Result<&'world Node, ApiError> {
        let found = self.world.node(node.kind, &node.id);
        let allowed = found.filter(|node| self.allowed(node, permission, modified_roles));
        allowed.ok_or_else(|| {
            let full_name = format!("//{RESOURCE_MANAGER}/{}", node.name());
            ApiError::denied(permission, RESOURCE_MANAGER, &full_name)
        })
    }

    /// Whether the caller has the permission on the node; recorded as used.
    pub(crate) fn allowed(
        &self,
        node: &Node,
        permission: &str,
        modified_roles: Vec<String>,
    ) -> bool {
        let granted = self.holds(node, permission, modified_roles);
        self.record(permission, granted);
        granted
    }

    /// Whether the caller has the permission, without using it.
    pub(crate) fn holds(&self, node: &Node, permission: &str, modified_roles: Vec<String>) -> bool {
        let mut access = attributes_of(node, self.now);
        access.modified_roles = modified_roles;
        self.world.allows(&self.identity, permission, node, &access)
    }

    /// The nodes of the kind that the caller may see; only what is seen is recorded as used.
    pub(crate) fn visible(&self, kind: NodeKind) -> Vec<&'world Node> {
        let permission = kind.permission("get");
        let nodes = self.world.nodes.values().filter(|node| node.kind == kind);
        let visible: Vec<&Node> =
            nodes.filter(|node| self.holds(node, &permission, Vec::new())).collect();
        if !visible.is_empty() {
            self.record(&permission, true);
        }
        visible
    }

    /// Refuses callers who do not hold the Groups Reader administrator role.
    pub(crate) fn require_groups_reader(&self) -> Result<(), ApiError> {
        let person = self.world.people.get(self.caller).map(|person| person.groups_reader);
        let account =
            self.world.service_accounts.get(self.caller).map(|account| account.groups_reader);
        let granted = person.or(account).unwrap_or_default();
        self.record(GROUPS_READER, granted);
        if granted {
            Ok(())
        } else {
            Err(ApiError::not_authorized("Not Authorized to access this resource/api"))
        }
    }

    /// The consumer project of the caller's calls: its own for a service account, else the caller.
    pub(crate) fn consumer(&self) -> &'world str {
        self.world
            .service_accounts
            .get(self.caller)
            .map_or(self.caller, |account| account.project.as_str())
    }

    /// The records of permissions used for the first time.
    pub(crate) fn new_uses(self) -> Vec<Change> {
        let uses = self.uses.into_inner().into_iter();
        uses.filter(|used| !self.world.uses.contains(used))
            .map(|used| Change::Put(Record::Use(used)))
            .collect()
    }

    fn record(&self, permission: &str, granted: bool) {
        let used =
            Use { caller: self.caller.to_owned(), permission: permission.to_owned(), granted };
        self.uses.borrow_mut().insert(used);
    }
}
