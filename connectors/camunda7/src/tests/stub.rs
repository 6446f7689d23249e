//! A server that answers by a function of the test's own, and notes what it is asked.

use std::sync::{Arc, Mutex};

use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

/// Status, further header lines, body.
pub(super) type Reply = (u16, &'static str, String);

/// Runs until it is dropped.
pub(super) struct Stub {
    pub(super) endpoint: String,
    asked: Arc<Mutex<Vec<(String, String)>>>,
    _tasks: JoinSet<()>,
}

impl Stub {
    /// Answers by method with path, and body.
    pub(super) async fn start(
        answer: impl Fn(&str, &str) -> Reply + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}/engine-rest", listener.local_addr().unwrap());
        let asked = Arc::new(Mutex::new(Vec::new()));
        let (answer, notes) = (Arc::new(answer), Arc::clone(&asked));
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let (answer, notes) = (Arc::clone(&answer), Arc::clone(&notes));
                connections.spawn(async move {
                    serve(stream, &*answer, &notes).await.unwrap_or_default();
                });
            }
        });
        Self { endpoint, asked, _tasks: tasks }
    }

    /// What was asked: method with path, and body.
    pub(super) fn asked(&self) -> Vec<(String, String)> {
        self.asked.lock().unwrap().clone()
    }
}

/// One request a connection.
async fn serve(
    stream: TcpStream,
    answer: &(impl Fn(&str, &str) -> Reply + Sync),
    notes: &Mutex<Vec<(String, String)>>,
) -> std::io::Result<()> {
    let mut stream = BufReader::new(stream);
    let mut head = Vec::new();
    let mut length = 0;
    loop {
        let mut line = String::new();
        stream.read_line(&mut line).await?;
        let line = line.trim_end().to_owned();
        if line.is_empty() {
            break;
        }
        if let Some(n) = line.to_ascii_lowercase().strip_prefix("content-length: ") {
            length = n.parse().unwrap();
        }
        head.push(line);
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await?;
    let body = String::from_utf8(body).unwrap();
    let line = head.first().and_then(|line| line.rsplit_once(' ')).unwrap().0.to_owned();
    let line = line.replace("/engine-rest/", "");
    let (status, headers, text) = answer(&line, &body);
    notes.lock().unwrap().push((line, body));
    let length = text.len();
    let reply = format!(
        "HTTP/1.1 {status} X\r\ndate: Sat, 31 Jan 2026 12:00:00 GMT\r\ncontent-type: \
         application/json\r\nconnection: close\r\ncontent-length: {length}\r\n{headers}\r\n{text}"
    );
    stream.write_all(reply.as_bytes()).await?;
    stream.shutdown().await
}
