//! One thing at a time that is wrong in a configuration or around it.

use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use chrono::{DateTime, TimeDelta, Utc};
use curfew_cloudsim::{Cloud, FrontOptions, Options};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;

use super::patient::Patient;
use crate::e2e::demo::{Demo, Part, Shape, binary};

const INDEXES: &str = include_str!("../../../../deploy/firestore.indexes.json");

/// What the demo's intake is configured with.
const AUDIENCE: &str = "/projects/100000000004/locations/europe-west1/services/curfew";

#[tokio::test]
async fn an_assertion_shows_whether_the_audience_is_the_right_one() {
    let demo = Demo::start_as(Shape::Split).await;
    let keys = "iapKeys: http://127.0.0.1:";
    let text = std::fs::read_to_string(demo.data("intake.yaml")).unwrap();
    let line = text.lines().find(|line| line.contains(keys)).unwrap().trim();
    let other = "/projects/100000000004/global/backendServices/7";
    for (signed_for, code) in [(AUDIENCE, 0), (other, 1)] {
        let iap = Iap::start(signed_for).await;
        let assertion = iap.assertion().await;
        let file = demo.data("assertion");
        std::fs::write(&file, format!("x-goog-iap-jwt-assertion: {assertion}\n")).unwrap();
        let patient =
            Patient::changed(&demo, Part::Intake, line, &format!("iapKeys: {}", iap.keys));
        let patient = patient.with(&["--assertion", file.to_str().unwrap()]);
        let answer = patient.ask().await;
        assert_eq!(answer.code, code, "{answer:?}");
        let (result, said) = (answer.result("iap.assertion"), answer.message("iap.assertion"));
        if code == 0 {
            assert_eq!(result, "PASSED");
            assert!(said.starts_with("alice@example.com is signed in"), "{said}");
        } else {
            assert_eq!(result, "FAILED");
            assert!(said.contains(other) && said.contains(AUDIENCE), "{said}");
            assert!(answer.mend("iap.assertion").contains(other), "{answer:?}");
        }
        let (_, printed) = patient.read().await;
        for part in assertion.split('.') {
            assert!(!printed.contains(part), "a part of the assertion is printed");
        }
    }
}

#[tokio::test]
async fn each_missing_index_is_named_with_the_command_that_makes_it() {
    let demo = Demo::start_as(Shape::Split).await;
    let text = std::fs::read_to_string(demo.data("controller.yaml")).unwrap();
    let line = text.lines().find(|line| line.contains("  store: http://")).unwrap().trim();
    for (path, command) in [
        ("specView.requester.subject", "composite create"),
        ("specView.resource", "composite create"),
        ("status.phase", "composite create"),
        ("live", "fields update live"),
    ] {
        let file = demo.data("indexes.json");
        std::fs::write(&file, without(path).to_string()).unwrap();
        let store = Store::start(&file);
        let at = format!("store: http://{}", store.address);
        let answer = Patient::changed(&demo, Part::Controller, line, &at).ask().await;
        assert_eq!((answer.code, answer.having("FAILED")), (1, ["store.indexes"].into()), "{path}");
        assert!(answer.message("store.indexes").contains(path), "{answer:?}");
        let mend = answer.mend("store.indexes");
        assert!(mend.contains(&format!("gcloud firestore indexes {command}")), "{mend}");
        assert!(mend.contains(path), "{mend}");
    }
}

/// Both clocks that are asked are this machine's own; on the way, Google's is set back or forth.
#[tokio::test]
async fn a_clock_that_is_wrong_is_told_with_which_way_and_how_far() {
    let demo = Demo::start_as(Shape::Split).await;
    let cloud = demo.cloud_url();
    let upstream: SocketAddr = cloud.trim_start_matches("http://").parse().unwrap();
    for (shift, code, said) in
        [(0, 0, "as Google"), (-90, 1, "ahead of Google"), (90, 1, "behind Google")]
    {
        let at = shifted(upstream, TimeDelta::seconds(shift)).await;
        let to = format!("cloud: http://{at}");
        let answer =
            Patient::changed(&demo, Part::Controller, &format!("cloud: {cloud}"), &to).ask().await;
        assert_eq!(answer.code, code, "{shift}: {answer:?}");
        assert!(answer.message("clock").contains(said), "{shift}: {answer:?}");
        if code == 1 {
            assert_eq!(answer.having("FAILED"), ["clock"].into());
            assert!(answer.mend("clock").contains("timedatectl"), "{answer:?}");
        }
    }
}

#[tokio::test]
async fn keys_that_have_expired_or_do_not_open_are_named() {
    let demo = Demo::start_as(Shape::Split).await;
    for (part, check) in [(Part::Intake, "keys.window"), (Part::Controller, "keys.believed")] {
        let (now, past) = ("until: 2126-01-01", "until: 2026-02-01");
        let answer = Patient::changed(&demo, part, now, past).ask().await;
        assert_eq!((answer.code, answer.having("FAILED")), (1, [check].into()), "{answer:?}");
        assert!(answer.message(check).contains("intake-1"), "{answer:?}");
        assert!(answer.mend(check).contains("make a new key"), "{answer:?}");
    }
    let open = demo.data("open.key");
    std::fs::copy(demo.data("facts.key"), &open).unwrap();
    std::fs::set_permissions(&open, std::fs::Permissions::from_mode(0o644)).unwrap();
    for (name, said) in [("./open.key", "chmod 600"), ("./nothing.key", "nothing.key")] {
        let answer = Patient::changed(&demo, Part::Controller, "./facts.key", name).ask().await;
        let failed = ["configuration", "keys.facts"];
        assert_eq!((answer.code, answer.having("FAILED")), (1, failed.into()), "{name}");
        assert!(answer.message("keys.facts").contains(said), "{answer:?}");
    }
    let answer = Patient::changed(&demo, Part::Intake, "./intake.key", "./writer.key").ask().await;
    let failed = ["configuration", "keys.forms", "keys.signing"];
    assert_eq!((answer.code, answer.having("FAILED")), (1, failed.into()), "{answer:?}");
}

#[tokio::test]
async fn what_else_is_wrong_is_named_where_it_stands() {
    let demo = Demo::start_as(Shape::Split).await;
    let protected = "protected: [projects/demo-curfew]";
    let answer = Patient::changed(&demo, Part::Controller, protected, "").ask().await;
    assert_eq!((answer.code, answer.result("scope.protected")), (0, "WARNING"));
    assert!(answer.message("scope.protected").contains("projects/demo-curfew"), "{answer:?}");
    assert!(answer.mend("scope.protected").starts_with(protected), "{answer:?}");

    let audience = format!("audience: {AUDIENCE}");
    let answer = Patient::changed(&demo, Part::Intake, &audience, "audience: /curfew").ask().await;
    assert_eq!((answer.code, answer.having("FAILED")), (1, ["iap.audience"].into()));
    assert!(answer.message("iap.audience").contains("/curfew"), "{answer:?}");

    let operators = "operators: ['user:olga@example.com']";
    let absent = "operators: ['group:nobody@example.com']";
    let answer = Patient::changed(&demo, Part::Controller, operators, absent).ask().await;
    assert_eq!((answer.code, answer.result("groups.named")), (0, "WARNING"));
    assert!(answer.message("groups.named").contains("nobody@example.com"), "{answer:?}");

    let text = std::fs::read_to_string(demo.data("controller.yaml")).unwrap();
    let line = text.lines().find(|line| line.contains("  store: http://")).unwrap().trim();
    let nobody = "store: http://127.0.0.1:1";
    let answer = Patient::changed(&demo, Part::Controller, line, nobody).ask().await;
    assert_eq!((answer.code, answer.having("FAILED")), (1, ["store"].into()), "{answer:?}");
    assert!(answer.message("store").contains("127.0.0.1:1"), "{answer:?}");

    let line = text.lines().find(|line| line.contains("  metadata: http://")).unwrap().trim();
    let nobody = "metadata: http://127.0.0.1:1";
    let answer = Patient::changed(&demo, Part::Controller, line, nobody).ask().await;
    assert_eq!(answer.code, 1, "{answer:?}");
    assert!(answer.having("FAILED").contains("identity"), "{answer:?}");
    assert_eq!(answer.result("keys.facts"), "PASSED", "what needs no identity is looked at");
}

#[tokio::test]
async fn without_credentials_what_needs_none_is_looked_at_all_the_same() {
    let demo = Demo::start_as(Shape::Split).await;
    let text = std::fs::read_to_string(demo.data("controller.yaml")).unwrap();
    let line = text.lines().find(|line| line.contains("  metadata: http://")).unwrap();
    let credentials = demo.data("credentials.json");
    std::fs::write(&credentials, "{").unwrap();
    let patient = Patient::changed(&demo, Part::Controller, line, "").by(credentials);
    let answer = patient.ask().await;
    let failed = ["configuration", "identity"];
    assert_eq!((answer.code, answer.having("FAILED")), (1, failed.into()), "{answer:?}");
    assert_eq!(answer.result("scope.protected"), "SKIPPED");
    assert!(answer.message("scope.protected").contains("see identity"), "{answer:?}");
    for check in ["store.read", "store.indexes", "store.write", "keys.facts", "keys.believed"] {
        assert_eq!(answer.result(check), "PASSED", "{answer:?}");
    }
}

#[tokio::test]
async fn an_embedded_store_is_judged_by_its_file_and_left_alone_while_another_serves_it() {
    let demo = Demo::start_as(Shape::Single).await;
    let remote = "store: {kind: firestore, project: curfew-demo}";
    let own = "store: {kind: embedded, path: own.db}";
    let patient = Patient::changed_in(&demo, "curfew.yaml", remote, own);
    let file = demo.data("own.db");
    let answer = patient.ask().await;
    assert_eq!((answer.code, answer.result("store.file")), (0, "SKIPPED"), "{answer:?}");
    assert!(answer.find("store").is_none() && !file.exists(), "it makes none");

    let indexes = demo.data("indexes.json");
    std::fs::write(&indexes, INDEXES).unwrap();
    let serving = Store::start_over(&file, &indexes);
    let answer = patient.ask().await;
    assert_eq!(answer.result("store"), "SKIPPED", "{answer:?}");
    drop(serving);
    for (mode, code, result) in [(0o600, 0, "PASSED"), (0o644, 1, "FAILED")] {
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(mode)).unwrap();
        let answer = patient.ask().await;
        assert_eq!((answer.code, answer.result("store.file")), (code, result), "{answer:?}");
        for check in ["store", "store.read", "store.indexes", "store.write", "store.disk", "clock"]
        {
            assert_eq!(answer.result(check), "PASSED", "{answer:?}");
        }
        let mend = if code == 0 { String::new() } else { format!("chmod 600 {}", file.display()) };
        assert_eq!(answer.mend("store.file"), mend);
    }
}

/// An IAP of its own in front of a server that keeps nothing but the assertion.
struct Iap {
    keys: String,
    front: SocketAddr,
    intake: TcpListener,
}

impl Iap {
    async fn start(audience: &str) -> Self {
        let cloud = Cloud::open(Options::default()).unwrap();
        let [apis, front, intake] = [listen().await, listen().await, listen().await];
        let keys = format!("http://{}/iap/verify/public_key-jwk", apis.local_addr().unwrap());
        let options = FrontOptions {
            audience: audience.to_owned(),
            intake: format!("http://{}", intake.local_addr().unwrap()),
        };
        let at = front.local_addr().unwrap();
        tokio::spawn(cloud.clone().serve(apis, CancellationToken::new()));
        tokio::spawn(cloud.serve_front(options, front, CancellationToken::new()));
        Self { keys, front: at, intake }
    }

    /// What alice's visit brings to intake.
    async fn assertion(&self) -> String {
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let visit = client.get(format!("http://{}/", self.front));
        let visit = tokio::spawn(visit.header("X-Demo-User", "alice@example.com").send());
        let (mut stream, _) = self.intake.accept().await.unwrap();
        let mut head = Vec::new();
        while !head.windows(4).any(|end| end == b"\r\n\r\n") {
            stream.read_buf(&mut head).await.unwrap();
        }
        stream.write_all(b"HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n").await.unwrap();
        visit.await.unwrap().unwrap();
        let head = String::from_utf8(head).unwrap();
        let values = head.lines().filter_map(|line| line.split_once(": "));
        let name = "x-goog-iap-jwt-assertion";
        let mut assertions = values.filter(|(header, _)| header.eq_ignore_ascii_case(name));
        assertions.next().unwrap().1.to_owned()
    }
}

async fn listen() -> TcpListener {
    TcpListener::bind("127.0.0.1:0").await.unwrap()
}

/// Passes everything on to `upstream` and moves the date of its answers.
async fn shifted(upstream: SocketAddr, by: TimeDelta) -> SocketAddr {
    let listener = listen().await;
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            tokio::spawn(pass(client, upstream, by));
        }
    });
    address
}

async fn pass(client: TcpStream, upstream: SocketAddr, by: TimeDelta) {
    let server = TcpStream::connect(upstream).await.unwrap();
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    let there = async {
        // Either side may end the connection at any time.
        drop(tokio::io::copy(&mut from_client, &mut to_server).await);
        drop(to_server.shutdown().await);
    };
    let back = async {
        let mut buffer = vec![0; 1 << 16];
        while let Ok(read @ 1..) = from_server.read(&mut buffer).await {
            move_date(&mut buffer[..read], by);
            if to_client.write_all(&buffer[..read]).await.is_err() {
                break;
            }
        }
    };
    tokio::join!(there, back);
}

/// Dates of HTTP are all of one length; a head comes in one piece.
fn move_date(bytes: &mut [u8], by: TimeDelta) {
    const NAME: &[u8] = b"\r\ndate: ";
    const LENGTH: usize = "Sun, 06 Nov 1994 08:49:37 GMT".len();
    let Some(at) = bytes.windows(NAME.len()).position(|found| found == NAME) else { return };
    let date = &mut bytes[at + NAME.len()..][..LENGTH];
    let told = DateTime::parse_from_rfc2822(std::str::from_utf8(date).unwrap()).unwrap();
    let moved = (told.with_timezone(&Utc) + by).format("%a, %d %b %Y %H:%M:%S GMT").to_string();
    date.copy_from_slice(moved.as_bytes());
}

/// The product's indexes but for those that begin with a field.
fn without(path: &str) -> Value {
    let mut indexes: Value = serde_json::from_str(INDEXES).unwrap();
    let mut removed = 0;
    for list in ["indexes", "fieldOverrides"] {
        let list = indexes[list].as_array_mut().unwrap();
        let before = list.len();
        list.retain(|it| it["fieldPath"] != path && it["fields"][0]["fieldPath"] != path);
        removed += before - list.len();
    }
    assert_eq!(removed, 1, "{path}");
    json!(indexes)
}

/// A store of its own with other indexes.
struct Store {
    process: Child,
    address: String,
    _folder: Option<tempfile::TempDir>,
}

impl Store {
    /// Over a file that goes with it.
    fn start(indexes: &Path) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (process, address) = Self::serve(&folder.path().join("curfew.db"), indexes);
        Self { process, address, _folder: Some(folder) }
    }

    fn start_over(file: &Path, indexes: &Path) -> Self {
        let (process, address) = Self::serve(file, indexes);
        Self { process, address, _folder: None }
    }

    fn serve(file: &Path, indexes: &Path) -> (Child, String) {
        let mut command = Command::new(binary("curfew"));
        command.args(["firestore-local", "--owner", "--listen", "127.0.0.1:0", "--path"]);
        command.arg(file).arg("--indexes").arg(indexes);
        let mut process = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let address = line.trim().strip_prefix("export FIRESTORE_EMULATOR_HOST=").unwrap();
        (process, address.to_owned())
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}
