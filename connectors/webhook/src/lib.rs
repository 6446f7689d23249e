//! gantry-connector-webhook.
