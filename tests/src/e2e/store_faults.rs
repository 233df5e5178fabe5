//! Intake and the controller over a store that fails: whatever it does, access comes once and goes.

use std::net::{Ipv4Addr, SocketAddr};
use std::process::Command;
use std::time::Duration;

use curfew_firelite::{Config, Fault, Faults, Indexes, Method as Call, Server};
use reqwest::Method;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::demo::{Demo, SOON, Shape, viewer};
use super::in_both_shapes;
use crate::eventually::eventually;

/// Of each fault; more than the writes that make a request active, so that each of them is struck once.
const TIMES: usize = 4;

/// Longer than anything takes over a healthy store, shorter than its client waits.
const DELAY: Duration = Duration::from_millis(700);

/// Retries of retries: all of them wait.
const LATE: Duration = Duration::from_secs(90);

in_both_shapes! {
    access_comes_once_and_goes_whatever_the_store_does,
}

/// What goes wrong with one request: of these calls, and with those that listen.
type Trouble = (&'static str, &'static [(Call, Fault)], fn(&Faults) -> usize);

const TROUBLES: [Trouble; 9] = [
    ("commits fail", &[(Call::Commit, Fault::Unavailable)], none),
    ("commits are aborted", &[(Call::Commit, Fault::Aborted)], none),
    ("answers to commits are lost", &[(Call::Commit, Fault::ReplyLost)], none),
    ("commits are slow", &[(Call::Commit, Fault::Delay(DELAY))], none),
    (
        "reads fail",
        &[(Call::BatchGetDocuments, Fault::Unavailable), (Call::RunQuery, Fault::Unavailable)],
        none,
    ),
    ("listeners are cut off", &[], Faults::drop_listeners),
    (
        "listeners are cut off and refused",
        &[(Call::Listen, Fault::Unavailable)],
        Faults::drop_listeners,
    ),
    ("listeners are reset", &[], Faults::reset_listeners),
    (
        "everything at once",
        &[
            (Call::Commit, Fault::ReplyLost),
            (Call::Commit, Fault::Aborted),
            (Call::Commit, Fault::Unavailable),
            (Call::Listen, Fault::Unavailable),
            (Call::RunQuery, Fault::Delay(DELAY)),
            (Call::BatchGetDocuments, Fault::Unavailable),
        ],
        Faults::drop_listeners,
    ),
];

fn none(_: &Faults) -> usize {
    1
}

async fn access_comes_once_and_goes_whatever_the_store_does(shape: Shape) {
    let store = Store::start().await;
    let demo = Demo::start_over(shape, &store.address.to_string()).await;
    for (key, (name, faults, listeners)) in TROUBLES.into_iter().enumerate() {
        let begin = async || {
            let struck = async || (listeners(&store.faults) > 0).then_some(());
            eventually(&format!("{name}: somebody listens"), LATE, struck).await;
            for (call, fault) in faults {
                store.faults.inject(*call, *fault, TIMES);
            }
        };
        begin().await;
        let id = filed(&demo, &key.to_string()).await;
        until(&demo, &id, "ACTIVE").await;
        assert_eq!(demo.bindings("projects/demo-web", &id).await.len(), 1, "{name}");
        store.faults.clear();
        begin().await;
        withdrawn(&demo, &id).await;
        until(&demo, &id, "ENDED").await;
        assert_eq!(demo.bindings("projects/demo-web", &id).await, Vec::<Value>::new(), "{name}");
        for (call, _) in faults {
            let struck = || async { (store.faults.pending(*call) < TIMES).then_some(()) };
            eventually(&format!("{name}: {call:?} was struck"), SOON, struck).await;
        }
        store.faults.clear();
        let events = demo.get("alice", &format!("/v1/requests/{id}/events")).await;
        for kind in ["GRANT", "BOUND", "OUTCOME", "ENDED"] {
            assert_eq!(count(&events, kind), 1, "{name}: {kind} in {events}");
        }
    }
    for call in [Call::Commit, Call::RunQuery, Call::BatchGetDocuments, Call::Listen] {
        assert!(store.faults.struck(call) >= TIMES, "{call:?} was hardly struck");
    }
}

/// Nothing that is shipped can be made to fail on demand.
#[test]
fn no_program_that_is_shipped_has_faults() {
    for package in ["curfew-server", "curfew-demo"] {
        let features = features_of_firelite(package, "features,no-dev");
        assert!(features.contains("curfew-firelite v"), "{features}");
        assert!(!features.contains("faults"), "{features}");
    }
    // What is looked for is found where it is.
    assert!(features_of_firelite("curfew-tests", "features").contains("faults"));
}

/// Which of its features somebody turns on, as cargo resolves them.
fn features_of_firelite(package: &str, edges: &str) -> String {
    let output = Command::new(env!("CARGO"))
        .args(["tree", "--offline", "--locked", "--edges", edges, "--package", package])
        .args(["--invert", "curfew-firelite"])
        .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

struct Store {
    address: SocketAddr,
    faults: Faults,
    _folder: TempDir,
    _running: DropGuard,
}

impl Store {
    async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let indexes = include_str!("../../../deploy/firestore.indexes.json");
        let config = Config {
            path: folder.path().join("store.db"),
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            token: "owner".into(),
            indexes: Indexes::parse(indexes).unwrap(),
        };
        let server = Server::bind(config).await.unwrap();
        let (address, faults) = (server.local_addr(), server.faults());
        let shutdown = CancellationToken::new();
        tokio::spawn(server.serve(shutdown.clone()));
        Self { address, faults, _folder: folder, _running: shutdown.drop_guard() }
    }
}

/// Files a request, asking again under the same key as a client does that got no answer.
async fn filed(demo: &Demo, key: &str) -> String {
    let file = async || {
        let (status, reply) =
            demo.call_with_key("alice", Method::POST, "/v1/requests", &viewer(), key).await?;
        assert!(matches!(status, 200 | 201 | 500..), "{status} {reply}");
        let name = reply["name"].as_str().filter(|_| status < 300)?;
        Some(name.trim_start_matches("requests/").to_owned())
    };
    eventually("the request is filed", LATE, file).await
}

async fn withdrawn(demo: &Demo, id: &str) {
    let path = format!("/v1/requests/{id}:withdraw");
    let withdraw = async || {
        let body = json!({"reason": "over"});
        let (status, _) = demo.call("alice", Method::POST, &path, Some(&body)).await?;
        (status == 200).then_some(())
    };
    eventually("the request is withdrawn", LATE, withdraw).await;
}

/// Looks, as a page does, at the list and at the request, until it is in this phase.
async fn until(demo: &Demo, id: &str, phase: &str) {
    let path = format!("/v1/requests/{id}");
    let look = async || {
        let (listed, _) = demo.call("alice", Method::GET, "/v1/requests", None).await?;
        let (status, request) = demo.call("alice", Method::GET, &path, None).await?;
        assert!(matches!(status, 200 | 500..), "{status} {request}");
        (listed == 200 && request["status"]["phase"] == phase).then_some(())
    };
    eventually(&format!("{id} is {phase}"), LATE, look).await;
}

fn count(events: &Value, kind: &str) -> usize {
    let events = events["events"].as_array().unwrap();
    events.iter().filter(|event| event["kind"] == kind).count()
}
