//! The Admin SDK Directory: groups, their members, and users.

use axum::http::Method;
use serde_json::{Value, json};

use crate::api::groups::account;
use crate::api::paging::{PageLimits, PageRequest};
use crate::api::resource_manager::CREATED;
use crate::api::route::{Wire, decode, no_such_path};
use crate::api::session::Session;
use crate::error::ApiError;
use crate::world::{Group, Person, World};

/// "Max allowed value is 200", `groups.list` and `members.list`; larger sizes count as 200.
const PAGES: PageLimits = PageLimits { default: 200, max: 200 };

/// Roles by which members can be listed; everybody here is a plain member.
const ROLES: [&str; 3] = ["OWNER", "MANAGER", "MEMBER"];

/// One call of the Directory; keys are addresses or ids, in lower case.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Call {
    Groups { member: Option<String>, page: PageRequest },
    Group { key: String },
    Members { group: String, with_derived: bool, only_leaders: bool, page: PageRequest },
    Member { group: String, member: String },
    HasMember { group: String, member: String },
    User { key: String, is_public_view: bool },
}

impl Call {
    /// From the path below `admin/directory/v1/`.
    pub(crate) fn read(wire: &Wire<'_>, rest: &str) -> Result<Self, ApiError> {
        if wire.method != Method::GET {
            return Err(no_such_path(wire));
        }
        let key = |text: &str| {
            decode(text).map(|key| key.to_ascii_lowercase()).ok_or_else(|| no_such_path(wire))
        };
        let page = || PageRequest::read(&wire.query, "maxResults");
        match rest.split('/').collect::<Vec<_>>().as_slice() {
            ["groups"] => Ok(Self::Groups { member: member_of_query(wire)?, page: page()? }),
            ["groups", group] => Ok(Self::Group { key: key(group)? }),
            ["groups", group, "members"] => Ok(Self::Members {
                group: key(group)?,
                with_derived: wire.query.get("includeDerivedMembership") == Some("true"),
                only_leaders: is_without_members(wire)?,
                page: page()?,
            }),
            ["groups", group, "members", member] => {
                Ok(Self::Member { group: key(group)?, member: key(member)? })
            }
            ["groups", group, "hasMember", member] => {
                Ok(Self::HasMember { group: key(group)?, member: key(member)? })
            }
            ["users", user] => Ok(Self::User {
                key: key(user)?,
                is_public_view: wire.query.get("viewType") == Some("domain_public"),
            }),
            _ => Err(no_such_path(wire)),
        }
    }

    /// The method's name, as faults name it.
    pub(crate) fn method(&self) -> &'static str {
        match self {
            Self::Groups { .. } | Self::Members { .. } => "list",
            Self::Group { .. } | Self::Member { .. } | Self::User { .. } => "get",
            Self::HasMember { .. } => "hasMember",
        }
    }

    /// The group or user that the call is about.
    pub(crate) fn resource(&self) -> Option<String> {
        match self {
            Self::Groups { .. } => None,
            Self::Group { key: group }
            | Self::Members { group, .. }
            | Self::Member { group, .. }
            | Self::HasMember { group, .. } => Some(format!("groups/{group}")),
            Self::User { key, .. } => Some(format!("users/{key}")),
        }
    }
}

/// Answers the call for a caller whose administrator role allows it.
pub(crate) fn answer(session: &Session<'_>, call: &Call) -> Result<Value, ApiError> {
    let world = session.world;
    match call {
        Call::User { key, is_public_view } => {
            // The public view is for everybody of the domain.
            if !(*is_public_view && world.people.contains_key(session.caller)) {
                session.require_users_reader()?;
            }
            return user_by_key(world, key).map(|person| user(world, person));
        }
        Call::Groups { .. }
        | Call::Group { .. }
        | Call::Members { .. }
        | Call::Member { .. }
        | Call::HasMember { .. } => session.require_groups_reader()?,
    }
    match call {
        Call::Groups { member, page } => groups(world, member.as_deref(), page),
        Call::Group { key } => Ok(group_shape(group_by_key(world, key)?)),
        Call::Members { group, with_derived, only_leaders, page } => {
            let group = group_by_key(world, group)?;
            let emails: Vec<&str> = if *only_leaders {
                Vec::new()
            } else if *with_derived {
                world.transitive_members(&group.email).into_keys().collect()
            } else {
                group.members.iter().map(String::as_str).collect()
            };
            let members = emails.into_iter().map(|email| member_shape(world, email)).collect();
            let cut = page.cut(members, PAGES, world.settings.max_page_size)?;
            Ok(of_kind("admin#directory#members", cut.answer("members")))
        }
        Call::Member { group, member } => {
            let group = group_by_key(world, group)?;
            let email = world.email_of(member).filter(|email| group.members.contains(*email));
            email
                .map(|email| member_shape(world, email))
                .ok_or_else(|| ApiError::not_found("Resource Not Found: memberKey"))
        }
        Call::HasMember { group, member } => {
            let group = group_by_key(world, group)?;
            let holding = world.email_of(member).map(|email| world.transitive_groups(email));
            let is_member = holding.is_some_and(|it| it.contains_key(group.email.as_str()));
            Ok(json!({"isMember": is_member}))
        }
        Call::User { key, .. } => user_by_key(world, key).map(|person| user(world, person)),
    }
}

/// All groups, or those with this direct member.
fn groups(world: &World, member: Option<&str>, page: &PageRequest) -> Result<Value, ApiError> {
    let email =
        match member {
            None => None,
            Some(key) => Some(world.email_of(key).ok_or_else(|| {
                ApiError::not_found(format!("Resource Not Found: userKey {key}"))
            })?),
        };
    let found = world
        .groups
        .values()
        .filter(|group| email.is_none_or(|email| group.members.contains(email)));
    let shapes = found.map(group_shape).collect();
    let cut = page.cut(shapes, PAGES, world.settings.max_page_size)?;
    Ok(of_kind("admin#directory#groups", cut.answer("groups")))
}

fn group_by_key<'world>(world: &'world World, key: &str) -> Result<&'world Group, ApiError> {
    let group = world.groups.get(key).or_else(|| world.group_by_id(key));
    group.ok_or_else(|| ApiError::not_found("Resource Not Found: groupKey"))
}

fn user_by_key<'world>(world: &'world World, key: &str) -> Result<&'world Person, ApiError> {
    let person = world.email_of(key).and_then(|email| world.people.get(email));
    person.ok_or_else(|| ApiError::not_found("Resource Not Found: userKey"))
}

/// The member by whom groups are listed: `userKey`, or `query=memberKey=…` beside `customer` or
/// `domain`.
fn member_of_query(wire: &Wire<'_>) -> Result<Option<String>, ApiError> {
    if let Some(key) = wire.query.get("userKey") {
        return Ok(Some(key.to_ascii_lowercase()));
    }
    if wire.query.get("customer").is_none() && wire.query.get("domain").is_none() {
        return Err(ApiError::invalid("Bad Request: customer, domain or userKey is required."));
    }
    match wire.query.get("query") {
        None => Ok(None),
        Some(query) => match query.split_once('=') {
            Some(("memberKey", key)) => Ok(Some(key.trim_matches('\'').to_ascii_lowercase())),
            Some(_) | None => Err(ApiError::invalid("Invalid Input: query")),
        },
    }
}

/// Whether `roles` asks for owners and managers only, of whom there are none.
fn is_without_members(wire: &Wire<'_>) -> Result<bool, ApiError> {
    let Some(roles) = wire.query.get("roles") else { return Ok(false) };
    let roles: Vec<&str> = roles.split(',').map(str::trim).collect();
    if roles.iter().all(|role| ROLES.contains(role)) {
        return Ok(!roles.contains(&"MEMBER"));
    }
    Err(ApiError::invalid("Invalid Input: roles"))
}

fn group_shape(group: &Group) -> Value {
    json!({
        "kind": "admin#directory#group",
        "id": group.id,
        "email": group.email,
        "name": group.name,
        "directMembersCount": group.members.len().to_string(),
        "adminCreated": true,
    })
}

fn member_shape(world: &World, email: &str) -> Value {
    let account = account(world, email);
    // The Directory counts service accounts among the users.
    let kind = match (account.is_known(), account.is_group()) {
        (true, true) => "GROUP",
        (true, false) => "USER",
        (false, _) => "EXTERNAL",
    };
    json!({
        "kind": "admin#directory#member",
        "id": account.id,
        "email": email,
        "role": "MEMBER",
        "type": kind,
        "status": "ACTIVE",
    })
}

fn user(world: &World, person: &Person) -> Value {
    let (given, family) = person.name.split_once(' ').unwrap_or((person.name.as_str(), ""));
    json!({
        "kind": "admin#directory#user",
        "id": person.id,
        "primaryEmail": person.email,
        "name": {"givenName": given, "familyName": family, "fullName": person.name},
        "emails": [{"address": person.email, "primary": true}],
        "isAdmin": false,
        "isDelegatedAdmin": person.groups_reader || person.users_reader,
        "suspended": false,
        "creationTime": CREATED,
        "customerId": world.customer(),
        "orgUnitPath": "/",
    })
}

fn of_kind(kind: &str, mut answer: Value) -> Value {
    answer["kind"] = json!(kind);
    answer
}
