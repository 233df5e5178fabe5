//! Looks at the world for one decision. A failed look-up is a value; what is not needed is not asked.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use curfew_core::World;
use curfew_core::apply::{GOOGLE_LIMITS, Refusal, Room};
use curfew_core::chain::Chain;
use curfew_core::eligible::EligibleBinding;
use curfew_core::entry::{
    ActKind, DECISIONS_MAX, DIRECTIVES_MAX, ENDING_DIRECTIVES_RESERVE, Entry, REFUSED_MAX,
};
use curfew_core::fact::Counted;
use curfew_core::id::{Nonce, RequestId};
use curfew_core::index::Verdicts;
use curfew_core::judge::{self, Eligibility, Evidence};
use curfew_core::observe::ObservedBindings;
use curfew_core::planted;
use curfew_core::principal::Email;
use curfew_core::request::{Rejection, Request};
use curfew_core::resource::Resource;
use curfew_core::role::{Powers, Role};
use curfew_core::spec::Spec;
use curfew_core::world::{Answered, Observed, Standing, Unanswered};
use curfew_ports::PortError;
use futures_util::future::{join_all, try_join_all};

use crate::context::{Context, Ports};
use crate::search::{NAMED_READ_EVERY, is_open, read_bearers, strays};
use crate::settings::{Operators, Settings};
use crate::shared::Shared;
use crate::view::Known;

/// The most entries of one request that can come to count or be refused.
const LOOKED_AT_MAX: usize =
    DECISIONS_MAX + REFUSED_MAX + DIRECTIVES_MAX + ENDING_DIRECTIVES_RESERVE;

/// Live look-ups, shared by everybody who asks the same within five seconds.
pub(crate) struct Lookups {
    ports: Ports,
    ancestry: Shared<Resource, Vec<Resource>>,
    nodes: Shared<Resource, Arc<Node>>,
    /// What conditions were found to say: they differ little, and reading one costs more than all the rest.
    verdicts: Mutex<Verdicts>,
    permissions: Shared<Role, Option<Powers>>,
    membership: Shared<(Email, Email), bool>,
    bearers: Shared<Resource, Arc<BTreeSet<RequestId>>>,
    named_read_due_at: Mutex<Duration>,
}

/// What is kept of a node's policy.
struct Node {
    eligible: Vec<EligibleBinding>,
    room: Room,
}

/// What a turn has seen, beyond what is gathered anew.
pub(crate) struct Seen<'a> {
    /// Whose policy was read.
    pub(crate) here: Option<&'a Resource>,
    pub(crate) bindings: Observed<ObservedBindings>,
    pub(crate) answered: Option<Answered>,
    pub(crate) refused: Option<String>,
}

impl Seen<'_> {
    /// Outside of a turn nothing is known of the policy: whoever acts on it reads it anew.
    pub(crate) fn nothing() -> Self {
        Self {
            here: None,
            bindings: Observed::Unknown(Unanswered::NotAsked),
            answered: None,
            refused: None,
        }
    }
}

/// The world for one decision about `request`.
pub(crate) async fn gather(context: &Context, known: &Known, seen: Seen<'_>) -> World {
    let request = &known.request;
    let (eligibility, room) = match eligibility_in_question(request) {
        Some(spec) => context.lookups.prospects(spec, &context.settings.rules).await,
        None => (Observed::Unknown(Unanswered::NotAsked), Observed::Unknown(Unanswered::NotAsked)),
    };
    let strays = strays(context, known, seen.here).await;
    // Where no fact tells of a grant, an earlier answer is as good as one of this turn.
    let removal = || context.view.removal(&known.stored.id).filter(|_| is_open(request));
    let standing = context.lookups.standings(request, &context.settings).await;
    World {
        eligibility,
        standing,
        bindings: seen.bindings,
        room,
        strays,
        answered: seen.answered.or_else(removal),
        refused: seen.refused,
    }
}

/// The spec, if the request may still be granted.
fn eligibility_in_question(request: &Request) -> Option<&Spec> {
    let chain = Chain::of(&request.facts);
    let is_open = chain.grant.is_none() && chain.outcome.is_none() && chain.ended.is_none();
    let is_open = planted!("granted-again", true, is_open);
    request.spec.as_deref().ok().filter(|_| is_open)
}

impl Lookups {
    pub(crate) fn new(ports: Ports) -> Self {
        let clock = &ports.clock;
        Self {
            ancestry: Shared::new(clock.clone()),
            nodes: Shared::new(clock.clone()),
            verdicts: Mutex::default(),
            bearers: Shared::new(clock.clone()),
            named_read_due_at: Mutex::new(Duration::ZERO),
            permissions: Shared::new(clock.clone()),
            membership: Shared::new(clock.clone()),
            ports,
        }
    }

    /// Whether the request may be granted, and, if so, whether its bindings would fit.
    async fn prospects(
        &self,
        spec: &Spec,
        rules: &judge::Rules,
    ) -> (Observed<Eligibility>, Observed<Option<Refusal>>) {
        let eligibility = self.eligibility(spec, rules).await;
        let room = match eligibility.known() {
            Some(Eligibility::Yes(_)) => match self.node(&spec.resource).await {
                Ok(node) => {
                    let asked = spec.roles.iter().map(|requested| &requested.role);
                    Observed::Known(node.room.refuses(&spec.principal, asked, &GOOGLE_LIMITS))
                }
                Err(error) => Observed::Unknown(Unanswered::Failed(error.chain())),
            },
            Some(Eligibility::No(_)) | None => Observed::Unknown(Unanswered::NotAsked),
        };
        (eligibility, room)
    }

    async fn eligibility(&self, spec: &Spec, rules: &judge::Rules) -> Observed<Eligibility> {
        // A request that is refused by its form alone costs no look-up.
        if let Err(why) = judge::judge_form(spec, rules) {
            return Observed::Known(Eligibility::No(why));
        }
        match self.evidence(spec, rules).await {
            Ok(evidence) => judge::judge(spec, &evidence, rules),
            Err(error) => Observed::Unknown(Unanswered::Failed(error.chain())),
        }
    }

    pub(crate) async fn evidence(
        &self,
        spec: &Spec,
        rules: &judge::Rules,
    ) -> Result<Evidence, PortError> {
        let requested: BTreeSet<&Role> =
            spec.roles.iter().map(|requested| &requested.role).collect();
        let ((ancestry, offered), permissions) = tokio::try_join!(
            self.offered(spec, rules),
            try_join_all(requested.into_iter().map(|role| async move {
                Ok::<_, PortError>((role.clone(), self.permissions(role).await?))
            })),
        )?;
        let groups = judge::groups_in_question(spec, &offered);
        let member_of = self.memberships(groups, spec.principal.email()).await;
        Ok(Evidence {
            ancestry,
            offered,
            member_of,
            permissions: permissions.into_iter().collect(),
            above_protected: self.above_protected(&spec.resource, rules).await,
        })
    }

    /// The nodes above the protected ones, if `resource` can be one of them.
    async fn above_protected(
        &self,
        resource: &Resource,
        rules: &judge::Rules,
    ) -> Observed<BTreeSet<Resource>> {
        if matches!(resource, Resource::Project(_)) {
            return Observed::Unknown(Unanswered::NotAsked);
        }
        match try_join_all(rules.protected.iter().map(|node| self.ancestry(node))).await {
            Ok(found) => Observed::Known(judge::above(&found)),
            #[cfg(feature = "planted-bugs")]
            Err(_) if planted::is("no-answer-is-elsewhere") => Observed::Known(BTreeSet::new()),
            Err(error) => Observed::Unknown(Unanswered::Failed(error.chain())),
        }
    }

    /// Where the resource lies, and what is eligible there.
    async fn offered(
        &self,
        spec: &Spec,
        rules: &judge::Rules,
    ) -> Result<(Vec<Resource>, Vec<EligibleBinding>), PortError> {
        let ancestry = self.ancestry(&spec.resource).await?;
        let nodes = judge::within_scope(&ancestry, rules).iter();
        let nodes = try_join_all(nodes.map(|node| self.node(node))).await?;
        let offered = nodes.iter().flat_map(|node| node.eligible.iter().cloned()).collect();
        Ok((ancestry, offered))
    }

    async fn ancestry(&self, resource: &Resource) -> Result<Vec<Resource>, PortError> {
        self.ancestry.get(resource, || self.ports.catalog.ancestry(resource)).await
    }

    async fn node(&self, node: &Resource) -> Result<Arc<Node>, PortError> {
        let ask = || async {
            let policy = self.ports.catalog.policy(node).await?;
            let mut verdicts = self.verdicts.lock().unwrap_or_else(PoisonError::into_inner);
            let eligible = verdicts.offers(node, &policy).eligible;
            Ok(Arc::new(Node { eligible, room: Room::of(&policy) }))
        };
        self.nodes.get(node, ask).await
    }

    /// The requests whose title is borne by bindings of ours in a policy that a document which does not verify names.
    pub(crate) async fn bearers(
        &self,
        context: &Context,
        place: &Resource,
        may_read: bool,
    ) -> Result<Arc<BTreeSet<RequestId>>, PortError> {
        self.bearers.get(place, || read_bearers(context, place, may_read)).await
    }

    /// Whether all the policies that one document names may be read now; if so, those are taken for read that were not
    /// read a moment ago.
    pub(crate) fn may_read_named(&self, places: &[&Resource]) -> bool {
        let n_unread = places.iter().filter(|place| !self.bearers.has_fresh(place)).count();
        let now = self.ports.clock.elapsed();
        let mut due_at = self.named_read_due_at.lock().unwrap_or_else(PoisonError::into_inner);
        let is_due = now >= *due_at;
        if is_due {
            let n_unread = u32::try_from(n_unread).unwrap_or(u32::MAX);
            *due_at = now.saturating_add(NAMED_READ_EVERY.saturating_mul(n_unread));
        }
        is_due
    }

    async fn permissions(&self, role: &Role) -> Result<Option<Powers>, PortError> {
        let ask = || async {
            let permissions = self.ports.catalog.permissions(role).await?;
            Ok(permissions.as_ref().map(Powers::of))
        };
        self.permissions.get(role, ask).await
    }

    async fn memberships(
        &self,
        groups: BTreeSet<Email>,
        person: &Email,
    ) -> BTreeMap<Email, Observed<bool>> {
        let ask = |group: Email| async move {
            let answer = self.is_member(&group, person).await;
            (group, answer)
        };
        join_all(groups.into_iter().map(ask)).await.into_iter().collect()
    }

    async fn is_member(&self, group: &Email, person: &Email) -> Observed<bool> {
        let key = (group.clone(), person.clone());
        match self.membership.get(&key, || self.ports.directory.is_member(group, person)).await {
            Ok(answer) => Observed::Known(answer),
            #[cfg(feature = "planted-bugs")]
            Err(_) if planted::is("no-answer-is-yes") => Observed::Known(true),
            #[cfg(feature = "planted-bugs")]
            Err(_) if planted::is("no-answer-is-no") => Observed::Known(false),
            Err(error) => Observed::Unknown(Unanswered::Failed(error.chain())),
        }
    }

    /// What the actors are of directives that were not looked at yet, and of decisions that count or may come to.
    async fn standings(
        &self,
        request: &Request,
        settings: &Settings,
    ) -> BTreeMap<Nonce, Observed<Standing>> {
        let chain = Chain::of(&request.facts);
        // No more than the core ever looks at; what is beyond them waits, and need not be asked about.
        let entries = request.entries.values().filter_map(verified);
        let entries = entries.filter(|entry| is_in_question(&chain, entry)).take(LOOKED_AT_MAX);
        let ask = |entry: Entry| async move {
            let standing = match (entry.act.kind(), &request.spec) {
                (ActKind::Decision, Ok(spec)) => self.peer(spec, &entry, &settings.rules).await,
                _ => self.standing(&entry.actor.email, &settings.operators).await,
            };
            (entry.nonce, standing)
        };
        join_all(entries.cloned().map(ask)).await.into_iter().collect()
    }

    /// Whether the actor of a decision is a peer, judged as live as the requester.
    async fn peer(&self, spec: &Spec, entry: &Entry, rules: &judge::Rules) -> Observed<Standing> {
        let (ancestry, offered) = match self.offered(spec, rules).await {
            Ok(found) => found,
            Err(error) => return Observed::Unknown(Unanswered::Failed(error.chain())),
        };
        let actor = &entry.actor.email;
        let groups = judge::peer_groups_in_question(spec, actor, &offered);
        let member_of = self.memberships(groups, actor).await;
        let evidence = Evidence {
            ancestry,
            offered,
            member_of,
            permissions: BTreeMap::new(),
            above_protected: Observed::Unknown(Unanswered::NotAsked),
        };
        judge::judge_peer(spec, actor, entry.level, &evidence, rules)
    }

    async fn standing(&self, person: &Email, operators: &Operators) -> Observed<Standing> {
        if operators.people.contains(person) {
            return Observed::Known(Standing::Operator);
        }
        let mut failed = None;
        for (_, answer) in self.memberships(operators.groups.clone(), person).await {
            match answer {
                Observed::Known(true) => return Observed::Known(Standing::Operator),
                Observed::Known(false) => {}
                Observed::Unknown(why) => failed = Some(why),
            }
        }
        failed.map_or(Observed::Known(Standing::None), Observed::Unknown)
    }
}

/// Whether it matters what an entry's actor is: of a directive until it was looked at, of a decision as long as the
/// grant may rest on it, or a denial may still come to count.
fn is_in_question(chain: &Chain<'_>, entry: &Entry) -> bool {
    let seen = chain.seen.get(&entry.nonce);
    match (entry.act.kind(), seen) {
        (ActKind::Revoke, None) => true,
        (ActKind::Decision, None) => chain.outcome.is_none(),
        (ActKind::Decision, Some(Counted::Yes { .. })) => chain.grant.is_none(),
        (ActKind::Decision, Some(Counted::No { .. }))
        | (ActKind::Revoke, Some(_))
        | (ActKind::Withdraw | ActKind::Extend | ActKind::CloseReview, _) => false,
    }
}

fn verified(entry: &Result<curfew_core::request::Verified<Entry>, Rejection>) -> Option<&Entry> {
    entry.as_deref().ok()
}
