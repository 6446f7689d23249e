//! The JSON API under `/api/v1`: this list is all of it.

pub(crate) mod agents;
pub(crate) mod alerts;
mod capture;
mod config;
mod curves;
mod dead_letters;
mod events;
pub(crate) mod items;
mod moves;
mod operate;
mod queues;
pub(crate) mod status;
mod tap;
mod work;
pub(crate) mod workbins;

use axum::Router;
use axum::routing::{any, get, post, put};
use gantry_model::Reply;
use gantry_model::spec::MessageKind;

use crate::app::Shared;
use crate::problem::{self, Problem};

/// All addresses of the API.
pub(crate) fn routes() -> Router<Shared> {
    Router::new()
        .route("/capture/{capture_point}", post(capture::capture))
        .route("/capture/{capture_point}/{external_id}", get(items::by_key))
        .route("/capture/{capture_point}/{external_id}/{kind}", post(capture::message_by_key))
        .route("/hooks/{capture_point}", any(capture::hook))
        .route("/items", get(items::list))
        .route("/items/{item}", get(items::one))
        .route("/items/{item}/history", get(items::history))
        .route("/items/{item}/explain", get(items::explain))
        .route("/items/{item}/curve", get(curves::of_item))
        .route("/items/{item}/boost", post(moves::boost))
        .route("/items/{item}/park", post(moves::park))
        .route("/items/{item}/pull", post(moves::pull))
        .route("/items/{item}/reschedule", post(moves::reschedule))
        .route("/items/{item}/retrieve", post(moves::retrieve))
        .route("/items/{item}/return", post(moves::give_back))
        .route("/items/{item}/transfer", post(moves::transfer))
        .route("/items/{item}/{kind}", post(capture::message_by_item))
        .route("/queue", get(queues::top))
        .route("/queue/unserved", get(queues::unserved))
        .route("/queues", get(queues::queues))
        .route("/alerts", get(alerts::list))
        .route("/workbins", get(workbins::list))
        .route("/workbins/{kind}/{name}", get(workbins::one))
        .route("/workbins/{kind}/{name}/empty", post(workbins::empty))
        .route("/agents", get(agents::list))
        .route("/agents/{agent}", get(agents::one).put(agents::put).delete(agents::remove))
        .route("/agents/{agent}/presence", put(agents::set_presence))
        .route("/agents/{agent}/desk", get(agents::desk))
        .route("/agents/{agent}/next", post(agents::who_goes_next))
        .route("/agents/{agent}/load/{media}", put(agents::report_load))
        .route("/offers/{item}/{epoch}/accept", post(work::accept))
        .route("/offers/{item}/{epoch}/decline", post(work::decline))
        .route("/assignments/{item}/{epoch}/done", post(work::done))
        .route("/assignments/{item}/{epoch}/wrap-up", post(work::end_wrap_up))
        .route("/calendars", get(config::calendars))
        .route("/curves/{schema}", get(curves::of_schema))
        .route("/config/routing", get(config::routing))
        .route("/events", get(events::follow))
        .route("/dead-letters", get(dead_letters::list))
        .route("/dead-letters/{id}", get(dead_letters::one))
        .route("/dead-letters/{id}/retry", post(dead_letters::retry))
        .route("/dead-letters/{id}/skip", post(dead_letters::skip))
        .route("/capture-points/{capture_point}/pause", post(operate::pause))
        .route("/capture-points/{capture_point}/resume", post(operate::resume))
        .route("/capture-points/{capture_point}/poll", post(operate::poll))
        .route("/capture-points/{capture_point}/tap", get(tap::tap))
        .route("/positions", get(operate::positions))
        .route("/positions/{capture_point}/set", post(operate::set))
        .route("/positions/{capture_point}/reset", post(operate::reset))
        .route("/positions/{capture_point}/rewind", post(operate::rewind))
        .route("/config/reload", post(operate::reload_config))
        .route("/plugins/{plugin}/reload", post(operate::reload))
        .route("/status", get(status::status))
}

/// The hub's reply as an answer: what it refused is a problem.
fn answered(reply: Reply) -> Result<axum::Json<Reply>, Problem> {
    match &reply {
        Reply::Refused(refusal) => Err(refusal.into()),
        _ => Ok(axum::Json(reply)),
    }
}

/// The kind of a message about an item that is there.
fn message_kind(name: &str) -> Result<MessageKind, Problem> {
    let is_about_one =
        |kind: &MessageKind| !matches!(kind, MessageKind::Create | MessageKind::Ignore);
    match MessageKind::parse(name) {
        Some(kind) if is_about_one(&kind) => Ok(kind),
        _ => {
            let kinds = MessageKind::ALL.iter().filter(|(_, kind)| is_about_one(kind));
            let names: Vec<_> = kinds.map(|(name, _)| *name).collect();
            let detail = format!("{name:?} is no message about an item; one of {names:?} is");
            Err(Problem::new(&problem::PARAMETER, detail))
        }
    }
}
