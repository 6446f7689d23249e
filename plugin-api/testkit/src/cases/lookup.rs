//! Look-ups: one answer each, in order, and a failure is no miss.

use futures_util::future::join_all;
use gantry_plugin_host::LookupHandle;
use gantry_plugin_host::api::message::RoleName;
use gantry_plugin_host::api::{Answer, Error, Query};
use serde_json::{Map, Value, json};

use crate::bench::{Bench, query_of};
use crate::case::{Outcome, Stop, Works as _, ensure, fail, skip};
use crate::proxy::Mood;
use crate::script;

cases! {
    "lookup/examples", "The test file's queries are answered as it says",
    "correct the test file, or the answers", examples;
    "lookup/missing", "A key that the source does not have is no error",
    "answer `Ok(None)` where the source has nothing", miss;
    "lookup/order", "Answers stand in the order of their queries",
    "keep the place of each query, also if they are asked concurrently", order;
    "lookup/alone_as_together", "A query alone is answered as it is among others",
    "answer each query by itself", alone_as_together;
    "lookup/none", "No queries get no answers",
    "give as many answers as there are queries, also if there are none", none;
    "lookup/many", "A hundred queries at once get a hundred answers",
    "give one answer a query", many;
    "lookup/concurrent", "Sixteen calls at once are answered as one is",
    "share nothing between calls that another one could change", concurrent;
    "lookup/odd_attributes", "No attributes panic, whatever they are",
    "answer what makes no sense with an error of its own, or `Ok(None)`", odd_attributes;
    "lookup/one_bad", "A query that fails fails alone",
    "return `Err` for the query, not for the call", one_bad;
    "lookup/down", "While the source is down, look-ups fail; nothing is missing",
    "return an error when the source cannot be asked, never `Ok(None)`", down;
}

type Answered = Result<Option<Answer>, Error>;

fn told(bench: &Bench) -> Result<Vec<&script::Query>, Stop> {
    bench.needs(RoleName::Lookup)?;
    let told = bench.script.lookup.iter().flat_map(|lookup| &lookup.queries);
    let told: Vec<_> = told.filter(|query| !query.fails).collect();
    if told.is_empty() {
        return Err(skip("needs `[[lookup.query]]` in the test file"));
    }
    Ok(told)
}

fn queries(told: &[&script::Query]) -> Vec<Query> {
    told.iter().map(|told| query_of(&told.attributes)).collect()
}

async fn ask(lookup: &LookupHandle, queries: &[Query]) -> Result<Vec<Answered>, Stop> {
    lookup.lookup(queries).await.works("as many answers as queries")
}

/// Whether an answer is the one that the test file tells.
fn is_as_told(told: &script::Query, answered: &Answered) -> Outcome {
    let attributes = Value::Object(told.attributes.clone());
    let (expected, right) = match (&told.answer, answered) {
        (None, answered) => (format!("{attributes}: no such key"), matches!(answered, Ok(None))),
        (Some(wanted), answered) => {
            let expected = format!("{attributes}: {}", Value::Object(wanted.clone()));
            let found = answered.as_ref().ok().and_then(Option::as_ref);
            let found = found.and_then(|found| found.attributes.parse::<Map<_, _>>().ok());
            let holds = found.is_some_and(|found: Map<String, Value>| {
                wanted.iter().all(|(key, value)| found.get(key) == Some(value))
            });
            (expected, holds)
        }
    };
    ensure(right, &expected, || in_words(answered))
}

fn in_words(answered: &Answered) -> String {
    match answered {
        Ok(Some(answer)) => String::from_utf8_lossy(answer.attributes.as_bytes()).into_owned(),
        Ok(None) => "no such key".to_owned(),
        Err(error) => format!("error of class `{}`: {error}", error.class()),
    }
}

fn are_as_told(told: &[&script::Query], answers: &[Answered]) -> Outcome {
    told.iter().zip(answers).try_for_each(|(told, answered)| is_as_told(told, answered))
}

async fn examples(bench: &Bench) -> Outcome {
    let told = told(bench)?;
    let (_instance, lookup) = bench.lookup().await?;
    are_as_told(&told, &ask(&lookup, &queries(&told)).await?)
}

async fn miss(bench: &Bench) -> Outcome {
    let told: Vec<_> = told(bench)?.into_iter().filter(|told| told.answer.is_none()).collect();
    if told.is_empty() {
        return Err(skip("needs a `[[lookup.query]]` without `answer` in the test file"));
    }
    let (_instance, lookup) = bench.lookup().await?;
    are_as_told(&told, &ask(&lookup, &queries(&told)).await?)
}

async fn order(bench: &Bench) -> Outcome {
    let mut told = told(bench)?;
    told.reverse();
    let (_instance, lookup) = bench.lookup().await?;
    are_as_told(&told, &ask(&lookup, &queries(&told)).await?)
}

async fn alone_as_together(bench: &Bench) -> Outcome {
    let told = told(bench)?;
    let (_instance, lookup) = bench.lookup().await?;
    for told in told {
        let answers = ask(&lookup, &queries(&[told])).await?;
        are_as_told(&[told], &answers)?;
    }
    Ok(())
}

async fn none(bench: &Bench) -> Outcome {
    let (_instance, lookup) = bench.lookup().await?;
    ask(&lookup, &[]).await.map(drop)
}

async fn many(bench: &Bench) -> Outcome {
    let told = told(bench)?;
    let (_instance, lookup) = bench.lookup().await?;
    let told: Vec<_> = told.iter().copied().cycle().take(100).collect();
    are_as_told(&told, &ask(&lookup, &queries(&told)).await?)
}

async fn concurrent(bench: &Bench) -> Outcome {
    let told = told(bench)?;
    let (_instance, lookup) = bench.lookup().await?;
    let queries = queries(&told);
    for answers in join_all((0..16).map(|_| ask(&lookup, &queries))).await {
        are_as_told(&told, &answers?)?;
    }
    Ok(())
}

async fn odd_attributes(bench: &Bench) -> Outcome {
    let (_instance, lookup) = bench.lookup().await?;
    let of = |value: Value| {
        let keys = bench.script.lookup.iter().flat_map(|lookup| &lookup.queries);
        let keys = keys.flat_map(|query| query.attributes.keys());
        let odd: Map<String, Value> = keys.map(|key| (key.clone(), value.clone())).collect();
        query_of(&odd)
    };
    let values = [
        Value::Null,
        json!(""),
        json!("\u{0}' OR 1=1; --\u{1f9ed}"),
        json!("a".repeat(10_000)),
        json!(-1),
        json!(u64::MAX),
        json!(0.5),
        json!(true),
        json!([1, "a"]),
        json!({ "a": null }),
    ];
    let mut odd: Vec<_> = values.into_iter().map(of).collect();
    odd.push(query_of(&Map::new()));
    // Each may fail, but the call does not.
    ask(&lookup, &odd).await.map(drop)
}

async fn one_bad(bench: &Bench) -> Outcome {
    let good = told(bench)?;
    let bad = bench.script.lookup.iter().flat_map(|lookup| &lookup.queries);
    let bad = bad.filter(|query| query.fails).collect::<Vec<_>>();
    let Some(bad) = bad.first() else {
        return Err(skip("needs a `[[lookup.query]]` with `fails = true` in the test file"));
    };
    let (_instance, lookup) = bench.lookup().await?;
    let mut all = queries(&good);
    all.insert(0, query_of(&bad.attributes));
    let answers = ask(&lookup, &all).await?;
    let seen = || in_words(&answers[0]);
    ensure(answers[0].is_err(), "an error for the query that fails", seen)?;
    are_as_told(&good, &answers[1..])
}

async fn down(bench: &Bench) -> Outcome {
    let told = told(bench)?;
    bench.needs_proxy()?;
    let (_instance, lookup) = bench.lookup().await?;
    let queries = queries(&told);
    let asked = async { Ok(lookup.lookup(&queries).await) };
    match bench.while_network_is(Mood::Down, asked).await? {
        Err(_) => Ok(()),
        Ok(answers) => answers.iter().try_for_each(|answered| match answered {
            Err(_) => Ok(()),
            Ok(_) => Err(fail("an error", in_words(answered))),
        }),
    }
}
