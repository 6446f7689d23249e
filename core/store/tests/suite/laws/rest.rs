//! Positions, cursors, lanes, dead letters, config versions, alerts.

use bytes::Bytes;
use gantry_model::{ItemId, Timestamp};
use gantry_store::{
    AlertChange, AlertRow, ConfigRow, CursorRow, DeadLetter, DeadLetterChange, DeadLetterFilter,
    DeadLetterKind, DeadLetterRow, LaneChange, LaneKey, LaneRow, LaneState, PauseChange, PauseRow,
    PositionRow, Resolution,
};

use crate::Bed;
use crate::world::{at, commit};

pub(crate) async fn positions_and_cursors_are_overwritten(bed: &dyn Bed) {
    let position = |point: &str, partition: &str, position: &[u8], minute| PositionRow {
        capture_point: point.into(),
        source_partition: partition.into(),
        position: position.into(),
        at: at(minute),
    };
    let cursor =
        |subscriber: &str, seq, index| CursorRow { subscriber: subscriber.into(), seq, index };
    let store = bed.open().await.unwrap();
    let mut made = commit(1, Vec::new());
    made.positions = vec![
        position("leads", "", b"10", 1),
        position("topic", "1", b"a", 1),
        position("topic", "0", b"b", 1),
        position("leads", "", b"11", 1),
    ];
    made.cursors = vec![cursor("crm", 1, 0), cursor("audit", 1, 0), cursor("crm", 1, 2)];
    store.commit(&made).await.unwrap();
    let mut made = commit(2, Vec::new());
    made.positions = vec![position("topic", "0", b"", 2)];
    made.cursors = vec![cursor("crm", 2, 0)];
    store.commit(&made).await.unwrap();
    let topic = [position("topic", "0", b"", 2), position("topic", "1", b"a", 1)];
    assert_eq!(store.positions(Some("topic")).await.unwrap(), topic);
    let leads = [position("leads", "", b"11", 1)];
    assert_eq!(store.positions(Some("leads")).await.unwrap(), leads);
    assert_eq!(store.positions(None).await.unwrap(), [&leads[..], &topic[..]].concat());
    let cursors = [cursor("audit", 1, 0), cursor("crm", 2, 0)];
    assert_eq!(store.cursors().await.unwrap(), cursors);
}

pub(crate) async fn positions_of_the_past_are_told_minute_by_minute(bed: &dyn Bed) {
    let at_ms = |ms| Timestamp(at(0).0 + ms);
    let position = |partition: &str, position: &[u8], ms| PositionRow {
        capture_point: "leads".into(),
        source_partition: partition.into(),
        position: position.into(),
        at: at_ms(ms),
    };
    let store = bed.open().await.unwrap();
    let then = async |ms| -> Vec<String> {
        let rows = store.positions_at("leads", at_ms(ms)).await.unwrap();
        let text = |row: PositionRow| {
            format!("{}{}", row.source_partition, String::from_utf8(row.position).unwrap())
        };
        rows.into_iter().map(text).collect()
    };
    let mut seq = 0;
    for (ms, name) in [(0, "a"), (30_000, "b"), (59_999, "c"), (60_000, "d"), (61_000, "e")] {
        seq += 1;
        let mut made = commit(seq, Vec::new());
        made.positions = vec![position("", name.as_bytes(), ms)];
        store.commit(&made).await.unwrap();
    }
    assert_eq!(then(-1).await, [""; 0], "nothing is known of before");
    assert_eq!(then(0).await, ["a"]);
    assert_eq!(then(59_999).await, ["a"], "a minute is told by its first");
    assert_eq!(then(60_500).await, ["d"]);
    assert_eq!(then(61_000).await, ["e"], "the present position is exact");
    // What was moved is told to the millisecond.
    let mut made = commit(seq + 1, Vec::new());
    made.positions = vec![position("", b"f", 62_000), position("eu", b"1", 62_000)];
    made.moved_positions = vec![position("", b"moved", 62_500)];
    store.commit(&made).await.unwrap();
    let mut made = commit(seq + 2, Vec::new());
    made.positions = vec![position("", b"g", 63_000)];
    store.commit(&made).await.unwrap();
    assert_eq!(then(62_400).await, ["d", "eu1"]);
    assert_eq!(then(62_700).await, ["moved", "eu1"]);
    assert_eq!(store.positions_at("other", at_ms(62_700)).await.unwrap(), []);

    // Kept: what a rewind to the limit or later needs.
    assert_eq!(store.forget_positions(at_ms(60_500), 100, 100).await.unwrap(), 1);
    assert_eq!(then(59_999).await, [""; 0]);
    assert_eq!(then(60_500).await, ["d"]);
    assert_eq!(store.forget_positions(at_ms(0), 0, 1).await.unwrap(), 1, "bounded in number too");
    assert_eq!(then(62_700).await, ["moved", "eu1"]);
    assert_eq!(store.forget_positions(at_ms(90_000), 100, 100).await.unwrap(), 0);
}

pub(crate) async fn pauses_come_and_go(bed: &dyn Bed) {
    let pause = |point: &str, reason: Option<&str>, minute| PauseRow {
        capture_point: point.into(),
        by: "admin".into(),
        reason: reason.map(Into::into),
        at: at(minute),
    };
    let store = bed.open().await.unwrap();
    let mut made = commit(1, Vec::new());
    made.pauses = vec![
        PauseChange::Put(pause("leads", None, 1)),
        PauseChange::Put(pause("carts", Some("moved"), 1)),
        PauseChange::Put(pause("web", None, 1)),
        PauseChange::Remove("web".into()),
    ];
    store.commit(&made).await.unwrap();
    let mut made = commit(2, Vec::new());
    made.pauses = vec![PauseChange::Put(pause("leads", Some("again"), 2))];
    store.commit(&made).await.unwrap();
    let expected = [pause("carts", Some("moved"), 1), pause("leads", Some("again"), 2)];
    assert_eq!(store.pauses().await.unwrap(), expected);
}

pub(crate) async fn lanes_are_put_and_removed(bed: &dyn Bed) {
    let key = |subscriber: &str, item, seq, index| LaneKey {
        subscriber: subscriber.into(),
        item: ItemId::new(0, item),
        seq,
        index,
    };
    let lane = |key, state, attempts| LaneRow {
        key,
        state,
        attempts,
        next_at: (state == LaneState::Retrying).then(|| at(9)),
        error: (state != LaneState::DoneAhead).then(|| "connection refused".into()),
    };
    let store = bed.open().await.unwrap();
    let mut made = commit(1, Vec::new());
    made.lanes = vec![
        LaneChange::Put(lane(key("crm", 2, 1, 3), LaneState::DoneAhead, 1)),
        LaneChange::Put(lane(key("crm", 1, 1, 0), LaneState::Retrying, 1)),
        LaneChange::Put(lane(key("audit", 1, 1, 0), LaneState::Retrying, 1)),
        LaneChange::Put(lane(key("crm", 3, 1, 0), LaneState::Retrying, 1)),
        LaneChange::Remove(key("crm", 3, 1, 0)),
    ];
    store.commit(&made).await.unwrap();
    let mut made = commit(2, Vec::new());
    made.lanes = vec![
        LaneChange::Put(lane(key("crm", 1, 1, 0), LaneState::Dead, 5)),
        LaneChange::Remove(key("audit", 1, 1, 0)),
    ];
    store.commit(&made).await.unwrap();
    let expected = [
        lane(key("crm", 1, 1, 0), LaneState::Dead, 5),
        lane(key("crm", 2, 1, 3), LaneState::DoneAhead, 1),
    ];
    assert_eq!(store.lanes(&"crm".into()).await.unwrap(), expected);
    assert_eq!(store.lanes(&"audit".into()).await.unwrap(), []);
}

fn letter(id: &str, kind: DeadLetterKind, origin: &str, minute: i64) -> DeadLetterRow {
    DeadLetterRow {
        id: id.into(),
        kind,
        origin: origin.into(),
        external_id: (kind == DeadLetterKind::Capture).then(|| "C-1".into()),
        item: (kind == DeadLetterKind::Callback).then(|| ItemId::new(0, 1)),
        payload: Bytes::from_static(b"\xff\0not JSON"),
        content_type: None,
        code: "GANTRY-P003".into(),
        class: (minute > 1).then(|| format!("class of {origin}")),
        reason: "the record is not UTF-8".into(),
        at: at(minute),
        attempts: minute as u32,
    }
}

pub(crate) async fn dead_letters_open_and_close(bed: &dyn Bed) {
    let (record, callback) = (DeadLetterKind::Capture, DeadLetterKind::Callback);
    let store = bed.open().await.unwrap();
    let mut made = commit(1, Vec::new());
    made.dead_letters = vec![
        DeadLetterChange::Put(letter("a", record, "leads", 1)),
        DeadLetterChange::Put(letter("b", callback, "crm", 2)),
        DeadLetterChange::Put(letter("c", record, "carts", 2)),
        DeadLetterChange::Put(letter("d", record, "leads", 3)),
    ];
    store.commit(&made).await.unwrap();
    let resolve =
        |id: &str, how, minute| DeadLetterChange::Resolve { id: id.into(), how, at: at(minute) };
    // Settled, failed again in the same commit, and settled again: the order counts.
    let mut made = commit(2, Vec::new());
    made.dead_letters = vec![
        resolve("a", Resolution::Skipped, 4),
        resolve("d", Resolution::Retried, 4),
        DeadLetterChange::Put(letter("d", record, "leads", 5)),
        DeadLetterChange::Put(letter("b", callback, "crm", 6)),
        resolve("b", Resolution::Retried, 7),
    ];
    store.commit(&made).await.unwrap();
    let all = DeadLetterFilter { limit: 100, ..DeadLetterFilter::default() };
    let ids = async |filter: DeadLetterFilter| -> String {
        let found = store.dead_letters(&filter).await.unwrap();
        found.iter().map(|letter| letter.row.id.as_str()).collect()
    };
    assert_eq!(ids(all.clone()).await, "bdca");
    assert_eq!(ids(DeadLetterFilter { open: Some(true), ..all.clone() }).await, "dc");
    assert_eq!(ids(DeadLetterFilter { open: Some(false), ..all.clone() }).await, "ba");
    assert_eq!(ids(DeadLetterFilter { kind: Some(record), ..all.clone() }).await, "dca");
    assert_eq!(ids(DeadLetterFilter { origin: Some("leads".into()), ..all.clone() }).await, "da");
    let class = Some("class of leads".to_owned());
    assert_eq!(ids(DeadLetterFilter { class, ..all.clone() }).await, "d", "of `a` it is not known");
    let after = Some("d".to_owned());
    assert_eq!(ids(DeadLetterFilter { after, limit: 1, ..all }).await, "c");
    let settled = DeadLetter {
        row: letter("b", callback, "crm", 6),
        resolved: Some((Resolution::Retried, at(7))),
    };
    assert_eq!(store.dead_letter("b").await.unwrap(), Some(settled));
    let open = DeadLetter { row: letter("d", record, "leads", 5), resolved: None };
    assert_eq!(store.dead_letter("d").await.unwrap(), Some(open));
    assert_eq!(store.dead_letter("e").await.unwrap(), None);
}

pub(crate) async fn config_versions_are_kept(bed: &dyn Bed) {
    let config = |version: u32| ConfigRow {
        version,
        json: format!("{{\"version\":{version}}}").into_bytes(),
        sha256: [version as u8; 32],
        at: at(i64::from(version)),
    };
    let store = bed.open().await.unwrap();
    for version in 1..=3 {
        let mut made = commit(u64::from(version), Vec::new());
        made.configs = vec![config(version)];
        made.config_version = version.min(2);
        store.commit(&made).await.unwrap();
    }
    assert_eq!(store.boot().await.unwrap().config, Some(config(2)), "the active one");
    assert_eq!(store.config(3).await.unwrap(), Some(config(3)));
    assert_eq!(store.config(4).await.unwrap(), None);
    let versions: Vec<_> = store.configs().await.unwrap();
    let brief: Vec<_> =
        (1..=3).rev().map(|version| ConfigRow { json: Vec::new(), ..config(version) }).collect();
    assert_eq!(versions, brief);
}

pub(crate) async fn alerts_are_raised_once_and_cleared(bed: &dyn Bed) {
    let row =
        |alert: &str, minute, value| AlertRow { alert: alert.into(), raised_at: at(minute), value };
    let raise = |alert, minute, value| AlertChange::Raise(row(alert, minute, value));
    let store = bed.open().await.unwrap();
    let mut made = commit(1, Vec::new());
    made.alerts = vec![raise("backlog", 2, 120), raise("wait", 1, 90_000), raise("old", 1, 1)];
    store.commit(&made).await.unwrap();
    let mut made = commit(2, Vec::new());
    made.alerts = vec![
        raise("backlog", 3, 150),
        AlertChange::Clear("old".into()),
        AlertChange::Clear("wait".into()),
        raise("wait", 4, 70_000),
        AlertChange::Clear("never".into()),
    ];
    store.commit(&made).await.unwrap();
    let raised = [row("backlog", 2, 120), row("wait", 4, 70_000)];
    assert_eq!(store.alerts().await.unwrap(), raised);
}
