//! What happened between two looks.

use serde_json::json;

use super::figures::Figures;

#[test]
fn rates_are_what_rose_between_the_looks() {
    let status = |n: u64, cpu: f64, lag: f64| {
        json!({
            "sources": {
                "beside": { "plugin": "files", "state": "running", "in_flight": 0,
                    "process": null },
                "crm": { "plugin": "database", "state": "restarting", "in_flight": 1, "process": {
                    "restarts": 2, "cpu_seconds": cpu, "memory_bytes": 5 << 20,
                    "last_failure": { "reason": "killed by SIGSEGV in poll leads" } } },
            },
            "captures": { "leads": {
                "source": "crm", "state": "backing_off", "read": 20 * n, "refused": n,
                "bytes": 4096 * n, "lag": { "count": n, "sum_seconds": lag }, "in_flight": 1,
                "credit": 900, "oldest_unacknowledged_at": null,
                "last_error": { "message": "the source does not answer" } } },
            "lookups": { "nps": { "source": "crm", "state": "running", "asked": n, "failed": 0,
                "in_flight": 0, "last_error": { "message": "over" }, "operations": [
                    { "count": n, "sum_seconds": 0.25 * n as f64 }, { "count": 0 } ] } },
            "callbacks": { "crm": { "source": "crm", "state": "idle", "delivered": 0,
                "retried": 0, "lag": { "count": 0, "sum_seconds": 0.0 }, "open": 3,
                "lanes_retrying": 1, "lanes_dead": 0, "last_error": null } },
        })
    };
    let figures = Figures::between(&status(10, 1.0, 5.0), &status(20, 1.5, 1265.0), 2.0);
    insta::assert_snapshot!(figures.lines().join("\n"));
    let json = json!(figures);
    assert_eq!(json["capture_points"][0]["records_per_second"], 100.0);
    assert_eq!(json["sources"][1]["cpu_percent"], 25.0);
}

#[test]
fn a_hub_that_began_anew_gives_no_rates_below_nothing() {
    let status = |n: u64| json!({ "captures": { "leads": { "read": n } } });
    let figures = json!(Figures::between(&status(10), &status(2), 1.0));
    assert_eq!(figures["capture_points"][0]["records_per_second"], 0.0);
}
