//! gantry-plugin-host.
