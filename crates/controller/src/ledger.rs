//! Facts that belong to no single request's chain: forgeries that were ignored.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use curfew_core::id::sha256;

use crate::context::Context;
use crate::pass::rejections;
use crate::view::Known;

/// How many notes of this process are remembered, so that each is made once.
const NOTED_MAX: usize = 16_384;

/// What this process has already put down.
#[derive(Default)]
pub(crate) struct Noted(Mutex<BTreeSet<(String, String)>>);

impl Noted {
    /// Whether this is said of this request for the first time.
    fn is_new(&self, id: &str, why: &str) -> bool {
        let mut noted = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if noted.len() >= NOTED_MAX {
            noted.clear();
        }
        noted.insert((id.to_owned(), why.to_owned()))
    }
}

/// Puts down each kind of forgery of a document once: counted, logged, and in the ledger.
///
/// A ledger that cannot be written delays nothing; the log line stands all the same.
pub(crate) async fn note_forgeries(context: &Context, known: &Known) {
    let mut kinds: BTreeSet<&'static str> =
        rejections(known).map(curfew_core::request::Rejection::as_str).collect();
    if known.request.facts.rejected() > 0 {
        kinds.insert("FORGED_FACTS");
    }
    if known.request.rolled_back {
        kinds.insert("ROLLED_BACK");
    }
    let id = known.stored.id.as_str();
    for kind in kinds.into_iter().filter(|kind| context.noted.is_new(id, kind)) {
        context.metrics.forgery(kind);
        tracing::error!(request.id = id, reason = kind, "a stored document does not verify");
        let payload = format!("{{\"reason\":\"{kind}\",\"requestId\":\"{id}\"}}");
        let hash = sha256(&[b"curfew/v1/ledger-id\n", id.as_bytes(), b"\n", kind.as_bytes()]);
        let mut bits = [0; 16];
        bits.iter_mut().zip(hash).for_each(|(slot, byte)| *slot = byte);
        let entry =
            context.ports.sealer.seal_ledger(bits, "FORGED_DOCUMENT", context.now(), payload);
        if let Err(error) = context.ports.store.append_ledger(&entry).await {
            tracing::warn!(
                error = error.chain(),
                request.id = id,
                "the ledger could not be written"
            );
        }
    }
}
