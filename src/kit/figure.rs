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
        /// The height that is claimed, where one is.
        claim: Option<f64>,
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

/// Which cell of which record a mark shows, and what is said of it where it is pointed at.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Origin {
    /// The number with its counts and its interval.
    pub text: String,
    /// What tells the cell from all others.
    pub key: String,
}

/// A value with its interval, where that is known.
#[derive(Clone, Debug)]
pub struct Estimate {
    /// The value.
    pub value: f64,
    /// The lower end of its interval.
    pub low: Option<f64>,
    /// The upper end of its interval.
    pub high: Option<f64>,
    /// Which cell it is of, where it is of one.
    pub of: Option<Box<Origin>>,
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
    /// The share that is claimed, where one is.
    pub claim: Option<f64>,
    /// The number of the place that an answer names, and the answer.
    pub marked: Option<(usize, String)>,
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
    /// The tiles, row by row; `None` where there is none.
    pub cells: Vec<Vec<Option<Tile>>>,
    /// The tile that an answer names, where there is one.
    pub marked: Option<Marked>,
}

/// A share of a map.
#[derive(Clone, Debug)]
pub struct Tile {
    /// The share.
    pub share: f64,
    /// The text of the share.
    pub text: String,
    /// Which cell it is of, where it is of one.
    pub of: Option<Box<Origin>>,
}

/// The tile of a map that an answer names.
#[derive(Clone, Debug)]
pub struct Marked {
    /// The number of its row, from below.
    pub row: usize,
    /// The number of its column, from the left.
    pub column: usize,
    /// The answer.
    pub name: String,
}

impl Tile {
    /// A share that is of no single cell.
    pub fn of(share: f64, text: String) -> Self {
        Self {
            share,
            text,
            of: None,
        }
    }
}

impl From<Weight> for Estimate {
    fn from(of: Weight) -> Self {
        Self {
            value: of.mean,
            low: of.low,
            high: of.high,
            of: None,
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
    /// Curves over whole numbers: a place for each from the smallest to the largest.
    pub fn over_numbers(x: &str, y: &str, series: Vec<Series>) -> Self {
        let all = || series.iter().flat_map(|s| s.points.iter().map(|p| p.0));
        let (first, last) = (all().min().unwrap_or(0), all().max().unwrap_or(0));
        Self {
            x: x.to_owned(),
            y: y.to_owned(),
            places: (first..=last).map(|at| at.to_string()).collect(),
            first,
            series,
            claim: None,
            marked: None,
        }
    }

    /// Curves over places with these names, which series count from 0.
    pub fn over_places(x: &str, y: &str, places: Vec<String>, series: Vec<Series>) -> Self {
        Self {
            x: x.to_owned(),
            y: y.to_owned(),
            places,
            first: 0,
            series,
            claim: None,
            marked: None,
        }
    }

    /// The same with the share that is claimed.
    #[must_use]
    pub fn with_claim(mut self, claim: f64) -> Self {
        self.claim = Some(claim);
        self
    }

    /// The same with the place that an answer names.
    #[must_use]
    pub fn marking(mut self, marked: Option<(usize, String)>) -> Self {
        self.marked = marked;
        self
    }
}
