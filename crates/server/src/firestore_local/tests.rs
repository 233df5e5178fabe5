//! What `curfew firestore-local` serves, to whom, and what it says when it cannot.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use clap::{Args as _, FromArgMatches as _};
use curfew_core::id::RequestId;
use curfew_firestore::{FirestoreStore, StoreOptions};
use curfew_ports::RequestStore as _;
use tokio_util::sync::CancellationToken;

use super::{FirestoreLocal, Serving};
use crate::config::STORE_TOKEN;

#[tokio::test]
async fn a_random_token_is_printed_and_no_other_is_taken() {
    let folder = tempfile::tempdir().unwrap();
    let serving = start(folder.path(), &[], &[]).await.unwrap();
    let lines = serving.exports();
    let token = lines.split(&format!("{STORE_TOKEN}=")).nth(1).unwrap().trim();
    assert_eq!(token.len(), 26, "{lines}");
    assert!(lines.contains(&format!("FIRESTORE_EMULATOR_HOST={}", serving.store.address)));
    assert!(lets_in(&serving, token).await);
    assert!(!lets_in(&serving, "owner").await);
}

#[tokio::test]
async fn a_token_from_the_environment_is_taken_and_never_printed() {
    let folder = tempfile::tempdir().unwrap();
    let serving = start(folder.path(), &[], &[(STORE_TOKEN, "a-secret")]).await.unwrap();
    assert!(!serving.exports().contains("a-secret"));
    assert!(lets_in(&serving, "a-secret").await);
    assert!(!lets_in(&serving, "owner").await);
}

#[tokio::test]
async fn owner_is_let_in_by_a_flag_only() {
    let folder = tempfile::tempdir().unwrap();
    let serving = start(folder.path(), &["--owner"], &[(STORE_TOKEN, "a-secret")]).await.unwrap();
    assert!(lets_in(&serving, "owner").await);
    assert!(!lets_in(&serving, "a-secret").await);
}

#[tokio::test]
async fn the_operations_port_shows_the_stores_metrics_and_its_health() {
    let folder = tempfile::tempdir().unwrap();
    let port = free_port();
    let ops = format!("127.0.0.1:{port}");
    let _serving = start(folder.path(), &["--ops-listen", &ops], &[]).await.unwrap();
    assert!(get(&ops, "/metrics").await.contains("firelite_documents 0"));
    assert!(get(&ops, "/readyz").await.ends_with("ok\n"));
}

#[tokio::test]
async fn it_stops_when_told_and_the_file_can_be_served_again() {
    let folder = tempfile::tempdir().unwrap();
    let stop = CancellationToken::new();
    let ops = format!("127.0.0.1:{}", free_port());
    let local = parse(folder.path(), &["--ops-listen", &ops]);
    let serving = local.start(&BTreeMap::new(), stop.clone()).await.unwrap();
    stop.cancel();
    serving.wait().await.unwrap();
    start(folder.path(), &[], &[]).await.unwrap();
}

#[tokio::test]
async fn each_failure_says_what_is_wrong_and_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let serving = start(folder.path(), &[], &[]).await.unwrap();
    let taken = serving.store.address.to_string();
    let in_folder = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    std::fs::write(in_folder("text.db"), "no database at all, but long enough to be one").unwrap();
    std::fs::write(in_folder("broken.json"), "{\"indexes\": [{}]}").unwrap();
    for (flags, expected) in [
        (["--listen", &taken], "end what listens there"),
        (["--path", &in_folder("curfew.db")], "end that one"),
        (["--path", &in_folder("text.db")], "the file may be damaged"),
        (["--path", &in_folder("no/such/folder.db")], "No such file or directory"),
        (["--indexes", &in_folder("broken.json")], "broken.json: "),
        (["--indexes", &in_folder("nothing.json")], "nothing.json: "),
        (["--listen", "0.0.0.0:0"], "not a loopback address"),
        (["--ops-listen", &taken], "--ops-listen: "),
    ] {
        let other = tempfile::tempdir().unwrap();
        let failed = start(other.path(), &flags, &[]).await;
        let error = format!("{:#}", failed.err().unwrap());
        assert!(error.contains(expected), "{flags:?}: {error}");
    }
}

#[tokio::test]
async fn an_empty_token_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let failed = start(folder.path(), &[], &[(STORE_TOKEN, "")]).await;
    assert!(format!("{:#}", failed.err().unwrap()).contains("the bearer token is empty"));
}

/// Flags given later take the place of those given before.
fn parse(folder: &Path, flags: &[&str]) -> FirestoreLocal {
    let path = folder.join("curfew.db");
    let usual = ["firestore-local", "--listen", "127.0.0.1:0", "--path", path.to_str().unwrap()];
    let command = FirestoreLocal::augment_args(clap::Command::new("firestore-local"));
    let command = command.args_override_self(true);
    let matches = command.get_matches_from(usual.iter().chain(flags));
    FirestoreLocal::from_arg_matches(&matches).unwrap()
}

async fn start(
    folder: &Path,
    flags: &[&str],
    environment: &[(&str, &str)],
) -> anyhow::Result<Serving> {
    let environment =
        environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    parse(folder, flags).start(&environment, CancellationToken::new()).await
}

async fn lets_in(serving: &Serving, token: &str) -> bool {
    let endpoint = format!("http://{}", serving.store.address);
    let options = StoreOptions {
        retry_time_max: Duration::ZERO,
        ..StoreOptions::loopback("curfew", endpoint, token)
    };
    let Ok(store) = FirestoreStore::connect(options).await else { return false };
    store.get(&[RequestId::parse("00000000000000000000000001").unwrap()]).await.is_ok()
}

fn free_port() -> u16 {
    let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
    listener.local_addr().unwrap().port()
}

/// The whole answer to a plain GET, head and body.
async fn get(address: &str, path: &str) -> String {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}
