//! Pub/Sub: what is published reaches each subscription until it is acknowledged.

use chrono::TimeDelta;
use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{Answer, CONTROLLER, Sim, binding};

const PROJECT: &str = "projects/demo-prod";
const TOPIC: &str = "v1/projects/demo-prod/topics/events";
const SUBSCRIPTION: &str = "v1/projects/demo-prod/subscriptions/audit";

#[tokio::test]
async fn a_published_message_is_pulled_with_all_that_was_sent() {
    let sim = with_topic().await;
    let published = sim
        .publish(json!([
            {"data": "aGVsbG8=", "attributes": {"type": "granted"}},
            {"attributes": {"type": "ended"}},
        ]))
        .await;
    assert_eq!(published.body, json!({"messageIds": ["1", "2"]}));
    let received = sim.pull(10).await;
    assert_eq!(
        received.iter().map(|it| it["message"].clone()).collect::<Vec<_>>(),
        [
            json!({"messageId": "1", "publishTime": "2026-03-01T09:00:00.000000Z", "data": "aGVsbG8=", "attributes": {"type": "granted"}}),
            json!({"messageId": "2", "publishTime": "2026-03-01T09:00:00.000000Z", "attributes": {"type": "ended"}}),
        ]
    );
    let seen = sim.get("sim/v1/messages?topic=projects/demo-prod/topics/events&after=1").await.body;
    assert_eq!(seen["messages"].as_array().unwrap().len(), 1);
    assert_eq!(seen["messages"][0]["attributes"]["type"], "ended");
}

#[tokio::test]
async fn a_message_comes_again_after_its_deadline_until_it_is_acknowledged() {
    let sim = with_topic().await;
    sim.publish(json!([{"data": "YQ=="}])).await;
    let first = sim.pull(1).await;
    assert!(sim.pull(1).await.is_empty(), "it is out");
    sim.advance(TimeDelta::seconds(10));
    let second = sim.pull(1).await;
    assert_eq!(second[0]["message"]["messageId"], "1");
    sim.acknowledge(&first).await;
    sim.advance(TimeDelta::seconds(10));
    let third = sim.pull(1).await;
    assert_eq!(third.len(), 1, "an acknowledgement of an earlier delivery counts for nothing");
    assert_eq!(sim.acknowledge(&third).await.body, json!({}));
    sim.advance(TimeDelta::hours(1));
    assert!(sim.pull(1).await.is_empty());
    let seen = sim.get("sim/v1/messages").await.body;
    assert_eq!(seen["messages"].as_array().unwrap().len(), 1, "still to be looked at");
}

#[tokio::test]
async fn a_deadline_of_nothing_gives_the_message_back_at_once() {
    let sim = with_topic().await;
    sim.publish(json!([{"data": "YQ=="}])).await;
    let received = sim.pull(1).await;
    let modify = |seconds: i64| {
        let body = json!({"ackIds": [received[0]["ackId"]], "ackDeadlineSeconds": seconds});
        sim.post_to("modifyAckDeadline", body)
    };
    assert_eq!(modify(60).await.status, 200);
    sim.advance(TimeDelta::seconds(59));
    assert!(sim.pull(1).await.is_empty());
    assert_eq!(modify(601).await.error(), (400, "INVALID_ARGUMENT"));
    assert_eq!(modify(0).await.status, 200);
    assert_eq!(sim.pull(1).await.len(), 1);
}

#[tokio::test]
async fn each_subscription_gets_what_was_published_since_it_exists() {
    let sim = with_topic().await;
    sim.publish(json!([{"data": "YQ=="}])).await;
    let body = json!({"topic": "projects/100000000103/topics/events", "ackDeadlineSeconds": 600});
    let late = "v1/projects/demo-prod/subscriptions/late";
    let created = sim.call(Method::PUT, late, Some(body), Some("x")).await;
    assert_eq!(created.body["topic"], "projects/demo-prod/topics/events");
    sim.publish(json!([{"data": "Yg=="}])).await;
    assert_eq!(sim.pull(10).await.len(), 2);
    let received = sim.post(&format!("{late}:pull"), json!({"maxMessages": 10})).await.body;
    assert_eq!(received["receivedMessages"].as_array().unwrap().len(), 1);
    let names = sim.get(&format!("{TOPIC}/subscriptions")).await.body;
    assert_eq!(
        names["subscriptions"],
        json!(["projects/demo-prod/subscriptions/audit", "projects/demo-prod/subscriptions/late"])
    );
    assert_eq!(sim.call(Method::DELETE, late, None, Some("x")).await.body, json!({}));
    assert_eq!(sim.post(&format!("{late}:pull"), json!({"maxMessages": 1})).await.status, 404);
}

#[tokio::test]
async fn an_ordered_subscription_holds_a_key_back_while_an_earlier_message_is_out() {
    let sim = with_topic().await;
    let ordered = "v1/projects/demo-prod/subscriptions/ordered";
    let body = json!({"topic": "projects/demo-prod/topics/events", "enableMessageOrdering": true});
    assert_eq!(sim.call(Method::PUT, ordered, Some(body), Some("x")).await.status, 200);
    for (data, key) in [("YQ==", "k"), ("Yg==", "k"), ("Yw==", "l")] {
        sim.publish(json!([{"data": data, "orderingKey": key}])).await;
    }
    let pull = |max: u32| sim.post_owned_pull(ordered, max);
    assert_eq!(ids(&pull(1).await), ["1"]);
    assert_eq!(ids(&pull(10).await), ["3"]);
    sim.advance(TimeDelta::seconds(10));
    assert_eq!(ids(&pull(10).await), ["1", "2", "3"]);
}

#[tokio::test]
async fn messages_beyond_the_limits_are_refused_and_nothing_is_published() {
    let sim = with_topic().await;
    let attributes = |count: usize| -> Value {
        (0..count).map(|n| (n.to_string(), json!("v"))).collect::<serde_json::Map<_, _>>().into()
    };
    for wrong in [
        json!([]),
        json!([{}]),
        json!([{"data": "YQ=="}, {"data": ""}]),
        json!([{"data": "%"}]),
        json!([{"data": "YQ==", "messageId": "7"}]),
        json!([{"attributes": attributes(101)}]),
        json!([{"attributes": {"k".repeat(257): "v"}}]),
        json!([{"attributes": {"k": "v".repeat(1025)}}]),
        json!([{"attributes": {"": "v"}}]),
        json!([{"attributes": {"googclient": "v"}}]),
        json!([{"data": "YQ==", "orderingKey": "k".repeat(1025)}]),
        json!([{"data": "YQ==", "orderingKey": "k"}, {"data": "YQ=="}]),
        json!(vec![json!({"data": "YQ=="}); 1001]),
    ] {
        let refused = sim.publish(wrong.clone()).await;
        assert_eq!(refused.error(), (400, "INVALID_ARGUMENT"), "{wrong}");
    }
    assert!(sim.pull(1).await.is_empty());
    assert_eq!(sim.publish(json!([{"attributes": attributes(100)}])).await.status, 200);
}

#[tokio::test]
async fn a_request_above_10_mb_is_refused() {
    let sim = with_topic().await;
    let refused = sim.publish(json!([{"data": "YWFh".repeat(3_333_334)}])).await;
    assert_eq!(refused.message(), "The request payload is larger than 10MB.");
}

#[tokio::test]
async fn topics_are_created_once_and_listed_and_outlived_by_their_subscriptions() {
    let sim = with_topic().await;
    let again = sim.call(Method::PUT, TOPIC, Some(json!({})), Some("x")).await;
    assert_eq!(again.error(), (409, "ALREADY_EXISTS"));
    for wrong in ["ab", "1ab", "googab", "a%20b"] {
        let path = format!("v1/projects/demo-prod/topics/{wrong}");
        let refused = sim.call(Method::PUT, &path, Some(json!({})), Some("x")).await;
        assert_eq!(refused.status, 400, "{wrong}");
    }
    let topics = sim.get("v1/projects/demo-prod/topics").await.body;
    assert_eq!(topics["topics"], json!([{"name": "projects/demo-prod/topics/events"}]));
    assert_eq!(sim.get("v1/projects/demo-prod/topics/none").await.error(), (404, "NOT_FOUND"));
    sim.publish(json!([{"data": "YQ=="}])).await;
    assert_eq!(sim.call(Method::DELETE, TOPIC, None, Some("x")).await.body, json!({}));
    assert_eq!(sim.publish(json!([{"data": "YQ=="}])).await.status, 404);
    assert_eq!(sim.get(SUBSCRIPTION).await.body["topic"], "_deleted-topic_");
    assert_eq!(sim.pull(10).await.len(), 1);
}

#[tokio::test]
async fn publishers_need_their_permission() {
    let sim = with_topic().await;
    let token = sim.token(CONTROLLER);
    let publish = || async {
        let body = json!({"messages": [{"data": "YQ=="}]});
        sim.call(Method::POST, &format!("{TOPIC}:publish"), Some(body), Some(&token)).await
    };
    let refused = publish().await;
    assert_eq!(refused.error(), (403, "PERMISSION_DENIED"));
    let metadata = &refused.body["error"]["details"][0]["metadata"];
    assert_eq!(metadata["permission"], "pubsub.topics.publish");
    let member = format!("serviceAccount:{CONTROLLER}");
    sim.add_binding(PROJECT, binding("roles/pubsub.publisher", &member)).await;
    assert_eq!(publish().await.status, 200);
    let path = format!("{SUBSCRIPTION}:pull");
    let pull = sim.call(Method::POST, &path, Some(json!({"maxMessages": 1})), Some(&token)).await;
    assert_eq!(pull.status, 403, "a publisher does not read");
}

#[tokio::test]
async fn what_is_not_acknowledged_survives_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().to_owned();
    let first = Sim::start_with(None, Some(path.clone())).await;
    first.create_topic().await;
    first.publish(json!([{"data": "YQ=="}])).await;
    first.publish(json!([{"data": "Yg=="}])).await;
    let received = first.pull(1).await;
    first.acknowledge(&received).await;
    first.stop().await;
    let second = Sim::start_with(None, Some(path)).await;
    let received = second.pull(10).await;
    assert_eq!(received.len(), 1);
    assert_eq!(received[0]["message"]["data"], "Yg==");
    assert_eq!(second.publish(json!([{"data": "Yw=="}])).await.body["messageIds"][0], "3");
}

#[tokio::test]
async fn ids_that_stand_for_nothing_are_refused() {
    let sim = with_topic().await;
    for wrong in [json!([]), json!(["nonsense"]), json!(["MTo"])] {
        let refused = sim.post_to("acknowledge", json!({"ackIds": wrong})).await;
        assert_eq!(refused.error(), (400, "INVALID_ARGUMENT"), "{wrong}");
    }
    let refused = sim.post_to("pull", json!({"maxMessages": 0})).await;
    assert_eq!(refused.error(), (400, "INVALID_ARGUMENT"));
}

impl Sim {
    async fn create_topic(&self) {
        let topic = self.call(Method::PUT, TOPIC, Some(json!({})), Some("x")).await;
        assert_eq!(topic.status, 200, "{}", topic.body);
        let body = json!({"topic": "projects/demo-prod/topics/events"});
        let created = self.call(Method::PUT, SUBSCRIPTION, Some(body), Some("x")).await;
        assert_eq!(created.body["ackDeadlineSeconds"], 10, "{}", created.body);
    }

    async fn publish(&self, messages: Value) -> Answer {
        self.post(&format!("{TOPIC}:publish"), json!({"messages": messages})).await
    }

    async fn pull(&self, max: u32) -> Vec<Value> {
        self.post_owned_pull(SUBSCRIPTION, max).await
    }

    async fn post_owned_pull(&self, subscription: &str, max: u32) -> Vec<Value> {
        let pulled = self.post(&format!("{subscription}:pull"), json!({"maxMessages": max})).await;
        assert_eq!(pulled.status, 200, "{}", pulled.body);
        pulled.body["receivedMessages"].as_array().cloned().unwrap_or_default()
    }

    async fn acknowledge(&self, received: &[Value]) -> Answer {
        let ids: Vec<&Value> = received.iter().map(|it| &it["ackId"]).collect();
        self.post_to("acknowledge", json!({"ackIds": ids})).await
    }

    async fn post_to(&self, verb: &str, body: Value) -> Answer {
        self.post(&format!("{SUBSCRIPTION}:{verb}"), body).await
    }
}

async fn with_topic() -> Sim {
    let sim = Sim::start().await;
    sim.create_topic().await;
    sim
}

fn ids(received: &[Value]) -> Vec<String> {
    let id = |it: &Value| it["message"]["messageId"].as_str().unwrap().to_owned();
    received.iter().map(id).collect()
}
