//! Filing a request: parse, judge, sign, write once.

use chrono::SubsecRound as _;
use curfew_core::condition::{NARROWING_NAMES_MAX, ResourceName};
use curfew_core::id::{Digest, Nonce, RequestId};
use curfew_core::judge::judge_form;
use curfew_core::principal::{Email, Principal};
use curfew_core::resource::Resource;
use curfew_core::role::Role;
use curfew_core::spec::{RequestedRole, Spec};
use curfew_ports::{Committed, ListQuery, PortError, RetryClass, StoredEnvelope, StoredRequest};
use curfew_proto::{convert, json, parse_duration, payload, v1};

use crate::App;
use crate::auth::Caller;
use crate::eligibility;
use crate::errors::{Reason, Refusal};
use crate::limits::{self, COUNTED_MAX, OPEN_MAX};
use crate::text;
use crate::view::{self, Seen};

/// How often the same bytes are sent to a store that does not answer; the create is idempotent.
const CREATE_ATTEMPTS: usize = 2;

/// A filed request.
pub(crate) struct Filed {
    pub(crate) seen: Seen,
    /// Whether it is new; else the same caller filed the same body under the same key before.
    pub(crate) is_new: bool,
}

/// A parsed body: the spec but for what only live answers tell, and the condition asked for per role.
struct Draft {
    spec: Spec,
    conditions: Vec<Option<String>>,
    ticket: Option<String>,
    body_digest: Digest,
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
    let draft = draft(app, caller, id, wire, Digest::of(body))?;
    judge_form(&draft.spec, &app.settings().rules)?;
    let _turn = app.limits.turn(&caller.person.subject).await;
    if key.is_some()
        && let Some(stored) = find(app, &draft.spec.id).await?
    {
        return same_request(app, caller, &draft.body_digest, stored);
    }
    let filed = filed_before(app, caller).await?;
    limits::check_new(&filed, app.now())?;
    let Draft { spec, conditions, ticket, body_digest } = draft;
    let spec = eligibility::settle(app, spec, &conditions).await?;
    check_open(app, &filed, &spec)?;
    let text = payload::spec(&spec, &app.settings().installation, &body_digest, ticket.as_deref());
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

fn draft(
    app: &App,
    caller: &Caller,
    id: RequestId,
    body: v1::CreateRequestBody,
    body_digest: Digest,
) -> Result<Draft, Refusal> {
    let settings = app.settings();
    // The entitlement and the permissions come from live answers, the digest from the signed text.
    let unknown = Digest::of(b"");
    let spec = Spec {
        id,
        digest: unknown.clone(),
        requester: caller.person.clone(),
        principal: principal(caller, body.principal.as_deref())?,
        resource: resource(&body.resource)?,
        roles: roles(&body.roles, settings.rules.roles_max, &unknown)?,
        resource_names: resource_names(&body.resource_names)?,
        duration: match body.duration.as_deref() {
            Some(text) => parse_duration(text).map_err(|error| invalid("duration", &error))?,
            None => settings.default_duration(),
        },
        start_at: match body.start_at.as_ref() {
            Some(wire) => {
                let at = convert::time_from_wire(wire)
                    .ok_or_else(|| invalid("startAt", &"must be an RFC 3339 time"))?;
                Some(at.trunc_subsecs(6))
            }
            None => None,
        },
        justification: text::prose("justification", &body.justification)?,
        ticket: None,
        chosen_approvers: chosen_approvers(
            &body.chosen_approvers,
            settings.rules.peers.chosen_max,
        )?,
        break_glass: body.break_glass,
        requested_at: app.now(),
        nonce: Nonce::from_bits(app.intake.entropy.bits()),
        authentication: caller.authentication.clone(),
    };
    let ticket = body.ticket.as_deref().map(|ticket| text::ticket("ticket", ticket)).transpose()?;
    let conditions = body.roles.into_iter().map(|role| role.resource_condition).collect();
    Ok(Draft { spec, conditions, ticket, body_digest })
}

fn invalid(field: &str, error: &dyn std::fmt::Display) -> Refusal {
    Refusal::field(Reason::FieldInvalid, field, format!("{error}."))
}

fn required(field: &str, text: &str) -> Result<(), Refusal> {
    if text.is_empty() {
        Err(Refusal::field(Reason::FieldRequired, field, "is required."))
    } else {
        Ok(())
    }
}

fn principal(caller: &Caller, text: Option<&str>) -> Result<Principal, Refusal> {
    let Some(text) = text else { return Ok(caller.principal()) };
    Principal::parse(text).map_err(|error| invalid("principal", &error))
}

fn resource(text: &str) -> Result<Resource, Refusal> {
    required("resource", text)?;
    Resource::parse(text).map_err(|error| invalid("resource", &error))
}

fn roles(
    wire: &[v1::RoleBody],
    max: usize,
    unknown: &Digest,
) -> Result<Vec<RequestedRole>, Refusal> {
    if !(1..=max).contains(&wire.len()) {
        let message = format!("must name 1 to {max} roles, each once.");
        return Err(Refusal::field(Reason::RolesOutOfBounds, "roles", message));
    }
    let read = |(position, role): (usize, &v1::RoleBody)| {
        let field = format!("roles[{position}].role");
        required(&field, &role.role)?;
        Ok(RequestedRole {
            role: Role::parse(&role.role).map_err(|error| invalid(&field, &error))?,
            resource_condition: role.resource_condition.clone().unwrap_or_default(),
            entitlement: String::new(),
            permissions_hash: unknown.clone(),
        })
    };
    wire.iter().enumerate().map(read).collect()
}

fn resource_names(wire: &[String]) -> Result<Vec<ResourceName>, Refusal> {
    if wire.len() > NARROWING_NAMES_MAX {
        let message = format!("must hold at most {NARROWING_NAMES_MAX} names.");
        return Err(Refusal::field(Reason::ResourceNamesNotAllowed, "resourceNames", message));
    }
    let read = |(position, name): (usize, &String)| {
        ResourceName::parse(name)
            .map_err(|error| invalid(&format!("resourceNames[{position}]"), &error))
    };
    wire.iter().enumerate().map(read).collect()
}

fn chosen_approvers(wire: &[String], max: usize) -> Result<Vec<Email>, Refusal> {
    if wire.len() > max {
        let message = format!("must name at most {max} people.");
        return Err(Refusal::field(Reason::ApproversNotAllowed, "chosenApprovers", message));
    }
    let read = |(position, email): (usize, &String)| {
        Email::parse(email)
            .map_err(|error| invalid(&format!("chosenApprovers[{position}]"), &error))
    };
    wire.iter().enumerate().map(read).collect()
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
