//! A look at the whole of a file before it is served.

use rusqlite::{Connection, params};

use super::{
    StoreError,
    body::{self, Body},
    entries,
};
use crate::{
    indexes::NumberedIndex,
    limits::INSPECTED_BYTES_MAX,
    name::{CollectionPath, DocumentName},
    value::document_id,
};

/// Says what is wrong with the file, if anything is; what is too large is not looked at.
///
/// # Guarantees
///
/// In a file that was looked at, every document is as it was written, is found by its name and in
/// each of its indexes, and nothing else is in these.
pub(super) fn inspect(
    connection: &Connection,
    indexes: &[NumberedIndex],
) -> Result<Option<String>, StoreError> {
    let pragma = |name| connection.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
    let bytes = pragma("page_count")?.saturating_mul(pragma("page_size")?);
    if bytes > INSPECTED_BYTES_MAX {
        return Ok(None);
    }
    let verdict: String =
        connection.query_row("PRAGMA integrity_check(1)", [], |row| row.get(0))?;
    if verdict != "ok" {
        return Ok(Some(verdict.replace('\n', " ")));
    }
    inspect_changes(connection)?;
    inspect_documents(connection, indexes)
}

fn inspect_changes(connection: &Connection) -> Result<(), StoreError> {
    let mut statement = connection.prepare("SELECT before, checksum FROM change")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        Body::read_optional(row, 0)?.map(|body| body.decode()).transpose()?;
    }
    Ok(())
}

fn inspect_documents(
    connection: &Connection,
    indexes: &[NumberedIndex],
) -> Result<Option<String>, StoreError> {
    let mut statement = connection.prepare(
        "SELECT c.path, d.collection, d.id, d.number, d.body, d.checksum
         FROM document d LEFT JOIN collection c ON c.number = d.collection",
    )?;
    let mut entry = connection.prepare(
        "SELECT 1 FROM index_entry
         WHERE definition = ? AND collection = ? AND key = ? AND document = ?",
    )?;
    let mut rows = statement.query([])?;
    let mut n_entries = 0_i64;
    while let Some(row) = rows.next()? {
        let (collection, number): (i64, i64) = (row.get(1)?, row.get(3)?);
        let document = body::document(row, 4)?;
        let path: Option<String> = row.get(0)?;
        let Some(name) = name_of(path, &document.name, row.get_ref(2)?.as_blob().ok()) else {
            return Ok(Some("a document stands in another's place".into()));
        };
        for (definition, key) in entries::entries(indexes, name.collection().group(), &document) {
            n_entries = n_entries.saturating_add(1);
            if !entry.exists(params![definition, collection, key, number])? {
                return Ok(Some("a document is not in all of its indexes".into()));
            }
        }
    }
    let all: i64 =
        connection.query_row("SELECT count(*) FROM index_entry", [], |row| row.get(0))?;
    let surplus = (all != n_entries).then(|| "an index has what is no document's".into());
    Ok(surplus)
}

/// The document's name, if that is where it stands.
fn name_of(collection: Option<String>, name: &str, id: Option<&[u8]>) -> Option<DocumentName> {
    let name = DocumentName::parse(name).ok()?;
    let mut key = Vec::new();
    document_id(&mut key, name.id());
    let is_there =
        name.collection() == CollectionPath::from_stored(collection?) && id == Some(key.as_slice());
    is_there.then_some(name)
}
