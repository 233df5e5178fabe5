//! What people may ask for: an index of all eligible bindings in scope, by whom they name.
//!
//! It is for lists only. Filing and granting judge live policies.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use curfew_core::condition::Activation;
use curfew_core::eligible::{EligibleBinding, offers};
use curfew_core::judge::{Rules, activation_of};
use curfew_core::principal::{Email, Member, Principal};
use curfew_core::resource::Resource;
use curfew_core::role::Role;
use curfew_ports::{Catalog, Clock, EffectivePolicies, PortError, ProjectInfo};
use tokio::sync::Mutex;

use crate::Intake;
use crate::errors::{Reason, Refusal};

/// How old a list may be.
const AGE_MAX: Duration = Duration::from_secs(10);

/// After a failed look-up others wait this long, so that they do not queue for the same failure.
const FAILURE_AGE_MAX: Duration = Duration::from_secs(1);

/// Something that a person may ask for, on one resource.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Offer<'a> {
    pub(crate) project: &'a ProjectInfo,
    pub(crate) binding: &'a EligibleBinding,
    pub(crate) condition: &'a str,
}

/// One eligible binding and where it is in force.
struct Entry {
    binding: EligibleBinding,
    condition: String,
    /// Positions in [`Index::projects`], each with how far up its policy stands.
    projects: Vec<(usize, usize)>,
}

/// All eligible bindings, found by their members.
pub(crate) struct Index {
    projects: Vec<ProjectInfo>,
    entries: Vec<Entry>,
    by_member: BTreeMap<Member, Vec<usize>>,
}

impl Index {
    fn build(
        mut projects: Vec<ProjectInfo>,
        effective: &[EffectivePolicies],
        protected: &BTreeSet<Resource>,
    ) -> Self {
        projects.sort_by(|a, b| a.resource.cmp(&b.resource));
        let mut index = Self { projects, entries: Vec::new(), by_member: BTreeMap::new() };
        let positions: BTreeMap<Resource, usize> = index
            .projects
            .iter()
            .enumerate()
            .map(|(position, project)| (project.resource.clone(), position))
            .collect();
        // A node's policy comes with every project below it; reading it once keeps this linear in what there is.
        let mut by_node: BTreeMap<&Resource, Vec<usize>> = BTreeMap::new();
        for EffectivePolicies { resource, policies } in effective {
            let holds_the_system = protected.contains(resource)
                || policies.iter().any(|(node, _)| protected.contains(node));
            let Some(&position) = positions.get(resource).filter(|_| !holds_the_system) else {
                continue;
            };
            for (height, (node, policy)) in policies.iter().enumerate() {
                let entries = by_node.entry(node).or_insert_with(|| {
                    offers(node, policy)
                        .eligible
                        .into_iter()
                        .map(|binding| index.add(binding))
                        .collect()
                });
                for &entry in entries.iter() {
                    if let Some(entry) = index.entries.get_mut(entry) {
                        entry.projects.push((position, height));
                    }
                }
            }
        }
        index
    }

    fn add(&mut self, binding: EligibleBinding) -> usize {
        let position = self.entries.len();
        for member in &binding.members {
            self.by_member.entry(member.clone()).or_default().push(position);
        }
        self.entries.push(Entry {
            condition: binding.carried.to_string(),
            binding,
            projects: Vec::new(),
        });
        position
    }

    /// The names of all eligible bindings that this person holds.
    pub(crate) fn eligibilities(&self, person: &Email, groups: &BTreeSet<Email>) -> BTreeSet<&str> {
        let held = self.held_by(person, groups).into_iter();
        held.filter_map(|position| self.entries.get(position))
            .map(|entry| entry.binding.name.as_str())
            .collect()
    }

    /// Whether this person holds an eligible binding that a peer must approve, and so may approve for others.
    pub(crate) fn may_approve(
        &self,
        person: &Email,
        groups: &BTreeSet<Email>,
        rules: &Rules,
    ) -> bool {
        let held = self.held_by(person, groups).into_iter();
        held.filter_map(|position| self.entries.get(position))
            .any(|entry| activation_of(&entry.binding, rules) == Activation::PeerApproval)
    }

    fn held_by(&self, person: &Email, groups: &BTreeSet<Email>) -> BTreeSet<usize> {
        let named = [
            Member::Account(Principal::User(person.clone())),
            Member::Domain(person.domain().to_owned()),
        ];
        let members = named.into_iter().chain(groups.iter().cloned().map(Member::Group));
        members.filter_map(|member| self.by_member.get(&member)).flatten().copied().collect()
    }

    /// What this person may ask for, by project, role and condition. Where several bindings offer the same, the
    /// one that filing would choose: without a peer before with one, then the nearest.
    pub(crate) fn offers(&self, person: &Email, groups: &BTreeSet<Email>) -> Vec<Offer<'_>> {
        let entries = self.held_by(person, groups);
        let mut best: BTreeMap<(usize, &Role, &str), (Activation, usize, &Entry)> = BTreeMap::new();
        for entry in entries.into_iter().filter_map(|position| self.entries.get(position)) {
            for &(project, height) in &entry.projects {
                let candidate = (entry.binding.activation, height, entry);
                let key = (project, &entry.binding.role, entry.condition.as_str());
                let held = best.entry(key).or_insert(candidate);
                if (candidate.0, candidate.1) < (held.0, held.1) {
                    *held = candidate;
                }
            }
        }
        let offers = best.into_iter().filter_map(|((project, _, condition), (_, _, entry))| {
            Some(Offer { project: self.projects.get(project)?, binding: &entry.binding, condition })
        });
        offers.collect()
    }
}

/// Keeps the index for a moment; one caller at a time makes a new one.
pub(crate) struct Shelf {
    catalog: Arc<dyn Catalog>,
    clock: Arc<dyn Clock>,
    protected: BTreeSet<Resource>,
    held: Arc<Mutex<Option<Held>>>,
}

struct Held {
    made_at: Duration,
    made: Result<Arc<Index>, Refusal>,
}

impl Held {
    fn is_fresh(&self, now: Duration) -> bool {
        let age_max = if self.made.is_ok() { AGE_MAX } else { FAILURE_AGE_MAX };
        now.saturating_sub(self.made_at) < age_max
    }
}

impl Shelf {
    pub(crate) fn new(intake: &Intake) -> Self {
        Self {
            catalog: intake.catalog.clone(),
            clock: intake.clock.clone(),
            protected: intake.settings.rules.protected.clone(),
            held: Arc::default(),
        }
    }

    /// The index, at most [`AGE_MAX`] old. A failure is an error, never an empty index.
    pub(crate) async fn index(&self) -> Result<Arc<Index>, Refusal> {
        let mut held = self.held.clone().lock_owned().await;
        if let Some(fresh) = held.as_ref().filter(|held| held.is_fresh(self.clock.elapsed())) {
            return fresh.made.clone();
        }
        let (catalog, clock, protected) =
            (self.catalog.clone(), self.clock.clone(), self.protected.clone());
        // A task of its own: a caller that goes away must not take the work that others wait for with it.
        let making = tokio::spawn(async move {
            let made = make(&*catalog, &protected)
                .await
                .map(Arc::new)
                .map_err(|error| Refusal::look_up(&error));
            *held = Some(Held { made_at: clock.elapsed(), made: made.clone() });
            made
        });
        making.await.unwrap_or_else(|_| {
            Err(Refusal::new(
                Reason::Internal,
                "The list could not be made: try again, or tell an operator.",
            ))
        })
    }
}

async fn make(catalog: &dyn Catalog, protected: &BTreeSet<Resource>) -> Result<Index, PortError> {
    let projects = catalog.projects().await?;
    let resources: Vec<Resource> =
        projects.iter().map(|project| project.resource.clone()).collect();
    let effective = catalog.effective_policies(&resources).await?;
    Ok(Index::build(projects, &effective, protected))
}
