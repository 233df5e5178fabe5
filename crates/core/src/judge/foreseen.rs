//! What of the judgement a list can foresee: what it shows is not refused for a reason that holds for everybody.

use super::offered::activation_for;
use super::rules::Rules;
use super::standing::{fits, is_too_dangerous};
use crate::condition::Activation;
use crate::index::{Listed, Node};
use crate::resource::Resource;

/// What a list knows of a role.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RoleKnown {
    /// It could not be read so far: nothing is concluded from that.
    Unread,
    /// IAM does not know it.
    Nonexistent,
    /// It was read.
    Gives {
        /// [`crate::danger::is_dangerous`].
        is_dangerous: bool,
        /// [`crate::danger::touches_system`].
        touches_system: bool,
    },
}

/// What it takes to activate `listed` on `node`; `None` where filing refuses it whoever asks, by the checks of
/// [`super::judge`] that rest on the rules, the place and the role alone.
///
/// `is_above_protected`: whether a protected node lies below `node`. That nothing is offered on protected nodes and
/// below them the index knows by itself.
pub fn foreseen(
    node: &Node,
    listed: &Listed,
    role: RoleKnown,
    is_above_protected: bool,
    rules: &Rules,
) -> Option<Activation> {
    let (is_dangerous, touches_system) = match role {
        RoleKnown::Nonexistent => return None,
        RoleKnown::Unread => (false, false),
        RoleKnown::Gives { is_dangerous, touches_system } => (is_dangerous, touches_system),
    };
    let is_container = !matches!(node.resource(), Resource::Project(_));
    let reaches_the_system = is_container && touches_system && is_above_protected;
    let owner = listed.role().owner();
    let fits = owner.is_none_or(|owner| fits(&owner, node.resource(), node.line()));
    let is_offered = rules.trusts(listed.node().resource())
        && fits
        && !reaches_the_system
        && !is_too_dangerous(is_dangerous, rules);
    is_offered.then(|| activation_for(listed.role(), listed.activation(), rules, is_dangerous))
}
