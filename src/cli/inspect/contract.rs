//! Whether a graph that another program wrote keeps the contract.

use std::path::Path;

use comfy_table::{Table, presets};

use crate::Result;
use crate::cli::args::{Format, OutputArgs};
use crate::cli::output::deliver;
use crate::model::GraphFile;

/// Says what was found in a graph.
///
/// # Errors
/// A file that is no graph, or one that does not keep the contract.
pub fn inspect(file: &Path, output: &OutputArgs) -> Result<()> {
    let graph = GraphFile::open(file)?;
    let text = match output.format {
        Format::Json => {
            let found = serde_json::to_value(&graph.found).expect("it is plain data");
            format!("{found}\n")
        }
        Format::Table => text(file, &graph),
    };
    deliver(output.out.as_deref(), &text)?;
    graph.kept()
}

/// What was found, for people.
fn text(file: &Path, graph: &GraphFile) -> String {
    let found = &graph.found;
    let stated = |n: Option<i64>| n.map_or("not stated".to_owned(), |n| n.to_string());
    let opsets = found
        .opsets
        .iter()
        .map(|(domain, version)| match domain.as_str() {
            "" => version.to_string(),
            domain => format!("{version} of {domain}"),
        });
    let mut text = format!(
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
    );
    if found.violations.is_empty() {
        return text + "it keeps the contract\n";
    }
    let mut table = Table::new();
    table
        .load_style(presets::ASCII_MARKDOWN)
        .set_header(["where", "what", "what to do"]);
    for violation in &found.violations {
        table.add_row([&violation.at, &violation.found, &violation.remedy]);
    }
    text += &format!(
        "{table}\n{} violations of the contract\n",
        found.violations.len()
    );
    text
}
