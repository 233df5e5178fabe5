//! The targets of one stream and what they are told.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use gcloud_sdk::google::firestore::v1::{
    Document, DocumentChange, DocumentDelete, DocumentRemove, ExistenceFilter, ListenResponse,
    Target, TargetChange, listen_response::ResponseType, target::ResumeType,
    target_change::TargetChangeType,
};

use super::{
    target::{Effect, Watch},
    token,
};
use crate::{
    limits::TARGETS_MAX,
    metrics::{Counted, Metrics},
    name::Database,
    refusal::Refusal,
    service::Outbox,
    store::{Change, Epoch, Position, Snapshot},
    time::Micros,
};

/// The state of one stream.
pub(super) struct Session {
    epoch: Epoch,
    metrics: Arc<Metrics>,
    outbox: Outbox<ListenResponse>,
    targets: BTreeMap<i32, (Watch, Counted)>,
    /// Up to where every target has been told.
    at: Position,
    read_time: Micros,
}

/// How a new target begins.
enum Start {
    /// With everything.
    Fresh,
    /// After what its listener has seen.
    Resumed(Position),
    /// With everything, after telling the listener to forget what it has seen.
    Reset,
}

impl Session {
    /// A stream without targets.
    pub(super) fn new(epoch: Epoch, metrics: Arc<Metrics>, outbox: Outbox<ListenResponse>) -> Self {
        Self {
            epoch,
            metrics,
            outbox,
            targets: BTreeMap::new(),
            at: Position::START,
            read_time: Micros(0),
        }
    }

    /// Gives the client its full time for what the next step sends.
    pub(super) fn begin_step(&mut self) {
        self.outbox.restart_deadline();
    }

    /// Tells every target what changed up to the snapshot.
    pub(super) fn advance(&mut self, snapshot: &Snapshot<'_>) -> Result<(), Refusal> {
        let from = self.at;
        (self.at, self.read_time) = (snapshot.position(), snapshot.read_time());
        if self.targets.is_empty() || from == self.at {
            return Ok(());
        }
        if !snapshot.is_resumable(from)? {
            return self.reset_all(snapshot);
        }
        let scopes: Vec<_> = self.targets.values().flat_map(|(watch, _)| watch.scopes()).collect();
        let changes = snapshot.changes_since(from, &scopes)?;
        let mut events = Events::default();
        for (id, (watch, _)) in &mut self.targets {
            events.add(*id, watch.effects(snapshot, &changes)?);
        }
        if self.send_events(events)? { self.send_snapshot_end() } else { Ok(()) }
    }

    /// Adds a target and tells it everything, or what it missed.
    pub(super) fn add(
        &mut self,
        snapshot: &Snapshot<'_>,
        database: &Database,
        target: &Target,
    ) -> Result<(), Refusal> {
        self.advance(snapshot)?;
        let id = self.id_of(target)?;
        match self.begin(snapshot, database, id, target) {
            Ok(_) if target.once => self.send_target(TargetChangeType::Remove, id, None),
            Ok(watch) => {
                self.targets.insert(id, (watch, self.metrics.target()));
                Ok(())
            }
            Err(refusal) if is_of_target(&refusal) => {
                self.send_target(TargetChangeType::Remove, id, Some(refusal))
            }
            Err(refusal) => Err(refusal),
        }
    }

    /// Forgets a target; one that is unknown is already forgotten.
    pub(super) async fn remove(&mut self, id: i32) -> Result<(), Refusal> {
        if self.targets.remove(&id).is_none() {
            return Ok(());
        }
        let change = target_change(TargetChangeType::Remove, vec![id]);
        self.outbox.send(respond(ResponseType::TargetChange(change))).await
    }

    /// Sends a fresh token, also where nothing has changed: it says that the stream lives.
    pub(super) async fn refresh_token(&mut self) -> Result<(), Refusal> {
        if self.targets.is_empty() {
            return Ok(());
        }
        let change = self.with_token(target_change(TargetChangeType::NoChange, Vec::new()));
        self.outbox.send(respond(ResponseType::TargetChange(change))).await
    }

    /// Tells every target to forget what it knows, and everything anew.
    pub(super) fn reset(&mut self, snapshot: &Snapshot<'_>) -> Result<(), Refusal> {
        (self.at, self.read_time) = (snapshot.position(), snapshot.read_time());
        if self.targets.is_empty() { Ok(()) } else { self.reset_all(snapshot) }
    }

    fn begin(
        &mut self,
        snapshot: &Snapshot<'_>,
        database: &Database,
        id: i32,
        target: &Target,
    ) -> Result<Watch, Refusal> {
        let wanted = target.target_type.clone();
        let wanted =
            wanted.ok_or(Refusal::Argument("A target has neither query nor documents."))?;
        let mut watch = Watch::parse(database, wanted)?;
        self.send_target(TargetChangeType::Add, id, None)?;
        match self.start(snapshot, target.resume_type.as_ref())? {
            Start::Fresh => self.send_all(snapshot, id, &mut watch)?,
            Start::Resumed(position) => self.send_missed(snapshot, id, &mut watch, position)?,
            Start::Reset => {
                self.send_target(TargetChangeType::Reset, id, None)?;
                self.send_all(snapshot, id, &mut watch)?;
            }
        }
        self.send_current(id)?;
        self.send_snapshot_end()?;
        Ok(watch)
    }

    fn start(
        &self,
        snapshot: &Snapshot<'_>,
        resume: Option<&ResumeType>,
    ) -> Result<Start, Refusal> {
        let position = match resume {
            None => return Ok(Start::Fresh),
            Some(ResumeType::ResumeToken(token)) if token.is_empty() => return Ok(Start::Fresh),
            Some(ResumeType::ResumeToken(token)) => token::decode(self.epoch, token),
            Some(ResumeType::ReadTime(time)) => snapshot.position_at((*time).into())?,
        };
        match position {
            Some(position) if snapshot.is_resumable(position)? => Ok(Start::Resumed(position)),
            Some(_) | None => Ok(Start::Reset),
        }
    }

    fn send_all(
        &mut self,
        snapshot: &Snapshot<'_>,
        id: i32,
        watch: &mut Watch,
    ) -> Result<(), Refusal> {
        let outbox = &self.outbox;
        watch.visit_all(snapshot, |document| outbox.send_blocking(present(document, vec![id])))?;
        Ok(())
    }

    /// What happened since the position, then how many documents the listener should now have.
    fn send_missed(
        &mut self,
        snapshot: &Snapshot<'_>,
        id: i32,
        watch: &mut Watch,
        position: Position,
    ) -> Result<(), Refusal> {
        let changes: Vec<Change> = snapshot.changes_since(position, &watch.scopes())?;
        let concerned = changes.iter().any(|change| watch.concerns(change));
        if concerned && !watch.is_pointwise() {
            self.send_target(TargetChangeType::Reset, id, None)?;
            return self.send_all(snapshot, id, watch);
        }
        let mut events = Events::default();
        if watch.is_pointwise() {
            events.add(id, watch.effects(snapshot, &changes)?);
        }
        self.send_events(events)?;
        let count = watch.visit_all(snapshot, |_| Ok(()))?;
        let count = i32::try_from(count).unwrap_or(i32::MAX);
        let filter = ExistenceFilter { target_id: id, count, unchanged_names: None };
        self.outbox.send_blocking(respond(ResponseType::Filter(filter)))
    }

    /// The log no longer reaches back to what the targets were told last.
    fn reset_all(&mut self, snapshot: &Snapshot<'_>) -> Result<(), Refusal> {
        for (id, (mut watch, counted)) in std::mem::take(&mut self.targets) {
            self.send_target(TargetChangeType::Reset, id, None)?;
            self.send_all(snapshot, id, &mut watch)?;
            self.send_current(id)?;
            self.targets.insert(id, (watch, counted));
        }
        self.send_snapshot_end()
    }

    fn id_of(&self, target: &Target) -> Result<i32, Refusal> {
        if self.targets.len() >= TARGETS_MAX {
            return Err(Refusal::Argument("A stream has at most 100 targets."));
        }
        match target.target_id {
            ..0 => Err(Refusal::Argument("A target id is positive.")),
            // The client leaves the choice to the server.
            0 => Ok((1..i32::MAX).find(|id| !self.targets.contains_key(id)).unwrap_or(i32::MAX)),
            id if self.targets.contains_key(&id) => {
                Err(Refusal::Argument("The target id is already in use on this stream."))
            }
            id => Ok(id),
        }
    }

    fn send_events(&self, events: Events) -> Result<bool, Refusal> {
        let mut sent = false;
        for message in events.into_messages(self.read_time) {
            self.outbox.send_blocking(message)?;
            sent = true;
        }
        Ok(sent)
    }

    fn send_current(&self, id: i32) -> Result<(), Refusal> {
        let change = self.with_token(target_change(TargetChangeType::Current, vec![id]));
        self.outbox.send_blocking(respond(ResponseType::TargetChange(change)))
    }

    /// Says that everything up to the read time has been told, for all targets.
    fn send_snapshot_end(&self) -> Result<(), Refusal> {
        let change = self.with_token(target_change(TargetChangeType::NoChange, Vec::new()));
        self.outbox.send_blocking(respond(ResponseType::TargetChange(change)))
    }

    fn send_target(
        &self,
        kind: TargetChangeType,
        id: i32,
        cause: Option<Refusal>,
    ) -> Result<(), Refusal> {
        if kind == TargetChangeType::Reset {
            self.metrics.count_reset();
        }
        let cause = cause.map(|refusal| refusal.to_rpc());
        let change = TargetChange { cause, ..target_change(kind, vec![id]) };
        self.outbox.send_blocking(respond(ResponseType::TargetChange(change)))
    }

    fn with_token(&self, change: TargetChange) -> TargetChange {
        TargetChange {
            resume_token: token::encode(self.epoch, self.at),
            read_time: Some(self.read_time.into()),
            ..change
        }
    }
}

/// The events of one snapshot: one for each document, for all targets together.
#[derive(Default)]
struct Events {
    order: Vec<String>,
    by_name: HashMap<String, Event>,
}

#[derive(Default)]
struct Event {
    document: Option<Document>,
    exists: bool,
    present: Vec<i32>,
    absent: Vec<i32>,
}

impl Events {
    fn add(&mut self, id: i32, effects: Vec<Effect>) {
        for effect in effects {
            match effect {
                Effect::Present(document) => {
                    let event = self.event(&document.name);
                    event.present.push(id);
                    event.document = Some(document);
                }
                Effect::Absent { name, exists } => {
                    let event = self.event(&name);
                    event.absent.push(id);
                    event.exists = exists;
                }
            }
        }
    }

    fn event(&mut self, name: &str) -> &mut Event {
        if !self.by_name.contains_key(name) {
            self.order.push(name.to_owned());
        }
        self.by_name.entry(name.to_owned()).or_default()
    }

    fn into_messages(mut self, read_time: Micros) -> Vec<ListenResponse> {
        let events = self.order.into_iter().filter_map(|name| self.by_name.remove_entry(&name));
        events.map(|(name, event)| event.into_message(name, read_time)).collect()
    }
}

impl Event {
    fn into_message(self, document: String, read_time: Micros) -> ListenResponse {
        let (removed_target_ids, read_time) = (self.absent, Some(read_time.into()));
        respond(match self.document {
            Some(document) => ResponseType::DocumentChange(DocumentChange {
                document: Some(document),
                target_ids: self.present,
                removed_target_ids,
            }),
            None if self.exists => ResponseType::DocumentRemove(DocumentRemove {
                document,
                removed_target_ids,
                read_time,
            }),
            None => ResponseType::DocumentDelete(DocumentDelete {
                document,
                removed_target_ids,
                read_time,
            }),
        })
    }
}

/// Whether a refusal ends one target and not the stream.
fn is_of_target(refusal: &Refusal) -> bool {
    match refusal {
        Refusal::Name(_)
        | Refusal::Path(_)
        | Refusal::Query(_)
        | Refusal::Argument(_)
        | Refusal::Unimplemented(_) => true,
        Refusal::Write(_)
        | Refusal::Transaction(_)
        | Refusal::Contention
        | Refusal::TooOld
        | Refusal::Entry(_)
        | Refusal::Store(_)
        | Refusal::NotFound(_)
        | Refusal::RequestTooLarge
        | Refusal::DeadlineExceeded
        | Refusal::Cancelled
        | Refusal::Unavailable => false,
    }
}

fn present(document: Document, target_ids: Vec<i32>) -> ListenResponse {
    respond(ResponseType::DocumentChange(DocumentChange {
        document: Some(document),
        target_ids,
        removed_target_ids: Vec::new(),
    }))
}

fn target_change(kind: TargetChangeType, target_ids: Vec<i32>) -> TargetChange {
    TargetChange { target_change_type: kind.into(), target_ids, ..TargetChange::default() }
}

fn respond(response: ResponseType) -> ListenResponse {
    ListenResponse { response_type: Some(response) }
}
