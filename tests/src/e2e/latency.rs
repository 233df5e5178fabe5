//! `--latency google`: calls take about as long as Google's, and everything works, later.

use std::time::Duration;

use chrono::{DateTime, Utc};
use reqwest::Method;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::demo::{Demo, SOON, Shape, viewer};
use super::in_both_shapes;

/// Resource Manager's reads take 60 to 150 ms, its policy writes 150 to 500 ms: the figures that the simulated cloud
/// says it draws from. The median of [`CALLS`] draws is far above the least.
const READ_MIN: Duration = Duration::from_millis(60);
const WRITE_MIN: Duration = Duration::from_millis(150);

/// One read and one write lie between the two facts; of one write, a draw this low is a matter of centuries.
const GRANT_MIN: Duration = Duration::from_millis(100);

const CALLS: usize = 9;

in_both_shapes! {
    access_comes_and_goes_while_google_takes_its_time,
}

async fn access_comes_and_goes_while_google_takes_its_time(shape: Shape) {
    let quick = Pace::of(&Demo::start_as(shape).await).await;
    let slow = Pace::of(&Demo::start_with_googles_latency(shape).await).await;
    assert!(slow.read >= READ_MIN && slow.read > quick.read, "{slow:?}, else {quick:?}");
    assert!(slow.write >= WRITE_MIN && slow.write > quick.write, "{slow:?}, else {quick:?}");
    assert!(slow.write > slow.read, "{slow:?}");
    assert!(slow.grant >= GRANT_MIN && slow.grant > quick.grant, "{slow:?}, else {quick:?}");
}

/// How long things take.
#[derive(Debug)]
struct Pace {
    /// Reading a policy: the median.
    read: Duration,
    /// Writing it back: the median.
    write: Duration,
    /// From the fact that a binding is to be to the fact that it is.
    grant: Duration,
}

impl Pace {
    /// Of a demo in which one request is granted and withdrawn meanwhile.
    async fn of(demo: &Demo) -> Self {
        let id = demo.file("alice", &viewer()).await;
        demo.until("alice", &id, "ACTIVE", SOON).await;
        assert_eq!(demo.bindings("projects/demo-web", &id).await.len(), 1);
        let events = demo.get("alice", &format!("/v1/requests/{id}/events")).await;
        let grant = at(&events, "BOUND") - at(&events, "GRANT");
        demo.end("alice", &id, "withdraw").await;
        assert_eq!(demo.until("alice", &id, "ENDED", SOON).await, "WITHDRAWN");
        assert_eq!(demo.bindings("projects/demo-web", &id).await, Vec::<Value>::new());
        let (mut reads, mut writes) = (Vec::new(), Vec::new());
        for _ in 0..CALLS {
            let started = Instant::now();
            let policy = demo.policy("projects/demo-data").await;
            reads.push(started.elapsed());
            let started = Instant::now();
            let body = json!({"policy": policy});
            demo.cloud(Method::POST, "/v3/projects/demo-data:setIamPolicy", Some(&body)).await;
            writes.push(started.elapsed());
        }
        let [read, write] = [reads, writes].map(median);
        Self { read, write, grant: grant.to_std().unwrap() }
    }
}

/// When the fact was recorded.
fn at(events: &Value, kind: &str) -> DateTime<Utc> {
    let events = events["events"].as_array().unwrap();
    let event = events.iter().find(|event| event["kind"] == kind).unwrap();
    event["at"].as_str().unwrap().parse().unwrap()
}

fn median(mut durations: Vec<Duration>) -> Duration {
    durations.sort_unstable();
    durations[durations.len() / 2]
}
