//! Connections: accept, serve, drain.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::app::{Options, Web};
use crate::attendance;

/// Wait after the system refused a connection, for want of file descriptors for example.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// Bytes of a request's head and of read-ahead that a connection may hold.
const BUFFER_BYTES: usize = 64 << 10;

impl Web {
    /// Serves until `stop` is canceled. Then it takes no new connection, finishes the requests
    /// under way, and cuts off what is left after [`Options::drain_timeout`].
    ///
    /// # Cancel safety
    /// Dropping the future cuts all connections off.
    pub async fn run(self, listener: TcpListener, stop: CancellationToken) {
        let router = self.router();
        let options = &self.app.options;
        let stopping = &self.app.stopping;
        let mut connections = JoinSet::new();
        let mut watching = JoinSet::new();
        watching.spawn(attendance::watch(Arc::clone(&self.app)));
        loop {
            let room = connections.len() < options.connections_max;
            tokio::select! {
                () = stop.cancelled() => break,
                Some(_) = connections.join_next(), if !connections.is_empty() => {}
                accepted = listener.accept(), if room => match accepted {
                    Ok((stream, _)) => {
                        let router = router.clone();
                        connections.spawn(serve(stream, router, options.clone(), stopping.clone()));
                    }
                    Err(error) => {
                        tracing::warn!(%error, "cannot accept a connection");
                        tokio::time::sleep(ACCEPT_PAUSE).await;
                    }
                },
            }
        }
        drop(listener);
        // Nobody whose page goes now has left: the hub has.
        watching.shutdown().await;
        stopping.cancel();
        let drained = async { while connections.join_next().await.is_some() {} };
        if tokio::time::timeout(options.drain_timeout, drained).await.is_err() {
            tracing::warn!(connections = connections.len(), "cut off connections at the stop");
        }
    }
}

/// Serves one connection until the client or a stop ends it.
async fn serve(stream: TcpStream, router: Router, options: Options, stopping: CancellationToken) {
    // Answers are small and complete: waiting for more to send would only delay them.
    let _ = stream.set_nodelay(true);
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(options.idle_timeout)
        .max_buf_size(BUFFER_BYTES)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router));
    let mut connection = pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = stopping.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        // A client that hangs up is everyday life.
        tracing::debug!(%error, "a connection ended early");
    }
}
