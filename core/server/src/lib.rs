//! gantry-server.
