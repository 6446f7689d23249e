//! Leases: what a source has only lent is extended one by one, and what is lost is said to be.

use std::slice;

use gantry_plugin_host::api::{CaptureMode, Extended, Lease, Record};
use gantry_plugin_host::{CaptureHandle, Instance};

use crate::bench::{Bench, MANY};
use crate::case::{Outcome, Stop, Works as _, ensure, skip};

cases! {
    "leases/declared", "Records are lent if the manifest says so, and only then",
    "call `leases()` in the build script if `poll` sets `Record::lease`", declared;
    "leases/usable", "A lease has a token that can be kept, and a time that leaves room to extend it",
    "give tokens of at most 1,024 bytes, and leases of at least three seconds", usable;
    "leases/extended", "What is lent is extended, again and again",
    "answer `Kept` with the time that the source grants from now on", extended;
    "leases/each_by_itself", "Of many leases one that nobody knows does no harm to the others",
    "answer `Lost` or `Failed` for a token that the source does not know, and extend the rest", each;
    "leases/none", "To extend nothing is nothing",
    "take an empty list in `extend`", none;
}

/// The shortest time in which the hub can extend it twice, in milliseconds.
const FOR_MS_MIN: u64 = 3_000;

/// A token that no source has given.
const NOBODYS: &str = "00000000-0000-0000-0000-000000000000";

fn lends(bench: &Bench) -> bool {
    bench.manifest().capture.as_ref().is_some_and(|capture| capture.leases)
}

/// A capture point, and what it lends.
async fn lent(bench: &Bench) -> Result<(Instance, CaptureHandle, Vec<Lease>), Stop> {
    if !lends(bench) {
        return Err(skip("the plug-in lends nothing"));
    }
    let (instance, capture, records) = polled(bench).await?;
    let leases: Vec<_> = records.into_iter().filter_map(|record| record.lease).collect();
    if leases.is_empty() {
        return Err(skip("no record is lent with the test file's settings"));
    }
    Ok((instance, capture, leases))
}

async fn polled(bench: &Bench) -> Result<(Instance, CaptureHandle, Vec<Record>), Stop> {
    bench.needs_mode(CaptureMode::Poll)?;
    let (instance, capture) = bench.poller().await?;
    bench.fresh()?;
    let batch = capture.poll(None, MANY).await.works("a poll goes well")?;
    Ok((instance, capture, batch.records))
}

async fn declared(bench: &Bench) -> Outcome {
    let (_instance, _capture, records) = polled(bench).await?;
    let is_lent = records.iter().any(|record| record.lease.is_some());
    ensure(!is_lent || lends(bench), "no leases, as the manifest says", || "leases".to_owned())
}

async fn usable(bench: &Bench) -> Outcome {
    let (_instance, _capture, leases) = lent(bench).await?;
    for Lease { token, for_ms, .. } in leases {
        let len = token.len();
        ensure((1..=Lease::TOKEN_LEN_MAX).contains(&len), "1 to 1,024 bytes", || len.to_string())?;
        ensure(for_ms >= FOR_MS_MIN, "3,000 ms or more", || format!("{for_ms} ms"))?;
    }
    Ok(())
}

fn is_kept(extended: &Extended) -> Outcome {
    let kept = matches!(extended, Extended::Kept { for_ms } if *for_ms >= FOR_MS_MIN);
    ensure(kept, "it is kept for 3,000 ms or more", || format!("{extended:?}"))
}

async fn extended(bench: &Bench) -> Outcome {
    let (_instance, capture, leases) = lent(bench).await?;
    for _ in 0..3 {
        let extended = capture.extend(&leases).await.works("one answer a lease")?;
        extended.iter().try_for_each(is_kept)?;
    }
    Ok(())
}

async fn each(bench: &Bench) -> Outcome {
    let (_instance, capture, leases) = lent(bench).await?;
    let nobodys = Lease::new(NOBODYS, FOR_MS_MIN);
    let asked = [slice::from_ref(&nobodys), &leases, slice::from_ref(&nobodys)].concat();
    let extended = capture.extend(&asked).await.works("one answer a lease")?;
    let (first, last) = (&extended[0], &extended[extended.len() - 1]);
    for unknown in [first, last] {
        let kept = matches!(unknown, Extended::Kept { .. });
        ensure(!kept, "what nobody knows is not kept", || format!("{unknown:?}"))?;
    }
    extended[1..extended.len() - 1].iter().try_for_each(is_kept)
}

async fn none(bench: &Bench) -> Outcome {
    let (_instance, capture, _) = lent(bench).await?;
    let extended = capture.extend(&[]).await.works("no leases, no answers")?;
    ensure(extended.is_empty(), "no answers", || format!("{extended:?}"))
}
