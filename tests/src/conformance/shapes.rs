//! What a query looks at and returns: parents, groups, limits, projections, times.

use gcloud_sdk::google::firestore::v1::run_query_request::ConsistencySelector;
use gcloud_sdk::google::firestore::v1::structured_query::CollectionSelector;
use serde_json::json;
use tonic::Code;

use super::backend::{Backend, ids, refused};
use super::messages::{all, group, query, test};
use super::values::{micros, shown};

/// The collection whose field `n` is indexed for groups.
const GROUP: &str = "conformanceGroup";

pub(super) async fn a_limit_ends_a_query(on: &Backend) {
    letters(on).await;
    assert_eq!(on.ids(query("things").limit(2)).await, "a b");
    assert_eq!(on.ids(query("things").down("n").limit(1)).await, "d");
    assert_eq!(on.ids(query("things").limit(100)).await, "a b c d");
}

pub(super) async fn an_offset_skips(on: &Backend) {
    letters(on).await;
    assert_eq!(on.ids(query("things").offset(2)).await, "c d");
    assert_eq!(on.ids(query("things").offset(1).limit(2)).await, "b c");
    assert_eq!(on.ids(query("things").offset(9)).await, "");
}

pub(super) async fn an_offset_tells_how_many_results_it_skipped(on: &Backend) {
    letters(on).await;
    let skipped = async |offset| -> i32 {
        let replies = on.run(query("things").offset(offset)).await.unwrap();
        replies.iter().map(|reply| reply.skipped_results).sum()
    };
    assert_eq!(skipped(0).await, 0);
    assert_eq!(skipped(3).await, 3);
    assert_eq!(skipped(9).await, 4);
}

pub(super) async fn an_offset_comes_after_the_cursor(on: &Backend) {
    letters(on).await;
    let after_a = query("things").up("n").start_after(&[json!(1)]);
    assert_eq!(on.ids(after_a.offset(1)).await, "c d");
}

pub(super) async fn negative_limits_and_offsets_are_refused(on: &Backend) {
    assert_eq!(refused(on.run(query("things").limit(-1)).await), Code::InvalidArgument);
    assert_eq!(refused(on.run(query("things").offset(-1)).await), Code::InvalidArgument);
}

pub(super) async fn a_projection_returns_only_its_fields(on: &Backend) {
    on.put("things/a", json!({"n": 1, "m": {"x": 1, "y": 2}, "o": 3})).await;
    let replies = on.run(query("things").select(&["n", "m.y", "absent"])).await.unwrap();
    let document = replies[0].document.as_ref().unwrap();
    assert_eq!(shown(&document.fields), json!({"n": 1, "m": {"y": 2}}));
    assert_eq!(*document, {
        let whole = on.get("things/a").await.unwrap();
        let fields = document.fields.clone();
        gcloud_sdk::google::firestore::v1::Document { fields, ..whole }
    });
}

pub(super) async fn a_projection_of_the_name_returns_no_field(on: &Backend) {
    on.put("things/a", json!({"n": 1})).await;
    let replies = on.run(query("things").select(&["__name__"])).await.unwrap();
    let document = replies[0].document.as_ref().unwrap();
    assert_eq!((document.name.clone(), document.fields.len()), (on.name("things/a"), 0));
}

pub(super) async fn a_collection_is_only_that_of_its_parent(on: &Backend) {
    on.put("things/a", json!({})).await;
    on.put("things/a/things/b", json!({})).await;
    on.put("others/o/things/c", json!({})).await;
    assert_eq!(on.ids(query("things")).await, "a");
    let below = on.run_with(&on.name("things/a"), query("things"), None).await.unwrap();
    assert_eq!(ids(&below), "b");
}

pub(super) async fn a_group_is_every_collection_of_that_name(on: &Backend) {
    on.put("things/a", json!({})).await;
    on.put("things/a/things/b", json!({})).await;
    on.put("others/o/things/c", json!({})).await;
    on.put("others/o/parts/d", json!({})).await;
    assert_eq!(on.ids(group("things")).await, "c a b");
}

pub(super) async fn a_group_below_a_document_stays_below_it(on: &Backend) {
    on.put("things/a/parts/b", json!({})).await;
    on.put("things/a/others/o/parts/c", json!({})).await;
    on.put("things/z/parts/d", json!({})).await;
    let below = on.run_with(&on.name("things/a"), group("parts"), None).await.unwrap();
    assert_eq!(ids(&below), "c b");
}

pub(super) async fn a_group_can_be_filtered_and_ordered(on: &Backend) {
    // A group with a filter is looked for in the whole database: the values tell the case's documents from others.
    let value = |n: i64| json!(format!("{}/{n}", on.home));
    let groups = [("g", 1), ("g/a/others/o/g", 3), ("others/p/g", 2)];
    for (collection, n) in groups {
        let path = format!("{}/{n}", collection.replace('g', GROUP));
        on.put(&path, json!({"n": value(n)})).await;
    }
    let ours = all([test("n", ">", &value(1)), test("n", "<", &value(9))]);
    let root = format!("{}/documents", on.database);
    let found = on.run_with(&root, group(GROUP).of(ours.clone()), None).await.unwrap();
    assert_eq!(ids(&found), "2 3");
    let falling = group(GROUP).of(ours).down("n");
    let found = on.run_with(&root, falling, None).await.unwrap();
    assert_eq!(ids(&found), "3 2");
}

pub(super) async fn every_result_has_its_time(on: &Backend) {
    letters(on).await;
    let newest = micros(on.put("things/e", json!({"n": 5})).await);
    for reply in on.run(query("things")).await.unwrap() {
        assert!(micros(reply.read_time.unwrap()) >= newest);
    }
}

pub(super) async fn no_result_has_a_time_too(on: &Backend) {
    let replies = on.run(query("things")).await.unwrap();
    assert_eq!(replies.len(), 1);
    assert!(replies[0].document.is_none() && replies[0].read_time.is_some());
}

pub(super) async fn a_query_sees_every_write_before_it(on: &Backend) {
    for n in 0..5 {
        on.put(&format!("things/{n}"), json!({"n": n})).await;
        let found = on.ids(query("things").of(test("n", "==", &json!(n)))).await;
        assert_eq!(found, n.to_string());
    }
}

pub(super) async fn a_query_can_read_what_stood_before(on: &Backend) {
    letters(on).await;
    let then = on.run(query("things")).await.unwrap()[0].read_time.unwrap();
    on.write(on.delete("things/b")).await;
    on.put("things/e", json!({"n": 5})).await;
    on.put("things/a", json!({"n": 9})).await;
    let before = Some(ConsistencySelector::ReadTime(then));
    let replies = on.run_with(&on.home, query("things").up("n"), before).await.unwrap();
    assert_eq!(ids(&replies), "a b c d");
}

pub(super) async fn a_query_names_one_collection(on: &Backend) {
    let mut two = query("things");
    let other = CollectionSelector { collection_id: "others".into(), all_descendants: false };
    two.0.from.push(other);
    assert_eq!(refused(on.run(two).await), Code::InvalidArgument);
    for id in ["a/b", "__reserved__", ".", ".."] {
        assert_eq!(refused(on.run(query(id)).await), Code::InvalidArgument, "{id:?}");
    }
}

pub(super) async fn a_query_needs_the_name_of_a_parent(on: &Backend) {
    for parent in ["", "nonsense", &on.database, &on.name("things"), &format!("{}/", on.home)] {
        let outcome = on.run_with(parent, query("things"), None).await;
        assert_eq!(refused(outcome), Code::InvalidArgument, "{parent:?}");
    }
}

async fn letters(on: &Backend) {
    on.seed("things", json!({"a": {"n": 1}, "b": {"n": 2}, "c": {"n": 3}, "d": {"n": 4}})).await;
}
