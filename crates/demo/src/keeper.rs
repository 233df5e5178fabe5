//! One of the two processes of `--split`, seen from the demo: started, started again when it ends, stopped at the end.

use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use anyhow::Context as _;
use curfew_server::Mode;
use tokio::io::AsyncWriteExt as _;
use tokio::process::{Child, ChildStdin, Command};
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;

use crate::{identity, part, text};

/// The wait before a part is started again; doubled each time that it ends young.
const WAIT_MIN: Duration = Duration::from_millis(100);

/// The longest such wait.
const WAIT_MAX: Duration = Duration::from_secs(5);

/// A part that lived this long did start, so the next wait is the shortest again.
const YOUNG: Duration = Duration::from_secs(2);

/// How long a part may take to stop. It cuts off what is still open after ten seconds by itself.
const STOP_MAX: Duration = Duration::from_secs(15);

/// What it takes to run a part.
pub(crate) struct Keeper {
    mode: Mode,
    program: PathBuf,
    configuration: PathBuf,
    pid_file: PathBuf,
}

/// A part that runs, and the pipe that it lives by: waiting for a process closes what it still has of its input.
struct Life {
    process: Child,
    pipe: ChildStdin,
    id: u32,
    since: Instant,
}

impl Keeper {
    /// `configuration` is the part's file; the process's number is kept in `pid_file`.
    pub(crate) fn new(
        mode: Mode,
        configuration: PathBuf,
        pid_file: PathBuf,
    ) -> anyhow::Result<Self> {
        let program = std::env::current_exe().context("find the demo's own program")?;
        Ok(Self { mode, program, configuration, pid_file })
    }

    /// Runs the part until `stop`.
    pub(crate) async fn keep(self, stop: CancellationToken) -> anyhow::Result<()> {
        let mut wait = WAIT_MIN;
        let mut life = self.start()?;
        loop {
            let ended = tokio::select! {
                ended = life.process.wait() => ended.context("wait for a part")?,
                () = stop.cancelled() => return Self::end(life).await,
            };
            tokio::select! {
                () = sleep(wait) => {}
                () = stop.cancelled() => return Ok(()),
            }
            wait = next_wait(wait, life.since.elapsed());
            life = self.start_again(life.id, ended)?;
        }
    }

    fn start_again(&self, was: u32, ended: ExitStatus) -> anyhow::Result<Life> {
        let life = self.start()?;
        text::started_again(identity::name(self.mode), was, ended, life.id);
        Ok(life)
    }

    /// In a process group of its own, so that Ctrl-C reaches the demo alone, which then stops its parts.
    fn start(&self) -> anyhow::Result<Life> {
        let name = identity::name(self.mode);
        let mut process = Command::new(&self.program)
            .arg(name)
            .arg(&self.configuration)
            .stdin(Stdio::piped())
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("start {} {name}", self.program.display()))?;
        let id = process.id().with_context(|| format!("{name} has no process"))?;
        let pipe = process.stdin.take().with_context(|| format!("{name} has no input"))?;
        write_pid(&self.pid_file, id)?;
        Ok(Life { process, pipe, id, since: Instant::now() })
    }

    /// Asks the part to stop and waits for it.
    async fn end(mut life: Life) -> anyhow::Result<()> {
        if let Err(error) = life.pipe.write_all(part::STOP.as_bytes()).await {
            tracing::debug!(%error, "a part is gone already");
        }
        match timeout(STOP_MAX, life.process.wait()).await {
            Ok(ended) => ended.map(drop).context("wait for a part"),
            Err(_) => life.process.kill().await.context("kill a part that does not stop"),
        }
    }
}

fn next_wait(wait: Duration, age: Duration) -> Duration {
    if age < YOUNG { wait.saturating_mul(2).min(WAIT_MAX) } else { WAIT_MIN }
}

/// Whole or not at all: others read it at any time.
fn write_pid(path: &Path, id: u32) -> anyhow::Result<()> {
    let new = path.with_extension("new");
    std::fs::write(&new, id.to_string())
        .and_then(|()| std::fs::rename(&new, path))
        .with_context(|| format!("write {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wait_grows_while_a_part_ends_young_and_has_a_limit() {
        let mut wait = WAIT_MIN;
        for _ in 0..20 {
            let next = next_wait(wait, Duration::ZERO);
            assert!(next > wait || next == WAIT_MAX);
            wait = next;
        }
        assert_eq!(wait, WAIT_MAX);
        assert_eq!(next_wait(wait, YOUNG), WAIT_MIN);
    }
}
