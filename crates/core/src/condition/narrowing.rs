//! Narrowing a grant to named resources, in a condition of our own words.

use std::fmt;

use super::carried::{Carried, NotCarried};

/// The most names that a request can be narrowed to: each costs one logical operator, and one to join it,
/// of the twelve that IAM allows.
pub const NARROWING_NAMES_MAX: usize = 3;

/// The longest name, in bytes. Resource names in conditions are paths of a few segments.
pub const RESOURCE_NAME_BYTES_MAX: usize = 512;

/// The name of a resource as IAM conditions see it, `projects/p/zones/z/instances/i` or, in full,
/// `//compute.googleapis.com/projects/p/zones/z/instances/i`.
///
/// It is 1 to [`RESOURCE_NAME_BYTES_MAX`] bytes long, and each of its segments is made of
/// `A-Z a-z 0-9 . _ ~ : @ $ + , = -`. So it can stand in a string of a condition as it is, and holds
/// nothing (`*`) that a reader could take for a pattern.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ResourceName(String);

/// Why a request cannot be narrowed so.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NarrowingError {
    /// A text that is no resource name.
    #[error(
        "a resource name has 1 to {RESOURCE_NAME_BYTES_MAX} bytes and segments of letters, digits and \
         . _ ~ : @ $ + , = - between single slashes"
    )]
    NotAName,
    /// More names than [`NARROWING_NAMES_MAX`].
    #[error("a request can be narrowed to {NARROWING_NAMES_MAX} names at most, not to {names}")]
    TooManyNames {
        /// How many.
        names: usize,
    },
    /// The condition of the names cannot be carried.
    #[error(transparent)]
    NotCarried(#[from] NotCarried),
}

impl ResourceName {
    /// Reads a name.
    ///
    /// # Errors
    /// [`NarrowingError::NotAName`] for any other text.
    pub fn parse(text: &str) -> Result<Self, NarrowingError> {
        let path = text.strip_prefix("//").unwrap_or(text);
        let valid = text.len() <= RESOURCE_NAME_BYTES_MAX && path.split('/').all(is_segment);
        if valid { Ok(Self(text.to_owned())) } else { Err(NarrowingError::NotAName) }
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ResourceName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// The condition that holds for the named resources and what lies under them; empty for no names.
///
/// It is one clause: `resource.name == "N" || resource.name.startsWith("N/")` for each name, joined by
/// ` || `. Add it to an eligible binding's condition with [`Carried::and`].
///
/// # Errors
/// [`NarrowingError::TooManyNames`].
pub fn narrowing(names: &[ResourceName]) -> Result<Carried, NarrowingError> {
    if names.len() > NARROWING_NAMES_MAX {
        return Err(NarrowingError::TooManyNames { names: names.len() });
    }
    let alternatives: Vec<_> = names
        .iter()
        .map(|name| format!("resource.name == \"{name}\" || resource.name.startsWith(\"{name}/\")"))
        .collect();
    Ok(Carried::from_written(&alternatives.join(" || "))?)
}

/// Dots alone make no segment: some path handling would climb by them.
fn is_segment(segment: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"._~:@$+,=-".contains(&byte);
    !segment.is_empty() && segment.bytes().all(allowed) && segment.bytes().any(|byte| byte != b'.')
}
