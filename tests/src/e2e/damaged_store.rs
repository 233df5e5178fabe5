//! `curfew firestore-local` on files that are broken or not ours: what its operator sees.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _};
use std::panic::AssertUnwindSafe;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};

use futures_util::FutureExt as _;

use super::demo::{SOON, binary, signal};
use crate::eventually::eventually;
use crate::store::raw::{Raw, text};

const PAGE: usize = 4_096;

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

pub(super) fn log(path: &Path) -> PathBuf {
    path.with_extension("db-wal")
}

pub(super) fn local(path: &Path) -> Command {
    let mut command = Command::new(binary("curfew"));
    arguments(&mut command, path);
    command
}

pub(super) fn arguments(command: &mut Command, path: &Path) {
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
pub(super) struct Local {
    process: Child,
    stdout: BufReader<ChildStdout>,
    address: String,
}

impl Local {
    pub(super) fn start(mut command: Command) -> Self {
        let mut process = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let stdout = BufReader::new(process.stdout.take().unwrap());
        let mut local = Self { process, stdout, address: String::new() };
        local.has_started();
        local
    }

    /// Waits until the server says where it is; once more where another comes after it.
    pub(super) fn has_started(&mut self) {
        let mut line = String::new();
        self.stdout.read_line(&mut line).unwrap();
        let address = line.trim().strip_prefix("export FIRESTORE_EMULATOR_HOST=").unwrap();
        address.clone_into(&mut self.address);
    }

    pub(super) async fn client(&self) -> Raw {
        Raw::connect(self.address.parse().unwrap(), "damaged", "owner").await
    }

    /// SIGTERM; it must end well. What it said meanwhile.
    pub(super) async fn stop(mut self) -> String {
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
