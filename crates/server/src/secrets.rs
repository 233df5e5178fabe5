//! The processes' own secrets: first as the configuration alone has them, which asks nobody, then ready for use.
//!
//! Whatever Cloud KMS has to do with a key it does once before a server starts: a server that could not use its keys
//! says so at once, and does not start.

use std::sync::Arc;

use anyhow::{Context as _, anyhow, bail};
use curfew_core::id::Installation;
use curfew_gcp::{GoogleKms, KeyName, KeyVersionName};
use curfew_intake::FormKey;
use curfew_ports::{EnvelopeSigner, PortError, RetryClass};
use curfew_trust::{
    FACTS_KEY_BYTES, FactsKey, KEY_BYTES, KeyFileSigner, PublicKey, RemoteSigner, Sealer,
    derived_key_input, read_key_bits,
};
use zeroize::Zeroizing;

use crate::config::{Config, FactsKeySource, FormKeySource, Signing, SigningKey};
use crate::disabled::disabled_in;

/// Intake's signing key.
pub(crate) enum SignerSource {
    /// From its file.
    File(KeyFileSigner),
    /// In Cloud KMS, with the public half that `keys` has.
    Kms { version: KeyVersionName, key_id: String, public: PublicKey },
}

impl SignerSource {
    /// What `signing` names, if `keys` has it.
    pub(crate) fn of(config: &Config) -> anyhow::Result<Self> {
        let Signing { key, key_id } =
            config.signing.as_ref().context("signing: name intake's key and its id")?;
        let configured = config.keys.get(key_id).with_context(|| {
            format!(
                "signing.keyId: {key_id} is not in `keys`: nothing that it signs would be believed"
            )
        })?;
        match key {
            SigningKey::File(path) => {
                let signer = KeyFileSigner::open(path, key_id.clone())?;
                if configured.public_key != *signer.public_key() {
                    bail!(
                        "signing.keyId: {key_id} is another key in `keys`: nothing that it signs would be believed"
                    );
                }
                Ok(Self::File(signer))
            }
            SigningKey::Kms(version) => Ok(Self::Kms {
                version: version.clone(),
                key_id: key_id.clone(),
                public: configured.public_key.clone(),
            }),
        }
    }

    /// Signs once to see that it can, with the key that `keys` has.
    pub(crate) async fn open(self, kms: &GoogleKms) -> anyhow::Result<Arc<dyn EnvelopeSigner>> {
        match self {
            Self::File(signer) => Ok(Arc::new(signer)),
            Self::Kms { version, key_id, public } => {
                let mend = Mend {
                    setting: "signing.kms",
                    permission: "cloudkms.cryptoKeyVersions.useToSign",
                    role: "roles/cloudkms.signer",
                    key: version.key().to_owned(),
                };
                let signer =
                    RemoteSigner::new(Arc::new(kms.signer(version.clone())), key_id, public);
                match signer.try_out().await {
                    Ok(()) => Ok(Arc::new(signer)),
                    Err(curfew_trust::RemoteSignerError::Sign(error)) => Err(mend.explain(&error)),
                    Err(error @ curfew_trust::RemoteSignerError::OtherKey { .. }) => Err(anyhow!(
                        "signing.kms: {error}; `curfew keys public {version}` prints the one that it is"
                    )),
                }
            }
        }
    }
}

/// The controller's key.
pub(crate) enum SealerSource {
    /// From its file.
    Ready(Box<Sealer>),
    /// As Cloud KMS wrapped it for the installation.
    Wrapped(SealedKey, Installation),
}

impl SealerSource {
    /// What `factsKey` names.
    pub(crate) fn of(config: &Config) -> anyhow::Result<Self> {
        let installation = config.installation.clone();
        match config.facts_key.as_ref().context("factsKey: name the controller's key")? {
            FactsKeySource::File(path) => {
                let sealer = Sealer::new(installation, FactsKey::open(path)?);
                Ok(Self::Ready(Box::new(sealer)))
            }
            FactsKeySource::Wrapped { kms, wrapped } => {
                let ciphertext = wrapped.read().map_err(|why| anyhow!("factsKey: {why}"))?;
                Ok(Self::Wrapped(SealedKey { kms: kms.clone(), ciphertext }, installation))
            }
        }
    }

    /// Unwraps it.
    pub(crate) async fn open(self, kms: &GoogleKms) -> anyhow::Result<Sealer> {
        match self {
            Self::Ready(sealer) => Ok(*sealer),
            Self::Wrapped(key, installation) => {
                let bits = key.open(kms, &installation).await?;
                Ok(Sealer::new(installation, FactsKey::new(&bits)))
            }
        }
    }
}

/// The controller's key, wrapped.
pub(crate) struct SealedKey {
    pub(crate) kms: KeyName,
    pub(crate) ciphertext: Vec<u8>,
}

impl SealedKey {
    /// Unwraps it, if it was wrapped for this installation.
    pub(crate) async fn open(
        &self,
        kms: &GoogleKms,
        installation: &Installation,
    ) -> anyhow::Result<Zeroizing<[u8; FACTS_KEY_BYTES]>> {
        let Self { kms: key, ciphertext } = self;
        let context = FactsKey::wrapping_context(installation);
        let opened = kms.decrypt(key, ciphertext, &context).await;
        let plaintext = opened.map_err(|error| self.explain(installation, &error))?;
        exactly(&plaintext).with_context(|| {
            format!("factsKey: what {key} unwraps is no key of {FACTS_KEY_BYTES} bytes")
        })
    }

    fn explain(&self, installation: &Installation, error: &PortError) -> anyhow::Error {
        // Cloud KMS tells a wrong key, a wrong context and a damaged text by the same answer.
        if error.class == RetryClass::Invalid {
            return anyhow!(
                "factsKey: {}: is it wrapped for the installation {installation}, by this key? `curfew keys wrap` wraps one",
                error.chain()
            );
        }
        let mend = Mend {
            setting: "factsKey.kms",
            permission: "cloudkms.cryptoKeyVersions.useToDecrypt",
            role: "roles/cloudkms.cryptoKeyDecrypter",
            key: self.kms.to_string(),
        };
        mend.explain(error)
    }
}

/// The key of intake's forms.
pub(crate) enum FormKeySecret {
    Ready(FormKey),
    /// A version of a MAC key in Cloud KMS, and what it derives the key from.
    Kms {
        version: KeyVersionName,
        input: Vec<u8>,
    },
}

impl FormKeySecret {
    /// What `formKey` names, or what everybody with the same signing key and of the same installation derives.
    pub(crate) fn of(config: &Config, signer: &SignerSource) -> anyhow::Result<Self> {
        let label = format!("forms of {}", config.installation);
        match (&config.form_key, signer) {
            (FormKeySource::File(path), _) => Ok(Self::Ready(FormKey::new(*read_key_bits(path)?))),
            (FormKeySource::Kms(version), _) => {
                Ok(Self::Kms { version: version.clone(), input: derived_key_input(&label) })
            }
            (FormKeySource::SigningKey, SignerSource::File(signer)) => {
                Ok(Self::Ready(FormKey::new(signer.derive_key(&label)?)))
            }
            (FormKeySource::SigningKey, SignerSource::Kms { .. }) => {
                bail!("formKey: with signing.kms there is no file to derive it from")
            }
        }
    }

    /// Derives it.
    pub(crate) async fn open(self, kms: &GoogleKms) -> anyhow::Result<FormKey> {
        match self {
            Self::Ready(key) => Ok(key),
            Self::Kms { version, input } => {
                let mac = kms.mac(&version, &input).await.map_err(|error| {
                    Mend {
                        setting: "formKey.kms",
                        permission: "cloudkms.cryptoKeyVersions.useToSign",
                        role: "roles/cloudkms.signer",
                        key: version.key().to_owned(),
                    }
                    .explain(&error)
                })?;
                let bits = exactly::<KEY_BYTES>(&mac).with_context(|| {
                    format!("formKey.kms: {version} gives macs of {} bytes: make it a key of HMAC_SHA256", mac.len())
                })?;
                Ok(FormKey::new(*bits))
            }
        }
    }
}

fn exactly<const LENGTH: usize>(bytes: &[u8]) -> Option<Zeroizing<[u8; LENGTH]>> {
    Some(Zeroizing::new(<[u8; LENGTH]>::try_from(bytes).ok()?))
}

/// What a key in Cloud KMS needs, for those who can give it.
struct Mend {
    setting: &'static str,
    permission: &'static str,
    role: &'static str,
    key: String,
}

impl Mend {
    /// The error with the way out of it.
    fn explain(&self, error: &PortError) -> anyhow::Error {
        let Self { setting, permission, role, key } = self;
        let why = error.chain();
        if disabled_in(&why) {
            let project = key.split('/').nth(1).unwrap_or_default();
            return anyhow!(
                "{setting}: {why}: `gcloud services enable cloudkms.googleapis.com --project={project}` enables it"
            );
        }
        match error.class {
            RetryClass::Denied => anyhow!(
                "{setting}: {why}: this account needs the permission {permission}, which `gcloud kms keys add-iam-policy-binding {key} --role {role} --member serviceAccount:<its address>` gives it"
            ),
            RetryClass::NotFound => anyhow!("{setting}: {why}: there is no such key version"),
            // FAILED_PRECONDITION
            RetryClass::Conflict => anyhow!(
                "{setting}: {why}: the version must be enabled (`gcloud kms keys versions enable <version> --key {key}`), and its key be for this purpose"
            ),
            RetryClass::AlreadyExists
            | RetryClass::Invalid
            | RetryClass::RateLimited(_)
            | RetryClass::Unavailable => anyhow!("{setting}: {why}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    #[test]
    fn an_api_that_is_not_enabled_is_not_taken_for_a_missing_permission() {
        let mend = Mend {
            setting: "formKey.kms",
            permission: "p",
            role: "r",
            key: "projects/access-1/locations/l/keyRings/r/cryptoKeys/forms".into(),
        };
        let said = |why: &str| {
            let error =
                PortError::because(RetryClass::Denied, "sign", io::Error::other(why.to_owned()));
            mend.explain(&error).to_string()
        };
        let disabled =
            said("Cloud KMS API has not been used in project 7 before or it is disabled.");
        let enable = "`gcloud services enable cloudkms.googleapis.com --project=access-1`";
        assert!(disabled.contains(enable) && !disabled.contains("permission"), "{disabled}");
        assert!(said("403").contains("needs the permission p"));
    }
}
