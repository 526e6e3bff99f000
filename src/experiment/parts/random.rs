//! Random sets of layers and of heads, to compare with.

use std::collections::BTreeSet;

use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

use crate::intervene::{Head, Plan};

/// Sets of so many heads of the transfer layers, each drawn by itself: controls of the size of a pruned set.
pub fn random_heads(
    wait: usize,
    transfer: usize,
    heads: usize,
    size: usize,
    draws: usize,
    seed: u64,
) -> Vec<Plan> {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let mut all: Vec<Head> = Head::all(wait..wait + transfer, heads).collect();
    let draw = |_| {
        all.shuffle(&mut random);
        Plan::pruned(
            wait,
            transfer,
            all[..size.min(all.len())].iter().copied().collect(),
        )
    };
    (0..draws).map(draw).collect()
}

/// Different sets of so many layers that are no window, at most `most`, drawn by the seed.
pub fn random_layers(layers: usize, size: usize, most: usize, seed: u64) -> Vec<BTreeSet<usize>> {
    let windows = (layers + 1).saturating_sub(size);
    let mut sets = 1usize;
    for i in 0..size.min(layers - size) {
        sets = (sets.saturating_mul(layers - i) / (i + 1)).min(usize::MAX / 2);
    }
    let wanted = most.min(sets.saturating_sub(windows));
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let mut drawn: Vec<BTreeSet<usize>> = Vec::new();
    while drawn.len() < wanted {
        let mut all: Vec<usize> = (0..layers).collect();
        all.shuffle(&mut random);
        let set: BTreeSet<usize> = all.into_iter().take(size).collect();
        if !in_a_row(&set) && !drawn.contains(&set) {
            drawn.push(set);
        }
    }
    drawn
}

/// Whether they follow one another.
pub fn in_a_row(layers: &BTreeSet<usize>) -> bool {
    let first = layers.first().copied().unwrap_or(0);
    layers.iter().copied().eq(first..first + layers.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layers_that_are_drawn_are_no_window() {
        let drawn = random_layers(8, 2, 10, 1);
        assert_eq!(drawn.len(), 10);
        assert_eq!(drawn, random_layers(8, 2, 10, 1));
        assert_ne!(drawn, random_layers(8, 2, 10, 2));
        // As many as there are: 28 pairs less 7 windows.
        let all: BTreeSet<BTreeSet<usize>> = random_layers(8, 2, 500, 1).into_iter().collect();
        assert_eq!(all.len(), 21);
        assert!(all.iter().all(|set| set.len() == 2 && !in_a_row(set)));
        assert!(random_layers(8, 1, 5, 1).is_empty() && random_layers(8, 8, 5, 1).is_empty());
        assert_eq!(random_layers(200, 100, 3, 1).len(), 3);
    }
}
