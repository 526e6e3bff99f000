//! The file as a whole: operator sets, the order of nodes, the files of weights.

use std::collections::{BTreeSet, HashSet};
use std::path::Path;

use super::checker::Checker;
use crate::graph::proto;

/// The newest operator set that the oldest supported runtime has.
const NEWEST_OPSET: i64 = 23;

/// Domains whose operators every build of the runtime has.
const DOMAINS: [&str; 3] = ["", "ai.onnx", "com.microsoft"];

/// So many values that are made too late, twice or not at all are listed.
const MOST_DISORDER: usize = 3;

impl Checker<'_> {
    /// The file as a whole.
    pub fn form(&mut self, model: &proto::ModelProto, graph: &proto::GraphProto) {
        let used: BTreeSet<&str> = graph.node.iter().map(|node| node.domain.as_str()).collect();
        for set in &model.opset_import {
            self.found.opsets.insert(set.domain.clone(), set.version);
            if !DOMAINS.contains(&set.domain.as_str()) && used.contains(set.domain.as_str()) {
                let at = format!("domain {}", set.domain);
                let found = "its nodes are of a domain that the runtime does not have";
                self.violation(&at, found, "export with operators of ai.onnx only");
            }
        }
        let sets = &self.found.opsets;
        let opset = sets.get("").or(sets.get("ai.onnx")).copied();
        if opset.is_none_or(|version| version > NEWEST_OPSET) {
            let found = opset.map_or("none".to_owned(), |version| version.to_string());
            let found = format!("{found}; expected at most {NEWEST_OPSET}");
            self.violation("operator set", found, "export with a lower opset_version");
        }
        if !model.functions.is_empty() {
            let found = format!("{} functions; expected none", model.functions.len());
            let remedy = "inline them with onnx.inliner.inline_local_functions";
            self.violation("functions", found, remedy);
        }
        if !graph.sparse_initializer.is_empty() {
            let found = format!("{} are sparse", graph.sparse_initializer.len());
            self.violation("weights", found, "export dense ones");
        }
        // The default domain has two names.
        let name = |domain: &'_ str| if domain == "ai.onnx" { "" } else { domain }.to_owned();
        let imported = model.opset_import.iter();
        let imported: BTreeSet<String> = imported.map(|set| name(&set.domain)).collect();
        for domain in used
            .into_iter()
            .filter(|domain| !imported.contains(&name(domain)))
        {
            let at = format!("domain {domain}");
            let found = "nodes are of it, but its operator set is not imported";
            self.violation(&at, found, "add it to opset_import");
        }
        for node in &graph.node {
            let at = format!("node {} {}", node.op_type, node.name);
            let external = |attribute: &proto::AttributeProto| {
                let tensor = attribute.t.as_ref();
                tensor.is_some_and(|tensor| !tensor.external_data.is_empty())
            };
            if node.attribute.iter().any(external) {
                let found = "a constant whose values are in a file";
                self.violation(
                    &at,
                    found,
                    "make it an initializer, or keep its values inside",
                );
            }
            let mut attributes = node.attribute.iter();
            if attributes.any(|attribute| attribute.g.is_some() || !attribute.graphs.is_empty()) {
                let found = format!(
                    "{} has a graph of its own; a layer with control flow cannot be cut",
                    node.op_type
                );
                self.violation(&at, found, "export without control flow");
            }
        }
    }

    /// Whether every value is made once, before it is read.
    pub fn order(&mut self, graph: &proto::GraphProto) {
        let mut made: HashSet<&str> = self.wires.inputs.iter().copied().collect();
        made.extend(graph.initializer.iter().map(|tensor| tensor.name.as_str()));
        let mut wrong = Vec::new();
        for node in &graph.node {
            let mut inputs = node.input.iter().filter(|input| !input.is_empty());
            if let Some(early) = inputs.find(|input| !made.contains(input.as_str())) {
                let (found, remedy) = match self.wires.has(early) {
                    true => ("it depends on itself", "export the graph again"),
                    false => ("nothing makes it", "export the graph again"),
                };
                wrong.push((early.clone(), found, remedy));
            }
            for output in node.output.iter().filter(|output| !output.is_empty()) {
                if !made.insert(output) {
                    let found = "it is made twice, or is an input or a weight and made, too";
                    wrong.push((output.clone(), found, "give every value a name of its own"));
                }
            }
        }
        // One is enough to say, where all that follows is in disorder.
        for (at, found, remedy) in wrong.into_iter().take(MOST_DISORDER) {
            self.violation(&at, found, remedy);
        }
    }

    /// The files of weights.
    pub fn files(&mut self, graph: &proto::GraphProto, folder: &Path) {
        let mut told = BTreeSet::new();
        for tensor in &graph.initializer {
            let entry = |key: &str| {
                let entry = tensor.external_data.iter().find(|entry| entry.key == key);
                entry.map(|entry| entry.value.as_str())
            };
            let Some(file) = entry("location") else {
                continue;
            };
            let outside = |part: std::path::Component<'_>| {
                !matches!(
                    part,
                    std::path::Component::Normal(_) | std::path::Component::CurDir
                )
            };
            let fault = if Path::new(file).components().any(outside) {
                Some("is not below the folder of the graph".to_owned())
            } else {
                match std::fs::metadata(folder.join(file)) {
                    Ok(data) if data.is_file() => {
                        let number = |key: &str| entry(key).map_or(Some(0), |n| n.parse().ok());
                        let end = number("offset").zip(number("length"));
                        let end =
                            end.and_then(|(from, length): (u64, u64)| from.checked_add(length));
                        let short = end.is_none_or(|end| end > data.len());
                        short.then(|| {
                            format!("has {} bytes, too few for {}", data.len(), tensor.name)
                        })
                    }
                    _ => Some("is not there".to_owned()),
                }
            };
            if let Some(fault) = fault
                && told.insert(file)
            {
                let found = format!("the file of its weights, {file:?}, {fault}");
                let remedy =
                    "put it beside the graph, as and under the name that it was exported with";
                self.violation("weights", found, remedy);
            }
        }
    }
}
