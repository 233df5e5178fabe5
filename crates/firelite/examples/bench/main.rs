//! Measures a server of Firestore's protocol over loopback and prints a table.
//!
//! `cargo run --release -p curfew-firelite --example bench` measures firelite in a process of its
//! own; `-- --address HOST:PORT` measures a server that runs already, such as Google's emulator,
//! as far as it can be measured from outside.

mod client;
mod process;
mod scale;
mod traffic;

use std::{io::Write as _, path::PathBuf, time::Duration};

use clap::Parser;

use crate::process::Process;

const CLIENTS: [usize; 3] = [1, 8, 64];

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Measures durable commits, Listen latency, and a large file.
#[derive(Parser)]
struct Arguments {
    /// Measure this server instead of one of our own.
    #[arg(long, conflicts_with = "documents")]
    address: Option<String>,
    /// Documents of the large file; 0 leaves that part out.
    #[arg(long, default_value_t = 1_000_000)]
    documents: u32,
    /// Measure only the large file, here; it is filled if it is absent, and stays.
    #[arg(long, conflicts_with = "address")]
    file: Option<PathBuf>,
    /// Where the files are put for the time of the run.
    #[arg(long, default_value_os_t = std::env::temp_dir())]
    directory: PathBuf,
    /// Be the server, on this file.
    #[arg(long, hide = true)]
    serve: Option<PathBuf>,
}

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let arguments = Arguments::parse();
    if let Some(file) = &arguments.serve {
        return process::serve(file).await;
    }
    let directory = tempfile::tempdir_in(&arguments.directory)?;
    say("| measured | result |\n|---|---|")?;
    if let Some(address) = &arguments.address {
        return measure_traffic(address).await;
    }
    if let Some(file) = &arguments.file {
        return scale::measure(file, arguments.documents).await;
    }
    let server = Process::start(&directory.path().join("traffic.db"))?;
    measure_traffic(server.address()).await?;
    drop(server);
    if arguments.documents > 0 {
        scale::measure(&directory.path().join("scale.db"), arguments.documents).await?;
    }
    Ok(())
}

async fn measure_traffic(address: &str) -> Result<(), Failure> {
    for clients in CLIENTS {
        let (rate, latencies) = traffic::commits(address, clients).await?;
        row(&format!("{clients} clients"), &format!("{rate:.0} commits/s, {latencies}"))?;
    }
    row("commit sent to event heard", &traffic::listen(address).await?.to_string())
}

/// Prints one row of the table.
fn row(name: &str, result: &str) -> Result<(), Failure> {
    say(&format!("| {name} | {result} |"))
}

fn say(line: &str) -> Result<(), Failure> {
    Ok(writeln!(std::io::stdout(), "{line}")?)
}

/// The median and the 99th percentile of some durations.
struct Latencies {
    p50: Duration,
    p99: Duration,
}

impl Latencies {
    fn of(mut durations: Vec<Duration>) -> Self {
        durations.sort_unstable();
        let at = |percent: usize| durations.get(durations.len() * percent / 100).copied();
        Self { p50: at(50).unwrap_or_default(), p99: at(99).unwrap_or_default() }
    }
}

impl std::fmt::Display for Latencies {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "p50 {:.1?}, p99 {:.1?}", self.p50, self.p99)
    }
}
