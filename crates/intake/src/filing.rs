//! Filing a request: parse, judge, sign, write once. And what would happen, without doing it.

mod draft;
mod examine;
pub(crate) mod report;

use curfew_core::id::{Digest, RequestId};
use curfew_core::spec::Spec;
use curfew_ports::{Committed, ListQuery, PortError, RetryClass, StoredEnvelope, StoredRequest};
use curfew_proto::{json, payload, v1};

use crate::App;
use crate::auth::Caller;
use crate::errors::{Reason, Refusal};
use crate::limits::{COUNTED_MAX, OPEN_MAX};
use crate::view::{self, Seen};
pub(crate) use examine::Examined;
use report::Report;

/// How often the same bytes are sent to a store that does not answer; the create is idempotent.
const CREATE_ATTEMPTS: usize = 2;

/// A filed request.
pub(crate) struct Filed {
    pub(crate) seen: Seen,
    /// Whether it is new; else the same caller filed the same body under the same key before.
    pub(crate) is_new: bool,
}

/// Files the request that `body` (JSON) asks for. With a `key`, the same caller and body get the stored request.
pub(crate) async fn file(
    app: &App,
    caller: &Caller,
    body: &[u8],
    key: Option<&str>,
) -> Result<Filed, Refusal> {
    let wire: v1::CreateRequestBody = json::from_json(body)?;
    let id = match key {
        Some(key) => RequestId::idempotent(caller.subject(), key),
        None => RequestId::from_bits(app.intake.entropy.bits()),
    };
    let body_digest = Digest::of(body);
    let report = &mut Report::until_the_first_refusal();
    let draft = draft::draft(app, caller, id.clone(), wire, report)?.ok_or_else(unexamined)?;
    examine::form(app, &draft, report)?;
    let _turn = app.limits.turn(&caller.person.subject).await;
    if key.is_some()
        && let Some(stored) = find(app, &id).await?
    {
        return same_request(app, caller, &body_digest, stored);
    }
    let examined = examine::standing(app, caller, &draft, report).await?;
    let Examined { spec, .. } = examined.ok_or_else(unexamined)?;
    let ticket = draft.ticket.as_deref();
    let text = payload::spec(&spec, &app.settings().installation, &body_digest, ticket);
    let envelope = app
        .intake
        .signer
        .sign(payload::SPEC_TYPE, text)
        .await
        .map_err(|error| Refusal::signing(&error))?;
    match create(app, &spec.id, &envelope).await {
        Ok(committed) => {
            tracing::info!(operation.id = %spec.id, event = "api.requestRole", resource = %spec.resource, "a request was filed");
            Ok(Filed {
                seen: Seen::new(app, just_stored(spec.id, envelope, committed)),
                is_new: true,
            })
        }
        Err(error) if error.class == RetryClass::AlreadyExists => {
            let stored = find(app, &spec.id).await?.ok_or_else(|| Refusal::store(&error))?;
            same_request(app, caller, &body_digest, stored)
        }
        Err(error) => Err(Refusal::store(&error)),
    }
}

/// What filing `body` would come to: every check with how it went, and what passed them all. Nothing is stored.
pub(crate) async fn examine(
    app: &App,
    caller: &Caller,
    body: &[u8],
) -> Result<(Report, Option<Examined>), Refusal> {
    let wire: v1::CreateRequestBody = json::from_json(body)?;
    let id = RequestId::from_bits(app.intake.entropy.bits());
    let mut report = Report::of_everything();
    let Some(draft) = draft::draft(app, caller, id, wire, &mut report)? else {
        examine::skip_rest(&mut report);
        return Ok((report, None));
    };
    examine::form(app, &draft, &mut report)?;
    let examined = examine::standing(app, caller, &draft, &mut report).await?;
    Ok((report, examined))
}

/// Nothing passes without having been examined.
fn unexamined() -> Refusal {
    Refusal::new(Reason::Internal, "The request was not examined: try again, or tell an operator.")
}

/// Everything that this person filed lately, newest first.
async fn filed_before(app: &App, caller: &Caller) -> Result<Vec<StoredRequest>, Refusal> {
    let requester = Some(caller.subject().to_owned());
    let query = ListQuery { requester, page_size: COUNTED_MAX, ..ListQuery::default() };
    Ok(app.intake.store.list(&query).await.map_err(|error| Refusal::store(&error))?.requests)
}

fn check_open(app: &App, filed: &[StoredRequest], spec: &Spec) -> Result<(), Refusal> {
    let now = app.now();
    let open = filed.iter().filter(|stored| !view::is_over(stored, now));
    let open: Vec<Seen> = open.map(|stored| Seen::new(app, stored.clone())).collect();
    for requested in &spec.roles {
        let same =
            open.iter().filter(|seen| seen.names_entitlement(&requested.entitlement)).count();
        if same >= OPEN_MAX {
            let message = format!(
                "You have {OPEN_MAX} open requests for {}: withdraw one first.",
                requested.role
            );
            return Err(
                Refusal::new(Reason::TooManyOpen, message).after(std::time::Duration::from_mins(1))
            );
        }
    }
    Ok(())
}

async fn create(
    app: &App,
    id: &RequestId,
    envelope: &StoredEnvelope,
) -> Result<Committed, PortError> {
    let mut created = app.intake.store.create(id, envelope).await;
    for _ in 1..CREATE_ATTEMPTS {
        match &created {
            Err(error) if error.class == RetryClass::Unavailable => {
                created = app.intake.store.create(id, envelope).await;
            }
            Ok(_) | Err(_) => break,
        }
    }
    created
}

async fn find(app: &App, id: &RequestId) -> Result<Option<StoredRequest>, Refusal> {
    let found = app.intake.store.get(std::slice::from_ref(id)).await;
    Ok(found.map_err(|error| Refusal::store(&error))?.remove(id))
}

fn same_request(
    app: &App,
    caller: &Caller,
    body_digest: &Digest,
    stored: StoredRequest,
) -> Result<Filed, Refusal> {
    let seen = Seen::new(app, stored);
    let is_same = seen.spec().is_some_and(|filed| {
        filed.spec.requester.subject == caller.person.subject && filed.body_digest == *body_digest
    });
    if is_same {
        return Ok(Filed { seen, is_new: false });
    }
    let message = "stands for a request with another body: choose a new one for a new request.";
    Err(Refusal::field(Reason::IdempotencyKeyReused, "Idempotency-Key", message))
}

/// What the store holds now, without reading it.
fn just_stored(id: RequestId, envelope: StoredEnvelope, committed: Committed) -> StoredRequest {
    StoredRequest {
        id,
        live: true,
        spec: Some(envelope),
        entries: std::collections::BTreeMap::new(),
        facts: Vec::new(),
        status: None,
        created_at: committed.at,
        version: committed.version,
    }
}
