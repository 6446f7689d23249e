//! Drives the connector as the hub does: polls, settles, forgets, starts again.

mod documents;

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use gantry_plugin_api::{
    Batch, Capture, Context, Error, ErrorClass, HumanDuration, Plugin, Position, Record,
};
use proptest::prelude::*;
use tempfile::TempDir;

use crate::Folder;
use crate::config::{Config, Settings};
use crate::reader::ENTRY_LEN_MAX;

/// Far enough in the future that each file has settled, in Unix milliseconds.
const LATER_MS: i64 = 4_000_000_000_000;

/// A hub in small: it stores the position, and that is all it knows.
struct Hub {
    folder: TempDir,
    settings: Settings,
    now_ms: i64,
    position: Option<Position>,
    runtime: tokio::runtime::Runtime,
}

impl Hub {
    fn new() -> Self {
        Self::with(Settings::default())
    }

    fn with(settings: Settings) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let folder = tempfile::tempdir().unwrap();
        Self { folder, settings, now_ms: LATER_MS, position: None, runtime }
    }

    fn drop_file(&self, name: &str, content: impl AsRef<[u8]>) {
        fs::write(self.folder.path().join(name), content).unwrap();
    }

    fn poll(&self, limit: usize) -> Result<Batch, Error> {
        let cx = Context::standalone("drop", self.now_ms);
        let config = Config { folder: self.folder.path().to_owned() };
        let folder = Folder::create(config, &cx).unwrap();
        self.runtime.block_on(folder.poll(&self.settings, &cx, self.position.as_ref(), limit))
    }

    /// Polls and settles until nothing comes any more.
    fn drain(&mut self, limit: usize) -> Vec<Record> {
        let mut all = Vec::new();
        loop {
            let batch = self.poll(limit).unwrap();
            assert!(batch.records.len() <= limit);
            let Some(last) = batch.records.last() else { return all };
            self.position.clone_from(&last.position);
            all.extend(batch.records);
        }
    }

    fn files(&self, subfolder: &str) -> BTreeMap<String, String> {
        files(&self.folder.path().join(subfolder))
    }
}

fn files(folder: &Path) -> BTreeMap<String, String> {
    let Ok(entries) = fs::read_dir(folder) else { return BTreeMap::new() };
    entries
        .map(Result::unwrap)
        .filter(|entry| entry.file_type().unwrap().is_file())
        .map(|entry| {
            let content = fs::read(entry.path()).unwrap();
            let name = entry.file_name().to_string_lossy().into_owned();
            (name, String::from_utf8_lossy(&content).into_owned())
        })
        .collect()
}

fn payload(record: &Record) -> &str {
    std::str::from_utf8(&record.payload).unwrap()
}

fn payloads(records: &[Record]) -> Vec<&str> {
    records.iter().map(payload).collect()
}

/// Payload, or why it cannot be read.
fn read(name: &str, settings: Settings, content: impl AsRef<[u8]>) -> Vec<Result<String, String>> {
    let mut hub = Hub::with(settings);
    hub.drop_file(name, content);
    let records = hub.drain(2);
    assert_eq!(hub.files(""), BTreeMap::new(), "the file must be put away");
    let outcome = |record: Record| match record.unreadable {
        None => Ok(String::from_utf8(record.payload.to_vec()).unwrap()),
        Some(reason) => Err(reason),
    };
    records.into_iter().map(outcome).collect()
}

fn check_read(name: &str, content: &str, expected: &[Result<&str, &str>]) {
    let expected: Vec<_> = expected
        .iter()
        .map(|entry| {
            (*entry).map(str::to_owned).map_err(|reason| format!("file `{name}`, {reason}"))
        })
        .collect();
    assert_eq!(read(name, Settings::default(), content), expected, "{content:?}");
}

#[test]
fn json_lines_are_records_and_bad_lines_say_where_and_why() {
    check_read(
        "a.jsonl",
        "{\"id\":1}\n\n  \r\n{\"id\":2}\r\n{\"id\":3}",
        &[Ok(r#"{"id":1}"#), Ok(r#"{"id":2}"#), Ok(r#"{"id":3}"#)],
    );
    check_read("a.ndjson", "\u{feff}{\"id\":1}\n", &[Ok(r#"{"id":1}"#)]);
    check_read(
        "a.jsonl",
        "{\"id\":1}\n{\"id\":}\n[2]\n7\n{\"id\":4}\n",
        &[
            Ok(r#"{"id":1}"#),
            Err("line 2: not JSON: expected value at column 7"),
            Err("line 3: not a JSON object"),
            Err("line 4: not a JSON object"),
            Ok(r#"{"id":4}"#),
        ],
    );
    check_read("a.jsonl", "{} {}\n", &[Err("line 1: not JSON: trailing characters at column 4")]);
}

#[test]
fn csv_rows_become_objects_by_the_header() {
    check_read(
        "a.csv",
        "id,note,sum\r\n1,\"say \"\"hi\"\"\",2.50\r\n\r\n2,\"two\nlines\",\n",
        &[
            Ok(r#"{"id":"1","note":"say \"hi\"","sum":"2.50"}"#),
            Ok(r#"{"id":"2","note":"two\nlines","sum":null}"#),
        ],
    );
    check_read(
        "a.csv",
        "\u{feff}id,note\n1,\"last\"\r\n2,5\" pipe",
        &[Ok(r#"{"id":"1","note":"last"}"#), Ok(r#"{"id":"2","note":"5\" pipe"}"#)],
    );
    check_read(
        "a.csv",
        "id,note\n1\n2,x,y\n\"3\n4\",ok\n,\n",
        &[
            Err("line 2: 1 columns where 2 are named"),
            Err("line 3: 3 columns where 2 are named"),
            Ok(r#"{"id":"3\n4","note":"ok"}"#),
            Ok(r#"{"id":null,"note":null}"#),
        ],
    );
}

#[test]
fn a_stray_quote_costs_one_row() {
    let reason = "a quoted cell that begins here does not end within 1048576 bytes or the file";
    let reason = format!("line 3: {reason}");
    check_read(
        "a.csv",
        "id,note\n1,a\n2,\"b\n3,c\n4,d",
        &[
            Ok(r#"{"id":"1","note":"a"}"#),
            Err(&reason),
            Ok(r#"{"id":"3","note":"c"}"#),
            Ok(r#"{"id":"4","note":"d"}"#),
        ],
    );
}

#[test]
fn csv_takes_another_delimiter_and_named_columns() {
    let settings = Settings {
        format: Some(crate::config::Format::Csv),
        delimiter: ';',
        columns: Some(vec!["id".to_owned(), "note".to_owned()]),
        ..Settings::default()
    };
    let records = read("export.txt", settings, "1;a,b\n2;c\n");
    let expected = [r#"{"id":"1","note":"a,b"}"#, r#"{"id":"2","note":"c"}"#];
    assert_eq!(records, expected.map(|json| Ok(json.to_owned())));
}

#[test]
fn invalid_utf8_goes_on_with_its_raw_bytes() {
    let mut hub = Hub::new();
    hub.drop_file("a.jsonl", b"{\"id\":1}\n{\"id\":\"\xff\"}\n");
    hub.drop_file("b.csv", b"id\n\xfe\n");
    let records = hub.drain(10);
    assert_eq!(records.len(), 3);
    assert_eq!(&records[1].payload[..], b"{\"id\":\"\xff\"}");
    assert_eq!(
        records[1].unreadable.as_deref(),
        Some("file `a.jsonl`, line 2: not UTF-8 from byte 8 on")
    );
    assert_eq!(&records[2].payload[..], b"\xfe\n");
    assert_eq!(
        records[2].unreadable.as_deref(),
        Some("file `b.csv`, line 2: not UTF-8 from byte 1 on")
    );
    assert_eq!(hub.files("processed").len(), 2);
}

#[test]
fn a_line_beyond_the_limit_is_cut_off_and_the_next_is_read() {
    for name in ["a.jsonl", "a.csv"] {
        let mut hub = Hub::new();
        hub.settings.columns = Some(vec!["id".to_owned()]);
        let mut content = vec![b'x'; 3 * ENTRY_LEN_MAX];
        content.extend_from_slice(b"\n{}\n");
        hub.drop_file(name, &content);
        let records = hub.drain(1);
        assert_eq!(records.len(), 2, "{name}");
        assert_eq!(records[0].payload.len(), ENTRY_LEN_MAX);
        let reason = format!("file `{name}`, line 1: longer than 1048576 bytes");
        assert_eq!(records[0].unreadable, Some(reason));
        assert_eq!(records[1].unreadable, None);
    }
}

#[test]
fn files_that_cannot_be_read_are_put_aside_with_the_reason() {
    let check = |name: &str, content: &[u8], reason: &str| {
        let mut hub = Hub::new();
        hub.drop_file(name, content);
        hub.drop_file("z.jsonl", "{}\n");
        assert_eq!(hub.drain(10).len(), 1, "the other file goes on");
        let failed = hub.files("error");
        assert_eq!(failed[&format!("{name}.reason.txt")], format!("{reason}\n"));
        assert_eq!(failed[name], String::from_utf8_lossy(content));
    };
    check(
        "a.dat",
        b"{}\n",
        "cannot tell the format by the extension: set `format`, or name the file .jsonl, .csv, \
         .json or .xml",
    );
    check("a.jsonl", b"\xff\xfe{\0", "it is encoded in UTF-16: convert it to UTF-8");
    check("a.csv", b"id,id\n1,2\n", "cannot use the header: two columns have the name `id`");
    check("a.csv", b"id,\n1,2\n", "cannot use the header: column 2 has no name");
    check("a.csv", b"\n\xff\n1\n", "cannot read the header in line 2: not UTF-8 from byte 1 on");
}

#[test]
fn a_name_that_is_not_utf8_is_put_aside() {
    let mut hub = Hub::new();
    fs::write(hub.folder.path().join(OsStr::from_bytes(b"\xff.jsonl")), "{}\n").unwrap();
    assert!(hub.drain(10).is_empty());
    let expected = ["\u{fffd}.jsonl", "\u{fffd}.jsonl.reason.txt"];
    assert_eq!(hub.files("error").into_keys().collect::<Vec<_>>(), expected);
}

#[test]
fn a_file_is_moved_only_once_its_records_are_settled() {
    let mut hub = Hub::new();
    hub.drop_file("a.jsonl", "{\"id\":1}\n{\"id\":2}\n");
    for _ in 0..3 {
        assert_eq!(hub.poll(10).unwrap().records.len(), 2);
        assert_eq!(hub.files("processed").len(), 0, "nothing is settled yet");
    }
    let batch = hub.poll(1).unwrap();
    assert!(batch.more);
    hub.position.clone_from(&batch.records[0].position);
    let batch = hub.poll(10).unwrap();
    assert_eq!(payloads(&batch.records), [r#"{"id":2}"#], "it resumes in the middle");
    assert_eq!(hub.files("processed").len(), 0);
    hub.position.clone_from(&batch.records[0].position);
    assert_eq!(hub.poll(10).unwrap(), Batch::default());
    assert_eq!(hub.files("processed")["a.jsonl"], "{\"id\":1}\n{\"id\":2}\n");
    assert_eq!(hub.poll(10).unwrap(), Batch::default(), "and again does no harm");
}

#[test]
fn many_small_files_share_a_page_and_are_moved_once_it_is_settled() {
    let mut hub = Hub::new();
    for n in 0..200 {
        hub.drop_file(&format!("{n:03}.jsonl"), format!("{{\"id\":{n}}}\n"));
    }
    let page = hub.poll(1_000).unwrap().records;
    assert!((30..200).contains(&page.len()), "{}: as many as a position can name", page.len());
    assert_eq!(hub.files("processed").len(), 0);
    hub.position.clone_from(&page[9].position);
    hub.poll(1).unwrap();
    assert_eq!(hub.files("processed").len(), 10, "those before the settled place, and it");
    // A file of the same name that was dropped meanwhile is not the one that is done.
    hub.position.clone_from(&page[29].position);
    fs::remove_file(hub.folder.path().join("020.jsonl")).unwrap();
    hub.drop_file("020.jsonl", "{\"id\":\"new\"}\n");
    let rest = hub.drain(1_000);
    assert_eq!(rest.len(), 171);
    assert!(payloads(&rest).contains(&r#"{"id":"new"}"#));
    assert_eq!(hub.files("processed").len(), 200);
}

#[test]
fn moving_never_writes_over_a_file() {
    let mut hub = Hub::new();
    for content in ["{\"id\":1}\n", "{\"id\":2}\n", "{\"id\":3}\n"] {
        hub.drop_file("a.jsonl", content);
        assert_eq!(hub.drain(10).len(), 1);
    }
    let processed = hub.files("processed");
    assert_eq!(processed["a.jsonl"], "{\"id\":1}\n");
    assert_eq!(processed["a.jsonl.1"], "{\"id\":2}\n");
    assert_eq!(processed["a.jsonl.2"], "{\"id\":3}\n");
}

#[test]
fn the_same_content_has_the_same_message_ids() {
    let ids = |name: &str, content: &str, settled: bool| {
        let mut hub = Hub::new();
        hub.drop_file(name, content);
        let records = if settled { hub.drain(1) } else { hub.poll(9).unwrap().records };
        records.into_iter().map(|record| record.message_id.unwrap()).collect::<Vec<_>>()
    };
    let content = "{\"id\":1}\n{\"id\":1}\n";
    let first = ids("a.jsonl", content, true);
    assert_eq!(first.len(), 2);
    assert_ne!(first[0], first[1], "equal lines are two records");
    assert_eq!(first, ids("other.jsonl", content, false));
    assert_ne!(first[0], ids("a.jsonl", "{\"id\":1}\n", true)[0], "another file, another message");
}

#[test]
fn files_that_are_being_written_are_left_alone() {
    let mut hub = Hub::new();
    for name in [".a.jsonl", "a.jsonl.part", "a.jsonl.tmp"] {
        hub.drop_file(name, "{}\n");
    }
    fs::create_dir(hub.folder.path().join("folder.jsonl")).unwrap();
    std::os::unix::fs::symlink("/etc/hostname", hub.folder.path().join("link.jsonl")).unwrap();
    assert_eq!(hub.poll(10).unwrap(), Batch::default());

    hub.drop_file("b.jsonl", "{}\n");
    let written = fs::metadata(hub.folder.path().join("b.jsonl")).unwrap();
    let written = written.modified().unwrap().duration_since(std::time::UNIX_EPOCH).unwrap();
    hub.settings.settle = HumanDuration::from_secs(5);
    hub.now_ms = written.as_millis() as i64 + 4_999;
    assert_eq!(hub.poll(10).unwrap(), Batch::default(), "it has not settled");
    hub.now_ms += 1;
    assert_eq!(hub.poll(10).unwrap().records.len(), 1);
}

#[test]
fn a_file_that_changed_is_read_again_and_one_that_was_only_touched_is_not() {
    let mut hub = Hub::new();
    hub.drop_file("a.jsonl", "{\"id\":1}\n{\"id\":2}\n");
    let batch = hub.poll(1).unwrap();
    hub.position.clone_from(&batch.records[0].position);

    hub.drop_file("a.jsonl", "{\"id\":1}\n{\"id\":2}\n");
    assert_eq!(payloads(&hub.poll(9).unwrap().records), [r#"{"id":2}"#]);

    hub.drop_file("a.jsonl", "{\"id\":1}\n{\"id\":2}\n{\"id\":3}\n");
    assert_eq!(hub.poll(9).unwrap().records.len(), 3);

    // It vanished half read: the next one is read.
    fs::remove_file(hub.folder.path().join("a.jsonl")).unwrap();
    hub.drop_file("b.jsonl", "{\"id\":4}\n");
    assert_eq!(payloads(&hub.drain(9)), [r#"{"id":4}"#]);
}

#[test]
fn only_names_that_match_are_read_in_their_order() {
    let mut hub =
        Hub::with(Settings { pattern: "orders-*.jsonl".to_owned(), ..Settings::default() });
    hub.drop_file("orders-2.jsonl", "{\"id\":2}\n");
    hub.drop_file("orders-1.jsonl", "{\"id\":1}\n");
    hub.drop_file("leads.jsonl", "{\"id\":3}\n");
    assert_eq!(payloads(&hub.drain(9)), [r#"{"id":1}"#, r#"{"id":2}"#]);
    assert_eq!(hub.files("").into_keys().collect::<Vec<_>>(), ["leads.jsonl"]);
}

#[test]
fn a_missing_folder_and_a_foreign_position_are_told_by_class() {
    let mut hub = Hub::new();
    hub.position = Some(Position::new("uid 7").unwrap());
    let error = hub.poll(1).unwrap_err();
    assert_eq!(error.class(), ErrorClass::CursorExpired);

    let cx = Context::standalone("drop", 0);
    let config = Config { folder: hub.folder.path().join("missing") };
    let folder = Folder::create(config, &cx).unwrap();
    let error = hub.runtime.block_on(folder.check(&cx)).unwrap_err();
    assert_eq!((error.class(), error.field()), (ErrorClass::Config, Some("folder")));

    let hub = Hub::new();
    hub.drop_file("processed", "in the way");
    hub.drop_file("a.jsonl", "");
    let error = Hub { settings: Settings { pattern: "*l".into(), ..Settings::default() }, ..hub }
        .poll(1)
        .unwrap_err();
    assert_eq!((error.class(), error.field()), (ErrorClass::Config, Some("processed")));
}

#[test]
fn all_faults_of_the_settings_are_found_at_once() {
    assert!(Folder::validate_settings(&Settings::default()).is_empty());
    let settings = Settings {
        pattern: "[".to_owned(),
        format: Some(crate::config::Format::JsonLines),
        delimiter: '"',
        columns: Some(vec!["a".to_owned(), "a".to_owned()]),
        processed: "../up".to_owned(),
        failed: String::new(),
        ..Settings::default()
    };
    let faults = Folder::validate_settings(&settings);
    let paths: Vec<_> = faults.iter().map(|fault| fault.path.as_str()).collect();
    assert_eq!(paths, ["pattern", "processed", "failed", "delimiter", "columns", "columns"]);
    let same = Settings { failed: "processed".to_owned(), ..Settings::default() };
    assert_eq!(Folder::validate_settings(&same)[0].path, "failed");
    assert_eq!(Folder::validate(&Config { folder: "".into() })[0].path, "folder");
}

/// What a run of the hub does after a poll.
#[derive(Clone, Copy, Debug)]
enum Then {
    /// All records are settled.
    SettleAll,
    /// A crash after so many of them (modulo their number) were settled.
    SettleSome(usize),
}

fn then() -> impl Strategy<Value = Then> {
    prop_oneof![Just(Then::SettleAll), (0_usize..12).prop_map(Then::SettleSome)]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    /// Whenever the hub is killed: each line comes at least once, in order, and the files end up in
    /// `processed`, none of them early.
    #[test]
    fn no_line_is_lost_when_the_hub_is_killed(
        lines_in_files in prop::collection::vec(0_usize..7, 1..7),
        csv in any::<bool>(),
        limit in 1_usize..12,
        thens in prop::collection::vec(then(), 0..24),
    ) {
        let mut hub = Hub::new();
        let mut expected = Vec::new();
        for (file, n_lines) in lines_in_files.iter().enumerate() {
            let ids: Vec<_> = (0..*n_lines).map(|line| format!("{file}-{line}")).collect();
            let (name, content) = if csv {
                (format!("{file}.csv"), format!("id\n{}\n", ids.join("\r\n")))
            } else {
                let lines = ids.iter().map(|id| format!("{{\"id\":\"{id}\"}}\n"));
                (format!("{file}.jsonl"), lines.collect())
            };
            hub.drop_file(&name, content);
            expected.extend(ids.iter().map(|id| format!("{{\"id\":\"{id}\"}}")));
        }
        let mut settled = Vec::new();
        for then in thens {
            let records = hub.poll(limit).unwrap().records;
            let n_settled = match then {
                Then::SettleAll => records.len(),
                Then::SettleSome(n) => n % (records.len() + 1),
            };
            let records = &records[..n_settled];
            settled.extend(records.iter().map(|record| payload(record).to_owned()));
            if let Some(last) = records.last() {
                hub.position.clone_from(&last.position);
            }
            let in_place = hub.files("").len() + hub.files("processed").len();
            prop_assert_eq!(in_place, lines_in_files.len());
        }
        settled.extend(payloads(&hub.drain(limit)).into_iter().map(str::to_owned));
        prop_assert_eq!(settled, expected);
        prop_assert_eq!(hub.files("processed").len(), lines_in_files.len());
        prop_assert_eq!(hub.files("error").len(), 0);
    }

    /// Whatever is dropped, reading neither panics nor stops, and nothing stays behind.
    #[test]
    fn arbitrary_bytes_are_read_to_the_end(
        content in prop::collection::vec(
            prop_oneof![any::<u8>(), prop::sample::select(b"\"\n\r,{}[]:1a\xff".to_vec())],
            0..300,
        ),
        csv in any::<bool>(),
        limit in 1_usize..5,
    ) {
        let mut hub = Hub::new();
        hub.drop_file(if csv { "a.csv" } else { "a.jsonl" }, &content);
        let records = hub.drain(limit);
        prop_assert_eq!(hub.files("").len(), 0);
        prop_assert_eq!(hub.files("processed").len() + hub.files("error").len().min(1), 1);
        for record in records.iter().filter(|record| record.unreadable.is_none()) {
            prop_assert!(serde_json::from_slice::<serde_json::Value>(&record.payload).is_ok());
        }
    }
}
