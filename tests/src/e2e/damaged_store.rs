//! `curfew firestore-local` on files that are broken, not ours, or have no room: what its operator sees.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _};
use std::panic::AssertUnwindSafe;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use futures_util::FutureExt as _;
use gcloud_sdk::google::firestore::v1::Document;
use gcloud_sdk::google::firestore::v1::write::Operation;
use tonic::Code;

use super::demo::{SOON, binary, signal};
use crate::eventually::eventually;
use crate::store::raw::{Raw, text};

const PAGE: usize = 4_096;

/// The file may not grow beyond so many KiB, to the shell: a full disk.
const ROOM_KIB: usize = 12 * 1_024;

/// What one commit writes: half of what the store lets pass between two checkpoints.
const WRITES: usize = 500;

/// Not enough for its log between two checkpoints to need [`ROOM_KIB`].
const DOCUMENT_BYTES: usize = 3_000;

/// What is done to the file.
type Damage = fn(&Path);

#[tokio::test]
async fn a_file_that_cannot_be_served_is_named_with_the_way_out() {
    let whole = Sample::new().await;
    let cases: [(&str, Damage, &[&str]); 9] = [
        (
            "cut",
            |path| edit(path, |bytes| bytes.truncate(PAGE * 3)),
            &["is damaged: ", "restore it from a copy"],
        ),
        (
            "lost page",
            |path| edit(path, |bytes| bytes[PAGE * 2..PAGE * 3].fill(0)),
            &["is damaged: ", "restore it from a copy"],
        ),
        (
            "flipped byte",
            flip_in_text,
            &[
                "is damaged: a stored document is damaged: its checksum is ",
                "restore it from a copy",
            ],
        ),
        (
            "wrong magic",
            |path| edit(path, |bytes| bytes[0] ^= 1),
            &["is damaged: ", "restore it from a copy"],
        ),
        ("another's", another_program, &["is a database of another program", "name another file"]),
        (
            "newer",
            |path| edit(path, |bytes| bytes[63] = 9),
            &["is a firelite database of version 9", "name another file"],
        ),
        (
            "emptied",
            |path| {
                fs::write(path, "").unwrap();
                fs::write(log(path), "commits").unwrap();
            },
            &["it is empty, but its -wal is not", "restore it from a copy"],
        ),
        (
            "broken log",
            |path| fs::write(log(path), [7; 10_000]).unwrap(),
            &["the header of its -wal is broken", "restore it from a copy"],
        ),
        (
            "a folder",
            |path| {
                fs::remove_file(path).unwrap();
                fs::create_dir(path).unwrap();
            },
            &[
                "cannot create or write the database ",
                "name a file that this user may write",
                "Is a directory",
            ],
        ),
    ];
    for (name, damage, says) in cases {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("store.db");
        fs::write(&path, &whole.bytes).unwrap();
        damage(&path);
        let said = refused(local(&path)).await;
        for part in [path.to_str().unwrap()].iter().chain(says) {
            assert!(said.contains(part), "{name}: {part} is not in {said}");
        }
    }
}

/// Whoever runs this may be root, to whom nothing is read-only: the server then runs as nobody.
#[tokio::test]
async fn a_file_that_may_only_be_read_is_refused() {
    let whole = Sample::new().await;
    let folder = tempfile::Builder::new().prefix("curfew-").tempdir_in("/tmp").unwrap();
    let path = folder.path().join("store.db");
    fs::write(&path, &whole.bytes).unwrap();
    let mode = |path: &Path, mode| {
        fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(mode)).unwrap();
    };
    mode(&path, 0o444);
    mode(folder.path(), 0o777);
    let is_root = fs::OpenOptions::new().write(true).open(&path).is_ok();
    let mut command = local(&path);
    if is_root {
        // A program in a folder of root's own cannot be run by anybody else.
        let program = folder.path().join("curfew");
        fs::copy(binary("curfew"), &program).unwrap();
        mode(&program, 0o555);
        command = Command::new("setpriv");
        command.args(["--reuid=65534", "--regid=65534", "--clear-groups"]).arg(program);
        arguments(&mut command, &path);
    }
    let said = refused(command).await;
    let says = [
        "cannot create or write the database ",
        "name a file that this user may write",
        "Permission denied",
    ];
    for part in [path.to_str().unwrap()].iter().chain(&says) {
        assert!(said.contains(part), "{part} is not in {said}");
    }
    assert_eq!(fs::read(&path).unwrap(), whole.bytes);
}

/// The disk is full while the log is copied to the file, and then while a commit is written to the log.
#[tokio::test]
async fn a_full_disk_loses_nothing_and_says_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.db");
    let mut limited = Command::new("sh");
    let program = binary("curfew");
    // The shell counts blocks of 512 bytes.
    let blocks = 2 * ROOM_KIB;
    limited.args(["-c", &format!("trap '' XFSZ; ulimit -f {blocks}; exec \"$0\" \"$@\"")]);
    limited.arg(program);
    arguments(&mut limited, &path);
    let store = Local::start(limited);
    let client = store.client().await;
    let mut commits = 0;
    let full = loop {
        let writes = (0..WRITES).map(|n| document(&client, commits, n)).collect();
        match client.try_commit(writes).await {
            Ok(()) => commits += 1,
            Err(status) => break status,
        }
    };
    assert_eq!(full.code(), Code::ResourceExhausted, "{full}");
    assert!(full.message().contains("the disk that holds the database is full"), "{full}");
    assert!(commits > 2, "{commits}");
    // The file or its log is as large as it may be: which is first depends on how the checkpoints keep up.
    let largest = size(&path).max(size(&path.with_extension("db-wal")));
    assert!(largest + 1_048_576 > u64::try_from(ROOM_KIB * 1_024).unwrap(), "{largest}");
    assert_eq!(stored(&client, commits).await, commits * WRITES);
    let said = store.stop().await;
    for part in [path.to_str().unwrap(), "make room on its disk"] {
        assert!(said.contains(part), "{part} is not in {said}");
    }

    let store = Local::start(local(&path));
    let client = store.client().await;
    assert_eq!(stored(&client, commits).await, commits * WRITES);
    client.try_commit(vec![document(&client, commits, 0)]).await.unwrap();
    store.stop().await;
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

/// A closed file with a document.
struct Sample {
    bytes: Vec<u8>,
}

impl Sample {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("store.db");
        let store = Local::start(local(&path));
        store.client().await.set("outbox/a", [("pad", text(&"y".repeat(1_000)))]).await;
        store.stop().await;
        Self { bytes: fs::read(path).unwrap() }
    }
}

fn edit(path: &Path, change: impl FnOnce(&mut Vec<u8>)) {
    let mut bytes = fs::read(path).unwrap();
    change(&mut bytes);
    fs::write(path, bytes).unwrap();
}

fn flip_in_text(path: &Path) {
    edit(path, |bytes| {
        let at = bytes.windows(500).position(|window| window == [b'y'; 500]).unwrap();
        bytes[at + 100] ^= 1;
    });
}

fn another_program(path: &Path) {
    // `application_id` in SQLite's header.
    edit(path, |bytes| bytes[68..72].copy_from_slice(b"GPKG"));
}

fn log(path: &Path) -> PathBuf {
    path.with_extension("db-wal")
}

fn size(path: &Path) -> u64 {
    fs::metadata(path).unwrap().len()
}

fn local(path: &Path) -> Command {
    let mut command = Command::new(binary("curfew"));
    arguments(&mut command, path);
    command
}

fn arguments(command: &mut Command, path: &Path) {
    command.args(["firestore-local", "--owner", "--listen", "127.0.0.1:0", "--path"]).arg(path);
}

/// What a server says that does not start.
async fn refused(mut command: Command) -> String {
    let mut process = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let look = || std::future::ready(process.try_wait().unwrap());
    let ended = AssertUnwindSafe(eventually("it is refused", SOON, look)).catch_unwind().await;
    process.kill().unwrap();
    let output = process.wait_with_output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(ended.ok().and_then(|status| status.code()), Some(1), "{said}");
    assert!(output.stdout.is_empty(), "it says that it serves");
    assert!(!said.contains("panicked"), "{said}");
    said
}

/// A server that runs.
struct Local {
    process: Child,
    address: String,
}

impl Local {
    fn start(mut command: Command) -> Self {
        let mut process = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let address = line.trim().strip_prefix("export FIRESTORE_EMULATOR_HOST=").unwrap();
        Self { address: address.to_owned(), process }
    }

    async fn client(&self) -> Raw {
        Raw::connect(self.address.parse().unwrap(), "damaged", "owner").await
    }

    /// SIGTERM; it must end well. What it said meanwhile.
    async fn stop(mut self) -> String {
        signal("TERM", self.process.id());
        let mut said = String::new();
        self.process.stderr.take().unwrap().read_to_string(&mut said).unwrap();
        let ended = || std::future::ready(self.process.try_wait().unwrap());
        assert!(eventually("the store has stopped", SOON, ended).await.success(), "{said}");
        said
    }
}

impl Drop for Local {
    fn drop(&mut self) {
        if self.process.try_wait().unwrap().is_none() {
            self.process.kill().unwrap();
            self.process.wait().unwrap();
        }
    }
}
