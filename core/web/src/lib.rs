//! gantry-web.
