//! Passing requests on to intake, vouched for.

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::header::{ACCEPT, CONNECTION, COOKIE, HeaderName, LOCATION};
use axum::http::uri::{Authority, PathAndQuery, Scheme};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::{Value, json};

use crate::front::{COOKIE_NAME, DEMO_USER, Front, Refusal, Visitor, visitor};
use crate::keys::KeyError;
use crate::serve::ServeError;
use crate::world::Person;

/// The header that carries the signed assertion.
const ASSERTION: HeaderName = HeaderName::from_static("x-goog-iap-jwt-assertion");

/// The unsigned headers that IAP sends too, and that nobody should read.
const UNSIGNED_EMAIL: HeaderName = HeaderName::from_static("x-goog-authenticated-user-email");
const UNSIGNED_ID: HeaderName = HeaderName::from_static("x-goog-authenticated-user-id");

/// "Must be in the future … 10 minutes after iat": life of an assertion.
const ASSERTION_SECONDS: i64 = 600;

/// Fields that belong to one connection, <https://www.rfc-editor.org/rfc/rfc9110#section-7.6.1>.
const HOP_BY_HOP: [&str; 9] = [
    "connection",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// A client of intake.
#[derive(Clone)]
pub(super) struct Intake {
    client: Client<HttpConnector, Body>,
    authority: Authority,
}

impl Intake {
    pub(super) fn new(address: &str) -> Result<Self, ServeError> {
        let wrong = || ServeError::IntakeAddress(address.to_owned());
        let uri: Uri = address.parse().map_err(|_| wrong())?;
        let is_base =
            uri.scheme() == Some(&Scheme::HTTP) && uri.path() == "/" && uri.query().is_none();
        let authority = uri.authority().filter(|_| is_base).cloned().ok_or_else(wrong)?;
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        Ok(Self { client: Client::builder(TokioExecutor::new()).build(connector), authority })
    }

    fn uri(&self, original: &Uri) -> Result<Uri, axum::http::Error> {
        let path =
            original.path_and_query().cloned().unwrap_or_else(|| PathAndQuery::from_static("/"));
        Uri::builder()
            .scheme(Scheme::HTTP)
            .authority(self.authority.clone())
            .path_and_query(path)
            .build()
    }
}

/// Signs for the visitor and passes the request on; bodies stream both ways.
pub(super) async fn forward(State(front): State<Front>, request: Request) -> Response {
    let found = visitor(&front.cloud.world(), request.uri(), request.headers());
    let person = match found {
        Ok(Visitor::Person(person)) => person,
        Ok(Visitor::Nobody) if wants_page(&request) => {
            return (StatusCode::SEE_OTHER, [(LOCATION, "/_demo/")]).into_response();
        }
        Ok(Visitor::Nobody) => return Refusal::NotSignedIn.into_response(),
        Err(refusal) => return refusal.into_response(),
    };
    match vouched(&front, request, &person) {
        Ok(request) => pass_on(&front.intake, request).await,
        Err(error) => unavailable(error.as_ref()),
    }
}

async fn pass_on(intake: &Intake, request: Request) -> Response {
    match intake.client.request(request).await {
        Ok(answer) => {
            let mut answer = answer.map(Body::new);
            strip_hop_by_hop(answer.headers_mut());
            answer
        }
        Err(error) => unavailable(&error),
    }
}

/// The request for intake: nothing that only IAP may say, and what IAP says.
fn vouched(
    front: &Front,
    mut request: Request,
    person: &Person,
) -> Result<Request, Box<dyn std::error::Error + Send + Sync>> {
    *request.uri_mut() = front.intake.uri(request.uri())?;
    let headers = request.headers_mut();
    strip_hop_by_hop(headers);
    strip_own(headers);
    let assertion = assertion(front, person)?;
    headers.insert(ASSERTION, HeaderValue::try_from(assertion)?);
    headers.insert(
        UNSIGNED_EMAIL,
        HeaderValue::try_from(format!("accounts.google.com:{}", person.email))?,
    );
    headers
        .insert(UNSIGNED_ID, HeaderValue::try_from(format!("accounts.google.com:{}", person.id))?);
    Ok(request)
}

fn assertion(front: &Front, person: &Person) -> Result<String, KeyError> {
    let issued = front.cloud.now().timestamp();
    front.cloud.iap_key().sign(&claims(person, &front.audience, issued))
}

/// The claims of <https://cloud.google.com/iap/docs/signed-headers-howto#verifying_the_jwt_payload>.
fn claims(person: &Person, audience: &str, issued: i64) -> Value {
    // A hosted domain is a customer's, and service accounts are no customer's people.
    let domain = person.email.split_once('@').map(|(_, domain)| domain);
    json!({
        "iss": "https://cloud.google.com/iap",
        "aud": audience,
        "sub": format!("accounts.google.com:{}", person.id),
        "email": person.email,
        "hd": domain.filter(|domain| !domain.ends_with(".gserviceaccount.com")),
        "iat": issued,
        "exp": issued + ASSERTION_SECONDS,
    })
}

/// Takes out what belongs to one connection: the fixed fields and those that `Connection` names.
fn strip_hop_by_hop(headers: &mut HeaderMap) {
    let named: Vec<String> = headers
        .get_all(CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(|name| name.trim().to_ascii_lowercase())
        .collect();
    remove_where(headers, |name| HOP_BY_HOP.contains(&name) || named.iter().any(|it| it == name));
}

/// Takes out every `x-goog-*` that a client sent, however it is spelt, and what is the demo's own.
fn strip_own(headers: &mut HeaderMap) {
    remove_where(headers, |name| {
        name.replace('_', "-").starts_with("x-goog-") || name == DEMO_USER
    });
    let cookies: Vec<HeaderValue> =
        headers.get_all(COOKIE).iter().filter_map(without_own_cookie).collect();
    headers.remove(COOKIE);
    for value in cookies {
        headers.append(COOKIE, value);
    }
}

fn without_own_cookie(value: &HeaderValue) -> Option<HeaderValue> {
    let text = value.to_str().ok()?;
    let is_own = |pair: &&str| pair.split_once('=').is_some_and(|(name, _)| name == COOKIE_NAME);
    let rest: Vec<&str> =
        text.split(';').map(str::trim).filter(|pair| !is_own(pair) && !pair.is_empty()).collect();
    (!rest.is_empty()).then(|| HeaderValue::from_str(&rest.join("; ")).ok()).flatten()
}

fn remove_where(headers: &mut HeaderMap, unwanted: impl Fn(&str) -> bool) {
    let names: Vec<HeaderName> =
        headers.keys().filter(|name| unwanted(name.as_str())).cloned().collect();
    for name in names {
        headers.remove(name);
    }
}

/// A browser that opens a page, as opposed to a program.
fn wants_page(request: &Request) -> bool {
    let accept =
        request.headers().get(ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    request.method() == Method::GET && accept.contains("text/html")
}

fn unavailable(error: &dyn std::error::Error) -> Response {
    tracing::warn!(%error, "intake could not be reached through the simulated IAP");
    (StatusCode::BAD_GATEWAY, "Curfew's intake does not answer.\n").into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_cannot_speak_for_iap_in_any_spelling() {
        let mut headers = HeaderMap::new();
        for name in [
            "x-goog-iap-jwt-assertion",
            "x-goog-authenticated-user-email",
            "x_goog_iap_jwt_assertion",
            "x-goog_iap-other",
            DEMO_USER,
        ] {
            headers.append(HeaderName::from_static(name), HeaderValue::from_static("forged"));
        }
        headers.append("x-google", HeaderValue::from_static("kept"));
        strip_own(&mut headers);
        assert_eq!(headers.keys().map(HeaderName::as_str).collect::<Vec<_>>(), ["x-google"]);
    }

    #[test]
    fn intake_sees_its_own_cookies_only() {
        let mut headers = HeaderMap::new();
        headers.append(
            COOKIE,
            HeaderValue::from_static("a=1; curfew_demo_user=alice@example.com; b=2"),
        );
        headers.append(COOKIE, HeaderValue::from_static("curfew_demo_user=bob@example.com"));
        strip_own(&mut headers);
        assert_eq!(headers.get_all(COOKIE).iter().collect::<Vec<_>>(), ["a=1; b=2"]);
    }

    #[test]
    fn fields_of_one_connection_end_here() {
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("connection", "close, X-Private"),
            ("x-private", "1"),
            ("te", "trailers"),
            ("upgrade", "h2c"),
            ("accept", "*/*"),
        ] {
            headers.append(name, HeaderValue::from_static(value));
        }
        strip_hop_by_hop(&mut headers);
        assert_eq!(headers.keys().map(HeaderName::as_str).collect::<Vec<_>>(), ["accept"]);
    }

    #[test]
    fn intakes_address_is_a_plain_base() {
        assert!(Intake::new("http://127.0.0.1:9000").is_ok());
        for address in [
            "",
            "127.0.0.1:9000",
            "https://127.0.0.1",
            "http://127.0.0.1/path",
            "http://127.0.0.1/?q",
        ] {
            assert!(Intake::new(address).is_err(), "{address}");
        }
    }
}
