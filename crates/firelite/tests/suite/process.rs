//! The server as a process of its own.

use std::{
    io::{BufRead, BufReader, Write as _},
    net::SocketAddr,
    path::Path,
    process::{Child, Command, Stdio},
};

use curfew_firelite::Server;
use tokio_util::sync::CancellationToken;

use super::support::config;

/// Tells a copy of this binary to be the server, on the file named by it.
const FILE: &str = "FIRELITE_TEST_CHILD_FILE";

/// A process of the server; killed with SIGKILL when dropped.
pub(crate) struct Process(Child);

impl Process {
    /// Starts a server on the file and does not wait for it.
    pub(crate) fn start(path: &Path) -> Self {
        // A write beyond a limit on the size of files shall be an error and not a signal.
        let child = Command::new("sh")
            .args(["-c", "trap '' XFSZ; exec \"$0\" \"$@\""])
            .arg(std::env::current_exe().unwrap())
            .args(["--exact", "suite::process::serve_when_started_as_the_child", "--nocapture"])
            .env(FILE, path)
            .stdout(Stdio::piped())
            .spawn();
        Self(child.unwrap())
    }

    /// Waits until it takes calls.
    pub(crate) fn address(&mut self) -> SocketAddr {
        let lines = BufReader::new(self.0.stdout.take().unwrap()).lines();
        let address = lines.map(Result::unwrap).find_map(|line| {
            line.strip_prefix("listening ").map(|address| address.parse().unwrap())
        });
        address.expect("the child says where it listens")
    }

    pub(crate) fn id(&self) -> u32 {
        self.0.id()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

/// The server's own process; without the variable, not called to be it.
#[tokio::test]
async fn serve_when_started_as_the_child() {
    let Ok(path) = std::env::var(FILE) else { return };
    let server = Server::bind(config(Path::new(&path))).await.unwrap();
    let mut stdout = std::io::stdout();
    writeln!(stdout, "\nlistening {}", server.local_addr()).unwrap();
    stdout.flush().unwrap();
    server.serve(CancellationToken::new()).await.unwrap();
}
