//! Input that nobody should send and somebody will: ids that never were, numbers at the ends of
//! their ranges, instants before and after all time, clocks that jump, texts of any length,
//! configs that contradict themselves. No command may panic; a refusal is readable; every
//! invariant holds and the journal folds to the state.

use std::sync::Arc;

use gantry_model::agent::AgentProfile;
use gantry_model::command::{Capture, Classified, Holder, Known, Verdict};
use gantry_model::item::PriorityBounds;
use gantry_model::requirement::Compare;
use gantry_model::spec::{
    Absence, AbsenceAction, Bound, CalendarSpec, CurvePoint, EscalationStep, EscalationTrigger,
    Increment, Increments, OnChange, OnReopen, Overdue, PointValue, PrioritySchema, ProcessSpec,
    RampUp, RoutingSpec, Shape, Sla, Span, StageSpec, Validity,
};
use gantry_model::{
    Actor, Command, ItemId, Millis, Name, Presence, Refusal, Reply, Requirement, Target, Timestamp,
    Workbin,
};
use proptest::collection::vec;
use proptest::option::weighted;
use proptest::prelude::*;

use super::script::{START, VARIANTS, World, classified, routing, varied};
use crate::render;

fn instant() -> impl Strategy<Value = Timestamp> {
    prop_oneof![
        6 => (-100_000_000..400_000_000_i64).prop_map(|span| START.plus(Millis(span))),
        1 => Just(Timestamp(i64::MIN)),
        1 => Just(Timestamp(i64::MAX)),
        1 => Just(Timestamp(i64::MAX - 1)),
        1 => Just(Timestamp(0)),
        // About the first and the last instant that have a date.
        1 => (-1_000_000..1_000_000_i64).prop_map(|span| Timestamp(253_402_207_200_000 + span)),
        1 => (-1_000_000..1_000_000_i64).prop_map(|span| Timestamp(-377_705_023_201_000 + span)),
        1 => any::<i64>().prop_map(Timestamp),
    ]
}

/// The clock: mostly goes on, now and then jumps either way.
fn clock() -> BoxedStrategy<Clock> {
    prop_oneof![
        60 => (0..4_000_000_i64).prop_map(Clock::Passes),
        20 => Just(Clock::ToWake),
        6 => (-4_000_000_000..0_i64).prop_map(Clock::Passes),
        2 => (0..400_000_000_000_000_i64).prop_map(Clock::Passes),
        1 => instant().prop_map(Clock::JumpsTo),
    ]
    .boxed()
}

#[derive(Clone, Debug)]
enum Clock {
    Passes(i64),
    ToWake,
    JumpsTo(Timestamp),
}

fn number() -> impl Strategy<Value = i64> {
    prop_oneof![
        4 => -5_000..5_000_i64,
        1 => Just(i64::MIN),
        1 => Just(i64::MAX),
        1 => Just(0),
        1 => any::<i64>(),
    ]
}

fn count() -> impl Strategy<Value = u32> {
    prop_oneof![4 => 0..5_u32, 1 => Just(u32::MAX), 1 => any::<u32>()]
}

/// A duration as a config can say it: not negative.
fn duration() -> impl Strategy<Value = Millis> {
    prop_oneof![
        4 => (0..50_000_000_i64).prop_map(Millis),
        1 => Just(Millis(0)),
        1 => Just(Millis(1)),
        1 => Just(Millis(i64::MAX)),
        // Two hundred years.
        1 => Just(Millis(200 * 366 * 86_400_000)),
        1 => (0..i64::MAX).prop_map(Millis),
    ]
}

fn text() -> BoxedStrategy<String> {
    prop_oneof![
        4 => Just("wait".to_owned()),
        1 => Just(String::new()),
        1 => Just("x".repeat(100_000)),
        1 => Just("two\nlines \u{0} \"quoted\" \u{202e} \u{1F600}".to_owned()),
        1 => any::<String>(),
    ]
    .boxed()
}

fn one_of(known: &'static [&'static str]) -> impl Strategy<Value = Name> {
    let known = prop::sample::select(known).prop_map(Name::new);
    prop_oneof![8 => known, 1 => text().prop_map(Name::from)]
}

fn agent() -> impl Strategy<Value = Name> {
    one_of(&["anna", "ben", "cleo"])
}

fn process() -> impl Strategy<Value = Name> {
    one_of(&[
        "sales/leads",
        "billing/disputes",
        "care/claims",
        "care/returns",
        "care/office",
        "no/where",
    ])
}

fn schema() -> impl Strategy<Value = Name> {
    one_of(&["gold", "bronze", "working", "steps", "cooling", "hostile"])
}

fn media() -> impl Strategy<Value = Name> {
    one_of(&["workitem", "chat", "voice"])
}

fn item() -> impl Strategy<Value = ItemId> {
    prop_oneof![
        12 => (1..6_u64).prop_map(|number| ItemId::new(0, number)),
        1 => Just(ItemId::new(0, 0)),
        1 => Just(ItemId::new(u16::MAX, u64::MAX)),
        1 => (any::<u16>(), any::<u64>()).prop_map(|(part, number)| ItemId::new(part, number)),
    ]
}

fn requirement() -> BoxedStrategy<Requirement> {
    let leaf = prop_oneof![
        Just(Requirement::Anybody),
        one_of(&["north", "south"]).prop_map(Requirement::Group),
        agent().prop_map(Requirement::Agent),
        (one_of(&["sales", "legacy"]), any::<u8>()).prop_map(|(skill, level)| {
            Requirement::Skill { skill, compare: Compare::AtLeast, level }
        }),
    ];
    leaf.prop_recursive(3, 12, 4, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(Requirement::All),
            vec(inner.clone(), 0..4).prop_map(Requirement::AnyOf),
            inner.prop_map(|part| Requirement::Not(Box::new(part))),
        ]
    })
    .boxed()
}

fn sla() -> BoxedStrategy<Sla> {
    prop_oneof![
        duration().prop_map(Sla::Wall),
        duration().prop_map(Sla::Business),
        count().prop_map(Sla::Workdays),
    ]
    .boxed()
}

fn span() -> BoxedStrategy<Span> {
    prop_oneof![
        count().prop_map(Span::SlaPermille),
        duration().prop_map(Span::Time),
        duration().prop_map(Span::BeforeSla),
        duration().prop_map(Span::Business),
    ]
    .boxed()
}

/// What the rules may say, true or not.
fn verdict() -> BoxedStrategy<Box<Verdict>> {
    prop_oneof![
        1 => text().prop_map(|reason| Verdict::Rejected { reason }),
        2 => (text(), weighted(0.7, instant()))
            .prop_map(|(reason, retry_at)| Verdict::Failed { reason, retry_at }),
        8 => found().prop_map(Verdict::Classified),
        // No class at all.
        1 => found().prop_map(|found| Verdict::Classified(Classified { class: None, ..found })),
    ]
    .prop_map(Box::new)
    .boxed()
}

fn found() -> BoxedStrategy<Classified> {
    let class = (process(), schema(), weighted(0.5, sla()), weighted(0.2, requirement()), media());
    let at = || weighted(0.3, instant());
    let rest = (at(), at(), at(), weighted(0.3, number()), weighted(0.2, bounds()));
    let version = prop_oneof![12 => 1..4_u32, 1 => count()];
    (class, rest, version, weighted(0.2, agent()), weighted(0.1, agent()))
        .prop_map(|(class, rest, version, preferred_agent, required_agent)| {
            let (due_at, activation_at, expires_at, priority, bounds) = rest;
            let mut found = classified(&class.0, &class.1, version);
            let shared = Arc::make_mut(found.class.as_mut().unwrap());
            (shared.sla, shared.requirement, shared.media_type) = (class.2, class.3, class.4);
            Classified {
                due_at,
                activation_at,
                expires_at,
                priority,
                bounds: bounds.map(Box::new),
                preferred_agent,
                required_agent,
                ..found
            }
        })
        .boxed()
}

fn bounds() -> impl Strategy<Value = PriorityBounds> {
    let points = || weighted(0.5, number());
    (points(), points(), points()).prop_map(|(start, min, max)| PriorityBounds { start, min, max })
}

fn capture() -> BoxedStrategy<Command> {
    let known = (item(), any::<bool>(), any::<bool>()).prop_map(|(item, same, seen)| Known {
        item,
        hash: [u8::from(same); 16],
        seen,
    });
    let at = || weighted(0.2, instant());
    let parts = (one_of(&["crm", "shop"]), weighted(0.2, known), 0..3_u8, at(), at());
    (parts, weighted(0.9, verdict()))
        .prop_map(|(parts, verdict)| {
            let (capture_point, known, on, created_at, activation_at) = parts;
            let (on_change, on_reopen) = match on {
                0 => (OnChange::Update, OnReopen::New),
                1 => (OnChange::Conflict, OnReopen::DeadLetter),
                _ => (OnChange::Ignore, OnReopen::Ignore),
            };
            let hash = [1; 16];
            Command::Capture(Capture {
                capture_point,
                hash,
                known,
                on_change,
                on_reopen,
                created_at,
                activation_at,
                verdict,
            })
        })
        .boxed()
}

fn workbin() -> impl Strategy<Value = Workbin> {
    prop_oneof![
        agent().prop_map(Workbin::Agent),
        one_of(&["north"]).prop_map(Workbin::Group),
        one_of(&["north"]).prop_map(Workbin::Supervisor),
    ]
}

fn target() -> BoxedStrategy<Target> {
    prop_oneof![
        agent().prop_map(Target::Agent),
        one_of(&["north"]).prop_map(Target::Group),
        requirement().prop_map(Target::Skills),
        process().prop_map(Target::Queue),
        workbin().prop_map(Target::Workbin),
    ]
    .boxed()
}

fn holder() -> impl Strategy<Value = Holder> {
    (agent(), count()).prop_map(|(agent, epoch)| Holder { agent, epoch })
}

/// Messages of sources and of supervisors about an item.
fn about_item() -> BoxedStrategy<Command> {
    let by = || weighted(0.4, holder());
    let note = || weighted(0.2, text());
    prop_oneof![
        2 => ((item(), count(), any::<bool>(), any::<bool>()), weighted(0.7, verdict()), by())
            .prop_map(
            |((item, base_revision, rerun, reschedule), verdict, by)| Command::Update {
                item, base_revision, rerun, verdict, reschedule, by }),
        3 => (item(), count(), count(), any::<bool>(), verdict()).prop_map(
            |(item, revision, run, enriched, verdict)| Command::EndRun {
                item, revision, run, enriched, verdict }),
        1 => (item(), text()).prop_map(|(item, reason)| Command::Hold { item, reason }),
        1 => item().prop_map(|item| Command::Resume { item }),
        1 => (item(), text()).prop_map(|(item, reason)| Command::Cancel { item, reason }),
        1 => (item(), weighted(0.5, text()))
            .prop_map(|(item, result_code)| Command::Complete { item, result_code }),
        1 => (item(), any::<bool>()).prop_map(|(item, force)| Command::Restart { item, force }),
        1 => (item(), count()).prop_map(|(item, epoch)| Command::Confirm { item, epoch }),
        1 => (item(), by(), target(), note())
            .prop_map(|(item, by, to, note)| Command::Transfer { item, by, to, note }),
        1 => (item(), by(), workbin(), weighted(0.6, instant()), note()).prop_map(
            |(item, by, workbin, until, note)| Command::Park { item, by, workbin, until, note }),
        1 => (item(), by(), note()).prop_map(|(item, by, note)| Command::Return { item, by, note }),
        1 => (item(), text()).prop_map(|(item, reason)| Command::Retrieve { item, reason }),
        1 => workbin().prop_map(|workbin| Command::EmptyWorkbin { workbin }),
        2 => (item(), number()).prop_map(|(item, points)| Command::Boost { item, points }),
    ]
    .boxed()
}

/// What agents do and what is done with them.
fn about_agents() -> BoxedStrategy<Command> {
    let disposition = || weighted(0.6, one_of(&["Processed", "converted"]));
    prop_oneof![
        4 => (item(), count(), agent())
            .prop_map(|(item, epoch, agent)| Command::Accept { item, epoch, agent }),
        1 => (item(), count(), agent(), text()).prop_map(
            |(item, epoch, agent, reason)| Command::Decline { item, epoch, agent, reason }),
        2 => (item(), count(), agent(), disposition(), weighted(0.3, count())).prop_map(
            |(item, epoch, agent, disposition, changed_from)| Command::MarkDone {
                item, epoch, agent, disposition, changed_from }),
        1 => (item(), holder(), disposition())
            .prop_map(|(item, by, disposition)| Command::EndWrapUp { item, by, disposition }),
        1 => (item(), agent(), weighted(0.5, text())).prop_map(
            |(item, agent, over_capacity)| Command::Pull { item, agent, over_capacity }),
        1 => (agent(), media(), prop_oneof![0..4_u16, any::<u16>()])
            .prop_map(|(agent, media, count)| Command::ReportLoad { agent, media, count }),
        2 => profile().prop_map(Command::PutAgent),
        1 => agent().prop_map(Command::RemoveAgent),
        4 => (agent(), presence())
            .prop_map(|(agent, presence)| Command::SetPresence { agent, presence }),
    ]
    .boxed()
}

fn presence() -> impl Strategy<Value = Presence> {
    prop_oneof![
        5 => Just(Presence::Ready),
        1 => Just(Presence::SignedOff),
        1 => Just(Presence::FinishSoon),
        1 => one_of(&["Lunch", "RONA"]).prop_map(|reason| Presence::NotReady { reason }),
    ]
}

fn profile() -> BoxedStrategy<AgentProfile> {
    let skills = prop::collection::btree_map(one_of(&["sales", "legacy"]), any::<u8>(), 0..3);
    let limit = prop_oneof![1..4_u16, any::<u16>()];
    let capacity = prop::collection::btree_map(media(), limit, 0..3);
    let queues = prop::collection::btree_set(process(), 0..2);
    (agent(), text(), skills, capacity, weighted(0.3, one_of(&["blended"])), queues)
        .prop_map(|(id, name, skills, capacity, capacity_rule, inactive_queues)| AgentProfile {
            name,
            skills,
            groups: [Name::new("north")].into(),
            capacity,
            capacity_rule,
            inactive_queues,
            ..AgentProfile::new(id)
        })
        .boxed()
}

/// A config that a check would not have let through.
fn config() -> BoxedStrategy<RoutingSpec> {
    prop_oneof![
        1 => (0..1_u32 << VARIANTS.len()).prop_map(varied),
        1 => Just(RoutingSpec::default()),
        6 => (hostile_schema(), vec(hostile_process(), 1..6), ramp_up(), absence(), no_hours())
            .prop_map(|(schema, processes, ramp_up, absence, no_hours)| {
                let mut routing = routing();
                routing.priorities.insert("hostile".into(), schema);
                let names: Vec<Name> = routing.processes.keys().cloned().collect();
                for (name, process) in names.into_iter().cycle().skip(1).zip(processes) {
                    routing.processes.insert(name, process);
                }
                (routing.ramp_up, routing.absence) = (ramp_up, absence);
                if no_hours {
                    routing.calendars.get_mut("office").unwrap().hours.clear();
                }
                routing
            }),
    ]
    .boxed()
}

/// A version without working hours is refused, so it is seldom one.
fn no_hours() -> impl Strategy<Value = bool> {
    prop::bool::weighted(0.1)
}

fn ramp_up() -> impl Strategy<Value = Option<RampUp>> {
    let parts = (duration(), any::<u16>(), duration());
    weighted(0.3, parts.prop_map(|(lasts, offers, per)| RampUp { lasts, offers, per }))
}

fn absence() -> impl Strategy<Value = Option<Absence>> {
    let then = prop_oneof![Just(AbsenceAction::Return), Just(AbsenceAction::Park)];
    weighted(0.5, (duration(), then).prop_map(|(after, then)| Absence { after, then }))
}

fn point_value() -> impl Strategy<Value = PointValue> {
    prop_oneof![
        number().prop_map(PointValue::Points),
        any::<u16>().prop_map(|permille| PointValue::Range { permille }),
    ]
}

fn hostile_schema() -> BoxedStrategy<PrioritySchema> {
    let point = (span(), point_value()).prop_map(|(at, priority)| CurvePoint { at, priority });
    let step = (number(), duration(), weighted(0.5, span()))
        .prop_map(|(add, every, lasts)| Increment { add, every, lasts });
    let steps = (point_value(), vec(step, 0..4), any::<bool>(), weighted(0.5, point_value()));
    let shape = prop_oneof![
        vec(point, 0..5).prop_map(Shape::Points),
        steps.prop_map(|(initial, steps, stepped, at_sla)| Shape::Increments(Increments {
            initial,
            steps,
            stepped,
            at_sla,
        })),
    ];
    let overdue = (weighted(0.5, point_value()), number(), duration(), weighted(0.5, number()))
        .prop_map(|(priority, add, every, max)| Overdue { priority, add, every, max });
    let bound = || weighted(0.3, number().prop_map(Bound::Points));
    let calendar = weighted(0.4, one_of(&["office"]));
    (shape, weighted(0.5, overdue), calendar, bound(), bound(), bound())
        .prop_map(|(shape, overdue, calendar, start, min, max)| {
            let plain = PrioritySchema::of_points(Vec::new());
            PrioritySchema { shape, overdue, calendar, start, min, max, ..plain }
        })
        .boxed()
}

fn hostile_process() -> BoxedStrategy<ProcessSpec> {
    let times = (duration(), duration(), duration(), weighted(0.3, duration()));
    let spans = (weighted(0.4, span()), weighted(0.4, span()), weighted(0.4, duration()));
    let stage = (requirement(), weighted(0.6, span()))
        .prop_map(|(requirement, lasts)| StageSpec { requirement, lasts });
    let trigger = prop_oneof![
        span().prop_map(EscalationTrigger::Waiting),
        span().prop_map(EscalationTrigger::Handling),
        span().prop_map(EscalationTrigger::Total),
        span().prop_map(EscalationTrigger::Parked),
        count().prop_map(EscalationTrigger::Declined),
    ];
    let step = (trigger, number(), weighted(0.5, process()), weighted(0.3, workbin()));
    let rest =
        (weighted(0.7, sla()), schema(), weighted(0.3, one_of(&["office"])), vec(step, 0..4));
    let valid = weighted(0.1, -100_000_000..100_000_000_i64);
    (times, spans, vec(stage, 0..4), rest, valid)
        .prop_map(|(times, spans, stages, rest, valid)| {
            let mut process =
                ProcessSpec { sla: rest.0, priority: rest.1, ..ProcessSpec::default() };
            (process.offer_timeout, process.decline_cool_down) = (times.0, times.1);
            (process.completion.within, process.wrap_up) = (times.2, times.3);
            (process.warn, process.route.preferred, process.park_limit) = spans;
            process.route.stages = stages;
            process.calendar = rest.2;
            let steps = rest.3.into_iter().enumerate();
            let step = |(no, (when, raise, queue, workbin)): (usize, (_, _, _, _))| {
                let (id, alert) = (Name::from(no.to_string()), None);
                EscalationStep { id, when, raise, queue, workbin, alert }
            };
            process.escalation = steps.map(step).collect();
            process.valid = Validity { from: valid.map(|span| START.plus(Millis(span))), to: None };
            process
        })
        .boxed()
}

fn command() -> BoxedStrategy<Command> {
    prop_oneof![
        5 => capture(),
        8 => about_item(),
        10 => about_agents(),
        2 => (prop_oneof![8 => 0..6_u32, 1 => count()], config()).prop_map(
            |(version, routing)| Command::Activate { version, routing: Arc::new(routing) }),
        1 => (any::<bool>(), number()).prop_map(|(raised, value)| Command::Alert {
            alert: "backlog".into(), raised, value }),
        1 => number().prop_map(|by| Command::ClockStepped { by: Millis(by) }),
        1 => number().prop_map(|down| Command::Boot { down: Millis(down) }),
        3 => Just(Command::Tick),
    ]
    .boxed()
}

/// What an agent can do only with the right epoch, now and then gets it: else hardly anything
/// would ever be assigned.
fn in_time(world: &World, command: Command, right: bool) -> Command {
    let epoch_of = |item: ItemId| world.state.item(item).map(|item| item.epoch);
    let with = |item: ItemId| world.state.item(item)?.agent().cloned();
    match command {
        Command::Accept { item, epoch, agent } if right => {
            let epoch = epoch_of(item).unwrap_or(epoch);
            Command::Accept { item, epoch, agent: with(item).unwrap_or(agent) }
        }
        Command::MarkDone { item, agent, disposition, epoch, .. } if right => {
            let epoch = epoch_of(item).unwrap_or(epoch);
            let agent = with(item).unwrap_or(agent);
            Command::MarkDone { item, epoch, agent, disposition, changed_from: None }
        }
        other => other,
    }
}

fn play(acts: Vec<(Clock, Command, bool)>) {
    let mut world = World::new();
    world.oracle = false;
    for (clock, command, right) in acts {
        world.now = match clock {
            Clock::Passes(span) => world.now.plus(Millis(span)),
            Clock::ToWake => world.state.next_wake(world.now).unwrap_or(world.now),
            Clock::JumpsTo(at) => at,
        };
        let command = in_time(&world, command, right);
        let (_, reply) = world.act(Actor::User("admin".into()), &command);
        if let Reply::Refused(refusal) = reply {
            let text = refusal.to_string();
            assert!(!text.is_empty() && !text.contains(char::is_control), "{text:?}");
        }
        assert!(render(&world.state).lines().count() >= world.state.agents().len());
        world.state.top(world.now, 10);
        let items: Vec<ItemId> = world.state.items().map(|item| item.id).collect();
        for item in items {
            world.state.explain_at(world.now, item).expect("a live item is explained");
        }
    }
    world.check_fold();
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]
    #[test]
    fn no_command_breaks_the_engine(
        acts in vec((clock(), command(), prop::bool::weighted(0.8)), 1..60)
    ) {
        play(acts);
    }
}

/// A version that is not activated changes nothing: what ran in the calendar goes on in it.
#[test]
fn a_calendar_that_cannot_be_built_is_refused() {
    let mut world = World::new();
    let mut activate = |change: &dyn Fn(&mut CalendarSpec)| {
        let mut routing = routing();
        change(routing.calendars.get_mut("office").unwrap());
        let activate = Command::Activate { version: 2, routing: Arc::new(routing) };
        let (entries, reply) = world.act(Actor::Hub, &activate);
        (entries.len(), world.state.config_version(), reply)
    };
    let refused = |why: &str| {
        let (calendar, why) = ("office".into(), why.to_owned());
        (0, 1, Reply::Refused(Refusal::CalendarUnusable { version: 2, calendar, why }))
    };
    assert_eq!(activate(&|office| office.hours.clear()), refused("the calendar is never open"));
    assert_eq!(
        activate(&|office| office.timezone = "Europe/Berlinn".into()),
        refused("there is no time zone \"Europe/Berlinn\"")
    );
}
