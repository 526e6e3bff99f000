//! What follows from records that are taken together: corrections for many tests, all draws of contexts, pruned heads beside random
//! ones, pools of styles. It is computed here, once; whatever shows records is given the result.

use std::collections::BTreeSet;

use super::{
    Failure, HeadAttention, Kind, Line, Measurement, Outcome, OverDraws, Patched, PruningOrder,
    Reading, Row, Sheet, order::in_order, over_draws, place::SetOfPrompts, pooled,
    verdict::corrected, whole::whole,
};
use crate::stats::{self, Inference, Proportion};

/// Records with what follows from them.
#[derive(Clone, Debug)]
pub struct Findings<'l> {
    /// The lines, as they were read.
    pub lines: &'l [Line],
    /// The sweeps, in the order in which they first appear.
    pub sweeps: Vec<Sweep>,
    /// What was said to prompts whose right answer is lost, where a file of answers was read.
    pub said: Sheet,
}

/// The records of one sweep.
#[derive(Clone, Debug)]
pub struct Sweep {
    /// What the sweep is called.
    pub name: String,
    /// The model of its first record.
    pub model: String,
    /// The experiment that asked for its cells.
    pub kind: Kind,
    /// The cells by template, in the order of the experiment, whichever were measured first.
    pub groups: Vec<Group>,
    /// The heads of which the attention was read.
    pub heads: Vec<HeadAttention>,
    /// What swapped residuals do, boundary by boundary.
    pub patches: Vec<Patched>,
    /// What the lens reads, boundary by boundary.
    pub readings: Vec<Reading>,
    /// What could not be measured.
    pub failures: Vec<Failure>,
    /// The templates together, where there are several styles: see [`pooled`].
    pub pools: Vec<Tested>,
    /// Whole answers, where they have several tokens: right where every step is.
    pub whole: Vec<Tested>,
}

/// The cells of a template.
#[derive(Clone, Debug)]
pub struct Group {
    /// The cells, in the order of the records.
    pub cells: Vec<Tested>,
    /// The draws of every number of contexts; none where no contexts were drawn.
    pub draws: Vec<Draws>,
    /// The pruned set of heads beside random ones, where there are random ones.
    pub controls: Option<Controls>,
}

/// A measurement with what follows from it beside others.
#[derive(Clone, Debug)]
pub struct Tested {
    /// The measurement.
    pub m: Measurement,
    /// The verdict after a correction over all verdicts of the sweep, or of the pools.
    pub in_sweep: Option<Corrected>,
    /// The verdict after a correction over all verdicts of the template.
    pub in_template: Option<Corrected>,
    /// The p of its comparison with the reference, after Holm's correction over those of the template.
    pub p_holm: Option<f64>,
    /// The 95% interval of the accuracy without transfer; `None` where the counts do not say it.
    pub empty: Option<(f64, f64)>,
    /// The lower end of the 95% interval if all right answers of the unmodified model were kept.
    pub best_low: f64,
}

/// A verdict after Holm's correction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Corrected {
    /// The outcome.
    pub outcome: Outcome,
    /// The number of verdicts that were corrected together.
    pub among: usize,
}

/// All draws of a number of contexts.
#[derive(Clone, Debug)]
pub struct Draws {
    /// Contexts of a mean.
    pub contexts: usize,
    /// The faithfulness of each draw, where there is something to keep.
    pub each: Vec<f64>,
    /// The number of draws.
    pub count: usize,
    /// What they say together; `None` where there is nothing to keep.
    pub all: Option<OverDraws>,
}

/// How random sets of heads do beside the pruned set of their size.
#[derive(Clone, Debug)]
pub struct Controls {
    /// The cell of the pruned set.
    pub chosen: Measurement,
    /// The number of heads of the pruned set.
    pub heads: usize,
    /// The number of random sets.
    pub sets: usize,
    /// Right answers that the random sets keep: the median.
    pub median: usize,
    /// The most that one of them keeps.
    pub most: usize,
    /// Sets that keep as much as the pruned one.
    pub as_good: usize,
    /// The p of that many sets being as good, if the pruned set were a random one.
    pub p: f64,
}

impl<'l> Findings<'l> {
    /// What these records say.
    pub fn of(lines: &'l [Line]) -> Self {
        let mut sweeps: Vec<(&str, Vec<&Line>)> = Vec::new();
        for line in lines {
            let Some(place) = line.place() else {
                continue;
            };
            match sweeps.iter_mut().find(|(known, _)| *known == place.sweep) {
                Some((_, lines)) => lines.push(line),
                None => sweeps.push((&place.sweep, vec![line])),
            }
        }
        let sweep = |(name, mut lines): (&str, Vec<&Line>)| {
            in_order(&mut lines);
            Sweep::of(name, &lines)
        };
        Self {
            lines,
            sweeps: sweeps.into_iter().map(sweep).collect(),
            said: Sheet::default(),
        }
    }

    /// The measurements that follow from the records and are in none: of whole answers, and pooled.
    pub fn pools(&self) -> impl Iterator<Item = &Measurement> {
        let sweeps = self.sweeps.iter();
        let all = sweeps.flat_map(|sweep| sweep.whole.iter().chain(&sweep.pools));
        all.map(|pool| &pool.m)
    }
}

/// The measurements among lines.
pub fn measured(lines: &[Line]) -> Vec<Measurement> {
    let cells = lines.iter().filter_map(|line| match &line.row {
        Row::Measured(m) => Some((**m).clone()),
        _ => None,
    });
    cells.collect()
}

/// The template of a measurement, and the numbers of its prompts.
fn template(m: &Measurement) -> SetOfPrompts {
    m.address().set()
}

/// Cells by template.
fn grouped(mut all: Vec<Tested>) -> Vec<Group> {
    let mut groups: Vec<Group> = Vec::new();
    while let Some(first) = all.first().map(|cell| template(&cell.m)) {
        let same = all.iter().take_while(|cell| template(&cell.m) == first);
        let rest = all.split_off(same.count());
        groups.push(Group::of(std::mem::replace(&mut all, rest)));
    }
    groups
}

impl Sweep {
    /// The same in which the whole answers of a template stand behind its steps, as a template of their own.
    pub fn with_whole(&self) -> Self {
        let mut all = self.clone();
        all.groups.extend(grouped(std::mem::take(&mut all.whole)));
        all
    }

    fn of(name: &str, lines: &[&Line]) -> Self {
        let (mut cells, mut heads, mut patches) = (Vec::new(), Vec::new(), Vec::new());
        let (mut readings, mut failures) = (Vec::new(), Vec::new());
        for line in lines {
            match &line.row {
                Row::Measured(m) => cells.push((**m).clone()),
                Row::Attention(a) => heads.push((**a).clone()),
                Row::Patched(p) => patches.push((**p).clone()),
                Row::Reading(r) => readings.push((**r).clone()),
                Row::Failed(f) => failures.push((**f).clone()),
                _ => {}
            }
        }
        let model = lines.first().and_then(|line| line.row.model());
        let kind = lines.first().and_then(|line| line.place());
        let kind = kind.map_or(Kind::default(), |place| place.kind.clone());
        let whole = whole(&cells);
        let pools = pooled(&cells, &whole);
        let groups = grouped(tested(cells));
        Self {
            name: name.to_owned(),
            model: model.unwrap_or_default().to_owned(),
            kind,
            groups,
            heads,
            patches,
            readings,
            failures,
            pools: tested(pools),
            whole: tested(whole),
        }
    }

    /// All cells, in the order of the records.
    pub fn cells(&self) -> impl Iterator<Item = &Tested> + Clone {
        self.groups.iter().flat_map(|group| &group.cells)
    }

    /// All measurements, in the order of the records.
    pub fn measurements(&self) -> impl Iterator<Item = &Measurement> + Clone {
        self.cells().map(|cell| &cell.m)
    }

    /// The same sweep with some of its cells only.
    #[must_use]
    pub fn only(&self, wanted: impl Fn(&Measurement) -> bool) -> Self {
        let mut sweep = self.clone();
        for group in &mut sweep.groups {
            group.cells.retain(|cell| wanted(&cell.m));
        }
        sweep.groups.retain(|group| !group.cells.is_empty());
        sweep
    }
}

impl From<Measurement> for Tested {
    /// A measurement beside no other.
    fn from(m: Measurement) -> Self {
        Self {
            empty: empty(&m),
            best_low: Proportion::wilson(m.counts.base_correct, m.counts.base_correct).low,
            m,
            in_sweep: None,
            in_template: None,
            p_holm: None,
        }
    }
}

/// Measurements with what follows from them if their verdicts are corrected together.
fn tested(cells: Vec<Measurement>) -> Vec<Tested> {
    let holm = corrected_together(cells.iter());
    let mut all: Vec<Tested> = cells.into_iter().map(Tested::from).collect();
    for (cell, corrected) in all.iter_mut().zip(holm) {
        cell.in_sweep = corrected;
    }
    all
}

/// The verdicts of these measurements, corrected together.
fn corrected_together<'m>(cells: impl Iterator<Item = &'m Measurement>) -> Vec<Option<Corrected>> {
    let outcomes = corrected(cells);
    let among = outcomes.iter().flatten().count();
    let with = |outcome: Option<Outcome>| {
        Some(Corrected {
            outcome: outcome?,
            among,
        })
    };
    outcomes.into_iter().map(with).collect()
}

/// About these prompts the interval of the accuracy without transfer follows from the counts.
fn empty(m: &Measurement) -> Option<(f64, f64)> {
    let share = Proportion::wilson(m.counts.empty_correct?, m.counts.prompts);
    (m.test.inference == Inference::Prompts).then_some((share.low, share.high))
}

impl Group {
    fn of(mut cells: Vec<Tested>) -> Self {
        let holm = corrected_together(cells.iter().map(|cell| &cell.m));
        let p: Vec<f64> = (cells.iter())
            .filter_map(|cell| Some(cell.m.paired.as_ref()?.p))
            .collect();
        let mut p = stats::holm(&p).into_iter();
        for (cell, corrected) in cells.iter_mut().zip(holm) {
            cell.in_template = corrected;
            cell.p_holm = cell.m.paired.as_ref().and_then(|_| p.next());
        }
        Self {
            draws: draws(&cells),
            controls: controls(&cells),
            cells,
        }
    }

    /// The first cell; all say the same of the template.
    pub fn first(&self) -> &Measurement {
        &self.cells[0].m
    }
}

/// The draws of every number of contexts, in the order in which the numbers first appear.
fn draws(cells: &[Tested]) -> Vec<Draws> {
    let mut numbers: Vec<(usize, Vec<&Measurement>)> = Vec::new();
    for m in cells.iter().map(|cell| &cell.m) {
        let Some(contexts) = m.subject.draw.map(|draw| draw.contexts) else {
            continue;
        };
        match numbers.iter_mut().find(|(known, _)| *known == contexts) {
            Some((_, cells)) => cells.push(m),
            None => numbers.push((contexts, vec![m])),
        }
    }
    let of = |(contexts, cells): (usize, Vec<&Measurement>)| {
        // The record of the last draw has it; those of earlier programs do not.
        let recorded = cells.iter().find_map(|m| m.over_draws.clone());
        Draws {
            contexts,
            each: cells
                .iter()
                .filter_map(|m| m.scores.faithfulness.value)
                .collect(),
            count: cells.len(),
            all: recorded.or_else(|| over_draws(&cells)),
        }
    };
    numbers.into_iter().map(of).collect()
}

/// Whether a cell is of a set of heads that was drawn.
pub fn is_random_set(m: &Measurement) -> bool {
    m.subject.pruning == Some(PruningOrder::RandomSet)
}

fn controls(cells: &[Tested]) -> Option<Controls> {
    let cells = cells.iter().map(|cell| &cell.m);
    let (sets, steps): (Vec<&Measurement>, Vec<&Measurement>) =
        cells.partition(|m| is_random_set(m));
    let size = |m: &Measurement| m.subject.pruned_heads().map_or(0, BTreeSet::len);
    let kept = |m: &Measurement| m.counts.correct_given_base;
    let heads = size(sets.first()?);
    let chosen = *steps.iter().find(|m| size(m) == heads)?;
    let as_good = sets.iter().filter(|set| kept(set) >= kept(chosen)).count();
    let mut all: Vec<usize> = sets.iter().map(|set| kept(set)).collect();
    all.sort_unstable();
    Some(Controls {
        chosen: chosen.clone(),
        heads,
        sets: sets.len(),
        median: all[all.len() / 2],
        most: all[all.len() - 1],
        as_good,
        p: (1 + as_good) as f64 / (1 + sets.len()) as f64,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::intervene::{Head, Plan};
    use crate::measure::Draw;
    use crate::record::{Counts, Place, Subject, Test, Verdict};

    fn line(change: impl Fn(&mut Measurement)) -> Line {
        let mut m = Measurement {
            place: Place {
                sweep: "s".into(),
                ..Place::default()
            },
            subject: Subject {
                style: "plain".into(),
                operation: "A+B".into(),
                ..Subject::default()
            },
            counts: Counts {
                prompts: 10,
                base_correct: 10,
                ..Counts::default()
            },
            test: Test {
                level: 0.05,
                ..Test::default()
            },
            ..Measurement::default()
        };
        change(&mut m);
        Line::new(Row::Measured(Box::new(m)))
    }

    /// A pass that is one by a hair.
    fn pass(style: &str) -> Line {
        line(|m| {
            m.subject.style = style.into();
            m.test.verdict = Some(Verdict {
                outcome: Outcome::Pass,
                reason: String::new(),
            });
            (m.test.p_pass, m.test.p_fail) = (Some(0.03), Some(1.0));
        })
    }

    /// One test of 0.03 stands, two of a template do not; nor do three of a sweep.
    #[test]
    fn verdicts_are_corrected_by_template_and_by_sweep() {
        let lines = [pass("a"), pass("a"), pass("b"), line(|_| ())];
        let findings = Findings::of(&lines);
        let cells: Vec<&Tested> = findings.sweeps[0].cells().collect();
        let of = |corrected: Option<Corrected>| corrected.map(|c| (c.outcome, c.among));
        let in_sweep: Vec<_> = cells.iter().map(|cell| of(cell.in_sweep)).collect();
        let in_template: Vec<_> = cells.iter().map(|cell| of(cell.in_template)).collect();
        let (pass, unclear) = (Outcome::Pass, Outcome::Inconclusive);
        assert_eq!(
            in_sweep,
            [
                Some((unclear, 3)),
                Some((unclear, 3)),
                Some((unclear, 3)),
                None
            ]
        );
        assert_eq!(
            in_template,
            [
                Some((unclear, 2)),
                Some((unclear, 2)),
                Some((pass, 1)),
                None
            ]
        );
    }

    #[test]
    fn a_pruned_set_stands_beside_random_ones_of_its_size() {
        let cell = |pruning: PruningOrder, heads: usize, kept: usize| {
            line(|m| {
                m.subject.pruning = Some(pruning);
                m.subject.plan = Plan::pruned(0, 1, Head::all(0..1, heads).collect());
                m.counts.correct_given_base = kept;
            })
        };
        let mut lines = vec![
            cell(PruningOrder::Greedy, 0, 10),
            cell(PruningOrder::Greedy, 1, 9),
            cell(PruningOrder::Greedy, 2, 4),
        ];
        assert!(Findings::of(&lines).sweeps[0].groups[0].controls.is_none());
        lines.extend([3, 9, 5].map(|kept| cell(PruningOrder::RandomSet, 1, kept)));
        let findings = Findings::of(&lines);
        let found = findings.sweeps[0].groups[0].controls.as_ref().unwrap();
        let chosen = (found.heads, found.chosen.counts.correct_given_base);
        assert_eq!(chosen, (1, 9));
        assert_eq!((found.sets, found.median, found.most), (3, 5, 9));
        assert_eq!((found.as_good, found.p), (1, 0.5));
    }

    #[test]
    fn draws_are_of_a_number_of_contexts() {
        let draw = |contexts: usize, share: f64| {
            line(|m| {
                m.subject.draw = Some(Draw { contexts, seed: 0 });
                m.scores.faithfulness.value = Some(share);
            })
        };
        let lines = [draw(5, 0.5), draw(1, 0.25), draw(5, 0.75)];
        let findings = Findings::of(&lines);
        let draws = &findings.sweeps[0].groups[0].draws;
        let numbers: Vec<(usize, usize)> = draws.iter().map(|d| (d.contexts, d.count)).collect();
        assert_eq!(numbers, [(5, 2), (1, 1)]);
        assert_eq!(draws[0].each, [0.5, 0.75]);
    }

    #[test]
    fn sweeps_that_are_mixed_are_taken_apart() {
        let of = |sweep: &str, style: &str| {
            line(|m| (m.place.sweep, m.subject.style) = (sweep.to_owned(), style.to_owned()))
        };
        let lines = [of("x", "a"), of("y", "a"), of("x", "b"), of("x", "b")];
        let findings = Findings::of(&lines);
        let sizes = |sweep: &Sweep| {
            sweep
                .groups
                .iter()
                .map(|g| g.cells.len())
                .collect::<Vec<_>>()
        };
        let found: Vec<(&str, Vec<usize>)> = findings
            .sweeps
            .iter()
            .map(|sweep| (&*sweep.name, sizes(sweep)))
            .collect();
        assert_eq!(found, [("x", vec![1, 2]), ("y", vec![1])]);
        let only = findings.sweeps[0].only(|m| m.subject.style == "b");
        assert_eq!(sizes(&only), [2]);
    }
}
