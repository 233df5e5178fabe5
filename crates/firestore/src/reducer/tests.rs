//! Traces as Google's emulator (everything anew at each write) and Firestore (changes only) send them.

use curfew_core::id::RequestId;
use gcloud_sdk::google::firestore::v1::{DocumentDelete, DocumentRemove};
use gcloud_sdk::prost_types::Timestamp;

use super::*;

#[test]
fn the_first_answer_is_told_and_then_current() {
    let mut told = Told::default();
    told.open();
    told.all([add(), doc(1, 10), doc(2, 11), current(b"t1"), snapshot(b"t1")]);
    assert_eq!(told.take(), ["changed 1@10", "changed 2@11", "current", "current"]);
}

#[test]
fn a_reset_at_every_write_tells_only_what_changed() {
    let mut told = settled([(1, 10), (2, 11)]);
    told.all([reset(), doc(1, 10), doc(2, 20), doc(3, 21), current(b"t2"), snapshot(b"t2")]);
    assert_eq!(told.take(), ["changed 2@20", "changed 3@21", "current", "current"]);
}

#[test]
fn a_document_that_does_not_come_again_after_a_reset_is_gone() {
    let mut told = settled([(1, 10), (2, 11)]);
    told.all([reset(), doc(2, 11), current(b"t2"), snapshot(b"t2")]);
    assert_eq!(told.take(), ["gone 1", "current", "current"]);
}

#[test]
fn a_reset_that_ends_in_a_snapshot_without_current_is_complete_too() {
    let mut told = settled([(1, 10), (2, 11)]);
    told.all([reset(), doc(2, 11), snapshot(b"t2")]);
    assert_eq!(told.take(), ["gone 1", "current"]);
}

#[test]
fn nothing_is_gone_while_everything_is_told_anew() {
    let mut told = settled([(1, 10), (2, 11)]);
    told.all([reset(), doc(2, 11), progress(b"t2")]);
    assert_eq!(told.take(), [""; 0]);
}

#[test]
fn an_interruption_half_way_through_a_reset_starts_from_nothing_and_loses_nothing() {
    let mut told = settled([(1, 10), (2, 11)]);
    told.all([reset(), doc(1, 10), progress(b"half")]);
    assert_eq!(told.open(), None, "a token from half way would hide the other half");
    told.all([add(), doc(1, 10), doc(2, 30), current(b"t3"), snapshot(b"t3")]);
    assert_eq!(told.take(), ["changed 2@30", "current", "current"]);
}

#[test]
fn changes_alone_are_told_as_they_come() {
    let mut told = settled([(1, 10)]);
    told.all([doc(2, 20), snapshot(b"t2"), doc(1, 21), snapshot(b"t3")]);
    assert_eq!(told.take(), ["changed 2@20", "current", "changed 1@21", "current"]);
}

#[test]
fn a_doubled_event_is_told_once() {
    let mut told = settled([(1, 10)]);
    told.all([doc(1, 20), doc(1, 20), removed(1), removed(1), deleted(1)]);
    assert_eq!(told.take(), ["changed 1@20", "gone 1"]);
}

#[test]
fn all_three_ways_to_leave_are_a_departure() {
    let mut told = settled([(1, 10), (2, 10), (3, 10)]);
    told.all([removed(1), deleted(2), left_by_change(3)]);
    assert_eq!(told.take(), ["gone 1", "gone 2", "gone 3"]);
}

#[test]
fn what_came_back_is_told_again_even_unchanged() {
    let mut told = settled([(1, 10)]);
    told.all([removed(1), doc(1, 10)]);
    assert_eq!(told.take(), ["gone 1", "changed 1@10"]);
}

#[test]
fn an_older_version_is_told_too() {
    let mut told = settled([(1, 10)]);
    told.all([doc(1, 5)]);
    assert_eq!(told.take(), ["changed 1@5"], "a restored store must not look unchanged");
}

#[test]
fn a_resumed_stream_tells_what_happened_meanwhile() {
    let mut told = settled([(1, 10), (2, 11)]);
    assert_eq!(told.open(), Some(b"t1".to_vec()));
    told.all([add(), doc(3, 30), deleted(2), filter(2), current(b"t4"), snapshot(b"t4")]);
    assert_eq!(told.take(), ["changed 3@30", "gone 2", "current", "current"]);
}

#[test]
fn another_count_than_ours_starts_over_and_then_finds_what_was_missed() {
    let mut told = settled([(1, 10), (2, 11)]);
    told.open();
    assert!(matches!(told.apply(filter(1)).then, Then::StartOver(_)));
    assert_eq!(told.open(), None, "without a token");
    told.all([add(), doc(2, 11), current(b"t5")]);
    assert_eq!(told.take(), ["gone 1", "current"]);
}

#[test]
fn the_count_of_another_target_or_an_impossible_one_panics_nowhere() {
    let mut told = settled([(1, 10)]);
    let other = ExistenceFilter { target_id: TARGET + 1, count: 7, ..Default::default() };
    assert_eq!(told.apply(ResponseType::Filter(other)).then, Then::Continue);
    assert!(matches!(told.apply(filter(-1)).then, Then::StartOver(_)));
}

#[test]
fn documents_that_are_no_requests_are_counted_and_not_told() {
    let mut told = settled([(1, 10)]);
    told.all([document("projects/p/databases/d/documents/requests/hostile", 20), filter(2)]);
    assert_eq!(told.take(), [""; 0]);
    told.all([reset(), doc(1, 10), current(b"t2")]);
    assert_eq!(told.take(), ["current"]);
}

#[test]
fn a_removed_target_starts_over_without_a_token() {
    let mut told = settled([(1, 10)]);
    let removal = TargetChange {
        target_change_type: TargetChangeType::Remove.into(),
        target_ids: vec![TARGET],
        ..Default::default()
    };
    assert!(matches!(told.apply(ResponseType::TargetChange(removal)).then, Then::StartOver(_)));
    assert_eq!(told.open(), None);
}

#[test]
fn messages_of_other_targets_change_nothing() {
    let mut told = settled([(1, 10)]);
    let reset = TargetChange {
        target_change_type: TargetChangeType::Reset.into(),
        target_ids: vec![TARGET + 1],
        resume_token: b"other".to_vec(),
        ..Default::default()
    };
    told.all([ResponseType::TargetChange(reset), snapshot(b"t2")]);
    assert_eq!(told.take(), ["current"]);
    assert_eq!(told.open(), Some(b"t2".to_vec()));
}

#[test]
fn an_empty_or_unknown_message_changes_nothing() {
    let mut told = settled([(1, 10)]);
    let unknown = TargetChange { target_change_type: 99, ..Default::default() };
    told.all([
        ResponseType::TargetChange(unknown),
        ResponseType::DocumentChange(DocumentChange::default()),
    ]);
    let reaction = told.reducer.apply(ListenResponse { response_type: None });
    assert_eq!(reaction, Reaction::default());
    assert_eq!(told.take(), [""; 0]);
}

/// A reducer and what it has told.
#[derive(Default)]
struct Told {
    reducer: Reducer,
    lines: Vec<String>,
}

impl Told {
    fn open(&mut self) -> Option<Vec<u8>> {
        self.reducer.open()
    }

    fn apply(&mut self, message: ResponseType) -> Reaction {
        self.reducer.apply(ListenResponse { response_type: Some(message) })
    }

    fn all(&mut self, messages: impl IntoIterator<Item = ResponseType>) {
        for message in messages {
            let reaction = self.apply(message);
            assert_eq!(reaction.then, Then::Continue);
            self.lines.extend(reaction.events.iter().map(line));
        }
    }

    fn take(&mut self) -> Vec<String> {
        std::mem::take(&mut self.lines)
    }
}

fn settled<const N: usize>(documents: [(u8, i64); N]) -> Told {
    let mut told = Told::default();
    assert_eq!(told.open(), None);
    told.all([add()]);
    told.all(documents.map(|(id, at)| doc(id, at)));
    told.all([current(b"t1"), snapshot(b"t1")]);
    told.take();
    told
}

fn line(event: &WatchEvent) -> String {
    match event {
        WatchEvent::Changed(request) => {
            format!("changed {}@{}", number(&request.id), request.version.0 / 1_000_000)
        }
        WatchEvent::Gone(id) => format!("gone {}", number(id)),
        WatchEvent::Current => "current".into(),
        WatchEvent::Interrupted => "interrupted".into(),
    }
}

fn number(id: &RequestId) -> usize {
    (0..=255).position(|number| RequestId::from_bits([number; 16]) == *id).unwrap()
}

fn name(id: u8) -> String {
    format!("projects/p/databases/d/documents/requests/{}", RequestId::from_bits([id; 16]))
}

fn doc(id: u8, at: i64) -> ResponseType {
    document(&name(id), at)
}

fn document(name: &str, at: i64) -> ResponseType {
    let time = Some(Timestamp { seconds: at, nanos: 0 });
    let document = Document {
        name: name.to_owned(),
        create_time: Some(Timestamp { seconds: 1, nanos: 0 }),
        update_time: time,
        ..Default::default()
    };
    ResponseType::DocumentChange(DocumentChange {
        document: Some(document),
        target_ids: vec![TARGET],
        removed_target_ids: Vec::new(),
    })
}

fn left_by_change(id: u8) -> ResponseType {
    let document = Document { name: name(id), ..Default::default() };
    ResponseType::DocumentChange(DocumentChange {
        document: Some(document),
        target_ids: Vec::new(),
        removed_target_ids: vec![TARGET],
    })
}

fn deleted(id: u8) -> ResponseType {
    ResponseType::DocumentDelete(DocumentDelete { document: name(id), ..Default::default() })
}

fn removed(id: u8) -> ResponseType {
    ResponseType::DocumentRemove(DocumentRemove { document: name(id), ..Default::default() })
}

fn filter(count: i32) -> ResponseType {
    ResponseType::Filter(ExistenceFilter { target_id: TARGET, count, ..Default::default() })
}

fn add() -> ResponseType {
    change(TargetChangeType::Add, b"", false, vec![TARGET])
}

fn reset() -> ResponseType {
    change(TargetChangeType::Reset, b"", false, vec![TARGET])
}

fn current(token: &[u8]) -> ResponseType {
    change(TargetChangeType::Current, token, true, vec![TARGET])
}

/// The whole stream is at one point in time.
fn snapshot(token: &[u8]) -> ResponseType {
    change(TargetChangeType::NoChange, token, true, Vec::new())
}

/// A token without a consistent point in time.
fn progress(token: &[u8]) -> ResponseType {
    change(TargetChangeType::NoChange, token, false, vec![TARGET])
}

fn change(kind: TargetChangeType, token: &[u8], timed: bool, ids: Vec<i32>) -> ResponseType {
    ResponseType::TargetChange(TargetChange {
        target_change_type: kind.into(),
        target_ids: ids,
        cause: None,
        resume_token: token.to_vec(),
        read_time: timed.then_some(Timestamp { seconds: 99, nanos: 0 }),
    })
}
