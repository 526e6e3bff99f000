//! Differences with intervals, a row each.

use plotters::prelude::*;

use super::{Axis, Frame, Ink, Mark, interval, line, mark};
use crate::kit::{Estimate, Figure};

/// Differences of shares, from -1 to 1, a row each; the first is on top. A line stands where there is none.
pub fn forest(figure: &Figure, x: &str, rows: &[(String, Estimate)]) -> String {
    let ticks = [-1.0, -0.5, 0.0, 0.5, 1.0];
    let ticks = ticks.map(|at| {
        let text = match at {
            0.0 => "0".to_owned(),
            at => format!("{at:+.1}"),
        };
        (at, text)
    });
    let upward: Vec<String> = rows.iter().rev().map(|(name, _)| name.clone()).collect();
    let frame = Frame {
        plot: (420, 24 * rows.len().max(1)),
        right: 0,
        x: Axis {
            range: -1.05..1.05,
            ticks: ticks.into(),
            title: x.to_owned(),
        },
        // Every name: they stand above each other.
        y: Axis::names(&upward, "", usize::MAX),
        grid: (true, false),
    };
    frame.draw(figure, |canvas, place, marks| {
        let (top, bottom) = (rows.len() as f64 - 0.5, -0.5);
        let style = Ink::Text.code().stroke_width(1);
        line(canvas, place(0.0, bottom), place(0.0, top), style);
        for (i, (name, row)) in rows.iter().rev().enumerate() {
            let y = i as f64;
            let (low, high) = row.ends();
            interval(canvas, 0, place(low, y), place(high, y));
            mark(canvas, 0, place(row.value, y));
            marks.push(Mark::difference(place(row.value, y), name, row));
        }
    })
}
