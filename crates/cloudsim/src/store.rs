//! The state on disk: one SQLite file, or SQLite in memory.

use std::path::Path;

use rusqlite::{Connection, params};
use serde_json::Value;

use crate::world::{Change, Record, World};

/// The file that holds all state of a simulated cloud, in its data directory.
const FILE_NAME: &str = "cloudsim.db";

/// Most lines that one read of the log answers.
const LOG_LINES_MAX: u32 = 10_000;

/// What can go wrong with the state on disk.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The data directory could not be created.
    #[error("creating the data directory {directory}")]
    CreateDirectory {
        /// The directory's path.
        directory: String,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// `SQLite` refused a statement.
    #[error("{action} the simulated cloud's database")]
    Database {
        /// What was being done.
        action: &'static str,
        /// Why it failed.
        #[source]
        source: rusqlite::Error,
    },
    /// A stored record, or one about to be stored, is not what this version understands.
    #[error("{action} the record {key}")]
    Record {
        /// What was being done.
        action: &'static str,
        /// The record's key.
        key: String,
        /// Why it failed.
        #[source]
        source: serde_json::Error,
    },
}

/// The database. Every commit is on disk when it returns.
#[derive(Debug)]
pub(crate) struct Store {
    connection: Connection,
}

impl Store {
    pub(crate) fn open(directory: Option<&Path>) -> Result<Self, StoreError> {
        let connection = match directory {
            Some(directory) => {
                std::fs::create_dir_all(directory).map_err(|source| {
                    StoreError::CreateDirectory {
                        directory: directory.display().to_string(),
                        source,
                    }
                })?;
                Connection::open(directory.join(FILE_NAME))
            }
            None => Connection::open_in_memory(),
        };
        let connection = connection.map_err(database("opening"))?;
        connection
            .execute_batch(
                // One process owns the file: a second one would serve a state that goes stale.
                "PRAGMA locking_mode = EXCLUSIVE;
                 PRAGMA journal_mode = WAL;
                 PRAGMA synchronous = FULL;
                 CREATE TABLE IF NOT EXISTS records (key TEXT PRIMARY KEY, body TEXT NOT NULL) WITHOUT ROWID;
                 CREATE TABLE IF NOT EXISTS log (n INTEGER PRIMARY KEY AUTOINCREMENT, body TEXT NOT NULL);",
            )
            .map_err(database("preparing"))?;
        Ok(Self { connection })
    }

    /// The stored world; `None` for a new database.
    pub(crate) fn load(&self) -> Result<Option<World>, StoreError> {
        let mut statement = self
            .connection
            .prepare("SELECT key, body FROM records")
            .map_err(database("reading"))?;
        let rows = statement
            .query_map([], |row| Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?)))
            .map_err(database("reading"))?;
        let mut world = None;
        for row in rows {
            let (key, body) = row.map_err(database("reading"))?;
            let record: Record = serde_json::from_str(&body)
                .map_err(|source| StoreError::Record { action: "reading", key, source })?;
            world.get_or_insert_with(World::default).apply(Change::Put(record));
        }
        Ok(world)
    }

    /// Writes all of the changes or none.
    pub(crate) fn commit(&mut self, changes: &[Change]) -> Result<(), StoreError> {
        if changes.is_empty() {
            return Ok(());
        }
        let transaction = self.connection.transaction().map_err(database("writing"))?;
        for change in changes {
            let written = match change {
                Change::Put(record) => {
                    let key = record.key();
                    let body = serde_json::to_string(record).map_err(|source| {
                        StoreError::Record { action: "writing", key: key.clone(), source }
                    })?;
                    transaction
                        .prepare_cached(
                            "INSERT OR REPLACE INTO records (key, body) VALUES (?1, ?2)",
                        )
                        .and_then(|mut statement| statement.execute(params![key, body]))
                }
                Change::Remove(removed) => transaction
                    .execute("DELETE FROM records WHERE key = ?1", params![removed.key()]),
                Change::Log(line) => transaction
                    .execute("INSERT INTO log (body) VALUES (?1)", params![line.to_string()]),
            };
            written.map_err(database("writing"))?;
        }
        transaction.commit().map_err(database("writing"))
    }

    /// The log's lines after number `after`, oldest first, at most [`LOG_LINES_MAX`].
    pub(crate) fn log_after(&self, after: i64) -> Result<Vec<Value>, StoreError> {
        let mut statement = self
            .connection
            .prepare_cached("SELECT n, body FROM log WHERE n > ?1 ORDER BY n LIMIT ?2")
            .map_err(database("reading"))?;
        let rows = statement
            .query_map(params![after, LOG_LINES_MAX], |row| {
                Ok((row.get::<_, i64>(0)?, row.get::<_, String>(1)?))
            })
            .map_err(database("reading"))?;
        rows.map(|row| {
            let (n, body) = row.map_err(database("reading"))?;
            let mut line: Value = serde_json::from_str(&body).map_err(|source| {
                StoreError::Record { action: "reading", key: format!("log/{n}"), source }
            })?;
            line["n"] = n.into();
            Ok(line)
        })
        .collect()
    }
}

fn database(action: &'static str) -> impl Fn(rusqlite::Error) -> StoreError {
    move |source| StoreError::Database { action, source }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::world::{Person, Removed, Token};

    #[test]
    fn what_was_committed_is_there_after_reopening() {
        let directory = tempfile::tempdir().unwrap();
        let mut store = Store::open(Some(directory.path())).unwrap();
        assert!(store.load().unwrap().is_none());
        let changes =
            [person("a@x"), person("b@x"), token("t", "a@x"), Change::Log(json!({"caller": "a"}))];
        store.commit(&changes).unwrap();
        store
            .commit(&[
                Change::Remove(Removed::Person("b@x".into())),
                Change::Remove(Removed::Token("t".into())),
            ])
            .unwrap();
        drop(store);

        let store = Store::open(Some(directory.path())).unwrap();
        let world = store.load().unwrap().unwrap();
        assert_eq!(world.people.keys().collect::<Vec<_>>(), ["a@x"]);
        assert!(world.tokens.is_empty());
        assert_eq!(store.log_after(0).unwrap(), [json!({"caller": "a", "n": 1})]);
        assert!(store.log_after(1).unwrap().is_empty());
    }

    #[test]
    fn a_second_process_cannot_open_the_same_directory() {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::open(Some(directory.path())).unwrap();
        let path = directory.path().join(FILE_NAME);
        let second = Connection::open(path).unwrap();
        second.busy_timeout(std::time::Duration::ZERO).unwrap();
        assert!(second.execute_batch("SELECT count(*) FROM records").is_err());
        drop(store);
        assert!(second.execute_batch("SELECT count(*) FROM records").is_ok());
    }

    #[test]
    fn a_damaged_record_is_an_error_and_not_an_empty_world() {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::open(Some(directory.path())).unwrap();
        store.connection.execute("INSERT INTO records VALUES ('person/a', '{')", []).unwrap();
        assert!(matches!(store.load(), Err(StoreError::Record { .. })));
    }

    fn person(email: &str) -> Change {
        let (email, id) = (email.to_owned(), "1".to_owned());
        Change::Put(Record::Person(Person { email, id, ..Person::default() }))
    }

    fn token(token: &str, account: &str) -> Change {
        Change::Put(Record::Token(Token {
            secret: token.into(),
            account: account.into(),
            expires: None,
            scopes: None,
        }))
    }
}
