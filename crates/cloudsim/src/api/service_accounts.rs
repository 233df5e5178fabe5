//! IAM's service accounts: who may use one, and the keys that people made for it. Both stand as the seed has them.

use serde_json::{Value, json};

use crate::api::policies::check_version;
use crate::api::route::{NodeRef, Path, Wire, decode};
use crate::api::session::{Below, Session};
use crate::error::ApiError;
use crate::policy::Revision;
use crate::world::{NodeKind, ServiceAccount};

/// The project in a name whose writer leaves it to IAM to find the account.
const ANY_PROJECT: &str = "-";

/// One call about a service account.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Call {
    project: String,
    email: String,
    about: About,
}

#[derive(Debug, Clone, PartialEq)]
enum About {
    Policy { requested_version: i64 },
    Keys { only_users: bool },
}

impl Call {
    /// `None` for a path that none of these methods has.
    ///
    /// # Errors
    /// 400 for a version that is no number.
    pub(crate) fn read(wire: &Wire<'_>, path: &Path<'_>) -> Result<Option<Self>, ApiError> {
        let (project, email, about) =
            match (wire.method.as_str(), path.segments.as_slice(), path.verb) {
                ("POST", ["projects", project, "serviceAccounts", email], Some("getIamPolicy")) => {
                    let version = wire.query.get("options.requestedPolicyVersion").unwrap_or("0");
                    let requested_version = version.parse().map_err(|_| {
                        ApiError::invalid("options.requestedPolicyVersion must be a number.")
                    })?;
                    (project, email, About::Policy { requested_version })
                }
                ("GET", ["projects", project, "serviceAccounts", email, "keys"], None) => {
                    let kinds: Vec<&str> = wire.query.all("keyTypes").collect();
                    (project, email, About::Keys { only_users: kinds == ["USER_MANAGED"] })
                }
                _ => return Ok(None),
            };
        let decoded = decode(project).zip(decode(email));
        Ok(decoded.map(|(project, email)| Self { project, email, about }))
    }

    /// The method's name, as faults name it.
    pub(crate) fn method(&self) -> &'static str {
        match self.about {
            About::Policy { .. } => "getIamPolicy",
            About::Keys { .. } => "list",
        }
    }

    /// The account's name as the caller wrote it.
    pub(crate) fn resource(&self) -> String {
        format!("projects/{}/serviceAccounts/{}", self.project, self.email)
    }
}

/// Answers the call.
pub(crate) fn answer(session: &Session<'_>, call: &Call) -> Result<Value, ApiError> {
    match call.about {
        About::Policy { requested_version } => {
            check_version(requested_version, "requested_policy_version")?;
            let account = account(session, call, "iam.serviceAccounts.getIamPolicy")?;
            let policy = account.policy.clone();
            let revision = Revision { counter: 1, policy, written_at: None };
            Ok(json!(revision.view(requested_version)))
        }
        About::Keys { only_users } => {
            let account = account(session, call, "iam.serviceAccountKeys.list")?;
            Ok(keys(account, only_users))
        }
    }
}

/// The account, if the caller has the permission on it.
fn account<'world>(
    session: &Session<'world>,
    call: &Call,
    permission: &str,
) -> Result<&'world ServiceAccount, ApiError> {
    let found = session.world.service_accounts.get(&call.email).filter(|account| {
        let node = session.world.node(NodeKind::Project, &call.project);
        call.project == ANY_PROJECT || node.is_some_and(|node| node.id == account.project)
    });
    let project = found.map_or(call.project.as_str(), |account| account.project.as_str());
    let project = NodeRef { kind: NodeKind::Project, id: project.to_owned() };
    let name = format!("projects/{}/serviceAccounts/{}", project.id, call.email);
    let below = Below {
        service: "iam.googleapis.com",
        kind: "iam.googleapis.com/ServiceAccount",
        name: &name,
    };
    session.require_below(&project, permission, &below)?;
    found.ok_or_else(|| ApiError::not_found(format!("Service account {name} does not exist.")))
}

/// Google keeps keys of its own for every account, <https://cloud.google.com/iam/docs/service-account-creds>.
fn keys(account: &ServiceAccount, only_users: bool) -> Value {
    let name = |id: &str| {
        format!("projects/{}/serviceAccounts/{}/keys/{id}", account.project, account.email)
    };
    let key = |id: &str, kind: &str| json!({"name": name(id), "keyType": kind, "keyAlgorithm": "KEY_ALG_RSA_2048"});
    let mut keys: Vec<Value> =
        account.user_managed_keys.iter().map(|id| key(id, "USER_MANAGED")).collect();
    if !only_users {
        keys.push(key("0000000000000000000000000000000000000001", "SYSTEM_MANAGED"));
    }
    if keys.is_empty() { json!({}) } else { json!({"keys": keys}) }
}
