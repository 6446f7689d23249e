//! Shares of flows: offers follow the weights, nobody saves up, and rates hold.

use std::collections::BTreeMap;
use std::sync::Arc;

use gantry_model::agent::AgentProfile;
use gantry_model::command::Verdict;
use gantry_model::decision::Reason;
use gantry_model::journal::Entry;
use gantry_model::spec::{CompletionMode, RoutingSpec};
use gantry_model::{Actor, Command, Event, ItemId, Millis, Name, Presence};

use super::script::{World, captured, classified, routing};
use crate::{Contending, WhyNot};

/// A world in which one agent takes one item after the other; priorities are constant.
fn world(change: impl FnOnce(&mut RoutingSpec)) -> World {
    let mut routing = routing();
    let process = routing.processes.get_mut("billing/disputes").unwrap();
    process.completion.mode = CompletionMode::DoneCloses;
    change(&mut routing);
    let mut world = World::new();
    world.act(Actor::Hub, &Command::Activate { version: 2, routing: Arc::new(routing) });
    world.act(Actor::Hub, &Command::PutAgent(AgentProfile::new("anna")));
    world
}

fn wait(world: &mut World, flow: &str, priority: i64) {
    let mut found = classified("billing/disputes", "bronze", 2);
    found.priority = Some(priority);
    Arc::make_mut(found.class.as_mut().unwrap()).flow = Some(flow.into());
    world.act(Actor::Hub, &captured(Verdict::Classified(found)));
}

fn ready(world: &mut World) -> Option<ItemId> {
    let presence = Presence::Ready;
    let (entries, _) =
        world.act(Actor::Hub, &Command::SetPresence { agent: "anna".into(), presence });
    offered(entries)
}

fn offered(entries: Vec<Entry>) -> Option<ItemId> {
    entries.into_iter().find_map(|entry| match entry.event {
        Event::Offered { item, .. } => Some(item),
        _ => None,
    })
}

/// The agent works off what is offered; returns the next offer.
fn finish(world: &mut World, item: ItemId) -> Option<ItemId> {
    let agent = Name::new("anna");
    let epoch = world.state.item(item).unwrap().epoch;
    let accept = Command::Accept { item, epoch, agent: agent.clone() };
    world.act(Actor::Agent(agent.clone()), &accept);
    let done = Command::MarkDone {
        item,
        epoch,
        agent: agent.clone(),
        disposition: None,
        changed_from: None,
    };
    offered(world.act(Actor::Agent(agent), &done).0)
}

fn flow(world: &World, item: ItemId) -> String {
    let class = world.state.item(item).unwrap().class.unwrap();
    class.flow.as_ref().unwrap().to_string()
}

/// How many of the next `count` offers each flow has.
fn served(world: &mut World, first: ItemId, count: usize) -> (BTreeMap<String, usize>, ItemId) {
    let (mut by_flow, mut item) = (BTreeMap::new(), first);
    for _ in 0..count {
        *by_flow.entry(flow(world, item)).or_default() += 1;
        item = finish(world, item).unwrap();
    }
    (by_flow, item)
}

#[test]
fn offers_follow_the_weights() {
    let mut world = world(|_| {});
    for _ in 0..60 {
        wait(&mut world, "acme", 500);
        wait(&mut world, "bolt", 500);
    }
    let first = ready(&mut world).unwrap();
    let (by_flow, _) = served(&mut world, first, 40);
    assert_eq!(by_flow, BTreeMap::from([("acme".to_owned(), 30), ("bolt".to_owned(), 10)]));
}

/// Priority still decides, as far as a flow is not too far beyond its share: 500 points against
/// 200 an offer are worth the first three offers.
#[test]
fn urgency_is_worth_some_offers_beyond_the_share() {
    let mut world = world(|_| {});
    for _ in 0..20 {
        wait(&mut world, "nobody", 100);
        wait(&mut world, "bolt", 600);
    }
    let first = ready(&mut world).unwrap();
    let (by_flow, next) = served(&mut world, first, 3);
    assert_eq!(by_flow, BTreeMap::from([("bolt".to_owned(), 3)]));
    assert_eq!(flow(&world, next), "nobody");
}

#[test]
fn who_has_nothing_waiting_saves_nothing_up() {
    let mut world = world(|_| {});
    for _ in 0..40 {
        wait(&mut world, "bolt", 500);
    }
    let first = ready(&mut world).unwrap();
    let (_, next) = served(&mut world, first, 20);
    // Acme comes late: it gets its three of four from now on, beginning with those beside the
    // offer that is open, and not the sixty that it missed.
    for _ in 0..20 {
        wait(&mut world, "acme", 500);
    }
    let (by_flow, _) = served(&mut world, next, 17);
    assert_eq!(by_flow, BTreeMap::from([("acme".to_owned(), 13), ("bolt".to_owned(), 4)]));
}

#[test]
fn a_rate_holds_and_lets_go_by_itself() {
    let mut world = world(|_| {});
    for _ in 0..3 {
        wait(&mut world, "crown", 900);
    }
    let first = ready(&mut world).unwrap();
    let second = finish(&mut world, first).unwrap();
    assert_eq!(finish(&mut world, second), None, "two in twenty minutes");
    let third = ItemId::new(0, 3);
    let until = world.now.plus(Millis(20 * 60_000));
    let told = world.state.explain_at(world.now, third).unwrap();
    assert_eq!(told.why_not, Some(WhyNot::RateLimited { until }));
    assert_eq!(told.agents[0].failed, Some(Reason::RateLimited { until }));
    // Others are not held up.
    wait(&mut world, "bolt", 1);
    let other = ItemId::new(0, 4);
    assert_eq!(world.state.item(other).unwrap().agent().unwrap(), "anna");
    finish(&mut world, other);
    assert_eq!(world.state.next_wake(world.now), Some(until));
    world.now = until;
    let entries = world.act(Actor::Hub, &Command::Tick).0;
    assert_eq!(offered(entries), Some(third));
}

/// The flow of all other items may have a weight and a rate of its own.
#[test]
fn what_belongs_to_no_flow_is_a_flow() {
    let mut world = world(|routing| {
        let fairness = routing.fairness.as_mut().unwrap();
        let crown = fairness.flows["crown"];
        fairness.flows.insert("other".into(), crown);
    });
    for _ in 0..3 {
        wait(&mut world, "nobody", 500);
    }
    let first = ready(&mut world).unwrap();
    let second = finish(&mut world, first).unwrap();
    assert_eq!(finish(&mut world, second), None, "two in twenty minutes");
}

/// A new config keeps what flows have had, by their names.
#[test]
fn a_new_config_forgets_nothing() {
    let mut world = world(|_| {});
    for _ in 0..20 {
        wait(&mut world, "bolt", 500);
        wait(&mut world, "nobody", 490);
    }
    let first = ready(&mut world).unwrap();
    assert_eq!(flow(&world, first), "bolt");
    let routing = Arc::new(world.state.routing().clone());
    world.act(Actor::Hub, &Command::Activate { version: 3, routing });
    let next = finish(&mut world, first).unwrap();
    assert_eq!(flow(&world, next), "nobody");
}

/// Whoever asks is told what the match then does: shares and rates count in the answers too.
#[test]
fn questions_are_answered_as_the_match_goes() {
    let mut world = world(|routing| {
        routing.processes.get_mut("billing/disputes").unwrap().choose = true;
    });
    for _ in 0..3 {
        wait(&mut world, "bolt", 500);
        wait(&mut world, "nobody", 490);
    }
    let contending = |world: &World| {
        let next = world.state.who_goes_next(world.now, "anna", &[]).unwrap();
        next.winner.unwrap().what
    };
    let [first, second, third] = [1, 2, 3].map(|number| ItemId::new(0, number));
    assert_eq!(contending(&world), Contending::Item(first));
    assert_eq!(ready(&mut world), Some(first));
    // The open offer is what the match chose, though its flow has paid for it since.
    assert_eq!(contending(&world), Contending::Item(first));
    let lunch = Presence::NotReady { reason: "Lunch".into() };
    world.act(Actor::Hub, &Command::SetPresence { agent: "anna".into(), presence: lunch });
    let ahead = |world: &World, item| world.state.explain_at(world.now, item).unwrap().ahead;
    assert_eq!(contending(&world), Contending::Item(second));
    assert_eq!([first, second, third].map(|item| ahead(&world, item)), [3, 0, 4].map(Some));
    let pull = Command::Pull { item: third, agent: "anna".into(), over_capacity: None };
    let (entries, _) = world.act(Actor::Agent("anna".into()), &pull);
    let pulled = |entry: &Entry| match entry.event {
        Event::Pulled { passed_over, .. } => Some(passed_over),
        _ => None,
    };
    assert_eq!(entries.iter().find_map(pulled), Some(4));
}

#[test]
fn what_is_at_its_rate_stands_before_nothing() {
    let mut world = world(|_| {});
    for _ in 0..3 {
        wait(&mut world, "crown", 900);
    }
    let first = ready(&mut world).unwrap();
    finish(&mut world, first).unwrap();
    wait(&mut world, "bolt", 1);
    let behind = ItemId::new(0, 4);
    let ahead = |world: &World| world.state.explain_at(world.now, behind).unwrap().ahead;
    assert_eq!(ahead(&world), Some(0), "crown has had its two offers in twenty minutes");
    world.now = world.now.plus(Millis(20 * 60_000));
    assert_eq!(ahead(&world), Some(1));
}
