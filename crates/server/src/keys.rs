//! Making keys, and showing their public halves.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, anyhow};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use clap::{Args, Subcommand};
use curfew_core::id::Installation;
use curfew_gcp::{Endpoints, Google, GoogleKms, KeyName, KeyVersionName, TokenSource};
use curfew_trust::{
    FactsKey, KeyFileSigner, PublicKey, fresh_key_bits, generate_key_file, read_key_bits,
};

use crate::config::Wrapped;
use crate::run::install_crypto;
use crate::secrets::SealedKey;

/// What can be done with keys in Cloud KMS. It runs as the person or account that Application Default Credentials name.
#[derive(Debug, Subcommand)]
pub(crate) enum KeysCommand {
    /// Makes the controller's key and wraps it, for `factsKey`. Nothing but the wrapped key is ever written.
    Wrap(Wrap),
    /// Prints the public half of a key version that signs envelopes, for `publicKey` of its entry in `keys`.
    Public(Public),
}

/// What to wrap, by what, and for whom.
#[derive(Debug, Args)]
pub(crate) struct Wrap {
    /// The key in Cloud KMS that wraps: projects/…/cryptoKeys/facts.
    #[arg(long, value_parser = KeyName::parse)]
    kms: KeyName,
    /// The installation; for any other the wrapped key does not open.
    #[arg(long, value_parser = Installation::parse)]
    installation: Installation,
    /// Wraps the key in this file instead of a new one.
    #[arg(long)]
    from: Option<PathBuf>,
    /// Wraps the key that is in this wrapped file anew, with the newest version; the account must be able to unwrap it.
    #[arg(long, conflicts_with = "from")]
    rewrap: Option<PathBuf>,
    /// Writes a new file instead of printing.
    #[arg(long)]
    out: Option<PathBuf>,
    #[command(flatten)]
    places: Places,
}

/// Which key to show.
#[derive(Debug, Args)]
pub(crate) struct Public {
    /// The key version in Cloud KMS: projects/…/cryptoKeys/intake/cryptoKeyVersions/1.
    #[arg(value_name = "KEY_VERSION", value_parser = KeyVersionName::parse)]
    key: KeyVersionName,
    #[command(flatten)]
    places: Places,
}

/// Where Google is.
#[derive(Debug, Args)]
struct Places {
    /// A simulated cloud on a loopback address instead of Google.
    #[arg(long, env = "CURFEW_ENDPOINTS__CLOUD")]
    cloud: Option<String>,
    /// A metadata server on a loopback address for access tokens.
    #[arg(long, env = "CURFEW_ENDPOINTS__METADATA")]
    metadata: Option<String>,
}

impl KeysCommand {
    /// Does it; the text is for standard output.
    pub(crate) async fn run(&self) -> anyhow::Result<String> {
        match self {
            Self::Wrap(wrap) => wrap.run().await,
            Self::Public(public) => public.run().await,
        }
    }
}

impl Wrap {
    async fn run(&self) -> anyhow::Result<String> {
        let kms = self.places.kms()?;
        let context = FactsKey::wrapping_context(&self.installation);
        let bits = match (&self.from, &self.rewrap) {
            (Some(path), _) => read_key_bits(path)?,
            (None, Some(path)) => {
                let sealed = Wrapped::File(path.clone()).read().map_err(|why| anyhow!(why))?;
                let source = SealedKey { kms: self.kms.clone(), ciphertext: sealed };
                source.open(&kms, &self.installation).await?
            }
            (None, None) => fresh_key_bits().context("this machine has no randomness to give")?,
        };
        let wrapped = kms.encrypt(&self.kms, bits.as_slice(), &context).await;
        let wrapped = wrapped.map_err(|error| anyhow!("{}", error.chain()))?;
        let text = format!("{}\n", STANDARD.encode(wrapped));
        let Some(path) = &self.out else { return Ok(text) };
        let written = std::fs::File::create_new(path)
            .and_then(|mut file| file.write_all(text.as_bytes()).and_then(|()| file.sync_all()));
        written.with_context(|| format!("write {}", path.display()))?;
        Ok(String::new())
    }
}

impl Public {
    async fn run(&self) -> anyhow::Result<String> {
        let found = self.places.kms()?.public_key(&self.key).await;
        let found = found.map_err(|error| anyhow!("{}", error.chain()))?;
        let key = PublicKey::from_spki_pem(&found.pem)
            .with_context(|| format!("the public key of {}", self.key))?;
        Ok(key.to_spki_pem())
    }
}

impl Places {
    fn kms(&self) -> anyhow::Result<GoogleKms> {
        install_crypto();
        let config = curfew_gcp::Config {
            endpoints: self.cloud.as_deref().map_or_else(Endpoints::default, Endpoints::all_at),
            tokens: self
                .metadata
                .clone()
                .map_or(TokenSource::ApplicationDefault, TokenSource::Metadata),
            ..curfew_gcp::Config::default()
        };
        Ok(Google::new(config).context("Google's clients")?.kms())
    }
}

/// Makes a signing key and its public half, whichever is missing; an existing private key is never touched.
pub fn make_signing_key(private: &Path, public: &Path) -> anyhow::Result<()> {
    if !private.exists() {
        generate_key_file(private)?;
    }
    if !public.exists() {
        let signer = KeyFileSigner::open(private, "made here")?;
        std::fs::write(public, signer.public_key().to_spki_pem())
            .with_context(|| format!("write {}", public.display()))?;
    }
    Ok(())
}

/// Makes the controller's key, if it is missing.
pub fn make_facts_key(path: &Path) -> anyhow::Result<()> {
    if !path.exists() {
        FactsKey::generate(path)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn making_keys_again_changes_nothing_and_mends_a_missing_half() {
        let folder = tempfile::tempdir().unwrap();
        let [private, public, facts] =
            ["a.key", "a.pub", "facts.key"].map(|name| folder.path().join(name));
        let make = || {
            make_signing_key(&private, &public).unwrap();
            make_facts_key(&facts).unwrap();
            [&private, &public, &facts].map(|path| std::fs::read_to_string(path).unwrap())
        };
        let first = make();
        std::fs::remove_file(&public).unwrap();
        assert_eq!(make(), first);
    }
}
