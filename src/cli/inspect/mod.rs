//! `af1 inspect`: what a model is, and which prompts it can be asked.

mod chat;
mod contract;
mod found;
mod json;
mod numbers;
mod text;

use std::path::PathBuf;

use clap::Args;

use self::found::{Found, OtherFront, Prompts, Templated};
use self::numbers::Numbers;
use super::args::{Format, ModelArgs, OutputArgs, PromptArgs};
use super::output::deliver;
use crate::Result;
use crate::file::check_writable;
use crate::measure::fronts;
use crate::model::{Expected, Model};
use crate::prompt::{Frame, PromptSet, Styles};
use crate::runtime::Engine;
use crate::study::selection;

#[derive(Args, Clone, Debug)]
pub struct Inspect {
    /// Check an ONNX graph that another program wrote against the contract (onnx/CONTRACT.md), instead
    #[arg(value_name = "FILE.onnx", conflicts_with = "model")]
    graph: Option<PathBuf>,
    #[command(flatten)]
    model: ModelArgs,
    #[command(flatten)]
    prompts: PromptArgs,
    #[command(flatten)]
    output: OutputArgs,
}

impl Inspect {
    pub fn run(self) -> Result<()> {
        if let Some(out) = &self.output.out {
            check_writable(out)?;
        }
        if let Some(file) = &self.graph {
            return contract::inspect(file, &self.output);
        }
        let styles = match &self.prompts.styles {
            Some(path) => Styles::read(path)?,
            None => Styles::built_in(),
        };
        let templates = styles.select(&self.prompts.style, &self.prompts.operation)?;
        let model = self.model.load()?;
        // The graph is built, so that every weight is checked.
        let graph = model.graph()?;
        self.prompts.check_single("inspect")?;
        let selection = selection(&model, &self.prompts.asked());
        let mut first = None;
        let mut found = Vec::new();
        for template in &templates {
            let set = model.framed(template).and_then(|template| {
                PromptSet::build(&template, &model.tokenizer, model.bos(), &selection)
            });
            found.push(Templated {
                style: template.style.clone(),
                operation: template.operation.clone(),
                prompts: (set.as_ref())
                    .map(|set| Prompts::of(&model, set))
                    .map_err(|e| e.to_string()),
            });
            // What stands in front of a chat is not to be chosen.
            first = first.or(set.ok().filter(|set| set.template.frame == Frame::Plain));
        }
        let found = Found {
            front: first.map(|set| self.other_front(&model, &set)),
            numbers: Numbers::of(&model.tokenizer, &selection),
            expected: model.preset.and_then(|preset| Expected::of(preset.name)),
            templates: found,
            graph,
            model,
        };
        let text = match self.output.format {
            Format::Json => format!("{}\n", json::json(&found)),
            Format::Table => text::text(&found),
        };
        deliver(self.output.out.as_deref(), &text)
    }

    /// Asks some prompts with another choice of what stands in front. That takes the runtime, without which everything else can be
    /// said all the same.
    fn other_front(&self, model: &Model, set: &PromptSet) -> OtherFront {
        let measured = || {
            let (runtime, placement) = self.model.runtime.start()?;
            let mut engine = Engine::new(runtime, placement, model)?;
            fronts(&mut engine, model, set)
        };
        OtherFront {
            template: format!("{} {}", set.template.style, set.template.operation),
            found: measured(),
        }
    }
}
