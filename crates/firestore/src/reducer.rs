//! What a Listen stream's messages say about the live set: a state machine without I/O.
//!
//! Firestore tells only changes; Google's emulator tells everything anew (RESET) at every write; after an
//! interruption either may happen. The reducer keeps the version of every document that was told to the consumer,
//! so that all of them come out as the same few events: nothing twice, and nothing lost that the stream said.
//! The protocol is that of <https://cloud.google.com/firestore/docs/reference/rpc/google.firestore.v1#listenresponse>.

use std::collections::{BTreeMap, BTreeSet};

use curfew_ports::{Version, WatchEvent};
use gcloud_sdk::google::firestore::v1::listen_response::ResponseType;
use gcloud_sdk::google::firestore::v1::target_change::TargetChangeType;
use gcloud_sdk::google::firestore::v1::{
    Document, DocumentChange, ExistenceFilter, ListenResponse, TargetChange,
};

use crate::answer;
use crate::document;
use crate::names::request_id;

/// The one target of our streams.
pub(crate) const TARGET: i32 = 1;

/// What the stream has said so far.
#[derive(Debug, Default)]
pub(crate) struct Reducer {
    /// What the consumer knows, by document name. Documents that are no requests are counted here too, because the
    /// server counts them; they are told to nobody.
    told: BTreeMap<String, Version>,
    /// The documents that came since everything is told anew; `None` while only changes are told.
    anew: Option<BTreeSet<String>>,
    /// Where the stream can be resumed.
    token: Vec<u8>,
}

/// What one message leads to.
#[derive(Debug, PartialEq, Eq, Default)]
pub(crate) struct Reaction {
    pub(crate) events: Vec<WatchEvent>,
    pub(crate) then: Then,
}

/// What to do with the stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Then {
    /// Read on.
    #[default]
    Continue,
    /// Open it anew, without a token.
    StartOver(&'static str),
}

impl Reducer {
    /// A stream is about to be opened: the token to resume from, or `None` if everything must be told anew.
    pub(crate) fn open(&mut self) -> Option<Vec<u8>> {
        // What was told half anew cannot be resumed: the other half would look deleted.
        if self.token.is_empty() || self.anew.is_some() {
            self.anew = Some(BTreeSet::new());
            None
        } else {
            Some(self.token.clone())
        }
    }

    /// The next stream starts without a token.
    pub(crate) fn forget_token(&mut self) {
        self.token.clear();
    }

    /// Takes the stream's next message.
    pub(crate) fn apply(&mut self, response: ListenResponse) -> Reaction {
        match response.response_type {
            Some(ResponseType::TargetChange(change)) => self.target_changed(change),
            Some(ResponseType::DocumentChange(change)) => self.document_changed(change),
            Some(ResponseType::DocumentDelete(delete)) => self.document_left(&delete.document),
            Some(ResponseType::DocumentRemove(remove)) => self.document_left(&remove.document),
            Some(ResponseType::Filter(filter)) => self.counted(&filter),
            None => Reaction::default(),
        }
    }

    fn target_changed(&mut self, change: TargetChange) -> Reaction {
        let everywhere = change.target_ids.is_empty();
        if !everywhere && !change.target_ids.contains(&TARGET) {
            return Reaction::default();
        }
        if !change.resume_token.is_empty() {
            self.token = change.resume_token;
        }
        match TargetChangeType::try_from(change.target_change_type) {
            Ok(TargetChangeType::Reset) => self.anew = Some(BTreeSet::new()),
            Ok(TargetChangeType::Current) => return self.consistent(),
            Ok(TargetChangeType::NoChange) if everywhere && change.read_time.is_some() => {
                return self.consistent();
            }
            Ok(TargetChangeType::Remove) => {
                return self.start_over("the server removed the target");
            }
            Ok(TargetChangeType::NoChange | TargetChangeType::Add) | Err(_) => {}
        }
        Reaction::default()
    }

    fn document_changed(&mut self, change: DocumentChange) -> Reaction {
        let Some(document) = change.document else { return Reaction::default() };
        if change.target_ids.contains(&TARGET) {
            self.document_is(document)
        } else if change.removed_target_ids.contains(&TARGET) {
            self.document_left(&document.name)
        } else {
            Reaction::default()
        }
    }

    fn document_is(&mut self, document: Document) -> Reaction {
        let time = document.update_time.as_ref();
        let version = time.and_then(answer::version).unwrap_or(Version(0));
        if let Some(anew) = &mut self.anew {
            anew.insert(document.name.clone());
        }
        if self.told.insert(document.name.clone(), version) == Some(version) {
            return Reaction::default();
        }
        let changed = document::stored_request(document);
        tell(changed.map(|request| WatchEvent::Changed(Box::new(request))))
    }

    fn document_left(&mut self, name: &str) -> Reaction {
        if let Some(anew) = &mut self.anew {
            anew.remove(name);
        }
        let known = self.told.remove(name).is_some();
        tell(if known { gone(name) } else { None })
    }

    /// Everything that was told anew has been told: what did not come is not there any more.
    fn consistent(&mut self) -> Reaction {
        let mut events = Vec::new();
        if let Some(anew) = self.anew.take() {
            self.told.retain(|name, _| {
                let there = anew.contains(name);
                if !there {
                    events.extend(gone(name));
                }
                there
            });
        }
        events.push(WatchEvent::Current);
        Reaction { events, then: Then::Continue }
    }

    /// The server says how many documents the target has; another number than ours means that we missed a removal.
    fn counted(&mut self, filter: &ExistenceFilter) -> Reaction {
        let ours = self.anew.as_ref().map_or(self.told.len(), BTreeSet::len);
        if filter.target_id != TARGET || usize::try_from(filter.count) == Ok(ours) {
            return Reaction::default();
        }
        self.start_over("the server counts other documents than we do")
    }

    fn start_over(&mut self, why: &'static str) -> Reaction {
        self.forget_token();
        Reaction { events: Vec::new(), then: Then::StartOver(why) }
    }
}

fn gone(name: &str) -> Option<WatchEvent> {
    request_id(name).map(WatchEvent::Gone)
}

fn tell(event: Option<WatchEvent>) -> Reaction {
    Reaction { events: event.into_iter().collect(), then: Then::Continue }
}

#[cfg(test)]
mod tests;
