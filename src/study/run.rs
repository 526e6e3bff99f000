//! Running experiments on a model that is ready.

use std::collections::BTreeSet;

use super::identity::{Identity, VERSION};
use super::numbers::shape_or_single;
use super::prompts::{build, build_all};
use super::provenance::provenance;
use super::steps::{Steps, Wanted};
use super::{Asked, Method, Request, selection};
use crate::experiment::{Emit, Experiment, Seat, Shape, Todo, Unit, Workbench};
use crate::intervene::Plan;
use crate::measure::{self, Fronts, fronts, preflight};
use crate::model::Model;
use crate::prompt::{Operation, PromptSet, Selection, Step, Styles, Template};
use crate::record::{Address, CellName, Failure, Journal, Line, Provenance, Row, Run};
use crate::runtime::Engine;
use crate::{Error, Result};

/// A model that is ready, and its prompts.
pub struct Study {
    /// The model.
    pub model: Model,
    /// Its sessions.
    pub engine: Engine,
    /// The templates that are asked for, with their prompts, or why there are none.
    pub sets: Vec<(Template, Result<PromptSet>)>,
    /// Prompts in a batch.
    pub batch: usize,
    /// Under what measurements are made.
    pub provenance: Provenance,
    request: Request,
    /// All templates of the styles, for the means of other operations.
    styles: Styles,
    selection: Selection,
}

/// What came of a sweep.
pub struct Swept {
    /// The lines of its cells, those that the record held, too, template by template.
    pub lines: Vec<Line>,
    /// Why templates could not be evaluated.
    pub failures: Vec<Error>,
}

impl Study {
    /// Reads what is asked for, makes a model ready by `load`, and builds its prompts. What is wrong with the request is said before
    /// anything is loaded.
    ///
    /// # Errors
    /// Styles that cannot be read or do not have what is asked for; what `load` fails with.
    pub fn open(request: Request, load: impl FnOnce() -> Result<(Model, Engine)>) -> Result<Self> {
        let styles = request.asked.read_styles()?;
        let (model, engine) = load()?;
        let templates = request.asked.templates(&styles, &model)?;
        let selection = selection(&model, &request.asked);
        let numbers = &request.asked.numbers;
        let sets = templates
            .into_iter()
            .flat_map(|template| build_all(template, &model, &selection, numbers));
        let sets: Vec<(Template, Result<PromptSet>)> = sets.collect();
        // One for all templates: it is a part of what a run is.
        let lengths = sets
            .iter()
            .filter_map(|(_, set)| Some(set.as_ref().ok()?.positions()));
        let batch = request
            .method
            .batch
            .of(model.sizes, lengths.max().unwrap_or(1));
        let provenance = provenance(
            &model,
            &engine,
            &styles,
            &selection,
            &request.asked,
            &request.method,
            batch,
        );
        Ok(Self {
            request,
            model,
            engine,
            sets,
            styles,
            selection,
            batch,
            provenance,
        })
    }

    /// What is asked for.
    pub fn request(&self) -> &Request {
        &self.request
    }

    /// A template by its style and operation, with the model's chat template around it if it wants that.
    ///
    /// # Errors
    /// The styles do not have it; a chat template that cannot be used.
    pub fn template_of(&self, style: &str, operation: &Operation) -> Result<Template> {
        let found = self
            .styles
            .select(&[style.to_owned()], std::slice::from_ref(operation))?;
        let found = found.first();
        self.model
            .framed(found.expect("a template for what was selected, or an error"))
    }

    /// Asks for other prompts of the same file of styles, and measures and judges otherwise, from here on.
    pub fn ask_for(&mut self, asked: Asked, method: Method) {
        self.request.asked = asked;
        self.request.method = method;
        self.selection = selection(&self.model, &self.request.asked);
        self.provenance = provenance(
            &self.model,
            &self.engine,
            &self.styles,
            &self.selection,
            &self.request.asked,
            &method,
            self.batch,
        );
    }

    /// The prompts of a template, a set for every shape and step that is asked for.
    pub fn prompts(&self, template: Template) -> Vec<(Template, Result<PromptSet>)> {
        let numbers = &self.request.asked.numbers;
        build_all(template, &self.model, &self.selection, numbers)
    }

    /// The prompts of the style's other operations that have the same roles at the same positions, in the order of the file,
    /// from the next one on.
    fn other_operations(&self, set: &PromptSet) -> Vec<PromptSet> {
        let style = [set.template.style.clone()];
        let templates = self.styles.select(&style, &[]).unwrap_or_default();
        let own = templates
            .iter()
            .position(|template| template.operation == set.template.operation);
        // An operation that has no template of its own is in the file nowhere.
        let (before, behind) = match own {
            Some(own) => (&templates[..own], &templates[own + 1..]),
            None => (&templates[..0], &templates[..]),
        };
        let fits = |template: &&Template| set.numbers.shape.fits(&template.operation);
        let sets = (behind.iter().chain(before).filter(fits))
            .filter_map(|template| self.model.framed(template).ok())
            .map(|template| build(template, &self.model, &self.selection, &set.numbers).1);
        sets.filter_map(Result::ok)
            .filter(|other| other.roles == set.roles)
            .collect()
    }

    /// Measures what of an experiment is not in the record yet; calls `done` with every unit's lines, those of the record, too.
    ///
    /// A template that cannot be evaluated does not take the others with it: it is a line with its error.
    ///
    /// # Errors
    /// An experiment that the model's graph does not allow; a record that cannot be read or written; an interrupt; what `done` fails
    /// with.
    pub fn run(
        &mut self,
        experiment: &dyn Experiment,
        mut done: impl FnMut(&[Line]) -> Result<()>,
    ) -> Result<Swept> {
        let units = experiment.units();
        if !self.engine.names_attention() && units.iter().any(|unit| unit.cuts_attention()) {
            return Err(Error::Usage(format!(
                "{} does not name attn_pattern and attn_out, which this needs: return the attention weights and what the heads read \
                 from the exported model, or measure without `attention` and the maskings value-zero and attention-mean",
                self.model.name
            )));
        }
        let sweep = Sweep::new(self, experiment, &units);
        let mut journal = match &self.request.record {
            Some(path) => Some(Journal::open(path)?),
            None => None,
        };
        self.say_empty_shard(units.len());
        let seats = (0..self.sets.len()).map(|template| sweep.seat(self, template));
        let seats: Vec<Seat> = seats.collect();
        // The prompts stay for the next experiment, whatever comes of this one.
        let sets = std::mem::take(&mut self.sets);
        let swept = self.run_on(&sets, &seats, &sweep, &mut journal, &mut done);
        self.sets = sets;
        swept
    }

    /// Measures what of a sweep is not in the record yet, template by template.
    fn run_on(
        &mut self,
        sets: &[(Template, Result<PromptSet>)],
        seats: &[Seat],
        sweep: &Sweep<'_>,
        journal: &mut Option<Journal>,
        done: &mut impl FnMut(&[Line]) -> Result<()>,
    ) -> Result<Swept> {
        let mut swept = Swept {
            lines: Vec::new(),
            failures: Vec::new(),
        };
        let of_template = |t: usize| {
            sweep.todo(
                (t, &sets[t].0),
                &seats[t],
                self.request.shard,
                journal.as_ref(),
            )
        };
        let todos: Vec<Vec<(&dyn Unit, Todo)>> = (0..sets.len()).map(of_template).collect();
        let mut steps = Steps::default();
        for (t, (template, set)) in sets.iter().enumerate() {
            let todo = &todos[t];
            if todo.is_empty() {
                continue;
            }
            if !steps.holds(t) {
                let shape = shape(&self.engine);
                steps = Steps::of(sets, t, |t| {
                    let other = || {
                        sets[t]
                            .1
                            .as_ref()
                            .map_or(Vec::new(), |set| self.other_operations(set))
                    };
                    Wanted::of(&todos[t], shape, other)
                });
            }
            let mut take = |lines: &[Line], new: bool| -> Result<()> {
                if let (Some(journal), true) = (&mut *journal, new) {
                    journal.append(lines)?;
                }
                done(lines)?;
                swept.lines.extend_from_slice(lines);
                Ok(())
            };
            let mut emit = Emit { take: &mut take };
            let evaluated = match set {
                Ok(set) => {
                    let at = At {
                        sets,
                        template: t,
                        set,
                        seat: &seats[t],
                    };
                    self.template(sweep, at, &steps, todo, &mut emit)
                }
                // Built again, there are none for the same reason.
                Err(_) => (self.prompts(template.clone()).into_iter())
                    .try_for_each(|(_, set)| set.map(drop)),
            };
            match evaluated {
                Ok(()) => {}
                // Of the program or the machine, not of a template.
                Err(error @ (Error::Interrupted | Error::Write { .. })) => return Err(error),
                Err(error) => {
                    let line = sweep.failed(self, template, &seats[t], &error);
                    swept.failures.push(error);
                    if let Some(journal) = journal {
                        journal.append(std::slice::from_ref(&line))?;
                    }
                    done(std::slice::from_ref(&line))?;
                    swept.lines.push(line);
                }
            }
        }
        Ok(swept)
    }

    /// Says if this shard has no part of a sweep of so many units a template.
    fn say_empty_shard(&self, units: usize) {
        let (shard, parts) = (self.request.shard, self.sets.len() * units);
        if shard.index >= parts {
            eprintln!(
                "shard {}/{}: nothing to do, the sweep has {parts} part{} that can be measured apart",
                shard.index + 1,
                shard.count,
                if parts == 1 { "" } else { "s" }
            );
        }
    }

    /// Measures the units of a template that are still to be measured.
    fn template(
        &mut self,
        sweep: &Sweep<'_>,
        at: At<'_>,
        steps: &Steps,
        todo: &[(&dyn Unit, Todo)],
        emit: &mut Emit<'_>,
    ) -> Result<()> {
        let method = self.request.method;
        let how = measure::Request {
            estimator: method.estimator,
            limit: Some(method.limit),
            seed: self.request.asked.seed,
            batch: self.batch,
            way: method.way,
            boundaries: sweep.boundaries,
            ..measure::Request::new(&[], &[])
        };
        let At {
            sets,
            template,
            set,
            seat,
        } = at;
        let Some(wanted) = steps.wanted(template) else {
            return todo
                .iter()
                .try_for_each(|(_, todo)| emit.known(&todo.known));
        };
        let request = wanted.request(&how);
        preflight(&mut self.engine, &self.model, set, &request)?;
        // What stands in front is the same at every step.
        if steps.begin_with(template) {
            warn(set, fronts(&mut self.engine, &self.model, set)?);
        }
        let provenance = self.provenance_of(set);
        let run = run_of(&self.model, &method, sweep.experiment, &provenance);
        let mut first_pass = |engine: &mut Engine| steps.take(engine, sets, template, &how);
        let mut bench = Workbench {
            engine: &mut self.engine,
            set,
            request,
            waits: &wanted.waits,
            run: &run,
            seat,
            first_pass: &mut first_pass,
            evaluation: None,
        };
        for (unit, todo) in todo {
            match todo.is_done() {
                true => emit.known(&todo.known)?,
                false => unit.measure(&mut bench, todo, emit)?,
            }
        }
        Ok(())
    }
}

/// A template of a study.
#[derive(Clone, Copy)]
struct At<'a> {
    /// All of them, with their prompts.
    sets: &'a [(Template, Result<PromptSet>)],
    /// Its index.
    template: usize,
    /// Its prompts.
    set: &'a PromptSet,
    /// Where its lines stand.
    seat: &'a Seat,
}

/// An experiment as a sweep over the templates of a study.
struct Sweep<'a> {
    experiment: &'a dyn Experiment,
    units: &'a [Box<dyn Unit + 'a>],
    identity: String,
    /// The cells of each unit on a template.
    cells: Vec<Vec<CellName>>,
    /// The number of boundaries of all units.
    boundaries: usize,
}

impl<'a> Sweep<'a> {
    fn new(study: &Study, experiment: &'a dyn Experiment, units: &'a [Box<dyn Unit + 'a>]) -> Self {
        let shape = shape(&study.engine);
        let words: BTreeSet<String> = units.iter().map(|unit| unit.words()).collect();
        let method = &study.request.method;
        let kind = experiment.kind();
        let identity = Identity {
            version: VERSION,
            kind: kind.name(),
            about: experiment.words(),
            units: words.into_iter().collect(),
            model: &study.model.name,
            estimator: method.estimator.name(),
            claim: method.claim,
            level: method.level,
            inference: method.inference.name(),
            provenance: &study.provenance,
        };
        Self {
            identity: identity.digest(),
            cells: units.iter().map(|unit| unit.cells(shape)).collect(),
            boundaries: {
                let plans: Vec<Plan> = units.iter().flat_map(|unit| unit.plans(shape)).collect();
                measure::boundaries(&plans).len()
            },
            experiment,
            units,
        }
    }

    /// Where the lines of a template stand.
    fn seat(&self, study: &Study, template: usize) -> Seat {
        let (asked, set) = &study.sets[template];
        let numbers = set.as_ref().ok().map(|set| &set.numbers);
        let shape = shape_or_single(numbers.map(|numbers| &numbers.shape), asked);
        let units = self.units.iter().zip(&self.cells);
        let of_template = units.filter(|(unit, _)| unit.applies(&shape));
        Seat {
            sweep: self.identity.clone(),
            kind: self.experiment.kind(),
            template,
            shape: numbers.map(|numbers| numbers.shape.clone()),
            step: numbers.map_or(Step::default(), |numbers| numbers.step),
            cells: of_template.map(|(_, cells)| cells.len()).sum(),
            templates: study.sets.len(),
        }
    }

    /// The units of a template that are a shard's, with what the record holds of them.
    fn todo(
        &self,
        (t, template): (usize, &Template),
        seat: &Seat,
        shard: super::Shard,
        journal: Option<&Journal>,
    ) -> Vec<(&'a dyn Unit, Todo)> {
        let operation = template.operation.to_string();
        let known = |cell: &CellName| {
            journal?.cell(Address {
                sweep: &self.identity,
                style: &template.style,
                operation: &operation,
                shape: seat.shape.as_ref(),
                step: seat.step,
                cell: &cell.name,
            })
        };
        let units = self.units.iter().map(|unit| &**unit);
        let units = units.zip(&self.cells).enumerate();
        let shape = shape_or_single(seat.shape.as_ref(), template);
        let of_shard = units
            .filter(|(u, (unit, _))| unit.applies(&shape) && shard.takes(t * self.units.len() + u));
        let todo = |(_, (unit, cells)): (usize, (&'a dyn Unit, &Vec<CellName>))| {
            let known = cells.iter().filter_map(known);
            let known = known.map(|line| line.clone().of_template(t)).collect();
            let cells = cells.clone();
            (unit, Todo { cells, known })
        };
        of_shard.map(todo).collect()
    }

    /// The line of a template that could not be evaluated.
    fn failed(&self, study: &Study, template: &Template, seat: &Seat, error: &Error) -> Line {
        let method = &study.request.method;
        let run = run_of(&study.model, method, self.experiment, &study.provenance);
        let mut failure = Failure::of(&run, template, error);
        failure.place = seat.place(&CellName::default());
        Line::new(Row::Failed(Box::new(failure)))
    }
}

fn shape(engine: &Engine) -> Shape {
    Shape {
        layers: engine.layers(),
        heads: engine.heads(),
    }
}

/// What all records of an experiment have in common.
fn run_of<'a>(
    model: &'a Model,
    method: &Method,
    experiment: &dyn Experiment,
    provenance: &'a Provenance,
) -> Run<'a> {
    let guessed = model.preset.filter(|preset| preset.confidence == "guess");
    Run {
        experiment: experiment.kind_of_af1(),
        estimator: method.estimator,
        model: &model.name,
        tokenizer: &model.tokenizer,
        layers: model.sizes.layers,
        guess: guessed.map(|preset| preset.af1),
        claim: method.claim,
        level: method.level,
        inference: method.inference,
        provenance,
    }
}

/// Says loudly if the model would rather be asked with something else in front.
fn warn(set: &PromptSet, fronts: Option<Fronts>) {
    if let Some(fronts) = fronts.filter(Fronts::other_is_better) {
        eprintln!("WARNING: {}: {fronts}", set.name());
    }
}

/// The lines as a file of records has them.
pub fn joined(lines: &[Line]) -> String {
    lines
        .iter()
        .map(|line| format!("{}\n", line.text))
        .collect()
}
