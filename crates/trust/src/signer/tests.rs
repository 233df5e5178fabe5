//! Key files: made once, kept closed, refused when open.

use curfew_ports::{EnvelopeSigner as _, FactSealer as _};

use super::*;
use crate::FactsKey;

#[tokio::test]
async fn a_generated_key_signs_what_its_public_half_verifies() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("intake.key");
    let public = generate_key_file(&path).unwrap();
    let signer = KeyFileSigner::open(&path, "k").unwrap();
    assert_eq!(signer.public_key().to_spki_pem(), public);
    let envelope = signer.sign("spec", "{}".into()).await.unwrap();
    assert_eq!((envelope.key_id.as_str(), envelope.payload.as_str()), ("k", "{}"));
    let signature = URL_SAFE_NO_PAD.decode(&envelope.signature).unwrap();
    assert!(signer.public_key().verifies(b"curfew/v1/spec\n{}", &signature));
    assert!(!signer.public_key().verifies(b"curfew/v1/spec\n{} ", &signature));
}

#[test]
fn who_holds_the_key_derives_the_same_secrets_and_nobody_else_does() {
    let directory = tempfile::tempdir().unwrap();
    let [first, second] = ["a.key", "b.key"].map(|name| directory.path().join(name));
    generate_key_file(&first).unwrap();
    generate_key_file(&second).unwrap();
    let ed25519 = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).unwrap();
    let third = directory.path().join("c.key");
    write_secret(&third, &pem("PRIVATE KEY", ed25519.as_ref())).unwrap();
    let derive = |path, label| KeyFileSigner::open(path, "any").unwrap().derive_key(label).unwrap();
    for path in [&first, &second, &third] {
        assert_eq!(derive(path, "form"), derive(path, "form"));
    }
    let all = [&first, &second, &third].map(|path| ["form", "other"].map(|to| derive(path, to)));
    let distinct: std::collections::BTreeSet<_> = all.iter().flatten().collect();
    assert_eq!(distinct.len(), 6);
}

#[test]
fn a_derived_key_is_that_of_rfc_5869() {
    // HKDF-SHA256 by Python's hmac: extract with the salt, then one block of expand.
    let der = PrivateKey::from_pkcs8(&ed25519_of_seed([7; 32])).unwrap();
    let expected = "04ced4ef3d701ca20cf4cc9a02eca40d482bec74702e3c724127a272d7c0efc3";
    assert_eq!(curfew_core::id::hex(&der.derive("form").unwrap()), expected);
}

#[test]
fn a_facts_key_survives_its_file() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("facts.key");
    let made = FactsKey::generate(&path).unwrap();
    let read = FactsKey::open(&path).unwrap();
    let entry = sealer(made).seal_ledger([1; 16], "K", crate::scene::noon(), "{}".into());
    assert!(sealer(read).verify_ledger(&entry));
    assert_ne!(std::fs::read_to_string(&path).unwrap().trim_end().len(), 0);
}

#[test]
fn an_existing_key_file_is_never_overwritten() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a.key");
    std::fs::write(&path, "kept").unwrap();
    assert!(matches!(generate_key_file(&path), Err(KeyFileError::Write { .. })));
    assert!(matches!(FactsKey::generate(&path), Err(KeyFileError::Write { .. })));
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "kept");
    assert_eq!(
        std::fs::read_dir(directory.path()).unwrap().count(),
        1,
        "nothing else is left behind"
    );
}

#[cfg(unix)]
#[test]
fn key_files_are_for_their_owner_only() {
    use std::os::unix::fs::PermissionsExt as _;
    let directory = tempfile::tempdir().unwrap();
    let (signing, facts) = (directory.path().join("a.key"), directory.path().join("b.key"));
    generate_key_file(&signing).unwrap();
    FactsKey::generate(&facts).unwrap();
    for path in [&signing, &facts] {
        assert_eq!(std::fs::metadata(path).unwrap().permissions().mode() & 0o777, 0o600);
    }
    for mode in [0o640, 0o604, 0o620, 0o610, 0o644] {
        for path in [&signing, &facts] {
            std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
        }
        let error = KeyFileSigner::open(&signing, "k").unwrap_err().to_string();
        assert!(error.contains("chmod 600") && error.contains(&format!("{mode:04o}")), "{error}");
        assert!(matches!(FactsKey::open(&facts), Err(KeyFileError::Exposed { .. })), "{mode:o}");
    }
    for path in [&signing, &facts] {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o400)).unwrap();
    }
    assert!(KeyFileSigner::open(&signing, "k").is_ok() && FactsKey::open(&facts).is_ok());
}

#[cfg(unix)]
#[test]
fn files_that_hold_something_else_are_refused() {
    use std::os::unix::fs::PermissionsExt as _;
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a.key");
    assert!(matches!(KeyFileSigner::open(&path, "k"), Err(KeyFileError::Read { .. })));
    assert!(matches!(
        FactsKey::open(directory.path()),
        Err(KeyFileError::Read { .. } | KeyFileError::Exposed { .. })
    ));
    let public = crate::scene::INTAKE_KEY.public_key().to_spki_pem();
    for text in [
        String::new(),
        "x".repeat(100_000),
        pem("PRIVATE KEY", b"x"),
        public,
        URL_SAFE_NO_PAD.encode([1; 31]),
    ] {
        std::fs::write(&path, &text).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        assert!(matches!(KeyFileSigner::open(&path, "k"), Err(KeyFileError::Content { .. })));
        assert!(matches!(FactsKey::open(&path), Err(KeyFileError::Content { .. })));
    }
}

#[test]
fn the_key_is_in_no_debug_text() {
    let text = format!("{:?}", *crate::scene::INTAKE_KEY);
    assert_eq!(text, "KeyFileSigner { key_id: \"intake-1\", .. }");
}

fn sealer(key: FactsKey) -> crate::Sealer {
    crate::Sealer::new(crate::scene::installation(), key)
}

/// PKCS#8 of an Ed25519 private key (RFC 8410 §7).
fn ed25519_of_seed(seed: [u8; 32]) -> Vec<u8> {
    let head = [48, 46, 2, 1, 0, 48, 5, 6, 3, 43, 101, 112, 4, 34, 4, 32];
    [&head[..], &seed].concat()
}
