//! Polling: nothing is left out, whatever happens between a record and its acknowledgement.

use std::collections::BTreeSet;

use gantry_plugin_host::api::{ErrorClass, Outcome as Became, Position, Record};
use rustix::process::{Pid, Signal, kill_process};

use crate::bench::{
    Bench, MANY, N_PUT, acknowledge, identities, identity, missing, position_after,
};
use crate::case::{Outcome, Works as _, ensure, fail, in_words, skip};

cases! {
    "capture/records", "A poll gives the records that are there",
    "look at what the upstream has, and at `[capture]` in the test file", records;
    "capture/limit", "A poll gives at most as many records as it was asked for",
    "stop at `limit`", limit;
    "capture/says_more", "A poll that leaves records behind says that there are more",
    "set `more` when you stop at `limit`", says_more;
    "capture/to_the_end", "Reading comes to an end: no records and no `more`",
    "give nothing, and not `more`, when all records are read", to_the_end;
    "capture/nothing_twice_in_a_row", "At the end, polls from the last position give nothing",
    "go on after the position that you are given", nothing_twice;
    "capture/positions", "A batch with records says where to go on",
    "give `position_after`, or a position with each record", positions;
    "capture/resumes", "A new instance goes on from a position, and leaves nothing out",
    "keep all that is needed to go on in the position, nothing in memory", resumes;
    "capture/new_records", "Records that come later are found from the last position",
    "do not end when the source is read to its end", new_records;
    "capture/foreign_position", "A position that makes no sense is an error of class `cursor_expired`",
    "return `Error::cursor_expired` when a position cannot be read", foreign_position;
    "capture/identified", "No two records of a batch pass for one",
    "give each record the source's own id as `message_id`, or a `version`", identified;
    "capture/same_ids_again", "Records that come again have the ids they had",
    "take `message_id` from the source; make up none", same_ids_again;
    "capture/same_order_again", "Records come in the same order each time",
    "sort by what the position is made of", same_order_again;
    "capture/readable", "A payload is what its content type says",
    "hand over what cannot be read as `Record::unreadable`", readable;
    "capture/acknowledged", "Acknowledgements of each kind are taken",
    "take every outcome in `acknowledge`", acknowledged;
    "capture/acknowledged_twice", "An acknowledgement that repeats does no harm",
    "treat what is deleted or moved already as done", acknowledged_twice;
    "capture/acknowledged_unknown", "An acknowledgement of what it no longer knows does no harm",
    "take outcomes of records that another instance gave", acknowledged_unknown;
    "capture/acknowledged_in_any_order", "Acknowledgements in any order leave nothing out",
    "acknowledge each record by itself, not all before it", any_order;
    "capture/not_acknowledged", "What was not acknowledged comes again",
    "delete, move or commit in the source only in `acknowledge`", not_acknowledged;
    "capture/retry", "What has to be tried again comes again",
    "after outcome `Retry`, give the record again when asked from before it", retry;
    "capture/killed_before_acknowledged", "After a kill between a record and its acknowledgement it comes again",
    "delete, move or commit in the source only in `acknowledge`", killed;
    "capture/one_at_a_time", "Read one by one, no record is left out",
    "let the position tell records of the same time apart", one_at_a_time;
}

async fn records(bench: &Bench) -> Outcome {
    let (_instance, capture) = bench.poller().await?;
    let n = bench.fresh()?;
    let batch = capture.poll(None, MANY).await.works("a poll goes well")?;
    let seen = || format!("{} records", batch.records.len());
    ensure(batch.records.len() >= n, &format!("at least {n} records"), seen)
}

async fn limit(bench: &Bench) -> Outcome {
    let (_instance, capture) = bench.poller().await?;
    bench.fresh()?;
    for limit in [1, 2, 3] {
        let polled = capture.poll(None, limit).await;
        let batch = polled.works(&format!("at most {limit} records"))?;
        let seen = || "none, though there are some".to_owned();
        ensure(!batch.records.is_empty(), "records", seen)?;
    }
    Ok(())
}

async fn says_more(bench: &Bench) -> Outcome {
    let (_instance, capture) = bench.poller().await?;
    if bench.fresh()? < 2 {
        return Err(skip("needs two records"));
    }
    let batch = capture.poll(None, 1).await.works("a poll goes well")?;
    ensure(batch.more, "`more` in a batch of 1", || "it says that this is all".to_owned())
}

async fn to_the_end(bench: &Bench) -> Outcome {
    let (_instance, capture) = bench.poller().await?;
    bench.fresh()?;
    bench.walk(&capture, None, 2).await.map(drop)
}

async fn nothing_twice(bench: &Bench) -> Outcome {
    let (_instance, capture) = bench.poller().await?;
    bench.fresh()?;
    let walk = bench.walk(&capture, None, MANY).await?;
    for _ in 0..3 {
        let batch = capture.poll(walk.position.clone(), MANY).await.works("a poll goes well")?;
        let seen = || format!("{:?}", identities(&batch.records));
        ensure(batch.records.is_empty(), "no records", seen)?;
    }
    Ok(())
}

async fn positions(bench: &Bench) -> Outcome {
    let (_instance, capture) = bench.poller().await?;
    bench.fresh()?;
    let batch = capture.poll(None, 2).await.works("a poll goes well")?;
    let seen = || "neither the batch nor its records have a position".to_owned();
    ensure(position_after(&batch).is_some(), "a position", seen)
}

async fn resumes(bench: &Bench) -> Outcome {
    let (first, capture) = bench.poller().await?;
    bench.fresh()?;
    let all = capture.poll(None, MANY).await.works("a poll goes well")?;
    let begun = capture.poll(None, 2).await.works("a poll of 2 goes well")?;
    acknowledge(&capture, &begun.records, Became::Accepted).await?;
    let position = position_after(&begun);
    drop((capture, first));
    let (_second, capture) = bench.poller().await?;
    let rest = bench.walk(&capture, position, 2).await?;
    let mut seen = identities(&begun.records);
    seen.extend(identities(&rest.records));
    let left_out = missing(&identities(&all.records), &seen);
    ensure(left_out.is_empty(), "each record", || format!("without {left_out:?}"))
}

async fn new_records(bench: &Bench) -> Outcome {
    let (_instance, capture) = bench.poller().await?;
    bench.put(1)?;
    let old = bench.walk(&capture, None, MANY).await?;
    bench.put(3)?;
    let new = bench.walk(&capture, old.position, MANY).await?;
    let ids: BTreeSet<_> =
        missing(&identities(&new.records), &identities(&old.records)).into_iter().collect();
    ensure(ids.len() == 3, "3 new records", || format!("{}: {ids:?}", ids.len()))
}

async fn foreign_position(bench: &Bench) -> Outcome {
    let (_instance, capture) = bench.poller().await?;
    bench.fresh()?;
    for bytes in [&b"no position of yours"[..], b"\xff\x00\xfe", b"{\"a\":[", b"-1"] {
        let position = Position::new(bytes.to_vec())
            .map_err(|error| fail("a position of a few bytes can be made", error.to_string()))?;
        let shown = bytes.escape_ascii();
        let expected = "an error of class `cursor_expired`";
        match capture.poll(Some(position), MANY).await {
            Err(error) => {
                let right = error.class() == ErrorClass::CursorExpired;
                ensure(right, expected, || format!("`{shown}`: {}", in_words(&error)))?;
            }
            Ok(batch) => {
                let n = batch.records.len();
                return Err(fail(expected, format!("`{shown}`: {n} records")));
            }
        }
    }
    Ok(())
}

async fn identified(bench: &Bench) -> Outcome {
    let (_instance, capture) = bench.poller().await?;
    bench.fresh()?;
    let batch = capture.poll(None, MANY).await.works("a poll goes well")?;
    let mut known = BTreeSet::new();
    for record in &batch.records {
        let id = identity(record);
        let seen = format!("two with `{id}`");
        ensure(known.insert(id), "no two records with one id", || seen)?;
    }
    Ok(())
}

async fn twice(bench: &Bench) -> Result<(Vec<String>, Vec<String>), crate::case::Stop> {
    let (_first, capture) = bench.poller().await?;
    bench.fresh()?;
    let first = capture.poll(None, MANY).await.works("a poll goes well")?;
    let (_second, capture) = bench.poller().await?;
    let second = capture.poll(None, MANY).await.works("a poll of a new instance goes well")?;
    Ok((identities(&first.records), identities(&second.records)))
}

async fn same_ids_again(bench: &Bench) -> Outcome {
    let (first, second) = twice(bench).await?;
    let lost = missing(&first, &second);
    ensure(lost.is_empty(), "the same ids", || format!("{lost:?} became {second:?}"))
}

async fn same_order_again(bench: &Bench) -> Outcome {
    let (first, second) = twice(bench).await?;
    ensure(first == second, "the same order", || format!("{first:?}, then {second:?}"))
}

async fn readable(bench: &Bench) -> Outcome {
    let (_instance, capture) = bench.poller().await?;
    bench.fresh()?;
    let batch = capture.poll(None, MANY).await.works("a poll goes well")?;
    batch.records.iter().try_for_each(is_readable)
}

pub(super) fn is_readable(record: &Record) -> Outcome {
    let is_json = record.content_type.starts_with("application/json");
    if record.unreadable.is_some() || !is_json {
        return Ok(());
    }
    let parsed = serde_json::from_slice::<serde::de::IgnoredAny>(&record.payload);
    let seen = || format!("{}: {}", identity(record), record.payload.escape_ascii());
    ensure(parsed.is_ok(), "JSON, as the content type says", seen)
}

async fn acknowledged(bench: &Bench) -> Outcome {
    let (_instance, capture) = bench.poller().await?;
    bench.fresh()?;
    for became in [Became::Retry, Became::Filtered, Became::Refused, Became::Accepted] {
        let batch = capture.poll(None, 1).await.works("a poll goes well")?;
        acknowledge(&capture, &batch.records, became).await?;
    }
    Ok(())
}

async fn acknowledged_twice(bench: &Bench) -> Outcome {
    let (_instance, capture) = bench.poller().await?;
    bench.fresh()?;
    let batch = capture.poll(None, 2).await.works("a poll goes well")?;
    for _ in 0..2 {
        acknowledge(&capture, &batch.records, Became::Accepted).await?;
    }
    bench.walk(&capture, position_after(&batch), MANY).await.map(drop)
}

async fn acknowledged_unknown(bench: &Bench) -> Outcome {
    let (_first, capture) = bench.poller().await?;
    bench.fresh()?;
    let batch = capture.poll(None, 2).await.works("a poll goes well")?;
    let (_second, capture) = bench.poller().await?;
    acknowledge(&capture, &batch.records, Became::Accepted).await?;
    let stranger = Record::json("{}").with_message_id("given-by-nobody");
    acknowledge(&capture, &[stranger], Became::Accepted).await
}

async fn any_order(bench: &Bench) -> Outcome {
    let (_instance, capture) = bench.poller().await?;
    bench.fresh()?;
    let batch = capture.poll(None, MANY).await.works("a poll goes well")?;
    let [first, rest @ ..] = batch.records.as_slice() else {
        return Err(skip("needs a record"));
    };
    for record in rest.iter().rev() {
        acknowledge(&capture, std::slice::from_ref(record), Became::Accepted).await?;
    }
    // The first one is not settled, so a hub that starts anew asks from before it.
    let (_second, capture) = bench.poller().await?;
    let again = capture.poll(None, MANY).await.works("a poll goes well")?;
    let id = identity(first);
    let is_there = identities(&again.records).contains(&id);
    ensure(is_there, "the one that was not acknowledged", || format!("without {id}"))
}

async fn not_acknowledged(bench: &Bench) -> Outcome {
    let (first, capture) = bench.poller().await?;
    bench.fresh()?;
    let given = capture.poll(None, 2).await.works("a poll goes well")?;
    first.stop().await.works("`stop` goes well")?;
    drop((capture, first));
    let (_second, capture) = bench.poller().await?;
    let again = capture.poll(None, MANY).await.works("a poll goes well")?;
    let lost = missing(&identities(&given.records), &identities(&again.records));
    ensure(lost.is_empty(), "each of them again", || format!("without {lost:?}"))
}

async fn retry(bench: &Bench) -> Outcome {
    let (_instance, capture) = bench.poller().await?;
    bench.fresh()?;
    let given = capture.poll(None, MANY).await.works("a poll goes well")?;
    acknowledge(&capture, &given.records, Became::Retry).await?;
    let again = bench.walk(&capture, None, MANY).await?;
    let lost = missing(&identities(&given.records), &identities(&again.records));
    ensure(lost.is_empty(), "each of them again", || format!("without {lost:?}"))
}

async fn killed(bench: &Bench) -> Outcome {
    if !bench.is_isolated() {
        return Err(skip("it has no process of its own"));
    }
    let (instance, capture) = bench.poller().await?;
    bench.fresh()?;
    let before = capture.poll(None, 2).await.works("a poll goes well")?;
    acknowledge(&capture, &before.records, Became::Accepted).await?;
    let stored = position_after(&before);
    let given = capture.poll(stored.clone(), N_PUT as u32).await.works("a poll goes well")?;
    kill(&instance)?;
    let again = bench
        .at_last("a poll goes well in the next process", || capture.poll(stored.clone(), MANY))
        .await?;
    let lost = missing(&identities(&given.records), &identities(&again.records));
    ensure(lost.is_empty(), "each of them again", || format!("without {lost:?}"))
}

/// Ends the process of an instance as nothing it does could prevent.
pub(super) fn kill(instance: &gantry_plugin_host::Instance) -> Outcome {
    let pid = instance.health().process.and_then(|pid| Pid::from_raw(pid as i32));
    let Some(pid) = pid else {
        return Ok(()); // it has just ended by itself
    };
    kill_process(pid, Signal::KILL).map_err(|error| fail("it can be killed", error.to_string()))
}

async fn one_at_a_time(bench: &Bench) -> Outcome {
    let (_instance, capture) = bench.poller().await?;
    bench.fresh()?;
    let all = capture.poll(None, MANY).await.works("a poll goes well")?;
    let walk = bench.walk(&capture, None, 1).await?;
    let lost = missing(&identities(&all.records), &identities(&walk.records));
    ensure(lost.is_empty(), "each record", || format!("without {lost:?}"))
}
