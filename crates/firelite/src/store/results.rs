//! The results of a query in one state of the file, one by one in the query's order.

use std::{collections::HashSet, vec};

use gcloud_sdk::google::firestore::v1::Document;
use rusqlite::{CachedStatement, Connection, Rows, params};

use super::{
    StoreError,
    body::{self, Body},
};
use crate::query::{Query, Scan, Source};

/// Several walks in the same order, merged into one without duplicates.
pub(super) struct Results<'s> {
    query: &'s Query,
    walks: Vec<Walk<'s>>,
    /// Names whose present state is not that of the snapshot.
    hidden: HashSet<String>,
    visited: usize,
    last: Option<Vec<u8>>,
}

/// One source of results, and the next of them.
struct Walk<'s> {
    origin: Origin<'s>,
    head: Head,
}

/// Where candidates come from, in the query's order.
enum Origin<'s> {
    /// Rows with the bodies of documents that may be results.
    Rows(Rows<'s>),
    /// Sorted results by number; their bodies are read when they are due.
    Numbers(&'s Connection, vec::IntoIter<(Vec<u8>, i64)>),
    /// Sorted results of a former state.
    Former(vec::IntoIter<(Vec<u8>, Document)>),
}

/// The next result of a walk, with its sort key.
enum Head {
    Unread,
    Ready(Vec<u8>, Document),
    Done,
}

/// What an origin yields.
struct Candidate {
    /// The sort key, if it is a result.
    key: Option<Vec<u8>>,
    document: Document,
}

impl<'s> Results<'s> {
    /// Without walks there are no results. Present documents with a `hidden` name are none.
    pub(super) fn new(query: &'s Query, hidden: HashSet<String>) -> Self {
        Self { query, walks: Vec::new(), hidden, visited: 0, last: None }
    }

    /// Adds the rows of a scan of one collection.
    pub(super) fn add_scan(
        &mut self,
        statement: &'s mut CachedStatement<'_>,
        scan: &Scan,
        collection: i64,
    ) -> Result<(), StoreError> {
        self.add(Origin::Rows(open(statement, scan, collection)?));
        Ok(())
    }

    /// Looks at every document of these collections and sorts the results. Only keys are held,
    /// so that the memory is bounded by the number of results and not by their size.
    pub(super) fn add_sorted(
        &mut self,
        connection: &'s Connection,
        collections: &[i64],
    ) -> Result<(), StoreError> {
        let mut statement = connection
            .prepare_cached("SELECT number, body, checksum FROM document WHERE collection = ?")?;
        let mut found = Vec::new();
        for collection in collections {
            let mut rows = statement.query([collection])?;
            while let Some(row) = rows.next()? {
                self.visited = self.visited.saturating_add(1);
                if let Some(key) = self.query.result_key(&body::document(row, 1)?) {
                    found.push((key, row.get(0)?));
                }
            }
        }
        found.sort_unstable();
        self.add(Origin::Numbers(connection, found.into_iter()));
        Ok(())
    }

    /// Adds the results among documents as they were.
    pub(super) fn add_former(&mut self, documents: impl Iterator<Item = Document>) {
        let keyed = documents
            .filter_map(|document| self.query.result_key(&document).map(|key| (key, document)));
        let mut keyed: Vec<_> = keyed.collect();
        keyed.sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
        self.add(Origin::Former(keyed.into_iter()));
    }

    fn add(&mut self, origin: Origin<'s>) {
        self.walks.push(Walk { origin, head: Head::Unread });
    }

    /// How many stored documents were looked at.
    pub(super) fn visited(&self) -> usize {
        self.visited
    }

    /// The next result.
    pub(super) fn next(&mut self) -> Result<Option<Document>, StoreError> {
        loop {
            let mut first: Option<(usize, &Vec<u8>)> = None;
            for (position, walk) in self.walks.iter_mut().enumerate() {
                let visited = walk.advance(self.query, &self.hidden)?;
                self.visited = self.visited.saturating_add(visited);
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
    fn advance(&mut self, query: &Query, hidden: &HashSet<String>) -> Result<usize, StoreError> {
        let mut visited = 0_usize;
        while matches!(self.head, Head::Unread) {
            let former = matches!(self.origin, Origin::Former(_));
            let Some(Candidate { key, document }) = self.origin.next(query)? else {
                self.head = Head::Done;
                break;
            };
            visited = visited.saturating_add(1);
            if let Some(key) = key
                && (former || !hidden.contains(&document.name))
            {
                self.head = Head::Ready(key, document);
            }
        }
        Ok(visited)
    }
}

impl Origin<'_> {
    fn next(&mut self, query: &Query) -> Result<Option<Candidate>, StoreError> {
        match self {
            Self::Rows(rows) => {
                let Some(row) = rows.next()? else { return Ok(None) };
                let document = body::document(row, 0)?;
                Ok(Some(Candidate { key: query.result_key(&document), document }))
            }
            Self::Numbers(connection, numbers) => {
                let Some((key, number)) = numbers.next() else { return Ok(None) };
                let body = connection
                    .prepare_cached("SELECT body, checksum FROM document WHERE number = ?")?
                    .query_row([number], |row| Body::read(row, 0))?;
                Ok(Some(Candidate { key: Some(key), document: body.decode()? }))
            }
            Self::Former(documents) => {
                let next = documents.next();
                Ok(next.map(|(key, document)| Candidate { key: Some(key), document }))
            }
        }
    }
}

/// The statement of a scan. An absent end is another text, so that SQLite always sees a plain
/// range of its B-tree.
pub(super) fn sql(scan: &Scan) -> &'static str {
    match (&scan.source, scan.range.end.is_some()) {
        (Source::Documents, true) => {
            "SELECT body, checksum FROM document
             WHERE collection = ?1 AND id >= ?2 AND id < ?3 ORDER BY id"
        }
        (Source::Documents, false) => {
            "SELECT body, checksum FROM document WHERE collection = ?1 AND id >= ?2 ORDER BY id"
        }
        (Source::Index(_), true) => {
            "SELECT d.body, d.checksum FROM index_entry e CROSS JOIN document d ON d.number = e.document
             WHERE e.collection = ?1 AND e.key >= ?2 AND e.key < ?3 AND e.definition = ?4
             ORDER BY e.key"
        }
        (Source::Index(_), false) => {
            "SELECT d.body, d.checksum FROM index_entry e CROSS JOIN document d ON d.number = e.document
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
