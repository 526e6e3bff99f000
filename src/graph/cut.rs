//! Cutting a segment out of a graph at named values.

use std::collections::HashSet;

use super::{Graph, Port};

impl Graph {
    /// The segment that computes `outputs` from `inputs`, all of them names of inputs, boundaries or outputs of this
    /// graph. Inputs of this graph that the segment still needs stay inputs; nodes, constants and weights that it does
    /// not need are left out.
    ///
    /// # Errors
    /// The first name that is not a port of this graph.
    pub fn cut(&self, name: &str, inputs: &[String], outputs: &[String]) -> Result<Self, String> {
        let port = |name: &String| self.port(name).cloned().ok_or_else(|| name.clone());
        let given: Vec<Port> = inputs.iter().map(port).collect::<Result<_, _>>()?;
        let wanted: Vec<Port> = outputs.iter().map(port).collect::<Result<_, _>>()?;

        // Backwards from the outputs; a value that is given is not computed. Nodes are in topological order, so one
        // pass from the end sees every reader of a value before the node that makes it.
        let stop: HashSet<&str> = inputs.iter().map(String::as_str).collect();
        let mut needed: HashSet<&str> = outputs.iter().map(String::as_str).collect();
        let mut nodes = Vec::new();
        for node in self.nodes.iter().rev() {
            let makes = |output: &String| {
                // An output or input that is left out has no name.
                !output.is_empty()
                    && needed.contains(output.as_str())
                    && !stop.contains(output.as_str())
            };
            if node.outputs.iter().any(makes) {
                needed.extend(node.inputs.iter().map(String::as_str));
                nodes.push(node.clone());
            }
        }
        nodes.reverse();

        let kept: HashSet<&str> = nodes
            .iter()
            .flat_map(|node| node.inputs.iter().map(String::as_str))
            .collect();
        let made: HashSet<&str> = nodes
            .iter()
            .flat_map(|node| node.outputs.iter().map(String::as_str))
            .collect();
        let open = |port: &&Port| kept.contains(port.name.as_str()) && !stop.contains(&*port.name);
        let inner =
            |port: &&Port| made.contains(port.name.as_str()) && !outputs.contains(&port.name);
        Ok(Self {
            name: name.to_owned(),
            inputs: given
                .into_iter()
                .chain(self.inputs.iter().filter(open).cloned())
                .collect(),
            outputs: wanted,
            boundaries: self.boundaries.iter().filter(inner).cloned().collect(),
            constants: self
                .constants
                .iter()
                .filter(|constant| kept.contains(constant.name.as_str()))
                .cloned()
                .collect(),
            weights: self
                .weights
                .iter()
                .filter(|weight| kept.contains(weight.name.as_str()))
                .cloned()
                .collect(),
            given: self
                .given
                .iter()
                .filter(|tensor| kept.contains(tensor.0.name.as_str()))
                .cloned()
                .collect(),
            opsets: self.opsets.clone(),
            nodes: nodes.clone(),
        })
    }
}
