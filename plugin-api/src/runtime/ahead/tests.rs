//! What is asked for ahead is given, or thrown away, and never runs beside another poll.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::{Notify, mpsc};

use super::Ahead;
use crate::error::{Error, ErrorClass};
use crate::message::{Batch, Poll, Position, decode};

/// A source of numbers: each poll gives a batch that ends at the next one.
#[derive(Clone)]
struct Numbers {
    /// Whatever is asked, in order.
    asked: mpsc::Sender<u64>,
    /// How many polls run.
    n_running: Arc<AtomicUsize>,
    /// The batch from here on waits for it.
    gate: Option<(u64, Arc<Notify>)>,
    /// The batch from here on is the last.
    last: u64,
    /// The batch from here on cannot be had.
    broken: Option<u64>,
}

struct Running(Arc<AtomicUsize>);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Numbers {
    fn new() -> (Self, mpsc::Receiver<u64>) {
        let (asked, heard) = mpsc::channel(64);
        let n_running = Arc::default();
        (Self { asked, n_running, gate: None, last: 9, broken: None }, heard)
    }

    async fn ask(self, poll: Poll) -> Result<Batch, Error> {
        let n_before = self.n_running.fetch_add(1, Ordering::SeqCst);
        let _running = Running(Arc::clone(&self.n_running));
        assert_eq!(n_before, 0, "two polls at a time");
        let from = poll.from.map_or(0, |from| number(&from));
        self.asked.send(from).await.unwrap();
        if let Some((at, gate)) = &self.gate
            && *at == from
        {
            gate.notified().await;
        }
        if self.broken == Some(from) {
            return Err(Error::throttled("too much", None));
        }
        assert_ne!(from, 666, "a fault of the plug-in");
        let position_after = Some(position(from + 1));
        Ok(Batch { position_after, more: from < self.last, ..Batch::default() })
    }
}

fn position(number: u64) -> Position {
    Position::new(number.to_string()).unwrap()
}

fn number(position: &Position) -> u64 {
    std::str::from_utf8(position.as_bytes()).unwrap().parse().unwrap()
}

async fn poll(ahead: &Ahead, numbers: &Numbers, from: u64) -> Result<u64, Error> {
    let request = Poll { from: Some(position(from)), limit: 10 };
    let reply = ahead.poll(1, request, |request| numbers.clone().ask(request)).await?;
    let batch: Batch = decode(&reply, "batch")?;
    Ok(number(&batch.position_after.unwrap()))
}

#[tokio::test]
async fn the_next_batch_is_asked_for_while_the_hub_has_the_one_before() {
    let (ahead, (numbers, mut asked)) = (Ahead::default(), Numbers::new());
    for from in 0..4 {
        assert_eq!(poll(&ahead, &numbers, from).await.unwrap(), from + 1);
        if from == 0 {
            assert_eq!(asked.recv().await, Some(0));
        }
        assert_eq!(asked.recv().await, Some(from + 1), "nobody has polled for it yet");
    }
    assert!(asked.try_recv().is_err(), "each was asked for once");
}

#[tokio::test]
async fn a_hub_that_goes_on_elsewhere_gets_what_is_there() {
    let (ahead, (numbers, mut asked)) = (Ahead::default(), Numbers::new());
    assert_eq!(poll(&ahead, &numbers, 0).await.unwrap(), 1);
    assert_eq!(poll(&ahead, &numbers, 5).await.unwrap(), 6);
    ahead.forget().await;
    assert_eq!(poll(&ahead, &numbers, 6).await.unwrap(), 7);
    ahead.forget().await;
    drop(numbers);
    let mut all = Vec::new();
    while let Some(from) = asked.recv().await {
        all.push(from);
    }
    // What was thrown away may have begun or not.
    all.dedup();
    assert_eq!(all.into_iter().filter(|from| [0, 5, 6].contains(from)).count(), 3);
}

#[tokio::test]
async fn nothing_is_asked_for_behind_the_last_batch() {
    let (ahead, (numbers, mut asked)) = (Ahead::default(), Numbers::new());
    assert_eq!(poll(&ahead, &numbers, 9).await.unwrap(), 10);
    assert_eq!(poll(&ahead, &numbers, 10).await.unwrap(), 11);
    drop(numbers);
    assert_eq!((asked.recv().await, asked.recv().await), (Some(9), Some(10)));
    assert_eq!(asked.recv().await, None);
}

#[tokio::test]
async fn a_poll_that_is_called_off_takes_what_was_asked_ahead_with_it() {
    let (ahead, (mut numbers, mut asked)) = (Ahead::default(), Numbers::new());
    numbers.gate = Some((1, Arc::default()));
    assert_eq!(poll(&ahead, &numbers, 0).await.unwrap(), 1);
    assert_eq!((asked.recv().await, asked.recv().await), (Some(0), Some(1)));
    tokio::select! {
        biased;
        _ = poll(&ahead, &numbers, 1) => panic!("nobody opened the gate"),
        () = tokio::task::yield_now() => {}
    }
    while numbers.n_running.load(Ordering::SeqCst) > 0 {
        tokio::task::yield_now().await;
    }
    numbers.gate = None;
    assert_eq!(poll(&ahead, &numbers, 1).await.unwrap(), 2);
}

#[tokio::test]
async fn trouble_ahead_is_told_when_the_hub_comes_to_it_and_then_tried_again() {
    let (ahead, (mut numbers, _asked)) = (Ahead::default(), Numbers::new());
    numbers.broken = Some(1);
    assert_eq!(poll(&ahead, &numbers, 0).await.unwrap(), 1);
    assert_eq!(poll(&ahead, &numbers, 1).await.unwrap_err().class(), ErrorClass::Throttled);
    numbers.broken = None;
    assert_eq!(poll(&ahead, &numbers, 1).await.unwrap(), 2);
}

#[tokio::test]
async fn a_panic_ahead_is_the_poll_s() {
    let (ahead, (mut numbers, _asked)) = (Ahead::default(), Numbers::new());
    numbers.last = u64::MAX;
    assert_eq!(poll(&ahead, &numbers, 665).await.unwrap(), 666);
    assert_eq!(poll(&ahead, &numbers, 666).await.unwrap_err().class(), ErrorClass::Panic);
}
