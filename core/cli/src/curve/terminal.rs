//! A curve in characters: each has 2 × 4 dots of Braille.

use gantry_model::Timestamp;
use gantry_web::course::Course;

use super::{label, ticks, time_ticks, title};

/// Lines of the picture, without axis.
const HEIGHT: usize = 16;
/// Columns for the values on the left.
const MARGIN: usize = 10;
/// Dots of a character, across and down.
const ACROSS: usize = 2;
const DOWN: usize = 4;
/// Marks on the left, and columns that a mark below needs.
const VALUES: usize = 4;
const TIME_COLUMNS: usize = 16;

/// Braille bits of the dots of a character, by row and column.
/// Source: the Unicode Standard, Braille Patterns, U+2800 and its dot numbering.
const DOTS: [[u32; ACROSS]; DOWN] = [[0x01, 0x08], [0x02, 0x10], [0x04, 0x20], [0x40, 0x80]];
const BLANK: u32 = 0x2800;

const CURVE: &str = "\x1b[36m";
const MARK: &str = "\x1b[33m";
const END: &str = "\x1b[0m";

/// How many evenly spaced instants a picture of so many columns shows: one a column of dots.
pub(super) fn instants(width: usize) -> u32 {
    (width.saturating_sub(MARGIN).max(1) * ACROSS) as u32
}

/// The picture, line by line. The course has to have [`instants`] of this width.
pub(super) fn draw(course: &Course, of_item: bool, width: usize, colours: bool) -> Vec<String> {
    let columns = width.saturating_sub(MARGIN).max(1);
    let samples: Vec<_> = samples(course, columns * ACROSS);
    let values: Vec<f64> = course.points.iter().map(|point| value(&point.exact)).collect();
    let low = values.iter().copied().fold(f64::INFINITY, f64::min);
    let high = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let marks = ticks(low.min(high - 1.0), high, VALUES);
    let (low, high) = (marks[0], marks[marks.len() - 1]);
    let row = |value: f64| {
        let rows = (HEIGHT * DOWN - 1) as f64;
        ((high - value) / (high - low) * rows).round() as usize
    };
    let mut canvas = vec![vec![0u32; columns]; HEIGHT];
    let mut last = None;
    for (column, (at, value)) in samples.iter().enumerate() {
        let now_at = row(*value);
        // A steep curve is joined, so that a jump is a line and not a gap.
        let (top, bottom) =
            (now_at.min(last.unwrap_or(now_at)), now_at.max(last.unwrap_or(now_at)));
        last = Some(now_at);
        let dashed = of_item && *at > course.now && (column / ACROSS) % 2 == 1;
        if !dashed {
            for dot in top..=bottom {
                canvas[dot / DOWN][column / ACROSS] |= DOTS[dot % DOWN][column % ACROSS];
            }
        }
    }
    let place = |at: Timestamp| {
        let (gone, whole) = (at.since(course.from).0, course.to.since(course.from).0);
        let inside = (0..=whole).contains(&gone);
        inside.then(|| ((gone as f64 / whole as f64) * (columns - 1) as f64).round() as usize)
    };
    let due = course.due_at.and_then(place);
    let now = Some(course.now).filter(|_| of_item).and_then(place);
    let mut lines = vec![heading(course)];
    for (number, cells) in canvas.iter().enumerate() {
        let on_row = |mark: &&f64| row(**mark) / DOWN == number;
        let left = marks.iter().find(on_row).map_or(String::new(), |mark| format!("{mark:.0}"));
        let mut line = format!("{left:>width$} ┤", width = MARGIN - 2);
        for (column, dots) in cells.iter().enumerate() {
            line.push_str(&cell(*dots, Some(column) == now, Some(column) == due, colours));
        }
        lines.push(line.trim_end().to_owned());
    }
    lines.push(axis(course, of_item, columns, place));
    lines.push(legend(course, of_item));
    lines
}

/// The values at the evenly spaced instants, one a column of dots.
fn samples(course: &Course, count: usize) -> Vec<(Timestamp, f64)> {
    let whole = i128::from(course.to.since(course.from).0);
    let steps = (count - 1).max(1) as i128;
    let sample = |number: usize| {
        let gone = whole * number as i128 / steps;
        let at = Timestamp(course.from.0 + gone as i64);
        // Of the two points of a jump the later one holds from its instant on.
        let until = course.points.partition_point(|point| point.at <= at);
        let point = course.points.get(until.checked_sub(1)?)?;
        Some((at, value(&point.exact)))
    };
    (0..count).filter_map(sample).collect()
}

/// As near as a picture needs it.
pub(super) fn value(exact: &str) -> f64 {
    exact.parse().unwrap_or_default()
}

fn heading(course: &Course) -> String {
    let boost = match course.boost {
        0 => String::new(),
        points => format!(" · {points:+} by hand or escalation"),
    };
    format!("priority of {}{boost}", title(course))
}

/// One character: the curve before the marks.
fn cell(dots: u32, now: bool, due: bool, colours: bool) -> String {
    let (sign, colour) = match (dots, now, due) {
        (0, true, _) => ('│', MARK),
        (0, false, true) => ('┊', MARK),
        (0, false, false) => return " ".to_owned(),
        (dots, ..) => (char::from_u32(BLANK | dots).unwrap_or('·'), CURVE),
    };
    if colours { format!("{colour}{sign}{END}") } else { sign.to_string() }
}

fn axis(
    course: &Course,
    of_item: bool,
    columns: usize,
    place: impl Fn(Timestamp) -> Option<usize>,
) -> String {
    let zero = if of_item { Timestamp(0) } else { course.anchor_at };
    let mut line = format!("{:>width$}", "", width = MARGIN);
    let mut free_from = 0;
    for at in time_ticks(course.from, course.to, zero, (columns / TIME_COLUMNS).max(1) as i64) {
        let text = format!("╵{}", label(at, course, of_item));
        let length = text.chars().count();
        if let Some(column) = place(at).filter(|at| *at >= free_from && at + length <= columns) {
            line.push_str(&" ".repeat(column - free_from));
            line.push_str(&text);
            free_from = column + length;
            if free_from < columns {
                line.push(' ');
                free_from += 1;
            }
        }
    }
    line.trim_end().to_owned()
}

fn legend(course: &Course, of_item: bool) -> String {
    let mut parts = Vec::new();
    if of_item {
        parts.push(format!("│ now {}", minute(course.now)));
    }
    parts.extend(course.due_at.map(|due| {
        let due = if of_item { minute(due) } else { label(due, course, false) };
        format!("┊ due {due}")
    }));
    if parts.is_empty() {
        parts.push("no due date: give --sla to draw one".to_owned());
    }
    format!("{:>width$}{}", "", parts.join("   "), width = MARGIN)
}

/// An instant to the minute: `2027-03-02 09:14`.
fn minute(at: Timestamp) -> String {
    at.to_string().chars().take(16).collect::<String>().replace('T', " ")
}
