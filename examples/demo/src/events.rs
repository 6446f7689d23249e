//! The hub's stream of server-sent events, read one event at a time.

use anyhow::{Context, Result};
use futures_util::StreamExt as _;
use futures_util::stream::BoxStream;
use serde_json::Value;

use crate::hub::Session;

/// An open stream of events.
pub struct Events {
    bytes: BoxStream<'static, reqwest::Result<Vec<u8>>>,
    unread: Vec<u8>,
}

impl std::fmt::Debug for Events {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Events").field("unread", &self.unread.len()).finish_non_exhaustive()
    }
}

impl Events {
    /// Follows the events after one, named as `COMMIT-INDEX`; `0` = from the first one.
    pub async fn after(session: &Session, place: &str) -> Result<Self> {
        let stream = session.events(place).await?.bytes_stream();
        let bytes = stream.map(|chunk| chunk.map(|bytes| bytes.to_vec())).boxed();
        Ok(Self { bytes, unread: Vec::new() })
    }

    /// The next event; waits for it.
    pub async fn next(&mut self) -> Result<Value> {
        loop {
            while let Some(end) = self.unread.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.unread.drain(..=end).collect();
                if let Some(json) = line.strip_prefix(b"data:") {
                    return serde_json::from_slice(json).context("reading an event");
                }
            }
            let chunk = self.bytes.next().await.context("the stream of events ended")?;
            self.unread.extend_from_slice(&chunk.context("the stream of events broke")?);
        }
    }
}
