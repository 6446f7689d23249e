//! A plug-in that does wrong what it is told to, for the tests of the host.

mod config;
mod crime;

use std::future::pending;
use std::panic::panic_any;

use config::{Behaviour, Config, Settings};
use gantry_plugin_api::{
    Answer, Batch, Callback, Capture, ConfigFault, Context, Delivery, DeliveryOutcome, Emitter,
    Error, HttpCapture, HttpRequest, Lookup, Plugin, Position, Query, Record, RecordOutcome,
    export_plugin,
};

struct Misbehaving {
    config: Config,
}

impl Plugin for Misbehaving {
    type Config = Config;

    fn validate(config: &Config) -> Vec<ConfigFault> {
        assert!(config.behaviour != Behaviour::Panic, "validate was told to panic");
        let faults = [ConfigFault::new("one", "is wrong"), ConfigFault::new("two", "is wrong")];
        if config.behaviour == Behaviour::TooMuch { faults.into() } else { Vec::new() }
    }

    fn create(config: Config, _: &Context) -> Result<Self, Error> {
        assert!(config.behaviour != Behaviour::PanicTwice, "create was told to panic");
        Ok(Self { config })
    }

    async fn check(&self, _: &Context) -> Result<(), Error> {
        self.misbehave(self.config.behaviour).await
    }

    async fn stop(&self, _: &Context) {
        // Tells the test that it was called, and that a timer works here.
        tokio::time::sleep(std::time::Duration::from_millis(1)).await;
        tracing::info!("misbehaving has stopped");
    }
}

impl Capture for Misbehaving {
    type Settings = Settings;

    const HTTP_INLINE: bool = true;

    async fn poll(
        &self,
        settings: &Settings,
        cx: &Context,
        _: Option<&Position>,
        limit: usize,
    ) -> Result<Batch, Error> {
        self.misbehave(settings.behaviour).await?;
        if settings.behaviour == Behaviour::TellInside {
            return Ok(Batch { records: vec![self.unreadable()], ..Batch::default() });
        }
        let n = if settings.behaviour == Behaviour::TooMuch { limit + 1 } else { limit };
        let huge = settings.behaviour == Behaviour::HugeReply;
        let payload = if huge { " ".repeat(17 << 20) } else { cx.now_ms().to_string() };
        let record = Record::json(payload);
        Ok(Batch { records: vec![record; n], ..Batch::default() })
    }

    async fn stream(
        &self,
        settings: &Settings,
        cx: &Context,
        _: Option<Position>,
        out: Emitter,
    ) -> Result<(), Error> {
        self.misbehave(settings.behaviour).await?;
        if settings.behaviour == Behaviour::WithoutCredit {
            return crime::send_without_credit().await;
        }
        let mut number = 0_u64;
        loop {
            let records = (number..number + 3).map(|n| Record::json(n.to_string())).collect();
            number += 3;
            let position_after = Some(Position::new(number.to_string())?);
            tokio::select! {
                () = cx.draining() => return Ok(()),
                sent = out.emit(Batch { records, position_after, more: false }) => sent?,
            }
        }
    }

    async fn http(
        &self,
        settings: &Settings,
        _: &Context,
        request: HttpRequest,
    ) -> Result<HttpCapture, Error> {
        self.misbehave(settings.behaviour).await?;
        if settings.behaviour == Behaviour::TellInside {
            return Ok(HttpCapture::records(vec![self.unreadable()]));
        }
        Ok(HttpCapture::records(vec![Record::json(request.body)]))
    }

    async fn acknowledge(
        &self,
        settings: &Settings,
        _: &Context,
        _: &[RecordOutcome],
    ) -> Result<(), Error> {
        self.misbehave(settings.behaviour).await
    }
}

impl Lookup for Misbehaving {
    type Settings = Settings;

    async fn lookup(
        &self,
        settings: &Settings,
        _: &Context,
        queries: Vec<Query>,
    ) -> Result<Vec<Result<Option<Answer>, Error>>, Error> {
        self.misbehave(settings.behaviour).await?;
        if settings.behaviour == Behaviour::TellInside {
            return Ok(queries.iter().map(|_| Err(self.telling())).collect());
        }
        let n = queries.len() + usize::from(settings.behaviour == Behaviour::TooMuch);
        Ok(vec![Ok(None); n])
    }
}

impl Callback for Misbehaving {
    type Settings = Settings;

    async fn deliver(
        &self,
        settings: &Settings,
        _: &Context,
        deliveries: Vec<Delivery>,
    ) -> Vec<DeliveryOutcome> {
        if let Err(error) = self.misbehave(settings.behaviour).await {
            return vec![DeliveryOutcome::Retry(error); deliveries.len()];
        }
        if settings.behaviour == Behaviour::TellInside {
            let refused = || DeliveryOutcome::Refused(self.telling());
            return deliveries.iter().map(|_| refused()).collect();
        }
        let n = deliveries.len() + usize::from(settings.behaviour == Behaviour::TooMuch);
        vec![DeliveryOutcome::Done; n]
    }
}

impl Misbehaving {
    async fn misbehave(&self, behaviour: Behaviour) -> Result<(), Error> {
        match behaviour {
            Behaviour::Well | Behaviour::TooMuch | Behaviour::TellInside => Ok(()),
            Behaviour::Panic => panic!("told to panic"),
            Behaviour::PanicLater => {
                tokio::task::yield_now().await;
                panic!("told to panic later")
            }
            Behaviour::PanicTwice => panic_any(PanicsInDrop),
            Behaviour::PanicInDrop => {
                let _guard = PanicsInDrop;
                pending().await
            }
            Behaviour::Hang => pending().await,
            Behaviour::PanicTelling => panic!("the password is {}", self.password()),
            Behaviour::Tell => {
                let password = self.password();
                let span = tracing::info_span!("telling", whom = "everybody");
                span.in_scope(|| tracing::warn!(password, "the password is {password}"));
                log::warn!("log: the password is {password}");
                Err(self.telling())
            }
            crime => crime::commit(crime).await,
        }
    }
}

impl Misbehaving {
    fn password(&self) -> &str {
        self.config.password.as_ref().map_or("", |password| password.expose().as_str())
    }

    /// An error that tells the password, in its message and in its cause.
    fn telling(&self) -> Error {
        let password = self.password();
        let inner = std::io::Error::other(format!("inside: {password}"));
        Error::transient(format!("cannot keep {password}")).because(&inner)
    }

    fn unreadable(&self) -> Record {
        Record::unreadable("?", format!("cannot keep {}", self.password()))
    }
}

struct PanicsInDrop;

impl Drop for PanicsInDrop {
    fn drop(&mut self) {
        panic!("told to panic in drop");
    }
}

export_plugin! {
    plugin: Misbehaving,
    roles: [capture, lookup, callback],
    manifest: include_str!(concat!(env!("OUT_DIR"), "/gantry-manifest.json")),
}
