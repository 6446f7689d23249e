//! What people do to capture points: pause, resume, ask the source now, move a position.
//!
//! Each stands in the journal with who did it, in the commit that makes it so. A position is moved
//! while the feeder stands still between two turns; its next turn reads the stored position anew.

use gantry_hub::{Side, Submission, Work};
use gantry_model::event::CaptureAct;
use gantry_model::{Actor, Command, Name, Timestamp};
use gantry_store::{POSITION_BYTES_MAX, PauseChange, PauseRow, PositionRow};
use thiserror::Error;

use crate::control::{Control, Paused};
use crate::pipeline::Handle;

/// Longest name of a source partition that can be set, in bytes.
const PARTITION_BYTES_MAX: usize = 256;

/// Where the position of a capture point is moved to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Move {
    /// To a place that the plug-in understands.
    Set {
        /// The partition of the source; empty if it has none.
        source_partition: String,
        /// The plug-in's own bytes, 1 to [`POSITION_BYTES_MAX`].
        position: Vec<u8>,
    },
    /// To the beginning.
    Reset {
        /// Only this partition of the source.
        source_partition: Option<String>,
    },
    /// To where it stood at an instant, or up to a minute before it.
    Rewind {
        /// Only this partition of the source.
        source_partition: Option<String>,
        /// The instant.
        to: Timestamp,
    },
}

/// Why a capture point was not operated. Nothing changed, unless the hub stopped.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum OperateError {
    /// No such capture point.
    #[error("capture point {name:?} is not configured; configured are {known}")]
    UnknownPoint {
        /// Its name.
        name: String,
        /// Those there are.
        known: String,
    },
    /// It is sent its records.
    #[error("capture point {point:?} is fed by requests only: the hub does not read a source")]
    NotFed {
        /// The capture point.
        point: Name,
    },
    /// It is paused.
    #[error("capture point {point:?} is paused; resume it first")]
    Paused {
        /// The capture point.
        point: Name,
    },
    /// A position that is empty or too long, or a partition whose name is too long.
    #[error(
        "a position has 1 to {POSITION_BYTES_MAX} bytes, and a partition's name at most \
             {PARTITION_BYTES_MAX}; to read from the beginning, reset it"
    )]
    Size,
    /// It has no position of that source partition.
    #[error("capture point {point:?} has no position of source partition {partition:?}")]
    NoPartition {
        /// The capture point.
        point: Name,
        /// The partition.
        partition: String,
    },
    /// The history does not reach back so far.
    #[error(
        "of capture point {point:?}, source partition {partition:?}, no position from before \
             {to} is known; set it, or reset it to read from the beginning"
    )]
    NotKept {
        /// The capture point.
        point: Name,
        /// The partition.
        partition: String,
        /// The instant.
        to: Timestamp,
    },
    /// The feeder did not reach a safe point in time.
    #[error("capture point {point:?} is still busy with a batch; try again")]
    Busy {
        /// The capture point.
        point: Name,
    },
    /// The hub could not take it.
    #[error("cannot store what was done to the capture point")]
    Hub(#[from] gantry_hub::Error),
    /// The store could not be read.
    #[error("cannot read the positions of the capture point")]
    Store(#[from] gantry_store::Error),
}

impl Handle {
    /// Asks the source of a capture point now, also if it is stopped.
    ///
    /// # Errors
    /// [`OperateError`] if there is no such capture point, or nothing to ask.
    pub fn poll_now(&self, capture_point: &str) -> Result<(), OperateError> {
        let (point, control) = self.fed(capture_point)?;
        if control.paused().is_some() {
            return Err(OperateError::Paused { point });
        }
        control.wake();
        Ok(())
    }

    /// Takes nothing more at a capture point, until it is resumed, also over restarts. What was
    /// taken is settled and acknowledged first; a source that is busy with that for long comes to
    /// rest later.
    ///
    /// # Errors
    /// [`OperateError`]
    ///
    /// # Cancel safety
    /// Dropping the future does not take it back; it may then count after the next start only.
    pub async fn pause(
        &self,
        actor: Actor,
        capture_point: &str,
        reason: Option<String>,
    ) -> Result<(), OperateError> {
        let (point, control) = self.control(capture_point)?;
        let operation = control.operate().await;
        let row = PauseRow {
            capture_point: point.clone(),
            by: name_of(&actor),
            reason: reason.clone(),
            at: self.hub().now(),
        };
        let paused = Paused { at: row.at, by: row.by.clone(), reason: reason.clone() };
        let side = Side { pauses: vec![PauseChange::Put(row)], ..Side::default() };
        self.note(actor, point, CaptureAct::Paused { reason }, side).await?;
        control.set_paused(Some(paused));
        drop(control.still(self.intake().limits.rest_timeout, &operation).await);
        Ok(())
    }

    /// Takes records again at a capture point.
    ///
    /// # Errors
    /// [`OperateError`]
    ///
    /// # Cancel safety
    /// As [`Handle::pause`].
    pub async fn resume(&self, actor: Actor, capture_point: &str) -> Result<(), OperateError> {
        let (point, control) = self.control(capture_point)?;
        let _operation = control.operate().await;
        let side = Side { pauses: vec![PauseChange::Remove(point.clone())], ..Side::default() };
        self.note(actor, point, CaptureAct::Resumed, side).await?;
        control.set_paused(None);
        Ok(())
    }

    /// Moves the position of a capture point. Records that come again are found to be repeats.
    ///
    /// # Errors
    /// [`OperateError`]; after [`OperateError::Busy`] the same again may succeed.
    ///
    /// # Cancel safety
    /// Dropping the future does not take back what was submitted.
    pub async fn move_position(
        &self,
        actor: Actor,
        capture_point: &str,
        to: Move,
    ) -> Result<(), OperateError> {
        let (point, control) = self.fed(capture_point)?;
        let operation = control.operate().await;
        let still = control.still(self.intake().limits.rest_timeout, &operation).await;
        let Some(_still) = still else { return Err(OperateError::Busy { point }) };
        let moved_positions = self.moved(&point, &to).await?;
        let act = match to {
            Move::Set { source_partition, .. } => CaptureAct::PositionSet { source_partition },
            Move::Reset { source_partition } => CaptureAct::PositionReset { source_partition },
            Move::Rewind { source_partition, to } => {
                CaptureAct::PositionRewound { source_partition, to }
            }
        };
        let side = Side { moved_positions, ..Side::default() };
        self.note(actor, point, act, side).await
    }

    /// The rows that a move writes.
    async fn moved(&self, point: &Name, to: &Move) -> Result<Vec<PositionRow>, OperateError> {
        let at = self.hub().now();
        let row = |source_partition: String, position| PositionRow {
            capture_point: point.clone(),
            source_partition,
            position,
            at,
        };
        let wanted = match to {
            Move::Set { source_partition, position } => {
                let size = 1..=POSITION_BYTES_MAX;
                if !size.contains(&position.len()) || source_partition.len() > PARTITION_BYTES_MAX {
                    return Err(OperateError::Size);
                }
                return Ok(vec![row(source_partition.clone(), position.clone())]);
            }
            Move::Reset { source_partition } | Move::Rewind { source_partition, .. } => {
                source_partition
            }
        };
        let mut partitions = self.partitions(point).await?;
        if let Some(wanted) = wanted {
            if !partitions.contains(wanted) {
                let (point, partition) = (point.clone(), wanted.clone());
                return Err(OperateError::NoPartition { point, partition });
            }
            partitions.retain(|partition| partition == wanted);
        }
        let Move::Rewind { to, .. } = to else {
            return Ok(partitions.into_iter().map(|name| row(name, Vec::new())).collect());
        };
        let mut then = self.store().positions_at(point, *to).await?;
        let rewound = partitions.into_iter().map(|partition| {
            match then.iter_mut().find(|row| row.source_partition == partition) {
                Some(then) => Ok(row(partition, std::mem::take(&mut then.position))),
                None => Err(OperateError::NotKept { point: point.clone(), partition, to: *to }),
            }
        });
        rewound.collect()
    }

    /// The source partitions of which a position is stored; one without name where none is.
    async fn partitions(&self, point: &Name) -> Result<Vec<String>, OperateError> {
        let rows = self.store().positions(Some(point)).await?;
        let mut partitions: Vec<_> = rows.into_iter().map(|row| row.source_partition).collect();
        if partitions.is_empty() {
            partitions.push(String::new());
        }
        Ok(partitions)
    }

    async fn note(
        &self,
        actor: Actor,
        capture_point: Name,
        act: CaptureAct,
        side: Side,
    ) -> Result<(), OperateError> {
        let work = vec![Work::new(Command::OperateCapture { capture_point, act })];
        self.hub().submit(Submission { actor, work, side }).await?;
        Ok(())
    }

    pub(crate) fn unknown_point(&self, name: &str) -> OperateError {
        OperateError::UnknownPoint { name: name.into(), known: self.known_points() }
    }

    fn control(&self, name: &str) -> Result<(Name, &Control), OperateError> {
        let (point, parts) = self.parts(name).ok_or_else(|| self.unknown_point(name))?;
        Ok((point.clone(), &parts.control))
    }

    /// The control of a capture point whose source the hub reads.
    fn fed(&self, name: &str) -> Result<(Name, &Control), OperateError> {
        let (point, control) = self.control(name)?;
        match self.parts(name) {
            Some((_, parts)) if parts.feed().is_some() => Ok((point, control)),
            _ => Err(OperateError::NotFed { point }),
        }
    }
}

fn name_of(actor: &Actor) -> Name {
    match actor {
        Actor::Hub => Name::new("hub"),
        Actor::Source(name) | Actor::Agent(name) | Actor::User(name) => name.clone(),
    }
}
