//! Bounds: what is stored with each offer stays small, and applying a foreign event fails.

use gantry_model::agent::{AgentProfile, ID_LENGTH_MAX};
use gantry_model::command::{Refusal, Verdict};
use gantry_model::journal::Segment;
use gantry_model::{Actor, Command, Event, Explanation, ItemId, Name, Presence, Reply};

use super::script::{START, World, captured, classified};
use crate::{ApplyError, FoldError, State, fold};

/// Agents of all kinds: the winner, others behind, and many who are away.
fn explanation(id: impl Fn(u32) -> String) -> Explanation {
    let mut world = World::new();
    for number in 0..60 {
        let agent = Name::from(id(number));
        let put = Command::PutAgent(AgentProfile {
            skills: [("sales", 9), ("legacy", 9)].map(|(n, l)| (Name::new(n), l)).into(),
            ..AgentProfile::new(agent.clone())
        });
        world.act(Actor::Hub, &put);
        if number % 2 == 0 {
            let presence = Presence::Ready;
            world.act(Actor::Hub, &Command::SetPresence { agent, presence });
        }
    }
    let (entries, _) = world.act(Actor::Hub, &capture());
    let offered = entries.into_iter().find_map(|entry| match entry.event {
        Event::Offered { explanation, .. } => Some(*explanation),
        _ => None,
    });
    offered.expect("somebody is free")
}

fn capture() -> Command {
    captured(Verdict::Classified(classified("sales/leads", "gold", 1)))
}

#[test]
fn an_explanation_is_small() {
    let usual = explanation(|number| format!("agent.{number:03}"));
    assert_eq!(usual.nearest.len(), 3);
    assert!(minicbor::to_vec(&usual).unwrap().len() <= 256);

    let longest = explanation(|number| {
        let last = char::from_u32(0x1_F600 + number).unwrap();
        "\u{1F600}".repeat(ID_LENGTH_MAX - 1) + last.encode_utf8(&mut [0; 4])
    });
    assert_eq!(longest.winner.agent.len(), 256);
    assert!(!longest.nearest.is_empty());
    assert!(minicbor::to_vec(&longest).unwrap().len() <= 1024);
}

#[test]
fn an_agent_id_has_a_length() {
    let mut world = World::new();
    for length in [0, ID_LENGTH_MAX + 1] {
        let put = Command::PutAgent(AgentProfile::new("x".repeat(length)));
        let (entries, reply) = world.act(Actor::Hub, &put);
        assert_eq!(reply, Reply::Refused(Refusal::AgentIdLength { length }));
        assert!(entries.is_empty());
    }
}

#[test]
fn foreign_events_do_not_apply() {
    let mut state = State::new(0);
    let item = ItemId::new(0, 7);
    let queued = state.apply(START, &Event::Queued { item });
    assert_eq!(queued, Err(ApplyError::UnknownItem { event: "queued", item }));
    let agent = Name::new("anna");
    let removed = state.apply(START, &Event::AgentRemoved { agent: agent.clone() });
    assert_eq!(removed, Err(ApplyError::UnknownAgent { event: "agent_removed", agent }));

    let mut world = World::new();
    let (entries, _) = world.act(Actor::Hub, &capture());
    let again = world.state.apply(START, &entries[0].event);
    assert_eq!(again, Err(ApplyError::CapturedTwice { item: ItemId::new(0, 1) }));
}

#[test]
fn a_journal_with_a_gap_does_not_fold() {
    let segment = |seq| Segment { seq, binary: "test".into(), entries: Vec::new() };
    let gap = fold(0, &[segment(1), segment(3)]);
    assert_eq!(gap.err(), Some(FoldError::Gap { expected: 2, found: 3 }));
}
