//! Access tokens.

use google_cloud_auth::credentials::{self, CacheableResource, Credentials, mds};
use http::Extensions;
use reqwest::Url;
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderValue};

use crate::ConfigError;
use crate::endpoints::{NotAllowed, checked, is_loopback};
use crate::failure::CallError;

/// What the tokens are for: Cloud APIs; reading groups
/// (<https://cloud.google.com/identity/docs/reference/rest/v1/groups.memberships/checkTransitiveMembership>); and
/// reading them from the Directory where the licence for that is missing
/// (<https://developers.google.com/workspace/admin/directory/reference/rest/v1/members/list>).
const SCOPES: [&str; 3] = [
    "https://www.googleapis.com/auth/cloud-platform",
    "https://www.googleapis.com/auth/cloud-identity.groups.readonly",
    "https://www.googleapis.com/auth/admin.directory.group.readonly",
];

/// Where access tokens come from.
#[derive(Clone, Default)]
pub enum TokenSource {
    /// Application Default Credentials: the metadata server on Google Cloud, workload identity federation or a key
    /// file elsewhere.
    #[default]
    ApplicationDefault,
    /// A metadata server on a loopback address, such as `http://127.0.0.1:8421`.
    Metadata(String),
    /// One token that never changes, for tests and for the demo.
    Fixed(String),
}

/// A ready token source.
pub(crate) enum Tokens {
    Google(Credentials),
    Fixed(HeaderValue),
}

impl Tokens {
    pub(crate) fn new(source: &TokenSource) -> Result<Self, ConfigError> {
        match source {
            TokenSource::ApplicationDefault => credentials::Builder::default()
                .with_scopes(SCOPES)
                .build()
                .map(Self::Google)
                .map_err(ConfigError::Credentials),
            TokenSource::Metadata(endpoint) => {
                let endpoint = loopback(endpoint)?;
                let builder = mds::Builder::default().with_endpoint(endpoint).with_scopes(SCOPES);
                builder.build().map(Self::Google).map_err(ConfigError::Credentials)
            }
            TokenSource::Fixed(token) => {
                let mut value = HeaderValue::try_from(format!("Bearer {token}"))
                    .map_err(|_| ConfigError::FixedToken)?;
                value.set_sensitive(true);
                Ok(Self::Fixed(value))
            }
        }
    }

    /// The headers that authorise one call; cached and refreshed by the library.
    pub(crate) async fn headers(&self) -> Result<HeaderMap, CallError> {
        match self {
            Self::Google(credentials) => {
                match credentials.headers(Extensions::default()).await.map_err(CallError::Token)? {
                    CacheableResource::New { data, .. } => Ok(data),
                    CacheableResource::NotModified => Err(CallError::NoToken),
                }
            }
            Self::Fixed(value) => Ok(HeaderMap::from_iter([(AUTHORIZATION, value.clone())])),
        }
    }
}

fn loopback(endpoint: &str) -> Result<String, ConfigError> {
    let base = checked("metadata", endpoint)?;
    if Url::parse(&base).is_ok_and(|url| is_loopback(&url)) {
        Ok(base)
    } else {
        Err(ConfigError::Endpoint { service: "metadata", source: NotAllowed })
    }
}
