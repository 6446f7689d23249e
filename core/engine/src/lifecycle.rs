//! The life cycle as tables: where an item can stand, and which event takes it where.
//!
//! Of the three axes of a status the first and the third are one place, since only what is queued
//! can be anybody's. An event moves place and hold independently of each other, so there are two
//! tables of moves and one of the pairs that exist. Nothing decides by them: a test holds them
//! against what random worlds and case files do, so that they leave nothing out and hold nothing
//! that never happens. `docs/life-cycle.md` is printed from them.

use std::collections::BTreeSet;

use gantry_model::{Assignment, Hold, LifeCycle, WorkItem};

/// Where an item is: how far it has come, or once it is queued, whose it is. An item is in
/// exactly one place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// Look-ups run, or have failed.
    Captured,
    /// Look-ups have answered.
    Enriched,
    /// It has a process, but is not in the queue yet.
    Classified,
    /// In the queue.
    Waiting,
    /// Offered to an agent.
    Offered,
    /// An agent works on it.
    Assigned,
    /// In wrap-up with the agent who marked it done.
    WrapUp,
    /// Waits for the confirmation of the source.
    Confirming,
    /// In a workbin.
    Parked,
    /// Final: completed.
    Completed,
    /// Final: canceled.
    Canceled,
    /// Final: rejected.
    Rejected,
    /// Final: expired.
    Expired,
}

/// What keeps an item from being distributed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Held {
    /// Nothing.
    No,
    /// Somebody held it.
    ByHand,
    /// A look-up or rule error.
    ByError,
    /// Its activation date.
    Activation,
}

/// How an item stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Stand {
    /// Where it is.
    pub place: Place,
    /// What holds it.
    pub held: Held,
}

/// The place before (`None`: the capture), the event's name, the place after.
pub type PlaceMove = (Option<Place>, &'static str, Place);
/// The hold before, the event's name, the hold after.
pub type HoldMove = (Held, &'static str, Held);

/// Where rows of a table lead.
enum To<T: 'static> {
    /// It stays.
    Same,
    /// Any of these.
    Any(&'static [T]),
}

use Held::{Activation, ByError, ByHand, No};
use Place::{
    Assigned, Canceled, Captured, Classified, Completed, Confirming, Enriched, Expired, Offered,
    Parked, Rejected, Waiting, WrapUp,
};
use To::{Any, Same};

/// All places but the final ones.
const OPEN: &[Place] =
    &[Captured, Enriched, Classified, Waiting, Offered, Assigned, WrapUp, Confirming, Parked];
/// What is taken from an agent is waiting by then: the end comes after the revocation.
const ENDING: &[Place] = &[Captured, Enriched, Classified, Waiting, Confirming, Parked];
/// What can be moved by hand.
const MOVABLE: &[Place] = &[Waiting, Offered, Assigned, WrapUp, Parked];
const HELD: &[Held] = &[No, ByHand, ByError, Activation];

/// Which event takes an item from which places to which; all but the capture.
const PLACES: &[(&str, &[Place], To<Place>)] = &[
    ("updated", OPEN, Same),
    ("run_started", OPEN, Same),
    ("enriched", &[Captured], Any(&[Enriched])),
    (
        "enriched",
        &[Enriched, Classified, Waiting, Offered, Assigned, WrapUp, Confirming, Parked],
        Same,
    ),
    ("classified", &[Captured, Enriched], Any(&[Classified])),
    ("classified", &[Classified, Waiting, Offered, Assigned, WrapUp, Confirming, Parked], Same),
    (
        "error_held",
        &[Captured, Enriched, Classified, Waiting, Assigned, WrapUp, Confirming, Parked],
        Same,
    ),
    ("activation_awaited", &[Classified, Waiting, Confirming, Parked], Any(&[Classified])),
    ("queued", &[Classified], Any(&[Waiting])),
    ("held", &[Captured, Enriched, Classified, Waiting, Parked], Same),
    ("resumed", &[Captured, Enriched, Classified, Waiting, Parked], Same),
    ("restarted", ENDING, Any(&[Captured])),
    ("rescheduled", &[Classified], Same),
    ("rescheduled", &[Waiting, Offered, Assigned, WrapUp, Confirming, Parked], Any(&[Waiting])),
    ("offered", &[Waiting, Parked], Any(&[Offered])),
    ("assigned", &[Offered], Any(&[Assigned])),
    ("declined", &[Offered], Any(&[Waiting])),
    ("rona", &[Offered], Any(&[Waiting])),
    ("revoked", &[Offered, Assigned, WrapUp], Any(&[Waiting])),
    // Completed at once where nobody has to confirm.
    ("done", &[Assigned], Any(&[WrapUp, Confirming, Waiting])),
    ("wrap_up_ended", &[WrapUp], Any(&[Confirming, Waiting])),
    ("confirmed", &[WrapUp], Same),
    ("confirmation_missed", &[Assigned, Confirming], Any(&[Waiting])),
    ("transferred", MOVABLE, Any(&[Waiting])),
    ("parked", MOVABLE, Any(&[Parked])),
    ("pulled", &[Waiting, Parked], Any(&[Assigned])),
    ("returned", &[Offered, Assigned, WrapUp, Parked], Any(&[Waiting])),
    ("retrieved", &[Offered, Assigned, WrapUp, Parked], Any(&[Waiting])),
    ("escalated", &[Waiting], Any(&[Waiting, Parked])),
    ("escalated", &[Offered], Any(&[Offered, Waiting, Parked])),
    ("escalated", &[Assigned], Any(&[Assigned, Waiting, Parked])),
    ("escalated", &[Parked], Any(&[Parked, Waiting])),
    ("boosted", OPEN, Same),
    ("sla_warned", &[Classified, Waiting, Offered, Assigned, Parked], Same),
    ("sla_breached", &[Captured, Enriched, Classified, Waiting, Offered, Assigned, Parked], Same),
    (
        "postponed",
        &[Captured, Enriched, Classified, Waiting, Assigned, WrapUp, Confirming, Parked],
        Same,
    ),
    ("completed", ENDING, Any(&[Completed])),
    ("canceled", ENDING, Any(&[Canceled])),
    ("rejected", ENDING, Any(&[Rejected])),
    ("expired", &[Captured, Enriched, Classified, Waiting, Parked], Any(&[Expired])),
];

/// Which event changes what holds an item; all but the capture.
const HOLDS: &[(&str, &[Held], To<Held>)] = &[
    ("updated", HELD, Same),
    ("run_started", HELD, Same),
    ("enriched", HELD, Same),
    ("classified", &[No, ByHand, Activation], Same),
    ("classified", &[ByError], Any(&[No])),
    ("error_held", &[No, ByError, Activation], Any(&[ByError])),
    // A hold by a person outlasts an error.
    ("error_held", &[ByHand], Same),
    ("activation_awaited", &[No, Activation], Any(&[Activation])),
    ("queued", &[No, Activation], Any(&[No])),
    ("held", &[No, ByError, Activation], Any(&[ByHand])),
    ("resumed", &[ByHand], Any(&[No])),
    ("restarted", HELD, Any(&[No])),
    ("rescheduled", HELD, Same),
    ("offered", &[No], Same),
    ("assigned", &[No], Same),
    ("declined", &[No], Same),
    ("rona", &[No], Same),
    ("revoked", &[No, ByError], Same),
    ("done", &[No, ByError], Same),
    ("wrap_up_ended", &[No, ByError], Same),
    ("confirmed", &[No, ByError], Same),
    ("confirmation_missed", &[No, ByError], Same),
    ("transferred", &[No, ByHand, ByError], Same),
    ("parked", &[No, ByHand, ByError], Same),
    ("pulled", &[No], Same),
    ("returned", &[No, ByHand, ByError], Same),
    ("retrieved", &[No, ByHand, ByError], Same),
    ("escalated", &[No, ByError], Same),
    ("boosted", HELD, Same),
    ("sla_warned", HELD, Same),
    ("sla_breached", HELD, Same),
    ("postponed", &[No, ByError], Same),
    ("completed", HELD, Any(&[No])),
    ("canceled", HELD, Any(&[No])),
    ("rejected", HELD, Any(&[No])),
    ("expired", HELD, Any(&[No])),
];

/// What can hold an item in each place. Who works on it, or has finished, goes on when a later
/// run of the rules fails; nobody is offered what is held.
const STANDS: &[(Place, &[Held])] = &[
    (Captured, &[No, ByHand, ByError]),
    (Enriched, &[No, ByHand, ByError]),
    (Classified, HELD),
    (Waiting, &[No, ByHand, ByError]),
    (Offered, &[No]),
    (Assigned, &[No, ByError]),
    (WrapUp, &[No, ByError]),
    (Confirming, &[No, ByError]),
    (Parked, &[No, ByHand, ByError]),
    (Completed, &[No]),
    (Canceled, &[No]),
    (Rejected, &[No]),
    (Expired, &[No]),
];

impl Stand {
    /// `true` if an item can stand so.
    pub fn exists(self) -> bool {
        let mut stands = STANDS.iter();
        stands.any(|(place, held)| *place == self.place && held.contains(&self.held))
    }
}

/// All pairs of place and hold that exist.
pub fn stands() -> BTreeSet<Stand> {
    let all = STANDS.iter().flat_map(|(place, held)| held.iter().map(move |held| (*place, *held)));
    all.map(|(place, held)| Stand { place, held }).collect()
}

/// All moves between places, by event.
pub fn place_moves() -> BTreeSet<PlaceMove> {
    let moves = expand(PLACES).map(|(from, event, to)| (Some(from), event, to));
    moves.chain([(None, "captured", Captured)]).collect()
}

/// All moves between holds, by event.
pub fn hold_moves() -> BTreeSet<HoldMove> {
    expand(HOLDS).collect()
}

fn expand<T: Copy>(
    rows: &'static [(&'static str, &'static [T], To<T>)],
) -> impl Iterator<Item = (T, &'static str, T)> {
    rows.iter().flat_map(|(event, from, to)| {
        from.iter().flat_map(move |from| {
            let to: &[T] = match to {
                Same => std::slice::from_ref(from),
                Any(to) => to,
            };
            to.iter().map(move |to| (*from, *event, *to))
        })
    })
}

/// How an item stands.
pub const fn stand(item: &WorkItem) -> Stand {
    let place = match (item.life_cycle, &item.assignment) {
        (LifeCycle::Captured, _) => Place::Captured,
        (LifeCycle::Enriched, _) => Place::Enriched,
        (LifeCycle::Classified, _) => Place::Classified,
        (LifeCycle::Completed, _) => Place::Completed,
        (LifeCycle::Canceled, _) => Place::Canceled,
        (LifeCycle::Rejected, _) => Place::Rejected,
        (LifeCycle::Expired, _) => Place::Expired,
        (LifeCycle::Queued, Assignment::None) => Place::Waiting,
        (LifeCycle::Queued, Assignment::Offered { .. }) => Place::Offered,
        (LifeCycle::Queued, Assignment::Assigned { .. }) => Place::Assigned,
        (LifeCycle::Queued, Assignment::WrapUp { .. }) => Place::WrapUp,
        (LifeCycle::Queued, Assignment::Confirming { .. }) => Place::Confirming,
        (LifeCycle::Queued, Assignment::Parked { .. }) => Place::Parked,
    };
    let held = match &item.hold {
        Hold::None => Held::No,
        Hold::Held { .. } => Held::ByHand,
        Hold::Error { .. } => Held::ByError,
        Hold::Activation { .. } => Held::Activation,
    };
    Stand { place, held }
}
