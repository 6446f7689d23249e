//! A TCP proxy before any server on loopback, whose faults a test commands: the network between the
//! hub and a source, as it is on a bad day.
//!
//! Point the source's config at [`Proxy::addr`], then [`Proxy::set`] a [`Fault`] that lasts
//! until [`Proxy::heal`], or one that strikes [`Proxy::once`] and heals by itself;
//! [`Proxy::struck`] waits until it did. A command is in force once its call returns, for
//! connections that are open and for those to come. The proxy has a thread of its own, so that it
//! works while a test blocks.

mod connection;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use anyhow::{Context, Result};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::watch;
use tokio::task::JoinSet;

/// A command is in force, and a fault strikes, within this time, or the test fails.
const WITHIN: Duration = Duration::from_mins(1);
/// Connections that may wait to be taken.
const BACKLOG: u32 = 1024;

/// What is wrong with the network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It is down: open connections are reset, new ones refused.
    Down,
    /// Nothing passes, in neither direction, and no connection ends: a cable is pulled.
    Stalled,
    /// All arrives so much later, in each direction.
    Delayed(Duration),
    /// So many bytes more pass from the client to the server, then the connection is reset. Counted
    /// for each connection by itself, from now on or from its beginning.
    CutToServer {
        /// The bytes that still pass.
        after: usize,
    },
    /// The same from the server to the client: a page that ends in its middle.
    CutToClient {
        /// The bytes that still pass.
        after: usize,
    },
    /// What the server answers after it was sent these bytes is lost, and the connection with it:
    /// the request took effect and the client cannot know. Without bytes, any request. The bytes
    /// are looked for in what passes, so not in what TLS hides.
    AnswerLost {
        /// What the request holds.
        to: Vec<u8>,
    },
}

/// A running proxy. Dropping it ends it and all its connections.
#[derive(Debug)]
pub struct Proxy {
    addr: SocketAddr,
    orders: watch::Sender<Orders>,
    status: watch::Receiver<Status>,
    runtime: Option<Runtime>,
    // Keeps the port while nothing listens on it.
    _reserved: TcpSocket,
}

/// What the test wants.
#[derive(Clone, Debug)]
struct Orders {
    server: SocketAddr,
    fault: Option<Fault>,
    /// Which order this is; what a connection counts, it counts for one order.
    serial: u64,
    /// The fault heals with its first strike.
    once: bool,
    /// How often all connections were to be reset.
    n_resets: u64,
}

/// What is.
#[derive(Debug, Default)]
struct Status {
    listening: bool,
    /// Open connections by the number of resets before they began.
    open: BTreeMap<u64, usize>,
    n_accepted: usize,
    n_struck: usize,
}

impl Proxy {
    /// Listens on a free port of 127.0.0.1 and passes all on to this server, without a fault.
    ///
    /// # Errors
    /// If there is no port or no thread.
    pub async fn start(server: SocketAddr) -> Result<Self> {
        let runtime = Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("fault-proxy")
            .enable_all()
            .build()
            .context("starting the proxy's thread")?;
        let reserved = bound(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))?;
        let addr = reserved.local_addr()?;
        let orders = Orders { server, fault: None, serial: 0, once: false, n_resets: 0 };
        let (orders, _) = watch::channel(orders);
        let (report, status) = watch::channel(Status::default());
        let serving = serve(addr, orders.clone(), report);
        // Its owner ends it by ending the runtime.
        runtime.handle().spawn(serving);
        let proxy = Self { addr, orders, status, runtime: Some(runtime), _reserved: reserved };
        proxy.wait("listen", |status| status.listening).await?;
        Ok(proxy)
    }

    /// Where clients find it.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Its port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.addr.port()
    }

    /// From now on the network has this fault, instead of any other.
    ///
    /// # Errors
    /// If it is not in force within a minute.
    pub async fn set(&self, fault: Fault) -> Result<()> {
        self.order(Some(fault), false).await
    }

    /// The first connection that gives occasion has this fault, and with that all is well again.
    /// For faults that end a connection by what passes: [`Fault::CutToServer`],
    /// [`Fault::CutToClient`], [`Fault::AnswerLost`].
    ///
    /// # Errors
    /// If it is not in force within a minute.
    pub async fn once(&self, fault: Fault) -> Result<()> {
        self.order(Some(fault), true).await
    }

    /// All is well again; what [`Fault::Stalled`] held up passes now.
    ///
    /// # Errors
    /// If it is not in force within a minute.
    pub async fn heal(&self) -> Result<()> {
        self.order(None, false).await
    }

    /// Resets all open connections; new ones fare as before.
    ///
    /// # Errors
    /// If one is not closed within a minute.
    pub async fn reset(&self) -> Result<()> {
        let mut n_resets = 0;
        self.orders.send_modify(|orders| {
            orders.n_resets += 1;
            n_resets = orders.n_resets;
        });
        let gone = |status: &Status| status.open.range(..n_resets).next().is_none();
        self.wait("close all connections", gone).await
    }

    /// Passes new connections on to another server: it was started again on another port.
    pub fn lead_to(&self, server: SocketAddr) {
        self.orders.send_modify(|orders| orders.server = server);
    }

    /// How many connections faults have hit so far; resets by command are not counted.
    pub fn n_struck(&self) -> usize {
        self.status.borrow().n_struck
    }

    /// How many connections clients have made so far.
    pub fn n_accepted(&self) -> usize {
        self.status.borrow().n_accepted
    }

    /// Waits until faults have hit so many connections since the start.
    ///
    /// # Errors
    /// If they have not within a minute.
    ///
    /// # Cancel safety
    /// Nothing is lost.
    pub async fn struck(&self, n: usize) -> Result<()> {
        self.wait(&format!("strike {n} times"), |status| status.n_struck >= n).await
    }

    async fn order(&self, fault: Option<Fault>, once: bool) -> Result<()> {
        let down = fault == Some(Fault::Down);
        self.orders.send_modify(|orders| {
            orders.serial += 1;
            orders.n_resets += u64::from(down);
            (orders.fault, orders.once) = (fault, once);
        });
        let in_force =
            |status: &Status| status.listening != down && (!down || status.open.is_empty());
        self.wait("take a command", in_force).await
    }

    async fn wait(&self, what: &str, wanted: impl Fn(&Status) -> bool) -> Result<()> {
        let mut status = self.status.clone();
        let waited = tokio::time::timeout(WITHIN, status.wait_for(|status| wanted(status))).await;
        let came = waited.with_context(|| format!("the proxy did not {what} in time"))?;
        came.map(|_| ()).with_context(|| format!("the proxy ended before it could {what}"))
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// A socket on this address, beside others of ours on the same.
fn bound(addr: SocketAddr) -> Result<TcpSocket> {
    let socket = TcpSocket::new_v4()?;
    socket.set_reuseaddr(true)?;
    socket.set_reuseport(true)?;
    socket.bind(addr).with_context(|| format!("binding the proxy to {addr}"))?;
    Ok(socket)
}

/// Takes connections as long as the network is up.
async fn serve(
    addr: SocketAddr,
    orders: watch::Sender<Orders>,
    report: watch::Sender<Status>,
) -> Result<()> {
    let mut changed = orders.subscribe();
    let mut connections = JoinSet::new();
    loop {
        changed.wait_for(|orders| orders.fault != Some(Fault::Down)).await?;
        let listener = bound(addr)?.listen(BACKLOG)?;
        report.send_modify(|status| status.listening = true);
        tokio::select! {
            taken = accept(&listener, &orders, &report, &mut connections) => taken?,
            down = changed.wait_for(|orders| orders.fault == Some(Fault::Down)) => drop(down?),
        }
        drop(listener);
        report.send_modify(|status| status.listening = false);
    }
}

async fn accept(
    listener: &TcpListener,
    orders: &watch::Sender<Orders>,
    report: &watch::Sender<Status>,
    connections: &mut JoinSet<()>,
) -> Result<()> {
    loop {
        let (client, _): (TcpStream, _) = listener.accept().await?;
        while connections.try_join_next().is_some() {}
        let n_resets = orders.borrow().n_resets;
        report.send_modify(|status| {
            status.n_accepted += 1;
            *status.open.entry(n_resets).or_default() += 1;
        });
        connections.spawn(connection::pass(client, n_resets, orders.clone(), report.clone()));
    }
}
