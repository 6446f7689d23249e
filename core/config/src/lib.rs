//! gantry-config.
