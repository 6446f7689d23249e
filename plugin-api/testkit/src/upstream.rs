//! What stands for the source system in a test: a program, or the author's own code.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};

/// An answer has to come within this time.
const WITHIN: Duration = Duration::from_secs(20);

/// Why an upstream did not do what it was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DriverError {
    /// It never does; what needs it is skipped.
    #[error("upstream has no way to `{0}`")]
    Unsupported(&'static str),
    /// It could not this time.
    #[error("upstream could not `{ask}`: {reason}")]
    Failed {
        /// What it was asked.
        ask: String,
        /// What happened.
        reason: String,
    },
}

/// The source system's side of a test. Called by one thread at a time, and it may block.
pub trait Driver: Send {
    /// Where it is and what belongs to it, for `${name}` in the test file. An address of this
    /// machine in a value (`127.0.0.1:4711`, alone or in a URL) is replaced by that of a proxy, so
    /// that the suite can slow, stall and cut the connections.
    fn values(&mut self) -> BTreeMap<String, String>;

    /// Makes `n` records more to capture.
    ///
    /// # Errors
    /// [`DriverError::Unsupported`] if it has none to capture.
    fn put(&mut self, n: usize) -> Result<(), DriverError>;

    /// How often each event took effect, by idempotency key.
    ///
    /// # Errors
    /// [`DriverError::Unsupported`] if it cannot tell.
    fn delivered(&mut self) -> Result<BTreeMap<String, usize>, DriverError>;
}

/// A program that plays the source system: a line of JSON in, a line of JSON out.
#[derive(Debug)]
pub(crate) struct Program {
    child: Child,
    input: Option<ChildStdin>,
    lines: Receiver<String>,
    values: BTreeMap<String, String>,
}

impl Program {
    /// Starts it in the test file's folder, and takes the values it begins with.
    pub(crate) fn start(
        command: &[String],
        folder: &Path,
        scratch: &Path,
    ) -> Result<Self, DriverError> {
        let failed =
            |reason: String| DriverError::Failed { ask: format!("start {command:?}"), reason };
        let (name, arguments) =
            command.split_first().ok_or_else(|| failed("the command is empty".to_owned()))?;
        let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
        let mut child = Command::new(name)
            .args(arguments)
            .current_dir(folder)
            .env("GANTRY_TEST_FOLDER", scratch)
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| failed(error.to_string()))?;
        let (input, output) = (child.stdin.take(), child.stdout.take());
        let (sender, lines) = sync_channel(16);
        // It ends with the program's output, and the program with this value.
        thread::spawn(move || {
            let lines = output.into_iter().flat_map(|output| BufReader::new(output).lines());
            for line in lines.map_while(Result::ok) {
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        let mut program = Self { child, input, lines, values: BTreeMap::new() };
        let first = program.line("start")?;
        let values = first.as_object().cloned().unwrap_or_default();
        let text = |value: Value| match value {
            Value::String(text) => text,
            other => other.to_string(),
        };
        program.values = values.into_iter().map(|(name, value)| (name, text(value))).collect();
        Ok(program)
    }

    fn ask(&mut self, what: &'static str, request: &Value) -> Result<Value, DriverError> {
        let failed = |reason: String| DriverError::Failed { ask: what.to_owned(), reason };
        let input = self.input.as_mut().ok_or_else(|| failed("it has no input".to_owned()))?;
        let sent = writeln!(input, "{request}").and_then(|()| input.flush());
        sent.map_err(|error| failed(error.to_string()))?;
        let answer = self.line(what)?;
        match answer.get("error") {
            _ if answer["unsupported"] == true => Err(DriverError::Unsupported(what)),
            Some(error) => Err(failed(error.as_str().unwrap_or("it does not say why").to_owned())),
            None => Ok(answer),
        }
    }

    fn line(&mut self, what: &str) -> Result<Value, DriverError> {
        let failed = |reason: String| DriverError::Failed { ask: what.to_owned(), reason };
        let line = self.lines.recv_timeout(WITHIN).map_err(|error| match error {
            RecvTimeoutError::Timeout => failed(format!("no answer within {} s", WITHIN.as_secs())),
            RecvTimeoutError::Disconnected => failed("it has ended".to_owned()),
        })?;
        serde_json::from_str(&line).map_err(|error| failed(format!("it said {line:?}: {error}")))
    }
}

impl Driver for Program {
    fn values(&mut self) -> BTreeMap<String, String> {
        self.values.clone()
    }

    fn put(&mut self, n: usize) -> Result<(), DriverError> {
        self.ask("put", &json!({ "put": n })).map(drop)
    }

    fn delivered(&mut self) -> Result<BTreeMap<String, usize>, DriverError> {
        let answer = self.ask("delivered", &json!({ "delivered": true }))?;
        serde_json::from_value(answer["delivered"].clone()).map_err(|error| DriverError::Failed {
            ask: "delivered".to_owned(),
            reason: error.to_string(),
        })
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // Its input ends, which a program notices; whichever does not is ended.
        self.input = None;
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
