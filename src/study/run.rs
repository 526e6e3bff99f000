//! Running experiments on a model that is ready.

use std::path::Path;

use super::destinations::{AnswerFile, Destinations};
use super::draw::{Draw, until_right};
use super::prompts::{TemplatePrompts, build, build_all};
use super::provenance::{of_set, provenance};
use super::steps::{Steps, Wanted};
use super::sweep::{Around, Sweep, run_of, sizes};
use super::{Asked, Method, Request, selection};
use crate::experiment::{Emit, Experiment, Seat, Todo, Unit, Workbench};
use crate::intervene::ablation;
use crate::measure::{self, Fronts, fronts, preflight};
use crate::model::Model;
use crate::progress::say;
use crate::prompt::{Operation, PromptSet, Selection, Styles, Template};
use crate::record::{Ended, Journal, Line, Provenance, Row, Run};
use crate::runtime::Engine;
use crate::{Error, Result};

/// A model that is ready, and its prompts.
pub struct Study {
    /// The model.
    pub model: Model,
    /// The sessions of the model.
    pub engine: Engine,
    /// The templates that are asked for, with their prompts, or why there are none.
    pub sets: Vec<TemplatePrompts>,
    /// Prompts in a batch.
    pub batch: usize,
    /// Under what measurements are made.
    pub provenance: Provenance,
    request: Request,
    /// All templates of the styles, for the means of other operations.
    styles: Styles,
    pub(super) selection: Selection,
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
        let list = request.asked.read_list()?;
        request.check()?;
        let (model, mut engine) = load()?;
        let templates = request.asked.templates(&styles, &model)?;
        let mut selection = selection(&model, &request.asked);
        if let Some(list) = list {
            selection = list.select(&request.asked.chosen(&styles, &model)?, selection)?;
        }
        let asked = &request.asked;
        let sets = templates
            .into_iter()
            .flat_map(|template| build_all(template, &model, &selection, asked));
        let mut sets: Vec<TemplatePrompts> = sets.collect();
        // One for all templates: it is a part of what a run is.
        let lengths = sets.iter().filter_map(|of| Some(of.prompts()?.positions()));
        let batch =
            request
                .method
                .batch
                .of(model.sizes, lengths.max().unwrap_or(1), engine.placement());
        if let Some(right) = request.method.right_answers {
            let seed = request.asked.seed;
            until_right(&mut engine, &mut sets, Draw { right, seed, batch })?;
        }
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

    /// Under what a template is measured.
    pub fn provenance_of(&self, set: &PromptSet) -> Provenance {
        of_set(&self.provenance, &self.request.asked, &self.selection, set)
    }

    /// Under what the first of the templates is measured, of which there are prompts.
    pub fn provenance_of_first(&self) -> Provenance {
        let first = self.sets.iter().find_map(TemplatePrompts::prompts);
        first.map_or_else(|| self.provenance.clone(), |set| self.provenance_of(set))
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
    pub fn prompts(&self, template: Template) -> Vec<TemplatePrompts> {
        build_all(template, &self.model, &self.selection, &self.request.asked)
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
            .filter_map(|template| {
                let selection = self.request.asked.selection_of(&self.selection, &template);
                build(template, &self.model, &selection.ok()?, &set.numbers)
                    .set
                    .ok()
            });
        sets.filter(|other| other.roles == set.roles).collect()
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
        if self.request.answers.is_some() && !experiment.has_answers() {
            return Err(Error::Usage(format!(
                "--answers: the cells of {} are not about answers to single prompts; leave it out",
                experiment.kind().name()
            )));
        }
        let answers = self.request.answers.as_deref().map(AnswerFile::begin);
        let mut answers = answers.transpose()?;
        let sweep = Sweep::new(self.around(), experiment, &units);
        let mut journal = match &self.request.record {
            Some(path) => Some(Journal::open(path)?),
            None => None,
        };
        self.say_empty_shard(units.len());
        let seats = (0..self.sets.len()).map(|template| sweep.seat(&self.sets, template));
        let seats: Vec<Seat> = seats.collect();
        // The prompts stay for the next experiment, whatever comes of this one.
        let sets = std::mem::take(&mut self.sets);
        let to = &mut Destinations {
            journal: &mut journal,
            answers: &mut answers,
        };
        let swept = self.run_on(&sets, &seats, &sweep, to, &mut done);
        self.sets = sets;
        let swept = swept?;
        if let Some(answers) = answers {
            answers.finish()?;
        }
        let cells = seats.iter().map(|seat| seat.cells).sum();
        if let Some(journal) = &mut journal {
            self.end(&sweep, cells, journal)?;
        }
        Ok(swept)
    }

    /// Measures what of a sweep is not in the record yet, template by template.
    fn run_on(
        &mut self,
        sets: &[TemplatePrompts],
        seats: &[Seat],
        sweep: &Sweep<'_>,
        to: &mut Destinations<'_>,
        done: &mut impl FnMut(&[Line]) -> Result<()>,
    ) -> Result<Swept> {
        let mut swept = Swept {
            lines: Vec::new(),
            failures: Vec::new(),
        };
        let of_template = |t: usize| {
            sweep.todo(
                (t, &sets[t].template),
                &seats[t],
                self.request.shard,
                to.journal.as_ref().filter(|_| to.answers.is_none()),
            )
        };
        let todos: Vec<Vec<(&dyn Unit, Todo)>> = (0..sets.len()).map(of_template).collect();
        self.check_all_known(sets, &todos)?;
        let mut steps = Steps::default();
        for (t, TemplatePrompts { template, set }) in sets.iter().enumerate() {
            let todo = &todos[t];
            if todo.is_empty() {
                continue;
            }
            if !steps.holds(t) {
                let sizes = sizes(&self.engine);
                steps = Steps::of(sets, t, |t| {
                    let set = sets[t].set.as_ref();
                    let other = || set.map_or(Vec::new(), |set| self.other_operations(set));
                    Wanted::of(&todos[t], sizes, other)
                });
            }
            let mut take = |lines: &[Line], new: bool| -> Result<()> {
                if new {
                    to.take(lines)?;
                }
                if let (Some(answers), Ok(set)) = (&mut *to.answers, set) {
                    answers.add(lines, set)?;
                }
                done(lines)?;
                swept
                    .lines
                    .extend(lines.iter().cloned().map(Line::without_answers));
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
                Err(error) => self.again(template, error),
            };
            match evaluated {
                Ok(()) => {}
                // Of the program or the machine, not of a template.
                Err(error @ (Error::Interrupted | Error::Write { .. })) => return Err(error),
                Err(error) => {
                    let line = sweep.failed(self.around(), template, &seats[t], &error);
                    swept.failures.push(error);
                    to.take(std::slice::from_ref(&line))?;
                    done(std::slice::from_ref(&line))?;
                    swept.lines.push(line);
                }
            }
        }
        Ok(swept)
    }

    /// Says in the record that this shard has measured all of its cells, so that a merge can name the shards that have not. A run of the whole
    /// sweep says so only where shards of it have.
    fn end(&self, sweep: &Sweep<'_>, cells: usize, journal: &mut Journal) -> Result<()> {
        let shard = self.request.shard;
        if shard.count == 1 && !journal.is_sharded(&sweep.identity) {
            return Ok(());
        }
        let ended = Ended {
            sweep: sweep.identity.clone(),
            cells,
            shards: shard.count,
            shard: shard.index + 1,
        };
        journal.append(&[Line::new(Row::Ended(Box::new(ended)))])
    }

    /// Why there are no prompts of a template.
    fn again(&self, template: &Template, error: &Error) -> Result<()> {
        match error {
            Error::NoPrompts {
                style,
                operation,
                reason,
            } => Err(Error::NoPrompts {
                style: style.clone(),
                operation: operation.clone(),
                reason: reason.clone(),
            }),
            // Built again, there are none for the same reason.
            _ => (self.prompts(template.clone()).into_iter()).try_for_each(|of| of.set.map(drop)),
        }
    }

    /// Around what a sweep is made.
    pub(super) fn around(&self) -> Around<'_> {
        Around {
            model: &self.model,
            engine: &self.engine,
            method: &self.request.method,
            provenance: &self.provenance,
        }
    }

    /// Checks as [`Self::check_known`], of all templates.
    fn check_all_known(
        &self,
        sets: &[TemplatePrompts],
        todos: &[Vec<(&dyn Unit, Todo)>],
    ) -> Result<()> {
        for (of, todo) in sets.iter().zip(todos) {
            if let Some(set) = of.prompts() {
                self.check_known(set, todo.iter().flat_map(|(_, todo)| &todo.known))?;
            }
        }
        Ok(())
    }

    /// Refuses what the record says of this sweep and no run of it can have written: the name of a sweep follows from all of that.
    fn check_known<'l>(
        &self,
        set: &PromptSet,
        known: impl Iterator<Item = &'l Line>,
    ) -> Result<()> {
        let (provenance, model) = (self.provenance_of(set), &self.model);
        let is_other = |line: &&Line| {
            let of_subject = match &line.row {
                Row::Measured(m) => {
                    let named = line
                        .place()
                        .and_then(|place| place.cell.name.rsplit_once(" by "));
                    let other = named.filter(|(_, by)| ablation::named(by).is_some());
                    m.subject.layers != model.sizes.layers
                        || other.is_some_and(|(_, by)| by != m.subject.ablation)
                }
                _ => false,
            };
            let name = line.row.model().is_some_and(|name| name != model.name);
            let under = line.row.provenance().is_some_and(|of| *of != provenance);
            of_subject || name || under
        };
        let Some(at) = known.into_iter().find(is_other).and_then(Line::address) else {
            return Ok(());
        };
        let record = self
            .request
            .record
            .as_deref()
            .unwrap_or(Path::new("record"));
        Err(Error::Usage(format!(
            "{}: it says of {} {} another model, ablation or provenance than its sweep has: the file was changed; take these lines out, or name \
             another file",
            record.display(),
            at.template(),
            at.cell
        )))
    }

    /// Says if this shard has no part of a sweep of so many units a template.
    fn say_empty_shard(&self, units: usize) {
        let (shard, parts) = (self.request.shard, self.sets.len() * units);
        if !(0..parts).any(|part| shard.takes(part)) {
            say!(
                "shard {shard}: nothing to do, the sweep has {parts} part{} that can be measured apart",
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
            limit: method.most(),
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
            let fronts = fronts(&mut self.engine, &self.model, set)?;
            if let Some(fronts) = fronts.filter(Fronts::other_is_better) {
                say!("WARNING: {}: {fronts}", set.name());
            }
        }
        let provenance = self.provenance_of(set);
        let run = Run {
            each: self.request.answers.is_some(),
            ..run_of(&self.model, &method, sweep.experiment, &provenance)
        };
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
    sets: &'a [TemplatePrompts],
    /// The index of the template among all of them.
    template: usize,
    /// The prompts of the template.
    set: &'a PromptSet,
    /// Where its lines stand.
    seat: &'a Seat,
}
