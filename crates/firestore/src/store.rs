//! The port, call by call.

use std::collections::BTreeMap;

use async_trait::async_trait;
use curfew_core::id::{Nonce, ReplicaId, RequestId, WriteId};
use curfew_core::resource::Resource;
use curfew_ports::{
    Committed, FactsCommit, Heartbeat, Intent, LedgerEntry, ListQuery, Page, PortError,
    RequestStore, ResourceRecord, RetryClass, StoredEnvelope, StoredRequest, WatchEvent,
};
use curfew_proto::convert::time_to_wire;
use curfew_proto::native::to_native;
use curfew_proto::v1;
use futures_util::stream::BoxStream;
use gcloud_sdk::google::firestore::v1::{CommitResponse, Write};
use tonic::Status;

use crate::answer::{
    class_of, class_of_conditional, committed, error, is_transient, is_unknown_outcome, time,
    version_timestamp,
};
use crate::connect::{ConnectError, StoreOptions, connect};
use crate::document::{self, Requests};
use crate::list::{List, PageFold};
use crate::names::{LEDGER, Names, REPLICAS, RESOURCES};
use crate::resources::{self, Resources};
use crate::rpc::{Rpc, Written};
use crate::value::to_fields;
use crate::{query, watch};

/// The request store over Firestore, Google's or a server that speaks its protocol. Cheap to clone.
#[derive(Clone)]
pub struct FirestoreStore {
    pub(crate) rpc: Rpc,
    pub(crate) names: Names,
}

impl FirestoreStore {
    /// Connects, trying again for [`StoreOptions::connect_time_max`].
    pub async fn connect(options: StoreOptions) -> Result<Self, ConnectError> {
        let rpc = Rpc::new(connect(&options).await?, &options);
        Ok(Self { names: rpc.names(), rpc })
    }

    /// A write that is safe to repeat whatever became of it: it says the same each time.
    async fn set(&self, act: &str, write: &Write) -> Result<Committed, PortError> {
        let Written { answer, .. } = self.rpc.write(write, is_transient).await;
        accepted(act, &answer.map_err(|status| error(class_of(&status), act, &status))?)
    }

    async fn find(&self, act: &str, id: &RequestId) -> Result<Option<StoredRequest>, PortError> {
        let found = self.rpc.look_up(&[self.names.request(id)]).await.map_err(read(act))?;
        Ok(found.into_iter().find_map(document::stored_request))
    }
}

#[async_trait]
impl RequestStore for FirestoreStore {
    async fn create(&self, id: &RequestId, spec: &StoredEnvelope) -> Result<Committed, PortError> {
        let act = format!("file request {id}");
        let write = document::create(self.names.request(id), id, spec)?;
        let Written { answer, doubtful } = self.rpc.write(&write, is_transient).await;
        let status = match answer {
            Ok(response) => return accepted(&act, &response),
            Err(status) => status,
        };
        let class = class_of(&status);
        if doubtful && class == RetryClass::AlreadyExists {
            // It may be there because an earlier attempt of ours made it.
            if let Some(found) = self.find(&act, id).await?
                && found.spec.as_ref().is_some_and(|stored| stored.payload == spec.payload)
            {
                return Ok(Committed { version: found.version, at: found.created_at });
            }
        }
        Err(error(class, &act, &status))
    }

    async fn add_entry(
        &self,
        id: &RequestId,
        nonce: &Nonce,
        entry: &StoredEnvelope,
    ) -> Result<Committed, PortError> {
        let write = document::add_entry(self.names.request(id), nonce, entry);
        self.set(&format!("add entry {nonce} to request {id}"), &write).await
    }

    async fn get(
        &self,
        ids: &[RequestId],
    ) -> Result<BTreeMap<RequestId, StoredRequest>, PortError> {
        let names: Vec<String> = ids.iter().map(|id| self.names.request(id)).collect();
        let act = format!("read {} requests", ids.len());
        let documents = self.rpc.look_up(&names).await.map_err(read(&act))?;
        let requests = documents.into_iter().collect::<Requests>().finish();
        Ok(requests.into_iter().map(|request| (request.id.clone(), request)).collect())
    }

    async fn list(&self, query: &ListQuery) -> Result<Page, PortError> {
        let list = List::new(query)?;
        let query = list.query(&self.names)?;
        let page = self.rpc.query(&query, || PageFold::new(&list)).await;
        Ok(page.map_err(read("list requests"))?.finish())
    }

    async fn live(&self) -> Result<Vec<StoredRequest>, PortError> {
        let requests = self.rpc.query(&query::live(), Requests::default).await;
        Ok(requests.map_err(read("read the live set"))?.finish())
    }

    fn watch_live(&self) -> BoxStream<'static, WatchEvent> {
        watch::live(self.rpc.clone())
    }

    async fn commit(&self, commit: &FactsCommit) -> Result<Committed, PortError> {
        let act = format!("record facts of request {}", commit.id);
        let write = document::commit(self.names.request(&commit.id), commit);
        let Written { answer, doubtful } = self.rpc.write(&write, is_unknown_outcome).await;
        let status = match answer {
            Ok(response) => return accepted(&act, &response),
            Err(status) => status,
        };
        let class = class_of_conditional(&status);
        if doubtful && class == RetryClass::Conflict {
            // It may have changed because an earlier attempt of ours changed it.
            if let Some(found) = self.find(&act, &commit.id).await?
                && document::is_from(&found, commit)
            {
                let at = time(&version_timestamp(found.version)).unwrap_or(found.created_at);
                return Ok(Committed { version: found.version, at });
            }
        }
        Err(error(class, &act, &status))
    }

    async fn open_intent(
        &self,
        resource: &Resource,
        write: &WriteId,
        intent: &Intent,
    ) -> Result<(), PortError> {
        let name = self.names.checked(RESOURCES, &resource.document_id())?;
        let update = resources::open(name, resource, write, intent);
        self.set(&format!("record intent {write} on {resource}"), &update).await?;
        Ok(())
    }

    async fn close_intents(
        &self,
        resource: &Resource,
        writes: &[WriteId],
    ) -> Result<(), PortError> {
        if writes.is_empty() {
            return Ok(());
        }
        let name = self.names.checked(RESOURCES, &resource.document_id())?;
        let update = resources::close(name, resource, writes);
        self.set(&format!("close {} intents on {resource}", writes.len()), &update).await?;
        Ok(())
    }

    async fn resources(&self) -> Result<Vec<ResourceRecord>, PortError> {
        let records = self.rpc.query(&query::resources(), Resources::default).await;
        Ok(records.map_err(read("read the resources"))?.finish())
    }

    async fn append_ledger(&self, entry: &LedgerEntry) -> Result<(), PortError> {
        let name = self.names.checked(LEDGER, &entry.id)?;
        let wire = v1::LedgerEntry {
            kind: entry.kind.clone(),
            at: entry.at.clone(),
            payload: entry.payload.clone(),
            mac: entry.mac.clone(),
        };
        let fields = to_fields(to_native(&wire));
        let mask = fields.keys().cloned().collect();
        let write = document::update(name, fields, Some(mask), None);
        self.set(&format!("add {} to the ledger", entry.id), &write).await?;
        Ok(())
    }

    async fn beat(&self, heartbeat: &Heartbeat) -> Result<Committed, PortError> {
        let name = self.names.checked(REPLICAS, heartbeat.replica.as_str())?;
        let wire = v1::Replica {
            started_at: Some(time_to_wire(heartbeat.started_at)),
            beat_at: Some(time_to_wire(heartbeat.at)),
        };
        let fields = to_fields(to_native(&wire));
        let mask = fields.keys().cloned().collect();
        let write = document::update(name, fields, Some(mask), None);
        self.set(&format!("show that replica {} is alive", heartbeat.replica), &write).await
    }

    async fn retire(&self, replica: &ReplicaId) -> Result<(), PortError> {
        let write = document::delete(self.names.checked(REPLICAS, replica.as_str())?);
        self.set(&format!("take back the heartbeat of replica {replica}"), &write).await?;
        Ok(())
    }
}

/// The answer to a successful commit; one without its times leaves open what happened.
fn accepted(act: &str, response: &CommitResponse) -> Result<Committed, PortError> {
    committed(response).ok_or_else(|| {
        PortError::new(RetryClass::Unavailable, format!("{act}: the answer has no commit time"))
    })
}

fn read(act: &str) -> impl FnOnce(Status) -> PortError {
    move |status| error(class_of(&status), act, &status)
}
