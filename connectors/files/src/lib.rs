//! gantry-connector-files.
