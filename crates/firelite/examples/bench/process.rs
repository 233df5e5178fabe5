//! The server as a process of its own, so that its memory is not mixed with its clients'.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    path::Path,
    process::{Child, Command, Stdio},
};

use curfew_firelite::{Config, Indexes, Server};
use tokio_util::sync::CancellationToken;

use crate::Failure;

/// A running server; killed without warning when dropped.
pub(crate) struct Process {
    child: Child,
    address: String,
}

impl Process {
    /// Returns once the server has opened the file and takes calls.
    pub(crate) fn start(file: &Path) -> Result<Self, Failure> {
        let mut command = Command::new(std::env::current_exe()?);
        let mut child = command.arg("--serve").arg(file).stdout(Stdio::piped()).spawn()?;
        let stdout = child.stdout.take().ok_or("the server has no output")?;
        let mut process = Self { child, address: String::new() };
        BufReader::new(stdout).read_line(&mut process.address)?;
        process.address.truncate(process.address.trim_end().len());
        if process.address.is_empty() {
            return Err("the server did not start".into());
        }
        Ok(process)
    }

    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    /// Resident memory, MiB.
    pub(crate) fn resident_mib(&self) -> Result<u64, Failure> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kib = line.and_then(|line| line.trim().strip_suffix(" kB"));
        Ok(kib.ok_or("no resident size")?.parse::<u64>()? / 1_024)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // A server that has ended already needs no killing.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Serves the file until killed; prints the address first.
pub(crate) async fn serve(file: &Path) -> Result<(), Failure> {
    let config = Config {
        path: file.into(),
        listen: "127.0.0.1:0".parse()?,
        token: "owner".into(),
        indexes: Indexes::parse(include_str!("../../../../deploy/firestore.indexes.json"))?,
    };
    let server = Server::bind(config).await?;
    writeln!(std::io::stdout(), "{}", server.local_addr())?;
    Ok(server.serve(CancellationToken::new()).await?)
}
