//! Figures.

use crate::record::Weight;

/// A picture: its title, what is to be seen for those who do not see it, and what is drawn.
#[derive(Clone, Debug)]
pub struct Figure {
    /// The title.
    pub title: String,
    /// What is to be seen.
    pub described: String,
    /// What is drawn.
    pub drawing: Drawing,
}

/// What is drawn.
#[derive(Clone, Debug)]
pub enum Drawing {
    /// Shares over places, as curves or points.
    Curves(Curves),
    /// Shares as bars beside each other: each with its name; what they are; what their height is.
    Bars {
        /// What the names are.
        x: String,
        /// What the heights are.
        y: String,
        /// The bars, from left to right.
        bars: Vec<(String, Estimate)>,
    },
    /// Differences of shares, from -1 to 1, a row each.
    Differences {
        /// What they are differences of.
        x: String,
        /// The rows; the first is on top.
        rows: Vec<(String, Estimate)>,
    },
    /// Shares as a map.
    Map(Map),
}

/// A value with its interval, where that is known.
#[derive(Clone, Copy, Debug)]
pub struct Estimate {
    /// The value.
    pub value: f64,
    /// The lower end of its interval.
    pub low: Option<f64>,
    /// The upper end of its interval.
    pub high: Option<f64>,
}

/// Shares over places.
#[derive(Clone, Debug)]
pub struct Curves {
    /// What the places are.
    pub x: String,
    /// What the shares are.
    pub y: String,
    /// The names of the places, from left to right.
    pub places: Vec<String>,
    /// The number of the first place.
    pub first: usize,
    /// The curves.
    pub series: Vec<Series>,
}

/// One of the curves.
#[derive(Clone, Debug)]
pub struct Series {
    /// What it is.
    pub name: String,
    /// Shares by the number of their place.
    pub points: Vec<(usize, Estimate)>,
    /// Whether a line goes through the points, or they stand for themselves.
    pub joined: bool,
}

/// A map of shares.
#[derive(Clone, Debug)]
pub struct Map {
    /// What the columns are.
    pub x: String,
    /// The columns' names, from left to right.
    pub columns: Vec<String>,
    /// What the rows are.
    pub y: String,
    /// The rows' names, from below to above.
    pub rows: Vec<String>,
    /// Row by row: the share and its text; `None` where there is none.
    pub cells: Vec<Vec<Option<(f64, String)>>>,
}

impl From<Weight> for Estimate {
    fn from(of: Weight) -> Self {
        Self {
            value: of.mean,
            low: of.low,
            high: of.high,
        }
    }
}

impl Estimate {
    /// The interval, or the value where none is known.
    pub fn ends(&self) -> (f64, f64) {
        let or = |end: Option<f64>| end.unwrap_or(self.value);
        (or(self.low), or(self.high))
    }
}

impl Curves {
    /// Over whole numbers: a place for each from the smallest to the largest.
    pub fn over_numbers(x: &str, y: &str, series: Vec<Series>) -> Self {
        let all = || series.iter().flat_map(|s| s.points.iter().map(|p| p.0));
        let (first, last) = (all().min().unwrap_or(0), all().max().unwrap_or(0));
        Self {
            x: x.to_owned(),
            y: y.to_owned(),
            places: (first..=last).map(|at| at.to_string()).collect(),
            first,
            series,
        }
    }

    /// Over places with these names, which series count from 0.
    pub fn over_places(x: &str, y: &str, places: Vec<String>, series: Vec<Series>) -> Self {
        Self {
            x: x.to_owned(),
            y: y.to_owned(),
            places,
            first: 0,
            series,
        }
    }
}
