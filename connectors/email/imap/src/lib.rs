//! An IMAP client that trusts no server: every response has a bound, every wait an end, and every
//! refusal is told, with its response code.
//!
//! Written because the crates at hand drop what a careful reader of mailboxes needs: the status
//! that ends a FETCH (a refusal would look like mail that is not there), response codes, and a
//! bound for what a server may send. It knows nothing of Gantry.
//!
//! - [`Session`] connects, encrypts, signs in (PLAIN, LOGIN, XOAUTH2) and runs commands, one at a
//!   time: `open.rs`, `session.rs`, `folder.rs`.
//! - [`Command`] is what is said: arguments cannot leave their place, whatever is in them.
//! - [`wire`] cuts responses out of bytes that come bit by bit, and reads them.
//!
//! IMAP4rev1 is enough of a server. IDLE, MOVE, UIDPLUS, CONDSTORE and SASL-IR are used where they
//! are offered.
//!
//! ```no_run
//! # async fn example() -> Result<(), gantry_imap::Failure> {
//! use gantry_imap::{Command, Encryption, Proof, Server, Session, uid_set};
//!
//! let server = Server {
//!     host: "imap.example".to_owned(),
//!     port: None,
//!     encryption: Encryption::None,
//!     patience: std::time::Duration::from_secs(30),
//! };
//! let mut session = Session::open(&server, "desk", Proof::Password("secret")).await?;
//! let folder = session.examine("INBOX").await?;
//! let uids = session.search(Command::new("UID SEARCH").raw("UNDELETED")).await?;
//! let print = |mail: gantry_imap::Fetched| println!("{}: {:?} bytes", mail.uid, mail.size);
//! session.fetch(&uid_set(&uids), "(UID RFC822.SIZE)", print).await?;
//! # drop(folder);
//! # Ok(())
//! # }
//! ```
//!
//! Written from (August 2026): RFC 3501 and 9051 (IMAP), 2177 (IDLE), 4315 (UIDPLUS), 4959
//! (SASL-IR), 5530 (response codes), 6851 (MOVE), 7162 (CONDSTORE).
#![forbid(unsafe_code)]
#![deny(missing_docs)]

pub mod wire;

mod command;
mod failure;
mod folder;
mod open;
mod session;

#[cfg(test)]
mod tests;

pub use command::{Command, uid_set};
pub use failure::Failure;
pub use folder::{Fetched, Folder};
pub use open::{Encryption, Proof, Server};
pub use session::{Session, Stream};
