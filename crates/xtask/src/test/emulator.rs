//! Google's Firestore emulator, run for as long as the tests.
//!
//! The JVM is started directly: ending `gcloud emulators firestore start` leaves it running.

use std::fs::File;
use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result};

use super::tools::Tools;
use crate::timing::Stopwatch;
use crate::workspace::Workspace;

/// The address that the tests are told, as `host:port`.
const ADDRESS_VARIABLE: &str = "CURFEW_TEST_FIRESTORE_EMULATOR";

/// Set by people whose emulator runs already; Google's own clients read it too.
const RUNNING_VARIABLE: &str = "FIRESTORE_EMULATOR_HOST";

/// The jar has no main manifest.
const MAIN_CLASS: &str = "com.google.cloud.datastore.emulator.firestore.CloudFirestore";

/// It answers after 2 to 4 s; a machine that compiles at the same time may take many times that.
const START_DEADLINE: Duration = Duration::from_secs(90);

/// Between two looks at whether it answers.
const POLL_INTERVAL: Duration = Duration::from_millis(100);

/// For one look.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(2);

/// A running emulator.
pub(super) struct Emulator {
    address: String,
    /// None where it was running before us: then it goes on after us.
    _process: Option<Process>,
}

/// A JVM of ours. Dropping it ends it; Ctrl-C reaches it by itself, as a member of the terminal's process group.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        if let Err(error) = self.0.kill().and_then(|()| self.0.wait()) {
            eprintln!("the emulator (process {}) may still be running: {error}", self.0.id());
        }
    }
}

impl Emulator {
    /// The one that runs already, else a new one, else none: `Tools` has said why.
    pub(super) fn start(workspace: &Workspace, tools: &Tools) -> Result<Option<Self>> {
        if let Ok(address) = std::env::var(RUNNING_VARIABLE) {
            return Ok(Some(Self { address, _process: None }));
        }
        let Some(jar) = &tools.emulator_jar else { return Ok(None) };
        let log = workspace.root.join("target/firestore-emulator.log");
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()?));
        let mut process =
            Process(command(jar, address, &log)?.spawn().context("cannot start java")?);
        wait_for_answer(&mut process.0, address, &log, START_DEADLINE)?;
        Ok(Some(Self { address: address.to_string(), _process: Some(process) }))
    }

    /// The variable that tells the tests where it is.
    pub(super) fn variable(&self) -> (&'static str, String) {
        (ADDRESS_VARIABLE, self.address.clone())
    }
}

fn command(jar: &Path, address: SocketAddr, log: &Path) -> Result<Command> {
    if let Some(folder) = log.parent() {
        std::fs::create_dir_all(folder)
            .with_context(|| format!("cannot make {}", folder.display()))?;
    }
    let log = File::create(log).with_context(|| format!("cannot write {}", log.display()))?;
    let mut java = Command::new("java");
    java.arg("-Duser.language=en").arg("-cp").arg(jar).args([MAIN_CLASS, "start"]);
    java.arg(format!("--host={}", address.ip())).arg(format!("--port={}", address.port()));
    java.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
    Ok(java)
}

/// Free now; if another process takes it before the emulator does, the emulator ends and says so.
fn free_port() -> Result<u16> {
    let listener =
        TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("no free port on loopback")?;
    Ok(listener.local_addr()?.port())
}

fn wait_for_answer(
    process: &mut Child,
    address: SocketAddr,
    log: &Path,
    deadline: Duration,
) -> Result<()> {
    let stopwatch = Stopwatch::start();
    while !is_ready(address) {
        let ended = process.try_wait()?;
        anyhow::ensure!(ended.is_none(), "the emulator ended by itself, see {}", log.display());
        anyhow::ensure!(
            stopwatch.elapsed() < deadline,
            "no answer within {deadline:?}, see {}",
            log.display()
        );
        std::thread::sleep(POLL_INTERVAL);
    }
    Ok(())
}

/// Whether `GET /` is answered `Ok`. Not being reachable yet is a no.
fn is_ready(address: SocketAddr) -> bool {
    answer(address).is_ok_and(|answer| answer.contains("Ok"))
}

fn answer(address: SocketAddr) -> std::io::Result<String> {
    let mut stream = TcpStream::connect_timeout(&address, ANSWER_TIMEOUT)?;
    stream.set_read_timeout(Some(ANSWER_TIMEOUT))?;
    stream.write_all(
        format!("GET / HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n").as_bytes(),
    )?;
    let mut answer = String::new();
    match stream.read_to_string(&mut answer) {
        // It may keep the connection open after the answer.
        Err(error) if !matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
            Err(error)
        }
        _ => Ok(answer),
    }
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead, BufReader};

    use super::*;

    #[test]
    fn a_process_that_ends_at_once_is_an_error_and_not_a_long_wait() {
        let mut process =
            Command::new("cargo").arg("--version").stdout(Stdio::null()).spawn().unwrap();
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, free_port().unwrap()));
        let error =
            wait_for_answer(&mut process, address, Path::new("a.log"), START_DEADLINE).unwrap_err();
        assert!(error.to_string().contains("ended by itself, see a.log"), "{error}");
    }

    #[test]
    fn only_the_emulators_own_answer_is_ready() {
        for (said, ready) in
            [("HTTP/1.1 200 OK\r\n\r\nOk\n", true), ("HTTP/1.1 503 Unavailable\r\n\r\n", false)]
        {
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
            let address = listener.local_addr().unwrap();
            let server = std::thread::spawn(move || {
                let (mut stream, _) = listener.accept().unwrap();
                // Closing with something unread would reset the connection and lose the answer.
                let request = BufReader::new(&stream).lines().map(Result::unwrap);
                assert!(request.take_while(|line| !line.is_empty()).count() > 0);
                stream.write_all(said.as_bytes()).unwrap();
            });
            assert_eq!(is_ready(address), ready, "{said}");
            server.join().unwrap();
        }
    }

    #[test]
    fn dropping_the_process_ends_it() {
        let child = Command::new("sleep").arg("600").spawn().unwrap();
        let path = format!("/proc/{}", child.id());
        let path = Path::new(&path);
        let was_there = path.exists();
        drop(Process(child));
        assert!(!path.exists());
        assert_eq!(was_there, Path::new("/proc/self").exists(), "seen where there is a /proc");
    }
}
