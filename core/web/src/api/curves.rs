//! Priorities over time: of an item as it is, and of a schema for an item that could be.

use axum::Json;
use axum::extract::State;
use gantry_model::item::PriorityBounds;
use gantry_model::spec::Sla;
use gantry_model::{ItemId, Name, Timestamp};
use serde::Deserialize;

use crate::access::{Caller, Permission};
use crate::app::Shared;
use crate::course::{Course, CourseError, Example, Window, course};
use crate::extract::{FromPath, FromQuery};
use crate::live;
use crate::problem::{self, Problem};

use super::items::read_own;

/// What is shown of an item's course.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WindowQuery {
    from: Option<Timestamp>,
    to: Option<Timestamp>,
    #[serde(default)]
    samples: u32,
}

/// An item that could be, and what is shown of its course.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ExampleQuery {
    /// As in the config: `72h`, `72h business`, `3 workdays`.
    sla: Option<String>,
    /// Where the curve starts; none = now.
    anchor: Option<Timestamp>,
    start: Option<i64>,
    min: Option<i64>,
    max: Option<i64>,
    from: Option<Timestamp>,
    to: Option<Timestamp>,
    #[serde(default)]
    samples: u32,
}

/// `GET /items/{item}/curve`.
pub(super) async fn of_item(
    State(app): State<Shared>,
    caller: Caller,
    FromPath(item): FromPath<ItemId>,
    FromQuery(query): FromQuery<WindowQuery>,
) -> Result<Json<Course>, Problem> {
    let view = read_own(&app, &caller, item).await?;
    // The live one, if it has not ended: the store may be a commit behind or ahead.
    let item = live::item(&app.hub, item).await?.unwrap_or(view.item);
    let WindowQuery { from, to, samples } = query;
    let window = Window { from, to, samples };
    Ok(course(&app.intake.spec().routing, &item, window, app.hub.now()).map(Json)?)
}

/// `GET /curves/{schema}`.
pub(super) async fn of_schema(
    State(app): State<Shared>,
    caller: Caller,
    FromPath(schema): FromPath<Name>,
    FromQuery(query): FromQuery<ExampleQuery>,
) -> Result<Json<Course>, Problem> {
    caller.must(Permission::ReadConfig)?;
    let ExampleQuery { sla, anchor, start, min, max, from, to, samples } = query;
    let sla = sla.map(|text| text.parse::<Sla>()).transpose();
    let sla = sla.map_err(|error| Problem::new(&problem::PARAMETER, format!("sla: {error}")))?;
    let anchor_at = anchor.unwrap_or_else(|| app.hub.now());
    let bounds = PriorityBounds { start, min, max };
    let example = Example { schema, anchor_at, sla, bounds };
    let routing = &app.intake.spec().routing;
    let item = example.item(routing)?;
    Ok(course(routing, &item, Window { from, to, samples }, anchor_at).map(Json)?)
}

impl From<CourseError> for Problem {
    fn from(error: CourseError) -> Self {
        let kind = match &error {
            CourseError::UnknownSchema(_) => &problem::NO_SCHEMA,
            _ => &problem::PARAMETER,
        };
        let mut detail = error.to_string();
        let mut deeper = std::error::Error::source(&error);
        while let Some(source) = deeper {
            detail.push_str(": ");
            detail.push_str(&source.to_string());
            deeper = source.source();
        }
        Self::new(kind, detail)
    }
}
