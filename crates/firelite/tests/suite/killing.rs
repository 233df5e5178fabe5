//! The server as a process of its own, killed without warning.

use std::{
    io::{BufRead, BufReader, Write as _},
    net::SocketAddr,
    path::Path,
    process::{Child, Command, Stdio},
    sync::atomic::{AtomicBool, Ordering},
    sync::{Arc, Mutex},
};

use curfew_firelite::Server;
use gcloud_sdk::google::firestore::v1::{
    BatchGetDocumentsRequest, batch_get_documents_response::Result as Found,
};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

use super::support::*;

/// Tells a copy of this binary to be the server, on the file named by it.
const FILE: &str = "FIRELITE_TEST_CHILD_FILE";
const ROUNDS: i64 = 20;
const WRITERS: i64 = 4;

/// What was acknowledged: the pair's number and its commit time.
type Acknowledged = Arc<Mutex<Vec<(i64, i64)>>>;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_acknowledged_is_lost_when_the_server_is_killed() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("firelite.db");
    let acknowledged = Acknowledged::default();
    let mut attempted = 0;
    let mut before = 0;
    for round in 0..ROUNDS {
        let (mut child, address) = spawn(&path);
        check(address, &acknowledged, attempted).await;
        let stopped = Arc::new(AtomicBool::new(false));
        let mut writers = tokio::task::JoinSet::new();
        for writer in 0..WRITERS {
            let from = attempted + writer;
            writers.spawn(write(address, from, acknowledged.clone(), stopped.clone()));
        }
        // Each round dies at another point of its work.
        let enough = before + 10 + usize::try_from(round).unwrap() * 7;
        while acknowledged.lock().unwrap().len() < enough {
            tokio::task::yield_now().await;
        }
        child.kill().unwrap();
        child.wait().unwrap();
        stopped.store(true, Ordering::Relaxed);
        attempted = writers.join_all().await.into_iter().max().unwrap() + WRITERS;
        attempted -= attempted % WRITERS;
        before = acknowledged.lock().unwrap().len();
    }
    let (mut child, address) = spawn(&path);
    check(address, &acknowledged, attempted).await;
    child.kill().unwrap();
    child.wait().unwrap();
}

/// The server's own process; without the variable, not called to be it.
#[tokio::test]
async fn serve_when_started_as_the_child() {
    let Ok(path) = std::env::var(FILE) else { return };
    let server = Server::bind(config(Path::new(&path))).await.unwrap();
    let mut stdout = std::io::stdout();
    writeln!(stdout, "\nlistening {}", server.local_addr()).unwrap();
    stdout.flush().unwrap();
    server.serve(CancellationToken::new()).await.unwrap();
}

fn spawn(path: &Path) -> (Child, SocketAddr) {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "suite::killing::serve_when_started_as_the_child", "--nocapture"])
        .env(FILE, path)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let address = lines
        .map(Result::unwrap)
        .find_map(|line| line.strip_prefix("listening ").map(|address| address.parse().unwrap()));
    (child, address.expect("the child says where it listens"))
}

/// Commits pairs of documents until the server is gone; returns the last number tried.
async fn write(
    address: SocketAddr,
    from: i64,
    acknowledged: Acknowledged,
    stopped: Arc<AtomicBool>,
) -> i64 {
    let mut client = connect(address, TOKEN).await;
    let mut n = from;
    while !stopped.load(Ordering::Relaxed) {
        let fields = [("live", boolean(true)), ("n", int(n))];
        let pair = ["a", "b"].map(|half| set(&format!("requests/{n}{half}"), &fields));
        match commit(&mut client, pair.to_vec()).await {
            Ok(reply) => acknowledged.lock().unwrap().push((n, micros(reply.commit_time))),
            Err(_killed) => break,
        }
        n += WRITERS;
    }
    n
}

/// Every acknowledged pair is whole and of its commit time, every other pair whole or absent,
/// commit times are distinct, and the index agrees with the documents.
async fn check(address: SocketAddr, acknowledged: &Acknowledged, attempted: i64) {
    let mut client = connect(address, TOKEN).await;
    let acknowledged = acknowledged.lock().unwrap().clone();
    let mut stored = 0;
    for n in 0..attempted {
        let times = pair_times(&mut client, n).await;
        let expected = acknowledged.iter().find(|(number, _)| *number == n);
        match (times.as_slice(), expected) {
            ([a, b], Some((_, time))) => assert!(a == time && b == time, "pair {n}"),
            ([a, b], None) => assert_eq!(a, b, "pair {n}"),
            ([], None) => {}
            (found, _) => panic!("pair {n}: {found:?}"),
        }
        stored += times.len();
    }
    let mut times: Vec<_> = acknowledged.iter().map(|(_, time)| *time).collect();
    times.sort_unstable();
    assert!(times.is_sorted_by(|a, b| a < b), "commit times repeat");
    assert_eq!(ids(&mut client, live()).await.len(), stored);
    assert_eq!(ids(&mut client, collection("requests")).await.len(), stored);
}

async fn pair_times(client: &mut Client, n: i64) -> Vec<i64> {
    let request = BatchGetDocumentsRequest {
        database: DATABASE.into(),
        documents: ["a", "b"].map(|half| name(&format!("requests/{n}{half}"))).to_vec(),
        ..BatchGetDocumentsRequest::default()
    };
    let mut stream = client.batch_get_documents(request).await.unwrap().into_inner();
    let mut times = Vec::new();
    while let Some(reply) = stream.message().await.unwrap() {
        if let Some(Found::Found(document)) = reply.result {
            times.push(micros(document.update_time));
        }
    }
    times
}
