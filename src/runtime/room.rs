//! Whether a model has room, before its files are read to the end: what it takes of memory at least, and what there is.
//!
//! What it takes is counted low, and what there is high, so that a model that would run is let through: weights that stay mapped from their
//! files are left out of the count, and so are batches, which are halved where there is little room.

use std::collections::BTreeSet;

use super::provider::Limit;
use super::{Device, Placement};
use crate::disk::in_words;
use crate::graph::{Dtype, Graph, Precision, Weight};
use crate::model::{Model, Source};
use crate::{Error, Result};

/// A number of a graph as it is computed with.
const F32: u64 = 4;

/// What a model is made ready from, as far as its memory goes.
#[derive(Clone, Copy)]
pub struct Room<'a> {
    /// The name of the model.
    pub model: &'a str,
    /// The graph of the model.
    pub graph: &'a Graph,
    /// The precision of products.
    pub precision: Precision,
    /// Whether its weights are of a file that cannot be mapped as it is.
    pub widened: bool,
}

/// Where there is too little.
enum Bound {
    /// What `--device-memory` says, of so many devices.
    Asked,
    /// What the system has left.
    #[cfg(target_os = "linux")]
    System(super::memory::Left),
}

impl Placement {
    /// Checks that a model has room, as soon as it is known what it is.
    ///
    /// # Errors
    /// It takes more memory than there is, or than may be taken; a weight that the graph needs and that is not there.
    pub fn check_source(&self, model: &str, source: &Source, precision: Precision) -> Result<()> {
        let written;
        let graph = match source {
            Source::Decoder(decoder) => {
                written = crate::emit::decoder(decoder, precision)?;
                &written
            }
            Source::Graph { graph, .. } => graph,
        };
        self.check(Room {
            model,
            graph,
            precision,
            widened: is_widened(source),
        })
    }

    /// Checks as [`Self::check_source`], of a model that is loaded and a graph of it.
    pub(super) fn check_model(&self, model: &Model, graph: &Graph) -> Result<()> {
        self.check(Room {
            model: &model.name,
            graph,
            precision: model.precision,
            widened: is_widened(&model.source),
        })
    }

    fn check(&self, room: Room<'_>) -> Result<()> {
        let placement = self.clone().decide(room.graph);
        let takes = placement.takes(room);
        let devices = self.each();
        // Of TensorRT the option limits what it computes in, and not what it keeps.
        let limit = self.memory.filter(|_| devices.iter().all(keeps_in_arena));
        let limit = limit.map(|limit| limit.saturating_mul(devices.len() as u64));
        if let Some(has) = limit.filter(|&has| has < takes) {
            return Err(placement.refuse(room, takes, has, Bound::Asked));
        }
        #[cfg(target_os = "linux")]
        if devices.iter().all(|one| one.device == Device::Cpu)
            && let Some(left) = super::memory::left()
            && left.bytes < takes
        {
            return Err(placement.refuse(room, takes, left.bytes, Bound::System(left)));
        }
        Ok(())
    }

    /// The bytes that the sessions of a model take at least.
    fn takes(&self, of: Room<'_>) -> u64 {
        let (tables, matrices) = (looked_up(of.graph), multiplied(of.graph));
        let mapped = self.mapped == Some(true);
        let width = match of.precision {
            Precision::F32 => F32,
            Precision::F16 | Precision::Bf16 => 2,
        };
        let weights = of
            .graph
            .weights
            .iter()
            .filter(|weight| weight.shape.len() > 1);
        let kept = weights.clone().map(|weight| {
            // A table from which rows are looked up stays in its file, and a matrix is kept in the order in which it is multiplied.
            let table = of.widened && tables.contains(&*weight.name);
            let matrix = (of.widened || !mapped) && matrices.contains(&*weight.name);
            numbers(weight).saturating_mul(u64::from(table) * F32 + u64::from(matrix) * width)
        });
        // Of weights that stay in their files a run widens one matrix after another; in 16 bits it may take them as they are.
        let widens = mapped && of.precision == Precision::F32;
        let narrow = weights.filter(|weight| widens && weight.dtype != Dtype::F32);
        let largest = narrow.filter(|weight| matrices.contains(&*weight.name));
        let largest = largest.map(numbers).max().unwrap_or(0);
        // Of a graph that another program wrote only what is surely put in the order of products.
        let packed = packed(of.graph);
        let given =
            (of.graph.given.iter()).filter(|tensor| !mapped && packed.contains(tensor.name()));
        let given = given.map(|tensor| tensor.numbers_of_f32().saturating_mul(F32));
        kept.chain(given)
            .fold(largest.saturating_mul(F32), u64::saturating_add)
    }

    /// The error that a model has no room.
    fn refuse(&self, of: Room<'_>, takes: u64, has: u64, bound: Bound) -> Error {
        let narrow = (of.graph.weights.iter()).any(|weight| weight.dtype != Dtype::F32);
        let smaller = match (of.widened, self.mapped == Some(true), narrow) {
            (true, ..) => "give its Hugging Face folder with --weights mapped",
            (false, false, _) => "give --weights mapped, which is slower",
            (false, true, _) => "take a smaller model",
        };
        let (has, elsewhere) = match bound {
            Bound::Asked => (
                format!("--device-memory allows {}", in_words(has)),
                "a larger --device-memory",
            ),
            #[cfg(target_os = "linux")]
            Bound::System(left) => (format!("{} {left}", in_words(has)), "a machine with more"),
        };
        Error::NoRoom {
            model: of.model.to_owned(),
            takes: in_words(takes),
            has,
            remedy: format!("{smaller}, or take {elsewhere}"),
        }
    }
}

/// Whether all weights of a model are widened to f32: of a GGUF file none can stay as it is.
fn is_widened(source: &Source) -> bool {
    match source {
        Source::Decoder(decoder) => decoder.weights.gguf().is_some(),
        Source::Graph { .. } => false,
    }
}

/// Whether what a device keeps of weights is in the arena that `--device-memory` limits.
fn keeps_in_arena(placement: &Placement) -> bool {
    placement.device.row().options.memory == Some(Limit::Arena)
}

fn numbers(weight: &Weight) -> u64 {
    let axes = weight.shape.iter().map(|&axis| axis as u64);
    axes.fold(1, u64::saturating_mul)
}

/// The weights from which rows are looked up.
fn looked_up(graph: &Graph) -> BTreeSet<&str> {
    let gathers = graph.nodes.iter().filter(|node| node.op == "Gather");
    let tables = gathers.filter_map(|node| node.inputs.first());
    tables.map(String::as_str).collect()
}

/// The weights that something else is done with.
fn multiplied(graph: &Graph) -> BTreeSet<&str> {
    let others = graph.nodes.iter().filter(|node| node.op != "Gather");
    let inputs = others.flat_map(|node| node.inputs.iter());
    inputs.map(String::as_str).collect()
}

/// What products of matrices multiply with.
fn packed(graph: &Graph) -> BTreeSet<&str> {
    let products = (graph.nodes.iter()).filter(|node| matches!(&*node.op, "MatMul" | "Gemm"));
    let seconds = products.filter_map(|node| node.inputs.get(1));
    seconds.map(String::as_str).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fetch::Cache;
    use crate::model::BosChoice;

    /// Numbers of the matrices of the tiny model: the unembedding's, and those of three layers, of which some are the heads'.
    const TOKENS: u64 = 100 * 16;
    const LAYERS: u64 = 3 * (3 * 16 * 24) + HEADS;
    const HEADS: u64 = 3 * (2 * 32 * 16 + 2 * 16 * 16);

    fn takes(file: &str, placement: &Placement, precision: Precision) -> u64 {
        let path = format!(
            "{}/fixtures/reference/tiny-llama/{file}",
            env!("CARGO_MANIFEST_DIR")
        );
        let cache = Cache::at(std::env::temp_dir().join("af1-room"));
        let model = Model::load(&path, &BosChoice::Default, &cache).unwrap();
        placement.takes(Room {
            model: &model.name,
            graph: &model.graph().unwrap(),
            precision,
            widened: is_widened(&model.source),
        })
    }

    #[test]
    fn weights_are_counted_where_they_are_kept() {
        let kept = Placement::default();
        let mapped = Placement {
            mapped: Some(true),
            ..Placement::default()
        };
        let matrices = TOKENS + LAYERS;
        // A table from which rows are looked up stays in its file.
        assert_eq!(takes("f32", &kept, Precision::F32), 4 * matrices);
        assert_eq!(takes("bf16", &kept, Precision::F32), 4 * matrices);
        assert_eq!(takes("bf16", &kept, Precision::F16), 2 * matrices);
        // A tied one is a matrix, too. This model has heads of half the width.
        let tied = matrices - HEADS / 2;
        assert_eq!(takes("tied", &kept, Precision::F32), 4 * tied);
        // What stays mapped is not counted, but the one that is widened in a run.
        assert_eq!(takes("f32", &mapped, Precision::F32), 0);
        assert_eq!(takes("bf16", &mapped, Precision::F32), 4 * TOKENS);
        assert_eq!(takes("bf16", &mapped, Precision::Bf16), 0);
        // Of a GGUF file nothing can stay.
        let gguf = takes("llama3.1.gguf", &kept, Precision::F32);
        assert_eq!(gguf, takes("llama3.1.gguf", &mapped, Precision::F32));
    }

    /// The matrices of a graph that torch wrote, with weights in the file and beside it: three layers of four, and the unembedding.
    #[test]
    fn matrices_of_a_given_graph_are_counted() {
        let matrices = 3 * (32 * 96 + 32 * 32 + 2 * 32 * 64) + 32 * 105;
        for name in ["counting", "gpt2-shaped"] {
            let path = format!(
                "{}/fixtures/foreign/{name}.onnx",
                env!("CARGO_MANIFEST_DIR")
            );
            let cache = Cache::at(std::env::temp_dir().join("af1-room"));
            let Source::Graph { graph, .. } = Model::load(&path, &BosChoice::Default, &cache)
                .unwrap()
                .source
            else {
                panic!("it is a graph");
            };
            let of = |mapped| {
                let placement = Placement {
                    mapped,
                    ..Placement::default()
                };
                placement.takes(Room {
                    model: name,
                    graph: &graph,
                    precision: Precision::F32,
                    widened: false,
                })
            };
            assert_eq!((of(None), of(Some(true))), (4 * matrices, 0), "{name}");
        }
    }
}
