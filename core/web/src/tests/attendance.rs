//! Pages that vanish: the agent becomes not ready after the grace time, and not before.

use std::sync::Arc;

use gantry_model::clock::ManualClock;
use gantry_model::{AgentId, Clock, Millis, Name, Timestamp};
use serde_json::json;

use super::events::Stream;
use super::world::{World, as_agent};
use crate::Options;
use crate::attendance::{Attendance, GRACE, Next, Present, watch};
use crate::token::Role;

/// Attendance over a clock that is moved by hand.
struct Office {
    attendance: Arc<Attendance>,
    clock: Arc<ManualClock>,
}

impl Office {
    fn new() -> Self {
        Self { attendance: Arc::default(), clock: Arc::new(ManualClock::new(Timestamp(0))) }
    }

    fn open(&self, agent: &AgentId) -> Present {
        self.attendance.open(agent, Arc::<ManualClock>::clone(&self.clock))
    }

    fn next(&self) -> Next {
        self.attendance.next(self.clock.now(), GRACE)
    }

    fn pass(&self, span: Millis) {
        self.clock.advance(span);
    }
}

#[test]
fn the_grace_time_counts_from_the_last_stream_on() {
    let office = Office::new();
    let (anna, ben) = (Name::new("anna"), Name::new("ben"));
    let first = office.open(&anna);
    let second = office.open(&anna);
    let of_ben = office.open(&ben);
    drop(first);
    office.pass(Millis(GRACE.0 * 10));
    assert_eq!(office.next(), Next::Nobody, "anna has another page, and so has ben");
    drop(second);
    assert_eq!(office.next(), Next::In(GRACE));
    office.pass(Millis(1));
    drop(of_ben);
    office.pass(Millis(GRACE.0 - 2));
    assert_eq!(office.next(), Next::In(Millis(1)));
    office.pass(Millis(1));
    assert_eq!(office.next(), Next::Vanished(anna));
    assert_eq!(office.next(), Next::In(Millis(1)), "each is told once");
    office.pass(Millis(1));
    assert_eq!(office.next(), Next::Vanished(ben));
    assert_eq!(office.next(), Next::Nobody);
}

#[test]
fn whoever_comes_back_in_time_has_not_vanished() {
    let office = Office::new();
    let anna = Name::new("anna");
    drop(office.open(&anna));
    office.pass(Millis(GRACE.0 / 2));
    let back = office.open(&anna);
    office.pass(GRACE);
    assert_eq!(office.next(), Next::Nobody);
    drop(back);
    assert_eq!(office.next(), Next::In(GRACE), "it counts anew");
}

#[tokio::test]
async fn a_vanished_page_withdraws_the_offer_and_a_program_without_pages_keeps_it() {
    let disconnect_grace = Millis(1);
    let world = World::with(Options { disconnect_grace, ..Options::default() }).await;
    let mut watching = tokio::task::JoinSet::new();
    watching.spawn(watch(Arc::clone(&world.app)));
    world.hire("anna", 1).await;
    world.hire("robot", 1).await;
    let items = [world.capture("a").await, world.capture("b").await];
    let mut follower = Stream::open(&world, Role::Auditor, "?after=0", None).await;
    drop(Stream::open(&world, as_agent("anna"), "", None).await);
    let revoked = follower.until("revoked").await;
    assert_eq!(revoked["data"]["agent"], "anna");
    let presence = world.get(as_agent("anna"), "/agents/anna").await.json()["presence"].clone();
    assert_eq!(presence, json!({ "state": "not_ready", "reason": "Disconnected" }));
    let robot = world.get(as_agent("robot"), "/agents/robot").await.json();
    assert_eq!(robot["presence"]["state"], "ready");
    let with_robot = world.card("robot", "offers").await["item"].clone();
    assert!(items.iter().any(|item| with_robot == item.as_str()), "{with_robot}");
}
