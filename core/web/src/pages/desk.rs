//! An agent's desk: presence, offers, assigned work.

use askama::Template;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Redirect, Response};

use super::{Frame, page};
use crate::access::{Caller, Permission};
use crate::api::agents::desk_view;
use crate::app::Shared;
use crate::problem::Problem;
use crate::view::Desk;

/// The desk.
#[derive(Template)]
#[template(path = "desk.html")]
struct DeskPage<'a> {
    frame: Frame,
    desk: &'a Desk,
}

/// `GET /desk`: one's own; whoever has none is sent to the list.
pub(super) async fn desk(
    State(app): State<Shared>,
    caller: Caller,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    caller.must(Permission::ReadDesk)?;
    let Some(agent) = caller.agent() else {
        return Ok(Redirect::to("/items").into_response());
    };
    let desk = desk_view(&app, agent).await?;
    page(&headers, &desk, DeskPage { frame: Frame::new(&caller, "/desk"), desk: &desk })
}
