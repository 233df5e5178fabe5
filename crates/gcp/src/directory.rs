//! Groups, through Cloud Identity.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use curfew_core::principal::Email;
use curfew_ports::{Directory, PortError, RetryClass};
use moka::future::Cache;
use serde::Deserialize;

use crate::caller::{Call, Caller};
use crate::members;

/// Group addresses → resource names. Only what is there is kept.
pub(crate) type GroupNames = Cache<String, String>;

/// More groups than approvals and eligibilities of one organisation name; a name takes some 100 bytes.
const GROUP_NAMES_MAX: u64 = 10_000;

/// How long an address stands for a group. Names never change, but an address can move to another group.
const GROUP_NAME_AGE_MAX: Duration = Duration::from_mins(5);

/// The largest page
/// (<https://cloud.google.com/identity/docs/reference/rest/v1/groups.memberships/searchTransitiveGroups>).
const GROUPS_PAGE_SIZE: &str = "1000";

/// 50,000 groups of one person, or members of one group; beyond that something is wrong with the list.
const GROUPS_PAGES_MAX: usize = 50;

/// The label of every group that has an address, security groups included; the search requires a label.
const ADDRESS_LABEL: &str = "cloudidentity.googleapis.com/groups.discussion_forum";

pub(crate) fn group_names() -> GroupNames {
    Cache::builder().max_capacity(GROUP_NAMES_MAX).time_to_live(GROUP_NAME_AGE_MAX).build()
}

/// Who is in which group, nested groups included.
///
/// Google searches nested memberships for customers of Cloud Identity Premium and Workspace Enterprise. Elsewhere it
/// answers 403, and the groups are followed one by one in the Admin SDK Directory. Google answers 403 as well for a
/// group that this identity may not see; then the Directory refuses too, and that is the answer.
#[derive(Clone)]
pub struct GoogleDirectory {
    caller: Arc<Caller>,
    group_names: GroupNames,
}

impl GoogleDirectory {
    pub(crate) fn new(caller: Arc<Caller>, group_names: GroupNames) -> Self {
        Self { caller, group_names }
    }

    /// The resource name of a group, such as `groups/01abc`; `None` if there is no such group.
    async fn look_up(&self, group: &Email) -> Result<Option<String>, PortError> {
        let url = format!("{}/v1/groups:lookup", self.caller.endpoints.cloud_identity);
        let call =
            Call::get("cloudidentity.groups.lookup", format!("look up the group {group}"), url)
                .query("groupKey.id", group.as_str());
        match self.caller.read::<GroupName>(&call).await {
            Ok(answer) if is_group_name(&answer.name) => {
                self.group_names.insert(group.as_str().to_owned(), answer.name.clone()).await;
                Ok(Some(answer.name))
            }
            Ok(answer) => Err(call.undecodable(&format!("group name {:?}", answer.name))),
            Err(error) if error.class == RetryClass::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// `None` if there is no group of this name.
    async fn check(
        &self,
        name: &str,
        group: &Email,
        person: &Email,
    ) -> Result<Option<bool>, PortError> {
        let act = format!("check whether {person} is in {group}");
        let url = format!(
            "{}/v1/{name}/memberships:checkTransitiveMembership",
            self.caller.endpoints.cloud_identity
        );
        let query = format!("member_key_id == {}", quoted(&act, person)?);
        let call =
            Call::get("cloudidentity.checkTransitiveMembership", act, url).query("query", query);
        match self.caller.read::<Membership>(&call).await {
            Ok(answer) => Ok(Some(answer.has_membership)),
            Err(error) if error.class == RetryClass::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }
}

#[async_trait]
impl Directory for GoogleDirectory {
    /// A group that does not exist has no members.
    async fn is_member(&self, group: &Email, person: &Email) -> Result<bool, PortError> {
        match self.searched_member(group, person).await {
            Err(error) if error.class == RetryClass::Denied => {
                members::is_member(&self.caller, group, person).await
            }
            answer => answer,
        }
    }

    /// Groups without an e-mail address, which no policy member can name, are left out.
    async fn groups_of(&self, person: &Email) -> Result<BTreeSet<Email>, PortError> {
        match self.searched_groups(person).await {
            Err(error) if error.class == RetryClass::Denied => {
                members::groups_of(&self.caller, person).await
            }
            answer => answer,
        }
    }

    async fn members_of(&self, group: &Email) -> Result<BTreeSet<Email>, PortError> {
        let mut people = match self.searched_members(group).await {
            Err(error) if error.class == RetryClass::Denied => {
                members::people_of(&self.caller, group).await
            }
            answer => answer,
        }?;
        people.retain(|member| !member.is_service_account());
        Ok(people)
    }
}

/// The searches that need the licence.
impl GoogleDirectory {
    async fn searched_member(&self, group: &Email, person: &Email) -> Result<bool, PortError> {
        if let Some(name) = self.group_names.get(group.as_str()).await {
            match self.check(&name, group, person).await? {
                Some(is_member) => return Ok(is_member),
                None => self.group_names.invalidate(group.as_str()).await,
            }
        }
        let Some(name) = self.look_up(group).await? else { return Ok(false) };
        Ok(self.check(&name, group, person).await?.unwrap_or(false))
    }

    async fn searched_groups(&self, person: &Email) -> Result<BTreeSet<Email>, PortError> {
        let act = format!("search the groups of {person}");
        let url = format!(
            "{}/v1/groups/-/memberships:searchTransitiveGroups",
            self.caller.endpoints.cloud_identity
        );
        let query =
            format!("member_key_id == {} && '{ADDRESS_LABEL}' in labels", quoted(&act, person)?);
        let call = Call::get("cloudidentity.searchTransitiveGroups", act, url)
            .query("query", query)
            .query("pageSize", GROUPS_PAGE_SIZE);
        let split = |page: GroupsPage| (page.memberships, page.next_page_token);
        let relations = self.caller.read_pages(&call, GROUPS_PAGES_MAX, split).await?;
        let own = relations.into_iter().filter(|relation| relation.group_key.namespace.is_empty());
        Ok(own.filter_map(|relation| Email::parse(&relation.group_key.id).ok()).collect())
    }

    async fn searched_members(&self, group: &Email) -> Result<BTreeSet<Email>, PortError> {
        let Some(name) = self.look_up(group).await? else { return Ok(BTreeSet::new()) };
        let url = format!(
            "{}/v1/{name}/memberships:searchTransitiveMemberships",
            self.caller.endpoints.cloud_identity
        );
        let act = format!("search the members of {group}");
        let call = Call::get("cloudidentity.searchTransitiveMemberships", act, url)
            .query("pageSize", GROUPS_PAGE_SIZE);
        let split = |page: MembersPage| (page.memberships, page.next_page_token);
        let relations = self.caller.read_pages(&call, GROUPS_PAGES_MAX, split).await?;
        // Groups are `groups/<id>`; whatever has no address of this directory is nobody that could sign in here.
        let people = relations.iter().filter(|relation| !relation.member.starts_with("groups/"));
        let keys = people.flat_map(|relation| &relation.preferred_member_key);
        let own = keys.filter(|key| key.namespace.is_empty());
        Ok(own.filter_map(|key| Email::parse(&key.id).ok()).collect())
    }
}

#[derive(Deserialize)]
struct GroupName {
    name: String,
}

/// Google leaves `false` out.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Membership {
    #[serde(default)]
    has_membership: bool,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct GroupsPage {
    memberships: Vec<GroupRelation>,
    next_page_token: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct GroupRelation {
    group_key: GroupKey,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct MembersPage {
    memberships: Vec<MemberRelation>,
    next_page_token: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct MemberRelation {
    member: String,
    #[serde(default)]
    preferred_member_key: Vec<GroupKey>,
}

/// A namespace marks groups of a foreign directory, whose ids are no addresses.
#[derive(Deserialize)]
struct GroupKey {
    id: String,
    #[serde(default)]
    namespace: String,
}

/// The name goes into a path.
fn is_group_name(name: &str) -> bool {
    let valid = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
    name.strip_prefix("groups/").is_some_and(|id| !id.is_empty() && id.bytes().all(valid))
}

/// The address as a CEL string. Nothing is escaped: an address that would need it is refused.
fn quoted(act: &str, person: &Email) -> Result<String, PortError> {
    if person.as_str().contains(['\'', '"', '\\']) {
        let act = format!("{act}: an address with quotes cannot be searched for");
        return Err(PortError::new(RetryClass::Invalid, act));
    }
    Ok(format!("'{person}'"))
}
