//! An explanation reads like a text.

use serde_json::{Value, json};

use super::text;

fn found() -> Value {
    json!({ "item": "W00004T4", "name": "Offer for Ms Mint", "status": "waiting" })
}

#[test]
fn a_waiting_item_is_told_from_its_priority_to_the_last_candidate() {
    let explained = json!({
        "now": {
            "at": "2027-03-02T09:14:07.120Z", "version": 41, "standing": "waiting",
            "why_not": { "why_not": "nobody_has_room" },
            "classified_by": 40, "rules": ["seg-gold", "all-leads"],
            "process": "sales/leads", "queue": "sales/offers",
            "priority": 712, "priority_of_curve": 612, "boost": 100, "schema": "gold",
            "anchor_at": "2027-03-02T05:00:00Z", "due_at": "2027-03-05T05:00:00Z",
            "priority_changes_at": "2027-03-02T09:30:00Z", "priority_then": 724,
            "ladder": [
                { "stage": "preferred", "requirement": "agent(\"zoe\")", "state": "over",
                  "begins_at": "2027-03-02T08:00:00Z", "ends_at": "2027-03-02T09:00:00Z",
                  "cause": "begin" },
                { "stage": { "target": 0 }, "requirement": "sales > 7", "state": "active",
                  "begins_at": "2027-03-02T09:00:00Z", "ends_at": null, "cause": "window_over" },
            ],
            "order": "longest_idle", "ahead": 2,
            "agents": [
                { "agent": "anna", "level_sum": 90, "idle_since": "2027-03-02T09:01:00Z",
                  "failed": "no_capacity", "load": { "used": 2, "of": 2 } },
                { "agent": "bo", "level_sum": 5, "idle_since": "2027-03-02T07:00:00Z",
                  "failed": { "ramp_up": { "until": "2027-03-02T09:20:00Z" } },
                  "load": { "used": 0, "of": 2 } },
            ],
            "counts": [
                { "reason": "not_ready", "count": 12 },
                { "reason": "no_capacity", "count": 1 },
            ],
        },
        "why_not": { "agent": "bo", "failed": "not_ready" },
        "decisions": [],
    });
    insta::assert_snapshot!(text::of(&found(), &explained, Some("bo")).join("\n"));
}

#[test]
fn a_decision_is_told_with_winner_and_losers() {
    let explained = json!({
        "now": null,
        "decisions": [{
            "at": "2027-03-02T09:14:07.120Z", "agent": "anna",
            "explanation": {
                "version": 41, "trigger": "agent_freed", "priority": 712, "boost": -5,
                "schema": "gold", "stage": { "target": 1 }, "items_considered": 9,
                "tie_break": "longest_idle",
                "winner": { "agent": "anna", "level_sum": 90, "failed": null,
                    "idle_since": "2027-03-02T08:44:00Z", "load": { "used": 0, "of": 2 } },
                "nearest": [{ "agent": "cy", "level_sum": 90, "failed": null,
                    "idle_since": "2027-03-02T09:10:00Z", "load": { "used": 1, "of": 2 } }],
                "counts": [{ "reason": "requirement_not_met", "count": 7 }],
            },
        }],
    });
    insta::assert_snapshot!(text::of(&found(), &explained, None).join("\n"));
}
