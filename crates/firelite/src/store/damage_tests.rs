//! Files that are broken, or not ours.

use rusqlite::Connection;
use tempfile::TempDir;

use super::{
    tests::{INDEXES, file, metrics, open, run, set},
    *,
};
use crate::{
    query::tests::{all, field, filtered, indexes_json},
    value::strategies::{int, text},
};
use gcloud_sdk::google::firestore::v1::structured_query::field_filter::Operator;

#[tokio::test]
async fn a_damaged_page_is_an_error_and_never_a_panic() {
    let directory = with_documents().await;
    let path = file(&directory);
    let whole = std::fs::read(&path).unwrap();
    let mut seen = 0;
    for page in 0..whole.len() / 4096 {
        let mut damaged = whole.clone();
        damaged[page * 4096..(page + 1) * 4096].fill(0xA5);
        std::fs::write(&path, &damaged).unwrap();
        let indexes = Indexes::parse(&indexes_json("c", INDEXES)).unwrap();
        let Ok((store, writer)) = Store::open(&path, &indexes, Micros::now, &metrics()) else {
            seen += 1;
            continue;
        };
        let results = run(&store, filtered(field("a", Operator::Equal, int(1)))).await;
        let whole = run(&store, all()).await;
        let written = store.commit(vec![set("d1", int(1))]).await;
        seen += usize::from(results.is_err() || whole.is_err() || written.is_err());
        drop(store);
        writer.stop().await.unwrap();
    }
    assert!(seen > 3, "damage was noticed {seen} times");
}

#[tokio::test]
async fn what_is_no_database_of_ours_is_refused_and_stays_as_it_is() {
    let directory = TempDir::new().unwrap();
    let path = file(&directory);
    std::fs::write(&path, "certainly no database, but long enough to be read as one").unwrap();
    let text = refused(&directory);
    assert!(text.contains("is damaged: ") && text.contains("restore it from a copy"), "{text}");

    std::fs::remove_file(&path).unwrap();
    Connection::open(&path).unwrap().execute_batch("CREATE TABLE t (a)").unwrap();
    let text = refused(&directory);
    assert!(text.contains(" is a database of another program, not "), "{text}");
    let tables = "SELECT count(*) FROM sqlite_schema";
    let tables: i64 =
        Connection::open(&path).unwrap().query_row(tables, [], |row| row.get(0)).unwrap();
    assert_eq!(tables, 1);
}

#[tokio::test]
async fn a_file_of_another_version_is_refused() {
    let directory = with_documents().await;
    let other = Connection::open(file(&directory)).unwrap();
    other.pragma_update(None, "user_version", 2).unwrap();
    drop(other);
    let text = refused(&directory);
    assert!(text.contains(" is a firelite database of version 2, not "), "{text}");
}

#[tokio::test]
async fn a_file_that_lacks_a_table_is_refused() {
    for table in ["state", "collection", "document", "index_definition", "index_entry", "change"] {
        let directory = with_documents().await;
        let other = Connection::open(file(&directory)).unwrap();
        other.pragma_update(None, "foreign_keys", false).unwrap();
        other.execute_batch(&format!("DROP TABLE {table}")).unwrap();
        drop(other);
        let text = refused(&directory);
        assert!(text.contains(&format!("is damaged: it has no table {table}")), "{text}");
    }
}

#[tokio::test]
async fn a_file_that_was_cut_is_refused() {
    let directory = with_documents().await;
    let path = file(&directory);
    let whole = std::fs::read(&path).unwrap();
    for bytes in [1, 100, 4_095, 4_096, whole.len() / 2, whole.len() - 1] {
        std::fs::write(&path, &whole[..bytes]).unwrap();
        let text = refused(&directory);
        assert!(text.contains("is damaged: "), "{bytes} bytes: {text}");
    }
    std::fs::write(&path, &whole).unwrap();
    let (store, _writer) = open(&directory, INDEXES, Micros::now);
    assert_eq!(run(&store, all()).await.unwrap().0.len(), 50);
}

#[tokio::test]
async fn an_emptied_file_is_not_taken_for_a_new_one_while_its_log_is_there() {
    let directory = TempDir::new().unwrap();
    std::fs::write(file(&directory), "").unwrap();
    std::fs::write(directory.path().join("firelite.db-wal"), "commits").unwrap();
    let text = refused(&directory);
    assert!(text.contains("is damaged: it is empty, but its -wal is not"), "{text}");
}

/// A closed file of fifty documents.
async fn with_documents() -> TempDir {
    let directory = TempDir::new().unwrap();
    let (store, writer) = open(&directory, INDEXES, Micros::now);
    for n in 0..50 {
        store.commit(vec![set(&format!("d{n}"), text(&"x".repeat(500)))]).await.unwrap();
    }
    drop(store);
    writer.stop().await.unwrap();
    directory
}

/// The text of the refusal, which is one line and names the file.
fn refused(directory: &TempDir) -> String {
    let path = file(directory);
    let opened = Store::open(&path, &Indexes::default(), Micros::now, &metrics());
    let text = opened.err().unwrap().to_string();
    assert!(text.contains(path.to_str().unwrap()) && !text.contains('\n'), "{text}");
    text
}
