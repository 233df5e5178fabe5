//! Everything that the simulated cloud knows, in memory, and the records that it is made of.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::policy::{Revision, StoredPolicy};

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
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
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
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Role {
    pub(crate) name: String,
    pub(crate) title: String,
    pub(crate) permissions: BTreeSet<String>,
}

/// A bearer token, good until `expires` (never: `None`).
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Token {
    pub(crate) secret: String,
    pub(crate) account: String,
    pub(crate) expires: Option<DateTime<Utc>>,
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

/// That a caller has used a permission, or was refused it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct Use {
    pub(crate) caller: String,
    pub(crate) permission: String,
    pub(crate) granted: bool,
}

/// What the seed sets once for the whole cloud.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Settings {
    /// Largest page that any list answers, below Google's own limits; for tests of paging.
    #[serde(default)]
    pub(crate) max_page_size: Option<usize>,
    /// Resource Manager reads per minute and consumer project.
    #[serde(default)]
    pub(crate) reads_per_minute: Option<u32>,
    /// Resource Manager writes per minute and consumer project.
    #[serde(default)]
    pub(crate) writes_per_minute: Option<u32>,
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
    /// `deleted:user:ADDRESS?uid=ID` of somebody who is gone.
    Tombstone(String),
    Settings(Settings),
    SigningKey(SigningKeyRecord),
}

impl Record {
    /// What a newer record replaces an older one by.
    pub(crate) fn key(&self) -> String {
        match self {
            Self::Node(node) => format!("node/{}", node.name()),
            Self::Policy(policy) => format!("policy/{}", policy.resource),
            Self::Person(person) => person_key(&person.email),
            Self::ServiceAccount(account) => format!("serviceAccount/{}", account.email),
            Self::Group(group) => format!("group/{}", group.email),
            Self::Role(role) => format!("role/{}", role.name),
            Self::Token(token) => token_key(&token.secret),
            Self::Use(used) => format!("use/{}/{}/{}", used.caller, used.permission, used.granted),
            Self::Tombstone(member) => format!("tombstone/{member}"),
            Self::Settings(_) => "settings".to_owned(),
            Self::SigningKey(key) => format!("key/{}", key.name),
        }
    }
}

fn person_key(email: &str) -> String {
    format!("person/{email}")
}

fn token_key(token: &str) -> String {
    format!("token/{token}")
}

/// One step from a state of the world to the next.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Change {
    Put(Record),
    DeletePerson(String),
    DeleteToken(String),
    /// A line of the append-only log of policy writes; not part of the world.
    Log(serde_json::Value),
}

impl Change {
    /// Key of the record that this change removes.
    pub(crate) fn removed_key(&self) -> Option<String> {
        match self {
            Self::DeletePerson(email) => Some(person_key(email)),
            Self::DeleteToken(token) => Some(token_key(token)),
            Self::Put(_) | Self::Log(_) => None,
        }
    }
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
}

impl World {
    pub(crate) fn apply(&mut self, change: Change) {
        match change {
            Change::Put(record) => self.put(record),
            Change::DeletePerson(email) => {
                self.people.remove(&email);
            }
            Change::DeleteToken(token) => {
                self.tokens.remove(&token);
            }
            Change::Log(_) => {}
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
        }
    }

    fn put_group(&mut self, group: Group) {
        for member in self.groups.get(&group.email).into_iter().flat_map(|old| &old.members) {
            if let Some(groups) = self.groups_of.get_mut(member) {
                groups.remove(&group.email);
            }
        }
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

    pub(crate) fn group_by_id(&self, id: &str) -> Option<&Group> {
        self.groups.values().find(|group| group.id == id)
    }

    /// Whether the address belongs to somebody or something here.
    pub(crate) fn knows(&self, email: &str) -> bool {
        self.people.contains_key(email)
            || self.service_accounts.contains_key(email)
            || self.groups.contains_key(email)
    }

    /// The domains that people and groups here have addresses in.
    pub(crate) fn domains(&self) -> BTreeSet<&str> {
        self.people
            .keys()
            .chain(self.groups.keys())
            .filter_map(|email| Some(email.split_once('@')?.1))
            .collect()
    }

    /// Groups that hold the address directly or through other groups; `true` marks direct ones.
    /// Groups that contain each other are tolerated, as Google tolerates them.
    pub(crate) fn transitive_groups(&self, email: &str) -> BTreeMap<&str, Paths> {
        let mut found: BTreeMap<&str, Paths> = BTreeMap::new();
        let mut open = vec![(email, true)];
        while let Some((member, direct)) = open.pop() {
            for group in self.groups_of.get(member).into_iter().flatten() {
                let is_new = !found.contains_key(group.as_str());
                let paths = found.entry(group).or_default();
                paths.direct |= direct;
                paths.indirect |= !direct;
                if is_new {
                    open.push((group, false));
                }
            }
        }
        found
    }
}

fn replace<T>(map: &mut BTreeMap<String, T>, key: String, value: T) {
    map.insert(key, value);
}

/// How a group holds a member.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Paths {
    pub(crate) direct: bool,
    pub(crate) indirect: bool,
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
    fn transitive_groups_follow_nesting_and_survive_a_cycle() {
        let mut world = World::default();
        for (email, members) in [
            ("a@x", vec!["me@x", "c@x"]),
            ("b@x", vec!["a@x"]),
            ("c@x", vec!["b@x"]),
            ("d@x", vec!["you@x"]),
        ] {
            let members = members.into_iter().map(str::to_owned).collect();
            world.apply(Change::Put(Record::Group(Group {
                email: email.into(),
                name: String::new(),
                id: email.into(),
                members,
            })));
        }
        let found = world.transitive_groups("me@x");
        assert_eq!(found.keys().copied().collect::<Vec<_>>(), ["a@x", "b@x", "c@x"]);
        assert_eq!(found["a@x"], Paths { direct: true, indirect: true });
        assert_eq!(found["b@x"], Paths { direct: false, indirect: true });
    }

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
