//! The ledger's notes on refused acts: each forged part of a document and each act that does not count is named there
//! once, with its place, the reason, and who it claims to be from.
//!
//! A writer of the database can make as many of them as it likes. What is written for it is bounded, for each request
//! and for each minute; what is beyond is counted, and of a request the ledger says once that there was more.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use chrono::{DateTime, Utc};
use curfew_core::entry::REFUSED_MAX;
use curfew_core::fact::{Counted, Fact};
use curfew_core::id::sha256;
use curfew_core::request::Rejection;
use curfew_ports::StoredEnvelope;
use futures_util::future::join_all;
use serde_json::Value;

use crate::context::Context;
use crate::view::Known;

/// How many notes the ledger takes about one request: as many refused entries as its own chain takes.
const NOTES_PER_REQUEST_MAX: usize = REFUSED_MAX;

/// How many notes this process writes within [`MINUTE`]. A person's mistakes make a few; a flood would cost the store
/// five writes a second, a tenth of what it takes without effort.
const NOTES_PER_MINUTE_MAX: usize = 300;

const MINUTE: Duration = Duration::from_mins(1);

/// How many notes of this process are remembered, so that each is made once.
const REMEMBERED_MAX: usize = 16_384;

/// The longest claim that is repeated: an address is at most 254 bytes long (RFC 5321, 4.5.3.1.3, less the brackets).
const CLAIM_BYTES_MAX: usize = 254;

/// A stored document that holds something that is nobody's word.
const FORGED_DOCUMENT: &str = "FORGED_DOCUMENT";

/// Somebody's true word that does not count.
const REFUSED_ACT: &str = "REFUSED_ACT";

/// Facts of the chain that are not the controller's.
pub(crate) const FORGED_FACTS: &str = "FORGED_FACTS";

/// Facts that this process remembers are gone from the document.
pub(crate) const ROLLED_BACK: &str = "ROLLED_BACK";

/// The bound on notes of one request, and that of one minute, as metrics name them.
pub(crate) const BOUNDS: [&str; 2] = ["request", "minute"];

/// What this process has already put down.
#[derive(Default)]
pub(crate) struct Noted(Mutex<Book>);

#[derive(Default)]
struct Book {
    /// By request: place and reason.
    notes: BTreeMap<String, BTreeSet<(String, String)>>,
    n_notes: usize,
    /// When the present minute began, and the notes written in it.
    minute: (Duration, usize),
}

/// What becomes of a note.
#[derive(Debug, PartialEq, Eq)]
enum Admission {
    /// It is to be written.
    New,
    /// It was before.
    Known,
    /// The request has all the notes that it may have; says whether this is the first beyond.
    RequestFull { is_first: bool },
    /// Too many were written within this minute.
    MinuteFull,
}

impl Noted {
    fn admit(&self, id: &str, place: &str, why: &str, elapsed: Duration) -> Admission {
        let book = &mut *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if elapsed.saturating_sub(book.minute.0) >= MINUTE {
            book.minute = (elapsed, 0);
        }
        if book.n_notes >= REMEMBERED_MAX {
            book.notes.clear();
            book.n_notes = 0;
        }
        let of_request = book.notes.entry(id.to_owned()).or_default();
        let note = (place.to_owned(), why.to_owned());
        if of_request.contains(&note) {
            return Admission::Known;
        }
        let n_before = of_request.len();
        let is_full = n_before >= NOTES_PER_REQUEST_MAX;
        if !is_full && book.minute.1 >= NOTES_PER_MINUTE_MAX {
            return Admission::MinuteFull;
        }
        of_request.insert(note);
        book.n_notes = book.n_notes.saturating_add(1);
        if is_full {
            return Admission::RequestFull { is_first: n_before == NOTES_PER_REQUEST_MAX };
        }
        book.minute.1 = book.minute.1.saturating_add(1);
        Admission::New
    }
}

/// Something of a document that does not count.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Note {
    kind: &'static str,
    /// `spec`, `facts`, or `entries.<key>`.
    place: String,
    why: String,
    at: DateTime<Utc>,
    claim: Option<Claim>,
}

/// What an envelope says of itself. It may be a lie: a forged one's always is.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Claim {
    actor: Option<String>,
    key_id: String,
}

/// Puts down what does not count of a document: counted, logged, and in the ledger, once each and within bounds.
///
/// The notes are written at the same time, so that many of them keep a request waiting no longer than one. A ledger that
/// cannot be written delays nothing; the log line stands all the same.
pub(crate) async fn put_down(context: &Context, known: &Known) {
    let id = known.stored.id.as_str();
    let found = notes(known, context.now()).into_iter();
    let admitted = found.filter_map(|note| admitted(context, id, note));
    join_all(admitted.map(|note| async move { write(context, id, &note).await })).await;
}

/// What is to be written for a note: itself, that there are too many, or nothing. Counts what is new.
fn admitted(context: &Context, id: &str, note: Note) -> Option<Note> {
    let elapsed = context.ports.clock.elapsed();
    let admission = context.noted.admit(id, &note.place, &note.why, elapsed);
    // What came too late for this minute is admitted in another, and counted then.
    let is_new = !matches!(admission, Admission::Known | Admission::MinuteFull);
    if let Some(reason) = forgery(&note).filter(|_| is_new) {
        context.metrics.forgery(reason);
    }
    match admission {
        Admission::New => Some(note),
        Admission::Known => None,
        Admission::RequestFull { is_first } => {
            context.metrics.ledger_omitted("request");
            let (place, why) = ("entries".to_owned(), "TOO_MANY".to_owned());
            is_first.then_some(Note { place, why, claim: None, ..note })
        }
        Admission::MinuteFull => {
            context.metrics.ledger_omitted("minute");
            None
        }
    }
}

/// The reason of a forgery as metrics have it.
fn forgery(note: &Note) -> Option<&'static str> {
    let reasons =
        Rejection::ALL.map(Rejection::as_str).into_iter().chain([FORGED_FACTS, ROLLED_BACK]);
    reasons.into_iter().find(|reason| note.kind == FORGED_DOCUMENT && *reason == note.why)
}

/// Everything of a document that does not count.
fn notes(known: &Known, now: DateTime<Utc>) -> Vec<Note> {
    let (stored, request) = (&known.stored, &known.request);
    let forged = |place: String, why: &str, envelope: Option<&StoredEnvelope>| Note {
        kind: FORGED_DOCUMENT,
        place,
        why: why.to_owned(),
        at: now,
        claim: envelope.map(claim),
    };
    let spec = request.spec.as_ref().err();
    let spec = spec.map(|why| forged("spec".into(), why.as_str(), stored.spec.as_ref()));
    let has_forged_facts = request.facts.rejected() > 0;
    let facts = has_forged_facts.then(|| forged("facts".into(), FORGED_FACTS, None));
    let back = request.rolled_back.then(|| forged("facts".into(), ROLLED_BACK, None));
    let entries = request.entries.iter().filter_map(|(nonce, entry)| {
        let why = entry.as_ref().err()?.as_str();
        let envelope = stored.entries.get(nonce.as_str());
        Some(forged(format!("entries.{nonce}"), why, envelope))
    });
    let refused = request.facts.iter().filter_map(|recorded| {
        let Fact::Seen { nonce, counted: Counted::No { why } } = &recorded.fact else {
            return None;
        };
        Some(Note {
            kind: REFUSED_ACT,
            place: format!("entries.{nonce}"),
            why: why.clone(),
            at: recorded.at,
            claim: stored.entries.get(nonce.as_str()).map(claim),
        })
    });
    spec.into_iter().chain(facts).chain(back).chain(entries).chain(refused).collect()
}

fn claim(envelope: &StoredEnvelope) -> Claim {
    let payload: Option<Value> = serde_json::from_str(&envelope.payload).ok();
    let named = |pointer: &str| Some(bounded(payload.as_ref()?.pointer(pointer)?.as_str()?));
    Claim {
        actor: named("/actor/email").or_else(|| named("/requester/email")),
        key_id: bounded(&envelope.key_id),
    }
}

fn bounded(text: &str) -> String {
    text.get(..text.floor_char_boundary(CLAIM_BYTES_MAX)).unwrap_or_default().to_owned()
}

async fn write(context: &Context, id: &str, note: &Note) {
    if note.kind == FORGED_DOCUMENT {
        tracing::error!(
            request.id = id,
            operation.id = id,
            place = note.place,
            reason = note.why,
            "a stored document does not verify"
        );
    } else {
        tracing::warn!(
            request.id = id,
            operation.id = id,
            place = note.place,
            reason = note.why,
            "an act does not count"
        );
    }
    let hash = sha256(&[
        b"curfew/v1/ledger-id\n",
        id.as_bytes(),
        b"\n",
        note.place.as_bytes(),
        b"\n",
        note.why.as_bytes(),
    ]);
    let mut bits = [0; 16];
    bits.iter_mut().zip(hash).for_each(|(slot, byte)| *slot = byte);
    let entry = context.ports.sealer.seal_ledger(bits, note.kind, note.at, payload(id, note));
    if let Err(error) = context.ports.store.append_ledger(&entry).await {
        tracing::warn!(error = error.chain(), request.id = id, "the ledger could not be written");
    }
}

/// RFC 8785 text: the names are in order, and `serde_json` writes strings as it asks.
fn payload(id: &str, note: &Note) -> String {
    let text = |text: &str| Value::from(text).to_string();
    let claimed = note.claim.as_ref().map(|claim| {
        let actor = claim.actor.as_ref().map(|actor| format!("\"actor\":{},", text(actor)));
        let actor = actor.unwrap_or_default();
        format!("\"claimed\":{{{actor}\"keyId\":{}}},", text(&claim.key_id))
    });
    format!(
        "{{{}\"place\":{},\"reason\":{},\"requestId\":{}}}",
        claimed.unwrap_or_default(),
        text(&note.place),
        text(&note.why),
        text(id)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Duration = Duration::from_secs(1_000);

    #[test]
    fn each_entry_of_a_request_is_named_once() {
        let noted = Noted::default();
        for place in ["entries.a", "entries.b", "spec"] {
            assert_eq!(noted.admit("r", place, "BAD_SIGNATURE", NOW), Admission::New, "{place}");
            assert_eq!(noted.admit("r", place, "BAD_SIGNATURE", NOW), Admission::Known);
        }
        assert_eq!(noted.admit("r", "entries.a", "UNKNOWN_KEY", NOW), Admission::New);
        assert_eq!(noted.admit("s", "entries.a", "UNKNOWN_KEY", NOW), Admission::New);
    }

    #[test]
    fn a_request_has_so_many_notes_and_one_that_says_there_was_more() {
        let noted = Noted::default();
        let admit = |n: usize| noted.admit("r", &format!("entries.{n}"), "BAD_SIGNATURE", NOW);
        let admitted: Vec<Admission> = (0..NOTES_PER_REQUEST_MAX + 3).map(admit).collect();
        let (within, beyond) = admitted.split_at(NOTES_PER_REQUEST_MAX);
        assert!(within.iter().all(|it| *it == Admission::New));
        let full = |is_first| Admission::RequestFull { is_first };
        assert_eq!(beyond, [full(true), full(false), full(false)]);
        // Counted once each, and another request is not touched by it.
        assert_eq!(admit(NOTES_PER_REQUEST_MAX + 1), Admission::Known);
        assert_eq!(noted.admit("s", "spec", "MALFORMED", NOW), Admission::New);
    }

    #[test]
    fn a_minute_has_so_many_notes_and_the_next_takes_what_came_too_late() {
        let noted = Noted::default();
        let admit = |n: usize, at| noted.admit(&format!("r{n}"), "spec", "MALFORMED", at);
        for n in 0..NOTES_PER_MINUTE_MAX {
            assert_eq!(admit(n, NOW), Admission::New);
        }
        let last = NOW + Duration::from_secs(59);
        assert_eq!(admit(NOTES_PER_MINUTE_MAX, last), Admission::MinuteFull);
        assert_eq!(admit(0, last), Admission::Known);
        assert_eq!(admit(NOTES_PER_MINUTE_MAX, NOW + MINUTE), Admission::New);
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let noted = Noted::default();
        for n in 0..REMEMBERED_MAX + 10 {
            let at = NOW + MINUTE * u32::try_from(n / NOTES_PER_MINUTE_MAX).unwrap();
            assert_eq!(noted.admit(&format!("r{n}"), "spec", "MALFORMED", at), Admission::New);
        }
        assert_eq!(noted.0.lock().unwrap().n_notes, 10);
    }

    #[test]
    fn claims_are_repeated_as_text_and_not_beyond_their_bound() {
        let envelope = |payload: &str| StoredEnvelope {
            payload: payload.into(),
            key_id: "k\"\n".into(),
            signature: String::new(),
        };
        let note = |payload: &str| Note {
            kind: FORGED_DOCUMENT,
            place: "entries.a".into(),
            why: "BAD_SIGNATURE".into(),
            at: DateTime::UNIX_EPOCH,
            claim: Some(claim(&envelope(payload))),
        };
        assert_eq!(
            payload("r", &note(r#"{"actor":{"email":"bob@x.org\u0007"}}"#)),
            "{\"claimed\":{\"actor\":\"bob@x.org\\u0007\",\"keyId\":\"k\\\"\\n\"},\"place\":\"entries.a\",\"reason\":\"BAD_SIGNATURE\",\"requestId\":\"r\"}"
        );
        for nothing in ["", "[[[[", "{}", "{\"actor\":7}", &"[".repeat(100_000)] {
            assert_eq!(note(nothing).claim.unwrap().actor, None);
        }
        let long = format!("{{\"actor\":{{\"email\":\"{}\"}}}}", "é".repeat(1_000));
        assert_eq!(note(&long).claim.unwrap().actor.unwrap().len(), CLAIM_BYTES_MAX);
    }
}
