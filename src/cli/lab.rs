//! What every experiment's verb does around the experiment: a model that is ready, its prompts, the cells that are still to be
//! measured, and where their records go.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::str::FromStr;

use clap::Args;

use super::args::{
    Format, InterventionArgs, Layers, ModelArgs, OutputArgs, PromptArgs, check_layers,
};
use super::output::{deliver, print};
use crate::experiment::{
    Checked, Criterion, Draw, Evaluation, Experiment, Fronts, Order, Part, Pruning, Request, Way,
    attention, discover, keeps_most, preflight, prepare, random_sets, share_under, waiting,
    with_references,
};
use crate::file::{check_writable, sha256_bytes};
use crate::intervene::{Ablation, Estimator, Head, Plan, Tail};
use crate::model::Model;
use crate::prompt::{Operation, PromptSet, Selection, Styles, Template};
use crate::record::{
    self, Failure, Journal, Line, Measurement, Provenance, Row, SCHEMA, attended, measure,
    over_draws,
};
use crate::runtime::Engine;
use crate::selfcheck;
use crate::stats::Inference;
use crate::{Error, Result, report};

/// What all experiments ask for.
#[derive(Args, Clone, Debug)]
pub struct Common {
    #[command(flatten)]
    pub model: ModelArgs,
    #[command(flatten)]
    pub prompts: PromptArgs,
    #[command(flatten)]
    pub intervention: InterventionArgs,
    #[command(flatten)]
    pub record: RecordArgs,
    #[command(flatten)]
    pub output: OutputArgs,
}

/// Where records are kept while a run goes on.
#[derive(Args, Clone, Debug)]
pub struct RecordArgs {
    /// Append cells to this file as they are measured (those of a boundary, a pruned head, a draw together); cells that it
    /// holds already are not measured again
    #[arg(long, value_name = "FILE")]
    pub record: Option<PathBuf>,
    /// Measure only the i-th of n parts of the sweep; `af1 merge` joins their records
    #[arg(long, value_name = "I/N")]
    pub shard: Option<Shard>,
}

/// A part of a sweep.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shard {
    /// From 0 on.
    index: usize,
    count: usize,
}

impl FromStr for Shard {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let numbers = text.split_once('/');
        let numbers = numbers.and_then(|(i, n)| Some((i.parse().ok()?, n.parse().ok()?)));
        match numbers {
            Some((i, count)) if (1..=count).contains(&i) => Ok(Self {
                index: i - 1,
                count,
            }),
            _ => Err(format!(
                "{text:?} is not a shard; expected I/N with I from 1 to N, such as 1/4"
            )),
        }
    }
}

/// What an experiment measures on every template.
pub struct Sweep {
    /// Which experiment.
    pub experiment: Experiment,
    /// Its parts, which are measured one after the other.
    pub units: Vec<Unit>,
    /// On which prompts.
    pub part: Part,
}

/// What is measured at once and recorded at once.
#[derive(Clone)]
pub enum Unit {
    /// Plans at one boundary, each with these ablations.
    Plans(Vec<Plan>, Vec<&'static dyn Ablation>),
    /// Pruning heads, a cell a step, and then random sets of the size of the largest pruned set that holds.
    Heads {
        /// `W`.
        wait: usize,
        /// `K`.
        transfer: usize,
        /// What replaces the residual stream.
        ablation: &'static dyn Ablation,
        /// In which order.
        order: Order,
        /// Random sets.
        controls: usize,
        /// The seed of their draw.
        seed: u64,
        /// Whether heads, and the size of the sets, are chosen on one half of the prompts and reported on the other.
        held_out: bool,
    },
    /// Choosing W and K on one half of the prompts: a cell for the AF1 there, and one on the other half, which shares no operand with
    /// it.
    Discover(&'static dyn Ablation),
    /// An AF1 with means over fewer contexts, a cell for every number of them and every seed.
    Contexts(Plan, &'static dyn Ablation, Vec<Draw>),
    /// The last token's attention, a cell a head.
    Attention,
}

impl Unit {
    /// Plans, by boundary, in the order in which the boundaries first occur.
    pub fn by_wait(plans: &[Plan], ablations: &[&'static dyn Ablation]) -> Vec<Self> {
        let mut waits: Vec<usize> = Vec::new();
        for plan in plans {
            if !waits.contains(&plan.wait) {
                waits.push(plan.wait);
            }
        }
        let at = |wait: usize| plans.iter().filter(move |plan| plan.wait == wait).cloned();
        let unit = |wait| Self::Plans(at(wait).collect(), ablations.to_vec());
        waits.into_iter().map(unit).collect()
    }

    /// What it is, for the identity of a sweep.
    fn name(&self) -> String {
        match self {
            Self::Plans(plans, ablations) => {
                let names: Vec<&str> = ablations.iter().map(|a| a.name()).collect();
                format!("{plans:?} {names:?}")
            }
            Self::Heads {
                wait,
                transfer,
                ablation,
                order,
                controls,
                seed,
                held_out,
            } => format!(
                "heads {wait} {transfer} {} {order:?} {controls} {seed} {held_out}",
                ablation.name()
            ),
            Self::Discover(ablation) => format!("discover {}", ablation.name()),
            Self::Contexts(plan, ablation, draws) => {
                format!("contexts {plan:?} {} {draws:?}", ablation.name())
            }
            Self::Attention => "attention".to_owned(),
        }
    }

    /// The ablations that it needs.
    fn ablations(&self) -> Vec<&'static dyn Ablation> {
        match self {
            Self::Plans(_, ablations) => ablations.clone(),
            Self::Heads { ablation, .. }
            | Self::Discover(ablation)
            | Self::Contexts(_, ablation, _) => vec![*ablation],
            Self::Attention => Vec::new(),
        }
    }

    /// Whether it reads or changes what attention has computed.
    fn cuts_attention(&self) -> bool {
        match self {
            Self::Plans(plans, _) => plans.iter().any(|plan| plan.masking.cuts_attention()),
            Self::Attention => true,
            _ => false,
        }
    }

    /// The number of cells of a template.
    fn cells(&self, engine: &Engine) -> usize {
        match self {
            Self::Plans(plans, ablations) => plans.len() * ablations.len(),
            Self::Heads {
                transfer, controls, ..
            } => engine.heads() * transfer + 1 + controls,
            Self::Discover(_) => 2,
            Self::Contexts(_, _, draws) => draws.len(),
            Self::Attention => engine.layers() * engine.heads(),
        }
    }

    /// The plans that preflight is to try.
    fn plans(&self, engine: &Engine) -> Vec<Plan> {
        match self {
            Self::Plans(plans, _) => with_references(plans),
            Self::Heads { wait, transfer, .. } => {
                let heads = Head::all(*wait..wait + transfer, engine.heads()).collect();
                vec![Plan::af1(*wait, 0), Plan::pruned(*wait, *transfer, heads)]
            }
            Self::Discover(_) => {
                let mut plans = waiting(&(0..=engine.layers()).collect::<Vec<_>>());
                plans.push(Plan::af1(engine.layers() / 2, 1));
                plans
            }
            Self::Contexts(plan, _, _) => with_references(std::slice::from_ref(plan)),
            Self::Attention => vec![Plan::waiting(0)],
        }
    }
}

/// A model that is ready, and its prompts.
pub struct Lab {
    pub args: Common,
    /// What was found in planted models; shown before the results.
    pub control: Vec<selfcheck::Row>,
    pub model: Model,
    pub engine: Engine,
    pub sets: Vec<(Template, Result<PromptSet>)>,
    /// All templates of the styles, for the means of other operations.
    styles: Styles,
    selection: Selection,
    /// Prompts in a batch.
    pub batch: usize,
    pub provenance: Provenance,
}

impl Lab {
    pub fn open(args: Common) -> Result<Self> {
        let prompts = &args.prompts;
        let styles = match &prompts.styles {
            Some(path) => Styles::read(path)?,
            None => Styles::built_in(),
        };
        // What is wrong with the command line is said before anything is fetched or loaded.
        for file in args.output.out.iter().chain(&args.record.record) {
            check_writable(file)?;
        }
        if args.output.out.is_some() && args.output.out == args.record.record {
            let reason = "--record and --out name the same file, and one would replace the other";
            return Err(Error::Usage(reason.to_owned()));
        }
        let all = prompts.style.iter().any(|style| style == "all");
        let asked = if all { &[] } else { prompts.style.as_slice() };
        if prompts.styles.is_some() || !prompts.style.is_empty() {
            styles.select(asked, &prompts.operation)?;
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
            None => asked.to_vec(),
        };
        let templates = styles.select(&chosen, &prompts.operation)?;
        let selection = selection(&model, prompts);
        let sets = templates
            .into_iter()
            .map(|template| build(template, &model, &selection));
        let sets: Vec<(Template, Result<PromptSet>)> = sets.collect();
        // One for all templates: it is a part of what a run is.
        let lengths = sets
            .iter()
            .filter_map(|(_, set)| Some(set.as_ref().ok()?.positions()));
        let batch = args
            .intervention
            .batch
            .of(model.sizes, lengths.max().unwrap_or(1));
        let provenance = provenance(&model, &engine, &styles, &selection, (&args, batch));
        Ok(Self {
            args,
            control: Vec::new(),
            model,
            engine,
            sets,
            styles,
            selection,
            batch,
            provenance,
        })
    }

    /// The boundaries of a sweep: those given, else all.
    pub fn waits(&self, given: Option<&Layers>) -> Result<Vec<usize>> {
        let layers = self.model.sizes.layers;
        let waits = given.map_or_else(|| (0..=layers).collect(), |layers| layers.0.clone());
        for &wait in &waits {
            check_layers("--wait", wait, layers)?;
        }
        Ok(waits)
    }

    /// A template by its style and operation.
    pub fn template_of(&self, style: &str, operation: &Operation) -> Result<Template> {
        let found = self
            .styles
            .select(&[style.to_owned()], std::slice::from_ref(operation))?;
        Ok(found
            .into_iter()
            .next()
            .expect("a template for what was selected, or an error"))
    }

    /// Asks for other prompts and another claim from here on.
    pub fn ask_for(&mut self, prompts: PromptArgs, intervention: InterventionArgs) {
        self.args.prompts = prompts;
        self.args.intervention = intervention;
        self.selection = selection(&self.model, &self.args.prompts);
        self.provenance = provenance(
            &self.model,
            &self.engine,
            &self.styles,
            &self.selection,
            (&self.args, self.batch),
        );
    }

    /// The prompts of a template.
    pub fn prompts(&self, template: Template) -> (Template, Result<PromptSet>) {
        build(template, &self.model, &self.selection)
    }

    /// The prompts of the style's other operations that have the same roles at the same positions, in the order of the file,
    /// from the next one on.
    fn other_operations(&self, set: &PromptSet) -> Vec<PromptSet> {
        let style = [set.template.style.clone()];
        let templates = self.styles.select(&style, &[]).unwrap_or_default();
        let own = templates
            .iter()
            .position(|template| template.operation == set.template.operation);
        let next =
            (1..templates.len()).map(|i| &templates[(own.unwrap_or(0) + i) % templates.len()]);
        let sets = next.map(|template| build(template.clone(), &self.model, &self.selection).1);
        sets.filter_map(Result::ok)
            .filter(|other| other.roles == set.roles)
            .collect()
    }

    /// The control, as it stands before the results.
    fn control_text(&self) -> String {
        match (self.control.is_empty(), self.args.output.format) {
            (true, _) => String::new(),
            (false, Format::Json) => report::selfcheck_lines(&self.control),
            (false, Format::Table) => {
                let version = self.engine.runtime().version();
                let placement = self.engine.placement();
                let document = report::selfcheck(version, placement, &self.control);
                report::text(&document) + "\n"
            }
        }
    }

    /// What a sweep is: runs of the same sweep can go on where another one stopped, and be merged.
    fn identity(&self, sweep: &Sweep) -> String {
        let templates = self.sets.iter().map(|(template, _)| {
            let text = (&template.style, template.operation.to_string());
            serde_json::json!(text)
        });
        let units = sweep.units.iter().map(Unit::name);
        let text = serde_json::json!({
            "experiment": sweep.experiment.to_string(), "units": units.collect::<Vec<_>>(), "part": sweep.part.name(),
            "templates": templates.collect::<Vec<_>>(), "model": self.model.name,
            "estimator": Estimator::from(self.args.intervention.estimator).name(),
            "claim": self.args.intervention.claim, "level": self.args.intervention.level,
            "inference": Inference::from(self.args.intervention.inference), "provenance": self.provenance,
        });
        sha256_bytes(text.to_string().as_bytes()).short().to_owned()
    }

    /// Measures what is not in the record yet, and delivers the whole sweep: `table` shows the cells for people.
    pub fn run(mut self, sweep: &Sweep, table: impl Fn(&[Line]) -> String) -> Result<()> {
        let out = self.args.output.out.clone();
        let format = self.args.output.format;
        let mut text = self.control_text();
        if out.is_none() {
            print(&std::mem::take(&mut text))?;
        }
        let stream = format == Format::Json && out.is_none();
        let (lines, failures) = self.measure(sweep, |new| match stream {
            true => print(&joined(new)),
            false => Ok(()),
        })?;
        if lines.iter().any(|line| !line.failed()) {
            // Of a shard's templates there is nothing to say together.
            let pooled = match self.args.record.shard {
                None => report::pooled_lines(&lines),
                Some(_) => String::new(),
            };
            match format {
                Format::Json if stream => print(&pooled)?,
                Format::Json => deliver(out.as_deref(), &(text + &joined(&lines) + &pooled))?,
                Format::Table => deliver(out.as_deref(), &(text + &table(&lines)))?,
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

    /// Measures what is not in the record yet; calls `done` with every unit's lines, those of the record, too. Returns all lines,
    /// and why templates could not be evaluated.
    pub fn measure(
        &mut self,
        sweep: &Sweep,
        mut done: impl FnMut(&[Line]) -> Result<()>,
    ) -> Result<(Vec<Line>, Vec<Error>)> {
        if !self.engine.names_attention() && sweep.units.iter().any(Unit::cuts_attention) {
            return Err(Error::Usage(format!(
                "{} does not name attn_pattern and attn_out, which this needs: return the attention weights and what the heads read \
                 from the exported model, or measure without `attention` and the maskings value-zero and attention-mean",
                self.model.name
            )));
        }
        let identity = self.identity(sweep);
        let mut journal = match &self.args.record.record {
            Some(path) => Some(Journal::open(path)?),
            None => None,
        };
        let shard = self
            .args
            .record
            .shard
            .unwrap_or(Shard { index: 0, count: 1 });
        let counts = sweep.units.iter().map(|unit| unit.cells(&self.engine));
        let counts: Vec<usize> = counts.collect();
        let of_template: usize = counts.iter().sum();
        let cells = of_template * self.sets.len();
        let (mut all, mut failures) = (Vec::new(), Vec::new());
        let units = self.sets.len() * sweep.units.len();
        if shard.index >= units {
            eprintln!(
                "shard {}/{}: nothing to do, the sweep has {units} part{} that can be measured apart",
                shard.index + 1,
                shard.count,
                if units == 1 { "" } else { "s" }
            );
        }
        // A template that cannot be evaluated does not take the others with it: it is a row with its error.
        for (t, (template, set)) in std::mem::take(&mut self.sets).into_iter().enumerate() {
            let mut first = t * of_template;
            let mut todo: Vec<Todo<'_>> = Vec::new();
            for (u, unit) in sweep.units.iter().enumerate() {
                let cells = first..first + counts[u];
                first += counts[u];
                if (t * sweep.units.len() + u) % shard.count == shard.index {
                    let known = cells
                        .clone()
                        .filter_map(|cell| journal.as_ref()?.cell(&identity, cell));
                    let known: Vec<Line> = known.cloned().collect();
                    todo.push(Todo { unit, cells, known });
                }
            }
            if todo.is_empty() {
                continue;
            }
            // The same in every shard.
            let first_cell = t * of_template;
            let mut emit = |lines: &[Line], new: bool| -> Result<()> {
                if let (Some(journal), true) = (&mut journal, new) {
                    journal.append(lines)?;
                }
                done(lines)?;
                all.extend_from_slice(lines);
                Ok(())
            };
            let evaluated =
                set.and_then(|set| self.template(sweep, (&identity, cells), set, &todo, &mut emit));
            match evaluated {
                Ok(()) => {}
                // Of the program or the machine, not of a template.
                Err(error @ (Error::Interrupted | Error::Write { .. })) => return Err(error),
                Err(error) => {
                    let run = (sweep.experiment, &*self.model.name, &*identity);
                    let line = failed(run, (&template, None), first_cell, &error);
                    failures.push(error);
                    // Where nothing came out there is nothing to print but the error.
                    if let Some(journal) = &mut journal {
                        journal.append(std::slice::from_ref(&line))?;
                    }
                    if self.args.output.out.is_some() || all.iter().any(|l: &Line| !l.failed()) {
                        done(std::slice::from_ref(&line))?;
                    }
                    all.push(line);
                }
            }
        }
        Ok((all, failures))
    }

    /// Measures the units of one template that are still to be measured.
    fn template(
        &mut self,
        sweep: &Sweep,
        (identity, cells): (&str, usize),
        set: PromptSet,
        todo: &[Todo<'_>],
        emit: &mut impl FnMut(&[Line], bool) -> Result<()>,
    ) -> Result<()> {
        if todo.iter().all(Todo::is_done) {
            return todo.iter().try_for_each(|todo| emit(&todo.known, false));
        }
        let args = &self.args;
        let estimator: Estimator = args.intervention.estimator.into();
        let pending = || todo.iter().filter(|todo| !todo.is_done());
        let mut asked: Vec<&'static dyn Ablation> = Vec::new();
        for ablation in pending().flat_map(|todo| todo.unit.ablations()) {
            if asked.iter().all(|known| known.name() != ablation.name()) {
                asked.push(ablation);
            }
        }
        let needs_operations = asked.iter().any(|ablation| ablation.needs_operations());
        let operations = match needs_operations {
            true => self.other_operations(&set),
            false => Vec::new(),
        };
        let defined = |ablation: &&&'static dyn Ablation| {
            !ablation.needs_operations() || !operations.is_empty()
        };
        let ablations: Vec<&'static dyn Ablation> = asked.iter().filter(defined).copied().collect();
        let plans: Vec<Plan> = pending()
            .flat_map(|todo| todo.unit.plans(&self.engine))
            .collect();
        let waits: BTreeSet<usize> = plans.iter().map(|plan| plan.wait).collect();
        let waits: Vec<usize> = waits.into_iter().collect();
        let request = Request {
            estimator,
            limit: Some(args.intervention.limit as usize),
            seed: args.prompts.seed,
            batch: self.batch,
            way: match args.intervention.masked {
                true => Way::Masked,
                false => Way::Compiled,
            },
            part: sweep.part,
            operations: &operations,
            ..Request::new(&plans, &ablations)
        };
        let run = record::Run {
            experiment: sweep.experiment,
            estimator,
            model: &self.model.name,
            tokenizer: &self.model.tokenizer,
            layers: self.model.sizes.layers,
            guess: self
                .model
                .preset
                .filter(|preset| preset.confidence == "guess")
                .map(|preset| preset.af1),
            claim: args.intervention.claim,
            level: args.intervention.level,
            inference: args.intervention.inference.into(),
            provenance: &self.provenance,
        };
        warn(
            &set.template,
            preflight(&mut self.engine, &self.model, &set, &request)?,
        );
        let engine = &mut self.engine;
        let mut evaluation: Option<Evaluation> = None;
        for todo in todo {
            if todo.is_done() {
                emit(&todo.known, false)?;
                continue;
            }
            let start = todo.cells.start;
            let numbered = |m: Measurement, cell: usize| {
                let m = Measurement {
                    sweep: identity.to_owned(),
                    cell,
                    cells: Some(cells),
                    ..m
                };
                Line::new(Row::Measured(Box::new(m)))
            };
            match todo.unit {
                Unit::Plans(plans, asked) => {
                    let ablations: Vec<&'static dyn Ablation> =
                        asked.iter().filter(defined).copied().collect();
                    let evaluation = match &mut evaluation {
                        Some(evaluation) => evaluation,
                        none => none.insert(prepare(engine, set.clone(), &request, &waits)?),
                    };
                    evaluation.cells.clear();
                    evaluation.add(engine, &with_references(plans), &ablations)?;
                    let measured = measure(evaluation, &run, |cell| plans.contains(&cell.plan));
                    let mut lines: Vec<Line> = Vec::new();
                    for (i, m) in measured.into_iter().enumerate() {
                        let name = ablations[i % ablations.len()].name();
                        let column = asked.iter().position(|a| a.name() == name);
                        let row = i / ablations.len() * asked.len();
                        lines.push(numbered(m, start + row + column.unwrap_or(0)));
                    }
                    for (column, ablation) in asked.iter().enumerate() {
                        if defined(&ablation) {
                            continue;
                        }
                        let reason = format!(
                            "{} takes the means of another operation, and the style has none whose prompts have operands \
                             and text at the same positions",
                            ablation.name()
                        );
                        let error = Error::NoPrompts {
                            style: set.template.style.clone(),
                            operation: set.template.operation.to_string(),
                            reason,
                        };
                        for row in 0..plans.len() {
                            let cell = start + row * asked.len() + column;
                            let template = (&set.template, Some(ablation.name()));
                            let run = (sweep.experiment, &*self.model.name, identity);
                            lines.push(failed(run, template, cell, &error));
                        }
                    }
                    lines.sort_by_key(|line| line.key().map(|(_, cell)| cell));
                    let (known, new): (Vec<Line>, Vec<Line>) = lines
                        .into_iter()
                        .partition(|line| todo.known.iter().any(|known| known.key() == line.key()));
                    // A unit is written at once, but its last lines may not have reached the disk.
                    emit(&known, false)?;
                    emit(&new, true)?;
                }
                Unit::Heads {
                    wait,
                    transfer,
                    ablation,
                    order,
                    controls,
                    seed,
                    held_out,
                } => {
                    let ablation = *ablation;
                    let part = |part| Request { part, ..request };
                    let (choice, reported) = match held_out {
                        true => (Part::Development, Part::HeldOut),
                        false => (sweep.part, sweep.part),
                    };
                    let mut choose = prepare(engine, set.clone(), &part(choice), &waits)?;
                    let mut report = prepare(engine, set.clone(), &part(reported), &waits)?;
                    let mut pruning = Pruning::new(*wait, *transfer, engine.heads(), *order);
                    // AF1(W, 0) first: what an answer without transfer is worth.
                    report.add(engine, &[Plan::af1(*wait, 0)], &[ablation])?;
                    let mut cell = start;
                    let mut held: usize = 0;
                    emit(&todo.known, false)?;
                    // The size of random sets is fixed where the heads are chosen, not where they are reported.
                    let mut seen =
                        |engine: &mut Engine, choose: &mut Evaluation, m: &Measurement| {
                            if *controls == 0 {
                                return Ok(());
                            }
                            let heads = heads_named(m);
                            let size = heads.len();
                            let share = match held_out {
                                true => {
                                    let plan = Plan::pruned(*wait, *transfer, heads);
                                    share_under(engine, choose, &plan, ablation)?
                                }
                                false => m.faithfulness.unwrap_or(0.0),
                            };
                            if share >= run.claim {
                                held = held.max(size);
                            }
                            Ok::<(), Error>(())
                        };
                    for line in &todo.known {
                        let Row::Measured(m) = &line.row else {
                            continue;
                        };
                        // Steps follow from each other: behind a gap they are found again.
                        if m.cell != cell || m.pruning.as_deref() == Some(RANDOM_SET) {
                            continue;
                        }
                        cell += 1;
                        seen(engine, &mut choose, m)?;
                        pruning.resume(heads_named(m));
                    }
                    let last = |evaluation: &mut Evaluation, how: &str, cell: usize| {
                        let shown = |cell: &crate::experiment::Cell| {
                            matches!(cell.plan.tail, Tail::Pruned { .. })
                        };
                        let mut measured = measure(evaluation, &run, shown);
                        evaluation.cells.truncate(1);
                        let mut m = measured.pop().expect("one was just added");
                        m.pruning = Some(how.to_owned());
                        numbered(m, cell)
                    };
                    let how = match order {
                        Order::Greedy => "greedy",
                        Order::Random(_) => "random-order",
                    };
                    while let Some(plan) = pruning.next(engine, &mut choose, ablation)? {
                        report.add(engine, &[plan], &[ablation])?;
                        let line = last(&mut report, how, cell);
                        cell += 1;
                        if let Row::Measured(m) = &line.row {
                            seen(engine, &mut choose, m)?;
                        }
                        emit(&[line], true)?;
                    }
                    let end = todo.cells.end;
                    if held == 0 && *controls > 0 {
                        eprintln!(
                            "{} {}: no head can be pruned, so there are no random sets to compare with",
                            set.template.style, set.template.operation
                        );
                    }
                    let controls = if held == 0 { &0 } else { controls };
                    let sets =
                        random_sets(*wait, *transfer, engine.heads(), held, *controls, *seed);
                    for (plan, at) in sets.into_iter().zip(end - controls..end) {
                        if todo
                            .known
                            .iter()
                            .any(|line| line.key() == Some((identity, at)))
                        {
                            continue;
                        }
                        report.add(engine, &[plan], &[ablation])?;
                        let line = last(&mut report, RANDOM_SET, at);
                        emit(&[line], true)?;
                    }
                }
                Unit::Discover(ablation) => {
                    let part = |part| Request { part, ..request };
                    let mut lines = Vec::new();
                    let mut choose =
                        prepare(engine, set.clone(), &part(Part::Development), &waits)?;
                    let criterion = Criterion::of_choice(choose.base_right(), run.claim);
                    let found = discover(engine, &mut choose, *ablation, run.claim, criterion)?;
                    let chosen = match found.holds {
                        Some(holds) => Some(holds),
                        None => keeps_most(engine, &mut choose, *ablation)?,
                    };
                    let (wait, transfer) = chosen.ok_or_else(|| {
                        Error::Usage("a model of one layer has no AF1 to choose".to_owned())
                    })?;
                    let plans = with_references(&[Plan::af1(wait, transfer)]);
                    choose.cells.clear();
                    choose.add(engine, &plans, &[*ablation])?;
                    let mut report = prepare(engine, set.clone(), &part(Part::HeldOut), &[wait])?;
                    report.add(engine, &plans, &[*ablation])?;
                    for (i, evaluation) in [choose, report].iter().enumerate() {
                        let measured = measure(evaluation, &run, |cell| cell.plan == plans[0]);
                        lines.extend(measured.into_iter().map(|mut m| {
                            m.chosen_by = Some(criterion);
                            m.chosen_holds = Some(found.holds.is_some());
                            numbered(m, start + i)
                        }));
                    }
                    let known = |line: &&Line| todo.known.iter().any(|k| k.key() == line.key());
                    let new: Vec<Line> = lines.iter().filter(|l| !known(l)).cloned().collect();
                    emit(&todo.known, false)?;
                    emit(&new, true)?;
                }
                Unit::Contexts(plan, ablation, draws) => {
                    emit(&todo.known, false)?;
                    let mut seen: Vec<Measurement> = Vec::new();
                    for (i, &draw) in draws.iter().enumerate() {
                        let cell = start + i;
                        let known = |line: &&Line| line.key() == Some((identity, cell));
                        if let Some(line) = todo.known.iter().find(known) {
                            if let Row::Measured(m) = &line.row {
                                seen.push((**m).clone());
                            }
                            continue;
                        }
                        let plan_draw = draw;
                        let draw = Some(draw);
                        let request = Request { draw, ..request };
                        let mut evaluation = prepare(engine, set.clone(), &request, &waits)?;
                        let plans = with_references(std::slice::from_ref(plan));
                        evaluation.add(engine, &plans, &[*ablation])?;
                        let mut measured = measure(&evaluation, &run, |cell| cell.plan == *plan);
                        let mut m = measured.pop().expect("one plan has one cell");
                        // What all draws say together is in the record of the last one: the tables of means have an error, too.
                        let of_number = draws.iter().filter(|d| d.contexts == plan_draw.contexts);
                        seen.retain(|m| m.contexts_drawn == Some(plan_draw.contexts));
                        if seen.len() + 1 == of_number.count() {
                            let all: Vec<&Measurement> = seen.iter().chain([&m]).collect();
                            m.over_draws = over_draws(&all);
                        }
                        seen.push(m.clone());
                        emit(&[numbered(m, cell)], true)?;
                    }
                }
                Unit::Attention => {
                    let (heads, evaluated) = attention(engine, &set, &request)?;
                    let lines: Vec<Line> = attended(&heads, &set, &evaluated, &run)
                        .into_iter()
                        .enumerate()
                        .map(|(i, mut row)| {
                            row.sweep = identity.to_owned();
                            row.cell = start + i;
                            Line::new(Row::Attention(Box::new(row)))
                        })
                        .collect();
                    let known = |line: &&Line| todo.known.iter().any(|k| k.key() == line.key());
                    let new: Vec<Line> = lines.iter().filter(|l| !known(l)).cloned().collect();
                    emit(&todo.known, false)?;
                    emit(&new, true)?;
                }
            }
        }
        Ok(())
    }
}

/// Says loudly if the model would rather be asked with something else in front.
fn warn(template: &Template, checked: Checked) {
    if let Some(fronts) = checked.fronts.filter(Fronts::other_is_better) {
        let (style, operation) = (&template.style, &template.operation);
        eprintln!("WARNING: {style} {operation}: {fronts}");
    }
}

/// The line of a template that could not be evaluated, or of an ablation that is not defined on it.
fn failed(
    (experiment, model, sweep): (Experiment, &str, &str),
    (template, ablation): (&Template, Option<&str>),
    cell: usize,
    error: &Error,
) -> Line {
    Line::new(Row::Failed(Box::new(Failure {
        schema: SCHEMA,
        sweep: sweep.to_owned(),
        cell,
        experiment: experiment.to_string(),
        model: model.to_owned(),
        style: template.style.clone(),
        operation: template.operation.to_string(),
        ablation: ablation.map(str::to_owned),
        error: error.to_string(),
        exit_code: error.exit_code(),
    })))
}

/// The name of a random set of heads in records.
const RANDOM_SET: &str = "random-set";

/// The heads that a measurement says were pruned.
fn heads_named(m: &Measurement) -> BTreeSet<Head> {
    let names = m.pruned_heads.iter().flatten();
    names.filter_map(|name| name.parse().ok()).collect()
}

/// A unit of a template, and which of its cells the record holds.
struct Todo<'a> {
    unit: &'a Unit,
    cells: std::ops::Range<usize>,
    known: Vec<Line>,
}

impl Todo<'_> {
    fn is_done(&self) -> bool {
        self.known.len() == self.cells.len()
    }
}

/// The lines as a file of records has them.
pub fn joined(lines: &[Line]) -> String {
    lines
        .iter()
        .map(|line| format!("{}\n", line.text))
        .collect()
}

/// The prompts of a template.
fn build(
    template: Template,
    model: &Model,
    selection: &Selection,
) -> (Template, Result<PromptSet>) {
    let set = PromptSet::build(&template, &model.tokenizer, model.bos(), selection);
    let set = set.and_then(|set| fits(set, model));
    (template, set)
}

/// Passes on prompts that fit the model's context.
fn fits(set: PromptSet, model: &Model) -> Result<PromptSet> {
    let context = model.sizes.context.unwrap_or(usize::MAX);
    if set.positions() <= context {
        return Ok(set);
    }
    Err(Error::Usage(format!(
        "style {:?}: prompts of {} tokens do not fit the model's context of {context}",
        set.template.style,
        set.positions()
    )))
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
        contexts_from: args.contexts_from.0,
        seed: args.seed,
    }
}

fn provenance(
    model: &Model,
    engine: &Engine,
    styles: &Styles,
    selection: &Selection,
    (args, batch): (&Common, usize),
) -> Provenance {
    let (runtime, placement) = (engine.runtime(), engine.placement());
    let provider = placement.provider_library.as_deref();
    Provenance {
        crate_version: env!("CARGO_PKG_VERSION").to_owned(),
        model_sha256: model.hash.to_string(),
        graph_sha256: engine.graph_hash().to_string(),
        tokenizer_sha256: model.tokenizer.hash().to_string(),
        styles_sha256: styles.hash().to_string(),
        runtime: "onnxruntime".to_owned(),
        runtime_version: runtime.version().to_owned(),
        runtime_sha256: runtime.hash().to_string(),
        device: placement.to_string(),
        provider_sha256: provider
            .and_then(|library| runtime.provider_hash(library))
            .map(|hash| hash.to_string()),
        tf32: placement.tf32,
        mapped_weights: placement.mapped == Some(true),
        providers: engine.providers().clone(),
        dtype: model.precision.dtype().to_string(),
        threads: runtime.threads(),
        batch,
        masked: args.intervention.masked || !engine.takes_keys_values(),
        seed: selection.seed,
        operands: [*selection.operands.start(), *selection.operands.end()],
        results: [*selection.results.start(), *selection.results.end()],
        limit: Some(args.intervention.limit as usize),
        contexts: selection.contexts,
        contexts_from: selection.contexts_from.name().to_owned(),
        bos: model.front.bos.as_ref().map(|bos| bos.token.clone()),
        bos_id: model.bos(),
        bos_rule: Some(model.front.rule.to_string()),
    }
}
