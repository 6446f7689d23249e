//! User tasks: they stay in the engine's task list, so they are polled by time: first those that
//! are new or changed, in the order of their creation, then those that have ended, in the order of
//! their end.
//!
//! The engine's timestamps are those of the writing transaction, so each walk looks again at what
//! happened `overlap` before the one before it began, by the engine's clock. The position says
//! where a walk stands, so a restart goes on in its middle, also between two tasks of the same
//! millisecond. What the hub has settled and has not changed since is skipped from memory; after a
//! restart it is given again, and the hub knows it.

use bytes::Bytes;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use gantry_plugin_api::{Batch, Context, Error, HumanMoment, MessageKind, Position, Record};
use gantry_plugin_http::escape;
use gantry_plugin_sweep::before;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::Camunda;
use crate::config::UserTasks;
use crate::external::{N_AT_ONCE, text};
use crate::variables::{dates, plain};

/// Pages read in one poll, so that it ends even if all tasks are known.
const N_PAGES_MAX: usize = 16;
/// The smallest page, in tasks: most of an overlap is known.
const N_PAGE_MIN: usize = 100;
const MILLISECOND: SignedDuration = SignedDuration::from_millis(1);

/// How an operator writes a position.
const EXAMPLE: &str = "{\"at\": \"2026-01-31T12:00:00Z\"}, a moment in UTC";

/// The position. An operator can write `{"at": "2026-01-31T12:00:00Z"}`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Mark {
    /// All that happened before is captured, but for what is committed late.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    at: Option<Timestamp>,
    /// A walk that is not at its end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    walk: Option<Walk>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Walk {
    /// When it began, by the engine's clock.
    began_at: Timestamp,
    /// Whether it has come to the tasks that have ended.
    ended: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    after: Option<Place>,
}

/// Right after this task, which is the `n`th of its millisecond.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Place {
    at: Timestamp,
    n: u32,
    id: String,
}

/// A task as it was listed.
struct Row {
    id: String,
    ended: bool,
    changed_at: Timestamp,
    /// By which the list is sorted.
    sorted_by: Timestamp,
    task: Map<String, Value>,
}

impl Camunda {
    /// Asks for one task as a poll would.
    pub(crate) async fn check_user(&self, settings: &UserTasks) -> Result<(), Error> {
        let epoch = Some(Timestamp::UNIX_EPOCH);
        self.page(settings, epoch, None, 1).await?;
        let walk = Walk { began_at: Timestamp::UNIX_EPOCH, ended: true, after: None };
        if settings.ended {
            self.page(settings, epoch, Some(&walk), 1).await?;
        }
        Ok(())
    }

    pub(crate) async fn poll_user(
        &self,
        settings: &UserTasks,
        cx: &Context,
        from: Option<&Position>,
        limit: usize,
    ) -> Result<Batch, Error> {
        self.sweeps.resume(cx.name(), from);
        let mark = from.map(|from| from.parse::<Mark>(EXAMPLE)).transpose()?.unwrap_or_default();
        let since = mark.at.map(|at| before(at, settings.overlap.get()));
        let mut walk = mark.walk.clone();
        let mut records = Vec::new();
        for _ in 0..N_PAGES_MAX {
            let wanted = limit - records.len();
            let size = wanted.max(N_PAGE_MIN);
            let (rows, now) = self.page(settings, since, walk.as_ref(), size).await?;
            let at_end = rows.len() < size;
            let begin = || Walk { began_at: now, ended: false, after: None };
            let walked = walk.get_or_insert_with(begin);
            let (fresh, passed_all) = self.pass(cx.name(), rows, walked, wanted);
            records.extend(self.records(fresh).await?);
            if passed_all && at_end {
                if walked.ended || !settings.ended {
                    return self.end_walk(settings, cx, &mark, walked.began_at, records);
                }
                (walked.ended, walked.after) = (true, None);
            }
            if records.len() >= limit {
                break;
            }
        }
        let position_after = Some(Position::of(&Mark { at: mark.at, walk })?);
        Ok(self.sweeps.pause(cx.name(), Some(()), position_after, records))
    }

    fn end_walk(
        &self,
        settings: &UserTasks,
        cx: &Context,
        from: &Mark,
        began_at: Timestamp,
        records: Vec<Record>,
    ) -> Result<Batch, Error> {
        let overlap = settings.overlap.get();
        let horizon = before(began_at, overlap);
        // A position costs a commit, so it stays where it is until the window gets too long.
        let is_near = from.at.is_some_and(|at| at >= horizon);
        if is_near && from.walk.is_none() && records.is_empty() {
            return Ok(Batch::default());
        }
        let position_after = Some(Position::of(&Mark { at: Some(began_at), walk: None })?);
        Ok(self.sweeps.pause(cx.name(), None, position_after, records))
    }

    /// Walks over listed tasks until so many are fresh; tells whether it passed all of them.
    fn pass(
        &self,
        name: &str,
        rows: Vec<Row>,
        walk: &mut Walk,
        wanted: usize,
    ) -> (Vec<(Row, Bytes)>, bool) {
        let mut fresh = Vec::new();
        for row in rows {
            if fresh.len() >= wanted {
                return (fresh, false);
            }
            let same = walk.after.as_ref().filter(|place| place.at == row.sorted_by);
            let n = same.map_or(0, |place| place.n) + 1;
            walk.after = Some(Place { at: row.sorted_by, n, id: row.id.clone() });
            let token = self.sweeps.fresh(name, (&row.id, row.ended), row.changed_at);
            fresh.extend(token.map(|token| (row, token)));
        }
        (fresh, true)
    }

    /// The next tasks of a walk, and the engine's time.
    async fn page(
        &self,
        settings: &UserTasks,
        since: Option<Timestamp>,
        walk: Option<&Walk>,
        size: usize,
    ) -> Result<(Vec<Row>, Timestamp), Error> {
        let ended = walk.is_some_and(|walk| walk.ended);
        let place = walk.and_then(|walk| walk.after.as_ref());
        let skipped = place.map_or(0, |place| place.n.saturating_sub(1));
        // The last task that was read is asked for again, to see that it is where it was.
        let n_asked = size + usize::from(place.is_some_and(|place| place.n > 0));
        let mut first = skipped;
        loop {
            let list = if ended { "history/task" } else { "task" };
            let list = format!("{list}?firstResult={first}&maxResults={n_asked}");
            let body = if ended {
                self.ended_query(settings, since, place)
            } else {
                self.open_query(settings, since, place)
            };
            let (tasks, date_ms): (Vec<Map<String, Value>>, _) =
                self.engine.query(&list, &body).await?;
            let now = date_ms.and_then(|ms| Timestamp::from_millisecond(ms).ok());
            let now = now.ok_or_else(|| Error::permanent("the engine does not tell the time"))?;
            let rows = tasks.into_iter().map(|task| self.row(task, ended));
            let mut rows = rows.collect::<Result<Vec<_>, _>>()?;
            match place.filter(|place| place.n > 0) {
                None => return Ok((rows, now)),
                Some(place) if rows.first().is_some_and(|row| row.id == place.id) => {
                    rows.remove(0);
                    return Ok((rows, now));
                }
                // Tasks of that millisecond have come or gone: all of them are given again.
                Some(_) if first == 0 => {
                    rows.truncate(size);
                    return Ok((rows, now));
                }
                Some(_) => first = 0,
            }
        }
    }

    fn row(&self, task: Map<String, Value>, ended: bool) -> Result<Row, Error> {
        let date = |key: &str| {
            let date = task.get(key).and_then(Value::as_str);
            date.map(|date| self.engine.instant(date)).transpose()
        };
        let (changed_at, sorted_by) = if ended {
            let at = date("endTime")?;
            (at, at)
        } else {
            let created = date("created")?;
            (date("lastUpdated")?.or(created), created)
        };
        let (Some(changed_at), Some(sorted_by)) = (changed_at, sorted_by) else {
            return Err(Error::permanent("the engine lists a task without its time"));
        };
        Ok(Row { id: text(&task, "id"), ended, changed_at, sorted_by, task })
    }

    fn open_query(
        &self,
        settings: &UserTasks,
        since: Option<Timestamp>,
        place: Option<&Place>,
    ) -> Value {
        let mut query = json!({ "active": true, "sorting": sorting("created", "id") });
        let from = settings.from.map(HumanMoment::get);
        // The engine takes what is later than the moment, we mean that or later.
        let mut created_after = place.map(|place| place.at).max(from);
        match since {
            Some(since) if settings.updates => {
                query["updatedAfter"] = self.engine.date(since - MILLISECOND).into();
            }
            since => created_after = created_after.max(since),
        }
        if let Some(after) = created_after {
            query["createdAfter"] = self.engine.date(after - MILLISECOND).into();
        }
        if !settings.assigned_too {
            query["unassigned"] = true.into();
        }
        for (key, list) in [
            ("candidateGroups", &settings.candidate_groups),
            ("processDefinitionKeyIn", &settings.process_definitions),
            ("taskDefinitionKeyIn", &settings.task_definitions),
            ("tenantIdIn", &settings.tenants),
        ] {
            if !list.is_empty() {
                query[key] = json!(list);
            }
        }
        if !settings.process_variables.is_empty() {
            query["processVariables"] = json!(settings.process_variables);
        }
        query
    }

    fn ended_query(
        &self,
        settings: &UserTasks,
        since: Option<Timestamp>,
        place: Option<&Place>,
    ) -> Value {
        let mut query = json!({ "finished": true, "sorting": sorting("endTime", "taskId") });
        let from = settings.from.map(HumanMoment::get);
        if let Some(after) = place.map(|place| place.at).max(since).max(from) {
            query["finishedAfter"] = self.engine.date(after).into();
        }
        if let [key] = &settings.process_definitions[..] {
            query["processDefinitionKey"] = json!(key);
        }
        for (key, list) in
            [("taskDefinitionKeyIn", &settings.task_definitions), ("tenantIdIn", &settings.tenants)]
        {
            if !list.is_empty() {
                query[key] = json!(list);
            }
        }
        query
    }

    /// The records of tasks; open ones get their variables, and those that have gone meanwhile are
    /// left out.
    async fn records(&self, rows: Vec<(Row, Bytes)>) -> Result<Vec<Record>, Error> {
        let record = |(row, token)| self.user_record(row, token);
        let records = stream::iter(rows).map(record).buffered(N_AT_ONCE);
        let records: Vec<_> = records.try_collect().await?;
        Ok(records.into_iter().flatten().collect())
    }

    async fn user_record(&self, row: Row, token: Bytes) -> Result<Option<Record>, Error> {
        let Row { id, ended, changed_at, mut task, .. } = row;
        let names = ["created", "lastUpdated", "due", "followUp", "startTime", "endTime"];
        dates(&self.engine, &mut task, &names)?;
        let mut variables = Value::Object(Map::new());
        if !ended {
            let path = format!("task/{}/variables?deserializeValues=false", escape(&id));
            match self.engine.get::<Map<String, Value>>(&path).await {
                Ok(found) => variables = plain(&self.engine, &found)?,
                Err(error) if self.engine.is_gone(&id, &error).await? => return Ok(None),
                Err(error) => return Err(error),
            }
        }
        task.insert("variables".to_owned(), variables);
        let is_complete = task.get("deleteReason").is_some_and(|reason| reason == "completed");
        let mut record = Record::json(Value::Object(task).to_string());
        record.occurred_at_ms = Some(changed_at.as_millisecond());
        let end = if is_complete { MessageKind::Complete } else { MessageKind::Cancel };
        record.message = ended.then_some(end);
        let end = if ended { "end " } else { "" };
        record.message_id = Some(format!("{id}@{end}{changed_at}"));
        record.ack_token = Some(token);
        Ok(Some(record))
    }
}

fn sorting(by: &str, then_by: &str) -> Value {
    json!([{ "sortBy": by, "sortOrder": "asc" }, { "sortBy": then_by, "sortOrder": "asc" }])
}
