//! Parts of a sweep, for several machines.

use std::str::FromStr;

/// A part of a sweep.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shard {
    /// From 0 on.
    pub index: usize,
    /// How many there are.
    pub count: usize,
}

impl FromStr for Shard {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let numbers = text.split_once('/');
        let numbers = numbers.and_then(|(i, n)| Some((i.parse().ok()?, n.parse().ok()?)));
        match numbers {
            Some((i, count)) if (1..=count).contains(&i) => Ok(Self {
                index: i - 1,
                count,
            }),
            _ => Err(format!(
                "{text:?} is not a shard; expected I/N with I from 1 to N, such as 1/4"
            )),
        }
    }
}

impl Default for Shard {
    /// All of it.
    fn default() -> Self {
        Self { index: 0, count: 1 }
    }
}

impl Shard {
    /// Whether the part of that number is one of this shard's.
    pub fn takes(self, part: usize) -> bool {
        part % self.count == self.index
    }
}
