//! The suite in an author's `cargo test`: in a process of its own, for other tests run in this one.

use std::env;
use std::path::Path;
use std::process::Command;
use std::thread;

use gantry_plugin_host::api::runtime::Exported;

use crate::script::Script;
use crate::suite::Suite;
use crate::upstream::{Driver, DriverError};

/// Tells a test program that it was started for the suite.
const ALONE: &str = "GANTRY_TESTKIT_ALONE";

/// Runs the suite for a plug-in that is linked into this test program, with what the test file
/// says; its path counts from the package. To be called by a test, of which it makes a process:
/// this program, with that test only.
///
/// # Panics
/// If the plug-in does not conform, with all that is wrong.
pub fn conforms<P: Exported>(test_file: impl AsRef<Path>) {
    alone(|| run(Suite::linked(P::descriptor()), test_file.as_ref()));
}

/// As [`conforms`], with an upstream in the author's own code.
///
/// # Panics
/// As [`conforms`].
pub fn conforms_with<P: Exported>(
    test_file: impl AsRef<Path>,
    driver: impl FnMut(&Path) -> Result<Box<dyn Driver>, DriverError> + 'static,
) {
    alone(|| run(Suite::linked(P::descriptor()).driver(driver), test_file.as_ref()));
}

fn run(suite: Suite, test_file: &Path) {
    let package = env::var_os("CARGO_MANIFEST_DIR").unwrap_or_default();
    let script = Script::read(&Path::new(&package).join(test_file));
    let script = script.unwrap_or_else(|error| panic!("{}", in_words(&error)));
    let report = suite.script(script).run(|_| {});
    let report = report.unwrap_or_else(|error| panic!("{}", in_words(&error)));
    let text = report.text();
    assert!(report.passed(), "{text}");
    tell(&text);
}

/// Runs a test in a process of its own.
fn alone(test: impl FnOnce()) {
    let name = thread::current().name().map(str::to_owned);
    // On the main thread there is no other test, nor a name to start one by.
    let name = name.filter(|name| name != "main" && env::var_os(ALONE).is_none());
    let Some(name) = name else { return test() };
    let output = env::current_exe().and_then(|program| {
        Command::new(program).args([&*name, "--exact", "--nocapture"]).env(ALONE, "1").output()
    });
    let output = output.unwrap_or_else(|error| panic!("cannot start the test anew: {error}"));
    let text = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    // The last line of the report, so that no test at all is no success.
    let ran = output.status.success() && text.contains(" conforms: ");
    assert!(ran, "{text}{errors}");
    tell(&text);
}

#[expect(clippy::print_stdout, reason = "a test talks to people, who see it if they ask for it")]
fn tell(text: &str) {
    println!("{text}");
}

fn in_words(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}
