//! `af1 export`: writes a model, or a segment of it, as an instrumented ONNX graph beside its weights.

use std::path::{Path, PathBuf};

use clap::Args;

use super::args::{ModelArgs, check_layers};
use super::output::print;
use crate::file::{make_readable, write_atomically};
use crate::graph::{Graph, INPUT_IDS, LOGITS, resid};
use crate::{Error, Result};

#[derive(Args, Clone, Debug)]
pub struct Export {
    #[command(flatten)]
    model: ModelArgs,
    /// The folder to write to: the model's own, or one into which its weights are copied
    #[arg(long, value_name = "FOLDER")]
    out: PathBuf,
    /// Cut at the input: begin with resid.N instead of the tokens
    #[arg(long, value_name = "N")]
    from: Option<usize>,
    /// Cut at the output: end with resid.N instead of the logits
    #[arg(long, value_name = "N")]
    to: Option<usize>,
}

impl Export {
    pub fn run(self) -> Result<()> {
        let model = self.model.load()?;
        let layers = model.spec.layers;
        for (name, given) in [("--from", self.from), ("--to", self.to)] {
            check_layers(name, given.unwrap_or(0), layers)?;
        }
        let graph = model.graph()?;
        let (file, graph) = match (self.from, self.to) {
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
        for weights in model.weights.files() {
            copy_beside(&weights, &self.out)?;
        }
        let path = self.out.join(file);
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

fn cut(graph: &Graph, name: &str, input: String, output: String) -> Result<Graph> {
    graph
        .cut(name, &[input], &[output])
        .map_err(|missing| Error::Run {
            part: name.to_owned(),
            reason: format!("the graph has no value named {missing:?}"),
        })
}

/// Copies a file into a folder under a temporary name, then renames it; a file that is there already with the same
/// bytes, or is the same file, stays.
fn copy_beside(file: &Path, folder: &Path) -> Result<()> {
    let target = folder.join(file.file_name().unwrap_or_default());
    let same = |a: &Path, b: &Path| matches!((a.canonicalize(), b.canonicalize()), (Ok(a), Ok(b)) if a == b);
    if same(file, &target) {
        return Ok(());
    }
    if target.is_file() && crate::file::sha256_file(file)? == crate::file::sha256_file(&target)? {
        return Ok(());
    }
    if target.exists() {
        return Err(Error::Usage(format!(
            "--out {}: {} is another model's; choose an empty folder",
            folder.display(),
            target.display()
        )));
    }
    let fail = |e| Error::writing(&target, e);
    let partial = tempfile::Builder::new()
        .prefix(".af1-")
        .tempfile_in(folder)
        .map_err(fail)?
        .into_temp_path();
    std::fs::copy(file, &partial)
        .and_then(|_| make_readable(&partial))
        .map_err(fail)?;
    partial.persist(&target).map_err(|e| fail(e.error))
}
