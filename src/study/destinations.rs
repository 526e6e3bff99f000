//! Where the lines of a run go: into the record, and what is said to every prompt into a file beside it.

use std::path::Path;

use serde::Serialize;

use crate::file::Growing;
use crate::prompt::{Prompt, PromptSet};
use crate::record::{Journal, Line, Measurement, Row};
use crate::{Error, Result};

/// Where lines go.
pub(super) struct Destinations<'a> {
    pub journal: &'a mut Option<Journal>,
    pub answers: &'a mut Option<AnswerFile>,
}

impl Destinations<'_> {
    /// Appends new lines to the record.
    ///
    /// # Errors
    /// It cannot be written; what is measured again for the answers comes out otherwise than the record says.
    pub fn take(&mut self, lines: &[Line]) -> Result<()> {
        let Some(journal) = self.journal else {
            return Ok(());
        };
        let other = |line: &&Line| {
            let known = line.address().and_then(|at| journal.cell(at));
            known.is_some_and(|known| !known.failed() && !known.says_the_same(line))
        };
        match lines.iter().find(other).and_then(Line::address) {
            Some(at) if self.answers.is_some() => Err(Error::Usage(format!(
                "--answers: {} {} was measured again and is not what the record says; leave --record out, or name another file",
                at.template(),
                at.cell
            ))),
            _ => journal.append(lines),
        }
    }
}

/// A file of answers that is being written.
pub(super) struct AnswerFile {
    file: Growing,
    is_empty: bool,
}

/// A line: a prompt in a cell. The fields are explained in the schema of records.
#[derive(Serialize)]
struct Answer<'a> {
    sweep: &'a str,
    experiment: &'a str,
    model: &'a str,
    style: &'a str,
    operation: &'a str,
    shape: Option<String>,
    step: String,
    cell: &'a str,
    ablation: &'a str,
    wait: usize,
    transfer: Option<usize>,
    part: &'a str,
    prompt: &'a str,
    given: &'a str,
    operands: &'a [i64],
    answer: Option<i64>,
    /// The word of the answer, where it is one of a table.
    #[serde(skip_serializing_if = "Option::is_none")]
    answer_word: Option<String>,
    right: bool,
    predicted: u32,
    text: &'a str,
    logit_difference: f32,
    rank: u32,
    kl_divergence: f32,
    base_right: bool,
    base_predicted: u32,
    base_text: &'a str,
    base_logit_difference: f32,
}

/// The word of a prompt's answer, where it is one of a table.
fn word(set: &PromptSet, prompt: &Prompt) -> Option<String> {
    let written = &set.template.answer;
    let result = prompt.result.filter(|_| written.words().is_some());
    result.map(|result| written.text(result))
}

impl AnswerFile {
    /// Begins a file.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn begin(path: &Path) -> Result<Self> {
        Ok(Self {
            file: Growing::begin(path)?,
            is_empty: true,
        })
    }

    /// Adds what lines say of the prompts of a template.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn add(&mut self, lines: &[Line], set: &PromptSet) -> Result<()> {
        for line in lines {
            if let Row::Measured(m) = &line.row {
                self.cell(m, set)?;
            }
        }
        Ok(())
    }

    fn cell(&mut self, m: &Measurement, set: &PromptSet) -> Result<()> {
        let place = &m.place;
        let shape = place
            .shape
            .as_ref()
            .map(|shape| shape.words(&m.subject.operation));
        for said in &m.answers.each {
            let prompt = &set.prompts[said.prompt];
            let answer = Answer {
                sweep: &place.sweep,
                experiment: m.experiment.name(),
                model: &m.subject.model,
                style: &m.subject.style,
                operation: &m.subject.operation,
                shape: shape.clone(),
                step: place.step.to_string(),
                cell: &place.cell.name,
                ablation: &m.subject.ablation,
                wait: m.subject.wait(),
                transfer: m.subject.transfer(),
                part: m.subject.part.name(),
                prompt: &prompt.text,
                given: &said.given,
                operands: &prompt.operands,
                answer: prompt.result,
                answer_word: word(set, prompt),
                right: prompt.answers.contains(&said.predicted),
                predicted: said.predicted,
                text: &said.text,
                logit_difference: said.logit_difference,
                rank: said.rank,
                kl_divergence: said.kl,
                base_right: prompt.answers.contains(&said.base),
                base_predicted: said.base,
                base_text: &said.base_text,
                base_logit_difference: said.base_logit_difference,
            };
            let text = serde_json::to_string(&answer).expect("an answer is plain data");
            self.file.write((text + "\n").as_bytes())?;
            self.is_empty = false;
        }
        Ok(())
    }

    /// Puts the file in its place, if there is an answer in it.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn finish(self) -> Result<()> {
        match self.is_empty {
            true => Ok(()),
            false => self.file.finish(),
        }
    }
}
