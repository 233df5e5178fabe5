//! The front's own pages: who is there, signing in and signing out.

use askama::Template;
use axum::Form;
use axum::extract::{Request, State};
use axum::http::header::{LOCATION, SET_COOKIE};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;

use crate::error::ApiError;
use crate::front::{COOKIE_NAME, Front, Refusal, Visitor, host_of, known, visitor};
use crate::page;
use crate::world::Person;

#[derive(Template)]
#[template(path = "people.html")]
struct PeoplePage {
    people: Vec<PersonView>,
    /// Address of who is signed in.
    signed_in: Option<String>,
    /// On `NAME.localhost` the host says who it is; the way back is the plain host.
    plain_host: Option<String>,
}

struct PersonView {
    email: String,
    name: String,
    note: String,
    /// Where this person is signed in by the host alone.
    own_host: String,
    is_signed_in: bool,
}

/// Lists the people.
pub(super) async fn people(
    State(front): State<Front>,
    request: Request,
) -> Result<Response, ApiError> {
    let host = host_of(request.uri(), request.headers());
    let port = host.as_ref().map(|host| host.port.clone()).unwrap_or_default();
    let plain_host = host.and_then(|host| host.name).map(|_| format!("localhost{port}"));
    let signed_in = match visitor(&front.cloud.world(), request.uri(), request.headers()) {
        Ok(Visitor::Person(person)) => Some(person.email),
        Ok(Visitor::Nobody) | Err(_) => None,
    };
    let view = |person: Person| PersonView {
        own_host: format!(
            "{}.localhost{port}",
            person.email.split_once('@').map_or("", |(name, _)| name)
        ),
        is_signed_in: signed_in.as_ref() == Some(&person.email),
        email: person.email,
        name: person.name,
        note: person.note,
    };
    let people = front.cloud.people().into_iter().map(view).collect();
    page::html(&PeoplePage { people, signed_in, plain_host })
}

#[derive(Deserialize)]
pub(super) struct SignIn {
    email: String,
}

/// Remembers in a cookie of this host who it is.
pub(super) async fn sign_in(
    State(front): State<Front>,
    headers: HeaderMap,
    Form(form): Form<SignIn>,
) -> Response {
    if is_from_elsewhere(&headers) {
        return StatusCode::FORBIDDEN.into_response();
    }
    let email = form.email.to_ascii_lowercase();
    let world = front.cloud.world();
    match known(&world, &email, world.people.get(&email)) {
        Ok(Visitor::Person(person)) => with_cookie(
            &format!("{COOKIE_NAME}={}; Path=/; HttpOnly; SameSite=Lax", person.email),
            "/",
        ),
        Ok(Visitor::Nobody) => Refusal::NotSignedIn.into_response(),
        Err(refusal) => refusal.into_response(),
    }
}

/// Forgets who it is.
pub(super) async fn sign_out(headers: HeaderMap) -> Response {
    if is_from_elsewhere(&headers) {
        return StatusCode::FORBIDDEN.into_response();
    }
    with_cookie(&format!("{COOKIE_NAME}=; Path=/; Max-Age=0; HttpOnly; SameSite=Lax"), "/_demo/")
}

fn with_cookie(cookie: &str, next: &str) -> Response {
    (StatusCode::SEE_OTHER, [(SET_COOKIE, cookie), (LOCATION, next)]).into_response()
}

/// Browsers say where a form comes from; only our own page may sign somebody in.
fn is_from_elsewhere(headers: &HeaderMap) -> bool {
    headers.get("sec-fetch-site").is_some_and(|site| site != "same-origin" && site != "none")
}
