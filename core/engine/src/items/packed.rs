//! A work item in 63 bytes.

use std::sync::Arc;

use gantry_model::item::Classification;
use gantry_model::{Assignment, Hold, ItemId, LifeCycle, PartitionId, Timestamp, WorkItem};

use crate::routes::Dates;

use super::Glance;
use super::shared::{NO_CLASS, Shared};

/// An item to which nothing special has happened. Together with its tag it fills a cache line.
#[derive(Clone, Copy, Debug)]
pub(super) struct Packed {
    counter: [u8; 6],
    /// Milliseconds, not negative.
    captured_at: [u8; 6],
    anchor_at: Distance,
    queued_at: Distance,
    routing_at: Distance,
    activation_at: Distance,
    due_at: Distance,
    warned_at: Distance,
    breached_at: Distance,
    expires_at: Distance,
    class: [u8; 4],
    capture_point: [u8; 2],
    revision: [u8; 2],
    run: u8,
    epoch: u8,
    flags: u8,
}

/// Milliseconds from the capture in 40 bits, either sign: 17 years.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Distance([u8; 5]);

const BITS_LIFE_CYCLE: u8 = 0b0000_0111;
const BIT_RUN_OPEN: u8 = 0b0000_1000;
/// The hold waits for the activation date; else there is none.
const BIT_ACTIVATION: u8 = 0b0001_0000;

const LIFE_CYCLES: [LifeCycle; 8] = [
    LifeCycle::Captured,
    LifeCycle::Enriched,
    LifeCycle::Classified,
    LifeCycle::Queued,
    LifeCycle::Completed,
    LifeCycle::Canceled,
    LifeCycle::Rejected,
    LifeCycle::Expired,
];

impl Packed {
    /// Packs an item; `None` if it does not fit.
    pub(super) fn pack(
        item: &WorkItem,
        partition: PartitionId,
        shared: &mut Shared,
    ) -> Option<Self> {
        // Every field is named, so that a new one cannot be forgotten.
        let WorkItem {
            id,
            revision,
            run,
            run_open,
            capture_point,
            previous: None,
            life_cycle,
            hold,
            assignment: Assignment::None,
            epoch,
            captured_at,
            queued_at,
            routing_at,
            anchor_at,
            activation_at,
            due_at,
            expires_at,
            class,
            priority: None,
            preferred_agent: None,
            required_agent: None,
            exclusions,
            breached_at,
            bounds: None,
            boost: 0,
            queue: None,
            target: None,
            escalated,
            declines: 0,
            warned_at,
        } = item
        else {
            return None;
        };
        let captured = u64::try_from(captured_at.0).ok().filter(|at| *at < 1 << 48)?;
        let mut flags = LIFE_CYCLES.iter().position(|known| known == life_cycle)? as u8;
        flags |= if *run_open { BIT_RUN_OPEN } else { 0 };
        flags |= match hold {
            Hold::None => 0,
            Hold::Activation { until } if *activation_at == Some(*until) => BIT_ACTIVATION,
            Hold::Activation { .. } | Hold::Held { .. } | Hold::Error { .. } => return None,
        };
        if id.partition() != partition || !exclusions.is_empty() || !escalated.is_empty() {
            return None;
        }
        let distance = |at: Option<Timestamp>| Distance::between(*captured_at, at);
        Some(Self {
            counter: low_bytes(id.counter()),
            captured_at: low_bytes(captured),
            anchor_at: distance(Some(*anchor_at))?,
            queued_at: distance(*queued_at)?,
            routing_at: distance(*routing_at)?,
            activation_at: distance(*activation_at)?,
            due_at: distance(*due_at)?,
            warned_at: distance(*warned_at)?,
            breached_at: distance(*breached_at)?,
            expires_at: distance(*expires_at)?,
            revision: u16::try_from(*revision).ok()?.to_le_bytes(),
            run: u8::try_from(*run).ok()?,
            epoch: u8::try_from(*epoch).ok()?,
            capture_point: shared.point_no(capture_point)?.to_le_bytes(),
            flags,
            // Last: from here on the class counts one item more.
            class: class.as_ref().map_or(NO_CLASS, |class| shared.class_no(class)).to_le_bytes(),
        })
    }

    pub(super) fn unpack(&self, partition: PartitionId, shared: &Shared) -> WorkItem {
        let captured_at = self.captured_at();
        let at = |distance: Distance| distance.from(captured_at);
        let activation_at = at(self.activation_at);
        let capture_point = shared.point(u16::from_le_bytes(self.capture_point)).clone();
        let plain = WorkItem::new(self.id(partition), capture_point, captured_at);
        WorkItem {
            revision: u16::from_le_bytes(self.revision).into(),
            run: self.run.into(),
            run_open: self.flags & BIT_RUN_OPEN != 0,
            life_cycle: LIFE_CYCLES[usize::from(self.flags & BITS_LIFE_CYCLE)],
            hold: match activation_at {
                Some(until) if self.flags & BIT_ACTIVATION != 0 => Hold::Activation { until },
                _ => Hold::None,
            },
            epoch: self.epoch.into(),
            queued_at: at(self.queued_at),
            routing_at: at(self.routing_at),
            anchor_at: at(self.anchor_at).unwrap_or(captured_at),
            activation_at,
            due_at: at(self.due_at),
            expires_at: at(self.expires_at),
            class: self.class(shared).map(|(_, class)| Arc::clone(class)),
            breached_at: at(self.breached_at),
            warned_at: at(self.warned_at),
            ..plain
        }
    }

    /// The item is kept like this no longer.
    pub(super) fn release(&self, shared: &mut Shared) {
        shared.release_class(u32::from_le_bytes(self.class));
    }

    pub(super) fn glance<'a>(&self, shared: &'a Shared) -> Glance<'a> {
        let captured = self.captured_at();
        let anchor = self.anchor_at.from(captured).unwrap_or(captured);
        let dates = Dates { captured, anchor, due: self.due_at.from(captured) };
        Glance::Plain { class: self.class(shared), dates }
    }

    pub(super) fn since(&self) -> Timestamp {
        let captured_at = self.captured_at();
        self.routing_at.from(captured_at).unwrap_or(captured_at)
    }

    pub(super) fn id(&self, partition: PartitionId) -> ItemId {
        ItemId::new(partition, whole(self.counter))
    }

    fn captured_at(&self) -> Timestamp {
        Timestamp(whole(self.captured_at) as i64)
    }

    fn class<'a>(&self, shared: &'a Shared) -> Option<(u32, &'a Arc<Classification>)> {
        let no = u32::from_le_bytes(self.class);
        Some((no, shared.class(no)?))
    }
}

impl Distance {
    const NONE: Self = Self([0xFF; 5]);
    /// Distances are stored as numbers that are not negative.
    const ZERO: i64 = 1 << 39;

    /// The distance of an instant, if it is short enough.
    fn between(from: Timestamp, at: Option<Timestamp>) -> Option<Self> {
        let Some(at) = at else { return Some(Self::NONE) };
        let shifted = at.0.checked_sub(from.0)?.checked_add(Self::ZERO)?;
        let shifted = u64::try_from(shifted).ok().filter(|shifted| *shifted < (1 << 40) - 1)?;
        Some(Self(low_bytes(shifted)))
    }

    fn from(self, from: Timestamp) -> Option<Timestamp> {
        let at = || Timestamp(from.0 + whole(self.0) as i64 - Self::ZERO);
        (self != Self::NONE).then(at)
    }
}

fn low_bytes<const N: usize>(value: u64) -> [u8; N] {
    let mut bytes = [0; N];
    bytes.copy_from_slice(&value.to_le_bytes()[..N]);
    bytes
}

fn whole<const N: usize>(bytes: [u8; N]) -> u64 {
    let mut all = [0; 8];
    all[..N].copy_from_slice(&bytes);
    u64::from_le_bytes(all)
}
