//! `af1 reproduce`, `af1 run`, `af1 waiting`, `af1 transfer`, `af1 necessity`, `af1 heads`: the experiments.

use clap::Args;

use super::args::{
    AblationArgs, AblationName, Format, InterventionArgs, Layers, ModelArgs, OutputArgs,
    PromptArgs, check_layers, defaults,
};
use super::output::{deliver, print};
use super::selfcheck::control;
use crate::experiment::{
    Cell, Evaluation, Experiment, Request, empty_subgraphs, evaluate, knockout_windows,
    knockouts_upward, preflight, prepare, prune, subgraphs, waiting,
};
use crate::file::check_writable;
use crate::intervene::{Ablation, Estimator, Head, Plan, Tail, ablation};
use crate::model::Model;
use crate::prompt::{PromptSet, Selection, Styles, Template};
use crate::record::{self, Measurement, Provenance, measure};
use crate::runtime::Engine;
use crate::selfcheck::Row;
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
    ablations: AblationArgs,
    #[command(flatten)]
    subgraph: Subgraph,
}

#[derive(Args, Clone, Debug)]
pub struct Run {
    #[command(flatten)]
    common: Common,
    #[command(flatten)]
    ablations: AblationArgs,
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
    #[command(flatten)]
    ablations: AblationArgs,
    /// W: boundaries at which the residual stream is replaced [default: every boundary]
    #[arg(long, value_name = "W,...")]
    wait: Option<Layers>,
}

#[derive(Args, Clone, Debug)]
pub struct Transfer {
    #[command(flatten)]
    common: Common,
    #[command(flatten)]
    ablations: AblationArgs,
    /// W: layers 0..W wait [default: every boundary]
    #[arg(long, value_name = "W,...")]
    wait: Option<Layers>,
    /// K: layers W..W+K transfer; cells beyond the last layer are left out
    #[arg(long, value_name = "K,...", default_value = "0..=8")]
    transfer: Layers,
}

#[derive(Args, Clone, Debug)]
pub struct Necessity {
    #[command(flatten)]
    common: Common,
    /// Layers that are knocked out together
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..))]
    window: u16,
    /// Knock out every layer from each one upward instead
    #[arg(long, conflicts_with = "window")]
    upward: bool,
}

#[derive(Args, Clone, Debug)]
pub struct Heads {
    #[command(flatten)]
    common: Common,
    /// W: layers 0..W wait [default: the model's preset]
    #[arg(long, value_name = "W")]
    wait: Option<usize>,
    /// K: layers W..W+K transfer [default: the model's preset]
    #[arg(long, value_name = "K")]
    transfer: Option<usize>,
    /// What replaces the residual stream of waiting tokens
    #[arg(long, value_name = "NAME", default_value = "cama")]
    ablation: AblationName,
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
                if !Plan::af1(wait, transfer).fits(layers) {
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
        let mut lab = Lab::open(self.common)?;
        let (waits, transfers) = self.subgraph.resolve(&lab.model)?;
        lab.control = control(lab.engine.runtime(), &lab.args.model.runtime.device)?;
        let mut plans = waiting(&waits);
        plans.extend(subgraphs(&waits, &transfers));
        let next = next(&lab);
        let one = waits.len() == 1 && transfers.len() == 1;
        lab.run(Experiment::Af1, &plans, &self.ablations.chosen(), |m| {
            let table = if one {
                report::reproduction(m)
            } else {
                report::subgraphs(m)
            };
            format!("{}{table}{}{next}", report::heading(m), report::notes(m))
        })
    }
}

/// The commands that a user would try next, as they can be typed.
fn next(lab: &Lab) -> String {
    // Cargo tells the programs that it runs where it is: then the program itself is hardly on the PATH.
    let program = match std::env::var_os("CARGO") {
        Some(_) => "cargo run --release --".to_owned(),
        None => std::env::args().next().unwrap_or_else(|| "af1".to_owned()),
    };
    let mut same = String::new();
    if lab.model.preset.is_none() {
        same += &format!(" --model {}", lab.args.model.model);
    }
    if let Some(styles) = &lab.args.prompts.styles {
        same += &format!(" --styles {}", styles.display());
    }
    if let Some((template, _)) = lab.sets.first() {
        same += &format!(" --style {}", template.style);
    }
    format!(
        "\nnext: {program} waiting{same}    (how long can every token wait?)\n      \
         {program} run --help    (your own model, styles and layers)\n"
    )
}

impl Run {
    pub fn run(self) -> Result<()> {
        let lab = Lab::open(self.common)?;
        let (waits, transfers) = self.subgraph.resolve(&lab.model)?;
        let plans = subgraphs(&waits, &transfers);
        lab.run(Experiment::Af1, &plans, &self.ablations.chosen(), |m| {
            report::heading(m) + &report::subgraphs(m) + &report::notes(m)
        })
    }
}

impl Waiting {
    pub fn run(self) -> Result<()> {
        let lab = Lab::open(self.common)?;
        let waits = lab.waits(self.wait.as_ref())?;
        let plans = waiting(&waits);
        lab.run(Experiment::Waiting, &plans, &self.ablations.chosen(), |m| {
            report::heading(m) + &report::waiting(m) + &report::counts(m)
        })
    }
}

impl Transfer {
    pub fn run(self) -> Result<()> {
        let lab = Lab::open(self.common)?;
        let waits = lab.waits(self.wait.as_ref())?;
        let mut plans = subgraphs(&waits, &self.transfer.0);
        plans.retain(|plan| plan.fits(lab.model.spec.layers));
        if plans.is_empty() {
            let layers = lab.model.spec.layers;
            let reason = format!(
                "no W + K of --wait and --transfer is at most {layers}, the number of layers"
            );
            return Err(Error::Usage(reason));
        }
        lab.run(
            Experiment::Transfer,
            &plans,
            &self.ablations.chosen(),
            |m| report::heading(m) + &report::transfer(m) + &report::counts(m),
        )
    }
}

impl Necessity {
    pub fn run(self) -> Result<()> {
        let lab = Lab::open(self.common)?;
        let layers = lab.model.spec.layers;
        let plans = match self.upward {
            true => knockouts_upward(layers),
            false => knockout_windows(layers, self.window.into()),
        };
        if plans.is_empty() {
            let window = self.window;
            let reason = format!("--window {window}: the model has {layers} layers");
            return Err(Error::Usage(reason));
        }
        let nothing = ablation::named("identity").expect("it is built in");
        lab.run(Experiment::Necessity, &plans, &[nothing], |m| {
            report::heading(m) + &report::necessity(m) + &report::counts(m)
        })
    }
}

impl Heads {
    pub fn run(self) -> Result<()> {
        let lab = Lab::open(self.common)?;
        let one = |layer: Option<usize>| layer.map(|layer| Layers(vec![layer]));
        let subgraph = Subgraph {
            wait: one(self.wait),
            transfer: one(self.transfer),
        };
        let (waits, transfers) = subgraph.resolve(&lab.model)?;
        let (wait, transfer, ablation) = (waits[0], transfers[0], self.ablation.0);
        let evaluate = |engine: &mut Engine, set: PromptSet, request: &Request<'_>| {
            let mut evaluation = prepare(engine, set, request, &waits)?;
            evaluation.add(engine, &request.plans[..1], request.ablations)?;
            prune(engine, &mut evaluation, ablation, wait, transfer)?;
            Ok(evaluation)
        };
        // The last one is there for preflight: a mask by head.
        let all_heads = Head::all(wait..wait + transfer, lab.engine.heads());
        let plans = [
            Plan::af1(wait, 0),
            Plan::pruned(wait, transfer, all_heads.collect()),
        ];
        let pruned = |cell: &Cell| matches!(cell.plan.tail, Tail::Pruned { .. });
        lab.each(
            Experiment::Heads,
            &plans,
            &[ablation],
            evaluate,
            pruned,
            |m| report::heading(m) + &report::heads(m) + &report::counts(m),
        )
    }
}

/// A model that is ready, and its prompts.
struct Lab {
    args: Common,
    /// What was found in planted models; shown before the results.
    control: Vec<Row>,
    model: Model,
    engine: Engine,
    sets: Vec<(Template, Result<PromptSet>)>,
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
        if let Some(out) = &args.output.out {
            check_writable(out)?;
        }
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
        let sets = templates.into_iter().map(|template| {
            let set = PromptSet::build(&template, &model.tokenizer, bos, &selection);
            (template, set.and_then(|set| fits(set, &model)))
        });
        let sets: Vec<(Template, Result<PromptSet>)> = sets.collect();
        let provenance = provenance(&model, &engine, &styles, &selection, &args);
        Ok(Self {
            args,
            control: Vec::new(),
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
        self,
        experiment: Experiment,
        plans: &[Plan],
        ablations: &[&'static dyn Ablation],
        table: impl Fn(&[Measurement]) -> String,
    ) -> Result<()> {
        let with_empty = empty_subgraphs(plans);
        let shown = |cell: &Cell| plans.contains(&cell.plan);
        self.each(experiment, &with_empty, ablations, evaluate, shown, table)
    }

    /// The control, as it stands before the results.
    fn control_text(&self) -> String {
        match (self.control.is_empty(), self.args.output.format) {
            (true, _) => String::new(),
            (false, Format::Json) => report::selfcheck_lines(&self.control),
            (false, Format::Table) => {
                let version = self.engine.runtime().version();
                let heading = report::selfcheck_heading(version, self.engine.device());
                heading + &report::selfcheck(&self.control) + "\n"
            }
        }
    }

    /// Evaluates every template in some way and delivers the results of the cells that are to be shown.
    fn each(
        mut self,
        experiment: Experiment,
        plans: &[Plan],
        ablations: &[&'static dyn Ablation],
        evaluate: impl Fn(&mut Engine, PromptSet, &Request<'_>) -> Result<Evaluation>,
        shown: impl Fn(&Cell) -> bool,
        table: impl Fn(&[Measurement]) -> String,
    ) -> Result<()> {
        let args = &self.args;
        let estimator: Estimator = args.intervention.estimator.into();
        let request = Request {
            plans,
            ablations,
            estimator,
            limit: Some(args.intervention.limit as usize),
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
        // A template that cannot be evaluated does not take the others with it: it is a row with its error.
        let (mut all, mut rows, mut failures) = (Vec::new(), self.control_text(), Vec::new());
        if args.output.out.is_none() {
            print(&std::mem::take(&mut rows))?;
        }
        for (template, set) in self.sets {
            let evaluated = set.and_then(|set| {
                preflight(&mut self.engine, &self.model, &set, &request)?;
                evaluate(&mut self.engine, set, &request)
            });
            let row = match evaluated {
                Err(Error::Interrupted) => return Err(Error::Interrupted),
                Err(error) => {
                    let row = failed(experiment, &self.model.name, &template, &error);
                    failures.push(error);
                    row
                }
                Ok(evaluation) => {
                    let new = measure(&evaluation, &run, &shown);
                    let row = lines(&new);
                    all.extend(new);
                    row
                }
            };
            // Where nothing came out there is nothing to print but the error.
            match args.output.format {
                Format::Table => {}
                Format::Json if args.output.out.is_none() && !all.is_empty() => {
                    print(&(std::mem::take(&mut rows) + &row))?;
                }
                Format::Json => rows += &row,
            }
        }
        if !all.is_empty() {
            let out = args.output.out.as_deref();
            match args.output.format {
                Format::Json if out.is_none() => {}
                Format::Json => deliver(out, &rows)?,
                Format::Table => deliver(out, &(rows + &table(&all)))?,
            }
        }
        let count = failures.len();
        match failures.into_iter().next() {
            None => Ok(()),
            Some(error) => {
                if count > 1 {
                    eprintln!("{count} templates could not be evaluated; the first:");
                }
                Err(error)
            }
        }
    }
}

/// The line of a template that could not be evaluated.
fn failed(experiment: Experiment, model: &str, template: &Template, error: &Error) -> String {
    let row = serde_json::json!({
        "schema": record::SCHEMA, "experiment": experiment.to_string(), "model": model, "style": template.style,
        "operation": template.operation.to_string(), "error": error.to_string(), "exit_code": error.exit_code(),
    });
    format!("{row}\n")
}

/// Passes on prompts that fit the model's context.
fn fits(set: PromptSet, model: &Model) -> Result<PromptSet> {
    if set.positions() <= model.spec.context {
        return Ok(set);
    }
    Err(Error::Usage(format!(
        "style {:?}: prompts of {} tokens do not fit the model's context of {}",
        set.template.style,
        set.positions(),
        model.spec.context
    )))
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
        contexts: args.contexts as usize,
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
        limit: Some(args.intervention.limit as usize),
        contexts: selection.contexts,
        bos: model.bos.as_ref().map(|bos| bos.token.clone()),
        bos_id: model.bos.as_ref().map(|bos| bos.id),
    }
}
