//! Files that are broken, or not ours: each is refused, or everything in it is as it was written.

use std::{collections::BTreeMap, fs};

use gcloud_sdk::google::firestore::v1::{
    StructuredQuery, structured_query::field_filter::Operator, write::Operation,
};
use rusqlite::Connection;
use tempfile::TempDir;

use super::{
    tests::{INDEXES, delete, file, get, metrics, mutation, open, run, set},
    *,
};
use crate::{
    query::tests::{all, document, field, filtered, indexes_json, order},
    value::strategies::{int, text},
};

const PAGE: usize = 4_096;
/// The header of the file is in the first bytes of its first page.
const HEADER: usize = 100;
const DOCUMENTS: i64 = 40;

#[tokio::test]
async fn a_file_cut_at_any_page_is_refused() {
    let sample = Sample::new().await;
    for bytes in (PAGE..sample.whole.len()).step_by(PAGE) {
        let text = sample.refusal(&sample.whole[..bytes]).await;
        assert!(text.contains("is damaged: "), "{bytes} bytes: {text}");
    }
    assert_eq!(sample.seen(&sample.whole).await, Ok(()));
}

#[tokio::test]
async fn a_file_cut_within_a_page_is_refused() {
    let sample = Sample::new().await;
    let len = sample.whole.len();
    for bytes in [1, HEADER, PAGE - 1, PAGE + 1, len / 2 + 1, len - 1] {
        let text = sample.refusal(&sample.whole[..bytes]).await;
        assert!(text.contains("is damaged: "), "{bytes} bytes: {text}");
    }
}

/// Pages on the free list hold nothing; every other one is missed.
#[tokio::test]
async fn a_lost_page_is_refused_unless_it_is_free() {
    let sample = Sample::new().await;
    for filling in [0x00, 0xA5, 0xFF] {
        let mut unnoticed = 0;
        for page in 0..sample.whole.len() / PAGE {
            let mut damaged = sample.whole.clone();
            damaged[page * PAGE..(page + 1) * PAGE].fill(filling);
            match sample.seen(&damaged).await {
                Ok(()) => unnoticed += 1,
                Err(text) => assert!(text.contains("is damaged: "), "page {page}: {text}"),
            }
        }
        assert!(unnoticed < sample.free_pages, "{unnoticed} of {}", sample.free_pages);
    }
}

#[tokio::test]
async fn a_flipped_byte_in_the_header_is_refused_or_means_nothing() {
    let sample = Sample::new().await;
    let mut refused = 0;
    for at in 0..HEADER {
        refused += usize::from(sample.seen(&sample.flipped(at)).await.is_err());
    }
    // Magic, page size, encoding, size of the free list, version of the schema, ours of both.
    assert!(refused > 30, "{refused}");
}

#[tokio::test]
async fn a_flipped_byte_anywhere_is_refused_or_means_nothing() {
    let sample = Sample::new().await;
    let (mut flips, mut refused) = (0, 0);
    for page in 0..sample.whole.len() / PAGE {
        // The header of the page, the places of its cells, and what is in them.
        for within in [0, 1, 3, 5, 8, 9, 11, 60, 700, 1_500, 2_300, 3_100, 3_700, 4_000, 4_090] {
            flips += 1;
            let seen = sample.seen(&sample.flipped(page * PAGE + within)).await;
            refused += usize::from(seen.is_err());
        }
    }
    assert!(refused * 2 > flips, "{refused} of {flips}");
}

/// SQLite finds nothing wrong with it, and it decodes.
#[tokio::test]
async fn a_flipped_byte_in_a_text_is_refused() {
    let sample = Sample::new().await;
    let padding = "y".repeat(100);
    let places = sample.whole.windows(100).enumerate().filter(|(_, w)| *w == padding.as_bytes());
    let places: Vec<usize> = places.map(|(at, _)| at).step_by(1_000).collect();
    assert!(places.len() > 5, "{places:?}");
    let mut refused = 0;
    for at in places {
        // In what a deleted document has left, it means nothing.
        let Err(text) = sample.seen(&sample.flipped(at)).await else { continue };
        assert!(text.contains("a stored document is damaged: its checksum is "), "{text}");
        refused += 1;
    }
    assert!(refused > 5, "{refused}");
}

/// A file that is too large to be looked at as a whole.
#[tokio::test]
async fn damage_in_a_large_file_is_noticed_where_it_is_read() {
    let directory = TempDir::new().unwrap();
    let (store, writer) = open(&directory, INDEXES, Micros::now);
    for n in 0..20 {
        let pad = "y".repeat(450_000);
        let pad = text(&format!("{pad} of d{n:02} {pad}"));
        let whole = document(&format!("d{n:02}"), &[("a", int(n)), ("pad", pad)]);
        store.commit(vec![mutation(Operation::Update(whole))]).await.unwrap();
    }
    close(store, writer).await;
    let path = file(&directory);
    let mut bytes = fs::read(&path).unwrap();
    assert!(i64::try_from(bytes.len()).unwrap() > crate::limits::INSPECTED_BYTES_MAX);
    let at = bytes.windows(8).position(|window| window == b" of d07 ").unwrap();
    bytes[at + 1] ^= 1;
    fs::write(&path, &bytes).unwrap();

    let (store, writer) = open(&directory, INDEXES, Micros::now);
    let mut damaged = Vec::new();
    for n in 0..20 {
        let by_a = run(&store, filtered(field("a", Operator::Equal, int(n)))).await;
        match by_a {
            Ok((ids, _)) => assert_eq!(ids, [format!("d{n:02}")]),
            Err(Refusal::Store(StoreError::Body(_))) => damaged.push(n),
            Err(other) => panic!("{other}"),
        }
    }
    assert_eq!(damaged, [7]);
    assert!(is_damage(run(&store, all()).await.unwrap_err()));
    // A write to it would rest on what is wrong; all others go on.
    let write = |n| store.commit(vec![set(&format!("d{n:02}"), int(n))]);
    assert!(is_damage(write(7).await.unwrap_err()));
    write(8).await.unwrap();
    close(store, writer).await;
}

#[tokio::test]
async fn a_former_state_is_checked_too() {
    let sample = Sample::new().await;
    let other = sample.edit("UPDATE change SET checksum = checksum + 1 WHERE before IS NOT NULL");
    let text = sample.refusal(&other).await;
    assert!(text.contains("a stored document is damaged: its checksum is "), "{text}");
}

#[tokio::test]
async fn an_index_that_disagrees_with_the_documents_is_refused() {
    let sample = Sample::new().await;
    for (edit, how) in [
        ("DELETE FROM index_entry WHERE document = 7", "is not in all of its indexes"),
        ("UPDATE index_entry SET document = 8 WHERE document = 7", "is not in all of its indexes"),
        (
            "INSERT INTO index_entry SELECT definition, collection, CAST(key || x'00' AS BLOB), document \
             FROM index_entry LIMIT 1",
            "an index has what is no document's",
        ),
        (
            "UPDATE document SET id = CAST(id || x'01' AS BLOB) WHERE number = 7",
            "stands in another's place",
        ),
        ("UPDATE collection SET path = path || 'x'", "stands in another's place"),
        ("DELETE FROM collection", "stands in another's place"),
    ] {
        let text = sample.refusal(&sample.edit(edit)).await;
        assert!(text.contains(how), "{edit}: {text}");
    }
}

#[tokio::test]
async fn what_is_no_database_of_ours_is_refused_and_stays_as_it_is() {
    let sample = Sample::new().await;
    let text = sample.refusal(b"certainly no database, but long enough to be read as one").await;
    assert!(text.contains("is damaged: ") && text.contains("restore it from a copy"), "{text}");

    let directory = TempDir::new().unwrap();
    let other = Connection::open(file(&directory)).unwrap();
    other.execute_batch("CREATE TABLE t (a)").unwrap();
    drop(other);
    let before = fs::read(file(&directory)).unwrap();
    let text = refused(&directory);
    assert!(text.contains(" is a database of another program, not "), "{text}");
    let tables = "SELECT group_concat(name) FROM sqlite_schema";
    let tables: String =
        Connection::open(file(&directory)).unwrap().query_row(tables, [], |r| r.get(0)).unwrap();
    assert_eq!(tables, "t");
    // Only the mode of its journal is another now.
    assert_eq!(fs::read(file(&directory)).unwrap()[PAGE..], before[PAGE..]);
}

#[tokio::test]
async fn a_file_of_a_newer_version_is_refused() {
    let sample = Sample::new().await;
    let text = sample.refusal(&sample.edit("PRAGMA user_version = 3")).await;
    assert!(text.contains(" is a firelite database of version 3, not "), "{text}");
}

#[tokio::test]
async fn a_file_of_the_first_version_is_brought_up_to_date() {
    let sample = Sample::new().await;
    let old = sample.edit(
        "ALTER TABLE document DROP COLUMN checksum; ALTER TABLE change DROP COLUMN checksum;
         PRAGMA user_version = 1",
    );
    assert_eq!(sample.seen(&old).await, Ok(()));

    let directory = TempDir::new().unwrap();
    fs::write(file(&directory), &old).unwrap();
    let (store, writer) = open(&directory, INDEXES, Micros::now);
    store.commit(vec![set("d06", int(77))]).await.unwrap();
    close(store, writer).await;
    let connection = Connection::open(file(&directory)).unwrap();
    let checked = "SELECT count(checksum), count(*) FROM document";
    let checked: (i64, i64) =
        connection.query_row(checked, [], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
    assert_eq!(checked, (1, i64::try_from(sample.expected.len()).unwrap()));
    assert_eq!(connection.pragma_query_value(None, "user_version", |r| r.get(0)), Ok(2));
}

#[tokio::test]
async fn a_file_that_lacks_a_table_is_refused() {
    let sample = Sample::new().await;
    for table in ["state", "collection", "document", "index_definition", "index_entry", "change"] {
        let edit = format!("PRAGMA foreign_keys = off; DROP TABLE {table}");
        let text = sample.refusal(&sample.edit(&edit)).await;
        assert!(text.contains(&format!("is damaged: it has no table {table}")), "{text}");
    }
}

#[tokio::test]
async fn a_folder_in_the_place_of_the_file_is_refused() {
    let directory = TempDir::new().unwrap();
    fs::create_dir(file(&directory)).unwrap();
    let text = refused(&directory);
    assert!(text.starts_with("cannot create or write the database "), "{text}");
}

#[tokio::test]
async fn an_empty_file_is_a_new_one() {
    let directory = TempDir::new().unwrap();
    fs::write(file(&directory), "").unwrap();
    let (store, writer) = open(&directory, INDEXES, Micros::now);
    assert_eq!(run(&store, all()).await.unwrap().0.len(), 0);
    close(store, writer).await;
}

#[tokio::test]
async fn an_emptied_file_is_not_taken_for_a_new_one_while_its_log_is_there() {
    let directory = TempDir::new().unwrap();
    fs::write(file(&directory), "").unwrap();
    fs::write(directory.path().join("firelite.db-wal"), "commits").unwrap();
    let text = refused(&directory);
    assert!(text.contains("is damaged: it is empty, but its -wal is not"), "{text}");
}

/// A closed file with everything that files have: pages of all kinds, also free ones.
struct Sample {
    whole: Vec<u8>,
    /// What is in it, by id.
    expected: BTreeMap<String, Document>,
    free_pages: i64,
}

impl Sample {
    async fn new() -> Self {
        let directory = TempDir::new().unwrap();
        let (store, writer) = open(&directory, INDEXES, Micros::now);
        for n in 0..DOCUMENTS {
            // Some take pages of their own.
            let pad = "y".repeat(if n % 10 == 3 { 9_000 } else { 300 });
            let fields = [("a", int(n % 7)), ("b", int(n)), ("pad", text(&pad))];
            let whole = document(&format!("d{n:02}"), &fields);
            store.commit(vec![mutation(Operation::Update(whole))]).await.unwrap();
        }
        for n in (0..DOCUMENTS).step_by(5) {
            store.commit(vec![delete(&format!("d{n:02}"))]).await.unwrap();
        }
        let mut expected = BTreeMap::new();
        for n in 0..DOCUMENTS {
            let id = format!("d{n:02}");
            expected.extend(get(&store, &id).await.map(|document| (id, document)));
        }
        close(store, writer).await;
        let connection = Connection::open(file(&directory)).unwrap();
        // Frees pages.
        connection
            .execute_batch("CREATE TABLE t (a); INSERT INTO t VALUES (zeroblob(40000))")
            .unwrap();
        connection.execute_batch("DROP TABLE t; PRAGMA wal_checkpoint(TRUNCATE)").unwrap();
        let free_pages =
            connection.pragma_query_value(None, "freelist_count", |row| row.get(0)).unwrap();
        drop(connection);
        let whole = fs::read(file(&directory)).unwrap();
        assert!(free_pages > 5, "{free_pages}");
        Self { whole, expected, free_pages }
    }

    fn flipped(&self, at: usize) -> Vec<u8> {
        let mut damaged = self.whole.clone();
        damaged[at] ^= 0x14;
        damaged
    }

    /// The file as a hand that knows SQL leaves it.
    fn edit(&self, sql: &str) -> Vec<u8> {
        let directory = TempDir::new().unwrap();
        fs::write(file(&directory), &self.whole).unwrap();
        let connection = Connection::open(file(&directory)).unwrap();
        connection.execute_batch("PRAGMA foreign_keys = off").unwrap();
        connection.execute_batch(sql).unwrap();
        connection.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)").unwrap();
        drop(connection);
        fs::read(file(&directory)).unwrap()
    }

    async fn refusal(&self, bytes: &[u8]) -> String {
        self.seen(bytes).await.expect_err("a refusal")
    }

    /// Opens a file of these bytes: it is refused in words, or everything in it is right, found by
    /// name and by index, and can be written.
    async fn seen(&self, bytes: &[u8]) -> Result<(), String> {
        let directory = TempDir::new().unwrap();
        fs::write(file(&directory), bytes).unwrap();
        let (store, writer) = try_open(&directory)?;
        for n in 0..DOCUMENTS {
            let id = format!("d{n:02}");
            assert_eq!(get(&store, &id).await.as_ref(), self.expected.get(&id));
        }
        let ids: Vec<_> = self.expected.keys().cloned().collect();
        assert_eq!(run(&store, all()).await.unwrap().0, ids);
        let by_a = StructuredQuery { order_by: vec![order("a", false)], ..all() };
        let mut found = run(&store, by_a).await.unwrap().0;
        found.sort();
        assert_eq!(found, ids);
        store.commit(vec![set("new", int(1)), delete("d11")]).await.unwrap();
        close(store, writer).await;
        Ok(())
    }
}

async fn close(store: Store, writer: WriterThread) {
    drop(store);
    writer.stop().await.unwrap();
}

fn is_damage(refusal: Refusal) -> bool {
    let status = tonic::Status::from(refusal);
    status.code() == tonic::Code::DataLoss && status.message() == "a stored document is damaged"
}

/// The text of the refusal, which is one line and names the file.
fn refused(directory: &TempDir) -> String {
    try_open(directory).err().expect("a refusal")
}

fn try_open(directory: &TempDir) -> Result<(Store, WriterThread), String> {
    let path = file(directory);
    Store::open(&path, &indexes(), Micros::now, &metrics()).map_err(|error| {
        let text = error.to_string();
        assert!(text.contains(&path.display().to_string()) && !text.contains('\n'), "{text}");
        text
    })
}

fn indexes() -> Indexes {
    Indexes::parse(&indexes_json("c", INDEXES)).unwrap()
}
