//! Signing envelopes with a key in a file: for the demo and for one machine. Elsewhere `remote` signs.

use std::fmt;
use std::path::Path;

use async_trait::async_trait;
use aws_lc_rs::encoding::AsBigEndian as _;
use aws_lc_rs::error::Unspecified;
use aws_lc_rs::hkdf::{HKDF_SHA256, Salt};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _, Signature,
};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use curfew_ports::{EnvelopeSigner, PortError, RetryClass, StoredEnvelope};
use rustls_pki_types::PrivatePkcs8KeyDer;
use rustls_pki_types::pem::PemObject as _;

use crate::envelope::signed_bytes;
use crate::file::{KEY_BYTES, KeyFileError, read_secret, write_secret};
use crate::keys::{Algorithm, PublicKey, pem};

/// What a signing key file holds.
const EXPECTED: &str =
    "a P-256 or Ed25519 private key as PEM text with a PRIVATE KEY section (PKCS#8)";

/// Keeps what is derived here apart from what others may derive from the same key.
const DERIVATION_SALT: &[u8] = b"curfew/v1/derived-key";

/// What a key management service macs with a key of its own to derive a secret: the mac (HMAC-SHA-256) is the secret
/// that `label` stands for, as [`KeyFileSigner::derive_key`] derives one from a file.
pub fn derived_key_input(label: &str) -> Vec<u8> {
    [DERIVATION_SALT, b"\n", label.as_bytes()].concat()
}

enum PrivateKey {
    P256(EcdsaKeyPair),
    Ed25519(Ed25519KeyPair),
}

impl PrivateKey {
    fn from_pkcs8(der: &[u8]) -> Option<Self> {
        let p256 =
            EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, der).ok().map(Self::P256);
        p256.or_else(|| Ed25519KeyPair::from_pkcs8(der).ok().map(Self::Ed25519))
    }

    fn public_key(&self) -> Option<PublicKey> {
        match self {
            Self::P256(pair) => {
                PublicKey::from_raw(Algorithm::P256, pair.public_key().as_ref()).ok()
            }
            Self::Ed25519(pair) => {
                PublicKey::from_raw(Algorithm::Ed25519, pair.public_key().as_ref()).ok()
            }
        }
    }

    /// Another key, which tells nothing of this one, by HKDF-SHA256 (RFC 5869) with `label` as its `info`.
    fn derive(&self, label: &str) -> Result<[u8; KEY_BYTES], Unspecified> {
        let salt = Salt::new(HKDF_SHA256, DERIVATION_SALT);
        let secret = match self {
            Self::P256(pair) => salt.extract(pair.private_key().as_be_bytes()?.as_ref()),
            Self::Ed25519(pair) => salt.extract(pair.seed()?.as_be_bytes()?.as_ref()),
        };
        let mut key = [0; KEY_BYTES];
        secret.expand(&[label.as_bytes()], HKDF_SHA256)?.fill(&mut key)?;
        Ok(key)
    }

    fn sign(&self, message: &[u8]) -> Result<Signature, Unspecified> {
        match self {
            Self::P256(pair) => pair.sign(&SystemRandom::new(), message),
            Self::Ed25519(pair) => Ok(pair.sign(message)),
        }
    }
}

/// Signs with a private key that was read from a file.
pub struct KeyFileSigner {
    key_id: String,
    private: PrivateKey,
    public: PublicKey,
}

impl KeyFileSigner {
    /// Reads a PKCS#8 PEM file that only its owner may use. `key_id` is the id under which the public half is
    /// configured.
    pub fn open(path: &Path, key_id: impl Into<String>) -> Result<Self, KeyFileError> {
        let text = read_secret(path)?;
        Self::from_pem(&text, key_id.into())
            .ok_or_else(|| KeyFileError::Content { path: path.to_owned(), expected: EXPECTED })
    }

    pub(crate) fn from_pem(text: &str, key_id: String) -> Option<Self> {
        let der = PrivatePkcs8KeyDer::from_pem_slice(text.as_bytes()).ok()?;
        let private = PrivateKey::from_pkcs8(der.secret_pkcs8_der())?;
        let public = private.public_key()?;
        Some(Self { key_id, private, public })
    }

    pub(crate) fn envelope(
        &self,
        kind: &str,
        payload: String,
    ) -> Result<StoredEnvelope, Unspecified> {
        let signature = self.private.sign(&signed_bytes(kind, &payload))?;
        let signature = URL_SAFE_NO_PAD.encode(signature.as_ref());
        Ok(StoredEnvelope { payload, key_id: self.key_id.clone(), signature })
    }

    /// A secret of 256 bits that everybody who holds this key can derive, and nobody else; another for every `label`.
    pub fn derive_key(&self, label: &str) -> Result<[u8; KEY_BYTES], PortError> {
        self.private.derive(label).map_err(|Unspecified| {
            let act = format!("derive {label} from key {}", self.key_id);
            PortError::new(RetryClass::Invalid, act)
        })
    }

    /// The public half; compare it with the configured key before signing anything.
    pub fn public_key(&self) -> &PublicKey {
        &self.public
    }
}

impl fmt::Debug for KeyFileSigner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyFileSigner").field("key_id", &self.key_id).finish_non_exhaustive()
    }
}

#[async_trait]
impl EnvelopeSigner for KeyFileSigner {
    async fn sign(&self, kind: &str, payload: String) -> Result<StoredEnvelope, PortError> {
        self.envelope(kind, payload).map_err(|Unspecified| {
            PortError::new(
                RetryClass::Invalid,
                format!("sign a {kind} envelope with key {}", self.key_id),
            )
        })
    }
}

/// Makes a new P-256 key in a new file (PKCS#8 PEM, mode 0600, on disk when this returns) and gives its public half
/// as PEM text. An existing file is left as it is.
pub fn generate_key_file(path: &Path) -> Result<String, KeyFileError> {
    let failed = || KeyFileError::Generate { path: path.to_owned() };
    let pair =
        EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).map_err(|Unspecified| failed())?;
    let pkcs8 = pair.to_pkcs8v1().map_err(|Unspecified| failed())?;
    let public =
        PublicKey::from_raw(Algorithm::P256, pair.public_key().as_ref()).map_err(|_| failed())?;
    write_secret(path, &pem("PRIVATE KEY", pkcs8.as_ref()))?;
    Ok(public.to_spki_pem())
}

#[cfg(test)]
mod tests;
