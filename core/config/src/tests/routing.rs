//! How a hub routes: what is read from a config, and one mistake each with the answer to it.

use gantry_model::spec::{
    AbsenceAction, AgentOrder, Anchor, Answer, Bound, EscalationTrigger, FlowKey, PointValue,
    Shape, Sla, Span,
};
use gantry_model::{Millis, Name, Workbin};

use super::checked;
use crate::{Severity, render_human};

const CASES: &str = include_str!("../../tests/cases/routing.toml");

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Cases {
    config: String,
    mistake: Vec<Mistake>,
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Mistake {
    replace: String,
    by: String,
    code: String,
    part: String,
    #[serde(default)]
    help: String,
    also: Option<String>,
    #[serde(default)]
    warning: bool,
    /// How many findings there are, where one mistake makes several; the first counts.
    times: Option<usize>,
}

fn cases() -> Cases {
    toml::from_str(CASES).unwrap()
}

/// A config with everything about routing in it, and nothing wrong.
pub(super) fn config() -> String {
    cases().config
}

#[test]
fn mistakes_are_told_with_code_place_and_remedy() {
    let Cases { config, mistake } = cases();
    assert!(mistake.len() > 50, "the cases were read");
    let wrong: Vec<String> = mistake.iter().filter_map(|mistake| mistake.wrong(&config)).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

impl Mistake {
    /// What was said instead, if it is not what was expected.
    fn wrong(&self, config: &str) -> Option<String> {
        assert!(config.contains(&self.replace), "nothing to replace: {}", self.replace);
        let text = config.replacen(&self.replace, &self.by, 1);
        let checked = checked(&text);
        let right = checked.findings.first().is_some_and(|finding| {
            let also = finding.related.as_ref().map(|related| &text[related.span.clone()]);
            checked.findings.len() == self.times.unwrap_or(1)
                && finding.code.as_str() == self.code
                && text[finding.span.clone()] == self.part
                && finding.help.as_deref().unwrap_or("") == self.help
                && also == self.also.as_deref()
                && (finding.severity == Severity::Warning) == self.warning
                && checked.spec.is_some() == self.warning
        });
        let shown = render_human(&checked.findings, &checked.sources);
        (!right).then(|| format!("=== {}\n{shown}", self.by))
    }
}

#[test]
fn everything_about_routing_is_read() {
    let checked = checked(&config());
    let shown = render_human(&checked.findings, &checked.sources);
    let spec = checked.spec.expect(&shown);
    assert!(checked.findings.is_empty(), "{shown}");
    let json = serde_json::to_string_pretty(&*spec.routing).unwrap();
    insta::assert_snapshot!("routing", json);
    // What the engine reads is what was written: a few, in its own types.
    let routing = &spec.routing;
    let curve = &routing.priorities["curve"];
    assert_eq!((curve.anchor, &curve.max), (Anchor::Capture, &Some(Bound::Points(1000))));
    assert_eq!(curve.start, Some(Bound::Expression("item.business_value".into())));
    let Shape::Points(points) = &curve.shape else { panic!("{curve:?}") };
    assert_eq!(points[2].priority, PointValue::Range { permille: 500 });
    assert_eq!(points[3].at, Span::BeforeSla(Millis::from_secs(7200)));
    let leads = &routing.processes["sales/leads"];
    assert_eq!((leads.sla, leads.order), (Some(Sla::Workdays(3)), AgentOrder::LeastLoaded));
    assert_eq!(leads.answer, Answer::Automatic);
    let [louder, over, boss, _] = leads.escalation.as_slice() else { panic!("{leads:?}") };
    assert_eq!(louder.when, EscalationTrigger::Waiting(Span::SlaPermille(800)));
    assert_eq!(over.queue, Some(Name::new("sales/late")));
    assert_eq!(boss.workbin, Some(Workbin::Supervisor(Name::new("berlin"))));
    assert_eq!(routing.absence.unwrap().then, AbsenceAction::Park);
    assert_eq!(routing.fairness.as_ref().unwrap().by, FlowKey::Attribute(Name::new("tier")));
}

#[test]
fn dates_of_validity_are_of_the_calendar_s_zone_and_the_last_day_counts() {
    let config = config();
    let valid = |text: &str| checked(text).spec.unwrap().routing.processes["sales/leads"].valid;
    let dates = valid(&config);
    // Berlin is one hour ahead of UTC in winter.
    assert_eq!(dates.from.unwrap().to_string(), "2025-12-31T23:00:00Z");
    assert_eq!(dates.to.unwrap().to_string(), "2026-12-31T23:00:00Z");
    let department = &checked(&config).spec.unwrap().routing.departments["sales"];
    assert_eq!(department.valid.from, dates.from);
    let to = |to: &str| {
        let text = config.replace("valid_to = 2026-12-31", &format!("valid_to = {to}"));
        valid(&text).to.unwrap().to_string()
    };
    assert_eq!(to("2026-07-01T12:00:00"), "2026-07-01T10:00:00Z");
    assert_eq!(to("2026-07-01 12:00:00Z"), "2026-07-01T12:00:00Z");
    assert_eq!(to("2026-07-01T12:00:00-05:00"), "2026-07-01T17:00:00Z");
    let elsewhere = config.replace("Europe/Berlin", "America/New_York");
    assert_eq!(valid(&elsewhere).from.unwrap().to_string(), "2026-01-01T05:00:00Z");
    let plain = config.replace("= \"flat\"\n", "= \"flat\"\nvalid_from = 2026-01-01\n");
    let plain = checked(&plain).spec.unwrap().routing.processes["service/other"].valid;
    assert_eq!(plain.from.unwrap().to_string(), "2026-01-01T00:00:00Z", "no calendar, no zone");
}

#[test]
fn a_circle_of_three_queues_is_shown_once_with_its_way() {
    let config = config();
    let step =
        |to: &str| format!("escalation = [{{ id = \"on\", waiting = \"1h\", queue = \"{to}\" }}]");
    let text = config
        .replace(
            "escalation = [{ id = \"anna\", handling = \"1h\", workbin = \"agent:anna\" }]",
            &step("service/other"),
        )
        .replace("priority = \"flat\"", &format!("priority = \"flat\"\n{}", step("sales/leads")));
    let checked = checked(&text);
    insta::assert_snapshot!("circle", render_human(&checked.findings, &checked.sources));
}

#[test]
fn two_points_at_one_time_are_a_jump() {
    let text = config().replace(
        "{ at = \"2h\", priority = 300 },",
        "{ at = \"2h\", priority = 300 }, { at = \"2h\", priority = 400 },",
    );
    assert_eq!(checked(&text).findings, []);
}
