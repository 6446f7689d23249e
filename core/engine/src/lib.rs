//! gantry-engine.
