//! The index file: which queries are served.

use std::fmt;

use serde::Deserialize;

use crate::field_path::{FieldPath, FieldPathError};

/// The indexes of a database, read from Firebase's standard `firestore.indexes.json`.
///
/// Composite indexes come from `indexes`, single-field ones from `fieldOverrides`. A field path
/// `*` may only switch indexing off: what the file does not list does not exist here.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Indexes(Vec<Index>);

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
        let mut indexes = Vec::new();
        for composite in file.indexes {
            indexes.push(composite.parse()?);
        }
        for field in file.field_overrides {
            indexes.extend(field.parse()?);
        }
        let mut distinct: Vec<Index> = Vec::new();
        for index in indexes {
            if !distinct.contains(&index) {
                distinct.push(index);
            }
        }
        Ok(Self(distinct))
    }

    /// All indexes.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Index> {
        self.0.iter()
    }
}

impl Composite {
    fn parse(self) -> Result<Index, IndexError> {
        let group = self.collection_group;
        check_scope(&group, self.query_scope)?;
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
    fn parse(self) -> Result<Vec<Index>, IndexError> {
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
                check_scope(&group, single.query_scope)?;
                let kind = parse_kind(&group, single.order, single.array_config)?;
                Index::new(group.clone(), vec![IndexField { path: path.clone(), kind }], None)
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

fn check_scope(group: &str, scope: Scope) -> Result<(), IndexError> {
    match scope {
        Scope::Collection => Ok(()),
        Scope::CollectionGroup => Err(IndexError::Unserved {
            group: group.into(),
            what: "the query scope COLLECTION_GROUP",
        }),
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
    fn what_is_not_served_is_refused() {
        let composite = |scope: &str, field: &str| {
            format!(
                r#"{{"indexes": [{{"collectionGroup": "c", "queryScope": "{scope}", "fields": [{field}]}}]}}"#
            )
        };
        let ascending = r#"{"fieldPath": "a", "order": "ASCENDING"}"#;
        assert!(Indexes::parse(&composite("COLLECTION", ascending)).is_ok());
        let refused = [
            composite("COLLECTION_GROUP", ascending),
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
