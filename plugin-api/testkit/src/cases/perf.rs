//! How fast it is, in figures; slower than the floors of the test file is a failure.

use std::time::Duration;

use gantry_plugin_host::api::message::RoleName;
use tokio::time::Instant;

use crate::bench::{Bench, MANY};
use crate::case::{Outcome, Works as _, ensure, fail};

cases! {
    "perf/start", "From nothing to an instance that was checked, in time",
    "connect once in `check`; see `[perf] start_ms`", start;
    "perf/poll", "Records are captured fast enough",
    "read in pages, not record by record; see `[perf] records_per_s`", polls;
    "perf/lookup", "Queries are answered fast enough",
    "ask the source once a batch, or concurrently; see `[perf] lookups_per_s`", lookups;
    "perf/deliver", "Events are taken fast enough",
    "send a batch at once, or concurrently; see `[perf] deliveries_per_s`", deliveries;
}

/// Each measurement takes so long.
const SPAN: Duration = Duration::from_millis(200);

/// Repeats for a while, and compares what was done in a second with the floor.
async fn per_second(
    bench: &Bench,
    what: &str,
    floor: f64,
    mut work: impl AsyncFnMut() -> Result<usize, crate::case::Stop>,
) -> Outcome {
    let begun = Instant::now();
    let mut n = 0;
    while begun.elapsed() < SPAN {
        n += work().await?;
    }
    let rate = n as f64 / begun.elapsed().as_secs_f64();
    let seen = format!("{rate:.0} {what} a second");
    bench.tell(seen.clone());
    ensure(rate >= floor, &format!("at least {floor:.0} {what} a second"), || seen)
}

async fn start(bench: &Bench) -> Outcome {
    let begun = Instant::now();
    let instance = bench.instance().await?;
    instance.check().await.works("`check` goes well")?;
    let took = begun.elapsed().as_millis();
    let most = bench.script.perf.start_ms;
    bench.tell(format!("{took} ms"));
    ensure(took <= u128::from(most), &format!("at most {most} ms"), || format!("{took} ms"))
}

async fn polls(bench: &Bench) -> Outcome {
    let (_instance, capture) = bench.poller().await?;
    bench.fresh()?;
    per_second(bench, "records", bench.script.perf.records_per_s, async || {
        let batch = capture.poll(None, MANY).await.works("a poll goes well")?;
        if batch.records.is_empty() {
            return Err(fail("records", "none"));
        }
        Ok(batch.records.len())
    })
    .await
}

async fn lookups(bench: &Bench) -> Outcome {
    bench.needs(RoleName::Lookup)?;
    let (_instance, lookup) = bench.lookup().await?;
    let queries = bench.queries();
    per_second(bench, "look-ups", bench.script.perf.lookups_per_s, async || {
        lookup.lookup(&queries).await.works("a look-up goes well").map(|answers| answers.len())
    })
    .await
}

async fn deliveries(bench: &Bench) -> Outcome {
    bench.needs(RoleName::Callback)?;
    let (_instance, callback) = bench.callback().await?;
    per_second(bench, "deliveries", bench.script.perf.deliveries_per_s, async || {
        let outcomes = callback.deliver(&bench.deliveries()).await;
        outcomes.works("deliveries go well").map(|outcomes| outcomes.len())
    })
    .await
}
