//! Streams: as many records as there is credit for, and an end when the hub wants one.

use std::time::Duration;

use gantry_plugin_host::api::{Batch, CaptureMode, Record};
use gantry_plugin_host::{CaptureHandle, Instance, RecordStream};
use tokio::time::timeout;

use crate::bench::{Bench, identities, identity, missing, position_after};
use crate::case::{Outcome, Stop, Works as _, ensure, fail, skip};

cases! {
    "stream/records", "A stream gives the records that are there",
    "look at what the upstream has, and at `[capture]` in the test file", records;
    "stream/credit", "A stream sends no more records than it has credit for",
    "send with `Emitter::emit`, or count the credit; stop at 0", credit;
    "stream/goes_on_with_credit", "A stream that had to wait for credit goes on when there is more",
    "wait for credit; do not end, and do not drop what could not be sent", goes_on;
    "stream/resumes", "A stream from a position leaves out nothing behind it",
    "begin behind the position that you are given", resumes;
    "stream/drain", "`drain` ends a stream",
    "wait for `cx.draining()` beside the source, and return", drain;
    "stream/called_off", "A stream that is called off ends within a second",
    "wait with `.await`, or look whether you were canceled", called_off;
}

/// Longer than a record takes that is there.
const WITHIN: Duration = Duration::from_secs(10);

/// Longer than a stream takes to end.
const END: Duration = Duration::from_secs(2);

async fn streamer(bench: &Bench) -> Result<(Instance, CaptureHandle), Stop> {
    bench.needs_mode(CaptureMode::Stream)?;
    let made = bench.capture().await?;
    bench.fresh()?;
    Ok(made)
}

async fn next(stream: &mut RecordStream) -> Result<Batch, Stop> {
    let next = timeout(WITHIN, stream.next()).await;
    let next = next.map_err(|_| fail("records that there is credit for", "none within 10 s"))?;
    let next = next.ok_or_else(|| fail("records that there is credit for", "the stream ended"))?;
    next.works("the stream goes well")
}

/// Takes so many records, which there is credit for.
async fn take(stream: &mut RecordStream, n: usize) -> Result<Vec<Record>, Stop> {
    let mut records = Vec::new();
    while records.len() < n {
        records.extend(next(stream).await?.records);
    }
    Ok(records)
}

async fn records(bench: &Bench) -> Outcome {
    let (_instance, capture) = streamer(bench).await?;
    let mut stream = capture.stream(None, 2).works("a stream begins")?;
    take(&mut stream, 2).await.map(drop)
}

async fn credit(bench: &Bench) -> Outcome {
    let (_instance, capture) = streamer(bench).await?;
    let before = bench.library.n_violations();
    let mut stream = capture.stream(None, 2).works("a stream begins")?;
    let records = take(&mut stream, 2).await?;
    ensure(records.len() == 2, "2 records", || records.len().to_string())?;
    let beyond = timeout(Duration::from_millis(150), stream.next()).await;
    let seen = || format!("{beyond:?}");
    ensure(beyond.is_err(), "nothing without credit", seen)?;
    let violations = bench.library.n_violations() - before;
    ensure(violations == 0, "nothing without credit", || format!("{violations} batches"))
}

async fn goes_on(bench: &Bench) -> Outcome {
    let (_instance, capture) = streamer(bench).await?;
    let mut stream = capture.stream(None, 1).works("a stream begins")?;
    let mut records = take(&mut stream, 1).await?;
    for _ in 0..3 {
        stream.grant(1);
        records.extend(take(&mut stream, 1).await?);
    }
    let ids = identities(&records);
    let mut distinct = ids.clone();
    distinct.sort();
    distinct.dedup();
    ensure(distinct.len() == ids.len(), "each record once", || format!("{ids:?}"))
}

async fn resumes(bench: &Bench) -> Outcome {
    let (_first, capture) = streamer(bench).await?;
    let mut stream = capture.stream(None, 4).works("a stream begins")?;
    let records = take(&mut stream, 4).await?;
    let begun = Batch { records: records[..2].to_vec(), ..Batch::default() };
    let position = position_after(&begun);
    if position.is_none() {
        return Err(skip("its records have no positions of their own"));
    }
    drop(stream);
    let (_second, capture) = bench.capture().await?;
    let mut stream = capture.stream(position, 4).works("a stream begins")?;
    let again = take(&mut stream, 2).await?;
    let lost = missing(&identities(&records[2..]), &identities(&again));
    let seen = || format!("without {lost:?}; it began with {:?}", again.first().map(identity));
    ensure(lost.is_empty(), "the records behind the position", seen)
}

async fn drain(bench: &Bench) -> Outcome {
    let (instance, capture) = streamer(bench).await?;
    let mut stream = capture.stream(None, 1).works("a stream begins")?;
    take(&mut stream, 1).await?;
    let ended = async {
        while let Some(batch) = stream.next().await {
            if batch.is_err() {
                return;
            }
        }
    };
    let (drained, ended) = tokio::join!(instance.drain(2 * END), timeout(END, ended));
    ensure(ended.is_ok(), "the stream ends", || "it goes on 2 s later".to_owned())?;
    drained.works("`drain` goes well")
}

async fn called_off(bench: &Bench) -> Outcome {
    let (instance, capture) = streamer(bench).await?;
    let mut stream = capture.stream(None, 1).works("a stream begins")?;
    take(&mut stream, 1).await?;
    drop(stream);
    let landed = timeout(Duration::from_secs(1), async {
        let mut pause = tokio::time::interval(Duration::from_millis(2));
        while instance.health().n_in_flight > 0 {
            pause.tick().await;
        }
    });
    ensure(landed.await.is_ok(), "it ends", || "it is still under way".to_owned())
}
