//! `af1 export`: writes a model, or a segment of it, as an instrumented ONNX graph beside its weights.

mod af1;

use std::path::{Path, PathBuf};

use clap::Args;

use super::args::{ModelArgs, PromptArgs};
use super::output::print;
use crate::experiment::options::check_layers;
use crate::file::{make_readable, temporary_file, write_atomically};
use crate::graph::{Graph, INPUT_IDS, LOGITS, resid};
use crate::model::Weights;
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
        let partial = temporary_file(&target).map_err(fail)?;
        match whole {
            true => std::fs::copy(&file, &partial).map(drop).map_err(fail)?,
            false => weights.write(partial.path())?,
        }
        if target.is_file() && hash(partial.path())? == hash(&target)? {
            continue;
        }
        if target.exists() {
            return Err(occupied(folder, &target));
        }
        make_readable(partial.path()).map_err(fail)?;
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
