use std::collections::HashMap;

use gcloud_sdk::google::firestore::v1::{
    RunAggregationQueryRequest, RunAggregationQueryResponse, StructuredAggregationQuery,
    StructuredQuery, TransactionOptions, Value,
    run_aggregation_query_request::{ConsistencySelector, QueryType},
    structured_aggregation_query::{
        Aggregation, QueryType as Aggregated,
        aggregation::{Avg, Count, Operator, Sum},
    },
    structured_query::{FieldReference, composite_filter, field_filter::Operator as Compare},
    value::ValueType,
};
use tonic::{Code, Status};

use super::support::*;

#[tokio::test]
async fn results_are_counted_added_up_and_averaged() {
    let fixture = seeded().await;
    let mut client = fixture.client().await;
    let all = vec![count("c", None), sum("s", "n"), average("a", "n")];
    let expected = [("c", int(4)), ("s", float(6.5)), ("a", float(6.5 / 3.0))];
    assert_eq!(over(&mut client, collection("things"), all).await, by_name(&expected));
    // One without the field counts for nothing.
    assert_eq!(
        over(&mut client, collection("things"), vec![count("c", None)]).await,
        by_name(&[("c", int(5))])
    );
    let above = things(field("n", Compare::GreaterThan, int(1)));
    let two = vec![count("c", None), sum("s", "n")];
    let expected = by_name(&[("c", int(2)), ("s", float(5.5))]);
    assert_eq!(over(&mut client, above, two).await, expected);
    let nothing = vec![count("", None), sum("", "n"), average("x", "n")];
    let expected = by_name(&[("field_1", int(0)), ("field_2", int(0)), ("x", null())]);
    assert_eq!(over(&mut client, collection("nothing"), nothing).await, expected);
}

#[tokio::test]
async fn counts_obey_their_bound_and_the_querys_window() {
    let fixture = seeded().await;
    let mut client = fixture.client().await;
    let two = vec![count("c", Some(2)), count("all", None)];
    let expected = by_name(&[("c", int(2)), ("all", int(5))]);
    assert_eq!(over(&mut client, collection("things"), two).await, expected);
    let window = StructuredQuery { offset: 1, limit: Some(3), ..collection("things") };
    assert_eq!(over(&mut client, window, vec![count("c", None)]).await, by_name(&[("c", int(3))]));
}

#[tokio::test]
async fn an_aggregation_needs_the_index_of_its_fields() {
    let fixture = seeded().await;
    let mut client = fixture.client().await;
    let code = async |client: &mut Client, query, aggregations| {
        refusal(aggregate(client, query, aggregations, None).await).0
    };
    let refused = code(&mut client, collection("requests"), vec![sum("s", "live")]).await;
    assert_eq!(refused, Code::FailedPrecondition);
    let tagged = things(field("tag", Compare::Equal, text("x")));
    let refused = code(&mut client, tagged, vec![sum("s", "n")]).await;
    assert_eq!(refused, Code::FailedPrecondition);
    let two = vec![sum("s", "n"), sum("t", "tag")];
    let refused = code(&mut client, collection("things"), two).await;
    assert_eq!(refused, Code::FailedPrecondition);
    assert_eq!(over(&mut client, live(), vec![count("c", None)]).await, by_name(&[("c", int(0))]));
}

#[tokio::test]
async fn bad_aggregations_are_refused() {
    let fixture = seeded().await;
    let mut client = fixture.client().await;
    let bad = [
        vec![],
        vec![count("a", None), count("a", None)],
        vec![count("field_1", None), count("", None)],
        (0..6).map(|n| count(&format!("a{n}"), None)).collect(),
        vec![count("__a__", None)],
        vec![count("a", Some(0))],
        vec![count("a", Some(-1))],
        vec![sum("a", "__name__")],
        vec![sum("a", "0")],
        vec![Aggregation::default()],
    ];
    for aggregations in bad {
        let refused = aggregate(&mut client, collection("things"), aggregations, None).await;
        assert_eq!(refusal(refused).0, Code::InvalidArgument);
    }
}

#[tokio::test]
async fn a_count_in_a_transaction_is_of_its_state() {
    let fixture = seeded().await;
    let mut client = fixture.client().await;
    let begin = ConsistencySelector::NewTransaction(TransactionOptions::default());
    let counted = vec![count("c", None)];
    let query = collection("things");
    let replies =
        aggregate(&mut client, query.clone(), counted.clone(), Some(begin)).await.unwrap();
    let [opened, result] = replies.as_slice() else { panic!("{replies:?}") };
    assert!(opened.result.is_none() && result.transaction.is_empty());
    commit(&mut client, vec![set("things/new", &[])]).await.unwrap();
    let within = ConsistencySelector::Transaction(opened.transaction.clone());
    let again = aggregate(&mut client, query.clone(), counted.clone(), Some(within)).await.unwrap();
    assert_eq!(again[0].result, result.result);
    assert_eq!(over(&mut client, query, counted).await, by_name(&[("c", int(6))]));
    let and = composite(
        composite_filter::Operator::And,
        vec![field("tag", Compare::Equal, text("x")), field("n", Compare::Equal, int(1))],
    );
    assert_eq!(
        over(&mut client, things(and), vec![count("c", None)]).await,
        by_name(&[("c", int(1))])
    );
}

async fn seeded() -> Fixture {
    let fixture = Fixture::start().await;
    let documents = [
        set("things/a", &[("n", int(1)), ("tag", text("x"))]),
        set("things/b", &[("n", int(2))]),
        set("things/c", &[("n", float(3.5))]),
        set("things/d", &[("n", text("no number"))]),
        set("things/e", &[("tag", text("x"))]),
    ];
    commit(&mut fixture.client().await, documents.to_vec()).await.unwrap();
    fixture
}

async fn over(
    client: &mut Client,
    query: StructuredQuery,
    aggregations: Vec<Aggregation>,
) -> HashMap<String, Value> {
    let replies = aggregate(client, query, aggregations, None).await.unwrap();
    let [RunAggregationQueryResponse { result: Some(result), read_time: Some(_), .. }] =
        replies.as_slice()
    else {
        panic!("{replies:?}")
    };
    result.aggregate_fields.clone()
}

async fn aggregate(
    client: &mut Client,
    query: StructuredQuery,
    aggregations: Vec<Aggregation>,
    consistency_selector: Option<ConsistencySelector>,
) -> Result<Vec<RunAggregationQueryResponse>, Status> {
    let query_type = Some(Aggregated::StructuredQuery(query));
    let query = StructuredAggregationQuery { aggregations, query_type };
    let request = RunAggregationQueryRequest {
        parent: ROOT.into(),
        query_type: Some(QueryType::StructuredAggregationQuery(query)),
        consistency_selector,
        ..RunAggregationQueryRequest::default()
    };
    let mut stream = client.run_aggregation_query(request).await?.into_inner();
    let mut replies = Vec::new();
    while let Some(reply) = stream.message().await? {
        replies.push(reply);
    }
    Ok(replies)
}

fn by_name(fields: &[(&str, Value)]) -> HashMap<String, Value> {
    document("c/d", fields).fields
}

fn count(alias: &str, up_to: Option<i64>) -> Aggregation {
    Aggregation { alias: alias.into(), operator: Some(Operator::Count(Count { up_to })) }
}

fn sum(alias: &str, path: &str) -> Aggregation {
    let field = Some(FieldReference { field_path: path.into() });
    Aggregation { alias: alias.into(), operator: Some(Operator::Sum(Sum { field })) }
}

fn average(alias: &str, path: &str) -> Aggregation {
    let field = Some(FieldReference { field_path: path.into() });
    Aggregation { alias: alias.into(), operator: Some(Operator::Avg(Avg { field })) }
}

fn float(double: f64) -> Value {
    Value { value_type: Some(ValueType::DoubleValue(double)) }
}

fn null() -> Value {
    Value { value_type: Some(ValueType::NullValue(0)) }
}
