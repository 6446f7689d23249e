//! Questions to the state: who goes next, what is unserved, the course of a curve.

use std::collections::BTreeMap;
use std::sync::Arc;

use gantry_model::agent::AgentProfile;
use gantry_model::command::Verdict;
use gantry_model::decision::Reason;
use gantry_model::priority::Priority;
use gantry_model::spec::{CapacityRule, CurvePoint, PrioritySchema, RoutingSpec, Span};
use gantry_model::{Actor, Command, ItemId, Millis, Name, Presence, Reply, Requirement, Timestamp};

use super::script::{START, World, captured, classified, routing};
use crate::{
    Contending, CourseKind, Figures, NextError, Service, StageState, WaitingCall, WhyNot, course,
};

use CourseKind::{Begin, Bend, Due, End};
use StageState::{Active, Coming, Over};

const MINUTE: i64 = 60_000;
const HOUR: i64 = 60 * MINUTE;

fn schema(points: &[(Span, i64)]) -> PrioritySchema {
    let point = |(at, value): &(Span, i64)| CurvePoint { at: *at, priority: (*value).into() };
    PrioritySchema::of_points(points.iter().map(point).collect())
}

/// Items climb to 900, and jump to 3000 two hours before they are due. Calls begin at 1000, above
/// what an item has before then, and jump to 5000 when they have waited so long.
fn one_scale(patience: i64) -> RoutingSpec {
    let mut routing = routing();
    let item = schema(&[
        (Span::Time(Millis(0)), 100),
        (Span::BeforeSla(Millis(2 * HOUR)), 900),
        (Span::BeforeSla(Millis(2 * HOUR)), 3000),
    ]);
    let call = schema(&[
        (Span::Time(Millis(0)), 1000),
        (Span::Time(Millis(patience)), 1500),
        (Span::Time(Millis(patience)), 5000),
    ]);
    routing.priorities.insert("gold".into(), item);
    routing.priorities.insert("calls".into(), call);
    let media = |names: &[&str]| names.iter().map(|name| (Name::new(name), 1)).collect();
    let rule = CapacityRule {
        media: media(&["voice", "workitem"]),
        total: None,
        excludes: BTreeMap::from([("voice".into(), ["workitem".into()].into())]),
        prefill: 0,
    };
    routing.capacity_rules.insert("blended".into(), rule);
    routing
}

fn world(routing: RoutingSpec) -> World {
    let mut world = World::new();
    world.act(Actor::Hub, &Command::Activate { version: 2, routing: Arc::new(routing) });
    world
}

fn blended(world: &mut World) {
    let put = AgentProfile {
        skills: [("sales", 9), ("legacy", 9)].map(|(name, level)| (Name::new(name), level)).into(),
        capacity_rule: Some("blended".into()),
        ..AgentProfile::new("anna")
    };
    world.act(Actor::Hub, &Command::PutAgent(put));
}

/// An item with this SLA, captured now.
fn item(world: &mut World, sla: i64) -> ItemId {
    let mut found = classified("sales/leads", "gold", world.state.config_version());
    found.due_at = Some(world.now.plus(Millis(sla)));
    let (_, reply) = world.act(Actor::Hub, &captured(Verdict::Classified(found)));
    let Reply::Created { item, .. } = reply else { panic!("{reply:?}") };
    item
}

fn call(id: &str, since: Timestamp) -> WaitingCall {
    let (schema, media_type) = ("calls".into(), "voice".into());
    WaitingCall { id: id.into(), schema, since, due_at: None, media_type }
}

/// Both wordings of the two cases: patience of 5 minutes and of 30 seconds.
#[test]
fn items_near_their_due_date_outrank_calls_that_have_hardly_waited() {
    for patience in [5 * MINUTE, 30_000] {
        let mut world = world(one_scale(patience));
        blended(&mut world);
        let item = item(&mut world, 10 * HOUR);
        let ask = |world: &World, waited: i64| {
            let since = Timestamp(world.now.0 - waited);
            let calls = [call("ring", since)];
            let next = world.state.who_goes_next(world.now, "anna", &calls).unwrap();
            (next.winner.unwrap().what, next.behind.len())
        };
        let (the_call, the_item) = (Contending::Call("ring".into()), Contending::Item(item));
        // Due in ten hours: any call goes first, the newest too.
        assert_eq!(ask(&world, 0), (the_call.clone(), 1));
        world.now = START.plus(Millis(8 * HOUR - 1));
        assert_eq!(ask(&world, 0), (the_call.clone(), 1));
        // Due in two hours: the item goes before calls that have not waited long.
        world.now = START.plus(Millis(8 * HOUR));
        assert_eq!(ask(&world, 0), (the_item.clone(), 1));
        assert_eq!(ask(&world, patience - 1), (the_item, 1));
        assert_eq!(ask(&world, patience), (the_call, 1));
    }
}

#[test]
fn who_goes_next_says_what_cannot_and_what_is_wrong() {
    let mut world = world(one_scale(MINUTE));
    blended(&mut world);
    let since = world.now;
    let chat = WaitingCall { media_type: "chat".into(), ..call("chat", since) };
    let next = world.state.who_goes_next(world.now, "anna", &[chat, call("ring", since)]).unwrap();
    assert_eq!(next.winner.unwrap().what, Contending::Call("ring".into()));
    assert_eq!(next.impossible[0].reason, Reason::MediaNotTaken);
    let ask = |agent, schema: &str| {
        let call = WaitingCall { schema: schema.into(), ..call("ring", since) };
        world.state.who_goes_next(world.now, agent, &[call]).unwrap_err()
    };
    assert!(matches!(ask("zoe", "calls"), NextError::UnknownAgent { .. }));
    assert!(matches!(ask("anna", "tin"), NextError::UnknownSchema { .. }));
}

/// An offer that is not accepted yet is in the race like what waits, and takes no room in it.
#[test]
fn an_open_offer_contends_with_calls() {
    let mut world = world(one_scale(MINUTE));
    blended(&mut world);
    let presence = Presence::Ready;
    world.act(Actor::Hub, &Command::SetPresence { agent: "anna".into(), presence });
    let item = item(&mut world, HOUR);
    assert_eq!(world.state.item(item).unwrap().agent().unwrap(), "anna");
    let calls = [call("ring", world.now)];
    let next = world.state.who_goes_next(world.now, "anna", &calls).unwrap();
    assert_eq!(next.winner.unwrap().what, Contending::Item(item));
}

fn agent(world: &mut World, id: &str, skills: &[(&str, u8)], presence: Presence) {
    let put = AgentProfile {
        skills: skills.iter().map(|(name, level)| (Name::new(name), *level)).collect(),
        ..AgentProfile::new(id)
    };
    world.act(Actor::Hub, &Command::PutAgent(put));
    world.act(Actor::Hub, &Command::SetPresence { agent: id.into(), presence });
}

#[test]
fn what_nobody_serves_is_reported_in_words() {
    let mut world = world(routing());
    let lunch = Presence::NotReady { reason: "Lunch".into() };
    agent(&mut world, "anna", &[("german", 3), ("sales", 9), ("legacy", 2)], lunch);
    agent(&mut world, "ben", &[("sales", 9), ("legacy", 2)], Presence::SignedOff);
    let mut wait = |change: &dyn Fn(&mut gantry_model::Classification)| {
        let mut found = classified("billing/disputes", "bronze", 2);
        change(Arc::make_mut(found.class.as_mut().unwrap()));
        world.act(Actor::Hub, &captured(Verdict::Classified(found)));
        world.now = world.now.plus(Millis(1));
    };
    let german = |level| Requirement::Skill {
        skill: "german".into(),
        compare: gantry_model::requirement::Compare::Greater,
        level,
    };
    wait(&|class| class.requirement = Some(german(4)));
    wait(&|class| class.requirement = Some(german(4)));
    wait(&|class| class.requirement = Some(Requirement::Group("north".into())));
    wait(&|class| class.requirement = Some(Requirement::Agent("zoe".into())));
    wait(&|class| class.media_type = "chat".into());
    wait(&|class| class.process = "sales/leads".into());
    wait(&|_| {});
    let told: Vec<_> = world
        .state
        .unserved(world.now)
        .into_iter()
        .map(|unserved| (unserved.service, unserved.items, unserved.reason))
        .collect();
    let never = |items, reason: &str| (Service::Never, items, reason.to_owned());
    let nobody = |reason: &str| (Service::NobodyReady, 1, reason.to_owned());
    assert_eq!(
        told,
        [
            never(2, "no agent has german > 4: the best has 3"),
            never(1, "no agent is in group north"),
            never(1, "agent zoe does not exist"),
            never(1, "no agent takes media type chat"),
            nobody("2 agents fit: 1 on Lunch, 1 signed off"),
            nobody("2 agents fit: 1 on Lunch, 1 signed off"),
        ]
    );
}

#[test]
fn a_later_stage_is_no_hopeless_case() {
    let mut world = world(routing());
    agent(&mut world, "cleo", &[("sales", 5)], Presence::SignedOff);
    item(&mut world, 10 * HOUR);
    let unserved = &world.state.unserved(world.now)[0];
    assert_eq!(unserved.service, Service::LaterStage);
    assert_eq!(unserved.reason, "no agent has sales > 7: the best has 5");
    assert_eq!(unserved.next_stage_at, Some(world.now.plus(Millis(2 * HOUR))));
}

#[test]
fn an_explanation_tells_the_whole_ladder_now_and_later() {
    let mut world = world(routing());
    agent(&mut world, "anna", &[("sales", 9), ("legacy", 2)], Presence::SignedOff);
    agent(&mut world, "ben", &[("sales", 5)], Presence::SignedOff);
    let id = item(&mut world, 10 * HOUR);
    let now = world.state.explain_at(world.now, id).unwrap();
    let states = |ladder: &[crate::LadderStage]| -> Vec<_> {
        ladder.iter().map(|stage| (stage.state, stage.begins_at.since(START).0 / HOUR)).collect()
    };
    assert_eq!(states(&now.ladder), [(Active, 0), (Coming, 2), (Coming, 5)]);
    assert_eq!(now.why_not, Some(WhyNot::NobodyReady));
    assert_eq!(now.priority_then, Some(Priority::from_points(900)));
    assert_eq!(now.rules, ["test"]);
    assert_eq!(now.ahead, Some(0));

    let later = START.plus(Millis(3 * HOUR));
    let then = world.state.explain_at(later, id).unwrap();
    assert_eq!(states(&then.ladder), [(Over, 0), (Active, 2), (Coming, 5)]);
    assert_eq!(then.priority, Priority::from_points(740));
    let failed = |at| world.state.why_not(at, id, "ben").unwrap().failed;
    assert_eq!(failed(world.now), Some(Reason::RequirementNotMet));
    assert_eq!(failed(later), Some(Reason::NotReady));
    assert_eq!(world.state.why_not(later, id, "zoe"), None);

    // A second one, more urgent for ever, stands before it.
    item(&mut world, HOUR);
    let behind = world.state.explain_at(START.plus(Millis(HOUR)), id).unwrap();
    assert_eq!(behind.ahead, Some(1));
}

#[test]
fn agents_beyond_the_nearest_are_counts() {
    let mut world = world(routing());
    for number in 0..60 {
        agent(
            &mut world,
            &format!("a{number}"),
            &[("sales", 9), ("legacy", 2)],
            Presence::SignedOff,
        );
    }
    let id = item(&mut world, HOUR);
    let told = world.state.explain_at(world.now, id).unwrap();
    assert_eq!(told.agents.len(), crate::AGENTS_MAX);
    assert_eq!((&told.counts[0].reason, told.counts[0].count), (&Reason::NotReady, 60));
}

#[test]
fn a_required_agent_who_does_not_exist_is_named() {
    let mut world = world(routing());
    agent(&mut world, "anna", &[("sales", 9), ("legacy", 2)], Presence::Ready);
    let mut found = classified("sales/leads", "gold", 2);
    found.required_agent = Some("zoe".into());
    world.act(Actor::Hub, &captured(Verdict::Classified(found)));
    let told = world.state.explain_at(world.now, ItemId::new(0, 1)).unwrap();
    assert_eq!(told.unknown_required.unwrap(), "zoe");
    let reason = "agent zoe does not exist".to_owned();
    assert_eq!(told.why_not, Some(WhyNot::NobodyFits { reason }));
}

/// The points of a course are the curve: between two of them it is straight, at each it is exact.
#[test]
fn a_course_is_the_curve() {
    let routing = Arc::new(routing());
    let hours = |count: i64| START.plus(Millis(count * HOUR));
    let due_at = Some(hours(20));
    let figures = Figures { anchor_at: START, due_at, ..Figures::default() };
    for schema in ["gold", "bronze", "cooling", "working", "steps"] {
        let drawn = course(&routing, schema, &figures, hours(-1), hours(60)).unwrap();
        assert!(drawn.complete);
        let item = crate::course::specimen(schema.into(), &figures);
        let value = |at| {
            let now = at;
            crate::tests::oracle::priority(&routing, &item, now).0
        };
        for pair in drawn.points.windows(2) {
            let [from, to] = pair else { unreachable!() };
            let kind = to.kind;
            if kind == CourseKind::Jump {
                assert_eq!(from.at, to.at);
                assert_eq!(to.priority.0, value(to.at));
                continue;
            }
            for step in 0..8 {
                let span = to.at.since(from.at).0;
                let at = Timestamp(from.at.0 + span * step / 8);
                let line = i128::from(from.priority.0)
                    + i128::from(to.priority.0 - from.priority.0) * i128::from(at.0 - from.at.0)
                        / i128::from(span.max(1));
                // A point at a bound is met between two milliseconds: a slope's worth of one.
                let off = (line - i128::from(value(at))).abs();
                assert!(off <= 1 << 28, "{schema} at {at}: {off} between {from:?} and {to:?}");
            }
        }
    }
    assert_eq!(course(&routing, "tin", &figures, START, hours(1)), None);
    let gold = course(&routing, "gold", &figures, START, hours(40)).unwrap();
    let kinds: Vec<_> =
        gold.points.iter().map(|point| (point.kind, point.priority.points())).collect();
    assert_eq!(kinds, [(Begin, 500), (Bend, 900), (Due, 2000), (Bend, 2100), (End, 2100)]);
}
