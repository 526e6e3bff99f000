//! Everything in a graph that does not keep the contract.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::path::Path;

use super::super::proto::{self, tensor_proto::DataType};
use super::wires::Wires;
use super::{Findings, Foreign, Manifest, Violation};
use crate::graph::{INPUT_IDS, LOGITS, POSITION_IDS};

/// The newest operator set that the oldest supported runtime has.
const NEWEST_OPSET: i64 = 23;

/// Domains whose operators every build of the runtime has.
const DOMAINS: [&str; 3] = ["", "ai.onnx", "com.microsoft"];

/// Checks a graph that lies in `folder`.
pub fn check(foreign: &Foreign, folder: &Path, manifest: &Manifest) -> Findings {
    let Foreign { model, graph } = foreign;
    let mut checker = Checker {
        found: Findings {
            ir_version: model.ir_version,
            nodes: graph.node.len(),
            ..Findings::default()
        },
        wires: Wires::of(graph, manifest),
        manifest,
    };
    checker.form(model, graph);
    checker.order(graph);
    checker.files(graph, folder);
    checker.values();
    checker.heads();
    checker.names();
    checker.cuts();
    checker.found
}

/// What heads are called in what is said.
const HEADS: &str = "the number of heads";

/// The largest width and vocabulary: ranks and tokens are exact in f32 up to it.
const MOST: i64 = 1 << 24;

/// So many values that are made too late, twice or not at all are listed.
const MOST_DISORDER: usize = 3;

fn type_name(number: i32) -> String {
    DataType::try_from(number).map_or(number.to_string(), |kind| kind.as_str_name().to_lowercase())
}

struct Checker<'g> {
    found: Findings,
    wires: Wires<'g>,
    manifest: &'g Manifest,
}

impl Checker<'_> {
    fn violation(&mut self, at: &str, found: impl Into<String>, remedy: &str) {
        self.found.violations.push(Violation {
            at: at.to_owned(),
            found: found.into(),
            remedy: remedy.to_owned(),
        });
    }

    /// The file as a whole.
    fn form(&mut self, model: &proto::ModelProto, graph: &proto::GraphProto) {
        for set in &model.opset_import {
            self.found.opsets.insert(set.domain.clone(), set.version);
            let used = |node: &proto::NodeProto| node.domain == set.domain;
            if !DOMAINS.contains(&set.domain.as_str()) && graph.node.iter().any(used) {
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
        let imported = |domain: &str| {
            let same = |set: &proto::OperatorSetIdProto| {
                let default = ["", "ai.onnx"];
                set.domain == domain || default.contains(&&*set.domain) && default.contains(&domain)
            };
            model.opset_import.iter().any(same)
        };
        let missing: BTreeSet<&str> = (graph.node.iter())
            .map(|node| node.domain.as_str())
            .filter(|domain| !imported(domain))
            .collect();
        for domain in missing {
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
    fn order(&mut self, graph: &proto::GraphProto) {
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
    fn files(&mut self, graph: &proto::GraphProto, folder: &Path) {
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

    /// Checks a value's type and number of axes, if they are stated.
    fn of_type(&mut self, name: &str, kind: DataType, ranks: &[usize]) {
        let Some((found, axes)) = self.wires.typed(name).cloned() else {
            return;
        };
        if found != kind as i32 {
            let found = format!("{}; expected {}", type_name(found), type_name(kind as i32));
            let remedy = "export the model in float32, tokens and positions in int64";
            self.violation(name, found, remedy);
        }
        if !ranks.contains(&axes.len()) {
            let expected: Vec<String> = ranks.iter().map(ToString::to_string).collect();
            let found = format!("{} axes; expected {}", axes.len(), expected.join(" or "));
            let remedy = "see onnx/CONTRACT.md for the axes of every value";
            self.violation(name, found, remedy);
        }
    }

    /// Axes that must not be fixed, by their places, but at `length` they may be.
    fn free(&mut self, name: &str, places: &[usize], length: Option<i64>) {
        for &place in places {
            let fixed = self.wires.length(name, place);
            if let Some(fixed) = fixed.filter(|fixed| Some(*fixed) != length) {
                let found = format!("axis {place} is fixed at {fixed}");
                let remedy = "name the axis in dynamic_shapes (or dynamic_axes) of the export";
                self.violation(name, found, remedy);
            }
        }
    }

    /// Inputs, streams and logits.
    fn values(&mut self) {
        let manifest = self.manifest;
        let [ids, positions, logits] =
            [INPUT_IDS, POSITION_IDS, LOGITS].map(|name| manifest.name(name));
        let remedy = "give the input that name in the export, or name it in the manifest";
        if self.wires.inputs.contains(&*ids) {
            self.of_type(&ids, DataType::Int64, &[2]);
            self.free(&ids, &[0, 1], None);
        } else {
            self.violation(&ids, "no such input", remedy);
        }
        // A model may count positions itself.
        if self.wires.inputs.contains(&*positions) {
            self.of_type(&positions, DataType::Int64, &[2]);
            self.free(&positions, &[0, 1], None);
        }
        let masks = (0..).map(|layer| manifest.of_layer("attn_bias", layer));
        let masks: Vec<String> = masks
            .take_while(|name| self.wires.inputs.contains(&**name))
            .collect();
        self.found.layers = masks.len();
        if masks.is_empty() {
            let first = manifest.of_layer("attn_bias", 0);
            let remedy = "add a mask that is an input, [batch, head, q_pos, k_pos], to the attention scores of every layer, instead of the model's own";
            self.violation(&first, "no such input", remedy);
        }
        for mask in &masks {
            self.of_type(mask, DataType::Float, &[4]);
            self.free(mask, &[0], Some(1));
            self.free(mask, &[2, 3], None);
        }
        let known: BTreeSet<String> = [ids, positions].into_iter().chain(masks).collect();
        let strangers: Vec<String> = (self.wires.inputs.iter())
            .filter(|name| !known.contains(**name))
            .map(|name| (*name).to_owned())
            .collect();
        for name in strangers {
            let remedy = "make it a constant, or name it in the manifest; masks are counted from layer 0 without gaps";
            self.violation(&name, "an input that the contract does not have", remedy);
        }
        for layer in 0..=self.found.layers {
            let name = manifest.of_layer("resid", layer);
            if !self.wires.has(&name) {
                let remedy = "return the stream that enters every layer, and the one before the last norm, from the exported model";
                self.violation(&name, "no such value", remedy);
                continue;
            }
            self.of_type(&name, DataType::Float, &[3]);
            self.free(&name, &[0, 1], None);
            self.size(&name, 2, "d_model", |found| &mut found.d_model);
            if self.wires.is_of_tokens(&name, 0, 1) || self.wires.is_of_tokens(&name, 1, 0) {
                let found = "its first axes are [pos, batch]; expected [batch, pos]";
                self.violation(
                    &name,
                    found,
                    "return it transposed, and read that in the next layer",
                );
            }
        }
        if self.wires.has(&logits) {
            self.of_type(&logits, DataType::Float, &[2, 3]);
            self.free(&logits, &[0], None);
            let axes = self.wires.typed(&logits).map_or(2, |(_, axes)| axes.len());
            let last = axes.saturating_sub(1);
            self.size(&logits, last, "the vocabulary", |found| &mut found.vocab);
        } else {
            let remedy =
                "return the logits, [batch, vocab] at the last position or [batch, pos, vocab]";
            self.violation(&logits, "no such value", remedy);
        }
    }

    /// Notes a size that an axis of a value has; others that have it must agree.
    fn size(
        &mut self,
        name: &str,
        axis: usize,
        what: &str,
        noted: fn(&mut Findings) -> &mut Option<i64>,
    ) {
        let length = self.wires.length(name, axis);
        let known = *noted(&mut self.found);
        match (known, length) {
            (Some(known), Some(length)) if known != length => {
                let found = format!("axis {axis} is {length} long; {what} is {known} elsewhere");
                let remedy = "export values of one model, with the axes of onnx/CONTRACT.md";
                self.violation(name, found, remedy);
            }
            (None, None) if axis > 0 => {
                let found = format!("the length of axis {axis}, {what}, is not stated");
                let remedy = match what {
                    HEADS => "state it in the export, or write `heads = N` in the manifest",
                    _ => {
                        "state it in the export, or save the graph after onnx.shape_inference.infer_shapes"
                    }
                };
                self.violation(name, found, remedy);
            }
            (None, Some(length)) if length > MOST => {
                let found =
                    format!("axis {axis}, {what}, is {length} long; expected at most {MOST}");
                self.violation(name, found, "state the real length in the export");
            }
            _ => *noted(&mut self.found) = known.or(length),
        }
    }

    /// The number of heads, and the values of attention.
    fn heads(&mut self) {
        let manifest = self.manifest;
        let layers = self.found.layers;
        let of_attention = ["attn_pattern", "attn_out"];
        let names =
            (0..layers).flat_map(|layer| of_attention.map(|value| manifest.of_layer(value, layer)));
        let names: Vec<String> = names.collect();
        self.found.heads = manifest.heads.map(|heads| heads as i64);
        self.found.attention = layers > 0 && names.iter().all(|name| self.wires.has(name));
        if self.found.attention {
            for name in &names {
                self.of_type(name, DataType::Float, &[4]);
                self.size(name, 1, HEADS, |found| &mut found.heads);
                if self.wires.is_of_tokens(name, 1, 1) {
                    let found = "axis 1 is the length of the prompt; expected heads";
                    let remedy =
                        "return it as [batch, head, q_pos, ...], before heads are put together";
                    self.violation(name, found, remedy);
                }
            }
        } else if of_attention
            .iter()
            .any(|value| manifest.names.contains_key(*value))
        {
            let missing: Vec<String> = names
                .into_iter()
                .filter(|name| !self.wires.has(name))
                .collect();
            for name in missing {
                let remedy = "name both attn_pattern and attn_out of every layer, or neither";
                self.violation(&name, "no such value", remedy);
            }
        }
        if self.found.heads.is_none() && layers > 0 {
            let remedy = "name attn_pattern and attn_out, or write `heads = N` in the manifest";
            self.violation("heads", "their number is not stated", remedy);
        }
        if let (Some(heads), Some(width)) = (self.found.heads, self.found.d_model)
            && heads > width
        {
            let found = format!("{heads}, more than d_model, {width}");
            self.violation("heads", found, "write the real number in the manifest");
        }
        for mask in (0..layers).map(|layer| manifest.of_layer("attn_bias", layer)) {
            if self.wires.length(&mask, 1) != Some(1) {
                self.free(&mask, &[1], self.found.heads);
            }
        }
    }

    /// Whether every name is of a value of its own.
    fn names(&mut self) {
        let manifest = self.manifest;
        let once = [INPUT_IDS, POSITION_IDS, LOGITS].map(|name| manifest.name(name));
        let streams = (0..=self.found.layers).map(|layer| manifest.of_layer("resid", layer));
        let mut values = vec!["attn_bias"];
        if self.found.attention {
            values.extend(["attn_pattern", "attn_out"]);
        }
        let of_layers = (0..self.found.layers).flat_map(|layer| {
            values
                .iter()
                .map(move |value| manifest.of_layer(value, layer))
        });
        let mut seen: BTreeMap<String, String> = BTreeMap::new();
        for name in once.into_iter().chain(streams).chain(of_layers) {
            if !self.wires.has(&name) {
                continue;
            }
            let original = self.wires.original(&name).to_owned();
            if let Some(other) = seen.insert(original, name.clone()) {
                let found = format!("the same value as {other}");
                let remedy = "return the value that the contract means; see onnx/CONTRACT.md";
                self.violation(&name, found, remedy);
            }
        }
    }

    /// Whether every layer can be run by itself, and be cut at its attention.
    fn cuts(&mut self) {
        let manifest = self.manifest;
        let layers = self.found.layers;
        if layers == 0 {
            return;
        }
        let [ids, positions, logits] =
            [INPUT_IDS, POSITION_IDS, LOGITS].map(|name| manifest.name(name));
        let of_layer = |value: &str, layer: usize| manifest.of_layer(value, layer);
        let stream = |layer: usize| of_layer("resid", layer);
        let mut cuts = vec![Cut::new(stream(0), [], [ids])];
        for layer in 0..layers {
            let mask = of_layer("attn_bias", layer);
            cuts.push(Cut::new(stream(layer + 1), [stream(layer)], [mask.clone()]));
            if self.found.attention {
                let [pattern, read] =
                    ["attn_pattern", "attn_out"].map(|value| of_layer(value, layer));
                cuts.push(Cut::new(pattern.clone(), [stream(layer)], [mask]));
                cuts.push(Cut::new(read.clone(), [pattern], []).may(stream(layer)));
                cuts.push(Cut::new(stream(layer + 1), [stream(layer), read], []));
            }
        }
        cuts.push(Cut::new(logits, [stream(layers)], []));
        for cut in cuts {
            self.cut(&cut.may(positions.clone()));
        }
    }

    fn cut(&mut self, cut: &Cut) {
        let Cut {
            to,
            from,
            needs,
            may,
        } = cut;
        if !self.wires.has(to) || from.iter().chain(needs).any(|name| !self.wires.has(name)) {
            return; // said already
        }
        let stops: Vec<&str> = from.iter().chain(may).map(String::as_str).collect();
        let behind: BTreeSet<String> = (self.wires.behind(to, &stops).into_iter())
            .map(str::to_owned)
            .collect();
        let original = |name: &String| self.wires.original(name).to_owned();
        let wanted: Vec<String> = from.iter().chain(needs).map(original).collect();
        let allowed: Vec<String> = may.iter().map(original).collect();
        let others: Vec<&str> = (behind.iter())
            .filter(|name| !wanted.contains(name) && !allowed.contains(name))
            .map(String::as_str)
            .collect();
        let after = from.join(", ");
        if !others.is_empty() {
            let found = format!("besides {after:?} it still reads {}", others.join(", "));
            let remedy = "a layer may read its stream, its mask and the positions only; return the very value that is read next. If it \
                 is only the shape that is read: give its axes the names of the tokens' axes";
            self.violation(to, found, remedy);
        }
        let missing: Vec<&String> = (from.iter().chain(needs).zip(&wanted))
            .filter(|(_, original)| !behind.contains(*original))
            .map(|(name, _)| name)
            .collect();
        for name in missing {
            let found = format!("it does not depend on {name:?}");
            let remedy = match needs.contains(name) {
                true => "add the mask to the attention scores of its layer before softmax",
                false => "return the very value that is read next, not a copy beside it",
            };
            self.violation(to, found, remedy);
        }
    }
}

/// That a value can be computed from others.
struct Cut {
    to: String,
    /// Nothing behind these is read; it depends on each.
    from: Vec<String>,
    /// Inputs that it depends on.
    needs: Vec<String>,
    /// What it may read, too.
    may: Vec<String>,
}

impl Cut {
    fn new<const N: usize, const M: usize>(
        to: String,
        from: [String; N],
        needs: [String; M],
    ) -> Self {
        Self {
            to,
            from: from.into(),
            needs: needs.into(),
            may: Vec::new(),
        }
    }

    fn may(mut self, read: String) -> Self {
        self.may.push(read);
        self
    }
}
