//! Commits of one document each, and how soon a listener hears of one.

use std::time::Duration;

use gcloud_sdk::google::firestore::v1::{
    ListenRequest, StructuredQuery, Target,
    listen_request::TargetChange,
    listen_response::ResponseType,
    structured_query::CollectionSelector,
    target::{QueryTarget, TargetType, query_target::QueryType},
};
use tokio::{task::JoinSet, time::Instant};
use tokio_stream::StreamExt as _;

use crate::{
    Failure, Latencies,
    client::{DATABASE, commit, connect, request},
};

const TIME_PER_ROW: Duration = Duration::from_secs(5);
/// Few: Google's emulator tells a listener of every document again after each commit.
const EVENTS: u32 = 100;

/// So many clients, each with a connection of its own and one commit at a time. Returns commits
/// per second of all together.
pub(crate) async fn commits(address: &str, clients: usize) -> Result<(f64, Latencies), Failure> {
    let mut writers = JoinSet::new();
    for writer in 0..clients {
        let mut client = connect(address).await?;
        writers.spawn(async move {
            let mut durations = Vec::new();
            let until = Instant::now() + TIME_PER_ROW;
            for n in 0.. {
                let id = format!("c{clients}w{writer}n{n}");
                let started = Instant::now();
                if started >= until {
                    break;
                }
                client.commit(commit(vec![request("requests", &id, n)])).await?;
                durations.push(started.elapsed());
            }
            Ok::<_, Failure>(durations)
        });
    }
    let started = Instant::now();
    let mut all = Vec::new();
    while let Some(durations) = writers.join_next().await {
        all.extend(durations??);
    }
    let rate = f64::from(u32::try_from(all.len())?) / started.elapsed().as_secs_f64();
    Ok((rate, Latencies::of(all)))
}

/// From sending a commit until a listener on another connection has heard of it.
pub(crate) async fn listen(address: &str) -> Result<Latencies, Failure> {
    let mut client = connect(address).await?;
    let requests = tokio_stream::once(outbox()).chain(tokio_stream::pending());
    let mut events = client.listen(requests).await?.into_inner();
    let mut writer = connect(address).await?;
    let mut durations = Vec::new();
    for n in 0..EVENTS {
        let id = format!("n{n}");
        let started = Instant::now();
        writer.commit(commit(vec![request("outbox", &id, n)])).await?;
        while let Some(event) = events.message().await? {
            if let Some(ResponseType::DocumentChange(change)) = event.response_type
                && change.document.is_some_and(|document| document.name.ends_with(&id))
            {
                break;
            }
        }
        durations.push(started.elapsed());
    }
    Ok(Latencies::of(durations))
}

fn outbox() -> ListenRequest {
    let from = CollectionSelector { collection_id: "outbox".into(), all_descendants: false };
    let query = StructuredQuery { from: vec![from], ..StructuredQuery::default() };
    let target = QueryTarget {
        parent: format!("{DATABASE}/documents"),
        query_type: Some(QueryType::StructuredQuery(query)),
    };
    ListenRequest {
        database: DATABASE.into(),
        target_change: Some(TargetChange::AddTarget(Target {
            target_id: 1,
            target_type: Some(TargetType::Query(target)),
            ..Target::default()
        })),
        ..ListenRequest::default()
    }
}
