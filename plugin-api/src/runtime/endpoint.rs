//! From numbers and bytes to the author's traits: one object a plug-in, an instance, an attachment.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use serde::de::DeserializeOwned;
use tokio::sync::watch;

use super::ahead::Ahead;
use super::guard::Running;
use crate::context::{Clock, Context};
use crate::emitter::Emitter;
use crate::error::{Error, ErrorClass};
use crate::message::{
    Acknowledge, Answered, ConfigFault, Create, Delivery, HttpRequest, Lease, Opcode, Outcome,
    Poll, Position, Query, RoleName, Suggest, decode, encode,
};
use crate::plugin::{Callback, Capture, Lookup, Plugin};
use crate::rotation::Rotations;

/// A plug-in, whatever its type.
pub trait Plug: Send + Sync {
    /// See [`Opcode::Validate`].
    fn validate(&self, role: Option<RoleName>, json: &[u8]) -> Result<Vec<ConfigFault>, Error>;

    /// See [`Opcode::Create`].
    fn create(&self, id: u64, request: &Create, clock: Clock) -> Result<Arc<dyn Instance>, Error>;
}

/// One `[source.NAME]`.
pub trait Instance: Send + Sync {
    /// See [`Opcode::Attach`].
    fn attach(
        self: Arc<Self>,
        role: RoleName,
        name: &str,
        settings: &[u8],
    ) -> Result<Arc<dyn Attachment>, Error>;

    /// See [`Opcode::Check`].
    fn check(self: Arc<Self>) -> Running;

    /// See [`Opcode::Suggest`].
    fn suggest(self: Arc<Self>, what: Suggest) -> Running;

    /// See [`Opcode::Rotate`].
    fn rotate(self: Arc<Self>, kept: Option<u64>) -> Running;

    /// See [`Opcode::Drain`].
    fn drain(self: Arc<Self>) -> Running;

    /// See [`Opcode::Stop`].
    fn stop(self: Arc<Self>) -> Running;
}

/// One `[capture.NAME]`, `[lookup.NAME]` or `[callback.NAME]`.
pub trait Attachment: Send + Sync {
    /// The number of its instance.
    fn instance(&self) -> u64;

    /// See [`Opcode::CheckSettings`].
    fn check(self: Arc<Self>) -> Running;

    /// Whether an operation first runs on the caller's thread.
    fn inline(&self, opcode: Opcode) -> bool;

    /// Starts an operation of the role; the request is read at once.
    fn start(self: Arc<Self>, opcode: Opcode, request: &[u8]) -> Result<Running, Error>;

    /// See [`Opcode::Stream`].
    fn stream(self: Arc<Self>, from: Option<Position>, out: Emitter) -> Result<Running, Error> {
        let _ = (from, out);
        Err(Error::unsupported("stream"))
    }
}

/// The author's type with the roles named in the export macro.
pub struct Endpoint<P: Plugin> {
    capture: Option<Role<P>>,
    lookup: Option<Role<P>>,
    callback: Option<Role<P>>,
}

/// What a role does before it has an attachment.
struct Role<P: Plugin> {
    validate: fn(&[u8]) -> Vec<ConfigFault>,
    attach: Attach<P>,
}

/// Makes an attachment of an instance from its settings as JSON.
type Attach<P> = fn(Arc<Live<P>>, Context, &[u8]) -> Result<Arc<dyn Attachment>, Error>;

impl<P: Plugin> Endpoint<P> {
    /// Without any role.
    #[expect(
        clippy::new_without_default,
        reason = "only the export macro makes one, as a constant"
    )]
    pub const fn new() -> Self {
        Self { capture: None, lookup: None, callback: None }
    }

    /// With the capture role.
    #[must_use]
    pub const fn capture(self) -> Self
    where
        P: Capture,
    {
        let capture = Role {
            validate: |json| faults(json, <P as Capture>::validate_settings),
            attach: |live, cx, settings| {
                let (settings, ahead) = (Arc::new(settings_of(settings)?), Arc::default());
                live.reads_ahead(&ahead);
                Ok(Arc::new(CaptureAttachment { live, settings, cx, ahead }))
            },
        };
        Self { capture: Some(capture), ..self }
    }

    /// With the look-up role.
    #[must_use]
    pub const fn lookup(self) -> Self
    where
        P: Lookup,
    {
        let lookup = Role {
            validate: |json| faults(json, <P as Lookup>::validate_settings),
            attach: |live, cx, settings| {
                Ok(Arc::new(LookupAttachment { settings: settings_of(settings)?, live, cx }))
            },
        };
        Self { lookup: Some(lookup), ..self }
    }

    /// With the callback role.
    #[must_use]
    pub const fn callback(self) -> Self
    where
        P: Callback,
    {
        let callback = Role {
            validate: |json| faults(json, <P as Callback>::validate_settings),
            attach: |live, cx, settings| {
                Ok(Arc::new(CallbackAttachment { settings: settings_of(settings)?, live, cx }))
            },
        };
        Self { callback: Some(callback), ..self }
    }

    fn role(&self, name: RoleName) -> Result<&Role<P>, Error> {
        let role = match name {
            RoleName::Capture => &self.capture,
            RoleName::Lookup => &self.lookup,
            RoleName::Callback => &self.callback,
        };
        role.as_ref().ok_or_else(|| Error::unsupported(name.name()))
    }
}

impl<P: Plugin> Plug for Endpoint<P> {
    fn validate(&self, role: Option<RoleName>, json: &[u8]) -> Result<Vec<ConfigFault>, Error> {
        match role {
            None => Ok(faults(json, P::validate)),
            Some(role) => Ok((self.role(role)?.validate)(json)),
        }
    }

    fn create(&self, id: u64, request: &Create, clock: Clock) -> Result<Arc<dyn Instance>, Error> {
        let config = settings_of::<P::Config>(&request.config)?;
        let (draining, receiver) = watch::channel(false);
        let rotations = Arc::new(Rotations::default());
        let cx = Context::new(&request.name, clock, receiver).keeping(Arc::clone(&rotations));
        let plugin = P::create(config, &cx)?;
        // A copy, since the roles of a plug-in are fixed when it is compiled.
        let roles = [self.capture, self.lookup, self.callback];
        let endpoint = Self { capture: roles[0], lookup: roles[1], callback: roles[2] };
        let aheads = Mutex::default();
        Ok(Arc::new(Live { id, plugin, cx, rotations, draining, aheads, endpoint }))
    }
}

impl<P: Plugin> Clone for Role<P> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<P: Plugin> Copy for Role<P> {}

/// An instance of the author's type.
struct Live<P: Plugin> {
    id: u64,
    plugin: P,
    cx: Context,
    rotations: Arc<Rotations>,
    draining: watch::Sender<bool>,
    /// Of its capture points.
    aheads: Mutex<Vec<Weak<Ahead>>>,
    endpoint: Endpoint<P>,
}

impl<P: Plugin> Live<P> {
    fn reads_ahead(&self, ahead: &Arc<Ahead>) {
        let mut aheads = self.aheads.lock().unwrap_or_else(PoisonError::into_inner);
        aheads.retain(|one| one.strong_count() > 0);
        aheads.push(Arc::downgrade(ahead));
    }

    /// Ends what no operation of the hub stands for.
    async fn rest(&self) {
        self.draining.send_replace(true);
        let aheads =
            std::mem::take(&mut *self.aheads.lock().unwrap_or_else(PoisonError::into_inner));
        for ahead in aheads.iter().filter_map(Weak::upgrade) {
            ahead.forget().await;
        }
    }
}

impl<P: Plugin> Instance for Live<P> {
    fn attach(
        self: Arc<Self>,
        role: RoleName,
        name: &str,
        settings: &[u8],
    ) -> Result<Arc<dyn Attachment>, Error> {
        let attach = self.endpoint.role(role)?.attach;
        let cx = self.cx.named(name);
        attach(self, cx, settings)
    }

    fn check(self: Arc<Self>) -> Running {
        Box::pin(async move { self.plugin.check(&self.cx).await.map(|()| Vec::new()) })
    }

    fn suggest(self: Arc<Self>, what: Suggest) -> Running {
        Box::pin(async move {
            let suggestions = self.plugin.suggest(&self.cx, &what).await?;
            Ok(encode(&suggestions))
        })
    }

    fn rotate(self: Arc<Self>, kept: Option<u64>) -> Running {
        Box::pin(async move {
            tokio::select! {
                rotated = self.rotations.next(kept) => Ok(encode(&rotated)),
                // It is no work that a drain should wait for.
                () = self.cx.draining() => {
                    Err(Error::new(ErrorClass::Canceled, "the instance is about to stop"))
                }
            }
        })
    }

    fn drain(self: Arc<Self>) -> Running {
        self.draining.send_replace(true);
        Box::pin(async move { self.plugin.drain(&self.cx).await.map(|()| Vec::new()) })
    }

    fn stop(self: Arc<Self>) -> Running {
        Box::pin(async move {
            self.rest().await;
            self.plugin.stop(&self.cx).await;
            Ok(Vec::new())
        })
    }
}

struct CaptureAttachment<P: Capture> {
    live: Arc<Live<P>>,
    settings: Arc<<P as Capture>::Settings>,
    cx: Context,
    ahead: Arc<Ahead>,
}

impl<P: Capture> CaptureAttachment<P> {
    async fn poll(&self, request: Poll) -> Result<Vec<u8>, Error> {
        let ask = |Poll { from, limit }: Poll| {
            let (live, settings) = (Arc::clone(&self.live), Arc::clone(&self.settings));
            let cx = self.cx.clone();
            async move { live.plugin.poll(&settings, &cx, from.as_ref(), limit as usize).await }
        };
        if P::reads_ahead(&self.settings) && !self.cx.is_draining() {
            return self.ahead.poll(self.live.id, request, ask).await;
        }
        self.ahead.forget().await;
        Ok(ask(request).await?.encoded())
    }
}

impl<P: Capture> Attachment for CaptureAttachment<P> {
    fn instance(&self) -> u64 {
        self.live.id
    }

    fn check(self: Arc<Self>) -> Running {
        Box::pin(async move {
            <P as Capture>::check_settings(&self.live.plugin, &self.settings, &self.cx).await?;
            Ok(Vec::new())
        })
    }

    fn inline(&self, opcode: Opcode) -> bool {
        P::HTTP_INLINE && opcode == Opcode::Http
    }

    fn start(self: Arc<Self>, opcode: Opcode, request: &[u8]) -> Result<Running, Error> {
        match opcode {
            Opcode::Poll => {
                let request = decode(request, "poll request")?;
                Ok(Box::pin(async move { self.poll(request).await }))
            }
            Opcode::Http => {
                let request: HttpRequest = decode(request, "http request")?;
                Ok(Box::pin(async move {
                    let plugin = &self.live.plugin;
                    plugin.http(&self.settings, &self.cx, request).await.map(|made| encode(&made))
                }))
            }
            Opcode::Acknowledge => {
                let Acknowledge { outcomes } = decode(request, "acknowledgement")?;
                Ok(Box::pin(async move {
                    // What follows was asked for as if nothing had to come again.
                    if outcomes.iter().any(|outcome| outcome.outcome == Outcome::Retry) {
                        self.ahead.forget().await;
                    }
                    let plugin = &self.live.plugin;
                    plugin.acknowledge(&self.settings, &self.cx, &outcomes).await?;
                    Ok(Vec::new())
                }))
            }
            Opcode::Extend => {
                let leases: Vec<Lease> = decode(request, "extend request")?;
                Ok(Box::pin(async move {
                    let plugin = &self.live.plugin;
                    let extended = plugin.extend(&self.settings, &self.cx, &leases).await?;
                    same_length("answers", extended.len(), "leases", leases.len())?;
                    Ok(encode(&extended))
                }))
            }
            other => Err(Error::unsupported(other.name())),
        }
    }

    fn stream(self: Arc<Self>, from: Option<Position>, out: Emitter) -> Result<Running, Error> {
        Ok(Box::pin(async move {
            self.live.plugin.stream(&self.settings, &self.cx, from, out).await?;
            Ok(Vec::new())
        }))
    }
}

struct LookupAttachment<P: Lookup> {
    live: Arc<Live<P>>,
    settings: <P as Lookup>::Settings,
    cx: Context,
}

impl<P: Lookup> Attachment for LookupAttachment<P> {
    fn instance(&self) -> u64 {
        self.live.id
    }

    fn check(self: Arc<Self>) -> Running {
        Box::pin(async move {
            <P as Lookup>::check_settings(&self.live.plugin, &self.settings, &self.cx).await?;
            Ok(Vec::new())
        })
    }

    fn inline(&self, _: Opcode) -> bool {
        P::INLINE
    }

    fn start(self: Arc<Self>, opcode: Opcode, request: &[u8]) -> Result<Running, Error> {
        if opcode != Opcode::Lookup {
            return Err(Error::unsupported(opcode.name()));
        }
        let queries: Vec<Query> = decode(request, "look-up request")?;
        Ok(Box::pin(async move {
            let n_queries = queries.len();
            let plugin = &self.live.plugin;
            let answers = plugin.lookup(&self.settings, &self.cx, queries).await?;
            same_length("answers", answers.len(), "queries", n_queries)?;
            let answers: Vec<_> = answers.into_iter().map(Answered::from).collect();
            Ok(encode(&answers))
        }))
    }
}

struct CallbackAttachment<P: Callback> {
    live: Arc<Live<P>>,
    settings: <P as Callback>::Settings,
    cx: Context,
}

impl<P: Callback> Attachment for CallbackAttachment<P> {
    fn instance(&self) -> u64 {
        self.live.id
    }

    fn check(self: Arc<Self>) -> Running {
        Box::pin(async move {
            <P as Callback>::check_settings(&self.live.plugin, &self.settings, &self.cx).await?;
            Ok(Vec::new())
        })
    }

    fn inline(&self, _: Opcode) -> bool {
        false
    }

    fn start(self: Arc<Self>, opcode: Opcode, request: &[u8]) -> Result<Running, Error> {
        if opcode != Opcode::Deliver {
            return Err(Error::unsupported(opcode.name()));
        }
        let deliveries: Vec<Delivery> = decode(request, "deliver request")?;
        Ok(Box::pin(async move {
            let n_deliveries = deliveries.len();
            let plugin = &self.live.plugin;
            let outcomes = plugin.deliver(&self.settings, &self.cx, deliveries).await;
            same_length("outcomes", outcomes.len(), "deliveries", n_deliveries)?;
            Ok(encode(&outcomes))
        }))
    }
}

/// Checks what a role's trait asks for: one answer a question, in the same order.
fn same_length(what: &str, n: usize, of: &str, n_asked: usize) -> Result<(), Error> {
    if n == n_asked {
        return Ok(());
    }
    let message = format!("plug-in gave {n} {what} to {n_asked} {of}: one each is the rule");
    Err(Error::new(ErrorClass::Protocol, message))
}

fn faults<T: DeserializeOwned>(json: &[u8], check: fn(&T) -> Vec<ConfigFault>) -> Vec<ConfigFault> {
    match parse(json) {
        Ok(value) => check(&value),
        Err(fault) => vec![fault],
    }
}

fn settings_of<T: DeserializeOwned>(json: &[u8]) -> Result<T, Error> {
    parse(json).map_err(|fault| Error::config(fault.path, fault.message))
}

fn parse<T: DeserializeOwned>(json: &[u8]) -> Result<T, ConfigFault> {
    // By way of a value, since a line and column in the hub's own JSON would mislead the operator.
    let value: serde_json::Value =
        serde_json::from_slice(json).map_err(|error| ConfigFault::new("", error.to_string()))?;
    serde_path_to_error::deserialize(value).map_err(|error| {
        let path = error.path().to_string();
        let path = if path == "." { String::new() } else { path };
        ConfigFault::new(path, error.into_inner().to_string())
    })
}

impl<P: Plugin> fmt::Debug for Endpoint<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Endpoint")
            .field("capture", &self.capture.is_some())
            .field("lookup", &self.lookup.is_some())
            .field("callback", &self.callback.is_some())
            .finish()
    }
}
