//! A connection that loses answers: requests pass, answers are held back, and then everything is cut.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, copy};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch::{self, Receiver};

/// Between a client and a server, on a port of its own.
pub(super) struct Proxy {
    pub(super) address: SocketAddr,
    state: watch::Sender<State>,
}

/// What the proxy does with its connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct State {
    /// Answers wait; requests always pass.
    held: bool,
    /// A connection ends when this is no longer what it was at its beginning.
    cuts: u32,
}

impl Proxy {
    pub(super) async fn to(server: SocketAddr) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let (state, seen) = watch::channel(State::default());
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(pass(client, server, seen.clone()));
            }
        });
        Self { address, state }
    }

    /// From now on answers are held back.
    pub(super) fn hold_answers(&self) {
        self.state.send_modify(|state| state.held = true);
    }

    /// Ends every connection, and the held answers with it; new ones pass.
    pub(super) fn cut(&self) {
        self.state.send_modify(|state| *state = State { held: false, cuts: state.cuts + 1 });
    }
}

/// Passes one connection on until one side ends it or it is cut.
async fn pass(client: TcpStream, server: SocketAddr, mut state: Receiver<State>) {
    let cuts = state.borrow().cuts;
    let Ok(server) = TcpStream::connect(server).await else { return };
    let (mut from_client, to_client) = client.into_split();
    let (from_server, mut to_server) = server.into_split();
    let answers = answers(from_server, to_client, state.clone(), cuts);
    tokio::select! {
        _ = copy(&mut from_client, &mut to_server) => {}
        () = answers => {}
        _ = state.wait_for(|state| state.cuts != cuts) => {}
    }
}

/// Passes answers on, none of them while they are held, and none after the cut.
async fn answers(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    mut state: Receiver<State>,
    cuts: u32,
) {
    let mut bytes = vec![0; 16 * 1024];
    while let Ok(count @ 1..) = from.read(&mut bytes).await {
        let released = state.wait_for(|state| !state.held || state.cuts != cuts).await;
        let open = released.is_ok_and(|state| state.cuts == cuts);
        if !open || to.write_all(&bytes[..count]).await.is_err() {
            return;
        }
    }
}
