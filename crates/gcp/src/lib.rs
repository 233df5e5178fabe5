//! Google Cloud clients: policies, catalogue, directory, keys.
//!
//! One HTTP layer (`caller`) under three ports: [`GoogleCatalog`] reads policies and the hierarchy,
//! [`GooglePolicies`] writes policies, [`GoogleDirectory`] reads groups; [`GoogleKms`] signs and unwraps. Every answer is untrusted: it is bounded in
//! size, and what does not have the documented shape is an error, never an empty value. Reads are repeated within a
//! deadline; a policy write is sent once and never repeated here.

mod analysis;
mod assets;
mod caller;
mod catalog;
mod directory;
mod endpoints;
mod failure;
mod json;
mod kms;
mod members;
mod policies;
mod probe;
mod projects;
mod tokens;
mod wire;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use curfew_core::resource::Resource;

pub use caller::{OnCall, Timeouts};
pub use catalog::GoogleCatalog;
pub use directory::GoogleDirectory;
pub use endpoints::{Endpoints, NotAllowed};
pub use kms::{
    GoogleKms, KeyName, KeyNameError, KeyVersionName, KmsSigner, PublishedKey, SIGNING_ALGORITHM,
};
pub use policies::GooglePolicies;
pub use probe::{Database, GoogleProbe, Held, ProbeError, Probed, TokenInfo};
pub use tokens::TokenSource;

use caller::{Caller, Patience};
use directory::GroupNames;

/// What the clients need to know.
#[derive(Default)]
pub struct Config {
    /// Where Google's services are.
    pub endpoints: Endpoints,
    /// Where access tokens come from.
    pub tokens: TokenSource,
    /// How long to wait for Google.
    pub timeouts: Timeouts,
    /// If given, only projects that a search of Resource Manager finds by this query are listed
    /// (<https://cloud.google.com/resource-manager/reference/rest/v3/projects/search>).
    pub projects_query: Option<String>,
    /// Called after every attempt, for metrics.
    pub on_call: Option<OnCall>,
}

/// Why the clients cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// A base URL is neither Google's nor on a loopback address.
    #[error("endpoint {service}")]
    Endpoint {
        /// The service, as the field of [`Endpoints`] names it, or `metadata`.
        service: &'static str,
        /// What is wrong with it.
        #[source]
        source: NotAllowed,
    },
    /// No credentials of the wanted kind are here.
    #[error("credentials")]
    Credentials(#[source] google_cloud_auth::build_errors::Error),
    /// The fixed token cannot stand in a header.
    #[error("the fixed token has characters that a header cannot carry")]
    FixedToken,
    /// TLS could not be set up.
    #[error("HTTP client")]
    Client(#[source] reqwest::Error),
}

/// All clients over one connection pool and one token source.
pub struct Google {
    caller: Arc<Caller>,
    group_names: GroupNames,
}

impl Google {
    /// Checks the configuration; sends nothing. Must run inside a tokio runtime, which refreshes tokens.
    pub fn new(config: Config) -> Result<Self, ConfigError> {
        let patience = Patience::of(&config.timeouts);
        Self::with_patience(config, patience)
    }

    fn with_patience(config: Config, patience: Patience) -> Result<Self, ConfigError> {
        let caller = Caller::new(config, patience)?;
        Ok(Self { caller: Arc::new(caller), group_names: directory::group_names() })
    }

    /// The reader of policies and of the hierarchy below `scope`.
    pub fn catalog(&self, scope: Resource) -> GoogleCatalog {
        GoogleCatalog::new(Arc::clone(&self.caller), scope)
    }

    /// The reader and writer of policies.
    pub fn policies(&self) -> GooglePolicies {
        GooglePolicies::new(Arc::clone(&self.caller))
    }

    /// Looks that change nothing, for `curfew doctor`.
    pub fn probe(&self) -> GoogleProbe {
        GoogleProbe::new(Arc::clone(&self.caller))
    }

    /// Keys in Cloud KMS.
    pub fn kms(&self) -> GoogleKms {
        GoogleKms::new(Arc::clone(&self.caller))
    }

    /// The reader of groups.
    pub fn directory(&self) -> GoogleDirectory {
        GoogleDirectory::new(Arc::clone(&self.caller), self.group_names.clone())
    }
}
