//! Structured queries: what they ask for, which documents they match, and in which order.

mod aggregate;
mod filter;
mod parse;
mod plan;
mod scope;

use gcloud_sdk::google::firestore::v1::{Document, Value, value::ValueType};

pub(crate) use aggregate::Aggregation;
pub(crate) use filter::Filter;
pub(crate) use plan::{KeyRange, Plan, Scan, Source, plan};
pub(crate) use scope::Scope;

use crate::{
    field_path::{FieldPath, FieldPathError},
    indexes::Direction,
    limits::{
        AGGREGATIONS_MAX, DISJUNCTIONS_MAX, FILTERS_MAX, INEQUALITY_FIELDS_MAX, NOT_IN_VALUES_MAX,
    },
    name::NameError,
    value,
};

/// Why a query is refused; the texts follow Google's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum QueryError {
    /// The parent or a reference.
    #[error(transparent)]
    Name(#[from] NameError),
    /// A field path.
    #[error(transparent)]
    Path(#[from] FieldPathError),
    /// A feature of queries that this server does not have.
    #[error("{0} is not served by firelite.")]
    Unserved(&'static str),
    /// Something is missing or out of range.
    #[error("{0}")]
    Argument(&'static str),
    /// A list operator without a list.
    #[error("'{0}' requires an ArrayValue.")]
    NotAList(&'static str),
    /// A list operator with an empty list.
    #[error("'{0}' requires an non-empty ArrayValue.")]
    EmptyList(&'static str),
    /// A list operator with a long list.
    #[error("'{operator}' supports up to {limit} comparison values.")]
    LongList { operator: &'static str, limit: usize },
    /// The disjunctive normal form is too large.
    #[error(
        "Too many disjunctions after normalization. Result had {0} disjunctions which is more \
         than the maximum of {DISJUNCTIONS_MAX}"
    )]
    TooManyDisjunctions(usize),
    /// Too many filters and orders.
    #[error("A query has more than {FILTERS_MAX} filters and orders.")]
    TooManyFilters,
    /// Ranges of too many fields.
    #[error(
        "The query contains {0} distinct inequality fields. A query may not have more than \
         {INEQUALITY_FIELDS_MAX} distinct inequality fields."
    )]
    TooManyInequalities(usize),
    /// More than one array filter in a conjunction.
    #[error("A maximum of 1 'ARRAY_CONTAINS' filter is allowed per disjunction.")]
    SeveralContains,
    /// More than one negative filter.
    #[error(
        "Only a single 'NOT_EQUAL', 'NOT_IN', 'IS_NOT_NAN', or 'IS_NOT_NULL' filter allowed per \
         query."
    )]
    SeveralNegations,
    /// `NOT_IN` beside a disjunction.
    #[error("'NOT_IN' cannot be used in the same query with 'IN', 'ARRAY_CONTAINS_ANY' or 'OR'.")]
    NotInWithAlternatives,
    /// A comparison with a value that is none.
    #[error("Cannot convert firestore.v1.Value with type unset.")]
    NoType,
    /// A field twice in the order.
    #[error("order by clause cannot contain duplicate fields {0}")]
    DuplicateOrder(FieldPath),
    /// A field behind the name, which decides everything.
    #[error("order by clause cannot contain more fields after the key")]
    OrderAfterName,
    /// An order as text that is not one.
    #[error("Invalid order by clause \"{0}\".")]
    OrderText(String),
    /// No aggregation, or one without operator.
    #[error("Aggregations can not be empty.")]
    NoAggregation,
    /// Too many aggregations.
    #[error("A maximum of {AGGREGATIONS_MAX} aggregations is allowed per query.")]
    TooManyAggregations,
    /// Two aggregations under one name.
    #[error("Aggregation aliases contain duplicate alias: {0}.")]
    DuplicateAlias(String),
    /// An aggregation of something that has no value.
    #[error("Aggregations are not supported for the property: {0}")]
    NotAggregated(&'static str),
    /// A filter on `__name__` with something that is not a document of the collection.
    #[error("__key__ filter value must be a Key")]
    NotAKey,
    /// A search for elements of the name.
    #[error("the name __key__ is reserved")]
    ElementOfName,
    /// One name, among results that are ordered by another field.
    #[error(
        "Equality on key is not allowed if there are other inequality fields and key does not \
         appear in inequalities."
    )]
    NameBesideInequality,
    /// A cursor on `__name__` with something that is not a document of the collection.
    #[error("Cursor __key__ value is not a document reference.")]
    CursorNotAKey,
    /// A cursor longer than the order.
    #[error("Cursor has too many values.")]
    LongCursor,
    /// The index file does not serve the query.
    #[error("The query requires an index. The index file would have to list: {0}")]
    NeedsIndex(String),
}

const _: () = assert!(NOT_IN_VALUES_MAX <= DISJUNCTIONS_MAX);

/// A checked query.
#[derive(Clone, Debug)]
pub(crate) struct Query {
    pub(crate) scope: Scope,
    filter: Filter,
    /// The full order: explicit, implied by inequalities, then the name.
    order: Vec<Order>,
    /// Where cursors begin and end, as bounds of sort keys.
    window: KeyRange,
    pub(crate) offset: usize,
    pub(crate) limit: Option<usize>,
    /// The fields to return; `None` for all.
    pub(crate) projection: Option<Vec<FieldPath>>,
    /// Fields without which a document is no result: those of aggregations.
    present: Vec<FieldPath>,
}

/// One part of an order.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Order {
    path: FieldPath,
    direction: Direction,
}

impl Query {
    /// The documents of a scope in the order of a text such as `a desc, b`, from the one with the
    /// sort key `start` on.
    pub(crate) fn list(
        scope: Scope,
        order_by: &str,
        start: Vec<u8>,
        limit: usize,
    ) -> Result<Self, QueryError> {
        Ok(Self {
            scope,
            filter: Filter::And(Vec::new()),
            order: parse::order_text(order_by)?,
            window: KeyRange { start, end: None },
            offset: 0,
            limit: Some(limit),
            projection: None,
            present: Vec::new(),
        })
    }

    /// Where a document stands in the order, as bytes; `None` when it lacks a field of the order
    /// and so is no result.
    pub(crate) fn sort_key(&self, document: &Document) -> Option<Vec<u8>> {
        let mut key = Vec::new();
        for Order { path, direction } in &self.order {
            let start = key.len();
            if path.is_name() {
                self.scope.name_key(&mut key, &document.name);
            } else {
                value::encode(&mut key, path.get(&document.fields)?);
            }
            if *direction == Direction::Descending {
                value::invert(&mut key, start);
            }
        }
        Some(key)
    }

    /// Whether a document is a result, not counting offset and limit.
    pub(crate) fn matches(&self, document: &Document) -> bool {
        self.result_key(document).is_some()
    }

    /// The sort key of a document that is a result.
    pub(crate) fn result_key(&self, document: &Document) -> Option<Vec<u8>> {
        let is_there = |path: &FieldPath| path.get(&document.fields).is_some();
        if !self.scope.contains(&document.name)
            || !self.filter.matches(document)
            || !self.present.iter().all(is_there)
        {
            return None;
        }
        self.sort_key(document).filter(|key| self.window.contains(key))
    }

    /// Whether a document alone decides whether it is a result.
    pub(crate) fn is_pointwise(&self) -> bool {
        self.limit.is_none() && self.offset == 0
    }

    /// The bytes by which a value is found at a path of the order or of a filter.
    fn key_of(&self, path: &FieldPath, value: &Value) -> Vec<u8> {
        key_of(&self.scope, path, value)
    }
}

/// The bytes by which a value is found at a path of an order or a filter: the name's key for
/// `__name__`.
fn key_of(scope: &Scope, path: &FieldPath, value: &Value) -> Vec<u8> {
    let mut key = Vec::new();
    match &value.value_type {
        Some(ValueType::ReferenceValue(name)) if path.is_name() => scope.name_key(&mut key, name),
        _plain_value => value::encode(&mut key, value),
    }
    key
}

#[cfg(test)]
pub(crate) mod tests;
