//! Cloud Identity: groups and their memberships.

mod query;

use serde_json::{Value, json};

use crate::api::groups::query::{Clause, DISCUSSION_FORUM, MemberQuery, clauses};
use crate::api::paging::{PageLimits, PageRequest};
use crate::api::resource_manager::CREATED;
use crate::api::route::{Path, Wire, decode, no_such_path};
use crate::api::session::Session;
use crate::error::ApiError;
use crate::world::membership::Paths;
use crate::world::{Group, World};

/// "The default page size is 200 (max 1000)", `searchTransitiveGroups` and its like; for lists also
/// "Must not be greater than 1000 for `View.BASIC`".
const PAGES: PageLimits = PageLimits { default: 200, max: 1_000 };

/// "Defaults to 50 for `View.FULL`. Must not be greater than 500 for `View.FULL`."
const FULL_PAGES: PageLimits = PageLimits { default: 50, max: 500 };

/// How much of each item a list answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum View {
    Basic,
    Full,
}

/// One call about groups.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Call {
    Lookup { email: String },
    Get { group: String },
    List { parent: String, view: View, page: PageRequest },
    Search { query: String, view: View, page: PageRequest },
    Memberships { group: String, view: View, page: PageRequest },
    Membership { group: String, id: String },
    LookupMembership { group: String, email: String },
    TransitiveGroups { query: String, page: PageRequest },
    DirectGroups { query: String, page: PageRequest },
    CheckMembership { group: String, query: String },
    TransitiveMemberships { group: String, page: PageRequest },
}

impl Call {
    /// `None` for a path that is no group's.
    pub(crate) fn read(wire: &Wire<'_>, path: &Path<'_>) -> Result<Option<Self>, ApiError> {
        if path.segments.first() != Some(&"groups") {
            return Ok(None);
        }
        if wire.method != axum::http::Method::GET {
            return Err(no_such_path(wire));
        }
        let call = match path.segments.as_slice() {
            ["groups"] => Self::read_collection(wire, path.verb)?,
            ["groups", id] if path.verb.is_none() => decode(id).map(|group| Self::Get { group }),
            ["groups", "-", "memberships"] => Self::read_across(wire, path.verb)?,
            ["groups", id, "memberships"] => Self::read_memberships(wire, id, path.verb)?,
            ["groups", group, "memberships", id] if path.verb.is_none() => {
                decode(group).zip(decode(id)).map(|(group, id)| Self::Membership { group, id })
            }
            _ => None,
        };
        call.map(Some).ok_or_else(|| no_such_path(wire))
    }

    fn read_collection(wire: &Wire<'_>, verb: Option<&str>) -> Result<Option<Self>, ApiError> {
        match verb {
            None => {
                let parent = wire.query.get("parent").unwrap_or_default().to_owned();
                let (view, page) = viewed(wire)?;
                Ok(Some(Self::List { parent, view, page }))
            }
            Some("lookup") => Ok(Some(Self::Lookup { email: key(wire, "groupKey")? })),
            Some("search") => {
                let (view, page) = viewed(wire)?;
                Ok(Some(Self::Search { query: query(wire), view, page }))
            }
            Some(_) => Ok(None),
        }
    }

    fn read_across(wire: &Wire<'_>, verb: Option<&str>) -> Result<Option<Self>, ApiError> {
        let page = PageRequest::read(&wire.query, "pageSize")?;
        match verb {
            Some("searchTransitiveGroups") => {
                Ok(Some(Self::TransitiveGroups { query: query(wire), page }))
            }
            Some("searchDirectGroups") => {
                if wire.query.get("orderBy").is_some() {
                    return Err(ApiError::invalid("orderBy is not served by the simulated cloud."));
                }
                Ok(Some(Self::DirectGroups { query: query(wire), page }))
            }
            Some(_) | None => Ok(None),
        }
    }

    fn read_memberships(
        wire: &Wire<'_>,
        id: &str,
        verb: Option<&str>,
    ) -> Result<Option<Self>, ApiError> {
        let Some(group) = decode(id) else { return Ok(None) };
        match verb {
            None => {
                let (view, page) = viewed(wire)?;
                Ok(Some(Self::Memberships { group, view, page }))
            }
            Some("lookup") => {
                Ok(Some(Self::LookupMembership { group, email: key(wire, "memberKey")? }))
            }
            Some("checkTransitiveMembership") => {
                Ok(Some(Self::CheckMembership { group, query: query(wire) }))
            }
            Some("searchTransitiveMemberships") => {
                let page = PageRequest::read(&wire.query, "pageSize")?;
                Ok(Some(Self::TransitiveMemberships { group, page }))
            }
            Some(_) => Ok(None),
        }
    }

    /// The method's name, as faults name it.
    pub(crate) fn method(&self) -> &'static str {
        match self {
            Self::Get { .. } | Self::Membership { .. } => "get",
            Self::List { .. } | Self::Memberships { .. } => "list",
            Self::Search { .. } => "search",
            Self::Lookup { .. } | Self::LookupMembership { .. } => "lookup",
            Self::TransitiveGroups { .. } => "searchTransitiveGroups",
            Self::DirectGroups { .. } => "searchDirectGroups",
            Self::CheckMembership { .. } => "checkTransitiveMembership",
            Self::TransitiveMemberships { .. } => "searchTransitiveMemberships",
        }
    }

    /// The group that the call is about, by id or address.
    pub(crate) fn resource(&self) -> Option<String> {
        match self {
            Self::Lookup { email } => Some(format!("groups/{email}")),
            Self::Get { group }
            | Self::Memberships { group, .. }
            | Self::Membership { group, .. }
            | Self::LookupMembership { group, .. }
            | Self::CheckMembership { group, .. }
            | Self::TransitiveMemberships { group, .. } => Some(format!("groups/{group}")),
            Self::List { .. }
            | Self::Search { .. }
            | Self::TransitiveGroups { .. }
            | Self::DirectGroups { .. } => None,
        }
    }

    /// Whether the method needs a licence of Cloud Identity Premium or Workspace Enterprise.
    fn is_premium(&self) -> bool {
        match self {
            Self::TransitiveGroups { .. }
            | Self::CheckMembership { .. }
            | Self::TransitiveMemberships { .. } => true,
            Self::Lookup { .. }
            | Self::Get { .. }
            | Self::List { .. }
            | Self::Search { .. }
            | Self::Memberships { .. }
            | Self::Membership { .. }
            | Self::LookupMembership { .. }
            | Self::DirectGroups { .. } => false,
        }
    }
}

/// Answers the call for a caller whose administrator role reads groups.
pub(crate) fn answer(session: &Session<'_>, call: &Call) -> Result<Value, ApiError> {
    session.require_groups_reader()?;
    let world = session.world;
    if call.is_premium() && world.settings.cloud_identity_free {
        return Err(ApiError::not_authorized(
            "This feature is only available to Google Workspace Enterprise and Cloud Identity Premium accounts.",
        ));
    }
    match call {
        Call::Lookup { email } => {
            let group = world.groups.get(email).ok_or_else(|| no_such_group(email))?;
            Ok(json!({"name": name(group)}))
        }
        Call::Get { group } => Ok(shape(world, by_id(world, group)?, View::Full)),
        Call::List { parent, view, page } => {
            matching(world, &[Clause::Parent(parent)], *view, page)
        }
        Call::Search { query, view, page } => matching(world, &clauses(query)?, *view, page),
        Call::Memberships { group, view, page } => {
            let group = by_id(world, group)?;
            let members = group.members.iter().map(|email| membership(world, group, email, *view));
            cut(world, members.collect(), page, *view, "memberships")
        }
        Call::Membership { group, id } => {
            let group = by_id(world, group)?;
            let email = group.members.iter().find(|email| account(world, email).id == id);
            let email = email.ok_or_else(|| no_such_membership(group, id))?;
            Ok(membership(world, group, email, View::Full))
        }
        Call::LookupMembership { group, email } => {
            let group = by_id(world, group)?;
            let email = group.members.get(email).ok_or_else(|| no_such_membership(group, email))?;
            Ok(json!({"name": membership_name(world, group, email)}))
        }
        Call::TransitiveGroups { query, page } => transitive_groups(world, query, page),
        Call::DirectGroups { query, page } => direct_groups(world, query, page),
        Call::CheckMembership { group, query } => {
            let query = MemberQuery::read(query)?;
            let group = by_id(world, group)?;
            let holding = world.transitive_groups(&query.member);
            Ok(json!({"hasMembership": holding.contains_key(group.email.as_str())}))
        }
        Call::TransitiveMemberships { group, page } => {
            let members = world.transitive_members(&by_id(world, group)?.email);
            let relations = members.into_iter().map(|it| member_relation(world, it));
            cut(world, relations.collect(), page, View::Basic, "memberships")
        }
    }
}

fn matching(
    world: &World,
    clauses: &[Clause<'_>],
    view: View,
    page: &PageRequest,
) -> Result<Value, ApiError> {
    let customer = world.customer();
    let found = world
        .groups
        .values()
        .filter(|group| clauses.iter().all(|clause| clause.matches(group, customer)));
    cut(world, found.map(|group| shape(world, group, view)).collect(), page, view, "groups")
}

fn transitive_groups(world: &World, query: &str, page: &PageRequest) -> Result<Value, ApiError> {
    let query = MemberQuery::read_with_label(query)?;
    let found = world.transitive_groups(&query.member);
    let relations = found
        .into_iter()
        .filter_map(|(email, paths)| Some((world.groups.get(email)?, paths)))
        .filter(|_| is_in(world, &query))
        .map(|(group, paths)| group_relation(group, paths));
    cut(world, relations.collect(), page, View::Basic, "memberships")
}

fn direct_groups(world: &World, query: &str, page: &PageRequest) -> Result<Value, ApiError> {
    let query = MemberQuery::read_with_label(query)?;
    let holding = world.groups.values().filter(|group| group.members.contains(&query.member));
    let relations = holding.filter(|_| is_in(world, &query)).map(|group| {
        json!({
            "membership": membership_name(world, group, &query.member),
            "roles": [{"name": "MEMBER"}],
            "group": name(group),
            "groupKey": {"id": group.email},
            "displayName": group.name,
            "labels": {DISCUSSION_FORUM: ""},
        })
    });
    cut(world, relations.collect(), page, View::Basic, "memberships")
}

/// Whether the one customer's groups, which have one label, are those that the query asks for.
fn is_in(world: &World, query: &MemberQuery<'_>) -> bool {
    let is_ours = |parent: &str| parent.strip_prefix("customers/") == Some(world.customer());
    query.label.is_none_or(|label| label == DISCUSSION_FORUM) && query.parent.is_none_or(is_ours)
}

/// An account as the directory APIs describe it.
pub(crate) struct Account<'world> {
    pub(crate) id: &'world str,
    /// `USER`, `SERVICE_ACCOUNT` or `GROUP`; `OTHER` for addresses from elsewhere.
    kind: &'static str,
    collection: &'static str,
}

impl Account<'_> {
    pub(crate) fn is_group(&self) -> bool {
        self.kind == "GROUP"
    }

    pub(crate) fn is_known(&self) -> bool {
        self.kind != "OTHER"
    }
}

pub(crate) fn account<'world>(world: &'world World, email: &str) -> Account<'world> {
    if let Some(group) = world.groups.get(email) {
        return Account { id: &group.id, kind: "GROUP", collection: "groups" };
    }
    if let Some(person) = world.people.get(email) {
        return Account { id: &person.id, kind: "USER", collection: "users" };
    }
    match world.service_accounts.get(email) {
        Some(it) => Account { id: &it.id, kind: "SERVICE_ACCOUNT", collection: "users" },
        None => Account { id: "", kind: "OTHER", collection: "users" },
    }
}

fn shape(world: &World, group: &Group, view: View) -> Value {
    let mut shape = json!({
        "name": name(group),
        "groupKey": {"id": group.email},
        "displayName": group.name,
        "parent": format!("customers/{}", world.customer()),
    });
    if view == View::Full {
        shape["labels"] = json!({DISCUSSION_FORUM: ""});
        shape["createTime"] = json!(CREATED);
        shape["updateTime"] = json!(CREATED);
    }
    shape
}

fn membership(world: &World, group: &Group, email: &str, view: View) -> Value {
    let mut shape = json!({
        "name": membership_name(world, group, email),
        "preferredMemberKey": {"id": email},
        "roles": [{"name": "MEMBER"}],
    });
    if view == View::Full {
        shape["type"] = json!(account(world, email).kind);
        shape["createTime"] = json!(CREATED);
        shape["updateTime"] = json!(CREATED);
    }
    shape
}

fn group_relation(group: &Group, paths: Paths) -> Value {
    json!({
        "group": name(group),
        "groupKey": {"id": group.email},
        "displayName": group.name,
        "labels": {DISCUSSION_FORUM: ""},
        "relationType": relation_type(paths),
        "roles": [{"role": "MEMBER"}],
    })
}

fn member_relation(world: &World, (email, paths): (&str, Paths)) -> Value {
    let account = account(world, email);
    json!({
        "member": format!("{}/{}", account.collection, account.id),
        "preferredMemberKey": [{"id": email}],
        "relationType": relation_type(paths),
        "roles": [{"role": "MEMBER"}],
    })
}

fn relation_type(paths: Paths) -> &'static str {
    match (paths.direct, paths.indirect) {
        (true, true) => "DIRECT_AND_INDIRECT",
        (true, false) => "DIRECT",
        (false, _) => "INDIRECT",
    }
}

fn cut(
    world: &World,
    items: Vec<Value>,
    page: &PageRequest,
    view: View,
    list: &str,
) -> Result<Value, ApiError> {
    Ok(page.cut(items, limits(view), world.settings.max_page_size)?.answer(list))
}

fn limits(view: View) -> PageLimits {
    match view {
        View::Basic => PAGES,
        View::Full => FULL_PAGES,
    }
}

fn viewed(wire: &Wire<'_>) -> Result<(View, PageRequest), ApiError> {
    let view = match wire.query.get("view") {
        None | Some("BASIC" | "VIEW_UNSPECIFIED") => View::Basic,
        Some("FULL") => View::Full,
        Some(other) => {
            return Err(ApiError::invalid(format!("Invalid value at 'view', \"{other}\"")));
        }
    };
    Ok((view, PageRequest::read(&wire.query, "pageSize")?.at_most(limits(view))?))
}

fn query(wire: &Wire<'_>) -> String {
    wire.query.get("query").unwrap_or_default().to_owned()
}

/// The address of an `EntityKey`; a namespace is that of groups from other systems.
fn key(wire: &Wire<'_>, parameter: &str) -> Result<String, ApiError> {
    if wire.query.get(&format!("{parameter}.namespace")).is_some() {
        return Err(ApiError::invalid("namespaces are not served by the simulated cloud."));
    }
    let id = wire.query.get(&format!("{parameter}.id"));
    id.map(str::to_ascii_lowercase)
        .ok_or_else(|| ApiError::invalid(format!("{parameter}.id is required.")))
}

fn by_id<'world>(world: &'world World, id: &str) -> Result<&'world Group, ApiError> {
    world.group_by_id(id).ok_or_else(|| ApiError::not_found(format!("groups/{id} was not found.")))
}

fn name(group: &Group) -> String {
    format!("groups/{}", group.id)
}

fn membership_name(world: &World, group: &Group, email: &str) -> String {
    format!("{}/memberships/{}", name(group), account(world, email).id)
}

fn no_such_group(email: &str) -> ApiError {
    ApiError::not_found(format!("Group {email} was not found."))
}

fn no_such_membership(group: &Group, member: &str) -> ApiError {
    ApiError::not_found(format!("{} has no membership {member}.", name(group)))
}
