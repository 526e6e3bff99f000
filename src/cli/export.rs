//! `af1 export`: writes a model, or a segment of it, as an instrumented ONNX graph beside its weights.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use clap::Args;
use ndarray::{ArrayD, Axis, Ix2};

use super::args::{ModelArgs, PromptArgs, check_layers};
use super::output::print;
use crate::emit::af1;
use crate::file::{make_readable, write_atomically};
use crate::graph::{Graph, INPUT_IDS, LOGITS, resid};
use crate::intervene::{Estimator, Plan, ablation, layer_range};
use crate::measure::{Request, Tables, Way, apart, first_maximum, preflight, prepare, same_up_to};
use crate::model::{WeightNames, Weights};
use crate::prompt::{PromptSet, Styles};
use crate::runtime::{Part, Tensor};
use crate::study::selection;
use crate::{Error, Result};

#[derive(Args, Clone, Debug)]
pub struct Export {
    #[command(flatten)]
    model: ModelArgs,
    /// The folder to write to: the model's own, or one into which its weights are copied
    #[arg(long, value_name = "FOLDER")]
    out: PathBuf,
    /// Write what AF1(W, K) leaves of the model for one template, with its tables (CAMA, plug-in), as a graph of its own
    #[arg(long, value_name = "W,K", conflicts_with_all = ["from", "to"])]
    af1: Option<Pair>,
    #[command(flatten)]
    prompts: PromptArgs,
    /// Cut at the input: begin with resid.N instead of the tokens
    #[arg(long, value_name = "N")]
    from: Option<usize>,
    /// Cut at the output: end with resid.N instead of the logits
    #[arg(long, value_name = "N")]
    to: Option<usize>,
}

impl Export {
    pub fn run(self) -> Result<()> {
        if let Some(Pair(wait, transfer)) = self.af1 {
            return self.af1(wait, transfer);
        }
        if self.prompts.style.len() + self.prompts.operation.len() > 0 {
            let reason =
                "--style and --operation: a model's graph is of no template; add --af1 W,K";
            return Err(Error::Usage(reason.to_owned()));
        }
        let model = self.model.load()?;
        let weights = &model.decoder("af1 export")?.weights;
        let layers = model.sizes.layers;
        for (name, given) in [("--from", self.from), ("--to", self.to)] {
            check_layers(name, given.unwrap_or(0), layers)?;
        }
        let graph = model.graph()?;
        let (name, graph) = match (self.from, self.to) {
            (None, None) => ("model.onnx".to_owned(), graph),
            (from, to) => {
                if let (Some(from), Some(to)) = (from, to)
                    && from >= to
                {
                    let reason =
                        format!("--from {from} --to {to}: a segment needs at least one layer");
                    return Err(Error::Usage(reason));
                }
                let input = from.map_or(INPUT_IDS.to_owned(), resid);
                let output = to.map_or(LOGITS.to_owned(), resid);
                let name = format!("{input}-{output}");
                let segment = cut(&graph, &name, input, output)?;
                (format!("model.{name}.onnx"), segment)
            }
        };
        std::fs::create_dir_all(&self.out).map_err(|e| Error::writing(&self.out, e))?;
        put_beside(weights, &self.out)?;
        let path = self.out.join(name);
        write_atomically(&path, &graph.to_bytes())?;
        let names = |ports: &[crate::graph::Port]| {
            let names: Vec<&str> = ports.iter().map(|port| port.name.as_str()).collect();
            match names.len() {
                0..=8 => names.join(", "),
                n => format!("{}, ... ({n} in all)", names[..4].join(", ")),
            }
        };
        print(&format!(
            "{}: {} nodes, {} weights by reference\ninputs: {}\noutputs: {}\n",
            path.display(),
            graph.nodes.len(),
            graph.weights.len(),
            names(&graph.inputs),
            names(&graph.outputs)
        ))
    }
}

/// `W,K`.
#[derive(Clone, Copy, Debug)]
struct Pair(usize, usize);

impl std::str::FromStr for Pair {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let numbers = text.split_once(',').and_then(|(wait, transfer)| {
            Some(Self(
                wait.trim().parse().ok()?,
                transfer.trim().parse().ok()?,
            ))
        });
        numbers.ok_or_else(|| format!("{text:?} is not W,K; expected two numbers, such as 20,6"))
    }
}

impl Export {
    /// Writes `af1.onnx` and `af1.safetensors`; only what answers every prompt as the masked model does is left there.
    fn af1(&self, wait: usize, transfer: usize) -> Result<()> {
        let styles = match &self.prompts.styles {
            Some(path) => Styles::read(path)?,
            None => Styles::built_in(),
        };
        let templates = styles.select(&self.prompts.style, &self.prompts.operation)?;
        let [template] = &*templates else {
            return Err(Error::Usage(format!(
                "--af1: its tables are of one template, but {} are chosen; add --style and --operation",
                templates.len()
            )));
        };
        let (model, mut engine) = self.model.engine()?;
        let decoder = model.decoder("--af1")?;
        let spec = &decoder.spec;
        let plan = [Plan::af1(wait, transfer)];
        if !plan[0].fits(spec.layers) || wait == spec.layers {
            return Err(Error::Usage(format!(
                "--af1 {wait},{transfer}: the model has {} layers; expected W below it and W + K at most as many",
                spec.layers
            )));
        }
        let bos = model.bos();
        let selection = selection(&model, &self.prompts.asked());
        let set = PromptSet::build(template, &model.tokenizer, bos, &selection)?;
        let cama = ablation::CAMA;
        let ablations = [cama];
        let mut request = Request {
            estimator: Estimator::PlugIn,
            seed: self.prompts.seed,
            batch: BATCH,
            ..Request::new(&plan, &ablations)
        };
        preflight(&mut engine, &model, &set, &request)?;
        let evaluation = prepare(&mut engine, set.clone(), &request, &[wait])?;
        let (of, tables) = evaluation.tables(&mut engine, wait, transfer)?;
        request.way = Way::Masked;
        request.limit = Some(CHECKED);
        let mut masked = prepare(&mut engine, set.clone(), &request, &[wait])?;
        let expected = masked.logits(&mut engine, &plan, cama)?.swap_remove(0);

        std::fs::create_dir_all(&self.out).map_err(|e| Error::writing(&self.out, e))?;
        // Beside the place, so that nothing half-written is ever there.
        let staging = tempfile::Builder::new()
            .prefix(".af1-")
            .tempdir_in(&self.out)
            .map_err(|e| Error::writing(&self.out, e))?;
        let names = used(&decoder.names, wait);
        let file = "af1.safetensors";
        decoder
            .weights
            .write_some(&names, &named(&of, &tables), &staging.path().join(file))?;
        let weights = Weights::of_file(staging.path(), file)?;
        let graph = af1::af1(spec, &weights, &decoder.names, &of)?;
        write_atomically(&staging.path().join("af1.onnx"), &graph.to_bytes())?;
        let runtime = engine.runtime();
        let mut part = Part::new(runtime, engine.placement(), &graph, staging.path())?;
        let (mut most, mut other) = (0.0f32, 0);
        for (chunk, rows) in masked
            .evaluated
            .chunks(BATCH)
            .zip(expected.axis_chunks_iter(Axis(0), BATCH))
        {
            let ids = Tensor::from_i64(set.ids(chunk))?;
            let [logits] = part.run(&[(INPUT_IDS, &ids)], [LOGITS])?;
            let logits = logits.view::<Ix2>()?;
            most = most.max(apart(logits, rows));
            let pairs = logits.outer_iter().zip(rows.outer_iter());
            other += pairs
                .filter(|(found, expected)| first_maximum(*found) != first_maximum(*expected))
                .count();
        }
        if other > 0 || most > same_up_to(model.precision) {
            return Err(Error::Run {
                part: format!("AF1({wait}, {transfer})"),
                reason: format!(
                    "as a graph of its own it answers {other} of {} prompts otherwise than masked, and its logits differ by \
                     {most} of the largest; nothing was written",
                    masked.evaluated.len()
                ),
            });
        }
        for name in [file, "af1.onnx"] {
            let target = self.out.join(name);
            make_readable(&staging.path().join(name)).map_err(|e| Error::writing(&target, e))?;
            std::fs::rename(staging.path().join(name), &target)
                .map_err(|e| Error::writing(&target, e))?;
        }
        let size = |path: &Path| std::fs::metadata(path).map_or(0, |data| data.len());
        let whole = decoder.weights.bytes();
        let (all, left) = (spec.products(0, set.positions()), spec.products(wait, 1));
        print(&format!(
            "{}: {} {} under AF1({wait}, {transfer}), layers {} transfer\n\
             tables: {} tokens at {} positions; the last token alone runs, through {} of {} layers\n\
             size: {:.1} MB of {:.1} MB; matrix products: {:.3} of {:.3} GFLOP a prompt\n\
             checked: {} of {} prompts answered as by the masked model, logits apart by at most {:.0e} of the largest\n",
            self.out.join("af1.onnx").display(),
            template.style,
            template.operation,
            layer_range(wait, transfer),
            of.rows.len(),
            of.positions - 2,
            spec.layers - wait,
            spec.layers,
            size(&self.out.join(file)) as f64 / 1e6,
            whole as f64 / 1e6,
            left as f64 / 1e9,
            all as f64 / 1e9,
            masked.evaluated.len(),
            set.asked().len(),
            most
        ))
    }
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
fn named(of: &af1::Af1, tables: &Tables) -> Vec<(String, ArrayD<f32>)> {
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

fn cut(graph: &Graph, name: &str, input: String, output: String) -> Result<Graph> {
    graph
        .cut(name, &[input], &[output])
        .map_err(|missing| Error::Run {
            part: name.to_owned(),
            reason: format!("the graph has no value named {missing:?}"),
        })
}

/// Puts the files of a model's weights into a folder, each under a temporary name first; a file that is there already with the same
/// bytes, or is the same file, stays. A GGUF file is put there as the safetensors file that it amounts to.
fn put_beside(weights: &Weights, folder: &Path) -> Result<()> {
    for file in weights.files() {
        let target = folder.join(file.file_name().unwrap_or_default());
        let same = |a: &Path, b: &Path| matches!((a.canonicalize(), b.canonicalize()), (Ok(a), Ok(b)) if a == b);
        let whole = weights.gguf().is_none();
        if whole && same(&file, &target) {
            continue;
        }
        let fail = |e| Error::writing(&target, e);
        let hash = crate::file::sha256_file;
        if whole && target.is_file() && hash(&file)? == hash(&target)? {
            continue;
        }
        if whole && target.exists() {
            return Err(occupied(folder, &target));
        }
        let partial = tempfile::Builder::new()
            .prefix(".af1-")
            .tempfile_in(folder)
            .map_err(fail)?
            .into_temp_path();
        match whole {
            true => std::fs::copy(&file, &partial).map(drop).map_err(fail)?,
            false => weights.write(&partial)?,
        }
        if target.is_file() && hash(&partial)? == hash(&target)? {
            continue;
        }
        if target.exists() {
            return Err(occupied(folder, &target));
        }
        make_readable(&partial).map_err(fail)?;
        partial.persist(&target).map_err(|e| fail(e.error))?;
    }
    Ok(())
}

/// The error for a folder that has another model's file.
fn occupied(folder: &Path, target: &Path) -> Error {
    Error::Usage(format!(
        "--out {}: {} is another model's; choose an empty folder",
        folder.display(),
        target.display()
    ))
}
