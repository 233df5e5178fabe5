//! The keys that IAP publishes: fetched by one caller at a time, kept when fetching fails.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use curfew_ports::Clock;
use jsonwebtoken::DecodingKey;
use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, KeyAlgorithm, PublicKeyUse};
use reqwest::{Client, StatusCode, Url, redirect};
use serde::Deserialize;
use tokio::sync::{Mutex, OwnedMutexGuard};

use super::{IapConfigError, IapError};

/// An unknown key id makes a fetch at most this often: anybody can invent key ids.
const FETCH_INTERVAL: Duration = Duration::from_mins(1);

/// While there is no key at all nobody can sign in, so a failed fetch is repeated sooner.
const FETCH_INTERVAL_WITHOUT_KEYS: Duration = Duration::from_secs(5);

/// Older keys are fetched anew in the background, so that a key which IAP withdraws stops counting.
const KEYS_AGE_MAX: Duration = Duration::from_hours(1);

/// A request waits for keys at most this long.
const FETCH_TIMEOUT: Duration = Duration::from_secs(5);

/// The published set is about 1 KiB.
const KEYS_BYTES_MAX: usize = 64 * 1024;

type Keys = BTreeMap<String, Arc<DecodingKey>>;

/// IAP's keys.
pub(super) struct KeySource {
    url: Url,
    client: Client,
    clock: Arc<dyn Clock>,
    held: RwLock<Held>,
    /// When the last fetch began, on the clock's `elapsed`. Whoever fetches holds the lock.
    last_fetch: Arc<Mutex<Option<Fetched>>>,
}

#[derive(Default)]
struct Held {
    keys: Keys,
    fetched_at: Duration,
}

#[derive(Clone, Copy)]
struct Fetched {
    began_at: Duration,
    succeeded: bool,
}

/// Why keys could not be fetched.
#[derive(Debug, thiserror::Error)]
enum FetchError {
    #[error("asking for the keys")]
    Http(#[source] reqwest::Error),
    #[error("the answer has status {0}")]
    Status(StatusCode),
    #[error("the answer is longer than {KEYS_BYTES_MAX} bytes")]
    TooLong,
    #[error("the answer is not a JSON Web Key Set")]
    Json(#[source] serde_json::Error),
    #[error("the answer has no usable key, or two with the same id")]
    Keys,
}

impl KeySource {
    pub(super) fn new(url: Url, clock: Arc<dyn Clock>) -> Result<Self, IapConfigError> {
        let is_https = url.scheme() == "https";
        let builder = Client::builder()
            .timeout(FETCH_TIMEOUT)
            .redirect(redirect::Policy::none())
            .https_only(is_https);
        // A proxy for the outside world cannot reach a loopback address of this machine.
        let builder = if is_loopback(&url) { builder.no_proxy() } else { builder };
        let client = builder.build().map_err(IapConfigError::Client)?;
        let last_fetch = Arc::new(Mutex::new(None));
        Ok(Self { url, client, clock, held: RwLock::default(), last_fetch })
    }

    /// The key of this id, fetched if it is not held and the last fetch is long enough ago.
    pub(super) async fn find(self: &Arc<Self>, id: &str) -> Result<Arc<DecodingKey>, IapError> {
        if let Some(key) = self.held_key(id) {
            self.renew_if_old();
            return Ok(key);
        }
        // A task of its own: a caller that goes away must not take the fetch that others wait for with it.
        let (source, id) = (Arc::clone(self), id.to_owned());
        let found = tokio::spawn(async move { source.fetch_and_find(&id).await });
        found.await.unwrap_or(Err(IapError::KeysUnavailable))
    }

    async fn fetch_and_find(&self, id: &str) -> Result<Arc<DecodingKey>, IapError> {
        let turn = Arc::clone(&self.last_fetch).lock_owned().await;
        // Whoever had the turn before may have fetched it.
        if let Some(key) = self.held_key(id) {
            return Ok(key);
        }
        let fetched = if self.may_fetch(*turn) { self.fetch_in_turn(turn).await } else { *turn };
        match fetched {
            Some(Fetched { succeeded: true, .. }) => self.held_key(id).ok_or(IapError::UnknownKey),
            Some(Fetched { succeeded: false, .. }) | None => Err(IapError::KeysUnavailable),
        }
    }

    fn renew_if_old(self: &Arc<Self>) {
        if self.age() < KEYS_AGE_MAX {
            return;
        }
        let Ok(turn) = Arc::clone(&self.last_fetch).try_lock_owned() else { return };
        if self.may_fetch(*turn) {
            let source = Arc::clone(self);
            tokio::spawn(async move { source.fetch_in_turn(turn).await });
        }
    }

    fn may_fetch(&self, last: Option<Fetched>) -> bool {
        let interval = if self.has_keys() { FETCH_INTERVAL } else { FETCH_INTERVAL_WITHOUT_KEYS };
        last.is_none_or(|last| self.clock.elapsed().saturating_sub(last.began_at) >= interval)
    }

    /// Fetches and keeps the keys; if that fails, the old ones stay.
    async fn fetch_in_turn(&self, mut turn: OwnedMutexGuard<Option<Fetched>>) -> Option<Fetched> {
        let began_at = self.clock.elapsed();
        *turn = Some(Fetched { began_at, succeeded: false });
        match self.fetch().await {
            Ok(keys) => {
                tracing::info!(n_keys = keys.len(), "fetched IAP's keys");
                *self.held.write().unwrap_or_else(PoisonError::into_inner) =
                    Held { keys, fetched_at: began_at };
                *turn = Some(Fetched { began_at, succeeded: true });
            }
            Err(error) => {
                let error: &dyn std::error::Error = &error;
                tracing::warn!(error, "fetching IAP's keys failed; the old ones stay");
            }
        }
        *turn
    }

    async fn fetch(&self) -> Result<Keys, FetchError> {
        let mut response =
            self.client.get(self.url.clone()).send().await.map_err(FetchError::Http)?;
        if response.status() != StatusCode::OK {
            return Err(FetchError::Status(response.status()));
        }
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(FetchError::Http)? {
            if body.len().saturating_add(chunk.len()) > KEYS_BYTES_MAX {
                return Err(FetchError::TooLong);
            }
            body.extend_from_slice(&chunk);
        }
        read_keys(&body)
    }

    fn held_key(&self, id: &str) -> Option<Arc<DecodingKey>> {
        self.held.read().unwrap_or_else(PoisonError::into_inner).keys.get(id).cloned()
    }

    fn has_keys(&self) -> bool {
        !self.held.read().unwrap_or_else(PoisonError::into_inner).keys.is_empty()
    }

    fn age(&self) -> Duration {
        let fetched_at = self.held.read().unwrap_or_else(PoisonError::into_inner).fetched_at;
        self.clock.elapsed().saturating_sub(fetched_at)
    }
}

pub(super) fn is_loopback(url: &Url) -> bool {
    let host = url.host_str().map(|host| host.trim_start_matches('[').trim_end_matches(']'));
    host.and_then(|host| host.parse::<IpAddr>().ok()).is_some_and(|address| address.is_loopback())
}

/// The ES256 keys of a JSON Web Key Set (RFC 7517). Keys of other kinds are skipped, as §5 there asks.
fn read_keys(body: &[u8]) -> Result<Keys, FetchError> {
    #[derive(Deserialize)]
    struct Set {
        keys: Vec<serde_json::Value>,
    }
    let set: Set = serde_json::from_slice(body).map_err(FetchError::Json)?;
    let mut keys = Keys::new();
    for (id, key) in set.keys.into_iter().filter_map(read_key) {
        if keys.insert(id, Arc::new(key)).is_some() {
            return Err(FetchError::Keys);
        }
    }
    if keys.is_empty() { Err(FetchError::Keys) } else { Ok(keys) }
}

fn read_key(value: serde_json::Value) -> Option<(String, DecodingKey)> {
    let jwk: Jwk = serde_json::from_value(value).ok()?;
    let AlgorithmParameters::EllipticCurve(curve) = &jwk.algorithm else { return None };
    let for_es256 = matches!(jwk.common.key_algorithm, None | Some(KeyAlgorithm::ES256));
    let for_signatures = matches!(jwk.common.public_key_use, None | Some(PublicKeyUse::Signature));
    let usable = curve.curve == EllipticCurve::P256 && for_es256 && for_signatures;
    let key = usable.then(|| DecodingKey::from_jwk(&jwk).ok()).flatten()?;
    Some((jwk.common.key_id.filter(|id| !id.is_empty())?, key))
}
