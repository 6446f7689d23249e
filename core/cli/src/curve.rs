//! `gantry curve`: the priority of an item, or of a schema, over time: as a picture in the
//! terminal, as SVG, or as exact numbers.

mod svg;
mod terminal;
#[cfg(test)]
mod tests;

use std::io::IsTerminal as _;
use std::path::PathBuf;
use std::{env, fs};

use anyhow::{Context, Result, bail};
use clap::Args;
use gantry_config::{load_rules, render_human};
use gantry_model::item::PriorityBounds;
use gantry_model::spec::Sla;
use gantry_model::{ItemId, Millis, Name, Timestamp};
use gantry_web::course::{Course, Example, Window, course};
use serde_json::json;

use crate::client::{self, segment};
use crate::{Global, item, table};

/// Columns where the terminal does not say how wide it is.
const WIDTH: usize = 100;
/// Narrower than that nothing can be read.
const WIDTH_MIN: usize = 40;
const WIDTH_MAX: usize = 500;
/// Evenly spaced instants of an SVG.
const SVG_SAMPLES: u32 = 200;

#[derive(Args)]
#[command(after_help = "Example:\n  gantry curve gold --sla 72h\n  \
    gantry curve gold --sla 72h --csv\n  gantry curve leads/L-0001 --svg curve.svg\n  \
    gantry curve W00004T4 --to 2027-03-02T18:00:00Z\n\n\
    A schema is read from the config, an item is asked of the running hub. Of an item, what has \
    passed is drawn solid, what will come dashed; the past is what the curve gives as it is now.")]
pub(crate) struct Options {
    /// A priority schema of the config; or an item, by the hub's id or as
    /// CAPTURE_POINT/EXTERNAL_ID.
    what: String,
    /// Schema: how long an item may take, as in the config: `72h`, `3 workdays`.
    #[arg(long)]
    sla: Option<Sla>,
    /// Schema: where the curve starts; now, if not given.
    #[arg(long)]
    anchor: Option<Timestamp>,
    /// Schema: what its expression for the value at the start would say.
    #[arg(long, allow_negative_numbers = true)]
    start: Option<i64>,
    /// Schema: what its expression for the minimum would say.
    #[arg(long, allow_negative_numbers = true)]
    min: Option<i64>,
    /// Schema: what its expression for the maximum would say.
    #[arg(long, allow_negative_numbers = true)]
    max: Option<i64>,
    /// Begin of what is shown: a timestamp, or a time after the start as in `8h`.
    #[arg(long)]
    from: Option<Instant>,
    /// End of what is shown: a timestamp, or a time after the start.
    #[arg(long)]
    to: Option<Instant>,
    /// Columns of the picture.
    #[arg(long)]
    width: Option<usize>,
    /// Write an SVG file.
    #[arg(long, conflicts_with = "csv")]
    svg: Option<PathBuf>,
    /// Print exact values: every change of course, and `--samples` evenly spaced instants.
    #[arg(long)]
    csv: bool,
    /// With --csv or --json: how many evenly spaced instants beside the changes.
    #[arg(long, default_value_t = 0)]
    samples: u32,
}

/// A point in time, as people name it on a curve.
#[derive(Clone, Copy, Debug)]
enum Instant {
    At(Timestamp),
    After(Millis),
}

impl std::str::FromStr for Instant {
    type Err = gantry_model::time::ParseTimeError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.parse() {
            Ok(span) => Ok(Self::After(span)),
            Err(_) => text.parse().map(Self::At),
        }
    }
}

impl Instant {
    fn since(self, anchor: Timestamp) -> Timestamp {
        match self {
            Self::At(at) => at,
            Self::After(span) => anchor.plus(span),
        }
    }
}

pub(crate) async fn curve(global: &Global, options: Options) -> Result<()> {
    let width = width(options.width)?;
    let samples = if options.svg.is_some() {
        SVG_SAMPLES
    } else if options.csv || global.json {
        options.samples
    } else {
        terminal::instants(width)
    };
    let of_item = options.what.contains('/') || options.what.parse::<ItemId>().is_ok();
    let course = if of_item {
        ask(global, &options, samples).await?
    } else {
        compute(global, &options, samples)?
    };
    if course.cut {
        eprintln!("gantry: it changes its course too often to tell all; narrow --from and --to");
    }
    if global.json {
        table::json(&json!(course));
    } else if let Some(path) = &options.svg {
        fs::write(path, svg::draw(&course, of_item))
            .with_context(|| format!("writing {}", path.display()))?;
        say!("{} shows {}", path.display(), title(&course));
    } else if options.csv {
        say!("at,exact,priority,kind");
        for point in &course.points {
            say!("{},{},{},{}", point.at, point.exact, point.priority, point.kind);
        }
    } else {
        let colours = std::io::stdout().is_terminal() && env::var_os("NO_COLOR").is_none();
        for line in terminal::draw(&course, of_item, width, colours) {
            say!("{line}");
        }
    }
    Ok(())
}

/// The course of an item, from the hub.
async fn ask(global: &Global, options: &Options, samples: u32) -> Result<Course> {
    let Options { sla, anchor, start, min, max, .. } = options;
    if sla.is_some() || anchor.is_some() || start.is_some() || min.is_some() || max.is_some() {
        bail!("--sla, --anchor, --start, --min and --max go with a schema; an item has its own");
    }
    let hub = client::must_find(global)?;
    let found = hub.get(&item::address(&options.what)).await?;
    let id = found["item"].as_str().context("the hub sent no item")?;
    let anchor: Timestamp = serde_json::from_value(found["state"]["anchor_at"].clone())
        .context("the hub sent no start of the curve")?;
    let mut path = format!("/items/{id}/curve?samples={samples}");
    for (name, instant) in [("from", options.from), ("to", options.to)] {
        if let Some(instant) = instant {
            let at = segment(&instant.since(anchor).to_string());
            path = format!("{path}&{name}={at}");
        }
    }
    serde_json::from_value(hub.get(&path).await?).context("reading the hub's answer")
}

/// The course of a schema, from the config alone.
fn compute(global: &Global, options: &Options, samples: u32) -> Result<Course> {
    let checked = load_rules(&global.config);
    let Some(spec) = checked.spec else {
        eprint!("{}", render_human(&checked.findings, &checked.sources));
        bail!("{} has errors", global.config.display());
    };
    let now = gantry_server::wall_clock();
    let anchor_at = options.anchor.unwrap_or(now);
    let Options { sla, start, min, max, .. } = *options;
    let bounds = PriorityBounds { start, min, max };
    let example = Example { schema: Name::new(&options.what), anchor_at, sla, bounds };
    let item = example.item(&spec.routing)?;
    let ends = |instant: Option<Instant>| instant.map(|instant| instant.since(anchor_at));
    let window = Window { from: ends(options.from), to: ends(options.to), samples };
    Ok(course(&spec.routing, &item, window, anchor_at)?)
}

/// What is drawn, in words.
fn title(course: &Course) -> String {
    let schema = course.schema.as_ref().map_or("a constant priority", |schema| schema.as_str());
    match course.item {
        Some(item) => format!("{item} · {schema}"),
        None => schema.to_owned(),
    }
}

/// The columns to draw in: as asked, else as the terminal says.
fn width(asked: Option<usize>) -> Result<usize> {
    let columns = || env::var("COLUMNS").ok().and_then(|columns| columns.parse().ok());
    let width = asked.or_else(columns).unwrap_or(WIDTH);
    match asked {
        Some(asked) if !(WIDTH_MIN..=WIDTH_MAX).contains(&asked) => {
            bail!("--width is {asked}; it has to be from {WIDTH_MIN} to {WIDTH_MAX}")
        }
        _ => Ok(width.clamp(WIDTH_MIN, WIDTH_MAX)),
    }
}

/// Values for the marks of an axis: round numbers, some `count` of them, over the whole range.
fn ticks(low: f64, high: f64, count: usize) -> Vec<f64> {
    let rough = ((high - low) / count as f64).max(f64::MIN_POSITIVE);
    let power = 10f64.powf(rough.log10().floor());
    let step = [1.0, 2.0, 5.0, 10.0].into_iter().map(|by| by * power).find(|step| *step >= rough);
    let step = step.unwrap_or(power * 10.0).max(1.0);
    let (first, last) = ((low / step).floor() as i64, (high / step).ceil() as i64);
    (first..=last).map(|number| number as f64 * step).collect()
}

/// Instants for the marks of the time axis, some `count` of them, at round times after `zero`.
fn time_ticks(from: Timestamp, to: Timestamp, zero: Timestamp, count: i64) -> Vec<Timestamp> {
    const STEPS: [i64; 17] = [
        1_000,
        5_000,
        15_000,
        60_000,
        300_000,
        900_000,
        1_800_000,
        3_600_000,
        7_200_000,
        14_400_000,
        21_600_000,
        43_200_000,
        86_400_000,
        172_800_000,
        604_800_000,
        1_209_600_000,
        2_592_000_000,
    ];
    let rough = (to.since(from).0 / count.max(1)).max(1);
    let last = STEPS[STEPS.len() - 1];
    let long = last * (rough / last + 1);
    let step = STEPS.into_iter().find(|step| *step >= rough).unwrap_or(long);
    let first = (from.since(zero).0).div_euclid(step);
    (first..=first + 2 * count + 2)
        .map(|number| zero.plus(Millis(number * step)))
        .filter(|at| (from..=to).contains(at))
        .collect()
}

/// A time on the axis: of an item the date and time of day (UTC), of a schema the time since its
/// start.
fn label(at: Timestamp, course: &Course, of_item: bool) -> String {
    if !of_item {
        return at.since(course.anchor_at).to_string();
    }
    let text = at.to_string();
    let (date, time) = (text.get(5..10).unwrap_or_default(), text.get(11..16).unwrap_or_default());
    if course.to.since(course.from) > Millis::from_secs(4 * 24 * 3600) {
        date.to_owned()
    } else {
        format!("{date} {time}")
    }
}
