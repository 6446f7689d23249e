//! The list of work items, and one item with its history and the reasons behind it.

use std::fmt::Write as _;

use askama::Template;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use gantry_model::ItemId;
use serde::Serialize;

use super::describe::{Line, decision_text, standing_text};
use super::{Frame, page};
use crate::access::{Caller, Permission};
use crate::api::alerts::{AlertView, raised};
use crate::api::items::{
    Explain, ExplainQuery, ListQuery, dossier, explain_view, history_view, list_view,
};
use crate::app::Shared;
use crate::extract::{FromPath, FromQuery};
use crate::problem::Problem;
use crate::view::{Dossier, History, List, STATUSES};

/// The list.
#[derive(Template)]
#[template(path = "items.html")]
struct ItemsPage<'a> {
    frame: Frame,
    list: &'a List,
    /// The alerts that are raised, for whoever looks after queues.
    alerts: Vec<AlertView>,
    query: &'a ListQuery,
    statuses: &'static [(&'static str, &'static str)],
    /// `true` if the list does not show all there is.
    filtered: bool,
    /// Address of the next page.
    next: Option<String>,
}

/// One item.
#[derive(Template)]
#[template(path = "item.html")]
struct ItemPage<'a> {
    frame: Frame,
    item: &'a Dossier,
    /// Latest first.
    lines: Vec<Line>,
    why: Vec<String>,
}

/// One item with everything about it.
#[derive(Serialize)]
struct ItemView {
    #[serde(flatten)]
    dossier: Dossier,
    history: History,
    explain: Explain,
}

/// `GET /items`.
pub(super) async fn list(
    State(app): State<Shared>,
    caller: Caller,
    FromQuery(query): FromQuery<ListQuery>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let list = list_view(&app, &caller, &query).await?;
    let next = list.next.map(|after| next_page(&query, after));
    let frame = Frame::new(&caller, "/items");
    let filtered = query.after.is_some() || filters(&query).any(|(_, value)| !value.is_empty());
    let alerts = match caller.must(Permission::ReadQueue) {
        Ok(()) => raised(&app).await?,
        Err(_) => Vec::new(),
    };
    let (list, query, statuses) = (&list, &query, STATUSES);
    let template = ItemsPage { frame, list, alerts, query, statuses, filtered, next };
    page(&headers, list, template)
}

/// The same query, one page on.
fn next_page(query: &ListQuery, after: ItemId) -> String {
    let mut address = format!("/items?after={after}");
    for (name, value) in filters(query).filter(|(_, value)| !value.is_empty()) {
        address.push('&');
        address.push_str(name);
        address.push('=');
        percent_encode(value, &mut address);
    }
    address
}

fn filters(query: &ListQuery) -> impl Iterator<Item = (&'static str, &String)> {
    let filters = [
        ("status", &query.status),
        ("process", &query.process),
        ("department", &query.department),
        ("capture_point", &query.capture_point),
        ("agent", &query.agent),
        ("text", &query.text),
    ];
    filters.into_iter()
}

/// Everything but letters, digits and `-._~` as `%XX` (RFC 3986, section 2.3).
fn percent_encode(text: &str, into: &mut String) {
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            into.push(char::from(byte));
        } else {
            let _ = write!(into, "%{byte:02X}");
        }
    }
}

/// `GET /items/{item}`.
pub(super) async fn one(
    State(app): State<Shared>,
    caller: Caller,
    FromPath(item): FromPath<ItemId>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let dossier = dossier(&app, &caller, item).await?;
    let history = history_view(&app, &caller, item).await?;
    let explain = explain_view(&app, &caller, &history, &ExplainQuery::default()).await?;
    let mut lines: Vec<_> = history.entries.iter().map(Line::new).collect();
    lines.reverse();
    let mut why: Vec<_> = explain.now.iter().flat_map(standing_text).collect();
    why.extend(explain.decisions.last().into_iter().flat_map(decision_text));
    let view = ItemView { dossier, history, explain };
    let template =
        ItemPage { frame: Frame::new(&caller, "/items"), item: &view.dossier, lines, why };
    page(&headers, &view, template)
}
