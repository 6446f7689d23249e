//! Each fault before a server that answers every line by itself and counts what reached it.

use std::io::ErrorKind;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::Result;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use super::{Fault, Proxy};

/// Longer than any answer takes on loopback.
const LATE: Duration = Duration::from_millis(300);

/// Answers each line by the same line.
struct Echo {
    n_lines: Arc<AtomicUsize>,
    addr: std::net::SocketAddr,
    _tasks: JoinSet<()>,
}

impl Echo {
    async fn start() -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let addr = listener.local_addr()?;
        let n_lines = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&n_lines);
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let mut clients = JoinSet::new();
            while let Ok((client, _)) = listener.accept().await {
                clients.spawn(echo(client, Arc::clone(&counted)));
            }
        });
        Ok(Self { n_lines, addr, _tasks: tasks })
    }

    fn n_lines(&self) -> usize {
        self.n_lines.load(Ordering::SeqCst)
    }
}

async fn echo(client: TcpStream, n_lines: Arc<AtomicUsize>) {
    let mut client = BufReader::new(client);
    let mut line = Vec::new();
    while client.read_until(b'\n', &mut line).await.is_ok_and(|n| n > 0) {
        n_lines.fetch_add(1, Ordering::SeqCst);
        if client.write_all(&line).await.is_err() {
            return;
        }
        line.clear();
    }
}

/// Sends a line; what comes back until its end, and how it ends where it does before.
async fn ask(stream: &mut TcpStream, line: &str) -> (String, Option<ErrorKind>) {
    let mut answer = String::new();
    if let Err(error) = stream.write_all(line.as_bytes()).await {
        return (answer, Some(error.kind()));
    }
    let mut byte = [0];
    while !answer.ends_with('\n') {
        match stream.read(&mut byte).await {
            Ok(0) => return (answer, Some(ErrorKind::UnexpectedEof)),
            Ok(_) => answer.push(char::from(byte[0])),
            Err(error) => return (answer, Some(error.kind())),
        }
    }
    (answer, None)
}

fn whole(line: &str) -> (String, Option<ErrorKind>) {
    (line.to_owned(), None)
}

fn reset_after(answer: &str) -> (String, Option<ErrorKind>) {
    (answer.to_owned(), Some(ErrorKind::ConnectionReset))
}

#[tokio::test]
async fn a_network_without_fault_passes_all_and_ends_as_both_sides_do() -> Result<()> {
    let echo = Echo::start().await?;
    let proxy = Proxy::start(echo.addr).await?;
    let mut client = TcpStream::connect(proxy.addr()).await?;
    let long = format!("{}\n", "x".repeat(100_000));
    assert_eq!(ask(&mut client, "first\n").await, whole("first\n"));
    assert_eq!(ask(&mut client, &long).await, whole(&long));
    client.write_all(b"last\n").await?;
    client.shutdown().await?;
    let mut rest = String::new();
    client.read_to_string(&mut rest).await?;
    assert_eq!(rest, "last\n", "what is under way arrives although the client has closed");
    assert_eq!((proxy.n_accepted(), proxy.n_struck()), (1, 0));
    Ok(())
}

#[tokio::test]
async fn a_network_that_is_down_resets_refuses_and_comes_back_on_its_port() -> Result<()> {
    let echo = Echo::start().await?;
    let proxy = Proxy::start(echo.addr).await?;
    for round in 1..=3 {
        let mut client = TcpStream::connect(proxy.addr()).await?;
        assert_eq!(ask(&mut client, "a\n").await, whole("a\n"));
        proxy.set(Fault::Down).await?;
        assert_eq!(client.read(&mut [0]).await.unwrap_err().kind(), ErrorKind::ConnectionReset);
        let refused = TcpStream::connect(proxy.addr()).await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
        proxy.heal().await?;
        assert_eq!(proxy.n_accepted(), round);
    }
    Ok(())
}

#[tokio::test]
async fn resets_hit_open_connections_only() -> Result<()> {
    let echo = Echo::start().await?;
    let proxy = Proxy::start(echo.addr).await?;
    let mut before = TcpStream::connect(proxy.addr()).await?;
    assert_eq!(ask(&mut before, "a\n").await, whole("a\n"));
    proxy.reset().await?;
    assert_eq!(before.read(&mut [0]).await.unwrap_err().kind(), ErrorKind::ConnectionReset);
    let mut after = TcpStream::connect(proxy.addr()).await?;
    assert_eq!(ask(&mut after, "b\n").await, whole("b\n"));
    Ok(())
}

#[tokio::test]
async fn a_cut_is_exact_to_the_byte_in_either_direction() -> Result<()> {
    let echo = Echo::start().await?;
    let proxy = Proxy::start(echo.addr).await?;
    let mut client = TcpStream::connect(proxy.addr()).await?;
    assert_eq!(ask(&mut client, "before\n").await, whole("before\n"));
    proxy.set(Fault::CutToClient { after: 7 }).await?;
    assert_eq!(ask(&mut client, "abc\n").await, whole("abc\n"));
    assert_eq!(ask(&mut client, "defg\n").await, reset_after("def"));
    let mut client = TcpStream::connect(proxy.addr()).await?;
    assert_eq!(ask(&mut client, "defghijkl\n").await, reset_after("defghij"), "each by itself");
    proxy.struck(2).await?;

    let n_lines = echo.n_lines();
    proxy.once(Fault::CutToServer { after: 2 }).await?;
    let mut client = TcpStream::connect(proxy.addr()).await?;
    assert_eq!(ask(&mut client, "abc\n").await, reset_after(""));
    proxy.struck(3).await?;
    let mut client = TcpStream::connect(proxy.addr()).await?;
    assert_eq!(ask(&mut client, "once only\n").await, whole("once only\n"));
    // The two bytes that passed may count as a line of their own, without an end.
    assert!(echo.n_lines() <= n_lines + 2, "the line that was cut did not arrive whole");
    Ok(())
}

#[tokio::test]
async fn an_answer_is_lost_after_its_request_took_effect() -> Result<()> {
    let echo = Echo::start().await?;
    let proxy = Proxy::start(echo.addr).await?;
    proxy.once(Fault::AnswerLost { to: b"complete 7".to_vec() }).await?;
    let mut client = TcpStream::connect(proxy.addr()).await?;
    assert_eq!(ask(&mut client, "complete 6\n").await, whole("complete 6\n"));
    client.write_all(b"comp").await?;
    assert_eq!(ask(&mut client, "lete 7\n").await, reset_after(""));
    assert_eq!(echo.n_lines(), 2, "both requests reached the server");
    let mut client = TcpStream::connect(proxy.addr()).await?;
    assert_eq!(ask(&mut client, "complete 7\n").await, whole("complete 7\n"));
    assert_eq!(proxy.n_struck(), 1);
    Ok(())
}

#[tokio::test]
async fn what_is_stalled_passes_when_all_is_well_again() -> Result<()> {
    let echo = Echo::start().await?;
    let proxy = Proxy::start(echo.addr).await?;
    proxy.set(Fault::Stalled).await?;
    let mut client = TcpStream::connect(proxy.addr()).await?;
    client.write_all(b"held\n").await?;
    proxy.struck(1).await?;
    assert_eq!(echo.n_lines(), 0);
    proxy.heal().await?;
    assert_eq!(ask(&mut client, "").await, whole("held\n"));
    Ok(())
}

#[tokio::test]
async fn a_delay_holds_up_each_direction() -> Result<()> {
    let echo = Echo::start().await?;
    let proxy = Proxy::start(echo.addr).await?;
    proxy.set(Fault::Delayed(LATE)).await?;
    let mut client = TcpStream::connect(proxy.addr()).await?;
    let begun = Instant::now();
    assert_eq!(ask(&mut client, "a\n").await, whole("a\n"));
    assert!(begun.elapsed() >= 2 * LATE, "{:?}", begun.elapsed());
    Ok(())
}

#[tokio::test]
async fn a_server_that_is_gone_shows_as_a_reset_and_may_move() -> Result<()> {
    let nobody = TcpListener::bind("127.0.0.1:0").await?.local_addr()?;
    let proxy = Proxy::start(nobody).await?;
    // The reset may come as early as the client connects.
    let read = async { TcpStream::connect(proxy.addr()).await?.read(&mut [0]).await };
    assert_eq!(read.await.unwrap_err().kind(), ErrorKind::ConnectionReset);
    let echo = Echo::start().await?;
    proxy.lead_to(echo.addr);
    let mut client = TcpStream::connect(proxy.addr()).await?;
    assert_eq!(ask(&mut client, "here\n").await, whole("here\n"));
    Ok(())
}

#[tokio::test(flavor = "current_thread")]
async fn it_works_while_the_test_blocks_its_own_thread() -> Result<()> {
    use std::io::{BufRead as _, Write as _};
    let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
    let proxy = Proxy::start(listener.local_addr()?).await?;
    let mut client = std::net::TcpStream::connect(proxy.addr())?;
    let (mut server, _) = listener.accept()?;
    server.write_all(b"hello\n")?;
    client.set_read_timeout(Some(Duration::from_secs(30)))?;
    let mut line = String::new();
    std::io::BufReader::new(&mut client).read_line(&mut line)?;
    assert_eq!(line, "hello\n");
    Ok(())
}
