//! How far the controller's own power goes, and who else can use it.

use std::collections::{BTreeMap, BTreeSet};

use curfew_core::policy::Policy;
use curfew_core::resource::Resource;
use curfew_gcp::{ProbeError, Probed};

use super::mend::{gcloud, member, policy_command, project_of};
use super::permissions::BoundRole;
use super::report::Finding;

/// The attribute by which a condition limits which roles may be given and taken
/// (<https://cloud.google.com/iam/docs/setting-limits-on-granting-roles>).
const LIMIT: &str = "iam.googleapis.com/modifiedGrantsByRole";

/// By each of these somebody acts as a service account.
pub(crate) const ACTS_AS: [&str; 7] = [
    "iam.serviceAccountKeys.create",
    "iam.serviceAccounts.actAs",
    "iam.serviceAccounts.getAccessToken",
    "iam.serviceAccounts.implicitDelegation",
    "iam.serviceAccounts.setIamPolicy",
    "iam.serviceAccounts.signBlob",
    "iam.serviceAccounts.signJwt",
];

/// Roles that may give any role, themselves included: where one of these may be given, the condition limits nothing.
const GIVES_ALL: [&str; 6] = [
    "roles/iam.securityAdmin",
    "roles/owner",
    "roles/resourcemanager.folderAdmin",
    "roles/resourcemanager.folderIamAdmin",
    "roles/resourcemanager.organizationAdmin",
    "roles/resourcemanager.projectIamAdmin",
];

/// Google's projects whose agents run programs as an account
/// (<https://cloud.google.com/iam/docs/service-agents>): Cloud Run, Compute Engine, Kubernetes Engine, App Engine.
const AGENTS: [&str; 4] =
    ["serverless-robot-prod", "compute-system", "container-engine-robot", "gcp-gae-service"];

/// Roles with their permissions; `None` where they could not be read.
pub(crate) type Given = BTreeMap<String, Option<BTreeSet<String>>>;

/// Whether a condition limits what the controller may give.
pub(crate) fn judge_limit(
    roles: &Result<Vec<BoundRole>, String>,
    scope: &Resource,
    account: &str,
) -> Finding {
    let roles = match roles {
        Ok(roles) => roles,
        Err(why) => return Finding::skipped(format!("the policy of {scope} is not known: {why}")),
    };
    let writes = |bound: &&BoundRole| {
        bound.permissions.iter().flatten().any(|it| it.ends_with(".setIamPolicy"))
    };
    let able: Vec<&BoundRole> = roles.iter().filter(writes).collect();
    let free: Vec<&&BoundRole> = able.iter().filter(|bound| !is_limited(bound)).collect();
    let unread: Vec<&str> =
        roles.iter().filter(|it| it.permissions.is_none()).map(|it| it.role.as_str()).collect();
    match (able.is_empty(), free.is_empty()) {
        (true, _) => Finding::skipped(format!(
            "no role that the policy of {scope} gives {account} by its name is known to write policies"
        )),
        (false, true) if unread.is_empty() => {
            Finding::passed("a condition limits the roles that it may give and take")
        }
        (false, true) => Finding::skipped(format!(
            "a condition limits the roles that it may give and take, as far as roles could be read, which {} could not",
            unread.join(", ")
        )),
        (false, false) => {
            let names: Vec<&str> = free.iter().map(|bound| bound.role.as_str()).collect();
            Finding::warning(format!(
                "{} on {scope} has no condition on modifiedGrantsByRole: whoever takes the controller over can give any role there",
                names.join(", ")
            ))
            .mends(names.iter().flat_map(|role| limit(role, scope, account)))
            .mend("grantable_roles = [\"roles/compute.viewer\"]   # the same in terraform/modules/identity: at most ten roles")
        }
    }
}

/// Whether the condition is the limit and nothing else: with anything joined to it, it may hold for every write.
fn is_limited(bound: &BoundRole) -> bool {
    let condition: String = bound
        .condition
        .iter()
        .flat_map(|text| text.chars())
        .filter(|it| !it.is_whitespace())
        .map(|it| if it == '"' { '\'' } else { it })
        .collect();
    let roles = condition
        .strip_prefix(&format!("api.getAttribute('{LIMIT}',[]).hasOnly(["))
        .and_then(|rest| rest.strip_suffix("])"));
    roles.is_some_and(|roles| roles.split(',').all(is_narrow))
}

/// Whether it is one quoted role, and none by which all others can be given.
fn is_narrow(quoted: &str) -> bool {
    let role = quoted.strip_prefix('\'').and_then(|rest| rest.strip_suffix('\''));
    role.is_some_and(|role| {
        role.bytes().all(|b| b.is_ascii_alphanumeric() || b"/._-:".contains(&b))
            && role.contains("roles/")
            && !GIVES_ALL.contains(&role)
    })
}

/// First the limited binding, then away with the free one: access is never gone in between.
fn limit(role: &str, scope: &Resource, account: &str) -> [String; 2] {
    let flags = [format!("--member={}", member(account)), format!("--role={role}")];
    // Another separator than the comma, which stands in the expression.
    let condition = format!(
        "--condition=^:^title=only grantable roles:expression=api.getAttribute('{LIMIT}', []).hasOnly(['roles/compute.viewer'])"
    );
    let command = |verb, last: &str| policy_command(scope, verb, &[&flags[0], &flags[1], last]);
    [
        command("add-iam-policy-binding", &condition),
        command("remove-iam-policy-binding", "--condition=None"),
    ]
}

/// Who besides can act as the account: by its own policy, and by that of its project.
pub(crate) fn judge_users(
    account: &str,
    own: &Probed<Policy>,
    of_project: &Result<Policy, String>,
    given: &Given,
) -> Finding {
    let look = gcloud(["iam", "service-accounts", "get-iam-policy", account]);
    let on_itself = match own {
        Ok(policy) => match Others::of(policy, given, account) {
            Others { acting, .. } if !acting.is_empty() => {
                let said = format!("others can act as {account}: {}", lines(&acting));
                let remove = |(member, role): &(&str, &str)| {
                    let flags = [format!("--member={member}"), format!("--role={role}")];
                    let words = ["iam", "service-accounts", "remove-iam-policy-binding", account];
                    gcloud(words.into_iter().chain(flags.iter().map(String::as_str)))
                };
                Finding::failed(said).mends(acting.iter().map(remove))
            }
            Others { unread, .. } => nobody("by its own policy", &unread),
        },
        Err(ProbeError::Denied(_)) => Finding::skipped(
            "its own policy may not be read from here (iam.serviceAccounts.getIamPolicy, which Curfew does not need): look by hand",
        )
        .mend(look),
        Err(error) => Finding::skipped(format!("its own policy could not be read: {error}")).mend(look),
    };
    on_itself.and(judge_project_users(account, of_project, given))
}

fn judge_project_users(account: &str, policy: &Result<Policy, String>, given: &Given) -> Finding {
    let policy = match policy {
        Ok(policy) => policy,
        Err(why) => return Finding::skipped(format!("that of its project: {why}")),
    };
    match Others::of(policy, given, account) {
        Others { acting, .. } if !acting.is_empty() => {
            Finding::warning(format!("by that of its project: {}", lines(&acting)))
        }
        Others { unread, .. } => nobody("by that of its project", &unread),
    }
}

/// What a role gives that could not be read, nobody knows.
fn nobody(by: &str, unread: &BTreeSet<&str>) -> Finding {
    if unread.is_empty() {
        return Finding::passed(format!("nobody else {by}"));
    }
    let roles: Vec<&str> = unread.iter().copied().collect();
    Finding::skipped(format!(
        "nobody else {by} as far as roles could be read, which {} could not",
        roles.join(", ")
    ))
}

/// Who else a policy names.
struct Others<'a> {
    /// Members and roles by which they act as the account.
    acting: Vec<(&'a str, &'a str)>,
    /// Roles that others have and that could not be read.
    unread: BTreeSet<&'a str>,
}

impl<'a> Others<'a> {
    fn of(policy: &'a Policy, given: &Given, account: &str) -> Self {
        let own = member(account);
        let is_other = |member: &str| {
            member != own
                && !is_googles(member)
                && !is_workload(member, account)
                && !member.starts_with("deleted:")
        };
        let mut others = Self { acting: Vec::new(), unread: BTreeSet::new() };
        for binding in &policy.bindings {
            let members = binding.members.iter().map(String::as_str).filter(|it| is_other(it));
            match given.get(&binding.role).and_then(Option::as_ref) {
                Some(permissions) if ACTS_AS.iter().any(|acts| permissions.contains(*acts)) => {
                    others.acting.extend(members.map(|member| (member, binding.role.as_str())));
                }
                Some(_) => {}
                None => others.unread.extend(members.map(|_| binding.role.as_str())),
            }
        }
        others
    }
}

/// An agent of Google's by which a service runs as the account. Anybody may name an account of their own `service-12`, so
/// the project that it belongs to must be Google's.
fn is_googles(member: &str) -> bool {
    let name = member.strip_prefix("serviceAccount:service-");
    name.and_then(|name| name.split_once('@')).is_some_and(|(number, domain)| {
        let project = domain.strip_suffix(".iam.gserviceaccount.com");
        number.bytes().all(|b| b.is_ascii_digit()) && project.is_some_and(|it| AGENTS.contains(&it))
    })
}

/// A workload of the project's own Kubernetes that runs as the account: the part itself, as a rule.
fn is_workload(member: &str, account: &str) -> bool {
    project_of(account).is_some_and(|project| {
        member.starts_with(&format!("serviceAccount:{project}.svc.id.goog["))
    })
}

fn lines(users: &[(&str, &str)]) -> String {
    users.iter().map(|(member, role)| format!("{member} by {role}")).collect::<Vec<_>>().join(", ")
}

/// Whether anybody made keys for the account.
pub(crate) fn judge_keys(account: &str, keys: &Probed<Vec<String>>) -> Finding {
    let owner = format!("--iam-account={account}");
    let look = || gcloud(["iam", "service-accounts", "keys", "list", &owner, "--managed-by=user"]);
    match keys {
        Ok(keys) if keys.is_empty() => Finding::passed("nobody has made a key for it"),
        Ok(keys) => Finding::failed(format!(
            "{account} has keys that people made: whoever has a copy is the account: {}",
            keys.join(", ")
        ))
        .mends(keys.iter().map(|key| gcloud(["iam", "service-accounts", "keys", "delete", key, &owner]))),
        Err(ProbeError::Denied(_)) => Finding::skipped(
            "its keys may not be listed from here (iam.serviceAccountKeys.list, which Curfew does not need): look by hand",
        )
        .mend(look()),
        Err(error) => Finding::skipped(format!("its keys could not be listed: {error}")).mend(look()),
    }
}

#[cfg(test)]
mod tests;
