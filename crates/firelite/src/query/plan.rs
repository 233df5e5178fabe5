//! Which index serves a query, and which of its entries.
//!
//! Each conjunction of the filter's normal form is served alone: by the index whose first fields
//! are the conjunction's equalities (in any order) and whose others are the query's order, with
//! the same directions. An index entry is then the equal values followed by the sort key, so
//! ranges of the sort key are ranges of the index.

use std::cmp::Ordering;

use super::{
    Order, Query, QueryError, Scope,
    filter::{FieldTest, Test},
};
use crate::{
    field_path::FieldPath,
    indexes::{Direction, FieldKind, Index, IndexField, Indexes, NumberedIndex, Served},
    value::{self, Class, class, class_tag, invert, prefix_end},
};

/// Keys from `start` up to but not including `end`; without an end, all from `start` on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct KeyRange {
    pub(crate) start: Vec<u8>,
    pub(crate) end: Option<Vec<u8>>,
}

/// Where entries come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    /// The documents of the collection, by id.
    Documents,
    /// The index with this number.
    Index(i64),
}

/// One ordered walk over entries. What it yields still has to pass [`Query::matches`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Scan {
    pub(crate) source: Source,
    pub(crate) range: KeyRange,
}

impl KeyRange {
    /// All keys.
    pub(crate) fn all() -> Self {
        Self { start: Vec::new(), end: None }
    }

    /// No key.
    pub(crate) fn empty() -> Self {
        Self { start: Vec::new(), end: Some(Vec::new()) }
    }

    /// Whether the key is inside.
    pub(crate) fn contains(&self, key: &[u8]) -> bool {
        self.start.as_slice() <= key && self.end.as_deref().is_none_or(|end| key < end)
    }

    fn is_empty(&self) -> bool {
        self.end.as_ref().is_some_and(|end| *end <= self.start)
    }

    fn intersect(self, other: &Self) -> Self {
        let end = match (self.end, &other.end) {
            (Some(a), Some(b)) => Some(a.min(b.clone())),
            (a, b) => a.or_else(|| b.clone()),
        };
        Self { start: self.start.max(other.start.clone()), end }
    }

    /// The same range behind a common prefix.
    fn behind(self, prefix: &[u8]) -> Self {
        Self {
            start: [prefix, &self.start].concat(),
            end: match self.end {
                Some(end) => Some([prefix, &end].concat()),
                None => prefix_end(prefix.to_vec()),
            },
        }
    }
}

/// How a query is served.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Plan {
    /// Walks that together yield every result, each in the query's order.
    Walks(Vec<Scan>),
    /// A look at every document of the scope, and a sort: what rests on an index that is not kept
    /// on disk.
    Sort,
}

/// Finds the indexes for a query; without them it is refused.
pub(crate) fn plan(query: &Query, served: &Served) -> Result<Plan, QueryError> {
    let mut all: Vec<Scan> = Vec::new();
    let mut needs_sort = false;
    for tests in query.filter.conjunctions()? {
        let conjunction = Conjunction::new(query, &tests);
        match conjunction.walks(query, &served.indexes) {
            Some(scans) => {
                for scan in scans {
                    // `IN [1, 1.0]` asks twice for the same entries.
                    if !all.contains(&scan) {
                        all.push(scan);
                    }
                }
            }
            None if conjunction.may_sort(query, served) => needs_sort = true,
            None => return Err(QueryError::NeedsIndex(conjunction.needed(query))),
        }
    }
    Ok(if needs_sort { Plan::Sort } else { Plan::Walks(all) })
}

/// One conjunction, taken apart as an index has to serve it.
struct Conjunction<'a> {
    tests: &'a [FieldTest],
    /// Fields that must equal a value, and the array that must contain one.
    pinned: Vec<Pinned<'a>>,
    /// The rest of the order without the name.
    order: Vec<&'a Order>,
    /// Fields that must be there and are neither pinned nor in the order.
    present: Vec<&'a FieldPath>,
    name_direction: Direction,
    /// Whether the entry's tail is the whole sort key: no field of the order is pinned.
    tail_is_sort_key: bool,
}

struct Pinned<'a> {
    path: &'a FieldPath,
    value: &'a gcloud_sdk::google::firestore::v1::Value,
    in_array: bool,
}

impl<'a> Conjunction<'a> {
    fn new(query: &'a Query, tests: &'a [FieldTest]) -> Self {
        let mut pinned: Vec<Pinned<'a>> = Vec::new();
        for FieldTest { path, test } in tests {
            let (value, in_array) = match test {
                Test::Equal(value) if !path.is_name() => (value, false),
                Test::Contains(value) => (value, true),
                Test::Equal(_)
                | Test::Beside { .. }
                | Test::NotEqual(_)
                | Test::NotIn(_)
                | Test::In(_)
                | Test::ContainsAny(_) => continue,
            };
            if !pinned.iter().any(|other| other.path == path && other.in_array == in_array) {
                pinned.push(Pinned { path, value, in_array });
            }
        }
        let is_pinned =
            |path: &FieldPath| pinned.iter().any(|pin| pin.path == path && !pin.in_array);
        let fields: Vec<_> = query.order.iter().filter(|order| !order.path.is_name()).collect();
        let order: Vec<_> =
            fields.iter().copied().filter(|order| !is_pinned(&order.path)).collect();
        let name = query.order.iter().find(|order| order.path.is_name());
        let is_met =
            |path: &FieldPath| is_pinned(path) || fields.iter().any(|order| order.path == *path);
        let present = query.present.iter().filter(|path| !is_met(path)).collect();
        Self {
            tests,
            tail_is_sort_key: order.len() == fields.len(),
            order,
            present,
            name_direction: name.map_or(Direction::Ascending, |name| name.direction),
            pinned,
        }
    }

    /// The walks over what is kept on disk, if that serves the conjunction.
    fn walks(&self, query: &Query, indexes: &[NumberedIndex]) -> Option<Vec<Scan>> {
        let group = query.scope.collection()?.group();
        if !self.present.is_empty() {
            return None;
        }
        let (source, prefix) = if self.is_by_name() && self.name_direction == Direction::Ascending {
            (Source::Documents, Vec::new())
        } else {
            let (number, index) = indexes
                .iter()
                .find(|(_, index)| index.group == group && self.is_served_by(index))?;
            (Source::Index(*number), self.prefix(index))
        };
        let ranges = self.ranges(query).into_iter();
        let scan = |range: KeyRange| Scan { source: source.clone(), range: range.behind(&prefix) };
        Some(ranges.map(scan).collect())
    }

    fn is_by_name(&self) -> bool {
        self.pinned.is_empty() && self.order.is_empty() && self.present.is_empty()
    }

    /// Whether Firestore would serve the conjunction from an index that is not kept on disk.
    fn may_sort(&self, query: &Query, served: &Served) -> bool {
        match &query.scope {
            Scope::Collection(collection) => self.is_automatic(collection.group(), &served.rules),
            Scope::Children(_) => self.is_by_name(),
            Scope::Group { id, .. } => {
                let of_group = |index: &&Index| Some(&index.group) == id.as_ref();
                let mut listed = served.rules.of_groups().iter().filter(of_group);
                self.is_by_name() || listed.any(|index| self.is_served_by(index))
            }
        }
    }

    /// Whether automatic indexes serve the conjunction: several of them equalities and one array
    /// filter (their entries are intersected), one of them a range or an order. Source:
    /// <https://cloud.google.com/firestore/docs/query-data/index-overview#automatic_indexing>.
    fn is_automatic(&self, group: &str, rules: &Indexes) -> bool {
        let pinned = self.pinned.iter().map(|pin| pin.path);
        let ordered = self.order.iter().map(|order| &order.path);
        let mut fields = pinned.chain(ordered).chain(self.present.iter().copied());
        let directions_agree =
            self.order.iter().all(|order| order.direction == self.name_direction);
        let n_walked = self.order.len().saturating_add(self.present.len());
        directions_agree
            && (n_walked == 0 || (n_walked == 1 && self.pinned.is_empty()))
            && fields.all(|path| rules.is_automatic(group, path))
            && (!self.is_by_name() || rules.is_automatic(group, &FieldPath::name()))
    }

    fn is_served_by(&self, index: &Index) -> bool {
        let Some((first, rest)) = index.fields.split_at_checked(self.pinned.len()) else {
            return false;
        };
        let serves = |field: &IndexField, pin: &Pinned<'_>| {
            field.path == *pin.path && (field.kind == FieldKind::Contains) == pin.in_array
        };
        index.name_direction == self.name_direction
            && self.present.is_empty()
            && self.pinned.iter().all(|pin| first.iter().any(|field| serves(field, pin)))
            && rest.len() == self.order.len()
            && rest.iter().zip(&self.order).all(|(field, order)| {
                field.path == order.path && field.kind == FieldKind::Ordered(order.direction)
            })
    }

    /// The index that would serve this conjunction.
    fn needed(&self, query: &Query) -> String {
        let field = |path: &FieldPath, kind| IndexField { path: path.clone(), kind };
        let pinned = self.pinned.iter().map(|pin| {
            let ascending = FieldKind::Ordered(Direction::Ascending);
            field(pin.path, if pin.in_array { FieldKind::Contains } else { ascending })
        });
        let ordered =
            self.order.iter().map(|order| field(&order.path, FieldKind::Ordered(order.direction)));
        let present =
            self.present.iter().map(|path| field(path, FieldKind::Ordered(Direction::Ascending)));
        let (group, scope) = match &query.scope {
            Scope::Collection(collection) => (collection.group().into(), ""),
            Scope::Children(_) => (String::new(), " of all collections"),
            Scope::Group { id, .. } => (id.clone().unwrap_or_default(), " of COLLECTION_GROUP"),
        };
        let index = Index {
            group,
            fields: pinned.chain(ordered).chain(present).collect(),
            name_direction: self.name_direction,
        };
        format!("{index}{scope}")
    }

    /// What the entries of an index begin with, in the order of its fields.
    fn prefix(&self, index: &Index) -> Vec<u8> {
        let mut prefix = Vec::new();
        for field in index.fields.iter().take(self.pinned.len()) {
            let in_array = field.kind == FieldKind::Contains;
            let pin =
                self.pinned.iter().find(|pin| *pin.path == field.path && pin.in_array == in_array);
            let start = prefix.len();
            if let Some(pin) = pin {
                value::encode(&mut prefix, pin.value);
            }
            if field.kind == FieldKind::Ordered(Direction::Descending) {
                invert(&mut prefix, start);
            }
        }
        prefix
    }

    /// The ranges behind the prefix: cursors, and the tests of the first field that is ordered.
    fn ranges(&self, query: &Query) -> Vec<KeyRange> {
        let window = if self.tail_is_sort_key { query.window.clone() } else { KeyRange::all() };
        let name = FieldPath::name();
        let (path, direction) = match self.order.first() {
            Some(order) => (&order.path, order.direction),
            None => (&name, self.name_direction),
        };
        let tests = self.tests.iter().filter(|test| test.path == *path);
        let ranges = tests.fold(vec![window], |ranges, test| {
            let allowed = bounds(query, test, direction);
            ranges
                .into_iter()
                .flat_map(|range| allowed.iter().map(move |other| range.clone().intersect(other)))
                .filter(|range| !range.is_empty())
                .collect()
        });
        ranges.into_iter().filter(|range| !range.is_empty()).collect()
    }
}

/// The keys of values that can pass a test, in ascending or descending encoding.
fn bounds(
    query: &Query,
    FieldTest { path, test }: &FieldTest,
    direction: Direction,
) -> Vec<KeyRange> {
    let side =
        |lower: Option<Edge>, upper: Option<Edge>| KeyRange::between(lower, upper, direction);
    let not_null = || Edge { prefix: vec![class_tag(Class::Null)], inclusive: false };
    match test {
        Test::Equal(value) => {
            let edge = || Some(Edge { prefix: query.key_of(path, value), inclusive: true });
            vec![side(edge(), edge())]
        }
        Test::Beside { side: wanted, or_equal, value } => {
            let edge = Some(Edge { prefix: query.key_of(path, value), inclusive: *or_equal });
            // Only values of the same class compare; every name is of one class.
            let tag = (!path.is_name()).then(|| vec![class_tag(class(value))]);
            let same_class = tag.map(|prefix| Edge { prefix, inclusive: true });
            match wanted {
                Ordering::Less => vec![side(same_class, edge)],
                Ordering::Greater | Ordering::Equal => vec![side(edge, same_class)],
            }
        }
        Test::NotEqual(_) | Test::NotIn(_) if path.is_name() => vec![KeyRange::all()],
        Test::NotEqual(value) => {
            let edge = || Some(Edge { prefix: query.key_of(path, value), inclusive: false });
            let above = if class(value) == Class::Null { Some(not_null()) } else { edge() };
            vec![side(Some(not_null()), edge()), side(above, None)]
        }
        Test::NotIn(_) => vec![side(Some(not_null()), None)],
        Test::In(_) | Test::Contains(_) | Test::ContainsAny(_) => vec![KeyRange::all()],
    }
}

/// One end of a range of values: all encodings that start with `prefix` are in or out.
struct Edge {
    prefix: Vec<u8>,
    inclusive: bool,
}

impl KeyRange {
    fn between(lower: Option<Edge>, upper: Option<Edge>, direction: Direction) -> Self {
        let flip = |edge: Option<Edge>| {
            edge.map(|mut edge| {
                invert(&mut edge.prefix, 0);
                edge
            })
        };
        let (lower, upper) = match direction {
            Direction::Ascending => (lower, upper),
            Direction::Descending => (flip(upper), flip(lower)),
        };
        let start = match lower {
            None => Some(Vec::new()),
            Some(Edge { prefix, inclusive: true }) => Some(prefix),
            Some(Edge { prefix, inclusive: false }) => prefix_end(prefix),
        };
        let end = match upper {
            None => None,
            Some(Edge { prefix, inclusive: true }) => prefix_end(prefix),
            Some(Edge { prefix, inclusive: false }) => Some(prefix),
        };
        match start {
            Some(start) => Self { start, end },
            None => Self::empty(),
        }
    }
}
