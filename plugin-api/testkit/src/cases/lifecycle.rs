//! From `create` to `stop`: nothing too early, nothing left behind, everything in time.

use std::time::Duration;

use futures_util::poll;
use gantry_plugin_host::api::message::RoleName;
use gantry_plugin_host::api::{ErrorClass, Suggest};
use gantry_plugin_host::{Instance, State};
use tokio::time::{Instant, timeout};

use crate::bench::{Bench, Call, Operation};
use crate::case::{Outcome, Stop, Works as _, ensure, fail, in_words, skip};
use crate::footprint::Footprint;
use crate::proxy::Mood;

cases! {
    "lifecycle/create_connects_nothing", "`create` starts no thread, opens no file, connects nothing",
    "connect in `check` and in the operations, not in `create`", create_connects_nothing;
    "lifecycle/create_is_quick", "`create` takes less than a second",
    "do what takes time in `check` and in the operations", create_is_quick;
    "lifecycle/check", "`check` and `check_settings` go well with the test file's config",
    "correct the test file, or what `check` does beyond what running does", check;
    "lifecycle/check_says_no", "`check` is an error while the source is down",
    "let `check` connect just as running does", check_says_no;
    "lifecycle/suggest", "`suggest` is answered for any key, whatever stands beside it",
    "recommend nothing for keys that you do not know; expect what is missing or wrong", suggest;
    "lifecycle/rotate", "Waiting for a credential to rotate ends with `drain`, and keeps nothing from ending",
    "complete `rotate` as canceled when the instance drains", rotate;
    "lifecycle/stop", "`stop` ends within 3 s, and a second one does nothing",
    "bound the time of what you say good-bye to", stop;
    "lifecycle/stop_unused", "An instance that was never used stops as well",
    "do not wait in `stop` for what only an operation starts", stop_unused;
    "lifecycle/drain", "`drain` ends at once if nothing is begun",
    "in `drain`, wait for nothing but what is begun", drain;
    "lifecycle/drain_deadline", "What still hangs at the deadline of `drain` is called off",
    "hold no lock and block no thread while you wait for the source", drain_deadline;
    "lifecycle/side_by_side", "Two instances live side by side, and one goes on when the other stops",
    "keep connections in the instance, not in statics", side_by_side;
    "lifecycle/cancel", "An operation that is called off ends within a second",
    "wait with `.await`, or look whether you were canceled; block no thread", cancel;
    "lifecycle/goes_on_after_cancel", "After operations were called off, others go well",
    "repeat safely what may stop half-way; give back what an operation holds when it is dropped", goes_on;
    "lifecycle/hundred_starts", "A hundred starts and stops leave no thread, file or memory behind",
    "end in `stop` or `drop` what an instance began: tasks, connections, files", hundred_starts;
    "lifecycle/hundred_attachments", "A hundred capture points, look-ups or callbacks come and go",
    "forget an attachment when it is detached", hundred_attachments;
}

/// The memory of a library may grow by so much; caches are not leaks.
const KIB_MAX: usize = 16 << 10;

/// That of a program: interpreters collect their garbage when they like.
const PROGRAM_KIB_MAX: usize = 64 << 10;

/// Threads of a pool may come and go.
const THREADS_MAX: usize = 4;

/// Connections that close a little later.
const FILES_MAX: usize = 4;

/// The process that the plug-in runs in.
fn process(instance: &Instance) -> u32 {
    instance.health().process.unwrap_or_else(std::process::id)
}

fn look(pid: u32) -> Result<Footprint, Stop> {
    Footprint::of(pid).ok_or_else(|| skip("its process may not be looked at by this user"))
}

async fn create_connects_nothing(bench: &Bench) -> Outcome {
    // What is made once for all instances is made now.
    let first = bench.instance().await?;
    let pid = process(&first);
    first.stop().await.works("`stop` goes well")?;
    drop(first);
    let taken = || bench.proxy.as_ref().map_or(0, crate::proxy::Proxy::n_taken);
    // Threads of a pool are started as they are needed, also by `create` of the frame itself.
    let before = Footprint::until(pid, Duration::from_millis(60), |_| false).await;
    let before = before.ok_or_else(|| skip("its process may not be looked at by this user"))?;
    let n_before = taken();
    let mut made = Vec::new();
    for _ in 0..8 {
        made.push(bench.instance().await?);
    }
    let after = Footprint::until(pid, Duration::from_millis(300), |after| {
        after.n_threads <= before.n_threads && after.n_files <= before.n_files
    });
    let after = after.await.ok_or_else(|| skip("its process has ended"))?;
    let seen = || {
        let threads = after.n_threads.saturating_sub(before.n_threads);
        let files = after.n_files.saturating_sub(before.n_files);
        format!("8 instances: {threads} threads and {files} files more")
    };
    // Less than one each: the thread of the frame's own pool may come at any time.
    let grown = after.n_threads >= before.n_threads + 8 || after.n_files >= before.n_files + 8;
    ensure(!grown, "no thread and no open file more", seen)?;
    let n = taken() - n_before;
    ensure(n == 0, "no connection to the source", || format!("{n} connections"))
}

async fn create_is_quick(bench: &Bench) -> Outcome {
    let begun = Instant::now();
    bench.instance().await?;
    let took = begun.elapsed();
    ensure(took < Duration::from_secs(1), "less than 1 s", || format!("{} ms", took.as_millis()))
}

async fn check(bench: &Bench) -> Outcome {
    let instance = bench.instance().await?;
    instance.check().await.works("`check` goes well")?;
    if bench.manifest().capture.is_some()
        && let Ok((_instance, capture)) = bench.capture().await
    {
        capture.check().await.works("`check_settings` of the capture point goes well")?;
    }
    if let Ok((_instance, lookup)) = bench.lookup().await {
        lookup.check().await.works("`check_settings` of the look-up goes well")?;
    }
    if let Ok((_instance, callback)) = bench.callback().await {
        callback.check().await.works("`check_settings` of the callback goes well")?;
    }
    Ok(())
}

async fn check_says_no(bench: &Bench) -> Outcome {
    bench.needs_proxy()?;
    let instance = bench.instance().await?;
    let checked = async { Ok(instance.check().await) };
    let expected = "an error, and no panic";
    match bench.while_network_is(Mood::Down, checked).await? {
        Ok(()) => Err(fail(expected, "`check` says that all is well")),
        Err(error) => ensure(error.class() != ErrorClass::Panic, expected, || in_words(&error)),
    }
}

async fn stop(bench: &Bench) -> Outcome {
    let instance = bench.instance().await?;
    // What it said is the business of another case.
    let _ = instance.check().await;
    for _ in 0..2 {
        let stopped = timeout(Duration::from_secs(3), instance.stop()).await;
        let stopped = stopped.map_err(|_| fail("`stop` ends within 3 s", "it does not"))?;
        stopped.works("`stop` goes well")?;
    }
    let state = instance.health().state;
    ensure(state == State::Stopped, "it is stopped", || format!("{state:?}"))
}

async fn stop_unused(bench: &Bench) -> Outcome {
    let instance = bench.instance().await?;
    let stopped = timeout(Duration::from_secs(3), instance.stop()).await;
    let stopped = stopped.map_err(|_| fail("`stop` ends within 3 s", "it does not"))?;
    stopped.works("`stop` goes well")
}

async fn suggest(bench: &Bench) -> Outcome {
    let instance = bench.instance().await?;
    let settings = serde_json::Value::Object(bench.settings(RoleName::Capture)).to_string();
    let roles = [None, Some(RoleName::Capture), Some(RoleName::Lookup), Some(RoleName::Callback)];
    for role in roles {
        for json in [settings.as_str(), "{}", r#"{"table":7,"no_such_key":[null]}"#, "null"] {
            for field in ["table", "no_such_key", "a.b.c", ""] {
                let asked = instance.suggest(&Suggest::new(role, json.to_owned(), field)).await;
                let Err(error) = asked else { continue };
                let (expected, class) = ("values, or an error that says why not", error.class());
                let broken = matches!(class, ErrorClass::Panic | ErrorClass::Protocol);
                ensure(!broken, expected, || format!("{field:?} beside {json}: {error}"))?;
            }
        }
    }
    Ok(())
}

async fn rotate(bench: &Bench) -> Outcome {
    if bench.manifest().rotates.is_empty() {
        return Err(skip("the plug-in replaces no credentials"));
    }
    let instance = bench.instance().await?;
    let waiting = instance.rotated(None);
    let (ended, drained) = tokio::join!(timeout(Duration::from_secs(3), waiting), async {
        instance.drain(Duration::from_secs(2)).await
    });
    drained.works("`drain` goes well")?;
    let ended = ended.map_err(|_| fail("it ends with `drain`", "it waits on"))?;
    let canceled = ended.as_ref().is_err_and(|error| error.class() == ErrorClass::Canceled);
    ensure(canceled, "class `canceled`", || format!("{ended:?}"))
}

async fn drain(bench: &Bench) -> Outcome {
    let instance = bench.instance().await?;
    let begun = Instant::now();
    instance.drain(Duration::from_secs(3)).await.works("`drain` goes well")?;
    let took = begun.elapsed();
    let seen = || format!("{} ms", took.as_millis());
    ensure(took < Duration::from_secs(2), "it ends well before its deadline", seen)
}

/// Operations that hang, by a switch or because the source does not answer; and what ends that.
async fn hanging(bench: &Bench) -> Result<Vec<(Operation, Instance, Call)>, Stop> {
    let mut hanging = Vec::new();
    let switch = bench.script.provoke.hang.as_ref();
    if switch.is_none() {
        bench.needs_proxy().map_err(|_| {
            skip(
                "needs a source that can be stalled (an address in the upstream's values), or \
                  `[provoke.hang]` in the test file",
            )
        })?;
    }
    let operations: &[Operation] =
        if switch.is_some() { &Operation::ALL } else { &Operation::ASKING };
    for operation in operations {
        match bench.operation(*operation, switch).await {
            Ok((instance, call)) => hanging.push((*operation, instance, call)),
            Err(Stop::Skip(_)) => {}
            Err(stop) => return Err(stop),
        }
    }
    Ok(hanging)
}

async fn drain_deadline(bench: &Bench) -> Outcome {
    let hanging = hanging(bench).await?;
    stalled(bench, async {
        for (operation, instance, call) in &hanging {
            let begun = Instant::now();
            let deadline = Duration::from_millis(200);
            let (called, _) =
                tokio::join!(timeout(Duration::from_secs(3), call.run()), instance.drain(deadline));
            let name = operation.name();
            let expected = format!("`{name}` ends soon after the deadline of 200 ms");
            let seen = || format!("it still hangs after {} ms", begun.elapsed().as_millis());
            ensure(called.is_ok(), &expected, seen)?;
        }
        Ok(())
    })
    .await
}

/// Does something while the source does not answer, where there is one.
async fn stalled(bench: &Bench, work: impl Future<Output = Outcome>) -> Outcome {
    if bench.script.provoke.hang.is_some() {
        return work.await;
    }
    bench.while_network_is(Mood::Stalled, work).await
}

async fn call_off(hanging: &[(Operation, Instance, Call)]) -> Outcome {
    for (operation, instance, call) in hanging {
        let name = operation.name();
        {
            let mut called = std::pin::pin!(call.run());
            // Until it is under way, and a while longer.
            let pending = poll!(called.as_mut()).is_pending();
            let early = timeout(Duration::from_millis(30), called).await;
            if !pending || early.is_ok() {
                continue; // it needs no source
            }
        }
        let landed = timeout(Duration::from_secs(1), async {
            let mut pause = tokio::time::interval(Duration::from_millis(2));
            while instance.health().n_in_flight > 0 {
                pause.tick().await;
            }
        });
        let expected = format!("`{name}` ends within a second of being called off");
        ensure(landed.await.is_ok(), &expected, || "it is still under way".to_owned())?;
    }
    Ok(())
}

async fn cancel(bench: &Bench) -> Outcome {
    let hanging = hanging(bench).await?;
    stalled(bench, call_off(&hanging)).await
}

async fn goes_on(bench: &Bench) -> Outcome {
    let hung = hanging(bench).await?;
    stalled(bench, async {
        // That they end is asked elsewhere.
        let _ = call_off(&hung).await;
        Ok(())
    })
    .await?;
    if bench.script.provoke.hang.is_some() {
        let (_instance, call) = bench.operation(Operation::Check, None).await?;
        return call.run().await.works("`check` goes well afterwards").map(drop);
    }
    for (operation, _, call) in &hung {
        let expected = format!("`{}` goes well afterwards", operation.name());
        bench.at_last(&expected, || call.run()).await?;
    }
    Ok(())
}

async fn side_by_side(bench: &Bench) -> Outcome {
    let (first, second) = (bench.instance().await?, bench.instance().await?);
    first.check().await.works("`check` of the first goes well")?;
    second.check().await.works("`check` of the second goes well")?;
    first.stop().await.works("`stop` of the first goes well")?;
    drop(first);
    second.check().await.works("`check` of the second goes well after the first has stopped")
}

/// One life, with an operation of each kind that needs nothing.
async fn life(bench: &Bench) -> Result<u32, Stop> {
    let instance = bench.instance().await?;
    let pid = process(&instance);
    // What they say is the business of other cases.
    let _ = instance.check().await;
    if let Ok((polled, call)) = bench.operation(Operation::Poll, None).await {
        let _ = call.run().await;
        let _ = polled.stop().await;
    }
    if let Ok((asked, call)) = bench.operation(Operation::Lookup, None).await {
        let _ = call.run().await;
        let _ = asked.stop().await;
    }
    let _ = instance.drain(Duration::from_secs(5)).await;
    instance.stop().await.works("`stop` goes well")?;
    Ok(pid)
}

async fn hundred_starts(bench: &Bench) -> Outcome {
    let mut pid = 0;
    for _ in 0..20 {
        pid = life(bench).await?;
    }
    let before = look(pid)?;
    for _ in 0..100 {
        pid = life(bench).await?;
    }
    let after = Footprint::until(pid, Duration::from_secs(2), |after| {
        after.n_files <= before.n_files && after.n_threads <= before.n_threads
    });
    let after = after.await.ok_or_else(|| skip("its process has ended"))?;
    let more = |after: usize, before: usize| after.saturating_sub(before);
    let (threads, files, kib) = (
        more(after.n_threads, before.n_threads),
        more(after.n_files, before.n_files),
        more(after.rss_kib, before.rss_kib),
    );
    let seen = format!("{threads} threads, {files} open files, {kib} KiB more than after 20");
    bench.tell(seen.clone());
    let is_library = bench.library.inspected().library.is_some();
    let kib_max = if is_library { KIB_MAX } else { PROGRAM_KIB_MAX };
    let sound = threads <= THREADS_MAX && files <= FILES_MAX && kib <= kib_max;
    ensure(sound, "as many as before, but for a handful", || seen)
}

async fn hundred_attachments(bench: &Bench) -> Outcome {
    let instance = bench.instance().await?;
    let mut n = 0;
    for _ in 0..100 {
        for operation in [Operation::Acknowledge, Operation::Lookup, Operation::Deliver] {
            match bench.operation(operation, None).await {
                Ok(_) => n += 1,
                Err(Stop::Skip(_)) => {}
                Err(stop) => return Err(stop),
            }
        }
    }
    if n == 0 {
        return Err(skip("the test file gives no settings that are taken"));
    }
    instance.check().await.works("`check` goes well afterwards")
}
