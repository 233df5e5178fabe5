//! `curfew-demo`: the simulated Google Cloud, the simulated IAP, intake, controller and the embedded store on loopback,
//! in one process, or with intake and controller as two processes beside it.
//!
//! The production code runs unchanged: the demo only writes its configuration and stands in for the world around it.

mod data;
mod demo;
mod identity;
mod keeper;
mod options;
mod part;
mod ports;
mod text;

use std::process::ExitCode;

use clap::Parser as _;
use curfew_server::{Mode, cli, telemetry};

use crate::data::Data;
use crate::demo::Demo;
use crate::options::{Command, Options};
use crate::ports::{PortTaken, Ports};

fn main() -> ExitCode {
    telemetry::init_quiet();
    let mut options = Options::parse();
    let ended = match options.command.take() {
        None => run(options),
        Some(Command::Intake { config }) => part::run(Mode::Intake, &config),
        Some(Command::Controller { config }) => part::run(Mode::Controller, &config),
    };
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            text::complain(&format!("curfew-demo: {error:#}"));
            ExitCode::from(if error.is::<PortTaken>() { 2 } else { 1 })
        }
    }
}

#[tokio::main]
async fn run(options: Options) -> anyhow::Result<()> {
    let ports = Ports::bind(&options).await?;
    let options = &ports.named_in(options)?;
    let data = Data::open(options.data.as_deref())?;
    let stop = cli::stop_on_signal()?;
    let demo = Demo::start(options, ports, &data, stop.clone()).await?;
    if !stop.is_cancelled() {
        text::ready(options, &data)?;
    }
    demo.wait().await
}
