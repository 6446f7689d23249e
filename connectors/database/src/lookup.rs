//! Look-ups: a `SELECT` with the item's attributes as parameters; its row is the answer.

use futures_util::{StreamExt, stream};
use gantry_plugin_api::{Answer, Context, Error, Json, Lookup, Query};
use serde_json::{Map, Value};

use crate::Database;
use crate::client::Column;
use crate::config::{LookupSettings, OnMany};
use crate::failure::Task;
use crate::statement::Statement;
use crate::value::named;

const TASK: Task<'_> = Task { what: "run the look-up's query", field: "query" };

/// A query ready to run.
struct Prepared {
    names: Vec<String>,
    sql: String,
    columns: Vec<Column>,
}

impl Lookup for Database {
    type Settings = LookupSettings;

    async fn check_settings(&self, settings: &LookupSettings, cx: &Context) -> Result<(), Error> {
        let prepared = self.prepare(settings).await?;
        let nothing = Query::new(Json::default());
        self.ask(&prepared, OnMany::First, cx, &nothing).await?;
        Ok(())
    }

    async fn lookup(
        &self,
        settings: &LookupSettings,
        cx: &Context,
        queries: Vec<Query>,
    ) -> Result<Vec<Result<Option<Answer>, Error>>, Error> {
        let prepared = self.prepare(settings).await?;
        let ask = |query: Query| {
            let prepared = &prepared;
            async move { self.ask(prepared, settings.on_many, cx, &query).await }
        };
        let answers = stream::iter(queries).map(ask);
        Ok(answers.buffered(self.client.n_connections()).collect().await)
    }
}

impl Database {
    /// Wraps the query: no other statement fits inside, and two rows are enough to know of many.
    async fn prepare(&self, settings: &LookupSettings) -> Result<Prepared, Error> {
        let engine = self.client.engine();
        let statement = Statement::parse(&settings.query);
        let (sql, columns) = self.client.resolve(&statement, TASK).await?;
        let output = |column: &Column| {
            let name = format!("answer.{}", engine.quoted(&column.name));
            engine.output(&name, column.kind)
        };
        let outputs: Vec<_> = columns.iter().map(output).collect();
        let outputs = outputs.join(", ");
        Ok(Prepared {
            names: statement.names(engine),
            sql: engine.first_two(&outputs, &sql),
            columns,
        })
    }

    async fn ask(
        &self,
        prepared: &Prepared,
        on_many: OnMany,
        cx: &Context,
        query: &Query,
    ) -> Result<Option<Answer>, Error> {
        let attributes: Map<String, Value> = query.attributes.parse()?;
        let value = |name: &String| attributes.get(name).cloned().unwrap_or_default();
        let bind = |name| self.client.engine().parameter(value(name));
        let binds: Vec<_> = prepared.names.iter().map(bind).collect();
        let rows = self.client.rows(prepared.sql.clone(), &binds, TASK).await?;
        if rows.len() > 1 {
            if on_many == OnMany::Fail {
                let message = "look-up found several rows; make its query tell them apart";
                return Err(Error::permanent(message));
            }
            tracing::warn!(look_up = cx.name(), "several rows found, the first is taken");
        }
        let Some(row) = rows.into_iter().next() else {
            return Ok(None);
        };
        let answer = named(&prepared.columns, row).map(|(name, value)| (name.clone(), value));
        let answer = Json::of(&answer.collect::<Map<_, _>>())?;
        Ok(Some(Answer::new(answer)))
    }
}
