//! Polling a source by timestamp without losing a row.
//!
//! Timestamps of a source are coarse, its indexes lag, and a long transaction commits with a time
//! that has passed, so "newer than the last one" loses rows. A sweep therefore starts `overlap`
//! before the stored position and ends `lag` before the server's own present, and both ends stand
//! still while it is walked, over as many polls as that takes. What the hub has settled and has not
//! changed since is skipped from memory; after a restart it is given again, and the hub knows it.
//!
//! - [`Sweep`] is one walk through the window, for sources whose rows have a timestamp and an id.
//! - [`Sweeps`] keeps the walks of an instance between polls, and what is settled. It takes any
//!   kind of walk: a source with other watermarks brings its own.
//!
//! Both are pure: what is asked of the server, and how its pages are walked, is the connector's,
//! kept in the sweep's cursor.
//!
//! ```ignore
//! let mut sweep = match self.sweeps.resume(cx.name(), from) {
//!     Some(sweep) => sweep,
//!     None => Sweep::begin(from, &bounds, server_now_ms, Cursor::default())?,
//! };
//! for row in page_of(sweep.since(), sweep.until(), &mut sweep.cursor).await? {
//!     let record = sweep.pass(row.changed_at, &row.id, Record::json(row.json))?;
//!     records.extend(self.sweeps.unsettled(cx.name(), row.id.as_bytes(), record));
//! }
//! let position = sweep.position(ended)?;
//! Ok(self.sweeps.pause(cx.name(), (!ended).then_some(sweep), position, records))
//! ```
#![forbid(unsafe_code)]
#![deny(missing_docs)]

mod settled;
mod window;

#[cfg(test)]
mod tests;

pub use settled::Sweeps;
pub use window::{Bounds, Sweep, before};
