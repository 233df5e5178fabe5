//! Controls of how the simulated cloud behaves, and looks at what it was sent: faults, quotas and
//! published messages. As all of `/sim/v1/`, nothing here exists in a real cloud.

use std::collections::BTreeSet;

use axum::body::Bytes;
use axum::extract::{Query, State};
use axum::routing::{get, put};
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::api::pubsub::message_view;
use crate::api::{canonical_resource, not_stored, wire};
use crate::cloud::Cloud;
use crate::error::ApiError;
use crate::faults::Fault;
use crate::quota::QuotaSettings;
use crate::world::{Change, Record, Settings};

/// Most messages of one look.
const MESSAGES_MAX: usize = 1000;

/// The routes of these controls.
pub(crate) fn routes() -> Router<Cloud> {
    Router::new()
        .route("/sim/v1/faults", get(list_faults).put(replace_faults))
        .route("/sim/v1/quotas", get(quotas).put(replace_quotas))
        .route("/sim/v1/disabledApis", put(disable_apis))
        .route("/sim/v1/messages", get(messages))
}

async fn list_faults(State(cloud): State<Cloud>) -> Json<Vec<Fault>> {
    Json(cloud.faults().armed())
}

async fn replace_faults(
    State(cloud): State<Cloud>,
    body: Bytes,
) -> Result<Json<Vec<Fault>>, ApiError> {
    let faults: Vec<Fault> = wire::body(&body)?;
    let canonical = |fault: Fault| Fault {
        resource: fault.resource.as_deref().map(|name| canonical_resource(&cloud, name)),
        ..fault
    };
    let faults = faults.into_iter().map(canonical).collect();
    cloud.faults().replace(faults).map_err(ApiError::invalid)?;
    Ok(Json(cloud.faults().armed()))
}

/// The settings with every limit spelt out: what is answered here can be sent back.
async fn quotas(State(cloud): State<Cloud>) -> Json<QuotaSettings> {
    Json(cloud.world().settings.quotas.effective())
}

/// Sets all that is sent, what is not sent as Google has it, and fills all buckets.
async fn replace_quotas(
    State(cloud): State<Cloud>,
    body: Bytes,
) -> Result<Json<QuotaSettings>, ApiError> {
    let quotas: QuotaSettings = wire::body(&body)?;
    let effective = quotas.effective();
    set(cloud.clone(), |settings| Settings { quotas, ..settings }).await?;
    cloud.quotas().reset();
    Ok(Json(effective))
}

/// These services are enabled nowhere, and all others everywhere.
async fn disable_apis(
    State(cloud): State<Cloud>,
    body: Bytes,
) -> Result<Json<BTreeSet<String>>, ApiError> {
    let disabled_apis: BTreeSet<String> = wire::body(&body)?;
    let answer = disabled_apis.clone();
    set(cloud, |settings| Settings { disabled_apis, ..settings }).await?;
    Ok(Json(answer))
}

/// Stores other settings, off the threads that serve connections.
async fn set(
    cloud: Cloud,
    change: impl FnOnce(Settings) -> Settings + Send + 'static,
) -> Result<(), ApiError> {
    let stored = tokio::task::spawn_blocking(move || {
        cloud.change(|world| {
            let settings = change(world.settings.clone());
            ((), vec![Change::Put(Record::Settings(settings))])
        })
    });
    stored.await.map_err(|_| ApiError::internal())?.map_err(|error| not_stored(&error))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct MessagesQuery {
    /// Only messages of this topic, `projects/ID/topics/T`.
    topic: Option<String>,
    /// Number of the last message that the reader has.
    #[serde(default)]
    after: u64,
}

/// What was published, oldest first, acknowledged or not.
async fn messages(State(cloud): State<Cloud>, Query(query): Query<MessagesQuery>) -> Json<Value> {
    let world = cloud.world();
    let after = world.pubsub.messages.range(query.after.saturating_add(1)..);
    let messages: Vec<Value> = after
        .map(|(_, message)| message)
        .filter(|message| query.topic.as_ref().is_none_or(|topic| *topic == message.topic))
        .take(MESSAGES_MAX)
        .map(|message| {
            let mut view = message_view(message);
            view["topic"] = message.topic.clone().into();
            view
        })
        .collect();
    Json(json!({"messages": messages}))
}
