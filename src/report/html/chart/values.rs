//! What the marks of a picture say where they are pointed at: boxes that are not seen, over the picture.

use maud::{Markup, html};

use crate::kit::words::number::{interval, signed};
use crate::kit::{Estimate, Origin, Tile};

/// A mark that can be pointed at.
pub struct Mark {
    /// The upper left corner, in pixels.
    at: (i32, i32),
    /// The width and the height.
    size: (i32, i32),
    /// What it says.
    text: String,
    /// What tells the cell from all others that it shows; `None` where it shows none.
    key: Option<String>,
}

/// Half of the width of what is pointed at around a point.
const REACH: i32 = 8;

impl Mark {
    /// The mark around a point.
    pub fn round((x, y): (i32, i32), name: &str, of: &Estimate) -> Self {
        let (from, to) = ((x - REACH, y - REACH), (x + REACH, y + REACH));
        Self::boxed(from, to, name, of)
    }

    /// The mark of a bar.
    pub fn boxed(from: (i32, i32), to: (i32, i32), name: &str, of: &Estimate) -> Self {
        let value = interval(|x| format!("{x:.2}"), of.value, of.low, of.high);
        Self::new(from, to, name, &value, of.of.as_deref())
    }

    /// The mark around the point of a difference.
    pub fn difference((x, y): (i32, i32), name: &str, of: &Estimate) -> Self {
        let (from, to) = ((x - REACH, y - REACH), (x + REACH, y + REACH));
        let value = interval(signed, of.value, of.low, of.high);
        Self::new(from, to, name, &value, of.of.as_deref())
    }

    /// The mark of a tile of a map.
    pub fn tile(from: (i32, i32), to: (i32, i32), name: &str, tile: &Tile) -> Self {
        Self::new(from, to, name, &tile.text, tile.of.as_deref())
    }

    fn new(from: (i32, i32), to: (i32, i32), name: &str, value: &str, of: Option<&Origin>) -> Self {
        let value = of.map_or(value, |of| &of.text);
        Self {
            at: from,
            size: ((to.0 - from.0).max(1), (to.1 - from.1).max(1)),
            text: format!("{name}: {value}"),
            key: of.map(|of| of.key.clone()),
        }
    }

    fn markup(&self) -> Markup {
        html! {
            rect role="img" x=(self.at.0) y=(self.at.1) width=(self.size.0) height=(self.size.1) data-key=[&self.key] {
                title { (self.text) }
            }
        }
    }
}

/// The boxes of all marks, as large as the picture of that size.
pub fn over(marks: &[Mark], (width, height): (u32, u32)) -> String {
    let markup = html! {
        svg.values role="group" aria-label="Values" width=(width) height=(height) viewBox={ "0 0 " (width) " " (height) } {
            @for mark in marks { (mark.markup()) }
        }
    };
    match marks.is_empty() {
        true => String::new(),
        false => markup.into_string(),
    }
}
