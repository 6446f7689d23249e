//! gantry-pipeline.
