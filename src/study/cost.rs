//! What an experiment will take, before it is run.

use std::time::{Duration, Instant};

use super::Study;
use super::batch::activations;
use super::prompts::TemplatePrompts;
use super::sweep::Sweep;
use crate::experiment::{Experiment, Seat};
use crate::measure::{Biases, base_forward};
use crate::prompt::PromptSet;
use crate::record::Journal;
use crate::{Error, Result};

/// Bytes of what is kept of a prompt: its tokens, its text and what was said to it. 1.1 KB of 100,000 prompts (`cargo bench --bench cost`).
const OF_A_PROMPT: usize = 1100;

/// What an experiment will take.
#[derive(Clone, Debug, Default)]
pub struct Cost {
    /// The templates, with their steps.
    pub templates: Vec<TemplateCost>,
    /// The time of a prompt in the unmodified model, as it was measured; `None` where there is no prompt.
    pub of_prompt: Option<Duration>,
    /// Bytes of memory at the peak, about; `None` where there is no prompt, or where the system does not say what the program takes.
    pub peak: Option<u64>,
}

/// What a template will take.
#[derive(Clone, Debug)]
pub struct TemplateCost {
    /// The name of the template, with its shape and step.
    pub name: String,
    /// Prompts that are evaluated, or why there are none.
    pub prompts: Result<usize, String>,
    /// Prompts that the unmodified model is run on: those that are evaluated, and all others of which means are taken.
    pub contexts: usize,
    /// Cells.
    pub cells: usize,
    /// Cells that the record holds already.
    pub known: usize,
}

impl Cost {
    /// The runs of whole prompts that all templates take.
    pub fn runs(&self) -> usize {
        self.templates.iter().map(TemplateCost::runs).sum()
    }

    /// The time of these runs. Cells share what they have in common, so that the true time is shorter.
    pub fn at_most(&self) -> Option<Duration> {
        let runs = u32::try_from(self.runs()).unwrap_or(u32::MAX);
        self.of_prompt
            .map(|of_prompt| of_prompt.saturating_mul(runs))
    }
}

impl TemplateCost {
    /// The runs of whole prompts that it takes: one for every prompt and cell that is not known, and one of the unmodified model for every
    /// context.
    pub fn runs(&self) -> usize {
        let left = self.cells.saturating_sub(self.known);
        let prompts = *self.prompts.as_ref().unwrap_or(&0);
        match left {
            0 => 0,
            _ => self.contexts + prompts * left,
        }
    }
}

impl Study {
    /// What an experiment will take, by what the record holds and by the time of a batch.
    ///
    /// # Errors
    /// A record that cannot be read; the runtime's reason.
    pub fn cost(&mut self, experiment: &dyn Experiment) -> Result<Cost> {
        let units = experiment.units();
        let sweep = Sweep::new(self.around(), experiment, &units);
        let record = self.request().record.as_ref().filter(|path| path.exists());
        let journal = record.map(|path| Journal::open(path)).transpose()?;
        let mut cost = Cost::default();
        for (t, TemplatePrompts { template, set }) in self.sets.iter().enumerate() {
            let seat: Seat = sweep.seat(&self.sets, t);
            let todo = sweep.todo((t, template), &seat, self.request().shard, journal.as_ref());
            let most = self.request().method.most().unwrap_or(usize::MAX);
            cost.templates.push(TemplateCost {
                name: set.as_ref().map_or_else(
                    |_| format!("{} {}", template.style, template.operation),
                    PromptSet::name,
                ),
                prompts: set
                    .as_ref()
                    .map(|set| set.asked().len().min(most))
                    .map_err(Error::to_string),
                contexts: set.as_ref().map_or(0, PromptSet::len),
                cells: todo.iter().map(|(_, todo)| todo.cells.len()).sum(),
                known: todo.iter().map(|(_, todo)| todo.known.len()).sum(),
            });
        }
        if cost.runs() > 0 {
            cost.of_prompt = self.time_of_prompt()?;
            cost.peak = self.peak();
        }
        Ok(cost)
    }

    /// What the program takes now, with the model and a batch of prompts behind it, and what comes on top of that: a batch with the streams
    /// of all layers, and what is kept of every prompt.
    fn peak(&self) -> Option<u64> {
        let sets = self.sets.iter().filter_map(TemplatePrompts::prompts);
        let prompts: usize = sets.clone().map(PromptSet::len).sum();
        let pos = sets.map(PromptSet::positions).max()?;
        let sizes = self.model.sizes;
        let streams = size_of::<f32>() * (sizes.layers + 1) * pos * sizes.d_model;
        let batch = self.batch * (activations(sizes, pos) + streams);
        Some(resident()? + (batch + prompts * OF_A_PROMPT) as u64)
    }

    /// The time of a prompt in a batch of the longest prompts, the second time that it is run.
    fn time_of_prompt(&mut self) -> Result<Option<Duration>> {
        let sets = self.sets.iter().filter_map(TemplatePrompts::prompts);
        let Some(set) = sets.max_by_key(|set| set.positions()) else {
            return Ok(None);
        };
        let prompts: Vec<usize> = (0..set.len().min(self.batch)).collect();
        let biases = Biases::new(set.positions())?;
        let mut time = Duration::ZERO;
        for _ in 0..2 {
            let begin = Instant::now();
            base_forward(&mut self.engine, set.ids(&prompts), &biases, &[])?;
            time = begin.elapsed();
        }
        let count = u32::try_from(prompts.len().max(1)).unwrap_or(u32::MAX);
        Ok(Some(time / count))
    }
}

/// The memory that the program takes, where the system says it.
fn resident() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: u64 = line.split_whitespace().next()?.parse().ok()?;
    Some(kib * 1024)
}
