//! The rules of eligibility, as plainly as they can be said.

use std::collections::BTreeSet;

use super::cloud::{Asked, Cloud, Lookup, Offered, permissions};
use crate::condition::Activation;
use crate::danger::Dangerous;
use crate::resource::Resource;

/// A rule that can be left out of the model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Rule {
    /// A binding counts below its node too.
    Inheritance,
    /// A binding does not count beside its node or above it.
    Attachment,
    /// A binding above the scope does not count.
    Scope,
    /// A protected resource, and what lies below it, is not granted.
    Protected,
    /// Above a protected resource no role that reaches it is granted.
    Above,
    /// With trusted nodes named, only theirs count.
    Trusted,
    /// Only the binding that was asked for counts, not another of the same role.
    Identity,
    /// The condition is carried as it is offered.
    CarriedText,
    /// With both markers the person activates alone.
    JitWins,
    /// A role of the floor needs a peer.
    Floor,
    /// Where dangerous roles need approval, they do.
    DangerousApproval,
    /// Where dangerous roles are refused, they are.
    DangerousRefused,
    /// A role that IAM does not know is not granted.
    KnownRole,
    /// A role whose permissions changed is not granted.
    UnchangedRole,
    /// A custom role is granted where it is defined.
    Owner,
    /// Roles that take different things are not asked for at once.
    OneActivation,
    /// Members of a group count.
    Groups,
    /// Members of a group in a group count.
    NestedGroups,
    /// People of a domain count.
    Domains,
    /// A service account counts by its exact name only.
    ExactAccounts,
    /// Whoever was deleted does not count.
    Deleted,
    /// Nobody is everybody.
    AllUsers,
    /// Addresses are the same in any case.
    AnyCase,
    /// A service account approves nothing.
    PeopleApprove,
    /// An approver holds every role that was asked for.
    AllRolesOfPeers,
}

impl Rule {
    pub(super) const ALL: [Self; 25] = [
        Self::Inheritance,
        Self::Attachment,
        Self::Scope,
        Self::Protected,
        Self::Above,
        Self::Trusted,
        Self::Identity,
        Self::CarriedText,
        Self::JitWins,
        Self::Floor,
        Self::DangerousApproval,
        Self::DangerousRefused,
        Self::KnownRole,
        Self::UnchangedRole,
        Self::Owner,
        Self::OneActivation,
        Self::Groups,
        Self::NestedGroups,
        Self::Domains,
        Self::ExactAccounts,
        Self::Deleted,
        Self::AllUsers,
        Self::AnyCase,
        Self::PeopleApprove,
        Self::AllRolesOfPeers,
    ];
}

/// The rules over a cloud in which every look-up that has no answer is given one.
pub(super) struct Model<'a> {
    pub(super) cloud: &'a Cloud,
    /// Of the look-ups without an answer, those that would say yes.
    pub(super) yes: BTreeSet<Lookup>,
    /// A rule that does not hold in this model.
    pub(super) without: Option<Rule>,
}

impl Model<'_> {
    /// What the requester needs to have the roles; `None` if they may not have them.
    pub(super) fn may_have(&self) -> Option<Activation> {
        let line = self.cloud.line(&self.cloud.resource);
        let in_scope = line.contains(&self.cloud.scope);
        let protected = line.iter().any(|node| self.cloud.protected.contains(node));
        if !in_scope || protected && !self.lacks(Rule::Protected) {
            return None;
        }
        let needs: Option<BTreeSet<_>> =
            self.cloud.asked.iter().map(|role| self.may_have_role(role)).collect();
        let needs = needs?;
        if needs.len() > 1 && !self.lacks(Rule::OneActivation) {
            return None;
        }
        needs.last().copied()
    }

    fn may_have_role(&self, asked: &Asked) -> Option<Activation> {
        self.can_be_granted(asked.role).then_some(())?;
        let offers = self.counting(asked);
        let meant = offers.into_iter().filter(|offered| {
            self.offers(offered).is_some_and(|(_, carried)| {
                carried == asked.carried || self.lacks(Rule::CarriedText)
            })
        });
        let mine = meant.filter(|offered| self.names(offered, self.cloud.requester));
        let alone_first = mine
            .filter_map(|offered| self.offers(offered))
            .map(|(activation, _)| activation)
            .min()?;
        let floor = self.cloud.floor.contains(asked.role) && !self.lacks(Rule::Floor);
        let raised = is_dangerous(asked.role)
            && self.cloud.dangerous == Dangerous::Approval
            && !self.lacks(Rule::DangerousApproval);
        Some(if floor || raised { Activation::PeerApproval } else { alone_first })
    }

    /// Whether the role may be granted on the resource to anybody at all.
    fn can_be_granted(&self, role: &'static str) -> bool {
        let resource = &self.cloud.resource;
        let is_open = self.cloud.silent.contains(&Lookup::Role(role));
        let is_known = if is_open {
            self.yes.contains(&Lookup::Role(role))
        } else {
            permissions(role).is_some() || self.lacks(Rule::KnownRole)
        };
        let is_unchanged = permissions(role).is_none()
            || !self.cloud.changed.contains(role)
            || self.lacks(Rule::UnchangedRole);
        let fits = match role.split_once("/roles/") {
            Some((owner, _)) if owner.starts_with("projects/") => resource.to_string() == owner,
            Some((owner, _)) => {
                self.cloud.line(resource).last().is_some_and(|top| top.to_string() == owner)
            }
            None => true,
        };
        let refused = is_dangerous(role)
            && self.cloud.dangerous == Dangerous::Refuse
            && !self.lacks(Rule::DangerousRefused);
        let is_above = if self.cloud.silent.contains(&Lookup::Protected) {
            self.yes.contains(&Lookup::Protected)
        } else {
            self.cloud.above_protected().contains(resource)
        };
        let is_container = !matches!(resource, Resource::Project(_));
        let reaches = is_container && is_above && reaches_system(role) && !self.lacks(Rule::Above);
        is_known && is_unchanged && (fits || self.lacks(Rule::Owner)) && !refused && !reaches
    }

    /// Whether somebody is a peer of the request: they hold all that it asks for.
    pub(super) fn may_decide(&self, address: &'static str) -> bool {
        let is_person =
            !address.ends_with(".gserviceaccount.com") || self.lacks(Rule::PeopleApprove);
        let mut held = self.cloud.asked.iter().map(|asked| {
            let mut counting = self.counting(asked).into_iter();
            counting.any(|offered| self.offers(offered).is_some() && self.names(offered, address))
        });
        let all = if self.lacks(Rule::AllRolesOfPeers) {
            held.any(|held| held)
        } else {
            held.all(|held| held)
        };
        is_person && all
    }

    /// The bindings that were asked for, as far as they reach the resource.
    fn counting(&self, asked: &Asked) -> Vec<&Offered> {
        let line = self.cloud.line(&self.cloud.resource);
        let up_to_scope = line.iter().position(|node| *node == self.cloud.scope);
        let up_to_scope =
            if self.lacks(Rule::Scope) { line.len() } else { up_to_scope.map_or(0, |at| at + 1) };
        let reaches = |node: &Resource| {
            if self.lacks(Rule::Inheritance) {
                *node == self.cloud.resource && up_to_scope > 0
            } else {
                line[..up_to_scope].contains(node) || self.lacks(Rule::Attachment)
            }
        };
        let trusted = |node: &Resource| {
            self.cloud.from.is_empty()
                || self.cloud.from.contains(node)
                || self.lacks(Rule::Trusted)
        };
        let is_it = |offered: &&Offered| {
            let (node, condition) = &asked.binding;
            offered.role == asked.role
                && (offered.node == *node && offered.condition.text == *condition
                    || self.lacks(Rule::Identity))
        };
        let all = self.cloud.offered.iter().filter(is_it);
        all.filter(|offered| reaches(&offered.node) && trusted(&offered.node)).collect()
    }

    /// What the binding's condition makes of it.
    fn offers(&self, offered: &Offered) -> Option<(Activation, &'static str)> {
        let (activation, carried) = offered.condition.offers?;
        let both = offered.condition.bears_both_markers && self.lacks(Rule::JitWins);
        // IAM has no condition on these, and no binding of a project's own role elsewhere.
        let is_basic = offered.role == "roles/owner";
        let owner = offered.role.split_once("/roles/").map(|(owner, _)| owner);
        let is_misplaced =
            owner.is_some_and(|it| it.starts_with("projects/") && it != offered.node.to_string());
        (!is_basic && !is_misplaced)
            .then_some((if both { Activation::PeerApproval } else { activation }, carried))
    }

    fn names(&self, offered: &Offered, address: &str) -> bool {
        offered.members.iter().any(|member| self.is_among(member, address))
    }

    fn is_among(&self, member: &str, address: &str) -> bool {
        let is_account = address.ends_with(".gserviceaccount.com");
        let by_group = !is_account || self.lacks(Rule::ExactAccounts);
        let lower =
            if self.lacks(Rule::AnyCase) { member.to_owned() } else { member.to_lowercase() };
        match lower.split_once(':') {
            Some(("user", name)) => name == address && !is_account,
            Some(("serviceaccount" | "serviceAccount", name)) => name == address && is_account,
            Some(("domain", domain)) => {
                by_group && !self.lacks(Rule::Domains) && address.ends_with(&format!("@{domain}"))
            }
            Some(("group", group)) => {
                by_group && !self.lacks(Rule::Groups) && self.is_in(group, address)
            }
            Some(("deleted", rest)) => {
                self.lacks(Rule::Deleted) && rest.starts_with(&format!("user:{address}?"))
            }
            _ => member == "allUsers" && self.lacks(Rule::AllUsers),
        }
    }

    fn is_in(&self, group: &str, address: &str) -> bool {
        let lookup = Lookup::group(group);
        if self.cloud.silent.contains(&lookup) {
            return self.yes.contains(&lookup);
        }
        let direct = self.cloud.groups.get(group).map_or(&[][..], Vec::as_slice);
        let me = |member: &&str| member.split_once(':').is_some_and(|(_, name)| name == address);
        if self.lacks(Rule::NestedGroups) {
            return direct.iter().any(me);
        }
        self.cloud.everybody_in(group).iter().any(|member| me(&member.as_str()))
    }

    fn lacks(&self, rule: Rule) -> bool {
        self.without == Some(rule)
    }
}

fn is_dangerous(role: &str) -> bool {
    permissions(role).is_some_and(|all| all.iter().any(|one| one.ends_with(".setIamPolicy")))
}

fn reaches_system(role: &str) -> bool {
    let reaches = |one: &String| one.ends_with(".setIamPolicy") || one == "logging.logs.delete";
    permissions(role).is_some_and(|all| all.iter().any(reaches))
}
