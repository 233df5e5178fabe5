//! Filters: what they match, and their disjunctive normal form.

use std::cmp::Ordering;

use gcloud_sdk::google::firestore::v1::{Document, Value, value::ValueType};

use super::QueryError;
use crate::{
    field_path::FieldPath,
    limits::DISJUNCTIONS_MAX,
    value::{self, Class, class, compare, is_nan},
};

/// A tree of tests.
#[derive(Clone, Debug)]
pub(crate) enum Filter {
    /// All of them; of none, everything.
    And(Vec<Filter>),
    /// At least one of them.
    Or(Vec<Filter>),
    /// One field.
    Field(FieldTest),
}

/// One test of one field.
#[derive(Clone, Debug)]
pub(crate) struct FieldTest {
    pub(super) path: FieldPath,
    pub(super) test: Test,
}

/// What a field's value must be. A missing field passes none of them.
#[derive(Clone, Debug)]
pub(super) enum Test {
    Equal(Value),
    /// On this side of a value of the same class; NaN is on no side of anything.
    Beside {
        side: Ordering,
        or_equal: bool,
        value: Value,
    },
    /// Neither null nor equal.
    NotEqual(Value),
    /// Neither null nor equal to one of them; nothing passes if one of them is null.
    NotIn(Vec<Value>),
    In(Vec<Value>),
    /// An array with this element.
    Contains(Value),
    /// An array with one of these elements.
    ContainsAny(Vec<Value>),
}

impl Filter {
    /// Whether the document passes.
    pub(super) fn matches(&self, document: &Document) -> bool {
        match self {
            Self::And(filters) => filters.iter().all(|filter| filter.matches(document)),
            Self::Or(filters) => filters.iter().any(|filter| filter.matches(document)),
            Self::Field(field) => field.matches(document),
        }
    }

    /// All tests of the tree.
    pub(super) fn tests(&self) -> Vec<&FieldTest> {
        match self {
            Self::And(filters) | Self::Or(filters) => {
                filters.iter().flat_map(Self::tests).collect()
            }
            Self::Field(field) => vec![field],
        }
    }

    /// Whether there are alternatives: `OR`, `IN` or `ARRAY_CONTAINS_ANY`.
    pub(super) fn has_alternatives(&self) -> bool {
        match self {
            Self::And(filters) => filters.iter().any(Self::has_alternatives),
            Self::Or(_) => true,
            Self::Field(field) => matches!(field.test, Test::In(_) | Test::ContainsAny(_)),
        }
    }

    /// How many conjunctions the normal form has.
    pub(super) fn disjunctions(&self) -> usize {
        match self {
            Self::And(filters) => {
                filters.iter().map(Self::disjunctions).fold(1, usize::saturating_mul)
            }
            Self::Or(filters) => {
                filters.iter().map(Self::disjunctions).fold(0, usize::saturating_add)
            }
            Self::Field(field) => match &field.test {
                Test::In(values) | Test::ContainsAny(values) => values.len(),
                Test::Equal(_)
                | Test::Beside { .. }
                | Test::NotEqual(_)
                | Test::NotIn(_)
                | Test::Contains(_) => 1,
            },
        }
    }

    /// The disjunctive normal form: a document passes when it passes all tests of one
    /// conjunction. `IN` and `ARRAY_CONTAINS_ANY` are taken apart.
    pub(super) fn conjunctions(&self) -> Result<Vec<Vec<FieldTest>>, QueryError> {
        let count = self.disjunctions();
        if count > DISJUNCTIONS_MAX {
            return Err(QueryError::TooManyDisjunctions(count));
        }
        Ok(self.normal_form())
    }

    fn normal_form(&self) -> Vec<Vec<FieldTest>> {
        match self {
            Self::And(filters) => filters.iter().fold(vec![Vec::new()], |all, filter| {
                let other = filter.normal_form();
                all.iter()
                    .flat_map(|left| {
                        other.iter().map(move |right| [left.as_slice(), right].concat())
                    })
                    .collect()
            }),
            Self::Or(filters) => filters.iter().flat_map(Self::normal_form).collect(),
            Self::Field(field) => field.alternatives().into_iter().map(|test| vec![test]).collect(),
        }
    }
}

impl FieldTest {
    /// Whether the document passes.
    pub(super) fn matches(&self, document: &Document) -> bool {
        if self.path.is_name() {
            return self.test.passes(&value::reference(&document.name));
        }
        self.path.get(&document.fields).is_some_and(|value| self.test.passes(value))
    }

    /// Whether the test is an inequality, by whose field results are ordered.
    pub(super) fn is_inequality(&self) -> bool {
        match &self.test {
            Test::Beside { .. } | Test::NotEqual(_) | Test::NotIn(_) => true,
            Test::Equal(_) | Test::In(_) | Test::Contains(_) | Test::ContainsAny(_) => false,
        }
    }

    /// Whether the test is one of those of which a query has at most one.
    pub(super) fn is_negation(&self) -> bool {
        matches!(self.test, Test::NotEqual(_) | Test::NotIn(_))
    }

    fn alternatives(&self) -> Vec<Self> {
        let each = |values: &[Value], test: fn(Value) -> Test| {
            let alternative =
                |value: &Value| Self { path: self.path.clone(), test: test(value.clone()) };
            values.iter().map(alternative).collect()
        };
        match &self.test {
            Test::In(values) => each(values, Test::Equal),
            Test::ContainsAny(values) => each(values, Test::Contains),
            Test::Equal(_)
            | Test::Beside { .. }
            | Test::NotEqual(_)
            | Test::NotIn(_)
            | Test::Contains(_) => vec![self.clone()],
        }
    }
}

impl Test {
    fn passes(&self, stored: &Value) -> bool {
        let equals = |value: &Value| compare(stored, value).is_eq();
        let is_null = class(stored) == Class::Null;
        match self {
            Self::Equal(value) => equals(value),
            Self::Beside { side, or_equal, value } => {
                class(stored) == class(value) && !is_nan(stored) && !is_nan(value) && {
                    let order = compare(stored, value);
                    order == *side || (*or_equal && order.is_eq())
                }
            }
            Self::NotEqual(value) => !is_null && !equals(value),
            Self::NotIn(values) => {
                let any_null = values.iter().any(|value| class(value) == Class::Null);
                !is_null && !any_null && !values.iter().any(equals)
            }
            Self::In(values) => values.iter().any(equals),
            Self::Contains(value) => contains(stored, value),
            Self::ContainsAny(values) => values.iter().any(|value| contains(stored, value)),
        }
    }

    /// The values that the test compares with.
    pub(super) fn values(&self) -> &[Value] {
        match self {
            Self::Equal(value)
            | Self::Beside { value, .. }
            | Self::NotEqual(value)
            | Self::Contains(value) => std::slice::from_ref(value),
            Self::NotIn(values) | Self::In(values) | Self::ContainsAny(values) => values,
        }
    }
}

fn contains(stored: &Value, element: &Value) -> bool {
    match &stored.value_type {
        Some(ValueType::ArrayValue(array)) => {
            array.values.iter().any(|value| compare(value, element).is_eq())
        }
        _not_an_array => false,
    }
}
