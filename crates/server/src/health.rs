//! `curfew health`: whether a server on this machine lives, for the health checks of containers, which have no shell.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use clap::Args;
use reqwest::Client;

/// Where a server's operations port is if nobody says otherwise.
const OPS_DEFAULT: &str = "127.0.0.1:9464";

/// Says where it is, as for the server itself.
const OPS_VARIABLE: &str = "CURFEW_LISTEN__OPS";

/// It answers at once, or something is wrong with it.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(3);

/// Asks a running server for a sign of life; ends well if it gives one. Reads no configuration file.
#[derive(Debug, Args)]
pub(crate) struct Health {
    /// What to ask: `/livez` of the operations port by default, which is at `CURFEW_LISTEN__OPS` or 127.0.0.1:9464.
    #[arg(long)]
    url: Option<String>,
}

impl Health {
    pub(crate) async fn ask(&self, environment: &BTreeMap<String, String>) -> anyhow::Result<()> {
        let ops =
            environment.get(OPS_VARIABLE).map_or(OPS_DEFAULT, |ops| ops.trim_matches(['"', '\'']));
        let url = self.url.clone().unwrap_or_else(|| format!("http://{ops}/livez"));
        let client = Client::builder().no_proxy().timeout(ANSWER_TIMEOUT).build();
        let answer = client.context("HTTP client")?.get(&url).send().await;
        let status = answer.with_context(|| format!("no answer from {url}"))?.status();
        ensure!(status.is_success(), "{url} answers {status}");
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use axum::Router;
    use axum::http::StatusCode;
    use axum::routing::get;

    use super::*;

    #[tokio::test]
    async fn a_sign_of_life_is_good_and_everything_else_is_not() {
        let routes = Router::new()
            .route("/livez", get(async || "ok\n"))
            .route("/sick", get(async || StatusCode::SERVICE_UNAVAILABLE));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let ops = listener.local_addr().unwrap().to_string();
        tokio::spawn(async move { axum::serve(listener, routes).await });
        let at = |ops: &str| BTreeMap::from([(OPS_VARIABLE.to_owned(), ops.to_owned())]);
        let ask = async |url: Option<String>, ops: &str| Health { url }.ask(&at(ops)).await;
        assert!(ask(None, &ops).await.is_ok());
        assert!(ask(None, &format!("'{ops}'")).await.is_ok());
        assert!(ask(Some(format!("http://{ops}/livez")), "127.0.0.1:1").await.is_ok());
        assert!(ask(Some(format!("http://{ops}/sick")), &ops).await.is_err());
        assert!(ask(None, "127.0.0.1:1").await.is_err());
    }
}
