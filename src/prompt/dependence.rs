//! What one operand says of another in a set of contexts, and how many contexts an operand has.

use std::collections::HashMap;
use std::hash::Hash;

/// How far the operands of some contexts depend on each other.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Dependence {
    /// The mutual information of two operands' values in bits; the largest over all pairs of operands. 0 where every value of
    /// one operand meets every value of the other equally often: then the mean at one operand says nothing of another.
    pub bits: f64,
    /// The fewest contexts of a value of an operand.
    pub fewest: usize,
}

impl Dependence {
    /// The dependence of contexts by their operands, `[context][operand]`. Where they are a `sample` of a larger number, pairs that were
    /// not drawn look like dependence: the expectation of that is taken off (Miller 1955, Madow's correction).
    pub fn of(contexts: &[&[i64]], sample: bool) -> Self {
        let operands = contexts.first().map_or(0, |context| context.len());
        let mut found = Self::default();
        let mut fewest = usize::MAX;
        for i in 0..operands {
            let own = counts(contexts.iter().map(|context| context[i]));
            fewest = fewest.min(own.values().copied().min().unwrap_or(0));
            for j in 0..i {
                let other = counts(contexts.iter().map(|context| context[j]));
                let both = counts(contexts.iter().map(|context| (context[i], context[j])));
                let n = contexts.len() as f64;
                let mut bits = entropy(&own, n) + entropy(&other, n) - entropy(&both, n);
                if sample {
                    let cells = both.len() as f64 - own.len() as f64 - other.len() as f64 + 1.0;
                    bits -= cells / (2.0 * n * std::f64::consts::LN_2);
                }
                found.bits = found.bits.max(bits);
            }
        }
        found.fewest = if operands == 0 { 0 } else { fewest };
        // The three entropies of independent operands cancel but for rounding.
        if found.bits < 1e-9 {
            found.bits = 0.0;
        }
        found
    }
}

fn counts<T: Eq + Hash>(values: impl Iterator<Item = T>) -> HashMap<T, usize> {
    let mut counts = HashMap::new();
    for value in values {
        *counts.entry(value).or_insert(0) += 1;
    }
    counts
}

/// The entropy in bits of values with these counts, `n` together.
fn entropy<T>(counts: &HashMap<T, usize>, n: f64) -> f64 {
    // In a fixed order: a sum of floats depends on it, and the same contexts must give the same bytes.
    let mut sorted: Vec<usize> = counts.values().copied().collect();
    sorted.sort_unstable();
    let share = |count: usize| count as f64 / n;
    sorted
        .into_iter()
        .map(|c| -share(c) * share(c).log2())
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A sum of a few logarithms rounds in the last places.
    const ROUNDING: f64 = 1e-12;

    fn of(contexts: &[[i64; 2]]) -> Dependence {
        let contexts: Vec<&[i64]> = contexts.iter().map(|context| &context[..]).collect();
        Dependence::of(&contexts, false)
    }

    #[test]
    fn a_rectangle_says_nothing_and_a_line_says_all() {
        let rectangle: Vec<[i64; 2]> = (0..6).map(|i| [i % 3, i / 3]).collect();
        assert_eq!(
            of(&rectangle),
            Dependence {
                bits: 0.0,
                fewest: 2
            }
        );
        let line: Vec<[i64; 2]> = (0..4).map(|i| [i, i]).collect();
        let found = of(&line);
        assert!((found.bits - 2.0).abs() < ROUNDING, "{found:?}");
        assert_eq!(found.fewest, 1);
        assert_eq!(of(&[]), Dependence::default());
    }

    /// A sample of independent operands is not called dependent.
    #[test]
    fn what_a_draw_alone_does_is_taken_off() {
        let drawn: Vec<Vec<i64>> = (0..2000i64)
            .map(|i| vec![i * i * 7919 % 50, i * 104_729 / 13 % 50])
            .collect();
        let drawn: Vec<&[i64]> = drawn.iter().map(Vec::as_slice).collect();
        let plain = Dependence::of(&drawn, false).bits;
        let corrected = Dependence::of(&drawn, true).bits;
        assert!(plain > corrected, "{plain} {corrected}");
    }
}
