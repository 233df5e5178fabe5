//! Which state of the store a call reads.

use std::sync::Arc;

use gcloud_sdk::google::firestore::v1::{
    TransactionOptions,
    transaction_options::{self, ReadOnly, read_only::ConsistencySelector},
};

use super::Context;
use crate::{
    name::Database,
    refusal::Refusal,
    store::{Snapshot, Store},
    time::Micros,
    transactions::{Footprint, Mode, Pin, Transactions},
};

/// The state that a request asks for.
pub(super) enum When {
    /// The newest.
    Newest,
    /// As it was.
    At(Micros),
    /// What this transaction sees.
    In(Vec<u8>),
    /// What a new transaction sees.
    Begin(TransactionOptions),
}

/// A state to read from.
pub(super) struct View {
    store: Store,
    transactions: Arc<Transactions>,
    state: State,
    /// The id of the transaction that the call began.
    pub(super) begun: Option<Vec<u8>>,
}

#[derive(Clone, Copy)]
enum State {
    Newest,
    At(Micros),
    In(u64, Mode),
}

/// Reads what a transaction is to do.
pub(super) fn mode(options: Option<TransactionOptions>) -> Mode {
    match options.and_then(|options| options.mode) {
        // The transaction to retry is only a hint: nothing is locked, so nobody has priority.
        None | Some(transaction_options::Mode::ReadWrite(_)) => Mode::ReadWrite,
        Some(transaction_options::Mode::ReadOnly(ReadOnly { consistency_selector })) => {
            let time = consistency_selector.map(|ConsistencySelector::ReadTime(time)| time.into());
            Mode::ReadOnly(time)
        }
    }
}

impl View {
    /// Begins or finds the transaction, which remembers what is about to be read.
    pub(super) fn open(
        context: Context,
        database: &Database,
        when: When,
        footprint: Footprint,
    ) -> Result<Self, Refusal> {
        let Context { store, transactions, .. } = context;
        let mut begun = None;
        let state = match when {
            When::Newest => State::Newest,
            When::At(time) => State::At(time),
            When::In(id) => {
                let (number, mode) = transactions.read(&id, database, footprint)?;
                State::In(number, mode)
            }
            When::Begin(options) => {
                let id = transactions.begin(database.clone(), mode(Some(options)))?;
                let (number, mode) = transactions.read(&id, database, footprint)?;
                begun = Some(id);
                State::In(number, mode)
            }
        };
        Ok(Self { store, transactions, state, begun })
    }

    /// Runs `read` on the state, off the async threads.
    pub(super) async fn read<T: Send + 'static>(
        self,
        read: impl FnOnce(&Snapshot<'_>) -> Result<T, Refusal> + Send + 'static,
    ) -> Result<T, Refusal> {
        let Self { store, transactions, state, .. } = self;
        let now = store.now();
        let read = move |newest: &Snapshot<'_>| match state {
            State::Newest => read(newest),
            State::At(time) => {
                let (position, time) = pin_at(newest, time, now)?;
                read(&newest.as_of(position, time)?.ok_or(Refusal::TooOld)?)
            }
            State::In(number, mode) => {
                let (position, time) = pin_of(newest, &transactions, number, mode, now)?;
                read(&newest.as_of(position, time)?.ok_or(match mode {
                    Mode::ReadOnly(Some(_)) => Refusal::TooOld,
                    Mode::ReadOnly(None) | Mode::ReadWrite => Refusal::Contention,
                })?)
            }
        };
        store.read(read).await
    }
}

/// What a transaction sees; its first read decides.
fn pin_of(
    newest: &Snapshot<'_>,
    transactions: &Transactions,
    number: u64,
    mode: Mode,
    now: Micros,
) -> Result<Pin, Refusal> {
    if let Some(pin) = transactions.pinned(number)? {
        return Ok(pin);
    }
    let first = match mode {
        Mode::ReadOnly(Some(time)) => pin_at(newest, time, now)?,
        Mode::ReadOnly(None) | Mode::ReadWrite => (newest.position(), newest.read_time()),
    };
    Ok(transactions.pin(number, first)?)
}

/// The state at a time. A time that a reply named is never in the future, whatever the clock says.
fn pin_at(newest: &Snapshot<'_>, time: Micros, now: Micros) -> Result<Pin, Refusal> {
    if time > now.max(newest.read_time()) {
        return Err(Refusal::Argument("The requested 'read_time' cannot be in the future."));
    }
    let position = newest.position_at(time)?.ok_or(Refusal::TooOld)?;
    Ok((position, time))
}
