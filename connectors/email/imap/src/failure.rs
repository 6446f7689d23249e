//! Why something did not go well, and what that means.

use std::time::Duration;

use thiserror::Error;

use crate::wire::{Status, WireError};

/// Why a command did not go well.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum Failure {
    /// The connection broke, or could not be made or encrypted.
    #[error("the connection broke")]
    Lost(#[source] std::io::Error),
    /// The server closed the connection without a word.
    #[error("the server closed the connection")]
    Closed,
    /// The server said nothing for so long.
    #[error("the server did not answer within {0:?}")]
    Silent(Duration),
    /// The server said goodbye (BYE), with these words.
    #[error("the server closed the connection: {0}")]
    Bye(String),
    /// What came is no IMAP, or too much of it.
    #[error("the server cannot be understood")]
    Garbled(#[from] WireError),
    /// NO or BAD: the command, without its arguments, and what was said to it.
    #[error("the server answered {command} with {} {}", .status.kind, .status.text)]
    Refused {
        /// Its first word or two.
        command: &'static str,
        /// The answer.
        status: Status,
    },
    /// The server cannot do what was asked for.
    #[error("the server offers no {0}")]
    Lacks(&'static str),
}

impl Failure {
    /// What stood in brackets in a refusal, upper case (RFC 5530).
    pub fn code(&self) -> Option<&str> {
        match self {
            Self::Refused { status, .. } => status.code.as_ref().map(|(code, _)| &**code),
            _ => None,
        }
    }

    /// Whether it says that who signs in is not let in, and not that it cannot be known just now.
    pub fn is_not_let_in(&self) -> bool {
        let Self::Refused { command: "LOGIN" | "AUTHENTICATE", status } = self else {
            return false;
        };
        let passes = ["UNAVAILABLE", "INUSE", "SERVERBUG", "LIMIT", "CONTACTADMIN"];
        status.kind == "NO" && !self.code().is_some_and(|code| passes.contains(&code))
    }

    /// Whether it says that there is no such folder.
    pub fn is_missing_folder(&self) -> bool {
        matches!(self.code(), Some("NONEXISTENT" | "TRYCREATE"))
    }
}

/// What the end of a command means that did not end well.
pub(crate) fn ended(tag: Option<String>, command: &'static str, status: Status) -> Failure {
    if tag.is_none() && status.kind == "BYE" {
        return Failure::Bye(status.text);
    }
    Failure::Refused { command, status }
}
