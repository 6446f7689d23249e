//! Connections over real sockets: kept alive, cut off when idle, drained at the stop.

use std::time::Duration;

use gantry_model::Name;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::world::{Instead, World};
use crate::token::{Claims, Role};
use crate::{Options, Parts, Web};

/// Longer than any of these tests takes, shorter than a person waits for a hanging one.
const PATIENCE: Duration = Duration::from_secs(20);

struct Server {
    world: World,
    address: std::net::SocketAddr,
    stop: CancellationToken,
    running: JoinSet<()>,
}

impl Server {
    async fn start(options: Options) -> Self {
        let world = World::new().await;
        let web = Web::new(Parts {
            hub: world.hub.clone(),
            store: world.store.clone(),
            intake: world.intake.clone(),
            key: world.key.clone(),
            options,
        });
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let stop = CancellationToken::new();
        let mut running = JoinSet::new();
        running.spawn(web.run(listener, stop.clone()));
        Self { world, address, stop, running }
    }

    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    fn head(&self, request: &str) -> String {
        let role = Role::Administrator;
        let claims = Claims { name: Name::new("test"), role, expires_at: None };
        let token = self.world.key.issue(&claims);
        format!("{request} HTTP/1.1\r\nhost: hub\r\nauthorization: Bearer {token}\r\n")
    }

    /// Stops the server and waits until it has ended.
    async fn stop(mut self) {
        self.stop.cancel();
        let ended = tokio::time::timeout(PATIENCE, self.running.join_next()).await;
        ended.expect("the server does not end").unwrap().unwrap();
    }
}

/// Reads until that text has come, or the connection ends.
async fn read_until(stream: &mut TcpStream, text: &str) -> String {
    let mut read = String::new();
    let mut chunk = [0; 4096];
    while !read.contains(text) {
        let count = tokio::time::timeout(PATIENCE, stream.read(&mut chunk)).await.unwrap().unwrap();
        assert!(count > 0, "the connection ended after {read:?}");
        read.push_str(std::str::from_utf8(&chunk[..count]).unwrap());
    }
    read
}

async fn ends(stream: &mut TcpStream) {
    let mut rest = Vec::new();
    tokio::time::timeout(PATIENCE, stream.read_to_end(&mut rest)).await.unwrap().unwrap();
}

#[tokio::test]
async fn a_connection_serves_many_requests() {
    let server = Server::start(Options::default()).await;
    let mut stream = server.connect().await;
    for _ in 0..3 {
        stream.write_all(b"GET /healthz HTTP/1.1\r\nhost: hub\r\n\r\n").await.unwrap();
        let answer = read_until(&mut stream, "ok\n").await;
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    }
    server.stop().await;
}

#[tokio::test]
async fn a_client_that_sends_half_a_head_is_cut_off() {
    let idle_timeout = Duration::from_millis(20);
    let server = Server::start(Options { idle_timeout, ..Options::default() }).await;
    let mut stream = server.connect().await;
    stream.write_all(b"GET /healthz HTTP/1.1\r\nhost: ").await.unwrap();
    ends(&mut stream).await;
    server.stop().await;
}

#[tokio::test]
async fn what_is_no_http_gets_an_answer_and_hurts_nobody() {
    let server = Server::start(Options::default()).await;
    let mut wild = server.connect().await;
    wild.write_all(b"\x16\x03\x01\x02\x00\x01\x00\r\n\r\n").await.unwrap();
    ends(&mut wild).await;
    let mut stream = server.connect().await;
    stream.write_all(b"GET /readyz HTTP/1.1\r\nhost: hub\r\n\r\n").await.unwrap();
    read_until(&mut stream, "ready\n").await;
    server.stop().await;
}

#[tokio::test]
async fn a_stop_ends_live_streams_and_idle_connections() {
    let server = Server::start(Options::default()).await;
    let mut idle = server.connect().await;
    idle.write_all(b"GET /healthz HTTP/1.1\r\nhost: hub\r\n\r\n").await.unwrap();
    read_until(&mut idle, "ok\n").await;
    let mut live = server.connect().await;
    let request = server.head("GET /api/v1/events?after=0") + "\r\n";
    live.write_all(request.as_bytes()).await.unwrap();
    read_until(&mut live, "config_activated").await;
    server.stop().await;
    ends(&mut idle).await;
    ends(&mut live).await;
}

#[tokio::test]
async fn a_stop_waits_for_requests_under_way_but_not_for_ever() {
    let drain_timeout = Duration::from_millis(50);
    let server = Server::start(Options { drain_timeout, ..Options::default() }).await;
    server.world.intake.next_time(Instead::Hang);
    let mut hanging = server.connect().await;
    let request = server.head("POST /api/v1/capture/leads")
        + "content-type: application/json\r\ncontent-length: 2\r\n\r\n{}";
    hanging.write_all(request.as_bytes()).await.unwrap();
    server.world.intake.begun.notified().await;
    server.stop().await;
    ends(&mut hanging).await;
}
