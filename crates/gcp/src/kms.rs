//! Cloud KMS: signatures, macs and wrapping with keys that never leave it
//! (<https://cloud.google.com/kms/docs/reference/rest>).
//!
//! Every call follows Google's guide to integrity in transit
//! (<https://cloud.google.com/kms/docs/data-integrity-guidelines>): what is sent carries its CRC-32C and the answer must
//! say that it was checked; what comes back must have the checksum that the answer names, and the name of the key that
//! was asked for. An answer that fails this is no answer.

mod integrity;
mod names;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use curfew_core::id::sha256;
use curfew_ports::{MessageSigner, PortError, RetryClass, SIGNATURE_BYTES};
use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio::sync::Semaphore;
use tokio::time::timeout;
use zeroize::Zeroizing;

use crate::caller::{Call, Caller};

pub use names::{KeyName, KeyNameError, KeyVersionName};

use integrity::{Checksum, bytes_of, checked, fixed_signature, require};

/// Signatures under way at once in one process. Cloud KMS answers in 30 to 120 ms, and its quota for signatures by
/// hardware is 50 a second in a project (<https://cloud.google.com/kms/quotas>): more at once would only be refused.
const SIGNATURES_AT_ONCE_MAX: usize = 16;

/// How long a signature waits for its turn. All that wait before it are then signed several times over, so something is
/// wrong, and the person is better told to try again.
const TURN_WAIT_MAX: Duration = Duration::from_secs(10);

/// No answer of Cloud KMS comes near this: a ciphertext of 64 KiB is 88 KiB of base64.
const ANSWER_BYTES_MAX: usize = 256 << 10;

/// The only algorithm whose signatures envelopes carry here.
pub const SIGNING_ALGORITHM: &str = "EC_SIGN_P256_SHA256";

/// Keys in Cloud KMS.
#[derive(Clone)]
pub struct GoogleKms {
    caller: Arc<Caller>,
}

/// The public half of a key version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublishedKey {
    /// `SubjectPublicKeyInfo` as PEM text, as it came.
    pub pem: String,
    /// Such as [`SIGNING_ALGORITHM`].
    pub algorithm: String,
    /// `SOFTWARE` or `HSM`.
    pub protection_level: String,
}

impl GoogleKms {
    pub(crate) fn new(caller: Arc<Caller>) -> Self {
        Self { caller }
    }

    /// What signs with one version of a key.
    pub fn signer(&self, version: KeyVersionName) -> KmsSigner {
        let turns = Semaphore::new(SIGNATURES_AT_ONCE_MAX);
        KmsSigner { kms: self.clone(), version, turns }
    }

    /// The public half of a key version that signs envelopes.
    ///
    /// # Errors
    /// [`RetryClass::Invalid`] for a key of another algorithm; those of the call.
    pub async fn public_key(&self, version: &KeyVersionName) -> Result<PublishedKey, PortError> {
        let url = format!("{}/publicKey", self.url(version.as_str()));
        let act = format!("read the public key of {version}");
        let call = Call::get("cloudkms.getPublicKey", act, url).bytes_max(ANSWER_BYTES_MAX);
        let answer: PublicKeyAnswer = self.caller.read(&call).await?;
        require(&call, answer.name == version.as_str(), "another key")?;
        checked(&call, "pem", answer.pem.as_bytes(), answer.pem_crc32c)?;
        if answer.algorithm != SIGNING_ALGORITHM {
            let algorithm = crate::failure::foreign(&answer.algorithm);
            let act =
                format!("{}: its algorithm is {algorithm}, not {SIGNING_ALGORITHM}", call.act());
            return Err(PortError::new(RetryClass::Invalid, act));
        }
        Ok(PublishedKey {
            pem: answer.pem,
            algorithm: answer.algorithm,
            protection_level: answer.protection_level,
        })
    }

    /// The mac (HMAC-SHA-256 for a key of 256 bits) of `data` with one version of a key of purpose MAC: the same at
    /// every time, so that all who may use the key can derive the same secret from it.
    pub async fn mac(
        &self,
        version: &KeyVersionName,
        data: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, PortError> {
        let body = MacBody { data: STANDARD.encode(data), data_crc32c: Checksum::of(data) };
        let act = format!("derive a key with {version}");
        let call = self.call("cloudkms.macSign", &act, version.as_str(), "macSign", &body)?;
        let answer: MacAnswer = self.caller.read(&call).await?;
        require(&call, answer.name == version.as_str(), "another key")?;
        require(&call, answer.verified_data_crc32c, "what was sent was not checked")?;
        let mac = Zeroizing::new(bytes_of(&call, "mac", &answer.mac)?);
        checked(&call, "mac", &mac, answer.mac_crc32c)?;
        Ok(mac)
    }

    /// Wraps a secret; it opens with the same `context` only.
    pub async fn encrypt(
        &self,
        key: &KeyName,
        plaintext: &[u8],
        context: &[u8],
    ) -> Result<Vec<u8>, PortError> {
        let body = EncryptBody {
            plaintext: Zeroizing::new(STANDARD.encode(plaintext)),
            plaintext_crc32c: Checksum::of(plaintext),
            additional_authenticated_data: STANDARD.encode(context),
            additional_authenticated_data_crc32c: Checksum::of(context),
        };
        let act = format!("wrap a key with {key}");
        let call = self.call("cloudkms.encrypt", &act, key.as_str(), "encrypt", &body)?;
        let answer: EncryptAnswer = self.caller.read(&call).await?;
        require(&call, key.has_version(&answer.name), "another key")?;
        let both = answer.verified_plaintext_crc32c
            && answer.verified_additional_authenticated_data_crc32c;
        require(&call, both, "what was sent was not checked")?;
        let ciphertext = bytes_of(&call, "ciphertext", &answer.ciphertext)?;
        checked(&call, "ciphertext", &ciphertext, answer.ciphertext_crc32c)?;
        Ok(ciphertext)
    }

    /// Unwraps what [`Self::encrypt`] wrapped, with whichever version of the key did.
    ///
    /// The answer names neither the key nor the checks of what was sent: Google refuses a ciphertext whose checksum is
    /// wrong, and the ciphertext itself is authenticated together with the context.
    pub async fn decrypt(
        &self,
        key: &KeyName,
        ciphertext: &[u8],
        context: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, PortError> {
        let body = DecryptBody {
            ciphertext: STANDARD.encode(ciphertext),
            ciphertext_crc32c: Checksum::of(ciphertext),
            additional_authenticated_data: STANDARD.encode(context),
            additional_authenticated_data_crc32c: Checksum::of(context),
        };
        let act = format!("unwrap a key with {key}");
        let call = self.call("cloudkms.decrypt", &act, key.as_str(), "decrypt", &body)?;
        let answer: DecryptAnswer = self.caller.read(&call).await?;
        let plaintext = Zeroizing::new(bytes_of(&call, "plaintext", &answer.plaintext)?);
        checked(&call, "plaintext", &plaintext, answer.plaintext_crc32c)?;
        Ok(plaintext)
    }

    async fn sign(
        &self,
        version: &KeyVersionName,
        message: &[u8],
    ) -> Result<[u8; SIGNATURE_BYTES], PortError> {
        let digest = sha256(&[message]);
        let body = json!({
            "digest": {"sha256": STANDARD.encode(digest)},
            "digestCrc32c": Checksum::of(&digest),
        });
        let act = format!("sign with {version}");
        let call =
            self.call("cloudkms.asymmetricSign", &act, version.as_str(), "asymmetricSign", &body)?;
        let answer: SignAnswer = self.caller.read(&call).await?;
        require(&call, answer.name == version.as_str(), "another key")?;
        require(&call, answer.verified_digest_crc32c, "what was sent was not checked")?;
        let signature = bytes_of(&call, "signature", &answer.signature)?;
        checked(&call, "signature", &signature, answer.signature_crc32c)?;
        fixed_signature(&signature)
            .ok_or_else(|| call.undecodable("the signature is none of ECDSA on P-256"))
    }

    fn call(
        &self,
        name: &'static str,
        act: &str,
        on: &str,
        verb: &str,
        body: &impl Serialize,
    ) -> Result<Call, PortError> {
        let url = format!("{}:{verb}", self.url(on));
        Ok(Call::post(name, act, url, body)?.bytes_max(ANSWER_BYTES_MAX))
    }

    /// Names are checked to need no escapes.
    fn url(&self, name: &str) -> String {
        format!("{}/v1/{name}", self.caller.endpoints.kms)
    }
}

/// Signs with one version of a key of [`SIGNING_ALGORITHM`]. A few at a time; the others wait for their turn.
pub struct KmsSigner {
    kms: GoogleKms,
    version: KeyVersionName,
    turns: Semaphore,
}

#[async_trait]
impl MessageSigner for KmsSigner {
    async fn sign_message(&self, message: &[u8]) -> Result<[u8; SIGNATURE_BYTES], PortError> {
        let waiting = timeout(TURN_WAIT_MAX, self.turns.acquire()).await;
        let _turn = waiting.ok().and_then(Result::ok).ok_or_else(|| {
            let act = format!("sign with {}: no turn within {TURN_WAIT_MAX:?}", self.version);
            PortError::new(RetryClass::Unavailable, act)
        })?;
        self.kms.sign(&self.version, message).await
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct MacBody {
    data: String,
    data_crc32c: Checksum,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct EncryptBody {
    plaintext: Zeroizing<String>,
    plaintext_crc32c: Checksum,
    additional_authenticated_data: String,
    additional_authenticated_data_crc32c: Checksum,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct DecryptBody {
    ciphertext: String,
    ciphertext_crc32c: Checksum,
    additional_authenticated_data: String,
    additional_authenticated_data_crc32c: Checksum,
}

// Proto3's JSON leaves out what is false, zero or empty, so each field may be absent: the checks then fail.

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct PublicKeyAnswer {
    name: String,
    pem: String,
    pem_crc32c: Option<Checksum>,
    algorithm: String,
    protection_level: String,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct SignAnswer {
    name: String,
    signature: String,
    signature_crc32c: Option<Checksum>,
    verified_digest_crc32c: bool,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct MacAnswer {
    name: String,
    mac: Zeroizing<String>,
    mac_crc32c: Option<Checksum>,
    verified_data_crc32c: bool,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct EncryptAnswer {
    name: String,
    ciphertext: String,
    ciphertext_crc32c: Option<Checksum>,
    verified_plaintext_crc32c: bool,
    verified_additional_authenticated_data_crc32c: bool,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct DecryptAnswer {
    plaintext: Zeroizing<String>,
    plaintext_crc32c: Option<Checksum>,
}
