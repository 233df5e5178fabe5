//! Resource names: `projects/{p}/databases/{d}/documents/{collection}/{id}/…`.

use std::fmt;

use crate::limits::{COLLECTION_DEPTH_MAX, ID_BYTES_MAX, NAME_BYTES_MAX};

/// Why a name is refused; the texts follow Google's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NameError {
    /// The name does not have the shape of what is asked for.
    #[error("{kind} name \"{name}\" is not of the form \"{form}\".")]
    Form { kind: &'static str, name: String, form: &'static str },
    /// An id is empty, `.`, `..` or of the form `__…__`.
    #[error("Resource id \"{0}\" is invalid because it is reserved.")]
    Reserved(String),
    /// An id is too long.
    #[error("The key path element name is longer than {ID_BYTES_MAX} bytes.")]
    IdTooLong,
    /// The whole path is too long.
    #[error("The document path is longer than {NAME_BYTES_MAX} bytes.")]
    TooLong,
    /// The path has too many levels.
    #[error("The document path has more than {COLLECTION_DEPTH_MAX} collections.")]
    TooDeep,
    /// The name belongs to another database than the request.
    #[error("Document \"{name}\" is not in database \"{database}\".")]
    OtherDatabase { name: String, database: Database },
}

/// `projects/{project}/databases/{database}`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Database(String);

/// What collections hang from: `{database}/documents` or a document's full name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Parent(String);

/// A collection: the full name of its parent plus its id.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct CollectionPath(String);

/// The full name of one document.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct DocumentName(String);

impl Database {
    /// Reads `projects/{p}/databases/{d}`.
    pub(crate) fn parse(name: &str) -> Result<Self, NameError> {
        match split(name) {
            Some((database, None)) => Ok(database),
            Some((_, Some(_))) | None => Err(NameError::Form {
                kind: "Database",
                name: name.into(),
                form: "projects/{project}/databases/{database}",
            }),
        }
    }

    /// Refuses a document of another database.
    pub(crate) fn check_owns(&self, name: &DocumentName) -> Result<(), NameError> {
        if self.holds(&name.0) {
            return Ok(());
        }
        Err(NameError::OtherDatabase { name: name.0.clone(), database: self.clone() })
    }

    /// Whether a name is of something below this database's root.
    pub(crate) fn holds(&self, name: &str) -> bool {
        name.strip_prefix(&self.0).is_some_and(|rest| rest.starts_with("/documents/"))
    }
}

impl Parent {
    /// Reads `{database}/documents` or a document's name.
    pub(crate) fn parse(name: &str) -> Result<Self, NameError> {
        let form = || NameError::Form {
            kind: "Parent",
            name: name.into(),
            form: "projects/{project}/databases/{database}/documents[/{collection}/{document}…]",
        };
        let (_, Some(path)) = split(name).ok_or_else(form)? else { return Err(form()) };
        if !path.is_empty() {
            DocumentName::parse(name)?;
        }
        Ok(Self(name.into()))
    }

    /// The full name.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether a collection's path is directly below this one.
    pub(crate) fn is_parent_of(&self, collection: &str) -> bool {
        collection.rsplit_once('/').is_some_and(|(parent, _)| parent == self.0)
    }

    /// Whether a name is below this one, at any depth.
    pub(crate) fn contains(&self, name: &str) -> bool {
        name.strip_prefix(&self.0).is_some_and(|rest| rest.starts_with('/'))
    }

    /// The database that holds it.
    pub(crate) fn database(&self) -> Option<Database> {
        split(&self.0).map(|(database, _)| database)
    }
}

impl CollectionPath {
    /// The collection `id` under `parent`, which is `{database}/documents` or a document's name.
    pub(crate) fn parse(parent: &str, id: &str) -> Result<Self, NameError> {
        let Parent(parent) = Parent::parse(parent)?;
        check_id(id)?;
        Ok(Self(format!("{parent}/{id}")))
    }

    /// The document `id` in this collection.
    pub(crate) fn document(&self, id: &str) -> Result<DocumentName, NameError> {
        check_id(id)?;
        DocumentName::parse(&format!("{}/{id}", self.0))
    }

    /// The collection's own id: what index definitions call its collection group.
    pub(crate) fn group(&self) -> &str {
        self.0.rsplit('/').next().unwrap_or_default()
    }

    /// Whether a document and not the database's root is its parent.
    pub(crate) fn is_below_a_document(&self) -> bool {
        split(&self.0).and_then(|(_, path)| path).is_some_and(|path| path.contains('/'))
    }

    /// The database that holds this collection.
    pub(crate) fn database(&self) -> Option<Database> {
        split(&self.0).map(|(database, _)| database)
    }

    /// The full path.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// A path that was checked when it was stored.
    pub(crate) fn from_stored(path: String) -> Self {
        Self(path)
    }
}

impl DocumentName {
    /// Reads and checks a document's full name.
    pub(crate) fn parse(name: &str) -> Result<Self, NameError> {
        let form = || NameError::Form {
            kind: "Document",
            name: name.into(),
            form: "projects/{project}/databases/{database}/documents/{collection}/{document}…",
        };
        let (_, Some(path)) = split(name).ok_or_else(form)? else { return Err(form()) };
        if path.len() > NAME_BYTES_MAX {
            return Err(NameError::TooLong);
        }
        let ids = path.split('/').count();
        if path.is_empty() || ids % 2 != 0 {
            return Err(form());
        }
        if ids > COLLECTION_DEPTH_MAX.saturating_mul(2) {
            return Err(NameError::TooDeep);
        }
        path.split('/').try_for_each(check_id)?;
        Ok(Self(name.into()))
    }

    /// The collection that holds this document.
    pub(crate) fn collection(&self) -> CollectionPath {
        CollectionPath(self.0.rsplit_once('/').map(|(path, _)| path).unwrap_or_default().into())
    }

    /// The database that holds this document.
    pub(crate) fn database(&self) -> Option<Database> {
        split(&self.0).map(|(database, _)| database)
    }

    /// The last segment.
    pub(crate) fn id(&self) -> &str {
        self.0.rsplit('/').next().unwrap_or_default()
    }

    /// The full name.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for DocumentName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Bytes that Firestore counts for a document's name, also for one in a reference: each id plus
/// one, plus 16.
pub(crate) fn counted_bytes(name: &str) -> usize {
    let path = split(name).and_then(|(_, path)| path).unwrap_or(name);
    path.len().saturating_add(17)
}

/// Splits a name into its database and what follows `documents`: `None` for the bare database,
/// an empty text for its root.
fn split(name: &str) -> Option<(Database, Option<&str>)> {
    let mut parts = name.splitn(5, '/');
    let (projects, project) = (parts.next()?, parts.next()?);
    let (databases, database) = (parts.next()?, parts.next()?);
    if projects != "projects" || databases != "databases" {
        return None;
    }
    if project.is_empty() || database.is_empty() || name.contains('\0') {
        return None;
    }
    let root = Database(format!("projects/{project}/databases/{database}"));
    let path = match parts.next() {
        None => None,
        Some("documents") => Some(""),
        Some(rest) => Some(rest.strip_prefix("documents/")?),
    };
    Some((root, path))
}

fn check_id(id: &str) -> Result<(), NameError> {
    if id.len() > ID_BYTES_MAX {
        return Err(NameError::IdTooLong);
    }
    let dunder = id.len() >= 4 && id.starts_with("__") && id.ends_with("__");
    let reserved = dunder && crate::value::numeric_id(id).is_none();
    if matches!(id, "" | "." | "..") || id.contains('/') || reserved {
        return Err(NameError::Reserved(id.into()));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROOT: &str = "projects/p/databases/(default)/documents";

    #[test]
    fn a_document_has_a_collection_and_an_id() {
        let name = DocumentName::parse(&format!("{ROOT}/requests/r1/notes/n1")).unwrap();
        assert_eq!(name.id(), "n1");
        assert_eq!(name.collection().as_str(), format!("{ROOT}/requests/r1/notes"));
        assert_eq!(name.collection().group(), "notes");
    }

    #[test]
    fn a_name_of_another_shape_is_refused() {
        for name in ["", "foo/bar", ROOT, "projects//databases/d/documents/c/d"] {
            assert!(matches!(DocumentName::parse(name), Err(NameError::Form { .. })), "{name}");
        }
        for tail in ["c", "c/d/e"] {
            let name = format!("{ROOT}/{tail}");
            assert!(matches!(DocumentName::parse(&name), Err(NameError::Form { .. })), "{name}");
        }
    }

    #[test]
    fn reserved_ids_are_refused() {
        for id in [".", "..", "__x__", "____"] {
            let name = format!("{ROOT}/c/{id}");
            assert_eq!(DocumentName::parse(&name), Err(NameError::Reserved(id.into())));
        }
        assert!(DocumentName::parse(&format!("{ROOT}/c/__id7__")).is_ok());
        assert!(DocumentName::parse(&format!("{ROOT}/c/__")).is_ok());
    }

    #[test]
    fn long_names_are_refused() {
        let id = "x".repeat(ID_BYTES_MAX);
        assert!(DocumentName::parse(&format!("{ROOT}/c/{id}")).is_ok());
        let long_id = DocumentName::parse(&format!("{ROOT}/c/{id}x"));
        assert_eq!(long_id, Err(NameError::IdTooLong));
        let long = DocumentName::parse(&format!("{ROOT}/{id}/{id}/{id}/{id}/{id}/{id}"));
        assert_eq!(long, Err(NameError::TooLong));
        let deep = DocumentName::parse(&format!("{ROOT}{}", "/c/d".repeat(101)));
        assert_eq!(deep, Err(NameError::TooDeep));
    }

    #[test]
    fn a_document_of_another_database_is_not_owned() {
        let database = Database::parse("projects/p/databases/(default)").unwrap();
        let own = DocumentName::parse(&format!("{ROOT}/c/d")).unwrap();
        let other = DocumentName::parse("projects/q/databases/(default)/documents/c/d").unwrap();
        assert_eq!(database.check_owns(&own), Ok(()));
        assert!(database.check_owns(&other).is_err());
    }
}
