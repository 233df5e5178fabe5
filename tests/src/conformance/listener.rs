//! One Listen stream: heard as words, and reduced to the documents that each target shows.
//!
//! The protocol leaves the order of documents within a snapshot open, and lets a server tell of a departure in several
//! ways; words are put into one form, so that a case asserts nothing that Google does not promise.

use std::collections::BTreeMap;
use std::time::Duration;

use gcloud_sdk::google::firestore::v1::listen_request::TargetChange as Change;
use gcloud_sdk::google::firestore::v1::listen_response::ResponseType;
use gcloud_sdk::google::firestore::v1::target::query_target::QueryType;
use gcloud_sdk::google::firestore::v1::target::{
    DocumentsTarget, QueryTarget, ResumeType, TargetType,
};
use gcloud_sdk::google::firestore::v1::target_change::TargetChangeType;
use gcloud_sdk::google::firestore::v1::{
    DocumentChange, ListenRequest, ListenResponse, Target, TargetChange,
};
use serde_json::{Value as Json, json};
use tokio::sync::mpsc;
use tokio::time::timeout;
use tonic::{Code, Streaming};

use super::backend::Backend;
use super::messages::Query;
use super::values::{micros, shown};

/// How long a message may take before the case fails.
const PATIENCE: Duration = Duration::from_secs(20);

/// What ends a snapshot: the whole stream is consistent at one time.
const END: &str = "END";

/// The documents of one target: their fields by their ids.
pub(super) type View = BTreeMap<String, Json>;

pub(super) struct Listener {
    requests: mpsc::Sender<ListenRequest>,
    replies: Streaming<ListenResponse>,
    database: String,
    views: BTreeMap<i32, View>,
    /// The last target change that carried a token.
    pub(super) last: TargetChange,
    /// Of the last target change that ended a target.
    pub(super) cause: Option<Code>,
}

impl Listener {
    /// Opens a stream with its first target: a server may answer nothing before it.
    pub(super) async fn start(on: &Backend, first: Target) -> Self {
        let (requests, mut receiver) = mpsc::channel(8);
        requests.send(request(&on.database, Change::AddTarget(first))).await.unwrap();
        let stream = futures_util::stream::poll_fn(move |context| receiver.poll_recv(context));
        let listening = timeout(PATIENCE, async { on.client.clone().listen(stream).await });
        Self {
            requests,
            replies: listening.await.expect("an answer in time").unwrap().into_inner(),
            database: on.database.clone(),
            views: BTreeMap::new(),
            last: TargetChange::default(),
            cause: None,
        }
    }

    /// What the client of an earlier stream knows already.
    pub(super) fn knowing(mut self, target: i32, view: View) -> Self {
        self.views.insert(target, view);
        self
    }

    pub(super) async fn add(&self, target: Target) {
        self.requests.send(request(&self.database, Change::AddTarget(target))).await.unwrap();
    }

    pub(super) async fn remove(&self, target: i32) {
        self.requests.send(request(&self.database, Change::RemoveTarget(target))).await.unwrap();
    }

    /// The words up to the end of the first snapshot in which a target has become current.
    pub(super) async fn current(&mut self) -> String {
        let mut words = self.snapshot().await;
        while !words.iter().any(|word| word.starts_with("CURRENT")) {
            words.extend(self.snapshot().await);
        }
        words.join(" ")
    }

    /// The words of the next snapshot that has any.
    pub(super) async fn heard(&mut self) -> String {
        loop {
            let words = self.snapshot().await;
            if !words.is_empty() {
                return words.join(" ");
            }
        }
    }

    /// Waits for a consistent snapshot in which the target shows exactly these documents.
    pub(super) async fn shows(&mut self, target: i32, expected: Json) {
        let mut heard = Vec::new();
        while json!(self.view(target)) != expected {
            let Ok(words) = timeout(PATIENCE, self.snapshot()).await else {
                panic!("{} is not {expected} after {heard:?}", json!(self.view(target)));
            };
            heard.extend(words);
        }
    }

    pub(super) fn view(&self, target: i32) -> View {
        self.views.get(&target).cloned().unwrap_or_default()
    }

    /// The code with which the stream ends before it told anything of documents, if it does.
    pub(super) async fn refusal(&mut self) -> Option<Code> {
        loop {
            match timeout(PATIENCE, self.replies.message()).await.expect("a message in time") {
                Err(status) => return Some(status.code()),
                Ok(reply) => {
                    let words = self.words(reply.expect("an open stream"));
                    if words.iter().any(|word| word.starts_with("RESET") || is_document(word)) {
                        return None;
                    }
                }
            }
        }
    }

    /// The next word that is not the end of a snapshot.
    pub(super) async fn word(&mut self) -> String {
        loop {
            let words = self.next().await;
            if let Some(word) = words.into_iter().find(|word| word != END) {
                return word;
            }
        }
    }

    /// Waits for a word, whatever comes before it.
    pub(super) async fn until(&mut self, word: &str) {
        while !self.next().await.iter().any(|heard| heard == word) {}
    }

    /// The code with which the stream ends.
    pub(super) async fn end(mut self) -> Code {
        let ended = async {
            loop {
                match self.replies.message().await {
                    Ok(Some(_)) => {}
                    Ok(None) => return Code::Ok,
                    Err(status) => return status.code(),
                }
            }
        };
        timeout(PATIENCE, ended).await.expect("an end in time")
    }

    /// The words up to the next consistent point, those of documents sorted where they follow each other.
    async fn snapshot(&mut self) -> Vec<String> {
        let mut words: Vec<String> = Vec::new();
        while words.last().is_none_or(|word| word != END) {
            words.extend(self.next().await);
        }
        words.pop();
        for documents in words.chunk_by_mut(|a, b| is_document(a) && is_document(b)) {
            documents.sort();
        }
        words
    }

    async fn next(&mut self) -> Vec<String> {
        let reply = timeout(PATIENCE, self.replies.message()).await;
        self.words(reply.expect("a message in time").unwrap().expect("an open stream"))
    }

    fn words(&mut self, reply: ListenResponse) -> Vec<String> {
        match reply.response_type.unwrap() {
            ResponseType::TargetChange(change) => self.target(change),
            ResponseType::DocumentChange(change) => self.document(change),
            ResponseType::DocumentDelete(gone) => {
                self.gone("DELETE", &gone.document, &gone.removed_target_ids)
            }
            ResponseType::DocumentRemove(gone) => {
                self.gone("REMOVE", &gone.document, &gone.removed_target_ids)
            }
            ResponseType::Filter(filter) => {
                let known = self.view(filter.target_id).len();
                let agrees = usize::try_from(filter.count).unwrap() == known;
                let mismatch = || format!("MISMATCH[{}]={}", filter.target_id, filter.count);
                if agrees { Vec::new() } else { vec![mismatch()] }
            }
        }
    }

    fn target(&mut self, change: TargetChange) -> Vec<String> {
        let (kind, ids) = (change.target_change_type(), change.target_ids.clone());
        if let (Some(before), Some(now)) = (self.last.read_time, change.read_time) {
            assert!(micros(now) >= micros(before), "the stream goes back in time");
        }
        let cause = change.cause.as_ref().map(|cause| Code::from(cause.code));
        let consistent = change.read_time.is_some() && ids.is_empty();
        if !change.resume_token.is_empty() {
            self.last = change;
        }
        let word = match kind {
            TargetChangeType::NoChange if consistent => return vec![END.into()],
            TargetChangeType::NoChange => return Vec::new(),
            TargetChangeType::Add => "ADD",
            TargetChangeType::Current => "CURRENT",
            TargetChangeType::Remove => {
                self.cause = cause;
                "GONE"
            }
            TargetChangeType::Reset => {
                self.views.retain(|target, _| !ids.contains(target));
                "RESET"
            }
        };
        vec![format!("{word}{ids:?}")]
    }

    fn document(&mut self, change: DocumentChange) -> Vec<String> {
        let document = change.document.unwrap();
        let id = last_segment(&document.name).to_owned();
        for target in &change.target_ids {
            let view = self.views.entry(*target).or_default();
            view.insert(id.clone(), shown(&document.fields));
        }
        let mut words = Vec::new();
        if !change.target_ids.is_empty() {
            words.push(format!("CHANGE {id}{:?}", change.target_ids));
        }
        if !change.removed_target_ids.is_empty() {
            words.extend(self.gone("REMOVE", &document.name, &change.removed_target_ids));
        }
        words
    }

    /// For a target that never showed the document there is nothing to tell.
    fn gone(&mut self, word: &str, name: &str, targets: &[i32]) -> Vec<String> {
        let id = last_segment(name);
        let had = |target: &&i32| {
            self.views.get_mut(*target).is_some_and(|view| view.remove(id).is_some())
        };
        let targets: Vec<_> = targets.iter().filter(had).collect();
        if targets.is_empty() { Vec::new() } else { vec![format!("{word} {id}{targets:?}")] }
    }
}

fn is_document(word: &str) -> bool {
    ["CHANGE ", "DELETE ", "REMOVE "].iter().any(|kind| word.starts_with(kind))
}

fn last_segment(name: &str) -> &str {
    name.rsplit('/').next().unwrap()
}

fn request(database: &str, change: Change) -> ListenRequest {
    ListenRequest { database: database.into(), target_change: Some(change), ..Default::default() }
}

/// A target for the results of a query below the case's document.
pub(super) fn target(on: &Backend, target_id: i32, query: Query) -> Target {
    let query_type = Some(QueryType::StructuredQuery(query.0));
    let target = QueryTarget { parent: on.home.clone(), query_type };
    Target { target_id, target_type: Some(TargetType::Query(target)), ..Default::default() }
}

/// A target for documents by their names.
pub(super) fn named(on: &Backend, target_id: i32, paths: &[&str]) -> Target {
    let documents = paths.iter().map(|path| on.name(path)).collect();
    let target_type = Some(TargetType::Documents(DocumentsTarget { documents }));
    Target { target_id, target_type, ..Default::default() }
}

pub(super) fn from_token(listener: &Listener, target: Target) -> Target {
    let resume_type = Some(ResumeType::ResumeToken(listener.last.resume_token.clone()));
    Target { resume_type, ..target }
}

pub(super) fn from_time(listener: &Listener, target: Target) -> Target {
    Target { resume_type: listener.last.read_time.map(ResumeType::ReadTime), ..target }
}
