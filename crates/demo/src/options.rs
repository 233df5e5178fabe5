//! The flags.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use anyhow::ensure;
use clap::{Parser, ValueEnum};

/// The Curfew demo: everything simulated on this machine.
#[derive(Debug, Clone, Parser)]
#[command(name = "curfew-demo", version)]
pub(crate) struct Options {
    /// Pages and API, behind the simulated IAP.
    #[arg(long, default_value_t = 8420)]
    pub(crate) port: u16,
    /// The simulated Google Cloud.
    #[arg(long, default_value_t = 8421)]
    pub(crate) cloud_port: u16,
    /// Metrics and health.
    #[arg(long, default_value_t = 8422)]
    pub(crate) ops_port: u16,
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

impl Options {
    /// A loopback address for what must never be reached from outside.
    pub(crate) fn address(&self, port: u16) -> anyhow::Result<SocketAddr> {
        ensure!(
            port != 0 || self.data.is_none() || self.port == 0,
            "port 0 is for tests: give --port 0 too"
        );
        Ok(SocketAddr::from((Ipv4Addr::LOCALHOST, port)))
    }
}
