//! Segmentation: the rules and decision tables that give an item its process.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::Sla;
use crate::name::Name;

/// `[[segmentation]]`: one rule.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct SegmentRule {
    /// Stable id, unique in the config.
    pub id: Name,
    /// The level it stands in. In each level the first rule that hits counts.
    pub level: SegmentLevel,
    /// The capture point, department or process it is for; none = all of them.
    pub within: Option<Name>,
    /// CEL over `item`; none = always.
    pub when: Option<String>,
    /// Sets the department.
    pub department: Option<Name>,
    /// Sets the process, as `department/process`.
    pub process: Option<Name>,
    /// Sets the SLA.
    pub sla: Option<Sla>,
    /// Sets the priority schema.
    pub priority: Option<Name>,
    /// Priority at the start, in whole points: CEL over `item`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start: Option<String>,
    /// Lowest priority, in whole points: CEL over `item`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min: Option<String>,
    /// Highest priority, in whole points: CEL over `item`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max: Option<String>,
    /// Sets attributes: name → CEL over `item`.
    pub set: BTreeMap<Name, String>,
}

/// `[[decision_table]]`: rules written as the rows of a table.
///
/// The table's own file, where it has one, was read when the config was: its columns and rows
/// stand here like those of any other.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DecisionTable {
    /// Stable id, unique in the config; the rule of a row is `table.row`.
    pub id: Name,
    /// The level it stands in, after the rules of that level.
    pub level: SegmentLevel,
    /// The capture point, department or process it is for; none = all of them.
    pub within: Option<Name>,
    /// Which of several rows counts.
    pub hit: HitPolicy,
    /// Headings: `id`, an attribute or expression that is compared, or `set` and what is set.
    pub columns: Vec<String>,
    /// The rows, one cell a column.
    pub rows: Vec<Vec<String>>,
}

/// Which row of a decision table counts where several hit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HitPolicy {
    /// The first.
    #[default]
    First,
    /// None: the item is held, because the rows contradict each other.
    Unique,
}

/// The four levels of segmentation; each sees what the levels before it set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SegmentLevel {
    /// Every item.
    #[default]
    Global,
    /// Items of a capture point.
    Capture,
    /// Items of a department.
    Department,
    /// Items of a process.
    Process,
}
