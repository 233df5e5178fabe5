//! Everything that the simulated cloud knows, in memory, and the records that it is made of.

pub(crate) mod membership;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

use crate::kms::{Kms, KmsRecord};
use crate::policy::{Policy, Revision, StoredPolicy};
use crate::pubsub::{PubSub, PubSubKey, PubSubRecord};
use crate::quota::QuotaSettings;
use crate::secrets::{SecretRecord, Secrets};

/// A place in the resource hierarchy that can carry a policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum NodeKind {
    Organization,
    Folder,
    Project,
}

/// One organisation, folder or project.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Node {
    pub(crate) kind: NodeKind,
    /// Organisation and folder: the number. Project: the id.
    pub(crate) id: String,
    pub(crate) number: u64,
    pub(crate) display_name: String,
    /// Name of the node above, `folders/…` or `organizations/…`.
    pub(crate) parent: Option<String>,
    #[serde(default)]
    pub(crate) labels: BTreeMap<String, String>,
    /// Organisation: the Workspace customer that owns it.
    #[serde(default)]
    pub(crate) customer: Option<String>,
}

/// A person of the simulated organisation.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Person {
    /// Primary address, in lower case.
    pub email: String,
    /// Full name for people to read.
    #[serde(default)]
    pub name: String,
    /// Numeric account id; never used for two people, not even with the same address.
    #[serde(default)]
    pub id: String,
    /// What this person is for in the demo, such as `auditor`.
    #[serde(default)]
    pub note: String,
    /// Holds the Groups Reader administrator role.
    #[serde(default)]
    pub groups_reader: bool,
    /// Holds an administrator role that reads users.
    #[serde(default)]
    pub users_reader: bool,
}

/// A service account.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct ServiceAccount {
    pub(crate) email: String,
    pub(crate) id: String,
    /// Id of the project that it belongs to.
    pub(crate) project: String,
    #[serde(default)]
    pub(crate) groups_reader: bool,
    #[serde(default)]
    pub(crate) users_reader: bool,
    /// Who may use it.
    #[serde(default, skip_serializing_if = "is_default")]
    pub(crate) policy: Policy,
    /// Ids of the keys that people made for it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) user_managed_keys: Vec<String>,
}

fn is_default(policy: &Policy) -> bool {
    *policy == Policy::default()
}

/// A Google group; members are addresses of people, service accounts and groups.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Group {
    pub(crate) email: String,
    #[serde(default)]
    pub(crate) name: String,
    /// Cloud Identity's id, the `ID` of `groups/ID`.
    pub(crate) id: String,
    #[serde(default)]
    pub(crate) members: BTreeSet<String>,
}

/// A role, predefined or custom.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Role {
    pub(crate) name: String,
    #[serde(default)]
    pub(crate) title: String,
    #[serde(default)]
    pub(crate) description: String,
    #[serde(default)]
    pub(crate) stage: Stage,
    pub(crate) permissions: BTreeSet<String>,
    /// How many writes a custom role has seen; its etag follows from it.
    #[serde(default)]
    pub(crate) revision: u64,
    #[serde(default)]
    pub(crate) deleted_at: Option<DateTime<Utc>>,
}

/// Launch stages of roles, `Role.stage` of the IAM API.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(crate) enum Stage {
    Alpha,
    Beta,
    #[default]
    Ga,
    Deprecated,
    /// "This role is disabled and will not contribute permissions to any principals it is granted to."
    Disabled,
    Eap,
}

impl Role {
    /// Whether a binding of the role gives the permission: those of a deleted or disabled role
    /// give none.
    pub(crate) fn gives(&self, permission: &str) -> bool {
        self.is_in_force() && self.permissions.contains(permission)
    }

    pub(crate) fn is_in_force(&self) -> bool {
        self.deleted_at.is_none() && self.stage != Stage::Disabled
    }

    /// `projects/ID` or `organizations/NUMBER` of a custom role.
    pub(crate) fn owner(&self) -> Option<&str> {
        self.name.split_once("/roles/").map(|(owner, _)| owner)
    }
}

/// A bearer token, good until `expires` (never: `None`).
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Token {
    pub(crate) secret: String,
    pub(crate) account: String,
    pub(crate) expires: Option<DateTime<Utc>>,
    /// The OAuth scopes that it was issued for; `None`: whatever its account may do.
    #[serde(default)]
    pub(crate) scopes: Option<BTreeSet<String>>,
}

impl fmt::Debug for Token {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = formatter.debug_struct("Token");
        shown
            .field("account", &self.account)
            .field("expires", &self.expires)
            .finish_non_exhaustive()
    }
}

/// That a principal has used a permission on a resource, or was refused it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct Use {
    /// As policies name it: `serviceAccount:ADDRESS`.
    pub(crate) principal: String,
    pub(crate) permission: String,
    /// `projects/ID` and its like.
    pub(crate) resource: String,
    pub(crate) granted: bool,
}

/// What the seed sets once for the whole cloud.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Settings {
    /// Largest page that any list answers, below Google's own limits; for tests of paging.
    #[serde(default)]
    pub(crate) max_page_size: Option<usize>,
    /// How callers are limited; as Google limits them when absent.
    #[serde(default)]
    pub(crate) quotas: QuotaSettings,
    /// The customer has no licence for transitive group searches: they answer 403.
    #[serde(default)]
    pub(crate) cloud_identity_free: bool,
    /// How far Cloud Asset Inventory lags behind policy writes.
    #[serde(default)]
    pub(crate) asset_lag_seconds: u32,
    /// How far what is enforced lags behind policy writes: of Google's, typically 120, at times 420
    /// or more, <https://cloud.google.com/iam/docs/access-change-propagation>.
    #[serde(default)]
    pub(crate) policy_lag_seconds: u32,
    /// Services, such as `cloudasset.googleapis.com`, that nobody's project has enabled; changed by
    /// `PUT /sim/v1/disabledApis`.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub(crate) disabled_apis: BTreeSet<String>,
}

/// A private key (PKCS #8) that must survive a restart.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct SigningKeyRecord {
    pub(crate) name: String,
    pub(crate) pkcs8_base64: String,
}

impl fmt::Debug for SigningKeyRecord {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("SigningKeyRecord").field("name", &self.name).finish_non_exhaustive()
    }
}

/// One stored thing.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) enum Record {
    Node(Node),
    Policy(StoredPolicy),
    Person(Person),
    ServiceAccount(ServiceAccount),
    Group(Group),
    Role(Role),
    Token(Token),
    Use(Use),
    /// `deleted:user:ADDRESS?uid=ID` and its like, of somebody or something that is gone.
    Tombstone(String),
    Settings(Settings),
    SigningKey(SigningKeyRecord),
    Kms(KmsRecord),
    PubSub(PubSubRecord),
    Secret(SecretRecord),
}

impl Record {
    /// What a newer record replaces an older one by.
    pub(crate) fn key(&self) -> String {
        match self {
            Self::Node(node) => format!("node/{}", node.name()),
            Self::Policy(policy) => format!("policy/{}", policy.resource),
            Self::Person(person) => person_key(&person.email),
            Self::ServiceAccount(account) => service_account_key(&account.email),
            Self::Group(group) => group_key(&group.email),
            Self::Role(role) => format!("role/{}", role.name),
            Self::Token(token) => token_key(&token.secret),
            Self::Use(used) => use_key(used),
            Self::Tombstone(member) => format!("tombstone/{member}"),
            Self::Settings(_) => "settings".to_owned(),
            Self::SigningKey(key) => format!("key/{}", key.name),
            Self::Kms(record) => format!("kms/{}", record.name()),
            Self::PubSub(record) => pubsub_key(&record.key()),
            Self::Secret(record) => secret_key(&record.name()),
        }
    }
}

fn person_key(email: &str) -> String {
    format!("person/{email}")
}

fn service_account_key(email: &str) -> String {
    format!("serviceAccount/{email}")
}

fn group_key(email: &str) -> String {
    format!("group/{email}")
}

fn token_key(token: &str) -> String {
    format!("token/{token}")
}

fn use_key(used: &Use) -> String {
    format!("use/{}/{}/{}/{}", used.principal, used.permission, used.granted, used.resource)
}

fn pubsub_key(key: &PubSubKey) -> String {
    format!("pubsub/{}", key.text())
}

fn secret_key(name: &str) -> String {
    format!("secret/{name}")
}

/// A record that a change removes.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Removed {
    Person(String),
    ServiceAccount(String),
    Group(String),
    Token(String),
    Use(Use),
    PubSub(PubSubKey),
    /// A secret or one of its versions, by name.
    Secret(String),
}

impl Removed {
    /// The [`Record::key`] of what is removed.
    pub(crate) fn key(&self) -> String {
        match self {
            Self::Person(email) => person_key(email),
            Self::ServiceAccount(email) => service_account_key(email),
            Self::Group(email) => group_key(email),
            Self::Token(token) => token_key(token),
            Self::Use(used) => use_key(used),
            Self::PubSub(key) => pubsub_key(key),
            Self::Secret(name) => secret_key(name),
        }
    }
}

/// One step from a state of the world to the next.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Change {
    Put(Record),
    Remove(Removed),
    /// A line of the append-only log of policy writes; not part of the world.
    Log(serde_json::Value),
}

/// The state. Reads are direct; every change goes through [`World::apply`] after it is on disk.
#[derive(Default)]
pub(crate) struct World {
    pub(crate) nodes: BTreeMap<String, Node>,
    pub(crate) policies: BTreeMap<String, StoredPolicy>,
    pub(crate) people: BTreeMap<String, Person>,
    pub(crate) service_accounts: BTreeMap<String, ServiceAccount>,
    pub(crate) groups: BTreeMap<String, Group>,
    /// The groups that hold an address directly; follows from `groups`.
    groups_of: BTreeMap<String, BTreeSet<String>>,
    pub(crate) custom_roles: BTreeMap<String, Role>,
    /// Google's own; set when the cloud opens, never stored.
    pub(crate) predefined_roles: BTreeMap<String, Role>,
    pub(crate) tokens: BTreeMap<String, Token>,
    pub(crate) uses: BTreeSet<Use>,
    pub(crate) tombstones: BTreeSet<String>,
    pub(crate) settings: Settings,
    pub(crate) keys: BTreeMap<String, SigningKeyRecord>,
    pub(crate) kms: Kms,
    pub(crate) pubsub: PubSub,
    pub(crate) secrets: Secrets,
}

impl World {
    pub(crate) fn apply(&mut self, change: Change) {
        match change {
            Change::Put(record) => self.put(record),
            Change::Remove(removed) => self.remove(removed),
            Change::Log(_) => {}
        }
    }

    fn remove(&mut self, removed: Removed) {
        match removed {
            Removed::Person(email) => drop(self.people.remove(&email)),
            Removed::ServiceAccount(email) => drop(self.service_accounts.remove(&email)),
            Removed::Group(email) => {
                self.forget_members(&email);
                self.groups.remove(&email);
            }
            Removed::Token(token) => drop(self.tokens.remove(&token)),
            Removed::Use(used) => {
                self.uses.remove(&used);
            }
            Removed::PubSub(key) => self.pubsub.remove(key),
            Removed::Secret(name) => self.secrets.remove(&name),
        }
    }

    pub(crate) fn apply_all(&mut self, changes: Vec<Change>) {
        for change in changes {
            self.apply(change);
        }
    }

    fn put(&mut self, record: Record) {
        match record {
            Record::Node(node) => replace(&mut self.nodes, node.name(), node),
            Record::Policy(policy) => replace(&mut self.policies, policy.resource.clone(), policy),
            Record::Person(person) => replace(&mut self.people, person.email.clone(), person),
            Record::ServiceAccount(account) => {
                replace(&mut self.service_accounts, account.email.clone(), account);
            }
            Record::Group(group) => self.put_group(group),
            Record::Role(role) => replace(&mut self.custom_roles, role.name.clone(), role),
            Record::Token(token) => replace(&mut self.tokens, token.secret.clone(), token),
            Record::Use(used) => self.uses.extend([used]),
            Record::Tombstone(member) => self.tombstones.extend([member]),
            Record::Settings(settings) => self.settings = settings,
            Record::SigningKey(key) => replace(&mut self.keys, key.name.clone(), key),
            Record::Kms(record) => self.kms.put(record),
            Record::PubSub(record) => self.pubsub.put(record),
            Record::Secret(record) => self.secrets.put(record),
        }
    }

    fn forget_members(&mut self, group: &str) {
        for member in self.groups.get(group).into_iter().flat_map(|old| &old.members) {
            if let Some(groups) = self.groups_of.get_mut(member) {
                groups.remove(group);
            }
        }
    }

    fn put_group(&mut self, group: Group) {
        self.forget_members(&group.email);
        for member in &group.members {
            self.groups_of.entry(member.clone()).or_default().insert(group.email.clone());
        }
        replace(&mut self.groups, group.email.clone(), group);
    }

    /// The node of that kind with this id or number.
    pub(crate) fn node(&self, kind: NodeKind, id: &str) -> Option<&Node> {
        let by_id = self.nodes.get(&format!("{}/{id}", kind.collection()));
        by_id.or_else(|| {
            let number: u64 = id.parse().ok()?;
            self.nodes.values().find(|node| node.kind == kind && node.number == number)
        })
    }

    /// The node and the nodes above it, nearest first.
    pub(crate) fn ancestry<'a>(&'a self, node: &'a Node) -> Vec<&'a Node> {
        let mut line = vec![node];
        let mut above = node.parent.as_ref();
        while let Some(parent) = above.and_then(|name| self.nodes.get(name)) {
            // The seed is checked for cycles; this keeps a damaged file from looping for ever.
            if line.iter().any(|seen| seen.name() == parent.name()) {
                break;
            }
            line.push(parent);
            above = parent.parent.as_ref();
        }
        line
    }

    /// The resource's policy as it is now; a policy that was never set is empty.
    pub(crate) fn policy(&self, node: &Node) -> Revision {
        self.policies.get(&node.name()).map(|stored| stored.current.clone()).unwrap_or_default()
    }

    /// The resource's policy as Cloud Asset Inventory knows it at `now`.
    pub(crate) fn indexed_policy(&self, node: &Node, now: DateTime<Utc>) -> Revision {
        let stored = self.policies.get(&node.name());
        stored.map(|stored| stored.as_of(self.indexed_until(now)).clone()).unwrap_or_default()
    }

    /// The record of the resource's policy after a write at `now`.
    pub(crate) fn stored_after(
        &self,
        node: &Node,
        current: Revision,
        now: DateTime<Utc>,
    ) -> StoredPolicy {
        let before = self.policies.get(&node.name());
        let known_to_all = self.indexed_until(now).min(self.enforced_until(now));
        StoredPolicy::after(before, node.name(), current, known_to_all)
    }

    /// The resource's policy as it is enforced at `now`.
    pub(crate) fn enforced_policy(&self, node: &Node, now: DateTime<Utc>) -> Option<&Policy> {
        let stored = self.policies.get(&node.name())?;
        let revision = match self.settings.policy_lag_seconds {
            0 => &stored.current,
            _ => stored.as_of(self.enforced_until(now)),
        };
        Some(&revision.policy)
    }

    fn enforced_until(&self, now: DateTime<Utc>) -> DateTime<Utc> {
        now - TimeDelta::seconds(self.settings.policy_lag_seconds.into())
    }

    fn indexed_until(&self, now: DateTime<Utc>) -> DateTime<Utc> {
        now - TimeDelta::seconds(self.settings.asset_lag_seconds.into())
    }

    pub(crate) fn group_by_id(&self, id: &str) -> Option<&Group> {
        self.groups.values().find(|group| group.id == id)
    }

    /// The customer that owns the organisation.
    pub(crate) fn customer(&self) -> &str {
        self.nodes.values().find_map(|node| node.customer.as_deref()).unwrap_or_default()
    }

    /// Whether the node is `scope` or below it.
    pub(crate) fn is_within(&self, node: &Node, scope: &str) -> bool {
        self.ancestry(node).iter().any(|above| above.name() == scope)
    }
}

fn replace<T>(map: &mut BTreeMap<String, T>, key: String, value: T) {
    map.insert(key, value);
}

impl NodeKind {
    pub(crate) const ALL: [Self; 3] = [Self::Organization, Self::Folder, Self::Project];

    /// First segment of the names of this kind, and middle part of its permissions.
    pub(crate) fn collection(self) -> &'static str {
        match self {
            Self::Organization => "organizations",
            Self::Folder => "folders",
            Self::Project => "projects",
        }
    }

    /// The kind in the singular, as in `getAncestry` answers.
    pub(crate) fn singular(self) -> &'static str {
        match self {
            Self::Organization => "organization",
            Self::Folder => "folder",
            Self::Project => "project",
        }
    }

    pub(crate) fn of_collection(collection: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.collection() == collection)
    }

    /// `resource.type` in conditions and the asset type in Asset Inventory.
    pub(crate) fn resource_type(self) -> &'static str {
        match self {
            Self::Organization => "cloudresourcemanager.googleapis.com/Organization",
            Self::Folder => "cloudresourcemanager.googleapis.com/Folder",
            Self::Project => "cloudresourcemanager.googleapis.com/Project",
        }
    }

    /// `resourcemanager.projects.get` and its like.
    pub(crate) fn permission(self, verb: &str) -> String {
        format!("resourcemanager.{}.{verb}", self.collection())
    }
}

impl Node {
    /// `projects/ID`, `folders/NUMBER` or `organizations/NUMBER`.
    pub(crate) fn name(&self) -> String {
        format!("{}/{}", self.kind.collection(), self.id)
    }

    /// `projects/NUMBER` where [`Node::name`] has the id.
    pub(crate) fn name_by_number(&self) -> String {
        format!("{}/{}", self.kind.collection(), self.number)
    }

    /// As in Asset Inventory: `//cloudresourcemanager.googleapis.com/projects/ID`.
    pub(crate) fn full_name(&self) -> String {
        format!("//cloudresourcemanager.googleapis.com/{}", self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_project_answers_to_its_id_and_its_number() {
        let mut world = World::default();
        let node = Node {
            kind: NodeKind::Project,
            id: "demo".into(),
            number: 1001,
            display_name: "Demo".into(),
            parent: None,
            labels: BTreeMap::new(),
            customer: None,
        };
        world.apply(Change::Put(Record::Node(node.clone())));
        assert_eq!(world.node(NodeKind::Project, "demo"), Some(&node));
        assert_eq!(world.node(NodeKind::Project, "1001"), Some(&node));
        assert_eq!(world.node(NodeKind::Folder, "1001"), None);
    }
}
