//! Signing envelopes with a key that somebody else keeps, such as Cloud KMS, and believing nothing that does not verify.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use curfew_ports::{EnvelopeSigner, MessageSigner, PortError, RetryClass, StoredEnvelope};

use crate::envelope::signed_bytes;
use crate::keys::PublicKey;

/// The type under which [`RemoteSigner::try_out`] signs. No envelope has it, so what is signed then is none.
const TRIAL: &str = "trial";

/// Why the keeper of the key is of no use.
#[derive(Debug, thiserror::Error)]
pub enum RemoteSignerError {
    /// It did not sign.
    #[error("signing a trial message")]
    Sign(#[source] PortError),
    /// It signed with another key than the configured one, or the message was another.
    #[error(
        "the key that signs is not the one that `keys` has as {key_id}: nothing that it signs would be believed"
    )]
    OtherKey {
        /// The configured key's id.
        key_id: String,
    },
}

/// Signs through a keeper, and gives out only what the configured public key verifies.
pub struct RemoteSigner {
    keeper: Arc<dyn MessageSigner>,
    key_id: String,
    public: PublicKey,
}

impl RemoteSigner {
    /// `public` is the key that is configured under `key_id`: what the controller will verify with.
    pub fn new(
        keeper: Arc<dyn MessageSigner>,
        key_id: impl Into<String>,
        public: PublicKey,
    ) -> Self {
        Self { keeper, key_id: key_id.into(), public }
    }

    /// Signs something that is no envelope, to learn before anybody needs it whether the keeper signs, and with the
    /// configured key.
    pub async fn try_out(&self) -> Result<(), RemoteSignerError> {
        let signature = self.signature(TRIAL, "").await.map_err(RemoteSignerError::Sign)?;
        let other = || RemoteSignerError::OtherKey { key_id: self.key_id.clone() };
        signature.map(drop).ok_or_else(other)
    }

    /// `None` for a signature that is not the configured key's over exactly this.
    async fn signature(&self, kind: &str, payload: &str) -> Result<Option<String>, PortError> {
        let message = signed_bytes(kind, payload);
        let signature = self.keeper.sign_message(&message).await?;
        let verifies = self.public.verifies(&message, &signature);
        Ok(verifies.then(|| URL_SAFE_NO_PAD.encode(signature)))
    }
}

impl fmt::Debug for RemoteSigner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RemoteSigner").field("key_id", &self.key_id).finish_non_exhaustive()
    }
}

#[async_trait]
impl EnvelopeSigner for RemoteSigner {
    async fn sign(&self, kind: &str, payload: String) -> Result<StoredEnvelope, PortError> {
        let signature = self.signature(kind, &payload).await?.ok_or_else(|| {
            let error = RemoteSignerError::OtherKey { key_id: self.key_id.clone() };
            let act = format!("sign a {kind} envelope with key {}", self.key_id);
            PortError::because(RetryClass::Invalid, act, error)
        })?;
        Ok(StoredEnvelope { payload, key_id: self.key_id.clone(), signature })
    }
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::rand::SystemRandom;
    use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
    use curfew_ports::SIGNATURE_BYTES;

    use super::*;
    use crate::keys::Algorithm;

    #[tokio::test]
    async fn what_the_keeper_signs_with_the_configured_key_is_an_envelope() {
        let (keeper, public) = keeper(None);
        let signer = RemoteSigner::new(keeper, "intake-1", public.clone());
        signer.try_out().await.unwrap();
        let envelope = signer.sign("spec", "{}".into()).await.unwrap();
        assert_eq!((envelope.key_id.as_str(), envelope.payload.as_str()), ("intake-1", "{}"));
        let signature = URL_SAFE_NO_PAD.decode(&envelope.signature).unwrap();
        assert!(public.verifies(b"curfew/v1/spec\n{}", &signature));
    }

    #[tokio::test]
    async fn a_signature_that_does_not_verify_is_never_given_out() {
        let (_, public) = keeper(None);
        for (name, (keeper, _)) in [
            ("another key", keeper(None)),
            ("noise", keeper(Some([7; SIGNATURE_BYTES]))),
            ("zeros", keeper(Some([0; SIGNATURE_BYTES]))),
        ] {
            let signer = RemoteSigner::new(keeper, "intake-1", public.clone());
            let error = signer.try_out().await.unwrap_err();
            assert!(matches!(error, RemoteSignerError::OtherKey { .. }), "{name}: {error}");
            let error = signer.sign("spec", "{}".into()).await.unwrap_err();
            assert_eq!(error.class, RetryClass::Invalid, "{name}: {}", error.chain());
        }
    }

    #[tokio::test]
    async fn a_keeper_that_does_not_sign_says_so() {
        let (_, public) = keeper(None);
        let signer = RemoteSigner::new(Arc::new(Gone), "intake-1", public);
        let error = signer.try_out().await.unwrap_err();
        assert!(matches!(error, RemoteSignerError::Sign(_)), "{error}");
        assert_eq!(signer.sign("spec", "{}".into()).await.unwrap_err().class, RetryClass::Denied);
    }

    /// A keeper of a new key, who may sign whatever comes with the same bytes.
    fn keeper(always: Option<[u8; SIGNATURE_BYTES]>) -> (Arc<dyn MessageSigner>, PublicKey) {
        let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
        let public = PublicKey::from_raw(Algorithm::P256, pair.public_key().as_ref()).unwrap();
        (Arc::new(Keeper { pair, always }), public)
    }

    struct Keeper {
        pair: EcdsaKeyPair,
        always: Option<[u8; SIGNATURE_BYTES]>,
    }

    #[async_trait]
    impl MessageSigner for Keeper {
        async fn sign_message(&self, message: &[u8]) -> Result<[u8; SIGNATURE_BYTES], PortError> {
            let signature = self.pair.sign(&SystemRandom::new(), message).unwrap();
            Ok(self.always.unwrap_or_else(|| signature.as_ref().try_into().unwrap()))
        }
    }

    struct Gone;

    #[async_trait]
    impl MessageSigner for Gone {
        async fn sign_message(&self, _: &[u8]) -> Result<[u8; SIGNATURE_BYTES], PortError> {
            Err(PortError::new(RetryClass::Denied, "sign"))
        }
    }
}
