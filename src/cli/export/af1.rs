//! `af1 export --af1`: what an AF1 leaves of a model for one template, with its tables, as a graph of its own.

use std::collections::BTreeSet;
use std::path::Path;

use ndarray::{Array2, ArrayD, Axis, Ix2};

use super::Export;
use crate::cli::output::print;
use crate::emit::af1::{self, Af1};
use crate::file::{TemporaryFolder, make_readable, write_atomically};
use crate::graph::{Graph, INPUT_IDS, LOGITS};
use crate::intervene::{Ablation, Estimator, Plan, ablation, layer_range};
use crate::measure::{Request, Tables, Way, apart, first_maximum, preflight, prepare, same_up_to};
use crate::model::{Decoder, Model, WeightNames, Weights};
use crate::prompt::{PromptSet, Styles, Template};
use crate::runtime::{Engine, Part, Tensor};
use crate::study::selection;
use crate::{Error, Result};

/// The one ablation that tables are made of.
const CAMA: &[&dyn Ablation] = &[ablation::CAMA];

/// The file of the graph.
const GRAPH: &str = "af1.onnx";

/// The file of the graph's weights and tables.
const WEIGHTS: &str = "af1.safetensors";

impl Export {
    /// Writes `af1.onnx` and `af1.safetensors`; only what answers every prompt as the masked model does is left there.
    pub(super) fn af1(&self, wait: usize, transfer: usize) -> Result<()> {
        let template = self.template()?;
        let (model, mut engine) = self.model.engine()?;
        let decoder = model.decoder("--af1")?;
        let layers = decoder.spec.layers;
        let plan = [Plan::af1(wait, transfer)];
        if !plan[0].fits(layers) || wait == layers {
            return Err(Error::Usage(format!(
                "--af1 {wait},{transfer}: the model has {layers} layers; expected W below it and W + K at most as many"
            )));
        }
        self.prompts.check_single("export")?;
        let selection = selection(&model, &self.prompts.asked());
        let template = model.framed(&template)?;
        let set = PromptSet::build(&template, &model.tokenizer, model.bos(), &selection)?;
        let request = Request {
            estimator: Estimator::PlugIn,
            seed: self.prompts.seed,
            batch: BATCH,
            ..Request::new(&plan, CAMA)
        };
        preflight(&mut engine, &model, &set, &request)?;
        let evaluation = prepare(&mut engine, set.clone(), &request, &[wait])?;
        let (of, tables) = evaluation.tables(&mut engine, wait, transfer)?;
        let masked = Masked::run(&mut engine, &set, &request)?;

        std::fs::create_dir_all(&self.out).map_err(|e| Error::writing(&self.out, e))?;
        // Beside the place, so that nothing half-written is ever there.
        let staging = TemporaryFolder::beside(&self.out.join(GRAPH))
            .map_err(|e| Error::writing(&self.out, e))?;
        let graph = write(decoder, &of, &tables, staging.path())?;
        let mut part = Part::new(engine.runtime(), engine.placement(), &graph, staging.path())?;
        let compared = masked.compare(&mut part, &set)?;
        compared.check(&model, &of)?;
        self.put_in_place(staging.path())?;
        print(&self.told(decoder, &set, &of, &compared))
    }

    /// The one template that was chosen.
    fn template(&self) -> Result<Template> {
        let styles = match &self.prompts.styles {
            Some(path) => Styles::read(path)?,
            None => Styles::built_in(),
        };
        let mut templates = styles.select(&self.prompts.style, &self.prompts.operation)?;
        match templates.len() {
            1 => Ok(templates.remove(0)),
            n => Err(Error::Usage(format!(
                "--af1: its tables are of one template, but {n} are chosen; add --style and --operation"
            ))),
        }
    }

    /// Moves what was written to where it belongs.
    fn put_in_place(&self, staging: &Path) -> Result<()> {
        for name in [WEIGHTS, GRAPH] {
            let target = self.out.join(name);
            make_readable(&staging.join(name)).map_err(|e| Error::writing(&target, e))?;
            std::fs::rename(staging.join(name), &target).map_err(|e| Error::writing(&target, e))?;
        }
        Ok(())
    }

    /// What was written, for people.
    fn told(&self, decoder: &Decoder, set: &PromptSet, of: &Af1, compared: &Compared) -> String {
        let spec = &decoder.spec;
        let size = |path: &Path| std::fs::metadata(path).map_or(0, |data| data.len());
        let whole = decoder.weights.bytes();
        let (all, left) = (spec.products(0, set.positions()), spec.products(of.wait, 1));
        format!(
            "{}: {} {} under AF1({}, {}), layers {} transfer\n\
             tables: {} tokens at {} positions; the last token alone runs, through {} of {} layers\n\
             size: {:.1} MB of {:.1} MB; matrix products: {:.3} of {:.3} GFLOP a prompt\n\
             checked: {} of {} prompts answered as by the masked model, logits apart by at most {:.0e} of the largest\n",
            self.out.join(GRAPH).display(),
            set.template.style,
            set.template.operation,
            of.wait,
            of.transfer,
            layer_range(of.wait, of.transfer),
            of.rows.len(),
            of.positions - 2,
            spec.layers - of.wait,
            spec.layers,
            size(&self.out.join(WEIGHTS)) as f64 / 1e6,
            whole as f64 / 1e6,
            left as f64 / 1e9,
            all as f64 / 1e9,
            compared.prompts,
            set.asked().len(),
            compared.apart
        )
    }
}

/// What the masked model says to some prompts.
struct Masked {
    /// The indices of the prompts.
    prompts: Vec<usize>,
    /// The logits of the prompts, `[prompt, vocab]`.
    logits: Array2<f32>,
}

/// How far the graph is from what the masked model says.
struct Compared {
    /// How many prompts were compared.
    prompts: usize,
    /// How many of them it answers otherwise.
    otherwise: usize,
    /// The largest difference of logits, relative to the largest.
    apart: f32,
}

impl Masked {
    /// Runs the first plan of a request, masked.
    fn run(engine: &mut Engine, set: &PromptSet, request: &Request<'_>) -> Result<Self> {
        let request = Request {
            way: Way::Masked,
            limit: Some(CHECKED),
            ..*request
        };
        let plan = &request.plans[..1];
        let mut evaluation = prepare(engine, set.clone(), &request, &[plan[0].wait])?;
        let mut logits = evaluation.logits(engine, plan, ablation::CAMA)?;
        Ok(Self {
            prompts: evaluation.evaluated,
            logits: logits.swap_remove(0),
        })
    }

    /// Runs the graph on the same prompts.
    fn compare(&self, part: &mut Part, set: &PromptSet) -> Result<Compared> {
        let mut compared = Compared {
            prompts: self.prompts.len(),
            otherwise: 0,
            apart: 0.0,
        };
        let expected = self.logits.axis_chunks_iter(Axis(0), BATCH);
        for (chunk, rows) in self.prompts.chunks(BATCH).zip(expected) {
            let ids = Tensor::from_i64(set.ids(chunk))?;
            let [logits] = part.run(&[(INPUT_IDS, &ids)], [LOGITS])?;
            let logits = logits.view::<Ix2>()?;
            compared.apart = compared.apart.max(apart(logits, rows));
            let pairs = logits.outer_iter().zip(rows.outer_iter());
            compared.otherwise += pairs
                .filter(|(found, expected)| first_maximum(*found) != first_maximum(*expected))
                .count();
        }
        Ok(compared)
    }
}

impl Compared {
    /// Whether the graph may be left where it was asked for.
    fn check(&self, model: &Model, of: &Af1) -> Result<()> {
        if self.otherwise == 0 && self.apart <= same_up_to(model.precision) {
            return Ok(());
        }
        Err(Error::Run {
            part: format!("AF1({}, {})", of.wait, of.transfer),
            reason: format!(
                "as a graph of its own it answers {} of {} prompts otherwise than masked, and its logits differ by \
                 {} of the largest; nothing was written",
                self.otherwise, self.prompts, self.apart
            ),
        })
    }
}

/// Writes the graph and its weights into a folder.
fn write(decoder: &Decoder, of: &Af1, tables: &Tables, folder: &Path) -> Result<Graph> {
    let names = used(&decoder.names, of.wait);
    let weights = folder.join(WEIGHTS);
    (decoder.weights).write_some(&names, &named(of, tables), &weights)?;
    let weights = Weights::of_file(folder, WEIGHTS)?;
    let graph = af1::af1(&decoder.spec, &weights, &decoder.names, of)?;
    write_atomically(&folder.join(GRAPH), &graph.to_bytes())?;
    Ok(graph)
}

/// Prompts in a batch.
const BATCH: usize = 64;

/// At most so many prompts are compared with the masked model.
const CHECKED: usize = 1000;

/// The names of the weights from layer `wait` on.
fn used(of: &WeightNames, wait: usize) -> BTreeSet<&str> {
    let mut names: BTreeSet<&str> = of.of_head().collect();
    for layer in &of.layers[wait..] {
        names.extend(layer.all());
    }
    names
}

/// The tables under the names that the graph reads them by.
fn named(of: &Af1, tables: &Tables) -> Vec<(String, ArrayD<f32>)> {
    let mut all = vec![(af1::LAST.to_owned(), tables.last.clone().into_dyn())];
    for (layer, made) in (of.wait..).zip(&tables.transfer) {
        for (name, x) in af1::tables(layer).into_iter().zip(made) {
            all.push((name, x.index_axis(Axis(2), 0).to_owned().into_dyn()));
        }
    }
    for (layer, made) in (of.wait..).zip(&tables.sinks) {
        for (name, x) in af1::sinks(layer).into_iter().zip(made) {
            all.push((name, x.clone().into_dyn()));
        }
    }
    all
}
