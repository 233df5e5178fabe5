//! `curfew firestore-local` as a process of its own: the store of an intake and a controller that are two more.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use super::demo::{Demo, SOON, Shape, binary, signal, viewer};
use crate::eventually::eventually;

#[tokio::test]
async fn intake_and_controller_work_over_it_and_survive_its_death() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("curfew.db");
    let mut store = Store::start(&file, "127.0.0.1:0");
    let demo = Demo::start_over(Shape::Split, &store.address).await;
    let id = demo.file("alice", &viewer()).await;
    demo.until("alice", &id, "ACTIVE", SOON).await;

    store.kill();
    let store = Store::start(&file, &store.address);
    let withdrawn = async || {
        let body = serde_json::json!({"reason": "over"});
        let path = format!("/v1/requests/{id}:withdraw");
        let (status, _) = demo.call("alice", reqwest::Method::POST, &path, Some(&body)).await?;
        (status == 200).then_some(())
    };
    eventually("the store is used again", SOON, withdrawn).await;
    assert_eq!(demo.until("alice", &id, "ENDED", SOON).await, "WITHDRAWN");

    let taken = command(&file, &store.address).output().unwrap();
    assert_eq!(taken.status.code(), Some(1));
    let said = String::from_utf8(taken.stderr).unwrap();
    assert!(said.contains("end what listens there"), "{said}");
    assert!(store.stop().await, "it did not end well");
}

struct Store {
    process: Child,
    address: String,
}

impl Store {
    fn start(file: &Path, listen: &str) -> Self {
        let mut process = command(file, listen).stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let address = line.trim().strip_prefix("export FIRESTORE_EMULATOR_HOST=").unwrap();
        Self { address: address.to_owned(), process }
    }

    fn kill(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }

    /// SIGTERM; whether it ended well.
    async fn stop(mut self) -> bool {
        signal("TERM", self.process.id());
        let ended = || std::future::ready(self.process.try_wait().unwrap());
        eventually("the store has stopped", SOON, ended).await.success()
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        if self.process.try_wait().unwrap().is_none() {
            self.kill();
        }
    }
}

fn command(file: &Path, listen: &str) -> Command {
    let mut command = Command::new(binary("curfew"));
    command.args(["firestore-local", "--owner", "--listen", listen, "--path"]).arg(file);
    command
}
