//! gantry-plugin-api.
