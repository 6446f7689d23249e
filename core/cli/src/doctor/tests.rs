//! What is found, and what is said to do.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::time::Duration;

use gantry_model::Timestamp;
use serde_json::json;

use super::{Verdict, machine, running};

#[test]
fn a_machine_that_is_short_of_something_is_told_so() {
    assert_eq!(machine::room(5 << 30).verdict, Verdict::Ok);
    assert_eq!(machine::room(500 << 20).verdict, Verdict::Warn);
    assert_eq!(machine::room(5 << 20).verdict, Verdict::Wrong);
    assert_eq!(machine::files(Some(1024)).verdict, Verdict::Warn);
    assert_eq!(machine::files(None).verdict, Verdict::Ok);
    assert_eq!(machine::clock(Duration::from_secs(59)).verdict, Verdict::Ok);
    let behind = machine::clock(Duration::from_hours(1));
    assert_eq!(
        (behind.verdict, &*behind.text),
        (Verdict::Wrong, "3600 s behind the store's last change")
    );
}

#[test]
fn a_folder_that_others_write_is_wrong_and_the_remedy_mends_it() {
    let folder = std::env::temp_dir().join(format!("gantry-doctor-{}", std::process::id()));
    fs::create_dir_all(&folder).unwrap();
    let found = |mode| {
        fs::set_permissions(&folder, fs::Permissions::from_mode(mode)).unwrap();
        machine::plugin_folder(&folder, fs::metadata(&folder).ok().as_ref())
    };
    let open = found(0o777);
    assert_eq!(open.verdict, Verdict::Wrong);
    assert_eq!(open.remedy, Some(format!("chmod go-w {}", folder.display())));
    assert_eq!(found(0o755).verdict, Verdict::Ok);
    fs::remove_dir(&folder).unwrap();
    assert_eq!(machine::plugin_folder(&folder, None).verdict, Verdict::Warn);
}

#[test]
fn each_part_in_trouble_is_named_with_what_to_do() {
    let status = json!({
        "version": "1.0", "health": "ready",
        "sources": {
            "crm": { "state": "quarantined", "process": {
                "last_failure": { "reason": "killed by SIGSEGV, 5 times in 10 min" } } },
            "files": { "state": "running", "process": null },
            "gone": { "state": "missing", "process": null },
        },
        "captures": {
            "leads": { "state": "running", "oldest_unacknowledged_at": "1970-01-01T00:01:00Z" },
            "orders": { "state": "paused", "paused": { "by": "ada" } },
        },
        "lookups": { "nps": { "state": "stopped", "last_error": { "message": "no such table" } } },
        "callbacks": { "crm": { "state": "running", "lanes_dead": 2 } },
    });
    let mut findings = Vec::new();
    running::parts(&status, Timestamp(200_000), &mut findings);
    let lines = findings.iter().map(|finding| {
        let remedy = finding.remedy.as_deref().unwrap_or_default();
        format!("{:?} {}: {} → {remedy}", finding.verdict, finding.what, finding.text)
    });
    insta::assert_snapshot!(lines.collect::<Vec<_>>().join("\n"));
}

#[test]
fn a_hub_that_is_well_has_one_line_for_all_its_sources() {
    let status = json!({ "version": "1.0", "health": "ready", "sources": {
        "files": { "state": "idle", "process": null } } });
    let mut findings = Vec::new();
    running::parts(&status, Timestamp(0), &mut findings);
    assert!(findings.iter().all(|finding| finding.verdict == Verdict::Ok), "{findings:?}");
    assert_eq!(findings.len(), 2);
    let degraded = json!({ "health": "degraded", "reason": "the disk is full" });
    findings.clear();
    running::parts(&degraded, Timestamp(0), &mut findings);
    assert_eq!(findings[0].verdict, Verdict::Wrong);
    assert_eq!(findings[0].text, "degraded: the disk is full");
}

#[test]
fn dead_letters_are_counted() {
    let page = json!({ "dead_letters": [{}, {}], "next": null });
    assert_eq!(running::dead_letters(&page).text, "2");
    let page = json!({ "dead_letters": [], "next": null });
    assert_eq!(running::dead_letters(&page).verdict, Verdict::Ok);
}
