//! The pipeline, as the web server sees it.

use std::borrow::Cow;
use std::sync::Arc;

use async_trait::async_trait;
use axum::http::{Request, Response};
use bytes::Bytes;
use gantry_model::spec::Spec;
use gantry_model::{Actor, Reply, Requirement, TraceParent};
use gantry_pipeline::{
    CaptureError, Change, DeadLetterError, Handle, MessageError, Move, OperateError, Outcome,
    PayloadError, Retried, Settled, Target,
};
use gantry_plugin_api::{HttpRequest, HttpResponse};
use gantry_rules::ExpressionError;
use gantry_store::Store;
use gantry_web::intake::{
    self, ConfigReload, Intake, IntakeError, Message, RecordOutcome, RecordResult, SourceReload,
};
use tokio::sync::{mpsc, oneshot};

use crate::error::chain;
use crate::generation::{Active, Wish};
use crate::metrics::{self, Seen};
use crate::reload::Reloader;

/// Plugs the pipeline into the web server.
#[derive(Debug)]
pub(crate) struct PipelineIntake {
    pub(crate) active: Active,
    pub(crate) hub: gantry_hub::Handle,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) reloader: Reloader,
    pub(crate) wishes: mpsc::Sender<Wish>,
}

impl PipelineIntake {
    fn pipeline(&self) -> Handle {
        self.active.now().pipeline.clone()
    }
}

/// What the pipeline shows of a capture point, as JSON.
struct PipelineWatch(gantry_pipeline::Watch);

#[async_trait]
impl intake::Watch for PipelineWatch {
    async fn next(&mut self) -> Option<serde_json::Value> {
        let seen = self.0.next().await?;
        Some(serde_json::to_value(seen).expect("invariant: what is seen has text keys only"))
    }
}

#[async_trait]
impl Intake for PipelineIntake {
    async fn capture_json(
        &self,
        capture_point: &str,
        body: Bytes,
        traceparent: Option<TraceParent>,
    ) -> Result<Vec<RecordResult>, IntakeError> {
        let outcomes = self.pipeline().capture_json(capture_point, body, traceparent).await;
        let outcomes = outcomes.map_err(|error| capture_error(capture_point, error))?;
        Ok(outcomes.into_iter().map(record_result).collect())
    }

    async fn capture_http(
        &self,
        capture_point: &str,
        request: Request<Bytes>,
    ) -> Result<Response<Bytes>, IntakeError> {
        match self.spec().captures.get(capture_point) {
            None => return Err(IntakeError::UnknownCapturePoint(capture_point.into())),
            Some(point) if point.source.is_none() => {
                return Err(IntakeError::NoHook(capture_point.into()));
            }
            Some(_) => {}
        }
        let answer = self.pipeline().capture_http(capture_point, plugin_request(request)).await;
        web_response(capture_point, answer)
    }

    async fn message(&self, actor: Actor, message: Message) -> Result<Reply, IntakeError> {
        let Message { target, kind, body, by } = message;
        let target = match target {
            intake::Target::Item(item) => Target::Item(item),
            intake::Target::Key { capture_point, external_id } => {
                Target::Key { capture_point, external_id }
            }
        };
        self.pipeline().message(actor, target, kind, body, by).await.map_err(message_error)
    }

    async fn retry_dead_letter(
        &self,
        actor: Actor,
        id: &str,
        payload: Option<Bytes>,
    ) -> Result<(), IntakeError> {
        let retried = self.pipeline().retry_dead_letter(id, payload, actor).await;
        match retried.map_err(dead_letter_error)? {
            Retried::Callback => Ok(()),
            Retried::Record(outcome) => match outcome.settled {
                Settled::Accepted { .. } | Settled::Filtered { .. } => Ok(()),
                Settled::Refused { code, reason, .. } => {
                    Err(IntakeError::Refused { code: code.into(), detail: reason })
                }
                Settled::Retry { reason } => {
                    Err(IntakeError::Hub(gantry_hub::Error::Unavailable { reason }))
                }
            },
        }
    }

    async fn skip_dead_letter(&self, actor: Actor, id: &str) -> Result<(), IntakeError> {
        self.pipeline().skip_dead_letter(id, actor).await.map_err(dead_letter_error)
    }

    async fn pause(
        &self,
        actor: Actor,
        capture_point: &str,
        reason: Option<String>,
    ) -> Result<(), IntakeError> {
        self.pipeline().pause(actor, capture_point, reason).await.map_err(operate_error)
    }

    async fn resume(&self, actor: Actor, capture_point: &str) -> Result<(), IntakeError> {
        self.pipeline().resume(actor, capture_point).await.map_err(operate_error)
    }

    fn poll_now(&self, capture_point: &str) -> Result<(), IntakeError> {
        self.pipeline().poll_now(capture_point).map_err(operate_error)
    }

    async fn move_position(
        &self,
        actor: Actor,
        capture_point: &str,
        to: intake::Move,
    ) -> Result<(), IntakeError> {
        let to = match to {
            intake::Move::Set { partition, position } => {
                Move::Set { source_partition: partition, position }
            }
            intake::Move::Reset { partition } => Move::Reset { source_partition: partition },
            intake::Move::Rewind { partition, to } => {
                Move::Rewind { source_partition: partition, to }
            }
        };
        self.pipeline().move_position(actor, capture_point, to).await.map_err(operate_error)
    }

    async fn reload_config(&self) -> Result<ConfigReload, IntakeError> {
        let (wish, granted) = oneshot::channel();
        let stopped = || IntakeError::Hub(gantry_hub::Error::Stopped);
        self.wishes.send(wish).await.map_err(|_| stopped())?;
        granted.await.map_err(|_| stopped())?
    }

    async fn reload_plugin(
        &self,
        actor: Actor,
        plugin: &str,
    ) -> Result<Vec<SourceReload>, IntakeError> {
        self.reloader.reload(actor, plugin).await
    }

    fn requirement(&self, expression: &str) -> Result<Requirement, IntakeError> {
        let Spec { skills, groups, .. } = &*self.spec();
        gantry_rules::check_requirement(expression, skills, groups).map_err(|errors| {
            let text = |error: &ExpressionError| match &error.help {
                Some(help) => format!("{}; {help}", error.message),
                None => error.message.clone(),
            };
            let errors: Vec<_> = errors.iter().map(text).collect();
            IntakeError::Expression(errors.join(", "))
        })
    }

    fn spec(&self) -> Arc<Spec> {
        Arc::clone(&self.active.now().spec)
    }

    fn status(&self) -> serde_json::Value {
        serde_json::to_value(self.pipeline().status())
            .expect("invariant: a status has text keys only")
    }

    fn watch(&self, capture_point: &str) -> Result<Box<dyn intake::Watch>, IntakeError> {
        let watch = self.pipeline().watch(capture_point).map_err(operate_error)?;
        Ok(Box::new(PipelineWatch(watch)))
    }

    fn metrics(&self) -> String {
        metrics::text(Seen {
            now: self.hub.now(),
            health: self.hub.health().borrow().clone(),
            pipeline: self.pipeline().status(),
            hub: self.hub.stats(),
            store: self.store.stats(),
        })
    }
}

fn record_result(outcome: Outcome) -> RecordResult {
    let Outcome { external_id, settled } = outcome;
    let (item, outcome) = match settled {
        Settled::Accepted { item, change } => {
            let outcome = match change {
                Change::Created => RecordOutcome::Created,
                Change::Updated | Change::Done => RecordOutcome::Updated,
                Change::Repeat => RecordOutcome::Repeat,
            };
            (Some(item), outcome)
        }
        Settled::Filtered { item, reason } => {
            (item, RecordOutcome::Filtered { detail: reason.into_owned() })
        }
        Settled::Refused { code, reason, dead_letter } => {
            let code = Cow::Borrowed(code);
            let dead_letter = Some(dead_letter);
            (None, RecordOutcome::Refused { code, detail: reason, dead_letter })
        }
        Settled::Retry { reason } => (None, RecordOutcome::Retry { detail: reason }),
    };
    RecordResult { external_id, item, outcome }
}

fn plugin_request(request: Request<Bytes>) -> HttpRequest {
    let (head, body) = request.into_parts();
    let mut handed = HttpRequest::new(head.method.as_str(), head.uri.path(), body);
    head.uri.query().unwrap_or_default().clone_into(&mut handed.query);
    let headers = head.headers.iter().filter_map(|(name, value)| {
        let value = value.to_str().ok()?;
        Some((name.as_str().to_owned(), value.to_owned()))
    });
    handed.headers = headers.collect();
    handed
}

fn web_response(capture_point: &str, answer: HttpResponse) -> Result<Response<Bytes>, IntakeError> {
    let HttpResponse { status, headers, body } = answer;
    let mut response = Response::builder().status(status);
    for (name, value) in headers {
        response = response.header(name, value);
    }
    response.body(body).map_err(|error| IntakeError::Plugin {
        capture_point: capture_point.into(),
        detail: format!("its answer is no HTTP response: {error}"),
    })
}

fn capture_error(capture_point: &str, error: CaptureError) -> IntakeError {
    match error {
        CaptureError::UnknownPoint { .. } => IntakeError::UnknownCapturePoint(capture_point.into()),
        CaptureError::Hub(error) => IntakeError::Hub(error),
        paused @ CaptureError::Paused { .. } => IntakeError::Paused(paused.to_string()),
        CaptureError::Payload(
            error @ (PayloadError::TooLarge { .. } | PayloadError::TooMany { .. }),
        ) => IntakeError::TooLarge(chain(&error)),
        other => IntakeError::Body(chain(&other)),
    }
}

fn message_error(error: MessageError) -> IntakeError {
    match error {
        MessageError::Hub(error) => IntakeError::Hub(error),
        MessageError::Unknown { .. } => IntakeError::UnknownItem(chain(&error)),
        MessageError::Payload(_) => IntakeError::Body(chain(&error)),
        other => IntakeError::Refused {
            code: other.code().unwrap_or_default().into(),
            detail: chain(&other),
        },
    }
}

fn operate_error(error: OperateError) -> IntakeError {
    let detail = chain(&error);
    match error {
        OperateError::Hub(error) => IntakeError::Hub(error),
        OperateError::Store(error) => IntakeError::Store(error),
        OperateError::UnknownPoint { name, .. } => IntakeError::UnknownCapturePoint(name),
        OperateError::NoPartition { .. } | OperateError::NotKept { .. } => {
            IntakeError::NoPosition(detail)
        }
        OperateError::Busy { .. } => IntakeError::Busy(detail),
        _ => IntakeError::NotOperable(detail),
    }
}

fn dead_letter_error(error: DeadLetterError) -> IntakeError {
    match error {
        DeadLetterError::Hub { source, .. } => IntakeError::Hub(source),
        DeadLetterError::Store { source, .. } => IntakeError::Store(source),
        DeadLetterError::Unknown { id } | DeadLetterError::Settled { id, .. } => {
            IntakeError::UnknownDeadLetter(id)
        }
        other => IntakeError::Body(chain(&other)),
    }
}
