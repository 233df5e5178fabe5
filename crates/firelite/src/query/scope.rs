//! Where a query looks.

use gcloud_sdk::google::firestore::v1::{
    Value, structured_query::CollectionSelector, value::ValueType,
};

use super::QueryError;
use crate::{
    name::{CollectionPath, Database, DocumentName, Parent},
    value,
};

/// The collections whose documents a query may return.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Scope {
    /// One collection.
    Collection(CollectionPath),
    /// Every collection directly below the parent.
    Children(Parent),
    /// Every collection below the parent, at any depth: those with this id, or all.
    Group { parent: Parent, id: Option<String> },
}

impl Scope {
    /// Reads the `from` of a query.
    pub(super) fn parse(parent: &str, from: &[CollectionSelector]) -> Result<Self, QueryError> {
        match from {
            [selector] if selector.all_descendants => {
                let id = (!selector.collection_id.is_empty()).then_some(&selector.collection_id);
                if let Some(id) = id {
                    // For its checks of the id.
                    CollectionPath::parse(parent, id)?;
                }
                Ok(Self::Group { parent: Parent::parse(parent)?, id: id.cloned() })
            }
            [selector] if !selector.collection_id.is_empty() => {
                Ok(Self::Collection(CollectionPath::parse(parent, &selector.collection_id)?))
            }
            [_] | [] => Ok(Self::Children(Parent::parse(parent)?)),
            [..] => Err(QueryError::Argument("a query names exactly one collection")),
        }
    }

    /// The collection, if there is only one.
    pub(crate) fn collection(&self) -> Option<&CollectionPath> {
        match self {
            Self::Collection(path) => Some(path),
            Self::Children(_) | Self::Group { .. } => None,
        }
    }

    /// Whether a document of this name can be a result.
    pub(crate) fn contains(&self, name: &str) -> bool {
        let Some((collection, _)) = name.rsplit_once('/') else { return false };
        match self {
            Self::Collection(path) => path.as_str() == collection,
            Self::Children(parent) => parent.is_parent_of(collection),
            Self::Group { parent, id } => {
                parent.contains(name)
                    && id.as_deref().is_none_or(|id| collection.rsplit('/').next() == Some(id))
            }
        }
    }

    /// Whether documents of the collection can be results.
    pub(crate) fn contains_collection(&self, collection: &CollectionPath) -> bool {
        match self {
            Self::Collection(path) => path == collection,
            Self::Children(parent) => parent.is_parent_of(collection.as_str()),
            Self::Group { parent, id } => {
                parent.contains(collection.as_str())
                    && id.as_deref().is_none_or(|id| collection.group() == id)
            }
        }
    }

    /// The database that is looked into.
    pub(crate) fn database(&self) -> Option<Database> {
        match self {
            Self::Collection(path) => path.database(),
            Self::Children(parent) | Self::Group { parent, .. } => parent.database(),
        }
    }

    /// Whether it is one collection, and not at the root.
    pub(super) fn is_below_a_document(&self) -> bool {
        self.collection().is_some_and(CollectionPath::is_below_a_document)
    }

    /// What all its collections are below of, if they are several.
    pub(crate) fn parent(&self) -> Option<&Parent> {
        match self {
            Self::Collection(_) => None,
            Self::Children(parent) | Self::Group { parent, .. } => Some(parent),
        }
    }

    /// Appends where a document's name stands among those of this scope.
    pub(super) fn name_key(&self, key: &mut Vec<u8>, name: &str) {
        match self {
            Self::Collection(_) => {
                value::document_id(key, name.rsplit('/').next().unwrap_or_default());
            }
            Self::Children(_) | Self::Group { .. } => {
                value::encode(key, &value::reference(name));
            }
        }
    }

    /// Whether a value may be compared with the names of this scope. Among the names of
    /// several collections also the bounds count that clients make up between two collections.
    pub(super) fn is_key(&self, value: &Value) -> bool {
        let Some(ValueType::ReferenceValue(name)) = &value.value_type else { return false };
        match self {
            Self::Collection(path) => {
                DocumentName::parse(name).is_ok_and(|name| name.collection() == *path)
            }
            Self::Children(parent) | Self::Group { parent, .. } => {
                parent.database().is_some_and(|database| database.holds(name))
            }
        }
    }
}
