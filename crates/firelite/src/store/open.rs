//! Opening the file: lock, schema, and the indexes of the index file.

use std::{
    fs::{File, OpenOptions, TryLockError},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use rusqlite::{Connection, MAIN_DB, OptionalExtension, Transaction, params};

use super::{Epoch, StoreError, body, entries, inspection, wal};
use crate::{
    indexes::{Index, Indexes, NumberedIndex, Served},
    name::CollectionPath,
};

/// `curfew firelite` in SQLite's header, so that another program's database is not taken for one.
const APPLICATION_ID: i32 = 0x4375_464C;
/// The version of [`SCHEMA`].
const SCHEMA_VERSION: i32 = 2;
/// How long to wait for a lock that SQLite itself holds for a moment (checkpoint, recovery).
pub(super) const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// Bytes of a page: SQLite's default since 2016.
const PAGE_BYTES: u64 = 4_096;
/// Pages of the write-ahead log beyond which the writer itself makes a checkpoint after
/// a commit: its bound when commits keep coming faster than the checkpoints' own thread.
const LOG_PAGES_MAX: i64 = 8_000;
/// Bytes to which SQLite cuts the write-ahead log back after a checkpoint.
const WAL_BYTES_KEPT: i64 = 64 * 1_048_576;

/// What version 1 lacks. What it has written keeps no checksum until it is written again.
const FROM_VERSION_1: &str = "
    ALTER TABLE document ADD COLUMN checksum INTEGER;
    ALTER TABLE change ADD COLUMN checksum INTEGER;
";

/// The tables.
///
/// - `document.id` and `index_entry.key` are byte-ordered encodings, so their B-trees are in
///   Firestore's order; an entry's key ends with the document's id and is therefore unique.
/// - `change` has one row for each change of a document, with the body before it.
/// - `checksum` is of the body in the same row; none if a server without checksums wrote it.
const SCHEMA: &str = "
    CREATE TABLE state (
        singleton INTEGER PRIMARY KEY CHECK (singleton = 0),
        epoch BLOB NOT NULL,
        last_commit INTEGER NOT NULL
    ) STRICT;
    CREATE TABLE collection (number INTEGER PRIMARY KEY, path TEXT NOT NULL UNIQUE) STRICT;
    CREATE TABLE document (
        number INTEGER PRIMARY KEY,
        collection INTEGER NOT NULL REFERENCES collection,
        id BLOB NOT NULL,
        body BLOB NOT NULL,
        checksum INTEGER,
        UNIQUE (collection, id)
    ) STRICT;
    CREATE TABLE index_definition (number INTEGER PRIMARY KEY, text TEXT NOT NULL UNIQUE) STRICT;
    CREATE TABLE index_entry (
        definition INTEGER NOT NULL REFERENCES index_definition,
        collection INTEGER NOT NULL REFERENCES collection,
        key BLOB NOT NULL,
        document INTEGER NOT NULL REFERENCES document,
        PRIMARY KEY (definition, collection, key)
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE change (
        revision INTEGER PRIMARY KEY,
        committed INTEGER NOT NULL,
        collection INTEGER NOT NULL REFERENCES collection,
        id BLOB NOT NULL,
        before BLOB,
        checksum INTEGER
    ) STRICT;
    INSERT INTO state VALUES (0, randomblob(8), 0);
";

const TABLES: [&str; 6] =
    ["state", "collection", "document", "index_definition", "index_entry", "change"];

/// Why the file could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The lock file beside the database could not be made.
    #[error("cannot use the lock file {path}")]
    LockFile {
        /// The lock file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// Another server has the file open.
    #[error("{0} is open in another process")]
    InUse(PathBuf),
    /// The file cannot be created or written.
    #[error("cannot create or write the database {path}; name a file that this user may write")]
    Create {
        /// The database.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// SQLite refused the file.
    #[error("cannot open the database {path}")]
    Sqlite {
        /// The database.
        path: PathBuf,
        /// What SQLite said.
        #[source]
        source: Arc<rusqlite::Error>,
    },
    /// The file is a SQLite database of something else, or of another version. It stays untouched.
    #[error("{path} is {found}, not a firelite database of version {SCHEMA_VERSION}")]
    Foreign {
        /// The database.
        path: PathBuf,
        /// What it is instead.
        found: String,
    },
    /// SQLite cannot keep a write-ahead log there, as on some network file systems; reading beside
    /// the writer needs one.
    #[error("{path} is on a file system without write-ahead log (journal mode {mode})")]
    NoLog {
        /// The database.
        path: PathBuf,
        /// The journal mode that SQLite kept.
        mode: String,
    },
    /// The file's contents are broken: says which file, and how that showed.
    #[error("{0}; restore it from a copy, or delete it and its -wal to start empty")]
    Damaged(String),
    /// The system gave no thread.
    #[error("cannot start the writer thread")]
    Thread(#[source] std::io::Error),
}

impl OpenError {
    pub(super) fn of_store(path: &Path, error: &StoreError) -> Self {
        let cause = std::error::Error::source(error).map(|cause| format!(": {cause}"));
        Self::damaged(path, &format!("{error}{}", cause.unwrap_or_default()))
    }

    pub(super) fn of_sqlite(path: &Path, source: rusqlite::Error) -> Self {
        match StoreError::from(source) {
            StoreError::Full(source) | StoreError::Sqlite(source) => {
                Self::Sqlite { path: path.into(), source }
            }
            error @ (StoreError::Damaged(_) | StoreError::Body(_) | StoreError::Stopped) => {
                Self::of_store(path, &error)
            }
        }
    }

    fn damaged(path: &Path, how: &str) -> Self {
        Self::Damaged(format!("the database {} is damaged: {how}", path.display()))
    }
}

/// An open file.
pub(super) struct Opened {
    pub(super) connection: Connection,
    /// Held as long as the file is open; the system frees it when the process dies.
    pub(super) lock: File,
    pub(super) served: Served,
    pub(super) epoch: Epoch,
}

/// Locks and opens the file; an absent one is created.
pub(super) fn open(path: &Path, indexes: &Indexes) -> Result<Opened, OpenError> {
    let lock = lock(path)?;
    create_private(path)?;
    refuse_lost_data(path)?;
    let sqlite = |source| OpenError::of_sqlite(path, source);
    let mut connection = connect(path).map_err(sqlite)?;
    let mode: String =
        connection.pragma_query_value(None, "journal_mode", |row| row.get(0)).map_err(sqlite)?;
    if mode != "wal" {
        return Err(OpenError::NoLog { path: path.into(), mode });
    }
    if let Some(found) = create_or_identify(&mut connection).map_err(sqlite)? {
        return Err(OpenError::Foreign { path: path.into(), found });
    }
    if connection.is_readonly(MAIN_DB).map_err(sqlite)? {
        return Err(OpenError::damaged(
            path,
            "SQLite cannot write the format that its header names",
        ));
    }
    if let Some(table) = missing_table(&connection).map_err(sqlite)? {
        return Err(OpenError::damaged(path, &format!("it has no table {table}")));
    }
    let epoch =
        connection.query_row("SELECT epoch FROM state", [], |row| row.get(0)).map_err(sqlite)?;
    let transaction = connection.transaction().map_err(sqlite)?;
    let store = |error| OpenError::of_store(path, &error);
    let numbered = align_indexes(&transaction, indexes).map_err(store)?;
    if let Some(how) = inspection::inspect(&transaction, &numbered).map_err(store)? {
        return Err(OpenError::damaged(path, &how));
    }
    transaction.commit().map_err(sqlite)?;
    let served = Served { indexes: numbered, rules: indexes.clone() };
    Ok(Opened { connection, lock, served, epoch })
}

fn lock(path: &Path) -> Result<File, OpenError> {
    let mut lock_path = path.as_os_str().to_owned();
    lock_path.push(".lock");
    let lock_path = PathBuf::from(lock_path);
    let failed = |source| OpenError::LockFile { path: lock_path.clone(), source };
    let file = File::create(&lock_path).map_err(failed)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(OpenError::InUse(path.into())),
        Err(TryLockError::Error(source)) => Err(failed(source)),
    }
}

/// Creates an absent file for its owner alone; SQLite gives its log the same permissions.
fn create_private(path: &Path) -> Result<(), OpenError> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path).map_err(|source| OpenError::Create { path: path.into(), source })?;
    Ok(())
}

/// Refuses what SQLite would take for a new or a whole database: an empty file with a log (SQLite
/// writes the file first); one without a log that ends within a page (SQLite would read zeros; with
/// a log, that may be a checkpoint that found the disk full, and the log has the page); a log that
/// broke within what was acknowledged.
fn refuse_lost_data(path: &Path) -> Result<(), OpenError> {
    let mut log = path.as_os_str().to_owned();
    log.push("-wal");
    let log = PathBuf::from(log);
    let bytes = |path: &Path| std::fs::metadata(path).map_or(0, |metadata| metadata.len());
    match (bytes(path), bytes(&log)) {
        (0, 1..) => Err(OpenError::damaged(path, "it is empty, but its -wal is not")),
        (bytes, 0) if !bytes.is_multiple_of(PAGE_BYTES) => {
            Err(OpenError::damaged(path, "it does not end with a whole page"))
        }
        _ => match wal::damage(&log) {
            Ok(None) => Ok(()),
            Ok(Some(how)) => Err(OpenError::damaged(path, how)),
            Err(source) => Err(OpenError::Create { path: log, source }),
        },
    }
}

/// A connection that writes.
pub(super) fn connect(path: &Path) -> rusqlite::Result<Connection> {
    let connection = Connection::open(path)?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    // Every COMMIT flushes the log to the disk before it returns.
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "wal_autocheckpoint", LOG_PAGES_MAX)?;
    connection.pragma_update(None, "journal_size_limit", WAL_BYTES_KEPT)?;
    // Savepoints keep the pages to go back to in memory and not in a file.
    connection.pragma_update(None, "temp_store", "MEMORY")?;
    // The store keeps its references right itself; checking them again costs a look-up a row.
    connection.pragma_update(None, "foreign_keys", false)?;
    connection.set_prepared_statement_cache_capacity(64);
    Ok(connection)
}

/// Creates the tables in an empty file, and brings those of an older version up to date. Says what
/// the file is if it is not one of ours.
fn create_or_identify(connection: &mut Connection) -> rusqlite::Result<Option<String>> {
    let transaction = connection.transaction()?;
    let pragma = |name| transaction.pragma_query_value(None, name, |row| row.get::<_, i32>(0));
    let (application, version) = (pragma("application_id")?, pragma("user_version")?);
    let tables: i64 =
        transaction.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    if tables > 0 {
        match (application, version) {
            (APPLICATION_ID, SCHEMA_VERSION) => return Ok(None),
            (APPLICATION_ID, 1) => transaction.execute_batch(FROM_VERSION_1)?,
            (APPLICATION_ID, newer) => {
                return Ok(Some(format!("a firelite database of version {newer}")));
            }
            _ => return Ok(Some("a database of another program".into())),
        }
    } else {
        transaction.execute_batch(SCHEMA)?;
        transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
    }
    transaction.pragma_update(None, "user_version", SCHEMA_VERSION)?;
    transaction.commit()?;
    Ok(None)
}

fn missing_table(connection: &Connection) -> rusqlite::Result<Option<&'static str>> {
    for table in TABLES {
        if !connection.table_exists(None::<&str>, table)? {
            return Ok(Some(table));
        }
    }
    Ok(None)
}

/// Drops the entries of indexes that are no longer listed and fills those that are new.
fn align_indexes(
    transaction: &Transaction<'_>,
    indexes: &Indexes,
) -> Result<Vec<NumberedIndex>, StoreError> {
    drop_unlisted(transaction, indexes)?;
    let mut numbered = Vec::new();
    for index in indexes.iter() {
        let text = index.to_string();
        let known = transaction
            .query_row("SELECT number FROM index_definition WHERE text = ?", [&text], |row| {
                row.get(0)
            })
            .optional()?;
        let number = if let Some(number) = known {
            number
        } else {
            transaction.execute("INSERT INTO index_definition (text) VALUES (?)", [&text])?;
            let number = transaction.last_insert_rowid();
            fill(transaction, number, index)?;
            number
        };
        numbered.push((number, index.clone()));
    }
    Ok(numbered)
}

fn drop_unlisted(transaction: &Transaction<'_>, indexes: &Indexes) -> Result<(), StoreError> {
    let listed: Vec<String> = indexes.iter().map(ToString::to_string).collect();
    let mut statement = transaction.prepare("SELECT number, text FROM index_definition")?;
    let known = statement
        .query_map([], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, String>(1)?)))?
        .collect::<rusqlite::Result<Vec<_>>>()?;
    for (number, text) in known {
        if !listed.contains(&text) {
            transaction.execute("DELETE FROM index_entry WHERE definition = ?", [number])?;
            transaction.execute("DELETE FROM index_definition WHERE number = ?", [number])?;
        }
    }
    Ok(())
}

/// Enters every stored document of the index's collections.
fn fill(transaction: &Transaction<'_>, number: i64, index: &Index) -> Result<(), StoreError> {
    let mut documents =
        transaction.prepare("SELECT number, body, checksum FROM document WHERE collection = ?")?;
    let mut insert = transaction.prepare("INSERT INTO index_entry VALUES (?, ?, ?, ?)")?;
    for collection in collections_of(transaction, &index.group)? {
        let mut rows = documents.query([collection])?;
        while let Some(row) = rows.next()? {
            let document: i64 = row.get(0)?;
            for key in entries::keys(index, &body::document(row, 1)?) {
                insert.execute(params![number, collection, key, document])?;
            }
        }
    }
    Ok(())
}

fn collections_of(transaction: &Transaction<'_>, group: &str) -> Result<Vec<i64>, StoreError> {
    let mut statement = transaction.prepare("SELECT number, path FROM collection")?;
    let mut rows = statement.query([])?;
    let mut numbers = Vec::new();
    while let Some(row) = rows.next()? {
        if CollectionPath::from_stored(row.get(1)?).group() == group {
            numbers.push(row.get(0)?);
        }
    }
    Ok(numbers)
}
