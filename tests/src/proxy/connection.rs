//! One connection through the proxy: two directions that share its faults.

use std::sync::Mutex;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::sync::watch;
use tokio::time::sleep;

use super::{Fault, Orders, Status};

/// Bytes read at a time.
const CHUNK_LEN: usize = 16 * 1024;

/// Which way bytes go.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    ToServer,
    ToClient,
}

/// Why a connection ended before both sides had closed it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    /// A side reset it, or a fault did, or the test's command.
    Reset,
    /// The client is cut off; the server is let go in peace, since what it did stands.
    AnswerLost,
}

/// What one connection remembers of the order in force.
#[derive(Default)]
struct Memory {
    serial: u64,
    struck: bool,
    n_to_server: usize,
    n_to_client: usize,
    /// The last bytes sent, among which the next may complete the ones looked for.
    sent: Vec<u8>,
    asked: bool,
}

/// What becomes of a chunk.
enum Fate {
    Pass,
    Late(std::time::Duration),
    Held,
    /// So many bytes of it pass, then the connection is reset.
    Cut(usize),
    Lost,
}

/// Passes bytes both ways until both sides have closed, or a fault ends it.
pub(super) async fn pass(
    mut client: TcpStream,
    n_resets: u64,
    orders: watch::Sender<Orders>,
    report: watch::Sender<Status>,
) {
    let mut server = None;
    let link = Link { memory: Mutex::default(), orders: &orders, report: &report };
    let mut watched = orders.subscribe();
    let ended = tokio::select! {
        ended = link.run(&mut client, &mut server) => ended,
        _ = watched.wait_for(|orders| {
            orders.n_resets > n_resets || orders.fault == Some(Fault::Down)
        }) => Err(End::Reset),
    };
    if ended.is_err() {
        let _ = client.set_zero_linger();
    }
    if let (Err(End::Reset), Some(server)) = (ended, &server) {
        let _ = server.set_zero_linger();
    }
    drop((client, server));
    report.send_modify(|status| {
        let left = status.open.get_mut(&n_resets).expect("invariant: counted when it was taken");
        *left -= 1;
        if *left == 0 {
            status.open.remove(&n_resets);
        }
    });
}

/// What both directions of a connection share.
struct Link<'a> {
    memory: Mutex<Memory>,
    orders: &'a watch::Sender<Orders>,
    report: &'a watch::Sender<Status>,
}

impl Link<'_> {
    async fn run(&self, client: &mut TcpStream, server: &mut Option<TcpStream>) -> Result<(), End> {
        let addr = self.orders.borrow().server;
        let server = server.insert(TcpStream::connect(addr).await.map_err(|_| End::Reset)?);
        // Each chunk leaves as it came; where this fails the connection is as good.
        let _ = (client.set_nodelay(true), server.set_nodelay(true));
        let (client_in, client_out) = client.split();
        let (server_in, server_out) = server.split();
        let there = self.pump(client_in, server_out, Way::ToServer);
        let back = self.pump(server_in, client_out, Way::ToClient);
        tokio::try_join!(there, back).map(|_| ())
    }

    async fn pump(
        &self,
        mut from: ReadHalf<'_>,
        mut to: WriteHalf<'_>,
        way: Way,
    ) -> Result<(), End> {
        let mut buffer = vec![0; CHUNK_LEN];
        loop {
            let n = from.read(&mut buffer).await.map_err(|_| End::Reset)?;
            if n == 0 {
                return to.shutdown().await.map_err(|_| End::Reset);
            }
            let passing = self.stand(way, &buffer[..n]).await?;
            to.write_all(&buffer[..passing.unwrap_or(n)]).await.map_err(|_| End::Reset)?;
            if passing.is_some() {
                return Err(End::Reset);
            }
        }
    }

    /// Lets the fault have its way with a chunk; how much of it passes if it ends the connection.
    async fn stand(&self, way: Way, chunk: &[u8]) -> Result<Option<usize>, End> {
        let mut changed = self.orders.subscribe();
        loop {
            let orders = changed.borrow_and_update().clone();
            let fate = self.fate(&orders, way, chunk);
            if !matches!(fate, Fate::Pass) && !self.strikes(&orders) {
                // It healed itself by hitting another connection.
                continue;
            }
            match fate {
                Fate::Pass => return Ok(None),
                Fate::Cut(passing) => return Ok(Some(passing)),
                Fate::Lost => return Err(End::AnswerLost),
                Fate::Late(delay) => {
                    sleep(delay).await;
                    return Ok(None);
                }
                Fate::Held => changed.changed().await.map_err(|_| End::Reset)?,
            }
        }
    }

    fn fate(&self, orders: &Orders, way: Way, chunk: &[u8]) -> Fate {
        let mut memory = self.memory.lock().expect("invariant: nobody panics with it");
        if memory.serial != orders.serial {
            *memory = Memory { serial: orders.serial, ..Memory::default() };
        }
        match (&orders.fault, way) {
            (Some(Fault::Stalled), _) => Fate::Held,
            (Some(Fault::Delayed(delay)), _) => Fate::Late(*delay),
            (Some(Fault::CutToServer { after }), Way::ToServer) => {
                cut(&mut memory.n_to_server, *after, chunk.len())
            }
            (Some(Fault::CutToClient { after }), Way::ToClient) => {
                cut(&mut memory.n_to_client, *after, chunk.len())
            }
            (Some(Fault::AnswerLost { to }), Way::ToServer) => {
                memory.asked |= completes(&mut memory.sent, chunk, to);
                Fate::Pass
            }
            (Some(Fault::AnswerLost { .. }), Way::ToClient) if memory.asked => Fate::Lost,
            _ => Fate::Pass,
        }
    }

    /// Counts that the fault hit this connection; `false` if it is over by now.
    fn strikes(&self, orders: &Orders) -> bool {
        let mut strikes = false;
        self.orders.send_if_modified(|now| {
            strikes = now.serial == orders.serial && now.fault.is_some();
            let heals = strikes && now.once;
            if heals {
                now.fault = None;
            }
            heals
        });
        let mut memory = self.memory.lock().expect("invariant: nobody panics with it");
        if strikes && !memory.struck {
            memory.struck = true;
            self.report.send_modify(|status| status.n_struck += 1);
        }
        strikes
    }
}

/// Counts a chunk; it is cut where so many bytes have passed.
fn cut(n_passed: &mut usize, after: usize, len: usize) -> Fate {
    let left = after - *n_passed;
    if len > left {
        return Fate::Cut(left);
    }
    *n_passed += len;
    if *n_passed == after { Fate::Cut(len) } else { Fate::Pass }
}

/// Whether the chunk, after what was sent before it, holds the bytes looked for.
fn completes(sent: &mut Vec<u8>, chunk: &[u8], wanted: &[u8]) -> bool {
    if wanted.is_empty() {
        return true;
    }
    sent.extend_from_slice(chunk);
    let found = sent.windows(wanted.len()).any(|window| window == wanted);
    let surplus = sent.len().saturating_sub(wanted.len() - 1);
    sent.drain(..surplus);
    found
}
