//! Ports in memory, each with a switch that makes it fail.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use curfew_core::id::{Nonce, ReplicaId, RequestId, WriteId};
use curfew_core::policy::Policy;
use curfew_core::principal::Email;
use curfew_core::resource::Resource;
use curfew_core::role::Role;
use curfew_ports::{
    Catalog, Clock, Committed, Directory, Entropy, EnvelopeSigner, FactsCommit, Heartbeat, Intent,
    LedgerEntry, ListQuery, NodeInfo, Page, PortError, RequestStore, ResourceRecord, RetryClass,
    StoredEnvelope, StoredRequest, Version, WatchEvent,
};
use curfew_proto::payload::read_spec;
use futures_util::StreamExt as _;
use futures_util::stream::{self, BoxStream};

pub(super) const SCOPE: &str = "organizations/1";
pub(super) const START_S: i64 = 1_800_000_000;

/// A port that can be told to fail.
#[derive(Default)]
pub(super) struct Fault(AtomicBool);

impl Fault {
    pub(super) fn set(&self, fails: bool) {
        self.0.store(fails, Ordering::SeqCst);
    }

    fn check(&self, act: &str) -> Result<(), PortError> {
        if self.0.load(Ordering::SeqCst) { Err(unavailable(act)) } else { Ok(()) }
    }
}

fn unavailable(act: &str) -> PortError {
    PortError::because(RetryClass::Unavailable, act, "connection reset by internal-host-7")
}

#[derive(Default)]
pub(super) struct FakeClock(AtomicU64);

impl FakeClock {
    pub(super) fn pass(&self, seconds: u64) {
        self.0.fetch_add(seconds, Ordering::SeqCst);
    }
}

impl Clock for FakeClock {
    fn now(&self) -> DateTime<Utc> {
        let passed = i64::try_from(self.0.load(Ordering::SeqCst)).unwrap();
        DateTime::from_timestamp(START_S + passed, 0).unwrap()
    }

    fn elapsed(&self) -> Duration {
        Duration::from_secs(1_000 + self.0.load(Ordering::SeqCst))
    }
}

#[derive(Default)]
pub(super) struct Counter(AtomicU64);

impl Entropy for Counter {
    fn bits(&self) -> [u8; 16] {
        (0x5eed_cafe_f00d_beef << 64 | u128::from(self.0.fetch_add(1, Ordering::SeqCst)))
            .to_be_bytes()
    }
}

#[derive(Default)]
pub(super) struct FakeCatalog {
    pub(super) parents: Mutex<BTreeMap<Resource, Option<Resource>>>,
    /// Nodes that exist and are not listed, with their parents.
    pub(super) unlisted: Mutex<BTreeMap<Resource, Option<Resource>>>,
    pub(super) policies: Mutex<BTreeMap<Resource, Policy>>,
    pub(super) roles: Mutex<BTreeMap<Role, BTreeSet<String>>>,
    /// Whose nodes are listed; without one [`SCOPE`].
    pub(super) scope: Mutex<Option<Resource>>,
    pub(super) ancestry_fails: Fault,
    pub(super) policy_fails: Fault,
    pub(super) permissions_fail: Fault,
    pub(super) index_fails: Fault,
    /// The first page of policies comes, and no other.
    pub(super) pages_fail: Fault,
    pub(super) n_indexed: AtomicUsize,
    pub(super) n_ancestries: AtomicUsize,
    /// How long the clock stands for while everything is read.
    pub(super) reading_takes_s: AtomicU64,
    pub(super) clock: Arc<FakeClock>,
}

impl FakeCatalog {
    fn up(&self, resource: &Resource) -> Option<Vec<Resource>> {
        let parents = self.parents.lock().unwrap();
        let mut up = vec![resource.clone()];
        let unlisted = self.unlisted.lock().unwrap();
        let mut next = parents.get(resource).or_else(|| unlisted.get(resource))?.clone();
        while let Some(parent) = next {
            next = parents.get(&parent)?.clone();
            up.push(parent);
        }
        Some(up)
    }

    async fn indexed_policies(&self) -> Result<Vec<(Resource, Policy)>, PortError> {
        let nodes: BTreeSet<Resource> =
            self.nodes().await?.into_iter().map(|node| node.resource).collect();
        let policies = self.policies.lock().unwrap().clone();
        Ok(policies.into_iter().filter(|(node, _)| nodes.contains(node)).collect())
    }
}

#[async_trait]
impl Catalog for FakeCatalog {
    async fn ancestry(&self, resource: &Resource) -> Result<Vec<Resource>, PortError> {
        self.n_ancestries.fetch_add(1, Ordering::SeqCst);
        self.ancestry_fails.check("read the ancestry")?;
        self.up(resource)
            .ok_or_else(|| PortError::new(RetryClass::Denied, format!("read {resource}: 403")))
    }

    async fn policy(&self, node: &Resource) -> Result<Policy, PortError> {
        self.policy_fails.check("read the policy")?;
        Ok(self.policies.lock().unwrap().get(node).cloned().unwrap_or_default())
    }

    async fn nodes(&self) -> Result<Vec<NodeInfo>, PortError> {
        self.n_indexed.fetch_add(1, Ordering::SeqCst);
        tokio::task::yield_now().await;
        self.index_fails.check("list nodes")?;
        let scope = self.scope.lock().unwrap().clone();
        let scope = scope.unwrap_or_else(|| Resource::parse(SCOPE).unwrap());
        let is_within = |node: &Resource| self.up(node).is_some_and(|up| up.contains(&scope));
        let parents = self.parents.lock().unwrap().clone();
        let within = parents.into_iter().filter(|(resource, _)| is_within(resource));
        let info = |(resource, parent): (Resource, Option<Resource>)| NodeInfo {
            display_name: format!("The {resource}"),
            resource,
            parent,
        };
        Ok(within.map(info).collect())
    }

    fn search_policies(&self) -> BoxStream<'_, Result<Vec<(Resource, Policy)>, PortError>> {
        self.clock.pass(self.reading_takes_s.load(Ordering::SeqCst));
        let second = async { self.pages_fail.check("read the second page").map(|()| Vec::new()) };
        stream::once(self.indexed_policies()).chain(stream::once(second)).boxed()
    }

    async fn policies_naming(&self, person: &Email) -> Result<Vec<(Resource, Policy)>, PortError> {
        let named = format!("user:{person}");
        let mut found = self.indexed_policies().await?;
        for (_, policy) in &mut found {
            policy.bindings.retain(|binding| binding.members.contains(&named));
        }
        Ok(found)
    }

    async fn permissions(&self, role: &Role) -> Result<Option<BTreeSet<String>>, PortError> {
        self.permissions_fail.check("read the role")?;
        Ok(self.roles.lock().unwrap().get(role).cloned())
    }
}

#[derive(Default)]
pub(super) struct FakeDirectory {
    pub(super) groups: Mutex<BTreeMap<Email, BTreeSet<Email>>>,
    pub(super) fails: Fault,
    pub(super) members_fail: Fault,
    pub(super) panics: AtomicBool,
}

#[async_trait]
impl Directory for FakeDirectory {
    async fn is_member(&self, group: &Email, person: &Email) -> Result<bool, PortError> {
        self.fails.check("read the group")?;
        Ok(self.groups.lock().unwrap().get(group).is_some_and(|members| members.contains(person)))
    }

    async fn groups_of(&self, person: &Email) -> Result<BTreeSet<Email>, PortError> {
        self.fails.check("read the groups")?;
        assert!(!self.panics.load(Ordering::SeqCst), "a bug with a SECRET in its message");
        let groups = self.groups.lock().unwrap();
        Ok(groups
            .iter()
            .filter(|(_, members)| members.contains(person))
            .map(|(group, _)| group.clone())
            .collect())
    }

    async fn members_of(&self, group: &Email) -> Result<BTreeSet<Email>, PortError> {
        self.members_fail.check("read the members")?;
        Ok(self.groups.lock().unwrap().get(group).cloned().unwrap_or_default())
    }
}

pub(super) struct FakeSigner<S> {
    pub(super) inner: S,
    pub(super) fails: Fault,
}

#[async_trait]
impl<S: EnvelopeSigner> EnvelopeSigner for FakeSigner<S> {
    async fn sign(&self, kind: &str, payload: String) -> Result<StoredEnvelope, PortError> {
        self.fails.check("sign")?;
        self.inner.sign(kind, payload).await
    }
}

/// How a create goes wrong once.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum CreateFault {
    /// Nothing is stored.
    Lost,
    /// It is stored and the answer is lost.
    ReplyLost,
}

pub(super) struct MemoryStore {
    pub(super) requests: Mutex<BTreeMap<RequestId, StoredRequest>>,
    pub(super) fails: Fault,
    pub(super) create_faults: Mutex<Vec<CreateFault>>,
    clock: Arc<FakeClock>,
    n_writes: AtomicU64,
}

impl MemoryStore {
    pub(super) fn new(clock: Arc<FakeClock>) -> Self {
        Self {
            requests: Mutex::default(),
            fails: Fault::default(),
            create_faults: Mutex::default(),
            clock,
            n_writes: AtomicU64::new(0),
        }
    }

    pub(super) fn n_requests(&self) -> usize {
        self.requests.lock().unwrap().len()
    }

    pub(super) fn n_writes(&self) -> u64 {
        self.n_writes.load(Ordering::SeqCst)
    }

    pub(super) fn change(&self, id: &str, change: impl FnOnce(&mut StoredRequest)) {
        let mut requests = self.requests.lock().unwrap();
        change(requests.get_mut(&RequestId::parse(id).unwrap()).unwrap());
    }

    fn committed(&self) -> Committed {
        let n = i64::try_from(self.n_writes.fetch_add(1, Ordering::SeqCst)).unwrap();
        let at = self.clock.now();
        Committed { version: Version(at.timestamp_micros() + n), at }
    }
}

#[async_trait]
impl RequestStore for MemoryStore {
    async fn create(&self, id: &RequestId, spec: &StoredEnvelope) -> Result<Committed, PortError> {
        self.fails.check("create the request")?;
        let fault = self.create_faults.lock().unwrap().pop();
        if fault == Some(CreateFault::Lost) {
            return Err(unavailable("create the request"));
        }
        let mut requests = self.requests.lock().unwrap();
        if requests.contains_key(id) {
            return Err(PortError::new(RetryClass::AlreadyExists, "create the request"));
        }
        let committed = self.committed();
        let stored = StoredRequest {
            id: id.clone(),
            live: true,
            spec: Some(spec.clone()),
            entries: BTreeMap::new(),
            facts: Vec::new(),
            status: None,
            created_at: committed.at,
            version: committed.version,
        };
        requests.insert(id.clone(), stored);
        if fault == Some(CreateFault::ReplyLost) {
            Err(unavailable("create the request"))
        } else {
            Ok(committed)
        }
    }

    async fn add_entry(
        &self,
        id: &RequestId,
        nonce: &Nonce,
        entry: &StoredEnvelope,
    ) -> Result<Committed, PortError> {
        self.fails.check("add the entry")?;
        let mut requests = self.requests.lock().unwrap();
        let stored = requests
            .get_mut(id)
            .ok_or_else(|| PortError::new(RetryClass::NotFound, "add the entry"))?;
        let committed = self.committed();
        stored.entries.insert(nonce.to_string(), entry.clone());
        stored.version = committed.version;
        Ok(committed)
    }

    async fn get(
        &self,
        ids: &[RequestId],
    ) -> Result<BTreeMap<RequestId, StoredRequest>, PortError> {
        self.fails.check("read requests")?;
        let requests = self.requests.lock().unwrap();
        Ok(ids.iter().filter_map(|id| Some((id.clone(), requests.get(id)?.clone()))).collect())
    }

    async fn list(&self, query: &ListQuery) -> Result<Page, PortError> {
        self.fails.check("list requests")?;
        let requests = self.requests.lock().unwrap();
        let spec = |stored: &StoredRequest| {
            read_spec(&stored.spec.as_ref().unwrap().payload).unwrap().spec
        };
        let mut found: Vec<_> = requests.values().cloned().collect();
        found.retain(|stored| {
            let phase = stored.status.as_ref().map_or("PENDING", |status| status.phase.as_str());
            query
                .requester
                .as_ref()
                .is_none_or(|subject| spec(stored).requester.subject.as_str() == subject)
                && query
                    .resource
                    .as_ref()
                    .is_none_or(|resource| spec(stored).resource.to_string() == *resource)
                && query.phase.as_ref().is_none_or(|wanted| phase == wanted)
        });
        found.sort_by_key(|stored| std::cmp::Reverse(stored.version));
        let invalid = |_| PortError::new(RetryClass::Invalid, "list requests: bad token");
        let from: usize = query.page_token.as_deref().map_or(Ok(0), str::parse).map_err(invalid)?;
        let to = from + query.page_size as usize;
        let next_page_token = (to < found.len()).then(|| to.to_string());
        Ok(Page {
            requests: found.into_iter().skip(from).take(query.page_size as usize).collect(),
            next_page_token,
        })
    }

    async fn live(&self) -> Result<Vec<StoredRequest>, PortError> {
        Err(never("live"))
    }

    fn watch_live(&self) -> BoxStream<'static, WatchEvent> {
        Box::pin(futures_util::stream::pending())
    }

    async fn commit(&self, _: &FactsCommit) -> Result<Committed, PortError> {
        Err(never("commit"))
    }

    async fn open_intent(&self, _: &Resource, _: &WriteId, _: &Intent) -> Result<(), PortError> {
        Err(never("open an intent"))
    }

    async fn close_intents(&self, _: &Resource, _: &[WriteId]) -> Result<(), PortError> {
        Err(never("close intents"))
    }

    async fn resources(&self) -> Result<Vec<ResourceRecord>, PortError> {
        Err(never("read resources"))
    }

    async fn append_ledger(&self, _: &LedgerEntry) -> Result<(), PortError> {
        Err(never("append to the ledger"))
    }

    async fn beat(&self, _: &Heartbeat) -> Result<Committed, PortError> {
        Err(never("show that a controller is alive"))
    }

    async fn retire(&self, _: &ReplicaId) -> Result<(), PortError> {
        Err(never("take back a heartbeat"))
    }
}

fn never(act: &str) -> PortError {
    PortError::new(RetryClass::Invalid, format!("intake does not {act}"))
}
