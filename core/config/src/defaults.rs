//! What holds where the config says nothing. The only place with such values.

use gantry_model::Millis;

/// `[hub] listen`
pub(crate) const LISTEN: &str = "127.0.0.1:8080";
/// `[hub] store`
pub(crate) const STORE: &str = "sqlite:gantry.db";
/// `[hub] plugins`
pub(crate) const PLUGINS: &str = "plugins";
/// `[hub] drain_timeout`
pub(crate) const DRAIN_TIMEOUT: Millis = Millis::from_secs(30);
/// `[capture.NAME] batch`
pub(crate) const BATCH: u32 = 100;
/// `[capture.NAME] batch`, largest
pub(crate) const BATCH_MAX: u32 = 10_000;
/// `[lookup.NAME] timeout`
pub(crate) const LOOKUP_TIMEOUT: Millis = Millis::from_secs(2);
/// `[lookup.NAME] retries`
pub(crate) const LOOKUP_RETRIES: u32 = 1;
/// `[lookup.NAME] retries`, most
pub(crate) const LOOKUP_RETRIES_MAX: u32 = 10;
/// `[callback.NAME] timeout`
pub(crate) const CALLBACK_TIMEOUT: Millis = Millis::from_secs(10);
/// `[callback.NAME] attempts`
pub(crate) const CALLBACK_ATTEMPTS: u32 = 8;
/// `[callback.NAME] attempts`, most
pub(crate) const CALLBACK_ATTEMPTS_MAX: u32 = 100;
/// `[process.NAME] offer_timeout`
pub(crate) const OFFER_TIMEOUT: Millis = Millis::from_secs(30);
/// `[process.NAME] decline_cool_down`
pub(crate) const DECLINE_COOL_DOWN: Millis = Millis::from_secs(300);
/// `[process.NAME] completion.within`
pub(crate) const CONFIRM_WITHIN: Millis = Millis::from_secs(3600);
/// `weight` of a flow in `[fairness]`
pub(crate) const FLOW_WEIGHT: u32 = 1;
