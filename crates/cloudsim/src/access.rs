//! Who may do what where: the evaluation of allow policies.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::clock::rfc3339;
use crate::condition::{self, Attributes};
use crate::policy::Binding;
use crate::world::{Node, Role, World};

/// Somebody whose access is judged, with all groups that hold them.
#[derive(Debug)]
pub(crate) struct Identity<'world> {
    member: String,
    domain: Option<&'world str>,
    groups: BTreeSet<&'world str>,
}

/// One binding that names an identity, on the resource or above it.
pub(crate) struct Held<'world> {
    pub(crate) node: &'world Node,
    pub(crate) binding: &'world Binding,
}

/// `POST /sim/v1/can`: may this principal use the role on the resource?
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct CanRequest {
    /// `user:ADDRESS`, `serviceAccount:ADDRESS`, `group:ADDRESS` or the bare address.
    principal: String,
    role: String,
    /// `projects/ID`, `folders/NUMBER` or `organizations/NUMBER`.
    pub(crate) resource: String,
    /// What conditions see as `resource.name`; the resource itself when absent.
    #[serde(default)]
    resource_name: Option<String>,
    /// RFC 3339; now when absent.
    #[serde(default)]
    pub(crate) at: Option<String>,
}

/// The answer, with one reason per binding of that role and principal.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(crate) struct CanAnswer {
    allowed: bool,
    because: Vec<String>,
}

impl World {
    /// The address as a member of policies: `user:…`, `serviceAccount:…` or `group:…`.
    pub(crate) fn member(&self, email: &str) -> Option<String> {
        let kind = if self.people.contains_key(email) {
            "user"
        } else if self.service_accounts.contains_key(email) {
            "serviceAccount"
        } else if self.groups.contains_key(email) {
            "group"
        } else {
            return None;
        };
        Some(format!("{kind}:{email}"))
    }

    /// The role of that name, predefined or custom.
    pub(crate) fn role(&self, name: &str) -> Option<&Role> {
        self.predefined_roles.get(name).or_else(|| self.custom_roles.get(name))
    }

    /// `None` for an address that nobody has: nothing is granted to it.
    pub(crate) fn identity<'world>(&'world self, email: &'world str) -> Option<Identity<'world>> {
        let member = self.member(email)?;
        let domain = email.split_once('@').map(|(_, domain)| domain);
        Some(Identity {
            member,
            domain,
            groups: self.transitive_groups(email).into_keys().collect(),
        })
    }

    /// The bindings in force at `now` that name the identity on the node and above it, nearest first.
    pub(crate) fn held<'world>(
        &'world self,
        identity: &Identity<'_>,
        node: &'world Node,
        now: DateTime<Utc>,
    ) -> Vec<Held<'world>> {
        let mut held = Vec::new();
        for node in self.ancestry(node) {
            let bindings = self.enforced_policy(node, now).map(|policy| policy.bindings.as_slice());
            let named =
                bindings.unwrap_or_default().iter().filter(|binding| identity.is_named_in(binding));
            held.extend(named.map(|binding| Held { node, binding }));
        }
        held
    }

    /// Whether the policies give the identity the permission on the node.
    pub(crate) fn allows(
        &self,
        identity: &Identity<'_>,
        permission: &str,
        node: &Node,
        access: &Attributes,
    ) -> bool {
        self.held(identity, node, access.time).iter().any(|held| {
            let role = self.role(&held.binding.role);
            role.is_some_and(|role| role.gives(permission))
                && is_met(held.binding, access) == Ok(true)
        })
    }

    /// Evaluates the policies that are in force at the time of the access.
    pub(crate) fn can(
        &self,
        request: &CanRequest,
        node: &Node,
        mut access: Attributes,
    ) -> CanAnswer {
        if let Some(name) = &request.resource_name {
            let (service, kind) = service_and_type(name);
            access = Attributes {
                resource_name: name.clone(),
                resource_service: service.to_owned(),
                resource_type: kind.to_owned(),
                ..access
            };
        }
        let (kind, email) = request.principal.split_once(':').unwrap_or(("", &request.principal));
        let identity = self
            .identity(email)
            .filter(|identity| kind.is_empty() || identity.member == request.principal);
        let Some(identity) = identity else {
            return CanAnswer {
                allowed: false,
                because: vec![format!("{} does not exist", request.principal)],
            };
        };
        if !self.role(&request.role).is_some_and(Role::is_in_force) {
            let reason = format!("{} does not exist, is deleted, or is disabled", request.role);
            return CanAnswer { allowed: false, because: vec![reason] };
        }
        let held = self.held(&identity, node, access.time);
        let verdicts: Vec<(bool, String)> = held
            .iter()
            .filter(|held| held.binding.role == request.role)
            .map(|held| verdict(held, &access))
            .collect();
        if verdicts.is_empty() {
            let reason = format!(
                "no binding of {} on {} or above names {}",
                request.role,
                node.name(),
                request.principal
            );
            return CanAnswer { allowed: false, because: vec![reason] };
        }
        let allowed = verdicts.iter().any(|(met, _)| *met);
        CanAnswer { allowed, because: verdicts.into_iter().map(|(_, reason)| reason).collect() }
    }
}

impl Identity<'_> {
    /// As policies name it: `user:ADDRESS` and its like.
    pub(crate) fn member(&self) -> &str {
        &self.member
    }

    fn is_named_in(&self, binding: &Binding) -> bool {
        binding.members.iter().any(|member| {
            *member == self.member
                || match member.split_once(':') {
                    Some(("group", group)) => self.groups.contains(group),
                    Some(("domain", domain)) => self.domain == Some(domain),
                    Some(_) | None => false,
                }
        })
    }
}

/// The attributes of an access to the node itself.
pub(crate) fn attributes_of(node: &Node, time: DateTime<Utc>) -> Attributes {
    Attributes {
        time,
        resource_name: node.name(),
        resource_type: node.kind.resource_type().to_owned(),
        resource_service: "cloudresourcemanager.googleapis.com".to_owned(),
        modified_roles: Vec::new(),
    }
}

fn is_met(binding: &Binding, access: &Attributes) -> Result<bool, String> {
    binding
        .condition
        .as_ref()
        .map_or(Ok(true), |condition| condition::holds(&condition.expression, access))
}

fn verdict(held: &Held<'_>, access: &Attributes) -> (bool, String) {
    let place = format!("{} on {}", held.binding.role, held.node.name());
    let Some(condition) = &held.binding.condition else {
        return (true, format!("{place}, without a condition"));
    };
    let title = &condition.title;
    match is_met(held.binding, access) {
        Ok(true) => (true, format!("{place}, condition \"{title}\" is met")),
        Ok(false) => (
            false,
            format!("{place}, condition \"{title}\" is not met at {}", rfc3339(access.time)),
        ),
        Err(reason) => {
            (false, format!("{place}, condition \"{title}\" cannot be evaluated: {reason}"))
        }
    }
}

/// Service and type of a resource by the shape of its name, for the kinds that the demo's
/// conditions speak of; others count as Resource Manager projects.
fn service_and_type(resource_name: &str) -> (&'static str, &'static str) {
    const BY_SEGMENT: [(&str, &str, &str); 9] = [
        ("/instances/", "compute.googleapis.com", "compute.googleapis.com/Instance"),
        ("/disks/", "compute.googleapis.com", "compute.googleapis.com/Disk"),
        ("/secrets/", "secretmanager.googleapis.com", "secretmanager.googleapis.com/Secret"),
        (
            "/cryptoKeyVersions/",
            "cloudkms.googleapis.com",
            "cloudkms.googleapis.com/CryptoKeyVersion",
        ),
        ("/cryptoKeys/", "cloudkms.googleapis.com", "cloudkms.googleapis.com/CryptoKey"),
        ("/topics/", "pubsub.googleapis.com", "pubsub.googleapis.com/Topic"),
        ("/subscriptions/", "pubsub.googleapis.com", "pubsub.googleapis.com/Subscription"),
        ("/objects/", "storage.googleapis.com", "storage.googleapis.com/Object"),
        ("/buckets/", "storage.googleapis.com", "storage.googleapis.com/Bucket"),
    ];
    BY_SEGMENT.iter().find(|(segment, ..)| resource_name.contains(segment)).map_or(
        ("cloudresourcemanager.googleapis.com", "cloudresourcemanager.googleapis.com/Project"),
        |(_, service, kind)| (*service, *kind),
    )
}
