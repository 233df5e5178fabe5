//! Taking every port before anything is started, so that a taken one is said in one line.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use tokio::net::{TcpListener, TcpSocket};

use crate::options::{Options, StoreKind};

/// Somebody else listens there.
#[derive(Debug, thiserror::Error)]
#[error("port {0} is taken: end what listens there, or choose another with {1}")]
pub(crate) struct PortTaken(u16, &'static str);

/// The listeners of what surrounds Curfew, and the addresses of what listens for itself.
pub(crate) struct Ports {
    pub(crate) front: TcpListener,
    pub(crate) cloud: TcpListener,
    /// Operations of the controller, or of the one process.
    pub(crate) ops: SocketAddr,
    /// Operations of intake, with `--split`.
    pub(crate) intake_ops: SocketAddr,
    /// Intake, with `--split`: it must be found again where it was.
    pub(crate) app: SocketAddr,
    pub(crate) store: SocketAddr,
    /// Bound and not listening: while they are held, nobody is given these ports by chance.
    pub(crate) held: Vec<TcpSocket>,
}

impl Ports {
    pub(crate) async fn bind(options: &Options) -> Result<Self, PortTaken> {
        const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
        let Options { listen, split, .. } = *options;
        let front = bind(listen, options.port, "--port").await?;
        let cloud = bind(listen, options.cloud_port, "--cloud-port").await?;
        let mut held = Vec::new();
        let mut reserve = |used: bool, address, port, flag| {
            let address = SocketAddr::from((address, port));
            if !used {
                return Ok(address);
            }
            let (address, socket) = hold(address).map_err(|_| PortTaken(port, flag))?;
            held.push(socket);
            Ok(address)
        };
        let ops = reserve(true, listen, options.ops_port, "--ops-port")?;
        let intake_ops = reserve(split, listen, options.intake_ops_port, "--intake-ops-port")?;
        let app = reserve(split, LOOPBACK, 0, "--port")?;
        let embedded = options.store == StoreKind::Embedded;
        let store = reserve(embedded, LOOPBACK, options.store_port, "--store-port")?;
        Ok(Self { front, cloud, ops, intake_ops, app, store, held })
    }

    /// The flags with the ports that were chosen where 0 was asked for.
    pub(crate) fn named_in(&self, options: Options) -> std::io::Result<Options> {
        Ok(Options {
            port: self.front.local_addr()?.port(),
            cloud_port: self.cloud.local_addr()?.port(),
            ops_port: self.ops.port(),
            intake_ops_port: self.intake_ops.port(),
            store_port: self.store.port(),
            ..options
        })
    }
}

async fn bind(address: IpAddr, port: u16, flag: &'static str) -> Result<TcpListener, PortTaken> {
    TcpListener::bind(SocketAddr::from((address, port))).await.map_err(|_| PortTaken(port, flag))
}

/// Keeps an address for who will listen there, now and after each restart. Port 0 becomes one that is free.
///
/// Its owner can bind it all the same: the system lets two sockets have one address as long as both say that it may be
/// used again and at most one listens.
fn hold(address: SocketAddr) -> std::io::Result<(SocketAddr, TcpSocket)> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    Ok((socket.local_addr()?, socket))
}
