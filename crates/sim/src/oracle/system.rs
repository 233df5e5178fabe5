//! S12: the access system grants nothing that reaches itself.

use curfew_core::resource::Resource;
use curfew_core::spec::Spec;

use super::model::force_of;
use super::policies::new_bindings;
use super::{Invariant, Oracle};
use crate::cloud::PolicyWrite;
use crate::nodes::{line, protected};
use crate::scene::REACHING_ROLE;

/// Whether the node is protected, or lies in what is.
fn is_protected(node: &Resource) -> bool {
    line(node).iter().any(|above| protected().contains(above))
}

/// Whether what is protected lies below the node.
fn is_above_the_protected(node: &Resource) -> bool {
    protected().iter().any(|below| below != node && line(below).contains(node))
}

/// Whether whoever has this could change the access system.
pub(super) fn reaches_the_system(spec: &Spec) -> bool {
    let has_reaching_role = || spec.roles.iter().any(|it| it.role.as_str() == REACHING_ROLE);
    is_protected(&spec.resource) || (is_above_the_protected(&spec.resource) && has_reaching_role())
}

impl Oracle {
    /// Nothing of what is protected from the beginning is ever ours to write, and above it no role that reaches it.
    pub(super) fn check_system(&mut self, written: &PolicyWrite) {
        let resource = &written.resource;
        let gives_access = |binding: &&curfew_core::policy::Binding| {
            binding.role == REACHING_ROLE
                && self.ours(binding).is_some()
                && force_of(binding).holds_after(written.at)
        };
        if is_protected(resource) {
            let what = format!("the policy of {resource}, which is protected, was written");
            self.wrong(Invariant::S12, what);
        } else if is_above_the_protected(resource)
            && new_bindings(&written.before, &written.after).any(|it| gives_access(&it))
        {
            let what = format!("a role was given on {resource} that reaches what is protected");
            self.wrong(Invariant::S12, what);
        }
    }
}
