//! People, service accounts and groups that come and go.
//!
//! Google keeps principals by their ids and prints names on reading: one that is deleted reads
//! `deleted:user:ADDRESS?uid=ID` in every policy, without a new etag, and one that is made again
//! under the same address has another id and none of the access,
//! <https://cloud.google.com/iam/docs/principal-identifiers>.

use std::collections::BTreeSet;

use serde::Deserialize;
use serde_json::{Value, json};

use crate::error::ApiError;
use crate::policy::{Policy, StoredPolicy};
use crate::world::{Change, Group, NodeKind, Person, Record, Removed, ServiceAccount, World};

/// A principal as policies name it: `user:ADDRESS`, `serviceAccount:ADDRESS` or `group:ADDRESS`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Principal {
    kind: Kind,
    email: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    User,
    ServiceAccount,
    Group,
}

/// What a new principal may bring, each as far as its kind has it.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct NewPrincipal {
    #[serde(default)]
    name: String,
    /// Holds the Groups Reader administrator role.
    #[serde(default)]
    groups_reader: bool,
    /// Holds an administrator role that reads users.
    #[serde(default)]
    users_reader: bool,
    /// Id of the project that a service account belongs to; required for one.
    #[serde(default)]
    project: String,
    /// Addresses of a group's members.
    #[serde(default)]
    members: Vec<String>,
}

impl Principal {
    /// # Errors
    /// 400 for anything but a member string of one of the three kinds.
    pub(crate) fn read(member: &str) -> Result<Self, ApiError> {
        let (kind, email) = member.split_once(':').unwrap_or_default();
        let kind = match kind {
            "user" => Kind::User,
            "serviceAccount" => Kind::ServiceAccount,
            "group" => Kind::Group,
            _ => {
                return Err(ApiError::invalid(format!(
                    "{member} is not user:ADDRESS, serviceAccount:ADDRESS or group:ADDRESS"
                )));
            }
        };
        Ok(Self { kind, email: address(email)? })
    }

    /// As policies name it.
    fn member(&self) -> String {
        let kind = match self.kind {
            Kind::User => "user",
            Kind::ServiceAccount => "serviceAccount",
            Kind::Group => "group",
        };
        format!("{kind}:{}", self.email)
    }

    /// A new principal under an address that nobody has: what it is, for those who asked, and its
    /// record.
    ///
    /// # Errors
    /// 409 for an address that somebody has, 400 for a project or members that do not exist.
    pub(crate) fn create(
        &self,
        world: &World,
        id: String,
        new: NewPrincipal,
    ) -> Result<(Value, Record), ApiError> {
        if world.knows(&self.email) {
            return Err(ApiError::exists(format!("{} exists already", self.email)));
        }
        let NewPrincipal { name, groups_reader, users_reader, project, members } = new;
        let (email, note) = (self.email.clone(), String::new());
        match self.kind {
            Kind::User => {
                let person = Person { email, name, id, note, groups_reader, users_reader };
                Ok((json!(person), Record::Person(person)))
            }
            Kind::ServiceAccount => {
                let owner = world.node(NodeKind::Project, &project).ok_or_else(|| {
                    ApiError::invalid(format!("the project {project} does not exist"))
                })?;
                let project = owner.id.clone();
                let account = ServiceAccount {
                    email,
                    id,
                    project,
                    groups_reader,
                    users_reader,
                    policy: Policy::default(),
                    user_managed_keys: Vec::new(),
                };
                Ok((json!(account), Record::ServiceAccount(account)))
            }
            Kind::Group => {
                let members: BTreeSet<String> =
                    members.iter().map(|member| member.to_ascii_lowercase()).collect();
                if let Some(stranger) = members.iter().find(|member| !world.knows(member)) {
                    return Err(ApiError::invalid(format!("{stranger} does not exist")));
                }
                let group = Group { email, name, id, members };
                Ok((json!(group), Record::Group(group)))
            }
        }
    }

    /// The changes by which the principal is gone: out of all groups, its tokens void, and named as
    /// deleted in policies.
    ///
    /// # Errors
    /// 404 if there is none.
    pub(crate) fn delete(&self, world: &World) -> Result<Vec<Change>, ApiError> {
        let (id, removed) = self.existing(world)?;
        let member = self.member();
        let deleted = format!("deleted:{member}?uid={id}");
        let mut changes =
            vec![Change::Remove(removed), Change::Put(Record::Tombstone(deleted.clone()))];
        let tokens = world.tokens.values().filter(|token| token.account == self.email);
        changes.extend(tokens.map(|token| Change::Remove(Removed::Token(token.secret.clone()))));
        let holding = world
            .groups
            .values()
            .filter(|group| group.members.contains(&self.email) && group.email != self.email);
        changes.extend(holding.map(|group| {
            let mut group = group.clone();
            group.members.remove(&self.email);
            Change::Put(Record::Group(group))
        }));
        let policies =
            world.policies.values().filter_map(|policy| renamed(policy, &member, &deleted));
        changes.extend(policies.map(|policy| Change::Put(Record::Policy(policy))));
        Ok(changes)
    }

    /// The principal's id and its record.
    fn existing(&self, world: &World) -> Result<(String, Removed), ApiError> {
        let email = self.email.clone();
        let found = match self.kind {
            Kind::User => {
                world.people.get(&email).map(|it| (it.id.clone(), Removed::Person(email)))
            }
            Kind::ServiceAccount => world
                .service_accounts
                .get(&email)
                .map(|it| (it.id.clone(), Removed::ServiceAccount(email))),
            Kind::Group => {
                world.groups.get(&email).map(|it| (it.id.clone(), Removed::Group(email)))
            }
        };
        found.ok_or_else(|| ApiError::not_found(format!("{} does not exist", self.member())))
    }
}

/// The policy with one member renamed; `None` where it does not occur.
fn renamed(policy: &StoredPolicy, from: &str, to: &str) -> Option<StoredPolicy> {
    let mut policy = policy.clone();
    let mut changed = false;
    for revision in policy.states_mut() {
        let members = revision.policy.bindings.iter_mut().flat_map(|binding| &mut binding.members);
        for member in members.filter(|member| *member == from) {
            to.clone_into(member);
            changed = true;
        }
        revision.policy.normalise_bindings();
    }
    changed.then_some(policy)
}

/// An address in lower case.
///
/// # Errors
/// 400 for anything else.
pub(crate) fn address(text: &str) -> Result<String, ApiError> {
    let is_address = text.split_once('@').is_some_and(|(name, domain)| {
        let is_plain = |part: &str| {
            !part.is_empty()
                && part.chars().all(|c| c.is_ascii_alphanumeric() || ".-_+".contains(c))
        };
        is_plain(name) && is_plain(domain)
    });
    if is_address {
        Ok(text.to_ascii_lowercase())
    } else {
        Err(ApiError::invalid(format!("{text} is not an address")))
    }
}
