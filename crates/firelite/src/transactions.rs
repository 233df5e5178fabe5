//! Open transactions: what each has read, and how long it may live.
//!
//! Transactions are optimistic. The first read of one pins the state that all its reads see, and
//! what they looked at is remembered; its commit is refused when any of that has changed since.
//! Nothing of the file is held open meanwhile: former states come from the change log.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::time::Instant;

use crate::{
    limits::{TRANSACTION_BYTES_MAX, TRANSACTION_IDLE_MAX, TRANSACTION_TIME_MAX, TRANSACTIONS_MAX},
    metrics::Metrics,
    name::{Database, DocumentName},
    query::{Query, Scope},
    store::{Change, Position},
    time::Micros,
};

/// Why a transaction cannot be used; the texts are Google's where it has one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum TransactionError {
    /// The id was never given out here, or for another database.
    #[error("Invalid transaction.")]
    Foreign,
    /// Committed, rolled back or expired. Google's clients look for this text and begin anew.
    #[error("The referenced transaction has expired or is no longer valid.")]
    Over,
    /// A write in a read-only transaction.
    #[error("Cannot modify entities in a read-only transaction.")]
    ReadOnly,
    /// No room for another.
    #[error("More than {TRANSACTIONS_MAX} transactions are open.")]
    TooMany,
    /// No room for what it reads.
    #[error("The open transactions have read more than {TRANSACTION_BYTES_MAX} bytes of names.")]
    ReadsTooMuch,
}

/// What a transaction may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// Read one state, and write if it is still the newest as far as it was read.
    ReadWrite,
    /// Only read: the state at a time, or the newest at the first read.
    ReadOnly(Option<Micros>),
}

/// What a read looks at.
#[derive(Clone, Debug)]
pub(crate) enum Footprint {
    /// These documents, also those that are not there.
    Documents(Vec<DocumentName>),
    /// Whatever the query matches; counted with the bytes of the request.
    Query(Arc<Query>, usize),
}

/// What a transaction has read, from one state.
#[derive(Debug)]
pub(crate) struct Reads {
    /// The state that it saw.
    pub(crate) position: Position,
    names: BTreeSet<DocumentName>,
    queries: Vec<Arc<Query>>,
}

/// A state of the store: where the change log stood, and the time that reads of it report.
pub(crate) type Pin = (Position, Micros);

/// The transactions of one server.
pub(crate) struct Transactions {
    /// Random; tells this server's ids from those of others.
    nonce: [u8; 8],
    metrics: Arc<Metrics>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    begun: u64,
    /// By number, and so by age.
    open: BTreeMap<u64, Transaction>,
    /// What all open ones remember.
    bytes: usize,
}

struct Transaction {
    database: Database,
    mode: Mode,
    begun: Instant,
    used: Instant,
    pin: Option<Pin>,
    names: BTreeSet<DocumentName>,
    queries: Vec<Arc<Query>>,
    bytes: usize,
}

impl Transactions {
    /// None is open.
    pub(crate) fn new(metrics: Arc<Metrics>) -> Self {
        Self { nonce: rand::random(), metrics, state: Mutex::default() }
    }

    /// Opens one and gives it an id.
    pub(crate) fn begin(
        &self,
        database: Database,
        mode: Mode,
    ) -> Result<Vec<u8>, TransactionError> {
        let now = Instant::now();
        let mut state = self.lock();
        self.forget_expired(&mut state, now);
        if state.open.len() >= TRANSACTIONS_MAX {
            return Err(TransactionError::TooMany);
        }
        state.begun = state.begun.saturating_add(1);
        let number = state.begun;
        let (names, queries) = (BTreeSet::new(), Vec::new());
        let transaction = Transaction {
            database,
            mode,
            begun: now,
            used: now,
            pin: None,
            names,
            queries,
            bytes: 0,
        };
        state.open.insert(number, transaction);
        self.metrics.set_transactions(state.open.len());
        Ok([self.nonce, number.to_be_bytes()].concat())
    }

    /// Keeps a transaction alive and remembers what it is about to read; its number and mode.
    pub(crate) fn read(
        &self,
        id: &[u8],
        database: &Database,
        footprint: Footprint,
    ) -> Result<(u64, Mode), TransactionError> {
        let number = self.number(id)?;
        let now = Instant::now();
        let mut state = self.lock();
        self.forget_expired(&mut state, now);
        let bytes = state.bytes;
        let transaction = state.find(number, database)?;
        transaction.used = now;
        let mode = transaction.mode;
        if mode == Mode::ReadWrite {
            let bytes = bytes.saturating_add(footprint.bytes());
            if bytes > TRANSACTION_BYTES_MAX {
                return Err(TransactionError::ReadsTooMuch);
            }
            transaction.remember(footprint);
            state.bytes = bytes;
        }
        Ok((number, mode))
    }

    /// The state that a transaction sees: `first` if this is its first read.
    pub(crate) fn pin(&self, number: u64, first: Pin) -> Result<Pin, TransactionError> {
        let mut state = self.lock();
        let transaction = state.open.get_mut(&number).ok_or(TransactionError::Over)?;
        Ok(*transaction.pin.get_or_insert(first))
    }

    /// The state that a transaction already sees.
    pub(crate) fn pinned(&self, number: u64) -> Result<Option<Pin>, TransactionError> {
        Ok(self.lock().open.get(&number).ok_or(TransactionError::Over)?.pin)
    }

    /// Closes a transaction for its commit; what it has read, if anything. One that only reads
    /// stays open when it was asked to write.
    pub(crate) fn close(
        &self,
        id: &[u8],
        database: &Database,
        writes: bool,
    ) -> Result<Option<Reads>, TransactionError> {
        let number = self.number(id)?;
        let mut state = self.lock();
        self.forget_expired(&mut state, Instant::now());
        let transaction = state.find(number, database)?;
        if writes && transaction.mode != Mode::ReadWrite {
            return Err(TransactionError::ReadOnly);
        }
        let closed = state.remove(number);
        self.metrics.set_transactions(state.open.len());
        Ok(closed.and_then(|Transaction { pin, names, queries, .. }| {
            pin.map(|(position, _)| Reads { position, names, queries })
        }))
    }

    /// Gives a transaction up; one that is already over stays so.
    pub(crate) fn roll_back(&self, id: &[u8], database: &Database) -> Result<(), TransactionError> {
        match self.close(id, database, false) {
            Ok(_) | Err(TransactionError::Over) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Forgets those whose time has passed.
    pub(crate) fn sweep(&self) {
        self.forget_expired(&mut self.lock(), Instant::now());
    }

    fn forget_expired(&self, state: &mut State, now: Instant) {
        let expired = state.open.iter().filter(|(_, transaction)| transaction.is_expired(now));
        let expired: Vec<u64> = expired.map(|(number, _)| *number).collect();
        for number in expired {
            state.remove(number);
            self.metrics.count_expired_transaction();
        }
        self.metrics.set_transactions(state.open.len());
    }

    fn number(&self, id: &[u8]) -> Result<u64, TransactionError> {
        let number = id.strip_prefix(&self.nonce).and_then(|rest| rest.try_into().ok());
        let number = number.map(u64::from_be_bytes).ok_or(TransactionError::Foreign)?;
        if (1..=self.lock().begun).contains(&number) {
            Ok(number)
        } else {
            Err(TransactionError::Foreign)
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn find(
        &mut self,
        number: u64,
        database: &Database,
    ) -> Result<&mut Transaction, TransactionError> {
        let transaction = self.open.get_mut(&number).ok_or(TransactionError::Over)?;
        if transaction.database == *database {
            Ok(transaction)
        } else {
            Err(TransactionError::Foreign)
        }
    }

    fn remove(&mut self, number: u64) -> Option<Transaction> {
        let removed = self.open.remove(&number)?;
        self.bytes = self.bytes.saturating_sub(removed.bytes);
        Some(removed)
    }
}

impl Transaction {
    fn is_expired(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.used) >= TRANSACTION_IDLE_MAX
            || now.saturating_duration_since(self.begun) >= TRANSACTION_TIME_MAX
    }

    fn remember(&mut self, footprint: Footprint) {
        self.bytes = self.bytes.saturating_add(footprint.bytes());
        match footprint {
            Footprint::Documents(names) => self.names.extend(names),
            Footprint::Query(query, _) => self.queries.push(query),
        }
    }
}

impl Footprint {
    fn bytes(&self) -> usize {
        match self {
            Self::Documents(names) => {
                names.iter().map(|name| name.as_str().len()).fold(0, usize::saturating_add)
            }
            Self::Query(_, bytes) => *bytes,
        }
    }
}

impl Reads {
    /// Where it has looked.
    pub(crate) fn scopes(&self) -> Vec<Scope> {
        let collections: BTreeSet<_> = self.names.iter().map(DocumentName::collection).collect();
        let queried = self.queries.iter().map(|query| query.scope.clone());
        collections.into_iter().map(Scope::Collection).chain(queried).collect()
    }

    /// Whether a change may have changed what was read. A query with a limit counts as one
    /// without: that a document outside of the limit changed may abort, but never slip through.
    pub(crate) fn concern(&self, change: &Change) -> bool {
        let matches = |query: &Arc<Query>| {
            let sides = [&change.before, &change.after];
            sides.into_iter().flatten().any(|document| query.matches(document))
        };
        self.names.contains(&change.name) || self.queries.iter().any(matches)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);
    const ID: &str = "projects/p/databases/(default)/documents/c/d";

    #[tokio::test(start_paused = true)]
    async fn a_transaction_expires_when_it_lies_idle() {
        let transactions = transactions();
        let id = transactions.begin(database(), Mode::ReadWrite).unwrap();
        for _ in 0..3 {
            tokio::time::advance(TRANSACTION_IDLE_MAX.saturating_sub(SECOND)).await;
            assert!(look(&transactions, &id).is_ok());
        }
        tokio::time::advance(TRANSACTION_IDLE_MAX).await;
        assert_eq!(look(&transactions, &id).err(), Some(TransactionError::Over));
        let closed = transactions.close(&id, &database(), true);
        assert_eq!(closed.err(), Some(TransactionError::Over));
        assert_eq!(transactions.roll_back(&id, &database()), Ok(()));
    }

    #[tokio::test(start_paused = true)]
    async fn a_busy_transaction_expires_too() {
        let transactions = transactions();
        let id = transactions.begin(database(), Mode::ReadWrite).unwrap();
        let mut lived = Duration::ZERO;
        while look(&transactions, &id).is_ok() {
            tokio::time::advance(30 * SECOND).await;
            lived += 30 * SECOND;
        }
        assert_eq!(lived, TRANSACTION_TIME_MAX);
    }

    #[tokio::test(start_paused = true)]
    async fn open_transactions_are_bounded_until_some_expire() {
        let transactions = transactions();
        for _ in 0..TRANSACTIONS_MAX {
            transactions.begin(database(), Mode::ReadOnly(None)).unwrap();
        }
        let refused = transactions.begin(database(), Mode::ReadWrite);
        assert_eq!(refused, Err(TransactionError::TooMany));
        tokio::time::advance(TRANSACTION_IDLE_MAX).await;
        assert!(transactions.begin(database(), Mode::ReadWrite).is_ok());
        assert_eq!(transactions.lock().open.len(), 1);
    }

    #[tokio::test]
    async fn what_transactions_read_is_bounded_over_all_of_them() {
        let transactions = transactions();
        let begin = || transactions.begin(database(), Mode::ReadWrite).unwrap();
        let name =
            |n: usize| DocumentName::parse(&format!("{ID}{n}{}", "x".repeat(1_000))).unwrap();
        let mut refused = None;
        let (first, second) = (begin(), begin());
        for n in 0.. {
            let id = if n % 2 == 0 { &first } else { &second };
            let names = (0..1_000).map(|m| name(n * 1_000 + m)).collect();
            if let Err(error) = transactions.read(id, &database(), Footprint::Documents(names)) {
                refused = Some(error);
                break;
            }
        }
        assert_eq!(refused, Some(TransactionError::ReadsTooMuch));
        transactions.roll_back(&first, &database()).unwrap();
        let names = (0..1_000).map(name).collect();
        assert!(transactions.read(&second, &database(), Footprint::Documents(names)).is_ok());
        transactions.roll_back(&second, &database()).unwrap();
        assert_eq!(transactions.lock().bytes, 0);
    }

    #[tokio::test]
    async fn ids_of_others_are_foreign() {
        let (ours, theirs) = (transactions(), transactions());
        let id = theirs.begin(database(), Mode::ReadWrite).unwrap();
        let other = Database::parse("projects/q/databases/(default)").unwrap();
        let own = ours.begin(other, Mode::ReadWrite).unwrap();
        let mut unborn = own.clone();
        unborn[15] += 1;
        for id in [&id[..], &own, &unborn, &own[..15], b""] {
            assert_eq!(look(&ours, id).err(), Some(TransactionError::Foreign));
            assert_eq!(ours.roll_back(id, &database()), Err(TransactionError::Foreign));
        }
    }

    #[tokio::test]
    async fn a_read_only_transaction_survives_an_attempt_to_write() {
        let transactions = transactions();
        let id = transactions.begin(database(), Mode::ReadOnly(None)).unwrap();
        let refused = transactions.close(&id, &database(), true);
        assert_eq!(refused.err(), Some(TransactionError::ReadOnly));
        assert!(transactions.close(&id, &database(), false).unwrap().is_none());
        assert_eq!(look(&transactions, &id).err(), Some(TransactionError::Over));
    }

    fn look(transactions: &Transactions, id: &[u8]) -> Result<(u64, Mode), TransactionError> {
        let names = DocumentName::parse(ID).into_iter().collect();
        transactions.read(id, &database(), Footprint::Documents(names))
    }

    fn transactions() -> Transactions {
        Transactions::new(Arc::new(Metrics::new().unwrap()))
    }

    fn database() -> Database {
        Database::parse("projects/p/databases/(default)").unwrap()
    }
}
