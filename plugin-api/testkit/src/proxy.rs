//! A proxy between the plug-in and its upstream, which can be as bad as a network is.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

/// How the network is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Mood {
    /// Passes everything on.
    #[default]
    Well,
    /// Passes everything on, later.
    Slow,
    /// Takes connections and passes nothing on.
    Stalled,
    /// Closes each connection.
    Down,
}

/// So much later comes what is passed on slowly.
const LATENCY: Duration = Duration::from_millis(30);

/// Stands before one address. Dropped, it closes.
#[derive(Debug)]
pub(crate) struct Proxy {
    pub(crate) address: SocketAddr,
    mood: watch::Sender<Mood>,
    n_taken: Arc<AtomicUsize>,
    _tasks: JoinSet<()>,
}

impl Proxy {
    /// Listens on a free port.
    pub(crate) async fn before(upstream: SocketAddr) -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let (mood, moods) = watch::channel(Mood::default());
        let n_taken = Arc::new(AtomicUsize::new(0));
        let mut tasks = JoinSet::new();
        let counted = Arc::clone(&n_taken);
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                counted.fetch_add(1, Ordering::Relaxed);
                connections.spawn(serve(stream, upstream, moods.clone()));
                while connections.try_join_next().is_some() {}
            }
        });
        Ok(Self { address, mood, n_taken, _tasks: tasks })
    }

    pub(crate) fn set(&self, mood: Mood) {
        self.mood.send_replace(mood);
    }

    /// Connections taken so far.
    pub(crate) fn n_taken(&self) -> usize {
        self.n_taken.load(Ordering::Relaxed)
    }
}

async fn serve(plugin: TcpStream, upstream: SocketAddr, moods: watch::Receiver<Mood>) {
    if *moods.borrow() == Mood::Down {
        return;
    }
    let Ok(upstream) = TcpStream::connect(upstream).await else { return };
    let (from_plugin, to_plugin) = plugin.into_split();
    let (from_upstream, to_upstream) = upstream.into_split();
    let mut down = moods.clone();
    let there = pump(from_plugin, to_upstream, moods.clone());
    let back = pump(from_upstream, to_plugin, moods);
    tokio::select! {
        _ = down.wait_for(|mood| *mood == Mood::Down) => {}
        () = async { tokio::join!(there, back); } => {}
    }
}

async fn pump(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, mut moods: watch::Receiver<Mood>) {
    let mut chunk = vec![0; 64 << 10];
    while let Ok(n @ 1..) = from.read(&mut chunk).await {
        // Whoever waits here is let go when the mood changes, or with the proxy.
        let Ok(mood) = moods.wait_for(|mood| *mood != Mood::Stalled).await.map(|mood| *mood) else {
            break;
        };
        if mood == Mood::Slow {
            tokio::time::sleep(LATENCY).await;
        }
        if to.write_all(&chunk[..n]).await.is_err() {
            break;
        }
    }
    // The other side sees the end; if it is gone already, so much the better.
    let _ = to.shutdown().await;
}
