//! What this process knows of the requests: the newest version seen of each, verified once, and the facts that it
//! remembers although a document may have been rolled back.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use chrono::{DateTime, TimeDelta, Utc};
use curfew_core::chain::Chain;
use curfew_core::id::RequestId;
use curfew_core::planted;
use curfew_core::reconcile::{ACTIVATION_WINDOW, SELF_ACTIVATION_WINDOW};
use curfew_core::request::{Rejection, Request, VerifiedFacts};
use curfew_core::status::Status;
use curfew_core::world::Answered;
use curfew_ports::{StoredEnvelope, StoredFact, StoredRequest, Verifier};

use crate::search::Doubt;

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
    /// Whether it may have been granted although its facts do not say so.
    pub(crate) doubt: Option<Doubt>,
    /// Whether the document shows readers what its facts say.
    pub(crate) is_shown: bool,
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
    doubt: Option<Doubt>,
    /// How many facts were known before the read of an answered write that removed bindings of it.
    removed: Option<usize>,
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

    /// The requests that may have been granted although their facts do not say so, with how many facts each has.
    pub(crate) fn in_doubt(&self) -> Vec<(RequestId, usize)> {
        let all = lock(&self.known);
        let in_doubt = all.iter().filter(|(_, known)| known.doubt.is_some());
        in_doubt.map(|(id, known)| (id.clone(), known.request.facts.len())).collect()
    }

    /// Notes that an answered write removed bindings of a request; `knew` facts were known before its read.
    pub(crate) fn removed(&self, id: &RequestId, knew: usize) {
        if let Some(remembered) = lock(&self.remembered).get_mut(id) {
            remembered.removed = Some(knew);
        }
    }

    /// What such a write proves about a request of which no fact says that it was granted.
    pub(crate) fn removal(&self, id: &RequestId) -> Option<Answered> {
        let facts_known_before_read = lock(&self.remembered).get(id)?.removed?;
        Some(Answered { facts_known_before_read, left: BTreeSet::new(), left_altered: 0 })
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
        let mut doubt = Doubt::about(&stored, &request, &*self.verifier);
        let mut all = lock(&self.remembered);
        let before = all.get(&stored.id);
        let removed = before.and_then(|known| known.removed);
        if let Some(earlier) = before.and_then(|known| known.doubt.clone()) {
            doubt = Some(doubt.unwrap_or_default().and(earlier));
        }
        let sealed = match all.get_mut(&stored.id) {
            Some(remembered)
                if planted!("no-memory", false, !verified.starts_with(&remembered.sealed)) =>
            {
                remembered.follow(&stored, &*self.verifier);
                request.facts = remembered.facts.clone();
                request.rolled_back = true;
                remembered.doubt.clone_from(&doubt);
                remembered.sealed.clone()
            }
            _ => {
                let sealed = Arc::new(verified.to_vec());
                let facts = request.facts.clone();
                let until = self.remember_until(&request);
                let spec = stored.spec.clone();
                let (doubt, kept) = (doubt.clone(), sealed.clone());
                let remembered = Remembered { spec, facts, sealed: kept, doubt, removed, until };
                all.insert(stored.id.clone(), remembered);
                sealed
            }
        };
        let is_shown = is_shown(&stored, &request);
        Known { stored: Arc::new(stored), request: Arc::new(request), sealed, doubt, is_shown }
    }
}

/// Whether the status is the projection of the facts, as far as this version understands them. Of a request that
/// nothing is recorded of there is nothing to show.
fn is_shown(stored: &StoredRequest, request: &Request) -> bool {
    let chain = Chain::of(&request.facts);
    if chain.has_unknown || matches!(request.spec, Err(Rejection::UnsupportedVersion)) {
        return true;
    }
    match &stored.status {
        Some(status) => *status == Status::of(&chain, start_of(request)),
        None => request.facts.is_empty(),
    }
}

/// The start that was asked for, if that can be read.
pub(crate) fn start_of(request: &Request) -> Option<DateTime<Utc>> {
    request.spec.as_ref().ok().and_then(|spec| spec.start_at)
}

impl View {
    /// Beyond every deadline that the request has, or would be given if its facts were erased and it were judged anew.
    fn remember_until(&self, request: &Request) -> DateTime<Utc> {
        let chain = Chain::of(&request.facts);
        let start_at = start_of(request);
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
