//! When the network, the clock or the machine is not as one would like it.

use std::sync::atomic::Ordering;
use std::time::Duration;

use gantry_plugin_host::State;
use gantry_plugin_host::api::{ErrorClass, Outcome as Became};
use tokio::time::timeout;

use super::capture::kill;
use crate::bench::{Bench, MANY, Operation, acknowledge, identities, missing, position_after};
use crate::case::{Outcome, Stop, Works as _, ensure, fail, in_words, skip};
use crate::proxy::Mood;

cases! {
    "chaos/down", "While the source is down, operations fail in a way that is tried again",
    "give errors of the network class `transient`", down;
    "chaos/up_again", "When the source is back, operations go well on the same instance",
    "connect anew after a connection has failed", up_again;
    "chaos/slow", "A slow network is no error",
    "set time-outs of seconds, not of milliseconds", slow;
    "chaos/clock_back", "When the clock goes back by a year, nothing is lost",
    "take `cx.now_ms()` for times you tell the source only; measure spans with `Instant`", clock_back;
    "chaos/clock_ahead", "When the clock goes ahead by a year, nothing is lost",
    "take `cx.now_ms()` for times you tell the source only; measure spans with `Instant`", clock_ahead;
    "chaos/slow_hub", "Records wait while the hub is busy, and none is lost",
    "keep no time-out on how long the hub takes between two polls", slow_hub;
    "chaos/killed_idle", "After a kill while nothing is under way, operations go well again",
    "keep nothing in memory that `create` does not make again", killed_idle;
    "chaos/killed_busy", "A kill while operations are under way fails them as transient",
    "do not leave the host's connection open in other processes", killed_busy;
    "chaos/killed_draining", "A kill while it drains does no harm to what comes after",
    "keep nothing on disk that a next start stumbles over", killed_draining;
    "chaos/killed_often", "After ten kills in a row it goes on as before",
    "clean up nothing at the end that the next start needs", killed_often;
}

const YEAR_MS: i64 = 365 * 24 * 3600 * 1000;

/// What the plug-in can be asked of the source.
async fn asking(bench: &Bench) -> Result<Vec<(Operation, crate::bench::Call)>, Stop> {
    let mut calls = Vec::new();
    for operation in Operation::ASKING {
        match bench.operation(operation, None).await {
            Ok((_, call)) => calls.push((operation, call)),
            Err(Stop::Skip(_)) => {}
            Err(stop) => return Err(stop),
        }
    }
    Ok(calls)
}

async fn down(bench: &Bench) -> Outcome {
    bench.needs_proxy()?;
    let calls = asking(bench).await?;
    let asked = async {
        for (operation, call) in &calls {
            if let Err(error) = call.run().await {
                use ErrorClass::{AuthExpired, Gone, Throttled, Transient};
                let right = matches!(error.class(), Transient | Throttled | AuthExpired | Gone);
                let expected = format!("`{}` fails with class `transient`", operation.name());
                ensure(right, &expected, || in_words(&error))?;
            }
        }
        Ok(())
    };
    bench.while_network_is(Mood::Down, asked).await
}

async fn up_again(bench: &Bench) -> Outcome {
    bench.needs_proxy()?;
    let calls = asking(bench).await?;
    for (operation, call) in &calls {
        bench.at_last(&format!("`{}` goes well", operation.name()), || call.run()).await?;
    }
    let failed = async {
        for (_, call) in &calls {
            let _ = call.run().await;
        }
        Ok(())
    };
    bench.while_network_is(Mood::Down, failed).await?;
    for (operation, call) in &calls {
        let expected = format!("`{}` goes well when the source is back", operation.name());
        bench.at_last(&expected, || call.run()).await?;
    }
    Ok(())
}

async fn slow(bench: &Bench) -> Outcome {
    bench.needs_proxy()?;
    let calls = asking(bench).await?;
    let asked = async {
        for (operation, call) in &calls {
            call.run().await.works(&format!("`{}` goes well", operation.name()))?;
        }
        Ok(())
    };
    bench.while_network_is(Mood::Slow, asked).await
}

/// Polls while the clock is elsewhere, and reads on when it is back.
async fn elsewhere(bench: &Bench, ahead_ms: i64) -> Outcome {
    let (instance, capture) = bench.poller().await?;
    bench.fresh()?;
    let all = capture.poll(None, MANY).await.works("a poll goes well")?;
    let before = bench.ahead_ms.fetch_add(ahead_ms, Ordering::Relaxed);
    let meanwhile = async {
        instance.check().await.works("`check` goes well meanwhile")?;
        capture.poll(None, 2).await.works("a poll goes well meanwhile")
    };
    let meanwhile = meanwhile.await;
    bench.ahead_ms.store(before, Ordering::Relaxed);
    let begun = meanwhile?;
    acknowledge(&capture, &begun.records, Became::Accepted).await?;
    let rest = bench.walk(&capture, position_after(&begun), MANY).await?;
    let mut seen = identities(&begun.records);
    seen.extend(identities(&rest.records));
    let lost = missing(&identities(&all.records), &seen);
    ensure(lost.is_empty(), "each record", || format!("without {lost:?}"))
}

async fn clock_back(bench: &Bench) -> Outcome {
    elsewhere(bench, -YEAR_MS).await
}

async fn clock_ahead(bench: &Bench) -> Outcome {
    elsewhere(bench, YEAR_MS).await
}

async fn slow_hub(bench: &Bench) -> Outcome {
    let (_instance, capture) = bench.poller().await?;
    bench.fresh()?;
    let all = capture.poll(None, MANY).await.works("a poll goes well")?;
    let begun = capture.poll(None, 2).await.works("a poll goes well")?;
    // Nothing is asked for a while, then all that is left.
    tokio::time::sleep(Duration::from_millis(300)).await;
    acknowledge(&capture, &begun.records, Became::Accepted).await?;
    let rest = bench.walk(&capture, position_after(&begun), MANY).await?;
    let mut seen = identities(&begun.records);
    seen.extend(identities(&rest.records));
    let lost = missing(&identities(&all.records), &seen);
    ensure(lost.is_empty(), "each record", || format!("without {lost:?}"))
}

fn needs_process(bench: &Bench) -> Outcome {
    if bench.is_isolated() { Ok(()) } else { Err(skip("it has no process of its own")) }
}

async fn killed_idle(bench: &Bench) -> Outcome {
    needs_process(bench)?;
    let calls = asking(bench).await?;
    let instance = bench.instance().await?;
    kill(&instance)?;
    for (operation, call) in &calls {
        let expected = format!("`{}` goes well in the next process", operation.name());
        bench.at_last(&expected, || call.run()).await?;
    }
    Ok(())
}

async fn killed_busy(bench: &Bench) -> Outcome {
    needs_process(bench)?;
    let calls = asking(bench).await?;
    let instance = bench.instance().await?;
    for (operation, call) in &calls {
        let killed = async {
            tokio::task::yield_now().await;
            kill(&instance)
        };
        let (called, killed) = tokio::join!(timeout(Duration::from_secs(20), call.run()), killed);
        killed?;
        let name = operation.name();
        let called =
            called.map_err(|_| fail(format!("`{name}` ends with its process"), "it does not"))?;
        if let Err(error) = called {
            let right = error.class() == ErrorClass::Transient;
            let expected = format!("`{name}` fails with class `transient`");
            ensure(right, &expected, || in_words(&error))?;
        }
        bench.at_last(&format!("`{name}` goes well again"), || call.run()).await?;
    }
    Ok(())
}

async fn killed_draining(bench: &Bench) -> Outcome {
    needs_process(bench)?;
    let instance = bench.instance().await?;
    let (_, killed) =
        tokio::join!(instance.drain(Duration::from_secs(2)), async { kill(&instance) });
    killed?;
    let next = bench.instance_at_last().await?;
    bench.at_last("`check` of the next instance goes well", || next.check()).await
}

async fn killed_often(bench: &Bench) -> Outcome {
    needs_process(bench)?;
    let instance = bench.instance().await?;
    for _ in 0..10 {
        bench.at_last("`check` goes well in each process", || instance.check()).await?;
        kill(&instance)?;
    }
    bench.at_last("`check` goes well in the last process", || instance.check()).await?;
    let state = instance.health().state;
    ensure(state == State::Running, "it runs", || format!("{state:?}"))
}
