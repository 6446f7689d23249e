//! The engine: priority, routing and the life cycle of work items as one deterministic state
//! machine.
//!
//! It reads no clock, opens nothing, draws no random number and never sees an attribute: time is
//! an argument, rules run outside, and what it decides leaves it as events. State is the fold of
//! these events.
//!
//! Start reading at [`step()`], which the hub calls for every command. [`decide()`] says what a
//! command means, `facts` what an event does, [`follow_up()`] what happens by itself, `matching`
//! who gets what, and `curve` how urgent it is.
#![forbid(unsafe_code)]

mod agents;
mod aside;
mod bits;
mod capacity;
mod choices;
mod clock;
mod course;
mod curve;
mod decide;
mod explain;
mod facts;
mod flows;
mod fold;
mod follow_up;
mod index;
mod invariant;
mod items;
mod ladder;
mod lifecycle;
mod matching;
mod next;
mod prefill;
mod render;
mod routes;
mod standing;
mod state;
mod step;
mod timers;
mod tournament;
mod unserved;
mod window;

#[cfg(test)]
mod tests;

pub use course::{COURSE_POINTS_MAX, Course, CourseKind, CoursePoint, Figures, course};
pub use decide::decide;
pub use explain::{AGENTS_MAX, AHEAD_MAX, LadderStage, LiveExplanation, StageState, WhyNot};
pub use facts::ApplyError;
pub use fold::{FoldError, fold, replay};
pub use follow_up::follow_up;
pub use invariant::{Violation, check_all};
pub use lifecycle::{
    Held, HoldMove, Place, PlaceMove, Stand, hold_moves, place_moves, stand, stands,
};
pub use next::{CONTENDERS_MAX, Contender, Contending, Impossible, Next, NextError, WaitingCall};
pub use render::render;
pub use state::{AgentChange, Changes, State};
pub use step::{LAST, Step, step};
pub use unserved::{Service, Unserved};
