//! Pub/Sub v1: topics, publishing, and pull subscriptions enough to read what was published,
//! <https://cloud.google.com/pubsub/docs/reference/rest>.

mod publish;
mod subscriptions;

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Value, json};

use crate::api::paging::{PageLimits, PageRequest};
use crate::api::pubsub::publish::PublishBody;
use crate::api::pubsub::subscriptions::SubscriptionBody;
use crate::api::route::{Path, Wire, no_such_path};
use crate::api::service::{Outcome, ResourceRef};
use crate::api::session::Session;
use crate::api::wire;
use crate::error::ApiError;
use crate::pubsub::{DELETED_TOPIC, PubSubKey, PubSubRecord, Topic};
use crate::world::{Change, Record, Removed};

pub(crate) use crate::api::pubsub::publish::view as message_view;

const TOPIC: &str = "pubsub.googleapis.com/Topic";
const SUBSCRIPTION: &str = "pubsub.googleapis.com/Subscription";

/// Page sizes of Pub/Sub's lists, from its reference.
const LIST: PageLimits = PageLimits { default: 1000, max: 1000 };

/// One call of Pub/Sub: what is done, and on which resource (the project for lists).
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Call {
    pub(crate) on: ResourceRef,
    act: Act,
}

#[derive(Debug, Clone, PartialEq)]
enum Act {
    CreateTopic(TopicBody),
    GetTopic,
    ListTopics { page: PageRequest },
    DeleteTopic,
    ListTopicSubscriptions { page: PageRequest },
    Publish(PublishBody),
    CreateSubscription(SubscriptionBody),
    GetSubscription,
    ListSubscriptions { page: PageRequest },
    DeleteSubscription,
    Pull(PullBody),
    Acknowledge(AcknowledgeBody),
    ModifyDeadline(DeadlineBody),
}

/// A `Topic` as callers send it.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct TopicBody {
    #[serde(default)]
    labels: BTreeMap<String, String>,
    /// Accepted and ignored, as by Google: the name stands in the path.
    #[serde(default, rename = "name")]
    _name: Option<String>,
}

/// `PullRequest`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct PullBody {
    max_messages: u32,
    /// Google may wait when this is false; here every pull answers at once.
    #[serde(default, rename = "returnImmediately")]
    _return_immediately: bool,
}

/// `AcknowledgeRequest`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct AcknowledgeBody {
    ack_ids: Vec<String>,
}

/// `ModifyAckDeadlineRequest`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct DeadlineBody {
    ack_ids: Vec<String>,
    ack_deadline_seconds: i64,
}

impl Call {
    /// `None` for a path that Pub/Sub does not have.
    ///
    /// # Errors
    /// 400 for parameters or a body that do not fit.
    pub(crate) fn read(wire: &Wire<'_>, path: &Path<'_>) -> Result<Option<Self>, ApiError> {
        let page = || PageRequest::read(&wire.query, "pageSize");
        let below = path.segments.get(2..).unwrap_or_default();
        let act = match (wire.method.as_str(), below, path.verb) {
            ("PUT", ["topics", _], None) => Act::CreateTopic(wire::body(wire.body)?),
            ("GET", ["topics", _], None) => Act::GetTopic,
            ("GET", ["topics"], None) => Act::ListTopics { page: page()? },
            ("DELETE", ["topics", _], None) => Act::DeleteTopic,
            ("GET", ["topics", _, "subscriptions"], None) => {
                Act::ListTopicSubscriptions { page: page()? }
            }
            ("POST", ["topics", _], Some("publish")) => Act::Publish(wire::body(wire.body)?),
            ("PUT", ["subscriptions", _], None) => Act::CreateSubscription(wire::body(wire.body)?),
            ("GET", ["subscriptions", _], None) => Act::GetSubscription,
            ("GET", ["subscriptions"], None) => Act::ListSubscriptions { page: page()? },
            ("DELETE", ["subscriptions", _], None) => Act::DeleteSubscription,
            ("POST", ["subscriptions", _], Some("pull")) => Act::Pull(wire::body(wire.body)?),
            ("POST", ["subscriptions", _], Some("acknowledge")) => {
                Act::Acknowledge(wire::body(wire.body)?)
            }
            ("POST", ["subscriptions", _], Some("modifyAckDeadline")) => {
                Act::ModifyDeadline(wire::body(wire.body)?)
            }
            _ => return Ok(None),
        };
        let (length, kind) = match below {
            ["topics"] => (2, TOPIC),
            ["topics", ..] => (4, TOPIC),
            ["subscriptions"] => (2, SUBSCRIPTION),
            _ => (4, SUBSCRIPTION),
        };
        let on = path.segments.get(..length).and_then(|name| ResourceRef::read(name, kind));
        Ok(Some(Self { on: on.ok_or_else(|| no_such_path(wire))?, act }))
    }

    /// The method's name, as faults name it.
    pub(crate) fn method(&self) -> &'static str {
        match &self.act {
            Act::CreateTopic(_) | Act::CreateSubscription(_) => "create",
            Act::GetTopic | Act::GetSubscription => "get",
            Act::ListTopics { .. }
            | Act::ListTopicSubscriptions { .. }
            | Act::ListSubscriptions { .. } => "list",
            Act::DeleteTopic | Act::DeleteSubscription => "delete",
            Act::Publish(_) => "publish",
            Act::Pull(_) => "pull",
            Act::Acknowledge(_) => "acknowledge",
            Act::ModifyDeadline(_) => "modifyAckDeadline",
        }
    }

    pub(crate) fn writes(&self) -> bool {
        match &self.act {
            Act::GetTopic
            | Act::ListTopics { .. }
            | Act::ListTopicSubscriptions { .. }
            | Act::GetSubscription
            | Act::ListSubscriptions { .. } => false,
            Act::CreateTopic(_)
            | Act::DeleteTopic
            | Act::Publish(_)
            | Act::CreateSubscription(_)
            | Act::DeleteSubscription
            | Act::Pull(_)
            | Act::Acknowledge(_)
            | Act::ModifyDeadline(_) => true,
        }
    }

    pub(crate) fn answer(&self, session: &Session<'_>) -> Outcome {
        let name = self.on.require(session, self.permission())?;
        match &self.act {
            Act::CreateTopic(body) => create_topic(session, name, body),
            Act::GetTopic => Ok((topic_view(topic(session, &name)?), Vec::new())),
            Act::ListTopics { page } => list_topics(session, &name, page),
            Act::DeleteTopic => delete_topic(session, &name),
            Act::ListTopicSubscriptions { page } => {
                subscriptions::list_of_topic(session, &topic(session, &name)?.name, page)
            }
            Act::Publish(body) => publish::publish(session, &name, body),
            Act::CreateSubscription(body) => subscriptions::create(session, name, body),
            Act::GetSubscription => subscriptions::get(session, &name),
            Act::ListSubscriptions { page } => subscriptions::list(session, &name, page),
            Act::DeleteSubscription => subscriptions::delete(session, &name),
            Act::Pull(body) => subscriptions::pull(session, &name, body.max_messages),
            Act::Acknowledge(body) => subscriptions::acknowledge(session, &name, &body.ack_ids),
            Act::ModifyDeadline(body) => subscriptions::modify_deadline(
                session,
                &name,
                &body.ack_ids,
                body.ack_deadline_seconds,
            ),
        }
    }

    fn permission(&self) -> &'static str {
        match &self.act {
            Act::CreateTopic(_) => "pubsub.topics.create",
            Act::GetTopic | Act::ListTopicSubscriptions { .. } => "pubsub.topics.get",
            Act::ListTopics { .. } => "pubsub.topics.list",
            Act::DeleteTopic => "pubsub.topics.delete",
            Act::Publish(_) => "pubsub.topics.publish",
            Act::CreateSubscription(_) => "pubsub.subscriptions.create",
            Act::GetSubscription => "pubsub.subscriptions.get",
            Act::ListSubscriptions { .. } => "pubsub.subscriptions.list",
            Act::DeleteSubscription => "pubsub.subscriptions.delete",
            Act::Pull(_) | Act::Acknowledge(_) | Act::ModifyDeadline(_) => {
                "pubsub.subscriptions.consume"
            }
        }
    }
}

fn create_topic(session: &Session<'_>, name: String, body: &TopicBody) -> Outcome {
    check_id(&name)?;
    if session.world.pubsub.topics.contains_key(&name) {
        return Err(exists(&name));
    }
    let topic = Topic { name, labels: body.labels.clone() };
    Ok((topic_view(&topic), vec![put(PubSubRecord::Topic(topic))]))
}

fn list_topics(session: &Session<'_>, project: &str, page: &PageRequest) -> Outcome {
    let prefix = format!("{project}/topics/");
    let topics = session.world.pubsub.topics.values();
    let views = topics.filter(|it| it.name.starts_with(&prefix)).map(topic_view).collect();
    let page = page.cut(views, LIST, session.world.settings.max_page_size)?;
    Ok((page.answer("topics"), Vec::new()))
}

/// Subscriptions outlive their topic, with what they have not delivered.
fn delete_topic(session: &Session<'_>, name: &str) -> Outcome {
    topic(session, name)?;
    let subscriptions = session.world.pubsub.subscriptions.values().filter(|it| it.topic == name);
    let mut changes: Vec<Change> = subscriptions
        .map(|subscription| {
            let mut subscription = subscription.clone();
            DELETED_TOPIC.clone_into(&mut subscription.topic);
            put(PubSubRecord::Subscription(subscription))
        })
        .collect();
    changes.push(remove(PubSubKey::Topic(name.to_owned())));
    Ok((json!({}), changes))
}

fn topic<'world>(session: &Session<'world>, name: &str) -> Result<&'world Topic, ApiError> {
    session.world.pubsub.topics.get(name).ok_or_else(|| not_found(name))
}

fn topic_view(topic: &Topic) -> Value {
    let mut view = json!({"name": topic.name});
    if !topic.labels.is_empty() {
        view["labels"] = json!(topic.labels);
    }
    view
}

/// Ids of topics and subscriptions, from the reference of both.
fn check_id(name: &str) -> Result<(), ApiError> {
    let id = name.rsplit_once('/').map_or(name, |(_, id)| id);
    let is_id = (3..=255).contains(&id.len())
        && id.starts_with(|first: char| first.is_ascii_alphabetic())
        && !id.starts_with("goog")
        && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.~+%".contains(&byte));
    if is_id { Ok(()) } else { Err(ApiError::invalid(format!("Invalid resource name: {name}."))) }
}

fn not_found(name: &str) -> ApiError {
    let id = name.rsplit_once('/').map_or(name, |(_, id)| id);
    ApiError::not_found(format!("Resource not found (resource={id})."))
}

fn exists(name: &str) -> ApiError {
    let id = name.rsplit_once('/').map_or(name, |(_, id)| id);
    ApiError::exists(format!("Resource already exists in the project (resource={id})."))
}

fn put(record: PubSubRecord) -> Change {
    Change::Put(Record::PubSub(record))
}

fn remove(key: PubSubKey) -> Change {
    Change::Remove(Removed::PubSub(key))
}
