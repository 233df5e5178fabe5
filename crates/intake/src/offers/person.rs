//! The other source of lists: Policy Analyzer's answer about one person, which knows groups as Google does and has a
//! small quota.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use curfew_core::eligible::prior_activations;
use curfew_core::index::Verdicts;
use curfew_core::principal::Email;
use curfew_ports::PortError;

use super::{AsOf, Kept, STALE_AFTER, Shelf};
use crate::errors::Refusal;

/// How long an answer about a person is shown before it is asked for again.
const AGE_MAX: Duration = Duration::from_mins(1);

/// People whose answers are remembered; with more the one that was asked for longest ago is forgotten.
const REMEMBERED_MAX: usize = 1_000;

/// Answers about people.
#[derive(Default)]
pub(super) struct People(Mutex<BTreeMap<Email, Arc<Kept>>>);

impl People {
    fn of(&self, person: &Email) -> Option<Arc<Kept>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(person).cloned()
    }

    fn remember(&self, person: &Email, kept: &Arc<Kept>) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if all.len() >= REMEMBERED_MAX && !all.contains_key(person) {
            let oldest = all.iter().min_by_key(|(_, kept)| kept.as_of.map(|as_of| as_of.elapsed));
            if let Some(oldest) = oldest.map(|(person, _)| person.clone()) {
                all.remove(&oldest);
            }
        }
        all.insert(person.clone(), kept.clone());
    }
}

impl Shelf {
    /// What names this person, at most [`AGE_MAX`] old; where it cannot be read, what is not too old instead.
    pub(super) async fn of_person(&self, person: &Email) -> Result<Arc<Kept>, Refusal> {
        let known = self.people.of(person);
        let is_at_most = |kept: &Arc<Kept>, age_max: Duration| {
            kept.as_of
                .is_some_and(|as_of| self.clock.elapsed().saturating_sub(as_of.elapsed) < age_max)
        };
        if let Some(kept) = known.as_ref().filter(|kept| is_at_most(kept, AGE_MAX)) {
            return Ok(kept.clone());
        }
        match self.ask_about(person).await {
            Ok(kept) => {
                let kept = Arc::new(kept);
                self.people.remember(person, &kept);
                Ok(kept)
            }
            Err(error) => {
                self.metrics.lists.failed(error.class);
                let refusal = Refusal::look_up(&error);
                known.filter(|kept| is_at_most(kept, STALE_AFTER)).ok_or(refusal)
            }
        }
    }

    async fn ask_about(&self, person: &Email) -> Result<Kept, PortError> {
        let as_of = AsOf { at: self.now(), elapsed: self.clock.elapsed() };
        let policies = self.catalog.policies_naming(person).await?;
        let mut index = self.kept().index.bare();
        let mut verdicts = Verdicts::default();
        for (node, policy) in &policies {
            if self.rules.trusts(node) {
                index.set_offers(node, &verdicts.offers(node, policy).eligible);
            }
            index.set_prior(node, prior_activations(policy, as_of.at));
        }
        self.read_roles(&index.roles().cloned().collect()).await;
        let kept = self.kept();
        let (powers, above_protected) = (kept.powers.clone(), kept.above_protected.clone());
        Ok(Kept { index, powers, above_protected, as_of: Some(as_of), ..Kept::default() })
    }
}
