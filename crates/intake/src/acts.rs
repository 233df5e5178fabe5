//! What people do about a filed request to end it; see [`crate::decisions`] for the rest.

use curfew_core::entry::{Act, ActKind, DIRECTIVES_MAX, ENDING_DIRECTIVES_RESERVE};
use curfew_core::id::Nonce;
use curfew_ports::RetryClass;
use curfew_proto::payload;

use crate::App;
use crate::auth::Caller;
use crate::errors::{Reason, Refusal};
use crate::view::{self, Seen};
use crate::{standing, text};

/// The requester no longer wants it. The reason may be empty.
pub(crate) async fn withdraw(
    app: &App,
    caller: &Caller,
    id: &str,
    reason: &str,
) -> Result<Seen, Refusal> {
    let reason = text::optional_prose("reason", reason)?;
    let _turn = app.limits.turn(&caller.person.subject).await;
    let seen = view::look(app, caller, id).await?;
    if seen.spec().is_none() {
        return Err(Refusal::new(
            Reason::Unverified,
            "The stored request cannot be verified, and gives no access: tell an operator.",
        ));
    }
    if !seen.is_requester(&caller.person) {
        return Err(Refusal::new(
            Reason::NotTheRequester,
            "Only the requester can withdraw a request: operators can revoke it.",
        ));
    }
    end(app, caller, seen, Act::Withdraw { reason }).await
}

/// An operator, or who approved it, ends it and says why.
pub(crate) async fn revoke(
    app: &App,
    caller: &Caller,
    id: &str,
    reason: &str,
) -> Result<Seen, Refusal> {
    let reason = text::prose("reason", reason)?;
    let _turn = app.limits.turn(&caller.person.subject).await;
    let seen = view::look(app, caller, id).await?;
    if !seen.was_approved_by(&caller.person) && !standing::is_operator(app, &caller.person).await? {
        return Err(Refusal::new(
            Reason::NotAnOperator,
            "Only operators and those who approved it can revoke: withdraw your own request, or ask an operator.",
        ));
    }
    end(app, caller, seen, Act::Revoke { reason }).await
}

/// Adds the act, and gives the request as it is read after that. Doing it twice adds one act.
async fn end(app: &App, caller: &Caller, seen: Seen, act: Act) -> Result<Seen, Refusal> {
    let kind = act.kind();
    if seen.has_act(kind, &caller.person) {
        return Ok(seen);
    }
    if seen.is_over(app.now()) {
        return Err(Refusal::new(
            Reason::AlreadyOver,
            "This access is over already: there is nothing left to end.",
        ));
    }
    let directives = seen.entries().filter(|entry| entry.act.kind() != ActKind::Decision).count();
    if directives >= DIRECTIVES_MAX.saturating_add(ENDING_DIRECTIVES_RESERVE) {
        return Err(Refusal::new(
            Reason::TooManyActs,
            "So many have ended this request that no more fit: look at it again.",
        ));
    }
    record(app, caller, &seen, &act).await
}

/// Signs the act, adds it, and gives the request as it is read after that.
pub(crate) async fn record(
    app: &App,
    caller: &Caller,
    seen: &Seen,
    act: &Act,
) -> Result<Seen, Refusal> {
    let kind = act.kind();
    let nonce = Nonce::from_bits(app.intake.entropy.bits());
    let (installation, authentication) = (&app.settings().installation, &caller.authentication);
    let text = payload::entry(
        installation,
        seen.id(),
        &nonce,
        &caller.person,
        app.now(),
        act,
        authentication,
    );
    let envelope = app
        .intake
        .signer
        .sign(kind.as_str(), text)
        .await
        .map_err(|error| Refusal::signing(&error))?;
    app.intake.store.add_entry(seen.id(), &nonce, &envelope).await.map_err(|error| match error
        .class
    {
        RetryClass::NotFound => Refusal::not_found(),
        RetryClass::Conflict
        | RetryClass::AlreadyExists
        | RetryClass::Denied
        | RetryClass::Invalid
        | RetryClass::RateLimited(_)
        | RetryClass::Unavailable => Refusal::store(&error),
    })?;
    tracing::info!(operation.id = %seen.id(), event = event(kind), act = kind.as_str(), "an act was recorded");
    view::read(app, seen.id()).await
}

/// The name that JIT Access gives such an act, for those who already filter on it.
fn event(kind: ActKind) -> &'static str {
    match kind {
        ActKind::Decision => "api.activateRole",
        ActKind::Withdraw | ActKind::Revoke | ActKind::Extend | ActKind::CloseReview => {
            "api.requestRole"
        }
    }
}
