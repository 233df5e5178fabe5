//! What the machine knows of itself on Google Cloud: the numbers and names that audiences are made of.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use reqwest::Client;
use reqwest::header::HeaderValue;

/// The metadata server (<https://cloud.google.com/compute/docs/metadata/overview>).
const METADATA_HOST: &str = "metadata.google.internal";

/// Names another metadata server to Google's libraries; here it must be on this machine.
const METADATA_HOST_VARIABLE: &str = "GCE_METADATA_HOST";

/// It is on the same machine or one hop away; where there is none, nobody answers at all.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(2);

/// Numbers and names are short.
const ANSWER_BYTES_MAX: usize = 256;

/// Variables that one of Google's platforms sets, or that are useless without one.
const SIGNS: [&str; 3] = ["GAE_SERVICE", "K_SERVICE", "IAP_BACKEND_SERVICE_ID"];

/// Answers of the metadata server, each with why there is none.
#[derive(Debug, Clone)]
pub struct Platform {
    project_number: Result<String, String>,
    project_id: Result<String, String>,
    region: Result<String, String>,
}

impl Platform {
    /// Nobody was asked.
    pub fn unknown() -> Self {
        let unknown = || Err("this machine was not asked for its project".to_owned());
        Self { project_number: unknown(), project_id: unknown(), region: unknown() }
    }

    /// Asks the metadata server, where the environment says that there should be one.
    pub async fn read(environment: &BTreeMap<String, String>) -> Self {
        if !SIGNS.iter().any(|name| environment.contains_key(*name)) {
            return Self::unknown();
        }
        let host = environment.get(METADATA_HOST_VARIABLE);
        let base = match host.map(String::as_str) {
            None => Ok(format!("http://{METADATA_HOST}")),
            Some(host) => loopback(host),
        };
        let ask = async |path: &str| ask(&base.clone()?, path).await;
        Self {
            project_number: ask("project/numeric-project-id").await,
            project_id: ask("project/project-id").await,
            region: ask("instance/region").await,
        }
    }

    pub(super) fn app_engine_audience(&self) -> Result<String, String> {
        let (number, id) = (self.project_number.clone()?, self.project_id.clone()?);
        Ok(format!("/projects/{number}/apps/{id}"))
    }

    pub(super) fn backend_service_audience(&self, id: &str) -> Result<String, String> {
        Ok(format!("/projects/{}/global/backendServices/{id}", self.project_number.clone()?))
    }

    pub(super) fn cloud_run_audience(&self, service: &str) -> Result<String, String> {
        let (number, region) = (self.project_number.clone()?, self.region.clone()?);
        // `projects/<number>/regions/<region>`
        let region = region.rsplit('/').next().unwrap_or_default();
        Ok(format!("/projects/{number}/locations/{region}/services/{service}"))
    }
}

fn loopback(host: &str) -> Result<String, String> {
    let bare = host.rsplit_once(':').map_or(host, |(host, _)| host);
    let is_loopback =
        |host: &str| host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback());
    if is_loopback(host) || is_loopback(bare.trim_matches(['[', ']'])) {
        Ok(format!("http://{host}"))
    } else {
        Err(format!("{METADATA_HOST_VARIABLE}: {host:?} is no loopback address"))
    }
}

async fn ask(base: &str, path: &str) -> Result<String, String> {
    let failed = |error: reqwest::Error| {
        format!("the metadata server does not tell {path}: {}", root(&error))
    };
    let client = Client::builder().no_proxy().timeout(ANSWER_TIMEOUT).build().map_err(failed)?;
    let request = client.get(format!("{base}/computeMetadata/v1/{path}"));
    // Without the header it refuses; an answer without it comes from somebody else.
    let answer = request.header("Metadata-Flavor", "Google").send().await.map_err(failed)?;
    let answer = answer.error_for_status().map_err(failed)?;
    if answer.headers().get("Metadata-Flavor") != Some(&HeaderValue::from_static("Google")) {
        return Err(format!("{base} is no metadata server"));
    }
    let text = answer.text().await.map_err(failed)?;
    let text = text.trim();
    let is_plain = |b: u8| b.is_ascii_alphanumeric() || b"-/.:".contains(&b);
    if (1..=ANSWER_BYTES_MAX).contains(&text.len()) && text.bytes().all(is_plain) {
        Ok(text.to_owned())
    } else {
        Err(format!("the metadata server answers nonsense for {path}"))
    }
}

/// The innermost cause: the outer ones only repeat the URL.
fn root(error: &reqwest::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.to_string()
}

#[cfg(test)]
impl Platform {
    /// All is known.
    pub(super) fn known() -> Self {
        Self {
            project_number: Ok("123".into()),
            project_id: Ok("access-web".into()),
            region: Ok("projects/123/regions/europe-west1".into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use axum::Router;
    use axum::http::HeaderMap;
    use axum::routing::get;

    use super::*;

    #[tokio::test]
    async fn the_metadata_server_is_asked_where_there_should_be_one() {
        let host = serve(true).await;
        let told = |name: &str| env(&[(name, "x"), ("GCE_METADATA_HOST", &host)]);
        for name in SIGNS {
            let platform = Platform::read(&told(name)).await;
            assert_eq!(platform.app_engine_audience().unwrap(), "/projects/123/apps/access-web");
            assert_eq!(
                platform.backend_service_audience("7").unwrap(),
                "/projects/123/global/backendServices/7"
            );
            assert_eq!(
                platform.cloud_run_audience("jit").unwrap(),
                "/projects/123/locations/europe-west1/services/jit"
            );
        }
        assert!(Platform::read(&told("OTHER")).await.app_engine_audience().is_err());
    }

    #[tokio::test]
    async fn what_is_no_metadata_server_is_not_believed() {
        let other = serve(false).await;
        for (host, why) in [
            (other.as_str(), "no metadata server"),
            ("127.0.0.1:1", "does not tell"),
            ("metadata.example.com", "no loopback address"),
            ("10.0.0.1:80", "no loopback address"),
        ] {
            let environment = env(&[("K_SERVICE", "x"), ("GCE_METADATA_HOST", host)]);
            let error = Platform::read(&environment).await.cloud_run_audience("x").unwrap_err();
            assert!(error.contains(why), "{host}: {error}");
        }
    }

    fn env(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    /// A metadata server, or something that only answers like one.
    async fn serve(is_metadata: bool) -> String {
        let answer = move |text: &'static str| {
            get(move |headers: HeaderMap| async move {
                assert_eq!(headers["metadata-flavor"], "Google");
                let flavor = if is_metadata { "Google" } else { "Other" };
                ([("Metadata-Flavor", flavor)], text)
            })
        };
        let routes = Router::new()
            .route("/computeMetadata/v1/project/numeric-project-id", answer("123"))
            .route("/computeMetadata/v1/project/project-id", answer("access-web\n"))
            .route(
                "/computeMetadata/v1/instance/region",
                answer("projects/123/regions/europe-west1"),
            );
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let host = listener.local_addr().unwrap().to_string();
        tokio::spawn(async move { axum::serve(listener, routes).await });
        host
    }
}
