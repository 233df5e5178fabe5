//! Google's Firestore emulator, run for as long as the tests.
//!
//! The JVM is started directly: ending `gcloud emulators firestore start` leaves it running.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::Command;

use anyhow::Result;

use super::background::{ANSWER_TIMEOUT, Server, free_address};
use super::tools::Tools;
use crate::workspace::Workspace;

/// The address that the tests are told, as `host:port`.
const ADDRESS_VARIABLE: &str = "CURFEW_TEST_FIRESTORE_EMULATOR";

/// Set by people whose emulator runs already; Google's own clients read it too.
pub(super) const RUNNING_VARIABLE: &str = "FIRESTORE_EMULATOR_HOST";

/// The jar has no main manifest.
const MAIN_CLASS: &str = "com.google.cloud.datastore.emulator.firestore.CloudFirestore";

/// A running emulator.
pub(super) struct Emulator {
    address: String,
    /// None where it was running before us: then it goes on after us.
    _server: Option<Server>,
}

impl Emulator {
    /// The one that runs already, else a new one, else none: `Tools` has said why.
    pub(super) fn start(workspace: &Workspace, tools: &Tools) -> Result<Option<Self>> {
        if let Ok(address) = std::env::var(RUNNING_VARIABLE) {
            return Ok(Some(Self { address, _server: None }));
        }
        let Some(jar) = &tools.emulator_jar else { return Ok(None) };
        let log = workspace.root.join("target/firestore-emulator.log");
        let address = free_address()?;
        let server = Server::start(&mut command(jar, address), &log, address, is_ready)?;
        Ok(Some(Self { address: address.to_string(), _server: Some(server) }))
    }

    /// The variable that tells the tests where it is.
    pub(super) fn variable(&self) -> (&'static str, String) {
        (ADDRESS_VARIABLE, self.address.clone())
    }
}

fn command(jar: &Path, address: SocketAddr) -> Command {
    let mut java = Command::new("java");
    java.arg("-Duser.language=en").arg("-cp").arg(jar).args([MAIN_CLASS, "start"]);
    java.arg(format!("--host={}", address.ip())).arg(format!("--port={}", address.port()));
    java
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
    use std::net::{Ipv4Addr, TcpListener};

    use super::*;

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
}
