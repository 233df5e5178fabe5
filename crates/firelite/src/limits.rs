//! Every limit of the server, with its reason.
//!
//! Those marked *Firestore* are <https://cloud.google.com/firestore/quotas>; a value that this
//! server accepts must also be accepted in production.

use std::time::Duration;

/// Bytes of one document, counted as Firestore counts them. *Firestore.*
pub const DOCUMENT_BYTES_MAX: usize = 1_048_576;
/// Bytes of one string or bytes value. *Firestore.*
pub const VALUE_BYTES_MAX: usize = 1_048_487;
/// Bytes of one request message. *Firestore.*
pub const REQUEST_BYTES_MAX: usize = 10 * 1_048_576;
/// Bytes of a message that the transport still decodes. Above [`REQUEST_BYTES_MAX`], so that a
/// request that is somewhat too large gets Firestore's own answer and not the transport's
/// (`OUT_OF_RANGE`).
pub const MESSAGE_BYTES_MAX: usize = 32 * 1_048_576;
/// Bytes of a document's path below `documents/`. *Firestore.*
pub const NAME_BYTES_MAX: usize = 6 * 1024;
/// Bytes of one collection or document id. *Firestore.*
pub const ID_BYTES_MAX: usize = 1_500;
/// Levels of collections in a document's path. *Firestore.*
pub const COLLECTION_DEPTH_MAX: usize = 100;
/// Bytes of one field name. *Firestore.*
pub const FIELD_NAME_BYTES_MAX: usize = 1_500;
/// Levels of maps and arrays below a field. *Firestore.*
pub const VALUE_DEPTH_MAX: usize = 20;
/// Field transforms of one write. *Firestore.*
pub const TRANSFORMS_MAX: usize = 500;
/// Conjunctions of a query's filter in disjunctive normal form, and values of `IN` and
/// `ARRAY_CONTAINS_ANY`. *Firestore.*
pub const DISJUNCTIONS_MAX: usize = 30;
/// Values of `NOT_IN`. *Firestore.*
pub const NOT_IN_VALUES_MAX: usize = 10;
/// Filters and orders of one query, plus one below a document. *Firestore*:
/// <https://firebase.google.com/docs/firestore/query-data/queries#query_limitations>.
pub const FILTERS_MAX: usize = 100;
/// Fields of one query's range and inequality filters. *Firestore*:
/// <https://firebase.google.com/docs/firestore/query-data/multiple-range-fields#limitations>.
pub const INEQUALITY_FIELDS_MAX: usize = 10;
/// Aggregations of one query. *Firestore.*
pub const AGGREGATIONS_MAX: usize = 5;
/// Bytes of one index entry. *Firestore.*
pub const INDEX_ENTRY_BYTES_MAX: usize = 7_680;
/// Index entries of one document. *Firestore.* Bounds the work of one write.
pub const INDEX_ENTRIES_MAX: usize = 40_000;
/// Documents in one page of `ListDocuments`, whatever the caller asks for. *Firestore.*
pub const PAGE_SIZE_MAX: usize = 300;
/// Targets of one Listen stream. Firestore's clients multiplex up to this many.
pub const TARGETS_MAX: usize = 100;
/// Documents of one documents target. *Firestore* (as for `BatchGetDocuments` of its clients).
pub const TARGET_DOCUMENTS_MAX: usize = 100;

/// How long one query may stream before it ends with `DEADLINE_EXCEEDED`, so that a client that
/// does not read cannot pin a read snapshot (and with it the write-ahead log) for ever.
/// *Firestore.*
pub const QUERY_TIME_MAX: Duration = Duration::from_mins(1);
/// How long a transaction may lie idle. *Firestore.*
pub const TRANSACTION_IDLE_MAX: Duration = Duration::from_mins(1);
/// How long a transaction may last. *Firestore.*
pub const TRANSACTION_TIME_MAX: Duration = Duration::from_secs(270);
/// Transactions open at the same time; beyond it a new one is refused. Each is small, but a
/// client that begins them in a loop must not fill the memory.
pub const TRANSACTIONS_MAX: usize = 1_000;
/// Bytes of names and queries that all open transactions together remember of their reads, so
/// that conflicts are found when they commit.
pub const TRANSACTION_BYTES_MAX: usize = 64 * 1_048_576;
/// How often transactions that are over are forgotten, and how old the gauges may be.
pub const SWEEP_INTERVAL: Duration = Duration::from_secs(10);
/// How often an idle Listen stream gets a fresh resume token: its token must not fall out of the
/// change log while its own targets are quiet, and its client must hear that the stream lives.
pub const TOKEN_REFRESH_INTERVAL: Duration = Duration::from_secs(30);
/// How long `Server::serve` waits for calls in flight after it was told to stop.
pub const SHUTDOWN_GRACE: Duration = Duration::from_secs(5);

/// Connections that read at the same time. Each costs a page cache of 2 MiB.
pub const READERS_MAX: usize = 16;
/// Requests in one SQLite transaction: enough to share one disk flush among all waiting clients,
/// few enough that the first of them waits only a few milliseconds for the others.
pub const GROUP_COMMIT_MAX: usize = 256;
/// Commits that wait for the writer; beyond it callers wait for room (back-pressure).
pub const WRITE_QUEUE_MAX: usize = 1_024;
/// Changes of documents between two checkpoints: few enough that the write-ahead log stays in the
/// system's cache, enough that pages written again and again are copied once.
pub const CHECKPOINT_CHANGES: i64 = 1_000;
/// Bytes of a file that is looked at as a whole before it is served: more would be felt at a start.
/// What is wrong in a larger one shows where it is read.
pub const INSPECTED_BYTES_MAX: i64 = 16 * 1_048_576;
/// Rows kept in the change log: a listener that was away for longer is reset.
pub const LOG_ROWS_MAX: usize = 100_000;
/// Bytes of former document bodies kept in the change log.
pub const LOG_BYTES_MAX: usize = 64 * 1_048_576;
/// Replies of one stream that wait for its client.
pub const STREAM_BUFFER: usize = 64;
/// Concurrent calls on one HTTP/2 connection, as Google's front ends allow.
pub const STREAMS_PER_CONNECTION_MAX: u32 = 100;

const _: () = assert!(REQUEST_BYTES_MAX < MESSAGE_BYTES_MAX);
const _: () = assert!(DOCUMENT_BYTES_MAX < REQUEST_BYTES_MAX);
const _: () = assert!(GROUP_COMMIT_MAX <= WRITE_QUEUE_MAX);
const _: () = assert!(DOCUMENT_BYTES_MAX < LOG_BYTES_MAX);
const _: () = assert!(TRANSACTION_IDLE_MAX.as_secs() < TRANSACTION_TIME_MAX.as_secs());
const _: () = assert!(REQUEST_BYTES_MAX < TRANSACTION_BYTES_MAX);
