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
use self::numbers::SingleNumbers;
use super::args::{Format, ModelArgs, OutputArgs, PromptArgs};
use super::output::deliver;
use crate::file::check_writable;
use crate::measure::fronts;
use crate::model::{Expected, Model};
use crate::prompt::{Frame, PromptSet, Styles, shapes};
use crate::report;
use crate::runtime::Engine;
use crate::study::{Because, TemplatePrompts, build_all, selection};
use crate::{Result, printable};

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
        let asked = self.prompts.asked();
        let list = asked.read_list()?;
        let model = self.model.load()?;
        // The graph is built, so that every weight is checked.
        let graph = model.graph()?;
        let mut selection = selection(&model, &asked);
        if let Some(list) = list {
            selection = list.select(&templates, selection)?;
        }
        let mut first = None;
        let mut found = Vec::new();
        for template in templates {
            let (style, operation) = (template.style.clone(), template.operation.clone());
            let (counted, sets) = match model.framed(&template) {
                Ok(framed) => (
                    asked
                        .selection_of(&selection, &framed)
                        .and_then(|selection| shapes(&framed, &model.tokenizer, &selection))
                        .map_err(|e| e.to_string()),
                    build_all(framed, &model, &selection, &asked),
                ),
                Err(error) => (
                    Err(error.to_string()),
                    vec![TemplatePrompts::none(template, error)],
                ),
            };
            let of = |set: &PromptSet| {
                let because = Because::of(&asked.numbers, asked.list.is_some(), &set.numbers.shape);
                Prompts::of(&model, set, because)
            };
            let of =
                |asked: &TemplatePrompts| asked.set.as_ref().map(of).map_err(ToString::to_string);
            found.push(Templated {
                style,
                operation,
                shapes: counted,
                sets: sets.iter().map(of).collect(),
            });
            // What stands in front of a chat is not to be chosen.
            let mut plain = sets.into_iter().filter_map(|asked| asked.set.ok());
            first = first.or(plain.find(|set| set.template.frame == Frame::Plain));
        }
        let found = Found {
            front: first.map(|set| self.other_front(&model, &set)),
            numbers: SingleNumbers::of(&model.tokenizer, &selection),
            expected: model.preset.and_then(|preset| Expected::of(preset.name)),
            templates: found,
            graph,
            model,
        };
        let text = match self.output.format {
            Format::Json => printable::object(&json::json(&found)),
            Format::Table => report::text(&[text::blocks(&found)], self.output.look()),
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
            template: set.name(),
            found: measured(),
        }
    }
}
