//! What people may ask for: a kept index of all eligible bindings in scope, refreshed all the time.
//!
//! It is for lists only. Filing and granting judge live policies. A list is never empty because something could not be
//! read: before the first whole reading there is none, and after a failed one the last good one stands.

mod misses;
mod person;
mod powers;
mod refresh;

use std::collections::BTreeSet;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::Duration;

use chrono::{DateTime, SubsecRound as _, Utc};
use curfew_core::condition::Activation;
use curfew_core::eligible::PriorActivation;
use curfew_core::index::{Index, Listed, Node, Offer, OfferKey, Page, Search};
use curfew_core::judge::{RoleKnown, Rules, activation_for, foreseen};
use curfew_core::principal::{Email, Member, Principal};
use curfew_core::resource::Resource;
use curfew_core::role::Role;
use curfew_ports::{Catalog, Clock, Entropy};
use tokio::sync::watch;

use crate::Intake;
use crate::errors::{Reason, Refusal};
use crate::metrics::Metrics;
use crate::settings::ListSource;
use misses::Misses;
use person::People;
use powers::Powers;
use refresh::Flaws;

/// How long a question waits for the first reading of all policies before it is told to come back: a small
/// organisation is read by then.
const FIRST_READING_WAIT: Duration = Duration::from_secs(5);

/// When to come back, if the first reading is not done.
const FIRST_READING_RETRY: Duration = Duration::from_secs(5);

/// An index that is older than this is said to be, to whoever looks at it.
pub(crate) const STALE_AFTER: Duration = Duration::from_mins(15);

/// The index, and what keeps it fresh.
pub(crate) struct Shelf {
    catalog: Arc<dyn Catalog>,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    metrics: Metrics,
    rules: Rules,
    kept: RwLock<Kept>,
    /// Whether everything was read once; changes at most from `Reading` over `Failed` to `Ready`.
    progress: watch::Sender<Progress>,
    misses: tokio::sync::Mutex<Misses>,
    source: ListSource,
    people: People,
}

/// What was read.
#[derive(Default)]
struct Kept {
    index: Index,
    powers: Powers,
    flaws: Flaws,
    /// The nodes that protected ones lie in.
    above_protected: BTreeSet<Resource>,
    as_of: Option<AsOf>,
}

/// When the newest whole reading began, in both times.
#[derive(Clone, Copy)]
struct AsOf {
    at: DateTime<Utc>,
    elapsed: Duration,
}

/// How far the first reading is.
#[derive(Clone)]
enum Progress {
    /// It was not answered yet.
    Reading,
    /// It failed, and is tried again.
    Failed(Refusal),
    /// It was done.
    Ready,
}

impl Shelf {
    pub(crate) fn new(intake: &Intake) -> Self {
        let rules = intake.settings.rules.clone();
        let index = Index::new(rules.protected.clone());
        intake.metrics.lists.begin(intake.clock.clone());
        Self {
            catalog: intake.catalog.clone(),
            clock: intake.clock.clone(),
            entropy: intake.entropy.clone(),
            metrics: intake.metrics.clone(),
            kept: RwLock::new(Kept { index, ..Kept::default() }),
            progress: watch::Sender::new(Progress::Reading),
            misses: tokio::sync::Mutex::default(),
            source: intake.settings.lists_from,
            people: People::default(),
            rules,
        }
    }

    /// Answers a question of this person's from the index. Before its first reading is done this waits a little, and
    /// then refuses.
    pub(crate) async fn read<T>(
        &self,
        person: &Email,
        look: impl FnOnce(&Lists<'_>) -> T,
    ) -> Result<T, Refusal> {
        self.is_ready().await?;
        match self.source {
            ListSource::AssetInventory => {
                Ok(look(&Lists { kept: &self.kept(), rules: &self.rules }))
            }
            ListSource::PolicyAnalyzer => {
                let kept = self.of_person(person).await?;
                Ok(look(&Lists { kept: &kept, rules: &self.rules }))
            }
        }
    }

    /// The same about one resource, which is read live if the index does not know it.
    pub(crate) async fn read_on<T>(
        &self,
        person: &Email,
        resource: &Resource,
        look: impl FnOnce(&Lists<'_>) -> T,
    ) -> Result<T, Refusal> {
        self.is_ready().await?;
        // Policy Analyzer is asked about all resources anyway.
        let is_kept = self.source == ListSource::AssetInventory;
        if is_kept && self.kept().index.node(resource).is_none() {
            self.look_for(resource).await?;
        }
        self.read(person, look).await
    }

    /// Until when JIT Access gave `who` what is offered there, as far as is known at the moment: nothing is waited for.
    pub(crate) fn prior_end(
        &self,
        who: &Principal,
        offer: &OfferKey,
        now: DateTime<Utc>,
    ) -> Option<DateTime<Utc>> {
        let kept = self.kept();
        let lists = Lists { kept: &kept, rules: &self.rules };
        Some(lists.prior(who, offer, now)?.1.activation.ends_at)
    }

    /// How old the index is.
    pub(crate) fn age(&self) -> Option<Duration> {
        let as_of = self.kept().as_of?;
        Some(self.clock.elapsed().saturating_sub(as_of.elapsed))
    }

    async fn is_ready(&self) -> Result<(), Refusal> {
        let mut progress = self.progress.subscribe();
        let answered = progress.wait_for(|progress| !matches!(progress, Progress::Reading));
        let Ok(Ok(progress)) = tokio::time::timeout(FIRST_READING_WAIT, answered).await else {
            let message = "Everything that may be asked for is being read for the first time since this service started: try again in a few seconds.";
            return Err(Refusal::new(Reason::ListNotReady, message).after(FIRST_READING_RETRY));
        };
        match &*progress {
            Progress::Failed(refusal) => Err(refusal.clone()),
            Progress::Ready | Progress::Reading => Ok(()),
        }
    }

    /// In the resolution that lists show.
    fn now(&self) -> DateTime<Utc> {
        self.clock.now().trunc_subsecs(0)
    }

    fn kept(&self) -> RwLockReadGuard<'_, Kept> {
        self.kept.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn change(&self) -> RwLockWriteGuard<'_, Kept> {
        self.kept.write().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The index at one moment, under the rules of this installation.
pub(crate) struct Lists<'a> {
    kept: &'a Kept,
    rules: &'a Rules,
}

impl Lists<'_> {
    /// When what is listed was read.
    pub(crate) fn as_of(&self) -> Option<DateTime<Utc>> {
        self.kept.as_of.map(|as_of| as_of.at)
    }

    /// A page of what these members may ask for.
    pub(crate) fn offers(
        &self,
        members: &BTreeSet<Member>,
        search: Search<'_>,
        after: Option<&OfferKey>,
        limit: usize,
    ) -> Page<Offer<'_>> {
        self.kept
            .index
            .offers(members, search, after, limit, &|node, listed| self.takes(node, listed))
    }

    /// A page of the nodes on which they may ask for anything.
    pub(crate) fn offered_on(
        &self,
        members: &BTreeSet<Member>,
        text: Option<&str>,
        after: Option<&Resource>,
        limit: usize,
    ) -> Page<&Node> {
        self.kept
            .index
            .offered_on(members, text, after, limit, &|node, listed| self.takes(node, listed))
    }

    /// The eligible binding of this name, if they hold it.
    pub(crate) fn held(&self, members: &BTreeSet<Member>, name: &str) -> Option<&Listed> {
        self.kept.index.held(members, name)
    }

    /// Whether they hold the binding of this name, and it reaches the resource as far as is known.
    pub(crate) fn holds(
        &self,
        members: &BTreeSet<Member>,
        resource: &Resource,
        name: &str,
    ) -> bool {
        let index = &self.kept.index;
        match index.node(resource) {
            Some(_) => index.holds(members, resource, name),
            // Too new to be known, most likely: deciding judges live.
            None => index.held(members, name).is_some(),
        }
    }

    /// Whether they hold anything that a peer must approve, and so may approve for others.
    pub(crate) fn may_approve(&self, members: &BTreeSet<Member>) -> bool {
        let mut held = self.kept.index.all_held(members);
        held.any(|listed| self.activation(listed) == Activation::PeerApproval)
    }

    /// Everybody who holds the same eligibility, as its policy names them.
    pub(crate) fn sharing<'b>(&'b self, listed: &'b Listed) -> BTreeSet<&'b Member> {
        self.kept.index.sharing(listed)
    }

    /// Whether the role's permissions let its holder make itself more powerful; `None` if that could not be read.
    pub(crate) fn is_dangerous(&self, role: &Role) -> Option<bool> {
        match self.kept.powers.of(role) {
            RoleKnown::Gives { is_dangerous, .. } => Some(is_dangerous),
            // What does not exist gives nothing.
            RoleKnown::Nonexistent => Some(false),
            RoleKnown::Unread => None,
        }
    }

    /// The node on which JIT Access gave `who` what is offered, and its activation there, if that is in force at `now`.
    pub(crate) fn prior(
        &self,
        who: &Principal,
        offer: &OfferKey,
        now: DateTime<Utc>,
    ) -> Option<(&Resource, &PriorActivation)> {
        let node = self.kept.index.node(&offer.resource)?;
        self.kept.index.prior(who, node, &offer.role, &offer.condition, now)
    }

    /// What it takes to activate the binding, wherever it reaches.
    pub(crate) fn activation(&self, listed: &Listed) -> Activation {
        let is_dangerous = self.is_dangerous(listed.role()) == Some(true);
        activation_for(listed.role(), listed.activation(), self.rules, is_dangerous)
    }

    /// The same on one node; `None` where filing would refuse it whoever asks.
    fn takes(&self, node: &Node, listed: &Listed) -> Option<Activation> {
        let role = self.kept.powers.of(listed.role());
        let is_above_protected = self.kept.above_protected.contains(node.resource());
        foreseen(node, listed, role, is_above_protected, self.rules)
    }
}
