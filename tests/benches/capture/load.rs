//! The load generator: keep-alive connections that post as fast as they are answered.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use gantry_store::baseline::{KeyOrder, key};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

/// What is posted, by how many.
#[derive(Clone)]
pub(crate) struct Load {
    pub(crate) address: String,
    pub(crate) token: String,
    pub(crate) connections: usize,
    pub(crate) items_a_request: usize,
    /// How external ids follow each other.
    pub(crate) ids: KeyOrder,
    /// Keeps the ids of one run apart from those of the others.
    pub(crate) round: u64,
}

/// What came of it.
#[derive(Default)]
pub(crate) struct Measured {
    /// Latency of each request, sorted.
    latencies: Vec<Duration>,
    items: u64,
    elapsed: Duration,
    /// Requests that were not answered with 2xx.
    pub(crate) failed: u64,
    /// The longest time in which no request at all was answered.
    pub(crate) worst_stall: Duration,
}

impl Load {
    /// Posts for `span`.
    pub(crate) async fn run(self, span: Duration) -> Result<Measured> {
        let begun = Instant::now();
        let mut connections = JoinSet::new();
        for number in 0..self.connections {
            let load = self.clone();
            connections.spawn(async move { load.connection(number as u64, begun, span).await });
        }
        let mut answers = Vec::new();
        let mut measured = Measured::default();
        while let Some(joined) = connections.join_next().await {
            let (latencies, at, failed) = joined??;
            measured.items += (latencies.len() * self.items_a_request) as u64;
            measured.latencies.extend(latencies);
            measured.failed += failed;
            answers.extend(at);
        }
        measured.elapsed = begun.elapsed();
        measured.latencies.sort_unstable();
        answers.sort_unstable();
        let gaps = answers.windows(2).map(|pair| pair[1].duration_since(pair[0]));
        measured.worst_stall = gaps.max().unwrap_or_default();
        Ok(measured)
    }

    async fn connection(
        self,
        number: u64,
        begun: Instant,
        span: Duration,
    ) -> Result<(Vec<Duration>, Vec<Instant>, u64)> {
        let mut socket = TcpStream::connect(&self.address).await.context("connecting")?;
        socket.set_nodelay(true)?;
        let (mut latencies, mut at, mut failed) = (Vec::new(), Vec::new(), 0);
        let mut answer = Vec::with_capacity(16 * 1024);
        let mut request = Vec::new();
        for turn in 0.. {
            self.write_request(number, turn, &mut request);
            let sent = Instant::now();
            if sent.duration_since(begun) >= span {
                break;
            }
            socket.write_all(&request).await?;
            let accepted = read_answer(&mut socket, &mut answer).await?;
            let answered = Instant::now();
            if accepted {
                latencies.push(answered.duration_since(sent));
                at.push(answered);
            } else {
                failed += 1;
            }
        }
        Ok((latencies, at, failed))
    }

    fn write_request(&self, connection: u64, turn: u64, request: &mut Vec<u8>) {
        let mut body = String::with_capacity(self.items_a_request * 400 + 2);
        let single = self.items_a_request == 1;
        if !single {
            body.push('[');
        }
        for place in 0..self.items_a_request as u64 {
            if place > 0 {
                body.push(',');
            }
            let each = self.items_a_request as u64;
            // Connections interleave, so that ordered ids rise over the whole run.
            let number = (turn * self.connections as u64 + connection) * each + place;
            push_item(&mut body, self.external_id(number), number);
        }
        if !single {
            body.push(']');
        }
        request.clear();
        let head = format!(
            "POST /api/v1/capture/bench HTTP/1.1\r\nhost: {}\r\nauthorization: Bearer {}\r\n\
             content-type: application/json\r\ncontent-length: {}\r\n\r\n",
            self.address,
            self.token,
            body.len()
        );
        request.extend_from_slice(head.as_bytes());
        request.extend_from_slice(body.as_bytes());
    }

    fn external_id(&self, number: u64) -> String {
        key(self.ids, (self.round << 40) | number)
    }
}

/// One item of about 390 bytes.
fn push_item(body: &mut String, id: String, number: u64) {
    use std::fmt::Write as _;
    let segment = ["Gold", "Silver", "Bronze"][(number % 3) as usize];
    let product = ["fibre", "cloud", "phone", "wifi"][(number % 4) as usize];
    let _ = write!(
        body,
        r#"{{"id":"{id}","subject":"Customer {number} asks for an offer","customer":{{"id":"C-{}","segment":"{segment}"}},"product":"{product}","value":"{}.50","channel":"web","created":"2026-01-01T08:00:00Z","note":"{}"}}"#,
        number % 10_000,
        100 + number % 900,
        "Lorem ipsum dolor sit amet, consetetur sadipscing elitr, sed diam nonumy eirmod tempor \
         invidunt ut labore et dolore magna aliquyam erat, sed diam voluptua.",
    );
}

/// Reads one answer, and says whether it is 2xx.
async fn read_answer(socket: &mut TcpStream, answer: &mut Vec<u8>) -> Result<bool> {
    answer.clear();
    let mut whole = None;
    loop {
        if socket.read_buf(answer).await? == 0 {
            bail!("the hub closed the connection");
        }
        if whole.is_none()
            && let Some(head) = answer.windows(4).position(|bytes| bytes == b"\r\n\r\n")
        {
            whole = Some(head + 4 + content_length(&answer[..head])?);
        }
        if whole.is_some_and(|whole| answer.len() >= whole) {
            return Ok(answer.starts_with(b"HTTP/1.1 2"));
        }
    }
}

fn content_length(head: &[u8]) -> Result<usize> {
    let head = std::str::from_utf8(head)?;
    let line = head
        .lines()
        .find_map(|line| {
            line.split_once(':').filter(|(n, _)| n.eq_ignore_ascii_case("content-length"))
        })
        .context("an answer without content-length")?;
    Ok(line.1.trim().parse()?)
}

impl Measured {
    pub(crate) fn items_a_second(&self) -> f64 {
        self.items as f64 / self.elapsed.as_secs_f64()
    }

    /// Latency below which this percentage of the requests stayed, in milliseconds.
    pub(crate) fn percentile_ms(&self, percent: f64) -> f64 {
        let last = self.latencies.len().saturating_sub(1);
        let at = (last as f64 * percent / 100.0).round() as usize;
        self.latencies.get(at).map_or(0.0, |latency| latency.as_secs_f64() * 1e3)
    }
}
