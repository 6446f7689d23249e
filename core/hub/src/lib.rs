//! gantry-hub.
