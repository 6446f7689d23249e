//! Nothing strands: an item that everybody declines, or lets ring, is offered again and again, and
//! escalated.

use gantry_model::agent::AgentProfile;
use gantry_model::command::Verdict;
use gantry_model::{Actor, Assignment, Command, ItemId, Millis, Name, Presence};
use proptest::prelude::*;

use super::script::{World, captured, classified};

const NAMES: [&str; 4] = ["anna", "ben", "cleo", "dora"];
/// Most steps until an item that is offered at all is offered so often.
const STEPS_MAX: usize = 200;
const OFFERS: u32 = 12;

/// Makes agents who fit and are ready, and one item.
fn world(agents: usize) -> World {
    let mut world = World::new();
    for name in &NAMES[..agents] {
        let profile = AgentProfile::new(Name::new(name));
        world.act(Actor::Hub, &Command::PutAgent(profile));
        ready(&mut world, name);
    }
    let verdict = Verdict::Classified(classified("care/returns", "gold", 1));
    world.act(Actor::Hub, &captured(verdict));
    world
}

fn ready(world: &mut World, agent: &str) {
    let command = Command::SetPresence { agent: agent.into(), presence: Presence::Ready };
    world.act(Actor::Hub, &command);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 16, ..ProptestConfig::default() })]
    #[test]
    fn an_item_that_nobody_wants_is_offered_again_and_escalated(
        agents in 1..=4_usize,
        rings in prop::collection::vec(any::<bool>(), OFFERS as usize),
        delays in prop::collection::vec(0..40_000_i64, OFFERS as usize),
    ) {
        let mut world = world(agents);
        let item = ItemId::new(0, 1);
        let mut offers = 0;
        for _ in 0..STEPS_MAX {
            let live = world.state.item(item).unwrap();
            let Assignment::Offered { agent, .. } = live.assignment else {
                world.now = world.state.next_wake(world.now).expect("it waits for something");
                world.act(Actor::Hub, &Command::Tick);
                continue;
            };
            if offers == OFFERS {
                break;
            }
            if rings[offers as usize] {
                world.now = world.now.plus(Millis(30_000));
                world.act(Actor::Hub, &Command::Tick);
                ready(&mut world, &agent);
            } else {
                world.now = world.now.plus(Millis(delays[offers as usize].min(29_999)));
                let (epoch, reason) = (live.epoch, "busy".to_owned());
                let decline = Command::Decline { item, epoch, agent: agent.clone(), reason };
                world.act(Actor::Agent(agent), &decline);
            }
            offers += 1;
        }
        prop_assert_eq!(offers, OFFERS);
        let live = world.state.item(item).unwrap();
        prop_assert_eq!(live.declines, OFFERS);
        prop_assert!(live.escalated.contains(&"care/returns:declined".into()));
    }
}
