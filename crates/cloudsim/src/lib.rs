//! A simulated Google Cloud and a simulated IAP front, for the demo and the tests.
//!
//! [`Cloud`] speaks the REST surface of Resource Manager (v1, v2, v3), Cloud Asset Inventory, IAM
//! roles, Cloud Identity Groups, the Admin SDK Directory, Cloud KMS, Pub/Sub and Secret Manager, with
//! the semantics that a careful client must cope with: etags, policy versions, limits, quotas, merged
//! and reordered bindings, deleted members, IAM enforced on its callers, and faults on request. It is
//! written from Google's public reference and shares nothing with the clients that are tested against
//! it.
//!
//! Three kinds of listener share one state: [`Cloud::serve`] (the APIs, the simulation's controls
//! under `/sim/v1/`, and a page of the live policies at `/`), [`Cloud::serve_metadata`] (the
//! metadata server of one service account) and [`Cloud::serve_front`] (the simulated IAP).

mod access;
mod api;
mod clock;
mod cloud;
mod condition;
mod error;
mod faults;
mod front;
mod keys;
mod kms;
mod knobs;
mod latency;
mod material;
mod metadata;
mod page;
mod policy;
mod principals;
mod pubsub;
mod quota;
mod roles;
mod rules;
mod secrets;
mod seed;
mod serve;
mod sim;
mod store;
mod tokeninfo;
mod traffic;
mod usage;
mod world;

use axum::extract::{Request, State};
use axum::routing::get;
use axum::{Json, Router};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

pub use crate::clock::Clock;
pub use crate::cloud::{Cloud, OpenError, Options, TokenError};
pub use crate::front::FrontOptions;
pub use crate::keys::KeyError;
pub use crate::latency::Latency;
pub use crate::seed::SeedError;
pub use crate::serve::ServeError;
pub use crate::store::StoreError;
use crate::traffic::Traffic;
pub use crate::world::Person;

impl Cloud {
    /// Serves Google's APIs, IAP's public keys, the simulation's controls and the page until
    /// `shutdown`. The controls ask for no credentials: serve on loopback only.
    ///
    /// # Errors
    /// The listener broke.
    pub async fn serve(
        self,
        listener: TcpListener,
        shutdown: CancellationToken,
    ) -> Result<(), ServeError> {
        let traffic = Traffic::from_environment().map_err(ServeError::Traffic)?;
        let routes = Router::new()
            .route("/", get(page::show))
            .route(
                "/iap/verify/public_key-jwk",
                get(async |State(cloud): State<Cloud>| Json(cloud.iap_key().key_set())),
            )
            .route(
                "/oauth2/v3/certs",
                get(async |State(cloud): State<Cloud>| Json(cloud.identity_key().key_set())),
            )
            .merge(sim::routes())
            .merge(knobs::routes())
            .merge(tokeninfo::routes())
            .fallback(async move |State(cloud): State<Cloud>, request: Request| {
                traffic.recorded(request, |request| api::google(cloud, request)).await
            })
            .with_state(self);
        serve::serve(listener, routes, shutdown).await
    }

    /// Serves the metadata server of a machine that runs as this service account until `shutdown`.
    ///
    /// # Errors
    /// The account does not exist, or the listener broke.
    pub async fn serve_metadata(
        self,
        service_account: String,
        listener: TcpListener,
        shutdown: CancellationToken,
    ) -> Result<(), ServeError> {
        let account = self.world().service_accounts.get(&service_account).cloned();
        let account = account.ok_or(ServeError::UnknownServiceAccount(service_account))?;
        serve::serve(listener, metadata::routes(self, account), shutdown).await
    }

    /// Serves the simulated IAP in front of intake until `shutdown`.
    ///
    /// # Errors
    /// The address of intake cannot be used, or the listener broke.
    pub async fn serve_front(
        self,
        options: FrontOptions,
        listener: TcpListener,
        shutdown: CancellationToken,
    ) -> Result<(), ServeError> {
        serve::serve(listener, front::routes(self, options)?, shutdown).await
    }
}
