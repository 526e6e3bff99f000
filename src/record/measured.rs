//! The measurements that follow from the answers of an evaluation.

use std::collections::BTreeMap;

use super::about::About;
use super::strata::Classes;
use super::{
    Answers, ContextCounts, Counts, HeadAttention, Kind, Measurement, Paired, Place, PromptAnswer,
    Provenance, Scores, Subject, Test, Weight, Wrong, judge, tests,
};
use crate::file::sha256_bytes;
use crate::intervene::{Estimator, Head, Plan, Tail};
use crate::measure::{Attended, Cell, Compared, Evaluation};
use crate::prompt::{PromptSet, Step, Tokenizer};
use crate::stats::{Inference, discordant};

/// What all measurements of a run have in common.
pub struct Run<'a> {
    /// The experiment; plans of another kind than AF1 are measured as their own.
    pub experiment: Kind,
    /// How means are estimated.
    pub estimator: Estimator,
    /// The model's name.
    pub model: &'a str,
    /// The tokenizer of the model, for the text of what the model says.
    pub tokenizer: &'a Tokenizer,
    /// The number of layers of the model.
    pub layers: usize,
    /// The number of heads a layer.
    pub heads: usize,
    /// The subgraph `(W, K)` that is only a guess of the model's preset, if it is one.
    pub guess: Option<(usize, usize)>,
    /// The faithfulness that verdicts are about.
    pub claim: f64,
    /// The level of their tests.
    pub level: f64,
    /// What intervals, tests and verdicts are about.
    pub inference: Inference,
    /// Under what the run is made.
    pub provenance: &'a Provenance,
    /// Whether measurements have what was said to each prompt.
    pub each: bool,
}

/// The measurements of cells of one evaluation, in their order.
pub fn measure<'a>(
    evaluation: &Evaluation,
    run: &Run<'_>,
    cells: impl IntoIterator<Item = Compared<'a>>,
) -> Vec<Measurement> {
    let about = About::of(&evaluation.set, &evaluation.evaluated, run.inference);
    let facts = Facts::of(evaluation, run, &about);
    let one = |compared: Compared<'a>| {
        let mut m = facts.measurement(evaluation, run, &about, compared);
        m.test.verdict = judge(&m);
        let tests = tests(&m);
        m.test.p_pass = tests.map(|tests| tests.pass);
        m.test.p_fail = tests.map(|tests| tests.fail);
        m
    };
    cells.into_iter().map(one).collect()
}

/// What all cells of an evaluation share.
struct Facts {
    /// Whether the unmodified model is right, for every evaluated prompt.
    base: Vec<bool>,
    base_correct: usize,
    all_prompts: usize,
    all_base_correct: usize,
    constant_answer: Option<i64>,
    constant_correct: usize,
    p_base_above_constant: f64,
    prompts_sha256: String,
    classes: Classes,
    wrong: Wrong,
}

impl Facts {
    fn of(evaluation: &Evaluation, run: &Run<'_>, about: &About) -> Self {
        let answer = answers(evaluation, run.tokenizer);
        let mut counts: BTreeMap<&Constant, usize> = BTreeMap::new();
        for answer in &answer {
            *counts.entry(answer).or_insert(0) += 1;
        }
        // The best constant answer; the smallest of equals.
        let best = counts
            .iter()
            .max_by_key(|&(&answer, &count)| (count, std::cmp::Reverse(answer)));
        let constant: Vec<bool> = match best {
            Some((best, _)) => answer.iter().map(|answer| answer == *best).collect(),
            None => Vec::new(),
        };
        let (constant_answer, constant_correct) = match best {
            Some((Constant::Number(number), &count)) => (Some(*number), count),
            Some((Constant::Token(_), &count)) => (None, count),
            None => (Some(0), 0),
        };
        let evaluated = || evaluation.evaluated.iter();
        let base: Vec<bool> = evaluated().map(|&p| evaluation.base_correct(p)).collect();
        let texts: Vec<&str> = evaluation
            .evaluated
            .iter()
            .map(|&prompt| evaluation.set.prompts[prompt].text.as_str())
            .collect();
        let base_correct = count(&base);
        let asked = evaluation.set.asked();
        let all_right = asked.iter().filter(|&&i| evaluation.base_correct(i));
        Self {
            prompts_sha256: sha256_bytes(texts.join("\0").as_bytes()).to_string(),
            all_prompts: asked.len(),
            all_base_correct: all_right.count(),
            constant_answer,
            constant_correct,
            p_base_above_constant: about.greater(&base, &constant),
            classes: Classes::of(evaluation, run.tokenizer),
            wrong: wrong(evaluation, base_correct, run),
            base_correct,
            base,
        }
    }

    /// The measurement of a cell, without its verdict.
    fn measurement(
        &self,
        evaluation: &Evaluation,
        run: &Run<'_>,
        about: &About,
        compared: Compared<'_>,
    ) -> Measurement {
        let Compared {
            cell,
            empty,
            reference,
        } = compared;
        let right: Vec<bool> = evaluation.correct(cell).collect();
        let empty: Option<Vec<bool>> = empty.map(|empty| evaluation.correct(empty).collect());
        let counts = self.counts(evaluation, &right, empty.as_deref());
        let guess = |(wait, k)| cell.plan == Plan::af1(wait, k).with(cell.plan.masking);
        Measurement {
            place: Place::default(),
            experiment: match cell.plan.tail {
                Tail::Causal => Kind::WAITING,
                Tail::Knockout { .. } => Kind::NECESSITY,
                Tail::Af1 { .. } | Tail::Pruned { .. } | Tail::Apart { .. } => {
                    run.experiment.clone()
                }
            },
            subject: subject(evaluation, run, cell),
            counts,
            scores: self.scores(evaluation, about, cell, &right, &counts),
            test: Test {
                inference: run.inference,
                claim: run.claim,
                level: run.level,
                guess: run.guess.is_some_and(guess),
                p_base_above_constant: self.p_base_above_constant,
                p_above_empty: (empty.as_ref()).map(|empty| about.greater(&right, empty)),
                p_pass: None,
                p_fail: None,
                verdict: None,
            },
            words: match evaluation.set.template.answer.words() {
                Some(words) => words.all().to_vec(),
                None => Vec::new(),
            },
            strata: self.classes.strata(&self.base, &right),
            answers: Answers {
                prompts_sha256: self.prompts_sha256.clone(),
                base: self.base.clone(),
                right,
                empty,
                operands: operands(evaluation, run, &compared),
                each: match run.each {
                    true => each(evaluation, run, cell),
                    false => Vec::new(),
                },
            },
            contexts: contexts(evaluation, cell),
            wrong: self.wrong.clone(),
            choice: None,
            paired: reference.map(|reference| pair(evaluation, cell, reference, about)),
            over_draws: None,
            batch_halved_to: (evaluation.batch() != run.provenance.batch)
                .then_some(evaluation.batch()),
            provenance: run.provenance.clone(),
        }
    }

    fn counts(&self, evaluation: &Evaluation, right: &[bool], empty: Option<&[bool]>) -> Counts {
        let both = right.iter().zip(&self.base);
        Counts {
            prompts: evaluation.evaluated.len(),
            excluded: evaluation.set.excluded.total(),
            undefined: evaluation.undefined,
            degenerate: evaluation.degenerate,
            mixed: evaluation.mixed,
            base_correct: self.base_correct,
            correct: count(right),
            correct_given_base: both.filter(|(right, base)| **right && **base).count(),
            constant_correct: self.constant_correct,
            constant_answer: self.constant_answer,
            empty_correct: empty.map(count),
            all_prompts: self.all_prompts,
            all_base_correct: self.all_base_correct,
        }
    }

    fn scores(
        &self,
        evaluation: &Evaluation,
        about: &About,
        cell: &Cell,
        right: &[bool],
        counts: &Counts,
    ) -> Scores {
        let kept = about.share_of(right, &self.base);
        Scores {
            base_accuracy: about.share(&self.base).interval(),
            accuracy: about.share(right).interval(),
            faithfulness: kept.interval(),
            design: kept.design,
            normalised_faithfulness: counts.empty_correct.and_then(|empty| {
                // What takes no subgraph at all, whichever is more.
                let floor = empty.max(counts.constant_correct);
                normalised(counts.correct, counts.base_correct, floor)
            }),
            logit_difference: about.mean(&floats(&cell.logit_difference)),
            base_logit_difference: average(&evaluation.base_logit_difference),
            kl_divergence: about.mean(&floats(&cell.kl)),
            median_rank: median(&cell.rank),
        }
    }
}

fn subject(evaluation: &Evaluation, run: &Run<'_>, cell: &Cell) -> Subject {
    let template = &evaluation.set.template;
    Subject {
        model: run.model.to_owned(),
        layers: run.layers,
        heads: match cell.plan.tail {
            Tail::Pruned { .. } => run.heads,
            _ => 0,
        },
        style: template.style.clone(),
        operation: template.operation.to_string(),
        ablation: cell.ablation.name().to_owned(),
        plan: cell.plan.clone(),
        pruning: None,
        estimator: run.estimator,
        part: evaluation.part,
        draw: evaluation.draw,
    }
}

fn contexts(evaluation: &Evaluation, cell: &Cell) -> ContextCounts {
    let contexts = &evaluation.contexts[&cell.plan.wait];
    ContextCounts {
        keys: contexts.keys,
        fewest: contexts.fewest,
        median: contexts.median,
        sampled: evaluation.set.drawn,
        fewest_of_operands: Some(evaluation.dependence.fewest),
        mutual_information: Some(evaluation.dependence.bits),
        largest_relative_error: contexts.largest_relative_error,
    }
}

/// The operands of the evaluated prompts, with which claims over several templates follow from the record: in the cells of AF1 that
/// are compared with no other, so that what a cell says depends on nothing else that is asked for.
fn operands(
    evaluation: &Evaluation,
    run: &Run<'_>,
    compared: &Compared<'_>,
) -> Option<Vec<Vec<i64>>> {
    let of = |&prompt: &usize| evaluation.set.prompts[prompt].operands.clone();
    let is_af1 = matches!(compared.cell.plan.tail, Tail::Af1 { .. });
    let is_pooled = run.experiment == Kind::AF1 && is_af1;
    // Of several tokens whole answers follow, prompt by prompt.
    let has_steps = evaluation.set.numbers.shape.answer > 1;
    ((is_pooled || has_steps) && compared.reference.is_none())
        .then(|| evaluation.evaluated.iter().map(of).collect())
}

/// What is said to every evaluated prompt in a cell.
fn each(evaluation: &Evaluation, run: &Run<'_>, cell: &Cell) -> Vec<PromptAnswer> {
    let set = &evaluation.set;
    let text = |&id: &u32| run.tokenizer.decode(id);
    let given = |ids: &[u32]| {
        ids[ids.len() - set.numbers.given()..]
            .iter()
            .map(text)
            .collect()
    };
    let of = |(i, &prompt): (usize, &usize)| PromptAnswer {
        prompt,
        given: given(&set.prompts[prompt].ids),
        base: evaluation.base[prompt],
        base_text: text(&evaluation.base[prompt]),
        text: text(&cell.predicted[i]),
        base_logit_difference: evaluation.base_logit_difference[i],
        predicted: cell.predicted[i],
        logit_difference: cell.logit_difference[i],
        rank: cell.rank[i],
        kl: cell.kl[i],
    };
    evaluation.evaluated.iter().enumerate().map(of).collect()
}

/// A right answer that could be given to every prompt.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Constant {
    /// An answer that reads as a number.
    Number(i64),
    /// A token that does not read as a number, such as a sign or what ends an answer.
    Token(u32),
}

/// The right answers of the evaluated prompts at their step.
fn answers(evaluation: &Evaluation, tokenizer: &Tokenizer) -> Vec<Constant> {
    let numbers = &evaluation.set.numbers;
    let has_words = evaluation.set.template.answer.words().is_some();
    // A word may be one token where an operand is several; a part of a word is no number, whatever it reads as.
    let single = numbers.shape.is_single() || has_words && numbers.shape.answer == 1;
    let of = |&prompt: &usize| {
        let prompt = &evaluation.set.prompts[prompt];
        match (numbers.step, prompt.answers.first()) {
            (Step::At(0), _) if single => Constant::Number(prompt.result.unwrap_or_default()),
            (Step::At(_), Some(&token)) if !has_words => {
                match tokenizer.decode(token).trim().parse() {
                    Ok(number) => Constant::Number(number),
                    Err(_) => Constant::Token(token),
                }
            }
            (_, token) => Constant::Token(token.copied().unwrap_or(0)),
        }
    };
    evaluation.evaluated.iter().map(of).collect()
}

/// What the unmodified model says where it is wrong, if it is wrong so often that the claim could not be about anything.
fn wrong(evaluation: &Evaluation, base_correct: usize, run: &Run<'_>) -> Wrong {
    let prompts = &evaluation.evaluated;
    if base_correct as f64 >= run.claim * prompts.len() as f64 {
        return Wrong::default();
    }
    Wrong::of(&evaluation.set, prompts, &evaluation.base, run.tokenizer)
}

/// The records of all heads' attention on the evaluated prompts of a set.
pub fn attended(
    heads: &[Attended],
    set: &PromptSet,
    evaluated: &[usize],
    run: &Run<'_>,
) -> Vec<HeadAttention> {
    let about = About::of(set, evaluated, run.inference);
    let weight = |values: &Vec<f64>| {
        let mean = about.mean(values);
        Weight {
            mean: mean.map_or(0.0, |mean| mean.value),
            low: mean.and_then(|mean| finite(mean.low)),
            high: mean.and_then(|mean| finite(mean.high)),
        }
    };
    let record = |head: &Attended| HeadAttention {
        place: Place::default(),
        experiment: run.experiment.clone(),
        model: run.model.to_owned(),
        style: set.template.style.clone(),
        operation: set.template.operation.to_string(),
        inference: run.inference,
        layers: run.layers,
        head: Head {
            layer: head.layer,
            head: head.head,
        },
        prompts: evaluated.len(),
        weights: (head.weights.iter())
            .map(|(name, values)| (name.clone(), weight(values)))
            .collect(),
        provenance: run.provenance.clone(),
    };
    heads.iter().map(record).collect()
}

/// A cell against the reference of its plan.
fn pair(evaluation: &Evaluation, cell: &Cell, reference: &Cell, about: &About) -> Paired {
    let (here, there): (Vec<bool>, Vec<bool>) = (
        evaluation.correct(cell).collect(),
        evaluation.correct(reference).collect(),
    );
    let (only_here, only_there) = discordant(here.iter().copied().zip(there.iter().copied()));
    let minus =
        |a: &[f64], b: &[f64]| -> Vec<f64> { a.iter().zip(b).map(|(a, b)| a - b).collect() };
    let accuracy = about.difference(&here, &there);
    let logits = about.mean(&minus(
        &floats(&cell.logit_difference),
        &floats(&reference.logit_difference),
    ));
    Paired {
        ablation: reference.ablation.name().to_owned(),
        masking: reference
            .plan
            .tail
            .transfer()
            .map(|_| reference.plan.masking.name()),
        only_here,
        only_there,
        p: about.different(&here, &there),
        accuracy_difference: accuracy.map_or(0.0, |mean| mean.value),
        accuracy_difference_low: accuracy.and_then(|mean| finite(mean.low)),
        accuracy_difference_high: accuracy.and_then(|mean| finite(mean.high)),
        logit_difference: logits.map(|mean| mean.value),
        logit_difference_low: logits.and_then(|mean| finite(mean.low)),
        logit_difference_high: logits.and_then(|mean| finite(mean.high)),
    }
}

fn count(bits: &[bool]) -> usize {
    bits.iter().filter(|bit| **bit).count()
}

fn floats(values: &[f32]) -> Vec<f64> {
    values.iter().map(|&x| f64::from(x)).collect()
}

/// The share of what lies between the floor and the unmodified model that is kept; below 0 under the floor. `None` where the
/// unmodified model is not above it.
pub(super) fn normalised(correct: usize, base_correct: usize, floor: usize) -> Option<f64> {
    let room = base_correct.checked_sub(floor).filter(|&room| room > 0)?;
    Some((correct as f64 - floor as f64) / room as f64)
}

/// JSON has no infinity: an end of an interval that is not known is null.
pub(super) fn finite(x: f64) -> Option<f64> {
    x.is_finite().then_some(x)
}

fn average(values: &[f32]) -> Option<f64> {
    let sum: f64 = floats(values).iter().sum();
    (!values.is_empty()).then(|| sum / values.len() as f64)
}

/// The lower median.
pub(super) fn median(values: &[u32]) -> Option<u32> {
    let mut sorted = values.to_vec();
    sorted.sort_unstable();
    sorted.get(values.len().checked_sub(1)? / 2).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_one_of_the_values() {
        assert_eq!(median(&[]), None);
        assert_eq!(median(&[5, 1, 3]), Some(3));
        assert_eq!(median(&[4, 1, 3, 2]), Some(2));
    }
}
