//! The flags.

use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;

use clap::{Parser, Subcommand, ValueEnum};

/// The Curfew demo: everything simulated on this machine.
#[derive(Debug, Clone, Parser)]
#[command(name = "curfew-demo", version)]
pub(crate) struct Options {
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
    /// Pages and API, behind the simulated IAP.
    #[arg(long, default_value_t = 8420)]
    pub(crate) port: u16,
    /// The simulated Google Cloud.
    #[arg(long, default_value_t = 8421)]
    pub(crate) cloud_port: u16,
    /// Metrics and health.
    #[arg(long, default_value_t = 8422)]
    pub(crate) ops_port: u16,
    /// Metrics and health of intake, with --split.
    #[arg(long, default_value_t = 8424)]
    pub(crate) intake_ops_port: u16,
    /// The embedded store.
    #[arg(long, default_value_t = 8423)]
    pub(crate) store_port: u16,
    /// The address for pages, cloud and metrics. Anything but loopback shows the demo, which lets everybody sign in
    /// as anybody, to the network.
    #[arg(long, default_value_t = IpAddr::V4(Ipv4Addr::LOCALHOST))]
    pub(crate) listen: IpAddr,
    /// Keep store, cloud and keys in this folder.
    #[arg(long)]
    pub(crate) data: Option<PathBuf>,
    /// Where requests are kept.
    #[arg(long, value_enum, default_value_t = StoreKind::Embedded)]
    pub(crate) store: StoreKind,
    /// How long calls of the simulated Google take.
    #[arg(long, value_enum, default_value_t = LatencyKind::None)]
    pub(crate) latency: LatencyKind,
    /// Organisation, people, groups and policies, as YAML.
    #[arg(long)]
    pub(crate) seed: Option<PathBuf>,
    /// More settings of the section `eligible`, such as `dangerous: refuse`, with commas between.
    #[arg(long, default_value = "")]
    pub(crate) eligible: String,
    /// Run intake and controller as two processes with two service accounts.
    #[arg(long)]
    pub(crate) split: bool,
}

/// What the demo starts its own program with.
#[derive(Debug, Clone, Subcommand)]
pub(crate) enum Command {
    /// Intake alone, as the demo's child.
    #[command(hide = true)]
    Intake {
        /// Its configuration file.
        config: PathBuf,
    },
    /// The controller alone, as the demo's child.
    #[command(hide = true)]
    Controller {
        /// Its configuration file.
        config: PathBuf,
    },
}

/// Which store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum StoreKind {
    /// Our own server over one file.
    Embedded,
    /// The server that `FIRESTORE_EMULATOR_HOST` names.
    Firestore,
}

/// How long calls take.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum LatencyKind {
    /// As fast as this machine answers.
    None,
    /// About as long as Google takes.
    Google,
}
