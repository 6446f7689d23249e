//! Segmentation: the rules that give an item its process.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::name::Name;
use crate::time::Millis;

/// `[[segmentation]]`: one rule.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
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
    pub sla: Option<Millis>,
    /// Sets the priority schema.
    pub priority: Option<Name>,
    /// Sets attributes: name → CEL over `item`.
    pub set: BTreeMap<Name, String>,
}

/// The four levels of segmentation; each sees what the levels before it set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SegmentLevel {
    /// Every item.
    Global,
    /// Items of a capture point.
    Capture,
    /// Items of a department.
    Department,
    /// Items of a process.
    Process,
}
