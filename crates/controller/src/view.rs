//! What this process knows of the requests: the newest version seen of each, verified once, and the facts that it
//! remembers although a document may have been rolled back.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use chrono::{DateTime, TimeDelta, Utc};
use curfew_core::chain::Chain;
use curfew_core::id::RequestId;
use curfew_core::planted;
use curfew_core::reconcile::{ACTIVATION_WINDOW, SELF_ACTIVATION_WINDOW};
use curfew_core::request::{Request, VerifiedFacts};
use curfew_ports::{StoredEnvelope, StoredFact, StoredRequest, Verifier};

/// How much longer than its creation, start and end a request's facts are remembered: longer than every window that
/// follows one of them, so that late and repeated events have passed by then.
const REMEMBER_BEYOND: TimeDelta = TimeDelta::minutes(40);
const _: () = assert!(
    REMEMBER_BEYOND.num_seconds()
        > SELF_ACTIVATION_WINDOW.num_seconds() + ACTIVATION_WINDOW.num_seconds()
);

/// One request as this process knows it. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Known {
    /// The document as read.
    pub(crate) stored: Arc<StoredRequest>,
    /// What may be believed of it; with the remembered facts, if the document was rolled back.
    pub(crate) request: Arc<Request>,
    /// The sealed form of `request.facts`.
    pub(crate) sealed: Arc<Vec<StoredFact>>,
}

/// See the module's documentation.
pub(crate) struct View {
    verifier: Arc<dyn Verifier>,
    decide_within: TimeDelta,
    known: Mutex<BTreeMap<RequestId, Known>>,
    remembered: Mutex<HashMap<RequestId, Remembered>>,
}

struct Remembered {
    /// What the first fact is chained to.
    spec: Option<StoredEnvelope>,
    facts: VerifiedFacts,
    sealed: Arc<Vec<StoredFact>>,
    until: DateTime<Utc>,
}

impl View {
    /// `decide_within`: how long an approval may take, at most.
    pub(crate) fn new(verifier: Arc<dyn Verifier>, decide_within: TimeDelta) -> Self {
        Self { verifier, decide_within, known: Mutex::default(), remembered: Mutex::default() }
    }

    /// Takes in a document; an older version than the known one is passed over. Gives what is known then, and
    /// whether that is new.
    pub(crate) fn learn(&self, stored: StoredRequest) -> (Known, bool) {
        if let Some(known) = lock(&self.known).get(&stored.id)
            && known.stored.version >= stored.version
        {
            return (known.clone(), false);
        }
        let known = self.verify(stored);
        let mut all = lock(&self.known);
        match all.get(&known.stored.id) {
            // Somebody else has learned a newer one meanwhile.
            Some(other) if other.stored.version > known.stored.version => (other.clone(), false),
            _ => {
                all.insert(known.stored.id.clone(), known.clone());
                (known, true)
            }
        }
    }

    #[cfg(feature = "planted-bugs")]
    pub(crate) fn assume(&self, stored: StoredRequest) -> Known {
        let known = self.verify(stored);
        lock(&self.known).insert(known.stored.id.clone(), known.clone());
        known
    }

    /// What is known of a request.
    pub(crate) fn get(&self, id: &RequestId) -> Option<Known> {
        lock(&self.known).get(id).cloned()
    }

    /// Drops a request that is deleted or has ended; its facts stay remembered until their deadlines have passed.
    pub(crate) fn drop(&self, id: &RequestId) {
        lock(&self.known).remove(id);
    }

    /// Everything that is known, for metrics and sweeps.
    pub(crate) fn all(&self) -> Vec<Known> {
        lock(&self.known).values().cloned().collect()
    }

    /// Forgets remembered facts whose deadlines have passed.
    pub(crate) fn forget(&self, now: DateTime<Utc>) {
        lock(&self.remembered).retain(|_, remembered| remembered.until > now);
    }

    fn verify(&self, stored: StoredRequest) -> Known {
        let mut request = self.verifier.verify(&stored);
        let verified = stored.facts.get(..request.facts.len()).unwrap_or_default();
        let mut all = lock(&self.remembered);
        let sealed = match all.get_mut(&stored.id) {
            Some(remembered)
                if planted!("no-memory", false, !verified.starts_with(&remembered.sealed)) =>
            {
                remembered.follow(&stored, &*self.verifier);
                request.facts = remembered.facts.clone();
                request.rolled_back = true;
                remembered.sealed.clone()
            }
            _ => {
                let sealed = Arc::new(verified.to_vec());
                let facts = request.facts.clone();
                let until = self.remember_until(&request);
                let spec = stored.spec.clone();
                all.insert(
                    stored.id.clone(),
                    Remembered { spec, facts, sealed: sealed.clone(), until },
                );
                sealed
            }
        };
        Known { stored: Arc::new(stored), request: Arc::new(request), sealed }
    }
}

impl View {
    /// Beyond every deadline that the request has, or would be given if its facts were erased and it were judged anew.
    fn remember_until(&self, request: &Request) -> DateTime<Utc> {
        let chain = Chain::of(&request.facts);
        let start_at = request.spec.as_ref().ok().and_then(|spec| spec.start_at);
        let deadlines = [
            request.created_at.checked_add_signed(self.decide_within),
            start_at,
            chain.eligible.map(|eligible| eligible.decide_by),
            chain.grant.map(|grant| grant.expires_at),
        ];
        let last = deadlines.into_iter().flatten().max().unwrap_or(request.created_at);
        last.checked_add_signed(REMEMBER_BEYOND).unwrap_or(DateTime::<Utc>::MAX_UTC)
    }
}

impl Remembered {
    /// Takes in what was added to the remembered facts although the document's spec is not what it was: an exchanged
    /// spec makes the whole chain unverifiable, and what is recorded about that must still count.
    fn follow(&mut self, stored: &StoredRequest, verifier: &dyn Verifier) {
        if !stored.facts.starts_with(&self.sealed) || stored.spec == self.spec {
            return;
        }
        let facts =
            verifier.verify(&StoredRequest { spec: self.spec.clone(), ..stored.clone() }).facts;
        if facts.len() > self.facts.len() {
            self.sealed = Arc::new(stored.facts.get(..facts.len()).unwrap_or_default().to_vec());
            self.facts = facts;
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
