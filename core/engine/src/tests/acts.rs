//! The acts of random worlds: everything that can be asked of the engine, in numbers that choose
//! among what there is when it happens.

use gantry_model::item::PriorityBounds;
use proptest::prelude::*;

use super::script::VARIANTS;
use super::world::moves::{Move, a_move};

/// One random act. Numbers choose among what there is when it happens.
#[derive(Clone, Debug)]
pub(super) enum Op {
    Pass(i64),
    PassToWake,
    Capture {
        verdict: Option<Found>,
        point: u8,
        activation: Option<i64>,
    },
    CaptureAgain {
        which: usize,
        same: bool,
        on: u8,
    },
    Update {
        which: usize,
        rerun: bool,
        found: Option<Found>,
        stale: bool,
        reschedule: bool,
    },
    EndRun {
        which: usize,
        enriched: bool,
        found: Found,
        stale: bool,
    },
    OnItem {
        which: usize,
        act: Act,
    },
    OnOffer {
        which: usize,
        act: AgentAct,
        wrong: u8,
    },
    PutAgent {
        which: u8,
        sales: u8,
        legacy: u8,
        north: bool,
        capacity: u16,
        chats: u16,
        inactive: u8,
        rule: u8,
    },
    RemoveAgent(u8),
    Load {
        which: u8,
        media: u8,
        count: u16,
    },
    Move {
        which: usize,
        act: Move,
        by_agent: bool,
        wrong: u8,
    },
    Presence {
        which: u8,
        presence: u8,
    },
    Activate {
        /// Bits of variants.
        chosen: u32,
        rising: bool,
    },
    Reboot,
    ClockStepped,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Act {
    Hold,
    Resume,
    Cancel,
    Complete,
    Restart { force: bool },
    Confirm,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum AgentAct {
    Accept,
    Decline,
    MarkDone { disposition: u8, changed: bool },
}

/// What the rules found.
#[derive(Clone, Debug)]
pub(super) struct Found {
    pub(super) kind: u8,
    pub(super) process: u8,
    pub(super) schema: u8,
    pub(super) chat: bool,
    pub(super) group: bool,
    pub(super) sla: Option<i64>,
    pub(super) due: Option<i64>,
    pub(super) activation: Option<i64>,
    pub(super) expires: Option<i64>,
    pub(super) priority: Option<i64>,
    pub(super) preferred: Option<u8>,
    pub(super) required: Option<u8>,
    pub(super) bounds: Option<PriorityBounds>,
    pub(super) flow: Option<u8>,
}

fn found() -> impl Strategy<Value = Found> {
    let span = || 0..50_000_000_i64;
    let kinds = (0..14_u8, 0..100_u8, 0..100_u8, prop::bool::weighted(0.2), any::<bool>());
    let times = (
        prop::option::weighted(0.3, span()),
        prop::option::weighted(0.3, -1_000_000..50_000_000_i64),
        prop::option::weighted(0.15, -1_000_000..5_000_000_i64),
        prop::option::weighted(0.15, 1..20_000_000_i64),
    );
    let agents = (
        prop::option::weighted(0.2, -50..3_000_i64),
        prop::option::weighted(0.3, 0..6_u8),
        prop::option::weighted(0.1, 0..6_u8),
        prop::option::weighted(0.2, bounds()),
        prop::option::of(0..4_u8),
    );
    (kinds, times, agents).prop_map(|(kinds, times, agents)| {
        let (kind, process, schema, chat, group) = kinds;
        let (sla, due, activation, expires) = times;
        let (priority, preferred, required, bounds, flow) = agents;
        // Unknown names are rare.
        let mostly = |n: u8, unknown: u8| if n < 2 { unknown } else { n % unknown };
        let (process, schema) = (mostly(process, 8), mostly(schema, 5));
        Found {
            kind,
            process,
            schema,
            chat,
            group,
            sla,
            due,
            activation,
            expires,
            priority,
            preferred,
            required,
            bounds,
            flow,
        }
    })
}

fn bounds() -> impl Strategy<Value = PriorityBounds> {
    let points = || prop::option::of(-500..1_500_i64);
    (points(), points(), points()).prop_map(|(start, min, max)| PriorityBounds { start, min, max })
}

pub(super) fn op() -> impl Strategy<Value = Op> {
    let which = || any::<usize>();
    prop_oneof![
        3 => (1..4_000_000_i64).prop_map(Op::Pass),
        // Often no more than an agent needs to answer.
        4 => (1..20_000_i64).prop_map(Op::Pass),
        4 => Just(Op::PassToWake),
        8 => (prop::option::weighted(0.8, found()), 0..4_u8, prop::option::weighted(0.1, span()))
            .prop_map(|(verdict, point, activation)| Op::Capture { verdict, point, activation }),
        2 => (which(), any::<bool>(), 0..8_u8)
            .prop_map(|(which, same, on)| Op::CaptureAgain { which, same, on }),
        4 => (which(), any::<bool>(), prop::option::of(found()), prop::bool::weighted(0.1),
            prop::bool::weighted(0.3)).prop_map(|(which, rerun, found, stale, reschedule)|
            Op::Update { which, rerun, found, stale, reschedule }),
        6 => (which(), any::<bool>(), found(), prop::bool::weighted(0.1)).prop_map(
            |(which, enriched, found, stale)| Op::EndRun { which, enriched, found, stale }),
        5 => (which(), act()).prop_map(|(which, act)| Op::OnItem { which, act }),
        14 => (which(), agent_act(), 0..12_u8)
            .prop_map(|(which, act, wrong)| Op::OnOffer { which, act, wrong }),
        3 => ((0..5_u8, 0..10_u8, 0..4_u8, any::<bool>()), (0..4_u16, 0..2_u16, 0..24_u8, 0..8_u8))
            .prop_map(|((which, sales, legacy, north), (capacity, chats, inactive, rule))|
            Op::PutAgent { which, sales, legacy, north, capacity, chats, inactive, rule }),
        1 => (0..6_u8).prop_map(Op::RemoveAgent),
        2 => (0..6_u8, 0..3_u8, 0..3_u16)
            .prop_map(|(which, media, count)| Op::Load { which, media, count }),
        10 => (which(), a_move(), any::<bool>(), 0..12_u8)
            .prop_map(|(which, act, by_agent, wrong)| Op::Move { which, act, by_agent, wrong }),
        8 => (0..6_u8, 0..10_u8).prop_map(|(which, presence)| Op::Presence { which, presence }),
        1 => (variants(), prop::bool::weighted(0.9))
            .prop_map(|(chosen, rising)| Op::Activate { chosen, rising }),
        1 => Just(Op::Reboot),
        1 => Just(Op::ClockStepped),
    ]
}

/// Each variant now and then; those that names vanish in are refused while items use them.
pub(super) fn variants() -> impl Strategy<Value = u32> {
    prop::collection::vec(prop::bool::weighted(0.25), VARIANTS.len()).prop_map(|chosen| {
        chosen.iter().enumerate().fold(0, |bits, (at, set)| bits | u32::from(*set) << at)
    })
}

/// Acts of a busy day: much comes in and much is worked on, so that much is offered.
pub(super) fn busy() -> impl Strategy<Value = Op> {
    let which = || any::<usize>();
    prop_oneof![
        5 => op(),
        4 => (found(), 1..4_u8)
            .prop_map(|(found, point)| {
                Op::Capture { verdict: Some(found), point, activation: None }
            }),
        4 => (which(), 2..12_u8)
            .prop_map(|(which, wrong)| Op::OnOffer { which, act: AgentAct::Accept, wrong }),
        4 => (which(), 0..3_u8, 2..12_u8).prop_map(|(which, disposition, wrong)| Op::OnOffer {
            which, act: AgentAct::MarkDone { disposition, changed: false }, wrong }),
        3 => (0..5_u8).prop_map(|which| Op::Presence { which, presence: 4 }),
        1 => (which(), 0..3_u8).prop_map(|(which, disposition)| Op::Move {
            which, act: Move::EndWrapUp { disposition }, by_agent: true, wrong: 5 }),
        1 => which().prop_map(|which| Op::OnItem { which, act: Act::Complete }),
        1 => (1..600_000_i64).prop_map(Op::Pass),
    ]
}

fn span() -> impl Strategy<Value = i64> {
    1..10_000_000_i64
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        3 => Just(Act::Hold),
        4 => Just(Act::Resume),
        1 => Just(Act::Cancel),
        1 => Just(Act::Complete),
        2 => any::<bool>().prop_map(|force| Act::Restart { force }),
        5 => Just(Act::Confirm),
    ]
}

fn agent_act() -> impl Strategy<Value = AgentAct> {
    prop_oneof![
        6 => Just(AgentAct::Accept),
        2 => Just(AgentAct::Decline),
        4 => (0..6_u8, any::<bool>())
            .prop_map(|(disposition, changed)| AgentAct::MarkDone { disposition, changed }),
    ]
}

/// A few agents to begin with, all there.
pub(super) fn beginning() -> Vec<Op> {
    let agents = [(0, true), (1, false), (2, true)];
    let put = agents.map(|(which, north)| {
        let (sales, legacy, capacity, chats) = (9 - which * 3, 2, 1 + u16::from(which), 1);
        let (inactive, rule) = (u8::MAX, u8::MAX);
        Op::PutAgent { which, sales, legacy, north, capacity, chats, inactive, rule }
    });
    let ready = agents.map(|(which, _)| Op::Presence { which, presence: u8::MAX });
    put.into_iter().chain(ready).collect()
}
