//! Looks at what this identity may do and what is there, for `curfew doctor`. None changes anything.

use std::collections::BTreeSet;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use curfew_core::policy::Policy;
use curfew_core::principal::Email;
use curfew_core::resource::Resource;
use curfew_ports::{PortError, RetryClass};
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, DATE};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::caller::{Call, Caller};
use crate::endpoints::{path_of, segment};
use crate::failure::{CallError, foreign};
use crate::json::Fields;
use crate::wire::{POLICY_VERSION, decode};

/// Permissions in one test. Google documents no limit; its own clients ask for a hundred at once.
const PERMISSIONS_MAX: usize = 100;

/// The label of every group that has an address; a search requires one.
const ADDRESS_LABEL: &str = "cloudidentity.googleapis.com/groups.discussion_forum";

/// A predefined role that everybody may read.
const WELL_KNOWN_ROLE: &str = "roles/browser";

/// Why a look saw nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProbeError {
    /// The calling project has not enabled the API.
    #[error("{service} is not enabled: {said}")]
    Disabled {
        /// Such as `cloudasset.googleapis.com`.
        service: String,
        /// The answer's words.
        said: String,
    },
    /// This identity may not look, or there is nothing: Google does not say which.
    #[error("{0}")]
    Denied(String),
    /// There is no such thing.
    #[error("{0}")]
    NotFound(String),
    /// The question makes no sense to Google.
    #[error("{0}")]
    Invalid(String),
    /// No answer that can be judged.
    #[error("{0}")]
    Unanswered(String),
}

/// What a look saw, or why it saw nothing.
pub type Probed<T> = Result<T, ProbeError>;

/// Which of the permissions that were asked about are held.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Held {
    /// Held.
    pub held: BTreeSet<String>,
    /// Google does not know these on such a resource.
    pub untestable: BTreeSet<String>,
}

/// What Google says of this process's access token
/// (<https://developers.google.com/identity/protocols/oauth2/openid-connect#validatinganidtoken>).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TokenInfo {
    /// Whose it is, where the token's scopes let Google say so.
    pub email: Option<String>,
    /// What it may be used for.
    pub scopes: BTreeSet<String>,
}

/// A Firestore database
/// (<https://cloud.google.com/firestore/docs/reference/rest/v1/projects.databases#Database>).
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Database {
    /// `FIRESTORE_NATIVE` or `DATASTORE_MODE`.
    #[serde(rename = "type")]
    pub mode: String,
    /// Such as `eur3`.
    pub location_id: String,
}

/// Looks, each one call; a list is looked at for its first page.
#[derive(Clone)]
pub struct GoogleProbe {
    caller: Arc<Caller>,
}

impl GoogleProbe {
    pub(crate) fn new(caller: Arc<Caller>) -> Self {
        Self { caller }
    }

    /// Which of the permissions this identity holds on a node. Asking needs no permission; a node that is not there
    /// is [`ProbeError::Denied`].
    pub async fn held(&self, node: &Resource, permissions: &[&str]) -> Probed<Held> {
        let mut all = Held::default();
        for chunk in permissions.chunks(PERMISSIONS_MAX) {
            match self.test(node, chunk).await {
                Ok(held) => all.held.extend(held),
                // One that does not exist on such a node spoils the whole question.
                Err(ProbeError::Invalid(_)) => self.test_each(node, chunk, &mut all).await?,
                Err(error) => return Err(error),
            }
        }
        Ok(all)
    }

    async fn test_each(&self, node: &Resource, chunk: &[&str], all: &mut Held) -> Probed<()> {
        for permission in chunk {
            match self.test(node, &[permission]).await {
                Ok(held) => all.held.extend(held),
                Err(ProbeError::Invalid(_)) => {
                    all.untestable.insert((*permission).to_owned());
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    async fn test(&self, node: &Resource, permissions: &[&str]) -> Probed<BTreeSet<String>> {
        let base = &self.caller.endpoints.resource_manager;
        let url = format!("{base}/v3/{}:testIamPermissions", path_of(node));
        let act = format!("test permissions on {node}");
        let body = json!({"permissions": permissions});
        let call = Call::post("resourcemanager.testIamPermissions", &act, url, &body);
        let tested: Tested = self.ask(&call.map_err(unasked)?).await?;
        Ok(tested.permissions.into_iter().filter(|it| permissions.contains(&it.as_str())).collect())
    }

    /// Whether the API for roles answers, by a role that everybody may read.
    pub async fn roles(&self) -> Probed<()> {
        let url = format!("{}/v1/{WELL_KNOWN_ROLE}", self.caller.endpoints.iam);
        self.look(&Call::get("iam.roles.get", format!("read {WELL_KNOWN_ROLE}"), url)).await
    }

    /// Whether the asset index answers for a scope.
    pub async fn assets(&self, scope: &Resource) -> Probed<()> {
        let base = &self.caller.endpoints.cloud_asset;
        let url = format!("{base}/v1/{}:searchAllResources", path_of(scope));
        let act = format!("search the assets of {scope}");
        let call = Call::get("cloudasset.searchAllResources", act, url)
            .query("assetTypes", "cloudresourcemanager.googleapis.com/Project")
            .query("pageSize", "1");
        self.look(&call).await
    }

    /// Whether nested groups can be searched, which takes a licence; asked about one member.
    pub async fn transitive_groups(&self, member: &Email) -> Probed<()> {
        let base = &self.caller.endpoints.cloud_identity;
        let url = format!("{base}/v1/groups/-/memberships:searchTransitiveGroups");
        let act = format!("search the groups of {member}");
        if member.as_str().contains(['\'', '"', '\\']) {
            return Err(ProbeError::Invalid(format!("{act}: the address has quotes")));
        }
        let query = format!("member_key_id == '{member}' && '{ADDRESS_LABEL}' in labels");
        let call = Call::get("cloudidentity.searchTransitiveGroups", act, url)
            .query("query", query)
            .query("pageSize", "1");
        self.look(&call).await
    }

    /// Whether the Directory lists the groups of a member. One that it does not know is in none.
    pub async fn directory_groups(&self, member: &Email) -> Probed<()> {
        let url = format!("{}/admin/directory/v1/groups", self.caller.endpoints.directory);
        let call = Call::get("directory.groups.list", format!("list the groups of {member}"), url)
            .query("userKey", member.as_str())
            .query("maxResults", "1");
        match self.look(&call).await {
            Err(ProbeError::NotFound(_)) => Ok(()),
            answer => answer,
        }
    }

    /// Whether there is such a group.
    pub async fn group(&self, group: &Email) -> Probed<()> {
        let url = format!("{}/v1/groups:lookup", self.caller.endpoints.cloud_identity);
        let call =
            Call::get("cloudidentity.groups.lookup", format!("look up the group {group}"), url)
                .query("groupKey.id", group.as_str());
        self.look(&call).await
    }

    /// Who may use a service account. Needs `iam.serviceAccounts.getIamPolicy` on it.
    pub async fn account_policy(&self, account: &Email) -> Probed<Policy> {
        let base = &self.caller.endpoints.iam;
        let name = format!("projects/-/serviceAccounts/{}", segment(account.as_str()));
        let act = format!("read the policy of {account}");
        let url = format!("{base}/v1/{name}:getIamPolicy");
        let call = Call::post_empty("iam.serviceAccounts.getIamPolicy", act.as_str(), url)
            .query("options.requestedPolicyVersion", POLICY_VERSION.to_string());
        let fields: Fields = self.ask(&call).await?;
        decode(fields).map_err(|error| ProbeError::Unanswered(format!("{act}: {error}")))
    }

    /// The ids of the keys that people made for a service account. Needs `iam.serviceAccountKeys.list` on it.
    pub async fn account_keys(&self, account: &Email) -> Probed<Vec<String>> {
        let base = &self.caller.endpoints.iam;
        let name = format!("projects/-/serviceAccounts/{}/keys", segment(account.as_str()));
        let act = format!("list the keys of {account}");
        let call = Call::get("iam.serviceAccounts.keys.list", act, format!("{base}/v1/{name}"))
            .query("keyTypes", "USER_MANAGED");
        let listed: KeysAnswer = self.ask(&call).await?;
        let id = |key: AccountKey| foreign(key.name.rsplit('/').next().unwrap_or_default());
        Ok(listed.keys.into_iter().map(id).collect())
    }

    /// A Firestore database. Needs `datastore.databases.getMetadata`.
    pub async fn database(&self, project: &str, database: &str) -> Probed<Database> {
        let base = &self.caller.endpoints.firestore;
        let act = format!("look at the database {database} of projects/{project}");
        let url = format!(
            "{base}/v1/projects/{}/databases/{}",
            segment(project),
            // Google's own clients send the parentheses of `(default)` as they are.
            segment(database).replace("%28", "(").replace("%29", ")")
        );
        self.ask(&Call::get("firestore.databases.get", act, url)).await
    }

    /// What this process's access token is good for. The token is in the body, which nobody logs.
    pub async fn token(&self) -> Probed<TokenInfo> {
        let url = format!("{}/tokeninfo", self.caller.endpoints.oauth2);
        let unanswered = |why: &str| ProbeError::Unanswered(format!("ask about the token: {why}"));
        let headers = self.caller.tokens.headers().await;
        let headers = headers.map_err(|error| of(error, "get an access token"))?;
        let header = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
        let token = header.and_then(|value| value.strip_prefix("Bearer "));
        let body = format!("access_token={}", segment(token.ok_or_else(|| unanswered("none"))?));
        let request = self.caller.client.post(url).body(body);
        let request = request.header(CONTENT_TYPE, "application/x-www-form-urlencoded");
        let answer = request.send().await.map_err(|error| lost(error, "ask about the token"))?;
        if !answer.status().is_success() {
            return Err(unanswered(&format!("answered {}", answer.status().as_u16())));
        }
        let told = answer.json::<Value>().await.map_err(|_| unanswered("not as documented"))?;
        let text = |name: &str| told.get(name).and_then(Value::as_str).map(foreign);
        let scopes = text("scope").unwrap_or_default();
        Ok(TokenInfo {
            email: text("email"),
            scopes: scopes.split(' ').filter(|it| !it.is_empty()).map(str::to_owned).collect(),
        })
    }

    /// The time in Google's answer, whole seconds, to a question that needs no token.
    pub async fn date(&self) -> Probed<DateTime<Utc>> {
        let act = "read Google's time";
        let url = format!("{}/", self.caller.endpoints.resource_manager);
        let answer = self.caller.client.get(url).send().await.map_err(|error| lost(error, act))?;
        let date = answer.headers().get(DATE).and_then(|date| date.to_str().ok());
        let date = date.and_then(|date| DateTime::parse_from_rfc2822(date).ok());
        let date = date.map(|date| date.to_utc());
        date.ok_or_else(|| ProbeError::Unanswered(format!("{act}: the answer has no date")))
    }

    async fn look(&self, call: &Call) -> Probed<()> {
        self.ask::<Value>(call).await.map(drop)
    }

    async fn ask<T: serde::de::DeserializeOwned>(&self, call: &Call) -> Probed<T> {
        self.caller.ask(call).await.map_err(|error| of(error, call.act()))
    }
}

fn of(error: CallError, act: &str) -> ProbeError {
    if let CallError::Refused(refusal) = &error
        && let Some(service) = refusal.disabled_service()
    {
        return ProbeError::Disabled { service: service.to_owned(), said: refusal.to_string() };
    }
    unasked(error.at(act))
}

#[expect(clippy::needless_pass_by_value, reason = "it maps errors")]
fn unasked(error: PortError) -> ProbeError {
    let said = error.chain();
    match error.class {
        RetryClass::Denied => ProbeError::Denied(said),
        RetryClass::NotFound => ProbeError::NotFound(said),
        RetryClass::Invalid => ProbeError::Invalid(said),
        RetryClass::Conflict
        | RetryClass::AlreadyExists
        | RetryClass::RateLimited(_)
        | RetryClass::Unavailable => ProbeError::Unanswered(said),
    }
}

fn lost(error: reqwest::Error, act: &str) -> ProbeError {
    of(CallError::Transport(error.without_url()), act)
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Tested {
    permissions: Vec<String>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct KeysAnswer {
    keys: Vec<AccountKey>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct AccountKey {
    name: String,
}
