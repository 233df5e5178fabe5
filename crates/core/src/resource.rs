//! Resources that carry an IAM policy, in their one canonical form.

use std::fmt;

use crate::id::hashed_id;

/// Why a text is no resource name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("must be projects/<project id>, folders/<number> or organizations/<number>")]
pub struct ResourceError;

/// A project, folder or organisation. Any other spelling of the same resource is refused.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Resource {
    /// By its id (never its number), domain-scoped ids such as `example.com:web` included.
    Project(String),
    /// By its number.
    Folder(u64),
    /// By its number.
    Organization(u64),
}

impl Resource {
    /// Accepts the canonical form only.
    pub fn parse(text: &str) -> Result<Self, ResourceError> {
        let (kind, id) = text.split_once('/').ok_or(ResourceError)?;
        match kind {
            "projects" if is_project_id(id) => Ok(Self::Project(id.to_owned())),
            "folders" => number(id).map(Self::Folder),
            "organizations" => number(id).map(Self::Organization),
            _ => Err(ResourceError),
        }
    }

    /// The id of this resource's document in the collection `resources`.
    pub fn document_id(&self) -> String {
        hashed_id(&[b"curfew/v1/resource\n", self.to_string().as_bytes()])
    }
}

impl fmt::Display for Resource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Project(id) => write!(f, "projects/{id}"),
            Self::Folder(number) => write!(f, "folders/{number}"),
            Self::Organization(number) => write!(f, "organizations/{number}"),
        }
    }
}

fn number(text: &str) -> Result<u64, ResourceError> {
    let canonical = text.bytes().all(|b| b.is_ascii_digit()) && !text.starts_with('0');
    if canonical { text.parse().map_err(|_| ResourceError) } else { Err(ResourceError) }
}

/// 6 to 30 lower-case letters, digits and hyphens, a letter first and no hyphen last
/// (<https://cloud.google.com/resource-manager/docs/creating-managing-projects>), with an optional
/// `domain:` before it for domain-scoped projects.
fn is_project_id(text: &str) -> bool {
    let (scope, id) = match text.split_once(':') {
        Some((scope, id)) => (Some(scope), id),
        None => (None, text),
    };
    let id_ok = (6..=30).contains(&id.len())
        && id.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
        && id.starts_with(|c: char| c.is_ascii_lowercase())
        && !id.ends_with('-');
    let lower = |scope: &str| scope.len() <= 253 && !scope.bytes().any(|b| b.is_ascii_uppercase());
    id_ok && scope.is_none_or(|scope| lower(scope) && crate::principal::is_domain(scope))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn canonical_names_round_trip() {
        for name in [
            "projects/demo-web",
            "projects/example.com:demo-web",
            "folders/200000000001",
            "organizations/1",
        ] {
            assert_eq!(Resource::parse(name).unwrap().to_string(), name);
        }
    }

    #[test]
    fn every_other_spelling_is_refused() {
        for name in [
            "",
            "projects",
            "projects/",
            "projects/-",
            "projects/1234567",
            "projects/../x",
            "projects/demo-web/",
            "Projects/demo-web",
            "projects/Demo-web",
            "projects/demo-web-",
            "folders/0",
            "folders/01",
            "folders/x",
            "folders/-1",
            "organizations/99999999999999999999999",
            "//cloudresourcemanager.googleapis.com/projects/demo-web",
            "projects/demo-web\n",
            "projects/a:demo-web",
        ] {
            assert!(Resource::parse(name).is_err(), "{name:?}");
        }
    }
}
