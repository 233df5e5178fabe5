//! Reads of one consistent state of the file: the newest, or a former one that the change log
//! still tells.
//!
//! A former state is the present one with what changed since put back: a document that changed is
//! as it was before its first change, and every other is as it is now.

use std::{
    collections::{BTreeMap, HashSet},
    ops::ControlFlow,
};

use gcloud_sdk::google::firestore::v1::Document;
use rusqlite::{Connection, OptionalExtension, params};

use super::{
    StoreError,
    body::Body,
    results::{Results, sql},
};
use crate::{
    indexes::Served,
    name::{CollectionPath, DocumentName, Parent},
    query::{Plan, Query, Scope, plan},
    refusal::Refusal,
    time::Micros,
    value::document_id,
};

/// Where the change log stood: a revision and when it was committed. Both zero before the first
/// change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Position {
    pub(crate) revision: i64,
    pub(crate) committed: Micros,
}

/// What became of one document since a position.
#[derive(Debug)]
pub(crate) struct Change {
    pub(crate) name: DocumentName,
    pub(crate) before: Option<Document>,
    pub(crate) after: Option<Document>,
}

/// What it took to run a query.
pub(crate) struct Ran {
    /// Stored documents that were looked at.
    pub(crate) visited: usize,
    /// Results that the offset left out.
    pub(crate) skipped: usize,
}

/// One state of the file.
pub(crate) struct Snapshot<'c> {
    connection: &'c Connection,
    served: &'c Served,
    position: Position,
    read_time: Micros,
    /// Whether there are later changes, which this state does not hold.
    is_former: bool,
}

impl<'c> Snapshot<'c> {
    /// The newest state; `connection` must be in a transaction.
    pub(super) fn new(connection: &'c Connection, served: &'c Served) -> Result<Self, StoreError> {
        let last: i64 = connection
            .prepare_cached("SELECT last_commit FROM state")?
            .query_row([], |row| row.get(0))?;
        let position = newest(connection, i64::MAX)?.unwrap_or(Position::START);
        Ok(Self { connection, served, position, read_time: Micros(last), is_former: false })
    }

    /// The state at a position at or before this one; `None` when the log does not reach back to
    /// it, or it is not of this file.
    pub(crate) fn as_of(
        &self,
        position: Position,
        read_time: Micros,
    ) -> Result<Option<Self>, StoreError> {
        let is_former = self.is_former || position != self.position;
        if is_former && !self.is_resumable(position)? {
            return Ok(None);
        }
        Ok(Some(Self { position, read_time, is_former, ..*self }))
    }

    /// Where the change log stands.
    pub(crate) fn position(&self) -> Position {
        self.position
    }

    /// The commit time of the last commit that this state holds, or the time that was asked for.
    pub(crate) fn read_time(&self) -> Micros {
        self.read_time
    }

    /// One document.
    pub(crate) fn get(&self, name: &DocumentName) -> Result<Option<Document>, StoreError> {
        let mut id = Vec::new();
        document_id(&mut id, name.id());
        let Some(collection) = self.collection(name.collection().as_str())? else {
            return Ok(None);
        };
        match self.former(collection, &id)? {
            Former::Is(before) => before.map(|body| body.decode()).transpose(),
            Former::Unchanged => self.stored(collection, &id),
        }
    }

    /// Hands every result of the query to `visit`, in order, until that breaks off; offset and
    /// limit are obeyed.
    pub(crate) fn run(
        &self,
        query: &Query,
        mut visit: impl FnMut(Document) -> ControlFlow<()>,
    ) -> Result<Ran, Refusal> {
        let plan = plan(query, self.served)?;
        let collections: Vec<i64> = self.collections_in(&query.scope)?.into_keys().collect();
        let changes = if self.is_former {
            self.changes_since(self.position, std::slice::from_ref(&query.scope))?
        } else {
            Vec::new()
        };
        let hidden: HashSet<_> = changes.iter().map(|change| change.name.as_str().into()).collect();
        let mut statements = Vec::new();
        let mut results = Results::new(query, hidden);
        match &plan {
            Plan::Sort => results.add_sorted(self.connection, &collections)?,
            Plan::Walks(scans) => {
                for scan in scans {
                    let statement = self.connection.prepare_cached(sql(scan));
                    statements.push(statement.map_err(StoreError::from)?);
                }
                // An index is of one collection.
                if let [collection] = collections.as_slice() {
                    for (statement, scan) in statements.iter_mut().zip(scans) {
                        results.add_scan(statement, scan, *collection)?;
                    }
                }
            }
        }
        results.add_former(changes.into_iter().filter_map(|change| change.before));
        let mut skip = query.offset;
        let mut left = query.limit;
        while left != Some(0) {
            let Some(document) = results.next()? else { break };
            if skip > 0 {
                skip = skip.saturating_sub(1);
                continue;
            }
            left = left.map(|left| left.saturating_sub(1));
            if visit(document).is_break() {
                break;
            }
        }
        let skipped = query.offset.saturating_sub(skip);
        Ok(Ran { visited: results.visited(), skipped })
    }

    /// The ids of documents that are not there but have documents below them, each with its
    /// place in the order of ids.
    pub(crate) fn missing(
        &self,
        collection: &CollectionPath,
    ) -> Result<BTreeMap<Vec<u8>, DocumentName>, Refusal> {
        let prefix = format!("{}/", collection.as_str());
        let mut statement = self
            .connection
            .prepare_cached(
                "SELECT path FROM collection c WHERE path >= ? AND path < ? AND EXISTS
               (SELECT 1 FROM document d WHERE d.collection = c.number)",
            )
            .map_err(StoreError::from)?;
        let mut rows = statement.query(below(collection.as_str())).map_err(StoreError::from)?;
        let mut missing = BTreeMap::new();
        while let Some(row) = rows.next().map_err(StoreError::from)? {
            let path: String = row.get(0).map_err(StoreError::from)?;
            let id = path.strip_prefix(&prefix).and_then(|rest| rest.split('/').next());
            let name = collection.document(id.unwrap_or_default())?;
            let mut key = Vec::new();
            document_id(&mut key, name.id());
            if !missing.contains_key(&key) && self.get(&name)?.is_none() {
                missing.insert(key, name);
            }
        }
        Ok(missing)
    }

    /// Bytes of the database file, without its log.
    pub(super) fn bytes(&self) -> Result<i64, StoreError> {
        let pragma =
            |name| self.connection.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
        Ok(pragma("page_count")?.saturating_mul(pragma("page_size")?))
    }

    /// Whether the log still holds every change after `position`, and `position` is of this file.
    pub(crate) fn is_resumable(&self, position: Position) -> Result<bool, StoreError> {
        if position == Position::START {
            return self.log_is_whole();
        }
        let committed: Option<i64> = self
            .connection
            .prepare_cached("SELECT committed FROM change WHERE revision = ?")?
            .query_row([position.revision], |row| row.get(0))
            .optional()?;
        Ok(committed == Some(position.committed.0))
    }

    /// Where the log stood at a time; `None` when it does not reach back that far.
    pub(crate) fn position_at(&self, time: Micros) -> Result<Option<Position>, StoreError> {
        match newest(self.connection, time.0)? {
            Some(position) => Ok(Some(position)),
            None => Ok(self.log_is_whole()?.then_some(Position::START)),
        }
    }

    /// The net changes since a resumable position of the documents of these scopes, up to the
    /// newest state, in the order of their last change.
    pub(crate) fn changes_since(
        &self,
        position: Position,
        scopes: &[Scope],
    ) -> Result<Vec<Change>, StoreError> {
        let mut collections = BTreeMap::new();
        for scope in scopes {
            collections.extend(self.collections_in(scope)?);
        }
        let mut changes = Vec::new();
        for (collection, path) in collections {
            self.changes_in(position, &path, collection, &mut changes)?;
        }
        changes.sort_by_key(|(last, _)| *last);
        Ok(changes.into_iter().map(|(_, change)| change).collect())
    }

    fn changes_in(
        &self,
        position: Position,
        path: &CollectionPath,
        collection: i64,
        changes: &mut Vec<(i64, Change)>,
    ) -> Result<(), StoreError> {
        // SQLite takes a bare column of a group with one min() from the row of that minimum.
        let mut statement = self.connection.prepare_cached(
            "SELECT id, last, before, checksum, min(revision) FROM
               (SELECT id, before, checksum, revision,
                       max(revision) OVER (PARTITION BY id) AS last
                FROM change WHERE revision > ? AND collection = ?)
             GROUP BY id",
        )?;
        let mut rows = statement.query([position.revision, collection])?;
        while let Some(row) = rows.next()? {
            let id: Vec<u8> = row.get(0)?;
            let before = Body::read_optional(row, 2)?.map(|body| body.decode()).transpose()?;
            let after = self.stored(collection, &id)?;
            let named = before.as_ref().or(after.as_ref());
            // Created and deleted since: nobody has seen it.
            let Some(Document { name, .. }) = named else { continue };
            let id = name.rsplit('/').next().unwrap_or_default();
            if let Ok(name) = path.document(id) {
                changes.push((row.get(1)?, Change { name, before, after }));
            }
        }
        Ok(())
    }

    fn log_is_whole(&self) -> Result<bool, StoreError> {
        let oldest: Option<i64> = self
            .connection
            .prepare_cached("SELECT min(revision) FROM change")?
            .query_row([], |row| row.get(0))?;
        Ok(oldest.is_none_or(|oldest| oldest == 1))
    }

    fn collection(&self, path: &str) -> Result<Option<i64>, StoreError> {
        Ok(self
            .connection
            .prepare_cached("SELECT number FROM collection WHERE path = ?")?
            .query_row([path], |row| row.get(0))
            .optional()?)
    }

    /// The collections of a scope, by number.
    fn collections_in(&self, scope: &Scope) -> Result<BTreeMap<i64, CollectionPath>, StoreError> {
        if let Scope::Collection(path) = scope {
            let number = self.collection(path.as_str())?;
            return Ok(number.map(|number| (number, path.clone())).into_iter().collect());
        }
        let parent = scope.parent().map(Parent::as_str).unwrap_or_default();
        let mut statement = self
            .connection
            .prepare_cached("SELECT number, path FROM collection WHERE path >= ? AND path < ?")?;
        let mut rows = statement.query(below(parent))?;
        let mut collections = BTreeMap::new();
        while let Some(row) = rows.next()? {
            let path = CollectionPath::from_stored(row.get(1)?);
            if scope.contains_collection(&path) {
                collections.insert(row.get(0)?, path);
            }
        }
        Ok(collections)
    }

    /// What a later change, which this state does not hold, has overwritten.
    fn former(&self, collection: i64, id: &[u8]) -> Result<Former, StoreError> {
        if !self.is_former {
            return Ok(Former::Unchanged);
        }
        let before = self
            .connection
            .prepare_cached(
                "SELECT before, checksum FROM change WHERE revision > ? AND collection = ? AND id = ?
                 ORDER BY revision LIMIT 1",
            )?
            .query_row(params![self.position.revision, collection, id], |row| {
                Body::read_optional(row, 0)
            })
            .optional()?;
        Ok(before.map_or(Former::Unchanged, Former::Is))
    }

    fn stored(&self, collection: i64, id: &[u8]) -> Result<Option<Document>, StoreError> {
        let body = self
            .connection
            .prepare_cached("SELECT body, checksum FROM document WHERE collection = ? AND id = ?")?
            .query_row(params![collection, id], |row| Body::read(row, 0))
            .optional()?;
        body.map(|body| body.decode()).transpose()
    }
}

/// One document in a former state.
enum Former {
    /// As in the newest state.
    Unchanged,
    /// This body, or none.
    Is(Option<Body>),
}

impl Position {
    /// Before the first change.
    pub(crate) const START: Self = Self { revision: 0, committed: Micros(0) };
}

/// The newest row of the log that was committed at `time` or before.
fn newest(connection: &Connection, time: i64) -> Result<Option<Position>, StoreError> {
    Ok(connection
        .prepare_cached(
            "SELECT revision, committed FROM change WHERE committed <= ?
             ORDER BY revision DESC LIMIT 1",
        )?
        .query_row([time], |row| {
            Ok(Position { revision: row.get(0)?, committed: Micros(row.get(1)?) })
        })
        .optional()?)
}

/// The range of all paths below a path.
fn below(path: &str) -> [String; 2] {
    // The byte after `/`.
    [format!("{path}/"), format!("{path}0")]
}
