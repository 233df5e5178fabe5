//! The index file: which queries are served.

use std::fmt;

use serde::Deserialize;

use crate::field_path::{FieldPath, FieldPathError};

/// The indexes of a database, read from Firebase's standard `firestore.indexes.json`.
///
/// As in Firestore, every field of every collection is indexed automatically unless the file has
/// a field override for it or for `*`; composite indexes exist where `indexes` lists them. A
/// query that needs another index is refused with `FAILED_PRECONDITION`.
///
/// Only what the file lists with the scope `COLLECTION` is kept on disk. Queries that rest on
/// automatic indexes, and those over a collection group, look at every document instead: a
/// collection that may grow large is exempted with a field override of `*` without indexes, and
/// none of its queries ever scans.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Indexes {
    /// Kept on disk.
    listed: Vec<Index>,
    /// Those with the scope `COLLECTION_GROUP`.
    of_groups: Vec<Index>,
    overrides: Vec<FieldOverride>,
}

/// A field that is not indexed automatically in a collection group; without a path, every field.
#[derive(Clone, Debug, PartialEq, Eq)]
struct FieldOverride {
    group: String,
    path: Option<FieldPath>,
}

/// The indexes of an open file.
#[derive(Debug)]
pub(crate) struct Served {
    pub(crate) indexes: Vec<NumberedIndex>,
    pub(crate) rules: Indexes,
}

/// Why an index file is refused.
#[derive(Debug, thiserror::Error)]
pub enum IndexError {
    /// Not JSON, or not of the format.
    #[error("cannot read the index file")]
    Json(#[source] serde_json::Error),
    /// A field path of the file is none.
    #[error("collection group {group}: {reason}")]
    FieldPath {
        /// The collection group of the index.
        group: String,
        /// What is wrong with the path.
        reason: String,
    },
    /// A form of index that this server does not serve.
    #[error("collection group {group}: {what} is not served")]
    Unserved {
        /// The collection group of the index.
        group: String,
        /// The form in question.
        what: &'static str,
    },
    /// An index without fields.
    #[error("collection group {group}: an index has no fields")]
    NoFields {
        /// The collection group of the index.
        group: String,
    },
}

/// One index: the fields in their order, and the direction of the name that ends every entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Index {
    pub(crate) group: String,
    pub(crate) fields: Vec<IndexField>,
    pub(crate) name_direction: Direction,
}

/// An index with its number in the database file.
pub(crate) type NumberedIndex = (i64, Index);

/// One field of an index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct IndexField {
    pub(crate) path: FieldPath,
    pub(crate) kind: FieldKind,
}

/// What of a field's value is in the index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FieldKind {
    /// The value, in this direction.
    Ordered(Direction),
    /// Each element of an array.
    Contains,
}

/// A sort direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(crate) enum Direction {
    /// Small before large.
    Ascending,
    /// Large before small.
    Descending,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct File {
    #[serde(default)]
    indexes: Vec<Composite>,
    #[serde(default)]
    field_overrides: Vec<Override>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Composite {
    collection_group: String,
    query_scope: Scope,
    fields: Vec<CompositeField>,
    density: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct CompositeField {
    field_path: String,
    order: Option<Direction>,
    array_config: Option<ArrayConfig>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Override {
    collection_group: String,
    field_path: String,
    indexes: Vec<Single>,
    /// Expiry of documents is the controller's work and Google's; it is not imitated.
    #[serde(default, rename = "ttl")]
    _ttl: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Single {
    query_scope: Scope,
    order: Option<Direction>,
    array_config: Option<ArrayConfig>,
}

#[derive(Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
enum Scope {
    Collection,
    CollectionGroup,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
enum ArrayConfig {
    Contains,
}

impl Indexes {
    /// Reads the text of an index file.
    pub fn parse(json: &str) -> Result<Self, IndexError> {
        let file: File = serde_json::from_str(json).map_err(IndexError::Json)?;
        let mut indexes = Self::default();
        for composite in file.indexes {
            let scope = composite.query_scope;
            indexes.add(scope, composite.parse()?);
        }
        for field in file.field_overrides {
            indexes.overrides.push(field.exemption()?);
            for (scope, index) in field.parse()? {
                indexes.add(scope, index);
            }
        }
        Ok(indexes)
    }

    fn add(&mut self, scope: Scope, index: Index) {
        let list = match scope {
            Scope::Collection => &mut self.listed,
            Scope::CollectionGroup => &mut self.of_groups,
        };
        if !list.contains(&index) {
            list.push(index);
        }
    }

    /// The indexes that are kept on disk.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Index> {
        self.listed.iter()
    }

    /// The indexes over collection groups.
    pub(crate) fn of_groups(&self) -> &[Index] {
        &self.of_groups
    }

    /// Whether Firestore indexes the field without being told to.
    pub(crate) fn is_automatic(&self, group: &str, field: &FieldPath) -> bool {
        let mut own = self.overrides.iter().filter(|exempt| exempt.group == group);
        !own.any(|exempt| exempt.path.as_ref().is_none_or(|path| field.is_within(path)))
    }
}

impl Composite {
    fn parse(self) -> Result<Index, IndexError> {
        let group = self.collection_group;
        if self.density.is_some_and(|density| density != "SPARSE_ALL") {
            return Err(IndexError::Unserved { group, what: "a density other than SPARSE_ALL" });
        }
        let mut fields = Vec::new();
        let mut name_direction = None;
        for field in self.fields {
            if name_direction.is_some() {
                return Err(IndexError::Unserved { group, what: "a field after __name__" });
            }
            let path = parse_path(&group, &field.field_path)?;
            match (path.is_name(), parse_kind(&group, field.order, field.array_config)?) {
                (true, FieldKind::Ordered(direction)) => name_direction = Some(direction),
                (_, kind) => fields.push(IndexField { path, kind }),
            }
        }
        Index::new(group, fields, name_direction)
    }
}

impl Override {
    fn exemption(&self) -> Result<FieldOverride, IndexError> {
        let group = self.collection_group.clone();
        let path = match self.field_path.as_str() {
            "*" => None,
            path => Some(parse_path(&group, path)?),
        };
        Ok(FieldOverride { group, path })
    }

    fn parse(self) -> Result<Vec<(Scope, Index)>, IndexError> {
        let group = self.collection_group;
        if self.field_path == "*" {
            return match self.indexes.as_slice() {
                [] => Ok(Vec::new()),
                [..] => Err(IndexError::Unserved { group, what: "indexing of every field" }),
            };
        }
        let path = parse_path(&group, &self.field_path)?;
        self.indexes
            .into_iter()
            .map(|single| {
                let kind = parse_kind(&group, single.order, single.array_config)?;
                let fields = vec![IndexField { path: path.clone(), kind }];
                Ok((single.query_scope, Index::new(group.clone(), fields, None)?))
            })
            .collect()
    }
}

impl Index {
    /// As Google does, the name takes the direction of the last field unless the file says so.
    fn new(
        group: String,
        fields: Vec<IndexField>,
        name_direction: Option<Direction>,
    ) -> Result<Self, IndexError> {
        let last = match fields.last().map(|field| field.kind) {
            None => return Err(IndexError::NoFields { group }),
            Some(FieldKind::Ordered(direction)) => direction,
            Some(FieldKind::Contains) => Direction::Ascending,
        };
        Ok(Self { group, fields, name_direction: name_direction.unwrap_or(last) })
    }
}

/// The definition as one line; equal texts are equal indexes.
impl fmt::Display for Index {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (", self.group)?;
        for IndexField { path, kind } in &self.fields {
            write!(f, "{path} {kind}, ")?;
        }
        write!(f, "__name__ {})", FieldKind::Ordered(self.name_direction))
    }
}

impl fmt::Display for FieldKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ordered(Direction::Ascending) => "ASCENDING",
            Self::Ordered(Direction::Descending) => "DESCENDING",
            Self::Contains => "CONTAINS",
        })
    }
}

fn parse_path(group: &str, text: &str) -> Result<FieldPath, IndexError> {
    FieldPath::parse_for_query(text).map_err(|reason: FieldPathError| IndexError::FieldPath {
        group: group.into(),
        reason: reason.to_string(),
    })
}

fn parse_kind(
    group: &str,
    order: Option<Direction>,
    array: Option<ArrayConfig>,
) -> Result<FieldKind, IndexError> {
    match (order, array) {
        (Some(direction), None) => Ok(FieldKind::Ordered(direction)),
        (None, Some(ArrayConfig::Contains)) => Ok(FieldKind::Contains),
        (Some(_), Some(_)) | (None, None) => Err(IndexError::Unserved {
            group: group.into(),
            what: "a field with neither or both of `order` and `arrayConfig`",
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHIPPED: &str = include_str!("../../../deploy/firestore.indexes.json");

    #[test]
    fn the_shipped_file_lists_exactly_the_designed_indexes() {
        let shipped = Indexes::parse(SHIPPED).unwrap();
        let lines: Vec<String> = shipped.iter().map(ToString::to_string).collect();
        let time = "specView.requestedAt DESCENDING, __name__ DESCENDING)";
        assert_eq!(
            lines,
            [
                format!("requests (specView.requester.subject ASCENDING, {time}"),
                format!("requests (specView.resource ASCENDING, {time}"),
                format!("requests (status.phase ASCENDING, {time}"),
                "requests (live ASCENDING, __name__ ASCENDING)".into(),
                format!("requests ({time}"),
            ]
        );
    }

    #[test]
    fn the_shipped_file_exempts_every_collection() {
        let file: serde_json::Value = serde_json::from_str(SHIPPED).unwrap();
        let overrides = file["fieldOverrides"].as_array().unwrap();
        let exempt = |group: &str| {
            overrides.iter().any(|entry| {
                entry["collectionGroup"] == group
                    && entry["fieldPath"] == "*"
                    && entry["indexes"].as_array().is_some_and(Vec::is_empty)
            })
        };
        let collections = [
            "requests",
            "entitlements",
            "controls",
            "resources",
            "ledger",
            "breakglass",
            "outbox",
            "replicas",
        ];
        for collection in collections {
            assert!(exempt(collection), "{collection}");
        }
    }

    #[test]
    fn a_field_is_indexed_automatically_unless_it_is_overridden() {
        let field = |path: &str| {
            format!(r#"{{"collectionGroup": "c", "fieldPath": "{path}", "indexes": []}}"#)
        };
        let overriding =
            |path: &str| Indexes::parse(&format!(r#"{{"fieldOverrides": [{}]}}"#, field(path)));
        let is_automatic = |indexes: &Indexes, group: &str, path: &str| {
            indexes.is_automatic(group, &FieldPath::parse(path).unwrap())
        };
        let some = overriding("m.x").unwrap();
        assert!(!is_automatic(&some, "c", "m.x") && !is_automatic(&some, "c", "m.x.y"));
        assert!(is_automatic(&some, "c", "m") && is_automatic(&some, "c", "m.xy"));
        assert!(is_automatic(&some, "d", "m.x"));
        let all = overriding("*").unwrap();
        assert!(!is_automatic(&all, "c", "a") && is_automatic(&all, "d", "a"));
    }

    #[test]
    fn what_is_not_served_is_refused() {
        let composite = |scope: &str, field: &str| {
            format!(
                r#"{{"indexes": [{{"collectionGroup": "c", "queryScope": "{scope}", "fields": [{field}]}}]}}"#
            )
        };
        let ascending = r#"{"fieldPath": "a", "order": "ASCENDING"}"#;
        assert!(Indexes::parse(&composite("COLLECTION", ascending)).is_ok());
        let refused = [
            composite("NEIGHBOURHOOD", ascending),
            composite("COLLECTION", ""),
            composite("COLLECTION", r#"{"fieldPath": "a"}"#),
            composite("COLLECTION", r#"{"fieldPath": "0a", "order": "ASCENDING"}"#),
            r#"{"fieldOverrides": [{"collectionGroup": "c", "fieldPath": "*", "indexes": [{"order": "ASCENDING", "queryScope": "COLLECTION"}]}]}"#.into(),
            r#"{"index": []}"#.into(),
            "[".into(),
        ];
        for json in refused {
            assert!(Indexes::parse(&json).is_err(), "{json}");
        }
    }
}
