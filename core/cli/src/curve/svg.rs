//! A curve as an SVG picture: axes, the lines of now and the due date, past solid, future dashed.

use std::fmt::Write as _;

use gantry_model::Timestamp;
use gantry_web::course::{Course, Point};

use super::terminal::value;
use super::{label, ticks, time_ticks, title};

/// Size of the picture, and of what is around the curve, in pixels.
const WIDTH: f64 = 960.0;
const HEIGHT: f64 = 420.0;
const LEFT: f64 = 72.0;
const RIGHT: f64 = 24.0;
const TOP: f64 = 44.0;
const BOTTOM: f64 = 48.0;
/// Marks on the axes.
const VALUES: usize = 6;
const TIMES: i64 = 8;

/// Where things stand in the picture.
struct Scale<'a> {
    course: &'a Course,
    low: f64,
    high: f64,
}

impl Scale<'_> {
    fn x(&self, at: Timestamp) -> f64 {
        let Course { from, to, .. } = self.course;
        let share = at.since(*from).0 as f64 / to.since(*from).0 as f64;
        LEFT + share * (WIDTH - LEFT - RIGHT)
    }

    fn y(&self, value: f64) -> f64 {
        TOP + (self.high - value) / (self.high - self.low) * (HEIGHT - TOP - BOTTOM)
    }

    fn shows(&self, at: Timestamp) -> bool {
        (self.course.from..=self.course.to).contains(&at)
    }
}

/// The whole file.
pub(super) fn draw(course: &Course, of_item: bool) -> String {
    let values: Vec<f64> = course.points.iter().map(|point| value(&point.exact)).collect();
    let low = values.iter().copied().fold(f64::INFINITY, f64::min);
    let high = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let marks = ticks(low.min(high - 1.0), high, VALUES);
    let scale = Scale { course, low: marks[0], high: marks[marks.len() - 1] };
    let mut svg = String::new();
    let name = escaped(&title(course));
    let _ = writeln!(
        svg,
        r#"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img">
<title>Priority of {name}</title>
<style>
text {{ font: 13px system-ui, sans-serif; fill: #333 }}
.head {{ font-size: 16px; font-weight: 600 }}
.grid {{ stroke: #ddd }} .axis {{ stroke: #666 }}
.past, .future {{ fill: none; stroke: #0b6bcb; stroke-width: 2 }}
.future {{ stroke-dasharray: 6 5 }}
.now {{ stroke: #c2410c }} .due {{ stroke: #b91c1c; stroke-dasharray: 2 3 }}
</style>
<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>
<text class="head" x="{LEFT}" y="24">Priority of {name}</text>"#
    );
    grid(&scale, &marks, of_item, &mut svg);
    curve(&scale, of_item, &mut svg);
    if of_item {
        upright(&scale, course.now, "now", &mut svg);
    }
    if let Some(due) = course.due_at {
        upright(&scale, due, "due", &mut svg);
    }
    svg.push_str("</svg>\n");
    svg
}

fn grid(scale: &Scale<'_>, marks: &[f64], of_item: bool, svg: &mut String) {
    let (right, bottom) = (WIDTH - RIGHT, HEIGHT - BOTTOM);
    for mark in marks {
        let y = scale.y(*mark);
        let _ = writeln!(
            svg,
            r#"<line class="grid" x1="{LEFT}" y1="{y:.1}" x2="{right}" y2="{y:.1}"/>
<text x="{:.1}" y="{:.1}" text-anchor="end">{mark:.0}</text>"#,
            LEFT - 8.0,
            y + 4.0
        );
    }
    let course = scale.course;
    let zero = if of_item { Timestamp(0) } else { course.anchor_at };
    for at in time_ticks(course.from, course.to, zero, TIMES) {
        let x = scale.x(at);
        let text = label(at, course, of_item);
        let _ = writeln!(
            svg,
            r#"<line class="axis" x1="{x:.1}" y1="{bottom}" x2="{x:.1}" y2="{:.1}"/>
<text x="{x:.1}" y="{:.1}" text-anchor="middle">{text}</text>"#,
            bottom + 5.0,
            bottom + 22.0
        );
    }
    let _ = writeln!(svg, r#"<path class="axis" fill="none" d="M{LEFT} {TOP}V{bottom}H{right}"/>"#);
}

/// The curve, cut in two at now if it is an item's.
fn curve(scale: &Scale<'_>, of_item: bool, svg: &mut String) {
    let now = scale.course.now;
    let passed = |point: &&Point| !of_item || point.at <= now;
    let points = &scale.course.points;
    let past: Vec<&Point> = points.iter().take_while(passed).collect();
    // The future begins where the past ends, so that the line has no gap.
    let begun = past.len().saturating_sub(1);
    let future: Vec<&Point> = points.iter().skip(begun).collect();
    let _ = writeln!(svg, r#"<polyline class="past" points="{}"/>"#, line(scale, &past));
    if of_item && future.len() > 1 {
        let _ = writeln!(svg, r#"<polyline class="future" points="{}"/>"#, line(scale, &future));
    }
}

fn line(scale: &Scale<'_>, points: &[&Point]) -> String {
    let mut text = String::new();
    for point in points {
        let (x, y) = (scale.x(point.at), scale.y(value(&point.exact)));
        let _ = write!(text, "{x:.2},{y:.2} ");
    }
    text.trim_end().to_owned()
}

fn upright(scale: &Scale<'_>, at: Timestamp, name: &str, svg: &mut String) {
    if !scale.shows(at) {
        return;
    }
    let (x, bottom) = (scale.x(at), HEIGHT - BOTTOM);
    let _ = writeln!(
        svg,
        r#"<line class="{name}" x1="{x:.1}" y1="{TOP}" x2="{x:.1}" y2="{bottom}"/>
<text x="{x:.1}" y="{:.1}" text-anchor="middle">{name}</text>"#,
        TOP - 6.0
    );
}

/// Text that cannot break out of its element.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
