//! Taking every port before anything is started, so that a taken one is said in one line.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use tokio::net::TcpListener;

use crate::options::{Options, StoreKind};

/// Somebody else listens there.
#[derive(Debug, thiserror::Error)]
#[error("port {0} is taken: end what listens there, or choose another with {1}")]
pub(crate) struct PortTaken(u16, &'static str);

/// The listeners of what surrounds Curfew.
pub(crate) struct Ports {
    pub(crate) front: TcpListener,
    pub(crate) cloud: TcpListener,
    pub(crate) metadata: TcpListener,
}

impl Ports {
    pub(crate) async fn bind(options: &Options) -> Result<Self, PortTaken> {
        let front = bind(options.listen, options.port, "--port").await?;
        let cloud = bind(options.listen, options.cloud_port, "--cloud-port").await?;
        // These two are bound again by the parts that own them; this only finds out early.
        bind(options.listen, options.ops_port, "--ops-port").await?;
        if options.store == StoreKind::Embedded {
            bind(Ipv4Addr::LOCALHOST.into(), options.store_port, "--store-port").await?;
        }
        let metadata = bind(Ipv4Addr::LOCALHOST.into(), 0, "--port").await?;
        Ok(Self { front, cloud, metadata })
    }
}

async fn bind(address: IpAddr, port: u16, flag: &'static str) -> Result<TcpListener, PortTaken> {
    TcpListener::bind(SocketAddr::from((address, port))).await.map_err(|_| PortTaken(port, flag))
}
