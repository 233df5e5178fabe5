//! What may be written into a policy.

use chrono::{DateTime, Utc};
use curfew_core::id::RequestId;
use curfew_core::policy::{Binding, Policy};

use super::model::{Life, Mark, between, force_of};
use super::{Invariant, Oracle, Turn};
use crate::cloud::PolicyWrite;
use crate::store::Store;
use crate::trace::Who;

impl Oracle {
    /// A write of the controller took effect.
    pub(crate) fn policy_written(
        &mut self,
        who: Who,
        sent_etag: &str,
        written: &PolicyWrite,
        store: &Store,
    ) {
        self.room_was(written.at, &written.resource, &written.before);
        self.check_frame(sent_etag, written);
        self.check_system(written);
        let sent = written.write.as_ref().and_then(|write| self.sent.get(write));
        let turn = sent.and_then(|sent| sent.turn.clone());
        let read_at = turn.as_ref().map(|turn| turn.read_at);
        self.check_additions(who, turn.as_ref(), written);
        self.check_removals(written, store);
        self.check_doubles(&written.after);
        self.note(who, read_at, written);
    }

    /// S3, S9 and S12: what no request has brought there is as it was, and the write was announced just so.
    fn check_frame(&mut self, sent_etag: &str, written: &PolicyWrite) {
        let PolicyWrite { resource, write, before, after, .. } = written;
        let given = self.given_part(after);
        if sent_etag.is_empty() {
            self.wrong(Invariant::S3, format!("{resource} was written without an etag"));
        }
        let stood = self.given.insert(resource.clone(), given);
        let (stood, given) = (stood.as_ref(), self.given.get(resource));
        let is_foreign_kept = stood.map(|it| &it.foreign) == given.map(|it| &it.foreign);
        let is_own_access_kept = stood.map(|it| &it.own_access) == given.map(|it| &it.own_access);
        if !is_foreign_kept {
            self.wrong(Invariant::S3, format!("a write to {resource} changed what is not ours"));
        }
        if !is_own_access_kept {
            let what = format!("a write to {resource} changed what the controller itself may");
            self.wrong(Invariant::S12, what);
        }
        let announced = write.as_ref().and_then(|write| self.intents.get(write));
        let changed = self.changed(before, after);
        let is_announced = announced.is_some_and(|announced| {
            announced.resource == *resource
                && announced.intent.etag == before.etag
                && changed.iter().all(|id| announced.intent.requests.contains(id))
        });
        if !is_announced {
            self.wrong(Invariant::S9, format!("a write to {resource} without its intent"));
        }
    }

    /// The requests whose bindings differ.
    fn changed(&self, before: &Policy, after: &Policy) -> Vec<RequestId> {
        let differs = |in_one: &Policy, in_other: &Policy| {
            let only =
                in_one.bindings.iter().filter(|binding| !in_other.bindings.contains(binding));
            only.filter_map(|binding| self.ours(binding)).collect::<Vec<_>>()
        };
        [differs(after, before), differs(before, after)].concat()
    }

    /// S1, S6 and S8: what is added is what a grant says, and nothing that stood in its document had ended it.
    fn check_additions(&mut self, who: Who, turn: Option<&Turn>, written: &PolicyWrite) {
        let mut wrong = Vec::new();
        for binding in new_bindings(&written.before, &written.after) {
            let Some(id) = self.ours(binding) else { continue };
            let mut must = |holds: bool, invariant, what: &str| {
                if !holds {
                    wrong.push((id.clone(), invariant, what.to_owned()));
                }
            };
            let life = self.lives.get(&id);
            let renders = life.is_some_and(|life| renders(life, binding, written));
            must(
                renders,
                Invariant::S1,
                "added to a policy other than its grant says, or without one",
            );
            let Some(life) = life.filter(|_| force_of(binding).holds_after(written.at)) else {
                continue;
            };
            must(!life.has_ever_ended, Invariant::S6, "given access again after its end");
            // A turn reads the policy first and then the documents again: it has seen what stood in them by then.
            let reread_at =
                turn.map(|turn| turn.first_reread.get(&id).copied().unwrap_or(turn.read_at));
            let saw = |at: Option<DateTime<Utc>>| {
                at.zip(reread_at).is_some_and(|(at, reread_at)| at < reread_at)
                    && !self.is_misled(who, written.at)
            };
            let over_at = life.over.as_ref().map(|over| over.at);
            must(
                !saw(over_at),
                Invariant::S8,
                "added by a turn that read its requests after the outcome was recorded",
            );
            must(
                !saw(life.given_up_at),
                Invariant::S6,
                "added by a turn that read its requests after it was given up",
            );
        }
        for (id, invariant, what) in wrong {
            self.wrong_about(&id, invariant, &what);
        }
    }

    /// S4: nobody takes away what is not over.
    fn check_removals(&mut self, written: &PolicyWrite, store: &Store) {
        let mut wrong = Vec::new();
        for binding in new_bindings(&written.after, &written.before) {
            let Some(id) = self.ours(binding) else { continue };
            let Some(life) = self.lives.get(&id) else { continue };
            let runs_on = force_of(binding).holds_after(written.at);
            let is_stored = store.document(&id).is_some();
            if runs_on && is_stored && life.over.is_none() && !life.is_disturbed {
                wrong.push(id);
            }
        }
        for id in wrong {
            self.wrong_about(&id, Invariant::S4, "taken out of the policy although it is not over");
        }
    }

    /// S5: one binding per request and role.
    fn check_doubles(&mut self, after: &Policy) {
        let mut seen = std::collections::BTreeSet::new();
        let mut doubles = Vec::new();
        for binding in &after.bindings {
            let Some(id) = self.ours(binding) else { continue };
            let is_disturbed = self.lives.get(&id).is_some_and(|life| life.is_disturbed);
            if !seen.insert((id.clone(), binding.role.clone())) && !is_disturbed {
                doubles.push(id);
            }
        }
        for id in doubles {
            self.wrong_about(&id, Invariant::S5, "bound twice for one role");
        }
    }

    fn note(&mut self, who: Who, read_at: Option<DateTime<Utc>>, written: &PolicyWrite) {
        let marked: Vec<(RequestId, &Binding)> = written
            .after
            .bindings
            .iter()
            .filter_map(|binding| Some((self.ours(binding)?, binding)))
            .collect();
        for life in self.lives.values_mut().filter(|life| life.spec.resource == written.resource) {
            let its = || marked.iter().filter(|(id, _)| *id == life.spec.id);
            let gives_access = its().any(|(_, binding)| force_of(binding).holds_after(written.at));
            let n_live =
                its().filter(|(_, binding)| force_of(binding).holds_after(life.filed_at)).count();
            life.was_in_policy |= life.grant.is_some() && n_live >= life.spec.roles.len();
            if life.was_in_policy && !gives_access {
                life.left_policy_at.get_or_insert(written.at);
            }
            let is_after_the_outcome =
                life.over.as_ref().zip(read_at).is_some_and(|(over, read_at)| over.at <= read_at);
            if is_after_the_outcome && its().next().is_none() {
                life.cleared_by.insert(who);
            }
        }
    }
}

/// Bindings of the one that the other does not have.
pub(super) fn new_bindings<'a>(
    before: &'a Policy,
    after: &'a Policy,
) -> impl Iterator<Item = &'a Binding> {
    after.bindings.iter().filter(|binding| !before.bindings.contains(binding))
}

/// Whether the binding is, to the letter, what a recorded grant of the filed request says, live or dead.
fn renders(life: &Life, binding: &Binding, written: &PolicyWrite) -> bool {
    let (Some(mark), Some(condition)) = (Mark::of(binding), &binding.condition) else {
        return false;
    };
    life.grants().any(|(spec, grant)| {
        let open = between(grant.starts_at, grant.expires_at);
        let shut = between(grant.starts_at, grant.starts_at);
        spec.resource == written.resource
            && spec.roles.iter().any(|requested| requested.role.as_str() == binding.role)
            && binding.members == [spec.principal.to_string()]
            && spec.digest.to_string().starts_with(mark.digest_prefix)
            && mark.digest_prefix.len() == 16
            && (condition.expression == open || condition.expression == shut)
            && binding.rest.0 == "{}"
    })
}
