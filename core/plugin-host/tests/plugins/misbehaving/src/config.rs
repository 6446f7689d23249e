//! What to do wrong, and where.

use gantry_plugin_api::Secret;
use schemars::JsonSchema;
use serde::Deserialize;

/// The instance itself.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Config {
    /// What to do in `create` and `check`.
    #[serde(default)]
    pub(crate) behaviour: Behaviour,
    /// What must not turn up in a log line.
    #[serde(default)]
    pub(crate) password: Option<Secret<String>>,
}

/// One role.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Settings {
    /// What to do in each operation.
    #[serde(default)]
    pub(crate) behaviour: Behaviour,
}

/// How to misbehave.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Behaviour {
    /// As expected.
    #[default]
    Well,
    /// Panics at once.
    Panic,
    /// Panics after a wait, so on the plug-in's runtime.
    PanicLater,
    /// Panics with a value that panics when it is dropped.
    PanicTwice,
    /// Panics when the operation is called off.
    PanicInDrop,
    /// Never ends.
    Hang,
    /// Gives more than was asked for.
    TooMuch,
    /// Puts the password into log lines and the error.
    Tell,
    /// Puts the password into the parts of an answer that is well as a whole.
    TellInside,
    /// Panics with the password.
    PanicTelling,
    /// Reads where nothing is.
    Segfault,
    /// Ends the process.
    Abort,
    /// Calls itself without end.
    Overflow,
    /// Computes without end, and without ever waiting.
    Spin,
    /// Closes its connection to the hub.
    CloseConnection,
    /// Sends what is no frame.
    Garbage,
    /// Announces a frame that is too long.
    HugeFrame,
    /// Completes each operation twice, and some that nobody started.
    DoubleComplete,
    /// Sends records without credit.
    WithoutCredit,
    /// Writes to its output and its log without end.
    Flood,
    /// Leaves processes behind, and ends.
    Orphans,
    /// Gives a reply that fits in no frame.
    HugeReply,
    /// Takes all the memory that it can get, up to a gigabyte.
    Devour,
    /// Tells what it may not touch and touches it: the answer says what it was told.
    Trespass,
}
