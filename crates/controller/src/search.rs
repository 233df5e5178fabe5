//! Looking for bindings of requests whose documents do not verify, in every policy that may hold one.
//!
//! Whoever can write the store can make a chain of facts unreadable, and with it the grant that it holds. Such a
//! request is not called never granted before the policies were looked at: those that this installation ever wrote, as
//! they are read anyway, and those that the broken parts of the document name. What the document says is a hint where
//! to look: it causes a read, a bounded number of them, and never a binding.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use curfew_core::chain::Chain;
use curfew_core::fact::TagSubject;
use curfew_core::id::RequestId;
use curfew_core::observe::{Marks, observe};
use curfew_core::planted;
use curfew_core::policy::{Binding, Policy};
use curfew_core::request::{Rejection, Request};
use curfew_core::resource::Resource;
use curfew_core::world::{Observed, Unanswered};
use curfew_ports::{PortError, RetryClass, StoredRequest, Verifier};

use crate::context::Context;
use crate::view::Known;

/// How many policies one document can make this process look at: that of its spec, that of a grant, and those of their
/// forged likenesses.
const PLACES_MAX: usize = 4;

/// How often at most a policy is read because a document that does not verify names it, in the long run. Thousands of
/// such documents cost a tenth of the read quota (600 a minute), and wait for each other; each gets all that it names
/// read at once, or nothing, since answers to only some of its questions are too old by the time of the next.
pub(crate) const NAMED_READ_EVERY: Duration = Duration::from_secs(1);

/// That a request may have been granted although its facts do not say so, and where.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Doubt {
    /// The policies that its document names.
    places: BTreeSet<Resource>,
    /// Whether no signed part says where it belongs: any policy may hold a binding of it.
    is_anywhere: bool,
}

impl Doubt {
    /// What is in doubt about a document.
    pub(crate) fn about(
        stored: &StoredRequest,
        request: &Request,
        verifier: &dyn Verifier,
    ) -> Option<Self> {
        match &request.spec {
            // A grant is always of the resource that was asked for.
            Ok(spec) => (request.facts.rejected() > 0).then(|| Self {
                places: BTreeSet::from([spec.resource.clone()]),
                is_anywhere: false,
            }),
            Err(Rejection::UnsupportedVersion) => None,
            Err(_) => Some(Self {
                places: verifier.places(stored).into_iter().take(PLACES_MAX).collect(),
                is_anywhere: true,
            }),
        }
    }

    /// This doubt and an earlier one: what was cut off a document since then is not forgotten.
    pub(crate) fn and(self, earlier: Self) -> Self {
        let places = earlier.places.into_iter().chain(self.places).take(PLACES_MAX).collect();
        Self { places, is_anywhere: self.is_anywhere || earlier.is_anywhere }
    }
}

/// Where bindings of ours bear the request's title although no fact records them; `here` is judged elsewhere.
pub(crate) async fn strays(
    context: &Context,
    known: &Known,
    here: Option<&Resource>,
) -> Observed<BTreeSet<Resource>> {
    let Some(doubt) = known.doubt.as_ref().filter(|_| is_open(&known.request)) else {
        return Observed::Known(BTreeSet::new());
    };
    // Before it is known to be over, nothing has to be removed.
    if Chain::of(&known.request.facts).outcome.is_none() {
        return Observed::Unknown(Unanswered::NotAsked);
    }
    let id = &known.stored.id;
    let (mut found, mut unread) =
        if doubt.is_anywhere { context.actors.holding(id) } else { (BTreeSet::new(), None) };
    let places = doubt.places.iter().filter(|place| Some(*place) != here).collect::<Vec<_>>();
    let may_read = planted!("one-place-at-a-time", false, context.lookups.may_read_named(&places));
    for place in places {
        let may_read =
            planted!("one-place-at-a-time", context.lookups.may_read_named(&[place]), may_read);
        match context.lookups.bearers(context, place, may_read).await {
            Ok(bearers) if bearers.contains(id) => drop(found.insert(place.clone())),
            Ok(_) => {}
            Err(error) => unread = Some(error.chain()),
        }
    }
    found.retain(|place| Some(place) != here);
    // What was found goes, whatever could not be looked at.
    match unread.filter(|_| found.is_empty()) {
        Some(why) => Observed::Unknown(Unanswered::Failed(why)),
        None => Observed::Known(found),
    }
}

/// Whether no fact tells of a grant, and none of an end.
pub(crate) fn is_open(request: &Request) -> bool {
    let chain = Chain::of(&request.facts);
    chain.grant.is_none() && chain.ended.is_none()
}

/// The requests whose title is borne by bindings that carry our tag.
pub(crate) fn bearers(
    context: &Context,
    resource: &Resource,
    policy: &Policy,
) -> BTreeSet<RequestId> {
    let installation = &context.settings.installation;
    let titles = policy.bindings.iter().map(Binding::title);
    let named: BTreeSet<RequestId> =
        titles.filter_map(|title| installation.request_of(title)).collect();
    let tag = |subject: &TagSubject<'_>| context.ports.sealer.tag(subject);
    let is_borne = |request: &RequestId| {
        let marks = Marks { installation, request, resource, recorded: &[], tag: &tag };
        !observe(policy, &marks).is_clear()
    };
    named.into_iter().filter(is_borne).collect()
}

/// The answer to [`bearers`] on a policy that a document names, if it may be read now.
pub(crate) async fn read_bearers(
    context: &Context,
    place: &Resource,
    may_read: bool,
) -> Result<Arc<BTreeSet<RequestId>>, PortError> {
    if !may_read {
        let act =
            format!("read the policy of {place}, which a document that does not verify names");
        return Err(PortError::new(RetryClass::RateLimited(Some(NAMED_READ_EVERY)), act));
    }
    let policy = context.ports.catalog.policy(place).await?;
    Ok(Arc::new(bearers(context, place, &policy)))
}
