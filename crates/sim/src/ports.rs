//! The ports of the controller, each a [`Connection`].

use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;
use curfew_core::id::{Nonce, ReplicaId, RequestId, WriteId};
use curfew_core::policy::Policy;
use curfew_core::principal::Email;
use curfew_core::resource::Resource;
use curfew_core::role::Role;
use curfew_ports::{
    Catalog, Committed, Directory, FactsCommit, Heartbeat, Intent, LedgerEntry, ListQuery,
    NodeInfo, Page, PolicyClient, PortError, RequestStore, ResourceRecord, RetryClass,
    StoredEnvelope, StoredRequest, WatchEvent,
};
use futures_util::StreamExt as _;
use futures_util::stream::{self, BoxStream};

use crate::connection::{Connection, Data};
use crate::fault::{Call, Op};
use crate::nodes::line;
use crate::oracle::{Commit, Question};
use crate::plan::Effect;

/// What intake alone asks for: the controller has no business there.
fn for_intake_only<T>(what: &str) -> Result<T, PortError> {
    Err(PortError::new(RetryClass::Denied, format!("{what}, which the controller never does")))
}

fn names(ids: &[RequestId]) -> String {
    ids.iter().map(RequestId::as_str).collect::<Vec<_>>().join(" ")
}

fn effect_of(commit: &FactsCommit) -> Effect {
    match commit.facts.last().map(|fact| fact.kind.as_str()) {
        Some("ENDED") => Effect::Ending,
        Some("BOUND" | "DRIFT") => Effect::Bound,
        Some(_) | None => Effect::Commit,
    }
}

fn about(commit: &FactsCommit) -> String {
    let last = commit.facts.last().map_or("nothing", |fact| &fact.kind);
    format!("{} up to {last}", commit.id)
}

#[async_trait]
impl RequestStore for Connection {
    async fn create(&self, _: &RequestId, _: &StoredEnvelope) -> Result<Committed, PortError> {
        for_intake_only("create a request")
    }

    async fn add_entry(
        &self,
        _: &RequestId,
        _: &Nonce,
        _: &StoredEnvelope,
    ) -> Result<Committed, PortError> {
        for_intake_only("add an act")
    }

    async fn list(&self, _: &ListQuery) -> Result<Page, PortError> {
        for_intake_only("list requests")
    }

    async fn get(
        &self,
        ids: &[RequestId],
    ) -> Result<BTreeMap<RequestId, StoredRequest>, PortError> {
        let (wanted, who) = (ids.to_vec(), self.process.who());
        self.call(Op::plain(Call::Get, names(ids)), move |data, freshness| {
            data.oracle.documents_read(who, &wanted, (data.now, freshness));
            Ok(data.store.get(data.now, &wanted, freshness))
        })
        .await
    }

    async fn live(&self) -> Result<Vec<StoredRequest>, PortError> {
        self.call(Op::plain(Call::Live, String::new()), |data, freshness| {
            Ok(data.store.live(data.now, freshness))
        })
        .await
    }

    fn watch_live(&self) -> BoxStream<'static, WatchEvent> {
        self.shared.with(|data| data.store.watch())
    }

    async fn commit(&self, commit: &FactsCommit) -> Result<Committed, PortError> {
        let (commit, who) = (commit.clone(), self.process.who());
        let op = Op::of(Call::Commit, effect_of(&commit), about(&commit));
        self.call(op, move |data, _| {
            let Data { now, store, cloud, oracle, .. } = data;
            let (id, facts) = (commit.id.clone(), commit.facts.clone());
            let before = store.document(&id).cloned();
            let committed = store.commit(*now, commit)?;
            if let (Some(before), Some(stored)) = (before, store.document(&id)) {
                oracle.committed(&Commit {
                    who,
                    at: *now,
                    before: &before,
                    stored,
                    facts: &facts,
                    cloud,
                });
            }
            Ok(committed)
        })
        .await
    }

    async fn open_intent(
        &self,
        resource: &Resource,
        write: &WriteId,
        intent: &Intent,
    ) -> Result<(), PortError> {
        let (resource, write, intent) = (resource.clone(), write.clone(), intent.clone());
        self.call(Op::plain(Call::OpenIntent, resource.to_string()), move |data, _| {
            data.oracle.intended(&resource, &write, &intent);
            data.store.open_intent(resource, write, intent);
            Ok(())
        })
        .await
    }

    async fn close_intents(
        &self,
        resource: &Resource,
        writes: &[WriteId],
    ) -> Result<(), PortError> {
        let (resource, writes) = (resource.clone(), writes.to_vec());
        self.call(Op::plain(Call::CloseIntents, resource.to_string()), move |data, _| {
            data.oracle.closed(&resource, &writes, &data.cloud);
            data.store.close_intents(&resource, &writes);
            Ok(())
        })
        .await
    }

    async fn resources(&self) -> Result<Vec<ResourceRecord>, PortError> {
        self.call(Op::plain(Call::Resources, String::new()), |data, _| Ok(data.store.resources()))
            .await
    }

    async fn append_ledger(&self, entry: &LedgerEntry) -> Result<(), PortError> {
        let entry = entry.clone();
        self.call(Op::plain(Call::Ledger, entry.id.clone()), move |data, _| {
            data.store.append_ledger(entry);
            Ok(())
        })
        .await
    }

    async fn beat(&self, heartbeat: &Heartbeat) -> Result<Committed, PortError> {
        let heartbeat = heartbeat.clone();
        self.call(Op::plain(Call::Beat, heartbeat.replica.to_string()), move |data, _| {
            Ok(data.store.beat(data.now, heartbeat))
        })
        .await
    }

    async fn retire(&self, replica: &ReplicaId) -> Result<(), PortError> {
        let replica = replica.clone();
        self.call(Op::plain(Call::Retire, replica.to_string()), move |data, _| {
            data.store.retire(&replica);
            Ok(())
        })
        .await
    }
}

#[async_trait]
impl PolicyClient for Connection {
    async fn get(&self, resource: &Resource) -> Result<Policy, PortError> {
        let (node, who) = (resource.clone(), self.process.who());
        self.call(Op::plain(Call::ReadPolicy, resource.to_string()), move |data, freshness| {
            let policy = data.cloud.read(data.now, &node, freshness)?;
            data.oracle.policy_read(who, &node, data.now);
            Ok(policy)
        })
        .await
    }

    async fn set(
        &self,
        resource: &Resource,
        policy: &Policy,
        write: &WriteId,
    ) -> Result<Policy, PortError> {
        let who = self.process.who();
        let (node, policy, write) = (resource.clone(), policy.clone(), write.clone());
        let (effect, under_way) = self.shared.with(|data| {
            let adds = data.cloud.adds_to(&node, &policy);
            let effect = if adds { Effect::Add } else { Effect::Remove };
            (effect, data.oracle.sending(who, data.now, &node, &write))
        });
        self.call(Op::of(Call::WritePolicy, effect, resource.to_string()), move |data, _| {
            let sent_etag = policy.etag.clone();
            data.oracle.arrived(&node, &policy, &data.cloud);
            let written = data.cloud.write(data.now, &node, policy, write)?;
            data.oracle.policy_written(who, &sent_etag, &written, &data.store);
            drop(under_way);
            Ok(written.after)
        })
        .await
    }
}

#[async_trait]
impl Catalog for Connection {
    async fn ancestry(&self, resource: &Resource) -> Result<Vec<Resource>, PortError> {
        let nodes = line(resource);
        self.call(Op::plain(Call::Ancestry, resource.to_string()), move |_, _| Ok(nodes)).await
    }

    async fn policy(&self, node: &Resource) -> Result<Policy, PortError> {
        let resource = node.clone();
        let who = self.process.who();
        self.call(Op::plain(Call::JudgePolicy, node.to_string()), move |data, _| {
            let policy = data.cloud.policy(&resource)?.clone();
            data.oracle.answered(who, Question::Offers(resource), data.now);
            Ok(policy)
        })
        .await
    }

    async fn nodes(&self) -> Result<Vec<NodeInfo>, PortError> {
        for_intake_only("list nodes")
    }

    fn search_policies(&self) -> BoxStream<'_, Result<Vec<(Resource, Policy)>, PortError>> {
        stream::iter([for_intake_only("search policies")]).boxed()
    }

    async fn policies_naming(&self, _: &Email) -> Result<Vec<(Resource, Policy)>, PortError> {
        for_intake_only("search policies that name somebody")
    }

    async fn permissions(&self, role: &Role) -> Result<Option<BTreeSet<String>>, PortError> {
        let of = role.clone();
        self.call(Op::plain(Call::Permissions, role.to_string()), move |data, _| {
            Ok(Some(data.cloud.permissions(&of)))
        })
        .await
    }
}

#[async_trait]
impl Directory for Connection {
    async fn is_member(&self, group: &Email, person: &Email) -> Result<bool, PortError> {
        let (of, member, who) = (group.clone(), person.clone(), self.process.who());
        self.call(Op::plain(Call::Membership, format!("{group} {person}")), move |data, _| {
            let is_member = data.cloud.is_member(&of, &member);
            data.oracle.answered(who, Question::Member(member), data.now);
            Ok(is_member)
        })
        .await
    }

    async fn groups_of(&self, person: &Email) -> Result<BTreeSet<Email>, PortError> {
        let who = person.clone();
        self.call(Op::plain(Call::Membership, person.to_string()), move |data, _| {
            Ok(data.cloud.groups_of(&who))
        })
        .await
    }

    async fn members_of(&self, _: &Email) -> Result<BTreeSet<Email>, PortError> {
        for_intake_only("list the members of a group")
    }
}
