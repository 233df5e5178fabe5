//! Pull subscriptions: what was published since they exist, until it is acknowledged.

use std::collections::{BTreeMap, BTreeSet};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::TimeDelta;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::api::paging::PageRequest;
use crate::api::pubsub::{LIST, TOPIC, check_id, exists, message_view, not_found, put, remove};
use crate::api::service::{Outcome, ResourceRef};
use crate::api::session::Session;
use crate::api::wire::Seconds;
use crate::error::ApiError;
use crate::pubsub::{Delivery, PubSubKey, PubSubRecord, Subscription};
use crate::world::Change;

/// `ackDeadlineSeconds`: 10 to 600.
const ACK_DEADLINE: std::ops::RangeInclusive<i64> = 10..=600;

/// `ackDeadlineSeconds` of a subscription that names none.
const ACK_DEADLINE_DEFAULT: i64 = 10;

/// Messages of one pull.
const PULL_MAX: usize = 1000;

/// A `Subscription` as callers send it. The fields with an underscore are accepted and change
/// nothing here: messages are kept by number, and subscriptions do not expire.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct SubscriptionBody {
    topic: String,
    #[serde(default)]
    ack_deadline_seconds: i64,
    #[serde(default)]
    enable_message_ordering: bool,
    #[serde(default)]
    labels: BTreeMap<String, String>,
    #[serde(default, rename = "name")]
    _name: Option<String>,
    #[serde(default, rename = "messageRetentionDuration")]
    _message_retention_duration: Option<Seconds>,
    #[serde(default, rename = "expirationPolicy")]
    _expiration_policy: Value,
}

/// Needs `pubsub.topics.attachSubscription` on the topic besides the permission on the project.
pub(super) fn create(session: &Session<'_>, name: String, body: &SubscriptionBody) -> Outcome {
    check_id(&name)?;
    let deadline = match body.ack_deadline_seconds {
        0 => ACK_DEADLINE_DEFAULT,
        seconds if ACK_DEADLINE.contains(&seconds) => seconds,
        seconds => return Err(deadline_refused(seconds)),
    };
    let topic = ResourceRef::of_name(&body.topic, TOPIC)
        .ok_or_else(|| ApiError::invalid(format!("Invalid resource name: {}.", body.topic)))?;
    let topic = topic.require(session, "pubsub.topics.attachSubscription")?;
    if !session.world.pubsub.topics.contains_key(&topic) {
        return Err(not_found(&topic));
    }
    if session.world.pubsub.subscriptions.contains_key(&name) {
        return Err(exists(&name));
    }
    let subscription = Subscription {
        name,
        topic,
        ack_deadline: deadline,
        ordered: body.enable_message_ordering,
        labels: body.labels.clone(),
    };
    Ok((view(&subscription), vec![put(PubSubRecord::Subscription(subscription))]))
}

pub(super) fn get(session: &Session<'_>, name: &str) -> Outcome {
    Ok((view(subscription(session, name)?), Vec::new()))
}

pub(super) fn list(session: &Session<'_>, project: &str, page: &PageRequest) -> Outcome {
    let prefix = format!("{project}/subscriptions/");
    let all = session.world.pubsub.subscriptions.values();
    let views = all.filter(|it| it.name.starts_with(&prefix)).map(view).collect();
    cut(session, page, views)
}

/// The names of the topic's subscriptions.
pub(super) fn list_of_topic(session: &Session<'_>, topic: &str, page: &PageRequest) -> Outcome {
    let all = session.world.pubsub.subscriptions.values();
    let names = all.filter(|it| it.topic == topic).map(|it| it.name.clone().into()).collect();
    cut(session, page, names)
}

pub(super) fn delete(session: &Session<'_>, name: &str) -> Outcome {
    let name = &subscription(session, name)?.name;
    let backlog = session.world.pubsub.backlog(name);
    let mut changes: Vec<Change> =
        backlog.map(|it| remove(PubSubKey::Delivery(name.clone(), it.message))).collect();
    changes.push(remove(PubSubKey::Subscription(name.clone())));
    Ok((json!({}), changes))
}

/// Hands out what is neither acknowledged nor out, oldest first, and answers at once.
pub(super) fn pull(session: &Session<'_>, name: &str, max: u32) -> Outcome {
    let subscription = subscription(session, name)?;
    if max == 0 {
        return Err(ApiError::invalid(
            "The value for max_messages is too small. You passed 0 in the request, but the minimum value is 1.",
        ));
    }
    let max = usize::try_from(max).unwrap_or(PULL_MAX).min(PULL_MAX);
    let until = session.now + TimeDelta::seconds(subscription.ack_deadline);
    let mut held_keys = BTreeSet::new();
    let (mut received, mut changes) = (Vec::new(), Vec::new());
    for delivery in session.world.pubsub.backlog(name) {
        let Some(message) = session.world.pubsub.messages.get(&delivery.message) else {
            continue;
        };
        let is_out = delivery.out_until.is_some_and(|until| session.now < until);
        let key = Some(&message.ordering_key).filter(|key| subscription.ordered && !key.is_empty());
        if is_out {
            held_keys.extend(key);
        }
        if is_out || key.is_some_and(|key| held_keys.contains(key)) || received.len() >= max {
            continue;
        }
        let attempts = delivery.attempts.saturating_add(1);
        let ack_id = URL_SAFE_NO_PAD.encode(format!("{}:{attempts}", message.id));
        received.push(json!({"ackId": ack_id, "message": message_view(message)}));
        changes.push(put(PubSubRecord::Delivery(Delivery {
            attempts,
            out_until: Some(until),
            ..delivery.clone()
        })));
    }
    let answer =
        if received.is_empty() { json!({}) } else { json!({"receivedMessages": received}) };
    Ok((answer, changes))
}

/// An acknowledgement that comes late still counts, if the message has not gone out again.
pub(super) fn acknowledge(session: &Session<'_>, name: &str, ack_ids: &[String]) -> Outcome {
    let deliveries = named(session, name, ack_ids)?;
    let changes = deliveries
        .into_iter()
        .map(|it| remove(PubSubKey::Delivery(it.subscription.clone(), it.message)))
        .collect();
    Ok((json!({}), changes))
}

pub(super) fn modify_deadline(
    session: &Session<'_>,
    name: &str,
    ack_ids: &[String],
    seconds: i64,
) -> Outcome {
    if !(0..=*ACK_DEADLINE.end()).contains(&seconds) {
        return Err(deadline_refused(seconds));
    }
    let until = (seconds > 0).then(|| session.now + TimeDelta::seconds(seconds));
    let changes = named(session, name, ack_ids)?
        .into_iter()
        .map(|it| put(PubSubRecord::Delivery(Delivery { out_until: until, ..it.clone() })))
        .collect();
    Ok((json!({}), changes))
}

/// The deliveries that the ids still stand for; an id of an earlier attempt stands for nothing.
fn named<'world>(
    session: &Session<'world>,
    name: &str,
    ack_ids: &[String],
) -> Result<Vec<&'world Delivery>, ApiError> {
    let name = &subscription(session, name)?.name;
    if ack_ids.is_empty() {
        return Err(ApiError::invalid("ackIds must not be empty."));
    }
    let mut deliveries = Vec::new();
    for ack_id in ack_ids {
        let (message, attempt) = parse(ack_id).ok_or_else(|| {
            ApiError::invalid(format!(
                "You have passed an invalid ack ID to the service (ack_id={ack_id})."
            ))
        })?;
        let delivery = session.world.pubsub.delivery(name, message);
        deliveries.extend(delivery.filter(|delivery| delivery.attempts == attempt));
    }
    Ok(deliveries)
}

fn parse(ack_id: &str) -> Option<(u64, u32)> {
    let text = String::from_utf8(URL_SAFE_NO_PAD.decode(ack_id).ok()?).ok()?;
    let (message, attempt) = text.split_once(':')?;
    Some((message.parse().ok()?, attempt.parse().ok()?))
}

fn subscription<'world>(
    session: &Session<'world>,
    name: &str,
) -> Result<&'world Subscription, ApiError> {
    session.world.pubsub.subscriptions.get(name).ok_or_else(|| not_found(name))
}

fn view(subscription: &Subscription) -> Value {
    let mut view = json!({
        "name": subscription.name,
        "topic": subscription.topic,
        "ackDeadlineSeconds": subscription.ack_deadline,
        "pushConfig": {},
        "state": "ACTIVE",
    });
    if subscription.ordered {
        view["enableMessageOrdering"] = true.into();
    }
    if !subscription.labels.is_empty() {
        view["labels"] = json!(subscription.labels);
    }
    view
}

fn cut(session: &Session<'_>, page: &PageRequest, all: Vec<Value>) -> Outcome {
    let page = page.cut(all, LIST, session.world.settings.max_page_size)?;
    Ok((page.answer("subscriptions"), Vec::new()))
}

fn deadline_refused(seconds: i64) -> ApiError {
    ApiError::invalid(format!(
        "Invalid ack deadline given: {seconds}. The deadline must be between {} and {} seconds.",
        ACK_DEADLINE.start(),
        ACK_DEADLINE.end()
    ))
}
