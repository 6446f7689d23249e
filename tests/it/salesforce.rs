//! The Salesforce connector against the stand-in for an org, through the real hub.

mod clients;
mod scene;
mod story;
mod suggest;
mod trouble;

use scene::Scene;
