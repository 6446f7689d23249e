//! What a capture point reads: the table or query, checked against the database, and the SQL of one
//! page of its window.

use gantry_plugin_api::Error;
use jiff::Timestamp;
use serde_json::Value;

use crate::capture::Mark;
use crate::client::{Client, Column, integer};
use crate::config::{CaptureSettings, Engine, WatermarkType};
use crate::dialect::MYSQL_MOMENT;
use crate::failure::Task;
use crate::value::{Kind, moment, text};

/// The rows a capture point reads, as SQL.
#[derive(Debug)]
pub(crate) struct Source {
    from: String,
    filter: Option<String>,
    watermark: Field,
    watermark_type: WatermarkType,
    keys: Vec<Field>,
    columns: Vec<Column>,
    engine: Engine,
    /// The setting at fault if the rows cannot be read.
    field: &'static str,
}

/// A column as it is compared, and the type that the server compares it as.
#[derive(Debug)]
struct Field {
    expression: String,
    type_name: String,
}

/// Where a page starts and ends. All bounds hold at once.
#[derive(Debug)]
pub(crate) struct Window<'a> {
    /// At or after this watermark.
    pub(crate) lo: Option<&'a Value>,
    /// Before this watermark.
    pub(crate) until: &'a Value,
    /// At or after this place: where a bounded first load began.
    pub(crate) floor: Option<&'a Mark>,
    /// After this place: the last row of the page before.
    pub(crate) after: Option<&'a Mark>,
}

/// One row, as it comes.
#[derive(Debug)]
pub(crate) struct Captured {
    pub(crate) at: Value,
    pub(crate) key: Vec<Value>,
    /// Whether it lies after the place asked about.
    pub(crate) beyond: bool,
    pub(crate) values: Vec<Value>,
}

/// SQL with its parameters, as both grow.
struct Sql<'a> {
    client: &'a Client,
    binds: Vec<Value>,
}

/// What each row is asked for: whether it lies beyond a place, its columns, and its own place,
/// which mostly stands among the columns.
struct Select {
    terms: Vec<String>,
    n_columns: usize,
    /// Which of the terms are watermark and keys.
    places: Vec<usize>,
}

impl Select {
    fn new(source: &Source, is_beyond: &str, columns: impl Iterator<Item = String>) -> Self {
        let beyond = format!("CASE WHEN {is_beyond} THEN 'y' ELSE 'n' END");
        let mut terms: Vec<_> = std::iter::once(beyond).chain(columns).collect();
        let n_columns = terms.len() - 1;
        let mut places = Vec::new();
        for place in source.places() {
            let known = terms.iter().position(|term| *term == place);
            places.push(known.unwrap_or(terms.len()));
            if known.is_none() {
                terms.push(place);
            }
        }
        Self { terms, n_columns, places }
    }

    /// Takes a row apart.
    fn captured(&self, row: Vec<Value>) -> Result<Captured, Error> {
        let mut places = self.places.iter().map(|at| row.get(*at).cloned().unwrap_or_default());
        let at = places.next().unwrap_or_default();
        let key: Vec<_> = places.collect();
        if key.iter().any(Value::is_null) {
            let at = text(&at);
            let message = format!("a row changed at {at} has no value in a key column");
            return Err(Error::config("key", message));
        }
        let mut values = row.into_iter();
        let beyond = values.next().is_some_and(|flag| flag == "y");
        Ok(Captured { at, key, beyond, values: values.take(self.n_columns).collect() })
    }
}

impl Source {
    /// Asks the database for the columns and checks the settings against them.
    ///
    /// # Errors
    /// Of class `config`, naming what is missing and what is there instead.
    pub(crate) async fn find(client: &Client, settings: &CaptureSettings) -> Result<Self, Error> {
        let (from, field) = match (&settings.table, &settings.query) {
            (Some(table), _) => (client.engine().quoted_path(table), "table"),
            (None, query) => {
                let query = query.as_deref().unwrap_or_default();
                (format!("(\n{}\n)", query.trim().trim_end_matches(';')), "query")
            }
        };
        let from = format!("{from} AS source");
        let named = settings.table.as_deref().unwrap_or("the query");
        let task = Task { what: &format!("read `{named}`"), field };
        let described = client.describe(&format!("SELECT * FROM {from}"), true, task).await;
        let columns = match described {
            Ok(described) => described.columns,
            Err(error) if error.field() == Some("table") => {
                let tables = client.tables(task).await?.join(", ");
                let message = format!("cannot read table `{named}`; there are: {tables}");
                return Err(Error::config(field, message).because(&error));
            }
            Err(error) => return Err(error),
        };
        let column = |name: &str, field: &str| {
            let found = columns.iter().find(|column| column.name == *name);
            found.cloned().ok_or_else(|| {
                let names: Vec<_> = columns.iter().map(|column| column.name.as_str()).collect();
                let names = names.join(", ");
                let message = format!("no column `{name}` in `{named}`; there are: {names}");
                Error::config(field, message)
            })
        };
        let watermark = column(&settings.watermark, "watermark")?;
        let keys = settings.key.iter().map(|name| column(name, "key"));
        let keys = keys.collect::<Result<Vec<_>, _>>()?;
        let wanted = settings.columns.as_ref().map(|names| {
            let columns = names.iter().map(|name| column(name, "columns"));
            columns.collect::<Result<Vec<_>, _>>()
        });
        let source = Self {
            from,
            filter: settings.filter.clone(),
            watermark: Field::of(client.engine(), &watermark),
            watermark_type: settings.watermark_type,
            keys: keys.iter().map(|key| Field::of(client.engine(), key)).collect(),
            columns: wanted.transpose()?.unwrap_or(columns),
            engine: client.engine(),
            field: if settings.filter.is_some() { "where" } else { field },
        };
        source.fit(client, &watermark).await.map(|watermark| Self { watermark, ..source })
    }

    /// The columns of the record.
    pub(crate) fn columns(&self) -> &[Column] {
        &self.columns
    }

    /// Reads one page in the order of (watermark, key); `beyond` is asked of each row.
    pub(crate) async fn page(
        &self,
        client: &Client,
        window: &Window<'_>,
        beyond: Option<&Mark>,
        limit: usize,
    ) -> Result<Vec<Captured>, Error> {
        let mut sql = Sql { client, binds: Vec::new() };
        let is_beyond = match beyond {
            // All of the page comes after that place anyway.
            None => "1 = 1".to_owned(),
            Some(mark) if window.after.is_some_and(|after| after.is_at(mark)) => "1 = 1".to_owned(),
            Some(mark) => sql.compare(self, ">", mark),
        };
        let order = self.order("");
        let outputs = self
            .columns
            .iter()
            .map(|column| self.engine.output(&qualified(self.engine, &column.name), column.kind));
        let select = Select::new(self, &is_beyond, outputs);
        let text = format!(
            "SELECT {} FROM {} WHERE {} ORDER BY {order} LIMIT {limit}",
            select.terms.join(", "),
            self.from,
            self.conditions(&mut sql, window),
        );
        let rows = client.rows(text, &sql.binds, self.task()).await?;
        rows.into_iter().map(|row| select.captured(row)).collect()
    }

    /// Where a first load of the latest `n` rows begins; none if there are fewer.
    pub(crate) async fn floor(
        &self,
        client: &Client,
        window: &Window<'_>,
        n: u64,
    ) -> Result<Option<Mark>, Error> {
        let mut sql = Sql { client, binds: Vec::new() };
        let select = Select::new(self, "1 = 1", std::iter::empty());
        let text = format!(
            "SELECT {} FROM {} WHERE {} ORDER BY {} LIMIT 1 OFFSET {}",
            select.terms.join(", "),
            self.from,
            self.conditions(&mut sql, window),
            self.order(" DESC"),
            n - 1,
        );
        let rows = client.rows(text, &sql.binds, self.task()).await?;
        let row = rows.into_iter().next().map(|row| select.captured(row));
        Ok(row.transpose()?.map(|row| Mark::new(row.at, row.key)))
    }

    /// A moment as the watermark column would hold it. Text is cut to the second where `exact` is
    /// not asked for: whatever fraction rows carry, it sorts before them.
    pub(crate) fn bound(&self, moment: Timestamp, exact: bool) -> Value {
        let form = match (self.watermark_type, self.engine, exact) {
            (WatermarkType::Seconds, _, _) => return moment.as_second().into(),
            (WatermarkType::Millis, _, _) => return moment.as_millisecond().into(),
            (WatermarkType::Timestamp, Engine::Postgres, _) => return moment.to_string().into(),
            (WatermarkType::Timestamp, Engine::Mysql, _) => MYSQL_MOMENT,
            (WatermarkType::Timestamp, Engine::Sqlite, true) => "%Y-%m-%d %H:%M:%S%.3f",
            (WatermarkType::Timestamp, Engine::Sqlite, false) => "%Y-%m-%d %H:%M:%S",
            (WatermarkType::Rfc3339, _, true) => "%Y-%m-%dT%H:%M:%S%.3f",
            (WatermarkType::Rfc3339, _, false) => "%Y-%m-%dT%H:%M:%S",
        };
        moment.strftime(form).to_string().into()
    }

    /// The moment a watermark stands for; none if it is no moment.
    pub(crate) fn moment(&self, at: &Value) -> Option<Timestamp> {
        match self.watermark_type {
            WatermarkType::Seconds => Timestamp::from_second(integer(at)?).ok(),
            WatermarkType::Millis => Timestamp::from_millisecond(integer(at)?).ok(),
            WatermarkType::Timestamp | WatermarkType::Rfc3339 => moment(at.as_str()?),
        }
    }

    /// The watermark as the record's version: a moment in RFC 3339, else as it stands.
    pub(crate) fn version(&self, at: &Value) -> String {
        let is_text = self.watermark_type == WatermarkType::Timestamp;
        let moment = if is_text { self.moment(at) } else { None };
        moment.map_or_else(|| text(at), |moment| moment.to_string())
    }

    /// Holds the declared type of the watermark against the column; gives the field to compare.
    async fn fit(&self, client: &Client, column: &Column) -> Result<Field, Error> {
        let declared = self.watermark_type;
        let name = column.type_name.as_str();
        let fits = self.engine == Engine::Sqlite
            || match declared {
                WatermarkType::Timestamp => name.starts_with("TIMESTAMP") || name == "DATETIME",
                WatermarkType::Rfc3339 => matches!(name, "TEXT" | "VARCHAR" | "CHAR"),
                _ => {
                    let number = column.kind == Kind::Number && !name.starts_with("FLOAT");
                    (number && name != "DOUBLE") || matches!(name, "NUMERIC" | "DECIMAL")
                }
            };
        // SQLite compares values of different types without a word, and would find nothing for
        // ever.
        let at = self.engine.output(&self.watermark.expression, Kind::Plain);
        let condition = format!("{} IS NOT NULL", self.watermark.expression);
        let sample = format!("SELECT {at} FROM {} WHERE {condition} LIMIT 10", self.from);
        let sample = client.rows(sample, &[], self.task()).await?;
        let mut sample = sample.iter().flatten().peekable();
        let first = sample.peek().copied().cloned();
        if !fits || (first.is_some() && !sample.any(|at| self.has_form(at))) {
            let (column, first) = (&column.name, first.unwrap_or_default());
            let message = format!(
                "column `{column}` ({name}) is not {declared:?}: it holds values such as {first}"
            );
            return Err(Error::config("watermark_type", message.to_lowercase()));
        }
        // Text must sort by its bytes, as the bounds do, and not by some language.
        let Field { expression, type_name } = &self.watermark;
        let expression = match declared {
            WatermarkType::Rfc3339 => self.engine.by_bytes(expression),
            _ => expression.clone(),
        };
        Ok(Field { expression, type_name: type_name.clone() })
    }

    fn has_form(&self, at: &Value) -> bool {
        let is_sqlite = self.engine == Engine::Sqlite;
        let separator = match self.watermark_type {
            WatermarkType::Rfc3339 => b'T',
            WatermarkType::Timestamp if is_sqlite => b' ',
            WatermarkType::Timestamp => return true,
            _ => return !is_sqlite || at.is_i64(),
        };
        let separated = |text: &str| text.as_bytes().get(10) == Some(&separator);
        at.as_str().is_some_and(separated) && self.moment(at).is_some()
    }

    /// What tells where a row stands: watermark and keys.
    fn places(&self) -> impl Iterator<Item = String> {
        let fields = std::iter::once(&self.watermark).chain(&self.keys);
        fields.map(|field| self.engine.output(&field.expression, Kind::Plain))
    }

    fn order(&self, direction: &str) -> String {
        let fields = std::iter::once(&self.watermark).chain(&self.keys);
        let terms: Vec<_> = fields.map(|field| field.expression.clone() + direction).collect();
        terms.join(", ")
    }

    fn conditions(&self, sql: &mut Sql<'_>, window: &Window<'_>) -> String {
        let at = &self.watermark.expression;
        let mut all = vec![format!("{at} < {}", sql.bind(&self.watermark, window.until))];
        let lo = window.lo.map(|lo| format!("{at} >= {}", sql.bind(&self.watermark, lo)));
        all.extend(lo);
        all.extend(window.floor.map(|mark| sql.compare(self, ">=", mark)));
        all.extend(window.after.map(|mark| sql.compare(self, ">", mark)));
        all.extend(self.filter.as_ref().map(|filter| format!("(\n{filter}\n)")));
        all.join(" AND ")
    }

    fn task(&self) -> Task<'static> {
        Task { what: "read rows", field: self.field }
    }
}

impl Field {
    fn of(engine: Engine, column: &Column) -> Self {
        let expression = qualified(engine, &column.name);
        Self { expression, type_name: column.type_name.clone() }
    }
}

impl Sql<'_> {
    fn bind(&mut self, field: &Field, value: &Value) -> String {
        self.binds.push(value.clone());
        self.client.engine().placeholder(self.binds.len() - 1, &field.type_name)
    }

    /// Compares a row's place with a mark; one without a key stands before all rows of its
    /// watermark.
    fn compare(&mut self, source: &Source, operator: &str, mark: &Mark) -> String {
        if mark.key.len() != source.keys.len() {
            let at = self.bind(&source.watermark, &mark.at);
            return format!("{} >= {at}", source.watermark.expression);
        }
        // MySQL walks the index for a comparison of rows only from a bound of its own.
        let bound = match source.engine {
            Engine::Mysql => {
                let at = self.bind(&source.watermark, &mark.at);
                format!("{} >= {at} AND ", source.watermark.expression)
            }
            Engine::Sqlite | Engine::Postgres => String::new(),
        };
        let fields: Vec<_> = std::iter::once(&source.watermark).chain(&source.keys).collect();
        let values = std::iter::once(&mark.at).chain(&mark.key);
        let binds: Vec<_> =
            fields.iter().zip(values).map(|(f, value)| self.bind(f, value)).collect();
        let fields: Vec<_> = fields.iter().map(|field| field.expression.as_str()).collect();
        format!("({bound}({}) {operator} ({}))", fields.join(", "), binds.join(", "))
    }
}

// Qualified, so that `ORDER BY` never means the column of the result that has the same name.
fn qualified(engine: Engine, name: &str) -> String {
    format!("source.{}", engine.quoted(name))
}
