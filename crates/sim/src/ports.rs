//! The ports of the controller, each a [`Connection`].

use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;
use curfew_core::id::{Nonce, ReplicaId, RequestId, WriteId};
use curfew_core::policy::Policy;
use curfew_core::principal::Email;
use curfew_core::resource::Resource;
use curfew_core::role::Role;
use curfew_ports::{
    Catalog, Committed, Directory, EffectivePolicies, FactsCommit, Heartbeat, Intent, LedgerEntry,
    ListQuery, Page, PolicyClient, PortError, ProjectInfo, RequestStore, ResourceRecord,
    RetryClass, StoredEnvelope, StoredRequest, WatchEvent,
};
use futures_util::stream::BoxStream;

use crate::cloud::Cloud;
use crate::connection::{Connection, Data};
use crate::fault::Call;
use crate::scene::org;

/// What intake alone asks for: the controller has no business there.
fn for_intake_only<T>(what: &str) -> Result<T, PortError> {
    Err(PortError::new(RetryClass::Denied, format!("{what}, which the controller never does")))
}

fn names(ids: &[RequestId]) -> String {
    ids.iter().map(RequestId::as_str).collect::<Vec<_>>().join(" ")
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
        let wanted = ids.to_vec();
        self.call(Call::Get, names(ids), move |data, freshness| {
            Ok(data.store.get(data.now, &wanted, freshness))
        })
        .await
    }

    async fn live(&self) -> Result<Vec<StoredRequest>, PortError> {
        self.call(Call::Live, String::new(), |data, freshness| {
            Ok(data.store.live(data.now, freshness))
        })
        .await
    }

    fn watch_live(&self) -> BoxStream<'static, WatchEvent> {
        self.shared.with(|data| data.store.watch())
    }

    async fn commit(&self, commit: &FactsCommit) -> Result<Committed, PortError> {
        let commit = commit.clone();
        self.call(Call::Commit, commit.id.to_string(), move |data, _| {
            let Data { now, store, cloud, oracle } = data;

            let (id, facts) = (commit.id.clone(), commit.facts.clone());
            let committed = store.commit(*now, commit)?;
            if let Some(stored) = store.document(&id) {
                oracle.committed(stored, &facts, cloud);
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
        self.call(Call::OpenIntent, resource.to_string(), move |data, _| {
            data.oracle.intended(&write, &intent);
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
        self.call(Call::CloseIntents, resource.to_string(), move |data, _| {
            data.store.close_intents(&resource, &writes);
            Ok(())
        })
        .await
    }

    async fn resources(&self) -> Result<Vec<ResourceRecord>, PortError> {
        self.call(Call::Resources, String::new(), |data, _| Ok(data.store.resources())).await
    }

    async fn append_ledger(&self, entry: &LedgerEntry) -> Result<(), PortError> {
        let entry = entry.clone();
        self.call(Call::Ledger, entry.id.clone(), move |data, _| {
            data.store.append_ledger(entry);
            Ok(())
        })
        .await
    }

    async fn beat(&self, heartbeat: &Heartbeat) -> Result<Committed, PortError> {
        let heartbeat = heartbeat.clone();
        self.call(Call::Beat, heartbeat.replica.to_string(), move |data, _| {
            Ok(data.store.beat(data.now, heartbeat))
        })
        .await
    }

    async fn retire(&self, replica: &ReplicaId) -> Result<(), PortError> {
        let replica = replica.clone();
        self.call(Call::Retire, replica.to_string(), move |data, _| {
            data.store.retire(&replica);
            Ok(())
        })
        .await
    }
}

#[async_trait]
impl PolicyClient for Connection {
    async fn get(&self, resource: &Resource) -> Result<Policy, PortError> {
        let node = resource.clone();
        self.call(Call::ReadPolicy, resource.to_string(), move |data, freshness| {
            data.cloud.read(data.now, &node, freshness)
        })
        .await
    }

    async fn set(
        &self,
        resource: &Resource,
        policy: &Policy,
        write: &WriteId,
    ) -> Result<Policy, PortError> {
        let (node, policy, write) = (resource.clone(), policy.clone(), write.clone());
        self.call(Call::WritePolicy, resource.to_string(), move |data, _| {
            let written = data.cloud.write(data.now, &node, policy, write)?;
            data.oracle.policy_written(&written);
            Ok(written.after)
        })
        .await
    }
}

#[async_trait]
impl Catalog for Connection {
    async fn ancestry(&self, resource: &Resource) -> Result<Vec<Resource>, PortError> {
        let nodes = vec![resource.clone(), org()];
        self.call(Call::Ancestry, resource.to_string(), move |_, _| Ok(nodes)).await
    }

    async fn policy(&self, node: &Resource) -> Result<Policy, PortError> {
        let resource = node.clone();
        self.call(Call::JudgePolicy, node.to_string(), move |data, _| data.cloud.policy(&resource))
            .await
    }

    async fn effective_policies(
        &self,
        _: &[Resource],
    ) -> Result<Vec<EffectivePolicies>, PortError> {
        for_intake_only("list policies in force")
    }

    async fn projects(&self) -> Result<Vec<ProjectInfo>, PortError> {
        for_intake_only("list projects")
    }

    async fn permissions(&self, role: &Role) -> Result<Option<BTreeSet<String>>, PortError> {
        let permissions = Cloud::permissions(role);
        self.call(Call::Permissions, role.to_string(), move |_, _| Ok(Some(permissions))).await
    }
}

#[async_trait]
impl Directory for Connection {
    async fn is_member(&self, group: &Email, person: &Email) -> Result<bool, PortError> {
        let (of, who) = (group.clone(), person.clone());
        self.call(Call::Membership, format!("{group} {person}"), move |data, _| {
            Ok(data.cloud.is_member(&of, &who))
        })
        .await
    }

    async fn groups_of(&self, person: &Email) -> Result<BTreeSet<Email>, PortError> {
        let who = person.clone();
        self.call(Call::Membership, person.to_string(), move |data, _| {
            Ok(data.cloud.groups_of(&who))
        })
        .await
    }
}
