//! Figures as SVG for a page: curves, maps, bars, differences. Nothing here knows records.
//!
//! `plotters` draws and writes the SVG; text stays text. It knows fixed colours only, so that what shall follow the page
//! is drawn in a colour that stands for it ([`Ink`]) and gets the page's afterwards.

mod bar;
mod curve;
mod forest;
mod heat;
mod values;

use std::ops::Range;

use plotters::coord::Shift;
use plotters::coord::ranged1d::{KeyPointHint, NoDefaultFormatting, Ranged, ValueFormatter};
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use crate::kit::{Drawing, Figure};

use values::Mark;

/// A figure as SVG, and over it what its marks say where they are pointed at.
pub fn draw(figure: &Figure) -> String {
    match &figure.drawing {
        Drawing::Curves(drawn) => curve::curves(figure, drawn),
        Drawing::Bars { x, y, bars, claim } => {
            let claim = *claim;
            bar::bars(figure, bar::Axes { x, y, claim }, bars)
        }
        Drawing::Differences { x, rows } => forest::forest(figure, x, rows),
        Drawing::Map(map) => heat::heat(figure, map),
    }
}

/// An axis: from where to where, what stands at it, and what it is.
#[derive(Clone, Debug)]
pub struct Axis {
    pub range: Range<f64>,
    pub ticks: Vec<(f64, String)>,
    pub title: String,
}

impl Axis {
    /// An axis of shares, from 0 to 1, a tick every fifth.
    pub fn share(title: &str) -> Self {
        let ticks = [0.0, 0.2, 0.4, 0.6, 0.8, 1.0];
        Self {
            // A little more, or the marks at 0 and 1 are cut.
            range: -0.03..1.03,
            ticks: ticks.map(|at| (at, format!("{at:.1}"))).into(),
            title: title.to_owned(),
        }
    }

    /// Names beside each other, each a unit wide and centred at 0, 1, ...; where so many pixels a unit are too few, only
    /// every second, third, ... name stands there.
    fn names(names: &[String], title: &str, pixels: usize) -> Self {
        let longest = names.iter().map(|name| width(name)).max().unwrap_or(0);
        let every = (longest + 6).div_ceil(pixels.max(1)).max(1);
        let ticks = names.iter().enumerate().step_by(every);
        Self {
            range: -0.5..names.len() as f64 - 0.5,
            ticks: ticks.map(|(i, name)| (i as f64, name.clone())).collect(),
            title: title.to_owned(),
        }
    }
}

impl Ranged for Axis {
    type FormatOption = NoDefaultFormatting;
    type ValueType = f64;

    fn map(&self, value: &f64, (from, to): (i32, i32)) -> i32 {
        let share = (value - self.range.start) / (self.range.end - self.range.start);
        // A record may have any number; what is far outside is not seen, and pixels are counted.
        let share = share.clamp(-4.0, 5.0);
        from + (f64::from(to - from) * share).round() as i32
    }

    fn key_points<Hint: KeyPointHint>(&self, hint: Hint) -> Vec<f64> {
        // Ticks are few: there are no lighter ones between them.
        if hint.weight().allow_light_points() {
            return Vec::new();
        }
        self.ticks.iter().map(|(at, _)| *at).collect()
    }

    fn range(&self) -> Range<f64> {
        self.range.clone()
    }
}

impl ValueFormatter<f64> for Axis {
    fn format_ext(&self, value: &f64) -> String {
        let found = self.ticks.iter().find(|(at, _)| at == value);
        found.map_or(String::new(), |(_, name)| name.clone())
    }
}

/// Colours that the page decides. What is drawn in them has the code of the ink for a colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ink {
    /// Text and axes.
    Text,
    /// Lines that only guide the eye.
    Grid,
    /// The marks of a series.
    Mark(usize),
    /// The line of a series, with its dashes.
    Line(usize),
    /// The share that is claimed.
    Claim,
    /// The place that an answer names.
    Answer,
}

/// So many series have a colour of their own; then they begin anew, with another mark and other dashes.
const COLOURS: usize = 7;

/// So many series can be told apart.
const SERIES: usize = 2 * COLOURS;

/// The dashes of the lines, by series. Lines that cannot be told apart by colour differ in these.
const DASHES: [&str; COLOURS] = ["none", "7 3", "2 2", "9 3 2 3", "4 4", "1 3", "12 3"];

impl Ink {
    fn all() -> impl Iterator<Item = Self> {
        let series = (0..SERIES).flat_map(|i| [Self::Mark(i), Self::Line(i)]);
        let others = [Self::Text, Self::Grid, Self::Claim, Self::Answer];
        others.into_iter().chain(series)
    }

    /// The colour that stands for it; no map of colours has it.
    fn code(self) -> RGBColor {
        match self {
            Self::Text => RGBColor(1, 1, 1),
            Self::Grid => RGBColor(2, 2, 2),
            Self::Mark(series) => RGBColor(3, (series % SERIES) as u8, 3),
            Self::Line(series) => RGBColor(4, (series % SERIES) as u8, 4),
            Self::Claim => RGBColor(5, 5, 5),
            Self::Answer => RGBColor(6, 6, 6),
        }
    }

    /// The attribute's value in the page.
    fn css(self) -> String {
        match self {
            Self::Text => "currentColor\"".to_owned(),
            Self::Grid => "var(--grid, #ccc)\"".to_owned(),
            Self::Claim => "var(--claim, #a33c00)\" stroke-dasharray=\"6 4\"".to_owned(),
            Self::Answer => "var(--quiet, #555)\" stroke-dasharray=\"2 3\"".to_owned(),
            Self::Mark(series) => format!("var(--series-{}, #555)\"", series % COLOURS),
            Self::Line(series) => format!(
                "var(--series-{}, #555)\" stroke-dasharray=\"{}\"",
                series % COLOURS,
                DASHES[(series + series / COLOURS * 3) % COLOURS]
            ),
        }
    }
}

/// Where pictures are drawn: pixels.
type Canvas<'a> = DrawingArea<SVGBackend<'a>, Shift>;

/// Where a point of the plot is on the canvas.
type Place<'a> = &'a dyn Fn(f64, f64) -> (i32, i32);

/// What cannot fail: an SVG is a text in memory.
const IN_MEMORY: &str = "a text in memory takes what is drawn";

const FONT: i32 = 15;

/// About so many pixels a text is wide. Nobody knows the reader's font: this is for a wide one.
fn width(text: &str) -> usize {
    text.chars().count() * 7
}

/// Text of so many pixels in an ink or colour.
fn font(size: i32, color: RGBColor, horizontal: HPos) -> TextStyle<'static> {
    let mut style = TextStyle::from(("sans-serif", size).into_font());
    style.color = color.to_backend_color();
    style.pos(Pos::new(horizontal, VPos::Center))
}

/// A frame for marks: its size, its axes, and which of them have grid lines.
struct Frame {
    /// The size of the plot, without what stands around it.
    plot: (usize, usize),
    /// The width beside the plot, for a legend.
    right: usize,
    x: Axis,
    y: Axis,
    grid: (bool, bool),
}

impl Frame {
    /// Draws the axes, then what `draw` draws: it gets the canvas, where a point of the plot is on it, and the list of the marks that
    /// can be pointed at.
    fn draw(
        self,
        figure: &Figure,
        draw: impl FnOnce(&Canvas, Place<'_>, &mut Vec<Mark>),
    ) -> String {
        let longest = self.y.ticks.iter().map(|(_, name)| width(name)).max();
        let title = if self.y.title.is_empty() { 0 } else { 24 };
        let (left, bottom, margin) = (longest.unwrap_or(0) + title + 12, 48, 10);
        let (plot_width, plot_height) = self.plot;
        let plot_width = plot_width.max(width(&self.x.title));
        // The title of the y axis stands upright, beside the middle of the plot.
        let plot_height = plot_height.max(width(&self.y.title));
        let size = (
            (left + plot_width + self.right + 2 * margin) as u32,
            (plot_height + bottom + 2 * margin) as u32,
        );
        let (mut svg, mut marks) = (String::new(), Vec::new());
        {
            let canvas = SVGBackend::with_string(&mut svg, size).into_drawing_area();
            let mut builder = ChartBuilder::on(&canvas);
            builder
                .margin(margin as i32)
                .margin_right((margin + self.right) as i32)
                .x_label_area_size(bottom as i32)
                .y_label_area_size(left as i32);
            let mut chart = builder
                .build_cartesian_2d(self.x.clone(), self.y.clone())
                .expect(IN_MEMORY);
            let text = font(FONT, Ink::Text.code(), HPos::Center);
            let mut mesh = chart.configure_mesh();
            mesh.axis_style(Ink::Text.code())
                .bold_line_style(Ink::Grid.code())
                .label_style(text.clone())
                .axis_desc_style(text);
            // An empty text would still be one.
            if !self.x.title.is_empty() {
                mesh.x_desc(&self.x.title);
            }
            if !self.y.title.is_empty() {
                mesh.y_desc(&self.y.title);
            }
            if !self.grid.0 {
                mesh.disable_x_mesh();
            }
            if !self.grid.1 {
                mesh.disable_y_mesh();
            }
            mesh.draw().expect(IN_MEMORY);
            let place = |x: f64, y: f64| chart.backend_coord(&(x, y));
            draw(&canvas, &place, &mut marks);
            canvas.present().expect(IN_MEMORY);
        }
        themed(&svg, size, figure) + &values::over(&marks, size)
    }
}

/// The SVG with the page's colours, and with a name and a description for those who do not see it.
fn themed(svg: &str, (width, height): (u32, u32), figure: &Figure) -> String {
    // What plotters writes first says the size and a name space, which a page does not need.
    let body = svg.find('>').map_or("", |end| &svg[end + 1..]);
    let body = Ink::all().fold(body.to_owned(), |body, ink| {
        let RGBColor(r, g, b) = ink.code();
        body.replace(
            &format!("\"#{r:02X}{g:02X}{b:02X}\""),
            &format!("\"{}", ink.css()),
        )
    });
    let name = maud::html! {
        title { (figure.title) }
        desc { (figure.described) }
    };
    let label = maud::html! { (figure.title) }.into_string();
    format!(
        "<svg role=\"img\" aria-label=\"{label}\" width=\"{width}\" height=\"{height}\" viewBox=\"0 0 {width} {height}\">{}{body}",
        name.into_string()
    )
}

/// What stands at an axis, with the letter of a title like `W: layers that wait`.
fn of_axis(title: &str, name: &str) -> String {
    match title.split_once([':', ',']) {
        Some((letter, _)) if letter.len() == 1 => format!("{letter} = {name}"),
        _ => name.to_owned(),
    }
}

/// The line of the share that is claimed, and its name.
fn claim_line(canvas: &Canvas, from: (i32, i32), to: (i32, i32), claim: f64, name_at: (i32, i32)) {
    line(canvas, from, to, Ink::Claim.code().stroke_width(2));
    let style = font(FONT, Ink::Text.code(), HPos::Left);
    write(canvas, &format!("claim {claim}"), name_at, style);
}

/// A straight line.
fn line(canvas: &Canvas, from: (i32, i32), to: (i32, i32), style: impl Into<ShapeStyle>) {
    let line = PathElement::new([from, to], style);
    canvas.draw(&line).expect(IN_MEMORY);
}

/// Text whose middle of the left side, centre or right side is here.
fn write(canvas: &Canvas, text: &str, at: (i32, i32), style: TextStyle<'static>) {
    let text = Text::new(text.to_owned(), at, style);
    canvas.draw(&text).expect(IN_MEMORY);
}

/// The mark of a series: another shape for each, so that they can be told apart without colours.
fn mark(canvas: &Canvas, series: usize, (x, y): (i32, i32)) {
    let style = Ink::Mark(series).code().filled();
    let corners: &[(i32, i32)] = match series % 8 {
        0 => {
            return canvas
                .draw(&Circle::new((x, y), 4, style))
                .expect(IN_MEMORY);
        }
        1 => &[(-4, -4), (4, -4), (4, 4), (-4, 4)],
        2 => &[(0, -5), (5, 4), (-5, 4)],
        3 => &[(0, -6), (6, 0), (0, 6), (-6, 0)],
        4 => &[(0, 5), (5, -4), (-5, -4)],
        5 => &[(-6, -2), (6, -2), (6, 2), (-6, 2)],
        6 => &[(-2, -6), (2, -6), (2, 6), (-2, 6)],
        _ => &[(-5, -5), (5, -5), (-5, 5), (5, 5)],
    };
    let corners: Vec<_> = corners.iter().map(|(dx, dy)| (x + dx, y + dy)).collect();
    canvas.draw(&Polygon::new(corners, style)).expect(IN_MEMORY);
}

/// An interval: a line between its ends, with caps.
fn interval(canvas: &Canvas, series: usize, from: (i32, i32), to: (i32, i32)) {
    let style = Ink::Mark(series).code().stroke_width(1);
    line(canvas, from, to, style);
    let upright = from.0 == to.0;
    for (x, y) in [from, to] {
        match upright {
            true => line(canvas, (x - 3, y), (x + 3, y), style),
            false => line(canvas, (x, y - 3), (x, y + 3), style),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_far_outside_have_a_place() {
        let axis = Axis::share("share");
        for value in [f64::MAX, -1e308, 1e12, f64::INFINITY, f64::NAN] {
            // Pixels may still be added to it.
            assert!(axis.map(&value, (300, 20)).abs() < 10_000, "{value}");
        }
        assert_eq!(axis.map(&0.5, (300, 20)), 160);
    }
}
