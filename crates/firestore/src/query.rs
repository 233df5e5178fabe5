//! The queries, as the index file serves them.

use gcloud_sdk::google::firestore::v1::structured_query::{
    CollectionSelector, CompositeFilter, Direction, FieldFilter, FieldReference, Filter, Order,
    composite_filter, field_filter, filter::FilterType,
};
use gcloud_sdk::google::firestore::v1::{Cursor, StructuredQuery, Value, value::ValueType};
use gcloud_sdk::prost_types::Timestamp;

use crate::names::{REQUESTS, RESOURCES};

/// What lists are ordered by, newest first.
pub(crate) const REQUESTED_AT: &str = "specView.requestedAt";

/// The earliest time that Firestore stores, 0001-01-01T00:00:00Z.
const EARLIEST: Timestamp = Timestamp { seconds: -62_135_596_800, nanos: 0 };

/// The whole live set.
pub(crate) fn live() -> StructuredQuery {
    let live = compare("live", field_filter::Operator::Equal, ValueType::BooleanValue(true));
    StructuredQuery { r#where: Some(live), ..all_of(REQUESTS) }
}

/// Every resource.
pub(crate) fn resources() -> StructuredQuery {
    all_of(RESOURCES)
}

/// Requests with this field (or all), newest first, behind `cursor`.
pub(crate) fn newest_first(
    field: Option<(&str, &str)>,
    cursor: Option<(Timestamp, String)>,
    limit: i32,
) -> StructuredQuery {
    // Only a time is listed: another type in its place would put a document before every cursor.
    let listed = compare(
        REQUESTED_AT,
        field_filter::Operator::GreaterThanOrEqual,
        ValueType::TimestampValue(EARLIEST),
    );
    let equal = field.map(|(path, value)| {
        compare(path, field_filter::Operator::Equal, ValueType::StringValue(value.to_owned()))
    });
    StructuredQuery {
        r#where: Some(match equal {
            Some(equal) => both(equal, listed),
            None => listed,
        }),
        order_by: vec![descending(REQUESTED_AT), descending("__name__")],
        start_at: cursor.map(|(at, name)| after(at, name)),
        limit: Some(limit),
        ..all_of(REQUESTS)
    }
}

fn all_of(collection: &str) -> StructuredQuery {
    let from = CollectionSelector { collection_id: collection.to_owned(), all_descendants: false };
    StructuredQuery { from: vec![from], ..Default::default() }
}

fn compare(path: &str, op: field_filter::Operator, value: ValueType) -> Filter {
    let filter = FieldFilter {
        field: Some(FieldReference { field_path: path.to_owned() }),
        op: op.into(),
        value: Some(Value { value_type: Some(value) }),
    };
    Filter { filter_type: Some(FilterType::FieldFilter(filter)) }
}

fn both(one: Filter, other: Filter) -> Filter {
    let filter =
        CompositeFilter { op: composite_filter::Operator::And.into(), filters: vec![one, other] };
    Filter { filter_type: Some(FilterType::CompositeFilter(filter)) }
}

fn descending(path: &str) -> Order {
    Order {
        field: Some(FieldReference { field_path: path.to_owned() }),
        direction: Direction::Descending.into(),
    }
}

fn after(at: Timestamp, name: String) -> Cursor {
    let values = [ValueType::TimestampValue(at), ValueType::ReferenceValue(name)];
    Cursor { values: values.map(|value| Value { value_type: Some(value) }).to_vec(), before: false }
}
