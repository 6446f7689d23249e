//! The Salesforce connector against the stand-in for an org, through the real hub.

mod clients;
mod page;
mod scene;
mod story;
mod trouble;

use scene::Scene;
