//! `curfew firestore-local` without room for more: nothing that was acknowledged is lost, and the operator is told.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use gcloud_sdk::google::firestore::v1::Document;
use gcloud_sdk::google::firestore::v1::write::Operation;
use tonic::Code;

use super::damaged_store::{Local, arguments, local, log};
use super::demo::{binary, signal};
use crate::store::raw::{Raw, text};

/// What there is room for.
const ROOM_KIB: usize = 12 * 1_024;

/// What one commit writes: half of what the store lets pass between two checkpoints.
const WRITES: usize = 500;

/// Not enough for its log between two checkpoints to need [`ROOM_KIB`].
const DOCUMENT_BYTES: usize = 3_000;

/// A small disk of one process and its children, where the system lets anybody have one, or else lets root.
const NAMESPACES: [&[&str]; 2] = [&["-Urm"], &["-m"]];

/// Serves from a small disk; when that server has ended, makes room and serves again.
const ON_A_SMALL_DISK: &str = "mount -t tmpfs -o size=${ROOM}k tmpfs \"$DISK\" && { setpriv --pdeathsig KILL \"$@\" & } && echo $! > \"$DISK.pid\" && wait $! && mount -o remount,size=$((ROOM * 8))k \"$DISK\" && exec \"$@\"";

/// A file may not grow: `EFBIG`. It is full while the log is copied to the file, and then while a commit is written to
/// the log.
#[tokio::test]
async fn a_file_that_may_not_grow_loses_nothing_and_says_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.db");
    let mut limited = Command::new("sh");
    // The shell counts blocks of 512 bytes.
    let blocks = 2 * ROOM_KIB;
    limited.args(["-c", &format!("trap '' XFSZ; ulimit -f {blocks}; exec \"$0\" \"$@\"")]);
    limited.arg(binary("curfew"));
    arguments(&mut limited, &path);
    let store = Local::start(limited);
    let client = store.client().await;
    let commits = fill(&client).await;
    // The file or its log is as large as it may be: which is first depends on how the checkpoints keep up.
    let size = |path: &Path| fs::metadata(path).unwrap().len();
    let largest = size(&path).max(size(&log(&path)));
    assert!(largest + 1_048_576 > u64::try_from(ROOM_KIB * 1_024).unwrap(), "{largest}");
    assert_eq!(stored(&client, commits).await, commits * WRITES);
    is_told(&store.stop().await, &path);

    let store = Local::start(local(&path));
    goes_on(&store.client().await, commits).await;
    store.stop().await;
}

/// A disk has no block left: `ENOSPC`. Room is made once the server has ended.
#[tokio::test]
async fn a_full_disk_loses_nothing_and_says_what_to_do() {
    let Some(namespace) = namespace() else { return };
    let folder = tempfile::tempdir().unwrap();
    let disk = folder.path().join("disk");
    fs::create_dir(&disk).unwrap();
    let path = disk.join("store.db");
    let mut small = Command::new("unshare");
    small.args(namespace).args(["sh", "-c", ON_A_SMALL_DISK, "sh"]).arg(binary("curfew"));
    small.env("DISK", &disk).env("ROOM", ROOM_KIB.to_string());
    arguments(&mut small, &path);
    let mut store = Local::start(small);
    let client = store.client().await;
    let commits = fill(&client).await;
    assert_eq!(stored(&client, commits).await, commits * WRITES);

    let number = fs::read_to_string(folder.path().join("disk.pid")).unwrap();
    signal("TERM", number.trim().parse().unwrap());
    store.has_started();
    goes_on(&store.client().await, commits).await;
    is_told(&store.stop().await, &path);
}

/// Commits until there is no room for one more; how many there was room for.
async fn fill(client: &Raw) -> usize {
    let mut commits = 0;
    let full = loop {
        let writes = (0..WRITES).map(|n| document(client, commits, n)).collect();
        match client.try_commit(writes).await {
            Ok(()) => commits += 1,
            Err(status) => break status,
        }
    };
    assert_eq!(full.code(), Code::ResourceExhausted, "{full}");
    assert!(full.message().contains("the disk that holds the database is full"), "{full}");
    assert!(commits > 2, "{commits}");
    commits
}

/// With room again everything is there, and there is room.
async fn goes_on(client: &Raw, commits: usize) {
    assert_eq!(stored(client, commits).await, commits * WRITES);
    client.try_commit(vec![document(client, commits, 0)]).await.unwrap();
}

fn is_told(said: &str, path: &Path) {
    for part in [path.to_str().unwrap(), "make room on its disk"] {
        assert!(said.contains(part), "{part} is not in {said}");
    }
}

fn document(client: &Raw, commit: usize, n: usize) -> Operation {
    let fields = [("pad".to_owned(), text(&"x".repeat(DOCUMENT_BYTES)))].into();
    let name = client.name(&format!("outbox/{commit}-{n}"));
    Operation::Update(Document { name, fields, ..Default::default() })
}

/// How many of the commits' documents are there.
async fn stored(client: &Raw, commits: usize) -> usize {
    let mut stored = 0;
    for commit in 0..commits {
        for n in 0..WRITES {
            stored += usize::from(client.get(&format!("outbox/{commit}-{n}")).await.is_some());
        }
    }
    stored
}

/// How this system gives a process a disk of its own; in CI it must.
fn namespace() -> Option<&'static [&'static str]> {
    let tried = |options: &&&[&str]| {
        let mut unshare = Command::new("unshare");
        unshare.args(**options).args(["mount", "-t", "tmpfs", "tmpfs", "/mnt"]);
        unshare.stderr(Stdio::null()).status().is_ok_and(|status| status.success())
    };
    let found = NAMESPACES.iter().find(tried).copied();
    if found.is_none() {
        not_run();
    }
    found
}

#[expect(
    clippy::print_stderr,
    reason = "a test that did not run must not look like one that passed"
)]
fn not_run() {
    let why = "no disk of its own: `unshare -Urm` is refused, and this is not root";
    assert!(std::env::var("CI").as_deref() != Ok("true"), "{why}, and CI needs it");
    eprintln!("NOT RUN on a full disk: {why}");
}
