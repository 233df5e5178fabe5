//! What keys are for: signatures, public keys, encryption and decryption.

use aws_lc_rs::digest;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::api::kms::keys;
use crate::api::service::Outcome;
use crate::api::session::Session;
use crate::api::wire::{Bytes, Int64, checksum, verified};
use crate::error::ApiError;
use crate::kms::{Algorithm, KeyVersion, ProtectionLevel, Purpose};

/// Bytes of a SHA-256 digest.
const SHA256_BYTES: usize = 32;

/// Largest plaintext, additional data and data to sign of a software key: 64 KiB each.
const SOFTWARE_BYTES_MAX: usize = 64 * 1024;

/// Largest plaintext and additional data together of an HSM key: 8 KiB.
const HSM_BYTES_MAX: usize = 8 * 1024;

/// First bytes of every ciphertext here; the number of the version follows in four bytes.
const CIPHERTEXT_MAGIC: [u8; 4] = *b"kms1";

/// `AsymmetricSignRequest`.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct SignBody {
    digest: Option<DigestBody>,
    digest_crc32c: Option<Int64>,
    data: Option<Bytes>,
    data_crc32c: Option<Int64>,
}

/// `Digest`: the other algorithms of Google's belong to keys that are not simulated.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
struct DigestBody {
    sha256: Option<Bytes>,
    sha384: Option<Bytes>,
    sha512: Option<Bytes>,
}

/// `MacSignRequest`.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct MacBody {
    #[serde(default)]
    data: Bytes,
    data_crc32c: Option<Int64>,
}

/// `EncryptRequest`.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct EncryptBody {
    #[serde(default)]
    plaintext: Bytes,
    plaintext_crc32c: Option<Int64>,
    #[serde(default)]
    additional_authenticated_data: Bytes,
    additional_authenticated_data_crc32c: Option<Int64>,
}

/// `DecryptRequest`.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct DecryptBody {
    #[serde(default)]
    ciphertext: Bytes,
    ciphertext_crc32c: Option<Int64>,
    #[serde(default)]
    additional_authenticated_data: Bytes,
    additional_authenticated_data_crc32c: Option<Int64>,
}

pub(super) fn sign(session: &Session<'_>, name: &str, body: &SignBody) -> Outcome {
    let version = usable(session, name, Purpose::AsymmetricSign)?;
    let sha256 = body.digest.as_ref().map(sha256_of).transpose()?;
    let verified_digest = verified("digest", sha256.unwrap_or_default(), body.digest_crc32c)?;
    let data = body.data.as_ref().map(|Bytes(data)| data.as_slice());
    let verified_data = verified("data", data.unwrap_or_default(), body.data_crc32c)?;
    if data.is_some_and(|data| data.len() > SOFTWARE_BYTES_MAX) {
        return Err(ApiError::invalid("data must be no larger than 64KiB."));
    }
    let signature = match (version.algorithm, sha256, data) {
        (_, Some(_), Some(_)) => {
            return Err(ApiError::invalid("Only one of digest and data can be supplied."));
        }
        (_, None, None) => {
            return Err(ApiError::invalid("One of digest and data must be supplied."));
        }
        (Algorithm::EcSignP256Sha256, Some(digest), None) => version.material.sign_p256(digest),
        (Algorithm::EcSignP256Sha256, None, Some(data)) => {
            version.material.sign_p256(digest::digest(&digest::SHA256, data).as_ref())
        }
        (Algorithm::EcSignEd25519, None, Some(data)) => version.material.sign_ed25519(data),
        (Algorithm::EcSignEd25519, Some(_), None) => {
            return Err(ApiError::invalid("EC_SIGN_ED25519 signs data, not a digest."));
        }
        (Algorithm::GoogleSymmetricEncryption | Algorithm::HmacSha256, ..) => {
            return Err(ApiError::internal());
        }
    };
    let signature = signature.map_err(|_| ApiError::internal())?;
    let mut answer = json!({
        "name": version.name(),
        "signature": STANDARD.encode(&signature),
        "signatureCrc32c": checksum(&signature),
        "protectionLevel": version.protection,
    });
    // Proto3 JSON leaves false out.
    if verified_digest {
        answer["verifiedDigestCrc32c"] = true.into();
    }
    if verified_data {
        answer["verifiedDataCrc32c"] = true.into();
    }
    Ok((answer, Vec::new()))
}

pub(super) fn mac(session: &Session<'_>, name: &str, body: &MacBody) -> Outcome {
    let version = usable(session, name, Purpose::Mac)?;
    let Bytes(data) = &body.data;
    let verified_data = verified("data", data, body.data_crc32c)?;
    if data.len() > SOFTWARE_BYTES_MAX {
        return Err(ApiError::invalid("data must be no larger than 64KiB."));
    }
    let mac = version.material.mac(data).map_err(|_| ApiError::internal())?;
    let mut answer = json!({
        "name": version.name(),
        "mac": STANDARD.encode(&mac),
        "macCrc32c": checksum(&mac),
        "protectionLevel": version.protection,
    });
    if verified_data {
        answer["verifiedDataCrc32c"] = true.into();
    }
    Ok((answer, Vec::new()))
}

pub(super) fn public_key(session: &Session<'_>, name: &str, format: Option<&str>) -> Outcome {
    let version = usable(session, name, Purpose::AsymmetricSign)?;
    if !matches!(format, None | Some("PEM" | "PUBLIC_KEY_FORMAT_UNSPECIFIED")) {
        return Err(ApiError::invalid("publicKeyFormat: only PEM is offered for this key."));
    }
    let pem = version.material.public_pem(version.algorithm).map_err(|_| ApiError::internal())?;
    let answer = json!({
        "name": version.name(),
        "pemCrc32c": checksum(pem.as_bytes()),
        "pem": pem,
        "algorithm": version.algorithm,
        "protectionLevel": version.protection,
    });
    Ok((answer, Vec::new()))
}

/// With the primary version of a key, or with the version that is named.
pub(super) fn encrypt(session: &Session<'_>, name: &str, body: &EncryptBody) -> Outcome {
    let Bytes(plaintext) = &body.plaintext;
    let Bytes(aad) = &body.additional_authenticated_data;
    let verified_plaintext = verified("plaintext", plaintext, body.plaintext_crc32c)?;
    let verified_aad =
        verified("additional_authenticated_data", aad, body.additional_authenticated_data_crc32c)?;
    if name.contains("/cryptoKeyVersions/") {
        let version = usable(session, name, Purpose::EncryptDecrypt)?;
        let answer = sealed(version, plaintext, aad, verified_plaintext, verified_aad)?;
        return Ok((answer, Vec::new()));
    }
    let (key, changes) = keys::rotated(session, keys::key(session, name)?)?;
    require_purpose(name, key.purpose, Purpose::EncryptDecrypt)?;
    let new = changes.iter().find_map(keys::new_version_of);
    let stored = key.primary.and_then(|number| session.world.kms.version(&key.name, number));
    let primary = new.or(stored).ok_or_else(|| {
        ApiError::failed_precondition(format!("{name} has no primary version to encrypt with."))
    })?;
    keys::require_enabled(primary, session.now)?;
    Ok((sealed(primary, plaintext, aad, verified_plaintext, verified_aad)?, changes))
}

pub(super) fn decrypt(session: &Session<'_>, name: &str, body: &DecryptBody) -> Outcome {
    let Bytes(ciphertext) = &body.ciphertext;
    let Bytes(aad) = &body.additional_authenticated_data;
    verified("ciphertext", ciphertext, body.ciphertext_crc32c)?;
    verified("additional_authenticated_data", aad, body.additional_authenticated_data_crc32c)?;
    let key = keys::key(session, name)?;
    require_purpose(name, key.purpose, Purpose::EncryptDecrypt)?;
    // One answer for all that is wrong with a ciphertext, as Google's: it tells nothing apart.
    let refused = || {
        ApiError::invalid("Decryption failed: verify that 'name' refers to the correct CryptoKey.")
    };
    let (number, sealed) = parse(ciphertext).ok_or_else(refused)?;
    let version = session.world.kms.version(&key.name, number).ok_or_else(refused)?;
    keys::require_enabled(version, session.now)?;
    let plaintext = version.material.decrypt(sealed, aad).map_err(|_| refused())?;
    let mut answer = json!({
        "plaintext": STANDARD.encode(&plaintext),
        "plaintextCrc32c": checksum(&plaintext),
        "protectionLevel": version.protection,
    });
    if key.primary == Some(number) {
        answer["usedPrimary"] = true.into();
    }
    Ok((answer, Vec::new()))
}

fn sealed(
    version: &KeyVersion,
    plaintext: &[u8],
    aad: &[u8],
    verified_plaintext: bool,
    verified_aad: bool,
) -> Result<Value, ApiError> {
    check_sizes(version.protection, plaintext, aad)?;
    let sealed = version.material.encrypt(plaintext, aad).map_err(|_| ApiError::internal())?;
    let number = version.number.to_be_bytes();
    let ciphertext = [CIPHERTEXT_MAGIC.as_slice(), &number, &sealed].concat();
    let mut answer = json!({
        "name": version.name(),
        "ciphertext": STANDARD.encode(&ciphertext),
        "ciphertextCrc32c": checksum(&ciphertext),
        "protectionLevel": version.protection,
    });
    if verified_plaintext {
        answer["verifiedPlaintextCrc32c"] = true.into();
    }
    if verified_aad {
        answer["verifiedAdditionalAuthenticatedDataCrc32c"] = true.into();
    }
    Ok(answer)
}

fn parse(ciphertext: &[u8]) -> Option<(u32, &[u8])> {
    let rest = ciphertext.strip_prefix(&CIPHERTEXT_MAGIC)?;
    let (number, sealed) = rest.split_first_chunk()?;
    Some((u32::from_be_bytes(*number), sealed))
}

fn check_sizes(protection: ProtectionLevel, plaintext: &[u8], aad: &[u8]) -> Result<(), ApiError> {
    match protection {
        ProtectionLevel::Software => {
            for (field, bytes) in [("plaintext", plaintext), ("additional_authenticated_data", aad)]
            {
                if bytes.len() > SOFTWARE_BYTES_MAX {
                    return Err(ApiError::invalid(format!(
                        "{field} must be no larger than 64KiB."
                    )));
                }
            }
            Ok(())
        }
        ProtectionLevel::Hsm if plaintext.len() + aad.len() > HSM_BYTES_MAX => {
            Err(ApiError::invalid(
                "The combined length of the plaintext and additional_authenticated_data fields must \
                 be no larger than 8KiB.",
            ))
        }
        ProtectionLevel::Hsm => Ok(()),
    }
}

fn sha256_of(digest: &DigestBody) -> Result<&[u8], ApiError> {
    match digest {
        DigestBody { sha256: Some(Bytes(sha256)), sha384: None, sha512: None }
            if sha256.len() == SHA256_BYTES =>
        {
            Ok(sha256)
        }
        DigestBody { .. } => Err(ApiError::invalid(
            "digest must be a SHA-256 digest of 32 bytes, as the key version's algorithm asks for.",
        )),
    }
}

/// The version, if it may be used and its key is for this.
fn usable<'world>(
    session: &Session<'world>,
    name: &str,
    purpose: Purpose,
) -> Result<&'world KeyVersion, ApiError> {
    let version = keys::version(session, name)?;
    require_purpose(name, keys::key(session, &version.key)?.purpose, purpose)?;
    keys::require_enabled(version, session.now)?;
    Ok(version)
}

fn require_purpose(name: &str, purpose: Purpose, required: Purpose) -> Result<(), ApiError> {
    if purpose == required {
        return Ok(());
    }
    let (purpose, required) = (json!(purpose), json!(required));
    Err(ApiError::failed_precondition(format!(
        "The purpose of {name} is {}, and this method needs a key whose purpose is {}.",
        purpose.as_str().unwrap_or_default(),
        required.as_str().unwrap_or_default()
    )))
}
