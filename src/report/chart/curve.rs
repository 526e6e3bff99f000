//! Curves over whole numbers, with intervals.

use plotters::prelude::*;
use plotters::style::text_anchor::HPos;

use super::{
    Axis, Estimate, FONT, Frame, IN_MEMORY, Ink, font, interval, line, mark, width, write,
};

/// One of the curves.
#[derive(Clone, Debug)]
pub struct Series {
    pub name: String,
    pub points: Vec<(usize, Estimate)>,
    /// Whether a line goes through the points, or they stand for themselves.
    pub joined: bool,
}

/// Shares over whole numbers. Points of several series at one place stand beside each other.
pub fn curves(what: &str, described: &str, x: &str, y: &str, series: &[Series]) -> String {
    let all = || series.iter().flat_map(|s| s.points.iter().map(|p| p.0));
    let (first, last) = (all().min().unwrap_or(0), all().max().unwrap_or(0));
    let names: Vec<String> = (first..=last).map(|at| at.to_string()).collect();
    drawn(&names, first, what, described, (x, y), series)
}

/// Shares over places with these names, which series count from 0.
pub fn curves_over(
    names: &[String],
    what: &str,
    described: &str,
    axes: (&str, &str),
    series: &[Series],
) -> String {
    drawn(names, 0, what, described, axes, series)
}

fn drawn(
    names: &[String],
    first: usize,
    what: &str,
    described: &str,
    (x, y): (&str, &str),
    series: &[Series],
) -> String {
    let unit = (640 / names.len().max(1)).clamp(16, 72);
    let longest = series.iter().map(|s| width(&s.name)).max().unwrap_or(0);
    let frame = Frame {
        plot: (unit * names.len(), 260),
        right: longest + 48,
        x: Axis::names(names, x, unit),
        y: Axis::share(y),
        grid: (false, true),
    };
    frame.draw(what, described, |canvas, place| {
        // Half of the room of a point is for putting series beside each other.
        let step = (unit as i32 / 2 / series.len().max(1) as i32).clamp(1, 9);
        let (right, top) = place(names.len() as f64 - 0.5, 1.0);
        for (i, s) in series.iter().enumerate() {
            let beside = step * (2 * i as i32 - series.len() as i32 + 1) / 2;
            let at = |x: usize, value: f64, n: usize| {
                // Points that stand for themselves would hide each other.
                let scatter = if s.joined { 0 } else { (n as i32 % 5 - 2) * 3 };
                let (x, y) = place((x - first) as f64, value);
                (x + beside + scatter, y)
            };
            if s.joined {
                let path: Vec<_> = s.points.iter().map(|(x, e)| at(*x, e.value, 0)).collect();
                let style = Ink::Line(i).code().stroke_width(2);
                canvas
                    .draw(&PathElement::new(path, style))
                    .expect(IN_MEMORY);
            }
            for (n, &(x, estimate)) in s.points.iter().enumerate() {
                let (low, high) = estimate.ends();
                interval(canvas, i, at(x, low, n), at(x, high, n));
                mark(canvas, i, at(x, estimate.value, n));
            }
            let (x, y) = (right + 14, top + 8 + 20 * i as i32);
            if s.joined {
                line(
                    canvas,
                    (x, y),
                    (x + 24, y),
                    Ink::Line(i).code().stroke_width(2),
                );
            }
            mark(canvas, i, (x + 12, y));
            write(
                canvas,
                &s.name,
                (x + 30, y),
                font(FONT, Ink::Text.code(), HPos::Left),
            );
        }
    })
}
