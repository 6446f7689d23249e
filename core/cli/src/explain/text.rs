//! An explanation as people read it: what it is, how urgent, where it stands and why, who could
//! have it, and how it was decided.

use gantry_model::decision::Reason;
use gantry_model::{Millis, Timestamp};
use serde_json::Value;

use crate::table::{cell, columns, counted};

/// The lines. `found` is the item, `explained` what the hub says of it, `asked` the agent who was
/// asked about.
pub(super) fn of(found: &Value, explained: &Value, asked: Option<&str>) -> Vec<String> {
    let now = &explained["now"];
    // The item's status is that of now, which may not be what was asked about.
    let of_now = explained["commit"].is_null();
    let mut lines = vec![heading(found, of_now)];
    if now.is_null() {
        let ended = "It has ended: what follows are the decisions on its way.";
        let then = "It had ended then, or was not there yet.";
        lines.push(if of_now { ended } else { then }.to_owned());
    } else {
        standing(now, &mut lines);
        priority(now, &mut lines);
        place(now, &mut lines);
        ladder(now, &mut lines);
        candidates(now, &mut lines);
    }
    if let Some(agent) = asked {
        section(&format!("Why not {agent}"), &mut lines);
        lines.push(format!("  {}", why_not(&explained["why_not"], agent)));
    }
    for decision in list(&explained["decisions"]) {
        decided(decision, &mut lines);
    }
    lines
}

fn heading(found: &Value, of_now: bool) -> String {
    let name = ["name", "external_id"].iter().find_map(|key| found[*key].as_str());
    let status = found["status"].as_str().filter(|_| of_now);
    let parts = [found["item"].as_str(), name, status];
    parts.into_iter().flatten().collect::<Vec<_>>().join(" · ")
}

fn standing(now: &Value, lines: &mut Vec<String>) {
    let at = cell(&now["at"]);
    let why = &now["why_not"];
    let because = match why["why_not"].as_str() {
        None => String::new(),
        Some("not_classified") => ": look-ups and rules have not said yet where it belongs".into(),
        Some("held") => format!(": {}", cell(&why["reason"])),
        Some("error") => {
            let retry = when(&why["retry_at"], now).map_or_else(
                || "resume tries again".to_owned(),
                |at| format!("the hub tries again at {at}"),
            );
            format!(": {}; {retry}", cell(&why["reason"]))
        }
        Some("activation") => {
            format!(", for its activation at {}", when(&why["until"], now).unwrap_or_default())
        }
        Some("nobody_fits") => match why["reason"].as_str() {
            Some(reason) => format!(": {reason}"),
            None => ": no agent meets what this stage asks for".to_owned(),
        },
        Some("nobody_ready") => ": agents fit, but none of them is ready".to_owned(),
        Some("nobody_has_room") => ": agents fit and are ready, but none has room".to_owned(),
        Some("all_excluded") => {
            let until = when(&why["until"], now).unwrap_or_default();
            format!(": all who could have it declined; the first is asked again at {until}")
        }
        Some(other) => format!(": {}", other.replace('_', " ")),
    };
    lines.push(format!("At {} it is {}{because}.", short(&at), cell(&now["standing"])));
    if let Some(due) = when(&now["due_at"], now) {
        lines.push(format!("Due {due}."));
    }
    for (key, kind) in [("unknown_preferred", "preferred"), ("unknown_required", "required")] {
        if let Some(agent) = now[key].as_str() {
            lines.push(format!("There is no agent {agent:?}, who is its {kind} one."));
        }
    }
}

fn priority(now: &Value, lines: &mut Vec<String>) {
    section(&format!("Priority {}", cell(&now["priority"])), lines);
    let from = match now["schema"].as_str() {
        Some(schema) => format!("schema {schema} since {}", short(&cell(&now["anchor_at"]))),
        None => "a constant".to_owned(),
    };
    lines.push(format!("  {:>8}  {from}", cell(&now["priority_of_curve"])));
    if let Some(boost) = now["boost"].as_i64().filter(|boost| *boost != 0) {
        lines.push(format!("  {boost:>+8}  boost, by hand or escalation"));
    }
    if let Some(at) = when(&now["priority_changes_at"], now) {
        lines.push(format!(
            "  {:>8}  at {at}; then it takes another course",
            cell(&now["priority_then"])
        ));
    }
}

fn place(now: &Value, lines: &mut Vec<String>) {
    let Some(process) = now["process"].as_str() else { return };
    section(&format!("Queue {}", now["queue"].as_str().unwrap_or(process)), lines);
    let rules: Vec<_> = list(&now["rules"]).iter().map(cell).collect();
    let rules = if rules.is_empty() { "no rule".to_owned() } else { rules.join(", ") };
    let by = cell(&now["classified_by"]);
    lines.push(format!("  process {process}, by {rules} (config {by})"));
    if let Some(ahead) = now["ahead"].as_u64() {
        let before = match ahead {
            0 => "it is the first of those that the nearest agent could have".to_owned(),
            _ => format!(
                "{} before it that the nearest agent could have too",
                counted(ahead as usize, "item")
            ),
        };
        lines.push(format!("  {before}"));
    }
}

fn ladder(now: &Value, lines: &mut Vec<String>) {
    let stages = list(&now["ladder"]);
    if stages.is_empty() {
        return;
    }
    section("Ladder", lines);
    let rows = stages.iter().map(|stage| {
        let active = stage["state"] == "active";
        let until = stage["ends_at"].as_str().map_or_else(|| "open end".to_owned(), short);
        let why = match stage["cause"].as_str() {
            _ if stage["state"] == "skipped" => "its window is empty",
            _ if !active => "",
            Some("preferred_unknown") => "here, for there is no such preferred agent",
            Some("window_over") => "here, for the window before is over",
            Some("sent_by_hand") => "here, sent by hand",
            _ => "here, where the ladder begins",
        };
        vec![
            format!("  {} {}", if active { '▸' } else { ' ' }, stage_name(&stage["stage"])),
            cell(&stage["requirement"]),
            format!("{} – {until}", short(&cell(&stage["begins_at"]))),
            cell(&stage["state"]),
            why.to_owned(),
        ]
    });
    lines.extend(columns(&rows.collect::<Vec<_>>()));
}

fn candidates(now: &Value, lines: &mut Vec<String>) {
    let agents = list(&now["agents"]);
    if agents.is_empty() {
        return;
    }
    section(&format!("Candidates, {} first", order(&now["order"])), lines);
    let rows = agents.iter().map(|agent| row(agent, now, "could have it"));
    lines.extend(columns(&rows.collect::<Vec<_>>()));
    let named = |reason: &Value| agents.iter().filter(|agent| agent["failed"] == *reason).count();
    for count in list(&now["counts"]) {
        let all = count["count"].as_u64().unwrap_or(0) as usize;
        let more = all.saturating_sub(named(&count["reason"]));
        if more > 0 {
            lines.push(format!("    {}", failed(more, "more agent", &count["reason"])));
        }
    }
}

/// A candidate as a row: who, levels, idle time, load, and what came of it.
fn row(agent: &Value, now: &Value, fits: &str) -> Vec<String> {
    let load = &agent["load"];
    let failed = &agent["failed"];
    vec![
        format!("    {}", cell(&agent["agent"])),
        format!("level {}", cell(&agent["level_sum"])),
        format!("idle {}", idle(&agent["idle_since"], now)),
        format!("load {}/{}", cell(&load["used"]), cell(&load["of"])),
        if failed.is_null() { fits.to_owned() } else { reason(failed) },
    ]
}

fn why_not(candidate: &Value, agent: &str) -> String {
    if candidate.is_null() {
        return format!("there is no agent {agent:?}, or the item does not wait for anybody");
    }
    match &candidate["failed"] {
        Value::Null => format!("{agent} could have it, and it is not first in line for them"),
        failed => format!("{agent} {}", reason(failed)),
    }
}

fn decided(decision: &Value, lines: &mut Vec<String>) {
    let why = &decision["explanation"];
    section(
        &format!("{}  offered to {}", short(&cell(&decision["at"])), cell(&decision["agent"])),
        lines,
    );
    let trigger = match why["trigger"].as_str() {
        Some("item_arrived") => "the item came into the queue",
        Some("agent_freed") => "the agent became free",
        _ => "time passed",
    };
    let among = match why["items_considered"].as_u64() {
        Some(1) | None => "the only item for this agent".to_owned(),
        Some(count) => format!("the first of {count} items for this agent"),
    };
    lines.push(format!("  because {trigger}; priority {}, {among}", cell(&why["priority"])));
    let mut facts = vec![stage_name(&why["stage"])];
    facts.extend(why["schema"].as_str().map(|schema| format!("schema {schema}")));
    facts.extend(
        why["boost"].as_i64().filter(|boost| *boost != 0).map(|boost| format!("boost {boost:+}")),
    );
    facts.push(format!("chosen {}", tie_break(&why["tie_break"])));
    facts.push(format!("config {}", cell(&why["version"])));
    lines.push(format!("  {}", facts.join(" · ")));
    let winner = row(&why["winner"], decision, "got it");
    let nearest = list(&why["nearest"]).iter().map(|near| row(near, decision, "stood behind"));
    let rows: Vec<_> = [winner].into_iter().chain(nearest).collect();
    lines.extend(columns(&rows));
    for count in list(&why["counts"]) {
        let all = count["count"].as_u64().unwrap_or(0) as usize;
        lines.push(format!("    {}", failed(all, "agent", &count["reason"])));
    }
}

/// How many failed a test: "3 agents, each is not ready".
fn failed(count: usize, who: &str, why: &Value) -> String {
    let each = if count == 1 { "" } else { ", each" };
    format!("{}{each} {}", counted(count, who), reason(why))
}

fn section(title: &str, lines: &mut Vec<String>) {
    lines.extend([String::new(), title.to_owned()]);
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

/// Why an agent does not get an item: "is not ready".
fn reason(value: &Value) -> String {
    let known: Result<Reason, _> = serde_json::from_value(value.clone());
    known.map_or_else(|_| cell(value), |reason| reason.to_string())
}

fn stage_name(stage: &Value) -> String {
    match stage["target"].as_u64() {
        Some(number) => format!("stage {}", number + 1),
        None => "preferred agent".to_owned(),
    }
}

fn order(order: &Value) -> &'static str {
    match order.as_str() {
        Some("longest_idle") => "the longest idle",
        Some("least_loaded") => "the least loaded",
        _ => "the highest level",
    }
}

fn tie_break(tie_break: &Value) -> &'static str {
    match tie_break.as_str() {
        Some("highest_level") => "by the highest level",
        Some("longest_idle") => "by the longest idle time",
        Some("least_loaded") => "by the smallest load",
        Some("smaller_id") => "by the smaller id",
        _ => "without a tie",
    }
}

/// How long an agent had been idle at the instant of the explanation.
fn idle(since: &Value, now: &Value) -> String {
    match (instant(since), instant(&now["at"])) {
        (Some(since), Some(at)) if since <= at => rough(at.since(since)),
        _ => "–".to_owned(),
    }
}

/// An instant and how far it is: `2027-03-02 09:14:00, in 15m`.
fn when(value: &Value, now: &Value) -> Option<String> {
    let (text, at, asked) = (value.as_str()?, instant(value)?, instant(&now["at"])?);
    let far = at.since(asked);
    let far = if far < Millis(0) {
        format!("{} ago", rough(Millis(-far.0)))
    } else {
        format!("in {}", rough(far))
    };
    Some(format!("{}, {far}", short(text)))
}

fn instant(value: &Value) -> Option<Timestamp> {
    value.as_str()?.parse().ok()
}

/// The instant without fractions of a second: `2027-03-02 09:14:00`.
fn short(text: &str) -> String {
    text.get(..19).unwrap_or(text).replace('T', " ")
}

/// A duration in its two largest units.
fn rough(span: Millis) -> String {
    let coarse = match span.0 {
        long if long >= 86_400_000 => long - long % 3_600_000,
        long if long >= 3_600_000 => long - long % 60_000,
        short => short - short % 1_000,
    };
    Millis(coarse).to_string()
}
