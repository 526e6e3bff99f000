//! What is asked for around an experiment.

use std::ops::RangeInclusive;
use std::path::PathBuf;

use super::{AskedNumbers, BatchSize, Shard};
use crate::intervene::Estimator;
use crate::measure::Way;
use crate::model::Model;
use crate::prompt::{ContextsFrom, List, Operation, Selection, Span, Styles, Template, Written};
use crate::stats::{Inference, LEVEL};
use crate::{Error, Result};

/// What is asked for around an experiment: which prompts, how they are measured and judged, and where the records are kept.
#[derive(Clone, Debug, Default)]
pub struct Request {
    /// Which prompts.
    pub asked: Asked,
    /// How they are measured and judged.
    pub method: Method,
    /// The file to which cells are appended as they are measured; those that it holds already are not measured again.
    pub record: Option<PathBuf>,
    /// Which part of a sweep is measured.
    pub shard: Shard,
    /// The file to which what is said to every prompt in every cell is written; the cells are measured all anew then.
    pub answers: Option<PathBuf>,
}

impl Request {
    /// Refuses what cannot be asked for together.
    ///
    /// # Errors
    /// Inference about other operands from a list; a draw of right answers from halves.
    pub(super) fn check(&self) -> Result<()> {
        let of_operands = self.method.inference == Inference::Operands;
        if self.asked.list.is_some() && of_operands {
            return Err(Error::Usage(
                "--prompts and --inference operands: how the operands of a list were drawn is not known, so that nothing follows about \
                 other operands; leave --inference out, and the intervals are about the prompts of the list"
                    .to_owned(),
            ));
        }
        if self.method.right_answers.is_some() && self.method.estimator == Estimator::Split {
            return Err(Error::Usage(
                "--right-answers and --estimator split: only one half of the prompts would be evaluated, and half of the right answers; \
                 take another estimator"
                    .to_owned(),
            ));
        }
        Ok(())
    }
}

/// Which prompts.
#[derive(Clone, Debug)]
pub struct Asked {
    /// A file of styles; the built-in ones where it is `None`.
    pub styles: Option<PathBuf>,
    /// The styles; where it is empty those of the model's preset, or all of the file.
    pub style: Vec<String>,
    /// The operations; where it is empty all that the styles have.
    pub operations: Vec<Operation>,
    /// The values of every operand; those of the model's preset where it is `None`.
    pub operands: Option<Span>,
    /// The values that a result may have; those of the model's preset where it is `None`.
    pub results: Option<Span>,
    /// How many tokens the numbers have, and where in the answer prompts are asked.
    pub numbers: AskedNumbers,
    /// Contexts a token where there are three operands or more.
    pub contexts: usize,
    /// Which prompts are contexts.
    pub contexts_from: ContextsFrom,
    /// The seed of every draw.
    pub seed: u64,
    /// A file of prompts that stand in place of the ranges.
    pub list: Option<PathBuf>,
}

impl Default for Asked {
    fn default() -> Self {
        Self {
            styles: None,
            style: Vec::new(),
            operations: Vec::new(),
            operands: None,
            results: None,
            numbers: AskedNumbers::default(),
            contexts: 100,
            contexts_from: ContextsFrom::default(),
            seed: 42,
            list: None,
        }
    }
}

/// How prompts are measured and judged.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Method {
    /// How means treat the evaluated prompt.
    pub estimator: Estimator,
    /// The faithfulness that a pass claims.
    pub claim: f64,
    /// The level of the tests behind a verdict.
    pub level: f64,
    /// What intervals, tests and verdicts are about.
    pub inference: Inference,
    /// Most prompts of a template that are evaluated.
    pub limit: usize,
    /// Prompts are drawn until so many are answered correctly, however many that takes; `limit` does not count then.
    pub right_answers: Option<usize>,
    /// Prompts in a batch.
    pub batch: BatchSize,
    /// How plans are run.
    pub way: Way,
}

impl Default for Method {
    fn default() -> Self {
        Self {
            estimator: Estimator::default(),
            claim: 0.95,
            level: LEVEL,
            inference: Inference::default(),
            limit: 1000,
            right_answers: None,
            batch: BatchSize::default(),
            way: Way::default(),
        }
    }
}

impl Method {
    /// Most prompts of a template that are evaluated; `None` where they are drawn until so many are answered correctly.
    pub fn most(&self) -> Option<usize> {
        self.right_answers.is_none().then_some(self.limit)
    }
}

/// The name that stands for all styles of a file.
const ALL_STYLES: &str = "all";

impl Asked {
    /// The styles of the file that is asked for, which has what is asked for by name.
    ///
    /// # Errors
    /// A file that cannot be read; a style or an operation that it does not have.
    pub fn read_styles(&self) -> Result<Styles> {
        let styles = match &self.styles {
            Some(path) => Styles::read(path)?,
            None => Styles::built_in(),
        };
        if self.is_own() {
            styles.select(self.named(), &self.operations)?;
        }
        Ok(styles)
    }

    /// The list of prompts that is asked for.
    ///
    /// # Errors
    /// A file that cannot be read or is no list; ranges beside it.
    pub fn read_list(&self) -> Result<Option<List>> {
        let Some(path) = &self.list else {
            return Ok(None);
        };
        match self.operands.is_some() || self.results.is_some() {
            false => List::read(path).map(Some),
            true => Err(Error::Usage(
                "--prompts: the list has the operands and the results; leave --operands and --results out"
                    .to_owned(),
            )),
        }
    }

    /// The prompts of a template among those that are selected. Where it writes words of tables, and no range is asked for, every operand
    /// and the result have the indices of the largest table, each no more than its own table has.
    ///
    /// # Errors
    /// Operands are asked for that a table lacks.
    pub fn selection_of(&self, selection: &Selection, template: &Template) -> Result<Selection> {
        let mut selection = selection.clone();
        let written = template.operands.iter().chain([&template.answer]);
        let most = written
            .filter_map(Written::range)
            .max_by_key(|range| *range.end());
        let (Some(most), None) = (most, &selection.listed) else {
            return Ok(selection);
        };
        match &self.operands {
            None => selection.operands = most,
            Some(Span(asked)) => lacking(template, asked).map_or(Ok(()), Err)?,
        }
        if let (None, Some(all)) = (&self.results, template.answer.range()) {
            selection.results = all;
        }
        Ok(selection)
    }

    /// Whether styles are asked for, so that those of a preset are not.
    fn is_own(&self) -> bool {
        self.styles.is_some() || !self.style.is_empty()
    }

    /// The styles that are asked for by name; none for all.
    fn named(&self) -> &[String] {
        match self.style.iter().any(|style| style == ALL_STYLES) {
            true => &[],
            false => &self.style,
        }
    }

    /// The templates that are asked for of a model, with its chat template around those that want it.
    ///
    /// # Errors
    /// A style or an operation that the file does not have; a chat template that cannot be used.
    pub fn templates(&self, styles: &Styles, model: &Model) -> Result<Vec<Template>> {
        let chosen = self.chosen(styles, model)?;
        chosen
            .iter()
            .map(|template| model.framed(template))
            .collect()
    }

    /// The templates that are asked for of a model, as the styles have them.
    ///
    /// # Errors
    /// A style or an operation that the file does not have.
    pub fn chosen(&self, styles: &Styles, model: &Model) -> Result<Vec<Template>> {
        let preset = model.preset.filter(|_| !self.is_own());
        let chosen = match preset {
            Some(preset) => preset.styles.iter().map(|&id| id.to_owned()).collect(),
            None => self.named().to_vec(),
        };
        styles.select(&chosen, &self.operations)
    }
}

/// The error of operands that are asked for and that the table of one of a template's operands lacks.
fn lacking(template: &Template, asked: &RangeInclusive<i64>) -> Option<Error> {
    let lacks = |(_, written): &(usize, &Written)| {
        !(written.has(*asked.start()) && written.has(*asked.end()))
    };
    let (index, written) = template.operands.iter().enumerate().find(lacks)?;
    let words = written.words()?;
    Some(Error::Usage(format!(
        "--operands {}..={}: operand {} of {} {} is a word of the table {}, which has the indices 0..={}; narrow the range, or leave it out, \
         and each operand has all that its table has",
        asked.start(),
        asked.end(),
        Operation::letter(index),
        template.style,
        template.operation,
        words.name(),
        words.range().end()
    )))
}

/// The ranges of operands and results where the user gives none: of the authors' demo.
const OPERANDS: RangeInclusive<i64> = 1..=99;
const RESULTS: RangeInclusive<i64> = 0..=299;

/// The prompts that are asked for of a model. The results of its preset go with the operands of its preset: where other operands are
/// asked for, and no results, the results are those of the demo.
pub fn selection(model: &Model, asked: &Asked) -> Selection {
    let preset = model.preset;
    let known = preset.map_or(OPERANDS, |p| p.operands.0..=p.operands.1);
    let operands = asked.operands.clone().map_or(known.clone(), |span| span.0);
    let inside = known.contains(operands.start()) && known.contains(operands.end());
    let results = preset
        .filter(|_| inside)
        .map_or(RESULTS, |p| p.results.0..=p.results.1);
    Selection {
        operands,
        results: asked.results.clone().map_or(results, |span| span.0),
        contexts: asked.contexts,
        contexts_from: asked.contexts_from,
        seed: asked.seed,
        listed: None,
    }
}
