//! The looks: each gathers what one judgement needs, within a deadline, and times it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use curfew_core::principal::Email;
use curfew_core::resource::Resource;
use curfew_gcp::{Google, GoogleProbe, ProbeError, Probed, TokenInfo};
use curfew_ports::{Catalog as _, Clock as _};
use futures_util::stream::{self, StreamExt as _};
use prometheus::Registry;
use tokio::time::timeout;

use super::identity::{self, Credentials};
use super::permissions::{BoundRole, Known, Listed, bound_to};
use super::report::{Check, Finding};
use super::{grants, permissions, protected};
use crate::clock::SystemClock;
use crate::config::Config;
use crate::run::{self, Mode};

mod cloud;
mod local;

/// How long one look may take: what answers later than this is no help to people who wait.
pub(super) const LOOK_TIME_MAX: Duration = Duration::from_secs(10);

/// How long one attempt of a call may take, so that it can be made twice within a look and still say why it failed.
const CALL_TIME_MAX: Duration = Duration::from_secs(4);

/// Looks at things of the same kind at once.
const LOOKS_AT_ONCE: usize = 8;

/// Checks that both parts have and that rest on an answer of Google's.
const OF_THE_CLOUD: [&str; 9] = [
    "identity.scopes",
    "apis.cloudresourcemanager",
    "apis.iam",
    "apis.cloudidentity",
    "groups",
    "clock",
    "scope.protected",
    "account.users",
    "account.keys",
];

/// What the operator brought along.
pub(super) struct Brought {
    pub(super) assertion: Option<String>,
    pub(super) groups: Vec<Email>,
}

/// Everything that the looks need to know.
pub(super) struct Ward {
    config: Config,
    part: Mode,
    brought: Brought,
    environment: BTreeMap<String, String>,
    clock: SystemClock,
}

/// What is needed for looks at the cloud.
struct Cloud {
    google: Google,
    probe: GoogleProbe,
    /// What the token is good for; unknown if it could not be asked.
    token: Probed<TokenInfo>,
    /// The address of the identity that this runs under.
    account: Option<String>,
    /// The project that the account belongs to.
    project: Option<String>,
    /// The roles that the scope's policy gives the account.
    roles: Result<Vec<BoundRole>, String>,
}

/// What a look saw, and how long it took.
struct Seen<T> {
    saw: T,
    took: Duration,
}

impl<T> Seen<T> {
    fn judged(&self, name: impl Into<String>, judge: impl FnOnce(&T) -> Finding) -> Check {
        Check { name: name.into(), finding: judge(&self.saw), took: self.took }
    }
}

/// A look that found out nothing in time.
fn late() -> String {
    format!("no answer within {} s", LOOK_TIME_MAX.as_secs())
}

impl Ward {
    pub(super) fn new(
        mut config: Config,
        part: Mode,
        brought: Brought,
        environment: &BTreeMap<String, String>,
    ) -> Self {
        config.timeouts.read = config.timeouts.read.min(CALL_TIME_MAX);
        Self { config, part, brought, environment: environment.clone(), clock: SystemClock }
    }

    /// All looks, as far as they can be made; those at different things at once.
    pub(super) async fn examine(&self) -> Vec<Check> {
        run::install_crypto();
        let mut checks = vec![self.configuration().await];
        let credentials = self.timed(self.credentials()).await;
        match self.cloud(&credentials.saw).await {
            Err(why) => {
                checks.push(credentials.judged("identity", |_| Finding::failed(why.clone())));
                let ((store, _), keys, iap) =
                    tokio::join!(self.store(None), self.keys(None), self.iap());
                checks.extend([unasked(), store, keys, iap].concat());
            }
            Ok(cloud) => {
                checks.extend(self.identity(&credentials, &cloud));
                let account = cloud.account.as_deref();
                let (apis, permissions, (store, stores_time), keys, iap, protected, grants) = tokio::join!(
                    self.apis_and_groups(&cloud),
                    self.permissions(&cloud),
                    self.store(account),
                    self.keys(account),
                    self.iap(),
                    self.protected(&cloud),
                    self.grants(&cloud),
                );
                let clock = self.clocks(&cloud, stores_time).await;
                let all =
                    [apis, permissions, store, vec![clock], keys, iap, vec![protected], grants];
                checks.extend(all.concat());
            }
        }
        checks
    }

    /// What the servers themselves check before they connect to anything.
    async fn configuration(&self) -> Check {
        let seen = self.timed(async { run::check(&self.config, self.part) }).await;
        seen.judged("configuration", |checked| match checked {
            Ok(()) => Finding::passed(format!("{} would start with it", self.part.command())),
            Err(error) => {
                Finding::failed(format!("{} would not start: {error:#}", self.part.command()))
                    .mend("curfew config check")
            }
        })
    }

    async fn credentials(&self) -> Credentials {
        Credentials::look(&self.environment, self.config.identity.metadata.as_deref()).await
    }

    /// Makes the clients that the servers have, and finds out who this is.
    async fn cloud(&self, credentials: &Credentials) -> Result<Cloud, String> {
        let google = run::google(&self.config, &Registry::new());
        let google = google.map_err(|error| format!("{error:#}"))?;
        let probe = google.probe();
        let token = self.probed(probe.token()).await.saw;
        let told = token.as_ref().ok().and_then(|token| token.email.clone());
        let account = credentials.account().map(str::to_owned).or(told);
        let project = identity::consumer(account.as_deref());
        let roles = match &account {
            Some(account) => self.roles(&google, account).await,
            None => Err("who this is is not known".to_owned()),
        };
        Ok(Cloud { google, probe, token, account, project, roles })
    }

    /// The roles that the scope's policy gives the account by its name, with what they give.
    async fn roles(&self, google: &Google, account: &str) -> Result<Vec<BoundRole>, String> {
        let catalog = google.catalog(self.config.rules.scope.clone());
        let policy = self.told(async {
            catalog.policy(&self.config.rules.scope).await.map_err(|error| error.chain())
        });
        let mut roles = bound_to(&policy.await.saw?, account);
        let names: BTreeSet<String> = roles.iter().map(|bound| bound.role.clone()).collect();
        let given = cloud::given(&catalog, names).await;
        for bound in &mut roles {
            bound.permissions = given.get(&bound.role).cloned().flatten();
        }
        Ok(roles)
    }

    fn identity(&self, credentials: &Seen<Credentials>, cloud: &Cloud) -> Vec<Check> {
        let account = cloud.account.as_deref();
        vec![
            credentials
                .judged("identity", |it| identity::judge(it, account, super::name(self.part))),
            credentials.judged("identity.keyFile", identity::judge_key_file),
            credentials
                .judged("identity.scopes", |_| identity::judge_scopes(&cloud.token, account)),
        ]
    }

    /// The lists of the parts that run here.
    fn listed(&self) -> Vec<(&'static str, Listed)> {
        let with_policy_analyzer =
            self.config.lists_from == curfew_intake::ListSource::PolicyAnalyzer;
        let intake = ("permissions.intake", Listed::Intake { with_policy_analyzer });
        let controller = ("permissions.controller", Listed::Controller);
        let mut lists = Vec::new();
        lists.extend(self.part.has_intake().then_some(intake));
        lists.extend(self.part.has_controller().then_some(controller));
        lists
    }

    async fn permissions(&self, cloud: &Cloud) -> Vec<Check> {
        let scope = &self.config.rules.scope;
        let known = Known { scope, account: cloud.account.as_deref(), roles: &cloud.roles };
        let mut checks = Vec::new();
        for (name, list) in self.listed() {
            let asked = list.on(scope);
            let seen = self.probed(cloud.probe.held(scope, &asked)).await;
            checks
                .push(seen.judged(name, |tested| permissions::judge(list, &asked, tested, known)));
        }
        if self.part == Mode::Intake {
            let asked = permissions::gives_access_on(scope);
            let seen = self.probed(cloud.probe.held(scope, &asked)).await;
            let judge = |tested: &_| permissions::judge_only_reads(tested, &asked, known);
            checks.push(seen.judged("permissions.readOnly", judge));
        }
        checks
    }

    /// The projects that hold the system, as the configuration and the identity tell.
    fn own_projects(&self, cloud: &Cloud) -> Vec<(Resource, Vec<&'static str>)> {
        let file = serde_json::to_value(&self.config.file).unwrap_or_default();
        let key = |pointer| {
            let name = file.pointer(pointer).and_then(serde_json::Value::as_str)?;
            name.strip_prefix("projects/")?.split('/').next().map(str::to_owned)
        };
        let store = matches!(self.config.store.kind, crate::config::StoreKind::Google)
            .then(|| self.config.store.project.clone());
        let mut own: BTreeMap<Resource, Vec<&'static str>> = BTreeMap::new();
        for (project, holds) in [
            (cloud.project.clone(), "the account"),
            (store, "the store"),
            (key("/signing/kms"), "the signing key"),
            (key("/factsKey/kms"), "the facts key"),
            (key("/formKey/kms"), "the key of forms"),
        ] {
            let node = project.and_then(|id| Resource::parse(&format!("projects/{id}")).ok());
            if let Some(node) = node {
                own.entry(node).or_default().push(holds);
            }
        }
        for node in &self.config.rules.protected {
            own.entry(node.clone()).or_default();
        }
        own.into_iter().collect()
    }

    async fn protected(&self, cloud: &Cloud) -> Check {
        let scope = &self.config.rules.scope;
        let catalog = cloud.google.catalog(scope.clone());
        let look = |(node, holds)| {
            let catalog = &catalog;
            async move {
                let line = timeout(LOOK_TIME_MAX, catalog.ancestry(&node)).await;
                let line = line.map_err(|_| late());
                let line = line.and_then(|line| line.map_err(|error| error.chain()));
                protected::Seen { node, holds, line }
            }
        };
        let looks = stream::iter(self.own_projects(cloud)).map(look).buffered(LOOKS_AT_ONCE);
        let seen = self.timed(looks.collect::<Vec<_>>());
        let judge = |seen: &Vec<_>| protected::judge(scope, &self.config.rules.protected, seen);
        seen.await.judged("scope.protected", judge)
    }

    async fn grants(&self, cloud: &Cloud) -> Vec<Check> {
        let Some(account) = cloud.account.as_deref() else {
            let why = || Finding::skipped("who this is is not known, see identity");
            let check =
                |name: &str| Check { name: name.into(), finding: why(), took: Duration::ZERO };
            return vec![check("account.users"), check("account.keys")];
        };
        let mut checks = Vec::new();
        if self.part.has_controller() {
            let scope = &self.config.rules.scope;
            let seen = Seen { saw: &cloud.roles, took: Duration::ZERO };
            let judge = |roles: &&_| grants::judge_limit(roles, scope, account);
            checks.push(seen.judged("grants.condition", judge));
        }
        checks.extend(self.account(cloud, account).await);
        checks
    }

    async fn timed<T>(&self, look: impl Future<Output = T>) -> Seen<T> {
        let began = self.clock.elapsed();
        let saw = look.await;
        Seen { saw, took: self.clock.elapsed().saturating_sub(began) }
    }

    async fn probed<T>(&self, look: impl Future<Output = Probed<T>>) -> Seen<Probed<T>> {
        let within = async {
            let answer = timeout(LOOK_TIME_MAX, look).await;
            answer.unwrap_or_else(|_| Err(ProbeError::Unanswered(late())))
        };
        self.timed(within).await
    }

    async fn told<T>(
        &self,
        look: impl Future<Output = Result<T, String>>,
    ) -> Seen<Result<T, String>> {
        let within = async { timeout(LOOK_TIME_MAX, look).await.unwrap_or_else(|_| Err(late())) };
        self.timed(within).await
    }
}

/// What is not asked where there is no way to ask Google.
fn unasked() -> Vec<Check> {
    let skipped = |name: &&str| Check {
        name: (*name).to_owned(),
        finding: Finding::skipped("there are no clients of Google's APIs, see identity"),
        took: Duration::ZERO,
    };
    OF_THE_CLOUD.iter().map(skipped).collect()
}

/// The folder that holds a file.
fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        Some(_) | None => Path::new("."),
    }
}

/// The clock, for those who keep time by it.
fn shared(clock: SystemClock) -> Arc<dyn curfew_ports::Clock> {
    Arc::new(clock)
}
