//! Configs with and without mistakes, as an operator would write them.

mod agents;
mod calendars;
mod cases;
mod csv;
mod json_schema;
mod laws;
mod plugins;
mod routing;

use crate::{Checked, Manifests, check_text};

/// A config without mistakes, for adding some.
const GOOD: &str = r#"
[hub]
listen = "127.0.0.1:8080"

[routing]
skills = ["sales", "legacy"]
groups = ["berlin"]
reasons = ["Lunch"]
default_process = "sales/leads"

[attribute.budget]
type = "decimal"

[source.crm]
plugin = "database"

[capture.leads]
source = "crm"
every = "30s"
map = { external_id = "record.id", deal_value = "record.amount" }

[lookup.nps]
source = "crm"
yields = { nps = "integer" }

[callback.done]
source = "crm"
on = ["done"]

[callback.pager]
source = "crm"
on = ["alert_raised", "alert_cleared"]

[alert.backlog]
when = "backlog"
queue = "sales/leads"
over = 100
for = "5m"
callback = "pager"

[alert.slow]
when = "oldest_wait"
over = "2h"

[alert.down]
when = "capture_down"
capture = "leads"

[priority.normal]
points = [{ at = "0", priority = 100 }, { at = "sla", priority = 1000 }]

[process."sales/leads"]
priority = "normal"
sla = "72h"

[process."sales/leads".route]
stages = [{ skills = "sales > 7 && group(\"berlin\")", for = "20% sla" }, { skills = "sales > 0" }]

[[segmentation]]
id = "gold"
level = "global"
when = 'item.customer_segment == "Gold"'
process = "sales/leads"
"#;

fn checked(text: &str) -> Checked {
    check_text("gantry.toml", text, &Manifests::default())
}

/// The good config with one part replaced.
fn with(old: &str, new: &str) -> String {
    assert!(GOOD.contains(old), "{old}");
    GOOD.replacen(old, new, 1)
}

/// Expects one finding: its code, the part of the file it underlines, and its help.
fn expect_one(text: &str, code: &str, part: &str, help: &str) {
    let checked = checked(text);
    let [finding] = checked.findings.as_slice() else {
        panic!("expected {code} once, got {:#?}", checked.findings);
    };
    assert_eq!(finding.code.as_str(), code, "{finding:#?}");
    assert_eq!(&text[finding.span.clone()], part, "{finding:#?}");
    assert_eq!(finding.help.as_deref().unwrap_or(""), help, "{finding:#?}");
    let line = text[..finding.span.start].matches('\n').count() + 1;
    assert_eq!(finding.line, line);
}
