//! Measures durable commits and Listen latency over loopback and prints a table.
//!
//! `cargo run --release -p curfew-firelite --example load [directory]`

use std::{io::Write as _, path::PathBuf, time::Duration};

use curfew_firelite::{Config, Indexes, Server};
use gcloud_sdk::google::firestore::v1::{
    CommitRequest, Document, ListenRequest, StructuredQuery, Target, Value, Write,
    firestore_client::FirestoreClient,
    listen_request::TargetChange,
    listen_response::ResponseType,
    structured_query::CollectionSelector,
    target::{QueryTarget, TargetType, query_target::QueryType},
    value::ValueType,
    write::Operation,
};
use tokio::{task::JoinSet, time::Instant};
use tokio_stream::StreamExt;
use tokio_util::sync::CancellationToken;
use tonic::{
    Request, Status,
    service::interceptor::InterceptedService,
    transport::{Channel, Endpoint},
};

const DATABASE: &str = "projects/p/databases/(default)";
const CLIENTS: [usize; 3] = [1, 8, 64];
const TIME_PER_ROW: Duration = Duration::from_secs(4);
const EVENTS: usize = 500;
/// The size of a typical request document.
const PADDING: usize = 1_000;

type Failure = Box<dyn std::error::Error + Send + Sync>;
type Authorize = fn(Request<()>) -> Result<Request<()>, Status>;
type Client = FirestoreClient<InterceptedService<Channel, Authorize>>;

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let directory = std::env::args().nth(1).map_or_else(std::env::temp_dir, PathBuf::from);
    let path = directory.join(format!("firelite-load-{}.db", std::process::id()));
    let config = Config {
        path,
        listen: "127.0.0.1:0".parse()?,
        token: "owner".into(),
        indexes: Indexes::parse(include_str!("../../../deploy/firestore.indexes.json"))?,
    };
    let server = Server::bind(config).await?;
    let url = format!("http://{}", server.local_addr());
    let shutdown = CancellationToken::new();
    let serving = tokio::spawn(server.serve(shutdown.clone()));
    let mut out = std::io::stdout();
    for clients in CLIENTS {
        let mut latencies = commits(&url, clients).await?;
        let count = u32::try_from(latencies.len())?;
        let rate = f64::from(count) / TIME_PER_ROW.as_secs_f64();
        let (p50, p99) = percentiles(&mut latencies);
        writeln!(out, "{clients:>3} clients: {rate:>7.0} commits/s, p50 {p50:?}, p99 {p99:?}")?;
    }
    let (p50, p99) = percentiles(&mut listen(&url).await?);
    writeln!(out, "commit sent to event heard: p50 {p50:?}, p99 {p99:?}")?;
    shutdown.cancel();
    serving.await??;
    Ok(())
}

async fn commits(url: &str, clients: usize) -> Result<Vec<Duration>, Failure> {
    let mut writers = JoinSet::new();
    for writer in 0..clients {
        let mut client = connect(url).await?;
        writers.spawn(async move {
            let mut latencies = Vec::new();
            let until = Instant::now() + TIME_PER_ROW;
            while Instant::now() < until {
                let started = Instant::now();
                let id = format!("c{clients}w{writer}n{}", latencies.len());
                client.commit(commit("requests", &id)).await?;
                latencies.push(started.elapsed());
            }
            Ok::<_, Failure>(latencies)
        });
    }
    let mut all = Vec::new();
    while let Some(latencies) = writers.join_next().await {
        all.extend(latencies??);
    }
    Ok(all)
}

async fn listen(url: &str) -> Result<Vec<Duration>, Failure> {
    let mut client = connect(url).await?;
    let requests = tokio_stream::once(target()).chain(tokio_stream::pending());
    let mut events = client.listen(requests).await?.into_inner();
    let mut writer = connect(url).await?;
    let mut latencies = Vec::new();
    for n in 0..EVENTS {
        let id = format!("n{n}");
        let started = Instant::now();
        writer.commit(commit("outbox", &id)).await?;
        while let Some(event) = events.message().await? {
            if let Some(ResponseType::DocumentChange(change)) = event.response_type
                && change.document.is_some_and(|document| document.name.ends_with(&id))
            {
                break;
            }
        }
        latencies.push(started.elapsed());
    }
    Ok(latencies)
}

async fn connect(url: &str) -> Result<Client, Failure> {
    let channel = Endpoint::from_shared(url.to_owned())?.tcp_nodelay(true).connect().await?;
    let authorize: Authorize = |mut request| {
        let owner = tonic::metadata::MetadataValue::from_static("Bearer owner");
        request.metadata_mut().insert("authorization", owner);
        Ok(request)
    };
    Ok(FirestoreClient::with_interceptor(channel, authorize))
}

fn commit(collection: &str, id: &str) -> CommitRequest {
    let field = |value_type| Value { value_type: Some(value_type) };
    let fields = [
        ("live", field(ValueType::BooleanValue(true))),
        ("padding", field(ValueType::StringValue("x".repeat(PADDING)))),
    ];
    let document = Document {
        name: format!("{DATABASE}/documents/{collection}/{id}"),
        fields: fields.map(|(name, value)| (name.to_owned(), value)).into(),
        ..Document::default()
    };
    let write = Write { operation: Some(Operation::Update(document)), ..Write::default() };
    CommitRequest { database: DATABASE.into(), writes: vec![write], ..CommitRequest::default() }
}

fn target() -> ListenRequest {
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

fn percentiles(latencies: &mut [Duration]) -> (Duration, Duration) {
    latencies.sort_unstable();
    let at = |percent: usize| latencies.get(latencies.len() * percent / 100).copied();
    (at(50).unwrap_or_default(), at(99).unwrap_or_default())
}
