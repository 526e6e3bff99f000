//! The steps of an answer as one set of prompts: those of a later step are those of an earlier one with more of the answer behind them.

use std::collections::HashMap;

use crate::prompt::PromptSet;

/// Which prompts of several sets are beginnings of each other.
pub struct Nest {
    /// The prompt that goes on from one of the first set, by set and by prompt of the first; `None` where the set has none.
    of: Vec<Vec<Option<usize>>>,
}

impl Nest {
    /// The nest of sets in the order of their steps; `None` where a set has a prompt that goes on none of the first.
    pub fn of(sets: &[&PromptSet]) -> Option<Self> {
        let first = sets.first()?;
        let places: HashMap<&[i64], usize> = (first.prompts.iter().enumerate())
            .map(|(p, prompt)| (&*prompt.operands, p))
            .collect();
        let mut of = Vec::new();
        let mut longest: Vec<&[u32]> = vec![&[]; first.len()];
        for set in sets {
            let mut own = vec![None; first.len()];
            for (p, prompt) in set.prompts.iter().enumerate() {
                let place = *places.get(&*prompt.operands)?;
                if !prompt.ids.starts_with(longest[place]) {
                    return None;
                }
                longest[place] = &prompt.ids;
                own[place] = Some(p);
            }
            of.push(own);
        }
        Some(Self { of })
    }

    /// The prompt of a set that goes on one of the first set.
    pub fn prompt(&self, set: usize, of_first: usize) -> Option<usize> {
        self.of[set][of_first]
    }

    /// The longest prompt that goes on one of the first set: its set, and its index there.
    pub fn longest(&self, of_first: usize) -> (usize, usize) {
        let found = (self.of.iter().enumerate().rev())
            .find_map(|(set, own)| own[of_first].map(|prompt| (set, prompt)));
        found.expect("the first set has it")
    }
}

/// Prompts in an order in which those that begin alike stand side by side, and otherwise as they come.
pub fn side_by_side(prompts: &[&[u32]]) -> Vec<usize> {
    let mut ranks: HashMap<(usize, u32), usize> = HashMap::new();
    let ranked: Vec<Vec<usize>> = (prompts.iter())
        .map(|ids| {
            let rank = |(t, &id): (usize, &u32)| {
                let next = ranks.len();
                *ranks.entry((t, id)).or_insert(next)
            };
            ids.iter().enumerate().map(rank).collect()
        })
        .collect();
    let mut order: Vec<usize> = (0..prompts.len()).collect();
    order.sort_by(|&a, &b| ranked[a].cmp(&ranked[b]));
    order
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_begins_alike_stands_side_by_side() {
        let prompts: [&[u32]; 5] = [&[9, 1], &[9, 2], &[3, 1], &[9, 1, 4], &[3, 2]];
        assert_eq!(side_by_side(&prompts), [0, 3, 1, 2, 4]);
        let sorted: [&[u32]; 3] = [&[1, 5], &[1, 3], &[0, 5]];
        assert_eq!(side_by_side(&sorted), [0, 1, 2]);
    }
}
