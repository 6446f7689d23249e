//! The tables of the life cycle hold against what happens, and are printed for people.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{Debug, Write as _};
use std::path::Path;

use super::script::World;
use super::{cases, world};
use crate::lifecycle::{Held, Place, Stand, hold_moves, place_moves, stands};

/// Random worlds that are looked at beside the case files, which make everything happen.
const WORLDS: usize = 10;

/// What happened, in the form of the tables.
#[derive(Default)]
struct Happened {
    places: BTreeSet<(Option<Place>, &'static str, Place)>,
    holds: BTreeSet<(Held, &'static str, Held)>,
    stands: BTreeSet<Stand>,
    /// Events about agents and the hub.
    others: BTreeSet<&'static str>,
}

/// Events that are about no item.
const OTHERS: [&str; 9] = [
    "agent_put",
    "agent_removed",
    "alert_cleared",
    "alert_raised",
    "capture_operated",
    "clock_stepped",
    "config_activated",
    "load_reported",
    "presence_changed",
];

impl Happened {
    fn note(&mut self, world: &World) {
        let entries = world.journal.iter().flat_map(|segment| &segment.entries);
        let others = entries.filter(|entry| entry.event.item().is_none());
        self.others.extend(others.map(|entry| entry.event.name()));
        for (from, event, to) in &world.moves {
            self.places.insert((from.map(|from| from.place), event, to.place));
            self.holds.extend(from.map(|from| (from.held, *event, to.held)));
            self.stands.insert(*to);
        }
    }
}

#[test]
fn everything_in_the_tables_happens_and_nothing_else() {
    let mut happened = Happened::default();
    for file in cases::files() {
        let case = std::fs::read_to_string(&file).unwrap();
        happened.note(&cases::tell(&case, &file).1);
    }
    for world in world::worlds().take(WORLDS) {
        happened.note(&world);
    }
    same("moves between places", &happened.places, &place_moves());
    same("moves between holds", &happened.holds, &hold_moves());
    same("events", &happened.others, &OTHERS.into());
    same("stands", &happened.stands, &stands());
}

fn same<T: Ord + Debug>(what: &str, happened: &BTreeSet<T>, table: &BTreeSet<T>) {
    let list = |found: &mut dyn Iterator<Item = &T>| {
        found.map(|one| format!("{one:?}")).collect::<Vec<_>>().join("\n")
    };
    let new = list(&mut happened.difference(table));
    assert!(new.is_empty(), "{what} that the table lacks:\n{new}");
    let never = list(&mut table.difference(happened));
    assert!(never.is_empty(), "{what} that never happened:\n{never}");
}

#[test]
fn the_page_of_the_life_cycle_is_up_to_date() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/life-cycle.md");
    let page = page();
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(&path, page).unwrap();
        return;
    }
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(written == page, "print {} anew: run this test with BLESS=1", path.display());
}

fn page() -> String {
    let mut page = String::from(HEAD);
    for (place, what) in PLACES {
        let mut held = stands().into_iter().filter(|stand| stand.place == *place);
        let held: Vec<_> = held.by_ref().map(|stand| held_word(stand.held)).collect();
        let _ = writeln!(page, "| {} | {what} | {} |", place_word(*place), held.join(", "));
    }
    page.push_str(MOVES);
    let places = place_moves();
    let places = places
        .iter()
        .map(|(from, event, to)| (*event, from.map_or("—", place_word), place_word(*to)));
    let holds = hold_moves();
    let holds: Vec<_> =
        holds.iter().map(|(from, event, to)| (*event, held_word(*from), held_word(*to))).collect();
    let (places, holds) = (by_event(places), by_event(holds.into_iter()));
    for (event, moves) in places {
        let holds = holds.get(event).map_or("→ none", String::as_str);
        let _ = writeln!(page, "| `{event}` | {moves} | {holds} |");
    }
    page
}

/// What an event does, in few words: where it leads from where, or that it changes nothing.
fn by_event(
    moves: impl Iterator<Item = (&'static str, &'static str, &'static str)>,
) -> BTreeMap<&'static str, String> {
    let mut events: BTreeMap<&str, BTreeMap<Vec<&str>, Vec<&str>>> = BTreeMap::new();
    let mut leads: BTreeMap<(&str, &str), Vec<&str>> = BTreeMap::new();
    let mut order = Vec::new();
    for (event, from, to) in moves {
        let to_all = leads.entry((event, from)).or_default();
        if to_all.is_empty() {
            order.push((event, from));
        }
        to_all.push(to);
    }
    for (event, from) in order {
        let mut to = leads.remove(&(event, from)).unwrap_or_default();
        if to == [from] {
            to.clear();
        }
        events.entry(event).or_default().entry(to).or_default().push(from);
    }
    let told = |(to, from): (Vec<&str>, Vec<&str>)| {
        let from = from.join(", ");
        if to.is_empty() { from } else { format!("{from} → {}", to.join(" or ")) }
    };
    events
        .into_iter()
        .map(|(event, moves)| (event, moves.into_iter().map(told).collect::<Vec<_>>().join("; ")))
        .collect()
}

const HEAD: &str = "\
# The life cycle of a work item

This page is printed from the tables in `core/engine/src/lifecycle.rs`; a test holds them against
what random worlds and case files do. To print it anew:
`BLESS=1 cargo test -p gantry-engine life_cycle`.

An item is in exactly one place. Beside that something may hold it, which keeps it from being
distributed.

| place | meaning | may be held |
|---|---|---|
";

const MOVES: &str = "
Which event takes an item where. Places and holds that are only named stay as they are; an event
that is not listed for a place or hold cannot happen there.

| event | place | hold |
|---|---|---|
";

const PLACES: &[(Place, &str)] = &[
    (Place::Captured, "durable; look-ups run, or have failed"),
    (Place::Enriched, "look-ups have answered; the rules have not, or have failed"),
    (Place::Classified, "it has a process, but is not in the queue yet"),
    (Place::Waiting, "in the queue"),
    (Place::Offered, "reserved for one agent"),
    (Place::Assigned, "an agent works on it"),
    (Place::WrapUp, "marked done; the agent gives the disposition"),
    (Place::Confirming, "marked done; waits for the confirmation of the source"),
    (Place::Parked, "in a workbin"),
    (Place::Completed, "final: done and, where asked for, confirmed"),
    (Place::Canceled, "final: withdrawn"),
    (Place::Rejected, "final: department or process is outside its dates"),
    (Place::Expired, "final: its expiration date passed"),
];

const fn place_word(place: Place) -> &'static str {
    match place {
        Place::Captured => "captured",
        Place::Enriched => "enriched",
        Place::Classified => "classified",
        Place::Waiting => "waiting",
        Place::Offered => "offered",
        Place::Assigned => "assigned",
        Place::WrapUp => "wrap-up",
        Place::Confirming => "confirming",
        Place::Parked => "parked",
        Place::Completed => "completed",
        Place::Canceled => "canceled",
        Place::Rejected => "rejected",
        Place::Expired => "expired",
    }
}

const fn held_word(held: Held) -> &'static str {
    match held {
        Held::No => "none",
        Held::ByHand => "held",
        Held::ByError => "error",
        Held::Activation => "activation",
    }
}
