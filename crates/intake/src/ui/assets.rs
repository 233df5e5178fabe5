//! Style and icon, under names that change with their content.

use std::sync::LazyLock;

use axum::extract::Path;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use curfew_core::id::Digest;

use crate::errors::{Reason, Refusal};

/// Behind sign-in, so no shared cache keeps them; the name changes when they do.
const CACHE_CONTROL: &str = "private, max-age=31536000, immutable";

struct Asset {
    path: String,
    content_type: &'static str,
    content: &'static str,
}

static ASSETS: LazyLock<[Asset; 2]> = LazyLock::new(|| {
    [
        asset("curfew", "css", "text/css; charset=utf-8", include_str!("../../assets/curfew.css")),
        asset("icon", "svg", "image/svg+xml", include_str!("../../assets/icon.svg")),
    ]
});

fn asset(stem: &str, extension: &str, content_type: &'static str, content: &'static str) -> Asset {
    let digest = Digest::of(content.as_bytes());
    Asset { path: format!("/assets/{stem}-{}.{extension}", digest.prefix()), content_type, content }
}

pub(super) fn style_path() -> &'static str {
    let [style, _] = &*ASSETS;
    &style.path
}

pub(super) fn icon_path() -> &'static str {
    let [_, icon] = &*ASSETS;
    &icon.path
}

/// `GET /assets/{name}`
pub(crate) async fn asset_route(Path(name): Path<String>) -> Result<Response, Refusal> {
    let found = ASSETS.iter().find(|asset| asset.path.strip_prefix("/assets/") == Some(&name));
    let asset = found.ok_or_else(|| {
        Refusal::new(Reason::RouteUnknown, "There is no such file: reload the page.")
    })?;
    let headers =
        [(header::CONTENT_TYPE, asset.content_type), (header::CACHE_CONTROL, CACHE_CONTROL)];
    Ok((headers, asset.content).into_response())
}
