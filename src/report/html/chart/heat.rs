//! Maps of shares: a coloured cell each, with its number where there is room.

use plotters::prelude::*;
use plotters::style::text_anchor::HPos;

use super::{
    Axis, Canvas, FONT, Frame, IN_MEMORY, Ink, Mark, Place, font, line, of_axis, width, write,
};
use crate::kit::{Figure, Map, Marked};

/// A map of shares, with its scale beside it.
pub fn heat(figure: &Figure, map: &Map) -> String {
    let texts = map.cells.iter().flatten().flatten();
    let longest = texts.map(|tile| width(&tile.text)).max().unwrap_or(0);
    // Large maps are small-celled, without numbers.
    let room = 1100 / map.columns.len().max(1);
    let numbers = room >= longest + 4 && map.rows.len() <= 60;
    let names = map
        .columns
        .iter()
        .map(|name| width(name))
        .max()
        .unwrap_or(0);
    let (unit, height) = match numbers {
        true => ((longest + 10).max(names + 10).min(room).max(30), 26),
        false => (room.clamp(9, 26), 18),
    };
    let frame = Frame {
        plot: (unit * map.columns.len(), height * map.rows.len()),
        right: 70,
        x: Axis::names(&map.columns, &map.x, unit),
        // Every name: rows are as high as their names.
        y: Axis::names(&map.rows, &map.y, usize::MAX),
        grid: (false, false),
    };
    frame.draw(figure, |canvas, place, marks| {
        let fill = |from: (i32, i32), to: (i32, i32), share: f64| {
            let cell = Rectangle::new([from, to], color(share).filled());
            canvas.draw(&cell).expect(IN_MEMORY);
        };
        for (row, cells) in map.cells.iter().enumerate() {
            for (column, cell) in cells.iter().enumerate() {
                let Some(tile) = cell else {
                    continue;
                };
                let (x, y) = (column as f64, row as f64);
                let (from, to) = (place(x - 0.5, y + 0.5), place(x + 0.5, y - 0.5));
                fill(from, to, tile.share);
                if numbers {
                    let middle = ((from.0 + to.0) / 2, (from.1 + to.1) / 2);
                    let style = font(FONT - 1, readable(color(tile.share)), HPos::Center);
                    write(canvas, &tile.text, middle, style);
                }
                marks.push(Mark::tile(from, to, &name_of(map, row, column), tile));
            }
        }
        if let Some(marked) = &map.marked {
            outline(canvas, marked, place);
        }
        let (right, top) = place(map.columns.len() as f64 - 0.5, map.rows.len() as f64 - 0.5);
        let bottom = place(0.0, -0.5).1;
        let (left, bottom) = (right + 16, bottom.max(top + 60));
        let steps = 20;
        for step in 0..steps {
            let at = |step: i32| bottom + (top - bottom) * step / steps;
            let share = (f64::from(step) + 0.5) / f64::from(steps);
            fill((left, at(step + 1)), (left + 14, at(step)), share);
        }
        for share in [0, 1] {
            let y = bottom + (top - bottom) * share;
            // Inside the ends, or the names would be cut off.
            let y = if share == 0 { y - 6 } else { y + 6 };
            let style = font(FONT, Ink::Text.code(), HPos::Left);
            write(canvas, &share.to_string(), (left + 20, y), style);
        }
    })
}

/// What a tile is about.
fn name_of(map: &Map, row: usize, column: usize) -> String {
    let name = |names: &[String], i: usize| names.get(i).cloned().unwrap_or_default();
    format!(
        "{}, {}",
        of_axis(&map.x, &name(&map.columns, column)),
        of_axis(&map.y, &name(&map.rows, row))
    )
}

/// A frame around the tile that an answer names, seen on dark tiles and on bright ones.
fn outline(canvas: &Canvas, marked: &Marked, place: Place<'_>) {
    let (x, y) = (marked.column as f64, marked.row as f64);
    let (from, to) = (place(x - 0.5, y + 0.5), place(x + 0.5, y - 0.5));
    for (inside, color, stroke) in [(1, BLACK, 4), (1, WHITE, 2)] {
        let (left, top) = (from.0 + inside, from.1 + inside);
        let (right, bottom) = (to.0 - inside, to.1 - inside);
        let corners = [(left, top), (right, top), (right, bottom), (left, bottom)];
        for (i, &corner) in corners.iter().enumerate() {
            let style = color.stroke_width(stroke);
            line(canvas, corner, corners[(i + 1) % 4], style);
        }
    }
}

/// Viridis: equal steps look equal, in grey and with any colour blindness, too.
fn color(share: f64) -> RGBColor {
    ViridisRGB::get_color(share.clamp(0.0, 1.0))
}

/// Black or white, whichever stands out more.
fn readable(RGBColor(r, g, b): RGBColor) -> RGBColor {
    let linear = |c: u8| (f64::from(c) / 255.0).powf(2.2);
    let luminance = 0.2126 * linear(r) + 0.7152 * linear(g) + 0.0722 * linear(b);
    // Where both have the same contrast, (1 + .05) / (x + .05) = (x + .05) / .05.
    if luminance > 0.179 { BLACK } else { WHITE }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_scale_goes_from_dark_to_bright() {
        let bright = |share: f64| {
            let RGBColor(r, g, b) = color(share);
            u32::from(r) + 2 * u32::from(g) + u32::from(b)
        };
        assert!((0..10).all(|i| bright(f64::from(i) / 10.0) < bright(f64::from(i + 1) / 10.0)));
        assert_eq!((readable(color(0.0)), readable(color(1.0))), (WHITE, BLACK));
    }
}
