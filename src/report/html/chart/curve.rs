//! Curves over whole numbers, with intervals.

use plotters::prelude::*;
use plotters::style::text_anchor::HPos;

use super::{
    Axis, Canvas, FONT, Frame, IN_MEMORY, Ink, Mark, claim_line, font, interval, line, mark,
    of_axis, width, write,
};
use crate::kit::{Curves, Figure, Series};

/// Shares over places. Points of several series at one place stand beside each other.
pub fn curves(figure: &Figure, drawn: &Curves) -> String {
    let (names, series) = (&drawn.places, &drawn.series);
    let unit = (640 / names.len().max(1)).clamp(16, 72);
    let named = series.iter().map(|s| s.name.as_str());
    let answer = drawn.marked.as_ref().map(|(_, name)| name.as_str());
    let all = named.chain(drawn.claim.map(|_| "claim 0.00")).chain(answer);
    let longest = all.map(width).max().unwrap_or(0);
    let frame = Frame {
        plot: (unit * names.len(), 260),
        right: longest + 48,
        x: Axis::names(names, &drawn.x, unit),
        y: Axis::share(&drawn.y),
        grid: (false, true),
    };
    frame.draw(figure, |canvas, place, marks| {
        // Half of the room of a point is for putting series beside each other.
        let step = (unit as i32 / 2 / series.len().max(1) as i32).clamp(1, 9);
        let (right, top) = place(names.len() as f64 - 0.5, 1.0);
        let legend = |i: usize| (right + 14, top + 8 + 20 * i as i32);
        if let Some((at, name)) = &drawn.marked {
            let x = (at - drawn.first) as f64;
            let style = Ink::Answer.code().stroke_width(2);
            line(canvas, place(x, 0.0), place(x, 1.0), style);
            sample(canvas, legend(series.len() + 1), name);
        }
        for (i, s) in series.iter().enumerate() {
            let beside = step * (2 * i as i32 - series.len() as i32 + 1) / 2;
            let at = |x: usize, value: f64, n: usize| {
                // Points that stand for themselves would hide each other.
                let scatter = if s.joined { 0 } else { (n as i32 % 5 - 2) * 3 };
                let (x, y) = place((x - drawn.first) as f64, value);
                (x + beside + scatter, y)
            };
            if s.joined {
                let path: Vec<_> = s.points.iter().map(|(x, e)| at(*x, e.value, 0)).collect();
                let style = Ink::Line(i).code().stroke_width(2);
                canvas
                    .draw(&PathElement::new(path, style))
                    .expect(IN_MEMORY);
            }
            for (n, (x, estimate)) in s.points.iter().enumerate() {
                let (low, high) = estimate.ends();
                interval(canvas, i, at(*x, low, n), at(*x, high, n));
                mark(canvas, i, at(*x, estimate.value, n));
                let named = names.get(x - drawn.first).map_or("", String::as_str);
                let said = format!("{}, {}", of_axis(&drawn.x, named), s.name);
                marks.push(Mark::round(at(*x, estimate.value, n), &said, estimate));
            }
            entry(canvas, i, s, legend(i));
        }
        if let Some(claim) = drawn.claim {
            let ends = (place(-0.5, claim), place(names.len() as f64 - 0.5, claim));
            let (x, y) = legend(series.len());
            line(
                canvas,
                (x, y),
                (x + 24, y),
                Ink::Claim.code().stroke_width(2),
            );
            claim_line(canvas, ends.0, ends.1, claim, (x + 30, y));
        }
    })
}

/// A line of the legend about a series.
fn entry(canvas: &Canvas, i: usize, s: &Series, (x, y): (i32, i32)) {
    if s.joined {
        let style = Ink::Line(i).code().stroke_width(2);
        line(canvas, (x, y), (x + 24, y), style);
    }
    mark(canvas, i, (x + 12, y));
    let style = font(FONT, Ink::Text.code(), HPos::Left);
    write(canvas, &s.name, (x + 30, y), style);
}

/// The line of the legend about the place that an answer names.
fn sample(canvas: &Canvas, (x, y): (i32, i32), name: &str) {
    let style = Ink::Answer.code().stroke_width(2);
    line(canvas, (x + 12, y - 8), (x + 12, y + 8), style);
    let style = font(FONT, Ink::Text.code(), HPos::Left);
    write(canvas, name, (x + 30, y), style);
}
