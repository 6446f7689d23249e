//! Random moves by hand: transfers, workbins, wrap-up, boosts.

use gantry_model::command::Holder;
use gantry_model::requirement::Compare;
use gantry_model::{Command, Millis, Name, Requirement, Target, Workbin};
use proptest::prelude::*;

use super::{World, agent};

/// A move. Numbers choose among what there is when it happens.
#[derive(Clone, Copy, Debug)]
pub(in crate::tests) enum Move {
    Transfer(u8),
    Park { workbin: u8, until: Option<i64> },
    Pull { agent: u8, over_capacity: bool },
    Return,
    Retrieve,
    Boost(i64),
    Empty(u8),
    EndWrapUp { disposition: u8 },
}

pub(in crate::tests) fn a_move() -> impl Strategy<Value = Move> {
    prop_oneof![
        3 => (0..9_u8).prop_map(Move::Transfer),
        3 => (0..9_u8, prop::option::of(-1_000..100_000_000_i64))
            .prop_map(|(workbin, until)| Move::Park { workbin, until }),
        3 => (0..6_u8, any::<bool>())
            .prop_map(|(agent, over_capacity)| Move::Pull { agent, over_capacity }),
        1 => Just(Move::Return),
        1 => Just(Move::Retrieve),
        1 => prop_oneof![-3_000..3_000_i64, Just(i64::MAX)].prop_map(Move::Boost),
        1 => (0..9_u8).prop_map(Move::Empty),
        3 => (0..3_u8).prop_map(|disposition| Move::EndWrapUp { disposition }),
    ]
}

/// A workbin of a number; some have nobody.
fn workbin(which: u8) -> Workbin {
    match which {
        0..6 => Workbin::Agent(agent(which)),
        6 => Workbin::Group("north".into()),
        7 => Workbin::Supervisor("north".into()),
        _ => Workbin::Group("nobody".into()),
    }
}

fn target(which: u8) -> Target {
    match which {
        0..2 => Target::Agent(agent(which)),
        2 => Target::Agent(agent(9)),
        3 => Target::Group("north".into()),
        4 => Target::Skills(Requirement::Skill {
            skill: "sales".into(),
            compare: Compare::Greater,
            level: 4,
        }),
        5 => Target::Queue("care/office".into()),
        6 => Target::Queue("sales/leads".into()),
        7 => Target::Queue("closed/claims".into()),
        _ => Target::Workbin(workbin(which - 8)),
    }
}

pub(super) fn disposition(which: u8) -> Option<Name> {
    match which {
        0 => None,
        1 => Some(Name::new("Processed")),
        _ => Some(Name::new("converted")),
    }
}

impl World {
    pub(super) fn by_hand(
        &self,
        which: usize,
        act: Move,
        by_agent: bool,
        wrong: u8,
    ) -> Option<Command> {
        let wanted = match act {
            Move::EndWrapUp { .. } => "wrap_up",
            Move::Pull { .. } | Move::Return => "parked",
            Move::Park { .. } | Move::Transfer(_) => "assigned",
            _ => "",
        };
        // Mostly items with which this can be done, else any.
        let fitting = self.pick(which, |item| item.assignment.as_str() == wanted);
        let item = fitting.filter(|_| wrong > 2).or_else(|| self.pick(which, |_| true))?;
        let epoch = item.epoch - u32::from(wrong == 1 && item.epoch > 0);
        let with = item.agent().or(match item.workbin() {
            Some(Workbin::Agent(agent)) => Some(agent),
            _ => None,
        });
        let holder = Holder { agent: with.cloned().unwrap_or_else(|| "ben".into()), epoch };
        let by = by_agent.then(|| holder.clone());
        let (item, note) = (item.id, None);
        Some(match act {
            Move::Transfer(to) => Command::Transfer { item, by, to: target(to), note },
            Move::Park { workbin: to, until } => {
                let until = until.map(|span| self.now.plus(Millis(span)));
                Command::Park { item, by, workbin: workbin(to), until, note }
            }
            Move::Pull { agent: who, over_capacity } => {
                let over_capacity = over_capacity.then(|| "urgent".to_owned());
                Command::Pull { item, agent: agent(who), over_capacity }
            }
            Move::Return => Command::Return { item, by, note },
            Move::Retrieve => Command::Retrieve { item, reason: "needed".into() },
            Move::Boost(points) => Command::Boost { item, points },
            Move::Empty(from) => Command::EmptyWorkbin { workbin: workbin(from) },
            Move::EndWrapUp { disposition: given } => {
                Command::EndWrapUp { item, by: holder, disposition: disposition(given) }
            }
        })
    }
}
