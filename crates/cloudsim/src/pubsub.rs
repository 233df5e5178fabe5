//! What the simulated Pub/Sub holds: topics, subscriptions, messages and who has still to get them.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

/// What a subscription names once its topic is gone.
pub(crate) const DELETED_TOPIC: &str = "_deleted-topic_";

/// A topic; the name is `projects/ID/topics/T`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Topic {
    pub(crate) name: String,
    pub(crate) labels: BTreeMap<String, String>,
}

/// A pull subscription; the name is `projects/ID/subscriptions/S`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Subscription {
    pub(crate) name: String,
    pub(crate) topic: String,
    /// Seconds that a pulled message is not handed out again.
    pub(crate) ack_deadline: i64,
    /// Hold back a message while an earlier one of the same key is out.
    pub(crate) ordered: bool,
    pub(crate) labels: BTreeMap<String, String>,
}

/// A published message.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Message {
    /// Grows with every message of the cloud, so that it orders them too.
    pub(crate) id: u64,
    pub(crate) topic: String,
    pub(crate) published: DateTime<Utc>,
    /// Base64.
    pub(crate) data: String,
    pub(crate) attributes: BTreeMap<String, String>,
    pub(crate) ordering_key: String,
}

/// That a subscription has not acknowledged a message yet.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Delivery {
    pub(crate) subscription: String,
    pub(crate) message: u64,
    /// How often it was handed out.
    pub(crate) attempts: u32,
    /// Handed out, and not to be handed out again before.
    pub(crate) out_until: Option<DateTime<Utc>>,
}

/// One stored thing of Pub/Sub.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) enum PubSubRecord {
    Topic(Topic),
    Subscription(Subscription),
    Message(Message),
    Delivery(Delivery),
}

/// The name of a stored thing of Pub/Sub.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum PubSubKey {
    Topic(String),
    Subscription(String),
    Message(u64),
    Delivery(String, u64),
}

/// All topics, subscriptions and messages of the simulated cloud.
#[derive(Debug, Default)]
pub(crate) struct PubSub {
    pub(crate) topics: BTreeMap<String, Topic>,
    pub(crate) subscriptions: BTreeMap<String, Subscription>,
    pub(crate) messages: BTreeMap<u64, Message>,
    deliveries: BTreeMap<(String, u64), Delivery>,
}

impl PubSubRecord {
    pub(crate) fn key(&self) -> PubSubKey {
        match self {
            Self::Topic(topic) => PubSubKey::Topic(topic.name.clone()),
            Self::Subscription(it) => PubSubKey::Subscription(it.name.clone()),
            Self::Message(message) => PubSubKey::Message(message.id),
            Self::Delivery(it) => PubSubKey::Delivery(it.subscription.clone(), it.message),
        }
    }
}

impl PubSubKey {
    /// One text per stored thing.
    pub(crate) fn text(&self) -> String {
        match self {
            Self::Topic(name) | Self::Subscription(name) => name.clone(),
            Self::Message(id) => format!("message/{id}"),
            Self::Delivery(subscription, message) => format!("delivery/{subscription}/{message}"),
        }
    }
}

impl PubSub {
    pub(crate) fn put(&mut self, record: PubSubRecord) {
        match record {
            PubSubRecord::Topic(topic) => drop(self.topics.insert(topic.name.clone(), topic)),
            PubSubRecord::Subscription(subscription) => {
                self.subscriptions.insert(subscription.name.clone(), subscription);
            }
            PubSubRecord::Message(message) => drop(self.messages.insert(message.id, message)),
            PubSubRecord::Delivery(delivery) => {
                let key = (delivery.subscription.clone(), delivery.message);
                self.deliveries.insert(key, delivery);
            }
        }
    }

    pub(crate) fn remove(&mut self, key: PubSubKey) {
        match key {
            PubSubKey::Topic(name) => drop(self.topics.remove(&name)),
            PubSubKey::Subscription(name) => drop(self.subscriptions.remove(&name)),
            PubSubKey::Message(id) => drop(self.messages.remove(&id)),
            PubSubKey::Delivery(subscription, message) => {
                self.deliveries.remove(&(subscription, message));
            }
        }
    }

    /// What the subscription has not acknowledged, in the order of publication.
    pub(crate) fn backlog(&self, subscription: &str) -> impl Iterator<Item = &Delivery> {
        self.deliveries
            .range((subscription.to_owned(), 0)..=(subscription.to_owned(), u64::MAX))
            .map(|(_, delivery)| delivery)
    }

    pub(crate) fn delivery(&self, subscription: &str, message: u64) -> Option<&Delivery> {
        self.deliveries.get(&(subscription.to_owned(), message))
    }
}
