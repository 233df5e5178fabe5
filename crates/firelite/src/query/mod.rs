//! Structured queries: what they ask for, which documents they match, and in which order.

mod filter;
mod parse;
mod plan;

use gcloud_sdk::google::firestore::v1::Document;

pub(crate) use filter::Filter;
pub(crate) use plan::{KeyRange, Scan, Source, scans};

use crate::{
    field_path::{FieldPath, FieldPathError},
    indexes::Direction,
    limits::{DISJUNCTIONS_MAX, FILTERS_MAX, NOT_IN_VALUES_MAX},
    name::{CollectionPath, DocumentName, NameError},
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
    /// Too many filters, orders or cursor values.
    #[error("A query has more than {FILTERS_MAX} filters.")]
    TooManyFilters,
    /// More than one array filter in a conjunction.
    #[error("A maximum of 1 'ARRAY_CONTAINS' filter is allowed per disjunction.")]
    SeveralContains,
    /// More than one negative filter.
    #[error(
        "Only a single 'NOT_EQUAL', 'NOT_IN', 'IS_NOT_NAN', or 'IS_NOT_NULL' filter allowed per \
         query."
    )]
    SeveralNegations,
    /// A field twice in the order.
    #[error("order by clause cannot contain duplicate fields {0}")]
    DuplicateOrder(FieldPath),
    /// A filter on `__name__` with something that is not a document of the collection.
    #[error("__key__ filter value must be a Key")]
    NotAKey,
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

/// A checked query over one collection.
#[derive(Clone, Debug)]
pub(crate) struct Query {
    pub(crate) collection: CollectionPath,
    filter: Filter,
    /// The full order: explicit, implied by inequalities, then the name.
    order: Vec<Order>,
    /// Where cursors begin and end, as bounds of sort keys.
    window: KeyRange,
    pub(crate) offset: usize,
    pub(crate) limit: Option<usize>,
    /// The fields to return; `None` for all.
    pub(crate) projection: Option<Vec<FieldPath>>,
}

/// One part of an order.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Order {
    path: FieldPath,
    direction: Direction,
}

impl Query {
    /// The first documents of a collection by name, from the one with the id bytes `start` on.
    pub(crate) fn whole(collection: CollectionPath, start: Vec<u8>, limit: usize) -> Self {
        Self {
            collection,
            filter: Filter::And(Vec::new()),
            order: vec![Order { path: FieldPath::name(), direction: Direction::Ascending }],
            window: KeyRange { start, end: None },
            offset: 0,
            limit: Some(limit),
            projection: None,
        }
    }

    /// Where a document stands in the order, as bytes; `None` when it lacks a field of the order
    /// and so is no result.
    fn sort_key(&self, document: &Document) -> Option<Vec<u8>> {
        let mut key = Vec::new();
        for Order { path, direction } in &self.order {
            let start = key.len();
            if path.is_name() {
                value::document_id(&mut key, id_of(document));
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
        if !self.is_of_collection(&document.name) || !self.filter.matches(document) {
            return None;
        }
        self.sort_key(document).filter(|key| self.window.contains(key))
    }

    /// Whether the name is of this query's collection.
    pub(crate) fn is_of_collection(&self, name: &str) -> bool {
        name.rsplit_once('/').is_some_and(|(parent, _)| parent == self.collection.as_str())
    }

    /// Whether a document alone decides whether it is a result.
    pub(crate) fn is_pointwise(&self) -> bool {
        self.limit.is_none() && self.offset == 0
    }
}

fn id_of(document: &Document) -> &str {
    document.name.rsplit('/').next().unwrap_or_default()
}

/// The bytes by which a value is found at a path of an order or a filter: the id for `__name__`.
fn key_of(path: &FieldPath, value: &gcloud_sdk::google::firestore::v1::Value) -> Vec<u8> {
    use gcloud_sdk::google::firestore::v1::value::ValueType;
    let mut key = Vec::new();
    match &value.value_type {
        Some(ValueType::ReferenceValue(name)) if path.is_name() => {
            value::document_id(&mut key, name.rsplit('/').next().unwrap_or_default());
        }
        _plain_value => value::encode(&mut key, value),
    }
    key
}

/// Whether a value is a reference to a document of the collection.
fn is_key_of(
    collection: &CollectionPath,
    value: &gcloud_sdk::google::firestore::v1::Value,
) -> bool {
    use gcloud_sdk::google::firestore::v1::value::ValueType;
    match &value.value_type {
        Some(ValueType::ReferenceValue(name)) => {
            DocumentName::parse(name).is_ok_and(|name| name.collection() == *collection)
        }
        _not_a_reference => false,
    }
}

#[cfg(test)]
pub(crate) mod tests;
