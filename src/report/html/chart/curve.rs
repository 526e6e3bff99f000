//! Curves over whole numbers, with intervals.

use plotters::prelude::*;
use plotters::style::text_anchor::HPos;

use super::{Axis, FONT, Frame, IN_MEMORY, Ink, font, interval, line, mark, width, write};
use crate::kit::{Curves, Figure};

/// Shares over places. Points of several series at one place stand beside each other.
pub fn curves(figure: &Figure, drawn: &Curves) -> String {
    let (names, series) = (&drawn.places, &drawn.series);
    let unit = (640 / names.len().max(1)).clamp(16, 72);
    let longest = series.iter().map(|s| width(&s.name)).max().unwrap_or(0);
    let frame = Frame {
        plot: (unit * names.len(), 260),
        right: longest + 48,
        x: Axis::names(names, &drawn.x, unit),
        y: Axis::share(&drawn.y),
        grid: (false, true),
    };
    frame.draw(figure, |canvas, place| {
        // Half of the room of a point is for putting series beside each other.
        let step = (unit as i32 / 2 / series.len().max(1) as i32).clamp(1, 9);
        let (right, top) = place(names.len() as f64 - 0.5, 1.0);
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
