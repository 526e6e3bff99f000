//! Parts of a sweep, for several machines.

use std::fmt::{self, Display};
use std::str::FromStr;

/// A part of a sweep.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shard {
    /// The number of the shard, from 0 on.
    pub index: usize,
    /// How many shards there are.
    pub count: usize,
    /// Which shard has the first part of the sweep, from 0 on; the next shard has the next one.
    first: usize,
}

impl FromStr for Shard {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let numbers = text.split_once('/');
        let numbers = numbers.and_then(|(i, n)| Some((i.parse().ok()?, n.parse().ok()?)));
        match numbers {
            Some((i, count)) if (1..=count).contains(&i) => Ok(Self::new(i - 1, count)),
            _ => Err(format!(
                "{text:?} is not a shard; expected I/N with I from 1 to N, such as 1/4"
            )),
        }
    }
}

impl Default for Shard {
    /// The whole sweep.
    fn default() -> Self {
        Self::new(0, 1)
    }
}

impl Display for Shard {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}/{}", self.index + 1, self.count)
    }
}

impl Shard {
    /// The shard of the number `index`, from 0 on, of `count`.
    pub fn new(index: usize, count: usize) -> Self {
        Self {
            index,
            count,
            first: 0,
        }
    }

    /// The same of a sweep whose parts are dealt out from the `shard`-th shard on.
    #[must_use]
    pub fn beginning_at(self, shard: usize) -> Self {
        Self {
            first: shard % self.count,
            ..self
        }
    }

    /// What stands for it in the name of a file.
    pub fn name(self) -> String {
        format!("{}-of-{}", self.index + 1, self.count)
    }

    /// Whether the part of that number is one of this shard's.
    pub fn takes(self, part: usize) -> bool {
        (part % self.count + self.first) % self.count == self.index
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_part_is_one_shard_s_wherever_they_begin() {
        for first in 0..5 {
            let shards: Vec<Shard> = (0..3)
                .map(|i| Shard::new(i, 3).beginning_at(first))
                .collect();
            for part in 0..7 {
                let takes: Vec<usize> = (0..3).filter(|&i| shards[i].takes(part)).collect();
                assert_eq!(takes, [(part + first) % 3]);
            }
        }
        assert_eq!("2/3".parse(), Ok(Shard::new(1, 3)));
        assert_eq!(Shard::new(1, 3).to_string(), "2/3");
    }
}
