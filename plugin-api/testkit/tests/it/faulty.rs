//! A plug-in that does all right but for the fault it is told.

mod callback;
mod capture;
mod lookup;

use std::collections::BTreeSet;
use std::fs::File;
use std::future::pending;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use gantry_plugin_api::{
    ConfigFault, Context, Error, Plugin, Secret, Suggest, Suggestion, export_plugin,
};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Config {
    #[serde(default)]
    fault: String,
    address: String,
    token: Secret<String>,
    #[serde(default)]
    extra: Option<Value>,
}

#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Settings {
    #[serde(default)]
    switch: String,
}

/// What goes from one instance to the next, as in plug-ins that keep it in statics.
#[derive(Default)]
pub(crate) struct Everywhere {
    released: AtomicBool,
    spoiled: AtomicBool,
    n_made: AtomicU64,
    first_ms: AtomicI64,
    n_calls: AtomicU64,
    leaked: Mutex<Vec<File>>,
    acknowledged: Mutex<BTreeSet<Vec<u8>>>,
}

pub(crate) static EVERYWHERE: Everywhere = Everywhere {
    released: AtomicBool::new(false),
    spoiled: AtomicBool::new(false),
    n_made: AtomicU64::new(0),
    first_ms: AtomicI64::new(0),
    n_calls: AtomicU64::new(0),
    leaked: Mutex::new(Vec::new()),
    acknowledged: Mutex::new(BTreeSet::new()),
};

impl Everywhere {
    /// As it is before anything of the plug-in ran; whatever blocks goes on.
    pub(crate) fn forget(&self) {
        self.released.store(true, Ordering::SeqCst);
        self.spoiled.store(false, Ordering::SeqCst);
        self.first_ms.store(0, Ordering::SeqCst);
        self.leaked.lock().unwrap_or_else(PoisonError::into_inner).clear();
        self.acknowledged.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    fn block(&self) {
        self.released.store(false, Ordering::SeqCst);
        while !self.released.load(Ordering::SeqCst) {
            thread::park_timeout(Duration::from_millis(5));
        }
    }

    fn number(&self) -> u64 {
        self.n_made.fetch_add(1, Ordering::SeqCst)
    }

    fn leak(&self) {
        let file = File::open("/dev/null").unwrap();
        self.leaked.lock().unwrap_or_else(PoisonError::into_inner).push(file);
    }
}

pub(crate) struct Faulty {
    config: Config,
    broken: AtomicBool,
    n_polls: AtomicU64,
    polled_at: Mutex<Option<Instant>>,
    given: Mutex<BTreeSet<Vec<u8>>>,
}

impl Faulty {
    fn has(&self, fault: &str) -> bool {
        self.config.fault == fault
    }

    /// Does as a switch says, and asks the source whether it is there.
    async fn ask(&self, settings: &Settings) -> Result<(), Error> {
        match settings.switch.as_str() {
            "panic" => {
                tokio::task::yield_now().await;
                panic!("told to panic");
            }
            "hang" => {
                let _guard = Guard(self.has("spoiled_by_cancel"));
                pending::<()>().await;
            }
            "block" => EVERYWHERE.block(),
            _ => {}
        }
        self.connect().await
    }

    async fn connect(&self) -> Result<(), Error> {
        if self.has("never_connects_again") && self.broken.load(Ordering::SeqCst) {
            return Err(Error::transient("the connection is gone"));
        }
        let within = Duration::from_millis(if self.has("impatient") { 20 } else { 5_000 });
        let asked = async {
            let mut stream = TcpStream::connect(&self.config.address).await?;
            stream.write_all(b"?").await?;
            stream.read_exact(&mut [0]).await.map(drop)
        };
        let done = timeout(within, asked).await;
        let done = done.unwrap_or_else(|_| Err(std::io::ErrorKind::TimedOut.into()));
        done.map_err(|error| {
            self.broken.store(true, Ordering::SeqCst);
            let token = self.config.token.expose();
            if self.has("logs_token") {
                tracing::warn!("cannot ask with {token}");
            }
            match self.config.fault.as_str() {
                "tells_token" => Error::transient(format!("cannot ask with {token}")),
                "down_is_permanent" => Error::permanent("cannot ask").because(&error),
                _ => Error::transient("cannot ask").because(&error),
            }
        })
    }

    /// Complains about the clock, if that is its fault.
    fn look_at_clock(&self, cx: &Context) -> Result<(), Error> {
        const MONTH_MS: i64 = 30 * 24 * 3600 * 1000;
        let now = cx.now_ms();
        let first = match EVERYWHERE.first_ms.compare_exchange(
            0,
            now,
            Ordering::SeqCst,
            Ordering::SeqCst,
        ) {
            Ok(_) => now,
            Err(first) => first,
        };
        let wrong = (self.has("fears_the_past") && now < first - MONTH_MS)
            || (self.has("fears_the_future") && now > first + MONTH_MS);
        if wrong { Err(Error::permanent("the clock is wrong")) } else { Ok(()) }
    }
}

/// Spoils the plug-in when an operation is dropped half-way.
struct Guard(bool);

impl Drop for Guard {
    fn drop(&mut self) {
        if self.0 {
            EVERYWHERE.spoiled.store(true, Ordering::SeqCst);
        }
    }
}

impl Plugin for Faulty {
    type Config = Config;

    fn validate(config: &Config) -> Vec<ConfigFault> {
        let number = EVERYWHERE.number();
        let fault = |message: String| vec![ConfigFault::new("fault", message)];
        match config.fault.as_str() {
            "never_content" => fault("is never right".to_owned()),
            "moody" if number.is_multiple_of(2) => fault("is wrong today".to_owned()),
            "validate_panics" => {
                assert!(config.address.len() < 1000, "too long an address");
                Vec::new()
            }
            "faults_tell_token" if config.extra.as_ref().is_some_and(Value::is_array) => {
                fault(format!("does not go with {}", config.token.expose()))
            }
            _ => Vec::new(),
        }
    }

    fn create(config: Config, _: &Context) -> Result<Self, Error> {
        match config.fault.as_str() {
            "slow_create" => thread::park_timeout(Duration::from_millis(1100)),
            "opens_files" => EVERYWHERE.leak(),
            _ => {}
        }
        Ok(Self {
            config,
            broken: AtomicBool::new(false),
            n_polls: AtomicU64::new(0),
            polled_at: Mutex::new(None),
            given: Mutex::new(BTreeSet::new()),
        })
    }

    async fn suggest(&self, _: &Context, what: &Suggest) -> Result<Vec<Suggestion>, Error> {
        let settings = what.beside::<String>("switch");
        assert!(!self.has("suggest_panics") || what.field != "a.b.c", "no such key");
        Ok(settings.map(Suggestion::text).into_iter().collect())
    }

    async fn check(&self, _: &Context) -> Result<(), Error> {
        let spoiled = EVERYWHERE.spoiled.load(Ordering::SeqCst);
        if self.has("check_fails") || spoiled {
            return Err(Error::permanent("it is spoiled"));
        }
        if self.has("check_asks_nobody") {
            return Ok(());
        }
        // The source's operations have their switch in the config.
        let extra = self.config.extra.as_ref().and_then(|extra| extra.as_str());
        self.ask(&Settings { switch: extra.unwrap_or_default().to_owned() }).await
    }

    async fn drain(&self, _: &Context) -> Result<(), Error> {
        if self.has("drain_hangs") {
            pending::<()>().await;
        }
        Ok(())
    }

    async fn stop(&self, _: &Context) {
        match self.config.fault.as_str() {
            "stop_hangs" => pending().await,
            "stop_stops_all" => EVERYWHERE.spoiled.store(true, Ordering::SeqCst),
            "leaks" => EVERYWHERE.leak(),
            _ => {}
        }
    }
}

export_plugin! {
    plugin: Faulty,
    roles: [capture, lookup, callback],
    manifest: include_str!("manifest.json"),
}
