//! The server killed without warning, at any point of its work, again and again on one file.

use std::{
    collections::BTreeMap,
    io::Write as _,
    net::SocketAddr,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use gcloud_sdk::google::firestore::v1::{
    BatchGetDocumentsRequest, Document, ListenRequest, ListenResponse, Target,
    batch_get_documents_response::Result as Found,
    listen_request::TargetChange,
    listen_response::ResponseType,
    target::{QueryTarget, ResumeType, TargetType, query_target::QueryType},
    target_change::TargetChangeType,
    value::ValueType,
};
use tempfile::TempDir;
use tokio_stream::StreamExt as _;
use tonic::Streaming;

use super::{process::Process, support::*};

/// Asks for another number of kills.
const KILLS: &str = "CURFEW_TORTURE_KILLS";
const KILLS_BY_DEFAULT: u32 = 25;
/// Every so many kills meet a server that is still starting.
const KILLED_AT_START_EVERY: u32 = 8;
/// Every so many kills the whole file is looked at and not only what may have changed.
const WHOLE_CHECK_EVERY: u32 = 100;
const WRITERS: i64 = 6;
const SLOTS_PER_WRITER: i64 = 4;
const DELETES_EVERY: i64 = 7;
/// Far longer than a commit, so that some are over, one is being written, and others wait.
const TIME_TO_LIVE_MAX: Duration = Duration::from_millis(60);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_acknowledged_is_lost_when_the_server_is_killed() {
    let kills = std::env::var(KILLS).map_or(KILLS_BY_DEFAULT, |kills| kills.parse().unwrap());
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("firelite.db");
    let mut history = History::default();
    let mut watch = Watch::default();
    let numbers = Arc::new(AtomicI64::new(0));
    for kill in 1..=kills {
        let mut server = Process::start(&path);
        if kill % KILLED_AT_START_EVERY == 0 {
            some_time().await;
            continue;
        }
        let address = server.address();
        let events = check(address, &mut history, &mut watch).await;
        if kill % WHOLE_CHECK_EVERY == 1 {
            history.check_whole(address).await;
        }
        let listening = tokio::spawn(watch.listen(events));
        let mut writers = tokio::task::JoinSet::new();
        for writer in 0..WRITERS {
            let client = connect(address, TOKEN).await;
            writers.spawn(write(client, writer, numbers.clone()));
        }
        some_time().await;
        drop(server);
        history.unsettled = writers.join_all().await.concat();
        watch = listening.await.unwrap();
    }
    let mut server = Process::start(&path);
    let address = server.address();
    check(address, &mut history, &mut watch).await;
    history.check_whole(address).await;
    drop(server);
    check_file(&path);
    assert!(history.n_acknowledged > u64::from(kills), "hardly anything was committed");
    let History { n_acknowledged, n_unheard, .. } = history;
    writeln!(
        std::io::stderr(),
        "{kills} kills: {n_acknowledged} acknowledged commits, 0 lost; {n_unheard} more were on \
         disk before their clients heard of it"
    )
    .unwrap();
}

/// Settles what the last kill left open, and checks documents, index and listener against it.
async fn check(
    address: SocketAddr,
    history: &mut History,
    watch: &mut Watch,
) -> Streaming<ListenResponse> {
    let mut client = connect(address, TOKEN).await;
    history.settle(&mut client).await;
    history.check_pairs(&mut client).await;
    let events = watch.resume(client).await;
    let told: Vec<_> =
        watch.told.iter().filter(|&(n, t)| history.times.get(n) != Some(t)).collect();
    assert!(told.is_empty(), "the listener was told of what is not on disk: {told:?}");
    let missed: Vec<_> = history.times.keys().filter(|n| !watch.told.contains_key(n)).collect();
    assert!(missed.is_empty(), "the listener was not told of {missed:?}");
    events
}

/// SQLite's own opinion of what a kill left.
fn check_file(path: &Path) {
    let connection = rusqlite::Connection::open(path).unwrap();
    let verdict: String =
        connection.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
    assert_eq!(verdict, "ok");
}

/// A random time, for the kill to meet any point of the work.
async fn some_time() {
    let micros = u64::try_from(TIME_TO_LIVE_MAX.as_micros()).unwrap();
    tokio::time::sleep(Duration::from_micros(rand::random_range(0..micros))).await;
}

/// One commit: a pair of documents written or deleted, and a document that says so.
#[derive(Clone, Debug)]
struct Attempt {
    n: i64,
    slot: i64,
    deletes: bool,
    acknowledged: Option<i64>,
}

/// Number and commit time of the commit that wrote a document.
type Version = (i64, i64);

/// What must be on disk.
#[derive(Default)]
struct History {
    /// The attempts of the last life of the server.
    unsettled: Vec<Attempt>,
    /// Every commit that happened, and when.
    times: BTreeMap<i64, i64>,
    /// What each slot's pair holds.
    pairs: BTreeMap<i64, Version>,
    n_acknowledged: u64,
    /// Commits that happened without their client hearing of it.
    n_unheard: u64,
}

impl History {
    /// Finds out which of the open attempts happened. Every acknowledged one must have, at the
    /// time that was told; and all later than everything before.
    async fn settle(&mut self, client: &mut Client) {
        let earlier = self.times.values().max().copied();
        let mut attempts = std::mem::take(&mut self.unsettled);
        attempts.sort_by_key(|attempt| attempt.n);
        let names = attempts.iter().map(|attempt| format!("ledger/{}", attempt.n)).collect();
        let found = versions(client, names).await;
        let mut times = Vec::new();
        for Attempt { n, slot, deletes, acknowledged } in attempts {
            let stored = found.get(&n.to_string()).map(|(_, time)| *time);
            self.n_acknowledged += u64::from(acknowledged.is_some());
            match (acknowledged, stored) {
                (None, None) => continue,
                (Some(told), stored) => assert_eq!(stored, Some(told), "commit {n}"),
                (None, Some(_)) => self.n_unheard += 1,
            }
            let time = stored.unwrap();
            times.push(time);
            self.times.insert(n, time);
            if deletes {
                self.pairs.remove(&slot);
            } else {
                self.pairs.insert(slot, (n, time));
            }
        }
        times.sort_unstable();
        assert!(times.is_sorted_by(|a, b| a < b), "commit times repeat");
        assert!(times.first().copied().is_none_or(|first| Some(first) > earlier), "time went back");
    }

    /// Every pair is whole and of the last commit of its slot, and the index agrees.
    async fn check_pairs(&self, client: &mut Client) {
        let halves = |slot: &i64| ["a", "b"].map(|half| format!("{slot}{half}"));
        let names = (0..WRITERS * SLOTS_PER_WRITER).collect::<Vec<_>>();
        let names = names.iter().flat_map(halves).map(|half| format!("requests/{half}")).collect();
        let expected: BTreeMap<_, _> = self
            .pairs
            .iter()
            .flat_map(|(slot, version)| halves(slot).map(|half| (half, *version)))
            .collect();
        assert_eq!(versions(client, names).await, expected);
        let mut indexed = ids(client, live()).await;
        indexed.sort_unstable();
        assert_eq!(indexed, expected.into_keys().collect::<Vec<_>>());
    }

    /// All commits that ever happened are told of, and no other.
    async fn check_whole(&self, address: SocketAddr) {
        let mut client = connect(address, TOKEN).await;
        let replies = run_query(&mut client, collection("ledger")).await.unwrap();
        let stored = replies.into_iter().filter_map(|reply| reply.document);
        let stored: BTreeMap<_, _> = stored.map(|document| version(&document)).collect();
        assert!(stored == self.times, "{} stored, {} expected", stored.len(), self.times.len());
    }
}

/// Commits one after the other until the server is gone.
async fn write(mut client: Client, writer: i64, numbers: Arc<AtomicI64>) -> Vec<Attempt> {
    let mut attempts = Vec::new();
    loop {
        let n = numbers.fetch_add(1, Ordering::Relaxed);
        let slot = writer * SLOTS_PER_WRITER + rand::random_range(0..SLOTS_PER_WRITER);
        let deletes = n % DELETES_EVERY == 0;
        let fields = [("live", boolean(true)), ("n", int(n))];
        let half = |half| {
            let path = format!("requests/{slot}{half}");
            if deletes { delete(&path) } else { set(&path, &fields) }
        };
        let entry = set(&format!("ledger/{n}"), &fields);
        let reply = commit(&mut client, vec![half("a"), entry, half("b")]).await;
        let acknowledged = reply.as_ref().ok().map(|reply| micros(reply.commit_time));
        attempts.push(Attempt { n, slot, deletes, acknowledged });
        if reply.is_err() {
            return attempts;
        }
    }
}

/// A listener that lives through every kill by its resume token.
#[derive(Default)]
struct Watch {
    told: BTreeMap<i64, i64>,
    token: Vec<u8>,
}

impl Watch {
    /// Goes on where it was, up to the present.
    async fn resume(&mut self, mut client: Client) -> Streaming<ListenResponse> {
        let query_type = Some(QueryType::StructuredQuery(collection("ledger")));
        let query = QueryTarget { parent: ROOT.into(), query_type };
        let token = std::mem::take(&mut self.token);
        let target = Target {
            target_id: 1,
            target_type: Some(TargetType::Query(query)),
            resume_type: (!token.is_empty()).then_some(ResumeType::ResumeToken(token)),
            ..Target::default()
        };
        let request = ListenRequest {
            database: DATABASE.into(),
            target_change: Some(TargetChange::AddTarget(target)),
            ..ListenRequest::default()
        };
        let requests = tokio_stream::once(request).chain(tokio_stream::pending());
        let mut events = client.listen(requests).await.unwrap().into_inner();
        while self.token.is_empty() {
            let event = tokio::time::timeout(PATIENCE, events.message()).await;
            self.hear(event.expect("an event in time").unwrap().expect("an open stream"));
        }
        events
    }

    /// Hears everything until the server is gone.
    async fn listen(mut self, mut events: Streaming<ListenResponse>) -> Self {
        while let Ok(Some(event)) = events.message().await {
            self.hear(event);
        }
        self
    }

    fn hear(&mut self, event: ListenResponse) {
        match event.response_type.unwrap() {
            ResponseType::DocumentChange(change) => {
                let (n, time) = version(&change.document.unwrap());
                assert_eq!(*self.told.entry(n).or_insert(time), time, "commit {n} told twice");
            }
            ResponseType::TargetChange(change) => {
                assert_ne!(change.target_change_type(), TargetChangeType::Reset);
                // The token after CURRENT or NO_CHANGE covers all that was told before.
                if change.target_change_type() == TargetChangeType::NoChange {
                    self.token = change.resume_token;
                }
            }
            ResponseType::Filter(filter) => {
                assert_eq!(usize::try_from(filter.count).unwrap(), self.told.len());
            }
            other @ (ResponseType::DocumentDelete(_) | ResponseType::DocumentRemove(_)) => {
                panic!("nothing is ever deleted there: {other:?}")
            }
        }
    }
}

/// Those of the documents that are there, by id.
async fn versions(client: &mut Client, paths: Vec<String>) -> BTreeMap<String, Version> {
    let request = BatchGetDocumentsRequest {
        database: DATABASE.into(),
        documents: paths.iter().map(|path| name(path)).collect(),
        ..BatchGetDocumentsRequest::default()
    };
    let mut stream = client.batch_get_documents(request).await.unwrap().into_inner();
    let mut found = BTreeMap::new();
    while let Some(reply) = stream.message().await.unwrap() {
        if let Some(Found::Found(document)) = reply.result {
            let id = document.name.rsplit('/').next().unwrap().to_owned();
            found.insert(id, version(&document));
        }
    }
    found
}

fn version(document: &Document) -> Version {
    let Some(ValueType::IntegerValue(n)) = document.fields["n"].value_type else {
        panic!("{document:?}")
    };
    (n, micros(document.update_time))
}
