//! A child process that dies at planned places, or by SIGKILL, and what is left of its commits.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use gantry_model::ItemId;
use gantry_store::baseline::KeyOrder;
use gantry_store::{Commit, Store, failpoint};

use crate::world::{capture, complete, queued};
use crate::{Bed, SqliteBed};

/// Names the database to the child.
const CHILD: &str = "GANTRY_TEST_CRASH_CHILD";
/// Items a commit captures; odd commits complete those of the one before.
const ITEMS: u64 = 40;
const COMMITS: u64 = 60;

/// The commit of that number, the same in child and parent.
fn made(seq: u64) -> Commit {
    let captures = seq.div_ceil(2);
    let first = 1 + (captures - 1) * ITEMS;
    if seq % 2 == 1 {
        capture(seq, first, ITEMS, KeyOrder::Ordered)
    } else {
        let mut made = complete(seq, (first..first + ITEMS).map(queued));
        made.next_counter = first + ITEMS;
        made
    }
}

/// Not a test by itself: the process that dies. It says each commit that was acknowledged.
#[tokio::test]
#[ignore = "run by the other tests of this module, in a process of its own"]
async fn crash_child() {
    let path = std::env::var(CHILD).expect("started by a test of this module");
    let store = gantry_store::open(&format!("sqlite:{path}")).await.unwrap();
    let next = store.boot().await.unwrap().seq + 1;
    for seq in next..=COMMITS {
        store.commit(&made(seq)).await.unwrap();
        println!("acknowledged {seq}");
    }
}

fn start(path: &Path, failpoint: Option<String>) -> Child {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(["--ignored", "--exact", "crash::crash_child", "--nocapture"])
        .env(CHILD, path)
        .stdout(Stdio::piped())
        .stderr(Stdio::null());
    match failpoint {
        Some(failpoint) => command.env(failpoint::VARIABLE, failpoint),
        None => command.env_remove(failpoint::VARIABLE),
    };
    command.spawn().unwrap()
}

/// Reads what the child acknowledges until it has said `stop_at` or has died.
fn acknowledged(child: &mut Child, stop_at: u64) -> u64 {
    let mut last = 0;
    for line in BufReader::new(child.stdout.take().unwrap()).lines() {
        let line = line.unwrap();
        if let Some((_, number)) = line.split_once("acknowledged ") {
            last = number.parse().unwrap();
            if last == stop_at {
                break;
            }
        }
    }
    last
}

/// Everything that a store tells about the first commits.
async fn told(store: &dyn Store, seq: u64) -> Vec<String> {
    let boot = store.boot().await.unwrap();
    let mut told = vec![
        format!("{} {} {:?}", boot.seq, boot.next_counter, boot.at),
        format!("{:?}", boot.items),
        format!("{:?}", store.counts().await.unwrap()),
        format!("{:?}", store.segments(0, 1_000).await.unwrap()),
    ];
    for counter in (1..=(seq + 2) * ITEMS / 2).step_by(13) {
        let item = ItemId::new(0, counter);
        told.push(format!("{:?}", store.item(item).await.unwrap()));
        told.push(format!("{:?}", store.document(item, None).await.unwrap()));
        told.push(format!("{:?}", store.history(item).await.unwrap()));
    }
    told
}

/// Opens what the child left, compares it with a store that never crashed, and goes on.
async fn expect_exactly(bed: &SqliteBed, seq: u64) {
    let calm_bed = SqliteBed::new();
    let calm = calm_bed.open().await.unwrap();
    for seq in 1..=seq {
        calm.commit(&made(seq)).await.unwrap();
    }
    let store = bed.open().await.unwrap();
    assert_eq!(told(&*store, seq).await, told(&*calm, seq).await);
    // What the child may not have heard of is repeated, and what it lost is made again.
    for seq in seq.max(1)..=seq + 2 {
        store.commit(&made(seq)).await.unwrap();
    }
    assert_eq!(store.boot().await.unwrap().seq, seq + 2);
}

#[tokio::test]
async fn a_death_at_any_failpoint_leaves_whole_commits() {
    for (name, lost) in
        [(failpoint::BEFORE_COMMIT, 1), (failpoint::MID_COMMIT, 1), (failpoint::AFTER_COMMIT, 0)]
    {
        for pass in [1, 2, 37] {
            let bed = SqliteBed::new();
            let mut child = start(&bed.path(), Some(format!("{name}:{pass}")));
            let heard = acknowledged(&mut child, COMMITS);
            let status = child.wait().unwrap();
            assert!(!status.success(), "{name}:{pass} killed nobody");
            assert_eq!(heard, pass - 1, "{name}:{pass}");
            expect_exactly(&bed, pass - lost).await;
        }
    }
}

#[tokio::test]
async fn what_was_acknowledged_survives_a_kill() {
    let bed = SqliteBed::new();
    let mut heard = 0;
    for stop_at in [3, 20, 41] {
        let mut child = start(&bed.path(), None);
        heard = acknowledged(&mut child, stop_at);
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!(heard, stop_at, "it was killed after this one");
    }
    let store = bed.open().await.unwrap();
    let boot = store.boot().await.unwrap();
    drop(store);
    assert!(boot.seq >= heard, "{} of {heard} acknowledged commits are there", boot.seq);
    assert_eq!(boot.epoch, 4, "each start takes over");
    expect_exactly(&bed, boot.seq).await;
}
