//! One request as a pass sees it, for people who want to know why: what is known, and what would be done, undone.

use curfew_core::chain::Chain;
use curfew_core::eligible::{PriorActivation, prior_activations};
use curfew_core::judge::{Checked, Evidence, checks};
use curfew_core::observe::{Marks, ObservedBindings, observe};
use curfew_core::policy::Policy;
use curfew_core::principal::Member;
use curfew_core::resource::Resource;
use curfew_core::role::Role;
use curfew_core::spec::Spec;
use curfew_core::world::{Observed, Unanswered};
use curfew_core::{Plan, Request, World, reconcile};
use curfew_ports::StoredRequest;

use crate::Controller;
use crate::gather::{Seen, gather};

/// What one pass over a request would rest on and come to.
#[derive(Debug)]
pub struct Explained {
    /// The request, verified: envelopes, chain and macs.
    pub request: Request,
    /// Each check of the judgement with what it says now; none where what was asked does not verify.
    pub checks: Vec<Checked>,
    /// Why the checks that need live answers have none, if so.
    pub unread: Option<String>,
    /// Whom the bindings that the request rests on name: each of them but the requester and the receiver could decide.
    pub peers: Vec<Member>,
    /// What JIT Access gave the receiver of the roles that are asked for, in the resource's policy.
    pub prior: Vec<PriorActivation>,
    /// What was seen, the policy included.
    pub world: World,
    /// What would be done.
    pub plan: Plan,
}

impl Controller {
    /// Looks at one stored request as a pass does, its policy included, and decides. Writes nothing, neither to the
    /// store nor to the cloud. Where a look-up fails, that is part of the answer.
    pub async fn explain(&self, stored: StoredRequest) -> Explained {
        let context = &self.context;
        let (known, _) = context.view.learn(stored);
        let request = &known.request;
        let spec = request.spec.as_deref().ok();
        let evidence = match spec {
            Some(spec) => Some(context.lookups.evidence(spec, &context.settings.rules).await),
            None => None,
        };
        let unread = evidence.as_ref().and_then(|read| Some(read.as_ref().err()?.chain()));
        let evidence = evidence.and_then(Result::ok);
        let resource = spec.map(|spec| spec.resource.clone());
        let resource = resource.or_else(|| Chain::of(&request.facts).grant.map(|it| it.resource));
        let policy = match &resource {
            Some(resource) => self.policy(resource).await,
            None => Observed::Unknown(Unanswered::NotAsked),
        };
        let prior = policy.known().map(|policy| prior_activations(policy, context.now()));
        let bindings = match (policy, &resource) {
            (Observed::Known(policy), Some(resource)) => {
                Observed::Known(self.bindings(request, resource, &policy))
            }
            (Observed::Known(_), None) => Observed::Unknown(Unanswered::NotAsked),
            (Observed::Unknown(why), _) => Observed::Unknown(why),
        };
        let here = resource.as_ref();
        let seen = Seen { here, bindings, answered: None, refused: None };
        let world = gather(context, &known, seen).await;
        Explained {
            plan: reconcile(request, &world, context.now()),
            checks: spec
                .map(|spec| checks(spec, evidence.as_ref(), &context.settings.rules))
                .unwrap_or_default(),
            unread,
            prior: of_spec(spec, prior.unwrap_or_default()),
            peers: evidence.map(|evidence| peers(request, &evidence)).unwrap_or_default(),
            world,
            request: (**request).clone(),
        }
    }

    async fn policy(&self, resource: &Resource) -> Observed<Policy> {
        match self.context.ports.policies.get(resource).await {
            Ok(policy) => Observed::Known(policy),
            Err(error) => Observed::Unknown(Unanswered::Failed(error.chain())),
        }
    }

    /// What the policy holds of the request.
    fn bindings(
        &self,
        request: &Request,
        resource: &Resource,
        policy: &Policy,
    ) -> ObservedBindings {
        let chain = Chain::of(&request.facts);
        let recorded: Vec<_> = chain.recorded_bindings().collect();
        let marks = Marks {
            installation: &self.context.settings.installation,
            request: &request.id,
            resource,
            recorded: &recorded,
            tag: &|subject| self.context.ports.sealer.tag(subject),
        };
        observe(policy, &marks)
    }
}

/// Those that give the receiver a role of the request, under whatever condition.
fn of_spec(spec: Option<&Spec>, all: Vec<PriorActivation>) -> Vec<PriorActivation> {
    let Some(spec) = spec else { return Vec::new() };
    let is_asked = |role: &Role| spec.roles.iter().any(|requested| requested.role == *role);
    let is_of_it =
        |prior: &PriorActivation| prior.member == spec.principal && is_asked(&prior.role);
    all.into_iter().filter(is_of_it).collect()
}

/// Everybody whom a binding of the same eligibility names.
fn peers(request: &Request, evidence: &Evidence) -> Vec<Member> {
    let Ok(spec) = &request.spec else { return Vec::new() };
    let asked = spec.roles.iter().map(|role| role.entitlement.as_str());
    let asked: Vec<&str> = asked.collect();
    let offered = evidence.offered.iter();
    let same = offered.filter(|binding| asked.contains(&binding.name.as_str()));
    let mut named: Vec<Member> = same.flat_map(|binding| binding.members.clone()).collect();
    named.sort();
    named.dedup();
    named
}
