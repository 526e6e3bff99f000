//! Means of residual streams over contexts, and the three ways of estimating them.

use std::collections::BTreeMap;

use ndarray::{Array1, ArrayView1, ArrayView3};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use crate::prompt::{Key, PromptSet};

/// How a mean over contexts treats the prompt that it is used for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Estimator {
    /// The mean over all estimation prompts, the evaluated one included. (The authors' demo loads finished means; which prompts they are
    /// over is not in it.)
    PlugIn,
    /// The evaluated prompt's own residual is taken out of the mean.
    #[default]
    LeaveOneOut,
    /// Means over one seeded half of the prompts, evaluated on the other.
    Split,
}

impl Estimator {
    /// The one of that name.
    pub fn named(name: &str) -> Option<Self> {
        let all = [Self::PlugIn, Self::LeaveOneOut, Self::Split];
        all.into_iter().find(|estimator| estimator.name() == name)
    }

    /// The name of the estimator in records.
    pub fn name(self) -> &'static str {
        match self {
            Self::PlugIn => "plug-in",
            Self::LeaveOneOut => "leave-one-out",
            Self::Split => "split",
        }
    }
}

/// Count, mean and sum of squared deviations of vectors, `[d_model] f64`, by Welford's method.
#[derive(Clone, Debug, PartialEq)]
pub struct Moments {
    count: usize,
    mean: Array1<f64>,
    m2: Array1<f64>,
}

impl Moments {
    /// The moments of no vectors yet.
    pub fn new(d_model: usize) -> Self {
        Self {
            count: 0,
            mean: Array1::zeros(d_model),
            m2: Array1::zeros(d_model),
        }
    }

    /// Adds a vector, `[d_model]`.
    pub fn push(&mut self, x: ArrayView1<'_, f32>) {
        self.count += 1;
        let n = self.count as f64;
        ndarray::Zip::from(&mut self.mean)
            .and(&mut self.m2)
            .and(x)
            .for_each(|mean, m2, &x| {
                let x = f64::from(x);
                let delta = x - *mean;
                *mean += delta / n;
                *m2 += delta * (x - *mean);
            });
    }

    /// Adds all vectors of another one (Chan, Golub and LeVeque 1983).
    pub fn merge(&mut self, other: &Self) {
        if other.count == 0 {
            return;
        }
        let (a, b) = (self.count as f64, other.count as f64);
        let n = a + b;
        self.count += other.count;
        ndarray::Zip::from(&mut self.mean)
            .and(&mut self.m2)
            .and(&other.mean)
            .and(&other.m2)
            .for_each(|mean, m2, &mean_b, &m2_b| {
                let delta = mean_b - *mean;
                *mean += delta * b / n;
                *m2 += m2_b + delta * delta * a * b / n;
            });
    }

    /// The number of vectors.
    pub fn count(&self) -> usize {
        self.count
    }

    /// The mean of the vectors, `[d_model]`.
    pub fn mean(&self) -> ArrayView1<'_, f64> {
        self.mean.view()
    }

    /// The mean of the others, `(n * mean - own) / (n - 1)`, `[d_model]`; `None` where `own` is the only one.
    pub fn mean_without(&self, own: ArrayView1<'_, f32>) -> Option<Array1<f64>> {
        if self.count < 2 {
            return None;
        }
        let n = self.count as f64;
        Some(
            ndarray::Zip::from(&self.mean)
                .and(own)
                .map_collect(|&mean, &own| (n * mean - f64::from(own)) / (n - 1.0)),
        )
    }

    /// The standard error of the mean as one number: the root of the sum over dimensions of `variance / n`. `None` for
    /// fewer than two vectors.
    pub fn standard_error(&self) -> Option<f64> {
        if self.count < 2 {
            return None;
        }
        let n = self.count as f64;
        Some((self.m2.sum() / (n - 1.0) / n).sqrt())
    }

    /// The standard deviation of every dimension, `[d_model]`. `None` for fewer than two vectors.
    pub fn deviation(&self) -> Option<Array1<f64>> {
        let n = self.count as f64;
        (self.count > 1).then(|| self.m2.mapv(|m2| (m2 / (n - 1.0)).sqrt()))
    }

    fn norm(&self) -> f64 {
        self.mean.dot(&self.mean).sqrt()
    }
}

/// Means of `resid[W]` of one template: by position and key (the token, or the first tokens of a number), by position alone, and over all positions from 1 on.
#[derive(Clone, Debug)]
pub struct Means {
    /// Moments by position, `[pos]`, and by key.
    by_key: Vec<BTreeMap<Key, Moments>>,
    /// Two of the residuals by position, `[pos]`, and by key, drawn by the seed.
    drawn: Vec<BTreeMap<Key, Drawn>>,
    /// Moments by position, `[pos]`, over all tokens.
    by_position: Vec<Moments>,
    overall: Moments,
    d_model: usize,
    seed: u64,
}

/// The two residuals of a key whose prompts have the smallest draws: the prompt's draw, its index, the residual.
type Drawn = Vec<(u64, usize, Array1<f32>)>;

/// Random numbers of a position, the same in every run with the seed; `salt` is below 2^32.
pub(super) fn random_at(seed: u64, position: usize, salt: u64) -> ChaCha8Rng {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    random.set_stream((position as u64) << 32 | salt);
    random
}

/// Keeps the two with the smallest draws.
fn draw(drawn: &mut Drawn, new: impl Iterator<Item = (u64, usize, Array1<f32>)>) {
    drawn.extend(new);
    drawn.sort_by_key(|(draw, prompt, _)| (*draw, *prompt));
    drawn.truncate(2);
}

/// How well the means of a boundary are known.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Contexts {
    /// The number of keys (position, token) at positions from 1 on.
    pub keys: usize,
    /// The fewest contexts of a key.
    pub fewest: usize,
    /// The median number of contexts of a key.
    pub median: usize,
    /// The largest standard error of a key's mean, relative to the norm of that mean; 0 where all contexts agree.
    pub largest_relative_error: f64,
}

impl Means {
    /// The means of no prompts yet; `seed` draws the residuals that stand for a key's others.
    pub fn new(positions: usize, d_model: usize, seed: u64) -> Self {
        Self {
            by_key: vec![BTreeMap::new(); positions],
            drawn: vec![BTreeMap::new(); positions],
            by_position: vec![Moments::new(d_model); positions],
            overall: Moments::new(d_model),
            d_model,
            seed,
        }
    }

    /// Adds the residuals `[batch, pos, d_model]` of some prompts of the set.
    pub fn push(&mut self, set: &PromptSet, prompts: &[usize], resid: ArrayView3<'_, f32>) {
        for (row, &prompt) in resid.outer_iter().zip(prompts) {
            for (t, x) in row.outer_iter().enumerate() {
                if t > 0 {
                    self.overall.push(x);
                    let number = random_at(self.seed, t, prompt as u64).random();
                    let drawn = self.drawn[t]
                        .entry(set.prompts[prompt].keys[t])
                        .or_default();
                    if drawn.len() < 2 || drawn.iter().any(|(other, _, _)| number < *other) {
                        draw(drawn, std::iter::once((number, prompt, x.to_owned())));
                    }
                }
                let key = set.prompts[prompt].keys[t];
                self.by_key[t]
                    .entry(key)
                    .or_insert_with(|| Moments::new(self.d_model))
                    .push(x);
                self.by_position[t].push(x);
            }
        }
    }

    /// Adds all that another table of the same template and boundary has seen.
    pub fn merge(&mut self, other: &Self) {
        for (mine, theirs) in self.by_key.iter_mut().zip(&other.by_key) {
            for (&key, moments) in theirs {
                mine.entry(key)
                    .or_insert_with(|| Moments::new(self.d_model))
                    .merge(moments);
            }
        }
        for (mine, theirs) in self.by_position.iter_mut().zip(&other.by_position) {
            mine.merge(theirs);
        }
        for (mine, theirs) in self.drawn.iter_mut().zip(&other.drawn) {
            for (&key, drawn) in theirs {
                draw(mine.entry(key).or_default(), drawn.iter().cloned());
            }
        }
        self.overall.merge(&other.overall);
    }

    /// The residual of a prompt that was drawn for a key, of another one than `prompt`.
    pub fn of_other_prompt(
        &self,
        position: usize,
        key: Key,
        prompt: usize,
    ) -> Option<ArrayView1<'_, f32>> {
        let drawn = self.drawn.get(position)?.get(&key)?;
        let other = drawn.iter().find(|(_, drawn, _)| *drawn != prompt)?;
        Some(other.2.view())
    }

    /// The keys of a position, in ascending order.
    pub fn keys(&self, position: usize) -> impl Iterator<Item = Key> + '_ {
        self.by_key[position].keys().copied()
    }

    /// The moments over all positions from 1 on.
    pub fn of_all(&self) -> &Moments {
        &self.overall
    }

    /// The moments of a key, if it was seen.
    pub fn of_key(&self, position: usize, key: Key) -> Option<&Moments> {
        self.by_key.get(position)?.get(&key)
    }

    /// The moments of a position over all tokens.
    pub fn of_position(&self, position: usize) -> &Moments {
        &self.by_position[position]
    }

    /// How well the means are known.
    pub fn contexts(&self) -> Contexts {
        let keys = || self.by_key.iter().skip(1).flat_map(BTreeMap::values);
        let mut counts: Vec<usize> = keys().map(Moments::count).collect();
        counts.sort_unstable();
        let error = keys()
            .filter_map(|key| Some(key.standard_error()? / key.norm()))
            .filter(|error| error.is_finite())
            .fold(0.0, f64::max);
        Contexts {
            keys: counts.len(),
            fewest: counts.first().copied().unwrap_or(0),
            median: counts.get(counts.len() / 2).copied().unwrap_or(0),
            largest_relative_error: error,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::examples::{prompts, residuals};
    use super::*;
    use ndarray::{Array3, array};

    /// Both sides are sums and quotients of a handful of small numbers in f64, in another order.
    const EQUAL: f64 = 1e-12;

    /// The key of one token.
    fn key(token: u32) -> Key {
        Key::of(&[token]).unwrap()
    }

    fn moments(rows: &[[f32; 2]]) -> Moments {
        let mut moments = Moments::new(2);
        for row in rows {
            moments.push(ArrayView1::from(row.as_slice()));
        }
        moments
    }

    #[test]
    fn moments_are_those_of_the_definition() {
        let m = moments(&[[1.0, 0.0], [2.0, 0.0], [6.0, 0.0]]);
        assert_eq!(m.count(), 3);
        assert_eq!(m.mean(), array![3.0, 0.0]);
        // Variance of 1, 2, 6 is 7; the standard error is the root of 7/3.
        assert!((m.standard_error().unwrap() - (7.0f64 / 3.0).sqrt()).abs() < EQUAL);
    }

    #[test]
    fn merging_parts_is_seeing_all() {
        let rows = [[1.0, 5.0], [2.0, -4.0], [6.0, 0.5], [-3.0, 2.5], [0.0, 1.0]];
        let whole = moments(&rows);
        for cut in 0..=rows.len() {
            let mut merged = moments(&rows[..cut]);
            merged.merge(&moments(&rows[cut..]));
            assert_eq!(merged.count(), whole.count());
            assert!((&merged.mean - &whole.mean).iter().all(|d| d.abs() < EQUAL));
            assert!((&merged.m2 - &whole.m2).iter().all(|d| d.abs() < EQUAL));
        }
    }

    #[test]
    fn leaving_one_out_is_the_mean_of_the_others() {
        let rows = [[1.0, 5.0], [2.0, -4.0], [6.0, 0.5]];
        let left = moments(&rows)
            .mean_without(array![2.0f32, -4.0].view())
            .unwrap();
        assert!((left - array![3.5, 2.75]).iter().all(|d| d.abs() < EQUAL));
        assert_eq!(
            moments(&rows[..1]).mean_without(array![1.0f32, 5.0].view()),
            None
        );
        assert_eq!(moments(&rows[..1]).standard_error(), None);
    }

    #[test]
    fn two_vectors_have_a_spread_and_one_has_none() {
        let two = moments(&[[1.0, 5.0], [4.0, 5.0]]);
        // The variance is 9/2, that of the mean half of it.
        assert_eq!(two.standard_error(), Some(1.5));
        assert_eq!(two.deviation().unwrap(), array![4.5f64.sqrt(), 0.0]);
        let other = two.mean_without(array![1.0f32, 5.0].view());
        assert_eq!(other.unwrap(), array![4.0, 5.0]);
        let three = moments(&[[1.0, 0.0], [2.0, 0.0], [6.0, 0.0]]);
        assert!(
            (three.deviation().unwrap() - array![7.0f64.sqrt(), 0.0])
                .sum()
                .abs()
                < EQUAL
        );
        assert_eq!(moments(&[[1.0, 5.0]]).deviation(), None);
        assert_eq!(moments(&[]).deviation(), None);
        let mut none = moments(&[]);
        none.merge(&moments(&[]));
        assert_eq!((none.count(), none.mean()), (0, array![0.0, 0.0].view()));
    }

    #[test]
    fn estimators_have_names() {
        let all = ["plug-in", "leave-one-out", "split"].map(|name| Estimator::named(name).unwrap());
        let expected = [Estimator::PlugIn, Estimator::LeaveOneOut, Estimator::Split];
        assert_eq!(all, expected);
        assert_eq!(Estimator::named("none"), None);
    }

    const IDS: [&[u32]; 6] = [
        &[9, 1, 5],
        &[9, 1, 6],
        &[9, 2, 5],
        &[9, 1, 5],
        &[9, 1, 7],
        &[9, 1, 7],
    ];

    /// The example: the residuals of the last two prompts at position 2 have a mean of zero.
    fn of_the_example() -> (PromptSet, Array3<f32>) {
        let numbers = [
            [1.0, 1.0, 1.0],
            [1.0, 2.0, 3.0],
            [1.0, 7.0, 5.0],
            [1.0, 6.0, 2.0],
            [1.0, 3.0, 0.0],
            [1.0, 3.0, 0.0],
        ];
        let mut residuals = residuals(&numbers);
        residuals[[4, 2, 0]] = 2.0;
        residuals[[5, 2, 0]] = -2.0;
        (prompts(&IDS), residuals)
    }

    fn means(parts: &[&[usize]]) -> Means {
        let (set, residuals) = of_the_example();
        let mut all = Means::new(3, 2, 7);
        for part in parts {
            let mut of_part = Means::new(3, 2, 7);
            of_part.push(&set, part, residuals.select(ndarray::Axis(0), part).view());
            all.merge(&of_part);
        }
        all
    }

    #[test]
    fn means_are_by_token_by_position_and_over_all() {
        let means = means(&[&[0, 1, 2, 3, 4, 5]]);
        let mean = |moments: &Moments| (moments.count(), moments.mean().to_vec());
        let of_token = |position, token| mean(means.of_key(position, key(token)).unwrap());
        assert_eq!(of_token(1, 1), (5, vec![3.0, 11.8]));
        assert_eq!(of_token(1, 2), (1, vec![7.0, 49.0]));
        assert_eq!(of_token(2, 7), (2, vec![0.0, 0.0]));
        assert_eq!(of_token(0, 9), (6, vec![1.0, 1.0]));
        assert!(means.of_key(1, key(5)).is_none() && means.of_key(3, key(9)).is_none());
        let of_position = mean(means.of_position(1));
        assert_eq!(of_position.0, 6);
        assert!((of_position.1[0] - 22.0 / 6.0).abs() < EQUAL);
        // Position 0 is never replaced, and is not among all.
        assert_eq!(mean(means.of_all()).0, 12);
        assert!((mean(means.of_all()).1[0] - 33.0 / 12.0).abs() < EQUAL);
        assert_eq!(means.keys(2).collect::<Vec<_>>(), [5, 6, 7].map(key));
    }

    #[test]
    fn contexts_are_counted_and_their_error_is_relative() {
        let found = means(&[&[0, 1, 2, 3, 4, 5]]).contexts();
        // Contexts of the keys: 1, 1, 2, 3, 5.
        assert_eq!((found.keys, found.fewest, found.median), (5, 1, 2));
        // Of token 5 at position 2, by numpy: the root of the sum of var(ddof=1) / 3, by the norm of the mean. That of token 7, whose
        // mean is nothing, is no number.
        assert!(
            (found.largest_relative_error - 0.738_676_623_108_495_9).abs() < EQUAL,
            "{found:?}"
        );
        let nothing = Means::new(3, 2, 7).contexts();
        assert_eq!((nothing.keys, nothing.fewest, nothing.median), (0, 0, 0));
        assert_eq!(nothing.largest_relative_error, 0.0);
    }

    /// Of all prompts with a key the two are drawn whose numbers are the smallest, in whatever order and parts the prompts come.
    #[test]
    fn what_is_drawn_follows_the_seed_alone() {
        let (_, residuals) = of_the_example();
        let number = |t: u64, prompt: u64| -> u64 {
            let mut random = ChaCha8Rng::seed_from_u64(7);
            random.set_stream(t * (1 << 32) + prompt);
            random.random()
        };
        let parts: [&[&[usize]]; 4] = [
            &[&[0, 1, 2, 3, 4, 5]],
            &[&[5, 4, 3, 2, 1, 0]],
            &[&[0, 3], &[1, 2, 4], &[5]],
            &[&[5, 2], &[4, 1], &[3, 0]],
        ];
        for parts in parts {
            let means = means(parts);
            for (t, token) in [(1, 1), (2, 5)] {
                let mut with: Vec<usize> = (0..6).filter(|&i| IDS[i][t] == token).collect();
                with.sort_by_key(|&prompt| number(t as u64, prompt as u64));
                for prompt in 0..6 {
                    let other = if with[0] == prompt { with[1] } else { with[0] };
                    let expected = residuals.slice(ndarray::s![other, t, ..]);
                    let found = means.of_other_prompt(t, key(token), prompt);
                    assert_eq!(found, Some(expected), "{t} {token} {prompt}");
                }
            }
            assert!(
                means.of_other_prompt(1, key(2), 2).is_none(),
                "the only one"
            );
            assert!(means.of_other_prompt(1, key(2), 0).is_some());
            assert!(
                means.of_other_prompt(0, key(9), 0).is_none(),
                "position 0 stays"
            );
            assert!(means.of_other_prompt(3, key(9), 0).is_none());
        }
    }

    #[test]
    fn equal_vectors_have_an_exact_mean() {
        // A third cannot be written in binary: a sum divided by a count would not give it back.
        let m = moments(&[[1.0 / 3.0, 0.1]; 7]);
        assert_eq!(m.mean().mapv(|x| x as f32), array![1.0f32 / 3.0, 0.1]);
        assert_eq!(m.standard_error(), Some(0.0));
    }
}
