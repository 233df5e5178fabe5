//! Where the store is and how it is reached.

use std::fmt;
use std::time::Duration;

use backon::{ExponentialBuilder, Retryable as _};
use firestore::errors::FirestoreError;
use firestore::{FIREBASE_DEFAULT_DATABASE_ID, FirestoreDb, FirestoreDbOptions};
use google_cloud_auth::credentials::{
    CacheableResource, Credentials, CredentialsProvider, EntityTag,
};
use google_cloud_auth::errors::CredentialsError;
use tokio::time::Instant;
use tonic::codegen::http::header::AUTHORIZATION;
use tonic::codegen::http::{Extensions, HeaderMap, HeaderValue, Uri};

/// Google's own endpoint. Named here, so that an environment variable for emulators can never
/// redirect production credentials.
const GOOGLE: &str = "https://firestore.googleapis.com";

/// How long [`crate::FirestoreStore::connect`] tries again: a container's network or a local server
/// may come up a little later than we do. The attempt that is under way then takes 10 s at most.
pub const CONNECT_TIME_MAX: Duration = Duration::from_secs(30);

/// How long one attempt to connect may take.
const CONNECT_ATTEMPT_TIME_MAX: Duration = Duration::from_secs(10);

/// The first and the longest wait between two attempts to connect.
const CONNECT_DELAY: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(1));

/// How long one call may take, from the first byte to the last; Firestore answers in well under a
/// second unless it is about to fail.
pub const CALL_TIME_MAX: Duration = Duration::from_secs(10);

/// How long a transient failure is answered by making the same call again. A call is over within
/// this plus [`CALL_TIME_MAX`].
pub const RETRY_TIME_MAX: Duration = Duration::from_secs(15);

/// Where the store is, how to sign in, and how long to wait.
#[derive(Debug, Clone)]
pub struct StoreOptions {
    /// The project's id.
    pub project: String,
    /// The database, `(default)` if nobody named it.
    pub database: String,
    /// `http://127.0.0.1:<port>` for the embedded server or an emulator; `None` for Google.
    pub endpoint: Option<String>,
    /// How to sign in.
    pub auth: Auth,
    /// See [`CONNECT_TIME_MAX`].
    pub connect_time_max: Duration,
    /// See [`CALL_TIME_MAX`].
    pub call_time_max: Duration,
    /// See [`RETRY_TIME_MAX`].
    pub retry_time_max: Duration,
}

impl StoreOptions {
    /// Google's Firestore, with these credentials.
    pub fn google(project: impl Into<String>, credentials: Credentials) -> Self {
        Self::new(project.into(), None, Auth::Google(credentials))
    }

    /// A server on this machine: the embedded one, or Google's emulator (whose token is `owner`).
    pub fn loopback(
        project: impl Into<String>,
        endpoint: impl Into<String>,
        token: impl Into<String>,
    ) -> Self {
        let auth = Auth::Bearer(BearerToken(token.into()));
        Self::new(project.into(), Some(endpoint.into()), auth)
    }

    /// Whether a connection may be tried at all; sends nothing.
    pub fn check(&self) -> Result<(), ConnectError> {
        checked_endpoint(self)?;
        credentials(&self.auth).map(|_| ())
    }

    fn new(project: String, endpoint: Option<String>, auth: Auth) -> Self {
        Self {
            project,
            database: FIREBASE_DEFAULT_DATABASE_ID.to_owned(),
            endpoint,
            auth,
            connect_time_max: CONNECT_TIME_MAX,
            call_time_max: CALL_TIME_MAX,
            retry_time_max: RETRY_TIME_MAX,
        }
    }
}

/// How to sign in to the store.
#[derive(Debug, Clone)]
pub enum Auth {
    /// A fixed token, accepted for loopback endpoints only.
    Bearer(BearerToken),
    /// Google credentials, fetched and refreshed by `google-cloud-auth`.
    Google(Credentials),
}

/// A token that is never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct BearerToken(pub String);

impl fmt::Debug for BearerToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("BearerToken(..)")
    }
}

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The options cannot be right.
    #[error("{what}: {value:?}")]
    Options {
        /// What is wrong.
        what: &'static str,
        /// The value that was given.
        value: String,
    },
    /// The token cannot be sent in a header.
    #[error("the store's bearer token holds characters that no header may hold")]
    Token,
    /// Nothing answered in time.
    #[error("no connection to the store at {endpoint} within {waited:?}")]
    Unreachable {
        /// The endpoint.
        endpoint: String,
        /// How long it was tried.
        waited: Duration,
        /// The last failure, if an attempt ended at all.
        #[source]
        source: Option<Box<FirestoreError>>,
    },
}

/// Connects, again and again until it works or the time is over.
pub(crate) async fn connect(options: &StoreOptions) -> Result<FirestoreDb, ConnectError> {
    let endpoint = checked_endpoint(options)?;
    let credentials = credentials(&options.auth)?;
    let database = FirestoreDbOptions::new(options.project.clone())
        .with_database_id(options.database.clone())
        .with_firebase_api_url(endpoint.clone());
    let deadline = Instant::now() + options.connect_time_max;
    // Not cut short by the deadline: the last attempt's own failure says more than that time is up.
    let limit = options.connect_time_max.min(CONNECT_ATTEMPT_TIME_MAX);
    let attempt = || {
        let connecting = FirestoreDb::with_options_auth(database.clone(), credentials.clone());
        async move { tokio::time::timeout(limit, connecting).await.map_err(|_| None)?.map_err(Some) }
    };
    let connected = attempt
        .retry(backoff(CONNECT_DELAY.0, CONNECT_DELAY.1))
        .when(|_| Instant::now() < deadline)
        .await;
    connected.map_err(|source| ConnectError::Unreachable {
        endpoint,
        waited: options.connect_time_max,
        source: source.map(Box::new),
    })
}

/// Growing waits without an end of their own: the caller's deadline ends them.
pub(crate) fn backoff(first: Duration, longest: Duration) -> ExponentialBuilder {
    ExponentialBuilder::new()
        .with_min_delay(first)
        .with_max_delay(longest)
        .with_jitter()
        .without_max_times()
}

fn checked_endpoint(options: &StoreOptions) -> Result<String, ConnectError> {
    let wrong = |what, value: &str| Err(ConnectError::Options { what, value: value.to_owned() });
    for (what, part) in
        [("not a project id", &options.project), ("not a database id", &options.database)]
    {
        if part.is_empty() || part.contains('/') || !part.is_ascii() {
            return wrong(what, part);
        }
    }
    let endpoint = options.endpoint.as_deref().unwrap_or(GOOGLE);
    let Ok(uri) = endpoint.parse::<Uri>() else {
        return wrong("the store's endpoint is no URL", endpoint);
    };
    let loopback = uri.host().is_some_and(is_loopback);
    match uri.scheme_str() {
        Some("https") => {}
        Some("http") if loopback => {}
        Some("http") => {
            return wrong("plain http is for loopback only; not so the store's endpoint", endpoint);
        }
        _ => return wrong("the store's endpoint must be an http or https URL", endpoint),
    }
    if matches!(options.auth, Auth::Bearer(_)) && !loopback {
        return wrong("a fixed token is for loopback only; not so the store's endpoint", endpoint);
    }
    Ok(endpoint.to_owned())
}

/// Addresses only, and the one name that is theirs by RFC 6761.
fn is_loopback(host: &str) -> bool {
    let address = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || address.parse().is_ok_and(|ip: std::net::IpAddr| ip.is_loopback())
}

fn credentials(auth: &Auth) -> Result<Credentials, ConnectError> {
    match auth {
        Auth::Google(credentials) => Ok(credentials.clone()),
        Auth::Bearer(BearerToken(token)) => {
            let mut header = HeaderValue::try_from(format!("Bearer {token}"))
                .map_err(|_| ConnectError::Token)?;
            header.set_sensitive(true);
            Ok(Credentials::from(FixedToken { header, entity_tag: EntityTag::new() }))
        }
    }
}

/// Credentials that are one header, for ever.
#[derive(Debug)]
struct FixedToken {
    header: HeaderValue,
    entity_tag: EntityTag,
}

impl CredentialsProvider for FixedToken {
    async fn headers(
        &self,
        extensions: Extensions,
    ) -> Result<CacheableResource<HeaderMap>, CredentialsError> {
        if extensions.get::<EntityTag>() == Some(&self.entity_tag) {
            return Ok(CacheableResource::NotModified);
        }
        let data = HeaderMap::from_iter([(AUTHORIZATION, self.header.clone())]);
        Ok(CacheableResource::New { entity_tag: self.entity_tag.clone(), data })
    }

    async fn universe_domain(&self) -> Option<String> {
        None
    }
}

#[cfg(test)]
mod tests {
    use google_cloud_auth::credentials::anonymous;

    use super::*;

    fn google(endpoint: Option<&str>) -> StoreOptions {
        let mut options = StoreOptions::google("p", anonymous::Builder::new().build());
        options.endpoint = endpoint.map(str::to_owned);
        options
    }

    #[test]
    fn without_an_endpoint_it_is_googles_whatever_the_environment_says() {
        assert_eq!(checked_endpoint(&google(None)).unwrap(), "https://firestore.googleapis.com");
    }

    #[test]
    fn plain_http_is_refused_off_loopback() {
        for endpoint in [
            "http://firestore.googleapis.com",
            "http://10.0.0.1:80",
            "http://127.0.0.1.example.com:80",
            "http://localhost.example.com:80",
            "ftp://127.0.0.1",
            "127.0.0.1:80",
            "",
        ] {
            assert!(checked_endpoint(&google(Some(endpoint))).is_err(), "{endpoint}");
        }
        for endpoint in ["http://127.0.0.1:80", "http://[::1]:80", "http://localhost:80"] {
            assert!(checked_endpoint(&google(Some(endpoint))).is_ok(), "{endpoint}");
        }
    }

    #[test]
    fn a_fixed_token_stays_on_this_machine() {
        let options = StoreOptions::loopback("p", "https://firestore.googleapis.com", "secret");
        assert!(checked_endpoint(&options).is_err());
        let options = StoreOptions::loopback("p", "http://127.0.0.1:80", "secret");
        assert!(checked_endpoint(&options).is_ok());
        assert!(!format!("{options:?}").contains("secret"), "tokens are never printed");
    }

    #[test]
    fn a_project_that_would_bend_the_path_is_refused() {
        for project in ["", "a/b", "projects/a"] {
            let options = StoreOptions::loopback(project, "http://127.0.0.1:80", "t");
            assert!(checked_endpoint(&options).is_err(), "{project:?}");
        }
    }

    #[tokio::test]
    async fn connecting_to_nobody_ends_at_the_deadline_with_the_cause() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        drop(listener);
        let mut options = StoreOptions::loopback("p", endpoint, "t");
        options.connect_time_max = Duration::from_millis(200);
        let started = Instant::now();
        let error = connect(&options).await.unwrap_err();
        assert!(started.elapsed() >= options.connect_time_max, "{:?}", started.elapsed());
        assert!(std::error::Error::source(&error).is_some(), "{error}");
    }

    #[test]
    fn a_token_that_no_header_can_hold_is_an_error() {
        let token = Auth::Bearer(BearerToken("a\nb".into()));
        assert!(matches!(credentials(&token), Err(ConnectError::Token)));
    }
}
