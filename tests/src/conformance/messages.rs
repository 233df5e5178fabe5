//! Short constructors of the messages that cases send.

use gcloud_sdk::google::firestore::v1::document_transform::FieldTransform;
use gcloud_sdk::google::firestore::v1::document_transform::field_transform::{
    ServerValue, TransformType,
};
use gcloud_sdk::google::firestore::v1::precondition::ConditionType;
use gcloud_sdk::google::firestore::v1::structured_query::filter::FilterType;
use gcloud_sdk::google::firestore::v1::structured_query::unary_filter::{self, OperandType};
use gcloud_sdk::google::firestore::v1::structured_query::{
    CollectionSelector, CompositeFilter, Direction, FieldFilter, FieldReference, Filter, Order,
    Projection, UnaryFilter, composite_filter, field_filter,
};
use gcloud_sdk::google::firestore::v1::{
    Cursor, DocumentMask, Precondition, StructuredQuery, Write,
};
use gcloud_sdk::prost_types::Timestamp;
use serde_json::Value as Json;

use super::values::{array, value};

pub(super) fn mask(paths: &[&str]) -> DocumentMask {
    DocumentMask { field_paths: paths.iter().map(|path| (*path).to_owned()).collect() }
}

/// The write, if the document exists or does not.
pub(super) fn if_exists(exists: bool, write: Write) -> Write {
    provided(ConditionType::Exists(exists), write)
}

/// The write, if the document was last updated at that time.
pub(super) fn if_updated_at(time: Timestamp, write: Write) -> Write {
    provided(ConditionType::UpdateTime(time), write)
}

pub(super) fn provided(condition: ConditionType, write: Write) -> Write {
    Write { current_document: Some(precondition(condition)), ..write }
}

pub(super) fn precondition(condition: ConditionType) -> Precondition {
    Precondition { condition_type: Some(condition) }
}

pub(super) fn field(path: &str) -> FieldReference {
    FieldReference { field_path: path.into() }
}

/// `increment`, `maximum`, `minimum`, `append` or `remove` with an operand, or the `time` of the request.
pub(super) fn transform(path: &str, kind: &str, operand: &Json) -> FieldTransform {
    let items = || array(operand.as_array().expect("a list of elements"));
    let transform_type = match kind {
        "time" => TransformType::SetToServerValue(ServerValue::RequestTime.into()),
        "increment" => TransformType::Increment(value(operand)),
        "maximum" => TransformType::Maximum(value(operand)),
        "minimum" => TransformType::Minimum(value(operand)),
        "append" => TransformType::AppendMissingElements(items()),
        "remove" => TransformType::RemoveAllFromArray(items()),
        _ => panic!("no transform is called {kind}"),
    };
    FieldTransform { field_path: path.into(), transform_type: Some(transform_type) }
}

/// One test of one field, in the operators of Google's client libraries.
pub(super) fn test(path: &str, operator: &str, operand: &Json) -> Filter {
    use field_filter::Operator;
    let op = match operator {
        "==" => Operator::Equal,
        "!=" => Operator::NotEqual,
        "<" => Operator::LessThan,
        "<=" => Operator::LessThanOrEqual,
        ">" => Operator::GreaterThan,
        ">=" => Operator::GreaterThanOrEqual,
        "in" => Operator::In,
        "not-in" => Operator::NotIn,
        "array-contains" => Operator::ArrayContains,
        "array-contains-any" => Operator::ArrayContainsAny,
        _ => panic!("no operator is called {operator}"),
    };
    let filter =
        FieldFilter { field: Some(field(path)), op: op.into(), value: Some(value(operand)) };
    Filter { filter_type: Some(FilterType::FieldFilter(filter)) }
}

/// A test that needs no operand.
pub(super) fn is(path: &str, op: unary_filter::Operator) -> Filter {
    let operand_type = Some(OperandType::Field(field(path)));
    let filter = UnaryFilter { op: op.into(), operand_type };
    Filter { filter_type: Some(FilterType::UnaryFilter(filter)) }
}

pub(super) fn all<const N: usize>(filters: [Filter; N]) -> Filter {
    every(filters.into())
}

pub(super) fn every(filters: Vec<Filter>) -> Filter {
    composite(composite_filter::Operator::And, filters)
}

pub(super) fn any<const N: usize>(filters: [Filter; N]) -> Filter {
    composite(composite_filter::Operator::Or, filters.into())
}

fn composite(op: composite_filter::Operator, filters: Vec<Filter>) -> Filter {
    let filter = CompositeFilter { op: op.into(), filters };
    Filter { filter_type: Some(FilterType::CompositeFilter(filter)) }
}

/// A query under construction.
#[derive(Clone)]
pub(super) struct Query(pub(super) StructuredQuery);

/// All documents of a collection.
pub(super) fn query(collection: &str) -> Query {
    selecting(CollectionSelector { collection_id: collection.into(), all_descendants: false })
}

/// All documents of all collections of that name, however deep.
pub(super) fn group(collection: &str) -> Query {
    selecting(CollectionSelector { collection_id: collection.into(), all_descendants: true })
}

fn selecting(selector: CollectionSelector) -> Query {
    Query(StructuredQuery { from: vec![selector], ..Default::default() })
}

impl Query {
    pub(super) fn of(mut self, filter: Filter) -> Self {
        self.0.r#where = Some(filter);
        self
    }

    pub(super) fn up(self, path: &str) -> Self {
        self.ordered(path, Direction::Ascending)
    }

    pub(super) fn down(self, path: &str) -> Self {
        self.ordered(path, Direction::Descending)
    }

    fn ordered(mut self, path: &str, direction: Direction) -> Self {
        self.0.order_by.push(Order { field: Some(field(path)), direction: direction.into() });
        self
    }

    pub(super) fn limit(mut self, limit: i32) -> Self {
        self.0.limit = Some(limit);
        self
    }

    pub(super) fn offset(mut self, offset: i32) -> Self {
        self.0.offset = offset;
        self
    }

    pub(super) fn select(mut self, paths: &[&str]) -> Self {
        let fields = paths.iter().map(|path| field(path)).collect();
        self.0.select = Some(Projection { fields });
        self
    }

    pub(super) fn start_at(mut self, values: &[Json]) -> Self {
        self.0.start_at = Some(cursor(values, true));
        self
    }

    pub(super) fn start_after(mut self, values: &[Json]) -> Self {
        self.0.start_at = Some(cursor(values, false));
        self
    }

    pub(super) fn end_at(mut self, values: &[Json]) -> Self {
        self.0.end_at = Some(cursor(values, false));
        self
    }

    pub(super) fn end_before(mut self, values: &[Json]) -> Self {
        self.0.end_at = Some(cursor(values, true));
        self
    }
}

fn cursor(values: &[Json], before: bool) -> Cursor {
    Cursor { values: values.iter().map(value).collect(), before }
}
