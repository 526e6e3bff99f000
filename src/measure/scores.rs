//! What is read off the logits of a prompt: the answer, and how far it is from the right one and from the unmodified
//! model's.
//!
//! Logits in the host's memory are read here; of those that a device has, the device reads the measures and only they come back
//! ([`crate::graph::score`]).
//!
//! Every measure is one pass over the vocabulary, in sixteen lanes, so that the compiler can use vector instructions; rows
//! are shared out among threads. A model's answer costs little more than reading it.

use std::ops::Range;

use ndarray::{Array1, Array2, ArrayD, ArrayView1, ArrayView2, Axis, CowArray, Ix2, s};
use wide::f32x8;

use crate::Result;
use crate::runtime::{Engine, Tensor};

/// The logits of prompts: those rows of a tensor, `[row, vocab]`, one a prompt.
pub struct Logits<'a> {
    tensor: &'a Tensor,
    rows: Vec<usize>,
}

/// What was found in logits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seen {
    /// Numbers alone.
    Finite,
    /// Numbers, NaN or infinity among them.
    NotFinite,
}

impl<'a> Logits<'a> {
    /// The logits of some rows of a tensor.
    pub fn rows(tensor: &'a Tensor, rows: Vec<usize>) -> Self {
        Self { tensor, rows }
    }

    /// The logits of all rows of a tensor.
    pub fn all(tensor: &'a Tensor) -> Self {
        let rows = (0..tensor.shape()[0]).collect();
        Self { tensor, rows }
    }

    /// The logits in the host's memory, `[batch, vocab]`.
    ///
    /// # Errors
    /// The runtime cannot copy them.
    pub fn view(&self) -> Result<CowArray<'_, f32, Ix2>> {
        let all = self.tensor.view::<Ix2>()?;
        let Range { start, end } = match self.rows.first() {
            Some(&first) => first..first + self.rows.len(),
            None => 0..0,
        };
        if self.rows.iter().copied().eq(start..end) {
            return Ok(all.slice_move(s![start..end, ..]).into());
        }
        Ok(all.select(Axis(0), &self.rows).into())
    }

    /// The measures that a device reads off them, `[batch, 5]`; the reference is the unmodified model's logits.
    fn measured(
        &self,
        engine: &mut Engine,
        answers: &[&[u32]],
        reference: &Tensor,
    ) -> Result<Array2<f32>> {
        let answers = Tensor::from_i64(given(answers))?;
        engine.score(self.tensor, &self.rows, &answers, reference)
    }
}

/// The right answers as a device has them: a list for each prompt, `[batch, answers]`, or one, `[answers]`, where all have the same several
/// ones. A prompt that is a context only has no answer; its measure is not read.
fn given(answers: &[&[u32]]) -> ArrayD<i64> {
    let mut right = answers.iter().filter(|of| !of.is_empty());
    if let Some(first) = right.next().filter(|first| first.len() > 1)
        && right.all(|of| std::ptr::eq(*of, *first) || of == first)
    {
        return first
            .iter()
            .map(|&token| i64::from(token))
            .collect::<Array1<i64>>()
            .into_dyn();
    }
    let most = answers.iter().map(|of| of.len()).max().unwrap_or(1).max(1);
    let padded = Array2::from_shape_fn((answers.len(), most), |(prompt, i)| {
        let of = answers[prompt];
        i64::from(*of.get(i).or(of.first()).unwrap_or(&0))
    });
    padded.into_dyn()
}

/// What the unmodified model predicts for a batch, and its logit differences; `None` where a logit is NaN or infinite.
///
/// # Errors
/// The runtime's reason.
pub fn unmodified(
    engine: &mut Engine,
    logits: &Tensor,
    answers: &[&[u32]],
) -> Result<Option<Vec<(u32, f32)>>> {
    let all = Logits::all(logits);
    if logits.on_a_device() {
        let measured = all.measured(engine, answers, logits)?;
        let scores = of_device(&measured);
        let pair = |score: Score| (score.predicted, score.logit_difference);
        return Ok(scores.map(|scores| scores.into_iter().map(pair).collect()));
    }
    let logits = all.view()?;
    let pair = |(row, answers): (ArrayView1<'_, f32>, &&[u32])| {
        (first_maximum(row), logit_difference(row, answers))
    };
    let finite = all_finite(logits.view());
    Ok(finite.then(|| logits.outer_iter().zip(answers).map(pair).collect()))
}

/// The measures of one prompt.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Score {
    /// The token with the largest logit, the first of equals.
    pub predicted: u32,
    /// The largest logit of a right answer less the largest logit of another token.
    pub logit_difference: f32,
    /// How many tokens have a larger logit than the best right answer, plus one.
    pub rank: u32,
    /// The Kullback-Leibler divergence from the unmodified model, `sum p ln(p / q)`, in nats.
    pub kl: f32,
}

/// What the unmodified model says to the prompts of a batch, where its logits are.
pub enum References {
    /// What was read of logits in the host's memory, made ready.
    Host(Vec<Reference>),
    /// Logits that stay on a device, `[batch, vocab]`.
    Device(Tensor),
}

impl References {
    /// The references of logits, `[batch, vocab]`.
    ///
    /// # Errors
    /// The runtime's reason.
    pub fn new(logits: Tensor) -> Result<Self> {
        if logits.on_a_device() {
            return Ok(Self::Device(logits));
        }
        Ok(Self::Host(references(logits.view()?)))
    }

    /// The size of those of one prompt.
    pub fn bytes(&self) -> usize {
        match self {
            Self::Host(all) => all.first().map_or(0, |one| size_of_val(&*one.p)),
            Self::Device(logits) => logits.shape()[1] * size_of::<f32>(),
        }
    }
}

/// The unmodified model's distribution over all tokens.
pub struct Reference {
    p: Vec<f32>,
    /// `sum p x` over its logits `x`.
    mean: f64,
    normaliser: f64,
}

impl Reference {
    fn new(logits: &[f32]) -> Self {
        let normaliser = normaliser(logits);
        let mut p = Vec::with_capacity(logits.len());
        exps(logits, normaliser as f32, |part| p.extend_from_slice(part));
        Self {
            mean: dot(&p, logits),
            normaliser,
            p,
        }
    }
}

/// The references of some prompts, from the unmodified model's logits, `[batch, vocab]`.
fn references(logits: ArrayView2<'_, f32>) -> Vec<Reference> {
    let rows = rows(&logits);
    in_parallel(rows.len(), |row| Reference::new(rows[row]))
}

/// The measures of a batch, from its logits, and the right answers and the reference of every prompt; `None` where a logit is NaN or
/// infinite.
///
/// # Errors
/// The runtime's reason.
pub fn scores(
    engine: &mut Engine,
    logits: &Logits<'_>,
    answers: &[&[u32]],
    references: &References,
) -> Result<Option<Vec<Score>>> {
    match references {
        References::Device(base) => Ok(of_device(&logits.measured(engine, answers, base)?)),
        References::Host(references) => {
            let logits = logits.view()?;
            let finite = all_finite(logits.view());
            Ok(finite.then(|| of_host(logits.view(), answers, references)))
        }
    }
}

/// The scores of logits in the host's memory, `[batch, vocab]`.
fn of_host(
    logits: ArrayView2<'_, f32>,
    answers: &[&[u32]],
    references: &[Reference],
) -> Vec<Score> {
    let rows = rows(&logits);
    in_parallel(rows.len(), |row| {
        score(rows[row], answers[row], &references[row])
    })
}

/// The scores of what a device has measured, `[batch, 5]`; `None` where a measure is not finite.
fn of_device(measured: &Array2<f32>) -> Option<Vec<Score>> {
    let of_row = |row: ArrayView1<'_, f32>| {
        let finite = row[4] == 1.0 && row.iter().all(|measure| measure.is_finite());
        finite.then(|| Score {
            predicted: row[0] as u32,
            logit_difference: row[1],
            rank: row[2] as u32,
            kl: row[3].max(0.0),
        })
    };
    measured.outer_iter().map(of_row).collect()
}

fn score(logits: &[f32], answers: &[u32], reference: &Reference) -> Score {
    let right = answers.iter().map(|&token| logits[token as usize]);
    let right = right.fold(f32::NEG_INFINITY, f32::max);
    let divergence =
        (reference.mean - dot(&reference.p, logits)) + (normaliser(logits) - reference.normaliser);
    Score {
        predicted: first_maximum(ArrayView1::from(logits)),
        logit_difference: right - largest_other(logits, answers),
        rank: rank(logits, answers, right),
        // Rounding can leave a little less than nothing.
        kl: divergence.max(0.0) as f32,
    }
}

/// How many tokens stand before the right answer with the largest logit, `right`, plus one: those that are larger, and of equal
/// ones those that come first, so that exactly what is predicted has rank 1. No right answer is larger than the largest one.
pub(super) fn rank(logits: &[f32], answers: &[u32], right: f32) -> u32 {
    let largest = answers.iter().map(|&token| token as usize);
    let at = largest.filter(|&token| logits[token] == right).min();
    let count = |logits: &[f32], before: fn(f32, f32) -> bool| {
        lanes(
            logits,
            0u32,
            |n, x| n + u32::from(before(x, right)),
            |a, b| a + b,
        )
    };
    1 + count(logits, |x, right| x > right)
        + count(&logits[..at.unwrap_or(0)], |x, right| x == right)
}

/// The logit difference of every prompt.
pub fn logit_difference(logits: ArrayView1<'_, f32>, answers: &[u32]) -> f32 {
    let logits = logits.to_slice().expect("logits lie in a row");
    let right = answers.iter().map(|&token| logits[token as usize]);
    right.fold(f32::NEG_INFINITY, f32::max) - largest_other(logits, answers)
}

/// The largest logit of a token that is no right answer.
fn largest_other(logits: &[f32], answers: &[u32]) -> f32 {
    let mut bounds: Vec<usize> = answers.iter().map(|&token| token as usize).collect();
    bounds.sort_unstable();
    let mut begin = 0;
    let mut most = f32::NEG_INFINITY;
    for end in bounds {
        most = most.max(maximum(&logits[begin..end.max(begin)]));
        begin = end + 1;
    }
    most.max(maximum(&logits[begin.min(logits.len())..]))
}

/// The index of the largest logit over the whole vocabulary, the first of equals.
pub fn first_maximum(logits: ArrayView1<'_, f32>) -> u32 {
    let logits = logits.to_slice().expect("logits lie in a row");
    let most = maximum(logits);
    let first = logits.iter().position(|&x| x == most);
    first.unwrap_or(0) as u32
}

/// Whether no value is NaN or infinite.
pub fn all_finite(logits: ArrayView2<'_, f32>) -> bool {
    // Nothing times zero is something else than zero but those.
    let sum = |row: &[f32]| lanes(row, 0.0f32, |sum, x| sum + x * 0.0, |a, b| a + b);
    let rows = rows(&logits);
    let finite = in_parallel(rows.len(), |row| sum(rows[row]) == 0.0);
    finite.into_iter().all(|finite| finite)
}

fn maximum(x: &[f32]) -> f32 {
    let larger = |a: f32, b: f32| if b > a { b } else { a };
    lanes(x, f32::NEG_INFINITY, larger, larger)
}

/// `ln sum exp(x)`.
pub(super) fn normaliser(x: &[f32]) -> f64 {
    let most = maximum(x);
    let mut sums = [0.0f64; 8];
    exps(x, most, |part| {
        for (sum, &x) in sums.iter_mut().zip(part) {
            *sum += f64::from(x);
        }
    });
    f64::from(most) + sums.iter().sum::<f64>().ln()
}

/// `exp(x - less)`, at most eight at a time, in order.
fn exps(x: &[f32], less: f32, mut done: impl FnMut(&[f32])) {
    let less = f32x8::splat(less);
    let chunks = x.chunks_exact(8);
    let rest = chunks.remainder();
    for chunk in chunks {
        let x = f32x8::new(chunk.try_into().expect("chunks of eight are exact"));
        done(&(x - less).exp().to_array());
    }
    let mut last = [0.0; 8];
    last[..rest.len()].copy_from_slice(rest);
    done(&(f32x8::new(last) - less).exp().to_array()[..rest.len()]);
}

fn dot(p: &[f32], x: &[f32]) -> f64 {
    let mut sums = [0.0f64; LANES];
    let (ps, xs) = (p.chunks_exact(LANES), x.chunks_exact(LANES));
    let rest = ps.remainder().iter().zip(xs.remainder());
    let rest: f64 = rest.map(|(&p, &x)| f64::from(p) * f64::from(x)).sum();
    for (p, x) in ps.zip(xs) {
        for lane in 0..LANES {
            sums[lane] += f64::from(p[lane]) * f64::from(x[lane]);
        }
    }
    sums.iter().sum::<f64>() + rest
}

const LANES: usize = 16;

/// Folds a row in lanes, always in the same order.
fn lanes<T: Copy>(x: &[f32], start: T, step: impl Fn(T, f32) -> T, join: impl Fn(T, T) -> T) -> T {
    let mut all = [start; LANES];
    let chunks = x.chunks_exact(LANES);
    let rest = chunks.remainder();
    for chunk in chunks {
        for lane in 0..LANES {
            all[lane] = step(all[lane], chunk[lane]);
        }
    }
    let joined = all[1..].iter().fold(all[0], |a, &b| join(a, b));
    rest.iter().fold(joined, |all, &x| step(all, x))
}

fn rows<'a>(logits: &ArrayView2<'a, f32>) -> Vec<&'a [f32]> {
    let all = logits.to_slice().expect("logits lie in rows");
    match logits.ncols() {
        0 => Vec::new(),
        vocab => all.chunks_exact(vocab).collect(),
    }
}

/// One result a row, the rows shared out among the machine's threads.
pub(super) fn in_parallel<T: Send>(rows: usize, of: impl Fn(usize) -> T + Sync) -> Vec<T> {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let share = rows.div_ceil(threads).max(1);
    if rows < 2 * threads {
        return (0..rows).map(of).collect();
    }
    let of = &of;
    std::thread::scope(|scope| {
        let parts: Vec<_> = (0..rows)
            .step_by(share)
            .map(|begin| {
                let end = rows.min(begin + share);
                scope.spawn(move || (begin..end).map(of).collect::<Vec<T>>())
            })
            .collect();
        let joined = parts.into_iter().flat_map(|part| {
            part.join()
                .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        });
        joined.collect()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::Array2;

    /// Exponentials of logits are taken in f32, whose last place is 6e-8 of each.
    const SINGLE: f64 = 1e-6;

    #[test]
    fn the_first_of_equal_maxima_is_the_answer() {
        let first = |logits: &[f32]| first_maximum(ArrayView1::from(logits));
        assert_eq!(first(&[0.0, 0.0, 0.0]), 0);
        assert_eq!(first(&[-3.0, 2.0, 2.0, 1.0]), 1);
        assert_eq!(first(&[-3.0, -2.0, -9.0]), 1);
    }

    /// What a device measured are the scores, as long as every logit and every measure of the batch is finite.
    #[test]
    fn what_a_device_measured_is_read() {
        let fine = [[7.0, 1.5, 1.0, 0.25, 1.0], [3.0, -2.0, 5.0, -0.0, 1.0]];
        let found = of_device(&Array2::from(fine.to_vec())).unwrap();
        let score = |predicted, logit_difference, rank, kl| Score {
            predicted,
            logit_difference,
            rank,
            kl,
        };
        assert_eq!(found, [score(7, 1.5, 1, 0.25), score(3, -2.0, 5, 0.0)]);
        for (column, value) in [(4, 0.0), (1, f32::NAN), (3, f32::INFINITY)] {
            let mut broken = fine.to_vec();
            broken[1][column] = value;
            assert_eq!(of_device(&Array2::from(broken)), None, "{column}");
        }
    }

    /// What all prompts have that have any is given once; what they do not have in common is given to each, filled up with its own.
    #[test]
    fn the_right_answers_of_all_go_to_a_device_once() {
        let on_device = |answers: &[&[u32]]| {
            let of = given(answers);
            (of.shape().to_vec(), of.iter().copied().collect::<Vec<_>>())
        };
        assert_eq!(on_device(&[&[4, 9], &[], &[4, 9]]), (vec![2], vec![4, 9]));
        assert_eq!(
            on_device(&[&[4, 9], &[], &[9, 4]]),
            (vec![3, 2], vec![4, 9, 0, 0, 9, 4])
        );
        assert_eq!(on_device(&[&[4, 9], &[7]]), (vec![2, 2], vec![4, 9, 7, 7]));
        assert_eq!(on_device(&[&[7], &[7]]), (vec![2, 1], vec![7, 7]));
        assert_eq!(on_device(&[&[], &[]]), (vec![2, 1], vec![0, 0]));
    }

    /// Scores follow from their definitions, in f64, one token after another.
    #[test]
    fn scores_are_those_of_the_definitions() {
        let vocab = 1003;
        let noise = |seed: usize, i: usize| ((i * 7919 + seed * 104729) % 10007) as f32 / 700.0;
        let logits = Array2::from_shape_fn((5, vocab), |(row, i)| noise(row, i));
        let base = Array2::from_shape_fn((5, vocab), |(row, i)| noise(row + 11, i) - 3.0);
        let answers: [&[u32]; 5] = [&[0], &[1002], &[17, 18], &[900, 3], &[500]];
        let found = of_host(logits.view(), &answers, &references(base.view()));
        for (row, found) in found.iter().enumerate() {
            let (q, p) = (logits.row(row), base.row(row));
            let right = |i: usize| answers[row].contains(&(i as u32));
            let most = |wanted: bool| {
                let chosen = (0..vocab).filter(|&i| right(i) == wanted).map(|i| q[i]);
                chosen.fold(f32::NEG_INFINITY, f32::max)
            };
            let larger = (0..vocab).filter(|&i| !right(i) && q[i] > most(true));
            let log = |x: ArrayView1<'_, f32>| {
                let sum: f64 = x.iter().map(|&x| f64::from(x).exp()).sum();
                x.mapv(|x| f64::from(x) - sum.ln())
            };
            let (log_p, log_q) = (log(p), log(q));
            let kl: f64 = (log_p.iter().zip(&log_q))
                .map(|(p, q)| p.exp() * (p - q))
                .sum();
            assert_eq!(found.logit_difference, most(true) - most(false));
            assert_eq!(found.rank as usize, 1 + larger.count());
            assert_eq!(q[found.predicted as usize], most(true).max(most(false)));
            assert!(
                (f64::from(found.kl) - kl).abs() < SINGLE,
                "{} {kl}",
                found.kl
            );
        }
        let same = of_host(base.view(), &answers, &references(base.view()));
        assert!(same.iter().all(|score| score.kl == 0.0));
    }

    #[test]
    fn nan_and_infinity_are_seen_wherever_they_stand() {
        for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            for at in [0, 15, 16, 40] {
                let mut logits = Array2::from_elem((3, 41), 1.5f32);
                assert!(all_finite(logits.view()));
                logits[[1, at]] = bad;
                assert!(!all_finite(logits.view()));
            }
        }
    }
}
