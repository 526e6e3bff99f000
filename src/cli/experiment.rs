//! `af1 reproduce`, `af1 run`, `af1 waiting`, `af1 transfer`: the experiments.

use clap::Args;

use super::args::{
    Format, InterventionArgs, Layers, ModelArgs, OutputArgs, PromptArgs, check_layers, defaults,
};
use super::output::{deliver, print};
use crate::experiment::{Experiment, Request, empty_subgraphs, evaluate};
use crate::intervene::{Estimator, Plan, Tail};
use crate::model::Model;
use crate::prompt::{PromptSet, Selection, Styles};
use crate::record::{self, Measurement, Provenance, measure};
use crate::runtime::Engine;
use crate::{Error, Result, report};

/// What all experiments ask for.
#[derive(Args, Clone, Debug)]
pub struct Common {
    #[command(flatten)]
    model: ModelArgs,
    #[command(flatten)]
    prompts: PromptArgs,
    #[command(flatten)]
    intervention: InterventionArgs,
    #[command(flatten)]
    output: OutputArgs,
}

#[derive(Args, Clone, Debug)]
pub struct Reproduce {
    #[command(flatten)]
    common: Common,
    #[command(flatten)]
    subgraph: Subgraph,
}

#[derive(Args, Clone, Debug)]
pub struct Run {
    #[command(flatten)]
    common: Common,
    #[command(flatten)]
    subgraph: Subgraph,
}

/// Which AF1.
#[derive(Args, Clone, Debug)]
struct Subgraph {
    /// W: layers 0..W wait; a number, list or range [default: the model's preset]
    #[arg(long, value_name = "W,...")]
    wait: Option<Layers>,
    /// K: layers W..W+K transfer; a number, list or range [default: the model's preset]
    #[arg(long, value_name = "K,...")]
    transfer: Option<Layers>,
}

#[derive(Args, Clone, Debug)]
pub struct Waiting {
    #[command(flatten)]
    common: Common,
    /// W: boundaries at which the residual stream is replaced [default: every boundary]
    #[arg(long, value_name = "W,...")]
    wait: Option<Layers>,
}

#[derive(Args, Clone, Debug)]
pub struct Transfer {
    #[command(flatten)]
    common: Common,
    /// W: layers 0..W wait [default: every boundary]
    #[arg(long, value_name = "W,...")]
    wait: Option<Layers>,
    /// K: layers W..W+K transfer; cells beyond the last layer are left out
    #[arg(long, value_name = "K,...", default_value = "0..=8")]
    transfer: Layers,
}

impl Default for Reproduce {
    fn default() -> Self {
        defaults()
    }
}

impl Subgraph {
    /// The chosen `(W, K)`, all of which must fit the model.
    fn resolve(&self, model: &Model) -> Result<(Vec<usize>, Vec<usize>)> {
        let preset = model.preset.map(|preset| preset.af1);
        let or_preset = |given: &Option<Layers>, name: &str, preset: Option<usize>| {
            match given {
            Some(Layers(layers)) => Ok(layers.clone()),
            None => preset.map(|layer| vec![layer]).ok_or_else(|| {
                Error::Usage(format!(
                    "{name} is needed: {} has no preset; try `af1 waiting` and `af1 transfer` first",
                    model.name
                ))
            }),
        }
        };
        let waits = or_preset(&self.wait, "--wait", preset.map(|(wait, _)| wait))?;
        let transfers = or_preset(&self.transfer, "--transfer", preset.map(|(_, k)| k))?;
        let layers = model.spec.layers;
        for &wait in &waits {
            check_layers("--wait", wait, layers)?;
            for &transfer in &transfers {
                let tail = Tail::Af1 { transfer };
                if !(Plan { wait, tail }).fits(layers) {
                    return Err(Error::Usage(format!(
                        "--wait {wait} --transfer {transfer}: the model has {layers} layers; expected W + K of at \
                         most {layers}"
                    )));
                }
            }
        }
        Ok((waits, transfers))
    }
}

impl Reproduce {
    pub fn run(self) -> Result<()> {
        let lab = Lab::open(self.common)?;
        let (waits, transfers) = self.subgraph.resolve(&lab.model)?;
        let mut plans = Experiment::Waiting.plans(&waits, &[]);
        plans.extend(Experiment::Af1.plans(&waits, &transfers));
        let next = "\nnext: af1 waiting --style calculate    (how long can every token wait?)\n      \
                    af1 --help                         (your own model, styles and layers)\n";
        let one = waits.len() == 1 && transfers.len() == 1;
        lab.run(Experiment::Af1, &plans, |m| {
            let table = if one {
                report::reproduction(m)
            } else {
                report::subgraphs(m)
            };
            format!("{}{table}{}{next}", report::heading(m), report::notes(m))
        })
    }
}

impl Run {
    pub fn run(self) -> Result<()> {
        let lab = Lab::open(self.common)?;
        let (waits, transfers) = self.subgraph.resolve(&lab.model)?;
        let plans = Experiment::Af1.plans(&waits, &transfers);
        lab.run(Experiment::Af1, &plans, |m| {
            report::heading(m) + &report::subgraphs(m) + &report::notes(m)
        })
    }
}

impl Waiting {
    pub fn run(self) -> Result<()> {
        let lab = Lab::open(self.common)?;
        let waits = lab.waits(self.wait.as_ref())?;
        let plans = Experiment::Waiting.plans(&waits, &[]);
        lab.run(Experiment::Waiting, &plans, |m| {
            report::heading(m) + &report::waiting(m) + &report::notes(m)
        })
    }
}

impl Transfer {
    pub fn run(self) -> Result<()> {
        let lab = Lab::open(self.common)?;
        let waits = lab.waits(self.wait.as_ref())?;
        let mut plans = Experiment::Transfer.plans(&waits, &self.transfer.0);
        plans.retain(|plan| plan.fits(lab.model.spec.layers));
        if plans.is_empty() {
            let layers = lab.model.spec.layers;
            let reason = format!(
                "no W + K of --wait and --transfer is at most {layers}, the number of layers"
            );
            return Err(Error::Usage(reason));
        }
        lab.run(Experiment::Transfer, &plans, |m| {
            report::heading(m) + &report::transfer(m)
        })
    }
}

/// A model that is ready, and its prompts.
struct Lab {
    args: Common,
    model: Model,
    engine: Engine,
    sets: Vec<PromptSet>,
    provenance: Provenance,
}

impl Lab {
    fn open(args: Common) -> Result<Self> {
        let prompts = &args.prompts;
        let styles = match &prompts.styles {
            Some(path) => Styles::read(path)?,
            None => Styles::built_in(),
        };
        // What is wrong with the command line is said before anything is fetched or loaded.
        if prompts.styles.is_some() || !prompts.style.is_empty() {
            styles.select(&prompts.style, &prompts.operation)?;
        }
        let (model, engine) = args.model.engine()?;
        let preset = model
            .preset
            .filter(|_| prompts.styles.is_none() && prompts.style.is_empty());
        let chosen = match preset {
            Some(preset) => preset
                .styles
                .iter()
                .map(|&style| style.to_owned())
                .collect(),
            None => prompts.style.clone(),
        };
        let templates = styles.select(&chosen, &prompts.operation)?;
        let selection = selection(&model, prompts);
        let bos = model.bos.as_ref().map(|bos| bos.id);
        let build = |template| PromptSet::build(template, &model.tokenizer, bos, &selection);
        let sets = templates
            .iter()
            .map(build)
            .collect::<Result<Vec<PromptSet>>>()?;
        for set in &sets {
            if set.positions() > model.spec.context {
                return Err(Error::Usage(format!(
                    "style {:?}: prompts of {} tokens do not fit the model's context of {}",
                    set.template.style,
                    set.positions(),
                    model.spec.context
                )));
            }
        }
        let provenance = provenance(&model, &engine, &styles, &selection, &args);
        Ok(Self {
            args,
            model,
            engine,
            sets,
            provenance,
        })
    }

    /// The boundaries of a sweep: those given, else all.
    fn waits(&self, given: Option<&Layers>) -> Result<Vec<usize>> {
        let layers = self.model.spec.layers;
        let waits = given.map_or_else(|| (0..=layers).collect(), |layers| layers.0.clone());
        for &wait in &waits {
            check_layers("--wait", wait, layers)?;
        }
        Ok(waits)
    }

    /// Evaluates the plans on every template and delivers the results.
    fn run(
        mut self,
        experiment: Experiment,
        plans: &[Plan],
        table: impl Fn(&[Measurement]) -> String,
    ) -> Result<()> {
        let args = &self.args;
        let estimator: Estimator = args.intervention.estimator.into();
        let mut ablations = Vec::new();
        for name in &args.intervention.ablation {
            if ablations
                .iter()
                .all(|known: &&dyn crate::intervene::Ablation| known.name() != name.0.name())
            {
                ablations.push(name.0);
            }
        }
        let with_empty = empty_subgraphs(plans);
        let request = Request {
            plans: &with_empty,
            ablations: &ablations,
            estimator,
            seed: args.prompts.seed,
            batch: args.intervention.batch as usize,
        };
        let run = record::Run {
            experiment,
            estimator,
            model: &self.model.name,
            layers: self.model.spec.layers,
            claim: args.intervention.claim,
            provenance: &self.provenance,
        };
        let mut all = Vec::new();
        for set in self.sets {
            let evaluation = evaluate(&mut self.engine, set, &request)?;
            let measurements = measure(&evaluation, &run, |cell| plans.contains(&cell.plan));
            if args.output.format == Format::Json && args.output.out.is_none() {
                print(&lines(&measurements))?;
            }
            all.extend(measurements);
        }
        match (args.output.format, &args.output.out) {
            (Format::Json, None) => Ok(()),
            (Format::Json, Some(path)) => deliver(Some(path), &lines(&all)),
            (Format::Table, out) => deliver(out.as_deref(), &table(&all)),
        }
    }
}

fn lines(measurements: &[Measurement]) -> String {
    let line = |m| serde_json::to_string(m).expect("a measurement is plain data") + "\n";
    measurements.iter().map(line).collect()
}

/// The ranges of operands and results where the user gives none: of the authors' demo.
const OPERANDS: std::ops::RangeInclusive<i64> = 1..=99;
const RESULTS: std::ops::RangeInclusive<i64> = 0..=299;

/// The prompts that are asked for.
pub fn selection(model: &Model, args: &PromptArgs) -> Selection {
    let preset = model.preset;
    let operands = preset.map_or(OPERANDS, |p| p.operands.0..=p.operands.1);
    let results = preset.map_or(RESULTS, |p| p.results.0..=p.results.1);
    Selection {
        operands: args.operands.clone().map_or(operands, |span| span.0),
        results: args.results.clone().map_or(results, |span| span.0),
        limit: Some(args.limit as usize),
        seed: args.seed,
    }
}

fn provenance(
    model: &Model,
    engine: &Engine,
    styles: &Styles,
    selection: &Selection,
    args: &Common,
) -> Provenance {
    let runtime = engine.runtime();
    Provenance {
        crate_version: env!("CARGO_PKG_VERSION").to_owned(),
        model_sha256: model.hash.to_string(),
        graph_sha256: engine.graph_hash().to_string(),
        tokenizer_sha256: model.tokenizer.hash().to_string(),
        styles_sha256: styles.hash().to_string(),
        runtime: "onnxruntime".to_owned(),
        runtime_version: runtime.version().to_owned(),
        runtime_sha256: runtime.hash().to_string(),
        device: engine.device().to_string(),
        providers: engine.providers().clone(),
        dtype: "f32".to_owned(),
        threads: runtime.threads(),
        batch: args.intervention.batch as usize,
        seed: selection.seed,
        operands: [*selection.operands.start(), *selection.operands.end()],
        results: [*selection.results.start(), *selection.results.end()],
        limit: selection.limit,
        bos: model.bos.as_ref().map(|bos| bos.token.clone()),
        bos_id: model.bos.as_ref().map(|bos| bos.id),
    }
}
