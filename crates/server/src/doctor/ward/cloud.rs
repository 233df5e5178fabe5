//! Looks at Google Cloud: APIs, groups, the account itself, and the time.

use std::collections::BTreeSet;

use chrono::TimeDelta;
use curfew_core::policy::Policy;
use curfew_core::principal::Email;
use curfew_core::resource::Resource;
use curfew_core::role::Role;
use curfew_gcp::{GoogleCatalog, Probed};
use curfew_ports::{Catalog as _, Clock as _};
use futures_util::stream::{self, StreamExt as _};
use tokio::time::timeout;

use super::super::apis::{self, Groups};
use super::super::clock::{self, Reading};
use super::super::grants::{self, Given};
use super::super::report::{Check, Finding};
use super::{Cloud, LOOK_TIME_MAX, LOOKS_AT_ONCE, Seen, Ward};

/// Roles that are looked up of one policy; the policy of a busy project has some dozens.
const ROLES_MAX: usize = 200;

/// Groups that are looked up.
const GROUPS_MAX: usize = 20;

/// The roles that IAM does not let be conditional, which are more than permissions: they always let act as an account.
const BASIC: [&str; 2] = ["roles/owner", "roles/editor"];

/// What counts of them here: both let act as any account of their project, and the owner may give any role.
fn of_basic(role: &str) -> BTreeSet<String> {
    let gives = (role == "roles/owner").then_some("resourcemanager.projects.setIamPolicy");
    gives.into_iter().chain(["iam.serviceAccounts.actAs"]).map(str::to_owned).collect()
}

/// What the roles give, as far as that can be read.
pub(super) async fn given(catalog: &GoogleCatalog, roles: BTreeSet<String>) -> Given {
    let look = |name: String| async move {
        if BASIC.contains(&name.as_str()) {
            let given = of_basic(&name);
            return (name, Some(given));
        }
        let Ok(role) = Role::parse(&name) else { return (name, None) };
        let read = timeout(LOOK_TIME_MAX, catalog.permissions(&role)).await;
        // A role that does not exist gives nothing.
        (name, read.ok().and_then(Result::ok).map(Option::unwrap_or_default))
    };
    let looks = roles.into_iter().take(ROLES_MAX).map(look);
    stream::iter(looks).buffer_unordered(LOOKS_AT_ONCE).collect().await
}

impl Ward {
    /// Each API by a harmless call, and with the same calls how groups are read.
    pub(super) async fn apis_and_groups(&self, cloud: &Cloud) -> Vec<Check> {
        let (probe, scope) = (&cloud.probe, &self.config.rules.scope);
        let manager =
            async { probe.held(scope, &["resourcemanager.projects.get"]).await.map(drop) };
        let (manager, roles, assets) = tokio::join!(
            self.probed(manager),
            self.probed(probe.roles()),
            self.probed(probe.assets(scope)),
        );
        let project = cloud.project.as_deref();
        let api = |name: &str, service: &str, seen: &Seen<Probed<()>>| {
            seen.judged(name, |answer| apis::judge(service, answer, project))
        };
        let mut checks = vec![
            api("apis.cloudresourcemanager", "cloudresourcemanager.googleapis.com", &manager),
            api("apis.iam", "iam.googleapis.com", &roles),
        ];
        if self.part.has_intake() {
            checks.push(api("apis.cloudasset", "cloudasset.googleapis.com", &assets));
        }
        checks.extend(self.groups(cloud, api).await);
        checks
    }

    async fn groups(
        &self,
        cloud: &Cloud,
        api: impl Fn(&str, &str, &Seen<Probed<()>>) -> Check,
    ) -> Vec<Check> {
        let member = cloud.account.as_deref().and_then(|account| Email::parse(account).ok());
        let Some(member) = member else {
            let finding = Finding::skipped("who this is is not known, see identity");
            return vec![Check { name: "groups".into(), finding, took: std::time::Duration::ZERO }];
        };
        let (transitive, directory) = tokio::join!(
            self.probed(cloud.probe.transitive_groups(&member)),
            self.probed(cloud.probe.directory_groups(&member)),
        );
        let mut checks =
            vec![api("apis.cloudidentity", "cloudidentity.googleapis.com", &transitive)];
        let scopes = cloud.token.as_ref().map(|token| token.scopes.clone()).unwrap_or_default();
        let groups =
            Groups { transitive: transitive.saw.clone(), directory: directory.saw.clone(), scopes };
        if groups.needs_directory() {
            checks.push(api("apis.admin", "admin.googleapis.com", &directory));
        }
        checks.push(transitive.judged("groups", |_| groups.judge(cloud.account.as_deref())));
        checks.push(self.named_groups(cloud).await);
        checks
    }

    async fn named_groups(&self, cloud: &Cloud) -> Check {
        let configured = self.config.operators.groups.iter().chain(&self.config.auditors.groups);
        let all: BTreeSet<&Email> = configured.chain(&self.brought.groups).collect();
        let looks = all.into_iter().take(GROUPS_MAX).map(|group| async move {
            (group.clone(), self.probed(cloud.probe.group(group)).await.saw)
        });
        let looks = stream::iter(looks).buffered(LOOKS_AT_ONCE).collect::<Vec<_>>();
        self.timed(looks).await.judged("groups.named", |named| apis::judge_named(named))
    }

    /// Who else can act as the account.
    pub(super) async fn account(&self, cloud: &Cloud, account: &str) -> Vec<Check> {
        let Ok(email) = Email::parse(account) else { return Vec::new() };
        if !email.is_service_account() {
            let finding = || Finding::skipped("a person, see identity");
            let check = |name: &str| Check {
                name: name.into(),
                finding: finding(),
                took: std::time::Duration::ZERO,
            };
            return vec![check("account.users"), check("account.keys")];
        }
        let (own, of_project, keys) = tokio::join!(
            self.probed(cloud.probe.account_policy(&email)),
            self.project_policy(cloud),
            self.probed(cloud.probe.account_keys(&email)),
        );
        let names = |policy: &Policy| {
            policy.bindings.iter().map(|binding| binding.role.clone()).collect::<BTreeSet<_>>()
        };
        let mut roles = own.saw.as_ref().map(names).unwrap_or_default();
        roles.extend(of_project.as_ref().map(names).unwrap_or_default());
        let catalog = cloud.google.catalog(self.config.rules.scope.clone());
        let given = given(&catalog, roles).await;
        vec![
            own.judged("account.users", |own| {
                grants::judge_users(account, own, &of_project, &given)
            }),
            keys.judged("account.keys", |keys| grants::judge_keys(account, keys)),
        ]
    }

    async fn project_policy(&self, cloud: &Cloud) -> Result<Policy, String> {
        let project = cloud.project.as_ref().ok_or("the account's project is not known")?;
        let node = Resource::parse(&format!("projects/{project}"))
            .map_err(|error| format!("{project:?} {error}"))?;
        let catalog = cloud.google.catalog(self.config.rules.scope.clone());
        let look = async { catalog.policy(&node).await.map_err(|error| error.chain()) };
        self.told(look).await.saw
    }

    /// This machine's clock by Google's, and by the store's as it was read.
    pub(super) async fn clocks(&self, cloud: &Cloud, stores: Result<Reading, String>) -> Check {
        let asked = self.clock.now();
        let seen = self.probed(cloud.probe.date()).await;
        let answered = self.clock.now();
        let googles = seen.saw.clone().map_err(|error| error.to_string());
        // A date in a header is cut to whole seconds.
        let unit = TimeDelta::seconds(1);
        let googles = googles.map(|told| Reading { asked, answered, told, unit });
        let readings = [("Google", googles), ("the store", stores)];
        seen.judged("clock", |_| clock::judge(&readings))
    }
}
