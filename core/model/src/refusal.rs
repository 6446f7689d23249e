//! Refusals: why a command was not done, and what can be done instead.

use serde::Serialize;

use crate::id::ItemId;
use crate::name::{AgentId, Name};

/// Why a command was refused. Nothing changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, thiserror::Error)]
#[serde(tag = "refusal", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Refusal {
    /// No such item among those that have not ended.
    #[error("work item {item} does not exist or has ended")]
    UnknownItem {
        /// The item.
        item: ItemId,
    },
    /// No such agent.
    #[error("agent {agent:?} does not exist")]
    UnknownAgent {
        /// The agent.
        agent: AgentId,
    },
    /// The action names an old offer, assignment, revision or run.
    #[error("work item {item} has moved on: {what} is {current}, not {given}")]
    Stale {
        /// The item.
        item: ItemId,
        /// What has moved on: `epoch`, `revision`, `run` or `config version`.
        what: &'static str,
        /// Its value now.
        current: u32,
        /// The value that came.
        given: u32,
    },
    /// The item is not in a state that allows this.
    #[error("cannot {action} work item {item}: it is {state}")]
    WrongState {
        /// The item.
        item: ItemId,
        /// What was asked.
        action: &'static str,
        /// How the item stands, readable.
        state: String,
    },
    /// The item is with another agent.
    #[error("work item {item} is not with agent {agent:?}")]
    NotYours {
        /// The item.
        item: ItemId,
        /// Who asked.
        agent: AgentId,
    },
    /// Other content on an item, which the capture point reports as a conflict.
    #[error("work item {item} has other content, and its capture point does not take updates")]
    Conflict {
        /// The item.
        item: ItemId,
    },
    /// A new version of an ended item, which the capture point does not take.
    #[error("work item {item} has ended, and its capture point takes no newer version of it")]
    Reopened {
        /// The item.
        item: ItemId,
    },
    /// The disposition is missing or not one of the process's.
    #[error("disposition of work item {item}: {problem}")]
    Disposition {
        /// The item.
        item: ItemId,
        /// What is wrong, with the ones that may be used.
        problem: String,
    },
    /// The boost is out of bounds.
    #[error("a boost lies within ±{max} points, and {points} does not", max = crate::priority::POINTS_MAX)]
    BoostTooLarge {
        /// The points that came.
        points: i64,
    },
    /// No such queue.
    #[error("queue {queue:?} does not exist; one of {known}")]
    UnknownQueue {
        /// The queue.
        queue: Name,
        /// The ones that may be named.
        known: String,
    },
    /// The queue takes no items at this time.
    #[error("queue {queue:?} takes no items: {why}")]
    QueueClosed {
        /// The queue.
        queue: Name,
        /// Its date, readable.
        why: String,
    },
    /// No such group.
    #[error("group {group:?} has no member; put an agent into it or name another group")]
    UnknownGroup {
        /// The group.
        group: Name,
    },
    /// The agent may not take this item.
    #[error("agent {agent:?} may not take work item {item}: {why}")]
    MayNotPull {
        /// The item.
        item: ItemId,
        /// The agent.
        agent: AgentId,
        /// Why, readable.
        why: String,
    },
    /// The agent has no room for the item.
    #[error(
        "agent {agent:?} has no room for another {media}; finish one first, or say why it is \
         taken over capacity"
    )]
    NoRoom {
        /// The agent.
        agent: AgentId,
        /// The media type.
        media: Name,
    },
    /// The presence reason is not one of the config's.
    #[error("not-ready reason {reason:?} is not configured; one of {known}")]
    UnknownReason {
        /// The reason.
        reason: Name,
        /// The ones that may be used.
        known: String,
    },
    /// The agent's id is empty or too long.
    #[error("an agent id has 1 to {max} characters, not {length}", max = crate::agent::ID_LENGTH_MAX)]
    AgentIdLength {
        /// Its length in characters.
        length: usize,
    },
    /// The agent has work and cannot be removed.
    #[error("agent {agent:?} has {items} work items; retrieve or finish them first")]
    AgentBusy {
        /// The agent.
        agent: AgentId,
        /// How many.
        items: u32,
    },
    /// A config version drops names that items use.
    #[error("config version {version} drops what waiting work items use: {names}")]
    NamesInUse {
        /// The version.
        version: u32,
        /// The names and how many items use each.
        names: String,
    },
    /// A config version has a calendar that cannot be built.
    #[error("config version {version} has an unusable calendar {calendar:?}: {why}")]
    CalendarUnusable {
        /// The version.
        version: u32,
        /// The calendar.
        calendar: Name,
        /// Why, readable.
        why: String,
    },
    /// Config versions rise; this one does not.
    #[error("config version {version} does not follow {current}, which is active")]
    VersionNotRising {
        /// The version that came.
        version: u32,
        /// The active one.
        current: u32,
    },
}
