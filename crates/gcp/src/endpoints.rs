//! Base URLs: Google's, or a loopback address for the simulator and for tests.

use curfew_core::resource::Resource;
use curfew_core::role::Role;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::Url;

use crate::ConfigError;

/// All that RFC 3986 §2.3 does not call unreserved. A colon is among it: unescaped, the one in a domain-scoped project
/// id reads as the start of a custom method's name.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Why a base URL is refused: access tokens would go there.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "must be https://<name>.googleapis.com or http(s)://<loopback address>:<port>, without user, path or query"
)]
pub struct NotAllowed;

/// Base URLs of Google's services, Google's own by default.
///
/// Anything but `https` to a host below `googleapis.com` (which covers private and restricted access) is accepted only
/// for loopback addresses, and written as numbers: a host name such as `localhost` can be made to mean anything.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoints {
    /// Resource Manager: projects, folders, organisations and their policies.
    pub resource_manager: String,
    /// Cloud Asset Inventory: effective policies.
    pub cloud_asset: String,
    /// Cloud Identity: groups.
    pub cloud_identity: String,
    /// IAM: roles.
    pub iam: String,
    /// Admin SDK Directory: groups, for licences without transitive search.
    pub directory: String,
    /// Cloud KMS: signatures and wrapping.
    pub kms: String,
    /// What an access token is good for; asked by probes alone.
    pub oauth2: String,
    /// Firestore's administration; asked by probes alone.
    pub firestore: String,
}

impl Default for Endpoints {
    fn default() -> Self {
        let google = |service: &str| format!("https://{service}.googleapis.com");
        Self {
            resource_manager: google("cloudresourcemanager"),
            cloud_asset: google("cloudasset"),
            cloud_identity: google("cloudidentity"),
            iam: google("iam"),
            directory: google("admin"),
            kms: google("cloudkms"),
            oauth2: google("oauth2"),
            firestore: google("firestore"),
        }
    }
}

impl Endpoints {
    /// Every service at one base URL, as the simulator serves them.
    pub fn all_at(base: &str) -> Self {
        Self {
            resource_manager: base.to_owned(),
            cloud_asset: base.to_owned(),
            cloud_identity: base.to_owned(),
            iam: base.to_owned(),
            directory: base.to_owned(),
            kms: base.to_owned(),
            oauth2: base.to_owned(),
            firestore: base.to_owned(),
        }
    }

    /// The same endpoints in the form that paths are appended to.
    pub(crate) fn checked(&self) -> Result<Self, ConfigError> {
        Ok(Self {
            resource_manager: checked("resource_manager", &self.resource_manager)?,
            cloud_asset: checked("cloud_asset", &self.cloud_asset)?,
            cloud_identity: checked("cloud_identity", &self.cloud_identity)?,
            iam: checked("iam", &self.iam)?,
            directory: checked("directory", &self.directory)?,
            kms: checked("kms", &self.kms)?,
            oauth2: checked("oauth2", &self.oauth2)?,
            firestore: checked("firestore", &self.firestore)?,
        })
    }
}

/// A node's name in a path, such as `projects/example.com%3Aweb-app`.
pub(crate) fn path_of(node: &Resource) -> String {
    match node {
        Resource::Project(id) => format!("projects/{}", segment(id)),
        Resource::Folder(_) | Resource::Organization(_) => node.to_string(),
    }
}

/// A role's name in a path.
pub(crate) fn path_of_role(role: &Role) -> String {
    role.as_str().split('/').map(segment).collect::<Vec<_>>().join("/")
}

/// A text as one segment of a path.
pub(crate) fn segment(text: &str) -> String {
    utf8_percent_encode(text, RESERVED).to_string()
}

/// The base URL without its final slash, if tokens may go there.
pub(crate) fn checked(service: &'static str, base: &str) -> Result<String, ConfigError> {
    let refused = || ConfigError::Endpoint { service, source: NotAllowed };
    let url = Url::parse(base).map_err(|_| refused())?;
    let is_plain = url.username().is_empty()
        && url.password().is_none()
        && url.query().is_none()
        && url.fragment().is_none();
    if is_plain && url.path() == "/" && (is_google(&url) || is_loopback(&url)) {
        Ok(url.as_str().trim_end_matches('/').to_owned())
    } else {
        Err(refused())
    }
}

fn is_google(url: &Url) -> bool {
    url.scheme() == "https"
        && url.port().is_none()
        && url.domain().is_some_and(|host| host.ends_with(".googleapis.com"))
}

/// Whether the URL names a loopback address in numbers.
pub(crate) fn is_loopback(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
    matches!(url.scheme(), "http" | "https")
        && host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn google_and_loopback_addresses_are_accepted() {
        for (base, kept) in [
            ("https://iam.googleapis.com", "https://iam.googleapis.com"),
            (
                "https://cloudasset.restricted.googleapis.com/",
                "https://cloudasset.restricted.googleapis.com",
            ),
            ("http://127.0.0.1:8421/", "http://127.0.0.1:8421"),
            ("http://127.8.9.1", "http://127.8.9.1"),
            ("https://[::1]:1", "https://[::1]:1"),
        ] {
            assert_eq!(checked("iam", base).unwrap(), kept);
        }
        assert_eq!(Endpoints::default().checked().unwrap(), Endpoints::default());
    }

    #[test]
    fn every_other_place_is_refused() {
        for base in [
            "",
            "iam.googleapis.com",
            "http://iam.googleapis.com",
            "https://googleapis.com",
            "https://example.com",
            "https://iam.googleapis.com.example.com",
            "https://evilgoogleapis.com",
            "https://iam.googleapis.com:8443",
            "https://iam.googleapis.com/v1",
            "https://iam.googleapis.com?x",
            "https://iam.googleapis.com#x",
            "https://u@iam.googleapis.com",
            "https://u:p@127.0.0.1",
            "http://localhost:1",
            "http://10.0.0.1:1",
            "http://169.254.169.254",
            "http://127.0.0.1.example.com",
            "http://[::ffff:10.0.0.1]",
            "ftp://127.0.0.1",
            "http://0.0.0.0:1",
            "unix:/x",
        ] {
            assert!(checked("iam", base).is_err(), "{base:?}");
        }
    }

    #[test]
    fn names_in_paths_are_escaped() {
        let node = |name: &str| path_of(&Resource::parse(name).unwrap());
        assert_eq!(node("projects/demo-web"), "projects/demo-web");
        assert_eq!(node("projects/example.com:web-app"), "projects/example.com%3Aweb-app");
        assert_eq!(node("folders/1"), "folders/1");
        let role = |name: &str| path_of_role(&Role::parse(name).unwrap());
        assert_eq!(role("roles/compute.viewer"), "roles/compute.viewer");
        assert_eq!(
            role("projects/example.com:web-app/roles/x_1"),
            "projects/example.com%3Aweb-app/roles/x_1"
        );
        assert_eq!(segment("o'b%r+a/../@x.y"), "o%27b%25r%2Ba%2F..%2F%40x.y");
    }

    #[test]
    fn each_endpoint_is_checked() {
        let evil = || "https://example.com".to_owned();
        let base = Endpoints::default;
        for (service, endpoints) in [
            ("resource_manager", Endpoints { resource_manager: evil(), ..base() }),
            ("cloud_asset", Endpoints { cloud_asset: evil(), ..base() }),
            ("cloud_identity", Endpoints { cloud_identity: evil(), ..base() }),
            ("iam", Endpoints { iam: evil(), ..base() }),
            ("directory", Endpoints { directory: evil(), ..base() }),
            ("kms", Endpoints { kms: evil(), ..base() }),
            ("oauth2", Endpoints { oauth2: evil(), ..base() }),
            ("firestore", Endpoints { firestore: evil(), ..base() }),
        ] {
            let error = endpoints.checked().unwrap_err();
            assert!(
                matches!(error, ConfigError::Endpoint { service: named, .. } if named == service),
                "{service}"
            );
        }
    }
}
