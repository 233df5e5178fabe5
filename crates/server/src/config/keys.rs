//! Keys: whose envelopes count, and where the processes' own secrets are.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use curfew_gcp::{KeyName, KeyVersionName};
use curfew_trust::{KeyConfig, KeySet, PublicKey, Verb};

use super::checked::{instant, parse};
use super::file::{FactsKeySection, FormKeySection, KeySection, SigningSection};
use super::{ConfigError, FILE_BYTES_MAX, eligible};

/// What intake signs with, and the id that envelopes give it.
#[derive(Debug, Clone)]
pub struct Signing {
    /// The key.
    pub key: SigningKey,
    /// The id.
    pub key_id: String,
}

/// Where the key is.
#[derive(Debug, Clone)]
pub enum SigningKey {
    /// A file on this machine.
    File(PathBuf),
    /// A version of a key in Cloud KMS, which signs there.
    Kms(KeyVersionName),
}

/// Where the controller's key is.
#[derive(Debug, Clone)]
pub enum FactsKeySource {
    /// A file on this machine.
    File(PathBuf),
    /// Beside the configuration, wrapped by a key in Cloud KMS.
    Wrapped {
        /// What unwraps it.
        kms: KeyName,
        /// What is unwrapped.
        wrapped: Wrapped,
    },
}

/// A wrapped key.
#[derive(Debug, Clone)]
pub enum Wrapped {
    /// In a file, as base64.
    File(PathBuf),
    /// It stood in the configuration itself.
    Bytes(Vec<u8>),
}

/// Where the key of intake's forms is.
#[derive(Debug, Clone)]
pub enum FormKeySource {
    /// It is derived from the file of the signing key.
    SigningKey,
    /// A file on this machine.
    File(PathBuf),
    /// Derived by a version of a MAC key in Cloud KMS.
    Kms(KeyVersionName),
}

impl Wrapped {
    /// The ciphertext.
    ///
    /// # Errors
    /// What is wrong with the file.
    pub fn read(&self) -> Result<Vec<u8>, String> {
        match self {
            Self::Bytes(bytes) => Ok(bytes.clone()),
            Self::File(path) => {
                let text = read_small(path).map_err(|why| format!("{}: {why}", path.display()))?;
                ciphertext(&text).map_err(|why| format!("{}: {why}", path.display()))
            }
        }
    }
}

pub(super) fn signing(
    section: Option<&SigningSection>,
    folder: &Path,
) -> Result<Option<Signing>, ConfigError> {
    let Some(SigningSection { file, kms, key_id }) = section else { return Ok(None) };
    let key = match (file, kms) {
        (Some(file), None) => SigningKey::File(folder.join(file)),
        (None, Some(kms)) => SigningKey::Kms(parse("signing.kms", kms, KeyVersionName::parse)?),
        (Some(_), Some(_)) | (None, None) => {
            return Err(ConfigError::at(
                "signing",
                "name either `kms`, a key version of Cloud KMS, or `file`, a private key",
            ));
        }
    };
    Ok(Some(Signing { key, key_id: key_id.clone() }))
}

pub(super) fn facts_key(
    section: Option<&FactsKeySection>,
    folder: &Path,
) -> Result<Option<FactsKeySource>, ConfigError> {
    let Some(FactsKeySection { file, kms, wrapped }) = section else { return Ok(None) };
    let source = match (kms, file, wrapped) {
        (None, Some(file), None) => FactsKeySource::File(folder.join(file)),
        (Some(kms), Some(file), None) => wrapped_by(kms, Wrapped::File(folder.join(file)))?,
        (Some(kms), None, Some(text)) => {
            let bytes = ciphertext(text).map_err(|why| ConfigError::at("factsKey.wrapped", why))?;
            wrapped_by(kms, Wrapped::Bytes(bytes))?
        }
        (Some(_), None, None) => {
            return Err(ConfigError::at(
                "factsKey",
                "Cloud KMS holds what unwraps the key, not the key: name its file, or the text itself as `wrapped` (`curfew keys wrap` makes one)",
            ));
        }
        (_, Some(_), Some(_)) => {
            return Err(ConfigError::at("factsKey", "name either `file` or `wrapped`"));
        }
        (None, None, _) => {
            return Err(ConfigError::at(
                "factsKey",
                "name either `file`, the key itself, or `kms` and what it has wrapped",
            ));
        }
    };
    Ok(Some(source))
}

fn wrapped_by(kms: &str, wrapped: Wrapped) -> Result<FactsKeySource, ConfigError> {
    Ok(FactsKeySource::Wrapped { kms: parse("factsKey.kms", kms, KeyName::parse)?, wrapped })
}

/// A key that never leaves Cloud KMS leaves nothing to derive another from: then there must be one of its own.
pub(super) fn form_key(
    section: Option<&FormKeySection>,
    signing: Option<&Signing>,
    folder: &Path,
) -> Result<FormKeySource, ConfigError> {
    let is_derivable = signing.is_none_or(|signing| matches!(signing.key, SigningKey::File(_)));
    match section {
        None if is_derivable => Ok(FormKeySource::SigningKey),
        None => Err(ConfigError::at(
            "formKey",
            "with signing.kms there is no file to derive it from: name `kms`, a version of a key of Cloud KMS with the purpose MAC, or `file`, the same for all processes of intake",
        )),
        Some(FormKeySection { file: Some(file), kms: None }) => {
            Ok(FormKeySource::File(folder.join(file)))
        }
        Some(FormKeySection { file: None, kms: Some(kms) }) => {
            Ok(FormKeySource::Kms(parse("formKey.kms", kms, KeyVersionName::parse)?))
        }
        Some(FormKeySection { .. }) => {
            Err(ConfigError::at("formKey", "name either `kms` or `file`"))
        }
    }
}

pub(super) fn believed(sections: &[KeySection], folder: &Path) -> Result<KeySet, ConfigError> {
    let keys = sections.iter().enumerate().map(|(n, section)| check_key(n, section, folder));
    KeySet::new(keys.collect::<Result<_, _>>()?)
        .map_err(|error| ConfigError::at("keys", error.to_string()))
}

fn check_key(n: usize, section: &KeySection, folder: &Path) -> Result<KeyConfig, ConfigError> {
    let at = |name: &str| format!("keys[{n}].{name}");
    let level = parse(at("level"), &section.level, eligible::level)?;
    let verb = |text: &String| {
        Verb::parse(text).ok_or_else(|| {
            ConfigError::at(
                at("verbs"),
                format!("{text:?} must be REQUEST, DECIDE, DIRECT or CONTROL"),
            )
        })
    };
    Ok(KeyConfig {
        id: section.id.clone(),
        owner: section.owner.clone().unwrap_or_else(|| section.id.clone()),
        public_key: public_key(&section.public_key, folder)
            .map_err(|why| ConfigError::at(at("publicKey"), why))?,
        level,
        verbs: section.verbs.iter().map(verb).collect::<Result<BTreeSet<_>, _>>()?,
        from: instant(&at("from"), &section.from)?,
        until: instant(&at("until"), &section.until)?,
        distrusted_from: section
            .distrusted_from
            .as_ref()
            .map(|text| instant(&at("distrustedFrom"), text))
            .transpose()?,
    })
}

/// The key itself, or the file that holds it.
fn public_key(text: &str, folder: &Path) -> Result<PublicKey, String> {
    if text.trim_start().starts_with("-----BEGIN") {
        return PublicKey::from_spki_pem(text).map_err(|error| error.to_string());
    }
    let path = folder.join(text);
    let key = read_small(&path)
        .and_then(|pem| PublicKey::from_spki_pem(&pem).map_err(|error| error.to_string()));
    key.map_err(|why| format!("{}: {why}", path.display()))
}

/// Base64 as `curfew keys wrap` and `base64` print it, on one line or more.
fn ciphertext(text: &str) -> Result<Vec<u8>, String> {
    let text: String = text.split_ascii_whitespace().collect();
    let bytes = STANDARD.decode(text).ok().filter(|bytes| !bytes.is_empty());
    bytes.ok_or_else(|| "must be base64, as `curfew keys wrap` prints it".into())
}

fn read_small(path: &Path) -> Result<String, String> {
    let size = std::fs::metadata(path).map_err(|error| error.to_string())?.len();
    if size > FILE_BYTES_MAX {
        return Err("the file is far too large for a key".into());
    }
    std::fs::read_to_string(path).map_err(|error| error.to_string())
}
