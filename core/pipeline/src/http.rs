//! Capture by request: the plain JSON API, and requests that a plug-in understands.

use bytes::Bytes;
use gantry_model::{Name, TraceParent};
use gantry_plugin_host::api::{
    ErrorClass, HttpCapture, HttpRequest, HttpResponse, ResponseBody, ResponseTemplate,
};
use thiserror::Error;

use crate::capture::incoming;
use crate::intake::Incoming;
use crate::outcome::{Outcome, Settled};
use crate::payload::{self, PayloadError};
use crate::pipeline::Handle;
use crate::port::Trouble;
use crate::status::State;

/// Seconds after which a sender tries again: after trouble that passes, and while it is paused.
const SOON: &str = "1";
const PAUSED_RETRY: &str = "60";

/// Why a request captured nothing.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum CaptureError {
    /// No such capture point.
    #[error("capture point {name:?} is not configured; configured are {known}")]
    UnknownPoint {
        /// Its name.
        name: String,
        /// Those there are.
        known: String,
    },
    /// Somebody paused it.
    #[error("capture point {point:?} is paused; send the records again later")]
    Paused {
        /// The capture point.
        point: Name,
    },
    /// The body cannot be read.
    #[error(transparent)]
    Payload(#[from] PayloadError),
    /// The hub could not take it; the same request again settles it.
    #[error("cannot hand the records to the hub")]
    Hub(#[from] gantry_hub::Error),
}

impl CaptureError {
    /// The stable code; none for the hub's own trouble.
    pub const fn code(&self) -> Option<&'static str> {
        match self {
            Self::UnknownPoint { .. } => Some("GANTRY-R016"),
            Self::Payload(error) => Some(error.code()),
            Self::Paused { .. } | Self::Hub(_) => None,
        }
    }
}

impl Handle {
    /// Captures records that came to the plain JSON API: `body` is one JSON object or a list of
    /// them, which belong to the caller's trace. One outcome a record, in order, all durable.
    ///
    /// # Errors
    /// [`CaptureError`]: nothing was captured, or (`Hub`) it may have been and the same request
    /// again finds repeats.
    ///
    /// # Cancel safety
    /// Dropping the future does not take back what was submitted.
    pub async fn capture_json(
        &self,
        capture_point: &str,
        body: Bytes,
        traceparent: Option<TraceParent>,
    ) -> Result<Vec<Outcome>, CaptureError> {
        let intake = self.intake();
        let point = intake.point(capture_point).ok_or_else(|| self.unknown(capture_point))?;
        if self.is_paused(capture_point) {
            return Err(CaptureError::Paused { point: point.name.clone() });
        }
        let records = if let Some(records) = payload::split(&body, &intake.limits)? {
            let entry = |payload| {
                let traceparent = traceparent.clone();
                Incoming { nesting_checked: true, traceparent, ..Incoming::new(payload) }
            };
            records.into_iter().map(entry).collect()
        } else {
            // A body that cannot be read is a wrong request, not a record to keep.
            let value = Some(payload::parse(&body, &intake.limits)?);
            vec![Incoming { value, traceparent, ..Incoming::new(body) }]
        };
        Ok(intake.settle(point, &records, None).await?)
    }

    /// Captures what a request to a capture point's own path means to its plug-in, and gives the
    /// answer for the sender: a success only if everything is durable.
    ///
    /// # Cancel safety
    /// Dropping the future does not take back what was submitted.
    pub async fn capture_http(&self, capture_point: &str, request: HttpRequest) -> HttpResponse {
        let Some((point, port, pulse)) = self.http_port(capture_point) else {
            return HttpResponse::problem(404, &self.unknown(capture_point).to_string());
        };
        if self.is_paused(capture_point) {
            return try_later(
                503,
                "the capture point is paused; send it again later",
                PAUSED_RETRY,
            );
        }
        let timeout = self.intake().limits.http_timeout;
        let captured = tokio::time::timeout(timeout, port.http(request)).await;
        let captured = captured.unwrap_or_else(|_| Err(Trouble::timeout("the plug-in", timeout)));
        let now = self.hub().now();
        let (records, template) = match captured {
            Ok(HttpCapture::Capture { records, response }) => (records, response),
            Ok(HttpCapture::Refuse(response)) => return response,
            Ok(_) => return HttpResponse::problem(502, "the plug-in's answer is not understood"),
            Err(trouble) => {
                pulse.trouble(State::BackingOff, now, &trouble);
                return refusal(&trouble);
            }
        };
        pulse.ok(now);
        let records: Vec<_> = records.iter().map(incoming).collect();
        match self.intake().settle(point, &records, None).await {
            Ok(outcomes) => fill(template, &outcomes),
            Err(error) => {
                pulse.trouble_of(State::BackingOff, now, "hub", &error.to_string());
                try_later(503, "the hub cannot take it at the moment", SOON)
            }
        }
    }

    fn unknown(&self, name: &str) -> CaptureError {
        CaptureError::UnknownPoint { name: name.into(), known: self.known_points() }
    }

    fn is_paused(&self, capture_point: &str) -> bool {
        self.parts(capture_point).is_some_and(|(_, parts)| parts.control.paused().is_some())
    }
}

/// The answer when all records are settled.
fn fill(template: ResponseTemplate, outcomes: &[Outcome]) -> HttpResponse {
    if !outcomes.iter().all(|outcome| outcome.settled.is_final()) {
        return try_later(503, "not all records could be settled", SOON);
    }
    let refused = |outcome: &Outcome| matches!(outcome.settled, Settled::Refused { .. });
    let all_refused = !outcomes.is_empty() && outcomes.iter().all(refused);
    let ResponseTemplate { status, status_refused, mut headers, body } = template;
    let body = if let ResponseBody::Fixed(body) = body {
        body
    } else {
        if !headers.iter().any(|(name, _)| name == "content-type") {
            headers.push(("content-type".into(), "application/json".into()));
        }
        let json = serde_json::to_vec(outcomes);
        json.expect("invariant: outcomes have text keys only").into()
    };
    let status = if all_refused { status_refused } else { status };
    HttpResponse { status, headers, body }
}

fn try_later(status: u16, title: &str, secs: &str) -> HttpResponse {
    let mut response = HttpResponse::problem(status, title);
    response.headers.push(("retry-after".into(), secs.into()));
    response
}

/// The sender learns what to do, not what went wrong inside.
fn refusal(trouble: &Trouble) -> HttpResponse {
    match trouble.class {
        ErrorClass::Throttled => {
            let mut response = HttpResponse::problem(429, "too many requests");
            let secs = trouble.after.map_or(1, |after| after.as_secs().max(1));
            response.headers.push(("retry-after".into(), secs.to_string()));
            response
        }
        _ if trouble.passes() || trouble.class == ErrorClass::Panic => {
            try_later(502, "the capture point cannot take it at the moment; send it again", SOON)
        }
        _ => HttpResponse::problem(
            502,
            "the capture point does not work; GET /api/v1/status says why",
        ),
    }
}
