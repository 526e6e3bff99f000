//! Inputs, streams, logits and values of attention: their types and axes, and that each is a value of its own.

use std::collections::{BTreeMap, BTreeSet};

use super::checker::Checker;
use crate::graph::foreign::Findings;
use crate::graph::proto::tensor_proto::DataType;
use crate::graph::{INPUT_IDS, LOGITS, POSITION_IDS};

/// What heads are called in what is said.
const HEADS: &str = "the number of heads";

/// The largest width and vocabulary: ranks and tokens are exact in f32 up to it.
const MOST: i64 = 1 << 24;

fn type_name(number: i32) -> String {
    DataType::try_from(number).map_or(number.to_string(), |kind| kind.as_str_name().to_lowercase())
}

impl Checker<'_> {
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
    pub fn values(&mut self) {
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
    pub fn heads(&mut self) {
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
    pub fn names(&mut self) {
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
}
