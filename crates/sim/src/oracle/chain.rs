//! Whether a stored chain of facts verifies, by the oracle's own reckoning.

use curfew_core::id::Digest;
use curfew_ports::{StoredFact, StoredRequest};

use crate::trust::Trust;

/// Whether every fact stands in its place: numbered from 0, each naming the one before (the first one the filed
/// request), and each just as it was sealed for this request.
pub(super) fn is_unbroken(stored: &StoredRequest, trust: &Trust) -> bool {
    let spec = stored.spec.as_ref().map_or("", |spec| &spec.payload);
    let mut before = Digest::of(spec.as_bytes()).to_string();
    (0_i64..).zip(&stored.facts).all(|(n, fact)| {
        let input = mac_input(stored, fact);
        let digest = Digest::of(input.as_bytes()).to_string();
        let mac = Digest::of(format!("mac over {digest}").as_bytes()).to_string();
        let is_next = fact.n == n && fact.prev == before && fact.mac == mac;
        before = digest;
        is_next && trust.has_sealed(&stored.id, fact)
    })
}

fn mac_input(stored: &StoredRequest, fact: &StoredFact) -> String {
    let StoredFact { n, kind, at, payload, prev, mac: _ } = fact;
    format!("{} {n} {kind} {at} {payload} {prev}", stored.id)
}
