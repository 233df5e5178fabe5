//! What people and administrators do.

use chrono::{DateTime, Utc};
use curfew_core::entry::{Act, Entry, Level, Verdict};
use curfew_core::id::{Digest, Nonce, RequestId};
use curfew_core::policy::{Binding, Policy};
use curfew_core::principal::Person;
use curfew_core::resource::Resource;
use curfew_ports::{Entropy as _, StoredEnvelope, StoredRequest};

use super::World;
use crate::fault::{Call, Op};
use crate::nodes::project;
use crate::plan::Effect;
use crate::scene::{self, Filing};
use crate::store::Backup;
use crate::trace::Who;
use crate::trust::{SESSION_KEY, WRITER_KEY};

/// A word on a request, by somebody.
#[derive(Debug, Clone)]
pub struct Decision {
    /// Whose.
    pub by: Person,
    /// Yes or no.
    pub verdict: Verdict,
    /// The digest of what is decided; `None` for the request as it was filed.
    pub target: Option<Digest>,
    /// When, by the clock of who signs; `None` for now.
    pub at: Option<DateTime<Utc>>,
    /// Whose key signs.
    pub key: &'static str,
}

impl Decision {
    /// In a session of intake, now, on the request as it was filed.
    pub fn of(by: &Person, verdict: Verdict) -> Self {
        Self { by: by.clone(), verdict, target: None, at: None, key: SESSION_KEY }
    }
}

/// What somebody has signed.
#[derive(Debug, Clone)]
pub struct Signed {
    /// What it says.
    pub entry: Entry,
    /// As it is stored.
    pub envelope: StoredEnvelope,
}

impl World {
    /// Files a request.
    pub fn file(&self, filing: &Filing) -> RequestId {
        let random = &self.shared.random;
        let id = filing.id.clone().unwrap_or_else(|| RequestId::from_bits(random.bits()));
        let nonce = Nonce::from_bits(random.bits());
        let at = self.now();
        let (envelope, spec) =
            self.shared.trust.sign_spec(|digest| scene::spec(&id, filing, digest, nonce, at));
        let op = Op::of(Call::Create, Effect::File, format!("{id} by {}", filing.who));
        let filed = id.clone();
        self.shared.submit(&op, move |data| {
            data.store.create(data.now, &filed, &envelope)?;
            data.oracle.filed(data.now, &spec);
            Ok(())
        });
        id
    }

    /// Somebody ends a request for its holder.
    pub fn revoke(&self, id: &RequestId, by: &Person) {
        self.act(id, by, Act::Revoke { reason: "no longer needed".into() });
    }

    /// Somebody gives a request up.
    pub fn withdraw(&self, id: &RequestId, by: &Person) {
        self.act(id, by, Act::Withdraw { reason: "done".into() });
    }

    /// Somebody says yes.
    pub fn approve(&self, id: &RequestId, by: &Person) {
        self.decide(id, Decision::of(by, Verdict::Approve));
    }

    /// Somebody says no.
    pub fn deny(&self, id: &RequestId, by: &Person) {
        self.decide(id, Decision::of(by, Verdict::Deny));
    }

    /// Somebody says something in some way.
    pub fn decide(&self, id: &RequestId, decision: Decision) {
        let signed = self.sign(id, decision);
        self.submit(id, signed);
    }

    /// Signs a decision and stores it nowhere.
    pub fn sign(&self, id: &RequestId, decision: Decision) -> Signed {
        let Decision { by, verdict, target, at, key } = decision;
        let filed = || self.shared.trust.digest_of(id).unwrap_or_else(|| Digest::of(b""));
        let act =
            Act::Decide { verdict, comment: String::new(), target: target.unwrap_or_else(filed) };
        self.sign_act(id, key, &by, at.unwrap_or_else(|| self.now()), act)
    }

    fn sign_act(
        &self,
        id: &RequestId,
        key: &str,
        actor: &Person,
        at: DateTime<Utc>,
        act: Act,
    ) -> Signed {
        let nonce = Nonce::from_bits(self.shared.random.bits());
        let level = if key == WRITER_KEY { Level::Writer } else { Level::Session };
        let actor = actor.clone();
        let entry = |digest: Digest| Entry { nonce, digest, actor, at, level, act };
        let (envelope, entry) = self.shared.trust.sign_entry(id, key, entry);
        Signed { entry, envelope }
    }

    fn act(&self, id: &RequestId, actor: &Person, act: Act) {
        let signed = self.sign_act(id, SESSION_KEY, actor, self.now(), act);
        self.submit(id, signed);
    }

    /// Intake stores what somebody has signed.
    pub fn submit(&self, id: &RequestId, signed: Signed) {
        let Signed { entry, envelope } = signed;
        let about = format!("{id} {} by {}", entry.act.kind().as_str(), entry.actor.email);
        let (id, op) = (id.clone(), Op::of(Call::AddEntry, Effect::Act, about));
        // A request that is gone cannot be acted on, as intake would say.
        self.shared.submit(&op, move |data| {
            data.store.add_entry(data.now, &id, &entry.nonce, &envelope)?;
            let said = (&entry, envelope.key_id.as_str());
            data.oracle.acted(data.now, &id, said, &data.cloud);
            Ok(())
        });
    }

    /// Somebody who can write the store puts an act into a document, under any key and in any wording. It counts only
    /// if somebody has said just that of just this request.
    pub fn slip_in(&self, id: &RequestId, key: &Nonce, envelope: &StoredEnvelope) {
        self.note_outside("slips in an act", id.as_str());
        let genuine = self.shared.trust.entry_of(id, key, envelope);
        let entry = (key.to_string(), envelope.clone());
        self.with(|data| {
            let stored = data.store.edit(data.now, id, |stored| stored.entries.extend([entry]));
            if let (Some(_), Some(said)) = (stored, genuine) {
                data.oracle.acted(data.now, id, (&said, envelope.key_id.as_str()), &data.cloud);
            }
        });
    }

    /// What was signed with this key counts no more, as controllers learn that start anew.
    pub fn distrust(&mut self, key: &str) {
        self.note_outside("distrusts", key);
        self.shared.trust.distrust(key);
        self.with(|data| data.oracle.distrusted(key, data.now));
        self.crash();
    }

    /// From now on the role that a peer must approve permits more.
    pub fn change_role(&self) {
        let role = scene::peer_role();
        self.note_outside("changes", role.as_str());
        self.with(|data| {
            data.cloud.change_role(&role);
            data.oracle.role_changed(&role, data.now);
        });
    }

    /// Somebody joins the group that makes eligible.
    pub fn join(&self, who: &str) {
        self.note_outside("joins the group", who);
        let email = scene::person(who).email;
        self.with(|data| data.cloud.seed_group(&scene::group(), [email]));
    }

    /// Somebody leaves the group that makes eligible.
    pub fn lose_eligibility(&self, who: &str) {
        self.note_outside("leaves the group", who);
        let email = scene::person(who).email;
        self.with(|data| {
            data.cloud.leave_groups(&email);
            data.oracle.lost_eligibility(&email, data.now);
        });
    }

    /// An administrator changes a policy.
    pub fn change_policy(&self, resource: &Resource, change: impl FnOnce(&mut Policy)) {
        self.note_outside("changes a policy", &resource.to_string());
        self.with(|data| {
            if let Ok(before) = data.cloud.policy(resource) {
                data.oracle.room_was(data.now, resource, before);
            }
            data.oracle.held_up(data.now);
            data.cloud.change(data.now, resource, change);
            if let Ok(policy) = data.cloud.policy(resource) {
                data.oracle.foreign_changed(resource, policy);
            }
        });
    }

    /// An administrator grants something else to somebody else.
    pub fn foreign_write(&self, n: usize, member: &str) {
        self.change_policy(&project(n), |policy| {
            policy.bindings.push(scene::foreign(member));
        });
    }

    /// An administrator removes every binding of a request.
    pub fn remove_bindings(&self, id: &RequestId) {
        self.change_bindings(id, |bindings, title| {
            bindings.retain(|binding| binding.title() != title);
        });
    }

    /// An administrator lets every binding of a request last for ever.
    pub fn alter_bindings(&self, id: &RequestId) {
        self.change_bindings(id, |bindings, title| {
            for binding in bindings.iter_mut().filter(|binding| binding.title() == title) {
                if let Some(condition) = &mut binding.condition {
                    condition.expression = "true".into();
                }
            }
        });
    }

    fn change_bindings(&self, id: &RequestId, change: impl Fn(&mut Vec<Binding>, &str)) {
        let title = scene::installation().title(id);
        self.with(|data| data.oracle.disturbed(id));
        let homes = self.with(|data| {
            let all = data.cloud.policies().filter(|(_, policy)| {
                policy.bindings.iter().any(|binding| binding.title() == title)
            });
            all.map(|(resource, _)| resource.clone()).collect::<Vec<_>>()
        });
        for home in homes {
            self.change_policy(&home, |policy| change(&mut policy.bindings, &title));
        }
    }

    /// Changes a document by hand.
    pub fn edit(&self, id: &RequestId, change: impl FnOnce(&mut StoredRequest)) {
        self.note_outside("edits", id.as_str());
        self.with(|data| {
            let before = data.store.document(id).map(|stored| stored.facts.len());
            data.oracle.disturbed(id);
            data.store.edit(data.now, id, change);
            let now = data.store.document(id);
            if now.map(|stored| stored.facts.len()) < before {
                data.oracle.rewound(id, now);
            }
        });
    }

    /// Deletes a document by hand.
    pub fn delete(&self, id: &RequestId) {
        self.note_outside("deletes", id.as_str());
        self.with(|data| {
            data.oracle.disturbed(id);
            data.store.delete(id);
        });
    }

    /// Keeps the documents as they are.
    pub fn backup(&self) -> Backup {
        self.with(|data| data.store.backup())
    }

    /// Makes the documents what they were.
    pub fn restore(&self, backup: &Backup) {
        self.note_outside("restores the store", "");
        self.with(|data| {
            for id in data.store.restore(data.now, backup) {
                data.oracle.rewound(&id, data.store.document(&id));
            }
        });
    }

    pub(super) fn note_outside(&self, what: &str, about: &str) {
        self.with(|data| data.trace.note(data.now, Who::Outside, what, about, &""));
    }
}
