//! The command line.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::{Parser, Subcommand};
use tokio_util::sync::CancellationToken;

use crate::config::{self, Config};
use crate::firestore_local::FirestoreLocal;
use crate::run::{Mode, start};
use crate::telemetry;

/// Just-in-time privileged access for Google Cloud.
#[derive(Debug, Parser)]
#[command(name = "curfew", version, propagate_version = true)]
struct Cli {
    /// The configuration file.
    #[arg(long, global = true, default_value = "curfew.yaml", env = "CURFEW_CONFIG")]
    config: PathBuf,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Intake and controller in one process, with the embedded store if it is configured.
    All,
    /// The API and pages alone: records requests, changes nothing else.
    Intake,
    /// The controller alone: the only holder of setIamPolicy.
    Controller,
    /// The embedded store alone, for Firestore clients on this machine.
    FirestoreLocal(FirestoreLocal),
    /// The configuration.
    Config {
        #[command(subcommand)]
        command: ConfigCommand,
    },
}

#[derive(Debug, Subcommand)]
enum ConfigCommand {
    /// Checks the configuration and prints what is in force, secrets masked.
    Check,
    /// Prints the reference: every setting with its meaning.
    Reference,
}

/// Runs the program: 0 when it ended as told, 1 when it failed, 2 when it was called wrongly.
pub fn main() -> ExitCode {
    telemetry::init();
    let cli = Cli::parse();
    match run(cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            print_error(&format!("curfew: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

fn run(cli: Cli) -> anyhow::Result<()> {
    let load = || config::load(&cli.config, &environment()).map_err(anyhow::Error::from);
    match cli.command {
        Command::All => serve(load()?, Mode::All),
        Command::Intake => serve(load()?, Mode::Intake),
        Command::Controller => serve(load()?, Mode::Controller),
        Command::FirestoreLocal(local) => serve_store(local),
        Command::Config { command: ConfigCommand::Check } => print_config(&load()?),
        Command::Config { command: ConfigCommand::Reference } => {
            print(config::REFERENCE);
            Ok(())
        }
    }
}

fn environment() -> BTreeMap<String, String> {
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect()
}

fn runtime() -> anyhow::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build().context("start the runtime")
}

fn serve(config: Config, mode: Mode) -> anyhow::Result<()> {
    runtime()?.block_on(async {
        let stop = stop_on_signal()?;
        let running = start(config, mode, stop).await?;
        running.wait().await
    })
}

fn serve_store(local: FirestoreLocal) -> anyhow::Result<()> {
    let environment = environment();
    runtime()?.block_on(async {
        let serving = local.start(&environment, stop_on_signal()?).await?;
        print(&serving.exports());
        serving.wait().await
    })
}

/// A token that SIGTERM and Ctrl-C cancel.
pub fn stop_on_signal() -> anyhow::Result<CancellationToken> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate()).context("listen for SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("listen for SIGINT")?;
    let stop = CancellationToken::new();
    let cancel = stop.clone();
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        tracing::info!("stopping");
        cancel.cancel();
    });
    Ok(stop)
}

fn print_config(config: &Config) -> anyhow::Result<()> {
    let mut file = serde_json::to_value(&config.file)?;
    if let Some(token) = file.pointer_mut("/endpoints/storeToken").filter(|token| !token.is_null())
    {
        *token = "***".into();
    }
    print(&serde_saphyr::to_string(&file)?);
    Ok(())
}

#[expect(clippy::print_stdout, reason = "this is what was asked for")]
fn print(text: &str) {
    print!("{text}");
}

#[expect(clippy::print_stderr, reason = "the last words of a command, for people")]
fn print_error(text: &str) {
    eprintln!("{text}");
}
