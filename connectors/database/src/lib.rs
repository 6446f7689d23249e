//! gantry-connector-database.
