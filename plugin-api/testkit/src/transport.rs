//! The ways a plug-in can be reached, each of which it is tested on.

use std::fmt;

/// How the suite reaches a plug-in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Transport {
    /// Linked into the program that tests it.
    Linked,
    /// Its library, loaded into this process.
    InProcess,
    /// Its library or program in a process of its own.
    Process,
}

impl Transport {
    /// The word for it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Linked => "linked",
            Self::InProcess => "in-process",
            Self::Process => "process",
        }
    }
}

impl fmt::Display for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
