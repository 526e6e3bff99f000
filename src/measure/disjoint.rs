//! Two halves of the prompts that share no operand, so that what is chosen on the one is reported on numbers that had no part in
//! the choice.

use std::collections::BTreeSet;

use rand::seq::SliceRandom;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::prompt::PromptSet;
use crate::{Error, Result};

/// The halves, each with the indices of its prompts, ascending.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Disjoint {
    /// Prompts whose operands are all in the first set of values.
    pub development: Vec<usize>,
    /// Prompts whose operands are all in the second.
    pub held_out: Vec<usize>,
    /// Prompts with operands of both sets, which are in neither half.
    pub mixed: usize,
}

impl Disjoint {
    /// Splits the values of the operands into two sets, the same for every operand, so that a number that is seen as A in one half
    /// is not seen as B in the other. Of many splits that are drawn by the seed the one is taken whose smaller half is largest.
    ///
    /// `operands[i]` are those of prompt `i`. `None` where every split that is drawn leaves a half without prompts.
    pub fn draw(operands: &[&[i64]], seed: u64) -> Option<Self> {
        let values: BTreeSet<i64> = operands.iter().flat_map(|of| of.iter().copied()).collect();
        let values: Vec<i64> = values.into_iter().collect();
        let place = |value: &i64| values.binary_search(value).expect("it is one of them");
        let places: Vec<Vec<usize>> = operands
            .iter()
            .map(|of| of.iter().map(place).collect())
            .collect();
        let steps: usize = places.iter().map(Vec::len).sum();
        let draws = (MOST_STEPS / steps.max(1)).clamp(FEWEST_DRAWS, MOST_DRAWS);
        // A draw of its own, so that the halves do not depend on the other draws by the same seed.
        let mut random = ChaCha8Rng::seed_from_u64(!seed);
        let mut order: Vec<usize> = (0..values.len()).collect();
        let mut best: Option<((usize, usize), Vec<bool>)> = None;
        for draw in 0..draws {
            let mut first = vec![false; values.len()];
            if draw % 2 == 0 {
                // As many values in the one as in the other: best where all values have as many prompts.
                order.shuffle(&mut random);
                for &value in &order[..values.len() / 2] {
                    first[value] = true;
                }
            } else {
                first.fill_with(|| random.random());
            }
            let (development, held_out) = sizes(&places, &first);
            let score = (development.min(held_out), development.max(held_out));
            if score.0 > 0 && best.as_ref().is_none_or(|(known, _)| score > *known) {
                best = Some((score, first));
            }
        }
        let (_, first) = best?;
        let of = |wanted: bool| -> Vec<usize> {
            let inside = |prompt: &usize| places[*prompt].iter().all(|&v| first[v] == wanted);
            (0..places.len()).filter(inside).collect()
        };
        let (development, held_out) = (of(true), of(false));
        Some(Self {
            mixed: operands.len() - development.len() - held_out.len(),
            development,
            held_out,
        })
    }

    /// The halves of a set.
    ///
    /// # Errors
    /// There are no such halves.
    pub(super) fn of(set: &PromptSet, seed: u64) -> Result<Self> {
        let asked = set.asked();
        let operands: Vec<&[i64]> = asked.iter().map(|&p| &*set.prompts[p].operands).collect();
        let of_set = |places: Vec<usize>| places.into_iter().map(|at| asked[at]).collect();
        let halves = Self::draw(&operands, seed).map(|halves| Self {
            development: of_set(halves.development),
            held_out: of_set(halves.held_out),
            mixed: halves.mixed,
        });
        halves.ok_or_else(|| Error::NoPrompts {
            style: set.template.style.clone(),
            operation: set.template.operation.to_string(),
            reason: format!(
                "its prompts, {} in all, cannot be split into two halves that share no operand, one to choose on and one to report \
                 on; widen --operands or --results",
                asked.len()
            ),
        })
    }
}

/// So many splits are drawn where there are few prompts.
const MOST_DRAWS: usize = 1024;

/// So many are drawn at least, however many prompts there are: the values of many prompts split well by chance.
const FEWEST_DRAWS: usize = 16;

/// In between, so many operands are looked at.
const MOST_STEPS: usize = 4_000_000;

/// The number of prompts of either half, `places[prompt]` being those of its operands' values, and `first` whether a value is in
/// the first set.
fn sizes(places: &[Vec<usize>], first: &[bool]) -> (usize, usize) {
    let mut sizes = (0, 0);
    for of in places {
        match of.iter().filter(|&&value| first[value]).count() {
            0 => sizes.1 += 1,
            inside if inside == of.len() => sizes.0 += 1,
            _ => {}
        }
    }
    sizes
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    /// The operands for which `keep` holds.
    fn prompts(values: i64, count: usize, keep: impl Fn(&[i64]) -> bool) -> Vec<Vec<i64>> {
        let mut all: Vec<Vec<i64>> = vec![Vec::new()];
        for _ in 0..count {
            let longer = |of: &Vec<i64>| {
                let of = of.clone();
                (0..values).map(move |value| [&of[..], &[value]].concat())
            };
            all = all.iter().flat_map(longer).collect();
        }
        all.retain(|of| keep(of));
        all
    }

    fn drawn(prompts: &[Vec<i64>], seed: u64) -> Option<Disjoint> {
        let operands: Vec<&[i64]> = prompts.iter().map(|of| &of[..]).collect();
        Disjoint::draw(&operands, seed)
    }

    fn values<'a>(prompts: &'a [Vec<i64>], half: &'a [usize]) -> BTreeSet<i64> {
        half.iter()
            .flat_map(|&i| prompts[i].iter().copied())
            .collect()
    }

    #[rstest]
    #[case("A+B", prompts(50, 2, |_| true))]
    #[case("A+B up to 9", prompts(10, 2, |of| of[0] + of[1] < 10))]
    #[case("A-B", prompts(10, 2, |of| of[0] >= of[1]))]
    #[case("A/B", prompts(40, 2, |of| of[1] > 0 && of[0] % of[1] == 0))]
    #[case("A+B+C", prompts(12, 3, |_| true))]
    fn halves_share_no_operand(
        #[case] what: &str,
        #[case] prompts: Vec<Vec<i64>>,
        #[values(1, 42)] seed: u64,
    ) {
        let found = drawn(&prompts, seed).unwrap();
        let (one, other) = (&found.development, &found.held_out);
        assert!(!one.is_empty() && !other.is_empty());
        assert_eq!(one.len() + other.len() + found.mixed, prompts.len());
        assert!(one.iter().all(|prompt| !other.contains(prompt)));
        assert!(
            values(&prompts, one).is_disjoint(&values(&prompts, other)),
            "{what}"
        );
        // Balanced: the smaller half has at least two thirds as many as the larger one.
        let (few, many) = (one.len().min(other.len()), one.len().max(other.len()));
        assert!(3 * few >= 2 * many, "{what}: {few} and {many}");
        assert_eq!(drawn(&prompts, seed), Some(found));
    }

    #[test]
    fn nearly_a_quarter_of_all_pairs_is_in_each_half() {
        let found = drawn(&prompts(50, 2, |_| true), 42).unwrap();
        assert_eq!((found.development.len(), found.held_out.len()), (625, 625));
        let other = drawn(&prompts(50, 2, |_| true), 43).unwrap();
        assert_ne!(
            other.development, found.development,
            "the seed decides which"
        );
    }

    #[test]
    fn where_all_prompts_share_an_operand_there_are_no_halves() {
        assert_eq!(
            drawn(&prompts(10, 2, |of| of[0] == 3 || of[1] == 3), 1),
            None
        );
        assert_eq!(drawn(&[vec![1, 2]], 1), None);
        assert_eq!(drawn(&[], 1), None);
        // Of the pairs that two prompts can be, one is enough.
        let found = drawn(&[vec![1, 2], vec![2, 3], vec![3, 4]], 1).unwrap();
        assert_eq!(
            (found.development.len(), found.held_out.len(), found.mixed),
            (1, 1, 1)
        );
    }
}
