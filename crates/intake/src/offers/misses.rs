//! Resources that somebody asks for and the index does not know: new ones, and ones that do not exist.

use std::collections::BTreeMap;
use std::time::Duration;

use curfew_core::eligible::{offers, prior_activations};
use curfew_core::judge::within_scope;
use curfew_core::resource::Resource;
use curfew_ports::{PortError, RetryClass};

use super::Shelf;
use crate::errors::{Reason, Refusal};

/// How long nobody looks again for a resource that was looked for.
const AGE_MAX: Duration = Duration::from_mins(1);

/// Resources that are looked for within [`AGE_MAX`]: names are easily made up, and each costs calls to Google.
const MISSES_MAX: usize = 60;

/// What was looked for lately.
#[derive(Default)]
pub(super) struct Misses(BTreeMap<Resource, Duration>);

impl Misses {
    /// Whether to look for it now. An error: too many were looked for.
    fn admit(&mut self, resource: &Resource, now: Duration) -> Result<bool, Refusal> {
        self.0.retain(|_, at| now.saturating_sub(*at) < AGE_MAX);
        if self.0.contains_key(resource) {
            return Ok(false);
        }
        if self.0.len() >= MISSES_MAX {
            let message = "Too many unknown resources are asked for at the moment: try again in a minute, or leave `resource` out.";
            return Err(Refusal::new(Reason::LookUpFailed, message).after(AGE_MAX));
        }
        self.0.insert(resource.clone(), now);
        Ok(true)
    }
}

impl Shelf {
    /// Reads a resource that the index does not know, and what lies above it, and adds what is in scope. What cannot
    /// be seen is not added, and that is the answer; what could not be read is an error.
    pub(super) async fn look_for(&self, resource: &Resource) -> Result<(), Refusal> {
        // One at a time, so that many who ask for the same cost one look.
        let mut misses = self.misses.lock().await;
        if !misses.admit(resource, self.clock.elapsed())? {
            return Ok(());
        }
        let found = self.found(resource).await;
        if found.is_err() {
            misses.0.remove(resource);
        }
        found.map_err(|error| Refusal::look_up(&error))
    }

    async fn found(&self, resource: &Resource) -> Result<(), PortError> {
        let ancestry = match self.catalog.ancestry(resource).await {
            Ok(ancestry) => ancestry,
            Err(error) if is_invisible(&error) => return Ok(()),
            Err(error) => return Err(error),
        };
        for (above, node) in (1..).zip(within_scope(&ancestry, &self.rules)) {
            if self.kept().index.node(node).is_some() {
                break;
            }
            let policy = self.catalog.policy(node).await?;
            let is_trusted = self.rules.trusts(node);
            let eligible = if is_trusted { offers(node, &policy).eligible } else { Vec::new() };
            let prior = prior_activations(&policy, self.clock.now());
            let mut kept = self.change();
            kept.index.place(node, "", ancestry.get(above..).unwrap_or_default());
            kept.index.set_offers(node, &eligible);
            kept.index.set_prior(node, prior);
        }
        Ok(())
    }
}

/// Google does not tell what does not exist from what may not be seen.
fn is_invisible(error: &PortError) -> bool {
    matches!(error.class, RetryClass::NotFound | RetryClass::Denied | RetryClass::Invalid)
}
