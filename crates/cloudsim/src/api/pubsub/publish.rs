//! `topics.publish`, with the limits of <https://cloud.google.com/pubsub/quotas#resource_limits>.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::api::pubsub::{put, remove, topic};
use crate::api::service::Outcome;
use crate::api::session::Session;
use crate::api::wire::Bytes;
use crate::clock::rfc3339;
use crate::error::ApiError;
use crate::pubsub::{Delivery, Message, PubSubKey, PubSubRecord};
use crate::world::Change;

/// Messages of one request.
const MESSAGES_MAX: usize = 1000;

/// Bytes of one request and of one message: 10 MB.
const REQUEST_BYTES_MAX: usize = 10_000_000;

/// Attributes of one message.
const ATTRIBUTES_MAX: usize = 100;

/// Bytes of an attribute's key.
const ATTRIBUTE_KEY_MAX: usize = 256;

/// Bytes of an attribute's value, and of an ordering key.
const ATTRIBUTE_VALUE_MAX: usize = 1024;

/// Messages that the simulated cloud keeps in all; the oldest goes first, as after Google's seven
/// days. A test or a demo publishes hundreds.
const MESSAGES_KEPT: usize = 10_000;

/// `PublishRequest`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PublishBody {
    #[serde(default)]
    messages: Vec<MessageBody>,
}

/// A `PubsubMessage`; `messageId` and `publishTime` "must not be populated by the publisher".
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct MessageBody {
    #[serde(default)]
    data: Bytes,
    #[serde(default)]
    attributes: BTreeMap<String, String>,
    #[serde(default)]
    ordering_key: String,
}

pub(super) fn publish(session: &Session<'_>, name: &str, body: &PublishBody) -> Outcome {
    let topic = topic(session, name)?;
    check(&body.messages)?;
    let pubsub = &session.world.pubsub;
    let mut next = pubsub.messages.keys().next_back().map_or(1, |newest| newest.saturating_add(1));
    let subscribers: Vec<&str> = pubsub
        .subscriptions
        .values()
        .filter(|subscription| subscription.topic == topic.name)
        .map(|subscription| subscription.name.as_str())
        .collect();
    let mut changes = evictions(session, body.messages.len());
    let mut ids = Vec::new();
    for message in &body.messages {
        let Bytes(data) = &message.data;
        ids.push(next.to_string());
        changes.push(put(PubSubRecord::Message(Message {
            id: next,
            topic: topic.name.clone(),
            published: session.now,
            data: STANDARD.encode(data),
            attributes: message.attributes.clone(),
            ordering_key: message.ordering_key.clone(),
        })));
        changes.extend(subscribers.iter().map(|subscription| {
            put(PubSubRecord::Delivery(Delivery {
                subscription: (*subscription).to_owned(),
                message: next,
                attempts: 0,
                out_until: None,
            }))
        }));
        next = next.saturating_add(1);
    }
    Ok((json!({"messageIds": ids}), changes))
}

/// A message as subscribers receive it.
pub(crate) fn view(message: &Message) -> Value {
    let mut view = json!({
        "messageId": message.id.to_string(),
        "publishTime": rfc3339(message.published),
    });
    if !message.data.is_empty() {
        view["data"] = message.data.clone().into();
    }
    if !message.attributes.is_empty() {
        view["attributes"] = json!(message.attributes);
    }
    if !message.ordering_key.is_empty() {
        view["orderingKey"] = message.ordering_key.clone().into();
    }
    view
}

/// What has to go so that the new messages fit, undelivered or not.
fn evictions(session: &Session<'_>, new: usize) -> Vec<Change> {
    let pubsub = &session.world.pubsub;
    let excess = (pubsub.messages.len() + new).saturating_sub(MESSAGES_KEPT);
    let mut changes = Vec::new();
    for id in pubsub.messages.keys().take(excess) {
        changes.push(remove(PubSubKey::Message(*id)));
        let undelivered =
            pubsub.subscriptions.keys().filter(|name| pubsub.delivery(name, *id).is_some());
        changes.extend(undelivered.map(|name| remove(PubSubKey::Delivery(name.clone(), *id))));
    }
    changes
}

fn check(messages: &[MessageBody]) -> Result<(), ApiError> {
    if messages.is_empty() {
        return Err(ApiError::invalid(
            "The value for messages is too small. You passed 0 in the request, but the minimum value is 1.",
        ));
    }
    if messages.len() > MESSAGES_MAX {
        return Err(ApiError::invalid(format!(
            "The value for messages is too large. You passed {} in the request, but the maximum value is {MESSAGES_MAX}.",
            messages.len()
        )));
    }
    messages.iter().try_for_each(check_message)?;
    if messages.iter().map(size).sum::<usize>() > REQUEST_BYTES_MAX {
        return Err(ApiError::invalid("The request payload is larger than 10MB."));
    }
    let key = messages.first().map(|first| &first.ordering_key);
    if messages.iter().any(|message| Some(&message.ordering_key) != key) {
        return Err(ApiError::invalid(
            "In a single publish request, all messages must have no ordering key or they must all have the same ordering key.",
        ));
    }
    Ok(())
}

fn check_message(message: &MessageBody) -> Result<(), ApiError> {
    if message.data.0.is_empty() && message.attributes.is_empty() {
        return Err(ApiError::invalid(
            "One or more messages in the publish request is empty. Each message must contain either non-empty data, or at least one attribute.",
        ));
    }
    if message.attributes.len() > ATTRIBUTES_MAX {
        return Err(ApiError::invalid(format!(
            "A message has more than {ATTRIBUTES_MAX} attributes."
        )));
    }
    for (key, value) in &message.attributes {
        let is_key = (1..=ATTRIBUTE_KEY_MAX).contains(&key.len()) && !key.starts_with("goog");
        if !is_key || value.len() > ATTRIBUTE_VALUE_MAX {
            return Err(ApiError::invalid(format!(
                "The attribute '{key}' is not valid: keys have 1 to {ATTRIBUTE_KEY_MAX} bytes and do not begin \
                 with 'goog', values have at most {ATTRIBUTE_VALUE_MAX} bytes."
            )));
        }
    }
    if message.ordering_key.len() > ATTRIBUTE_VALUE_MAX {
        return Err(ApiError::invalid(format!(
            "An orderingKey has more than {ATTRIBUTE_VALUE_MAX} bytes."
        )));
    }
    Ok(())
}

fn size(message: &MessageBody) -> usize {
    let attributes = message.attributes.iter().map(|(key, value)| key.len() + value.len());
    message.data.0.len() + message.ordering_key.len() + attributes.sum::<usize>()
}
