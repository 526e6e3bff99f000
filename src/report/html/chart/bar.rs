//! Bars with intervals.

use plotters::prelude::*;

use super::{Axis, Frame, IN_MEMORY, Ink, Mark, claim_line, line, width};
use crate::kit::{Estimate, Figure};

/// What bars stand for: what is below them, what their height is, and which height is claimed.
#[derive(Clone, Copy)]
pub struct Axes<'a> {
    pub x: &'a str,
    pub y: &'a str,
    pub claim: Option<f64>,
}

/// Shares as bars beside each other, each with its name below.
pub fn bars(figure: &Figure, axes: Axes<'_>, bars: &[(String, Estimate)]) -> String {
    let unit = (640 / bars.len().max(1)).clamp(16, 56);
    let names: Vec<String> = bars.iter().map(|(name, _)| name.clone()).collect();
    let frame = Frame {
        plot: (unit * bars.len(), 240),
        right: axes.claim.map_or(0, |_| width("claim 0.00") + 34),
        x: Axis::names(&names, axes.x, unit),
        y: Axis::share(axes.y),
        grid: (false, true),
    };
    frame.draw(figure, |canvas, place, marks| {
        for (i, (name, bar)) in bars.iter().enumerate() {
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
            let top = place(i - 0.45, bar.value.max(high));
            marks.push(Mark::boxed(top, place(i + 0.45, 0.0), name, bar));
        }
        if let Some(claim) = axes.claim {
            let (from, to) = (place(-0.5, claim), place(bars.len() as f64 - 0.5, claim));
            claim_line(canvas, from, to, claim, (to.0 + 8, to.1));
        }
    })
}
