//! What this identity may do on the scope, against the lists that ship with Curfew.

use std::collections::{BTreeMap, BTreeSet};

use curfew_core::policy::Policy;
use curfew_core::resource::Resource;
use curfew_gcp::{Held, Probed};

use super::grants::ACTS_AS;
use super::mend::{custom_role, gcloud, member, policy_command};
use super::report::Finding;

/// Exactly what the controller uses, as a test of the whole product shows.
const CONTROLLER: &str = include_str!("../../../../deploy/controller-permissions.txt");

/// Exactly what intake uses.
const INTAKE: &str = include_str!("../../../../deploy/intake-permissions.txt");

/// What lists made by Policy Analyzer take besides.
const POLICY_ANALYZER: &str = "cloudasset.assets.analyzeIamPolicy";

/// By each of these somebody can give access to a node, its keys, data or programs: intake must hold none, and none of
/// [`ACTS_AS`].
const GIVES_ACCESS: [&str; 11] = [
    "cloudkms.cryptoKeys.setIamPolicy",
    "cloudkms.keyRings.setIamPolicy",
    "iam.roles.create",
    "iam.roles.update",
    "iam.serviceAccounts.setIamPolicy",
    "resourcemanager.folders.setIamPolicy",
    "resourcemanager.organizations.setIamPolicy",
    "resourcemanager.projects.setIamPolicy",
    "run.services.setIamPolicy",
    "secretmanager.secrets.setIamPolicy",
    "storage.buckets.setIamPolicy",
];

/// The verb by which the controller gives access; Terraform puts it into a role of its own.
const WRITES: &str = ".setIamPolicy";

/// A part as far as its permissions go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Listed {
    Intake { with_policy_analyzer: bool },
    Controller,
}

impl Listed {
    /// The permissions that can be held on such a scope: above a project nothing is read, above a folder no
    /// organisation.
    pub(crate) fn on(self, scope: &Resource) -> Vec<&'static str> {
        let (text, more) = match self {
            Self::Controller => (CONTROLLER, None),
            Self::Intake { with_policy_analyzer } => {
                (INTAKE, with_policy_analyzer.then_some(POLICY_ANALYZER))
            }
        };
        let listed = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
        listed.chain(more).filter(|it| exists_on(scope, it)).collect()
    }

    fn name(self) -> &'static str {
        match self {
            Self::Intake { .. } => "intake",
            Self::Controller => "controller",
        }
    }

    /// The role that is made where there is none.
    fn role_id(self) -> &'static str {
        match self {
            Self::Intake { .. } => "curfewIntake",
            Self::Controller => "curfewController",
        }
    }
}

/// What intake must not hold on such a scope.
pub(crate) fn gives_access_on(scope: &Resource) -> Vec<&'static str> {
    let all: BTreeSet<&str> = GIVES_ACCESS.into_iter().chain(ACTS_AS).collect();
    all.into_iter().filter(|it| exists_on(scope, it)).collect()
}

fn exists_on(scope: &Resource, permission: &str) -> bool {
    let of_folders = permission.starts_with("resourcemanager.folders.");
    let of_organisations = permission.starts_with("resourcemanager.organizations.");
    match scope {
        Resource::Project(_) => !of_folders && !of_organisations,
        Resource::Folder(_) => !of_organisations,
        Resource::Organization(_) => true,
    }
}

/// A role that the scope's policy gives this account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct BoundRole {
    pub(crate) role: String,
    pub(crate) condition: Option<String>,
    /// What the role gives, if that could be read.
    pub(crate) permissions: Option<BTreeSet<String>>,
}

/// The roles that the policy gives the account by its name; what they give is not known yet.
pub(crate) fn bound_to(policy: &Policy, account: &str) -> Vec<BoundRole> {
    let member = member(account);
    let bindings = policy.bindings.iter().filter(|binding| binding.members.contains(&member));
    let bound = bindings.map(|binding| BoundRole {
        role: binding.role.clone(),
        condition: binding.condition.as_ref().map(|condition| condition.expression.clone()),
        permissions: None,
    });
    bound.collect()
}

/// What is known besides, for commands with this deployment's values.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Known<'a> {
    pub(crate) scope: &'a Resource,
    pub(crate) account: Option<&'a str>,
    /// The roles that the scope's policy gives the account, or why that is not known.
    pub(crate) roles: &'a Result<Vec<BoundRole>, String>,
}

impl Known<'_> {
    fn account(&self) -> &str {
        self.account.unwrap_or("<the part's account>")
    }

    /// The custom role that a permission belongs into: the one that gives others of its kind.
    fn role_for(&self, permission: &str) -> Option<&str> {
        let roles = self.roles.as_ref().ok()?;
        let custom: Vec<&BoundRole> =
            roles.iter().filter(|bound| custom_role(&bound.role).is_some()).collect();
        let fits = |bound: &&&BoundRole| {
            let writes = bound.permissions.iter().flatten().any(|it| it.ends_with(WRITES));
            writes == permission.ends_with(WRITES)
        };
        let found = custom.iter().find(fits).or(custom.first());
        found.map(|bound| bound.role.as_str())
    }
}

/// Whether everything that is listed is held.
pub(crate) fn judge(
    part: Listed,
    asked: &[&'static str],
    tested: &Probed<Held>,
    known: Known<'_>,
) -> Finding {
    let tested = match tested {
        Ok(tested) => tested,
        Err(error) => {
            return Finding::failed(format!("nothing is known of {}: {error}", known.scope))
                .mend(policy_command(known.scope, "describe", &[]));
        }
    };
    let missing: Vec<&str> = asked
        .iter()
        .copied()
        .filter(|it| !tested.held.contains(*it) && !tested.untestable.contains(*it))
        .collect();
    let untestable: Vec<&str> = tested.untestable.iter().map(String::as_str).collect();
    let note = if untestable.is_empty() {
        String::new()
    } else {
        format!("; Google does not test on {}: {}", known.scope, untestable.join(", "))
    };
    if missing.is_empty() {
        return all_held(part, tested, known, &note);
    }
    Finding::failed(format!("missing on {}: {}{note}", known.scope, missing.join(", ")))
        .mends(give(part, asked, &missing, known))
}

/// Nothing is known to be missing; what Google does not test nobody knows.
fn all_held(part: Listed, tested: &Held, known: Known<'_>, note: &str) -> Finding {
    let said = format!(
        "{} permissions of deploy/{}-permissions.txt are held on {}{note}",
        tested.held.len(),
        part.name(),
        known.scope
    );
    match (tested.held.is_empty(), tested.untestable.is_empty()) {
        (true, _) => Finding::failed(said).mend(policy_command(known.scope, "describe", &[])),
        (false, false) => Finding::warning(said),
        (false, true) => Finding::passed(format!("all {said}")),
    }
}

/// The commands that add what is missing.
fn give(part: Listed, asked: &[&str], missing: &[&str], known: Known<'_>) -> Vec<String> {
    let mut by_role: BTreeMap<Option<&str>, Vec<&str>> = BTreeMap::new();
    for permission in missing {
        by_role.entry(known.role_for(permission)).or_default().push(permission);
    }
    by_role
        .into_iter()
        .flat_map(|(role, permissions)| match role.and_then(custom_role) {
            Some((id, owner)) => vec![add_to(id, &owner, &permissions)],
            None if known.roles.is_err() => add_to_unknown(&permissions, known),
            None => make(part, asked, known),
        })
        .collect()
}

fn add_to(id: &str, owner: &str, permissions: &[&str]) -> String {
    let add = format!("--add-permissions={}", permissions.join(","));
    gcloud(["iam", "roles", "update", id, owner, &add])
}

/// The policy could not be read, so an administrator has to look up which role it is.
fn add_to_unknown(permissions: &[&str], known: Known<'_>) -> Vec<String> {
    let filter = format!("--filter=bindings.members:{}", member(known.account()));
    let flags = ["--flatten=bindings", &filter, "--format=value(bindings.role)"];
    let owner = owner_of_roles(known.scope);
    vec![
        policy_command(known.scope, "get-iam-policy", &flags),
        format!("{}   # ROLE: as just printed", add_to("ROLE", &owner, permissions)),
    ]
}

/// No role of ours is bound: makes one with everything that is listed, and binds it.
fn make(part: Listed, asked: &[&str], known: Known<'_>) -> Vec<String> {
    let owner = owner_of_roles(known.scope);
    let permissions = format!("--permissions={}", asked.join(","));
    let name = match known.scope {
        Resource::Project(_) | Resource::Organization(_) => {
            format!("{}/roles/{}", known.scope, part.role_id())
        }
        Resource::Folder(_) => format!("organizations/ORGANIZATION/roles/{}", part.role_id()),
    };
    let flags = [format!("--member={}", member(known.account())), format!("--role={name}")];
    vec![
        gcloud(["iam", "roles", "create", part.role_id(), &owner, &permissions]),
        policy_command(
            known.scope,
            "add-iam-policy-binding",
            &[&flags[0], &flags[1], "--condition=None"],
        ),
    ]
}

/// Folders hold no roles: theirs are the organisation's.
fn owner_of_roles(scope: &Resource) -> String {
    match scope.to_string().split_once('/') {
        Some(("projects", id)) => format!("--project={id}"),
        Some(("organizations", id)) => format!("--organization={id}"),
        _ => "--organization=ORGANIZATION".to_owned(),
    }
}

/// Whether an intake that must only read holds anything by which it could give access.
pub(crate) fn judge_only_reads(
    tested: &Probed<Held>,
    asked: &[&'static str],
    known: Known<'_>,
) -> Finding {
    let tested = match tested {
        Ok(tested) => tested,
        Err(error) => {
            return Finding::skipped(format!("nothing is known of {}: {error}", known.scope));
        }
    };
    let held: Vec<&str> = asked.iter().copied().filter(|it| tested.held.contains(*it)).collect();
    if held.is_empty() {
        let said = format!("it holds nothing on {} by which access is given", known.scope);
        if tested.untestable.is_empty() {
            return Finding::passed(said);
        }
        let untestable: Vec<&str> = tested.untestable.iter().map(String::as_str).collect();
        return Finding::skipped(format!(
            "{said}, as far as Google tests it, which it does not for {}",
            untestable.join(", ")
        ));
    }
    Finding::failed(format!(
        "intake can give access on {}, and whoever takes it over can: it holds {}",
        known.scope,
        held.join(", ")
    ))
    .mends(take(&held, known))
}

/// The commands that take away what gives these permissions.
fn take(held: &[&str], known: Known<'_>) -> Vec<String> {
    let mut steps = Vec::new();
    for bound in known.roles.as_ref().map(Vec::as_slice).unwrap_or_default() {
        let given: Vec<&str> = held
            .iter()
            .copied()
            .filter(|it| bound.permissions.iter().flatten().any(|given| given == it))
            .collect();
        if given.is_empty() {
            continue;
        }
        steps.push(match custom_role(&bound.role) {
            Some((id, owner)) => {
                let remove = format!("--remove-permissions={}", given.join(","));
                gcloud(["iam", "roles", "update", id, &owner, &remove])
            }
            None => unbind(&bound.role, known),
        });
    }
    if steps.is_empty() {
        let (asset, scope) = (["asset", "search-all-iam-policies"], known.scope.to_string());
        let scope = format!("--scope={scope}");
        let query = format!("--query=policy:{}", known.account());
        steps.push(format!(
            "{}   # finds the binding; remove it",
            gcloud(asset.into_iter().chain([scope.as_str(), query.as_str()]))
        ));
    }
    steps
}

fn unbind(role: &str, known: Known<'_>) -> String {
    let flags = [format!("--member={}", member(known.account())), format!("--role={role}")];
    policy_command(known.scope, "remove-iam-policy-binding", &[&flags[0], &flags[1], "--all"])
}

#[cfg(test)]
mod tests;
