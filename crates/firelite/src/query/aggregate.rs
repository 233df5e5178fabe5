//! Aggregations: what is counted, added up and averaged over the results of a query.

use std::collections::{BTreeSet, HashMap};

use gcloud_sdk::google::firestore::v1::{
    Document, StructuredAggregationQuery, Value,
    structured_aggregation_query::{
        Aggregation as Wire, QueryType,
        aggregation::{Avg, Count, Operator, Sum},
    },
    structured_query::FieldReference,
    value::ValueType,
};

use super::{Query, QueryError};
use crate::{
    field_path::{FieldPath, check_name},
    limits::AGGREGATIONS_MAX,
    value::null,
};

/// A checked aggregation query.
///
/// A document that lacks the field of one of the aggregations counts for none of them. Source:
/// <https://firebase.google.com/docs/firestore/query-data/aggregation-queries#limitations>.
#[derive(Clone, Debug)]
pub(crate) struct Aggregation {
    pub(crate) query: Query,
    parts: Vec<(String, Part)>,
}

#[derive(Clone, Debug)]
enum Part {
    /// The number of results, up to a bound.
    Count(Option<i64>),
    Sum(FieldPath),
    Average(FieldPath),
}

/// What has been seen of the results so far.
pub(crate) struct Tally<'a> {
    parts: &'a [(String, Part)],
    documents: i64,
    totals: HashMap<&'a FieldPath, Total>,
}

/// The numbers of one field.
#[derive(Clone, Copy, Default)]
struct Total {
    /// Exact; no 2^63 documents are ever added up.
    integers: i128,
    doubles: Option<f64>,
    numbers: u32,
}

impl Aggregation {
    /// Checks everything except whether an index serves it.
    pub(crate) fn parse(
        parent: &str,
        request: StructuredAggregationQuery,
    ) -> Result<Self, QueryError> {
        let Some(QueryType::StructuredQuery(query)) = request.query_type else {
            return Err(QueryError::Argument("A query is missing."));
        };
        let mut query = Query::parse(parent, query)?;
        if request.aggregations.is_empty() {
            return Err(QueryError::NoAggregation);
        }
        if request.aggregations.len() > AGGREGATIONS_MAX {
            return Err(QueryError::TooManyAggregations);
        }
        let mut unnamed = 0_usize;
        let (mut parts, mut aliases) = (Vec::new(), BTreeSet::new());
        for Wire { mut alias, operator } in request.aggregations {
            if alias.is_empty() {
                unnamed = unnamed.saturating_add(1);
                alias = format!("field_{unnamed}");
            }
            check_name(&alias)?;
            if !aliases.insert(alias.clone()) {
                return Err(QueryError::DuplicateAlias(alias));
            }
            parts.push((alias, Part::parse(operator)?));
        }
        let present: BTreeSet<_> = parts.iter().filter_map(|(_, part)| part.path()).collect();
        query.present = present.into_iter().cloned().collect();
        Ok(Self { query, parts })
    }

    /// Begins to count.
    pub(crate) fn tally(&self) -> Tally<'_> {
        let paths = self.parts.iter().filter_map(|(_, part)| part.path());
        let totals = paths.map(|path| (path, Total::default())).collect();
        Tally { parts: &self.parts, documents: 0, totals }
    }
}

impl Part {
    fn parse(operator: Option<Operator>) -> Result<Self, QueryError> {
        match operator.ok_or(QueryError::NoAggregation)? {
            Operator::Count(Count { up_to }) => match up_to {
                Some(..1) => Err(QueryError::Argument("up_to must be greater than zero")),
                up_to => Ok(Self::Count(up_to)),
            },
            Operator::Sum(Sum { field }) => Ok(Self::Sum(parse_field(field)?)),
            Operator::Avg(Avg { field }) => Ok(Self::Average(parse_field(field)?)),
        }
    }

    fn path(&self) -> Option<&FieldPath> {
        match self {
            Self::Count(_) => None,
            Self::Sum(path) | Self::Average(path) => Some(path),
        }
    }
}

fn parse_field(field: Option<FieldReference>) -> Result<FieldPath, QueryError> {
    let field = field.ok_or(QueryError::Argument("an aggregation names no field"))?;
    let path = FieldPath::parse_for_query(&field.field_path)?;
    if path.is_name() { Err(QueryError::NotAggregated("__key__")) } else { Ok(path) }
}

impl Tally<'_> {
    /// Counts one result.
    pub(crate) fn add(&mut self, document: &Document) {
        self.documents = self.documents.saturating_add(1);
        for (path, total) in &mut self.totals {
            total.add(path.get(&document.fields));
        }
    }

    /// Whether further results would change nothing.
    pub(crate) fn is_complete(&self) -> bool {
        self.parts.iter().all(|(_, part)| match part {
            Part::Count(Some(up_to)) => self.documents >= *up_to,
            Part::Count(None) | Part::Sum(_) | Part::Average(_) => false,
        })
    }

    /// What came out, by alias.
    pub(crate) fn finish(&self) -> HashMap<String, Value> {
        self.parts.iter().map(|(alias, part)| (alias.clone(), self.value(part))).collect()
    }

    fn value(&self, part: &Part) -> Value {
        match part {
            Part::Count(up_to) => {
                let count = up_to.map_or(self.documents, |up_to| self.documents.min(up_to));
                Value { value_type: Some(ValueType::IntegerValue(count)) }
            }
            Part::Sum(path) => self.total(path).sum(),
            Part::Average(path) => self.total(path).average(),
        }
    }

    fn total(&self, path: &FieldPath) -> Total {
        self.totals.get(path).copied().unwrap_or_default()
    }
}

impl Total {
    /// Adds a value; what is not a number adds nothing.
    fn add(&mut self, value: Option<&Value>) {
        match value.and_then(|value| value.value_type.as_ref()) {
            Some(ValueType::IntegerValue(integer)) => {
                self.integers = self.integers.saturating_add(i128::from(*integer));
            }
            Some(ValueType::DoubleValue(double)) => {
                self.doubles = Some(self.doubles.unwrap_or(0.0) + double);
            }
            _not_a_number => return,
        }
        self.numbers = self.numbers.saturating_add(1);
    }

    /// An integer if every number was one and the sum is one; else a double.
    fn sum(self) -> Value {
        let integer = i64::try_from(self.integers).ok().filter(|_| self.doubles.is_none());
        let value_type = match integer {
            Some(integer) => ValueType::IntegerValue(integer),
            None => ValueType::DoubleValue(self.double()),
        };
        Value { value_type: Some(value_type) }
    }

    /// Null if there was no number.
    fn average(self) -> Value {
        if self.numbers == 0 {
            return null();
        }
        let average = self.double() / f64::from(self.numbers);
        Value { value_type: Some(ValueType::DoubleValue(average)) }
    }

    #[expect(clippy::cast_precision_loss, reason = "as Firestore adds integers to doubles")]
    fn double(self) -> f64 {
        self.integers as f64 + self.doubles.unwrap_or(0.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value::strategies::*;

    #[test]
    fn sums_stay_integers_until_they_do_not_fit() {
        assert_eq!(total(&[int(1), text("x"), int(2)]).sum(), int(3));
        assert_eq!(total(&[int(1), float(0.5)]).sum(), float(1.5));
        assert_eq!(total(&[int(1), float(1.0)]).sum(), float(2.0));
        assert_eq!(total(&[int(i64::MAX), int(1)]).sum(), float(9_223_372_036_854_775_808.0));
        assert_eq!(total(&[int(i64::MAX), int(1), int(-1)]).sum(), int(i64::MAX));
        assert_eq!(total(&[]).sum(), int(0));
        assert_eq!(total(&[float(f64::INFINITY), int(1)]).sum(), float(f64::INFINITY));
    }

    #[test]
    fn averages_are_doubles_and_null_without_numbers() {
        assert_eq!(total(&[int(1), int(2), null()]).average(), float(1.5));
        assert_eq!(total(&[text("x")]).average(), null());
        let not_a_number = total(&[int(1), float(f64::NAN)]).average();
        assert!(crate::value::is_nan(&not_a_number));
    }

    fn total(values: &[Value]) -> Total {
        let mut total = Total::default();
        for value in values {
            total.add(Some(value));
        }
        total
    }
}
