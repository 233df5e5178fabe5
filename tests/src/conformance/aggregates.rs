//! Counts, sums and averages.

use gcloud_sdk::google::firestore::v1::run_aggregation_query_request::QueryType;
use gcloud_sdk::google::firestore::v1::structured_aggregation_query::aggregation::{
    Avg, Count, Operator, Sum,
};
use gcloud_sdk::google::firestore::v1::structured_aggregation_query::{
    Aggregation, QueryType as Aggregated,
};
use gcloud_sdk::google::firestore::v1::{RunAggregationQueryRequest, StructuredAggregationQuery};
use serde_json::{Value as Json, json};
use tonic::{Code, Status};

use super::backend::{Backend, refused};
use super::messages::{Query, field, query, test};
use super::values::shown;

pub(super) async fn count_counts_what_a_query_finds(on: &Backend) {
    numbers(on).await;
    assert_eq!(over(on, query("things"), vec![count("all")]).await, json!({"all": 4}));
    let some = query("things").of(test("n", ">", &json!(1)));
    assert_eq!(over(on, some, vec![count("some")]).await, json!({"some": 2}));
}

pub(super) async fn count_of_nothing_is_zero(on: &Backend) {
    assert_eq!(over(on, query("things"), vec![count("none")]).await, json!({"none": 0}));
}

pub(super) async fn count_stops_where_it_is_told(on: &Backend) {
    numbers(on).await;
    let up_to = |most| aggregation("n", Operator::Count(Count { up_to: Some(most) }));
    assert_eq!(over(on, query("things"), vec![up_to(3)]).await, json!({"n": 3}));
    assert_eq!(over(on, query("things"), vec![up_to(9)]).await, json!({"n": 4}));
}

pub(super) async fn count_must_be_allowed_one_document(on: &Backend) {
    let zero = aggregation("n", Operator::Count(Count { up_to: Some(0) }));
    assert_eq!(refused(aggregate(on, query("things"), vec![zero]).await), Code::InvalidArgument);
}

pub(super) async fn count_honours_limit_and_offset(on: &Backend) {
    numbers(on).await;
    let some = query("things").up("n").offset(1).limit(5);
    assert_eq!(over(on, some, vec![count("some")]).await, json!({"some": 2}));
}

pub(super) async fn sum_adds_numbers_and_leaves_out_the_rest(on: &Backend) {
    numbers(on).await;
    assert_eq!(over(on, query("things"), vec![sum("s", "n")]).await, json!({"s": 6}));
}

pub(super) async fn sum_with_a_double_is_a_double(on: &Backend) {
    on.seed("things", json!({"a": {"n": 1}, "b": {"n": 0.5}})).await;
    assert_eq!(over(on, query("things"), vec![sum("s", "n")]).await, json!({"s": 1.5}));
}

pub(super) async fn sum_beyond_the_integers_is_a_double(on: &Backend) {
    on.seed("things", json!({"a": {"n": i64::MAX}, "b": {"n": 1}})).await;
    let beyond = json!({"s": 9_223_372_036_854_775_808.0});
    assert_eq!(over(on, query("things"), vec![sum("s", "n")]).await, beyond);
}

pub(super) async fn one_nan_makes_sum_and_average_nan(on: &Backend) {
    on.seed("things", json!({"a": {"n": 1}, "b": {"n": {"$double": "NaN"}}, "c": {"n": 2.5}}))
        .await;
    let nan = json!({"$double": "NaN"});
    let both = over(on, query("things"), vec![sum("s", "n"), average("a", "n")]).await;
    assert_eq!(both, json!({"s": nan, "a": nan}));
}

pub(super) async fn sum_of_nothing_is_zero(on: &Backend) {
    on.seed("things", json!({"a": {"n": "text"}})).await;
    assert_eq!(over(on, query("things"), vec![sum("s", "n")]).await, json!({"s": 0}));
}

pub(super) async fn average_is_a_double_or_null(on: &Backend) {
    numbers(on).await;
    assert_eq!(over(on, query("things"), vec![average("a", "n")]).await, json!({"a": 2.0}));
    assert_eq!(over(on, query("others"), vec![average("a", "n")]).await, json!({"a": null}));
}

pub(super) async fn several_aggregations_share_a_query(on: &Backend) {
    numbers(on).await;
    let three =
        vec![sum("s", "n"), average("a", "n"), aggregation("", Operator::Count(Count::default()))];
    let all = over(on, query("things").of(test("n", ">", &json!(1))), three).await;
    assert_eq!(all, json!({"s": 5, "a": 2.5, "field_1": 2}));
}

pub(super) async fn aggregations_are_named_apart(on: &Backend) {
    let twice = vec![count("x"), count("x")];
    assert_eq!(refused(aggregate(on, query("things"), twice).await), Code::InvalidArgument);
}

pub(super) async fn one_to_five_aggregations_share_a_query(on: &Backend) {
    assert_eq!(refused(aggregate(on, query("things"), Vec::new()).await), Code::InvalidArgument);
    let five = ["a", "b", "c", "d", "e"].map(count).into();
    assert!(aggregate(on, query("things"), five).await.is_ok());
    let six = ["a", "b", "c", "d", "e", "f"].map(count).into();
    assert_eq!(refused(aggregate(on, query("things"), six).await), Code::InvalidArgument);
}

async fn numbers(on: &Backend) {
    let documents = json!({"a": {"n": 1}, "b": {"n": 2}, "c": {"n": 3}, "d": {"x": 9}});
    on.seed("things", documents).await;
}

fn aggregation(alias: &str, operator: Operator) -> Aggregation {
    Aggregation { alias: alias.into(), operator: Some(operator) }
}

fn count(alias: &str) -> Aggregation {
    aggregation(alias, Operator::Count(Count { up_to: None }))
}

fn sum(alias: &str, path: &str) -> Aggregation {
    aggregation(alias, Operator::Sum(Sum { field: Some(field(path)) }))
}

fn average(alias: &str, path: &str) -> Aggregation {
    aggregation(alias, Operator::Avg(Avg { field: Some(field(path)) }))
}

async fn over(on: &Backend, query: Query, aggregations: Vec<Aggregation>) -> Json {
    aggregate(on, query, aggregations).await.unwrap()
}

/// The aggregates by their aliases.
async fn aggregate(
    on: &Backend,
    query: Query,
    aggregations: Vec<Aggregation>,
) -> Result<Json, Status> {
    let query_type = Some(Aggregated::StructuredQuery(query.0));
    let aggregated = StructuredAggregationQuery { aggregations, query_type };
    let request = RunAggregationQueryRequest {
        parent: on.home.clone(),
        query_type: Some(QueryType::StructuredAggregationQuery(aggregated)),
        ..Default::default()
    };
    let mut stream = on.client.clone().run_aggregation_query(request).await?.into_inner();
    let mut result = None;
    while let Some(reply) = stream.message().await? {
        assert!(reply.read_time.is_some());
        result = reply.result.or(result);
    }
    Ok(shown(&result.expect("a result").aggregate_fields))
}
