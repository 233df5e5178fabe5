//! From `StructuredQuery` to [`Query`].

use std::{cmp::Ordering, collections::BTreeSet};

use gcloud_sdk::google::firestore::v1::{
    Cursor, StructuredQuery, Value,
    structured_query::{
        self as wire, CompositeFilter, FieldFilter, FieldReference, UnaryFilter, composite_filter,
        field_filter,
        filter::FilterType,
        unary_filter::{self, OperandType},
    },
    value::ValueType,
};

use super::{
    Filter, KeyRange, Order, Query, QueryError, Scope,
    filter::{FieldTest, Test},
    key_of,
};
use crate::{
    field_path::FieldPath,
    indexes::Direction,
    limits::{DISJUNCTIONS_MAX, FILTERS_MAX, INEQUALITY_FIELDS_MAX, NOT_IN_VALUES_MAX},
    value::{invert, null, prefix_end},
};

impl Query {
    /// Checks everything about a query except whether an index serves it.
    pub(crate) fn parse(parent: &str, query: StructuredQuery) -> Result<Self, QueryError> {
        if query.find_nearest.is_some() {
            return Err(QueryError::Unserved("A vector search"));
        }
        let scope = Scope::parse(parent, &query.from)?;
        let filter = query.r#where.map_or(Ok(Filter::And(Vec::new())), parse_filter)?;
        let parts = filter.tests().len().saturating_add(query.order_by.len());
        if parts.saturating_add(scope.is_below_a_document().into()) > FILTERS_MAX {
            return Err(QueryError::TooManyFilters);
        }
        check_filter(&filter, &scope)?;
        let (explicit, order) = parse_order(query.order_by, &filter)?;
        let named = order.get(..explicit).unwrap_or_default();
        let window = parse_window(&scope, named, query.start_at, query.end_at)?;
        let projection = query.select.as_ref().map(parse_projection).transpose()?.flatten();
        let count = |count: i32, negative| {
            usize::try_from(count).map_err(|_negative| QueryError::Argument(negative))
        };
        Ok(Self {
            scope,
            filter,
            order,
            window,
            offset: count(query.offset, "offset is negative")?,
            limit: query.limit.map(|limit| count(limit, "limit is negative")).transpose()?,
            projection,
            present: Vec::new(),
        })
    }
}

fn parse_filter(filter: wire::Filter) -> Result<Filter, QueryError> {
    match filter.filter_type.ok_or(QueryError::Argument("a filter is empty"))? {
        FilterType::CompositeFilter(composite) => parse_composite(composite),
        FilterType::FieldFilter(field) => Ok(Filter::Field(parse_field(field)?)),
        FilterType::UnaryFilter(unary) => Ok(Filter::Field(parse_unary(&unary)?)),
    }
}

fn parse_composite(composite: CompositeFilter) -> Result<Filter, QueryError> {
    use composite_filter::Operator;
    let operator = composite.op();
    if composite.filters.is_empty() {
        return Err(QueryError::Argument("a composite filter is empty"));
    }
    let filters = composite.filters.into_iter().map(parse_filter).collect::<Result<_, _>>()?;
    match operator {
        Operator::And => Ok(Filter::And(filters)),
        Operator::Or => Ok(Filter::Or(filters)),
        Operator::Unspecified => Err(QueryError::Argument("a composite filter has no operator")),
    }
}

fn parse_field(filter: FieldFilter) -> Result<FieldTest, QueryError> {
    use field_filter::Operator;
    let path = parse_reference(filter.field.as_ref())?;
    let operator = filter.op();
    let value = filter.value.ok_or(QueryError::Argument("a field filter has no value"))?;
    let beside = |side, or_equal, value| Test::Beside { side, or_equal, value };
    let test = match operator {
        Operator::LessThan => beside(Ordering::Less, false, value),
        Operator::LessThanOrEqual => beside(Ordering::Less, true, value),
        Operator::GreaterThan => beside(Ordering::Greater, false, value),
        Operator::GreaterThanOrEqual => beside(Ordering::Greater, true, value),
        Operator::Equal => Test::Equal(value),
        Operator::NotEqual => Test::NotEqual(value),
        Operator::ArrayContains => Test::Contains(value),
        Operator::In => Test::In(list(value, "IN", DISJUNCTIONS_MAX)?),
        Operator::ArrayContainsAny => {
            Test::ContainsAny(list(value, "ARRAY_CONTAINS_ANY", DISJUNCTIONS_MAX)?)
        }
        Operator::NotIn => Test::NotIn(list(value, "NOT_IN", NOT_IN_VALUES_MAX)?),
        Operator::Unspecified => {
            return Err(QueryError::Argument("a field filter has no operator"));
        }
    };
    Ok(FieldTest { path, test })
}

fn parse_unary(filter: &UnaryFilter) -> Result<FieldTest, QueryError> {
    use unary_filter::Operator;
    let field = filter.operand_type.as_ref().map(|OperandType::Field(field)| field);
    let path = parse_reference(field)?;
    let nan = || Value { value_type: Some(ValueType::DoubleValue(f64::NAN)) };
    let test = match filter.op() {
        Operator::IsNan => Test::Equal(nan()),
        Operator::IsNull => Test::Equal(null()),
        Operator::IsNotNan => Test::NotEqual(nan()),
        Operator::IsNotNull => Test::NotEqual(null()),
        Operator::Unspecified => {
            return Err(QueryError::Argument("a unary filter has no operator"));
        }
    };
    Ok(FieldTest { path, test })
}

fn parse_reference(field: Option<&FieldReference>) -> Result<FieldPath, QueryError> {
    let field = field.ok_or(QueryError::Argument("a filter or an order names no field"))?;
    Ok(FieldPath::parse_for_query(&field.field_path)?)
}

fn list(value: Value, operator: &'static str, limit: usize) -> Result<Vec<Value>, QueryError> {
    let Some(ValueType::ArrayValue(array)) = value.value_type else {
        return Err(QueryError::NotAList(operator));
    };
    match array.values.len() {
        0 => Err(QueryError::EmptyList(operator)),
        long if long > limit => Err(QueryError::LongList { operator, limit }),
        _within => Ok(array.values),
    }
}

fn check_filter(filter: &Filter, scope: &Scope) -> Result<(), QueryError> {
    let tests = filter.tests();
    let unequal = tests.iter().filter(|test| test.is_inequality());
    let n_fields = unequal.map(|test| &test.path).collect::<BTreeSet<_>>().len();
    if n_fields > INEQUALITY_FIELDS_MAX {
        return Err(QueryError::TooManyInequalities(n_fields));
    }
    if tests.iter().filter(|test| test.is_negation()).count() > 1 {
        return Err(QueryError::SeveralNegations);
    }
    let excludes = |test: &&FieldTest| matches!(test.test, Test::NotIn(_));
    if tests.iter().any(excludes) && filter.has_alternatives() {
        return Err(QueryError::NotInWithAlternatives);
    }
    let has_no_type = |value: &Value| value.value_type.is_none();
    if tests.iter().any(|test| test.test.values().iter().any(has_no_type)) {
        return Err(QueryError::NoType);
    }
    let mut names = tests.iter().filter(|test| test.path.is_name());
    if names.any(|test| !test.test.values().iter().all(|value| scope.is_key(value))) {
        return Err(QueryError::NotAKey);
    }
    check_names(&tests)?;
    let contains = |test: &&FieldTest| matches!(test.test, Test::Contains(_));
    let several = |conjunction: &Vec<FieldTest>| conjunction.iter().filter(contains).count() > 1;
    if filter.conjunctions()?.iter().any(several) {
        return Err(QueryError::SeveralContains);
    }
    Ok(())
}

/// What cannot be asked of `__name__`.
fn check_names(tests: &[&FieldTest]) -> Result<(), QueryError> {
    let of_name = |test: &&&FieldTest| test.path.is_name();
    let is_element =
        |test: &&FieldTest| matches!(test.test, Test::Contains(_) | Test::ContainsAny(_));
    let is_equal = |test: &&FieldTest| matches!(test.test, Test::Equal(_) | Test::In(_));
    let is_unequal = |test: &&FieldTest| test.is_inequality();
    if tests.iter().filter(of_name).any(is_element) {
        return Err(QueryError::ElementOfName);
    }
    if tests.iter().any(is_unequal)
        && tests.iter().filter(of_name).any(is_equal)
        && !tests.iter().filter(of_name).any(is_unequal)
    {
        return Err(QueryError::NameBesideInequality);
    }
    Ok(())
}

/// How many fields the explicit order has, and the whole order: the explicit one, then the fields
/// of inequalities by path, then the name; what is implied goes in the direction of what is before
/// it. Source:
/// <https://cloud.google.com/firestore/docs/query-data/multiple-range-fields>.
fn parse_order(
    explicit: Vec<wire::Order>,
    filter: &Filter,
) -> Result<(usize, Vec<Order>), QueryError> {
    let mut order: Vec<Order> = Vec::new();
    for part in explicit {
        let path = parse_reference(part.field.as_ref())?;
        check_next(&order, &path)?;
        let direction = match part.direction() {
            wire::Direction::Descending => Direction::Descending,
            wire::Direction::Ascending | wire::Direction::Unspecified => Direction::Ascending,
        };
        order.push(Order { path, direction });
    }
    let unequal = filter.tests().into_iter().filter(|test| test.is_inequality());
    let unequal: BTreeSet<_> = unequal.map(|test| test.path.clone()).collect();
    Ok((order.len(), completed(order, unequal.into_iter().filter(|path| !path.is_name()))))
}

/// Whether an order can go on with this field.
fn check_next(order: &[Order], path: &FieldPath) -> Result<(), QueryError> {
    if order.iter().any(|earlier| earlier.path == *path) {
        return Err(QueryError::DuplicateOrder(path.clone()));
    }
    if order.iter().any(|earlier| earlier.path.is_name()) {
        return Err(QueryError::OrderAfterName);
    }
    Ok(())
}

/// The order with what is implied: these fields, then the name.
fn completed(mut order: Vec<Order>, fields: impl Iterator<Item = FieldPath>) -> Vec<Order> {
    let direction = order.last().map_or(Direction::Ascending, |last| last.direction);
    for path in fields.chain([FieldPath::name()]) {
        if !order.iter().any(|earlier| earlier.path == path) {
            order.push(Order { path, direction });
        }
    }
    order
}

/// The order that `ListDocuments` takes as text: `a desc, b.c, __name__ asc`.
pub(super) fn order_text(text: &str) -> Result<Vec<Order>, QueryError> {
    let mut order: Vec<Order> = Vec::new();
    for part in text.split(',').map(str::trim).filter(|_| !text.trim().is_empty()) {
        let wrong = || QueryError::OrderText(text.into());
        let (path, direction) = match part.rsplit_once(char::is_whitespace) {
            None => (part, Direction::Ascending),
            Some((path, "asc" | "ASC")) => (path.trim_end(), Direction::Ascending),
            Some((path, "desc" | "DESC")) => (path.trim_end(), Direction::Descending),
            Some(_) => return Err(wrong()),
        };
        let path = FieldPath::parse_for_query(path).map_err(|_grammar| wrong())?;
        check_next(&order, &path)?;
        if order.len() >= FILTERS_MAX {
            return Err(QueryError::TooManyFilters);
        }
        order.push(Order { path, direction });
    }
    Ok(completed(order, std::iter::empty()))
}

/// Cursors as bounds of the sort key: a position stands before or after all keys with its prefix.
fn parse_window(
    scope: &Scope,
    order: &[Order],
    start: Option<Cursor>,
    end: Option<Cursor>,
) -> Result<KeyRange, QueryError> {
    let position = |cursor: Cursor| {
        let prefix = parse_cursor(scope, order, &cursor.values)?;
        Ok::<_, QueryError>(if cursor.before { Some(prefix) } else { prefix_end(prefix) })
    };
    let start = match start {
        None => Vec::new(),
        // An exclusive start without an end of its prefix is above every key.
        Some(cursor) => match position(cursor)? {
            Some(start) => start,
            None => return Ok(KeyRange::empty()),
        },
    };
    let end = end.map(position).transpose()?.flatten();
    Ok(KeyRange { start, end })
}

fn parse_cursor(scope: &Scope, order: &[Order], values: &[Value]) -> Result<Vec<u8>, QueryError> {
    if values.len() > order.len() {
        return Err(QueryError::LongCursor);
    }
    let mut prefix = Vec::new();
    for (value, Order { path, direction }) in values.iter().zip(order) {
        if path.is_name() && !scope.is_key(value) {
            return Err(QueryError::CursorNotAKey);
        }
        let start = prefix.len();
        prefix.extend(key_of(scope, path, value));
        if *direction == Direction::Descending {
            invert(&mut prefix, start);
        }
    }
    Ok(prefix)
}

/// The projected paths; `__name__` alone means no field at all, an empty list every field.
fn parse_projection(select: &wire::Projection) -> Result<Option<Vec<FieldPath>>, QueryError> {
    if select.fields.is_empty() {
        return Ok(None);
    }
    let mut paths = Vec::new();
    for field in &select.fields {
        let path = parse_reference(Some(field))?;
        if !path.is_name() {
            paths.push(path);
        }
    }
    Ok(Some(paths))
}
