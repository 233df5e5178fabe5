//! Looks at what is near: the store, keys, and IAP.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::TimeDelta;
use curfew_core::id::{Nonce, RequestId};
use curfew_firestore::{FirestoreStore, StoreOptions};
use curfew_gcp::GoogleKms;
use curfew_ports::{Clock as _, Entropy as _, EnvelopeSigner, StoredEnvelope};
use curfew_trust::{IapVerifier, KeyConfig};
use prometheus::Registry;
use reqwest::Client;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use super::super::clock::Reading;
use super::super::report::{Check, Finding};
use super::super::store::{self, Place};
use super::super::{iap, machine, secrets, windows};
use super::{CALL_TIME_MAX, Seen, Ward, folder_of, shared};
use crate::clock::SystemEntropy;
use crate::config::StoreKind;
use crate::run;
use crate::secrets::{FormKeySecret, SealerSource, SignerSource};
use crate::store::{Connected, EmbeddedStore, IN_USE, connect, options};

/// What is signed to see whether the key signs. No verifier takes anything of this kind.
const TRIAL: (&str, &str) = ("doctor", "{}");

/// A store that answers, and what serves it if that is this process.
struct Open {
    store: FirestoreStore,
    embedded: Option<(EmbeddedStore, CancellationToken)>,
}

impl Open {
    async fn close(self) {
        if let Some((embedded, stop)) = self.embedded {
            stop.cancel();
            if let Err(error) = embedded.wait().await {
                tracing::debug!(error = %format!("{error:#}"), "the store did not end well");
            }
        }
    }
}

impl Ward {
    /// The store's checks, and its time.
    pub(super) async fn store(
        &self,
        account: Option<&str>,
    ) -> (Vec<Check>, Result<Reading, String>) {
        let place = Place { store: &self.config.store, account };
        let unknown = || Err("the store did not answer".to_owned());
        let mut checks = Vec::new();
        if let StoreKind::Embedded(path) = &self.config.store.kind {
            checks.extend(self.file(path).await);
            if !path.exists() {
                return (checks, Err("there is no store yet".to_owned()));
            }
        }
        let opened = self.told(Box::pin(self.open())).await;
        let Seen { saw, took } = opened;
        let (open, connected) = match saw {
            Ok(open) => (Some(open), Ok(())),
            Err(why) => (None, Err(why)),
        };
        let is_busy = connected.as_ref().is_err_and(|why| why.contains(IN_USE));
        let finding = if is_busy {
            Finding::skipped("another process serves it: ask that one's /readyz, or end it first")
        } else {
            store::judge_connection(place, &connected)
        };
        checks.push(Check { name: "store".into(), finding, took });
        let Some(open) = open else { return (checks, unknown()) };
        checks.extend(self.queries(place, &open.store).await);
        let time = self.stores_time(&open.store).await;
        open.close().await;
        (checks, time)
    }

    async fn file(&self, path: &Path) -> Vec<Check> {
        let folder = folder_of(path);
        let mode = self.timed(async { machine::mode(path) }).await;
        let free = self.timed(async { machine::free(folder) }).await;
        vec![
            mode.judged("store.file", |mode| machine::judge_file(path, mode.clone())),
            free.judged("store.disk", |free| machine::judge_disk(folder, free)),
        ]
    }

    /// Connects as the servers do, and gives up sooner.
    async fn open(&self) -> Result<Open, String> {
        if let StoreKind::Embedded(_) = self.config.store.kind {
            let stop = CancellationToken::new();
            let connected = connect(&self.config.store, &Registry::new(), stop.clone()).await;
            let Connected { store, embedded } = connected.map_err(|error| format!("{error:#}"))?;
            return Ok(Open { store, embedded: embedded.map(|embedded| (embedded, stop)) });
        }
        let options = options(&self.config.store).map_err(|error| format!("{error:#}"))?;
        let options = StoreOptions {
            connect_time_max: CALL_TIME_MAX,
            call_time_max: CALL_TIME_MAX,
            retry_time_max: Duration::ZERO,
            ..options
        };
        let store = FirestoreStore::connect(options).await;
        let store = store.map_err(|error| format!("{:#}", anyhow::Error::new(error)))?;
        Ok(Open { store, embedded: None })
    }

    async fn queries(&self, place: Place<'_>, store: &FirestoreStore) -> Vec<Check> {
        let queries = self.timed(store.probe_queries()).await;
        let [absent, nonce] = [SystemEntropy.bits(), SystemEntropy.bits()];
        let (absent, nonce) = (RequestId::from_bits(absent), Nonce::from_bits(nonce));
        let written = self.timed(store.probe_write(&absent, &nonce)).await;
        let mut checks = vec![
            queries.judged("store.read", |queries| store::judge_reads(place, queries)),
            queries.judged("store.indexes", |queries| store::judge_indexes(place, queries)),
            written.judged("store.write", |written| store::judge_writes(place, written)),
        ];
        checks.extend(self.database(place).await);
        checks
    }

    /// Only Google's database can be of another kind.
    async fn database(&self, place: Place<'_>) -> Option<Check> {
        let StoreKind::Google = self.config.store.kind else { return None };
        let google = run::google(&self.config, &Registry::new()).ok()?;
        let probe = google.probe();
        let look = probe.database(&self.config.store.project, &self.config.store.database);
        let seen = self.probed(look).await;
        Some(seen.judged("store.database", |seen| store::judge_database(place, seen)))
    }

    async fn stores_time(&self, store: &FirestoreStore) -> Result<Reading, String> {
        let asked = self.clock.now();
        let told = store.probe_time().await.map_err(|error| error.chain())?;
        let answered = self.clock.now();
        Ok(Reading { asked, answered, told, unit: TimeDelta::zero() })
    }

    /// The keys of the parts that run here.
    pub(super) async fn keys(&self, account: Option<&str>) -> Vec<Check> {
        let mut checks = Vec::new();
        let now = self.clock.now();
        if self.part.has_intake() {
            let (signed, formed) = tokio::join!(self.told(self.sign()), self.told(self.forms()));
            let own = self.config.signing.as_ref();
            let own = Seen {
                saw: own.and_then(|key| self.config.keys.get(&key.key_id)),
                took: Duration::ZERO,
            };
            checks.push(signed.judged("keys.signing", |it| secrets::judge(it, account, "intake")));
            checks.push(own.judged("keys.window", |own| match own {
                Some(key) => windows::judge_signing(key, now),
                None => Finding::skipped("the signing key is not in `keys`, see keys.signing"),
            }));
            checks.push(formed.judged("keys.forms", |it| secrets::judge(it, account, "intake")));
        }
        if self.part.has_controller() {
            let opened = self.told(Box::pin(self.unseal())).await;
            let judge = |it: &_| secrets::judge(it, account, "controller");
            checks.push(opened.judged("keys.facts", judge));
            let keys: Vec<&KeyConfig> = self.config.keys.iter().collect();
            let seen = Seen { saw: keys, took: Duration::ZERO };
            checks.push(seen.judged("keys.believed", |keys| windows::judge_believed(keys, now)));
        }
        checks
    }

    /// Signs something that is good for nothing, by the key that intake signs with.
    async fn sign(&self) -> Result<String, String> {
        let signer = self.signer().await.map_err(|error| format!("{error:#}"))?;
        let (kind, payload) = TRIAL;
        let envelope = signer.sign(kind, payload.to_owned()).await;
        let StoredEnvelope { key_id, signature, payload } =
            envelope.map_err(|error| error.chain())?;
        let key = self.config.keys.get(&key_id).ok_or("the key is not in `keys`")?;
        let signature = URL_SAFE_NO_PAD.decode(signature).map_err(|error| error.to_string())?;
        let message = format!("curfew/v1/{kind}\n{payload}");
        if key.public_key.verifies(message.as_bytes(), &signature) {
            Ok(format!("signs as {key_id}, and verifies by keys[{key_id}]"))
        } else {
            Err(format!("what it signs as {key_id} does not verify by keys[{key_id}].publicKey"))
        }
    }

    fn kms(&self) -> anyhow::Result<GoogleKms> {
        Ok(run::google(&self.config, &Registry::new())?.kms())
    }

    async fn signer(&self) -> anyhow::Result<Arc<dyn EnvelopeSigner>> {
        match SignerSource::of(&self.config)? {
            SignerSource::File(signer) => Ok(Arc::new(signer)),
            source @ SignerSource::Kms { .. } => source.open(&self.kms()?).await,
        }
    }

    async fn forms(&self) -> Result<String, String> {
        let opened = async {
            match FormKeySecret::of(&self.config, &SignerSource::of(&self.config)?)? {
                FormKeySecret::Ready(key) => Ok(key),
                source @ FormKeySecret::Kms { .. } => source.open(&self.kms()?).await,
            }
        };
        opened.await.map(|_| "opens".to_owned()).map_err(words)
    }

    async fn unseal(&self) -> Result<String, String> {
        let opened = async {
            match SealerSource::of(&self.config)? {
                SealerSource::Ready(sealer) => Ok(*sealer),
                source @ SealerSource::Wrapped { .. } => source.open(&self.kms()?).await,
            }
        };
        opened.await.map(|_| "opens".to_owned()).map_err(words)
    }

    pub(super) async fn iap(&self) -> Vec<Check> {
        if !self.part.has_intake() {
            return Vec::new();
        }
        let config = &self.config.iap;
        let seen = Seen { saw: (), took: Duration::ZERO };
        let keys = self.told(iap_keys(&config.key_url)).await;
        vec![
            seen.judged("iap.audience", |()| iap::judge_audience(&config.audience)),
            keys.judged("iap.keys", |keys| iap::judge_keys(&config.key_url, keys)),
            self.assertion().await,
        ]
    }

    async fn assertion(&self) -> Check {
        let name = "iap.assertion";
        let Some(assertion) = &self.brought.assertion else {
            let seen = Seen { saw: (), took: Duration::ZERO };
            return seen.judged(name, |()| iap::not_given());
        };
        let config = &self.config.iap;
        let now = self.clock.now();
        let look = async {
            let verifier = IapVerifier::new(config.clone(), shared(self.clock));
            let verifier = verifier.map_err(|error| error.to_string())?;
            let value = HeaderValue::try_from(assertion.as_str());
            let mut value = value.map_err(|_| "no text that a header can hold".to_owned())?;
            value.set_sensitive(true);
            let header = HeaderName::from_static(curfew_trust::iap::ASSERTION_HEADER);
            Ok(verifier.verify(&HeaderMap::from_iter([(header, value)]), now).await)
        };
        let claims = iap::Claims::of(assertion);
        self.told(look).await.judged(name, |verified| match verified {
            Ok(verdict) => iap::judge_assertion(verdict, &claims, config, now),
            Err(why) => Finding::failed(why.clone()),
        })
    }
}

/// The error and its causes on one line.
#[expect(clippy::needless_pass_by_value, reason = "it maps errors")]
fn words(error: anyhow::Error) -> String {
    format!("{error:#}")
}

/// How many keys are published.
async fn iap_keys(url: &str) -> Result<usize, String> {
    let failed = |error: reqwest::Error| {
        let error = error.without_url();
        format!("{:#}", anyhow::Error::new(error))
    };
    let client = Client::builder().timeout(CALL_TIME_MAX).build().map_err(failed)?;
    let answer = client.get(url).send().await.and_then(reqwest::Response::error_for_status);
    let keys = answer.map_err(failed)?.json::<Value>().await.map_err(failed)?;
    keys.get("keys").and_then(Value::as_array).map(Vec::len).ok_or_else(|| "no set of keys".into())
}
