//! Bars with intervals.

use plotters::prelude::*;

use super::{Axis, Frame, IN_MEMORY, Ink, line};
use crate::kit::{Estimate, Figure};

/// Shares as bars beside each other, each with its name below.
pub fn bars(figure: &Figure, x: &str, y: &str, bars: &[(String, Estimate)]) -> String {
    let unit = (640 / bars.len().max(1)).clamp(16, 56);
    let names: Vec<String> = bars.iter().map(|(name, _)| name.clone()).collect();
    let frame = Frame {
        plot: (unit * bars.len(), 240),
        right: 0,
        x: Axis::names(&names, x, unit),
        y: Axis::share(y),
        grid: (false, true),
    };
    frame.draw(figure, |canvas, place| {
        for (i, (_, bar)) in bars.iter().enumerate() {
            let i = i as f64;
            let corners = [place(i - 0.35, bar.value), place(i + 0.35, 0.0)];
            let style = Ink::Mark(0).code().filled();
            canvas
                .draw(&Rectangle::new(corners, style))
                .expect(IN_MEMORY);
            // In the ink of text: in the bar's own its lower half would not be seen.
            let (low, high) = bar.ends();
            let (from, to) = (place(i, low), place(i, high));
            let style = Ink::Text.code().stroke_width(2);
            line(canvas, from, to, style);
            for (x, y) in [from, to] {
                line(canvas, (x - 4, y), (x + 4, y), style);
            }
        }
    })
}
