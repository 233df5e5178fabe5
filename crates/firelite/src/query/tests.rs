use std::collections::HashMap;

use gcloud_sdk::google::firestore::v1::{
    Cursor, StructuredQuery, Value,
    structured_query::{
        CollectionSelector, CompositeFilter, Direction as WireDirection, FieldFilter,
        FieldReference, Filter as WireFilter, Order as WireOrder, composite_filter,
        field_filter::Operator, filter::FilterType,
    },
};

use super::*;
use crate::{
    indexes::{Indexes, Served},
    value::{reference, strategies::*},
};

const PARENT: &str = "projects/p/databases/(default)/documents";

#[test]
fn a_range_matches_only_values_of_the_same_type() {
    let query = parse(filtered(field("a", Operator::GreaterThan, int(1)))).unwrap();
    assert!(query.matches(&document("d", &[("a", int(2))])));
    assert!(query.matches(&document("d", &[("a", float(1.5))])));
    assert!(!query.matches(&document("d", &[("a", text("x"))])));
    assert!(!query.matches(&document("d", &[])));
}

#[test]
fn inequality_to_a_value_needs_a_value() {
    let query = parse(filtered(field("a", Operator::NotEqual, int(1)))).unwrap();
    assert!(query.matches(&document("d", &[("a", text("x"))])));
    assert!(!query.matches(&document("d", &[("a", float(1.0))])));
    assert!(!query.matches(&document("d", &[("a", crate::value::null())])));
    assert!(!query.matches(&document("d", &[])));
}

#[test]
fn ordering_by_a_field_needs_the_field() {
    let query = parse(StructuredQuery { order_by: vec![order("a", false)], ..all() }).unwrap();
    assert!(query.matches(&document("d", &[("a", crate::value::null())])));
    assert!(!query.matches(&document("d", &[("b", int(1))])));
}

#[test]
fn other_collections_do_not_match() {
    let query = parse(all()).unwrap();
    let mut other = document("d", &[]);
    other.name = format!("{PARENT}/other/d");
    assert!(!query.matches(&other));
    other.name = format!("{PARENT}/c/d/c/d");
    assert!(!query.matches(&other));
}

#[test]
fn inequalities_imply_the_order_of_their_fields_then_of_the_name() {
    let both = and(vec![
        field("b", Operator::LessThan, int(1)),
        field("a", Operator::NotEqual, int(1)),
        field("c", Operator::Equal, int(1)),
    ]);
    let query = StructuredQuery { order_by: vec![order("x", true)], ..filtered(both) };
    let paths: Vec<_> = parse(query)
        .unwrap()
        .order
        .iter()
        .map(|order| (order.path.to_string(), order.direction))
        .collect();
    let expected = ["x", "a", "b", "__name__"].map(|path| (path.into(), Direction::Descending));
    assert_eq!(paths, expected);
}

#[test]
fn cursors_cut_the_order_at_a_position() {
    let query = |before_start, before_end| {
        parse(StructuredQuery {
            order_by: vec![order("a", true)],
            start_at: Some(Cursor { values: vec![int(5)], before: before_start }),
            end_at: Some(Cursor { values: vec![int(2)], before: before_end }),
            ..all()
        })
        .unwrap()
    };
    let matching = |query: &Query| -> Vec<i64> {
        (0..8).filter(|a| query.matches(&document("d", &[("a", int(*a))]))).collect()
    };
    assert_eq!(matching(&query(true, false)), [2, 3, 4, 5]);
    assert_eq!(matching(&query(false, true)), [3, 4]);
}

#[test]
fn malformed_queries_are_refused_with_googles_texts() {
    let list = |n: i64| array((0..n).map(int).collect());
    let or = |n: i64| {
        composite(
            composite_filter::Operator::Or,
            (0..n).map(|i| field("a", Operator::Equal, int(i))).collect(),
        )
    };
    let two = |a, b| and(vec![field("a", a, list(1)), field("b", b, list(1))]);
    let cases = [
        (filtered(field("a", Operator::In, list(31))), "'IN' supports up to 30 comparison values."),
        (filtered(field("a", Operator::In, list(0))), "'IN' requires an non-empty ArrayValue."),
        (filtered(field("a", Operator::In, int(1))), "'IN' requires an ArrayValue."),
        (
            filtered(field("a", Operator::NotIn, list(11))),
            "'NOT_IN' supports up to 10 comparison values.",
        ),
        (
            filtered(or(31)),
            "Too many disjunctions after normalization. Result had 31 disjunctions which is more \
             than the maximum of 30",
        ),
        (
            filtered(two(Operator::ArrayContains, Operator::ArrayContains)),
            "A maximum of 1 'ARRAY_CONTAINS' filter is allowed per disjunction.",
        ),
        (
            filtered(two(Operator::NotEqual, Operator::NotIn)),
            "Only a single 'NOT_EQUAL', 'NOT_IN', 'IS_NOT_NAN', or 'IS_NOT_NULL' filter allowed \
             per query.",
        ),
        (StructuredQuery { limit: Some(-1), ..all() }, "limit is negative"),
        (StructuredQuery { offset: -1, ..all() }, "offset is negative"),
        (
            StructuredQuery { order_by: vec![order("a", true), order("a", false)], ..all() },
            "order by clause cannot contain duplicate fields a",
        ),
        (
            StructuredQuery {
                start_at: Some(Cursor { values: vec![int(1), int(2)], before: true }),
                ..all()
            },
            "Cursor has too many values.",
        ),
        (
            StructuredQuery {
                order_by: vec![order("__name__", false)],
                start_at: Some(Cursor { values: vec![text("d")], before: true }),
                ..all()
            },
            "Cursor __key__ value is not a document reference.",
        ),
        (
            filtered(field("__name__", Operator::Equal, text("d"))),
            "__key__ filter value must be a Key",
        ),
    ];
    for (query, message) in cases {
        assert_eq!(parse(query).unwrap_err().to_string(), message);
    }
}

#[test]
fn an_index_serves_exactly_its_shape() {
    let served = |query: StructuredQuery| plan(query, &["a ASC, t DESC", "live ASC"]).is_ok();
    let by_a = || field("a", Operator::Equal, int(1));
    let ordered = |by: Vec<WireOrder>, filter: Option<WireFilter>| StructuredQuery {
        order_by: by,
        r#where: filter,
        ..all()
    };
    assert!(served(all()));
    assert!(served(ordered(vec![order("__name__", false)], None)));
    assert!(served(filtered(field("live", Operator::Equal, boolean(true)))));
    assert!(served(ordered(vec![order("t", true)], Some(by_a()))));
    assert!(served(ordered(vec![order("live", false)], None)));
    assert!(served(filtered(field("live", Operator::In, array(vec![int(1), int(2)])))));

    // An entry exists only for documents that have every field of its index.
    assert!(!served(filtered(by_a())));
    assert!(!served(ordered(vec![order("t", false)], Some(by_a()))));
    assert!(!served(ordered(vec![order("t", true)], None)));
    assert!(!served(ordered(vec![order("live", true)], None)));
    assert!(!served(ordered(vec![order("__name__", true)], None)));
    assert!(!served(filtered(field("b", Operator::Equal, int(1)))));
    let other = StructuredQuery {
        from: vec![CollectionSelector { collection_id: "o".into(), all_descendants: false }],
        ..filtered(field("live", Operator::Equal, boolean(true)))
    };
    // Another collection has automatic indexes, which are not kept on disk.
    let indexes = super::tests::served(&indexes(&["live ASC"]));
    assert_eq!(super::plan(&parse(other).unwrap(), &indexes), Ok(Plan::Sort));
}

#[test]
fn a_refused_query_names_the_index_that_it_needs() {
    let query = StructuredQuery {
        order_by: vec![order("t", true)],
        ..filtered(and(vec![
            field("a", Operator::Equal, int(1)),
            field("tags", Operator::ArrayContains, text("x")),
        ]))
    };
    let refused = plan(query, &["a ASC"]).unwrap_err().to_string();
    assert_eq!(
        refused,
        "The query requires an index. The index file would have to list: \
         c (a ASCENDING, tags CONTAINS, t DESCENDING, __name__ DESCENDING)"
    );
}

#[test]
fn names_are_served_as_ranges_of_documents() {
    let key = |id: &str| reference(format!("{PARENT}/c/{id}"));
    let between = and(vec![
        field("__name__", Operator::GreaterThanOrEqual, key("b")),
        field("__name__", Operator::LessThan, key("d")),
    ]);
    let scans = plan(filtered(between), &[]).unwrap();
    let [Scan { source: Source::Documents, range }] = scans.as_slice() else {
        unreachable!("one walk over documents, not {scans:?}")
    };
    let inside = |id: &str| {
        let mut bytes = Vec::new();
        crate::value::document_id(&mut bytes, id);
        range.contains(&bytes)
    };
    assert!(inside("b") && inside("c") && inside("czz"));
    assert!(!inside("a") && !inside("d") && !inside("e"));
}

fn plan(query: StructuredQuery, definitions: &[&str]) -> Result<Vec<Scan>, QueryError> {
    match super::plan(&parse(query)?, &served(&indexes(definitions)))? {
        Plan::Walks(scans) => Ok(scans),
        Plan::Sort => unreachable!("the collection has no automatic indexes"),
    }
}

/// The indexes as an open file numbers them.
pub(crate) fn served(indexes: &Indexes) -> Served {
    let numbered = (1..).zip(indexes.iter().cloned()).collect();
    Served { indexes: numbered, rules: indexes.clone() }
}

fn indexes(definitions: &[&str]) -> Indexes {
    Indexes::parse(&indexes_json("c", definitions)).unwrap()
}

/// An index file from lines like `a ASC, t DESC, tags CONTAINS`; nothing else is indexed.
pub(crate) fn indexes_json(group: &str, definitions: &[&str]) -> String {
    let field = |field: &str| {
        let (path, kind) = field.trim().split_once(' ').unwrap();
        match kind {
            "ASC" => format!(r#"{{"fieldPath": "{path}", "order": "ASCENDING"}}"#),
            "DESC" => format!(r#"{{"fieldPath": "{path}", "order": "DESCENDING"}}"#),
            _contains => format!(r#"{{"fieldPath": "{path}", "arrayConfig": "CONTAINS"}}"#),
        }
    };
    let index = |definition: &&str| {
        let fields: Vec<_> = definition.split(',').map(field).collect();
        format!(
            r#"{{"collectionGroup": "{group}", "queryScope": "COLLECTION", "fields": [{}]}}"#,
            fields.join(", ")
        )
    };
    let indexes: Vec<_> = definitions.iter().map(index).collect();
    let exempt = format!(r#"{{"collectionGroup": "{group}", "fieldPath": "*", "indexes": []}}"#);
    format!(r#"{{"indexes": [{}], "fieldOverrides": [{exempt}]}}"#, indexes.join(", "))
}

pub(crate) fn parse(query: StructuredQuery) -> Result<Query, QueryError> {
    Query::parse(PARENT, query)
}

pub(crate) fn all() -> StructuredQuery {
    let from = vec![CollectionSelector { collection_id: "c".into(), all_descendants: false }];
    StructuredQuery { from, ..StructuredQuery::default() }
}

pub(crate) fn filtered(filter: WireFilter) -> StructuredQuery {
    StructuredQuery { r#where: Some(filter), ..all() }
}

pub(crate) fn field(path: &str, op: Operator, value: Value) -> WireFilter {
    let field = Some(FieldReference { field_path: path.into() });
    let filter = FieldFilter { field, op: op.into(), value: Some(value) };
    WireFilter { filter_type: Some(FilterType::FieldFilter(filter)) }
}

pub(crate) fn and(filters: Vec<WireFilter>) -> WireFilter {
    composite(composite_filter::Operator::And, filters)
}

pub(crate) fn composite(op: composite_filter::Operator, filters: Vec<WireFilter>) -> WireFilter {
    let filter = CompositeFilter { op: op.into(), filters };
    WireFilter { filter_type: Some(FilterType::CompositeFilter(filter)) }
}

pub(crate) fn order(path: &str, descending: bool) -> WireOrder {
    let direction = if descending { WireDirection::Descending } else { WireDirection::Ascending };
    WireOrder {
        field: Some(FieldReference { field_path: path.into() }),
        direction: direction.into(),
    }
}

pub(crate) fn document(id: &str, fields: &[(&str, Value)]) -> Document {
    let fields: HashMap<_, _> =
        fields.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
    Document { name: format!("{PARENT}/c/{id}"), fields, ..Document::default() }
}
