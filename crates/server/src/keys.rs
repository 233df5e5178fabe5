//! Key files for one machine. Elsewhere keys live in Cloud KMS.

use std::path::Path;

use anyhow::Context as _;
use curfew_trust::{FactsKey, KeyFileSigner, generate_key_file};

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
