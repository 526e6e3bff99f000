//! Two runs beside each other: what got better, what got worse, and whether that could be chance.

use super::{Line, Measurement, Row, key};
use crate::intervene::ablation::CAMA;
use crate::stats::{Mean, difference_bounds, discordant, holm, mcnemar_two_sided};

/// The level at which a difference counts, after Holm's correction over all cells that are compared.
const LEVEL: f64 = 0.05;

/// Cells that both of two runs measured, and how many only one of them did.
#[derive(Clone, Debug)]
pub struct Comparison<'l> {
    /// All cells of the later run.
    pub now: Vec<&'l Measurement>,
    /// All cells of the earlier run.
    pub before: Vec<&'l Measurement>,
    /// Cells of both on the same prompts, and the unmodified models on these.
    pub pairs: Vec<Pair<'l>>,
    /// Cells of both on other prompts.
    pub other_prompts: usize,
    /// Cells of the later run alone.
    pub only_now: usize,
    /// Cells of the earlier run alone.
    pub only_before: usize,
}

/// Two cells on the same prompts, or the unmodified models on them.
#[derive(Clone, Debug)]
pub struct Pair<'l> {
    /// The name of the cell, in words.
    pub name: String,
    /// The cell of the later run.
    pub now: &'l Measurement,
    /// The cell of the earlier run.
    pub before: &'l Measurement,
    /// Whether the pair is of the unmodified models.
    pub base: bool,
    /// Prompts that only the later run answers correctly.
    pub only_now: usize,
    /// Prompts that only the earlier run answers correctly.
    pub only_before: usize,
    /// The difference of the accuracies, with its bounds.
    pub difference: Mean,
    /// The two-sided p of the answers.
    pub p: f64,
    /// The same after Holm's correction over all pairs.
    pub p_holm: f64,
    /// What changed.
    pub change: Change,
}

/// What changed from one run to the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// More right answers, where they are a merit.
    Better,
    /// Fewer right answers, where they are a merit.
    Worse,
    /// More right answers of a knock-out or of an ablation to compare with.
    Higher,
    /// Fewer right answers of one of these.
    Lower,
    /// A difference that could be chance.
    Insignificant,
}

impl Change {
    /// Every change, the merits first.
    pub const ALL: [Self; 5] = [
        Self::Better,
        Self::Worse,
        Self::Higher,
        Self::Lower,
        Self::Insignificant,
    ];
}

impl std::fmt::Display for Change {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Better => "better",
            Self::Worse => "worse",
            Self::Higher => "higher",
            Self::Lower => "lower",
            Self::Insignificant => "no significant change",
        })
    }
}

impl<'l> Comparison<'l> {
    /// Compares the cells of two runs.
    pub fn of(now: &'l [Line], before: &'l [Line]) -> Self {
        let (now, before) = (cells(now), cells(before));
        let (mut pairs, mut other_prompts, mut only_now) = (Vec::<Pair<'_>>::new(), 0, 0);
        for &m in &now {
            match before.iter().find(|o| key(o) == key(m)) {
                Some(o) if o.answers.prompts_sha256 == m.answers.prompts_sha256 => {
                    let known = |pair: &Pair<'_>| {
                        pair.base && pair.now.answers.prompts_sha256 == m.answers.prompts_sha256
                    };
                    if !pairs.iter().any(known) {
                        pairs.push(Pair::of(m, o, true));
                    }
                    pairs.push(Pair::of(m, o, false));
                }
                Some(_) => other_prompts += 1,
                None => only_now += 1,
            }
        }
        let gone = |o: &&&Measurement| now.iter().all(|m| key(m) != key(o));
        let only_before = before.iter().filter(gone).count();
        let p: Vec<f64> = pairs.iter().map(|pair| pair.p).collect();
        for (pair, p) in pairs.iter_mut().zip(holm(&p)) {
            pair.p_holm = p;
            pair.change = pair.change();
        }
        Self {
            now,
            before,
            pairs,
            other_prompts,
            only_now,
            only_before,
        }
    }
}

impl<'l> Pair<'l> {
    /// Two cells, before the correction.
    fn of(now: &'l Measurement, before: &'l Measurement, base: bool) -> Self {
        let bits = |m: &'l Measurement| match base {
            true => &m.answers.base,
            false => &m.answers.right,
        };
        let pairs = bits(now).iter().copied().zip(bits(before).iter().copied());
        let (only_now, only_before) = discordant(pairs);
        let (low, high) = difference_bounds(only_now, only_before, now.counts.prompts, 0.025);
        let p = mcnemar_two_sided(only_now, only_before);
        let difference = share(now, base) - share(before, base);
        Self {
            name: match base {
                true => format!("{} {} unmodified", now.subject.style, now.subject.operation),
                false => key(now).to_string(),
            },
            now,
            before,
            base,
            only_now,
            only_before,
            difference: Mean {
                value: difference,
                low,
                high,
            },
            p,
            p_holm: p,
            change: Change::Insignificant,
        }
    }

    /// The share of right answers in one of the runs.
    pub fn share(&self, m: &Measurement) -> f64 {
        share(m, self.base)
    }

    /// More right answers are a merit of the model and of AF1, not of a knock-out or of an ablation to compare with.
    fn change(&self) -> Change {
        let merit = self.base
            || (self.now.subject.ablation == CAMA.name() && self.now.subject.pruning.is_none());
        match self.only_now > self.only_before {
            _ if self.p_holm > LEVEL => Change::Insignificant,
            true if merit => Change::Better,
            false if merit => Change::Worse,
            true => Change::Higher,
            false => Change::Lower,
        }
    }
}

/// The share of right answers of a cell, or of the unmodified model on its prompts.
fn share(m: &Measurement, base: bool) -> f64 {
    let right = if base {
        m.counts.base_correct
    } else {
        m.counts.correct
    };
    right as f64 / m.counts.prompts.max(1) as f64
}

fn cells(lines: &[Line]) -> Vec<&Measurement> {
    let cells = lines.iter().filter_map(|line| match &line.row {
        Row::Measured(m) => Some(&**m),
        _ => None,
    });
    cells.collect()
}
