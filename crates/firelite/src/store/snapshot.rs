//! Reads of one consistent state of the file.

use std::ops::ControlFlow;

use gcloud_sdk::google::firestore::v1::Document;
use rusqlite::{CachedStatement, Connection, OptionalExtension, Rows, params};

use super::{StoreError, decode};
use crate::{
    indexes::NumberedIndex,
    name::{CollectionPath, DocumentName},
    query::{Query, Scan, Source, scans},
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

/// One state of the file.
pub(crate) struct Snapshot<'c> {
    connection: &'c Connection,
    indexes: &'c [NumberedIndex],
    position: Position,
    read_time: Micros,
}

impl<'c> Snapshot<'c> {
    /// `connection` must be in a transaction.
    pub(super) fn new(
        connection: &'c Connection,
        indexes: &'c [NumberedIndex],
    ) -> Result<Self, StoreError> {
        let last: i64 = connection
            .prepare_cached("SELECT last_commit FROM state")?
            .query_row([], |row| row.get(0))?;
        let position = newest(connection, i64::MAX)?.unwrap_or(Position::START);
        Ok(Self { connection, indexes, position, read_time: Micros(last) })
    }

    /// Where the change log stands.
    pub(crate) fn position(&self) -> Position {
        self.position
    }

    /// The commit time of the last commit that this state holds.
    pub(crate) fn read_time(&self) -> Micros {
        self.read_time
    }

    /// One document.
    pub(crate) fn get(&self, name: &DocumentName) -> Result<Option<Document>, StoreError> {
        let mut id = Vec::new();
        document_id(&mut id, name.id());
        match self.collection(name.collection().as_str())? {
            Some(collection) => self.stored(collection, &id),
            None => Ok(None),
        }
    }

    /// Hands every result of the query to `visit`, in order, until that breaks off; offset and
    /// limit are obeyed. Returns how many stored documents were looked at.
    pub(crate) fn run(
        &self,
        query: &Query,
        mut visit: impl FnMut(Document) -> ControlFlow<()>,
    ) -> Result<usize, Refusal> {
        let scans = scans(query, self.indexes)?;
        let Some(collection) = self.collection(query.collection.as_str())? else { return Ok(0) };
        let mut statements =
            scans.iter().map(|scan| self.prepare(scan)).collect::<Result<Vec<_>, _>>()?;
        let mut merge = Merge { query, walks: Vec::new(), visited: 0, last: None };
        for (statement, scan) in statements.iter_mut().zip(&scans) {
            merge.walks.push(Walk { rows: open(statement, scan, collection)?, head: Head::Unread });
        }
        let mut skip = query.offset;
        let mut left = query.limit;
        while left != Some(0) {
            let Some(document) = merge.next()? else { break };
            if skip > 0 {
                skip = skip.saturating_sub(1);
                continue;
            }
            left = left.map(|left| left.saturating_sub(1));
            if visit(document).is_break() {
                break;
            }
        }
        Ok(merge.visited)
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

    /// The net changes since a resumable position of the documents in one of `collections`, in
    /// the order of their last change.
    pub(crate) fn changes_since(
        &self,
        position: Position,
        collections: &[CollectionPath],
    ) -> Result<Vec<Change>, StoreError> {
        let mut changes = Vec::new();
        for path in collections {
            if let Some(collection) = self.collection(path.as_str())? {
                self.changes_in(position, path, collection, &mut changes)?;
            }
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
            "SELECT id, before, min(revision), last FROM
               (SELECT id, before, revision, max(revision) OVER (PARTITION BY id) AS last
                FROM change WHERE revision > ? AND collection = ?)
             GROUP BY id",
        )?;
        let mut rows = statement.query([position.revision, collection])?;
        while let Some(row) = rows.next()? {
            let id: Vec<u8> = row.get(0)?;
            let before: Option<Vec<u8>> = row.get(1)?;
            let before = before.map(|body| decode(&body)).transpose()?;
            let after = self.stored(collection, &id)?;
            let named = before.as_ref().or(after.as_ref());
            // Created and deleted since: nobody has seen it.
            let Some(Document { name, .. }) = named else { continue };
            let id = name.rsplit('/').next().unwrap_or_default();
            if let Ok(name) = path.document(id) {
                changes.push((row.get(3)?, Change { name, before, after }));
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

    fn stored(&self, collection: i64, id: &[u8]) -> Result<Option<Document>, StoreError> {
        let body: Option<Vec<u8>> = self
            .connection
            .prepare_cached("SELECT body FROM document WHERE collection = ? AND id = ?")?
            .query_row(params![collection, id], |row| row.get(0))
            .optional()?;
        body.map(|body| decode(&body)).transpose()
    }

    fn prepare(&self, scan: &Scan) -> Result<CachedStatement<'c>, StoreError> {
        Ok(self.connection.prepare_cached(sql(scan))?)
    }
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

/// The statement of a scan. An absent end is another text, so that SQLite always sees a plain
/// range of its B-tree.
pub(super) fn sql(scan: &Scan) -> &'static str {
    match (&scan.source, scan.range.end.is_some()) {
        (Source::Documents, true) => {
            "SELECT body FROM document WHERE collection = ?1 AND id >= ?2 AND id < ?3 ORDER BY id"
        }
        (Source::Documents, false) => {
            "SELECT body FROM document WHERE collection = ?1 AND id >= ?2 ORDER BY id"
        }
        (Source::Index(_), true) => {
            "SELECT d.body FROM index_entry e CROSS JOIN document d ON d.number = e.document
             WHERE e.collection = ?1 AND e.key >= ?2 AND e.key < ?3 AND e.definition = ?4
             ORDER BY e.key"
        }
        (Source::Index(_), false) => {
            "SELECT d.body FROM index_entry e CROSS JOIN document d ON d.number = e.document
             WHERE e.collection = ?1 AND e.key >= ?2 AND e.definition = ?3 ORDER BY e.key"
        }
    }
}

fn open<'s>(
    statement: &'s mut CachedStatement<'_>,
    Scan { source, range }: &Scan,
    collection: i64,
) -> Result<Rows<'s>, StoreError> {
    let start = &range.start;
    Ok(match (source, &range.end) {
        (Source::Documents, Some(end)) => statement.query(params![collection, start, end])?,
        (Source::Documents, None) => statement.query(params![collection, start])?,
        (Source::Index(number), Some(end)) => {
            statement.query(params![collection, start, end, number])?
        }
        (Source::Index(number), None) => statement.query(params![collection, start, number])?,
    })
}

/// Several walks in the same order, merged into one without duplicates.
struct Merge<'s> {
    query: &'s Query,
    walks: Vec<Walk<'s>>,
    visited: usize,
    last: Option<Vec<u8>>,
}

struct Walk<'s> {
    rows: Rows<'s>,
    head: Head,
}

/// The next result of a walk, with its sort key.
enum Head {
    Unread,
    Ready(Vec<u8>, Document),
    Done,
}

impl Merge<'_> {
    fn next(&mut self) -> Result<Option<Document>, StoreError> {
        loop {
            let mut first: Option<(usize, &Vec<u8>)> = None;
            for (position, walk) in self.walks.iter_mut().enumerate() {
                self.visited = self.visited.saturating_add(walk.advance(self.query)?);
                if let Head::Ready(key, _) = &walk.head
                    && first.is_none_or(|(_, smallest)| key < smallest)
                {
                    first = Some((position, key));
                }
            }
            let Some((position, _)) = first else { return Ok(None) };
            let Some(walk) = self.walks.get_mut(position) else { return Ok(None) };
            if let Head::Ready(key, document) = std::mem::replace(&mut walk.head, Head::Unread)
                && self.last.as_ref() != Some(&key)
            {
                self.last = Some(key);
                return Ok(Some(document));
            }
        }
    }
}

impl Walk<'_> {
    /// Makes the head known; returns how many documents that took.
    fn advance(&mut self, query: &Query) -> Result<usize, StoreError> {
        let mut visited = 0_usize;
        while matches!(self.head, Head::Unread) {
            let Some(row) = self.rows.next()? else {
                self.head = Head::Done;
                break;
            };
            visited = visited.saturating_add(1);
            let body = row.get_ref(0)?.as_blob().map_err(rusqlite::Error::from)?;
            let document = decode(body)?;
            if let Some(key) = query.result_key(&document) {
                self.head = Head::Ready(key, document);
            }
        }
        Ok(visited)
    }
}
