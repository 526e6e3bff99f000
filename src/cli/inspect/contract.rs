//! Whether a graph that another program wrote keeps the contract.

use std::path::Path;

use crate::cli::args::{Format, OutputArgs};
use crate::cli::output::deliver;
use crate::kit::{Block, Table};
use crate::model::GraphFile;
use crate::{Result, printable, report};

/// Says what was found in a graph.
///
/// # Errors
/// A file that is no graph, or one that does not keep the contract.
pub fn inspect(file: &Path, output: &OutputArgs) -> Result<()> {
    let graph = GraphFile::open(file)?;
    let text = match output.format {
        Format::Json => {
            let found = serde_json::to_value(&graph.found).expect("it is plain data");
            printable::object(&found)
        }
        Format::Table => report::text(&[blocks(file, &graph)], output.look()),
    };
    deliver(output.out.as_deref(), &text)?;
    graph.kept()
}

/// What was found, for people.
fn blocks(file: &Path, graph: &GraphFile) -> Vec<Block> {
    let found = &graph.found;
    let stated = |n: Option<i64>| n.map_or("not stated".to_owned(), |n| n.to_string());
    let opsets = found
        .opsets
        .iter()
        .map(|(domain, version)| match domain.as_str() {
            "" => version.to_string(),
            domain => format!("{version} of {domain}"),
        });
    let mut blocks = vec![Block::Text(format!(
        "{}: {} nodes, {} layers, d_model {}, {} heads, vocabulary {}, operator set {}, IR version {}\n\
         manifest: {}\nattention weights and outputs of heads: {}\n\n",
        file.display(),
        found.nodes,
        found.layers,
        stated(found.d_model),
        stated(found.heads),
        stated(found.vocab),
        opsets.collect::<Vec<_>>().join(", "),
        found.ir_version,
        match graph.manifest() {
            Some(path) => path.display().to_string(),
            None => "none; values have the contract's names".to_owned(),
        },
        if found.attention {
            "named"
        } else {
            "not named: no attention by head, no value-zero, no attention-mean"
        }
    ))];
    if found.violations.is_empty() {
        blocks.push(Block::Text("it keeps the contract".to_owned()));
        return blocks;
    }
    let mut table = Table::headed(&["where", "what", "what to do"]);
    for violation in &found.violations {
        table.push([&*violation.at, &violation.found, &violation.remedy]);
    }
    let count = found.violations.len();
    blocks.push(Block::Table(table));
    blocks.push(Block::Text(format!("{count} violations of the contract")));
    blocks
}
