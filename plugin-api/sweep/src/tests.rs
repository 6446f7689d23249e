//! The window against a source that is a list: what is captured, in which order, and again.

use std::time::Duration;

use gantry_plugin_api::{Batch, Error, ErrorClass, Outcome, Position, Record, RecordOutcome};
use jiff::Timestamp;

use crate::{Bounds, Sweep, Sweeps};

/// Seconds since 1970 and id.
type Row = (i64, &'static str);

/// Polls as a connector does, two rows at a time; its cursor is the number of rows walked past.
struct Poller {
    sweeps: Sweeps<Sweep<usize>>,
    bounds: Bounds,
}

const LIMIT: usize = 2;

impl Poller {
    fn new(overlap_s: u64, lag_s: u64) -> Self {
        let (overlap, lag) = (Duration::from_secs(overlap_s), Duration::from_secs(lag_s));
        let bounds = Bounds { overlap, lag, earliest: None };
        Self { sweeps: Sweeps::default(), bounds }
    }

    fn poll(&self, rows: &[Row], now_s: i64, from: Option<&Position>) -> Result<Batch, Error> {
        let mut sweep = match self.sweeps.resume("leads", from) {
            Some(sweep) => sweep,
            None => Sweep::begin(from, &self.bounds, now_s * 1000, 0)?,
        };
        let mut rows: Vec<_> = rows.iter().map(|(at, id)| (second(*at), *id)).collect();
        rows.retain(|(at, _)| sweep.since() <= Some(*at) && *at < sweep.until());
        rows.sort_unstable();
        let mut records = Vec::new();
        while records.len() < LIMIT
            && let Some((at, id)) = rows.get(sweep.cursor)
        {
            let record = sweep.pass(*at, id, Record::json((*id).to_owned()))?;
            records.extend(self.sweeps.unsettled("leads", id.as_bytes(), record));
            sweep.cursor += 1;
        }
        let ended = sweep.cursor >= rows.len();
        let position = sweep.position(ended)?;
        Ok(self.sweeps.pause("leads", (!ended).then_some(sweep), position, records))
    }

    /// Polls until there is no more, settles all, and gives the ids and where to go on.
    fn drain(&self, rows: &[Row], now_s: i64, from: Option<Position>) -> (String, Position) {
        let (mut ids, mut from) = (Vec::new(), from);
        loop {
            let batch = self.poll(rows, now_s, from.as_ref()).unwrap();
            self.settle(&batch, Outcome::Accepted);
            ids.extend(texts(&batch));
            from = batch.position_after;
            if !batch.more {
                return (ids.join(" "), from.unwrap());
            }
        }
    }

    fn settle(&self, batch: &Batch, outcome: Outcome) {
        let outcomes = batch.records.iter().map(|record| RecordOutcome::of(record, outcome, None));
        self.sweeps.settle("leads", &outcomes.collect::<Vec<_>>());
    }
}

fn second(at: i64) -> Timestamp {
    Timestamp::from_second(at).unwrap()
}

fn texts(batch: &Batch) -> Vec<String> {
    let text = |record: &Record| String::from_utf8(record.payload.to_vec()).unwrap();
    batch.records.iter().map(text).collect()
}

fn position(text: &str) -> Position {
    Position::new(text.to_owned()).unwrap()
}

#[test]
fn all_rows_come_once_also_those_of_one_moment_across_a_page() {
    let poller = Poller::new(120, 15);
    let rows = [(100, "a"), (100, "b"), (100, "c"), (100, "d"), (101, "e"), (990, "late")];
    let (ids, end) = poller.drain(&rows, 1000, None);
    assert_eq!(ids, "a b c d e");
    assert_eq!(end, position(r#"{"at":"1970-01-01T00:16:25Z"}"#));
    let (ids, end) = poller.drain(&rows, 1006, Some(end));
    assert_eq!(ids, "late");
    assert_eq!(poller.drain(&rows, 1007, Some(end)).0, "");
}

#[test]
fn what_is_committed_late_is_found_within_the_overlap() {
    let poller = Poller::new(120, 15);
    let (_, end) = poller.drain(&[(900, "a")], 1000, None);
    assert_eq!(poller.bounds.since(Some(&end)).unwrap(), Some(second(865)));
    assert_eq!(poller.bounds.since(None).unwrap(), None);
    // 985 is the end of the first window: 865 is inside the overlap, 864 is not.
    let rows = [(864, "lost"), (865, "old"), (900, "a")];
    assert_eq!(poller.drain(&rows, 1001, Some(end)).0, "old");
}

#[test]
fn a_restart_gives_the_overlap_again_and_a_position_in_a_page_loses_nothing() {
    let rows = [(800, "z"), (950, "a"), (950, "b"), (950, "c"), (951, "d")];
    let poller = Poller::new(10, 15);
    let first = poller.poll(&rows, 1000, None).unwrap();
    assert_eq!((texts(&first).join(" "), first.more), ("z a".to_owned(), true));
    // The hub died between the two records.
    let inside = first.records[1].position.clone();
    assert_eq!(inside, Some(position(r#"{"at":"1970-01-01T00:15:50Z","id":"a"}"#)));
    assert_eq!(Poller::new(10, 15).drain(&rows, 1000, inside).0, "a b c d");
}

#[test]
fn a_record_to_be_retried_comes_again_and_the_settled_do_not() {
    let poller = Poller::new(120, 15);
    let rows = [(900, "a"), (900, "b"), (900, "c"), (900, "d")];
    let first = poller.poll(&rows, 1000, None).unwrap();
    let outcome = |at: usize, outcome| RecordOutcome::of(&first.records[at], outcome, None);
    let outcomes = [outcome(0, Outcome::Retry), outcome(1, Outcome::Refused)];
    poller.sweeps.settle("leads", &outcomes);
    let (ids, _) = poller.drain(&rows, 1000, None);
    assert_eq!(ids, "a c d");
}

#[test]
fn changes_are_told_from_repeats_by_content() {
    let poller = Poller::new(120, 15);
    let (_, end) = poller.drain(&[(900, "a")], 1000, None);
    // Stamped anew without a change: nothing to tell.
    let (ids, end) = poller.drain(&[(990, "a")], 1010, Some(end));
    assert_eq!(ids, "");
    let again = poller.drain(&[(990, "a"), (990, "b")], 1011, Some(end)).0;
    assert_eq!(again, "b");
}

#[test]
fn an_operator_sets_positions_and_learns_how() {
    let poller = Poller::new(0, 0);
    let rows = [(900, "a"), (901, "b")];
    let from = position(r#"{"at": "1970-01-01T01:15:01+01:00"}"#);
    assert_eq!(poller.drain(&rows, 1000, Some(from)).0, "b");
    let error = poller.poll(&rows, 1000, Some(&position("yesterday"))).unwrap_err();
    assert_eq!(error.class(), ErrorClass::CursorExpired);
    assert!(error.message().contains("1970") || error.message().contains("2026-01-31"), "{error}");
}

#[test]
fn a_bound_in_the_past_stands_above_the_overlap() {
    let mut poller = Poller::new(120, 15);
    poller.bounds.earliest = Some(second(900));
    let (ids, end) = poller.drain(&[(899, "a"), (900, "b")], 1000, None);
    assert_eq!(ids, "b");
    assert_eq!(poller.drain(&[(899, "a"), (950, "c")], 1001, Some(end)).0, "c");
}
