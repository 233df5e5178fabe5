//! Queries and their aggregations.

use std::{ops::ControlFlow, sync::Arc};

use gcloud_sdk::google::firestore::v1::{
    AggregationResult, RunAggregationQueryRequest, RunAggregationQueryResponse, RunQueryRequest,
    RunQueryResponse, run_aggregation_query_request, run_query_request,
    run_query_response::ContinuationSelector,
};
use prost::Message;

use super::{
    Context, Outbox,
    view::{View, When},
};
use crate::{
    mutate::project,
    query::{Aggregation, Query},
    refusal::Refusal,
    store::Snapshot,
    transactions::Footprint,
};

/// `RunQuery`: each result, then a reply that says that these were all.
pub(super) async fn run(
    context: Context,
    request: RunQueryRequest,
    outbox: Outbox<RunQueryResponse>,
) -> Result<(), Refusal> {
    use run_query_request::{ConsistencySelector as Selector, QueryType};
    if request.explain_options.is_some() {
        return Err(Refusal::Unimplemented("Query explain"));
    }
    let bytes = request.encoded_len();
    let Some(QueryType::StructuredQuery(query)) = request.query_type else {
        return Err(Refusal::Argument("A query is missing."));
    };
    let query = Arc::new(Query::parse(&request.parent, query)?);
    let when = match request.consistency_selector {
        None => When::Newest,
        Some(Selector::Transaction(id)) => When::In(id),
        Some(Selector::NewTransaction(options)) => When::Begin(options),
        Some(Selector::ReadTime(time)) => When::At(time.into()),
    };
    let view = open(context, &query, when, bytes)?;
    if let Some(transaction) = view.begun.clone() {
        outbox.send(RunQueryResponse { transaction, ..RunQueryResponse::default() }).await?;
    }
    view.read(move |snapshot| send_results(&query, snapshot, &outbox)).await
}

fn send_results(
    query: &Query,
    snapshot: &Snapshot<'_>,
    outbox: &Outbox<RunQueryResponse>,
) -> Result<(), Refusal> {
    let read_time = Some(snapshot.read_time().into());
    let mut sent = Ok(());
    let ran = snapshot.run(query, |document| {
        sent = outbox.send_blocking(RunQueryResponse {
            document: Some(project(document, query.projection.as_deref())),
            read_time,
            ..RunQueryResponse::default()
        });
        if sent.is_ok() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    })?;
    tracing::debug!(visited = ran.visited, "query served");
    sent?;
    outbox.send_blocking(RunQueryResponse {
        read_time,
        skipped_results: i32::try_from(ran.skipped).unwrap_or(i32::MAX),
        continuation_selector: Some(ContinuationSelector::Done(true)),
        ..RunQueryResponse::default()
    })
}

/// `RunAggregationQuery`: one reply.
pub(super) async fn aggregate(
    context: Context,
    request: RunAggregationQueryRequest,
    outbox: Outbox<RunAggregationQueryResponse>,
) -> Result<(), Refusal> {
    use run_aggregation_query_request::{ConsistencySelector as Selector, QueryType};
    if request.explain_options.is_some() {
        return Err(Refusal::Unimplemented("Query explain"));
    }
    let bytes = request.encoded_len();
    let Some(QueryType::StructuredAggregationQuery(query)) = request.query_type else {
        return Err(Refusal::Argument("A query is missing."));
    };
    let aggregation = Aggregation::parse(&request.parent, query)?;
    let when = match request.consistency_selector {
        None => When::Newest,
        Some(Selector::Transaction(id)) => When::In(id),
        Some(Selector::NewTransaction(options)) => When::Begin(options),
        Some(Selector::ReadTime(time)) => When::At(time.into()),
    };
    let view = open(context, &Arc::new(aggregation.query.clone()), when, bytes)?;
    if let Some(transaction) = view.begun.clone() {
        let begun = RunAggregationQueryResponse { transaction, ..Default::default() };
        outbox.send(begun).await?;
    }
    let reply = view.read(move |snapshot| tally(&aggregation, snapshot)).await?;
    outbox.send(reply).await
}

fn tally(
    aggregation: &Aggregation,
    snapshot: &Snapshot<'_>,
) -> Result<RunAggregationQueryResponse, Refusal> {
    let mut tally = aggregation.tally();
    snapshot.run(&aggregation.query, |document| {
        tally.add(&document);
        if tally.is_complete() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    })?;
    Ok(RunAggregationQueryResponse {
        result: Some(AggregationResult { aggregate_fields: tally.finish() }),
        read_time: Some(snapshot.read_time().into()),
        ..RunAggregationQueryResponse::default()
    })
}

fn open(context: Context, query: &Arc<Query>, when: When, bytes: usize) -> Result<View, Refusal> {
    let database = query.scope.database();
    let database = database.ok_or(Refusal::Argument("The parent is of no database."))?;
    View::open(context, &database, when, Footprint::Query(query.clone(), bytes))
}
