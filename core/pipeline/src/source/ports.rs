//! The traits in `port`, by what is attached to an instance.

use async_trait::async_trait;
use gantry_model::ItemId;
use gantry_plugin_host::api::{
    Batch, CaptureMode, Delivery, DeliveryOutcome, ErrorClass, Extended, HttpCapture, HttpRequest,
    Lease, Position, Query, RecordOutcome,
};
use gantry_plugin_host::{
    CallError, CallbackHandle, CaptureHandle, Instance, LookupHandle, RecordStream,
};
use serde_json::Value;

use super::{Attached, Role, Settings};
use crate::port::{BatchStream, CallbackPort, CapturePort, LookupPort, Trouble};

#[async_trait]
impl Role for CaptureHandle {
    fn settings<'s>(of: &'s Settings, name: &str) -> Option<&'s Vec<u8>> {
        of.captures.get(name)
    }

    async fn attach(instance: &Instance, name: &str, settings: Vec<u8>) -> Result<Self, CallError> {
        instance.attach_capture(name, settings).await
    }

    async fn check(&self) -> Result<(), CallError> {
        Self::check(self).await
    }
}

#[async_trait]
impl Role for LookupHandle {
    fn settings<'s>(of: &'s Settings, name: &str) -> Option<&'s Vec<u8>> {
        of.lookups.get(name)
    }

    async fn attach(instance: &Instance, name: &str, settings: Vec<u8>) -> Result<Self, CallError> {
        instance.attach_lookup(name, settings).await
    }

    async fn check(&self) -> Result<(), CallError> {
        Self::check(self).await
    }
}

#[async_trait]
impl Role for CallbackHandle {
    fn settings<'s>(of: &'s Settings, name: &str) -> Option<&'s Vec<u8>> {
        of.callbacks.get(name)
    }

    async fn attach(instance: &Instance, name: &str, settings: Vec<u8>) -> Result<Self, CallError> {
        instance.attach_callback(name, settings).await
    }

    async fn check(&self) -> Result<(), CallError> {
        Self::check(self).await
    }
}

#[async_trait]
impl CapturePort for Attached<CaptureHandle> {
    fn modes(&self) -> Vec<CaptureMode> {
        self.source.modes()
    }

    async fn poll(&self, from: Option<Position>, limit: u32) -> Result<Batch, Trouble> {
        self.call(|handle| {
            let from = from.clone();
            async move { handle.poll(from, limit).await }
        })
        .await
    }

    async fn stream(
        &self,
        from: Option<Position>,
        credit: u32,
    ) -> Result<Box<dyn BatchStream>, Trouble> {
        let stream = self.call(|handle| {
            let from = from.clone();
            async move { handle.stream(from, credit) }
        });
        Ok(Box::new(stream.await?))
    }

    async fn http(&self, request: HttpRequest) -> Result<HttpCapture, Trouble> {
        let request = &request;
        self.call(|handle| async move { handle.http(request).await }).await
    }

    async fn acknowledge(&self, outcomes: Vec<RecordOutcome>) -> Result<(), Trouble> {
        self.call(|handle| {
            let outcomes = outcomes.clone();
            async move { handle.acknowledge(outcomes).await }
        })
        .await
    }

    fn gives_leases(&self) -> bool {
        let library = self.source.library();
        library.is_some_and(|library| {
            library.manifest().capture.as_ref().is_some_and(|capture| capture.leases)
        })
    }

    async fn extend(&self, leases: Vec<Lease>) -> Result<Vec<Extended>, Trouble> {
        let leases = &leases[..];
        self.call(|handle| async move { handle.extend(leases).await }).await
    }
}

#[async_trait]
impl BatchStream for RecordStream {
    async fn next(&mut self) -> Option<Result<Batch, Trouble>> {
        Self::next(self).await.map(|batch| batch.map_err(Trouble::from))
    }

    fn grant(&mut self, credit: u32) {
        Self::grant(self, credit);
    }
}

#[async_trait]
impl LookupPort for Attached<LookupHandle> {
    async fn ask(&self, query: Query, _: ItemId) -> Result<Option<Value>, Trouble> {
        let queries = &[query];
        let ask = || self.call(|handle| async move { handle.lookup(queries).await });
        let one = "invariant: the host gives one answer a query";
        let mut answer = ask().await?.pop().expect(one);
        let class = answer.as_ref().err().map(gantry_plugin_host::api::Error::class);
        if self.renew_if_expired(class).await {
            answer = ask().await?.pop().expect(one);
        }
        let answer = answer?;
        Ok(answer.map(|answer| answer.attributes.parse()).transpose()?)
    }
}

#[async_trait]
impl CallbackPort for Attached<CallbackHandle> {
    async fn deliver(&self, deliveries: Vec<Delivery>) -> Result<Vec<DeliveryOutcome>, Trouble> {
        let deliveries = &deliveries[..];
        let outcomes = self.call(|handle| async move { handle.deliver(deliveries).await }).await?;
        let classes = outcomes.iter().filter_map(|outcome| match outcome {
            DeliveryOutcome::Retry(error) => Some(error.class()),
            _ => None,
        });
        // Those that met the expired credentials are retried in their lanes, with the new ones.
        let expired = classes.into_iter().find(|class| *class == ErrorClass::AuthExpired);
        self.renew_if_expired(expired).await;
        Ok(outcomes)
    }
}
