//! Which shards of a sweep have ended: what a shard's record says last, so that a merge can name those that are missing.

use std::collections::{BTreeMap, BTreeSet};

/// A shard has measured all that is its own.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Ended {
    /// The sweep.
    pub sweep: String,
    /// The cells of all templates that the run asked for; a run that asks for more is split otherwise.
    pub cells: usize,
    /// How many shards there are.
    pub shards: usize,
    /// Which of them it is, from 1 on.
    pub shard: usize,
}

/// The shards of a sweep that have ended.
#[derive(Default)]
pub(super) struct Shards {
    of_splits: BTreeMap<Split, BTreeSet<usize>>,
}

/// So many missing shards are named.
const MOST_NAMED: usize = 20;

/// A way to split a sweep.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Split {
    cells: usize,
    shards: usize,
}

impl Shards {
    pub fn add(&mut self, ended: &Ended) {
        let split = Split {
            cells: ended.cells,
            shards: ended.shards,
        };
        let of_split = self.of_splits.entry(split).or_default();
        of_split.insert(ended.shard);
    }

    /// Which shards are missing, in words; empty where none is; `None` where nothing says of any. Where runs were split in several ways the
    /// largest that was asked for counts, in the way of which the fewest shards are missing.
    pub fn missing(&self) -> Option<String> {
        let most = self.of_splits.keys().next_back()?.cells;
        let largest = self
            .of_splits
            .iter()
            .filter(|(split, _)| split.cells == most);
        let missing = |(split, ended): &(&Split, &BTreeSet<usize>)| {
            split.shards
                - ended
                    .range(1..=split.shards.max(1))
                    .count()
                    .min(split.shards)
        };
        let (split, ended) = largest.min_by_key(missing)?;
        let all = missing(&(split, ended));
        // A record may say that there are any number of shards.
        let named = (1..=split.shards).filter(|shard| !ended.contains(shard));
        let named = named.take(MOST_NAMED);
        let named: Vec<String> = named
            .map(|shard| format!("{shard}/{}", split.shards))
            .collect();
        let others = match all - named.len() {
            0 => String::new(),
            others => format!(" and {others} others"),
        };
        Some(match &*named {
            [] => String::new(),
            [one] => format!("shard {one} is missing or has not ended"),
            several => format!(
                "shards {}{others} are missing or have not ended",
                several.join(", ")
            ),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn missing(ended: &[[usize; 3]]) -> Option<String> {
        let mut shards = Shards::default();
        for &[cells, count, shard] in ended {
            shards.add(&Ended {
                sweep: "s".into(),
                cells,
                shards: count,
                shard,
            });
        }
        shards.missing()
    }

    #[test]
    fn the_split_that_is_nearest_to_its_end_counts() {
        assert_eq!(missing(&[]), None);
        assert_eq!(
            missing(&[[9, 3, 1], [9, 3, 3]]).unwrap(),
            "shard 2/3 is missing or has not ended"
        );
        assert_eq!(
            missing(&[[9, 4, 1], [9, 2, 2], [9, 4, 4]]).unwrap(),
            "shard 1/2 is missing or has not ended"
        );
        assert_eq!(
            missing(&[[9, 2, 1], [9, 2, 2], [9, 4, 1]]).unwrap(),
            String::new()
        );
        // What an earlier run asked for was less.
        assert_eq!(
            missing(&[[9, 2, 1], [9, 2, 2], [12, 4, 1]]).unwrap(),
            "shards 2/4, 3/4, 4/4 are missing or have not ended"
        );
    }

    #[test]
    fn of_many_that_are_missing_some_are_named() {
        let found = missing(&[[9, 1_000_000_000_000_000, 2]]).unwrap();
        assert!(
            found.starts_with("shards 1/1000000000000000, 3/"),
            "{found}"
        );
        assert!(
            found.contains(" and 999999999999979 others are missing") && found.len() < 600,
            "{found}"
        );
        // None of these is a shard.
        assert_eq!(missing(&[[9, 0, 0], [9, 0, 7]]).unwrap(), "");
    }
}
