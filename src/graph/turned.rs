//! A graph whose matrices are given as its products take them.

use std::collections::{HashMap, HashSet};

use super::{Attribute, Graph};

impl Graph {
    /// The same graph without the nodes that only transpose a weight, and the names of the weights that have to be given transposed
    /// instead. A runtime that folds constants would make such a copy itself, beside the weight.
    ///
    /// A weight that a further node reads stays as it is.
    pub fn without_transposes(&self) -> (Self, HashSet<String>) {
        let mut readers: HashMap<&str, usize> = HashMap::new();
        for input in self.nodes.iter().flat_map(|node| &node.inputs) {
            *readers.entry(input).or_default() += 1;
        }
        let weights: HashSet<&str> = self.weights.iter().map(|of| of.name.as_str()).collect();
        let swap = Attribute::Ints(vec![1, 0]);
        let mut renamed: HashMap<String, String> = HashMap::new();
        let mut graph = self.clone();
        graph.nodes.retain(|node| {
            let given = node.inputs.first().filter(|name| {
                node.op == "Transpose"
                    && node.domain.is_empty()
                    && node.attributes.iter().all(|(_, value)| *value == swap)
                    && !node.attributes.is_empty()
                    && weights.contains(name.as_str())
                    && readers.get(name.as_str()) == Some(&1)
                    && self.port(&node.outputs[0]).is_none()
            });
            match given {
                Some(weight) => renamed
                    .insert(node.outputs[0].clone(), weight.clone())
                    .is_some(),
                None => true,
            }
        });
        for input in graph.nodes.iter_mut().flat_map(|node| &mut node.inputs) {
            if let Some(weight) = renamed.get(input) {
                input.clone_from(weight);
            }
        }
        let turned: HashSet<String> = renamed.into_values().collect();
        for weight in &mut graph.weights {
            if turned.contains(&weight.name) {
                weight.shape.reverse();
            }
        }
        (graph, turned)
    }
}
