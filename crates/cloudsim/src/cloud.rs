//! The simulated cloud as one value: its state, its clock and everything that changes it.

use std::collections::BTreeSet;
use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard};

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::Value;

use crate::clock::Clock;
use crate::faults::Faults;
use crate::keys::{self, KeyError, SigningKey};
use crate::latency::{Latencies, Latency};
use crate::quota::Quotas;
use crate::seed::{self, SeedError};
use crate::store::{Store, StoreError};
use crate::usage::Usage;
use crate::world::{Change, Person, Record, Removed, Token, World};

/// How long a token of the metadata server is good for, as on Compute Engine.
const TOKEN_LIFETIME: TimeDelta = TimeDelta::hours(1);

/// The metadata server hands out the same token until so much of its life is left.
const TOKEN_RENEWAL: TimeDelta = TimeDelta::minutes(5);

/// Randomness in a bearer token.
const TOKEN_BYTES: usize = 32;

/// How to open a simulated cloud.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Where the state lives; in memory when absent.
    pub data_dir: Option<PathBuf>,
    /// The first state as YAML, see `seed/default.yaml`, which is taken when absent. A data
    /// directory that holds a state already is opened as it is.
    pub seed: Option<String>,
    /// Where the time comes from.
    pub clock: Clock,
    /// How long calls take.
    pub latency: Latency,
}

/// Why a simulated cloud cannot be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// The state on disk cannot be opened or read.
    #[error("opening the simulated cloud's state")]
    Store(#[source] StoreError),
    /// The seed is not valid.
    #[error("seeding the simulated cloud")]
    Seed(#[source] SeedError),
    /// The embedded table of roles is damaged.
    #[error("reading the embedded table of predefined roles")]
    Roles(#[source] serde_json::Error),
    /// A stored key cannot be used.
    #[error("opening the simulated cloud's keys")]
    Key(#[source] KeyError),
    /// The stored state lacks this key.
    #[error("the simulated cloud's state has no key named {0}")]
    NoKey(&'static str),
}

/// Why a token cannot be issued.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TokenError {
    /// There is no such account.
    #[error("there is no account {0}")]
    UnknownAccount(String),
    /// The token could not be drawn.
    #[error("drawing a token")]
    Key(#[source] KeyError),
    /// The token could not be stored.
    #[error("storing a token")]
    Store(#[source] StoreError),
}

/// A simulated Google Cloud. Clones share one state.
///
/// # Guarantees
/// A change is on disk before it is answered or seen by anybody. Changes happen one after the
/// other; reads never wait for the disk.
#[derive(Clone)]
pub struct Cloud {
    inner: Arc<Inner>,
}

struct Inner {
    world: RwLock<World>,
    /// Held while a change is computed, stored and applied, so that changes are serial.
    store: Mutex<Store>,
    clock: Clock,
    latencies: Latencies,
    faults: Faults,
    quotas: Quotas,
    usage: Usage,
    iap_key: SigningKey,
    identity_key: SigningKey,
}

impl fmt::Debug for Cloud {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Cloud")
    }
}

impl Cloud {
    /// Opens the state in the data directory, or seeds a new one.
    ///
    /// # Errors
    /// See [`OpenError`].
    pub fn open(options: Options) -> Result<Self, OpenError> {
        let predefined_roles = crate::roles::predefined().map_err(OpenError::Roles)?;
        let mut store = Store::open(options.data_dir.as_deref()).map_err(OpenError::Store)?;
        let mut world = store.load().map_err(OpenError::Store)?.unwrap_or_default();
        world.predefined_roles = predefined_roles;
        if world.nodes.is_empty() {
            let yaml = options.seed.as_deref().unwrap_or(seed::DEFAULT);
            let changes = seed::changes(yaml, &world.predefined_roles).map_err(OpenError::Seed)?;
            store.commit(&changes).map_err(OpenError::Store)?;
            world.apply_all(changes);
        }
        let inner = Inner {
            iap_key: key(&world, seed::IAP_KEY)?,
            identity_key: key(&world, seed::IDENTITY_KEY)?,
            world: RwLock::new(world),
            store: Mutex::new(store),
            clock: options.clock,
            latencies: Latencies::new(options.latency),
            faults: Faults::default(),
            quotas: Quotas::default(),
            usage: Usage::default(),
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// A bearer token of the account, good for at least five minutes by the cloud's clock.
    ///
    /// # Errors
    /// The account does not exist, or the token could not be stored.
    pub fn token_for(&self, account: &str) -> Result<String, TokenError> {
        self.token_with_expiry(account, None).map(|(token, _)| token)
    }

    /// The people of the organisation, by address.
    pub fn people(&self) -> Vec<Person> {
        self.world().people.values().cloned().collect()
    }

    /// A bearer token of the account for these scopes, and its end.
    pub(crate) fn token_with_expiry(
        &self,
        account: &str,
        scopes: Option<&BTreeSet<String>>,
    ) -> Result<(String, DateTime<Utc>), TokenError> {
        let now = self.now();
        let fresh = keys::random_text(TOKEN_BYTES).map_err(TokenError::Key)?;
        self.change(|world| match reusable_token(world, account, scopes, now) {
            _ if !world.knows(account) => {
                (Err(TokenError::UnknownAccount(account.to_owned())), Vec::new())
            }
            Some(reused) => (Ok(reused), Vec::new()),
            None => {
                let expires = now + TOKEN_LIFETIME;
                let token = Token {
                    secret: fresh.clone(),
                    account: account.to_owned(),
                    expires: Some(expires),
                    scopes: scopes.cloned(),
                };
                let mut changes = expired_tokens(world, now);
                changes.push(Change::Put(Record::Token(token)));
                (Ok((fresh, expires)), changes)
            }
        })
        .map_err(TokenError::Store)?
    }

    pub(crate) fn now(&self) -> DateTime<Utc> {
        self.inner.clock.now()
    }

    pub(crate) fn latencies(&self) -> &Latencies {
        &self.inner.latencies
    }

    pub(crate) fn faults(&self) -> &Faults {
        &self.inner.faults
    }

    pub(crate) fn quotas(&self) -> &Quotas {
        &self.inner.quotas
    }

    pub(crate) fn usage(&self) -> &Usage {
        &self.inner.usage
    }

    pub(crate) fn iap_key(&self) -> &SigningKey {
        &self.inner.iap_key
    }

    pub(crate) fn identity_key(&self) -> &SigningKey {
        &self.inner.identity_key
    }

    pub(crate) fn world(&self) -> RwLockReadGuard<'_, World> {
        self.inner.world.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Computes changes from the present state, stores them, then applies them.
    ///
    /// # Errors
    /// The changes could not be stored; the state is as before.
    pub(crate) fn change<T>(
        &self,
        compute: impl FnOnce(&World) -> (T, Vec<Change>),
    ) -> Result<T, StoreError> {
        let mut store = self.store();
        let (answer, changes) = compute(&self.world());
        store.commit(&changes)?;
        if !changes.is_empty() {
            self.inner.world.write().unwrap_or_else(PoisonError::into_inner).apply_all(changes);
        }
        Ok(answer)
    }

    /// The log of policy writes behind line `after`.
    pub(crate) fn log_after(&self, after: i64) -> Result<Vec<Value>, StoreError> {
        self.store().log_after(after)
    }

    fn store(&self) -> MutexGuard<'_, Store> {
        self.inner.store.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn key(world: &World, name: &'static str) -> Result<SigningKey, OpenError> {
    SigningKey::read(world.keys.get(name).ok_or(OpenError::NoKey(name))?).map_err(OpenError::Key)
}

fn reusable_token(
    world: &World,
    account: &str,
    scopes: Option<&BTreeSet<String>>,
    now: DateTime<Utc>,
) -> Option<(String, DateTime<Utc>)> {
    let is_alike = |token: &&Token| token.account == account && token.scopes.as_ref() == scopes;
    let alike = world.tokens.values().filter(is_alike);
    alike
        .filter_map(|token| Some((token.secret.clone(), token.expires?)))
        .find(|(_, expires)| *expires > now + TOKEN_RENEWAL)
}

fn expired_tokens(world: &World, now: DateTime<Utc>) -> Vec<Change> {
    let expired =
        world.tokens.values().filter(|token| token.expires.is_some_and(|expires| expires <= now));
    expired.map(|token| Change::Remove(Removed::Token(token.secret.clone()))).collect()
}
