//! Reads all policies in scope again and again, and takes over what changed.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Weak};
use std::time::Duration;

use curfew_core::eligible::{Flawed, Offers, prior_activations};
use curfew_core::index::{Placed, Verdicts};
use curfew_core::judge::{RoleKnown, above};
use curfew_core::policy::Policy;
use curfew_core::resource::Resource;
use curfew_core::role::{Powers as OfRole, Role};
use curfew_ports::{NodeInfo, PortError};
use futures_util::StreamExt as _;
use futures_util::stream;

use super::powers::known;
use super::{AsOf, Kept, Progress, Shelf};
use crate::errors::Refusal;
use crate::settings::ListSource;

/// Reading takes at most one part in so many of the time, so that a large organisation does not use up the quota of
/// searches (<https://cloud.google.com/asset-inventory/docs/quota>: 400 a minute) by being watched.
const REST_FACTOR: u32 = 20;

/// The shortest pause between two readings; also after the first failed one.
const PAUSE_MIN: Duration = Duration::from_secs(10);

/// The longest.
const PAUSE_MAX: Duration = Duration::from_mins(5);

/// Pauses differ by up to one part in so many: processes that start together must not read together for ever.
const JITTER_PART: u32 = 8;

/// Roles that are looked up at the same time.
const ROLES_AT_ONCE: usize = 4;

/// Policies that are taken over before others get their turn on this thread: some milliseconds' worth.
const POLICIES_IN_A_ROW: usize = 16;

/// Bindings that bear a marker and make nobody eligible, by the node whose policy has them.
pub(super) type Flaws = BTreeMap<Resource, Vec<Flawed>>;

impl Shelf {
    /// Keeps the index fresh until nobody uses it any more.
    pub(crate) fn keep_fresh(self: &Arc<Self>) {
        let kept = Arc::downgrade(self);
        tokio::spawn(async move {
            let mut failures = 0;
            while let Some(pause) = refreshed(&kept, &mut failures).await {
                tokio::time::sleep(pause).await;
            }
        });
    }

    /// Reads everything once, and says how long to rest. What was read stays as it is where reading fails.
    pub(crate) async fn refresh(&self, failures: &mut u32) -> Duration {
        let began = AsOf { at: self.now(), elapsed: self.clock.elapsed() };
        let read = self.read_all().await;
        let took = self.clock.elapsed().saturating_sub(began.elapsed);
        match read {
            Ok(()) => {
                *failures = 0;
                self.change().as_of = Some(began);
                self.metrics.lists.refreshed(began.elapsed, took);
                self.progress.send_replace(Progress::Ready);
                self.jittered(took.saturating_mul(REST_FACTOR).clamp(PAUSE_MIN, PAUSE_MAX))
            }
            Err(error) => {
                *failures = failures.saturating_add(1);
                self.metrics.lists.failed(error.class);
                let doubled = 2_u32.saturating_pow(failures.saturating_sub(1));
                let pause = PAUSE_MIN.saturating_mul(doubled).min(PAUSE_MAX);
                let pause = self.jittered(pause.max(error.wait_at_least()));
                let refusal = Refusal::look_up(&error).after(pause);
                self.progress.send_if_modified(|progress| match progress {
                    Progress::Ready => false,
                    Progress::Reading | Progress::Failed(_) => {
                        *progress = Progress::Failed(refusal);
                        true
                    }
                });
                pause
            }
        }
    }

    async fn read_all(&self) -> Result<(), PortError> {
        let nodes = self.read_nodes().await?;
        let changes = self.kept().index.changes(&nodes);
        for (n, node) in changes.set.into_iter().enumerate() {
            self.change().index.set_node(node);
            give_way(n).await;
        }
        for gone in changes.gone {
            self.change().forget(&gone);
        }
        self.read_above_protected().await;
        if self.source == ListSource::PolicyAnalyzer {
            return Ok(());
        }
        let mut read = BTreeSet::new();
        let mut verdicts = Verdicts::default();
        let mut pages = self.catalog.search_policies();
        while let Some(page) = pages.next().await {
            for (n, (node, policy)) in page?.into_iter().enumerate() {
                self.take_over(&node, &policy, &mut verdicts);
                read.insert(node);
                give_way(n).await;
            }
        }
        self.drop_unread(&read);
        let offered: BTreeSet<Role> = self.kept().index.roles().cloned().collect();
        self.read_roles(&offered).await;
        self.change().powers.keep(&offered);
        Ok(())
    }

    /// The nodes in scope, and those above it as far up as the judgement of a request sees: where one of them is
    /// protected, nothing below is granted.
    async fn read_nodes(&self) -> Result<Vec<Placed>, PortError> {
        let mut nodes: Vec<Placed> = self.catalog.nodes().await?.into_iter().map(placed).collect();
        let scope = &self.rules.scope;
        if matches!(scope, Resource::Organization(_)) {
            return Ok(nodes);
        }
        let ancestry = self.catalog.ancestry(scope).await?;
        let above = ancestry.get(1..).unwrap_or_default();
        for node in nodes.iter_mut().filter(|node| node.resource == *scope) {
            node.parent = above.first().cloned();
        }
        nodes.extend((1..).zip(above).map(|(next, node)| Placed {
            resource: node.clone(),
            display_name: String::new(),
            parent: above.get(next).cloned(),
        }));
        Ok(nodes)
    }

    /// Where the protected nodes lie. One that the hierarchy in scope does not show is asked about; where that is not
    /// answered either, what was known stays.
    async fn read_above_protected(&self) {
        let mut all = BTreeSet::new();
        for node in &self.rules.protected {
            let line = self.kept().index.node(node).map(|node| node.line().to_vec());
            match line {
                Some(line) => all.extend(line),
                None => match self.catalog.ancestry(node).await {
                    Ok(ancestry) => all.extend(above(&[ancestry])),
                    Err(error) => {
                        tracing::warn!(%node, error = error.chain(), "what lies above a protected resource could not be read");
                        all.extend(self.kept().above_protected.iter().cloned());
                    }
                },
            }
        }
        self.change().above_protected = all;
    }

    /// The write lock is held for one policy at a time: lists are answered in between.
    fn take_over(&self, node: &Resource, policy: &Policy, verdicts: &mut Verdicts) {
        let prior = prior_activations(policy, self.clock.now());
        let is_same = self.kept().index.has_just_prior(node, &prior);
        if !is_same {
            self.change().index.set_prior(node, prior);
        }
        if !self.rules.trusts(node) {
            return;
        }
        let Offers { eligible, flawed } = verdicts.offers(node, policy);
        let is_same = {
            let kept = self.kept();
            kept.index.offers_just(node, &eligible) && kept.flaws_of(node) == flawed
        };
        if !is_same {
            let mut kept = self.change();
            if kept.index.set_offers(node, &eligible) {
                kept.set_flaws(node, flawed);
            }
        }
    }

    /// What no page told of has no bindings any more.
    fn drop_unread(&self, read: &BTreeSet<Resource>) {
        let mut kept = self.change();
        let all = kept.index.offering().chain(kept.flaws.keys()).chain(kept.index.with_prior());
        let unread: Vec<Resource> = all.filter(|node| !read.contains(*node)).cloned().collect();
        for node in unread {
            kept.index.set_offers(&node, &[]);
            kept.index.set_prior(&node, Vec::new());
            kept.flaws.remove(&node);
        }
        kept.index.tidy();
        self.metrics.lists.hold(kept.index.n_bindings(), kept.flaws.values().map(Vec::len).sum());
    }

    /// Looks up what the offered roles give. A failure leaves one open, and is no failure of the whole.
    pub(super) async fn read_roles(&self, offered: &BTreeSet<Role>) {
        let now = self.clock.elapsed();
        let due: Vec<Role> = {
            let kept = self.kept();
            offered.iter().filter(|role| kept.powers.is_due(role, now)).cloned().collect()
        };
        let ask = |role: Role| async move {
            let answer = self.catalog.permissions(&role).await;
            (role, answer)
        };
        let mut answers = stream::iter(due).map(ask).buffer_unordered(ROLES_AT_ONCE);
        while let Some((role, answer)) = answers.next().await {
            let of = match answer {
                Ok(permissions) => known(permissions.as_ref().map(OfRole::of).as_ref()),
                Err(error) => {
                    tracing::warn!(%role, error = error.chain(), "what a role gives could not be read");
                    RoleKnown::Unread
                }
            };
            self.change().powers.set(role, of, now);
        }
    }

    fn jittered(&self, pause: Duration) -> Duration {
        let [_, _, _, _, .., random] = self.entropy.bits();
        let part = pause.checked_div(JITTER_PART).unwrap_or_default();
        pause.saturating_add(part.mul_f32(f32::from(random) / f32::from(u8::MAX)))
    }
}

impl Kept {
    fn forget(&mut self, node: &Resource) {
        self.index.remove_node(node);
        self.flaws.remove(node);
    }

    fn flaws_of(&self, node: &Resource) -> &[Flawed] {
        self.flaws.get(node).map_or(&[], Vec::as_slice)
    }

    /// Tells administrators once, until something else is wrong.
    fn set_flaws(&mut self, node: &Resource, flawed: Vec<Flawed>) {
        for Flawed { role, title, why } in
            flawed.iter().filter(|it| !self.flaws_of(node).contains(it))
        {
            tracing::warn!(%node, role, title, why, "a binding bears a marker and makes nobody eligible");
        }
        if flawed.is_empty() {
            self.flaws.remove(node);
        } else {
            self.flaws.insert(node.clone(), flawed);
        }
    }
}

/// `None` once the index is gone.
async fn refreshed(shelf: &Weak<Shelf>, failures: &mut u32) -> Option<Duration> {
    let shelf = shelf.upgrade()?;
    Some(shelf.refresh(failures).await)
}

fn placed(node: NodeInfo) -> Placed {
    Placed { resource: node.resource, display_name: node.display_name, parent: node.parent }
}

async fn give_way(n: usize) {
    if n.checked_rem(POLICIES_IN_A_ROW) == Some(0) {
        tokio::task::yield_now().await;
    }
}
