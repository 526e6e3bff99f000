//! Small values of all kinds, from numbers that proptest draws.

use std::collections::BTreeSet;

use af1::intervene::Head;
use af1::prompt::{Shape, Step};
use af1::record::{Kind, Outcome, Share, Verdict, Weight};
use af1::stats::Inference;

/// Numbers that proptest draws, and makes smaller where a test fails; zeros behind the last.
pub struct Dice(pub std::vec::IntoIter<u32>);

impl Dice {
    pub fn below(&mut self, end: usize) -> usize {
        self.0.next().unwrap_or(0) as usize % end.max(1)
    }

    pub fn coin(&mut self) -> bool {
        self.below(2) == 1
    }

    pub fn one_of<T: Clone>(&mut self, all: &[T]) -> T {
        all[self.below(all.len())].clone()
    }

    pub fn maybe<T>(&mut self, of: impl FnOnce(&mut Self) -> T) -> Option<T> {
        self.coin().then(|| of(self))
    }

    pub fn several<T>(&mut self, mut of: impl FnMut(&mut Self) -> T) -> Vec<T> {
        (0..self.below(4)).map(|_| of(self)).collect()
    }

    /// A share from 0 to 1, also numbers that no decimal digits end.
    pub fn share(&mut self) -> f64 {
        let drawn = self.below(1 << 20) as f64 / f64::from((1 << 20) - 1);
        self.one_of(&[0.0, 1.0, 0.1 + 0.2, f64::MIN_POSITIVE, drawn, drawn, drawn])
    }

    pub fn float(&mut self) -> f64 {
        let drawn = self.share();
        self.one_of(&[drawn, -drawn * 1e3, 1e308, -0.0, 5e-324, 1.0 / 3.0])
    }

    pub fn integer(&mut self) -> i64 {
        let drawn = self.below(1000) as i64;
        self.one_of(&[drawn, -drawn, i64::MIN, i64::MAX, 1 << 53, (1 << 53) + 1])
    }

    /// A name, which stands on one line.
    pub fn name(&mut self) -> String {
        self.one_of(&[
            "a",
            "",
            "a b",
            "é\u{202e}",
            "\"\\",
            "<b>|*",
            "\u{ffff}\u{2028}",
            "日本",
        ])
        .to_owned()
    }

    /// A text, which may be of several lines.
    pub fn text(&mut self) -> String {
        let more = self.one_of(&["", "\n", "\t\u{0}", "\u{9b}\u{7f}"]);
        self.name() + more
    }

    pub fn outcome(&mut self) -> Outcome {
        self.one_of(&[Outcome::Pass, Outcome::Fail, Outcome::Inconclusive])
    }

    pub fn inference(&mut self) -> Inference {
        self.one_of(&Inference::ALL)
    }

    pub fn kind(&mut self) -> Kind {
        self.one_of(&[
            Kind::AF1,
            Kind::WAITING,
            Kind::HEADS,
            Kind::NECESSITY,
            Kind::new("any"),
        ])
    }

    pub fn step(&mut self) -> Step {
        let at = Step::At(self.below(4));
        self.one_of(&[at, Step::Stop, Step::Whole])
    }

    pub fn layers(&mut self) -> BTreeSet<usize> {
        self.several(|dice| dice.below(8)).into_iter().collect()
    }

    pub fn head(&mut self) -> Head {
        Head {
            layer: self.below(8),
            head: self.below(8),
        }
    }

    pub fn shape(&mut self) -> Shape {
        let operands = 2 + self.below(2);
        Shape {
            operands: (0..operands).map(|_| 1 + self.below(3)).collect(),
            answer: 1 + self.below(3),
        }
    }

    pub fn verdict(&mut self) -> Verdict {
        Verdict {
            outcome: self.outcome(),
            reason: self.text(),
        }
    }

    pub fn weight(&mut self) -> Weight {
        Weight {
            mean: self.float(),
            low: self.maybe(Self::float),
            high: self.maybe(Self::float),
        }
    }

    pub fn shared(&mut self, most: usize) -> Share {
        Share {
            count: self.below(most + 1),
            value: self.maybe(Self::share),
            low: self.share(),
            high: self.share(),
        }
    }
}
