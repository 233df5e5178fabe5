//! `/`: the live policies, for people.

use askama::Template;
use axum::extract::State;
use axum::http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, X_CONTENT_TYPE_OPTIONS};
use axum::response::{Html, IntoResponse, Response};

use crate::clock::rfc3339;
use crate::cloud::Cloud;
use crate::error::ApiError;
use crate::policy::{Binding, Condition};
use crate::world::{Node, World};

/// Titles of bindings that Curfew owns begin so; the page makes them stand out.
const OWN_TITLE_PREFIX: &str = "curfew ";

/// The pages carry their style and load nothing.
pub(crate) const PAGE_POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

#[derive(Template)]
#[template(path = "policies.html")]
struct PoliciesPage {
    now: String,
    nodes: Vec<NodeView>,
}

/// One node with its policy, as printed.
struct NodeView {
    depth: usize,
    name: String,
    display_name: String,
    etag: String,
    bindings: Vec<BindingView>,
}

struct BindingView {
    role: String,
    role_title: String,
    members: Vec<MemberView>,
    condition: Option<Condition>,
    is_own: bool,
}

/// A member cut into its kind and the rest.
struct MemberView {
    kind: String,
    rest: String,
}

/// Renders the page.
pub(crate) async fn show(State(cloud): State<Cloud>) -> Result<Response, ApiError> {
    let page = PoliciesPage { now: rfc3339(cloud.now()), nodes: nodes(&cloud.world()) };
    html(&page)
}

/// A rendered template with the headers that all pages of this crate have.
pub(crate) fn html(page: &impl Template) -> Result<Response, ApiError> {
    let text = page.render().map_err(|error| {
        tracing::error!(%error, "a page of the simulated cloud could not be rendered");
        ApiError::internal()
    })?;
    let headers = [
        (CONTENT_SECURITY_POLICY, PAGE_POLICY),
        (CACHE_CONTROL, "no-store"),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    Ok((headers, Html(text)).into_response())
}

/// The hierarchy from the top, children under their parents.
fn nodes(world: &World) -> Vec<NodeView> {
    let mut ordered: Vec<(Vec<String>, &Node)> =
        world.nodes.values().map(|node| (path(world, node), node)).collect();
    ordered.sort_by(|(left, _), (right, _)| left.cmp(right));
    ordered.into_iter().map(|(path, node)| node_view(world, node, path.len() - 1)).collect()
}

/// Names from the organisation down to the node.
fn path(world: &World, node: &Node) -> Vec<String> {
    world.ancestry(node).into_iter().rev().map(Node::name).collect()
}

fn node_view(world: &World, node: &Node, depth: usize) -> NodeView {
    let revision = world.policy(node);
    let etag = revision.etag();
    let mut bindings: Vec<BindingView> =
        revision.policy.bindings.into_iter().map(|binding| binding_view(world, binding)).collect();
    bindings.sort_by_key(|binding| !binding.is_own);
    NodeView { depth, name: node.name(), display_name: node.display_name.clone(), etag, bindings }
}

fn binding_view(world: &World, binding: Binding) -> BindingView {
    let title = binding.condition.as_ref().map_or("", |condition| condition.title.as_str());
    BindingView {
        is_own: title.starts_with(OWN_TITLE_PREFIX),
        role_title: world.role(&binding.role).map(|role| role.title.clone()).unwrap_or_default(),
        role: binding.role,
        members: binding.members.iter().map(|member| member_view(member)).collect(),
        condition: binding.condition,
    }
}

fn member_view(member: &str) -> MemberView {
    let (kind, rest) = member.split_once(':').unwrap_or(("", member));
    MemberView { kind: kind.to_owned(), rest: rest.to_owned() }
}
