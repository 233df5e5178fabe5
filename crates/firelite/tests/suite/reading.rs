use gcloud_sdk::google::firestore::v1::{
    Cursor, ListDocumentsRequest, StructuredQuery, Value, Write,
    structured_query::{FieldReference, Projection, composite_filter, field_filter::Operator},
    value::ValueType,
};
use tonic::Code;

use super::support::*;

#[tokio::test]
async fn the_listed_indexes_serve_the_products_queries() {
    let fixture = Fixture::start().await;
    let mut client = fixture.client().await;
    commit(&mut client, (0..12).map(request).collect()).await.unwrap();

    assert_eq!(ids(&mut client, live()).await, ["r00", "r03", "r06", "r09"]);
    let newest_first = |filter| StructuredQuery {
        order_by: vec![descending("specView.requestedAt")],
        ..requests(filter)
    };
    let by_ann = || field("specView.requester.subject", Operator::Equal, text("ann"));
    let expected = ["r10", "r08", "r06", "r04", "r02", "r00"];
    assert_eq!(ids(&mut client, newest_first(by_ann())).await, expected);
    let page = StructuredQuery {
        limit: Some(2),
        start_at: Some(Cursor { values: vec![instant(8_000_000)], before: false }),
        ..newest_first(by_ann())
    };
    assert_eq!(ids(&mut client, page).await, ["r06", "r04"]);
    let since = composite(
        composite_filter::Operator::And,
        vec![
            field("specView.resource", Operator::Equal, text("projects/p1")),
            field("specView.requestedAt", Operator::GreaterThanOrEqual, instant(5_000_000)),
        ],
    );
    assert_eq!(ids(&mut client, newest_first(since)).await, ["r10", "r07"]);
    let phases = array(vec![text("PENDING"), text("ENDED")]);
    let either = newest_first(field("status.phase", Operator::In, phases));
    assert_eq!(
        ids(&mut client, StructuredQuery { limit: Some(5), ..either }).await,
        ["r11", "r10", "r09", "r08", "r07"]
    );
    let all = StructuredQuery {
        order_by: vec![descending("specView.requestedAt")],
        offset: 10,
        ..collection("requests")
    };
    let replies = run_query(&mut client, all).await.unwrap();
    assert_eq!(replies.iter().filter(|reply| reply.document.is_some()).count(), 2);
    assert_eq!(replies.iter().map(|reply| reply.skipped_results).sum::<i32>(), 10);
}

#[tokio::test]
async fn a_query_without_its_index_is_refused() {
    let fixture = Fixture::start().await;
    let mut client = fixture.client().await;
    let unserved = [
        requests(field("purgeAt", Operator::LessThan, int(1))),
        requests(field("specView.resource", Operator::Equal, text("x"))),
        StructuredQuery { order_by: vec![descending("live")], ..collection("requests") },
        StructuredQuery { order_by: vec![descending("at")], ..collection("outbox") },
    ];
    for query in unserved {
        let (code, message) = refusal(run_query(&mut client, query).await);
        assert_eq!(code, Code::FailedPrecondition);
        assert!(message.starts_with("The query requires an index."), "{message}");
    }
}

#[tokio::test]
async fn whole_collections_come_by_name() {
    let fixture = Fixture::start().await;
    let mut client = fixture.client().await;
    let paths = ["outbox/b", "outbox/__id10__", "outbox/a", "outbox/__id9__", "outbox/a/sub/x"];
    commit(&mut client, paths.map(|path| set(path, &[])).to_vec()).await.unwrap();
    assert_eq!(ids(&mut client, collection("outbox")).await, ["__id9__", "__id10__", "a", "b"]);
    let empty = run_query(&mut client, collection("ledger")).await.unwrap();
    assert_eq!(empty.len(), 1);
    assert!(empty[0].document.is_none() && empty[0].read_time.is_some());
}

#[tokio::test]
async fn projections_leave_only_what_was_asked_for() {
    let fixture = Fixture::start().await;
    let mut client = fixture.client().await;
    commit(&mut client, vec![request(0)]).await.unwrap();
    let select = |paths: &[&str]| {
        let fields = paths.iter().map(|path| FieldReference { field_path: (*path).into() });
        StructuredQuery { select: Some(Projection { fields: fields.collect() }), ..live() }
    };
    let mut projected = async |paths: &[&str]| {
        let replies = run_query(&mut client, select(paths)).await.unwrap();
        replies[0].document.clone().unwrap().fields
    };
    assert!(projected(&["__name__"]).await.is_empty());
    let resource = map(&[("resource", text("projects/p0"))]);
    let expected = document("c/d", &[("specView", resource)]).fields;
    assert_eq!(projected(&["specView.resource"]).await, expected);
    assert_eq!(projected(&[]).await.len(), 3);
}

#[tokio::test]
async fn lists_come_in_pages() {
    let fixture = Fixture::start().await;
    let mut client = fixture.client().await;
    commit(&mut client, (0..7).map(request).collect()).await.unwrap();
    let page = |page_token: String| ListDocumentsRequest {
        parent: ROOT.into(),
        collection_id: "requests".into(),
        page_size: 3,
        page_token,
        ..ListDocumentsRequest::default()
    };
    let mut sizes = Vec::new();
    let mut token = String::new();
    loop {
        let reply = client.list_documents(page(token)).await.unwrap().into_inner();
        sizes.push(reply.documents.len());
        token = reply.next_page_token;
        if token.is_empty() {
            break;
        }
    }
    assert_eq!(sizes, [3, 3, 1]);
    let bad = client.list_documents(page("!".into())).await;
    assert_eq!(refusal(bad), (Code::InvalidArgument, "invalid page token".into()));
}

#[tokio::test]
async fn nulls_and_nan_are_found_by_unary_filters() {
    use gcloud_sdk::google::firestore::v1::structured_query::{
        Filter, UnaryFilter, filter::FilterType, unary_filter,
    };
    let fixture = Fixture::start().await;
    let mut client = fixture.client().await;
    let null = Value { value_type: Some(ValueType::NullValue(0)) };
    let nan = Value { value_type: Some(ValueType::DoubleValue(f64::NAN)) };
    let values = [("null", null), ("nan", nan), ("one", int(1))];
    let writes = values.map(|(id, value)| set(&format!("requests/{id}"), &[("live", value)]));
    commit(&mut client, writes.to_vec()).await.unwrap();
    let unary = |op: unary_filter::Operator| {
        let field = FieldReference { field_path: "live".into() };
        let operand_type = Some(unary_filter::OperandType::Field(field));
        let filter = UnaryFilter { op: op.into(), operand_type };
        requests(Filter { filter_type: Some(FilterType::UnaryFilter(filter)) })
    };
    assert_eq!(ids(&mut client, unary(unary_filter::Operator::IsNull)).await, ["null"]);
    assert_eq!(ids(&mut client, unary(unary_filter::Operator::IsNan)).await, ["nan"]);
    assert_eq!(ids(&mut client, unary(unary_filter::Operator::IsNotNull)).await, ["nan", "one"]);
    assert_eq!(ids(&mut client, unary(unary_filter::Operator::IsNotNan)).await, ["one"]);
}

/// Request `n`: every third is live, every second is Ann's, each a second after the one before.
fn request(n: i64) -> Write {
    let subject = if n % 2 == 0 { "ann" } else { "bob" };
    let phase = if n % 2 == 0 { "PENDING" } else { "ENDED" };
    let view = [
        ("requester", map(&[("subject", text(subject))])),
        ("resource", text(&format!("projects/p{}", n % 3))),
        ("requestedAt", instant(n * 1_000_000)),
    ];
    set(
        &format!("requests/r{n:02}"),
        &[
            ("live", boolean(n % 3 == 0)),
            ("specView", map(&view)),
            ("status", map(&[("phase", text(phase))])),
        ],
    )
}
