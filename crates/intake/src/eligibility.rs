//! Whether a request may be filed: live answers, judged by the very list that the controller judges by.

use std::collections::{BTreeMap, BTreeSet};

use curfew_core::condition::Activation;
use curfew_core::eligible::{EligibleBinding, PriorActivation, offers, prior_activations};
use curfew_core::judge::{Evidence, Rules, above, within_scope};
use curfew_core::policy::Policy;
use curfew_core::principal::Email;
use curfew_core::resource::Resource;
use curfew_core::role::Powers;
use curfew_core::spec::{RequestedRole, Spec};
use curfew_core::world::{Observed, Unanswered};
use curfew_ports::{Catalog, Directory, PortError, RetryClass};
use futures_util::StreamExt as _;
use futures_util::future::try_join_all;
use futures_util::stream;

use crate::App;
use crate::errors::{Reason, Refusal};

/// Membership questions in flight for one filing; Google's quotas are per second.
const QUESTIONS_AT_ONCE: usize = 8;

/// The roles of a spec with what they are asked under: `conditions` (`None`: the only one there is), each tied to the
/// eligibility that offers it. What they give goes into the evidence.
pub(crate) async fn settle(
    app: &App,
    spec: &Spec,
    conditions: &[Option<String>],
    evidence: &mut Evidence,
) -> Result<Vec<RequestedRole>, Refusal> {
    let mut settled = spec.roles.clone();
    for (position, (role, condition)) in settled.iter_mut().zip(conditions).enumerate() {
        let choice = choose(spec, position, condition.as_deref(), evidence)?;
        let permissions = match choice {
            Some(binding) => {
                role.entitlement.clone_from(&binding.name);
                role.resource_condition = binding.carried.to_string();
                let permissions = app.intake.catalog.permissions(&role.role).await;
                permissions.map_err(|error| Refusal::look_up(&error))?.as_ref().map(Powers::of)
            }
            // What nobody offers is refused below, whatever it permits; it needs no look-up.
            None => {
                Some(Powers { hash: role.permissions_hash.clone(), ..Powers::of(&BTreeSet::new()) })
            }
        };
        if let Some(powers) = &permissions {
            role.permissions_hash = powers.hash.clone();
        }
        evidence.permissions.insert(role.role.clone(), permissions);
    }
    Ok(settled)
}

/// Live answers about one request.
pub(crate) struct Gathered {
    pub(crate) evidence: Evidence,
    /// What JIT Access gave on the resource and above it, by the node that carries it.
    pub(crate) prior: Vec<(Resource, PriorActivation)>,
}

/// Ancestry, offers and memberships, as they are now.
pub(crate) async fn gather(app: &App, spec: &Spec) -> Result<Gathered, Refusal> {
    let Found { ancestry, offered, prior } = offered_on(app, &spec.resource).await?;
    let groups: BTreeSet<Email> = spec
        .roles
        .iter()
        .flat_map(|requested| offered.iter().filter(|binding| binding.role == requested.role))
        .flat_map(|binding| binding.groups_in_question(&spec.principal))
        .collect();
    let member_of = memberships(&*app.intake.directory, groups, spec.principal.email()).await;
    let above_protected = above_protected(app, &spec.resource).await;
    let permissions = BTreeMap::new();
    let evidence = Evidence { ancestry, offered, member_of, permissions, above_protected };
    Ok(Gathered { evidence, prior })
}

/// The nodes above the protected ones, if `resource` can be one of them.
async fn above_protected(app: &App, resource: &Resource) -> Observed<BTreeSet<Resource>> {
    if matches!(resource, Resource::Project(_)) {
        return Observed::Unknown(Unanswered::NotAsked);
    }
    let catalog = &*app.intake.catalog;
    let asked = app.settings().rules.protected.iter().map(|node| catalog.ancestry(node));
    match try_join_all(asked).await {
        Ok(found) => Observed::Known(above(&found)),
        Err(error) => Observed::Unknown(Unanswered::Failed(error.chain())),
    }
}

/// What the policies on a resource and above it say.
pub(crate) struct Found {
    /// The resource first.
    pub(crate) ancestry: Vec<Resource>,
    /// What is eligible there.
    pub(crate) offered: Vec<EligibleBinding>,
    /// What JIT Access gave there.
    prior: Vec<(Resource, PriorActivation)>,
}

/// Where a resource lies, and what its policies say.
pub(crate) async fn offered_on(app: &App, resource: &Resource) -> Result<Found, Refusal> {
    let catalog = &*app.intake.catalog;
    let ancestry = catalog.ancestry(resource).await.map_err(|error| unknown_resource(&error))?;
    let read = policies(catalog, &ancestry, &app.settings().rules).await;
    let read = read.map_err(|error| Refusal::look_up(&error))?;
    let now = app.now();
    let prior = read.iter().flat_map(|(node, policy)| {
        prior_activations(policy, now).into_iter().map(|prior| ((*node).clone(), prior))
    });
    let prior = prior.collect();
    let rules = &app.settings().rules;
    let trusted = read.iter().filter(|(node, _)| rules.trusts(node));
    let offered = trusted.flat_map(|(node, policy)| offers(node, policy).eligible).collect();
    Ok(Found { ancestry, offered, prior })
}

/// Google does not tell what does not exist from what one may not see, and neither is a fault of ours.
fn unknown_resource(error: &PortError) -> Refusal {
    match error.class {
        RetryClass::NotFound | RetryClass::Denied | RetryClass::Invalid => {
            let message =
                "does not exist, or cannot be seen from here: name one of `GET /v1/resources`.";
            Refusal::field(Reason::ResourceUnknown, "resource", message)
        }
        RetryClass::Conflict
        | RetryClass::AlreadyExists
        | RetryClass::RateLimited(_)
        | RetryClass::Unavailable => Refusal::look_up(error),
    }
}

/// Policies of trusted nodes from the resource up to the scope, and of the resource itself, where JIT Access wrote; what
/// stands above is not ours to look at.
async fn policies<'a>(
    catalog: &dyn Catalog,
    ancestry: &'a [Resource],
    rules: &Rules,
) -> Result<Vec<(&'a Resource, Policy)>, PortError> {
    let is_read = |node: &&Resource| rules.trusts(node) || ancestry.first() == Some(*node);
    let nodes = within_scope(ancestry, rules).iter().filter(is_read);
    let asked = nodes.map(|node| async move { Ok((node, catalog.policy(node).await?)) });
    try_join_all(asked).await
}

pub(crate) async fn memberships(
    directory: &dyn Directory,
    groups: BTreeSet<Email>,
    person: &Email,
) -> BTreeMap<Email, Observed<bool>> {
    let ask = |group: Email| async move {
        let answer = match directory.is_member(&group, person).await {
            Ok(answer) => Observed::Known(answer),
            Err(error) => Observed::Unknown(Unanswered::Failed(error.chain())),
        };
        (group, answer)
    };
    stream::iter(groups).map(ask).buffer_unordered(QUESTIONS_AT_ONCE).collect().await
}

/// The binding that role number `position` is asked under; `None` if none offers it to the receiver.
fn choose<'a>(
    spec: &Spec,
    position: usize,
    condition: Option<&str>,
    evidence: &'a Evidence,
) -> Result<Option<&'a EligibleBinding>, Refusal> {
    let Some(requested) = spec.roles.get(position) else { return Ok(None) };
    let (mine, unknown) = standing(spec, requested, evidence);
    let meant: Vec<_> = match condition {
        Some(condition) => mine
            .iter()
            .copied()
            .filter(|binding| binding.carried.to_string() == condition)
            .collect(),
        None => mine.clone(),
    };
    let offers_of = |bindings: &[&EligibleBinding]| -> BTreeSet<String> {
        bindings.iter().map(|binding| binding.carried.to_string()).collect()
    };
    let field = format!("roles[{position}].resourceCondition");
    match (offers_of(&meant).len(), condition, unknown) {
        // An open question could add a second condition, or the wanted one.
        (0, _, Some(why)) | (_, None, Some(why)) => Err(unanswered(&why)),
        (0, Some(_), None) if !mine.is_empty() => {
            let message = format!(
                "is not offered to you for {}: {}.",
                requested.role,
                listed(&offers_of(&mine))
            );
            Err(Refusal::field(Reason::ResourceConditionNotOffered, field, message))
        }
        (0 | 1, _, _) => Ok(preferred(&meant)),
        _ => {
            let message = format!(
                "must choose one of those offered for {}: {}.",
                requested.role,
                listed(&offers_of(&mine))
            );
            let refusal = Refusal::field(Reason::ResourceConditionRequired, field, message);
            let numbered = offers_of(&mine).into_iter().enumerate();
            Err(numbered.fold(refusal, |refusal, (n, offer)| {
                refusal.with(&format!("resourceCondition{n}"), offer)
            }))
        }
    }
}

/// The bindings that offer the role to the receiver, nearest first, and whether a look-up left one open.
fn standing<'a>(
    spec: &Spec,
    requested: &RequestedRole,
    evidence: &'a Evidence,
) -> (Vec<&'a EligibleBinding>, Option<Unanswered>) {
    let mut mine = Vec::new();
    let mut unknown = None;
    for binding in evidence.offered.iter().filter(|binding| binding.role == requested.role) {
        match binding.includes(&spec.principal, &evidence.member_of) {
            Observed::Known(true) => mine.push(binding),
            Observed::Known(false) => {}
            Observed::Unknown(why) => unknown = Some(why),
        }
    }
    (mine, unknown)
}

/// Without a peer before with one, then the nearest.
fn preferred<'a>(bindings: &[&'a EligibleBinding]) -> Option<&'a EligibleBinding> {
    let alone = bindings.iter().find(|binding| binding.activation == Activation::SelfApproval);
    alone.or_else(|| bindings.first()).copied()
}

fn listed(conditions: &BTreeSet<String>) -> String {
    let quoted: Vec<String> = conditions.iter().map(|condition| format!("`{condition}`")).collect();
    quoted.join(", ")
}

pub(crate) fn unanswered(why: &Unanswered) -> Refusal {
    let act = match why {
        Unanswered::NotAsked => "a question that matters was not asked".to_owned(),
        Unanswered::Failed(words) => words.clone(),
    };
    Refusal::look_up(&PortError::new(RetryClass::Unavailable, act))
}
