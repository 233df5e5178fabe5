//! P-256 keys: the simulated IAP's and the metadata server's, and what they sign.

use aws_lc_rs::digest;
use aws_lc_rs::error::Unspecified;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::{Value, json};

use crate::world::{Record, SigningKeyRecord};

/// Bytes of one coordinate of a P-256 point.
const COORDINATE_BYTES: usize = 32;

/// A key that cannot be made, read or used.
#[derive(Debug, thiserror::Error)]
#[error("{action} the signing key {name}")]
pub struct KeyError {
    action: &'static str,
    name: String,
}

/// A private key with the id under which its public half is published.
#[derive(Debug)]
pub(crate) struct SigningKey {
    pair: EcdsaKeyPair,
    id: String,
}

impl SigningKey {
    /// A new key, as the record to store.
    pub(crate) fn generate(name: &str) -> Result<Record, KeyError> {
        let document =
            EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &SystemRandom::new())
                .map_err(|Unspecified| KeyError { action: "generating", name: name.to_owned() })?;
        let pkcs8_base64 = STANDARD.encode(document.as_ref());
        Ok(Record::SigningKey(SigningKeyRecord { name: name.to_owned(), pkcs8_base64 }))
    }

    pub(crate) fn read(key: &SigningKeyRecord) -> Result<Self, KeyError> {
        let unreadable = || KeyError { action: "reading", name: key.name.clone() };
        let pkcs8 = STANDARD.decode(&key.pkcs8_base64).map_err(|_| unreadable())?;
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &pkcs8)
            .map_err(|_| unreadable())?;
        let hash = digest::digest(&digest::SHA256, pair.public_key().as_ref());
        let id = URL_SAFE_NO_PAD.encode(hash.as_ref().get(..6).unwrap_or_default());
        Ok(Self { pair, id })
    }

    /// A compact ES256 token of the claims, <https://www.rfc-editor.org/rfc/rfc7515>.
    pub(crate) fn sign(&self, claims: &Value) -> Result<String, KeyError> {
        let header = json!({"alg": "ES256", "typ": "JWT", "kid": self.id});
        let signed = format!("{}.{}", encode(&header), encode(claims));
        let signature = self
            .pair
            .sign(&SystemRandom::new(), signed.as_bytes())
            .map_err(|Unspecified| KeyError { action: "signing with", name: self.id.clone() })?;
        Ok(format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature.as_ref())))
    }

    /// The public half as a key set with one key, in the shape of IAP's `public_key-jwk`.
    pub(crate) fn key_set(&self) -> Value {
        let point = self.pair.public_key().as_ref();
        // An uncompressed point: one byte of tag, then both coordinates.
        let coordinate = |from: usize| {
            URL_SAFE_NO_PAD.encode(point.get(from..from + COORDINATE_BYTES).unwrap_or_default())
        };
        json!({"keys": [{
            "alg": "ES256", "crv": "P-256", "kid": self.id, "kty": "EC", "use": "sig",
            "x": coordinate(1), "y": coordinate(1 + COORDINATE_BYTES),
        }]})
    }
}

fn encode(value: &Value) -> String {
    URL_SAFE_NO_PAD.encode(value.to_string())
}

/// `bytes` of randomness as base64url.
///
/// # Errors
/// The machine has no randomness to give.
pub(crate) fn random_text(bytes: usize) -> Result<String, KeyError> {
    Ok(URL_SAFE_NO_PAD.encode(random(bytes)?))
}

/// A new account id: 21 decimal digits that begin with 1, as Google's.
pub(crate) fn random_account_id() -> Result<String, KeyError> {
    let digits: String = random(20)?.iter().map(|byte| char::from(b'0' + byte % 10)).collect();
    Ok(format!("1{digits}"))
}

fn random(bytes: usize) -> Result<Vec<u8>, KeyError> {
    let mut buffer = vec![0; bytes];
    aws_lc_rs::rand::fill(&mut buffer).map_err(|Unspecified| KeyError {
        action: "drawing randomness for",
        name: "a new secret".to_owned(),
    })?;
    Ok(buffer)
}
