//! gantry-rules.
