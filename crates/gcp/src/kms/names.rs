//! Names of keys and of their versions, in a form that a path carries as it is.

use std::fmt;

/// What a text should have been.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeyNameError {
    /// No name of a key.
    #[error("must be projects/<id>/locations/<location>/keyRings/<ring>/cryptoKeys/<key>")]
    Key,
    /// No name of a key version.
    #[error(
        "must be projects/<id>/locations/<location>/keyRings/<ring>/cryptoKeys/<key>/cryptoKeyVersions/<number>"
    )]
    Version,
    /// The project is a number: Cloud KMS answers with ids, and then it could not be told that the key is the same.
    #[error("must name its project by the id, not by the number")]
    ProjectNumber,
}

/// A key: `projects/<id>/locations/<location>/keyRings/<ring>/cryptoKeys/<key>`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyName(String);

/// One version of a key: its name and `/cryptoKeyVersions/<number>`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyVersionName(String);

/// What separates a version's number from its key.
const VERSIONS: &str = "/cryptoKeyVersions/";

impl KeyName {
    /// Reads a name.
    pub fn parse(text: &str) -> Result<Self, KeyNameError> {
        let parts: Vec<&str> = text.split('/').collect();
        let ["projects", project, "locations", location, "keyRings", ring, "cryptoKeys", key] =
            parts[..]
        else {
            return Err(KeyNameError::Key);
        };
        if !is_project(project) || ![location, ring, key].into_iter().all(is_id) {
            return Err(KeyNameError::Key);
        }
        if project.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(KeyNameError::ProjectNumber);
        }
        Ok(Self(text.to_owned()))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether the name is one of this key's versions, or the key's own.
    pub(crate) fn has_version(&self, name: &str) -> bool {
        let below = name.strip_prefix(&self.0);
        below.is_some_and(|below| {
            below.is_empty() || below.strip_prefix(VERSIONS).is_some_and(is_number)
        })
    }
}

impl KeyVersionName {
    /// Reads a name.
    pub fn parse(text: &str) -> Result<Self, KeyNameError> {
        let (key, number) = text.split_once(VERSIONS).ok_or(KeyNameError::Version)?;
        match KeyName::parse(key) {
            Ok(_) if is_number(number) => Ok(Self(text.to_owned())),
            Ok(_) | Err(KeyNameError::Key | KeyNameError::Version) => Err(KeyNameError::Version),
            Err(KeyNameError::ProjectNumber) => Err(KeyNameError::ProjectNumber),
        }
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The key whose version it is.
    pub fn key(&self) -> &str {
        self.0.split_once(VERSIONS).map_or(&self.0, |(key, _)| key)
    }
}

impl fmt::Display for KeyName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for KeyVersionName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Longer than any: project ids have 30 letters (and a domain before them), key rings and keys 63.
const SEGMENT_LENGTH_MAX: usize = 100;

/// A location, a key ring or a key (<https://cloud.google.com/kms/docs/reference/rest>: `[a-zA-Z0-9_-]{1,63}`).
fn is_id(segment: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_-".contains(&byte);
    (1..=SEGMENT_LENGTH_MAX).contains(&segment.len()) && segment.bytes().all(is_plain)
}

/// A project's id, which can have a domain before it, as in `example.com:web`. A path may carry a colon that is not in
/// its last segment.
fn is_project(segment: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-.:".contains(&byte);
    let is_dots = segment.bytes().all(|byte| byte == b'.');
    (1..=SEGMENT_LENGTH_MAX).contains(&segment.len()) && segment.bytes().all(is_plain) && !is_dots
}

fn is_number(text: &str) -> bool {
    !text.starts_with('0') && text.parse::<u32>().is_ok_and(|_| !text.starts_with('+'))
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str =
        "projects/access-keys/locations/europe-west1/keyRings/curfew/cryptoKeys/intake";

    #[test]
    fn names_of_keys_and_versions_are_read() {
        for project in ["access-keys", "example.com:keys"] {
            let key = KEY.replace("access-keys", project);
            assert_eq!(KeyName::parse(&key).unwrap().as_str(), key);
            let version = KeyVersionName::parse(&format!("{key}/cryptoKeyVersions/12")).unwrap();
            assert_eq!(version.key(), key);
            assert_eq!(KeyVersionName::parse(&key), Err(KeyNameError::Version));
            assert_eq!(KeyName::parse(version.as_str()), Err(KeyNameError::Key));
        }
        let key = KeyName::parse(KEY).unwrap();
        assert!(key.has_version(KEY) && key.has_version(&format!("{KEY}/cryptoKeyVersions/7")));
        for other in ["2", "/cryptoKeyVersions/", "/cryptoKeyVersions/x", "/x/1"] {
            assert!(!key.has_version(&format!("{KEY}{other}")), "{other}");
        }
    }

    #[test]
    fn what_is_no_name_is_refused() {
        for wrong in [
            "",
            "intake",
            "projects/p/locations/l/keyRings/r",
            "projects//locations/l/keyRings/r/cryptoKeys/k",
            "projects/../locations/l/keyRings/r/cryptoKeys/k",
            "projects/p/locations/l/keyRings/r/cryptoKeys/k:decrypt",
            "projects/p/locations/l/keyRings/r/cryptoKeys/k?x",
            "projects/p/locations/l/keyRings/r/cryptoKeys/k/",
            "/projects/p/locations/l/keyRings/r/cryptoKeys/k",
            "projects/p/locations/l/keyRings/r/cryptoKeys/ü",
        ] {
            assert_eq!(KeyName::parse(wrong), Err(KeyNameError::Key), "{wrong:?}");
        }
        for number in ["", "0", "01", "+1", "-1", "x", "1/2", "4294967296"] {
            let version = format!("{KEY}/cryptoKeyVersions/{number}");
            assert_eq!(KeyVersionName::parse(&version), Err(KeyNameError::Version), "{number:?}");
        }
        let numbered = KEY.replace("access-keys", "123456789012");
        assert_eq!(KeyName::parse(&numbered), Err(KeyNameError::ProjectNumber));
    }
}
