//! Key material of the simulated KMS: what it signs and encrypts, with aws-lc as the arithmetic.

use std::fmt;

use aws_lc_rs::aead::{AES_256_GCM, Aad, Nonce, RandomizedNonceKey};
use aws_lc_rs::digest::{self, Digest};
use aws_lc_rs::encoding::{AsDer, PublicKeyX509Der};
use aws_lc_rs::error::Unspecified;
use aws_lc_rs::hmac;
use aws_lc_rs::rand::{self, SystemRandom};
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

use crate::kms::Algorithm;

/// Bytes of an AES-256 key, and of a key of HMAC-SHA-256.
const SYMMETRIC_KEY_BYTES: usize = 32;

/// Bytes of the nonce of AES-GCM, NIST SP 800-38D.
const NONCE_BYTES: usize = 12;

/// Characters of a line of a PEM text, RFC 7468.
const PEM_LINE: usize = 64;

/// Key material that cannot be made, read or used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the key material cannot be used")]
pub(crate) struct MaterialError;

impl From<Unspecified> for MaterialError {
    fn from(Unspecified: Unspecified) -> Self {
        Self
    }
}

/// A private key (PKCS #8) or a symmetric key, as it is stored.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Material(String);

impl fmt::Debug for Material {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Material")
    }
}

impl Material {
    pub(crate) fn generate(algorithm: Algorithm) -> Result<Self, MaterialError> {
        let random = SystemRandom::new();
        let bytes = match algorithm {
            Algorithm::GoogleSymmetricEncryption | Algorithm::HmacSha256 => {
                let mut key = vec![0; SYMMETRIC_KEY_BYTES];
                rand::fill(&mut key)?;
                key
            }
            Algorithm::EcSignP256Sha256 => {
                EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &random)?
                    .as_ref()
                    .to_vec()
            }
            Algorithm::EcSignEd25519 => Ed25519KeyPair::generate_pkcs8(&random)?.as_ref().to_vec(),
        };
        Ok(Self(STANDARD.encode(bytes)))
    }

    /// An ASN.1 signature over a SHA-256 digest that somebody else computed.
    pub(crate) fn sign_p256(&self, sha256: &[u8]) -> Result<Vec<u8>, MaterialError> {
        let digest = Digest::import_less_safe(sha256, &digest::SHA256)?;
        Ok(self.p256()?.sign_digest(&digest)?.as_ref().to_vec())
    }

    pub(crate) fn sign_ed25519(&self, data: &[u8]) -> Result<Vec<u8>, MaterialError> {
        Ok(self.ed25519()?.try_sign(data)?.as_ref().to_vec())
    }

    /// HMAC-SHA-256.
    pub(crate) fn mac(&self, data: &[u8]) -> Result<Vec<u8>, MaterialError> {
        let key = hmac::Key::new(hmac::HMAC_SHA256, &self.bytes()?);
        Ok(hmac::sign(&key, data).as_ref().to_vec())
    }

    /// The public half as a PEM text of `SubjectPublicKeyInfo`.
    pub(crate) fn public_pem(&self, algorithm: Algorithm) -> Result<String, MaterialError> {
        let der: PublicKeyX509Der<'_> = match algorithm {
            Algorithm::EcSignP256Sha256 => self.p256()?.public_key().as_der()?,
            Algorithm::EcSignEd25519 => self.ed25519()?.public_key().as_der()?,
            Algorithm::GoogleSymmetricEncryption | Algorithm::HmacSha256 => {
                return Err(MaterialError);
            }
        };
        Ok(pem("PUBLIC KEY", der.as_ref()))
    }

    /// A nonce, then what AES-256-GCM makes of the plaintext.
    pub(crate) fn encrypt(&self, plaintext: &[u8], aad: &[u8]) -> Result<Vec<u8>, MaterialError> {
        let mut sealed = plaintext.to_vec();
        let nonce = self.aes()?.seal_in_place_append_tag(Aad::from(aad), &mut sealed)?;
        Ok([nonce.as_ref().as_slice(), &sealed].concat())
    }

    pub(crate) fn decrypt(&self, ciphertext: &[u8], aad: &[u8]) -> Result<Vec<u8>, MaterialError> {
        let (nonce, sealed) = ciphertext.split_first_chunk::<NONCE_BYTES>().ok_or(MaterialError)?;
        let mut opened = sealed.to_vec();
        let nonce = Nonce::assume_unique_for_key(*nonce);
        Ok(self.aes()?.open_in_place(nonce, Aad::from(aad), &mut opened)?.to_vec())
    }

    fn bytes(&self) -> Result<Vec<u8>, MaterialError> {
        STANDARD.decode(&self.0).map_err(|_| MaterialError)
    }

    fn p256(&self) -> Result<EcdsaKeyPair, MaterialError> {
        EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &self.bytes()?)
            .map_err(|_| MaterialError)
    }

    fn ed25519(&self) -> Result<Ed25519KeyPair, MaterialError> {
        Ed25519KeyPair::from_pkcs8(&self.bytes()?).map_err(|_| MaterialError)
    }

    fn aes(&self) -> Result<RandomizedNonceKey, MaterialError> {
        Ok(RandomizedNonceKey::new(&AES_256_GCM, &self.bytes()?)?)
    }
}

fn pem(label: &str, der: &[u8]) -> String {
    let text = STANDARD.encode(der);
    let mut lines = vec![format!("-----BEGIN {label}-----")];
    lines.extend(text.as_bytes().chunks(PEM_LINE).map(|line| String::from_utf8_lossy(line).into()));
    lines.push(format!("-----END {label}-----\n"));
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_same_key_and_the_same_data_open_a_ciphertext() {
        let key = Material::generate(Algorithm::GoogleSymmetricEncryption).unwrap();
        let other = Material::generate(Algorithm::GoogleSymmetricEncryption).unwrap();
        let sealed = key.encrypt(b"text", b"aad").unwrap();
        assert_eq!(key.decrypt(&sealed, b"aad").unwrap(), b"text");
        assert_eq!(key.decrypt(&sealed, b"other"), Err(MaterialError));
        assert_eq!(other.decrypt(&sealed, b"aad"), Err(MaterialError));
        for length in 0..sealed.len() {
            assert_eq!(key.decrypt(&sealed[..length], b"aad"), Err(MaterialError));
        }
    }

    #[test]
    fn nothing_shows_the_material() {
        let key = Material::generate(Algorithm::EcSignEd25519).unwrap();
        assert_eq!(format!("{key:?}"), "Material");
    }
}
