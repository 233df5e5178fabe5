//! Servers that run for as long as the tests need them.

use std::fs::File;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result};

use crate::timing::Stopwatch;

/// The slowest (a JVM) answers after 2 to 4 s; a machine that compiles at the same time may take many times that.
const START_DEADLINE: Duration = Duration::from_secs(90);

/// Between two looks at whether it answers.
const POLL_INTERVAL: Duration = Duration::from_millis(100);

/// For one look.
pub(super) const ANSWER_TIMEOUT: Duration = Duration::from_secs(2);

/// A process of ours. Dropping it ends it; Ctrl-C reaches it by itself, as a member of the terminal's process group.
pub(super) struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        if let Err(error) = self.0.kill().and_then(|()| self.0.wait()) {
            eprintln!("process {} may still be running: {error}", self.0.id());
        }
    }
}

impl Server {
    /// Starts the program, which writes to the file `log`, and waits until it is ready at its address.
    pub(super) fn start(
        command: &mut Command,
        log: &Path,
        address: SocketAddr,
        is_ready: fn(SocketAddr) -> bool,
    ) -> Result<Self> {
        if let Some(folder) = log.parent() {
            std::fs::create_dir_all(folder)
                .with_context(|| format!("cannot make {}", folder.display()))?;
        }
        let file = File::create(log).with_context(|| format!("cannot write {}", log.display()))?;
        command.stdin(Stdio::null()).stdout(file.try_clone()?).stderr(file);
        let program = command.get_program().to_string_lossy().into_owned();
        let mut server = Self(command.spawn().with_context(|| format!("cannot start {program}"))?);
        server.wait_until_ready(address, is_ready, log, START_DEADLINE)?;
        Ok(server)
    }

    fn wait_until_ready(
        &mut self,
        address: SocketAddr,
        is_ready: fn(SocketAddr) -> bool,
        log: &Path,
        deadline: Duration,
    ) -> Result<()> {
        let stopwatch = Stopwatch::start();
        while !is_ready(address) {
            let ended = self.0.try_wait()?;
            anyhow::ensure!(ended.is_none(), "the server ended by itself, see {}", log.display());
            anyhow::ensure!(
                stopwatch.elapsed() < deadline,
                "no answer within {deadline:?}, see {}",
                log.display()
            );
            std::thread::sleep(POLL_INTERVAL);
        }
        Ok(())
    }
}

/// Free now; if another process takes it before the server does, the server ends and says so.
pub(super) fn free_address() -> Result<SocketAddr> {
    let listener =
        TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("no free port on loopback")?;
    Ok(listener.local_addr()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_that_ends_at_once_is_an_error_and_not_a_long_wait() {
        let child = Command::new("cargo").arg("--version").stdout(Stdio::null()).spawn().unwrap();
        let address = free_address().unwrap();
        let error = Server(child)
            .wait_until_ready(address, |_| false, Path::new("a.log"), START_DEADLINE)
            .unwrap_err();
        assert!(error.to_string().contains("ended by itself, see a.log"), "{error}");
    }

    #[test]
    fn a_process_that_is_never_ready_is_given_up() {
        let child = Command::new("sleep").arg("600").spawn().unwrap();
        let address = free_address().unwrap();
        let error = Server(child)
            .wait_until_ready(address, |_| false, Path::new("a.log"), Duration::ZERO)
            .unwrap_err();
        assert!(error.to_string().contains("no answer within"), "{error}");
    }

    #[test]
    fn dropping_the_server_ends_it() {
        let child = Command::new("sleep").arg("600").spawn().unwrap();
        let path = format!("/proc/{}", child.id());
        let path = Path::new(&path);
        let was_there = path.exists();
        drop(Server(child));
        assert!(!path.exists());
        assert_eq!(was_there, Path::new("/proc/self").exists(), "seen where there is a /proc");
    }
}
