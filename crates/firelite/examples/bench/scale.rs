//! One large file: how fast it fills, opens and answers, and what memory that takes.

use std::{path::Path, time::Duration};

use gcloud_sdk::google::firestore::v1::{
    RunQueryRequest, StructuredQuery,
    run_query_request::QueryType,
    structured_query::{
        CollectionSelector, Direction, FieldFilter, FieldReference, Filter, Order,
        field_filter::Operator, filter::FilterType,
    },
    value::ValueType,
};
use tokio::{task::JoinSet, time::Instant};

use crate::{
    Failure, Latencies,
    client::{
        Client, DATABASE, LIVE_EVERY, PHASE, REQUESTERS, RESOURCES, commit, connect, request,
        requester, resource, wrap,
    },
    process::Process,
    row,
};

/// Writes of one seeding commit: what Firestore's clients put into one.
const BATCH: u32 = 500;
/// Enough that one commit is sent while another is written.
const SEEDERS: u32 = 4;
const PAGE: i32 = 50;
const QUERIES: u32 = 200;
const LIVE_QUERIES: u32 = 5;

/// Fills the file if it is absent, and asks a server of it that is just started.
pub(crate) async fn measure(file: &Path, documents: u32) -> Result<(), Failure> {
    if !file.exists() {
        fill(file, documents).await?;
    }
    row("the file", &format!("{} MiB", std::fs::metadata(file)?.len() / 1_048_576))?;
    let started = Instant::now();
    let server = Process::start(file)?;
    row("start to first call taken", &format!("{:.1?}", started.elapsed()))?;
    row("memory of the server then", &format!("{} MiB", server.resident_mib()?))?;
    question(&server, documents).await
}

/// Writes the documents and kills the server.
async fn fill(file: &Path, documents: u32) -> Result<(), Failure> {
    let server = Process::start(file)?;
    let took = seed(server.address(), documents).await?;
    let rate = f64::from(documents) / took.as_secs_f64();
    row(
        &format!("{documents} documents written, {BATCH} a commit"),
        &format!("{took:.1?}, {rate:.0}/s"),
    )?;
    row("memory of the server then", &format!("{} MiB", server.resident_mib()?))
}

async fn question(server: &Process, documents: u32) -> Result<(), Failure> {
    let mut client = connect(server.address()).await?;
    let started = Instant::now();
    client.commit(commit(vec![request("outbox", "first", 0)])).await?;
    row("first commit", &format!("{:.1?}", started.elapsed()))?;
    let live = documents.div_ceil(LIVE_EVERY);
    let latencies = ask(&mut client, LIVE_QUERIES, |_| (live_requests(), live)).await?;
    row(&format!("live == true, {live} documents"), &latencies.to_string())?;
    for (name, share, filter) in PAGES {
        let page_of = |n| {
            let own = documents.saturating_sub(n % share).div_ceil(share);
            (newest(filter(n)), own.min(PAGE.unsigned_abs()))
        };
        let latencies = ask(&mut client, QUERIES, page_of).await?;
        row(&format!("newest {PAGE} {name}"), &latencies.to_string())?;
    }
    row("memory of the server then", &format!("{} MiB", server.resident_mib()?))
}

/// A filter by the `n`th request's value of some field, if by any.
type ByValue = fn(u32) -> Option<Filter>;

/// The pages that people look at, and how many requests there are for each of its own.
const PAGES: [(&str, u32, ByValue); 4] = [
    ("of one requester", REQUESTERS, |n| {
        Some(equal("specView.requester.subject", ValueType::StringValue(requester(n))))
    }),
    ("of one project", RESOURCES, |n| {
        Some(equal("specView.resource", ValueType::StringValue(resource(n))))
    }),
    ("in one phase", 1, |_| Some(equal("status.phase", ValueType::StringValue(PHASE.into())))),
    ("of all", 1, |_| None),
];

async fn seed(address: &str, documents: u32) -> Result<Duration, Failure> {
    let started = Instant::now();
    let mut seeders = JoinSet::new();
    for seeder in 0..SEEDERS {
        let mut client = connect(address).await?;
        seeders.spawn(async move {
            let stride = usize::try_from(BATCH * SEEDERS)?;
            for from in (seeder * BATCH..documents).step_by(stride) {
                let batch = (from..documents.min(from + BATCH))
                    .map(|n| request("requests", &scattered(n), n));
                client.commit(commit(batch.collect())).await?;
            }
            Ok::<_, Failure>(())
        });
    }
    while let Some(outcome) = seeders.join_next().await {
        outcome??;
    }
    Ok(started.elapsed())
}

/// An id at a place of its own in the order of ids, as random ones have: an odd factor permutes
/// the numbers of 32 bits.
fn scattered(n: u32) -> String {
    format!("{:08x}", n.wrapping_mul(0x9E37_79B1))
}

/// Asks some queries one after the other; each must have as many results as are said with it.
async fn ask(
    client: &mut Client,
    queries: u32,
    query: impl Fn(u32) -> (StructuredQuery, u32),
) -> Result<Latencies, Failure> {
    let mut durations = Vec::new();
    for n in 0..queries {
        let (query, expected) = query(n);
        let request = RunQueryRequest {
            parent: format!("{DATABASE}/documents"),
            query_type: Some(QueryType::StructuredQuery(query)),
            ..RunQueryRequest::default()
        };
        let started = Instant::now();
        let mut replies = client.run_query(request).await?.into_inner();
        let mut found = 0;
        while let Some(reply) = replies.message().await? {
            found += u32::from(reply.document.is_some());
        }
        durations.push(started.elapsed());
        if found != expected {
            return Err(format!("{found} results where {expected} were expected").into());
        }
    }
    Ok(Latencies::of(durations))
}

fn live_requests() -> StructuredQuery {
    StructuredQuery { r#where: Some(equal("live", ValueType::BooleanValue(true))), ..requests() }
}

fn newest(filter: Option<Filter>) -> StructuredQuery {
    let order = Order {
        field: Some(FieldReference { field_path: "specView.requestedAt".into() }),
        direction: Direction::Descending.into(),
    };
    StructuredQuery { r#where: filter, order_by: vec![order], limit: Some(PAGE), ..requests() }
}

fn requests() -> StructuredQuery {
    let from = CollectionSelector { collection_id: "requests".into(), all_descendants: false };
    StructuredQuery { from: vec![from], ..StructuredQuery::default() }
}

fn equal(path: &str, value: ValueType) -> Filter {
    let filter = FieldFilter {
        field: Some(FieldReference { field_path: path.into() }),
        op: Operator::Equal.into(),
        value: Some(wrap(value)),
    };
    Filter { filter_type: Some(FilterType::FieldFilter(filter)) }
}
