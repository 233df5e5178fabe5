//! Groups through the Admin SDK Directory, level by level: what is left where the licence has no transitive search.
//!
//! A walk visits each group once, so groups that contain each other end it no later than others. One that finds more
//! than the bounds is an error, never a part of the answer.

use std::collections::BTreeSet;

use curfew_core::principal::Email;
use curfew_ports::{PortError, RetryClass};
use futures_util::stream::{self, StreamExt, TryStreamExt};
use serde::Deserialize;

use crate::caller::{Call, Caller};
use crate::endpoints::segment;

/// Groups of one walk. Each costs a call, so this is some minutes of quota already.
const GROUPS_MAX: usize = 500;

/// The largest page (<https://developers.google.com/workspace/admin/directory/reference/rest/v1/members/list>).
const PAGE_SIZE: &str = "200";

/// 50,000 members of one group in full pages.
const PAGES_MAX: usize = 250;

/// Calls at the same time: enough to hide latency, few enough to leave others their share of the quota.
const CALLS_AT_ONCE: usize = 4;

/// Who is in a group, as far as the walk reads it.
#[derive(Default)]
struct Level {
    people: BTreeSet<Email>,
    groups: BTreeSet<Email>,
    /// Whether a whole customer is a member, whose people no list tells.
    holds_a_customer: bool,
}

/// Whether the person is in the group, nested groups included.
pub(crate) async fn is_member(
    caller: &Caller,
    group: &Email,
    person: &Email,
) -> Result<bool, PortError> {
    let mut walk = Walk::from(group);
    let mut undecided = None;
    while let Some(level) = walk.down(caller).await? {
        if level.people.contains(person) || level.groups.contains(person) {
            return Ok(true);
        }
        undecided = undecided.or_else(|| level.holds_a_customer.then(|| whole_customer(group)));
    }
    undecided.map_or(Ok(false), Err)
}

/// Everybody in the group, nested groups included.
pub(crate) async fn people_of(
    caller: &Caller,
    group: &Email,
) -> Result<BTreeSet<Email>, PortError> {
    let mut walk = Walk::from(group);
    let mut people = BTreeSet::new();
    while let Some(level) = walk.down(caller).await? {
        if level.holds_a_customer {
            return Err(whole_customer(group));
        }
        people.extend(level.people);
    }
    Ok(people)
}

/// Every group that the person is in, itself or through groups.
pub(crate) async fn groups_of(
    caller: &Caller,
    person: &Email,
) -> Result<BTreeSet<Email>, PortError> {
    let mut walk = Walk::from(person);
    let mut all = BTreeSet::new();
    while let Some(above) = walk.up(caller).await? {
        all.extend(above);
    }
    Ok(all)
}

/// A walk from one address over groups: what was asked about, and what comes next.
struct Walk {
    start: Email,
    visited: BTreeSet<Email>,
    next: BTreeSet<Email>,
}

impl Walk {
    fn from(start: &Email) -> Self {
        let at = BTreeSet::from([start.clone()]);
        Self { start: start.clone(), visited: at.clone(), next: at }
    }

    /// The members of the groups of the next level; `None` after the last.
    async fn down(&mut self, caller: &Caller) -> Result<Option<Level>, PortError> {
        let Some(groups) = self.take_level() else { return Ok(None) };
        let asked = groups.into_iter().map(|group| async move { members(caller, &group).await });
        let found: Vec<Level> =
            stream::iter(asked).buffer_unordered(CALLS_AT_ONCE).try_collect().await?;
        let mut level = Level::default();
        for one in found {
            level.people.extend(one.people);
            level.groups.extend(one.groups);
            level.holds_a_customer |= one.holds_a_customer;
        }
        self.go_on(&level.groups)?;
        Ok(Some(level))
    }

    /// The groups above the next level; `None` after the last.
    async fn up(&mut self, caller: &Caller) -> Result<Option<BTreeSet<Email>>, PortError> {
        let Some(members) = self.take_level() else { return Ok(None) };
        let asked = members.into_iter().map(|it| async move { direct_groups(caller, &it).await });
        let found: Vec<BTreeSet<Email>> =
            stream::iter(asked).buffer_unordered(CALLS_AT_ONCE).try_collect().await?;
        let above = found.into_iter().flatten().collect();
        self.go_on(&above)?;
        Ok(Some(above))
    }

    fn take_level(&mut self) -> Option<BTreeSet<Email>> {
        let level = std::mem::take(&mut self.next);
        (!level.is_empty()).then_some(level)
    }

    fn go_on(&mut self, found: &BTreeSet<Email>) -> Result<(), PortError> {
        self.next = found.difference(&self.visited).cloned().collect();
        self.visited.extend(self.next.iter().cloned());
        if self.visited.len() > GROUPS_MAX {
            let act = format!("follow the groups of {}: more than {GROUPS_MAX}", self.start);
            return Err(PortError::new(RetryClass::Unavailable, act));
        }
        Ok(())
    }
}

/// A group that does not exist has no members.
async fn members(caller: &Caller, group: &Email) -> Result<Level, PortError> {
    let url = format!(
        "{}/admin/directory/v1/groups/{}/members",
        caller.endpoints.directory,
        segment(group.as_str())
    );
    let act = format!("list the members of {group}");
    let call = Call::get("directory.members.list", act, url).query("maxResults", PAGE_SIZE);
    let split = |page: MembersPage| (page.members, page.next_page_token);
    let listed = match caller.read_pages(&call, PAGES_MAX, split).await {
        Err(error) if error.class == RetryClass::NotFound => return Ok(Level::default()),
        listed => listed?,
    };
    let mut level = Level::default();
    for member in listed {
        match (member.kind.as_str(), Email::parse(&member.email)) {
            ("CUSTOMER", _) => level.holds_a_customer = true,
            ("GROUP", Ok(email)) => {
                level.groups.insert(email);
            }
            // External members have no other type, and service accounts count as users here.
            (_, Ok(email)) => {
                level.people.insert(email);
            }
            // No policy and no sign-in can name such an address.
            (_, Err(_)) => {}
        }
    }
    Ok(level)
}

/// An address that the directory does not know is in no group.
async fn direct_groups(caller: &Caller, member: &Email) -> Result<BTreeSet<Email>, PortError> {
    let url = format!("{}/admin/directory/v1/groups", caller.endpoints.directory);
    let act = format!("list the groups of {member}");
    let call = Call::get("directory.groups.list", act, url)
        .query("userKey", member.as_str())
        .query("maxResults", PAGE_SIZE);
    let split = |page: GroupsPage| (page.groups, page.next_page_token);
    match caller.read_pages(&call, PAGES_MAX, split).await {
        Err(error) if error.class == RetryClass::NotFound => Ok(BTreeSet::new()),
        listed => Ok(listed?.iter().filter_map(|group| Email::parse(&group.email).ok()).collect()),
    }
}

fn whole_customer(group: &Email) -> PortError {
    let act = format!(
        "follow the groups of {group}: one holds everybody of a customer, whom the Directory does not list"
    );
    PortError::new(RetryClass::Invalid, act)
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct MembersPage {
    members: Vec<Member>,
    next_page_token: String,
}

/// A whole customer as a member has no address.
#[derive(Deserialize, Default)]
#[serde(default)]
struct Member {
    email: String,
    #[serde(rename = "type")]
    kind: String,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct GroupsPage {
    groups: Vec<Group>,
    next_page_token: String,
}

#[derive(Deserialize)]
struct Group {
    email: String,
}
