//! Processes are killed under load, again and again, and nothing is lost or doubled.

use std::collections::BTreeMap;

use rustix::process::{Pid, Signal, kill_process};

use super::*;

/// Kills in an ordinary run; `GANTRY_KILLS` gives another number for a long one.
const N_KILLS: usize = 1000;

/// What a hub stores: the records and the position after them, together.
#[derive(Default)]
struct Stored {
    records: BTreeMap<String, u32>,
    position: Option<Position>,
}

#[tokio::test]
async fn nothing_is_lost_or_doubled_however_often_a_process_is_killed() {
    let n_kills = std::env::var("GANTRY_KILLS").ok().and_then(|n| n.parse().ok());
    let n_kills: usize = n_kills.unwrap_or(N_KILLS);
    let folder = Folder::with(&["counter"]);
    let library = folder.isolate("counter");
    let config = br#"{"last": 1000000000}"#.to_vec();
    let instance = library.create("row", config, &[]).await.unwrap();
    let capture = instance.attach_capture("all", b"{}".to_vec()).await.unwrap();
    let lookup = instance.attach_lookup("even", b"{}".to_vec()).await.unwrap();
    let mut stored = Stored::default();
    let mut killed = Vec::new();
    while killed.len() < n_kills {
        let batch = at_last(|| capture.poll(stored.position.clone(), 50)).await;
        // Between the records and their acknowledgement, and while other operations run.
        if let Some(process) = instance.health().process
            && killed.last() != Some(&process)
        {
            let pid = Pid::from_raw(process as i32).unwrap();
            let query = Query::new(Json::from_bytes(br#"{"number": 4}"#.as_slice()));
            let queries = vec![query; 100];
            let asked = lookup.lookup(&queries);
            let (answers, ()) = tokio::join!(asked, async {
                kill_process(pid, Signal::KILL).unwrap();
            });
            if let Err(error) = answers {
                assert_eq!(error.class(), ErrorClass::Transient, "{error:?}");
            }
            killed.push(process);
        }
        for record in &batch.records {
            let id = record.message_id.clone().unwrap();
            *stored.records.entry(id).or_default() += 1;
        }
        stored.position = batch.records.last().unwrap().position.clone();
    }
    let n = stored.records.len();
    assert!(stored.records.values().all(|times| *times == 1), "a record is doubled");
    let numbers = stored.records.keys().map(|id| id.parse::<usize>().unwrap());
    assert_eq!(numbers.max(), Some(n), "a record is lost");
    assert_eq!(library.n_violations(), 0);
}
