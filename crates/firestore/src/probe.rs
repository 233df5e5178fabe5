//! Looks at a store, for `curfew doctor`. None changes anything.

use chrono::{DateTime, Utc};
use curfew_core::id::{Nonce, RequestId};
use curfew_ports::{PortError, RetryClass, StoredEnvelope};
use futures_util::future::join_all;
use gcloud_sdk::google::firestore::v1::StructuredQuery;

use crate::answer::{class_of, error, time};
use crate::document;
use crate::query::{REQUESTED_AT, live, newest_first, resources};
use crate::store::FirestoreStore;

/// One of the queries that Curfew makes, and what became of it.
#[derive(Debug)]
pub struct ProbedQuery {
    /// What it asks for.
    pub what: &'static str,
    /// The fields of `requests` whose index it needs, in order; none if Firestore serves it without.
    pub fields: &'static [&'static str],
    /// Whether it was answered. [`RetryClass::Invalid`] where an index is missing.
    pub answer: Result<(), PortError>,
}

/// A query, and what [`ProbedQuery`] says of it.
type Query = (&'static str, &'static [&'static str], StructuredQuery);

impl FirestoreStore {
    /// Makes every query of the product's once, for one document at most; all at the same time.
    pub async fn probe_queries(&self) -> Vec<ProbedQuery> {
        let probes = queries().into_iter().map(|(what, fields, query)| async move {
            ProbedQuery { what, fields, answer: self.probe_query(what, query).await }
        });
        join_all(probes).await
    }

    async fn probe_query(&self, what: &str, query: StructuredQuery) -> Result<(), PortError> {
        let act = format!("list {what}");
        let failed = |status: &_| error(class_of(status), &act, status);
        let query = StructuredQuery { limit: Some(1), ..query };
        let mut answers = self.rpc.run_query(query).await.map_err(|status| failed(&status))?;
        while answers.message().await.map_err(|status| failed(&status))?.is_some() {}
        Ok(())
    }

    /// Whether this identity may write: asks for an entry in a request that does not exist, which nothing can change.
    pub async fn probe_write(&self, absent: &RequestId, nonce: &Nonce) -> Result<(), PortError> {
        let name = self.names.request(absent);
        let write = document::add_entry(name, nonce, &StoredEnvelope::default());
        let act = "write to a request that does not exist";
        match self.rpc.commit_all(vec![write]).await {
            Ok(_) => Err(PortError::new(RetryClass::AlreadyExists, format!("{act}: it does"))),
            Err(status) if class_of(&status) == RetryClass::NotFound => Ok(()),
            Err(status) => Err(error(class_of(&status), act, &status)),
        }
    }

    /// The store's time, by a commit of nothing.
    pub async fn probe_time(&self) -> Result<DateTime<Utc>, PortError> {
        let act = "read the store's time";
        let answer = self.rpc.commit_all(Vec::new()).await;
        let answer = answer.map_err(|status| error(class_of(&status), act, &status))?;
        answer.commit_time.as_ref().and_then(time).ok_or_else(|| {
            PortError::new(RetryClass::Unavailable, format!("{act}: the answer has none"))
        })
    }
}

/// In the order of `deploy/firestore.indexes.json`.
fn queries() -> Vec<Query> {
    let listed = |what, fields: &'static [&'static str]| {
        let by = fields.first().filter(|first| **first != REQUESTED_AT).map(|first| (*first, "-"));
        (what, fields, newest_first(by, None, 1))
    };
    vec![
        listed("requests of a person", &["specView.requester.subject", REQUESTED_AT]),
        listed("requests on a resource", &["specView.resource", REQUESTED_AT]),
        listed("requests in a phase", &["status.phase", REQUESTED_AT]),
        ("live requests", &["live"], live()),
        listed("all requests", &[REQUESTED_AT]),
        ("written resources", &[], resources()),
    ]
}
