//! The simulated Identity-Aware Proxy: the only way in to intake.
//!
//! It knows who is asking, from a header of programs, from the name in `NAME.localhost` or from a
//! cookie, and vouches for it as IAP does: by a signed assertion, see
//! <https://cloud.google.com/iap/docs/signed-headers-howto>.

mod host;
mod pages;
mod proxy;

use axum::Router;
use axum::extract::Request;
use axum::http::header::{COOKIE, HOST};
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};

use crate::cloud::Cloud;
use crate::front::proxy::Intake;
use crate::serve::ServeError;
use crate::world::{Person, World};

/// The header by which programs say whom they speak for.
const DEMO_USER: &str = "x-demo-user";

/// The cookie that remembers who signed in on this host.
const COOKIE_NAME: &str = "curfew_demo_user";

/// How the simulated IAP is set up.
#[derive(Debug, Clone)]
pub struct FrontOptions {
    /// The audience of its assertions, such as `/projects/NUMBER/locations/REGION/services/NAME`.
    pub audience: String,
    /// Where intake listens: `http://HOST:PORT`.
    pub intake: String,
}

#[derive(Clone)]
struct Front {
    cloud: Cloud,
    audience: String,
    intake: Intake,
}

/// Who a request is from.
#[derive(Debug, Clone, PartialEq)]
enum Visitor {
    Person(Person),
    /// Nobody has signed in.
    Nobody,
}

/// Why a request is turned away.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
enum Refusal {
    #[error(
        "This is the Curfew demo. It answers on localhost, NAME.localhost and loopback addresses only."
    )]
    Host,
    #[error("Send {DEMO_USER} once, with the address of one person.")]
    ManyUsers,
    #[error("Nobody here is called {name}. The people of this demo are: {people}.")]
    Unknown { name: String, people: String },
    #[error(
        "Sign in first: open /_demo/ in a browser, or send the header X-Demo-User: alice@example.com."
    )]
    NotSignedIn,
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let code = match self {
            Self::Host => StatusCode::MISDIRECTED_REQUEST,
            Self::ManyUsers => StatusCode::BAD_REQUEST,
            Self::Unknown { .. } => StatusCode::FORBIDDEN,
            Self::NotSignedIn => StatusCode::UNAUTHORIZED,
        };
        (code, format!("{self}\n")).into_response()
    }
}

/// The front's routes: its own pages under `/_demo/`, everything else is intake's.
///
/// # Errors
/// The address of intake cannot be used.
pub(crate) fn routes(cloud: Cloud, options: FrontOptions) -> Result<Router, ServeError> {
    let front = Front { cloud, audience: options.audience, intake: Intake::new(&options.intake)? };
    Ok(Router::new()
        .route("/_demo", get(pages::people))
        .route("/_demo/", get(pages::people))
        .route("/_demo/sign-in", post(pages::sign_in))
        .route("/_demo/sign-out", post(pages::sign_out))
        .fallback(proxy::forward)
        .layer(middleware::from_fn(guard_host))
        .with_state(front))
}

/// Refuses names that a browser could have been led here by (DNS rebinding).
async fn guard_host(request: Request, next: Next) -> Response {
    match host_of(request.uri(), request.headers()) {
        Some(_) => next.run(request).await,
        None => Refusal::Host.into_response(),
    }
}

/// The one host that the request names, if it is one of ours.
fn host_of(uri: &Uri, headers: &HeaderMap) -> Option<host::Host> {
    let mut named = headers.get_all(HOST).iter();
    let host = named.next()?.to_str().ok()?;
    let agrees = uri.authority().is_none_or(|authority| authority.as_str() == host);
    (named.next().is_none() && agrees).then(|| host::parse(host)).flatten()
}

/// Whom the request is from: the header wins over the host name, and that over the cookie.
fn visitor(world: &World, uri: &Uri, headers: &HeaderMap) -> Result<Visitor, Refusal> {
    let mut users = headers.get_all(DEMO_USER).iter();
    if let Some(user) = users.next() {
        if users.next().is_some() {
            return Err(Refusal::ManyUsers);
        }
        let email = user.to_str().unwrap_or_default().trim().to_ascii_lowercase();
        let account = world.people.get(&email).cloned().or_else(|| service_account(world, &email));
        return known(world, &email, account.as_ref());
    }
    if let Some(name) = host_of(uri, headers).and_then(|host| host.name) {
        let person = world
            .people
            .values()
            .find(|person| person.email.split_once('@').is_some_and(|(local, _)| local == name));
        return known(world, &name, person);
    }
    match cookie(headers) {
        Some(email) => known(world, &email, world.people.get(&email)),
        None => Ok(Visitor::Nobody),
    }
}

fn known(world: &World, name: &str, person: Option<&Person>) -> Result<Visitor, Refusal> {
    person.map(|person| Visitor::Person(person.clone())).ok_or_else(|| Refusal::Unknown {
        name: name.chars().filter(|c| !c.is_control()).take(100).collect(),
        people: world.people.keys().cloned().collect::<Vec<_>>().join(", "),
    })
}

/// A service account as somebody who visits: IAP lets one in by its identity token, and vouches for it as for a person.
fn service_account(world: &World, email: &str) -> Option<Person> {
    let account = world.service_accounts.get(email)?;
    Some(Person { email: account.email.clone(), id: account.id.clone(), ..Person::default() })
}

fn cookie(headers: &HeaderMap) -> Option<String> {
    let pairs = headers
        .get_all(COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(';'));
    let mut own = pairs
        .filter_map(|pair| pair.trim().split_once('='))
        .filter(|(name, _)| *name == COOKIE_NAME);
    own.next().map(|(_, value)| value.to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;
    use crate::policy::Policy;
    use crate::world::{Change, Record, ServiceAccount};

    #[test]
    fn the_header_wins_over_the_host_and_the_host_over_the_cookie() {
        let all = [
            ("host", "bob.localhost"),
            (DEMO_USER, "Alice@Example.com"),
            ("cookie", "a=b; curfew_demo_user=carol@example.com"),
        ];
        assert_eq!(who(&all), Ok("alice@example.com".to_owned()));
        assert_eq!(who(&[all[0], all[2]]), Ok("bob@example.com".to_owned()));
        assert_eq!(who(&[("host", "localhost:8420"), all[2]]), Ok("carol@example.com".to_owned()));
        assert_eq!(who(&[("host", "127.0.0.1:8420")]), Ok("nobody".to_owned()));
    }

    #[test]
    fn an_unknown_name_is_refused_with_the_names_of_the_people() {
        let refusal = who(&[("host", "mallory.localhost")]).unwrap_err();
        assert!(refusal.to_string().contains("mallory"));
        assert!(refusal.to_string().contains("alice@example.com, bob@example.com"));
        assert!(matches!(
            who(&[("host", "localhost"), ("cookie", "curfew_demo_user=x@y")]),
            Err(Refusal::Unknown { .. })
        ));
    }

    #[test]
    fn a_service_account_comes_by_the_header_of_programs_alone() {
        let robot = "robot@demo-web.iam.gserviceaccount.com";
        assert_eq!(who(&[("host", "localhost"), (DEMO_USER, robot)]), Ok(robot.to_owned()));
        for pairs in [
            [("host", "robot.localhost"), ("accept", "*/*")],
            [
                ("host", "localhost"),
                ("cookie", "curfew_demo_user=robot@demo-web.iam.gserviceaccount.com"),
            ],
        ] {
            assert!(matches!(who(&pairs), Err(Refusal::Unknown { .. })), "{pairs:?}");
        }
    }

    #[test]
    fn two_user_headers_are_refused() {
        let twice = [
            ("host", "localhost"),
            (DEMO_USER, "alice@example.com"),
            (DEMO_USER, "bob@example.com"),
        ];
        assert_eq!(who(&twice), Err(Refusal::ManyUsers));
    }

    #[test]
    fn exactly_one_own_host_is_accepted() {
        let host = |pairs: &[(&'static str, &'static str)]| {
            host_of(&Uri::from_static("/"), &headers(pairs))
        };
        assert!(host(&[("host", "localhost")]).is_some());
        assert!(host(&[]).is_none());
        assert!(host(&[("host", "localhost"), ("host", "localhost")]).is_none());
        assert!(host(&[("host", "evil.example")]).is_none());
        assert!(
            host_of(&Uri::from_static("http://evil.example/"), &headers(&[("host", "localhost")]))
                .is_none()
        );
    }

    fn who(pairs: &[(&'static str, &'static str)]) -> Result<String, Refusal> {
        let mut world = World::default();
        for name in ["alice", "bob", "carol"] {
            let email = format!("{name}@example.com");
            let person = Person { email, id: "1".into(), ..Person::default() };
            world.apply(Change::Put(Record::Person(person)));
        }
        let email = "robot@demo-web.iam.gserviceaccount.com".to_owned();
        let robot = ServiceAccount {
            email,
            id: "2".into(),
            project: "demo-web".into(),
            groups_reader: false,
            users_reader: false,
            policy: Policy::default(),
            user_managed_keys: Vec::new(),
        };
        world.apply(Change::Put(Record::ServiceAccount(robot)));
        visitor(&world, &Uri::from_static("/"), &headers(pairs)).map(|visitor| match visitor {
            Visitor::Person(person) => person.email,
            Visitor::Nobody => "nobody".to_owned(),
        })
    }

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(*name, HeaderValue::from_static(value));
        }
        headers
    }
}
