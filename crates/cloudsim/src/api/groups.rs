//! Cloud Identity Groups and the Admin SDK Directory.

use serde_json::{Value, json};

use crate::api::paging::{PageLimits, PageRequest};
use crate::api::session::Session;
use crate::error::ApiError;
use crate::world::{Group, Paths};

/// The label that every Google group has.
const DISCUSSION_FORUM: &str = "cloudidentity.googleapis.com/groups.discussion_forum";

/// "The default page size is 200 (max 1000)", `searchTransitiveGroups`.
const IDENTITY_PAGES: PageLimits = PageLimits { default: 200, max: 1_000 };

/// "Maximum number of results to return. Max allowed value is 200", `groups.list` and `members.list`.
const DIRECTORY_PAGES: PageLimits = PageLimits { default: 200, max: 200 };

/// `groups:lookup`: the resource name of a group by its address.
pub(crate) fn lookup(session: &Session<'_>, email: &str) -> Result<Value, ApiError> {
    session.require_groups_reader()?;
    let group = session
        .world
        .groups
        .get(email)
        .ok_or_else(|| ApiError::not_found(format!("Group {email} was not found.")))?;
    Ok(json!({"name": format!("groups/{}", group.id)}))
}

/// `groups/-/memberships:searchTransitiveGroups`.
pub(crate) fn transitive(
    session: &Session<'_>,
    query: &str,
    page: &PageRequest,
) -> Result<Value, ApiError> {
    session.require_groups_reader()?;
    let member = member_of_query(query, true)?;
    let found = session.world.transitive_groups(&member);
    let relations = found
        .into_iter()
        .filter_map(|(email, paths)| Some(relation(session.world.groups.get(email)?, paths)));
    Ok(page
        .cut(relations.collect(), IDENTITY_PAGES, session.world.settings.max_page_size)?
        .answer("memberships"))
}

/// `groups/ID/memberships:checkTransitiveMembership`.
pub(crate) fn check(session: &Session<'_>, id: &str, query: &str) -> Result<Value, ApiError> {
    session.require_groups_reader()?;
    let member = member_of_query(query, false)?;
    let group = session
        .world
        .group_by_id(id)
        .ok_or_else(|| ApiError::not_found(format!("groups/{id} was not found.")))?;
    let has_membership =
        session.world.transitive_groups(&member).contains_key(group.email.as_str());
    Ok(json!({"hasMembership": has_membership}))
}

/// Directory `groups.list`: all groups, or those with this direct member.
pub(crate) fn list(
    session: &Session<'_>,
    member: Option<&str>,
    page: &PageRequest,
) -> Result<Value, ApiError> {
    session.require_groups_reader()?;
    if let Some(stranger) = member.filter(|member| !session.world.knows(member)) {
        return Err(ApiError::not_found(format!("Resource Not Found: userKey {stranger}")));
    }
    let groups = session
        .world
        .groups
        .values()
        .filter(|group| member.is_none_or(|member| group.members.contains(member)));
    let cut = page.cut(
        groups.map(directory_group).collect(),
        DIRECTORY_PAGES,
        session.world.settings.max_page_size,
    )?;
    Ok(of_kind("admin#directory#groups", cut.answer("groups")))
}

/// Directory `groups.get`; the key is an address or an id.
pub(crate) fn get(session: &Session<'_>, key: &str) -> Result<Value, ApiError> {
    Ok(directory_group(by_key(session, key)?))
}

/// Directory `members.list`: direct members.
pub(crate) fn members(
    session: &Session<'_>,
    key: &str,
    page: &PageRequest,
) -> Result<Value, ApiError> {
    let group = by_key(session, key)?;
    let members = group.members.iter().map(|member| directory_member(session, member)).collect();
    let cut = page.cut(members, DIRECTORY_PAGES, session.world.settings.max_page_size)?;
    Ok(of_kind("admin#directory#members", cut.answer("members")))
}

/// Directory `members.hasMember`: direct or through nested groups.
pub(crate) fn has_member(
    session: &Session<'_>,
    key: &str,
    member: &str,
) -> Result<Value, ApiError> {
    let group = by_key(session, key)?;
    let is_member = session.world.transitive_groups(member).contains_key(group.email.as_str());
    Ok(json!({"isMember": is_member}))
}

fn by_key<'world>(session: &Session<'world>, key: &str) -> Result<&'world Group, ApiError> {
    session.require_groups_reader()?;
    let group = session.world.groups.get(key).or_else(|| session.world.group_by_id(key));
    group.ok_or_else(|| ApiError::not_found("Resource Not Found: groupKey"))
}

/// The member that a query asks for: clauses joined by `&&`, of which `member_key_id == '…'` is
/// required, and the label where `needs_label`.
fn member_of_query(query: &str, needs_label: bool) -> Result<String, ApiError> {
    let mut member = None;
    let mut has_label = false;
    for clause in query.split("&&").map(str::trim) {
        if let Some(value) = clause.strip_prefix("member_key_id") {
            let value = value.trim_start().strip_prefix("==").and_then(quoted);
            member = Some(value.ok_or_else(|| bad_query(query))?.to_ascii_lowercase());
        } else if clause.strip_suffix("in labels").and_then(quoted) == Some(DISCUSSION_FORUM) {
            has_label = true;
        } else {
            return Err(bad_query(query));
        }
    }
    if needs_label && !has_label {
        return Err(bad_query(query));
    }
    member.ok_or_else(|| bad_query(query))
}

/// The text between a pair of quotes that holds no further quote or escape.
fn quoted(text: &str) -> Option<&str> {
    let text = text.trim();
    let inner =
        ['\'', '"'].iter().find_map(|quote| text.strip_prefix(*quote)?.strip_suffix(*quote))?;
    (!inner.is_empty() && !inner.contains(['\'', '"', '\\'])).then_some(inner)
}

fn bad_query(query: &str) -> ApiError {
    ApiError::invalid(format!("Error(2006): Invalid query: {query}"))
}

fn relation(group: &Group, paths: Paths) -> Value {
    let relation_type = match (paths.direct, paths.indirect) {
        (true, true) => "DIRECT_AND_INDIRECT",
        (true, false) => "DIRECT",
        (false, _) => "INDIRECT",
    };
    json!({
        "group": format!("groups/{}", group.id),
        "groupKey": {"id": group.email},
        "displayName": group.name,
        "labels": {DISCUSSION_FORUM: ""},
        "relationType": relation_type,
        "roles": [{"role": "MEMBER"}],
    })
}

fn directory_group(group: &Group) -> Value {
    json!({
        "kind": "admin#directory#group",
        "id": group.id,
        "email": group.email,
        "name": group.name,
        "directMembersCount": group.members.len().to_string(),
        "adminCreated": true,
    })
}

fn directory_member(session: &Session<'_>, email: &str) -> Value {
    let world = session.world;
    let group = world.groups.get(email).map(|group| (group.id.as_str(), "GROUP"));
    let person = world.people.get(email).map(|person| (person.id.as_str(), "USER"));
    let account = world.service_accounts.get(email).map(|account| (account.id.as_str(), "USER"));
    let (id, kind) = group.or(person).or(account).unwrap_or(("", "EXTERNAL"));
    json!({"kind": "admin#directory#member", "id": id, "email": email, "role": "MEMBER", "type": kind, "status": "ACTIVE"})
}

fn of_kind(kind: &str, mut answer: Value) -> Value {
    answer["kind"] = json!(kind);
    answer
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_documented_queries_are_understood() {
        let with_label = "member_key_id == 'Bob@Example.com' && 'cloudidentity.googleapis.com/groups.discussion_forum' in labels";
        assert_eq!(member_of_query(with_label, true).unwrap(), "bob@example.com");
        assert_eq!(member_of_query("member_key_id==\"a@x\"", false).unwrap(), "a@x");
    }

    #[test]
    fn other_queries_are_refused() {
        for query in [
            "",
            "member_key_id == 'a@x' || true",
            "member_key_id == 'a@x' && x",
            "member_key_id == 'a' or 'b'",
            "member_key_id != 'a'",
        ] {
            assert_eq!(member_of_query(query, false).unwrap_err().code(), 400, "{query}");
        }
        assert_eq!(member_of_query("member_key_id == 'a@x'", true).unwrap_err().code(), 400);
    }
}
