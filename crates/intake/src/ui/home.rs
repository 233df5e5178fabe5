//! The start page: what somebody may ask for, and what they asked for lately.

use askama::Template;
use axum::extract::State;
use axum::http::Uri;
use axum::response::Response;
use curfew_core::index::Offer;

use super::ask::AskForm;
use super::pages::{Row, rows};
use super::{Frame, percent_encoded, render};
use crate::Shared;
use crate::api::lists::{self, Asked, Found};
use crate::api::requests::newest;
use crate::auth::Caller;
use crate::errors::Refusal;
use crate::offers::{Lists, STALE_AFTER};
use crate::params::Params;

/// How many requests the start page shows.
const RECENT: usize = 8;

#[derive(Template)]
#[template(path = "home.html")]
struct Home {
    frame: Frame,
    query: String,
    places: Vec<Place>,
    /// Why the list may lack something.
    stale: Option<String>,
    rows: Vec<Row>,
    /// Whether this is not the first page.
    is_later: bool,
    next: Option<String>,
}

/// A project, folder or organisation, and what is offered there.
struct Place {
    key: String,
    display_name: String,
    resource: String,
    /// Of what is no project.
    kind: Option<&'static str>,
    offers: Vec<Offered>,
}

struct Offered {
    role: String,
    condition: String,
    warnings: Vec<String>,
    active: Option<String>,
    /// Said where JIT Access gave it.
    prior: Option<String>,
    is_open: bool,
    form: AskForm,
}

/// `GET /`
pub(crate) async fn home(
    State(app): State<Shared>,
    caller: Caller,
    uri: Uri,
) -> Result<Response, Refusal> {
    let params = Params::read(&uri, &["query", "pageToken"])?;
    let query = params.get("query").unwrap_or_default().to_owned();
    let asked = Asked { query: params.get("query").map(str::to_lowercase), ..Asked::default() };
    let active = lists::active_requests(&app, &caller).await?;
    let (who, now) = (caller.principal(), app.now());
    let show = |lists: &Lists<'_>, offer: &Offer<'_>| {
        let place = Place {
            key: String::new(),
            display_name: display_name(offer),
            resource: offer.node.resource().to_string(),
            kind: kind(offer),
            offers: Vec::new(),
        };
        let is_dangerous = lists.is_dangerous(offer.by.role());
        let offered = Offered {
            role: offer.by.role().to_string(),
            condition: offer.by.condition().to_owned(),
            warnings: super::ask::warning_words(offer.by.role(), is_dangerous),
            active: active.get(&offer.key()).cloned(),
            prior: super::ask::prior_words(lists, offer, &who, now),
            is_open: false,
            form: AskForm::new(&app, &caller, offer),
        };
        (place, offered)
    };
    let Found { items, next, .. } = lists::page(&app, &caller, &params, &asked, show).await?;
    let (mut seen, _) = newest(&app, &caller, &Params::none()).await?;
    seen.truncate(RECENT);
    let next = next.map(|token| {
        format!("/?query={}&pageToken={}", percent_encoded(&query), percent_encoded(&token))
    });
    Ok(render(&Home {
        frame: Frame::new("Ask for access", "home", Some(&caller)),
        places: places(items),
        stale: app.lists.age().filter(|age| *age > STALE_AFTER).map(stale),
        rows: rows(&seen, app.now()),
        is_later: params.get("pageToken").is_some(),
        next,
        query,
    }))
}

fn stale(age: std::time::Duration) -> String {
    let minutes = age.as_secs() / 60;
    format!(
        "This list is {minutes} minutes old, because Google could not be read since: what changed meanwhile is missing."
    )
}

/// People know a resource by its display name, where it has one.
fn display_name(offer: &Offer<'_>) -> String {
    let name = offer.node.display_name();
    if name.is_empty() { offer.node.resource().to_string() } else { name.to_owned() }
}

fn kind(offer: &Offer<'_>) -> Option<&'static str> {
    use curfew_core::resource::Resource;
    match offer.node.resource() {
        Resource::Project(_) => None,
        Resource::Folder(_) => Some("Whole folder"),
        Resource::Organization(_) => Some("Whole organisation"),
    }
}

/// Offers come sorted by resource; each form gets a name of its own on the page.
fn places(items: Vec<(Place, Offered)>) -> Vec<Place> {
    let is_only = items.len() == 1;
    let mut places: Vec<Place> = Vec::new();
    for (n, (mut place, mut offered)) in items.into_iter().enumerate() {
        offered.form.key = format!("offer-{n}");
        offered.is_open = is_only;
        match places.last_mut() {
            Some(last) if last.resource == place.resource => last.offers.push(offered),
            Some(_) | None => {
                place.key = format!("place-{n}");
                place.offers.push(offered);
                places.push(place);
            }
        }
    }
    places
}
