//! The conformance suite, with the plug-in linked into this test.

use super::Counter;

#[test]
fn it_conforms() {
    gantry_plugin_testkit::conforms::<Counter>("gantry-plugin-test.toml");
}
