//! One suite for all connectors: what each must keep when its source, the network and the hub fail,
//! proven through the real hub against the real source.
//!
//! A connector's test says what its source system is ([`SourceSystem`]) and calls [`prove`], which
//! runs every [`Case`] on a fresh hub and prints a table. What a system cannot have is waived, each
//! case with its reason, in [`SourceSystem::waived`]; nothing else is left out. How an author
//! inherits the suite stands in ARCHITECTURE.md, under "Add a connector".
//!
//! `GANTRY_CASE=late_commit` runs one case; `GANTRY_RECORDS=10000` captures so many in
//! `exactly_once`; `GANTRY_SEED=7` has things fail at other moments.

mod cases;
mod chaos;
mod rig;

use std::collections::BTreeMap;
use std::env;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};

use crate::proxy::Proxy;

/// The capture point that the system's config must have; its `map` sets `external_id` and `name`.
pub const CAPTURE: &str = "work";
/// The callback that the system's config must have: it writes the event `done` back, which ends the
/// item (`confirm = "callback"`).
pub const CALLBACK: &str = "ended";
/// The agent of the suite has this skill; the process of the suite asks for it.
const SKILL: &str = "sales";

/// What every connector is asked. The name of a case is that of its variant, in snake case.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Case {
    /// Each record becomes one item while source, network and hub are killed at random moments.
    ExactlyOnce,
    /// A page that is cut in its middle is read on, and the hub is killed with pages on their way.
    ResumeInMidPage,
    /// Records with one timestamp fall on both sides of a page's border.
    SameTimestamp,
    /// A record is committed after others, with an older timestamp than theirs.
    LateCommit,
    /// The source's clock is a minute ahead, then a minute behind.
    ClockSkew,
    /// The source asks to wait, and is left alone for that long.
    Throttled,
    /// A token ends in the midst of polling.
    TokenExpiry,
    /// Wrong credentials stop this capture point, with a remedy, and no other.
    WrongPassword,
    /// A record is deleted in the source while an agent has its item.
    DeletedUpstream,
    /// The source forgets the position: all is read again, and nothing is doubled.
    CursorExpired,
    /// A completion is visible in the source, once, also where its answer was lost.
    CompletedOnce,
    /// A change in the source reaches the item that waits.
    Updated,
    /// A record withdrawn in the source leaves the agent's desk.
    Withdrawn,
    /// Fields that nobody has heard of are no fault.
    UnknownFields,
}

impl Case {
    /// All, in the order they are run.
    pub const ALL: [Self; 14] = [
        Self::Updated,
        Self::SameTimestamp,
        Self::LateCommit,
        Self::ClockSkew,
        Self::UnknownFields,
        Self::ResumeInMidPage,
        Self::Throttled,
        Self::TokenExpiry,
        Self::WrongPassword,
        Self::CursorExpired,
        Self::CompletedOnce,
        Self::DeletedUpstream,
        Self::Withdrawn,
        Self::ExactlyOnce,
    ];

    /// Its name in reports and in `GANTRY_CASE`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::ExactlyOnce => "exactly_once",
            Self::ResumeInMidPage => "resume_in_mid_page",
            Self::SameTimestamp => "same_timestamp",
            Self::LateCommit => "late_commit",
            Self::ClockSkew => "clock_skew",
            Self::Throttled => "throttled",
            Self::TokenExpiry => "token_expiry",
            Self::WrongPassword => "wrong_password",
            Self::DeletedUpstream => "deleted_upstream",
            Self::CursorExpired => "cursor_expired",
            Self::CompletedOnce => "completed_once",
            Self::Updated => "updated",
            Self::Withdrawn => "withdrawn",
            Self::UnknownFields => "unknown_fields",
        }
    }
}

/// What a case wants of the config.
#[derive(Clone, Copy, Debug)]
pub struct Setup {
    /// `batch` of the capture point: records a page.
    pub batch: usize,
    /// Whether the secrets of [`SourceSystem::env`] are right.
    pub right_password: bool,
}

impl Default for Setup {
    fn default() -> Self {
        Self { batch: 50, right_password: true }
    }
}

/// How a deletion in the source shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deletion {
    /// The connector sees it: the item is canceled and leaves the agent's desk.
    Withdraws,
    /// Not before the completion is written back, which becomes a dead letter.
    FailsCallback,
}

/// A source system under test, real or a stand-in, together with its connector's config.
///
/// The suite owns it and calls one method at a time. It is started once and serves all cases; each
/// begins with [`SourceSystem::clear`] and a hub of its own. What a method cannot do it need not
/// have, if the cases that ask for it are waived.
#[async_trait]
pub trait SourceSystem: Send {
    /// What the report calls it: connector and server.
    fn name(&self) -> String;

    /// The cases that it cannot have, each with the reason.
    fn waived(&self) -> Vec<(Case, &'static str)>;

    /// A pipeline in TOML: a source, [`CAPTURE`] with `every = "200ms"` or less if it polls, and
    /// [`CALLBACK`]. The source is reached through [`SourceSystem::proxy`], and secrets stand in it
    /// by reference to [`SourceSystem::env`].
    fn config(&self, setup: &Setup) -> String;

    /// The hub's environment variables: each value is a secret that must be seen nowhere.
    fn env(&self, setup: &Setup) -> Vec<(String, String)> {
        let _ = setup;
        Vec::new()
    }

    /// The network between hub and source; none where there is none.
    fn proxy(&self) -> Option<&Proxy>;

    /// A hub is there, at this address: for systems that send by themselves.
    async fn hub_at(&mut self, base: &str) -> Result<()> {
        let _ = base;
        Ok(())
    }

    /// The folder of the next hub, before it starts: for systems that are files.
    fn place_at(&mut self, folder: &std::path::Path) -> Result<()> {
        let _ = folder;
        Ok(())
    }

    /// Empties the system and takes back what cases have changed.
    async fn clear(&mut self) -> Result<()>;

    /// Makes records with these texts in them and gives their external ids, in the same order. Once
    /// it returns, they are durable in the system.
    async fn put(&mut self, texts: &[String]) -> Result<Vec<String>>;

    /// Makes records that all carry this moment as their last change.
    async fn put_at(&mut self, texts: &[String], moment: Timestamp) -> Result<Vec<String>> {
        let _ = (texts, moment);
        lacks("put_at")
    }

    /// Changes a record so that its item's `name` becomes this text.
    async fn change(&mut self, id: &str, name: &str) -> Result<()> {
        let _ = (id, name);
        lacks("change")
    }

    /// How often the completion of a record took effect in the system.
    async fn completions(&mut self, id: &str) -> Result<usize> {
        let _ = id;
        lacks("completions")
    }

    /// Bytes in the request that completes a record, by which the proxy knows it; none matches any
    /// request.
    fn completion_holds(&self, id: &str) -> Vec<u8> {
        let _ = id;
        Vec::new()
    }

    /// Deletes a record.
    async fn delete(&mut self, id: &str) -> Result<()> {
        let _ = id;
        lacks("delete")
    }

    /// How a deletion shows.
    fn deletion(&self) -> Deletion {
        Deletion::FailsCallback
    }

    /// Withdraws a record: its work is no longer wanted.
    async fn withdraw(&mut self, id: &str) -> Result<()> {
        let _ = id;
        lacks("withdraw")
    }

    /// Has further records carry fields that the connector was not written for.
    async fn add_unknown_field(&mut self) -> Result<()> {
        lacks("add_unknown_field")
    }

    /// Sets the system's clock so far ahead of the machine's, or behind.
    async fn set_clock(&mut self, ahead: SignedDuration) -> Result<()> {
        let _ = ahead;
        lacks("set_clock")
    }

    /// Answers the next request by asking to wait so long.
    async fn throttle(&mut self, wait: Duration) -> Result<()> {
        let _ = wait;
        lacks("throttle")
    }

    /// How long it was left alone after it had asked for that; waits until that is known.
    async fn left_alone(&mut self) -> Result<Duration> {
        lacks("left_alone")
    }

    /// Ends all tokens that were given out.
    async fn expire_token(&mut self) -> Result<()> {
        lacks("expire_token")
    }

    /// Forgets what positions mean.
    async fn expire_cursor(&mut self) -> Result<()> {
        lacks("expire_cursor")
    }

    /// A part of the message that tells the operator what to do about a wrong password.
    fn remedy(&self) -> &'static str {
        ""
    }

    /// Whether it can be killed.
    fn can_be_killed(&self) -> bool {
        true
    }

    /// Kills it at once, and starts it again on the same data.
    async fn kill_and_start(&mut self) -> Result<()> {
        lacks("kill_and_start")
    }
}

fn lacks<T>(method: &str) -> Result<T> {
    bail!("the system has no `{method}`: write it, or waive the case with a reason")
}

/// Runs every case that is not waived, prints what became of each, and fails on the first that does
/// not hold.
///
/// # Errors
/// If a promise is not kept, or a waiver is wrong.
pub async fn prove(system: &mut dyn SourceSystem) -> Result<()> {
    let waived: BTreeMap<_, _> = system.waived().into_iter().collect();
    let only = env::var("GANTRY_CASE").ok();
    let known = |name: &String| Case::ALL.iter().any(|case| case.name() == name);
    ensure!(only.as_ref().is_none_or(known), "GANTRY_CASE={only:?} names no case");
    let name = system.name();
    let mut table = Vec::new();
    for case in Case::ALL {
        let case_name = case.name();
        if only.as_ref().is_some_and(|only| only != case_name) {
            continue;
        }
        if let Some(reason) = waived.get(&case) {
            ensure!(reason.len() > 10, "{name}: {case_name} is waived without a reason");
            table.push(format!("{name:<22} {case_name:<20} waived: {reason}"));
            continue;
        }
        let begun = Instant::now();
        let ran = cases::run(case, system).await;
        ran.with_context(|| format!("{}\n{name}: {case_name} does not hold", table.join("\n")))?;
        let seconds = begun.elapsed().as_secs_f32();
        table.push(format!("{name:<22} {case_name:<20} holds, {seconds:.1} s"));
    }
    eprintln!("{}", table.join("\n"));
    Ok(())
}
