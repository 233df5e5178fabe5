//! The command line.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, ensure};
use clap::{Parser, Subcommand};
use tokio_util::sync::CancellationToken;

use crate::config::{self, Config, Platform};
use crate::doctor::{Doctor, Examined};
use crate::explain::Explain;
use crate::firestore_local::FirestoreLocal;
use crate::health::Health;
use crate::keys::KeysCommand;
use crate::run::{Mode, check, start};
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
    /// Why a request stands where it stands; with the controller's configuration and identity. Writes nothing.
    Explain(Explain),
    /// Whether an installation can work, seen from where a part of it runs; each failure with what mends it.
    Doctor(Doctor),
    /// Whether a server on this machine lives; for the health checks of containers.
    Health(Health),
    /// Keys in Cloud KMS.
    Keys {
        #[command(subcommand)]
        command: KeysCommand,
    },
    /// The configuration.
    Config {
        #[command(subcommand)]
        command: ConfigCommand,
    },
}

#[derive(Debug, Subcommand)]
enum ConfigCommand {
    /// Checks the configuration by what the servers themselves check, and prints what is in force, secrets masked.
    Check {
        /// The server that must be able to start with it; any one, if not given.
        mode: Option<Mode>,
    },
    /// Prints the reference: every setting with its meaning.
    Reference,
}

/// Runs the program: 0 when it ended as told, 1 when it failed, 2 when it was called wrongly.
pub fn main() -> ExitCode {
    telemetry::init();
    let cli = Cli::parse();
    match run(cli) {
        Ok(code) => code,
        Err(error) => {
            print_error(&format!("curfew: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

fn run(cli: Cli) -> anyhow::Result<ExitCode> {
    let load = || load(&cli.config);
    match cli.command {
        Command::All => serve(load()?, Mode::All)?,
        Command::Intake => serve(load()?, Mode::Intake)?,
        Command::Controller => serve(load()?, Mode::Controller)?,
        Command::FirestoreLocal(local) => serve_store(local)?,
        Command::Doctor(doctor) => return examine(&doctor, load()),
        Command::Health(health) => runtime()?.block_on(health.ask(&environment()))?,
        Command::Explain(explain) => {
            let config = load()?;
            print(&runtime()?.block_on(explain.run(&config))?);
        }
        Command::Config { command: ConfigCommand::Check { mode } } => {
            print(&check_config(&load()?, mode)?);
        }
        Command::Keys { command } => print(&runtime()?.block_on(command.run())?),
        Command::Config { command: ConfigCommand::Reference } => print(config::REFERENCE),
    }
    Ok(ExitCode::SUCCESS)
}

/// Says what is well and what is not, even of a configuration that cannot be read.
fn examine(doctor: &Doctor, config: anyhow::Result<Config>) -> anyhow::Result<ExitCode> {
    let Examined { text, code } = runtime()?.block_on(doctor.run(config, &environment()));
    print(&text);
    Ok(code)
}

fn load(path: &Path) -> anyhow::Result<Config> {
    let environment = environment();
    let platform = runtime()?.block_on(Platform::read(&environment));
    Ok(config::load_on(path, &environment, &platform)?)
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

/// What is in force, with notes as comments. An error if `mode` would not start, or no mode would.
fn check_config(config: &Config, mode: Option<Mode>) -> anyhow::Result<String> {
    let modes = mode.map_or_else(|| Mode::ALL.to_vec(), |mode| vec![mode]);
    let verdicts = runtime()?.block_on(async {
        modes.into_iter().map(|mode| (mode, check(config, mode))).collect::<Vec<_>>()
    });
    let refusal = |(mode, verdict): &(Mode, anyhow::Result<()>)| {
        let error = verdict.as_ref().err()?;
        Some(format!("{} would not start: {error:#}", mode.command()))
    };
    let refusals: Vec<String> = verdicts.iter().filter_map(refusal).collect();
    ensure!(refusals.len() < verdicts.len(), "{}", refusals.join("\n"));
    let starts = verdicts.iter().filter(|(_, verdict)| verdict.is_ok());
    let starts = starts.map(|(mode, _)| format!("{} would start", mode.command()));
    let said = config.notes.iter().cloned().chain(starts).chain(refusals);
    let comments: Vec<String> = said.map(|line| format!("# {}", line.replace('\n', " "))).collect();
    let mut file = serde_json::to_value(&config.file)?;
    if let Some(token) = file.pointer_mut("/endpoints/storeToken").filter(|token| !token.is_null())
    {
        *token = "***".into();
    }
    Ok(format!("{}\n{}", comments.join("\n"), serde_saphyr::to_string(&file)?))
}

#[expect(clippy::print_stdout, reason = "this is what was asked for")]
fn print(text: &str) {
    print!("{text}");
}

#[expect(clippy::print_stderr, reason = "the last words of a command, for people")]
fn print_error(text: &str) {
    eprintln!("{text}");
}

#[cfg(test)]
mod tests;
