//! A disk that takes no more data.

use rustix::process::{Pid, Resource, Rlimit, getrlimit, prlimit};
use tempfile::TempDir;
use tonic::Code;

use super::{process::Process, support::*};

/// A few dozen documents of [`LARGE`] bytes.
const FILE_BYTES_MAX: u64 = 2 * 1_048_576;
const LARGE: usize = 50_000;

#[tokio::test]
async fn a_disk_that_takes_no_more_refuses_commits_and_keeps_what_it_has() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("firelite.db");
    let mut server = Process::start(&path);
    let mut client = connect(server.address(), TOKEN).await;
    let write = |n: usize| vec![set(&format!("outbox/d{n}"), &[("a", text(&"x".repeat(LARGE)))])];

    limit_files(&server, Some(FILE_BYTES_MAX));
    let mut stored = 0;
    let refused = loop {
        match commit(&mut client, write(stored)).await {
            Ok(_) => stored += 1,
            Err(status) => break status,
        }
    };
    assert_eq!(refused.code(), Code::ResourceExhausted, "{refused}");
    assert!(refused.message().contains("the disk"), "{refused}");
    assert!(stored > 10, "{stored}");
    assert_eq!(ids(&mut client, collection("outbox")).await.len(), stored);

    limit_files(&server, None);
    commit(&mut client, write(stored)).await.unwrap();
    drop(server);
    let mut server = Process::start(&path);
    let mut client = connect(server.address(), TOKEN).await;
    assert_eq!(ids(&mut client, collection("outbox")).await.len(), stored + 1);
}

fn limit_files(server: &Process, bytes: Option<u64>) {
    let id = Pid::from_raw(server.id().try_into().unwrap());
    let maximum = getrlimit(Resource::Fsize).maximum;
    prlimit(id, Resource::Fsize, Rlimit { current: bytes, maximum }).unwrap();
}
