//! Alerts: live statistics that somebody wants to hear of when they go over a limit.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::name::Name;
use crate::time::Millis;

/// `[alert.NAME]`: raised when a live statistic has been over a limit for some time, cleared when
/// it no longer is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AlertSpec {
    /// The statistic.
    pub when: Statistic,
    /// Items of this queue only.
    pub queue: Option<Name>,
    /// This capture point only.
    pub capture: Option<Name>,
    /// The limit: a number of items, agents or capture points; of a time, milliseconds. The
    /// statistic has to be greater.
    pub over: i64,
    /// How long it has to be over the limit.
    pub lasts: Millis,
    /// The callback that hears of it.
    pub callback: Option<Name>,
}

/// What an alert may watch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Statistic {
    /// Items that wait for an agent.
    Backlog,
    /// Capture points whose source does not answer.
    CaptureDown,
    /// Open items whose SLA is in danger: past the warning, or past the due date.
    InDanger,
    /// How long the item waits that is in routing the longest.
    OldestWait,
    /// Open items past their due date.
    Overdue,
    /// Items in workbins.
    Parked,
    /// Waiting items that no agent fits, now or in any later stage.
    Unserved,
    /// Items that are offered, assigned or in wrap-up.
    WithAgents,
}

impl Statistic {
    /// All statistics and their names in the config, sorted.
    pub const ALL: [(&str, Self); 8] = [
        ("backlog", Self::Backlog),
        ("capture_down", Self::CaptureDown),
        ("in_danger", Self::InDanger),
        ("oldest_wait", Self::OldestWait),
        ("overdue", Self::Overdue),
        ("parked", Self::Parked),
        ("unserved", Self::Unserved),
        ("with_agents", Self::WithAgents),
    ];

    /// `true` if it is a time, not a number.
    pub const fn is_time(self) -> bool {
        matches!(self, Self::OldestWait)
    }

    /// What it counts, in words.
    const fn words(self) -> &'static str {
        match self {
            Self::Backlog => "waiting items",
            Self::CaptureDown => "capture points that are down",
            Self::InDanger => "items whose SLA is in danger",
            Self::OldestWait => "longest wait",
            Self::Overdue => "overdue items",
            Self::Parked => "parked items",
            Self::Unserved => "items that no agent fits",
            Self::WithAgents => "items with agents",
        }
    }
}

impl AlertSpec {
    /// What a value of the statistic says, for people: `waiting items in sales/leads: 120, limit
    /// 100`.
    pub fn sentence(&self, value: i64) -> String {
        let what = self.when.words();
        let queue = self.queue.as_ref().map_or(String::new(), |queue| format!(" in {queue}"));
        let point = self.capture.as_ref().map_or(String::new(), |point| format!(" ({point})"));
        format!("{what}{queue}{point}: {}, limit {}", self.told(value), self.told(self.over))
    }

    /// A value of the statistic with its unit; times to the second.
    fn told(&self, value: i64) -> Told {
        if self.when.is_time() {
            Told::Time(Millis(value / 1000 * 1000))
        } else {
            Told::Count(value)
        }
    }
}

/// A value of a statistic, for people.
enum Told {
    Count(i64),
    Time(Millis),
}

impl fmt::Display for Told {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Count(count) => count.fmt(f),
            Self::Time(time) => time.fmt(f),
        }
    }
}
