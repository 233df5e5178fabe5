//! The first state of a simulated cloud, from YAML.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;

use crate::error::ApiError;
use crate::keys::{self, KeyError, SigningKey};
use crate::policy::{Policy, Revision, StoredPolicy};
use crate::rules;
use crate::world::{
    Change, Group, Node, NodeKind, Person, Record, Role, ServiceAccount, Settings, Token, World,
};

/// The organisation of the demo.
pub(crate) const DEFAULT: &str = include_str!("../seed/default.yaml");

/// Name of the key that signs IAP assertions.
pub(crate) const IAP_KEY: &str = "iap";

/// Name of the key that signs the metadata server's identity tokens.
pub(crate) const IDENTITY_KEY: &str = "identity";

/// Largest accepted seed: some thousands of projects and people.
const SEED_BYTES_MAX: usize = 16 * 1024 * 1024;

/// What is wrong with a seed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SeedError {
    /// The text is longer than any sensible seed.
    #[error("the seed is larger than {SEED_BYTES_MAX} bytes")]
    TooLarge,
    /// The text is not the YAML that a seed must be.
    #[error("reading the seed")]
    Yaml(#[source] Box<serde_saphyr::Error>),
    /// A name that nothing in the seed has.
    #[error("the seed's {what} names {name}, which the seed does not define")]
    Unknown {
        /// Where the name stands.
        what: &'static str,
        /// The name.
        name: String,
    },
    /// Two things of one kind have the same name.
    #[error("the seed defines {0} twice")]
    Duplicate(String),
    /// The hierarchy's parents form a cycle.
    #[error("the seed's folder {0} is above itself")]
    Cycle(String),
    /// IAM would refuse this policy.
    #[error("the seed's policy of {resource} is refused: {reason}")]
    Policy {
        /// The resource.
        resource: String,
        /// IAM's reason.
        reason: String,
    },
    /// The cloud's keys could not be made.
    #[error("making the simulated cloud's keys")]
    Key(#[from] KeyError),
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Seed {
    organization: Organization,
    #[serde(default)]
    folders: Vec<Folder>,
    #[serde(default)]
    projects: Vec<Project>,
    #[serde(default)]
    people: Vec<Person>,
    #[serde(default)]
    service_accounts: Vec<ServiceAccount>,
    #[serde(default)]
    groups: Vec<Group>,
    #[serde(default)]
    roles: Vec<Role>,
    #[serde(default)]
    policies: BTreeMap<String, Policy>,
    #[serde(default)]
    tokens: BTreeMap<String, String>,
    #[serde(default)]
    settings: Settings,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Organization {
    id: u64,
    display_name: String,
    customer: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Folder {
    id: u64,
    display_name: String,
    parent: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Project {
    id: String,
    number: u64,
    display_name: String,
    parent: String,
    #[serde(default)]
    labels: BTreeMap<String, String>,
}

/// The changes that make an empty world the seed's, keys included.
///
/// # Errors
/// The seed is not valid; nothing is half seeded.
pub(crate) fn changes(
    yaml: &str,
    predefined_roles: &BTreeMap<String, Role>,
) -> Result<Vec<Change>, SeedError> {
    if yaml.len() > SEED_BYTES_MAX {
        return Err(SeedError::TooLarge);
    }
    let seed: Seed =
        serde_saphyr::from_str(yaml).map_err(|error| SeedError::Yaml(Box::new(error)))?;
    let (policies, tokens) = (seed.policies.clone(), seed.tokens.clone());
    let mut records = records(seed)?;
    check_names(&records)?;
    let mut world = World::default();
    world.predefined_roles.clone_from(predefined_roles);
    world.apply_all(records.iter().cloned().map(Change::Put).collect());
    check_hierarchy(&world)?;
    for (token, account) in tokens {
        if !world.knows(&account) {
            return Err(SeedError::Unknown { what: "token", name: account });
        }
        records.push(Record::Token(Token { secret: token, account, expires: None, scopes: None }));
    }
    for (resource, policy) in policies {
        records.push(Record::Policy(seeded_policy(&world, resource, policy)?));
    }
    Ok(records.into_iter().map(Change::Put).collect())
}

fn records(seed: Seed) -> Result<Vec<Record>, SeedError> {
    let mut records = vec![
        Record::Settings(seed.settings),
        SigningKey::generate(IAP_KEY)?,
        SigningKey::generate(IDENTITY_KEY)?,
        Record::Node(organization(seed.organization)),
    ];
    records.extend(seed.folders.into_iter().map(|it| Record::Node(folder(it))));
    records.extend(seed.projects.into_iter().map(|it| Record::Node(project(it))));
    records.extend(seed.people.into_iter().map(person).collect::<Result<Vec<_>, _>>()?);
    records.extend(seed.service_accounts.into_iter().map(Record::ServiceAccount));
    records.extend(seed.groups.into_iter().map(group));
    records.extend(seed.roles.into_iter().map(Record::Role));
    Ok(records)
}

fn organization(it: Organization) -> Node {
    Node {
        kind: NodeKind::Organization,
        id: it.id.to_string(),
        number: it.id,
        display_name: it.display_name,
        parent: None,
        labels: BTreeMap::new(),
        customer: Some(it.customer),
    }
}

fn folder(it: Folder) -> Node {
    Node {
        kind: NodeKind::Folder,
        id: it.id.to_string(),
        number: it.id,
        display_name: it.display_name,
        parent: Some(it.parent),
        labels: BTreeMap::new(),
        customer: None,
    }
}

fn project(it: Project) -> Node {
    Node {
        kind: NodeKind::Project,
        id: it.id,
        number: it.number,
        display_name: it.display_name,
        parent: Some(it.parent),
        labels: it.labels,
        customer: None,
    }
}

fn check_names(records: &[Record]) -> Result<(), SeedError> {
    let mut seen = BTreeSet::new();
    match records.iter().map(Record::key).find(|key| !seen.insert(key.clone())) {
        Some(twice) => Err(SeedError::Duplicate(twice)),
        None => Ok(()),
    }
}

/// People without an id get a new one.
fn person(mut it: Person) -> Result<Record, SeedError> {
    it.email.make_ascii_lowercase();
    if it.id.is_empty() {
        it.id = keys::random_account_id()?;
    }
    Ok(Record::Person(it))
}

fn group(mut it: Group) -> Record {
    it.email.make_ascii_lowercase();
    it.members = it.members.into_iter().map(|member| member.to_ascii_lowercase()).collect();
    Record::Group(it)
}

fn check_hierarchy(world: &World) -> Result<(), SeedError> {
    for node in world.nodes.values() {
        if let Some(parent) =
            node.parent.as_ref().filter(|parent| !world.nodes.contains_key(*parent))
        {
            return Err(SeedError::Unknown { what: "hierarchy", name: parent.clone() });
        }
        let reaches_organization =
            world.ancestry(node).last().is_some_and(|top| top.kind == NodeKind::Organization);
        if !reaches_organization {
            return Err(SeedError::Cycle(node.name()));
        }
    }
    for group in world.groups.values() {
        if let Some(stranger) = group.members.iter().find(|member| !world.knows(member)) {
            return Err(SeedError::Unknown { what: "group", name: stranger.clone() });
        }
    }
    Ok(())
}

fn seeded_policy(
    world: &World,
    resource: String,
    mut policy: Policy,
) -> Result<StoredPolicy, SeedError> {
    let Some(node) = world.nodes.get(&resource) else {
        return Err(SeedError::Unknown { what: "policies", name: resource });
    };
    policy.normalise_bindings();
    rules::check(world, node, &policy, &Policy::default()).map_err(|error: ApiError| {
        SeedError::Policy { resource: resource.clone(), reason: error.to_string() }
    })?;
    let current = Revision { counter: 1, policy, written_at: None };
    Ok(StoredPolicy { resource, current, previous: None, past: Vec::new() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::roles::predefined;

    const SMALL: &str = "organization: {id: 1, displayName: o, customer: C1}\n";

    #[test]
    fn the_default_seed_is_valid_and_says_what_the_demo_promises() {
        let mut world = World::default();
        world.apply_all(changes(DEFAULT, &predefined().unwrap()).unwrap());
        assert_eq!(world.people.len(), 6);
        assert_eq!(
            world.node(NodeKind::Project, "demo-curfew").unwrap().parent.as_deref(),
            Some("organizations/100000000001")
        );
        assert_eq!(world.tokens["x"].account, "olga@example.com");
        let prod = &world.policies["projects/demo-prod"].current.policy;
        let expressions: Vec<&str> = prod
            .bindings
            .iter()
            .filter_map(|it| Some(it.condition.as_ref()?.expression.as_str()))
            .collect();
        assert!(expressions.iter().any(|it| it.starts_with(
            "// Require multi-party approval\nhas({}.multiPartyApprovalConstraint) &&\n"
        )));
        let permissions = |role: &str| {
            &world.custom_roles[&format!("organizations/100000000001/roles/{role}")].permissions
        };
        assert!(permissions("curfewController").contains("resourcemanager.projects.setIamPolicy"));
        assert!(!permissions("curfewIntake").iter().any(|it| it.ends_with("setIamPolicy")));
    }

    #[test]
    fn mistakes_are_told_apart() {
        assert!(matches!(error("folder: []"), SeedError::Yaml(_)));
        assert!(matches!(
            error("folders: [{id: 2, displayName: f, parent: folders/3}]"),
            SeedError::Unknown { what: "hierarchy", .. }
        ));
        assert!(matches!(
            error(
                "folders: [{id: 2, displayName: f, parent: folders/3}, {id: 3, displayName: f, parent: folders/2}]"
            ),
            SeedError::Cycle(_)
        ));
        assert!(matches!(
            error("groups: [{email: g@x, id: g, members: [who@x]}]"),
            SeedError::Unknown { what: "group", .. }
        ));
        assert!(matches!(error("tokens: {t: who@x}"), SeedError::Unknown { what: "token", .. }));
        assert!(matches!(
            error("policies: {projects/p: {}}"),
            SeedError::Unknown { what: "policies", .. }
        ));
        assert!(matches!(
            error(
                "policies: {organizations/1: {bindings: [{role: roles/browser, members: ['user:who@x']}]}}"
            ),
            SeedError::Policy { .. }
        ));
    }

    #[test]
    fn two_people_cannot_share_an_address() {
        let twice = error("people: [{email: a@x}, {email: A@x}]");
        assert!(matches!(twice, SeedError::Duplicate(key) if key == "person/a@x"));
    }

    #[test]
    fn people_without_an_id_get_one() {
        let yaml = format!("{SMALL}people: [{{email: A@x}}]");
        let mut world = World::default();
        world.apply_all(changes(&yaml, &predefined().unwrap()).unwrap());
        assert_eq!(world.people["a@x"].id.len(), 21);
    }

    fn error(more: &str) -> SeedError {
        changes(&format!("{SMALL}{more}\n"), &predefined().unwrap()).unwrap_err()
    }
}
